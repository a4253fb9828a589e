//! The waiting list: joined, left, run out; and whatever frees time offers it to the first whom it fits.
//!
//! Offers are made in the decision that frees the time, so nobody can come in between: neither by a command nor
//! by a tick. Absent: what becomes of an offer, which is a hold as any other (`reservation.rs`), and who may
//! ask at all (the gateway's roles).

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::{Events, Granted, happened, reservation, unchanged};
use crate::ids::{ReservationId, SlotIndex, WaitingId};
use crate::limits;
use crate::lot::apply::apply_and_tell;
use crate::lot::waiting::{self, State, Waiter, WaiterTerms};
use crate::lot::{
    Ask, Bays, Caller, Choice, Effect, Event, Lot, Moved, Outcome, Rejection, Reserve, Session,
    apply,
};
use crate::time::Timestamp;

/// Somebody wants to wait. Who can have what he asks for now is told so instead: he books it.
pub(super) fn join(
    lot: &Lot,
    id: WaitingId,
    terms: &WaiterTerms,
    now: Timestamp,
    bays: &dyn Bays,
) -> Granted {
    let reserve = reserve(id, terms, lot);
    reservation::check_new(lot, &reserve, now)?;
    if terms.window.from <= now {
        return Err(Rejection::WindowInPast);
    }
    if lot.waiting().count_of(terms.holder) >= limits::WAITERS_PER_HOLDER_MAX {
        return Err(Rejection::TooManyWaiting);
    }
    if lot.waiting().count() >= limits::WAITERS_PER_LOT_MAX {
        return Err(Rejection::WaitingFull);
    }
    // What no tariff will ever price for him need not be waited for.
    let ask = Ask {
        window: terms.window,
        slot: None,
        zone: None,
        vehicle_type: terms.vehicle_type.clone(),
        discounts: terms.discounts.clone(),
        occupancy: bays.occupancy(),
    };
    lot.check_discounts(&ask)?;
    lot.quote(&ask)?;
    match reservation::any_slot(lot, &terms.needs, terms.window, now, bays) {
        Ok(slot) => Err(Rejection::SlotFree { slot }),
        Err(_) if lot.openings().any_fits(&terms.needs) => {
            let joined = waiting::Event::Joined { id, terms: Box::new(terms.clone()) };
            happened(Event::Waiting(joined), Outcome::Waiting(id))
        }
        Err(never) => Err(never),
    }
}

/// Somebody gives his place up.
pub(super) fn leave(lot: &Lot, id: WaitingId, by: Caller) -> Granted {
    let waiter = lot.waiting().get(id).filter(|waiter| by.may_touch(waiter.terms.holder));
    let waiter = waiter.ok_or(Rejection::WaiterNotFound)?;
    match waiter.state {
        State::Waiting => {
            happened(Event::Waiting(waiting::Event::Left { id }), Outcome::Waiting(id))
        }
        State::Left => unchanged(Outcome::Waiting(id)),
        state @ (State::Offered | State::RanOut | State::Refused) => {
            Err(Rejection::WaiterEnded { state })
        }
    }
}

/// The window begins: what becomes free now is for those who come now.
pub(super) fn run_out(id: WaitingId) -> Events {
    smallvec![Event::Waiting(waiting::Event::RanOut { id })]
}

/// What somebody on the list would have asked for himself.
fn reserve(id: WaitingId, terms: &WaiterTerms, lot: &Lot) -> Reserve {
    Reserve {
        id: ReservationId(id.0),
        choice: Choice::Any(terms.needs),
        window: terms.window,
        hold: Some(lot.spec().rules.offer),
        holder: terms.holder,
        vehicle: terms.vehicle,
        vehicle_type: terms.vehicle_type.clone(),
        discounts: terms.discounts.clone(),
        series: None,
        request: None,
    }
}

/// Where there may be room that was not there before.
#[derive(Default)]
struct Freed {
    slots: SmallVec<[SlotIndex; 4]>,
    /// Something changed on which every slot's answer rests.
    all: bool,
}

