//! The city's own time: it runs `speed` times as fast as ours and knows hours and weekdays only.
//!
//! Invariant: readings and bookings never carry it; what the server is told was observed now, because a
//! server refuses the future. Deliberately absent: dates and clock changes, every day has 24 hours.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

const MS_PER_SECOND: f64 = 1_000.0;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const DAY_NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// An instant of the city: milliseconds since a Monday, 00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CityTime(i64);

impl CityTime {
    /// A time of the week; hours beyond 23 lie on the days after.
    #[must_use]
    pub fn of_week(weekday: usize, hour: usize, minute: usize) -> Self {
        let minutes = (weekday * 24 + hour) * 60 + minute;
        Self(i64::try_from(minutes).map_or(i64::MAX, |minutes| minutes.saturating_mul(60_000)))
    }

    /// What clocks on the wall say there now.
    #[must_use]
    pub fn of_wall(now: &jiff::Zoned) -> Self {
        let midnight = i64::from(now.weekday().to_monday_zero_offset()) * DAY_MS;
        let time = i64::from(now.hour()) * HOUR_MS
            + i64::from(now.minute()) * 60_000
            + i64::from(now.second()) * 1_000;
        Self(midnight + time)
    }

    /// Later by so many seconds, or earlier.
    #[must_use]
    pub fn plus_seconds(self, seconds: f64) -> Self {
        Self(self.0.saturating_add((seconds * MS_PER_SECOND).round() as i64))
    }

    /// How much later than `earlier`; negative when it is before it.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / MS_PER_SECOND
    }

    /// 0 to 23.
    #[must_use]
    pub fn hour(self) -> usize {
        (self.0.rem_euclid(DAY_MS) / HOUR_MS) as usize
    }

    /// 0 is Monday.
    #[must_use]
    pub fn weekday(self) -> usize {
        (self.0.div_euclid(DAY_MS).rem_euclid(7)) as usize
    }

    /// Saturday or Sunday.
    #[must_use]
    pub fn is_weekend(self) -> bool {
        self.weekday() >= 5
    }

    /// Seconds since the hour began.
    #[must_use]
    pub fn seconds_of_hour(self) -> f64 {
        self.0.rem_euclid(HOUR_MS) as f64 / MS_PER_SECOND
    }

    /// The beginning of the next hour.
    #[must_use]
    pub fn next_hour(self) -> Self {
        Self((self.0.div_euclid(HOUR_MS) + 1).saturating_mul(HOUR_MS))
    }
}

impl Display for CityTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let minute = self.0.rem_euclid(HOUR_MS) / 60_000;
        write!(f, "{} {:02}:{minute:02}", DAY_NAMES[self.weekday()], self.hour())
    }
}

/// The city's clock against ours.
#[derive(Clone, Copy, Debug)]
pub struct CityClock {
    began: Instant,
    city_then: CityTime,
    speed: f64,
}

impl CityClock {
    /// A clock that shows `city_then` at `began` and runs `speed` times as fast as ours.
    #[must_use]
    pub fn new(began: Instant, city_then: CityTime, speed: u32) -> Self {
        Self { began, city_then, speed: f64::from(speed) }
    }

    /// What it shows.
    #[must_use]
    pub fn at(&self, now: Instant) -> CityTime {
        let elapsed = now.saturating_duration_since(self.began).as_secs_f64();
        self.city_then.plus_seconds(elapsed * self.speed)
    }

    /// How long one of its days takes us.
    #[must_use]
    pub fn day(&self) -> Duration {
        Duration::from_secs_f64(86_400.0 / self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_week_are_read_back() {
        for (time, weekday, hour, shown) in [
            (CityTime::of_week(0, 0, 0), 0, 0, "Mon 00:00"),
            (CityTime::of_week(3, 14, 5), 3, 14, "Thu 14:05"),
            (CityTime::of_week(6, 23, 59), 6, 23, "Sun 23:59"),
            (CityTime::of_week(6, 24, 1), 0, 0, "Mon 00:01"),
            (CityTime::of_week(0, 0, 0).plus_seconds(-60.0), 6, 23, "Sun 23:59"),
        ] {
            assert_eq!((time.weekday(), time.hour()), (weekday, hour), "{time}");
            assert_eq!(time.to_string(), shown);
        }
        let wall = "2026-03-05T14:05:30[Europe/Dublin]".parse().unwrap();
        assert_eq!(CityTime::of_wall(&wall), CityTime::of_week(3, 14, 5).plus_seconds(30.0));
    }

    #[test]
    fn hours_end_where_the_next_begins() {
        let before = CityTime::of_week(2, 9, 59).plus_seconds(59.5);
        assert_eq!(before.next_hour(), CityTime::of_week(2, 10, 0));
        assert_eq!(before.next_hour().next_hour(), CityTime::of_week(2, 11, 0));
        assert!((before.seconds_of_hour() - 3_599.5).abs() < 1e-9);
        assert!((before.next_hour().seconds_since(before) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn at_speed_60_a_day_takes_24_minutes() {
        let began = Instant::now();
        let clock = CityClock::new(began, CityTime::of_week(0, 8, 0), 60);
        assert_eq!(clock.day(), Duration::from_secs(24 * 60));
        assert_eq!(clock.at(began + Duration::from_secs(60)), CityTime::of_week(0, 9, 0));
        assert_eq!(clock.at(began + clock.day()), CityTime::of_week(1, 8, 0));
    }
}
