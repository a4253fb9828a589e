//! The client's own model of the slots it plays: what was sent, and the last reading that was acknowledged.
//!
//! Readings go round the slots of a shard and flip each at every visit, so the number of a reading in the
//! shard (its position) says everything about it: slot, source sequence and state. A batch in flight is
//! then two numbers, whatever its size. Absent: what reservations do to the shown status (see `verify`).

use crate::fleet::Shard;

/// A run of readings of one shard, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Position of the first.
    pub from: u64,
    /// How many.
    pub count: usize,
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The slot, from the shard's first.
    pub offset: usize,
    /// The source's sequence of the slot, from 1.
    pub sequence: u64,
    /// What the sensor says.
    pub occupied: bool,
}

/// What the server must show of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No reading was acknowledged.
    Unheard,
    /// The last acknowledged reading says so.
    Occupied,
    /// The last acknowledged reading says so.
    Empty,
    /// A newer reading went out and nobody knows whether it counted.
    Unsure,
}

/// The slots of one shard.
#[derive(Debug)]
pub struct ShardModel {
    /// Which slots.
    pub shard: Shard,
    seed: u64,
    sent: u64,
    /// Per slot, the highest sequence acknowledged; 0 for none.
    acked: Vec<u64>,
    /// Per slot, the highest sequence whose outcome is unknown; 0 for none.
    unsure: Vec<u64>,
}

impl ShardModel {
    /// Nothing sent yet.
    pub fn new(shard: Shard, seed: u64) -> Self {
        let slots = shard.slots.len();
        Self { shard, seed, sent: 0, acked: vec![0; slots], unsure: vec![0; slots] }
    }

    /// How many slots it has.
    pub fn slots(&self) -> usize {
        self.acked.len()
    }

    /// The next readings to send.
    pub fn take(&mut self, count: usize) -> Portion {
        let portion = Portion { from: self.sent, count };
        self.sent += count as u64;
        portion
    }

    /// The readings of a portion, in order.
    pub fn readings(&self, portion: Portion) -> impl Iterator<Item = Reading> + '_ {
        let slots = self.acked.len();
        // Divided once and then counted on: this runs for every reading at full speed.
        let mut offset = (portion.from % slots as u64) as usize;
        let mut sequence = portion.from / slots as u64 + 1;
        (0..portion.count).map(move |_| {
            let reading = Reading { offset, sequence, occupied: self.occupied(offset, sequence) };
            offset += 1;
            if offset == slots {
                (offset, sequence) = (0, sequence + 1);
            }
            reading
        })
    }

    /// The server answered for all but the refused ones (positions in the batch, ascending or not).
    pub fn acknowledge(&mut self, portion: Portion, refused: &[usize]) {
        self.mark(portion, refused, |model, offset, sequence| {
            model.acked[offset] = model.acked[offset].max(sequence);
        });
    }

    /// Nobody knows whether the server took these.
    pub fn lose(&mut self, portion: Portion) {
        self.mark(portion, &[], |model, offset, sequence| {
            model.unsure[offset] = model.unsure[offset].max(sequence);
        });
    }

    fn mark(&mut self, portion: Portion, skip: &[usize], set: impl Fn(&mut Self, usize, u64)) {
        let slots = self.acked.len();
        let mut offset = (portion.from % slots as u64) as usize;
        let mut sequence = portion.from / slots as u64 + 1;
        for index in 0..portion.count {
            if skip.is_empty() || !skip.contains(&index) {
                set(self, offset, sequence);
            }
            offset += 1;
            if offset == slots {
                (offset, sequence) = (0, sequence + 1);
            }
        }
    }

    /// What the server must show, slot by slot.
    pub fn expected(&self) -> impl Iterator<Item = (usize, Expected)> + '_ {
        self.acked.iter().zip(&self.unsure).enumerate().map(|(offset, (acked, unsure))| {
            let expected = match (*acked, *unsure) {
                (acked, unsure) if unsure > acked => Expected::Unsure,
                (0, _) => Expected::Unheard,
                (acked, _) if self.occupied(offset, acked) => Expected::Occupied,
                _ => Expected::Empty,
            };
            (self.shard.slots.start + offset, expected)
        })
    }

    /// Slots begin differently, so that a batch is not all arrivals and the next all departures.
    fn occupied(&self, offset: usize, sequence: u64) -> bool {
        let slot = (self.shard.slots.start + offset) as u64;
        let bias = (slot ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63;
        (sequence ^ bias) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(slots: usize) -> ShardModel {
        ShardModel::new(Shard { lot: 0, slots: 3..3 + slots }, 1)
    }

    #[test]
    fn readings_flip_every_slot_with_rising_sequences() {
        let mut model = model(3);
        model.take(2);
        let portion = model.take(7);
        let readings: Vec<Reading> = model.readings(portion).collect();
        let marks: Vec<(usize, u64)> = readings.iter().map(|r| (r.offset, r.sequence)).collect();
        assert_eq!(marks, [(2, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3), (2, 3)]);
        let of_last: Vec<bool> =
            readings.iter().filter(|r| r.offset == 2).map(|r| r.occupied).collect();
        assert!(of_last.windows(2).all(|pair| pair[0] != pair[1]), "{of_last:?}");
    }

    #[test]
    fn the_highest_acknowledged_sequence_counts_whatever_the_order() {
        let mut model = model(2);
        let (first, second) = (model.take(2), model.take(2));
        let last: Vec<bool> = model.readings(second).map(|r| r.occupied).collect();
        model.acknowledge(second, &[]);
        model.acknowledge(first, &[]);
        for ((slot, expected), occupied) in model.expected().zip(last) {
            let want = if occupied { Expected::Occupied } else { Expected::Empty };
            assert_eq!(expected, want, "slot {slot}");
        }
    }

    #[test]
    fn refused_lost_and_unsent_readings_leave_their_marks() {
        let mut model = model(3);
        let (first, lost) = (model.take(2), model.take(2));
        model.acknowledge(first, &[0]);
        assert_eq!(model.expected().next(), Some((3, Expected::Unheard)), "refused");
        model.lose(lost);
        let expected: Vec<Expected> = model.expected().map(|(_, expected)| expected).collect();
        // Slot 0: refused, then its second reading lost. Slot 1: acknowledged. Slot 2: its first lost.
        assert_eq!(expected[0], Expected::Unsure);
        assert!(matches!(expected[1], Expected::Occupied | Expected::Empty));
        assert_eq!(expected[2], Expected::Unsure);
        let second_of_1 = model.take(1);
        model.acknowledge(Portion { from: second_of_1.from, count: 1 }, &[]);
        assert!(model.expected().all(|(_, e)| e != Expected::Unheard));
    }
}
