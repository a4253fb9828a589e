//! The simulated week: an airport's lot of 500 slots and a street's of 120, from Monday to Sunday.
//!
//! People book days ahead, do not come, drive in, stay too long, stand elsewhere, forget to check out; cameras
//! misread plates, sensors fall silent, stick, flap and report late; wardens ask for penalties, staff put right
//! what they see. Who comes when and stays how long is calibrated on real lots (`calibration.rs`). Everything
//! goes through engine and journal as an episode's steps do. At the end every invariant holds, every stay that
//! ended has one fee, the ledger adds up to what people paid, sessions and sensors agree but for the faults
//! planted, and a replay of the journal gives the same state to the byte.
//!
//! Invariant: a seed is a week, to the last byte. Deliberately absent: a model that predicts every answer
//! (that is the first tier's), crashes, and figures of an airport, which the data do not have.

mod agree;
mod audit;
mod bays;
mod bookings;
mod books;
pub mod calibration;
pub mod clock;
mod lots;
mod office;
mod people;
mod plan;
mod report;
mod tills;
mod world;

pub use report::Report;

use clock::Variant;

use crate::episode::Violation;
use crate::tally::Tally;
use crate::trace::Trace;

/// Which week.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Everything follows from it.
    pub seed: u64,
    /// Whether the clock changes.
    pub variant: Variant,
    /// Whether the trace keeps its lines.
    pub lines: bool,
}

/// What a week did.
#[derive(Debug)]
pub struct Done {
    /// All that happened.
    pub trace: Trace,
    /// How often what happened.
    pub tally: Tally,
    /// What the operator reads on Monday.
    pub report: Report,
}

/// Runs a week.
///
/// # Errors
/// What must not be.
pub fn run(setup: Setup) -> Result<Done, Violation> {
    let mut world = world::World::new(setup);
    let ran = world.begin().and_then(|()| world.live()).and_then(|()| world.finish());
    let world::World { trace, tally, report, .. } = world;
    match ran {
        Ok(()) => Ok(Done { trace, tally, report }),
        Err(what) => Err(Violation { what, trace: Box::new(trace) }),
    }
}
