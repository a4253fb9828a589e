//! What a search of lots asks of the index, in which order, and where in an order a lot stands.
//!
//! Absent: what a lot has to offer in a window or for a stay; whoever asks judges that by its view.

use std::cmp::{Ordering, Reverse};

use lotkeeper_engine::spec::Position;

use crate::directory::LotHandle;
use crate::facts::Filter;

/// The order in which lots are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By code.
    Code,
    /// The nearest first.
    Distance,
    /// The most places that show as free first, then the nearest.
    Free,
}

/// Which lots are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// Around which place, and how many kilometres; anywhere without.
    pub circle: Option<(Position, f64)>,
    /// What they are made of.
    pub filter: &'a Filter,
    /// Places that show as free.
    pub free_min: u32,
    /// Whether free slots count, whatever the lot as a whole shows: the most that anybody's needs may find.
    pub by_slots: bool,
    /// In which order.
    pub order: Order,
}

/// A lot's place in an order. What the order does not rest on is nought in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Places that show as free.
    pub free: u32,
    /// From the middle of the circle.
    pub metres: u32,
    /// The lot's code.
    pub code: Box<str>,
}

/// A lot that may be what is sought.
#[derive(Clone, Debug)]
pub struct Near {
    /// Which.
    pub lot: LotHandle,
    /// How far away along the great circle, in whole metres; nought where the order does not rest on it.
    pub metres: u32,
    /// Places that showed as free; nought where the order does not rest on them.
    pub free: u32,
}

impl Near {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { free: self.free, metres: self.metres, code: self.lot.code().into() }
    }
}

/// A lot and where it stands. Codes are looked at where nothing else decides: they lie far from each other.
pub(crate) struct Step<'a> {
    pub free: u32,
    pub metres: u32,
    pub lot: &'a LotHandle,
}

impl Step<'_> {
    pub fn key(&self) -> (Reverse<u32>, u32, &str) {
        (Reverse(self.free), self.metres, self.lot.code())
    }

    pub fn near(&self) -> Near {
        Near { lot: self.lot.clone(), metres: self.metres, free: self.free }
    }
}

impl PartialEq for Step<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Step<'_> {}

impl PartialOrd for Step<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Step<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = (Reverse(self.free), self.metres).cmp(&(Reverse(other.free), other.metres));
        numbers.then_with(|| self.lot.code().cmp(other.lot.code()))
    }
}
