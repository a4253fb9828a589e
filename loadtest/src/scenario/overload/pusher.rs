//! Bookings on one keep-alive connection at fixed times, whatever the server answers.
//!
//! Invariant: no two wishes of a run share slot and window, so nothing but the load is a reason to refuse.
//! A request that is not answered before the next one is due delays it, and the delay counts.

use crate::alarm::Alarm;
use crate::clock::{Clock, MICROS_PER_SECOND, Rfc3339};
use crate::fleet::{Fleet, slot_code};
use crate::http::{Answer, HttpClient};
use crate::scenario::feeder::Answered;
use crate::scenario::stretch::Turns;
use crate::verify::{Check, Promise, PromiseState, REFUSALS_SAY_WHEN};
use crate::wire::Reservation;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

const WINDOW_US: u64 = 1_800 * MICROS_PER_SECOND;
/// The first window begins so long from now: none becomes a hold that changes a slot during the run.
const AHEAD_US: u64 = 24 * 3_600 * MICROS_PER_SECOND;
/// Failed requests in a row after which there is no server to talk to.
const FAILURES_MAX: u32 = 100;

/// A booker before it begins.
#[derive(Debug)]
pub struct Pusher {
    pub number: usize,
    /// How many book; each takes every so many-th wish.
    pub pushers: usize,
    pub client: HttpClient,
    pub clock: Clock,
    pub fleet: Arc<Fleet>,
    /// Positions of the lots that are booked.
    pub lots: Range<usize>,
    /// The instant that windows are counted from, the same for all.
    pub origin_us: u64,
    /// The number of its first wish: a second run wishes for what the first did not.
    pub first_wish: u64,
    /// To tell the reservations of two runs apart.
    pub id_salt: u64,
}

/// What a booker brings back.
#[derive(Debug)]
pub struct Pushed {
    pub answers: Vec<Answered>,
    pub promises: Vec<Promise>,
    /// Ids whose request got no answer: they may exist or not.
    pub unsure: Vec<String>,
    pub errors: BTreeMap<String, u64>,
    pub attempts: u64,
    pub given_up: u64,
    pub hints: Check,
    pub next_wish: u64,
}

impl Pushed {
    /// Nothing yet.
    fn new(first_wish: u64) -> Self {
        Self {
            answers: Vec::new(),
            promises: Vec::new(),
            unsure: Vec::new(),
            errors: BTreeMap::new(),
            attempts: 0,
            given_up: 0,
            hints: Check::new(REFUSALS_SAY_WHEN, "refusals"),
            next_wish: first_wish,
        }
    }
}

/// One wish: different from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    id: String,
    lot: usize,
    slot: usize,
    from_us: u64,
}

impl Pusher {
    /// Books through all stretches.
    pub async fn run(mut self, mut turns: Turns) -> Pushed {
        let mut pushed = Pushed::new(self.first_wish);
        let (alarm, mut failures) = (Alarm::new(self.clock), 0);
        while failures < FAILURES_MAX {
            let now_us = self.clock.now_us();
            let Some(next_us) = turns.next_due_us(now_us) else { break };
            let Some(due_us) = turns.take(now_us) else {
                alarm.until(next_us.max(now_us + 1)).await;
                continue;
            };
            let wish = self.wish(pushed.next_wish);
            pushed.next_wish += 1;
            pushed.attempts += 1;
            let answer = self.client.post("/api/v1/reservations", self.body(&wish)).await;
            match answer {
                Ok(answer) => {
                    failures = 0;
                    pushed.take(&wish, &answer, [due_us, now_us, self.clock.now_us()]);
                }
                Err(error) => {
                    failures += 1;
                    pushed.error(format!("booking: {error}"));
                    pushed.unsure.push(wish.id);
                }
            }
        }
        pushed.given_up = turns.given_up;
        pushed
    }

    fn wish(&self, nth: u64) -> Wish {
        let number = nth * self.pushers as u64 + self.number as u64;
        let (lots, slots) = (self.lots.len() as u64, self.fleet.slots_per_lot as u64);
        // Lots first, then slots, then windows: load and promises spread evenly.
        let (lot, rest) = (number % lots, number / lots);
        let (slot, window) = (rest % slots, rest / slots);
        let id = uuid::Builder::from_random_bytes(
            (u128::from(self.id_salt) << 64 | u128::from(number)).to_be_bytes(),
        );
        Wish {
            id: id.into_uuid().to_string(),
            lot: self.lots.start + lot as usize,
            slot: slot as usize,
            from_us: (self.origin_us + AHEAD_US) / WINDOW_US * WINDOW_US + window * WINDOW_US,
        }
    }

