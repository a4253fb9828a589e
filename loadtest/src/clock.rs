//! One clock for a run: wall time in microseconds, advanced by the monotonic clock.
//!
//! Readings carry this time as `observed_at` and changes echo it, so a latency is a difference of two
//! readings of one clock even where the machine's wall clock is being set.

pub use crate::pace::Pace;
use jiff::Timestamp;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds in one second.
pub const MICROS_PER_SECOND: u64 = 1_000_000;

/// A clock that never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    began_unix_us: u64,
}

impl Clock {
    /// Begins at the machine's wall time.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_unix_us: micros(since_epoch) }
    }

    /// Microseconds since 1970.
    pub fn now_us(&self) -> u64 {
        self.began_unix_us + micros(self.began.elapsed())
    }

    /// Sleeps until that instant; returns at once when it has passed.
    pub async fn sleep_until(&self, at_us: u64) {
        let ahead = Duration::from_micros(at_us.saturating_sub(self.began_unix_us));
        tokio::time::sleep_until((self.began + ahead).into()).await;
    }
}

/// A duration in whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// An instant as the interface writes it, always with six decimals so that messages keep their length.
pub struct Rfc3339(pub u64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = i64::try_from(self.0).unwrap_or(i64::MAX);
        let instant = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
        write!(f, "{instant:.6}")
    }
}

/// Microseconds since 1970 of an instant in an answer; nothing when it is not one.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let instant: Timestamp = text.parse().ok()?;
    u64::try_from(instant.as_microsecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_writing_and_reading() {
        for us in [0, 1_772_355_600_000_000, 1_772_355_600_123_456] {
            let text = Rfc3339(us).to_string();
            assert_eq!(text.len(), "2026-03-01T09:00:00.123456Z".len(), "{text}");
            assert_eq!(parse_rfc3339(&text), Some(us), "{text}");
        }
        assert_eq!(parse_rfc3339("2026-03-01T09:00:00Z"), Some(1_772_355_600_000_000));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn the_clock_starts_at_wall_time_and_goes_on() {
        let clock = Clock::start();
        let wall_us = micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        assert!(clock.now_us().abs_diff(wall_us) < MICROS_PER_SECOND);
        assert!(clock.now_us() >= clock.began_unix_us);
    }
}
