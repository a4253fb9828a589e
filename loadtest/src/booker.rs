//! A driver: books on one keep-alive connection, then confirms or cancels some of it.
//!
//! Two kinds of wishes: spread ones (any of thousands of slots and windows, nearly all granted) and
//! contended ones (the same few slots and windows as everybody else's, nearly all refused, close enough
//! to now to show slots as held). 201 and 409 are answers; everything else is an error.
//! Invariant: a driver keeps at most `LIVE_MAX` reservations, so a long run reaches a steady state.

use crate::clock::{Clock, MICROS_PER_SECOND, Rfc3339, parse_rfc3339};
use crate::error::HttpError;
use crate::fleet::{Fleet, slot_code};
use crate::http::{Answer, HttpClient};
use crate::progress::Gauges;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::verify::{Check, GRANTS_ARE_RIGHT, Promise, PromiseState};
use crate::wire::{Reservation, ReservationState};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

const MINUTE_US: u64 = 60 * MICROS_PER_SECOND;
const STEP_US: u64 = 30 * MINUTE_US;
/// Spread windows begin between an hour and a week from now, on half hours.
const SPREAD_STEPS: u64 = 7 * 48;
/// Slots, and windows, that everybody wants.
const CONTENDED_SLOTS: usize = 4;
const CONTENDED_STEPS: u64 = 2;
/// How long a hold waits to be confirmed: longer than a driver here leaves it alone.
const HOLD_SECONDS: u64 = 600;
/// Reservations a driver keeps before giving back the oldest.
const LIVE_MAX: usize = 200;
/// Failed requests in a row after which there is no server to talk to.
const FAILURES_MAX: u32 = 100;
/// The longest pause that a 503 or 429 can ask for.
const RETRY_AFTER_SECONDS_MAX: u64 = 5;

/// What bookers ask for, in percent.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Wishes for what everybody wants.
    pub contended_percent: u32,
    /// Wishes for any slot of a lot instead of a given one.
    pub any_slot_percent: u32,
    /// Bookings that are followed by a confirm or cancel.
    pub change_percent: u32,
}

/// A driver before booking.
#[derive(Debug)]
pub struct Booker {
    pub number: usize,
    pub client: HttpClient,
    pub clock: Clock,
    pub window: Window,
    pub fleet: Arc<Fleet>,
    pub mix: Mix,
    pub seed: u64,
    pub gauges: Arc<Gauges>,
}

/// What a driver brings back.
#[derive(Debug)]
pub struct Booked {
    pub recorder: Recorder,
    pub promises: Vec<Promise>,
    pub grants: Check,
}

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    id: String,
    lot: usize,
    /// Any slot when there is none.
    slot: Option<usize>,
    from_us: u64,
    to_us: u64,
    hold: bool,
}

#[derive(Debug)]
struct Booking {
    booker: Booker,
    rng: SmallRng,
    recorder: Recorder,
    promises: Vec<Promise>,
    /// Positions in `promises` of those that can still be changed, oldest first.
    live: VecDeque<usize>,
    grants: Check,
    failures: u32,
}

impl Booker {
    /// Books until the window's end.
    pub async fn run(self) -> Booked {
        let mut booking = Booking::new(self);
        while booking.booker.clock.now_us() < booking.booker.window.to_us
            && booking.failures < FAILURES_MAX
        {
            booking.turn().await;
        }
        let Booking { recorder, promises, grants, .. } = booking;
        Booked { recorder, promises, grants }
    }
}

