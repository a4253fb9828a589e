//! Applies what happened to a lot. Total: no result, no clock, no log.
//!
//! An event about a reservation or slot that the lot does not know, about a reservation that ended, or one
//! that makes a reservation twice, is ignored here: it cannot come from `decide`. What else a damaged log
//! may hold (two promises that overlap) is taken as it is and found by the invariants.

use std::sync::Arc;

use imbl::OrdSet;

use super::{
    Deadline, Event, Lot, LotValues, Openings, Reservation, Reserved, Service, SlotValues, Span,
    State, Tally,
};
use crate::ids::{ReservationId, SlotIndex};
use crate::limits::ENDED_RESERVATIONS_KEPT_PER_LOT;
use crate::time::{Timestamp, Window};

/// Applies one event. `at` is the record's time: when the engine decided.
pub fn apply(lot: &mut Lot, event: &Event, at: Timestamp) {
    match event {
        Event::Created(spec) => *lot = Lot::new(Arc::clone(spec)),
        Event::Changed(values) => lot.take_values(values),
        Event::SlotChanged(values) => lot.take_slot_values(values),
        Event::ServiceChanged { slot, service } => lot.set_service(*slot, service),
        Event::Reserved(reserved) => lot.reserve(reserved, at),
        Event::Confirmed { id } => lot.step(*id, at, |r| r.state = State::Confirmed),
        Event::Modified { id, window } => lot.modify(*id, *window, at),
        Event::Cancelled { id, reason } => lot.step(*id, at, |r| {
            r.state = State::Cancelled;
            r.reason.clone_from(reason);
        }),
        Event::Expired { id } => lot.step(*id, at, |r| r.state = State::Expired),
        Event::HoldBegan { id } => lot.step(*id, at, |r| r.shown = true),
        Event::CheckedIn { id, proof } => {
            lot.step(*id, at, |r| r.state = State::CheckedIn { proof: *proof });
        }
        Event::NoShow { id } => lot.step(*id, at, |r| r.state = State::NoShow),
        Event::Completed { id } => lot.step(*id, at, |r| r.state = State::Completed),
        Event::Counted { count, observed_at } => {
            lot.tally = lot.tally.after(*count, *observed_at, at);
        }
        Event::CounterFellSilent => lot.tally = Tally { silent_since: Some(at), ..lot.tally },
    }
}

impl Lot {
    fn take_values(&mut self, values: &LotValues) {
        let spec = Arc::make_mut(&mut self.spec);
        spec.name.clone_from(&values.name);
        spec.capacity = values.capacity;
        spec.place = values.place.clone();
        let rules_changed = spec.rules != values.rules;
        spec.rules = values.rules;
        self.version = self.version.wrapping_add(1);
        if rules_changed {
            self.schedule_anew();
        }
    }

    /// Every deadline rests on the rules. What shows as held already goes on to: taking that back without
    /// an event of its own would change a slot's status behind its watchers.
    fn schedule_anew(&mut self) {
        self.deadlines = OrdSet::new();
        for slot in self.spec.slot_indices() {
            if let Some(service) = self.promises.get(slot.at()).map(|p| p.service.clone()) {
                self.await_return(slot, &service);
            }
        }
        let reservations = self.reservations.clone();
        for reservation in reservations.values() {
            self.await_due(reservation);
        }
    }

    /// A slot that changes its attributes changes its class. Rare, and bounded by one lot's promises.
    fn index_anew(&mut self) {
        let mut openings = Openings::of(&self.spec.slots);
        for (slot, promise) in self.spec.slot_indices().zip(&self.promises) {
            for gap in promise.timeline.gaps().filter(|_| promise.is_offered()) {
                openings.insert(slot, gap);
            }
        }
        self.openings = openings;
    }

