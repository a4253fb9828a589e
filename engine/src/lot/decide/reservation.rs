//! Promises: reserve, confirm, modify, cancel.
//!
//! The lot given here has settled: what was due has happened, so a hold that is still held can still be
//! confirmed. Absent: that settling (see the parent), whether somebody came (`arrival.rs`) and who may ask at all
//! (the gateway's roles).

use smallvec::smallvec;
use std::sync::Arc;

use super::{Events, Granted, expect_version, happened, unchanged};
use crate::ids::{Pseudonym, ReservationId, SlotIndex, WaitingId};
use crate::limits;
use crate::lot::{
    Ask, Bays, Caller, Choice, Event, Lot, MovedTo, Needs, Outcome, Owner, Price, Promise, Purpose,
    Rejection, Reservation, Reserve, Reserved, Service, State,
};
use crate::money::Amount;
use crate::time::{Seconds, Timestamp, Window};

pub(super) fn reserve(lot: &Lot, reserve: &Reserve, now: Timestamp, bays: &dyn Bays) -> Granted {
    check_new(lot, reserve, now)?;
    let slot = match reserve.choice {
        Choice::Slot(slot) => given_slot(lot, slot, reserve.window)?,
        Choice::Any(needs) => any_slot(lot, &needs, reserve.window, now, bays)?,
    };
    let events = promise(lot, reserve, slot, now, bays)?;
    Ok((events, Outcome::Reservation(reserve.id)))
}

/// What a new promise must be, whichever slot it is for. Who waits may become a reservation: his id is taken,
/// and he counts.
pub(super) fn check_new(lot: &Lot, reserve: &Reserve, now: Timestamp) -> Result<(), Rejection> {
    let waits = lot.waiting().get(WaitingId(reserve.id.0)).is_some();
    if waits || lot.reservations.contains_key(&reserve.id) {
        return Err(Rejection::IdTaken);
    }
    check_window(reserve.window, now)?;
    lot.check_offered(reserve.window)?;
    let held = lot.index.active_of.get(&reserve.holder).copied().unwrap_or_default();
    let waiting = lot.waiting().count_of(reserve.holder);
    if held as usize + waiting >= limits::RESERVATIONS_PER_HOLDER_MAX {
        return Err(Rejection::TooManyReservations);
    }
    Ok(())
}

/// Promises a slot that is open.
pub(super) fn promise(
    lot: &Lot,
    reserve: &Reserve,
    slot: SlotIndex,
    now: Timestamp,
    bays: &dyn Bays,
) -> Result<Events, Rejection> {
    let price = price(lot, reserve, slot, bays)?;
    let hold = reserve.hold.map(|hold| hold.min(Seconds(limits::HOLD_SECONDS_MAX)));
    let mut events: Events = smallvec![Event::Reserved(Box::new(Reserved {
        id: reserve.id,
        slot,
        window: reserve.window,
        expires_at: hold.map(|hold| now.plus(hold)),
        holder: reserve.holder,
        vehicle: reserve.vehicle,
        price: price.map(Box::new),
        series: reserve.series,
        request: reserve.request,
    }))];
    if shows(lot, reserve.window, now) {
        events.push(Event::HoldBegan { id: reserve.id });
    }
    Ok(events)
}

/// What it costs, and in which terms: both bind from now on.
fn price(
    lot: &Lot,
    reserve: &Reserve,
    slot: SlotIndex,
    bays: &dyn Bays,
) -> Result<Option<Price>, Rejection> {
    // Most lots of a sensor network have no tariff: nothing is looked up for them.
    if lot.tariffs().is_empty() && reserve.discounts.is_empty() {
        return Ok(None);
    }
    let ask = Ask {
        window: reserve.window,
        slot: Some(slot),
        zone: None,
        vehicle_type: reserve.vehicle_type.clone(),
        discounts: reserve.discounts.clone(),
        occupancy: bays.occupancy(),
    };
    lot.check_discounts(&ask)?;
    Ok(lot.quote(&ask)?)
}

/// Whether the slot of a promise for `window` shows as held already.
fn shows(lot: &Lot, window: Window, now: Timestamp) -> bool {
    window.from.minus(lot.spec.rules.hold_lead) <= now
}

