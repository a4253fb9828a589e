//! Applies what happened to a lot. Total: no clock, no log, nothing refused.
//!
//! The register changes first and tells with an [`Effect`] what changed; the index follows that. An event
//! about a reservation or slot that the lot does not know, about a reservation that ended, or one that makes
//! a reservation twice, is ignored here: it cannot come from `decide`. What else a damaged log may hold (two
//! promises that overlap) is taken as it is and found by the invariants.

use std::sync::Arc;

use super::pricing::Price;
use super::register::zone_of;
use super::stays::Moved;
use super::violation::Step;
use super::{
    Event, Lot, LotValues, Owner, Register, Reservation, Reserved, Service, SlotValues, Span,
    State, Tally, decide, passes, session, waiting,
};
use crate::ids::{Pseudonym, ReservationId, SlotIndex};
use crate::limits::ENDED_RESERVATIONS_KEPT_PER_LOT;
use crate::time::{Timestamp, Window};

/// What an event changed in the register, for whatever follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that anything else follows from.
    Nothing,
    /// Everything.
    Created,
    /// The lot's own values.
    Values {
        /// The rules, on which deadlines rest.
        rules: bool,
        /// The allocation, on which the order of openings rests.
        allocation: bool,
    },
    /// A slot's attributes.
    Attributes,
    /// Whether a slot can be used.
    Service {
        /// Which.
        slot: SlotIndex,
        /// What it was.
        before: Service,
    },
    /// A stay came to be or moved a step.
    Stay(Moved),
    /// A pass came to be or moved a step.
    Pass(passes::Step),
    /// A place on the waiting list came to be or moved a step.
    Waiting(waiting::Step),
    /// A violation came to be or moved a step.
    Violation(Step),
    /// A reservation came to be or moved a step.
    Reservation {
        /// What it was; nothing when it is new.
        before: Option<Arc<Reservation>>,
        /// What it is.
        after: Arc<Reservation>,
        /// The stay inside that came of it, where its window moved along.
        stay: Option<Moved>,
    },
}

/// Applies one event. `at` is the record's time: when the engine decided.
pub fn apply(lot: &mut Lot, event: &Event, at: Timestamp) {
    apply_and_tell(lot, event, at);
}

/// Applies one event and tells what it changed.
pub(super) fn apply_and_tell(lot: &mut Lot, event: &Event, at: Timestamp) -> Effect {
    let effect = lot.register.apply(event, at);
    lot.index.follow(&lot.register, &effect);
    effect
}

impl Register {
    /// Applies one event and tells what it changed. `at` is the record's time.
    pub fn apply(&mut self, event: &Event, at: Timestamp) -> Effect {
        match event {
            Event::Created(spec) => {
                *self = Self::new(Arc::clone(spec));
                Effect::Created
            }
            Event::Changed(values) => self.take_values(values),
            Event::SlotChanged(values) => self.take_slot_values(values),
            Event::ServiceChanged { slot, service } => self.set_service(*slot, service),
            Event::Reserved(reserved) => self.reserve(reserved, at),
            Event::Confirmed { id } => self.step(*id, at, |r| r.state = State::Confirmed),
            Event::Modified { id, window, price } => {
                self.modify(*id, None, (*window, price.as_deref()), at)
            }
            Event::Moved(moved) => {
                let price = moved.price.as_deref();
                self.modify(moved.id, Some(moved.slot), (moved.window, price), at)
            }
            Event::HoldEnded { id } => self.step(*id, at, |r| r.shown = false),
            Event::Reminded { id, of } => self.step(*id, at, |r| r.reminded = Some(*of)),
            Event::Requested { id, request } => self.ask(*id, *request, at),
            Event::Session(event) => self.stay(event, at),
            Event::Payment(event) => {
                self.payments.apply(event, at);
                Effect::Nothing
            }
            Event::Shift(event) => {
                self.shifts.apply(event, at);
                Effect::Nothing
            }
            Event::Pass(event) => {
                self.passes.apply(event, at).map_or(Effect::Nothing, Effect::Pass)
            }
            Event::Waiting(event) => {
                self.waiting.apply(event, at).map_or(Effect::Nothing, Effect::Waiting)
            }
            Event::Violation(event) => {
                let step = self.violations.apply(event, at, self.accounts.postings());
                step.map_or(Effect::Nothing, Effect::Violation)
            }
            Event::Posted(posting) => {
                self.accounts.apply(posting);
                Effect::Nothing
            }
            Event::TariffsChanged(change) => {
                decide::apply_to_book(&mut self.tariffs, change);
                Effect::Nothing
            }
            Event::Cancelled { id, reason } => self.step(*id, at, |r| {
                r.state = State::Cancelled;
                r.reason.clone_from(reason);
            }),
            Event::Expired { id } => self.step(*id, at, |r| r.state = State::Expired),
            Event::HoldBegan { id } => self.step(*id, at, |r| r.shown = true),
            Event::CheckedIn { id, proof } => {
                self.step(*id, at, |r| r.state = State::CheckedIn { proof: *proof })
            }
            Event::NoShow { id } => self.step(*id, at, |r| r.state = State::NoShow),
            Event::Completed { id } => self.step(*id, at, |r| r.state = State::Completed),
            Event::Counted { count, observed_at } => {
                self.tally = self.tally.after(*count, *observed_at, at);
                Effect::Nothing
            }
            Event::CounterFellSilent => {
                self.tally = Tally { silent_since: Some(at), ..self.tally };
                Effect::Nothing
            }
        }
    }

