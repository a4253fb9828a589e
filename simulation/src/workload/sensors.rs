//! Sensors, their clocks, and the network between them and the engine.
//!
//! Readings come late, twice, in another order, from the future, in bursts after an outage, from flapping
//! sensors, or not at all. A message that is sent again is the same message.

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::slot::{Reading, Source};
use lotkeeper_engine::time::Timestamp;

use crate::dice::Dice;

/// A reading on its way.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// When it arrives at the earliest.
    pub due: Timestamp,
    /// Of which lot.
    pub lot: usize,
    /// Of which slot.
    pub slot: SlotIndex,
    /// What it says.
    pub reading: Reading,
}

#[derive(Clone, Copy, Debug)]
struct Sensor {
    lot: usize,
    slot: SlotIndex,
    occupied: bool,
    sequence: u64,
    /// How far its clock is off; without one, the time of receipt counts.
    clock_off_micros: Option<i64>,
    gives_ids: bool,
    gives_sequence: bool,
    temper: Temper,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Temper {
    Good,
    Flapping,
    Dead,
}

/// All sensors and the network.
#[derive(Debug, Default)]
pub struct Sensors {
    all: Vec<Sensor>,
    wire: Vec<Message>,
    /// Everything sent before this moment waits until it: an outage.
    outage_until: Timestamp,
}

/// More than this on the wire, and the network drops.
const WIRE_MAX: usize = 400;

impl Sensors {
    /// A sensor for every slot of a lot.
    pub fn equip(&mut self, dice: &mut Dice, lot: usize, slots: usize) {
        for index in 0..slots {
            let off = match dice.below(8) {
                0 => None,
                1 => Some(dice.between(-3_600_000_000, 0)),
                2 => Some(dice.between(0, 300_000_000)),
                _ => Some(dice.between(-2_000_000, 2_000_000)),
            };
            self.all.push(Sensor {
                lot,
                slot: SlotIndex(u16::try_from(index).unwrap_or(u16::MAX)),
                occupied: dice.one_in(2),
                sequence: 0,
                clock_off_micros: off,
                gives_ids: dice.one_in(2),
                gives_sequence: dice.one_in(2),
                temper: Temper::Good,
            });
        }
    }

    /// Some sensor speaks, or changes its temper.
    pub fn sense(&mut self, dice: &mut Dice, now: Timestamp) {
        if dice.one_in(200) {
            self.outage_until =
                Timestamp::from_micros(now.micros() + dice.between(0, 7_200_000_000));
        }
        let position = dice.index(self.all.len());
        let Some(sensor) = self.all.get_mut(position) else { return };
        if dice.one_in(40) {
            sensor.temper =
                [Temper::Good, Temper::Good, Temper::Flapping, Temper::Dead][dice.index(4)];
        }
        let flips = match sensor.temper {
            Temper::Good => dice.one_in(3),
            Temper::Flapping => true,
            Temper::Dead => return,
        };
        sensor.occupied ^= flips;
        sensor.sequence += 1;
        let observed_at = sensor
            .clock_off_micros
            .map(|off| Timestamp::from_micros(now.micros().saturating_add(off)));
        let reading = Reading {
            occupied: sensor.occupied,
            observed_at,
            sequence: if sensor.gives_sequence { sensor.sequence } else { 0 },
            id_hash: if sensor.gives_ids { (position as u64) << 32 | sensor.sequence } else { 0 },
            source: if dice.one_in(20) { Source::Staff } else { Source::Sensor },
            confidence_percent: dice.one_in(2).then_some(90),
        };
        let delay = match dice.below(10) {
            0 => dice.between(0, 600_000_000),
            1..4 => dice.between(0, 5_000_000),
            _ => 0,
        };
        let due = Timestamp::from_micros(now.micros() + delay).max(self.outage_until);
        let message = Message { due, lot: sensor.lot, slot: sensor.slot, reading };
        if self.wire.len() < WIRE_MAX {
            self.wire.push(message);
        }
    }

    /// One of the messages that are due, in any order; it may come again later.
    pub fn arrive(&mut self, dice: &mut Dice, now: Timestamp) -> Option<Message> {
        let start = dice.index(self.wire.len());
        let from_start = (start..self.wire.len()).chain(0..start);
        let position = from_start.take(16).find(|at| self.wire[*at].due <= now)?;
        if dice.one_in(8) {
            let again = &mut self.wire[position];
            again.due = Timestamp::from_micros(now.micros() + dice.between(0, 60_000_000));
            return Some(*again);
        }
        Some(self.wire.swap_remove(position))
    }

    /// Every sensor of a lot speaks and changes its mind, so often in a row, and all of it arrives at once:
    /// what a gateway sends after an outage.
    pub fn burst(&mut self, lot: usize, now: Timestamp, times: u64) -> Vec<Message> {
        let mut messages = Vec::new();
        for round in 0..times {
            for sensor in self.all.iter_mut().filter(|sensor| sensor.lot == lot) {
                sensor.occupied = !sensor.occupied;
                sensor.sequence += 1;
                let observed_at =
                    Timestamp::from_micros(now.micros() + i64::try_from(round).unwrap_or_default());
                let reading = Reading {
                    occupied: sensor.occupied,
                    observed_at: Some(observed_at),
                    sequence: sensor.sequence,
                    id_hash: 0,
                    source: Source::Sensor,
                    confidence_percent: None,
                };
                messages.push(Message { due: now, lot: sensor.lot, slot: sensor.slot, reading });
            }
        }
        messages
    }

    /// Puts back what found nobody: the sender tries again.
    pub fn put_back(&mut self, message: Message) {
        self.wire.push(message);
    }
}
