//! Opening hours: stretches of a lot's local week, and the instants they mean in its time zone.
//!
//! Local time decides, as a clock on the wall shows it: what a change of the clock skips does not happen, an hour
//! that comes twice counts twice. Invariant: [`Hours::open_from`] gives the first instant at which
//! [`Hours::is_open`] says yes to that clock; nothing here reads the time. Absent: holidays.

use crate::tariff::Zone;
use crate::time::Timestamp;

/// Days in a week.
const DAYS: u8 = 7;
/// Seconds in a minute, a day and a week.
const MINUTE_SECONDS: i64 = 60;
const DAY_SECONDS: i64 = 86_400;
const WEEK_SECONDS: i64 = 7 * DAY_SECONDS;
/// The first of January 1970 was a Thursday, and weeks begin on Monday.
const EPOCH_DAY: i64 = 3;
/// Changes of the clock that are looked past for the next opening. Between two of them mostly lie months, and
/// whatever is open at all is open within a week.
const CLOCK_CHANGES_MAX: usize = 8;

/// Days of the week: bit 0 is Monday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Days(pub u8);

impl Days {
    /// All seven.
    pub const ALL: Self = Self(0x7f);

    /// Whether a day is among them; 0 is Monday.
    #[must_use]
    pub fn has(self, day: u8) -> bool {
        self.0 >> (day % DAYS) & 1 == 1
    }
}

/// A stretch of local time on some days. One that ends at or before its begin ends on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The days on which it begins.
    pub days: Days,
    /// Its first minute, counted from midnight.
    pub from_minute: u16,
    /// The first minute after it; 1,440 is the end of the day.
    pub to_minute: u16,
}

/// When a lot is open, in its own time; always, when it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours(pub Vec<Opening>);

impl Hours {
    /// Whether it is open at a minute of a day of the week; 0 is Monday. The caller knows the time zone.
    #[must_use]
    pub fn is_open(&self, day: u8, minute: u16) -> bool {
        let before = (day + DAYS - 1) % DAYS;
        self.0.is_empty()
            || self.0.iter().any(|opening| {
                let Opening { days, from_minute: from, to_minute: to } = *opening;
                match from < to {
                    true => days.has(day) && (from..to).contains(&minute),
                    false => days.has(day) && minute >= from || days.has(before) && minute < to,
                }
            })
    }

    /// The first instant from `at` on at which it is open, `at` itself when it is; nothing where the calendar
    /// ends before.
    #[must_use]
    pub fn open_from(&self, zone: &Zone, at: Timestamp) -> Option<Timestamp> {
        let mut second = at.whole_seconds();
        for _ in 0..=CLOCK_CHANGES_MAX {
            let regime = zone.regime(second)?;
            let opens = second + self.wait_seconds(second + regime.offset_seconds)?;
            if opens < regime.until {
                return Some(at.max(Timestamp::from_seconds(opens)));
            }
            // The clock jumps before it opens: what it would have skipped or repeated is asked anew.
            second = regime.until;
        }
        None
    }

    /// Whether it is open at an instant.
    #[must_use]
    pub fn is_open_at(&self, zone: &Zone, at: Timestamp) -> bool {
        // Most lots have no hours, and then no time zone is asked.
        self.0.is_empty() || self.open_from(zone, at) == Some(at)
    }

    /// Seconds from a local second to the next open one, on a clock that nobody changes.
    fn wait_seconds(&self, local: i64) -> Option<i64> {
        let of_week = (local + EPOCH_DAY * DAY_SECONDS).rem_euclid(WEEK_SECONDS);
        let (day, minute) = (of_week / DAY_SECONDS, of_week % DAY_SECONDS / MINUTE_SECONDS);
        // Both are small: a day of the week, a minute of a day.
        if self.is_open(u8::try_from(day).ok()?, u16::try_from(minute).ok()?) {
            return Some(0);
        }
        // It is closed, so what comes next is the begin of a stretch.
        let begins = self.0.iter().flat_map(|opening| {
            let days = (0..DAYS).filter(|day| opening.days.has(*day));
            let minute = i64::from(opening.from_minute);
            days.map(move |day| i64::from(day) * DAY_SECONDS + minute * MINUTE_SECONDS)
        });
        begins.map(|begin| (begin - of_week).rem_euclid(WEEK_SECONDS)).min()
    }
}