    fn take_values(&mut self, values: &LotValues) -> Effect {
        let spec = Arc::make_mut(&mut self.spec);
        spec.name.clone_from(&values.name);
        spec.capacity = values.capacity;
        if spec.place.time_zone != values.place.time_zone {
            self.zone = zone_of(&values.place);
        }
        spec.place = values.place.clone();
        let rules = spec.rules != values.rules;
        spec.rules = values.rules;
        spec.about = values.about.clone();
        let allocation = spec.allocation != values.allocation;
        if allocation {
            spec.allocation = values.allocation.clone();
        }
        self.version = self.version.wrapping_add(1);
        if rules || allocation { Effect::Values { rules, allocation } } else { Effect::Nothing }
    }

    fn take_slot_values(&mut self, values: &SlotValues) -> Effect {
        if self.spec.slot(values.slot).is_none() {
            return Effect::Nothing;
        }
        let spec = Arc::make_mut(&mut self.spec);
        spec.features.extend(values.added_features.iter().cloned());
        spec.vehicle_types.extend(values.added_vehicle_types.iter().cloned());
        let slot = &mut spec.slots[values.slot.at()];
        slot.zone = values.zone;
        slot.size = values.size;
        slot.features = values.features;
        slot.vehicle_types = values.vehicle_types;
        slot.walk_metres = values.walk_metres;
        if let Some(promise) = self.promises.get_mut(values.slot.at()) {
            promise.version = promise.version.wrapping_add(1);
        }
        Effect::Attributes
    }

    fn set_service(&mut self, slot: SlotIndex, service: &Service) -> Effect {
        let Some(promise) = self.promises.get_mut(slot.at()) else { return Effect::Nothing };
        let before = std::mem::replace(&mut promise.service, service.clone());
        promise.version = promise.version.wrapping_add(1);
        Effect::Service { slot, before }
    }

    fn reserve(&mut self, reserved: &Reserved, at: Timestamp) -> Effect {
        let (id, slot, window) = (reserved.id, reserved.slot, reserved.window);
        let Some(promise) = self.promises.get_mut(slot.at()) else { return Effect::Nothing };
        let state = match reserved.expires_at {
            Some(expires_at) => State::Held { expires_at },
            None => State::Confirmed,
        };
        let after = Arc::new(Reservation {
            id,
            slot,
            window,
            state,
            holder: reserved.holder,
            vehicle: reserved.vehicle,
            price: reserved.price.as_deref().cloned().map(Arc::new),
            series: reserved.series,
            reminded: Reservation::reminded_at(window, &self.spec.rules, at),
            reason: None,
            shown: false,
            created_at: at,
            updated_at: at,
            version: 1,
        });
        // To put it in and, hardly ever, back costs one search less than to look first.
        if let Some(known) = self.reservations.insert(id, Arc::clone(&after)) {
            self.reservations.insert(id, known);
            return Effect::Nothing;
        }
        promise.timeline.insert(Span { window, owner: id.into() });
        if reserved.request.is_some() {
            self.requests.put(id.into(), reserved.request);
        }
        Effect::Reservation { before: None, after, stay: None }
    }

    /// The slot shows as held for the earliest promise whose time has come; the next one's may come
    /// while the one before still runs.
    pub(super) fn reshow(&mut self, slot: SlotIndex) {
        let Some(promise) = self.promises.get_mut(slot.at()) else { return };
        let reservations = &self.reservations;
        let mut ids = promise.timeline.spans().iter().filter_map(|span| match span.owner {
            Owner::Reservation(id) => Some(id),
            Owner::Session(_) | Owner::Vehicle(_) | Owner::Pass(_) => None,
        });
        let shown = ids.find(|id| reservations.get(id).is_some_and(|r| r.shown));
        promise.shown = shown;
    }