impl Freed {
    fn note(&mut self, event: &Event, effect: &Effect) {
        self.all |= matches!(event, Event::Changed(_) | Event::TariffsChanged(_));
        match effect {
            Effect::Created | Effect::Values { .. } | Effect::Attributes => self.all = true,
            Effect::Service { slot, .. } => self.slots.push(*slot),
            Effect::Reservation { before: Some(before), after, stay } => {
                let is_same = before.slot == after.slot && before.window == after.window;
                if !(is_same && after.state.is_active()) {
                    self.slots.push(before.slot);
                }
                if let Some(moved) = stay {
                    self.note_stay(moved);
                }
            }
            Effect::Stay(moved) => self.note_stay(moved),
            Effect::Reservation { before: None, .. }
            | Effect::Pass(_)
            | Effect::Violation(_)
            | Effect::Waiting(_)
            | Effect::Nothing => {}
        }
    }

    fn note_stay(&mut self, moved: &Moved) {
        let before = moved.before.as_deref().and_then(Session::span);
        if before != moved.after.span() {
            self.slots.extend(before.map(|(slot, _)| slot));
        }
    }

    /// Whether what was freed may be what somebody waits for: cheap, for it is asked of all who wait.
    fn may_fit(&self, lot: &Lot, terms: &WaiterTerms) -> bool {
        let fits = |slot: &SlotIndex| {
            let promise = lot.promise(*slot).filter(|promise| promise.is_offered());
            let clear = promise.is_some_and(|p| p.timeline.clash(terms.window, None).is_none());
            clear && lot.spec().slot(*slot).is_some_and(|slot| terms.needs.fit(slot))
        };
        self.all || self.slots.iter().any(fits)
    }
}

/// Applies one step of what happened, and brings along the offers that come of it, applied as well.
pub(super) fn follow(
    lot: &mut Lot,
    mut step: Events,
    now: Timestamp,
    bays: &dyn Bays,
) -> (Events, usize) {
    let mut freed = Freed::default();
    for event in &step {
        let effect = apply_and_tell(lot, event, now);
        freed.note(event, &effect);
    }
    let offers = offers(lot, &freed, now, bays);
    let count = offers.len();
    step.extend(offers);
    (step, count)
}

/// Who is offered what by events that are decided and not yet applied. Mostly nobody waits.
pub(super) fn after(
    lot: &Lot,
    granted: Events,
    now: Timestamp,
    bays: &dyn Bays,
) -> (Events, usize) {
    if granted.is_empty() || lot.waiting().count() == 0 {
        return (granted, 0);
    }
    follow(&mut lot.clone(), granted, now, bays)
}

/// The line in its order: each takes what he can have, and nothing is freed by that.
fn offers(lot: &mut Lot, freed: &Freed, now: Timestamp, bays: &dyn Bays) -> Events {
    let mut offers = Events::new();
    if lot.waiting().count() == 0 || (freed.slots.is_empty() && !freed.all) {
        return offers;
    }
    // They wait on while it is paused: what is free then is offered once it is listed again.
    if lot.check_listed().is_err() {
        return offers;
    }
    let line: Vec<Arc<Waiter>> = lot.waiting().line().cloned().collect();
    for waiter in &line {
        let is_open = lot.check_hours(waiter.terms.window).is_ok();
        if !is_open || !freed.may_fit(lot, &waiter.terms) {
            continue;
        }
        let offer = offer(lot, waiter, now, bays);
        offer.iter().for_each(|event| apply(lot, event, now));
        offers.extend(offer);
    }
    offers
}

/// The offer to one who waits; nothing where he cannot have it after all.
fn offer(lot: &Lot, waiter: &Waiter, now: Timestamp, bays: &dyn Bays) -> Events {
    let (id, terms) = (waiter.id, &waiter.terms);
    let Ok(slot) = reservation::any_slot(lot, &terms.needs, terms.window, now, bays) else {
        return Events::new();
    };
    // His time ran out together with what is freed only now, because nobody looked for a while.
    if terms.window.from <= now {
        return run_out(id);
    }
    match reservation::promise(lot, &reserve(id, terms, lot), slot, now, bays) {
        Ok(promised) => {
            let mut events: Events = smallvec![Event::Waiting(waiting::Event::Offered { id })];
            events.extend(promised);
            events
        }
        Err(_) => smallvec![Event::Waiting(waiting::Event::Refused { id })],
    }
}
