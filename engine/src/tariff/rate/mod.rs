//! What time costs: the kinds of rates, one module each.
//!
//! A rate is a price that grows along a clock. Each kind says what is charged between two readings of it;
//! a step of the price is charged where it begins. So a stay can be cut anywhere and costs the same, and a
//! longer stay never costs less. A new kind is a module here and a line in [`Rate`] and its `match`es.

mod flat;
mod hourly;
mod periods;
mod slabs;

pub use flat::Flat;
pub use hourly::{Hourly, Tier};
pub use periods::Periods;
pub use slabs::{Slab, Slabs};

use super::period::Period;
use crate::money::Amount;
use crate::spec::Fault;
use crate::time::Seconds;

/// What one unit of money is in the fractions that rates charge: a rate's `per` divides a day.
pub(super) const FRACTIONS: i128 = 86_400;

/// What time costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rate {
    /// One amount, however long.
    Flat(Flat),
    /// By time, in tiers.
    Hourly(Hourly),
    /// An amount for each length of stay.
    Slabs(Slabs),
    /// An amount for each begun day, week or month.
    Periods(Periods),
}

/// A stretch of a clock: seconds from its start, half-open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Whether the rate's own period begins with it.
    pub(super) begins_period: bool,
}

/// What a rate charges for a stretch: one step of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    /// The rate's own number of the step: charges of one step make one line.
    pub(super) step: u16,
    /// In [`FRACTIONS`] of a minor unit.
    pub(super) fractions: i128,
    /// Time it stands for.
    pub(super) seconds: u32,
    /// How many units were charged; 0 where it is by time.
    pub(super) units: u32,
    /// The price of one unit, and the length of the unit.
    pub(super) rate: Amount,
    pub(super) per: Seconds,
}

impl Rate {
    /// Gives what a stretch costs to `sink`, step by step.
    pub(super) fn charge(&self, reach: Reach, sink: &mut impl FnMut(Charge)) {
        match self {
            Self::Flat(flat) => flat.charge(reach, sink),
            Self::Hourly(hourly) => hourly.charge(reach, sink),
            Self::Slabs(slabs) => slabs.charge(reach, sink),
            Self::Periods(periods) => periods.charge(reach, sink),
        }
    }

    /// The period whose beginnings it charges; the stay is cut there.
    pub(super) fn period(&self) -> Option<Period> {
        match self {
            Self::Periods(periods) => Some(periods.period),
            Self::Flat(_) | Self::Hourly(_) | Self::Slabs(_) => None,
        }
    }

    /// Its name in lines.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flat(_) => "flat",
            Self::Hourly(_) => "hourly",
            Self::Slabs(_) => "slabs",
            Self::Periods(_) => "periods",
        }
    }

    /// Everything wrong with it; its kind is a step of the path.
    pub(super) fn faults(&self, pointer: &str, faults: &mut Vec<Fault>) {
        let pointer = &format!("{pointer}/{}", self.kind());
        match self {
            Self::Flat(flat) => flat.faults(pointer, faults),
            Self::Hourly(hourly) => hourly.faults(pointer, faults),
            Self::Slabs(slabs) => slabs.faults(pointer, faults),
            Self::Periods(periods) => periods.faults(pointer, faults),
        }
    }
}
