//! A second, naive statement of the domain, to predict the engine by: every event, every answer.
//!
//! Written from the documents and for reading, not for speed: no index, no deadline queue, no persistent
//! maps; every question walks all bookings. It shares the engine's vocabulary (commands, events,
//! rejections) and none of its logic. What it does not predict is which of several open slots "any slot
//! that fits" takes: there it judges the choice.

mod changes;
mod gates;
mod lot;
mod promises;
mod sensor;

pub use gates::GateModel;
pub use lot::LotModel;
pub use promises::{Asked, predict};
pub use sensor::SensorModel;
