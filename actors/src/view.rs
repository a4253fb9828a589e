//! The durable view: a second copy of every lot, built from what is durable and nothing else.
//!
//! Reads, lists, stream snapshots, journal snapshots and restarted actors all take it from here. It is
//! consistent as of one sequence: a reader holds a whole copy, for the price of a few pointers.

use std::sync::Arc;

use imbl::Vector;
use lotkeeper_engine::counts::{Counts, LotCounts};
use lotkeeper_engine::ids::{
    LotKey, PassId, PaymentId, Pseudonym, SeriesId, SessionId, ShiftId, SlotIndex, ViolationId,
    WaitingId,
};
use lotkeeper_engine::lot::session::{self, Scanned};
use lotkeeper_engine::lot::{self, Bays, Effect, Register, shift};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::slot::{self, Slot};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_engine::{ids::ReservationId, invariants};
use lotkeeper_storage::history::keeps;
use lotkeeper_storage::{ClaimOutcome, Event, LotSnapshot, Record, RememberedClaim};
use uuid::Uuid;

use crate::kind::ChangeKind;
use crate::ring::Change;
use crate::room::Free;

/// One lot as of one sequence.
#[derive(Clone, Debug)]
pub struct LotView {
    /// What is promised; what only decisions need is the actor's alone.
    pub lot: Register,
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
    /// The newest record that the history keeps something of; of a lot from a snapshot the newest of all.
    pub(crate) kept_seq: u64,
}

impl LotView {
    pub(crate) fn new(spec: &Arc<Spec>, record: &Record) -> Self {
        let lot = Register::new(Arc::clone(spec));
        let slots: Vector<Slot> = spec.slots.iter().map(|_| Slot::default()).collect();
        Self::build(lot, slots, (record.seq, record.lot_seq), record.at)
    }

    pub(crate) fn from_snapshot(snapshot: LotSnapshot) -> Self {
        let lot = Register::from_parts(snapshot.parts);
        let slots = snapshot.slots.into_iter().collect();
        Self::build(lot, slots, (snapshot.seq, snapshot.lot_seq), snapshot.at)
    }

