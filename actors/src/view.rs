//! The durable view: a second copy of every lot, built from what is durable and nothing else.
//!
//! Reads, lists, stream snapshots, journal snapshots and restarted actors all take it from here. It is
//! consistent as of one sequence: a reader holds a whole copy, for the price of a few pointers.

use std::sync::Arc;

use imbl::Vector;
use lotkeeper_engine::counts::{Counts, LotCounts};
use lotkeeper_engine::ids::{LotKey, SlotIndex};
use lotkeeper_engine::lot::{self, Bays, Effect, Ledger};
use lotkeeper_engine::slot::{self, Slot};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_engine::{ids::ReservationId, invariants};
use lotkeeper_storage::{ClaimOutcome, Event, LotSnapshot, Record, RememberedClaim};

use crate::ring::{Change, ChangeKind};

/// One lot as of one sequence.
#[derive(Clone, Debug)]
pub struct LotView {
    /// What is promised; what only decisions need is the actor's alone.
    pub lot: Ledger,
    /// What is, slot by slot.
    pub slots: Vector<Slot>,
    /// Slots by shown status.
    pub counts: LotCounts,
    /// The lot's sequence.
    pub lot_seq: u64,
    /// The global sequence of the lot's newest record.
    pub seq: u64,
    /// Record time of the newest record.
    pub at: Timestamp,
    /// Events of the lot itself (not of its slots) so far: tells an actor whether its own are all here.
    pub(crate) lot_events: u64,
}

impl LotView {
    pub(crate) fn new(spec: &Arc<Spec>, record: &Record) -> Self {
        let lot = Ledger::new(Arc::clone(spec));
        let slots: Vector<Slot> = spec.slots.iter().map(|_| Slot::default()).collect();
        Self::build(lot, slots, (record.seq, record.lot_seq), record.at)
    }

    pub(crate) fn from_snapshot(snapshot: LotSnapshot) -> Self {
        let lot = Ledger::from_parts(snapshot.parts);
        let slots = snapshot.slots.into_iter().collect();
        Self::build(lot, slots, (snapshot.seq, snapshot.lot_seq), snapshot.at)
    }

    fn build(lot: Ledger, slots: Vector<Slot>, (seq, lot_seq): (u64, u64), at: Timestamp) -> Self {
        let counts = LotCounts::default();
        let mut view = Self { lot, slots, counts, lot_seq, seq, at, lot_events: 0 };
        view.recount();
        view
    }

    pub(crate) fn snapshot(
        &self,
        lot: LotKey,
        seq: u64,
        claims: impl Iterator<Item = RememberedClaim>,
    ) -> LotSnapshot {
        LotSnapshot {
            lot,
            seq,
            lot_seq: self.lot_seq,
            at: self.at,
            parts: self.lot.parts(),
            slots: self.slots.iter().cloned().collect(),
            claims: claims.collect(),
        }
    }

    fn recount(&mut self) {
        let spec = Arc::clone(self.lot.spec());
        let statuses = spec.slot_indices().map(|slot| self.status(slot));
        self.counts = LotCounts::of(&spec, statuses);
    }

    /// What the lot is made of.
    #[must_use]
    pub fn spec(&self) -> &Arc<Spec> {
        self.lot.spec()
    }

    /// The shown status of a slot; `Unknown` for one that is not there.
    #[must_use]
    pub fn status(&self, slot: SlotIndex) -> Status {
        match self.slots.get(slot.at()) {
            Some(state) => invariants::status(&self.lot, slot, state),
            None => Status::Unknown,
        }
    }

    /// What the lot as a whole shows: its count where it is counted, else its slots.
    #[must_use]
    pub fn shown_counts(&self) -> Counts {
        match self.lot.tally() {
            Some(tally) => tally.counts(self.spec().capacity),
            None if self.adds_up() => self.counts.total,
            None => Counts { unknown: self.spec().capacity, ..Counts::default() },
        }
    }

    /// I1, cheap enough for every record: the statuses add up to the slots.
    pub(crate) fn adds_up(&self) -> bool {
        self.counts.total.capacity() as usize == self.slots.len()
    }

    /// Every broken invariant; empty unless there is a bug.
    #[must_use]
    pub fn broken(&self) -> Vec<invariants::Broken> {
        let mut broken = invariants::check_ledger(&self.lot);
        broken.extend(invariants::check_counts(&self.lot, self.slots.iter(), &self.counts));
        broken
    }