fn given_slot(lot: &Lot, slot: SlotIndex, window: Window) -> Result<SlotIndex, Rejection> {
    let promise = lot.promise(slot).ok_or(Rejection::SlotNotFound)?;
    check_service(promise, slot, window)?;
    if let Some(span) = promise.timeline.clash(window, None) {
        return Err(Rejection::SlotTaken { slot, clash: span.window });
    }
    if promise.is_booked_out() {
        return Err(Rejection::SlotBookedOut { slot });
    }
    Ok(slot)
}

/// A closed slot can be promised from the time at which it returns.
fn check_service(promise: &Promise, slot: SlotIndex, window: Window) -> Result<(), Rejection> {
    match &promise.service {
        Service::OutOfService { until, .. } if until.is_none_or(|until| window.from < until) => {
            Err(Rejection::SlotOutOfService { slot, until: *until })
        }
        Service::OutOfService { .. } | Service::InService => Ok(()),
    }
}

pub(super) fn any_slot(
    lot: &Lot,
    needs: &Needs,
    window: Window,
    now: Timestamp,
    bays: &dyn Bays,
) -> Result<SlotIndex, Rejection> {
    // A bay that is occupied now matters only for a window that begins about now.
    let soon = shows(lot, window, now);
    let standing = |slot| soon && bays.occupied(slot) == Some(true);
    match lot.index.openings.find(needs, window, limits::EMPTY_BAY_PROBES_MAX, standing) {
        Some(slot) => Ok(slot),
        None if lot.index.openings.any_fits(needs) => Err(Rejection::NoSlotFree),
        None => Err(Rejection::NoSlotFits),
    }
}

fn check_window(window: Window, now: Timestamp) -> Result<(), Rejection> {
    if window.to <= window.from {
        return Err(Rejection::WindowEmpty);
    }
    if window.from < now.minus(Seconds(limits::WINDOW_LATE_SECONDS_MAX)) || window.to <= now {
        return Err(Rejection::WindowInPast);
    }
    if window.from > now.plus(Seconds(limits::WINDOW_AHEAD_SECONDS_MAX)) {
        return Err(Rejection::WindowTooLong);
    }
    check_length(window)
}

fn check_length(window: Window) -> Result<(), Rejection> {
    let too_long = window.to > window.from.plus(Seconds(limits::WINDOW_SECONDS_MAX));
    if too_long { Err(Rejection::WindowTooLong) } else { Ok(()) }
}

fn visible(lot: &Lot, id: ReservationId, by: Caller) -> Result<&Arc<Reservation>, Rejection> {
    lot.reservation(id)
        .filter(|reservation| by.may_touch(reservation.holder))
        .ok_or(Rejection::ReservationNotFound)
}

pub(super) fn confirm(lot: &Lot, id: ReservationId, by: Caller) -> Granted {
    let reservation = visible(lot, id, by)?;
    match reservation.state {
        // Past its deadline it would have expired while settling.
        State::Held { .. } => happened(Event::Confirmed { id }, Outcome::Reservation(id)),
        State::Confirmed | State::CheckedIn { .. } => unchanged(Outcome::Reservation(id)),
        State::Expired => Err(Rejection::HoldExpired),
        state @ (State::Completed | State::Cancelled | State::NoShow) => {
            Err(Rejection::ReservationEnded { state })
        }
    }
}

/// What a promise is to become.
pub(super) struct Wanted {
    /// Another slot, else the same.
    pub choice: Option<Choice>,
    /// New start, else the old one.
    pub from: Option<Timestamp>,
    /// New end, else the old one.
    pub to: Option<Timestamp>,
    /// What its holder asks for, else as before.
    pub request: Option<Option<Pseudonym>>,
}

pub(super) fn modify(
    lot: &Lot,
    id: ReservationId,
    wanted: &Wanted,
    (expected_version, by): (Option<u32>, Caller),
    now: Timestamp,
    bays: &dyn Bays,
) -> Granted {
    let reservation = visible(lot, id, by)?;
    if !reservation.state.is_active() {
        return Err(Rejection::ReservationEnded { state: reservation.state });
    }
    expect_version(expected_version, reservation.version)?;
    let mut events = moved_to(lot, reservation, wanted, by, now, bays)?;
    let request = wanted.request.filter(|new| *new != lot.requests().about(id.into()));
    events.extend(request.map(|request| Event::Requested { id, request }));
    Ok((events, Outcome::Reservation(id)))
}

