//! A stay as the pricing function is told of it: a booked window before, actual times after.

use super::rules::Discount;
use super::zone::Zone;
use crate::money::{Amount, PerMille};
use crate::time::{Seconds, Timestamp, Window};

/// What is to be priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// What was promised; binds: coming late or leaving early changes nothing.
    pub booked: Option<Window>,
    /// When the vehicle came. Counts where nothing was booked.
    pub entered: Option<Timestamp>,
    /// When it left, or now where it is still inside and the fee so far is asked for.
    pub left: Option<Timestamp>,
    /// The lot's time zone.
    pub zone: Zone,
    /// How full the lot is, or was when it was booked.
    pub demand: Demand,
    /// What was brought, in the order in which it is taken off.
    pub discounts: Vec<Discount>,
    /// A pass that pays for time.
    pub pass: Option<Coverage>,
    /// What else is charged.
    pub extras: Vec<Extra>,
    /// How it ended.
    pub ending: Ending,
}

/// What decides the multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// The multiplier of a booking or entry: nothing that happened since changes it.
    Frozen(PerMille),
    /// Occupancy now: the tariff's thresholds decide.
    Occupancy(PerMille),
}

/// Time that a pass pays for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Stands in the fee's line.
    pub code: Box<str>,
    /// How much.
    pub covers: Covers,
}

/// How much of the price of time a pass pays. Overstay and penalties it never pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// All.
    Whole,
    /// A share.
    Share(PerMille),
    /// The first so many seconds.
    First(Seconds),
}

/// Something sold or owed beside time: charging, washing, the penalty of a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Stands in the fee's line.
    pub code: Box<str>,
    /// How much in all.
    pub amount: Amount,
    /// How many of it.
    pub quantity: u32,
    /// Whether the tariff's tax is on it.
    pub taxed: bool,
}

/// How a stay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ending {
    /// As it should, or not yet.
    #[default]
    Normal,
    /// Without the ticket.
    LostTicket,
    /// By itself, after hours: costs at most one daily cap.
    Abandoned,
}

impl Stay {
    /// A booking, for a quote.
    #[must_use]
    pub fn booked(window: Window, zone: Zone) -> Self {
        Self { booked: Some(window), ..Self::empty(zone) }
    }

    /// A stay without a booking, for a quote or a bill.
    #[must_use]
    pub fn drive_in(entered: Timestamp, left: Timestamp, zone: Zone) -> Self {
        Self { entered: Some(entered), left: Some(left), ..Self::empty(zone) }
    }

    /// The same with its actual times, for the bill.
    #[must_use]
    pub fn stayed(mut self, entered: Timestamp, left: Timestamp) -> Self {
        self.entered = Some(entered);
        self.left = Some(left);
        self
    }

    fn empty(zone: Zone) -> Self {
        Self {
            booked: None,
            entered: None,
            left: None,
            zone,
            demand: Demand::Frozen(PerMille::ONE),
            discounts: Vec::new(),
            pass: None,
            extras: Vec::new(),
            ending: Ending::Normal,
        }
    }
}
