//! The local week: a Monday at midnight, seven days, and perhaps a change of the clock inside.
//!
//! Invariant: it says of every instant of the week what the clock on the wall reads, as the engine's own time
//! zone does (`Europe/Berlin`); the week with its change is an hour longer or shorter than the others.

use lotkeeper_engine::time::Timestamp;

/// Which week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Variant {
    /// 1 to 7 June 2026.
    #[default]
    Plain,
    /// 23 to 29 March 2026: on Sunday at two it is three.
    Forward,
    /// 19 to 25 October 2026: on Sunday at three it is two again.
    Back,
}

const HOUR_SECONDS: i64 = 3_600;
const WEEK_HOURS: i64 = 7 * 24;

/// The week's calendar.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    monday_seconds: i64,
    /// When the clock changes, and by how many hours.
    change: Option<(i64, i64)>,
}

impl Clock {
    /// That of a week.
    #[must_use]
    pub fn new(variant: Variant) -> Self {
        match variant {
            // 2026-05-31T22:00:00Z.
            Variant::Plain => Self { monday_seconds: 1_780_264_800, change: None },
            // 2026-03-22T23:00:00Z and 2026-03-29T01:00:00Z.
            Variant::Forward => {
                Self { monday_seconds: 1_774_220_400, change: Some((1_774_746_000, 1)) }
            }
            // 2026-10-18T22:00:00Z and 2026-10-25T01:00:00Z.
            Variant::Back => {
                Self { monday_seconds: 1_792_360_800, change: Some((1_792_890_000, -1)) }
            }
        }
    }

    /// When it begins.
    #[must_use]
    pub fn begins(self) -> Timestamp {
        Timestamp::from_seconds(self.monday_seconds)
    }

    /// How many hours it has.
    #[must_use]
    pub fn hours(self) -> i64 {
        WEEK_HOURS - self.change.map_or(0, |(_, by)| by)
    }

    /// When it ends.
    #[must_use]
    pub fn ends(self) -> Timestamp {
        self.hour(self.hours())
    }

    /// So many hours after its begin, or before.
    #[must_use]
    pub fn hour(self, hour: i64) -> Timestamp {
        Timestamp::from_seconds(self.monday_seconds + hour * HOUR_SECONDS)
    }

    /// Weekday, from Monday, and hour on the wall.
    #[must_use]
    pub fn local(self, at: Timestamp) -> (usize, usize) {
        let seconds = at.whole_seconds();
        let shift = self.change.filter(|(change, _)| seconds >= *change).map_or(0, |(_, by)| by);
        let hour = (seconds - self.monday_seconds).div_euclid(HOUR_SECONDS) + shift;
        let number = |value: i64| usize::try_from(value).unwrap_or_default();
        (number(hour.div_euclid(24).rem_euclid(7)), number(hour.rem_euclid(24)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_on_the_wall_changes_on_sunday_night() {
        for (variant, hours, at_two) in [
            (Variant::Plain, 168, (6, 2)),
            (Variant::Forward, 167, (6, 3)),
            (Variant::Back, 169, (6, 2)),
        ] {
            let clock = Clock::new(variant);
            assert_eq!(clock.hours(), hours, "{variant:?}");
            assert_eq!(clock.local(clock.begins()), (0, 0));
            assert_eq!(clock.local(clock.hour(146)), at_two, "{variant:?}");
            assert_eq!(clock.local(clock.hour(hours - 1)), (6, 23), "{variant:?}");
            assert_eq!(clock.local(clock.hour(-24)), (6, 0), "{variant:?}");
        }
        assert_eq!(Clock::new(Variant::Back).local(Clock::new(Variant::Back).hour(147)), (6, 2));
    }
}
