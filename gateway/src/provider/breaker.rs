//! Leaves a provider alone that does not answer: whoever would wait for it is told so at once.
//!
//! After so many questions in a row of which nobody knows what came, it rests; then one question is let through, and
//! what comes of that says whether all are. Invariants: any answer ends the rest, a refusal too; a question that is
//! let through and never ends lets the next one through after another rest. Own code, because what there is as a
//! library (`failsafe`, without a release since 2024) lets everybody through at once when the rest is over.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Of one provider.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    rests_until: Option<Instant>,
    /// It answers again, and nobody has taken note.
    is_back: bool,
}

impl Breaker {
    pub(super) fn new(failures_max: u32, rest: Duration) -> Self {
        Self { failures_max, rest, state: Mutex::default() }
    }

    /// How long it rests still.
    pub(super) fn rests(&self, now: Instant) -> Option<Duration> {
        let until = self.state.lock().rests_until?;
        until.checked_duration_since(now).filter(|rest| !rest.is_zero())
    }

    /// Whether a question may be put now. After a rest the first one may; the others wait for what comes of it.
    pub(super) fn lets_through(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        match state.rests_until {
            Some(until) if now < until => false,
            Some(_) => {
                state.rests_until = Some(now + self.rest);
                true
            }
            None => true,
        }
    }

    /// A question has ended; tells whether the provider rests from now on, and had not before.
    pub(super) fn ended(&self, is_known: bool, now: Instant) -> bool {
        let mut state = self.state.lock();
        if is_known {
            state.is_back |= state.rests_until.take().is_some();
            state.failures = 0;
            return false;
        }
        state.failures = state.failures.saturating_add(1);
        let begins = state.failures >= self.failures_max;
        let had_rested = state.rests_until.is_some();
        if begins {
            state.rests_until = Some(now + self.rest);
        }
        begins && !had_rested
    }

    /// Whether it answers again since this was asked last.
    pub(super) fn is_back(&self) -> bool {
        std::mem::take(&mut self.state.lock().is_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn it_rests_after_failures_in_a_row_and_one_question_at_a_time_tries_again() {
        let (breaker, start) = (Breaker::new(3, REST), Instant::now());
        for (is_known, begins) in [(false, false), (false, false), (true, false), (false, false)] {
            assert!(breaker.lets_through(start));
            assert_eq!(breaker.ended(is_known, start), begins);
        }
        assert!(!breaker.ended(false, start));
        assert!(breaker.ended(false, start), "the third in a row");
        assert!(!breaker.ended(false, start), "it rests already");
        assert_eq!(breaker.rests(after(start, 10)), Some(Duration::from_secs(20)));
        assert!(!breaker.lets_through(after(start, 29)));
        assert_eq!(breaker.rests(after(start, 30)), None);
        assert!(breaker.lets_through(after(start, 30)), "the first after the rest");
        assert!(!breaker.lets_through(after(start, 31)), "the others wait for it");
        assert!(!breaker.ended(false, after(start, 40)));
        assert!(!breaker.lets_through(after(start, 69)));
        // It never ended: after another rest somebody else may try.
        assert!(breaker.lets_through(after(start, 70)));
        assert!(breaker.lets_through(after(start, 100)));
        assert!(!breaker.is_back());
        assert!(!breaker.ended(true, after(start, 101)));
        assert!(breaker.is_back());
        assert!(!breaker.is_back(), "told once");
        assert!(breaker.lets_through(after(start, 101)) && breaker.lets_through(after(start, 101)));
    }

    #[test]
    fn answers_without_a_rest_bring_nobody_back() {
        let breaker = Breaker::new(1, REST);
        assert!(!breaker.ended(true, Instant::now()));
        assert!(!breaker.is_back());
    }
}
