//! What is durable of one lot: a second copy, moved by records alone.

use std::sync::Arc;

use lotkeeper_engine::counts::LotCounts;
use lotkeeper_engine::ids::{LotKey, SlotIndex};
use lotkeeper_engine::invariants;
use lotkeeper_engine::lot::{self, Bays, Ledger, LotParts};
use lotkeeper_engine::slot::{self, SensorRules, Slot};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Event, LotSnapshot, Record};

/// One lot as of one sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What is promised.
    pub ledger: Ledger,
    /// What is, slot by slot.
    pub slots: Vec<Slot>,
    /// Slots by shown status, kept change by change.
    pub counts: LotCounts,
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
        let ledger = Ledger::new(Arc::clone(spec));
        let slots = vec![Slot::default(); spec.slots.len()];
        Self::build(ledger, slots, (record.seq, record.lot_seq), record.at)
    }

    /// As a snapshot tells it.
    #[must_use]
    pub fn of(snapshot: LotSnapshot) -> Self {
        let ledger = Ledger::from_parts(snapshot.parts);
        Self::build(ledger, snapshot.slots, (snapshot.seq, snapshot.lot_seq), snapshot.at)
    }

    fn build(ledger: Ledger, slots: Vec<Slot>, (seq, lot_seq): (u64, u64), at: Timestamp) -> Self {
        let mut view = Self { ledger, slots, counts: LotCounts::default(), lot_seq, seq, at };
        view.recount();
        view
    }

    /// What a snapshot of it holds; `parts` are its ledger's unless a mistake is planted.
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
        let spec = Arc::clone(self.ledger.spec());
        self.counts = LotCounts::of(&spec, spec.slot_indices().map(|slot| self.status(slot)));
    }

    fn status(&self, slot: SlotIndex) -> Status {
        invariants::status(&self.ledger, slot, &self.slots[slot.at()])
    }

    /// The rules that sensors are judged by.
    #[must_use]
    pub fn sensor_rules(&self) -> SensorRules {
        let rules = &self.ledger.spec().rules;
        SensorRules { silence: rules.silence, skew: rules.skew }
    }

    /// What stands on the slots.
    #[must_use]
    pub fn bays(&self) -> Vec<Option<bool>> {
        self.slots.iter().map(Slot::occupied).collect()
    }

    /// A record became durable.
    pub fn apply(&mut self, record: &Record) {
        (self.seq, self.lot_seq, self.at) = (record.seq, record.lot_seq, record.at);
        let spec = Arc::clone(self.ledger.spec());
        let before: Vec<Status> = spec.slot_indices().map(|slot| self.status(slot)).collect();
        match &record.event {
            Event::Slot(index, event) => slot::apply(&mut self.slots[index.at()], event, record.at),
            Event::Lot(event) => {
                drop(self.ledger.apply(event, record.at));
                if matches!(event, lot::Event::SlotChanged(_)) {
                    // Its groups change: there is no "before" to move from.
                    return self.recount();
                }
            }
        }
        for ((index, slot), before) in spec.slot_indices().zip(&spec.slots).zip(before) {
            self.counts.change(slot, before, self.status(index));
        }
    }

    /// Every broken invariant.
    #[must_use]
    pub fn broken(&self) -> Vec<invariants::Broken> {
        let mut broken = invariants::check_ledger(&self.ledger);
        broken.extend(invariants::check_counts(&self.ledger, self.slots.iter(), &self.counts));
        broken
    }
}

/// Bays as readers know them: behind the sensors by what is in flight.
impl Bays for View {
    fn occupied(&self, slot: SlotIndex) -> Option<bool> {
        self.slots.get(slot.at()).and_then(Slot::occupied)
    }
}
