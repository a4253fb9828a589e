//! Where all chance comes from: one generator per run, made from the seed.
//!
//! Invariant: nothing else in this crate is random, so the same seed is the same run, on every machine
//! (`Xoshiro256PlusPlus` is specified, and its ranges are computed here).

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// A source of chance.
#[derive(Clone, Debug)]
pub struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// The dice of an episode: of the run's seed and the episode's number.
    #[must_use]
    pub fn new(seed: u64, episode: u64) -> Self {
        // The generator's own seeding mixes; two words that differ anywhere give unrelated runs.
        let mut root = Xoshiro256PlusPlus::seed_from_u64(seed);
        let own = root.next_u64() ^ episode.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(Xoshiro256PlusPlus::seed_from_u64(own))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`; 0 when there is none. The bias of the remainder is far below what matters.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    /// A number in `from..=to`.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = to.saturating_sub(from).max(0).unsigned_abs().saturating_add(1);
        from.saturating_add_unsigned(self.below(span))
    }

    /// As [`Dice::between`], for lengths of time and counts.
    pub fn count(&mut self, from: u32, to: u32) -> u32 {
        u32::try_from(self.between(i64::from(from), i64::from(to))).unwrap_or(to)
    }

    /// A position in a list of so many.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.index(of.len())).copied()
    }

    /// A position by weight; 0 when all weigh nothing.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut rest = self.below(total);
        for (position, weight) in weights.iter().enumerate() {
            match rest.checked_sub(u64::from(*weight)) {
                Some(less) => rest = less,
                None => return position,
            }
        }
        0
    }
}
