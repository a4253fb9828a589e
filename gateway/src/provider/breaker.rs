//! Leaves a provider alone that does not answer: whoever would wait for it is told so at once.
//!
//! After questions about so many payments in a row of which nobody knows what came, it rests; then one question is let
//! through, and what comes of that says whether all are. One payment counts once: a question that is asked again and
//! again in vain says nothing about others. Invariants: any answer ends the rest, a refusal too; a question that is
//! let through and never ends lets the next one through after another rest. Own code, because what there is as a
//! library (`failsafe`, without a release since 2024) lets everybody through at once when the rest is over.

use std::time::{Duration, Instant};

use lotkeeper_engine::ids::PaymentId;
use parking_lot::Mutex;

/// Of one provider.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: usize,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Payments in a row whose question had no answer, up to the most.
    failures: Vec<PaymentId>,
    rests_until: Option<Instant>,
    /// It answers again, and nobody has taken note.
    is_back: bool,
}

impl Breaker {
    pub(super) fn new(failures_max: usize, rest: Duration) -> Self {
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

    /// A question about a payment has ended; tells whether the provider rests from now on, and had not before.
    pub(super) fn ended(&self, payment: PaymentId, is_known: bool, now: Instant) -> bool {
        let mut state = self.state.lock();
        if is_known {
            state.is_back |= state.rests_until.take().is_some();
            state.failures.clear();
            return false;
        }
        if state.failures.len() < self.failures_max && !state.failures.contains(&payment) {
            state.failures.push(payment);
        }
        let begins = state.failures.len() >= self.failures_max;
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

    fn payment(number: u128) -> PaymentId {
        PaymentId(uuid::Uuid::from_u128(number))
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn it_rests_after_failures_in_a_row_and_one_question_at_a_time_tries_again() {
        let (breaker, start) = (Breaker::new(3, REST), Instant::now());
        for (number, is_known) in [(1, false), (2, false), (3, true), (4, false), (4, false)] {
            assert!(breaker.lets_through(start));
            assert!(!breaker.ended(payment(number), is_known, start));
        }
        assert!(!breaker.ended(payment(5), false, start));
        assert!(!breaker.ended(payment(4), false, start), "one payment counts once");
        assert!(breaker.ended(payment(6), false, start), "the third in a row");
        assert!(!breaker.ended(payment(7), false, start), "it rests already");
        assert_eq!(breaker.rests(after(start, 10)), Some(Duration::from_secs(20)));
        assert!(!breaker.lets_through(after(start, 29)));
        assert_eq!(breaker.rests(after(start, 30)), None);
        assert!(breaker.lets_through(after(start, 30)), "the first after the rest");
        assert!(!breaker.lets_through(after(start, 31)), "the others wait for it");
        assert!(!breaker.ended(payment(4), false, after(start, 40)));
        assert!(!breaker.lets_through(after(start, 69)));
        // It never ended: after another rest somebody else may try.
        assert!(breaker.lets_through(after(start, 70)));
        assert!(breaker.lets_through(after(start, 100)));
        assert!(!breaker.is_back());
        assert!(!breaker.ended(payment(4), true, after(start, 101)));
        assert!(breaker.is_back());
        assert!(!breaker.is_back(), "told once");
        assert!(breaker.lets_through(after(start, 101)) && breaker.lets_through(after(start, 101)));
    }

    #[test]
    fn answers_without_a_rest_bring_nobody_back() {
        let breaker = Breaker::new(1, REST);
        assert!(!breaker.ended(payment(1), true, Instant::now()));
        assert!(!breaker.is_back());
    }
}
