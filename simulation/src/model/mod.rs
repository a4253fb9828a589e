//! A second, naive statement of the domain, to predict the engine by: every event, every answer.
//!
//! Written from the documents and for reading, not for speed: no index, no deadline queue, no persistent
//! maps; every question walks all bookings. It shares the engine's vocabulary (commands, events,
//! rejections) and none of its logic. What it does not predict is which of several open slots "any slot
//! that fits" takes: there it judges the choice.

mod arrivals;
mod bill;
mod changes;
mod compare;
pub mod fines;
mod gate;
mod gates;
mod life;
pub mod line;
mod lot;
pub mod passes;
pub mod payments;
mod promises;
mod purse;
mod sensor;
pub mod shifts;
pub mod till;

pub use arrivals::Standing;
pub use gate::Scanned;
pub use gates::GateModel;
pub use life::Life;
pub use lot::LotModel;
pub use promises::{Asked, Granted, predict};
pub use sensor::SensorModel;
