//! What is durable of one lot: a second copy, moved by records alone.

use std::sync::Arc;

use lotkeeper_engine::counts::LotCounts;
use lotkeeper_engine::ids::{LotKey, SlotIndex};
use lotkeeper_engine::invariants;
use lotkeeper_engine::lot::{self, Bays, Effect, LotParts, Moved, Register};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::slot::{self, SensorRules, Slot};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Event, LotSnapshot, Record};

/// One lot as of one sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What is promised.
    pub register: Register,
    /// What is, slot by slot.
    pub slots: Vec<Slot>,
    /// Slots by shown status, kept change by change.
    pub counts: LotCounts,
    /// What each slot shows.
    shown: Vec<Status>,
    /// The lot's sequence.
    pub lot_seq: u64,
    /// The global sequence of its newest record.
    pub seq: u64,
    /// The time of its newest record.
    pub at: Timestamp,
}

impl View {
    /// Of a new lot.
    #[must_use]
    pub fn new(spec: &Arc<Spec>, record: &Record) -> Self {
        let register = Register::new(Arc::clone(spec));
        let slots = vec![Slot::default(); spec.slots.len()];
        Self::build(register, slots, (record.seq, record.lot_seq), record.at)
    }

    /// As a snapshot tells it.
    #[must_use]
    pub fn of(snapshot: LotSnapshot) -> Self {
        let register = Register::from_parts(snapshot.parts);
        Self::build(register, snapshot.slots, (snapshot.seq, snapshot.lot_seq), snapshot.at)
    }

    fn build(
        register: Register,
        slots: Vec<Slot>,
        (seq, lot_seq): (u64, u64),
        at: Timestamp,
    ) -> Self {
        let (counts, shown) = (LotCounts::default(), Vec::new());
        let mut view = Self { register, slots, counts, shown, lot_seq, seq, at };
        view.recount();
        view
    }

    /// What a snapshot of it holds; `parts` are its register's unless a mistake is planted.
    #[must_use]
    pub fn snapshot(&self, lot: usize, seq: u64, parts: LotParts) -> LotSnapshot {
        LotSnapshot {
            lot: LotKey(u32::try_from(lot).unwrap_or(u32::MAX)),
            seq,
            lot_seq: self.lot_seq,
            at: self.at,
            parts,
            slots: self.slots.clone(),
            claims: Vec::new(),
        }
    }

    fn recount(&mut self) {
        let spec = Arc::clone(self.register.spec());
        self.shown = spec.slot_indices().map(|slot| self.status(slot)).collect();
        self.counts = LotCounts::of(&spec, self.shown.iter().copied());
    }

    fn status(&self, slot: SlotIndex) -> Status {
        invariants::status(&self.register, slot, &self.slots[slot.at()])
    }

    /// The rules that sensors are judged by.
    #[must_use]
    pub fn sensor_rules(&self) -> SensorRules {
        let rules = &self.register.spec().rules;
        SensorRules { silence: rules.silence, skew: rules.skew }
    }

    /// What stands on the slots, and since when.
    #[must_use]
    pub fn bays(&self) -> Vec<Option<(bool, Timestamp)>> {
        let since = |slot: &Slot| slot.occupied().zip(slot.hearing.map(|it| it.changed_at));
        self.slots.iter().map(since).collect()
    }

    /// A record became durable.
    pub fn apply(&mut self, record: &Record) {
        (self.seq, self.lot_seq, self.at) = (record.seq, record.lot_seq, record.at);
        match &record.event {
            Event::Slot(index, event) => {
                slot::apply(&mut self.slots[index.at()], event, record.at);
                self.show(*index);
            }
            Event::Lot(event) => {
                let effect = self.register.apply(event, record.at);
                if matches!(event, lot::Event::SlotChanged(_)) {
                    // Its groups change: there is no "before" to move from.
                    return self.recount();
                }
                self.follow(&effect);
            }
        }
    }

    /// Every slot that an event may have changed shows what it shows now; one that is forgotten here is found
    /// by invariant I2.
    fn follow(&mut self, effect: &Effect) {
        let mut stay = |moved: &Moved| {
            let slots = [moved.before.as_ref().and_then(|stay| stay.slot), moved.after.slot];
            slots.into_iter().flatten().for_each(|slot| self.show(slot));
        };
        match effect {
            Effect::Stay(moved) => stay(moved),
            Effect::Reservation { before, after, stay: moved } => {
                moved.iter().for_each(&mut stay);
                let slots = before.iter().chain([after]).map(|reservation| reservation.slot);
                slots.for_each(|slot| self.show(slot));
            }
            Effect::Service { slot, .. } => self.show(*slot),
            Effect::Nothing
            | Effect::Created
            | Effect::Values { .. }
            | Effect::Attributes
            | Effect::Pass(_)
            | Effect::Waiting(_)
            | Effect::Violation(_) => {}
        }
    }

    fn show(&mut self, slot: SlotIndex) {
        let spec = Arc::clone(self.register.spec());
        let (before, after) = (self.shown[slot.at()], self.status(slot));
        self.counts.change(&spec.slots[slot.at()], before, after);
        self.shown[slot.at()] = after;
    }

    /// Every broken invariant.
    #[must_use]
    pub fn broken(&self) -> Vec<invariants::Broken> {
        let mut broken = invariants::check_register(&self.register);
        broken.extend(invariants::check_counts(&self.register, self.slots.iter(), &self.counts));
        broken
    }
}

/// Bays as readers know them: behind the sensors by what is in flight.
impl Bays for View {
    fn occupied(&self, slot: SlotIndex) -> Option<bool> {
        self.slots.get(slot.at()).and_then(Slot::occupied)
    }

    fn occupied_since(&self, slot: SlotIndex) -> Option<Timestamp> {
        self.slots.get(slot.at())?.hearing.map(|hearing| hearing.changed_at)
    }

    /// No lot here has a price that hangs on demand.
    fn occupancy(&self) -> PerMille {
        PerMille(0)
    }
}
