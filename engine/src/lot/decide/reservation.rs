//! Promises: reserve, confirm, modify, cancel.
//!
//! The lot given here has settled: what was due has happened, so a hold that is still held can still be
//! confirmed. Absent: that settling (see the parent) and who may ask at all (the gateway's roles).

use smallvec::smallvec;
use std::sync::Arc;

use super::{Events, Granted, expect_version, happened, unchanged};
use crate::ids::{ReservationId, SlotIndex};
use crate::limits;
use crate::lot::{
    Bays, Caller, Choice, Event, Lot, Needs, Outcome, Promise, Rejection, Reservation, Reserve,
    Reserved, Service, State,
};
use crate::time::{Seconds, Timestamp, Window};

pub(super) fn reserve(lot: &Lot, reserve: &Reserve, now: Timestamp, bays: &dyn Bays) -> Granted {
    if lot.reservations.contains_key(&reserve.id) {
        return Err(Rejection::IdTaken);
    }
    check_window(reserve.window, now)?;
    let held = lot.index.active_of.get(&reserve.holder).copied().unwrap_or_default();
    if held as usize >= limits::RESERVATIONS_PER_HOLDER_MAX {
        return Err(Rejection::TooManyReservations);
    }
    let slot = match reserve.choice {
        Choice::Slot(slot) => given_slot(lot, slot, reserve.window)?,
        Choice::Any(needs) => any_slot(lot, &needs, reserve.window, now, bays)?,
    };
    let hold = reserve.hold.map(|hold| hold.min(Seconds(limits::HOLD_SECONDS_MAX)));
    let mut events: Events = smallvec![Event::Reserved(Box::new(Reserved {
        id: reserve.id,
        slot,
        window: reserve.window,
        expires_at: hold.map(|hold| now.plus(hold)),
        holder: reserve.holder,
        vehicle: reserve.vehicle,
    }))];
    if shows(lot, reserve.window, now) {
        events.push(Event::HoldBegan { id: reserve.id });
    }
    Ok((events, Outcome::Reservation(reserve.id)))
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

fn any_slot(
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

pub(super) fn modify(
    lot: &Lot,
    id: ReservationId,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    expected_version: Option<u32>,
    by: Caller,
    now: Timestamp,
) -> Granted {
    let reservation = visible(lot, id, by)?;
    if !reservation.state.is_active() {
        return Err(Rejection::ReservationEnded { state: reservation.state });
    }
    expect_version(expected_version, reservation.version)?;
    let old = reservation.window;
    let window = Window { from: from.unwrap_or(old.from), to: to.unwrap_or(old.to) };
    if window == old {
        return unchanged(Outcome::Reservation(id));
    }
    check_modified(old, window, now)?;
    let slot = reservation.slot;
    let promise = lot.promise(slot).ok_or(Rejection::SlotNotFound)?;
    // Giving time back is always possible; taking more of a closed slot is not.
    if window.from < old.from || window.to > old.to {
        check_service(promise, slot, window)?;
    }
    if let Some(span) = promise.timeline.clash(window, Some(id)) {
        return Err(Rejection::SlotTaken { slot, clash: span.window });
    }
    let mut events: Events = smallvec![Event::Modified { id, window }];
    if !reservation.shown && shows(lot, window, now) {
        events.push(Event::HoldBegan { id });
    }
    Ok((events, Outcome::Reservation(id)))
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

pub(super) fn cancel(lot: &Lot, id: ReservationId, reason: Option<&str>, by: Caller) -> Granted {
    let reservation = visible(lot, id, by)?;
    match reservation.state {
        State::Held { .. } | State::Confirmed | State::CheckedIn { .. } => {
            let reason = reason.map(Box::from);
            happened(Event::Cancelled { id, reason }, Outcome::Reservation(id))
        }
        State::Cancelled => unchanged(Outcome::Reservation(id)),
        state @ (State::Completed | State::Expired | State::NoShow) => {
            Err(Rejection::ReservationEnded { state })
        }
    }
}