/// What takes a promise to its new window and slot; nothing where it stays as it is.
fn moved_to(
    lot: &Lot,
    reservation: &Arc<Reservation>,
    wanted: &Wanted,
    by: Caller,
    now: Timestamp,
    bays: &dyn Bays,
) -> Result<Events, Rejection> {
    let (id, old) = (reservation.id, reservation.window);
    let window = Window { from: wanted.from.unwrap_or(old.from), to: wanted.to.unwrap_or(old.to) };
    let slot = match wanted.choice {
        None => reservation.slot,
        Some(Choice::Slot(slot)) => slot,
        Some(Choice::Any(needs)) => other_slot(lot, reservation, &needs, window, now, bays)?,
    };
    let mut events = Events::new();
    if window == old && slot == reservation.slot {
        return Ok(events);
    }
    if window != old {
        check_modified(old, window, now)?;
        lot.check_changed(old, window)?;
    }
    let stays_longer = slot == reservation.slot && window.from == old.from && window.to > old.to;
    if !stays_longer {
        check_in_time(lot, reservation, by, now)?;
    }
    check_inside(lot, reservation, slot, window)?;
    let promise = lot.promise(slot).ok_or(Rejection::SlotNotFound)?;
    // Giving time back is always possible; taking more of a closed slot is not.
    if slot != reservation.slot || window.from < old.from || window.to > old.to {
        check_service(promise, slot, window)?;
    }
    // A car that came early or stays on has its own stretch of its slot: that gives way.
    let own = lot.stays().of_reservation(id).map(|session| Owner::Session(session.id));
    let in_the_way = promise
        .timeline
        .clash_with(window, |owner| owner != Owner::Reservation(id) && Some(owner) != own);
    if let Some(span) = in_the_way {
        return Err(Rejection::SlotTaken { slot, clash: span.window });
    }
    if slot != reservation.slot && promise.is_booked_out() {
        return Err(Rejection::SlotBookedOut { slot });
    }
    if slot == reservation.slot {
        let price = lot.requote(reservation, window)?.map(Box::new);
        events.push(Event::Modified { id, window, price });
        if !reservation.shown && shows(lot, window, now) {
            events.push(Event::HoldBegan { id });
        }
    } else {
        moved(lot, reservation, slot, window, now, &mut events);
    }
    Ok(events)
}

/// A driver gives back what was promised to him in time for somebody else to have it. What he only holds he may
/// let go at any time, and staff decide for themselves.
fn check_in_time(
    lot: &Lot,
    reservation: &Reservation,
    by: Caller,
    now: Timestamp,
) -> Result<(), Rejection> {
    let Some(ahead) = lot.spec.rules.change_until else { return Ok(()) };
    let until = reservation.window.from.minus(ahead);
    let is_firm = !matches!(reservation.state, State::Held { .. });
    let is_late = is_firm && matches!(by, Caller::Holder(_)) && now > until;
    if is_late { Err(Rejection::ChangeTooLate { until }) } else { Ok(()) }
}

/// A driver who is inside stands where he stands: his window can end elsewhere, not begin.
fn check_inside(
    lot: &Lot,
    reservation: &Reservation,
    slot: SlotIndex,
    window: Window,
) -> Result<(), Rejection> {
    let session = lot.stays().of_reservation(reservation.id);
    let Some(session) = session.filter(|session| session.state.is_inside()) else { return Ok(()) };
    if slot == reservation.slot && window.from == reservation.window.from {
        return Ok(());
    }
    Err(Rejection::VehicleInside { session: session.id })
}

fn other_slot(
    lot: &Lot,
    reservation: &Reservation,
    needs: &Needs,
    window: Window,
    now: Timestamp,
    bays: &dyn Bays,
) -> Result<SlotIndex, Rejection> {
    // Its own slot is open but for itself: staying there is no move.
    let own = lot.spec.slot(reservation.slot).is_some_and(|slot| needs.fit(slot));
    let stays = own
        && lot.promise(reservation.slot).is_some_and(|promise| {
            promise.timeline.clash(window, Some(reservation.id.into())).is_none()
        });
    if stays { Ok(reservation.slot) } else { any_slot(lot, needs, window, now, bays) }
}

