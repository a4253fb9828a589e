//! A driver: books on one keep-alive connection, then confirms or cancels some of it.
//!
//! Closed loop: the next wish follows the answer. Open loop (`SharedPace`): arrivals of a schedule that a
//! pool of drivers shares, and latency counts from the time one was due, however late it could begin.
//! 201 and 409 are answers; everything else is an error, and so is a 409 to what nobody else asks for.
//! Invariant: a driver keeps a bounded number of reservations, so a long run reaches a steady state
//! within the server's bounds of a person and of a slot.

mod wish;

pub use wish::Mix;

use self::wish::{Place, Wish, Wishes, body, difference};
use crate::alarm::Alarm;
use crate::clock::{Clock, MICROS_PER_SECOND, parse_rfc3339};
use crate::error::HttpError;
use crate::fleet::Fleet;
use crate::http::{Answer, HttpClient};
use crate::pace::SharedPace;
use crate::progress::Gauges;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::verify::{Check, GRANTS_ARE_RIGHT, Promise, PromiseState};
use crate::wire::Reservation;
use bytes::Bytes;
use rand::RngExt;
use std::collections::VecDeque;
use std::sync::Arc;

/// Reservations a driver who changes his mind keeps before giving back the oldest.
const LIVE_MAX: usize = 200;
/// The server lets a person have a thousand active reservations in a lot, and a slot have 512; a driver
/// stays below his share of both.
const LIVE_PER_HOLDER_AND_LOT_MAX: usize = 900;
const LIVE_PER_SLOT_MAX: usize = 400;
/// What all drivers together remember of reservations that ended, for the audit: some 100 MB.
const ENDED_KEPT_MAX: usize = 500_000;
/// What ends so soon is left to end by itself: the server may be faster than a cancel.
const ENDING_US: u64 = 60 * MICROS_PER_SECOND;
/// Failed requests in a row after which there is no server to talk to.
const FAILURES_MAX: u32 = 100;
/// The longest pause that a 503 or 429 can ask for.
const RETRY_AFTER_SECONDS_MAX: u64 = 5;

/// A driver before booking.
#[derive(Debug)]
pub struct Booker {
    pub number: usize,
    /// How many drivers there are, and how many people they are to the server.
    pub of: usize,
    pub holders: usize,
    pub client: HttpClient,
    pub clock: Clock,
    pub window: Window,
    pub fleet: Arc<Fleet>,
    pub mix: Mix,
    /// Arrivals at fixed times; as fast as answers come when there is none.
    pub pace: Option<SharedPace>,
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

#[derive(Debug)]
struct Booking {
    booker: Booker,
    wishes: Wishes,
    recorder: Recorder,
    /// Those that can still be changed, oldest first.
    live: VecDeque<Promise>,
    live_max: usize,
    /// Those that ended last.
    ended: VecDeque<Promise>,
    grants: Check,
    failures: u32,
}

impl Booker {
    /// Books until the window's end.
    pub async fn run(self) -> Booked {
        let alarm = Alarm::new(self.clock);
        let mut booking = Booking::new(self);
        while booking.failures < FAILURES_MAX {
            let Some(due_us) = booking.next_due(&alarm).await else { break };
            booking.turn(due_us).await;
        }
        let Booking { recorder, live, ended, grants, .. } = booking;
        Booked { recorder, promises: ended.into_iter().chain(live).collect(), grants }
    }

    fn live_max(&self) -> usize {
        let (lots, slots) = (self.fleet.lots.len(), self.fleet.slots_per_lot);
        let share = LIVE_PER_HOLDER_AND_LOT_MAX / self.of.div_ceil(self.holders);
        let in_lot = share.min(LIVE_PER_SLOT_MAX * slots / self.of).max(1);
        if self.mix.change_percent > 0 { LIVE_MAX.min(in_lot * lots) } else { in_lot * lots }
    }
}

impl Booking {
    fn new(booker: Booker) -> Self {
        let place = Place {
            number: booker.number,
            of: booker.of,
            lots: booker.fleet.lots.len(),
            slots_per_lot: booker.fleet.slots_per_lot,
            began_us: booker.window.from_us,
        };
        Self {
            wishes: Wishes::new(booker.mix, place, booker.seed),
            recorder: Recorder::new(booker.window),
            live: VecDeque::new(),
            live_max: booker.live_max(),
            ended: VecDeque::new(),
            grants: Check::new(GRANTS_ARE_RIGHT, "reservations"),
            failures: 0,
            booker,
        }
    }

