//! What a row of a data file says, once its format's conventions are undone.
//!
//! Invariant: a [`Row`] is either sent as it is or skipped for one named [`Fault`], never repaired.
//! Notes mark rows that are sent although something about them is remarkable; they are counted
//! beside the outcomes, not among them.

use std::sync::Arc;

use jiff::Timestamp;

/// A code shared by the many rows that name it.
pub type Name = Arc<str>;

/// One row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its line in the uncompressed file, the header being line 1.
    pub line: u64,
    /// Where the row stands on the file's own clock: what `--speed N` is paced by.
    pub clock: Option<Timestamp>,
    /// What it says.
    pub item: Item,
    /// What is remarkable about it.
    pub notes: Notes,
}

/// What is to be done with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A sensor's reading of one slot.
    Reading {
        /// Code of the lot.
        lot: Name,
        /// Code of the slot.
        slot: Name,
        /// What the sensor saw.
        occupied: bool,
        /// When.
        observed_at: Timestamp,
        /// The order of readings of one instant, where the file has an order to offer.
        sequence: Option<u64>,
    },
    /// An absolute count of a whole lot.
    Count {
        /// Code of the lot.
        lot: Name,
        /// Vehicles inside.
        occupied: u32,
        /// Places of the lot according to this row.
        capacity: u32,
        /// When it was counted.
        observed_at: Timestamp,
    },
    /// Not sent.
    Skipped(Fault),
}

/// Why the replay does not send a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A field cannot be read; which one, its value and what was expected.
    Malformed(String),
    /// The sensor has not changed for so long that its state means nothing.
    DeadSensor {
        /// How long, at the file's own instant.
        age_days: i64,
    },
    /// Observed after its own upload by more than the allowed skew.
    Early {
        /// By how much.
        ahead_seconds: i64,
    },
}

/// What is remarkable about a row that is sent all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notes {
    /// The count is above the capacity which the same row states.
    pub above_capacity: bool,
    /// What a clock change did to the local time of the observation.
    pub local_time: LocalTime,
}

/// How a local wall-clock time relates to instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LocalTime {
    /// One instant, as nearly always.
    #[default]
    Exact,
    /// None: clocks jumped over it in spring.
    Gap,
    /// Two: clocks went through it twice in autumn.
    Fold,
}
