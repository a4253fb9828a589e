//! How many places of each lot show as free: one word a lot, written by the publisher, read by every search.
//!
//! A search over all lots of a tenant looks at each number; a lot's view lies behind a lock and several
//! pointers, a thousand of these words in eight kilobytes. Invariant: a number is that of the durable view,
//! written while the view is changed, so whoever was answered finds it. Absent: which lot has which (the
//! lots' entries know).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers side by side.
const CHUNK: usize = 1_024;

/// What the lot shows in the lower half, what its slots show in the upper one.
type Chunk = [AtomicU64; CHUNK];

/// The number of one lot. A copy is the same number.
#[derive(Clone)]
pub(crate) struct Room {
    chunk: Arc<Chunk>,
    at: u16,
}

impl Room {
    /// Written by one thread at a time. What was done before is told with the reply that follows, which
    /// orders it before whatever its receiver asks next.
    pub fn set(&self, free: Free) {
        let number = &self.chunk[usize::from(self.at)];
        let both = u64::from(free.of_slots) << 32 | u64::from(free.shown);
        // Most records change no number: a line that is only read stays with those who read it.
        if number.load(Ordering::Relaxed) != both {
            number.store(both, Ordering::Relaxed);
        }
    }

    pub fn free(&self) -> Free {
        let both = self.chunk[usize::from(self.at)].load(Ordering::Relaxed);
        // Both halves were made of 32 bits.
        let half = |bits: u64| u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        Free { shown: half(both), of_slots: half(both >> 32) }
    }
}

/// Places that show as free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Free {
    /// Of the lot as a whole: where it is counted, by its count.
    pub shown: u32,
    /// Slots, whatever a count says: the most of those that fit anybody's needs.
    pub of_slots: u32,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({:?})", self.free())
    }
}

/// Gives out numbers, in the order in which lots are made.
pub(crate) struct Rooms {
    chunk: Arc<Chunk>,
    taken: u16,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { chunk: chunk(), taken: 0 }
    }
}

impl Rooms {
    /// A number that nobody has.
    pub fn next(&mut self) -> Room {
        if usize::from(self.taken) == CHUNK {
            *self = Self::default();
        }
        let room = Room { chunk: Arc::clone(&self.chunk), at: self.taken };
        self.taken += 1;
        room
    }
}

fn chunk() -> Arc<Chunk> {
    Arc::new(std::array::from_fn(|_| AtomicU64::new(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lot_has_a_number_of_its_own() {
        let mut rooms = Rooms::default();
        let lots: Vec<Room> = (0..2 * CHUNK + 1).map(|_| rooms.next()).collect();
        for (free, lot) in (0..).zip(&lots) {
            lot.set(Free { shown: free, of_slots: free + 1 });
        }
        assert!(
            (0..)
                .zip(&lots)
                .all(|(free, lot)| lot.free() == Free { shown: free, of_slots: free + 1 })
        );
    }
}
