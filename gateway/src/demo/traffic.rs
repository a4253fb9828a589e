//! Who parks where in the bayed lots: a pure, seeded model that only moves when it is told the time.
//!
//! People come by a Poisson process whose rate follows [`super::calibration`], choose a lot by its pull and
//! one of its nearest free slots, and leave when their stay ends. A small part are long stays (residents,
//! travellers): they keep the city from being empty at night, as real ones do. Who finds his lot all but
//! full drives on to the emptiest.
//!
//! Invariants: arrivals and departures of a slot alternate; time never goes back; the same seed and the
//! same questions give the same traffic. Deliberately absent: sensors and their faults (`sensors`), bookings.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::calibration::{arrivals_per_second, stay_minutes};
use super::city::{Lot, Use};
use super::clock::CityTime;

/// Share of the arrivals that stay for days.
const LONG_STAY_SHARE: f64 = 0.027;
const LONG_STAY_HOURS: std::ops::Range<f64> = 20.0..68.0;
/// After so long the emptiness of the beginning is forgotten: longer than any stay.
const WARM_UP_SECONDS: f64 = 5.0 * 86_400.0;
/// Share of a lot's slots that stays free: nobody finds the last one.
const LEFT_FREE_SHARE: f64 = 0.05;
/// A driver looks at so many free slots and takes the one nearest to the entrance.
const SLOTS_LOOKED_AT: usize = 3;

/// A car comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// When.
    pub at: CityTime,
    /// Position of the lot in the city.
    pub lot: usize,
    /// Position of the slot in the lot.
    pub slot: usize,
    /// Comes, or goes.
    pub occupied: bool,
}

/// The city's traffic.
pub struct Traffic {
    random: SmallRng,
    lots: Vec<Parked>,
    /// Who leaves when: time, lot, slot.
    leaving: BinaryHeap<Reverse<(CityTime, usize, usize)>>,
    arrivals_per_day: f64,
    now: CityTime,
    next_arrival: CityTime,
}

struct Parked {
    /// Arrivals of a day.
    pull: f64,
    /// Slots that traffic uses.
    used: usize,
    free: Vec<usize>,
    taken: Vec<bool>,
}

impl Traffic {
    /// The traffic of these lots, in full swing at `now`.
    #[must_use]
    pub fn new(lots: &[Lot], seed: u64, now: CityTime) -> Self {
        let lots: Vec<Parked> = lots.iter().map(Parked::empty).collect();
        let began = now.plus_seconds(-WARM_UP_SECONDS);
        let mut traffic = Self {
            random: SmallRng::seed_from_u64(seed),
            arrivals_per_day: lots.iter().map(|lot| lot.pull).sum(),
            lots,
            leaving: BinaryHeap::new(),
            now: began,
            next_arrival: began,
        };
        traffic.next_arrival = traffic.arrival_after(began);
        traffic.next(now);
        traffic
    }

    /// What happens until `now`, in order of time.
    pub fn next(&mut self, now: CityTime) -> Vec<Movement> {
        let mut movements = Vec::new();
        loop {
            let departure = self.leaving.peek().map(|Reverse((at, ..))| *at);
            match departure {
                Some(at) if at <= self.next_arrival && at <= now => {
                    movements.extend(self.depart());
                }
                _ if self.next_arrival <= now => movements.extend(self.arrive()),
                _ => break,
            }
        }
        self.now = self.now.max(now);
        movements
    }

    /// Whether a car stands there.
    #[must_use]
    pub fn is_taken(&self, lot: usize, slot: usize) -> bool {
        self.lots[lot].taken[slot]
    }

    /// Cars and places in all lots.
    #[must_use]
    pub fn occupancy(&self) -> (usize, usize) {
        let used: usize = self.lots.iter().map(|lot| lot.used).sum();
        let free: usize = self.lots.iter().map(|lot| lot.free.len()).sum();
        (used - free, used)
    }

