//! Applies what happened to a lot. Total: no clock, no log, nothing refused.
//!
//! The ledger changes first and tells with an [`Effect`] what changed; the index follows that. An event
//! about a reservation or slot that the lot does not know, about a reservation that ended, or one that makes
//! a reservation twice, is ignored here: it cannot come from `decide`. What else a damaged log may hold (two
//! promises that overlap) is taken as it is and found by the invariants.

use std::sync::Arc;

use super::{
    Event, Ledger, Lot, LotValues, Reservation, Reserved, Service, SlotValues, Span, State, Tally,
};
use crate::ids::{ReservationId, SlotIndex};
use crate::limits::ENDED_RESERVATIONS_KEPT_PER_LOT;
use crate::time::{Timestamp, Window};

/// What an event changed in the ledger, for whatever follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that anything else follows from.
    Nothing,
    /// Everything.
    Created,
    /// The rules, on which deadlines rest.
    Rules,
    /// A slot's attributes.
    Attributes,
    /// Whether a slot can be used.
    Service {
        /// Which.
        slot: SlotIndex,
        /// What it was.
        before: Service,
    },
    /// A reservation came to be or moved a step.
    Reservation {
        /// What it was; nothing when it is new.
        before: Option<Arc<Reservation>>,
        /// What it is.
        after: Arc<Reservation>,
    },
}

/// Applies one event. `at` is the record's time: when the engine decided.
pub fn apply(lot: &mut Lot, event: &Event, at: Timestamp) {
    let effect = lot.ledger.apply(event, at);
    lot.index.follow(&lot.ledger, &effect);
}

impl Ledger {
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
            Event::Modified { id, window } => self.modify(*id, *window, at),
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
        spec.place = values.place.clone();
        let rules_changed = spec.rules != values.rules;
        spec.rules = values.rules;
        self.version = self.version.wrapping_add(1);
        if rules_changed { Effect::Rules } else { Effect::Nothing }
    }

    fn take_slot_values(&mut self, values: &SlotValues) -> Effect {
        if self.spec.slot(values.slot).is_none() {
            return Effect::Nothing;
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
        promise.timeline.insert(Span { window, reservation: id });
        Effect::Reservation { before: None, after }
    }

    /// The slot shows as held for the earliest promise whose time has come; the next one's may come
    /// while the one before still runs.
    pub(super) fn reshow(&mut self, slot: SlotIndex) {
        let Some(promise) = self.promises.get_mut(slot.at()) else { return };
        let reservations = &self.reservations;
        let mut ids = promise.timeline.spans().iter().map(|span| span.reservation);
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
        if let Some(promise) = self.promises.get_mut(slot.at())
            && (!is_active || before.window != window)
        {
            promise.timeline.remove(id);
            if is_active {
                promise.timeline.insert(Span { window, reservation: id });
            }
        }
        if !is_active {
            self.ended.push_back(id);
            self.forget_oldest();
        }
        self.reshow(slot);
        Effect::Reservation { before: Some(before), after }
    }

    fn modify(&mut self, id: ReservationId, window: Window, at: Timestamp) -> Effect {
        let lead = self.spec.rules.hold_lead;
        self.step(id, at, |reservation| {
            reservation.window = window;
            reservation.shown &= window.from.minus(lead) <= at;
            // A stay that was put off has not begun: whether somebody comes is asked anew.
            if matches!(reservation.state, State::CheckedIn { .. }) && at < window.from {
                reservation.state = State::Confirmed;
            }
        })
    }

    fn forget_oldest(&mut self) {
        while self.ended.len() > ENDED_RESERVATIONS_KEPT_PER_LOT {
            if let Some(id) = self.ended.pop_front() {
                self.reservations.remove(&id);
            }
        }
    }
}
