//! What the world does to the engine: lots of every kind, sensors that err, drivers and staff that race.

mod commands;
mod lots;
mod sensors;

pub use commands::Callers;
pub use lots::lot;
pub use sensors::{Message, Sensors};