    /// Moves the cars of a lot to where somebody remembers cars, so that a new start looks like the end of
    /// the one before. How many there are, and when they leave, stays as it is.
    pub fn settle(&mut self, lot: usize, remembered: &[Option<bool>]) {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            self.leaving.drain().partition(|Reverse((_, at, _))| *at == lot);
        let parked = &mut self.lots[lot];
        let mut slots: Vec<usize> = here.iter().map(|Reverse((.., slot))| *slot).collect();
        slots.append(&mut parked.free);
        let occupied = |slot: &usize| remembered.get(*slot).copied().flatten() == Some(true);
        // Where nothing is remembered, the model's own cars go first.
        let is_taken = |slot: &usize| parked.taken[*slot];
        slots.sort_by_key(|slot| (!occupied(slot), !is_taken(slot), *slot));
        let free = slots.split_off(here.len());
        self.leaving = elsewhere.into();
        for (&Reverse((until, ..)), &slot) in here.iter().zip(&slots) {
            self.leaving.push(Reverse((until, lot, slot)));
        }
        for &slot in &slots {
            parked.taken[slot] = true;
        }
        for &slot in &free {
            parked.taken[slot] = false;
        }
        parked.free = free;
    }

    fn depart(&mut self) -> Option<Movement> {
        let Reverse((at, lot, slot)) = self.leaving.pop()?;
        let parked = &mut self.lots[lot];
        parked.taken[slot] = false;
        parked.free.push(slot);
        Some(Movement { at, lot, slot, occupied: false })
    }

    /// Nothing when the whole city is full: he turns round.
    fn arrive(&mut self) -> Option<Movement> {
        let at = self.next_arrival;
        self.next_arrival = self.arrival_after(at);
        let lot = self.choose_lot()?;
        let slot = self.lots[lot].take_nearest(&mut self.random);
        let until = at.plus_seconds(self.stay_seconds());
        self.leaving.push(Reverse((until, lot, slot)));
        Some(Movement { at, lot, slot, occupied: true })
    }

    fn choose_lot(&mut self) -> Option<usize> {
        let mut pull = self.random.random_range(0.0..self.arrivals_per_day);
        let wanted = self.lots.iter().position(|lot| {
            pull -= lot.pull;
            pull < 0.0
        });
        let wanted = wanted.filter(|&lot| self.lots[lot].has_room());
        wanted.or_else(|| {
            let open = (0..self.lots.len()).filter(|&lot| self.lots[lot].has_room());
            open.max_by(|&a, &b| self.lots[a].free_share().total_cmp(&self.lots[b].free_share()))
        })
    }

    /// The rate is the same for an hour, so what is left of one hour's luck goes on in the next.
    fn arrival_after(&mut self, after: CityTime) -> CityTime {
        // 1 - x is never 0: the logarithm is finite.
        let mut luck = -(1.0 - self.random.random::<f64>()).ln();
        let mut at = after;
        loop {
            let per_second = arrivals_per_second(self.arrivals_per_day, at);
            let hour_ends = at.next_hour();
            let expected = per_second * hour_ends.seconds_since(at);
            if luck < expected {
                return at.plus_seconds(luck / per_second);
            }
            luck -= expected;
            at = hour_ends;
        }
    }

    fn stay_seconds(&mut self) -> f64 {
        if self.random.random_bool(LONG_STAY_SHARE) {
            return self.random.random_range(LONG_STAY_HOURS) * 3_600.0;
        }
        stay_minutes(self.random.random()) * 60.0
    }
}

impl Parked {
    fn empty(lot: &Lot) -> Self {
        let with_cars =
            |used_by| matches!(used_by, Use::Traffic | Use::DeadSensor | Use::FadingSensor);
        let slots = lot.slots.iter().zip(0..);
        let free: Vec<usize> =
            slots.filter(|(slot, _)| with_cars(slot.used_by)).map(|(_, at)| at).collect();
        Self {
            pull: lot.turnover * free.len() as f64,
            used: free.len(),
            free,
            taken: vec![false; lot.slots.len()],
        }
    }

    fn has_room(&self) -> bool {
        !self.free.is_empty() && self.free_share() > LEFT_FREE_SHARE
    }

    fn free_share(&self) -> f64 {
        self.free.len() as f64 / self.used.max(1) as f64
    }

    /// The slot nearest to the entrance among a few free ones. There is one: see [`Self::has_room`].
    fn take_nearest(&mut self, random: &mut SmallRng) -> usize {
        let looked_at = (0..SLOTS_LOOKED_AT).map(|_| random.random_range(0..self.free.len()));
        let place = looked_at.min_by_key(|&place| self.free[place]).unwrap_or_default();
        let slot = self.free.swap_remove(place);
        self.taken[slot] = true;
        slot
    }
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