    /// Moves a reservation one step and brings along everything that follows from its state.
    fn step(
        &mut self,
        id: ReservationId,
        at: Timestamp,
        change: impl FnOnce(&mut Reservation),
    ) -> Effect {
        let Some(before) = self.reservations.get(&id).filter(|r| r.state.is_active()).cloned()
        else {
            return Effect::Nothing;
        };
        let mut after = Reservation::clone(&before);
        change(&mut after);
        after.updated_at = at;
        after.version = after.version.wrapping_add(1);
        after.shown &= after.state.is_active();
        let after = Arc::new(after);
        self.reservations.insert(id, Arc::clone(&after));
        let (slot, window, is_active) = (after.slot, after.window, after.state.is_active());
        if !is_active || before.window != window || before.slot != slot {
            self.reclaim(
                id.into(),
                Some((before.slot, before.window)),
                is_active.then_some((slot, window)),
            );
        }
        if !is_active {
            self.ended.push_back(id);
            self.forget_oldest();
        }
        self.reshow(slot);
        if before.slot != slot {
            self.reshow(before.slot);
        }
        Effect::Reservation { before: Some(before), after, stay: None }
    }

    /// Takes a stretch out of a slot's timeline and puts another in.
    fn reclaim(
        &mut self,
        owner: Owner,
        before: Option<(SlotIndex, Window)>,
        after: Option<(SlotIndex, Window)>,
    ) {
        if let Some(promise) = before.and_then(|(slot, _)| self.promises.get_mut(slot.at())) {
            promise.timeline.remove(owner);
        }
        if let Some((slot, window)) = after
            && let Some(promise) = self.promises.get_mut(slot.at())
        {
            promise.timeline.insert(Span { window, owner });
        }
    }

    /// What is asked for lies beside the reservations; the reservation is another version of itself.
    fn ask(&mut self, id: ReservationId, request: Option<Pseudonym>, at: Timestamp) -> Effect {
        let effect = self.step(id, at, |_| {});
        if effect != Effect::Nothing {
            self.requests.put(id.into(), request);
        }
        effect
    }

    fn stay(&mut self, event: &session::Event, at: Timestamp) -> Effect {
        let oldest = self.stays.oldest_ended().filter(|_| !self.requests.is_empty());
        let Some(moved) = self.stays.apply(event, at) else { return Effect::Nothing };
        if let Some(forgotten) = oldest.filter(|id| self.stays.get(*id).is_none()) {
            self.requests.forget(Owner::Session(forgotten));
        }
        if let session::Event::Requested { id, request } = event {
            self.requests.put(Owner::Session(*id), *request);
        }
        let before = moved.before.as_ref().and_then(|session| session.span());
        let after = moved.after.span();
        if before != after {
            self.reclaim(Owner::Session(moved.after.id), before, after);
        }
        Effect::Stay(moved)
    }

    fn modify(
        &mut self,
        id: ReservationId,
        slot: Option<SlotIndex>,
        (window, price): (Window, Option<&Price>),
        at: Timestamp,
    ) -> Effect {
        if slot.is_some_and(|slot| self.promises.get(slot.at()).is_none()) {
            return Effect::Nothing;
        }
        let rules = self.spec.rules;
        let lead = rules.hold_lead;
        let price = price.cloned().map(Arc::new);
        let is_inside = self.stays.of_reservation(id).is_some_and(|stay| stay.state.is_inside());
        let mut effect = self.step(id, at, |reservation| {
            reservation.window = window;
            reservation.slot = slot.unwrap_or(reservation.slot);
            reservation.price = price.or_else(|| reservation.price.take());
            reservation.reminded = Reservation::reminded_at(window, &rules, at);
            reservation.shown &= window.from.minus(lead) <= at;
            // A stay that was put off has not begun: whether somebody comes is asked anew. Who came before his
            // time is there all the same.
            let is_checked_in = matches!(reservation.state, State::CheckedIn { .. });
            if is_checked_in && !is_inside && at < window.from {
                reservation.state = State::Confirmed;
            }
        });
        if let Effect::Reservation { stay, .. } = &mut effect {
            *stay = self.stays.rebook(id, window, at);
        }
        effect
    }

    fn forget_oldest(&mut self) {
        while self.ended.len() > ENDED_RESERVATIONS_KEPT_PER_LOT {
            if let Some(id) = self.ended.pop_front() {
                self.reservations.remove(&id);
                self.requests.forget(id.into());
            }
        }
    }
}