    fn take_slot_values(&mut self, values: &SlotValues) {
        if self.spec.slot(values.slot).is_none() {
            return;
        }
        let spec = Arc::make_mut(&mut self.spec);
        spec.features.extend(values.added_features.iter().cloned());
        let slot = &mut spec.slots[values.slot.at()];
        slot.zone = values.zone;
        slot.size = values.size;
        slot.features = values.features;
        if let Some(promise) = self.promises.get_mut(values.slot.at()) {
            promise.version = promise.version.wrapping_add(1);
        }
        self.index_anew();
    }

    fn set_service(&mut self, slot: SlotIndex, service: &Service) {
        let Some(promise) = self.promises.get_mut(slot.at()) else { return };
        if let Service::OutOfService { until: Some(until), .. } = &promise.service {
            self.deadlines.remove(&(*until, Deadline::Service(slot)));
        }
        let was_offered = promise.is_offered();
        promise.service.clone_from(service);
        promise.version = promise.version.wrapping_add(1);
        let is_offered = promise.is_offered();
        for gap in promise.timeline.gaps() {
            match (was_offered, is_offered) {
                (false, true) => self.openings.insert(slot, gap),
                (true, false) => self.openings.remove(slot, gap),
                (true, true) | (false, false) => {}
            }
        }
        self.await_return(slot, service);
    }

    fn await_return(&mut self, slot: SlotIndex, service: &Service) {
        if let Service::OutOfService { until: Some(until), .. } = service {
            self.deadlines.insert((*until, Deadline::Service(slot)));
        }
    }

    fn reserve(&mut self, reserved: &Reserved, at: Timestamp) {
        if self.reservations.contains_key(&reserved.id) {
            return;
        }
        let state = match reserved.expires_at {
            Some(expires_at) => State::Held { expires_at },
            None => State::Confirmed,
        };
        self.adopt(Arc::new(Reservation {
            id: reserved.id,
            slot: reserved.slot,
            window: reserved.window,
            state,
            holder: reserved.holder,
            vehicle: reserved.vehicle,
            reason: None,
            shown: false,
            created_at: at,
            updated_at: at,
            version: 1,
        }));
    }

    /// Takes a reservation in with all that follows from it.
    fn adopt(&mut self, reservation: Arc<Reservation>) {
        let (id, slot) = (reservation.id, reservation.slot);
        if self.promises.get(slot.at()).is_none() {
            return;
        }
        if reservation.state.is_active() {
            self.claim(slot, Span { window: reservation.window, reservation: id });
            *self.active_of.entry(reservation.holder).or_default() += 1;
            self.await_due(&reservation);
        } else {
            self.ended.push_back(id);
        }
        let shown = reservation.shown;
        self.reservations.insert(id, reservation);
        if shown {
            self.reshow(slot);
        }
    }

    fn await_due(&mut self, reservation: &Reservation) {
        if let Some((at, _)) = reservation.next_due(&self.spec.rules) {
            self.deadlines.insert((at, Deadline::Reservation(reservation.id)));
        }
    }

    fn forget_due(&mut self, reservation: &Reservation) {
        if let Some((at, _)) = reservation.next_due(&self.spec.rules) {
            self.deadlines.remove(&(at, Deadline::Reservation(reservation.id)));
        }
    }

    fn claim(&mut self, slot: SlotIndex, span: Span) {
        let Some(promise) = self.promises.get_mut(slot.at()) else { return };
        let was_offered = promise.is_offered();
        let gap = promise.timeline.gap_around(span.window);
        promise.timeline.insert(span);
        if !was_offered {
            return;
        }
        self.openings.remove(slot, gap);
        for part in remainders(gap, span.window) {
            self.openings.insert(slot, part);
        }
        if !promise.is_offered() {
            for gap in promise.timeline.gaps() {
                self.openings.remove(slot, gap);
            }
        }
    }

