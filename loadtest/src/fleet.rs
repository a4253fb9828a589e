//! The lots of a run: their codes, their slots' codes, and which connection plays which slots' sensors.
//!
//! Invariant: a slot belongs to exactly one ingest connection, so its readings leave in order.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// All lots of a run; every lot has the same slots.
#[derive(Debug)]
pub struct Fleet {
    /// The lots.
    pub lots: Vec<Lot>,
    /// Slots of each lot.
    pub slots_per_lot: usize,
}

/// One lot as the client knows it.
#[derive(Debug)]
pub struct Lot {
    /// Its code.
    pub code: String,
    /// The highest lot sequence any client was told by an answer: the next read must show at least this.
    told_seq: AtomicU64,
}

impl Lot {
    /// Remembers what an answer said.
    pub fn was_told(&self, seq: u64) {
        self.told_seq.fetch_max(seq, Ordering::AcqRel);
    }

    /// What a read that begins now must show.
    pub fn told_seq(&self) -> u64 {
        self.told_seq.load(Ordering::Acquire)
    }
}

impl Fleet {
    /// `run` keeps the codes of two runs on one server apart.
    pub fn new(run: &str, lots: usize, slots_per_lot: usize) -> Self {
        let lot = |index| Lot { code: format!("LT-{run}-{index:05}"), told_seq: AtomicU64::new(0) };
        Self { lots: (0..lots).map(lot).collect(), slots_per_lot }
    }
}

/// The code of a slot; all have the same length, so that readings do.
pub fn slot_code(index: usize) -> String {
    format!("S{index:05}")
}

/// Slots of one lot whose sensors one connection plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Position of the lot in the fleet.
    pub lot: usize,
    /// Its slots.
    pub slots: Range<usize>,
}

/// Deals the lots to the connections; where there are more connections than lots, a lot's slots are divided.
pub fn shards(lots: usize, slots_per_lot: usize, connections: usize) -> Vec<Vec<Shard>> {
    let mut dealt = vec![Vec::new(); connections];
    if connections == 0 {
        return dealt;
    }
    for lot in 0..lots {
        let players: Vec<usize> = match connections <= lots {
            true => vec![lot % connections],
            false => (lot..connections).step_by(lots).collect(),
        };
        for (part, player) in players.iter().enumerate() {
            let bound = |part: usize| slots_per_lot * part / players.len();
            let slots = bound(part)..bound(part + 1);
            if !slots.is_empty() {
                dealt[*player].push(Shard { lot, slots });
            }
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_slot_belongs_to_exactly_one_connection() {
        for (lots, slots, connections) in
            [(1, 1, 1), (100, 100, 4), (3, 10, 2), (2, 10, 7), (1, 5, 3)]
        {
            let dealt = shards(lots, slots, connections);
            assert_eq!(dealt.len(), connections);
            assert!(dealt.iter().all(|own| !own.is_empty()), "{lots}x{slots} over {connections}");
            let all: Vec<(usize, usize)> = dealt
                .iter()
                .flatten()
                .flat_map(|shard| shard.slots.clone().map(move |slot| (shard.lot, slot)))
                .collect();
            assert_eq!(all.len(), lots * slots, "{lots}x{slots} over {connections}");
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        }
    }

    #[test]
    fn what_was_told_never_falls() {
        let fleet = Fleet::new("t", 1, 1);
        fleet.lots[0].was_told(7);
        fleet.lots[0].was_told(5);
        assert_eq!(fleet.lots[0].told_seq(), 7);
    }
}
