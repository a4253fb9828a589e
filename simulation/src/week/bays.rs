//! What truly stands on the slots, and the sensors that tell of it: good ones and bad ones.
//!
//! Invariant: a sensor without a planted fault tells the truth, within seconds.

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::slot::{Command, Reading, Source};
use lotkeeper_engine::time::{Seconds, Timestamp};

use super::calibration::{LATE_SECONDS, quantile_micros};
use super::lots::SLOTS;
use super::world::{Step, World};

/// What is wrong with a sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// Says nothing in that time.
    Silent { from: Timestamp, to: Timestamp },
    /// Says from then on what it said last, as a third of Melbourne's did.
    Stuck { from: Timestamp },
    /// Changes arrive as late as Bath's.
    Late,
    /// Shakes now and then.
    Flapping,
}

/// A slot as it truly is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bay {
    /// Which car stands there.
    pub stands: Option<usize>,
    /// Since when.
    pub changed_at: Timestamp,
    pub fault: Fault,
    /// When the lot wants to look again.
    pub look_at: Option<Timestamp>,
    /// What the sensor believes.
    says: bool,
    sequence: u64,
}

impl Bay {
    fn is_mute(&self, now: Timestamp) -> bool {
        match self.fault {
            Fault::Silent { from, to } => from <= now && now < to,
            Fault::Stuck { from } => from <= now,
            Fault::None | Fault::Late | Fault::Flapping => false,
        }
    }
}

const HEARTBEAT_SECONDS: i64 = 3 * 3_600;
const SILENCE_CHECK_SECONDS: i64 = 1_800;

impl World {
    /// Sensors on every slot, some of them bad.
    pub fn install(&mut self, lot: usize) {
        let hours = u64::try_from(self.clock.hours()).unwrap_or_default();
        for slot in 0..SLOTS[lot] {
            let from = self.clock.hour(i64::try_from(self.dice.below(hours)).unwrap_or_default());
            let fault = match self.dice.below(1_000) {
                0..20 => {
                    Fault::Silent { from, to: from.plus(Seconds(self.dice.count(43_200, 144_000))) }
                }
                20..30 => Fault::Stuck { from },
                30..80 => Fault::Late,
                80..100 => Fault::Flapping,
                _ => Fault::None,
            };
            if fault == Fault::Flapping {
                for _ in 0..3 {
                    let hour = i64::try_from(self.dice.below(hours)).unwrap_or_default();
                    let times = 2 * u8::try_from(self.dice.below(5)).unwrap_or_default() + 3;
                    self.at(self.clock.hour(hour), Step::Flap(lot, SlotIndex(slot), times));
                }
            }
            let changed_at = self.now;
            self.bays[lot].push(Bay { fault, changed_at, ..Bay::default() });
        }
        self.after(60, Step::Heartbeats(lot));
        if lot == 0 {
            self.after(SILENCE_CHECK_SECONDS, Step::Silence);
        }
    }

    /// A slot where nothing stands, anywhere.
    pub fn free_bay(&mut self, lot: usize) -> Option<SlotIndex> {
        let first = self.dice.index(self.bays[lot].len());
        let number = self.bays[lot].len();
        let found = (0..number).map(|step| (first + step) % number);
        let mut free = found.filter(|at| self.bays[lot][*at].stands.is_none());
        free.next().and_then(|at| u16::try_from(at).ok()).map(SlotIndex)
    }

    /// A car comes onto a slot, or goes.
    pub fn stand(&mut self, lot: usize, slot: SlotIndex, car: Option<usize>) {
        let now = self.now;
        let bay = &mut self.bays[lot][slot.at()];
        (bay.stands, bay.changed_at) = (car, now);
        if bay.is_mute(now) {
            return;
        }
        bay.says = car.is_some();
        let delay_micros = match bay.fault {
            Fault::Late => quantile_micros(&LATE_SECONDS, self.dice.below(1_000)),
            _ => self.dice.below(4_000_000),
        };
        let reading = self.reading(lot, slot);
        let at = i64::try_from(delay_micros).unwrap_or_default();
        let at = Timestamp::from_micros(self.now.micros() + at);
        self.at(at, Step::Deliver(lot, slot, reading));
        if self.dice.one_in(100) {
            self.at(at.plus(Seconds(3)), Step::Deliver(lot, slot, reading));
        }
    }

    fn reading(&mut self, lot: usize, slot: SlotIndex) -> Reading {
        let id_hash = self.dice.number() | 1;
        let bay = &mut self.bays[lot][slot.at()];
        bay.sequence += 1;
        Reading {
            occupied: bay.says,
            observed_at: Some(self.now),
            sequence: bay.sequence,
            id_hash,
            source: Source::Sensor,
            confidence_percent: None,
        }
    }

    pub(super) fn read(
        &mut self,
        lot: usize,
        slot: SlotIndex,
        reading: Reading,
    ) -> Result<(), String> {
        self.ask_slot(lot, slot, &Command::Read(reading))
    }

    pub(super) fn flap(&mut self, lot: usize, slot: SlotIndex, left: u8) {
        let bay = &mut self.bays[lot][slot.at()];
        // An even number of times, then it says again what is.
        bay.says = left.is_multiple_of(2) != bay.stands.is_some();
        let reading = self.reading(lot, slot);
        self.at(self.now, Step::Deliver(lot, slot, reading));
        if left > 1 {
            let gap = self.dice.between(2, 4);
            self.after(gap, Step::Flap(lot, slot, left - 1));
        }
    }

    pub(super) fn heartbeats(&mut self, lot: usize) -> Result<(), String> {
        for slot in (0..SLOTS[lot]).map(SlotIndex) {
            let now = self.now;
            let bay = &mut self.bays[lot][slot.at()];
            match bay.fault {
                Fault::Silent { .. } if bay.is_mute(now) => continue,
                Fault::Stuck { .. } if bay.is_mute(now) => {}
                _ => bay.says = bay.stands.is_some(),
            }
            let reading = self.reading(lot, slot);
            self.read(lot, slot, reading)?;
        }
        self.after(HEARTBEAT_SECONDS, Step::Heartbeats(lot));
        Ok(())
    }

    pub(super) fn silence(&mut self) -> Result<(), String> {
        let listening_since = self.node.listening_since;
        for (lot, slots) in SLOTS.into_iter().enumerate() {
            for slot in (0..slots).map(SlotIndex) {
                let silence = self.node.lots[lot].view.sensor_rules().silence;
                let actor = self.node.lots[lot].slots[slot.at()].as_ref();
                let heard = actor.filter(|it| it.silent_since.is_none()).and_then(|it| it.hearing);
                if heard.is_some_and(|heard| heard.heard_at.plus(silence) <= self.now) {
                    self.ask_slot(lot, slot, &Command::CheckSilence { listening_since })?;
                }
            }
        }
        self.after(SILENCE_CHECK_SECONDS, Step::Silence);
        Ok(())
    }
}
