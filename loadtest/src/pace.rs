//! When work is due, whether or not it could be done then: latency counted from here has no coordinated
//! omission.
//!
//! The rate is a line of pieces (a ramp, a plateau, a spike). Arrivals are even or Poisson on the scale of
//! *expected* arrivals, and mapped to time through the rate's integral: so a Poisson process keeps its
//! nature on a ramp, and an even one comes exactly as often as the rate says.
//! Invariants: due times never fall; a turn is taken once. Absent: dropping. What fell behind stays due.

use crate::clock::MICROS_PER_SECOND;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};

/// How arrivals lie between each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// All equally far apart.
    #[default]
    Even,
    /// Independent of each other, as those of many people are.
    Poisson,
}

impl Arrivals {
    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Poisson => "poisson",
        }
    }
}

/// A stretch during which everything comes so many times as often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surge {
    pub from_us: u64,
    pub to_us: u64,
    pub factor: f64,
}

/// What all open loops of a run have in common; instants in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    pub arrivals: Arrivals,
    /// The rate climbs from nothing to its target in so long.
    pub ramp_us: u64,
    pub surge: Option<Surge>,
    pub seed: u64,
}

/// From `from_us` on, for `length_us`, the rate goes from one to the other, in turns per microsecond.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from_us: f64,
    length_us: f64,
    rates: (f64, f64),
}

impl Piece {
    /// Arrivals expected in all of it.
    fn turns(self) -> f64 {
        match self.length_us.is_finite() {
            true => f64::midpoint(self.rates.0, self.rates.1) * self.length_us,
            false => f64::INFINITY,
        }
    }

    /// Arrivals expected in the part of it before that instant.
    fn turns_before(self, end_us: u64) -> f64 {
        let length_us = (end_us as f64 - self.from_us).clamp(0.0, self.length_us);
        let slope = if self.length_us.is_finite() { self.rise() / self.length_us } else { 0.0 };
        self.rates.0 * length_us + slope * length_us * length_us / 2.0
    }

    fn rise(self) -> f64 {
        self.rates.1 - self.rates.0
    }

    /// When so many of its arrivals are expected to have come.
    fn when(self, turns: f64) -> f64 {
        let first = self.rates.0;
        let slope = if self.length_us.is_finite() { self.rise() / self.length_us } else { 0.0 };
        // The smaller root of slope/2 t^2 + first t = turns, in the form that stands a slope of nought.
        let ahead_us =
            2.0 * turns / (first + (first * first + 2.0 * slope * turns).max(0.0).sqrt());
        self.from_us + if ahead_us.is_finite() { ahead_us } else { 0.0 }
    }
}

/// The times at which the work of one loop is due.
#[derive(Clone, Debug)]
pub struct Pace {
    arrivals: Arrivals,
    rng: SmallRng,
    pieces: Vec<Piece>,
    /// The piece in which the next turn lies, and how far in it, in turns.
    piece: usize,
    into: f64,
    next_us: u64,
}

impl Pace {
    /// `per_second` turns from `first_us` on, evenly; a rate of nought never is due.
    pub fn new(first_us: u64, per_second: f64) -> Self {
        Self::shaped(first_us, per_second, Shape::default(), (0, 1))
    }

    /// The same along a shape. `part` is which of how many loops this is: even loops then take turns
    /// instead of all beginning at once, and each has its own randomness.
    pub fn shaped(first_us: u64, per_second: f64, shape: Shape, part: (usize, usize)) -> Self {
        let (nth, of) = part;
        let mut pace = Self {
            arrivals: shape.arrivals,
            rng: SmallRng::seed_from_u64(shape.seed ^ (nth as u64 + 1).wrapping_mul(0xD1B5_4A32)),
            pieces: pieces(first_us, per_second.max(0.0) / MICROS_PER_SECOND as f64, shape),
            piece: 0,
            into: 0.0,
            next_us: 0,
        };
        let offset = match shape.arrivals {
            Arrivals::Even => nth as f64 / of.max(1) as f64,
            Arrivals::Poisson => pace.gap(),
        };
        pace.advance(offset);
        pace
    }

    /// When the next turn is due.
    pub fn next_due_us(&self) -> u64 {
        self.next_us
    }

    /// Takes the next turn if it is due, and says when it should have begun.
    pub fn take(&mut self, now_us: u64) -> Option<u64> {
        (self.next_us <= now_us).then(|| self.take_next())
    }

    /// Takes the next turn, however far ahead.
    pub fn take_next(&mut self) -> u64 {
        let due_us = self.next_us;
        let gap = self.gap();
        self.advance(gap);
        due_us
    }

    /// Turns that are due before that instant and that nobody took; nothing is due any more after this.
    /// From the rate and not one by one: a rate far beyond the machine leaves billions. Poisson: expected.
    pub fn left_before(&mut self, end_us: u64) -> u64 {
        if self.next_us >= end_us {
            return 0;
        }
        let ahead: f64 = self.pieces[self.piece..].iter().map(|p| p.turns_before(end_us)).sum();
        self.next_us = u64::MAX;
        (ahead - self.into).ceil().max(1.0) as u64
    }

    /// To the next arrival, in expected arrivals.
    fn gap(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Even => 1.0,
            // A uniform number of [0, 1) as 1 - u: the logarithm of nought is not asked for.
            Arrivals::Poisson => -(1.0 - self.rng.random::<f64>()).ln(),
        }
    }

    fn advance(&mut self, turns: f64) {
        self.into += turns;
        while self.into >= self.pieces[self.piece].turns() && self.piece + 1 < self.pieces.len() {
            self.into -= self.pieces[self.piece].turns();
            self.piece += 1;
        }
        let piece = self.pieces[self.piece];
        let is_never = piece.rates.0 <= 0.0 && piece.rates.1 <= 0.0;
        // A cast of what is too large gives the largest.
        self.next_us = if is_never { u64::MAX } else { piece.when(self.into).round() as u64 };
    }
}

/// The rate over time: a ramp, then the target, with the surge in between.
fn pieces(first_us: u64, rate: f64, shape: Shape) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(4);
    let mut at_us = first_us as f64;
    let mut put = |until_us: f64, rates: (f64, f64)| {
        if until_us > at_us {
            pieces.push(Piece { from_us: at_us, length_us: until_us - at_us, rates });
            at_us = until_us;
        }
    };
    put(first_us as f64 + shape.ramp_us as f64, (0.0, rate));
    if let Some(Surge { from_us, to_us, factor }) = shape.surge {
        put(from_us as f64, (rate, rate));
        put(to_us as f64, (rate * factor, rate * factor));
    }
    put(f64::INFINITY, (rate, rate));
    pieces
}

/// One schedule for a pool: whoever is free takes the oldest turn that nobody has, and waits for its time.
/// So no turn waits while somebody is free, and none is lost: the pool's end counts what is left.
#[derive(Clone, Debug)]
pub struct SharedPace(Arc<Mutex<Pace>>);

impl SharedPace {
    /// Shares a pace.
    pub fn new(pace: Pace) -> Self {
        Self(Arc::new(Mutex::new(pace)))
    }

    /// The next turn that is due before `end_us`.
    pub fn take_before(&self, end_us: u64) -> Option<u64> {
        let mut pace = self.lock();
        (pace.next_due_us() < end_us).then(|| pace.take_next())
    }

    /// Turns due before that instant that nobody took; counted once, whoever asks first.
    pub fn left_before(&self, end_us: u64) -> u64 {
        self.lock().left_before(end_us)
    }

    /// Held for nanoseconds, once per request: far from the cost of the request itself.
    fn lock(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