    fn build(
        lot: Register,
        slots: Vector<Slot>,
        (seq, lot_seq): (u64, u64),
        at: Timestamp,
    ) -> Self {
        let counts = LotCounts::default();
        let mut view = Self { lot, slots, counts, lot_seq, seq, at, lot_events: 0, kept_seq: seq };
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

    /// Whether it has a reservation, stay, payment, violation, pass or shift of this id.
    pub(crate) fn knows(&self, id: Uuid) -> bool {
        self.lot.reservation(ReservationId(id)).is_some()
            || self.lot.stays().get(SessionId(id)).is_some()
            || self.lot.payments().get(PaymentId(id)).is_some()
            || self.lot.violations().get(ViolationId(id)).is_some()
            || self.lot.passes().get(PassId(id)).is_some()
            || self.lot.waiting().get(WaitingId(id)).is_some()
            || self.lot.shifts().get(ShiftId(id)).is_some()
    }

    /// Whether a vehicle is inside, or has a pass or a promise that is not over.
    #[must_use]
    pub fn expects(&self, vehicle: Pseudonym) -> bool {
        self.lot.stays().of_vehicle(vehicle).is_some()
            || self.lot.passes().of_vehicle(vehicle).next().is_some()
            || self.expected_vehicles().any(|expected| expected == vehicle)
    }

    /// Vehicles that are inside, or have a promise that is not over.
    pub fn expected_vehicles(&self) -> impl Iterator<Item = Pseudonym> + '_ {
        let inside = self.lot.stays().inside().filter_map(|session| session.vehicle);
        let active = self.lot.reservations().filter(|r| r.state.is_active());
        inside.chain(active.filter_map(|reservation| reservation.vehicle))
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

    /// The same for the index of lots.
    pub(crate) fn free(&self) -> Free {
        // With counts that do not add up any slot may be free.
        let any = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let of_slots = if self.adds_up() { self.counts.total.free } else { any };
        Free { shown: self.shown_counts().free, of_slots }
    }

    /// I1, cheap enough for every record: the statuses add up to the slots.
    pub(crate) fn adds_up(&self) -> bool {
        self.counts.total.capacity() as usize == self.slots.len()
    }

    /// Every broken invariant; empty unless there is a bug.
    #[must_use]
    pub fn broken(&self) -> Vec<invariants::Broken> {
        let mut broken = invariants::check_register(&self.lot);
        broken.extend(invariants::check_counts(&self.lot, self.slots.iter(), &self.counts));
        broken
    }

    /// Applies a durable record; tells how watchers see it, and what a command that did this is answered.
    pub(crate) fn apply(&mut self, record: &Record) -> (Change, Option<ClaimOutcome>) {
        debug_assert_eq!(record.lot_seq, self.lot_seq + 1, "a lot's sequence has no gap");
        (self.seq, self.lot_seq, self.at) = (record.seq, record.lot_seq, record.at);
        let mut change = Change {
            seq: record.lot_seq,
            kind: ChangeKind::of(&record.event),
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
                if keeps(&record.event) {
                    self.kept_seq = record.seq;
                }
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
        let Some(slot) = self.slot_of(event) else {
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
        moved
            .filter(|_| !matches!(subject(event), Subject::Occurrence(..)))
            .map(ClaimOutcome::Reservation)
            .or_else(|| self.outcome_of(event))
    }

    /// The slot whose status may change with an event: at most one, by construction of the events.
    fn slot_of(&self, event: &lot::Event) -> Option<SlotIndex> {
        match subject(event) {
            Subject::Lot
            | Subject::Tariffs
            | Subject::Payment(_)
            | Subject::Violation(_)
            | Subject::Pass(_)
            | Subject::Waiting(_)
            | Subject::Shift(_)
            | Subject::Nothing => None,
            Subject::Slot(slot) | Subject::New(slot, _) | Subject::Occurrence(slot, _) => {
                Some(slot)
            }
            Subject::Reservation(id) => self.lot.reservation(id).map(|r| r.slot),
            Subject::Session(event) => match event {
                session::Event::Entered(entered) => entered.slot,
                session::Event::Placed { slot: Some(slot), .. } => Some(*slot),
                session::Event::Placed { slot: None, .. }
                | session::Event::Overstayed { .. }
                | session::Event::Identified { .. }
                | session::Event::TicketLost { .. }
                | session::Event::Requested { .. }
                | session::Event::Settled { .. }
                | session::Event::Left(_)
                | session::Event::Abandoned { .. }
                | session::Event::Denied(_) => {
                    let session = event.session().and_then(|id| self.lot.stays().get(id));
                    session.and_then(|session| session.slot)
                }
            },
        }
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

    /// The answer to a command whose last event this is, as it stands now.
    pub(crate) fn outcome_of(&self, event: &lot::Event) -> Option<ClaimOutcome> {
        let outcome = match event {
            lot::Event::Counted { .. } => lot::Outcome::Count(lot::CountOutcome::Accepted),
            lot::Event::CounterFellSilent => return None,
            _ => match subject(event) {
                Subject::Nothing => return None,
                Subject::Lot => lot::Outcome::Lot,
                Subject::Tariffs => lot::Outcome::Tariffs,
                Subject::Slot(slot) => lot::Outcome::Slot(slot),
                Subject::Occurrence(_, series) => lot::Outcome::Series(series),
                Subject::New(_, id) | Subject::Reservation(id) => lot::Outcome::Reservation(id),
                Subject::Payment(id) => lot::Outcome::Payment(id),
                Subject::Violation(id) => lot::Outcome::Violation(id),
                Subject::Pass(id) => lot::Outcome::Pass(id),
                Subject::Waiting(id) => lot::Outcome::Waiting(id),
                Subject::Shift(id) => lot::Outcome::Shift(id),
                Subject::Session(event) => match (event.answer(), event.session()) {
                    (Some(scanned), _) => lot::Outcome::Scanned(scanned),
                    (None, Some(id)) => lot::Outcome::Session(id),
                    (None, None) => return None,
                },
            },
        };
        answer(&self.lot, &outcome)
    }
}

/// What a lot's event is about.
enum Subject<'a> {
    Lot,
    Slot(SlotIndex),
    New(SlotIndex, ReservationId),
    Occurrence(SlotIndex, SeriesId),
    Reservation(ReservationId),
    Session(&'a session::Event),
    Payment(PaymentId),
    Violation(ViolationId),
    Pass(PassId),
    Waiting(WaitingId),
    Shift(ShiftId),
    Tariffs,
    /// Goes with an event that tells more.
    Nothing,
}

fn subject(event: &lot::Event) -> Subject<'_> {
    use lot::Event as E;
    match event {
        E::Created(_) | E::Changed(_) | E::Counted { .. } | E::CounterFellSilent => Subject::Lot,
        E::SlotChanged(values) => Subject::Slot(values.slot),
        E::ServiceChanged { slot, .. } => Subject::Slot(*slot),
        E::Reserved(reserved) => match reserved.series {
            Some(series) => Subject::Occurrence(reserved.slot, series),
            None => Subject::New(reserved.slot, reserved.id),
        },
        E::Moved(moved) => Subject::New(moved.slot, moved.id),
        E::Confirmed { id }
        | E::Modified { id, .. }
        | E::Cancelled { id, .. }
        | E::Expired { id }
        | E::HoldBegan { id }
        | E::HoldEnded { id }
        | E::CheckedIn { id, .. }
        | E::NoShow { id }
        | E::Completed { id }
        | E::Requested { id, .. }
        | E::Reminded { id, .. } => Subject::Reservation(*id),
        E::Session(event) => Subject::Session(event),
        E::Payment(event) => Subject::Payment(event.id()),
        E::Violation(event) => Subject::Violation(event.id()),
        E::Pass(event) => Subject::Pass(event.id()),
        E::Waiting(event) => Subject::Waiting(event.id()),
        // What a shift took goes with the payment that tells more.
        E::Shift(shift::Event::Took { .. }) => Subject::Nothing,
        E::Shift(event) => Subject::Shift(event.id()),
        E::TariffsChanged(_) => Subject::Tariffs,
        E::Posted(_) => Subject::Nothing,
    }
}

/// The answer to a granted command, from the state after it.
pub(crate) fn answer(lot: &Register, outcome: &lot::Outcome) -> Option<ClaimOutcome> {
    Some(match outcome {
        lot::Outcome::Reservation(id) => {
            ClaimOutcome::Reservation(Arc::clone(lot.reservation(*id)?))
        }
        lot::Outcome::Slot(slot) => {
            ClaimOutcome::Slot { slot: *slot, version: lot.promise(*slot)?.version }
        }
        lot::Outcome::Lot | lot::Outcome::Settled => ClaimOutcome::Lot { version: lot.version() },
        lot::Outcome::Count(outcome) => ClaimOutcome::Count(*outcome, lot.count_state()),
        lot::Outcome::Scanned(scanned) => {
            let session = scanned.session.and_then(|id| lot.stays().get(id));
            let reservation = session.and_then(|session| session.reservation());
            let reservation = scanned.reservation.or(reservation);
            ClaimOutcome::Scanned(Scanned { reservation, ..*scanned }, session.cloned())
        }
        lot::Outcome::Session(id) => ClaimOutcome::Session(Arc::clone(lot.stays().get(*id)?)),
        lot::Outcome::Payment(id) => ClaimOutcome::Payment(Arc::clone(lot.payments().get(*id)?)),
        lot::Outcome::Series(id) => ClaimOutcome::Series(*id),
        lot::Outcome::Tariffs => ClaimOutcome::Tariffs,
        lot::Outcome::Pass(id) => ClaimOutcome::Pass(Arc::clone(lot.passes().get(*id)?)),
        lot::Outcome::Waiting(id) => ClaimOutcome::Waiting(Arc::clone(lot.waiting().get(*id)?)),
        lot::Outcome::Shift(id) => ClaimOutcome::Shift(Arc::clone(lot.shifts().get(*id)?)),
        lot::Outcome::Violation(id) => {
            ClaimOutcome::Violation(Arc::clone(lot.violations().get(*id)?))
        }
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

/// Bays as the durable view knows them: at most one commit behind the sensors.
impl Bays for LotView {
    fn occupied(&self, slot: SlotIndex) -> Option<bool> {
        self.slots.get(slot.at()).and_then(Slot::occupied)
    }

    fn occupied_since(&self, slot: SlotIndex) -> Option<Timestamp> {
        self.slots.get(slot.at())?.hearing.map(|hearing| hearing.changed_at)
    }

    fn occupancy(&self) -> PerMille {
        let shown = self.shown_counts();
        let taken = u64::from(shown.occupied) + u64::from(shown.held);
        // At most a thousand thousandths.
        let permille = taken * 1_000 / u64::from(shown.capacity().max(1));
        PerMille(u32::try_from(permille).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotkeeper_engine::ids::{LotId, SlotId};
    use lotkeeper_engine::spec::{FeatureSet, Kind, Rules, Size, SlotSpec};
    use lotkeeper_engine::time::Seconds;
    use uuid::Uuid;

    fn view_of_one_slot() -> LotView {
        let slot = SlotSpec {
            id: SlotId(Uuid::nil()),
            code: "A-1".into(),
            zone: None,
            size: Size::Standard,
            features: FeatureSet::default(),
            ..SlotSpec::default()
        };
        let (at, hour) = (Timestamp::default(), Seconds(3_600));
        let spec = Spec {
            id: LotId(Uuid::nil()),
            tenant: "default".into(),
            code: "L1".into(),
            name: "L1".into(),
            kind: Kind::Bayed,
            capacity: 1,
            zones: Vec::new(),
            features: Vec::new(),
            slots: vec![slot],
            rules: Rules {
                hold: hour,
                hold_lead: hour,
                no_show: hour,
                silence: hour,
                skew: hour,
                ..Rules::default()
            },
            created_at: at,
            ..Spec::default()
        };
        LotView::build(Register::new(Arc::new(spec)), Vector::unit(Slot::default()), (1, 1), at)
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
