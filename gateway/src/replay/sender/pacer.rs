//! The file's clock against ours: when a row is due at N times real time.
//!
//! The file's clock never steps back here: a row that is behind an earlier one is due at once.
//! It runs on tokio's time, so tests can pause it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::options::Speed;

#[derive(Debug)]
pub(super) struct Pacer {
    speed: Speed,
    start: Option<(Timestamp, Instant)>,
}

impl Pacer {
    pub(super) fn new(speed: Speed) -> Self {
        Self { speed, start: None }
    }

    /// When the row at `clock` is due, if that is after `now`.
    pub(super) fn due(&mut self, clock: Option<Timestamp>, now: Instant) -> Option<Instant> {
        let Speed::Times(times) = self.speed else { return None };
        let clock = clock?;
        let (first, start) = *self.start.get_or_insert((clock, now));
        let elapsed_seconds = clock.duration_since(first).as_secs_f64() / times;
        // Behind the first row, or so far ahead that no process lives to see it.
        let elapsed = Duration::try_from_secs_f64(elapsed_seconds.max(0.0)).unwrap_or(FOREVER);
        let due = start.checked_add(elapsed.min(FOREVER))?;
        (due > now).then_some(due)
    }
}

/// A century: within what an `Instant` can hold on every platform.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_due_by_the_files_clock() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Speed::Times(60.0));
        for (row, now_seconds, due_seconds) in [
            ("2016-11-07T00:00:00Z", 0, None),
            ("2016-11-07T00:10:00Z", 0, Some(10)),
            ("2016-11-07T00:10:00Z", 10, None),
            ("2016-11-06T00:00:00Z", 10, None),
            ("2016-11-07T01:00:00Z", 10, Some(60)),
        ] {
            let seconds = Duration::from_secs;
            let due = pacer.due(Some(row.parse().unwrap()), start + seconds(now_seconds));
            assert_eq!(due, due_seconds.map(|due| start + seconds(due)), "{row}");
        }
        assert_eq!(pacer.due(None, start), None, "a row without a time holds nothing up");
    }

    #[test]
    fn at_full_speed_nothing_waits() {
        let mut pacer = Pacer::new(Speed::Max);
        for row in ["2016-11-07T00:00:00Z", "2017-11-07T00:00:00Z"] {
            assert_eq!(pacer.due(Some(row.parse().unwrap()), Instant::now()), None);
        }
    }
}
