//! What stands on slots, compared with what was promised and who came in.
//!
//! Looked at when a reading of it is durable and again once the lot's grace is over, in lots whose rules ask
//! for it. A stay that nobody can tell from another is not guessed: then nothing is said.
//! Absent: who says when to look (`actors/src/sightings.rs`).

use std::sync::Arc;

use super::Events;
use super::violation::{derived, found, is_full, raised, resolved};
use crate::ids::{SessionId, SlotIndex};
use crate::lot::session::Session;
use crate::lot::violation::{Kind, Raised, State, Violation};
use crate::lot::{Bays, Event, Lot, Service};
use crate::money::Amount;
use crate::time::{Seconds, Timestamp};

/// Why a violation ends by itself.
const VEHICLE_GONE: &str = "vehicle_gone";

/// What stands on these slots: with what was promised and who came in, is that as it should be?
pub(super) fn look(lot: &Lot, slots: &[SlotIndex], now: Timestamp, bays: &dyn Bays) -> Events {
    let mut events = Events::new();
    if !lot.spec().rules.enforce_slots {
        return events;
    }
    let mut so_far: Option<Lot> = None;
    for slot in slots {
        let step = look_at(so_far.as_ref().unwrap_or(lot), *slot, now, bays);
        if step.is_empty() {
            continue;
        }
        // The next slot must not be given the stay that this one was.
        let lot = so_far.get_or_insert_with(|| lot.clone());
        step.iter().for_each(|event| crate::lot::apply(lot, event, now));
        events.extend(step);
    }
    events
}

fn look_at(lot: &Lot, slot: SlotIndex, now: Timestamp, bays: &dyn Bays) -> Events {
    let ends = |v: &&Arc<Violation>| {
        v.detected
            && v.penalty == Amount::ZERO
            && v.state != State::Appealed
            && matches!(v.kind, Kind::NoSession | Kind::WrongSlotType)
    };
    match (bays.occupied(slot), bays.occupied_since(slot)) {
        (Some(true), Some(since)) => stands(lot, slot, since, now, bays),
        (Some(false), _) => {
            let gone = lot.violations().at_slot(slot).filter(ends);
            gone.map(|violation| resolved(violation.id, Some(VEHICLE_GONE))).collect()
        }
        (Some(true) | None, _) => Events::new(),
    }
}

/// Something stands there.
fn stands(lot: &Lot, slot: SlotIndex, since: Timestamp, now: Timestamp, bays: &dyn Bays) -> Events {
    if let Some(session) = lot.stays().at_slot(slot) {
        let wrong = is_wrong_type(lot, session, slot);
        let found = wrong.then(|| found(lot, session, Kind::WrongSlotType, since, now)).flatten();
        return found.into_iter().collect();
    }
    if now < since.plus(lot.spec().rules.enforce_grace) || is_expected(lot, slot, now) {
        return Events::new();
    }
    match whose(lot, slot, since, bays) {
        Whose::Nobodys => no_session(lot, slot, since, now).into_iter().collect(),
        Whose::Unclear => Events::new(),
        Whose::Of(id) => {
            let Some(session) = lot.stays().get(id) else { return Events::new() };
            let moved = super::stay::place(lot, session, Some(slot), now).unwrap_or_default();
            let mut events = moved;
            if !events.is_empty() && is_wrong_type(lot, session, slot) {
                let placed = Session { slot: Some(slot), ..Session::clone(session) };
                events.extend(found(lot, &placed, Kind::WrongSlotType, since, now));
            }
            events
        }
    }
}

/// Whether the vehicle is of a type that the slot does not admit. One of an unknown type is not judged.
fn is_wrong_type(lot: &Lot, session: &Session, slot: SlotIndex) -> bool {
    let Some(vehicle_type) = session.terms.vehicle_type.as_deref() else { return false };
    let spec = lot.spec();
    let Some(slot) = spec.slot(slot).filter(|slot| slot.vehicle_types.0 != 0) else {
        return false;
    };
    let bit = spec.vehicle_types.iter().position(|name| **name == *vehicle_type);
    bit.is_none_or(|bit| slot.vehicle_types.0 >> bit & 1 == 0)
}

/// Whether somebody may stand there without a stay: who has promised the slot now, a little early or late,
/// in a lot without gates; or who works on a slot that is closed.
fn is_expected(lot: &Lot, slot: SlotIndex, now: Timestamp) -> bool {
    let rules = &lot.spec().rules;
    let Some(promise) = lot.promise(slot) else { return true };
    let may_stand = |from: Timestamp, to: Timestamp| {
        from.minus(rules.early_entry) <= now && now < to.plus(rules.overstay_grace)
    };
    let promised = promise.timeline.spans().iter();
    promise.service != Service::InService
        || promised
            .filter(|span| span.window.from <= now.plus(rules.early_entry))
            .any(|span| may_stand(span.window.from, span.window.to))
}

/// To whom a vehicle belongs that stands where nobody was sent.
enum Whose {
    /// The one stay that can be it.
    Of(SessionId),
    /// It can be one of several.
    Unclear,
    /// To nobody who came in.
    Nobodys,
}

/// A stay whose own slot is seen empty, and which came in before something stood here.
fn whose(lot: &Lot, slot: SlotIndex, since: Timestamp, bays: &dyn Bays) -> Whose {
    let skew = lot.spec().rules.skew;
    let may_be = |session: &&Arc<Session>| {
        let elsewhere = match session.slot {
            Some(own) => own != slot && bays.occupied(own) != Some(true),
            None => true,
        };
        elsewhere && session.entered_at <= since.plus(skew)
    };
    let mut candidates = lot.stays().inside().filter(may_be);
    match (candidates.next(), candidates.next()) {
        (None, _) => Whose::Nobodys,
        // Where one may stand anywhere nobody was sent anywhere, and an unseen slot may be taken.
        (Some(only), None) => match only.slot.and_then(|own| bays.occupied(own)) {
            Some(false) => Whose::Of(only.id),
            Some(true) | None => Whose::Unclear,
        },
        (Some(_), Some(_)) => Whose::Unclear,
    }
}

fn no_session(lot: &Lot, slot: SlotIndex, since: Timestamp, now: Timestamp) -> Option<Event> {
    let kind = Kind::NoSession;
    let known = lot.violations().at_slot(slot).any(|violation| violation.kind == kind);
    if known || is_full(lot) {
        return None;
    }
    let about = lot.spec().slot(slot)?.id.0;
    Some(raised(Raised {
        id: derived(about, &kind, now),
        severity: kind.severity(),
        kind,
        detected: true,
        since,
        session: None,
        slot: Some(slot),
        vehicle: None,
        holder: None,
        account: None,
        penalty: Amount::ZERO,
        evidence: Vec::new(),
    }))
}

impl Lot {
    /// When a slot must be looked at again, if what stands there is not accounted for yet: once the lot's
    /// grace is over, and as often again until it is.
    #[must_use]
    pub fn next_look(&self, slot: SlotIndex, now: Timestamp, bays: &dyn Bays) -> Option<Timestamp> {
        let rules = &self.spec().rules;
        let is_known = self.stays().at_slot(slot).is_some()
            || self.violations().at_slot(slot).any(|v| v.kind == Kind::NoSession);
        if !rules.enforce_slots || is_known || bays.occupied(slot) != Some(true) {
            return None;
        }
        let grace = Seconds(rules.enforce_grace.0.max(1));
        let first = bays.occupied_since(slot)?.plus(grace);
        Some(if now < first { first } else { now.plus(grace) })
    }
}
