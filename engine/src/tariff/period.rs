//! Days, weeks and months, by the calendar or counted from the entry.
//!
//! A calendar period is what the local clock reads. Invariant: a period begins once. Where the clock goes
//! back over midnight, the hour that comes again belongs to the day that has begun already; a day that a
//! zone skips never begins.

use super::zone::{Regime, Zone, local_date};
use crate::time::Timestamp;

/// Seconds of a local day without a clock change.
pub(super) const DAY_SECONDS: i64 = 86_400;

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// The whole stay.
    Stay,
    /// A day.
    Day,
    /// A week; by the calendar it begins on Monday.
    Week,
    /// A month.
    Month,
}

/// Where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anchor {
    /// At local midnight.
    Calendar,
    /// With the stay: every 24 hours, every 7 times 24 hours, every month at the same local day and time.
    Entry,
}

/// A stretch of time that repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// How long.
    pub unit: Unit,
    /// Where it begins.
    pub anchor: Anchor,
}

/// Follows one period along a stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracker {
    period: Period,
    /// Where periods from the entry are counted from.
    origin: i64,
    /// The number of the current one; `None` before the first.
    number: Option<i64>,
    /// Where the next month from the entry begins, once it was asked for.
    next_month: Option<i64>,
}

impl Tracker {
    pub(super) fn new(period: Period, origin: i64) -> Self {
        Self { period, origin, number: None, next_month: None }
    }

    pub(super) fn period(&self) -> Period {
        self.period
    }

    /// Whether a new period begins at `at`, and the second at which the next may.
    /// `None` outside of the calendar.
    pub(super) fn advance(&mut self, at: i64, regime: Regime, zone: &Zone) -> Option<(bool, i64)> {
        let (number, next) = match (self.period.unit, self.period.anchor) {
            (Unit::Stay, _) => (0, i64::MAX),
            (unit, Anchor::Calendar) => {
                let local = at + regime.offset_seconds;
                let (number, next_local) = calendar(unit, local)?;
                (number, next_local - regime.offset_seconds)
            }
            (Unit::Month, Anchor::Entry) => self.month_from_entry(at, zone)?,
            (unit, Anchor::Entry) => {
                let length = if unit == Unit::Week { 7 * DAY_SECONDS } else { DAY_SECONDS };
                let number = (at - self.origin).div_euclid(length);
                (number, self.origin + (number + 1) * length)
            }
        };
        let begins = self.number.is_none_or(|current| number > current);
        if begins {
            self.number = Some(number);
        }
        Some((begins, next))
    }

    /// Counted on from the current one: a stay has few months.
    fn month_from_entry(&mut self, at: i64, zone: &Zone) -> Option<(i64, i64)> {
        let mut number = self.number.unwrap_or(0);
        if let Some(next) = self.next_month.filter(|next| at < *next) {
            return Some((number, next));
        }
        loop {
            let next = zone.months_after(self.origin, number + 1)?;
            if at < next {
                self.next_month = Some(next);
                return Some((number, next));
            }
            number += 1;
        }
    }
}

impl Zone {
    /// The number of the calendar period that an instant lies in; nothing outside of the calendar.
    #[must_use]
    pub fn period_of(&self, unit: Unit, at: Timestamp) -> Option<i64> {
        let second = at.whole_seconds();
        let regime = self.regime(second)?;
        calendar(unit, second.checked_add(regime.offset_seconds)?).map(|(number, _)| number)
    }
}

/// The number of the period that a local second lies in, and the local second at which the next begins.
fn calendar(unit: Unit, local: i64) -> Option<(i64, i64)> {
    let day = local.div_euclid(DAY_SECONDS);
    Some(match unit {
        Unit::Stay => (0, i64::MAX),
        Unit::Day => (day, (day + 1) * DAY_SECONDS),
        Unit::Week => {
            // 1970-01-01 was a Thursday: the week it lies in began three days before.
            let week = (day + 3).div_euclid(7);
            (week, ((week + 1) * 7 - 3) * DAY_SECONDS)
        }
        Unit::Month => {
            let date = local_date(local)?;
            let left = i64::from(date.days_in_month() - date.day()) + 1;
            let number = i64::from(date.year()) * 12 + i64::from(date.month());
            (number, (day + left) * DAY_SECONDS)
        }
    })
}
