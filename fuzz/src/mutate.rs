//! Small changes to seeds, drawn from a seeded generator: what runs in every `cargo test`, without coverage.
//!
//! Invariant: the same seed gives the same inputs in the same order, so a failure is found again by its number.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::Target;

/// Inputs longer than this are cut: the tests are there to be quick.
const INPUT_BYTES_MAX: usize = 16 * 1024;
/// Numbers at which something changes.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    u64::MAX,
    1 << 53,
];
/// What JSON, CSV, TOML and HTTP stumble over.
const STUMBLES: [&str; 14] = [
    "\"", "{", "[", "]", "}", ",", ":", "\\u0000", "1e999", "-0", "null", "\r\n", "\u{feff}", "%00",
];

/// Makes one input after the other.
pub struct Mutator {
    rng: StdRng,
    seeds: Vec<Vec<u8>>,
    words: &'static [&'static str],
}

impl Mutator {
    /// For a target.
    #[must_use]
    pub fn new(target: &Target, seed: u64) -> Self {
        let seeds = (target.seeds)();
        Self { rng: StdRng::seed_from_u64(seed), seeds, words: target.words }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = match self.pick_seed() {
            Some(seed) => seed,
            None => (0..self.below(64)).map(|_| self.rng.random()).collect(),
        };
        for _ in 0..self.rng.random_range(0..6) {
            self.change(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn pick_seed(&mut self) -> Option<Vec<u8>> {
        let at = self.below(self.seeds.len());
        self.seeds.get(at).cloned()
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.rng.random_range(0..end) }
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(9) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.rng.random_range(0..8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = self.rng.random();
                }
            }
            2 => input.truncate(at),
            3 => {
                let end = at + self.below((input.len() - at).min(64) + 1);
                input.drain(at..end);
            }
            4 => {
                let end = at + self.below((input.len() - at).min(256) + 1);
                let again = input[at..end].repeat(1 + self.below(4));
                input.splice(at..at, again);
            }
            5 => {
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                let bytes = &edge[..[1, 2, 4, 8][self.below(4)]];
                let end = (at + bytes.len()).min(input.len());
                input.splice(at..end, bytes.iter().copied());
            }
            6 => {
                let edge = EDGES[self.below(EDGES.len())].to_string();
                input.splice(at..at, edge.into_bytes());
            }
            7 => {
                let words = if self.words.is_empty() || self.below(2) == 0 {
                    &STUMBLES
                } else {
                    self.words
                };
                let word = words[self.below(words.len())];
                input.splice(at..at, word.bytes());
            }
            _ => {
                let Some(other) = self.pick_seed() else { return };
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}
