//! What a driver asks for, and whether the answer is that.
//!
//! Spread wishes go through cells (lot, slot, half hour) that belong to one driver alone, so every one of
//! them must be granted, however long the run: when a half hour is full the next one follows, and after a
//! year they begin again where what was booked has long been given back. Given and any-slot wishes have
//! half hours of their own, or an any-slot wish would take somebody's given slot.
//! Contended wishes are for the same few slots and windows as everybody else's, close enough to now to
//! show slots as held, and always before the spread ones.
//! Short wishes have minutes of their own, the next that come, so that within a run holds expire, drivers
//! come or do not come, and windows end. In the lot of the contended ones they may be refused.

use crate::clock::{MICROS_PER_SECOND, Rfc3339, parse_rfc3339};
use crate::fleet::slot_code;
use crate::wire::{Reservation, ReservationState};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::fmt::Write;

pub const MINUTE_US: u64 = 60 * MICROS_PER_SECOND;
pub const STEP_US: u64 = 30 * MINUTE_US;
/// Spread windows begin so many half hours from now or later: contended ones end within 70 minutes.
const LEAD_STEPS: u64 = 4;
/// Half hours until spread windows begin again at the front; the contract takes two years.
const HORIZON_STEPS: u64 = 365 * 48;
/// Slots, and windows, that everybody wants.
pub const CONTENDED_SLOTS: usize = 4;
const CONTENDED_STEPS: u64 = 2;
/// How long a hold waits to be confirmed: longer than a driver here leaves it alone.
pub const HOLD_SECONDS: u64 = 600;
/// Short windows: how long, and how long a hold on one waits.
pub const SHORT_STEP_US: u64 = MINUTE_US;
const SHORT_HOLD_SECONDS: u64 = 30;
/// Minutes from now at which short windows begin at the earliest.
const SHORT_LEAD_STEPS: u64 = 1;
/// Minutes until short windows begin again at the front: before the spread ones, which have the same slots.
const SHORT_HORIZON_STEPS: u64 = 50;
/// Cars that come again and again where not everybody is a newcomer.
const REGULARS: u32 = 10_000;

/// What bookers ask for, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Wishes for what everybody wants.
    pub contended_percent: u32,
    /// Wishes for any slot of a lot instead of a given one.
    pub any_slot_percent: u32,
    /// Bookings that are followed by a confirm or cancel.
    pub change_percent: u32,
    /// Wishes for a minute that begins soon.
    pub short_percent: u32,
    /// Of a hundred cars, those that were never here before.
    pub newcomer_percent: u32,
    /// Of a hundred bookings, those with an `Idempotency-Key`, which the server remembers.
    pub key_percent: u32,
}

impl Mix {
    /// Nobody wants anything twice, and everybody is new.
    pub const PLAIN: Self = Self {
        contended_percent: 0,
        any_slot_percent: 0,
        change_percent: 0,
        short_percent: 0,
        newcomer_percent: 100,
        key_percent: 0,
    };
}

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub id: String,
    pub lot: usize,
    /// Any slot when there is none.
    pub slot: Option<usize>,
    pub from_us: u64,
    pub to_us: u64,
    /// How long it waits to be confirmed, where it is a hold.
    pub hold_seconds: Option<u64>,
    /// The car's number among the regulars; nothing for a newcomer.
    pub regular: Option<u32>,
    pub has_key: bool,
    /// Nobody else asks for it: a refusal is a fault.
    pub is_own: bool,
}

/// Which driver of how many, in a fleet of which size.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub number: usize,
    pub of: usize,
    pub lots: usize,
    pub slots_per_lot: usize,
    /// The run's beginning, the same for all drivers.
    pub began_us: u64,
}

/// The cells of one driver in every `stride`th step of time.
#[derive(Clone, Debug)]
struct Cells {
    place: Place,
    step_us: u64,
    stride: u64,
    /// Below `stride`: which steps.
    parity: u64,
    lead_steps: u64,
    horizon_steps: u64,
    turn: u64,
}

impl Cells {
    /// The next own cell: lot, slot, beginning.
    fn next(&mut self, now_us: u64) -> (usize, usize, u64) {
        let earliest = now_us / self.step_us + self.lead_steps;
        if !(earliest..=earliest + self.horizon_steps).contains(&self.cell().2) {
            self.turn = self.first_turn_from(earliest);
        }
        let (lot, slot, step) = self.cell();
        self.turn += 1;
        (lot, slot, step * self.step_us)
    }

    fn cell(&self) -> (usize, usize, u64) {
        let Place { number, of, lots, slots_per_lot, began_us } = self.place;
        let (round, lot) = (self.turn / lots as u64, (number as u64 + self.turn) % lots as u64);
        // Of all drivers' wishes in a lot: no two have the same number.
        let ordinal = round * of as u64 + number as u64;
        let step =
            began_us / self.step_us + self.stride * (ordinal / slots_per_lot as u64) + self.parity;
        (lot as usize, (ordinal % slots_per_lot as u64) as usize, step)
    }