    /// Waits until there is something to book; nothing when the window has ended.
    async fn next_due(&self, alarm: &Alarm) -> Option<u64> {
        let (clock, end_us) = (self.booker.clock, self.booker.window.to_us);
        let now_us = clock.now_us();
        if now_us >= end_us {
            return None;
        }
        let Some(pace) = &self.booker.pace else { return Some(now_us) };
        let due_us = pace.take_before(end_us)?;
        alarm.until(due_us).await;
        Some(due_us)
    }

    async fn turn(&mut self, due_us: u64) {
        let wish = self.wishes.next(self.booker.clock.now_us());
        self.book(&wish, due_us).await;
        if self.wishes.chance(self.booker.mix.change_percent) && !self.live.is_empty() {
            let nth = self.wishes.rng.random_range(0..self.live.len());
            self.change(nth).await;
        }
        if self.live.len() > self.live_max {
            self.cancel(0).await;
        }
    }

    async fn book(&mut self, wish: &Wish, due_us: u64) {
        let body = body(wish, &self.booker.fleet.lots[wish.lot].code);
        self.recorder.attempt();
        let key = wish.has_key.then_some(wish.id.as_str());
        let answer = self.booker.client.post_keyed("/api/v1/reservations", body, key).await;
        let now_us = self.booker.clock.now_us();
        let Some(answer) = self.answered("booking", answer, &[201, 409]).await else { return };
        self.recorder.latency(Measure::Booking, due_us, now_us);
        if answer.status == 409 {
            self.recorder.count(Tally::Conflicts, 1, now_us);
            if wish.is_own {
                self.grants.examine(1);
                let lot = &self.booker.fleet.lots[wish.lot].code;
                self.grants.fault(format!(
                    "lot {lot} reservation {}: refused though nobody else asks for it: {}",
                    wish.id,
                    answer.excerpt()
                ));
            }
            return;
        }
        self.recorder.count(Tally::Granted, 1, now_us);
        Gauges::add(&self.booker.gauges.bookings, 1);
        self.grants.examine(1);
        match answer.json::<Reservation>() {
            Ok(reservation) => self.granted(wish, reservation, now_us),
            Err(error) => self.grants.fault(format!("reservation {}: {error}", wish.id)),
        }
    }

    fn granted(&mut self, wish: &Wish, reservation: Reservation, now_us: u64) {
        let lot = &self.booker.fleet.lots[wish.lot];
        lot.was_told(reservation.seq);
        if let Some(difference) = difference(wish, &lot.code, &reservation) {
            self.grants.fault(format!("lot {} reservation {}: {difference}", lot.code, wish.id));
        }
        let told_us = reservation.expires_at.as_deref().and_then(parse_rfc3339);
        let hold_us = wish.hold_seconds.unwrap_or(0) * MICROS_PER_SECOND;
        let expires_us = told_us.unwrap_or(now_us + hold_us);
        let state = match wish.hold_seconds {
            Some(_) => PromiseState::Held,
            None => PromiseState::Confirmed,
        };
        let Wish { lot, from_us, to_us, .. } = *wish;
        let (id, slot) = (reservation.id, reservation.slot);
        self.live.push_back(Promise { id, lot, slot, from_us, to_us, expires_us, state });
    }