    /// Applies a durable record; tells how watchers see it, and what a command that did this is answered.
    pub(crate) fn apply(&mut self, record: &Record) -> (Change, Option<ClaimOutcome>) {
        debug_assert_eq!(record.lot_seq, self.lot_seq + 1, "a lot's sequence has no gap");
        (self.seq, self.lot_seq, self.at) = (record.seq, record.lot_seq, record.at);
        let mut change = Change {
            seq: record.lot_seq,
            kind: kind(&record.event),
            slot: None,
            at: record.at,
            observed_at: observed_at(&record.event),
            window: None,
        };
        match &record.event {
            Event::Slot(slot, event) => {
                change.slot = self.move_slot(*slot, |view| {
                    if let Some(state) = view.slots.get_mut(slot.at()) {
                        slot::apply(state, event, record.at);
                    }
                });
            }
            Event::Lot(event) => {
                self.lot_events += 1;
                let outcome = self.apply_to_lot(event, record.at, &mut change);
                return (change, outcome);
            }
        }
        (change, None)
    }

    fn apply_to_lot(
        &mut self,
        event: &lot::Event,
        at: Timestamp,
        change: &mut Change,
    ) -> Option<ClaimOutcome> {
        let slot = match subject(event) {
            Subject::Lot => None,
            Subject::Slot(slot) | Subject::New(slot, _) => Some(slot),
            Subject::Reservation(id) => self.lot.reservation(id).map(|r| r.slot),
        };
        let Some(slot) = slot else {
            self.lot.apply(event, at);
            return self.outcome_of(event);
        };
        if matches!(event, lot::Event::SlotChanged(_)) {
            // Its groups change: there is no "before" to move from.
            self.lot.apply(event, at);
            self.recount();
            change.slot = Some((slot, self.status(slot)));
            return self.outcome_of(event);
        }
        let mut moved = None;
        change.slot = self.move_slot(slot, |view| {
            if let Effect::Reservation { after, .. } = view.lot.apply(event, at) {
                moved = Some(after);
            }
        });
        change.window = moved.as_ref().map(|reservation| reservation.window);
        moved.map(ClaimOutcome::Reservation).or_else(|| self.outcome_of(event))
    }

    fn move_slot(
        &mut self,
        slot: SlotIndex,
        apply: impl FnOnce(&mut Self),
    ) -> Option<(SlotIndex, Status)> {
        let before = self.status(slot);
        apply(self);
        let after = self.status(slot);
        let spec = self.lot.spec();
        if let Some(slot) = spec.slot(slot) {
            self.counts.change(slot, before, after);
        }
        Some((slot, after))
    }

    /// The answer to a command that touched what `event` touches, as it stands now.
    pub(crate) fn outcome_of(&self, event: &lot::Event) -> Option<ClaimOutcome> {
        let outcome = match event {
            lot::Event::Counted { .. } => lot::Outcome::Count(lot::CountOutcome::Accepted),
            lot::Event::CounterFellSilent => return None,
            _ => match subject(event) {
                Subject::Lot => lot::Outcome::Lot,
                Subject::Slot(slot) => lot::Outcome::Slot(slot),
                Subject::New(_, id) | Subject::Reservation(id) => lot::Outcome::Reservation(id),
            },
        };
        answer(&self.lot, &outcome)
    }
}

/// What a lot's event is about.
enum Subject {
    Lot,
    Slot(SlotIndex),
    New(SlotIndex, ReservationId),
    Reservation(ReservationId),
}

fn subject(event: &lot::Event) -> Subject {
    use lot::Event as E;
    match event {
        E::Created(_) | E::Changed(_) | E::Counted { .. } | E::CounterFellSilent => Subject::Lot,
        E::SlotChanged(values) => Subject::Slot(values.slot),
        E::ServiceChanged { slot, .. } => Subject::Slot(*slot),
        E::Reserved(reserved) => Subject::New(reserved.slot, reserved.id),
        E::Confirmed { id }
        | E::Modified { id, .. }
        | E::Cancelled { id, .. }
        | E::Expired { id }
        | E::HoldBegan { id }
        | E::CheckedIn { id, .. }
        | E::NoShow { id }
        | E::Completed { id } => Subject::Reservation(*id),
    }
}

