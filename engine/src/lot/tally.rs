//! The count of a counted lot: what its gates say, kept raw and judged, never clipped.

use crate::counts::Counts;
use crate::time::Timestamp;

/// What a counter reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Vehicles that passed since the last report of this counter.
    Flow {
        /// In.
        entered: u32,
        /// Out.
        left: u32,
    },
    /// Vehicles inside, as the counter or a person counted them.
    Absolute {
        /// Vehicles inside.
        occupied: u32,
    },
}

/// The running count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Vehicles inside as counted: may be below zero or above capacity when counters err.
    pub occupied: i64,
    /// The last absolute count minus what the flows since the one before said: how far they err.
    pub drift: i64,
    /// Whether flows have been counted since the last absolute count.
    pub flowed: bool,
    /// Newest observed time of an absolute count; decides which is late.
    pub absolute_at: Option<Timestamp>,
    /// Newest observed time of any count; nothing until the first.
    pub observed_at: Option<Timestamp>,
    /// Receipt of the newest count: liveness.
    pub heard_at: Timestamp,
    /// Receipt of the newest count that has a record: what a restart knows.
    pub recorded_at: Timestamp,
    /// Set while no count has come for too long.
    pub silent_since: Option<Timestamp>,
}

/// Whether the count can be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Between zero and the capacity.
    Consistent,
    /// More vehicles than places.
    AboveCapacity,
    /// Fewer than none.
    BelowZero,
    /// No count yet.
    NeverCounted,
    /// No count for longer than the lot's rule.
    Silent,
}

impl Tally {
    /// Judges the count against the capacity.
    #[must_use]
    pub fn condition(&self, capacity: u32) -> Condition {
        match self.observed_at {
            None => Condition::NeverCounted,
            Some(_) if self.silent_since.is_some() => Condition::Silent,
            Some(_) if self.occupied < 0 => Condition::BelowZero,
            Some(_) if self.occupied > i64::from(capacity) => Condition::AboveCapacity,
            Some(_) => Condition::Consistent,
        }
    }

    /// Counts as they are shown: what cannot be true is unknown.
    #[must_use]
    pub fn counts(&self, capacity: u32) -> Counts {
        match (self.condition(capacity), u32::try_from(self.occupied)) {
            (Condition::Consistent, Ok(occupied)) => {
                Counts { free: capacity - occupied, occupied, ..Counts::default() }
            }
            (_, _) => Counts { unknown: capacity, ..Counts::default() },
        }
    }

    /// The tally after a count received at `at`.
    #[must_use]
    pub fn after(&self, count: Count, observed_at: Timestamp, at: Timestamp) -> Self {
        let newest = self.observed_at.max(Some(observed_at));
        let before = Self { heard_at: at, recorded_at: at, silent_since: None, ..*self };
        match count {
            Count::Flow { entered, left } => Self {
                occupied: self.occupied.saturating_add(i64::from(entered) - i64::from(left)),
                flowed: self.flowed || entered > 0 || left > 0,
                observed_at: newest,
                ..before
            },
            Count::Absolute { occupied } => Self {
                occupied: i64::from(occupied),
                drift: match self.flowed {
                    true => i64::from(occupied).saturating_sub(self.occupied),
                    false => self.drift,
                },
                flowed: false,
                absolute_at: Some(observed_at),
                observed_at: newest,
                ..before
            },
        }
    }
}