    fn release(&mut self, slot: SlotIndex, span: Span) {
        let Some(promise) = self.promises.get_mut(slot.at()) else { return };
        let was_offered = promise.is_offered();
        promise.timeline.remove(span.reservation);
        if was_offered {
            let gap = promise.timeline.gap_around(span.window);
            for part in remainders(gap, span.window) {
                self.openings.remove(slot, part);
            }
            self.openings.insert(slot, gap);
        } else if promise.is_offered() {
            for gap in promise.timeline.gaps() {
                self.openings.insert(slot, gap);
            }
        }
    }

    /// The slot shows as held for the earliest promise whose time has come; the next one's may come
    /// while the one before still runs.
    fn reshow(&mut self, slot: SlotIndex) {
        let Some(promise) = self.promises.get_mut(slot.at()) else { return };
        let reservations = &self.reservations;
        let mut ids = promise.timeline.spans().iter().map(|span| span.reservation);
        let shown = ids.find(|id| reservations.get(id).is_some_and(|r| r.shown));
        promise.shown = shown;
    }

    /// Moves a reservation one step and brings along everything that follows from its state.
    fn step(&mut self, id: ReservationId, at: Timestamp, change: impl FnOnce(&mut Reservation)) {
        let Some(before) = self.reservations.get(&id).filter(|r| r.state.is_active()).cloned()
        else {
            return;
        };
        let mut after = Reservation::clone(&before);
        change(&mut after);
        after.updated_at = at;
        after.version = after.version.wrapping_add(1);
        after.shown &= after.state.is_active();
        let slot = before.slot;
        if after.state.is_active() && before.window == after.window {
            self.forget_due(&before);
            self.await_due(&after);
            self.reservations.insert(id, Arc::new(after));
        } else {
            self.withdraw(&before);
            self.adopt(Arc::new(after));
            self.forget_oldest();
        }
        self.reshow(slot);
    }

    fn modify(&mut self, id: ReservationId, window: Window, at: Timestamp) {
        let lead = self.spec.rules.hold_lead;
        self.step(id, at, |reservation| {
            reservation.window = window;
            reservation.shown &= window.from.minus(lead) <= at;
            // A stay that was put off has not begun: whether somebody comes is asked anew.
            if matches!(reservation.state, State::CheckedIn { .. }) && at < window.from {
                reservation.state = State::Confirmed;
            }
        });
    }

    /// Takes an active reservation out with all that followed from it; the opposite of [`Lot::adopt`].
    fn withdraw(&mut self, reservation: &Reservation) {
        let slot = reservation.slot;
        self.release(slot, Span { window: reservation.window, reservation: reservation.id });
        self.forget_due(reservation);
        match self.active_of.get(&reservation.holder) {
            Some(1) | None => {
                self.active_of.remove(&reservation.holder);
            }
            Some(count) => {
                self.active_of.insert(reservation.holder, count - 1);
            }
        }
    }

    fn forget_oldest(&mut self) {
        while self.ended.len() > ENDED_RESERVATIONS_KEPT_PER_LOT {
            if let Some(id) = self.ended.pop_front() {
                self.reservations.remove(&id);
            }
        }
    }

    /// Builds everything that follows from service states and reservations.
    pub(super) fn derive(&mut self, reservations: Vec<Arc<Reservation>>) {
        for slot in self.spec.slot_indices() {
            let Some(promise) = self.promises.get(slot.at()) else { continue };
            let service = promise.service.clone();
            if service == Service::InService {
                self.openings.insert(slot, Window { from: Timestamp::MIN, to: Timestamp::MAX });
            }
            self.await_return(slot, &service);
        }
        for reservation in reservations {
            if !self.reservations.contains_key(&reservation.id) {
                self.adopt(reservation);
            }
        }
    }
}

/// What is left of a gap around a window inside it.
fn remainders(gap: Window, window: Window) -> impl Iterator<Item = Window> {
    let before = Window { from: gap.from, to: window.from };
    let after = Window { from: window.to, to: gap.to };
    [before, after].into_iter().filter(|part| part.from < part.to)
}