/// The answer to a granted command, from the state after it.
pub(crate) fn answer(lot: &Ledger, outcome: &lot::Outcome) -> Option<ClaimOutcome> {
    Some(match outcome {
        lot::Outcome::Reservation(id) => {
            ClaimOutcome::Reservation(Arc::clone(lot.reservation(*id)?))
        }
        lot::Outcome::Slot(slot) => {
            ClaimOutcome::Slot { slot: *slot, version: lot.promise(*slot)?.version }
        }
        lot::Outcome::Lot | lot::Outcome::Settled => ClaimOutcome::Lot { version: lot.version() },
        lot::Outcome::Count(outcome) => ClaimOutcome::Count(*outcome, lot.count_state()),
    })
}

fn observed_at(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Slot(_, slot::Event::Occupied(seen) | slot::Event::Vacated(seen)) => {
            Some(seen.mark.observed_at)
        }
        Event::Slot(_, slot::Event::Heard { mark }) => Some(mark.observed_at),
        Event::Lot(lot::Event::Counted { observed_at, .. }) => Some(*observed_at),
        Event::Slot(_, slot::Event::FellSilent) | Event::Lot(_) => None,
    }
}

fn kind(event: &Event) -> ChangeKind {
    use lot::Event as E;
    match event {
        Event::Slot(_, slot::Event::Occupied(_)) => ChangeKind::SlotOccupied,
        Event::Slot(_, slot::Event::Vacated(_)) => ChangeKind::SlotVacated,
        Event::Slot(_, slot::Event::Heard { .. }) => ChangeKind::SlotHeard,
        Event::Slot(_, slot::Event::FellSilent) => ChangeKind::SlotSilent,
        Event::Lot(event) => match event {
            E::Created(_) => ChangeKind::LotCreated,
            E::Changed(_) => ChangeKind::LotChanged,
            E::SlotChanged(_) | E::ServiceChanged { .. } => ChangeKind::SlotChanged,
            E::Reserved(reserved) if reserved.expires_at.is_some() => ChangeKind::ReservationHeld,
            E::Reserved(_) | E::Confirmed { .. } => ChangeKind::ReservationConfirmed,
            E::Modified { .. } => ChangeKind::ReservationModified,
            E::Cancelled { .. } => ChangeKind::ReservationCancelled,
            E::Expired { .. } => ChangeKind::ReservationExpired,
            E::HoldBegan { .. } => ChangeKind::HoldBegan,
            E::CheckedIn { .. } => ChangeKind::ReservationCheckedIn,
            E::NoShow { .. } => ChangeKind::ReservationNoShow,
            E::Completed { .. } => ChangeKind::ReservationCompleted,
            E::Counted { .. } => ChangeKind::CountRecorded,
            E::CounterFellSilent => ChangeKind::CountSilent,
        },
    }
}

/// Bays as the durable view knows them: at most one commit behind the sensors.
impl Bays for LotView {
    fn occupied(&self, slot: SlotIndex) -> Option<bool> {
        self.slots.get(slot.at()).and_then(Slot::occupied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotkeeper_engine::ids::{LotId, SlotId};
    use lotkeeper_engine::spec::{FeatureSet, Kind, Place, Rules, Size, SlotSpec};
    use lotkeeper_engine::time::Seconds;
    use uuid::Uuid;

    fn view_of_one_slot() -> LotView {
        let slot = SlotSpec {
            id: SlotId(Uuid::nil()),
            code: "A-1".into(),
            zone: None,
            size: Size::Standard,
            features: FeatureSet::default(),
        };
        let (at, hour) = (Timestamp::default(), Seconds(3_600));
        let place =
            Place { time_zone: "UTC".into(), currency: "EUR".into(), city: None, position: None };
        let spec = Spec {
            id: LotId(Uuid::nil()),
            tenant: "default".into(),
            code: "L1".into(),
            name: "L1".into(),
            kind: Kind::Bayed,
            capacity: 1,
            place,
            zones: Vec::new(),
            features: Vec::new(),
            slots: vec![slot],
            rules: Rules { hold: hour, hold_lead: hour, no_show: hour, silence: hour, skew: hour },
            created_at: at,
        };
        LotView::build(Ledger::new(Arc::new(spec)), Vector::unit(Slot::default()), (1, 1), at)
    }

    #[test]
    fn counts_that_do_not_add_up_are_shown_as_unknown() {
        let mut view = view_of_one_slot();
        assert!(view.adds_up());
        view.counts.total.free += 1;
        assert!(!view.adds_up());
        let shown = view.shown_counts();
        assert_eq!((shown.free, shown.unknown), (0, 1));
    }
}