    /// The first turn of a round whose half hour is not before that one.
    fn first_turn_from(&self, step: u64) -> u64 {
        let Place { number, of, lots, slots_per_lot, began_us } = self.place;
        let steps = step.saturating_sub(began_us / self.step_us + self.parity);
        let ordinal = steps.div_ceil(self.stride) * slots_per_lot as u64;
        ordinal.saturating_sub(number as u64).div_ceil(of as u64) * lots as u64
    }
}

/// A driver's wishes, one after the other.
#[derive(Debug)]
pub struct Wishes {
    pub rng: SmallRng,
    mix: Mix,
    place: Place,
    given: Cells,
    any: Cells,
    short: Cells,
}

impl Wishes {
    /// From the beginning; the same seed wishes the same.
    pub fn new(mix: Mix, place: Place, seed: u64) -> Self {
        // Far apart for neighbouring numbers, so that two drivers are not alike.
        let seed = seed ^ (place.number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let given = Cells {
            place,
            step_us: STEP_US,
            stride: 2,
            parity: 0,
            lead_steps: LEAD_STEPS,
            horizon_steps: HORIZON_STEPS,
            turn: 0,
        };
        let any = Cells { parity: 1, ..given.clone() };
        let short = Cells {
            step_us: SHORT_STEP_US,
            stride: 1,
            lead_steps: SHORT_LEAD_STEPS,
            horizon_steps: SHORT_HORIZON_STEPS,
            ..given.clone()
        };
        Self { rng: SmallRng::seed_from_u64(seed), mix, place, given, any, short }
    }

    /// Whether something with that probability happens.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    /// The next wish.
    pub fn next(&mut self, now_us: u64) -> Wish {
        if self.chance(self.mix.short_percent) {
            let (lot, slot, from_us) = self.short.next(now_us);
            // Contended wishes are for the first lot and for times as near.
            let is_own = lot > 0 || self.mix.contended_percent == 0;
            let to_us = from_us + SHORT_STEP_US;
            return self.wish((lot, Some(slot)), (from_us, to_us), SHORT_HOLD_SECONDS, is_own);
        }
        let any_slot = self.chance(self.mix.any_slot_percent);
        let contended = self.chance(self.mix.contended_percent);
        let (lot, slot, from_us) = if contended {
            let ten_minutes_us = 10 * MINUTE_US;
            let soon_us = (now_us / ten_minutes_us + 1) * ten_minutes_us;
            let step = self.rng.random_range(0..CONTENDED_STEPS);
            let slot = self.rng.random_range(0..self.place.slots_per_lot.min(CONTENDED_SLOTS));
            (0, slot, soon_us + step * STEP_US)
        } else {
            let cells = if any_slot { &mut self.any } else { &mut self.given };
            cells.next(now_us)
        };
        let place = (lot, (!any_slot).then_some(slot));
        self.wish(place, (from_us, from_us + STEP_US), HOLD_SECONDS, !contended)
    }

    fn wish(
        &mut self,
        (lot, slot): (usize, Option<usize>),
        (from_us, to_us): (u64, u64),
        hold_seconds: u64,
        is_own: bool,
    ) -> Wish {
        let id = uuid::Builder::from_random_bytes(self.rng.random()).into_uuid().to_string();
        let hold_seconds = self.chance(50).then_some(hold_seconds);
        let is_new = self.chance(self.mix.newcomer_percent);
        let regular = (!is_new).then(|| self.rng.random_range(0..REGULARS));
        let has_key = self.chance(self.mix.key_percent);
        Wish { id, lot, slot, from_us, to_us, hold_seconds, regular, has_key, is_own }
    }
}

/// A reservation's request.
pub fn body(wish: &Wish, lot: &str) -> Bytes {
    let Wish { id, from_us, to_us, .. } = wish;
    let (from, to) = (Rfc3339(*from_us), Rfc3339(*to_us));
    let mut text = format!(r#"{{"id":"{id}","lot":"{lot}","from":"{from}","to":"{to}""#);
    let mut put = |field: String| {
        text.write_str(&field).expect("a string takes what is written");
    };
    if let Some(slot) = wish.slot {
        put(format!(r#","slot":"{}""#, slot_code(slot)));
    }
    match (wish.hold_seconds, wish.regular) {
        (Some(seconds), _) => put(format!(r#","hold_seconds":{seconds}"#)),
        (None, Some(car)) => put(format!(r#","vehicle":{{"plate":"LR {car}","country":"D"}}"#)),
        (None, None) => {
            let plate = id[..6].to_uppercase();
            put(format!(r#","vehicle":{{"plate":"LT {plate}","country":"D"}}"#));
        }
    }
    text.push('}');
    text.into()
}

/// What is other than asked for; nothing when all is well.
pub fn difference(wish: &Wish, lot: &str, got: &Reservation) -> Option<String> {
    let state = match wish.hold_seconds {
        Some(_) => ReservationState::Held,
        None => ReservationState::Confirmed,
    };
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
#[path = "wish_tests.rs"]
mod tests;