    fn body(&self, wish: &Wish) -> Bytes {
        let Wish { id, lot, slot, from_us } = wish;
        let (lot, slot) = (&self.fleet.lots[*lot].code, slot_code(*slot));
        let (from, to) = (Rfc3339(*from_us), Rfc3339(*from_us + WINDOW_US));
        format!(r#"{{"id":"{id}","lot":"{lot}","slot":"{slot}","from":"{from}","to":"{to}"}}"#)
            .into()
    }
}

impl Pushed {
    /// An answer, and when its request was due, left, and was answered.
    fn take(&mut self, wish: &Wish, answer: &Answer, [due_us, sent_us, done_us]: [u64; 3]) {
        let is_accepted = answer.status == 201;
        match answer.status {
            201 => match answer.json::<Reservation>() {
                Ok(reservation) => self.promises.push(Promise {
                    id: reservation.id,
                    lot: wish.lot,
                    slot: reservation.slot,
                    from_us: wish.from_us,
                    to_us: wish.from_us + WINDOW_US,
                    // No hold: there is nothing that ends before its time.
                    expires_us: u64::MAX,
                    state: PromiseState::Confirmed,
                }),
                Err(error) => self.error(format!("booking: {error}")),
            },
            429 | 503 => {
                self.hints.examine(1);
                if answer.retry_after_seconds.is_none() {
                    let problem = answer.problem();
                    self.hints
                        .fault(format!("a booking was refused as {problem} without Retry-After"));
                }
                // Not known to have had no effect, as the others are.
                if answer.problem().ends_with("outcome_unknown") {
                    self.unsure.push(wish.id.clone());
                }
            }
            _ => return self.error(format!("booking {}", answer.problem())),
        }
        let taken = u64::from(is_accepted);
        self.answers.push(Answered { due_us, sent_us, done_us, is_accepted, taken });
    }

    fn error(&mut self, code: String) {
        *self.errors.entry(code).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn pusher(number: usize) -> Pusher {
        Pusher {
            number,
            pushers: 3,
            client: HttpClient::new("127.0.0.1:1".parse().unwrap(), "t"),
            clock: Clock::start(),
            fleet: Arc::new(Fleet::new("t", 5, 4)),
            lots: 2..5,
            origin_us: 1_772_355_671_000_000,
            first_wish: 0,
            id_salt: 7,
        }
    }

    #[test]
    fn no_two_wishes_share_slot_and_window_or_id() {
        let (mut places, mut ids) = (HashSet::new(), HashSet::new());
        for number in 0..3 {
            let pusher = pusher(number);
            for nth in 0..50 {
                let wish = pusher.wish(nth);
                assert!((2..5).contains(&wish.lot) && wish.slot < 4, "{wish:?}");
                assert!(wish.from_us > pusher.origin_us && wish.from_us.is_multiple_of(WINDOW_US));
                assert!(ids.insert(wish.id.clone()), "{wish:?}");
                assert!(places.insert((wish.lot, wish.slot, wish.from_us)), "{wish:?}");
            }
        }
    }

    #[test]
    fn refusals_are_answers_and_need_a_hint() {
        let (pusher, mut pushed) = (pusher(0), Pushed::new(0));
        let wish = pusher.wish(0);
        for (status, retry_after_seconds, code) in [
            (503, Some(1), "overloaded"),
            (429, None, "too_many_requests"),
            (503, Some(1), "outcome_unknown"),
            (409, None, "slot_taken"),
        ] {
            let body = format!(r#"{{"code":"{code}"}}"#).into();
            pushed.take(&wish, &Answer { status, retry_after_seconds, body }, [1, 1, 2]);
        }
        assert!(pushed.answers.iter().all(|answer| !answer.is_accepted));
        assert_eq!((pushed.answers.len(), pushed.hints.examined, pushed.hints.faults), (3, 3, 1));
        assert_eq!((pushed.unsure.len(), pushed.errors.len()), (1, 1));
    }
}