impl Booking {
    fn new(booker: Booker) -> Self {
        // Far apart for neighbouring numbers, so that two drivers do not wish for the same.
        let seed = booker.seed ^ (booker.number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self {
            rng: SmallRng::seed_from_u64(seed),
            recorder: Recorder::new(booker.window),
            promises: Vec::new(),
            live: VecDeque::new(),
            grants: Check::new(GRANTS_ARE_RIGHT, "reservations"),
            failures: 0,
            booker,
        }
    }

    async fn turn(&mut self) {
        let wish = self.wish(self.booker.clock.now_us());
        self.book(&wish).await;
        if self.chance(self.booker.mix.change_percent) && !self.live.is_empty() {
            let nth = self.rng.random_range(0..self.live.len());
            self.change(nth).await;
        }
        if self.live.len() > LIVE_MAX {
            self.cancel(0).await;
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn wish(&mut self, now_us: u64) -> Wish {
        let fleet = Arc::clone(&self.booker.fleet);
        let any_slot = self.chance(self.booker.mix.any_slot_percent);
        let contended = self.chance(self.booker.mix.contended_percent);
        let (lot, slots, from_us) = if contended {
            let ten_minutes_us = 10 * MINUTE_US;
            let soon_us = (now_us / ten_minutes_us + 1) * ten_minutes_us;
            let step = self.rng.random_range(0..CONTENDED_STEPS);
            (0, fleet.slots_per_lot.min(CONTENDED_SLOTS), soon_us + step * STEP_US)
        } else {
            let lot = self.rng.random_range(0..fleet.lots.len());
            let step = 3 + self.rng.random_range(0..SPREAD_STEPS);
            (lot, fleet.slots_per_lot, (now_us / STEP_US + step) * STEP_US)
        };
        let slot = (!any_slot).then(|| self.rng.random_range(0..slots));
        let id = uuid::Builder::from_random_bytes(self.rng.random()).into_uuid().to_string();
        let hold = self.chance(50);
        Wish { id, lot, slot, from_us, to_us: from_us + STEP_US, hold }
    }

    async fn book(&mut self, wish: &Wish) {
        let body = body(wish, &self.booker.fleet.lots[wish.lot].code);
        self.recorder.attempt();
        let due_us = self.booker.clock.now_us();
        let answer = self.booker.client.post("/api/v1/reservations", body).await;
        let now_us = self.booker.clock.now_us();
        let Some(answer) = self.answered("booking", answer, &[201, 409]).await else { return };
        self.recorder.latency(Measure::Booking, due_us, now_us);
        if answer.status == 409 {
            self.recorder.count(Tally::Conflicts, 1, now_us);
            return;
        }
        self.recorder.count(Tally::Granted, 1, now_us);
        Gauges::add(&self.booker.gauges.bookings, 1);
        self.grants.examine(1);
        match answer.json::<Reservation>() {
            Ok(reservation) => self.granted(wish, reservation),
            Err(error) => self.grants.fault(format!("reservation {}: {error}", wish.id)),
        }
    }

    fn granted(&mut self, wish: &Wish, reservation: Reservation) {
        let lot = &self.booker.fleet.lots[wish.lot];
        lot.was_told(reservation.seq);
        if let Some(difference) = difference(wish, &lot.code, &reservation) {
            self.grants.fault(format!("lot {} reservation {}: {difference}", lot.code, wish.id));
        }
        let state = if wish.hold { PromiseState::Held } else { PromiseState::Confirmed };
        let Wish { lot, from_us, to_us, .. } = *wish;
        self.live.push_back(self.promises.len());
        let (id, slot) = (reservation.id, reservation.slot);
        self.promises.push(Promise { id, lot, slot, from_us, to_us, state });
    }

    /// Half of the held ones are confirmed; everything else is given back.
    async fn change(&mut self, nth: usize) {
        let promise = self.live[nth];
        if self.promises[promise].state == PromiseState::Held && self.chance(50) {
            if self.ask(promise, "confirm", Bytes::new()).await {
                self.promises[promise].state = PromiseState::Confirmed;
            }
        } else {
            self.cancel(nth).await;
        }
    }

    async fn cancel(&mut self, nth: usize) {
        let Some(promise) = self.live.remove(nth) else { return };
        let reason = Bytes::from_static(br#"{"reason":"load_test"}"#);
        if self.ask(promise, "cancel", reason).await {
            self.promises[promise].state = PromiseState::Cancelled;
        }
    }

    /// Says whether it was done; where that is not known, the promise is `Unsure` from now on.
    async fn ask(&mut self, promise: usize, what: &'static str, body: Bytes) -> bool {
        let path = format!("/api/v1/reservations/{}/{what}", self.promises[promise].id);
        self.recorder.attempt();
        let due_us = self.booker.clock.now_us();
        let answer = self.booker.client.post(&path, body).await;
        let now_us = self.booker.clock.now_us();
        let Some(answer) = self.answered(what, answer, &[200]).await else {
            self.promises[promise].state = PromiseState::Unsure;
            self.live.retain(|live| *live != promise);
            return false;
        };
        if let Ok(reservation) = answer.json::<Reservation>() {
            self.booker.fleet.lots[self.promises[promise].lot].was_told(reservation.seq);
        }
        self.recorder.latency(Measure::BookingChange, due_us, now_us);
        self.recorder.count(Tally::Changed, 1, now_us);
        true
    }

    /// An answer with one of the expected statuses; anything else is an error, and a pause when the server asks.
    async fn answered(
        &mut self,
        what: &str,
        answer: Result<Answer, HttpError>,
        expected: &[u16],
    ) -> Option<Answer> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.failures += 1;
                self.recorder.error(format!("{what}: {error}"));
                return None;
            }
        };
        self.failures = 0;
        if expected.contains(&answer.status) {
            return Some(answer);
        }
        self.recorder.error(format!("{what} {}", answer.problem()));
        if let Some(seconds) = answer.retry_after_seconds {
            let pause_us = seconds.min(RETRY_AFTER_SECONDS_MAX) * MICROS_PER_SECOND;
            let resume_us = self.booker.clock.now_us() + pause_us;
            self.booker.clock.sleep_until(resume_us.min(self.booker.window.to_us)).await;
        }
        None
    }
}

fn body(wish: &Wish, lot: &str) -> Bytes {
    let Wish { id, from_us, to_us, .. } = wish;
    let (from, to) = (Rfc3339(*from_us), Rfc3339(*to_us));
    let mut text = format!(r#"{{"id":"{id}","lot":"{lot}","from":"{from}","to":"{to}""#);
    let mut put = |field: String| {
        text.write_str(&field).expect("a string takes what is written");
    };
    if let Some(slot) = wish.slot {
        put(format!(r#","slot":"{}""#, slot_code(slot)));
    }
    if wish.hold {
        put(format!(r#","hold_seconds":{HOLD_SECONDS}"#));
    } else {
        put(format!(r#","vehicle":{{"plate":"LT {}","country":"D"}}"#, &id[..6].to_uppercase()));
    }
    text.push('}');
    text.into()
}

/// What is other than asked for; nothing when all is well.
fn difference(wish: &Wish, lot: &str, got: &Reservation) -> Option<String> {
    let state = if wish.hold { ReservationState::Held } else { ReservationState::Confirmed };
    let window = (parse_rfc3339(&got.from), parse_rfc3339(&got.to));
    if got.id != wish.id {
        return Some(format!("has id {}", got.id));
    }
    if got.lot != lot {
        return Some(format!("is in lot {}", got.lot));
    }
    if wish.slot.is_some_and(|slot| slot_code(slot) != got.slot) {
        return Some(format!("is for slot {}", got.slot));
    }
    if window != (Some(wish.from_us), Some(wish.to_us)) {
        return Some(format!("is from {} to {}", got.from, got.to));
    }
    (got.state != state).then(|| format!("is {:?}", got.state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn booking(mix: Mix) -> Booking {
        Booking::new(Booker {
            number: 3,
            client: HttpClient::new("127.0.0.1:1".parse().unwrap(), "t"),
            clock: Clock::start(),
            window: Window { from_us: 0, to_us: 1 },
            fleet: Arc::new(Fleet::new("t", 5, 20)),
            mix,
            seed: 1,
            gauges: Arc::default(),
        })
    }

    const NOW_US: u64 = 1_772_355_671_000_000;

    #[test]
    fn wishes_are_future_half_hours_of_slots_that_exist() {
        for (contended_percent, any_slot_percent) in [(0, 0), (100, 0), (0, 100), (100, 100)] {
            let mut booking =
                booking(Mix { contended_percent, any_slot_percent, change_percent: 0 });
            for _ in 0..500 {
                let wish = booking.wish(NOW_US);
                assert!(wish.from_us > NOW_US && wish.to_us == wish.from_us + STEP_US, "{wish:?}");
                assert_eq!(wish.slot.is_none(), any_slot_percent == 100, "{wish:?}");
                if contended_percent == 100 {
                    assert!(wish.lot == 0 && wish.slot.is_none_or(|slot| slot < CONTENDED_SLOTS));
                    assert!(wish.from_us < NOW_US + 45 * MINUTE_US, "{wish:?}");
                } else {
                    assert!(wish.lot < 5 && wish.slot.is_none_or(|slot| slot < 20), "{wish:?}");
                    assert!(wish.from_us >= NOW_US + 60 * MINUTE_US, "{wish:?}");
                }
            }
        }
    }

    #[test]
    fn the_same_seed_wishes_the_same() {
        let mix = Mix { contended_percent: 30, any_slot_percent: 30, change_percent: 0 };
        let wishes = || -> Vec<Wish> {
            let mut booking = booking(mix);
            (0..20).map(|_| booking.wish(NOW_US)).collect()
        };
        assert_eq!(wishes(), wishes());
    }

    fn wish() -> Wish {
        let id = "01990000-0000-4000-8000-000000000000".to_string();
        Wish { id, lot: 0, slot: Some(7), from_us: NOW_US, to_us: NOW_US + STEP_US, hold: true }
    }

    #[test]
    fn the_body_is_the_contracts_json() {
        let held: Value = serde_json::from_slice(&body(&wish(), "L1")).unwrap();
        assert_eq!((&held["lot"], &held["slot"]), (&"L1".into(), &"S00007".into()));
        assert_eq!(held["hold_seconds"], 600);
        assert_eq!(parse_rfc3339(held["from"].as_str().unwrap()), Some(NOW_US));
        let any = Wish { slot: None, hold: false, ..wish() };
        let any: Value = serde_json::from_slice(&body(&any, "L1")).unwrap();
        assert!(any.get("slot").is_none() && any.get("hold_seconds").is_none());
        assert_eq!(any["vehicle"]["country"], "D");
    }

    #[test]
    fn a_grant_of_something_else_is_detected() {
        let wish = wish();
        let right = Reservation {
            id: wish.id.clone(),
            lot: "L1".into(),
            slot: "S00007".into(),
            state: ReservationState::Held,
            from: Rfc3339(wish.from_us).to_string(),
            to: Rfc3339(wish.to_us).to_string(),
            expires_at: None,
            seq: 1,
        };
        assert_eq!(difference(&wish, "L1", &right), None);
        let wrong: [fn(&mut Reservation); 5] = [
            |r| r.id = "other".into(),
            |r| r.lot = "L2".into(),
            |r| r.slot = "S00008".into(),
            |r| r.to = r.from.clone(),
            |r| r.state = ReservationState::Confirmed,
        ];
        for spoil in wrong {
            let mut got = right.clone();
            spoil(&mut got);
            assert!(difference(&wish, "L1", &got).is_some(), "{got:?}");
        }
    }
}
