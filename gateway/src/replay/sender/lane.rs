//! One lot's way to the server: what waits, what is under way, and how much may be.
//!
//! Invariants: batches leave a lane in the order of their numbers; a batch that has to be sent
//! again keeps its number and goes back to its place. A change of capacity leaves alone: after
//! everything before it is answered, before anything behind it is sent.
//!
//! A bayed lot has one batch under way, so nothing can overtake a reading, whatever goes wrong.
//! Counts go one to a message, so a counted lot has several under way; when the server puts one
//! off, those behind it may be recorded first, and it is then late. The window closes to one when
//! that happens and opens again with every answer.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::item::Name;
use super::super::plan::{Kind, LotPlan};
use super::super::provision::Ready;
use crate::client::{Count, Reading};

/// What is sent under one number.
#[derive(Debug)]
pub(super) struct Work {
    pub batch: u64,
    pub load: Load,
}

#[derive(Debug)]
pub(super) enum Load {
    Readings(Vec<Reading<'static>>),
    Count(Count),
    Capacity(u32),
}

impl Load {
    /// Rows of the file in it.
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Readings(readings) => readings.len() as u64,
            Self::Count(_) => 1,
            Self::Capacity(_) => 0,
        }
    }
}

/// One lot.
#[derive(Debug)]
pub(super) struct Lane {
    pub lot: Name,
    /// The batch that is being filled.
    pub open: Vec<Reading<'static>>,
    waiting: VecDeque<Work>,
    in_flight: usize,
    window: usize,
    window_max: usize,
    paused_until: Option<Instant>,
    capacity: Option<u32>,
    counted_at: Option<Timestamp>,
}

impl Lane {
    pub(super) fn new(lot: &LotPlan, ready: &Ready, counts_in_flight_max: usize) -> Self {
        let window_max = match lot.kind {
            Kind::Bayed => 1,
            Kind::Counted => counts_in_flight_max.max(1),
        };
        Self {
            lot: Name::clone(&lot.code),
            open: Vec::new(),
            waiting: VecDeque::new(),
            in_flight: 0,
            window: window_max,
            window_max,
            paused_until: None,
            capacity: ready.capacity,
            counted_at: ready.counted_at,
        }
    }

    /// Adds new work; numbers only rise.
    pub(super) fn push(&mut self, work: Work) {
        debug_assert!(self.waiting.back().is_none_or(|last| last.batch < work.batch));
        self.waiting.push_back(work);
    }

    /// Notes a count that is about to be pushed and says whether the lot's capacity has to change
    /// first. A count that is not newer than the last one is late, and a late row's capacity is
    /// no news either: a second replay changes nothing.
    pub(super) fn capacity_change(&mut self, capacity: u32, observed_at: Timestamp) -> bool {
        if self.counted_at.is_some_and(|newest| observed_at <= newest) {
            return false;
        }
        self.counted_at = Some(observed_at);
        self.capacity.replace(capacity) != Some(capacity)
    }

    /// Whether the next work may leave now.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        let open = match self.waiting.front().map(|work| &work.load) {
            None => false,
            Some(Load::Capacity(_)) => self.in_flight == 0,
            Some(Load::Readings(_) | Load::Count(_)) => self.in_flight < self.window,
        };
        open && self.paused_until.is_none_or(|until| until <= now)
    }

    /// When a pause ends, if one is on and something waits for its end.
    pub(super) fn resumes_at(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now && !self.waiting.is_empty())
    }

    /// Takes the next work; it is under way until [`Lane::answered`] or [`Lane::put_back`].
    pub(super) fn take(&mut self) -> Option<Work> {
        let work = self.waiting.pop_front()?;
        self.in_flight += 1;
        Some(work)
    }

    /// Work of this lane was answered for good.
    pub(super) fn answered(&mut self) {
        self.in_flight -= 1;
        self.window = (self.window + 1).min(self.window_max);
    }

    /// Work of this lane is to be sent again, in its old place.
    pub(super) fn put_back(&mut self, work: Work) {
        self.in_flight -= 1;
        let place = self.waiting.partition_point(|waiting| waiting.batch < work.batch);
        self.waiting.insert(place, work);
    }

    /// Sends nothing for a while, and then one at a time.
    pub(super) fn pause(&mut self, now: Instant, pause: Duration) {
        self.paused_until = Some(now + pause);
        self.window = 1;
    }

    /// Nothing that the server owes an answer for, now or after a pause.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::{BATH, MELBOURNE};
    use super::*;

    fn lane(kind: Kind) -> Lane {
        let mut plan = super::super::super::plan::Plan::default();
        let city = if kind == Kind::Bayed { &MELBOURNE } else { &BATH };
        let lot = plan.lot("Podium CP", kind, city).unwrap();
        let ready = Ready { created: true, capacity: Some(521), counted_at: None };
        Lane::new(&plan.lots[lot], &ready, 4)
    }

    fn count(batch: u64) -> Work {
        Work { batch, load: Load::Count(Count { occupied: 1, observed_at: None }) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn put_back_work_returns_to_its_place() {
        let mut lane = lane(Kind::Counted);
        (1..=5).for_each(|batch| lane.push(count(batch)));
        let under_way: Vec<Work> = (0..4).filter_map(|_| lane.take()).collect();
        let now = Instant::now();
        assert!(!lane.is_ready(now), "the window is full");
        // The server puts 2 and 3 off, in whichever order, and answers 1 and 4.
        let [one, two, three, four] = under_way.try_into().unwrap();
        lane.put_back(three);
        lane.put_back(two);
        drop((one, four));
        lane.answered();
        lane.answered();
        let order: Vec<u64> = std::iter::from_fn(|| lane.take()).map(|work| work.batch).collect();
        assert_eq!(order, [2, 3, 5]);
    }

    #[test]
    fn a_pause_closes_the_window_to_one() {
        let mut lane = lane(Kind::Counted);
        (1..=3).for_each(|batch| lane.push(count(batch)));
        let now = Instant::now();
        let pause = Duration::from_millis(250);
        lane.pause(now, pause);
        assert!(!lane.is_ready(now));
        assert_eq!(lane.resumes_at(now), Some(now + pause));
        assert!(lane.is_ready(now + pause));
        lane.take();
        assert!(!lane.is_ready(now + pause), "one at a time");
        lane.answered();
        lane.take();
        assert!(lane.is_ready(now + pause), "opens again with answers");
    }

    #[test]
    fn a_bayed_lot_has_one_batch_under_way() {
        let mut lane = lane(Kind::Bayed);
        lane.push(Work { batch: 1, load: Load::Readings(Vec::new()) });
        lane.push(Work { batch: 2, load: Load::Readings(Vec::new()) });
        lane.take();
        assert!(!lane.is_ready(Instant::now()));
    }

    #[test]
    fn a_capacity_waits_for_all_before_it() {
        let mut lane = lane(Kind::Counted);
        lane.push(count(1));
        lane.push(Work { batch: 2, load: Load::Capacity(500) });
        lane.take();
        assert!(!lane.is_ready(Instant::now()));
        lane.answered();
        assert!(lane.is_ready(Instant::now()));
    }

    #[test]
    fn only_a_newer_row_changes_the_capacity() {
        let mut lane = lane(Kind::Counted);
        for (capacity, second, changes) in
            [(521, 10, false), (500, 5, false), (500, 20, true), (500, 30, false), (521, 30, false)]
        {
            assert_eq!(lane.capacity_change(capacity, at(second)), changes, "{capacity} {second}");
        }
    }
}