/// Takes a promise to another slot. Each record changes what one slot shows.
pub(super) fn moved(
    lot: &Lot,
    reservation: &Reservation,
    slot: SlotIndex,
    window: Window,
    now: Timestamp,
    events: &mut Events,
) {
    let id = reservation.id;
    if reservation.shown {
        events.push(Event::HoldEnded { id });
    }
    // What was agreed binds: the price follows the window, not the slot's own tariff.
    let price = lot.requote(reservation, window).ok().flatten().map(Box::new);
    events.push(Event::Moved(Box::new(MovedTo { id, slot, window, price })));
    if shows(lot, window, now) {
        events.push(Event::HoldBegan { id });
    }
}

/// The window ended after an arrival. Whoever is still inside keeps the slot while nobody else has it.
pub(super) fn complete(lot: &Lot, reservation: &Reservation, now: Timestamp) -> Events {
    let id = reservation.id;
    let mut events: Events = smallvec![Event::Completed { id }];
    match lot.stays().of_reservation(id) {
        Some(session) if session.state.is_inside() => {
            events.extend(super::stay::stay_on(lot, session, reservation.window.to, now));
        }
        Some(_) => {}
        None => charge(lot, reservation, Purpose::Charge, Kept::All, &mut events),
    }
    events
}

/// What of a price is kept when a promise ends.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    /// All: it was used.
    All,
    /// What the tariff keeps of somebody who does not come.
    NoShow,
    /// What it keeps of somebody who gives up at this time.
    Cancelled(Timestamp),
}

/// Bills a promise that ends without a stay. One that was only held owes nothing.
pub(super) fn charge(
    lot: &Lot,
    reservation: &Reservation,
    purpose: Purpose,
    kept: Kept,
    events: &mut Events,
) {
    let Some(price) = &reservation.price else { return };
    let total = price.fee.total;
    let tariff = price.terms.tariff.and_then(|(id, version)| lot.tariffs().version(id, version));
    let refund = match (kept, tariff) {
        (Kept::All, _) | (_, None) => Amount::ZERO,
        (Kept::NoShow, Some(tariff)) => tariff.cancellation.no_show_refund(total),
        (Kept::Cancelled(at), Some(tariff)) => {
            tariff.cancellation.refund(total, reservation.window.from, at)
        }
    };
    if total.saturating_sub(refund) > Amount::ZERO {
        let owner = Owner::Reservation(reservation.id);
        let posting = lot.accounts().charge_part(owner, purpose, &price.fee, refund);
        events.push(Event::Posted(Box::new(posting)));
    }
}

/// A stay that runs may keep its start, which lies in the past; a new start may not.
fn check_modified(old: Window, window: Window, now: Timestamp) -> Result<(), Rejection> {
    if window.to <= window.from {
        return Err(Rejection::WindowEmpty);
    }
    if window.from != old.from || window.from >= now {
        return check_window(window, now);
    }
    if window.to <= now {
        return Err(Rejection::WindowInPast);
    }
    check_length(window)
}

pub(super) fn cancel(
    lot: &Lot,
    id: ReservationId,
    reason: Option<&str>,
    by: Caller,
    now: Timestamp,
) -> Granted {
    let reservation = visible(lot, id, by)?;
    let outcome = Outcome::Reservation(id);
    match reservation.state {
        State::Held { .. } | State::Confirmed | State::CheckedIn { .. } => {
            let inside = lot.stays().of_reservation(id).filter(|s| s.state.is_inside());
            if let Some(session) = inside {
                return Err(Rejection::VehicleInside { session: session.id });
            }
            check_in_time(lot, reservation, by, now)?;
            let mut events = Events::new();
            // Nobody pays for a hold that he let go, or for what the operator takes back.
            let is_firm = !matches!(reservation.state, State::Held { .. });
            if is_firm && matches!(by, Caller::Holder(_)) {
                let kept = Kept::Cancelled(now);
                charge(lot, reservation, Purpose::Cancellation, kept, &mut events);
            }
            // Its own event comes last: it says what a retry is answered.
            events.push(Event::Cancelled { id, reason: reason.map(Box::from) });
            Ok((events, outcome))
        }
        State::Cancelled => unchanged(outcome),
        state @ (State::Completed | State::Expired | State::NoShow) => {
            Err(Rejection::ReservationEnded { state })
        }
    }
}
