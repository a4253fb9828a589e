//! The rules around a rate: grace, increments, caps, demand, overstay, discounts, tax, fees, refunds.

use super::period::Period;
use crate::money::{Amount, BasisPoints, PerMille, Rounding};
use crate::time::{Seconds, Timestamp};

/// Free minutes at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// How long.
    pub seconds: Seconds,
    /// What they do for a longer stay.
    pub mode: GraceMode,
}

/// What free minutes do for a stay that is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraceMode {
    /// Nothing: it is billed from its start.
    FreeIfShorter,
    /// It is billed from their end.
    Subtracted,
}

/// The step in which time is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Increment {
    /// Its length; 1 bills to the second.
    pub seconds: Seconds,
    /// What a part of one counts.
    pub mode: IncrementMode,
}

/// What a part of an increment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncrementMode {
    /// A whole one.
    Begun,
    /// A whole one from its half on.
    Nearest,
    /// Nothing.
    Completed,
}

/// The most that time costs within one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Within what.
    pub period: Period,
    /// The most.
    pub amount: Amount,
}

/// What a full lot does to the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// From this occupancy on, in thousandths of the capacity.
    pub occupancy: PerMille,
    /// The price of time is multiplied by this.
    pub multiplier: PerMille,
}

/// What staying past the booked end costs. Once grace is over both parts count from the booked end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overstay {
    /// An overstay up to this long costs nothing.
    pub grace: Seconds,
    /// What the excess costs before it is multiplied.
    pub rate: OverstayRate,
    /// By which it is multiplied.
    pub multiplier: PerMille,
    /// On top for each begun hour.
    pub penalty_per_hour: Amount,
}

/// What the time past the booked end costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverstayRate {
    /// What the tariff takes when the stay goes on: its tiers, bands and caps run on.
    Continued,
    /// So much for an hour, by time.
    PerHour(Amount),
}

/// A price off, known by its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discount {
    /// Stands in the fee's line.
    pub code: Box<str>,
    /// How much.
    pub off: Off,
}

/// How much a discount takes off the price of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// A share of what is left of it.
    Share(BasisPoints),
    /// An amount, at most what is left of it.
    Amount(Amount),
}

/// A tax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tax {
    /// Its name on receipts.
    pub code: Box<str>,
    /// How much.
    pub rate: BasisPoints,
    /// Whether the tariff's amounts contain it.
    pub included: bool,
    /// Whether penalties are taxed.
    pub on_penalty: bool,
}

/// What a marketplace takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceFee {
    /// Who pays it.
    pub payer: Payer,
    /// Of the subtotal.
    pub share: BasisPoints,
    /// And this, where the subtotal is not zero.
    pub fixed: Amount,
}

/// Who pays a service fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer {
    /// The driver, on top.
    Driver,
    /// The lot's owner, out of what he gets.
    Owner,
}

/// What a lost ticket costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostTicket {
    /// How much.
    pub amount: Amount,
    /// Whether it takes the place of the price of time, or comes on top.
    pub instead: bool,
}

/// What a cancelled reservation gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// In order, the earliest cancellation first.
    pub steps: Box<[RefundStep]>,
    /// Given back to who never came.
    pub no_show: BasisPoints,
}

/// What is given back for a cancellation in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundStep {
    /// At least so long before the start.
    pub before: Seconds,
    /// Share of what was paid.
    pub refund: BasisPoints,
}

/// How the total is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotalRounding {
    /// The mode of every rounding in the fee.
    pub mode: Rounding,
    /// The smallest step of the total, in minor units: 5 where the smallest coin is 5; 1 changes nothing.
    pub step: Amount,
}

impl Increment {
    /// To the second.
    pub const SECOND: Self = Self { seconds: Seconds(1), mode: IncrementMode::Begun };

    /// What a length of time is billed as.
    pub(super) fn billed(self, seconds: i64) -> i64 {
        let step = i64::from(self.seconds.0.max(1));
        let steps = match self.mode {
            IncrementMode::Begun => (seconds + step - 1).div_euclid(step),
            IncrementMode::Nearest => (2 * seconds + step).div_euclid(2 * step),
            IncrementMode::Completed => seconds.div_euclid(step),
        };
        steps * step
    }
}

impl Overstay {
    /// The price goes on as it was.
    pub const GOES_ON: Self = Self {
        grace: Seconds(0),
        rate: OverstayRate::Continued,
        multiplier: PerMille::ONE,
        penalty_per_hour: Amount::ZERO,
    };
}

impl TotalRounding {
    /// To the nearest minor unit.
    pub const UNIT: Self = Self { mode: Rounding::HalfEven, step: Amount(1) };
}

impl Cancellation {
    /// Nothing is given back.
    #[must_use]
    pub fn none() -> Self {
        Self { steps: Box::default(), no_show: BasisPoints(0) }
    }

    /// What of `paid` goes back when a stay that begins at `start` is cancelled at `at`; rounded down.
    #[must_use]
    pub fn refund(&self, paid: Amount, start: Timestamp, at: Timestamp) -> Amount {
        let in_time = |step: &&RefundStep| start.micros_since(at) >= step.before.micros();
        let share = self.steps.iter().find(in_time).map_or(BasisPoints(0), |step| step.refund);
        paid.basis_points(share, Rounding::Down)
    }

    /// What of `paid` goes back to who never came; rounded down.
    #[must_use]
    pub fn no_show_refund(&self, paid: Amount) -> Amount {
        paid.basis_points(self.no_show, Rounding::Down)
    }
}