    /// Half of the held ones are confirmed; everything else is given back.
    async fn change(&mut self, nth: usize) {
        if self.live[nth].state != PromiseState::Held || !self.wishes.chance(50) {
            return self.cancel(nth).await;
        }
        let Some(mut promise) = self.take(nth) else { return };
        match self.ask(&promise, "confirm", Bytes::new()).await {
            Some(()) => {
                promise.state = PromiseState::Confirmed;
                self.live.push_back(promise);
            }
            None => self.end(promise, PromiseState::Unsure),
        }
    }

    async fn cancel(&mut self, nth: usize) {
        let Some(promise) = self.take(nth) else { return };
        let reason = Bytes::from_static(br#"{"reason":"load_test"}"#);
        let done = self.ask(&promise, "cancel", reason).await;
        let state = done.map_or(PromiseState::Unsure, |()| PromiseState::Cancelled);
        self.end(promise, state);
    }

    /// Takes one out to be changed; nothing when it has ended by itself or is about to.
    fn take(&mut self, nth: usize) -> Option<Promise> {
        let promise = self.live.remove(nth)?;
        if promise.is_over(self.booker.clock.now_us() + ENDING_US) {
            let state = promise.state;
            self.end(promise, state);
            return None;
        }
        Some(promise)
    }

    fn end(&mut self, promise: Promise, state: PromiseState) {
        if self.ended.len() >= (ENDED_KEPT_MAX / self.booker.of).max(1) {
            self.ended.pop_front();
        }
        self.ended.push_back(Promise { state, ..promise });
    }

    /// Nothing when it is not known whether it was done.
    async fn ask(&mut self, promise: &Promise, what: &'static str, body: Bytes) -> Option<()> {
        let path = format!("/api/v1/reservations/{}/{what}", promise.id);
        self.recorder.attempt();
        let due_us = self.booker.clock.now_us();
        let answer = self.booker.client.post(&path, body).await;
        let now_us = self.booker.clock.now_us();
        let answer = self.answered(what, answer, &[200]).await?;
        if let Ok(reservation) = answer.json::<Reservation>() {
            self.booker.fleet.lots[promise.lot].was_told(reservation.seq);
        }
        self.recorder.latency(Measure::BookingChange, due_us, now_us);
        self.recorder.count(Tally::Changed, 1, now_us);
        Some(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn booker(of: usize, change_percent: u32) -> Booker {
        Booker {
            number: 0,
            of,
            holders: 16,
            client: HttpClient::new("127.0.0.1:1".parse().unwrap(), "t"),
            clock: Clock::start(),
            window: Window { from_us: 0, to_us: 1 },
            fleet: Arc::new(Fleet::new("t", 5, 20)),
            mix: Mix { change_percent, ..Mix::PLAIN },
            pace: None,
            seed: 1,
            gauges: Arc::default(),
        }
    }

    #[test]
    fn drivers_together_stay_within_the_bounds_of_people_and_slots() {
        for (of, change_percent) in [(1, 0), (8, 0), (64, 0), (64, 60), (300, 0)] {
            let booker = booker(of, change_percent);
            let in_lot = booker.live_max().div_ceil(5);
            let of_one_person = of.div_ceil(16);
            assert!(in_lot * of_one_person <= 1_000, "{of}: {in_lot} each");
            assert!(in_lot * of <= 512 * 20, "{of}: {in_lot} each");
            assert!(change_percent == 0 || booker.live_max() <= LIVE_MAX);
        }
    }

    #[test]
    fn what_ended_is_remembered_up_to_a_bound() {
        let mut booking = Booking::new(booker(ENDED_KEPT_MAX / 2, 0));
        for id in ["a", "b", "c"] {
            let promise = Promise {
                id: id.into(),
                lot: 0,
                slot: "S00000".into(),
                from_us: 0,
                to_us: 1,
                expires_us: 1,
                state: PromiseState::Held,
            };
            booking.live.push_back(promise);
            // Long over: it is let go without a request, of which there could be no answer here.
            assert!(booking.take(0).is_none());
        }
        let ids: Vec<&str> = booking.ended.iter().map(|promise| promise.id.as_str()).collect();
        assert_eq!(ids, ["b", "c"]);
    }
}
