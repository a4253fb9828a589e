//! What all peers are asked for: bookings of a given slot spread over slots and windows, and readings that
//! flip every slot in turn. The same shape as `booker` and `model` give our own server.

use crate::clock::MICROS_PER_SECOND;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::ops::Range;
use uuid::Uuid;

const STEP_US: u64 = 30 * 60 * MICROS_PER_SECOND;
/// Windows begin between an hour and a week from now, on half hours: as our own bookers' do.
const STEPS: Range<u64> = 3..3 + 7 * 48;

/// One booking that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pub id: Uuid,
    pub slot: usize,
    pub from_us: u64,
    pub to_us: u64,
}

/// The bookings one hand wants.
#[derive(Debug)]
pub struct Wishes {
    rng: SmallRng,
    slots: usize,
    now_us: u64,
}

impl Wishes {
    /// Of so many slots; numbers keep hands apart.
    pub fn new(seed: u64, number: usize, slots: usize, now_us: u64) -> Self {
        let seed = seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { rng: SmallRng::seed_from_u64(seed), slots, now_us }
    }

    /// The next one.
    pub fn next(&mut self) -> Wish {
        let from_us = (self.now_us / STEP_US + self.rng.random_range(STEPS)) * STEP_US;
        Wish {
            id: uuid::Builder::from_random_bytes(self.rng.random()).into_uuid(),
            slot: self.rng.random_range(0..self.slots),
            from_us,
            to_us: from_us + STEP_US,
        }
    }
}

/// One reading of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub slot: usize,
    pub occupied: bool,
    pub observed_us: u64,
}

/// The sensors one hand plays: its slots one after the other, each flipped at every visit.
#[derive(Debug)]
pub struct Rounds {
    slots: Range<usize>,
    next: usize,
    round: u64,
    began_us: u64,
}

impl Rounds {
    /// Its slots, and when it begins.
    pub fn new(slots: Range<usize>, began_us: u64) -> Self {
        Self { next: slots.start, slots, round: 1, began_us }
    }

    /// The next one; later than all before it of its slot.
    pub fn next(&mut self) -> Reading {
        let reading = Reading {
            slot: self.next,
            occupied: self.round % 2 == 1,
            observed_us: self.began_us + self.round,
        };
        self.next += 1;
        if self.next >= self.slots.end {
            (self.next, self.round) = (self.slots.start, self.round + 1);
        }
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_wishes_the_same_and_hands_differ() {
        let wishes = |number| {
            let mut wishes = Wishes::new(7, number, 100, 1_772_355_671_000_000);
            [wishes.next(), wishes.next()]
        };
        assert_eq!(wishes(0), wishes(0));
        assert_ne!(wishes(0), wishes(1));
        for wish in wishes(3) {
            assert!(wish.slot < 100 && wish.to_us - wish.from_us == STEP_US, "{wish:?}");
            assert!(wish.from_us > 1_772_355_671_000_000 + 3_600_000_000 - STEP_US, "{wish:?}");
        }
    }

    #[test]
    fn every_round_flips_every_slot_of_the_hand_and_is_newer() {
        let mut rounds = Rounds::new(10..13, 1_000);
        let readings: Vec<Reading> = (0..9).map(|_| rounds.next()).collect();
        assert_eq!(
            readings.iter().map(|r| r.slot).collect::<Vec<_>>(),
            [10, 11, 12, 10, 11, 12, 10, 11, 12]
        );
        for (earlier, later) in readings.iter().zip(&readings[3..]) {
            assert!(earlier.occupied != later.occupied && earlier.observed_us < later.observed_us);
        }
    }
}
