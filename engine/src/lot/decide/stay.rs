//! Stays without a gate: what staff do about them, and what they do by themselves when their time comes.
//!
//! Absent: scans (`scan.rs`, `exit.rs`), and who is staff (the gateway's roles).

use std::sync::Arc;

use smallvec::smallvec;

use super::exit::{self, End};
use super::{Events, Granted, expect_version, happened, unchanged};
use crate::ids::{SessionId, SlotIndex};
use crate::limits;
use crate::lot::session::{Direction, Due, Session};
use crate::lot::{Event, Lot, Outcome, Owner, Promise, Rejection, StayChange, session};
use crate::tariff::Ending;
use crate::time::{Seconds, Timestamp, Window};

/// One change of a stay by staff.
pub(super) fn change(
    lot: &Lot,
    id: SessionId,
    change: &StayChange,
    expected_version: Option<u32>,
    now: Timestamp,
) -> Granted {
    let session = lot.stays().get(id).ok_or(Rejection::SessionNotFound)?;
    expect_version(expected_version, session.version)?;
    let outcome = Outcome::Session(id);
    if !session.state.is_inside() {
        return match change {
            // Whoever asks again finds it done.
            StayChange::Leave { .. } => unchanged(outcome),
            StayChange::Place { .. }
            | StayChange::Identify { .. }
            | StayChange::LoseTicket
            | StayChange::Request(_) => Err(Rejection::SessionEnded { state: session.state }),
        };
    }
    match change {
        StayChange::Leave { at } => {
            let at = at.unwrap_or(now).clamp(session.entered_at, now.max(session.entered_at));
            let fee = lot.bill_of(session, at).fee;
            let mut events = Events::new();
            // It came in through a gate that counts: what nobody counted out would stay in for ever.
            super::count::passed(lot, Direction::Exit, at, &mut events);
            End { at, gate: None, fee, reason: None }.of(lot, session, &mut events);
            Ok((events, outcome))
        }
        StayChange::Place { slot } => Ok((place(lot, session, *slot, now)?, outcome)),
        StayChange::Identify { vehicle } if session.vehicle == Some(*vehicle) => unchanged(outcome),
        StayChange::Identify { vehicle } => {
            if let Some(other) = lot.stays().of_vehicle(*vehicle) {
                return Err(Rejection::VehicleInside { session: other.id });
            }
            let identified = session::Event::Identified { id, vehicle: *vehicle };
            happened(Event::Session(identified), outcome)
        }
        StayChange::LoseTicket if session.ticket_lost => unchanged(outcome),
        StayChange::LoseTicket => {
            happened(Event::Session(session::Event::TicketLost { id }), outcome)
        }
        StayChange::Request(request) if lot.requests().about(Owner::Session(id)) == *request => {
            unchanged(outcome)
        }
        StayChange::Request(request) => {
            let requested = session::Event::Requested { id, request: *request };
            happened(Event::Session(requested), outcome)
        }
    }
}

/// Binds a stay to the slot where the vehicle really stands. Its reservation goes with it where the new slot
/// is open as long; what stands in the way is named.
pub(super) fn place(
    lot: &Lot,
    session: &Arc<Session>,
    slot: Option<SlotIndex>,
    now: Timestamp,
) -> Result<Events, Rejection> {
    if session.slot == slot {
        return Ok(Events::new());
    }
    let mut events = Events::new();
    let id = session.id;
    if session.slot.is_some() {
        let nowhere = session::Event::Placed { id, slot: None, claim: None };
        events.push(Event::Session(nowhere));
    }
    let Some(slot) = slot else { return Ok(events) };
    let promise = lot.promise(slot).ok_or(Rejection::SlotNotFound)?;
    if let Some(other) = lot.stays().at_slot(slot) {
        return Err(Rejection::VehicleInside { session: other.id });
    }
    let reserved = session.reservation().and_then(|id| lot.reservation(id));
    let claim = match reserved.filter(|reservation| reservation.state.is_active()) {
        Some(reservation) => {
            let window = reservation.window;
            let own = Some(Owner::Reservation(reservation.id));
            if let Some(span) = promise.timeline.clash(window, own) {
                return Err(Rejection::SlotTaken { slot, clash: span.window });
            }
            // Its promise may have stayed where the vehicle comes back to.
            if reservation.slot != slot {
                super::reservation::moved(lot, reservation, slot, window, now, &mut events);
            }
            open_in(promise, Window { from: now, to: window.from })
        }
        None => open_from(lot, slot, now, now),
    };
    events.push(Event::Session(session::Event::Placed { id, slot: Some(slot), claim }));
    Ok(events)
}

/// What of a slot is open from an instant on, until a drive-in that comes now would be taken to be gone.
fn open_from(lot: &Lot, slot: SlotIndex, from: Timestamp, now: Timestamp) -> Option<Window> {
    let promise = lot.promise(slot)?;
    let wanted = Window { from, to: from.max(now).plus(lot.spec().rules.drive_in_stay) };
    open_in(promise, wanted)
}

/// What of a window is open from its start on, up to the first promise.
fn open_in(promise: &Promise, wanted: Window) -> Option<Window> {
    let clash = promise.timeline.clash(wanted, None);
    let to = clash.map_or(wanted.to, |span| span.window.from);
    (wanted.from < to).then_some(Window { to, ..wanted })
}

/// What a stay does by itself when its time has come.
pub(super) fn overdue(lot: &Lot, session: &Arc<Session>, due: Due, now: Timestamp) -> Events {
    let id = session.id;
    match due {
        Due::Claim => claim_on(lot, session, now),
        Due::Overstay => {
            let mut events: Events = smallvec![Event::Session(session::Event::Overstayed { id })];
            events.extend(super::violation::overstayed(lot, session, now));
            events
        }
        Due::Abandon => {
            let until = abandoned_at(lot, session).min(now);
            let fee = lot.bill(session, until, Ending::Abandoned);
            let billed = fee.clone().map(Box::new);
            let mut events = Events::new();
            exit::settle(lot, session, fee.as_ref(), &mut events);
            events.extend(super::pass::left(lot, session, until));
            events.push(Event::Session(session::Event::Abandoned { id, fee: billed }));
            events
        }
    }
}

/// Nobody knows when it left: billed is what was booked, or the first day.
fn abandoned_at(lot: &Lot, session: &Session) -> Timestamp {
    let day = session.entered_at.plus(Seconds(limits::ABANDONED_BILLED_SECONDS_MAX));
    session.expected_exit(&lot.spec().rules).map_or(day, |expected| expected.max(day))
}

/// The vehicle stands there still: it keeps the slot for as long as nobody else has it.
fn claim_on(lot: &Lot, session: &Arc<Session>, now: Timestamp) -> Events {
    let (Some(slot), Some(claim)) = (session.slot, session.claim) else { return Events::new() };
    let next = open_from(lot, slot, claim.to, now).filter(|next| next.to > now);
    let claim = next.map(|next| Window { from: claim.from, to: next.to });
    let id = session.id;
    smallvec![Event::Session(session::Event::Placed { id, slot: Some(slot), claim })]
}

/// A reservation ended while its vehicle is inside: the stay takes over the slot, if nobody else has it.
pub(super) fn stay_on(
    lot: &Lot,
    session: &Session,
    from: Timestamp,
    now: Timestamp,
) -> Option<Event> {
    let slot = session.slot?;
    let claim = open_from(lot, slot, from, now).filter(|claim| claim.to > now)?;
    let placed = session::Event::Placed { id: session.id, slot: Some(slot), claim: Some(claim) };
    Some(Event::Session(placed))
}
