//! How fast new connections are taken: the rest waits in the system's queue, which costs nothing.
//!
//! Time is an argument, so the test needs none.

use std::time::{Duration, Instant};

/// Idle time is saved up for a burst of this long.
const BURST: Duration = Duration::from_secs(1);

/// Lets through so many per second, after a burst of as many.
pub(super) struct Pace {
    interval: Duration,
    /// When the next one would be due if all had come evenly.
    due: Instant,
}

impl Pace {
    pub fn new(per_second: u32, now: Instant) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), due: now }
    }

    /// How long the next one has to wait.
    pub fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now + BURST)
    }

    /// One was taken.
    pub fn taken(&mut self, now: Instant) {
        self.due = self.due.max(now) + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_connections_come_evenly() {
        let start = Instant::now();
        let (mut pace, mut now) = (Pace::new(10, start), start);
        let mut take = |count: u32| {
            for _ in 0..count {
                now += pace.wait(now);
                pace.taken(now);
            }
            now.duration_since(start)
        };
        assert_eq!(take(11), Duration::ZERO, "the burst");
        assert_eq!(take(10), Duration::from_secs(1));
        assert_eq!(take(5), Duration::from_millis(1_500));
    }

    #[test]
    fn idle_time_is_saved_up_for_one_burst_only() {
        let start = Instant::now();
        let mut pace = Pace::new(10, start);
        let now = start + Duration::from_secs(3_600);
        let taken = (0..100).take_while(|_| {
            let free = pace.wait(now).is_zero();
            pace.taken(now);
            free
        });
        assert_eq!(taken.count(), 11);
    }
}
