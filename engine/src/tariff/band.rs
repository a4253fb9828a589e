//! Bands: times in which another rate holds, or the price is multiplied. Peak hours, nights, events.
//!
//! Of the bands that hold at an instant the first with a rate gives the rate, and the first with a
//! multiplier multiplies it. Weekly bands go by what the local clock reads: an hour that a clock change
//! repeats is in the band twice, one that it skips not at all.

use super::faults::{check_code, check_count, check_multiplier, fault};
use super::period::DAY_SECONDS;
use super::rate::Rate;
use crate::limits;
use crate::money::PerMille;
use crate::spec::Fault;
use crate::time::Window;

/// A time in which the price is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// Stands in the fee's lines.
    pub code: Box<str>,
    /// When.
    pub when: When,
    /// What then.
    pub effect: Effect,
}

/// When a band holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// By weekday, local time and date.
    Weekly(Weekly),
    /// Once, between two instants.
    Dated(Window),
}

/// Weekdays, local times and dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// The days on which it begins.
    pub days: Weekdays,
    /// Second of the local day at which it begins.
    pub from_second: u32,
    /// Second at which it ends; not after `from_second`: on the next day.
    pub to_second: u32,
    /// The dates on which it begins; none: on all.
    pub dates: Box<[Dates]>,
}

/// A set of weekdays: bit 0 is Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(pub u8);

/// Days since 1970-01-01, by the local calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalDay(pub i32);

/// Local dates, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// The first.
    pub first: LocalDay,
    /// The last.
    pub last: LocalDay,
}

/// What a band does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Another rate.
    Replace {
        /// The rate.
        rate: Rate,
        /// What the rate counts from.
        clock: Clock,
    },
    /// The price of the rate times this.
    Multiply(PerMille),
}

/// What a band's rate counts time from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The start of the stay: a tier of the third hour is that of the third hour of the stay.
    Stay,
    /// Each time the stay comes into the band: a night has its own price.
    Band,
}

impl Weekdays {
    /// The whole week.
    pub const ALL: Self = Self(0b111_1111);

    /// Whether a day, as days since 1970-01-01, is one of them.
    fn has(self, day: i64) -> bool {
        // 1970-01-01 was a Thursday.
        self.0 >> (day + 3).rem_euclid(7) & 1 == 1
    }
}

impl When {
    /// Whether it holds at an instant, given also as a local second.
    pub(super) fn holds(&self, at: i64, local: i64) -> bool {
        match self {
            Self::Weekly(weekly) => weekly.holds(local),
            Self::Dated(window) => seconds(window).is_some_and(|(from, to)| from <= at && at < to),
        }
    }

    /// The next instant at which that may change, while the offset stays as it is.
    pub(super) fn changes_after(&self, at: i64, local: i64) -> i64 {
        match self {
            Self::Weekly(weekly) => at + (weekly.changes_after(local) - local),
            Self::Dated(window) => {
                let ends = seconds(window).into_iter().flat_map(|(from, to)| [from, to]);
                ends.filter(|end| *end > at).min().unwrap_or(i64::MAX)
            }
        }
    }
}

/// A window in whole seconds: parts of a second are never billed.
fn seconds(window: &Window) -> Option<(i64, i64)> {
    let (from, to) = (window.from.whole_seconds(), window.to.whole_seconds());
    (from < to).then_some((from, to))
}

impl Weekly {
    fn holds(&self, local: i64) -> bool {
        let (day, second) = (local.div_euclid(DAY_SECONDS), local.rem_euclid(DAY_SECONDS));
        let (from, to) = (i64::from(self.from_second), i64::from(self.to_second));
        if from < to {
            return from <= second && second < to && self.begins_on(day);
        }
        // Past midnight: the morning belongs to the day before.
        second >= from && self.begins_on(day) || second < to && self.begins_on(day - 1)
    }

    fn begins_on(&self, day: i64) -> bool {
        let on = |dates: &Dates| i64::from(dates.first.0) <= day && day <= i64::from(dates.last.0);
        self.days.has(day) && (self.dates.is_empty() || self.dates.iter().any(on))
    }

    /// The next local second at which it may begin or end: its times, and midnight, where the date changes.
    fn changes_after(&self, local: i64) -> i64 {
        let midnight = local.div_euclid(DAY_SECONDS) * DAY_SECONDS;
        let times = [self.from_second, self.to_second].map(|second| midnight + i64::from(second));
        let next = times.into_iter().filter(|time| *time > local).min();
        next.unwrap_or(i64::MAX).min(midnight + DAY_SECONDS)
    }
}

impl Band {
    pub(super) fn faults(&self, pointer: &str, faults: &mut Vec<Fault>) {
        check_code(faults, &format!("{pointer}/code"), &self.code);
        match &self.when {
            When::Weekly(weekly) => weekly.faults(&format!("{pointer}/weekly"), faults),
            When::Dated(window) if seconds(window).is_none() => {
                let detail = "an event ends at least a second after it begins; give a later end";
                faults.push(fault(format!("{pointer}/window/to"), detail));
            }
            When::Dated(_) => {}
        }
        match &self.effect {
            Effect::Replace { rate, clock: _ } => rate.faults(&format!("{pointer}/rate"), faults),
            Effect::Multiply(multiplier) => {
                check_multiplier(faults, format!("{pointer}/multiplier_per_mille"), *multiplier);
            }
        }
    }
}

impl Weekly {
    fn faults(&self, pointer: &str, faults: &mut Vec<Fault>) {
        if self.days.0 == 0 || self.days.0 > Weekdays::ALL.0 {
            let detail = "a band needs at least one weekday; leave it out for all";
            faults.push(fault(format!("{pointer}/days"), detail));
        }
        if self.from_second >= 86_400 {
            let detail = format!("second {} is not in a day of 86400", self.from_second);
            faults.push(fault(format!("{pointer}/from"), detail));
        }
        if self.to_second > 86_400 || self.to_second == self.from_second {
            let detail = format!(
                "second {} is where it begins or not in a day of 86400; a whole day is 00:00 to 24:00",
                self.to_second
            );
            faults.push(fault(format!("{pointer}/to"), detail));
        }
        check_count(
            faults,
            format!("{pointer}/dates"),
            self.dates.len(),
            0,
            limits::DATES_PER_BAND_MAX,
        );
        for (position, dates) in self.dates.iter().enumerate() {
            if dates.first > dates.last {
                let detail = "the last date is before the first; exchange them";
                faults.push(fault(format!("{pointer}/dates/{position}/last"), detail));
            }
        }
    }
}
