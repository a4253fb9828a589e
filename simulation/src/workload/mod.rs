//! What the world does to the engine: lots of every kind, sensors that err, drivers and staff that race.

mod commands;
mod desk;
mod gates;
mod lots;
mod season;
mod sensors;

pub use commands::Callers;
pub use lots::lot;
pub use sensors::{Message, Sensors};
