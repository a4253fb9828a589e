//! Did somebody come whom nobody scanned in? Judged once the lot's patience is over.
//!
//! Invariant: what stands there by another right proves nothing. Absent: arrivals at gates (`scan.rs`).

use std::sync::Arc;

use smallvec::smallvec;

use super::Events;
use super::reservation::{Kept, charge};
use crate::lot::{Bays, Event, Lot, Proof, Purpose, Reservation, State};
use crate::spec::Arrival;

/// Did somebody come? Judged when the lot's patience is over. A vehicle that stands there by another right
/// says nothing of him, and hides him from the sensor: then it is as if there were none.
pub(super) fn arrival(lot: &Lot, reservation: &Reservation, bays: &dyn Bays) -> Events {
    let id = reservation.id;
    let seen = match stands_there(lot, reservation, bays) {
        Stands::Somebody => Some(true),
        Stands::Nobody => Some(false),
        Stands::Another | Stands::Unknown => None,
        // One stay goes on into the next promise of its vehicle: the gate saw it come.
        Stands::Himself => return smallvec![Event::CheckedIn { id, proof: Proof::Scanned }],
    };
    let proof = match (lot.spec.rules.arrival, seen) {
        (Arrival::BySensor | Arrival::Proved, Some(true)) => Some(Proof::Seen),
        (Arrival::BySensor, Some(false)) | (Arrival::Proved, Some(false) | None) => None,
        (Arrival::BySensor, None) | (Arrival::Assumed, _) => Some(Proof::Assumed),
    };
    match proof {
        Some(proof) => smallvec![Event::CheckedIn { id, proof }],
        None => {
            let mut events: Events = smallvec![Event::NoShow { id }];
            charge(lot, reservation, Purpose::Cancellation, Kept::NoShow, &mut events);
            events
        }
    }
}

/// Whose vehicle stands on a promised slot.
enum Stands {
    /// A stay of the promise's own vehicle is bound to it.
    Himself,
    /// Somebody else's.
    Another,
    /// Whose is not known.
    Somebody,
    Nobody,
    /// No live sensor watches it.
    Unknown,
}

fn stands_there(lot: &Lot, reservation: &Reservation, bays: &dyn Bays) -> Stands {
    let bound = lot.stays().at_slot(reservation.slot);
    if bound.is_some_and(|stay| stay.vehicle.is_some() && stay.vehicle == reservation.vehicle) {
        return Stands::Himself;
    }
    match bays.occupied(reservation.slot) {
        None => Stands::Unknown,
        Some(false) => Stands::Nobody,
        Some(true) if bound.is_some() || is_anothers(lot, reservation, bays) => Stands::Another,
        Some(true) => Stands::Somebody,
    }
}

/// Whether the vehicle on a slot came for the promise before this one, whose window it has outstayed. Asked only
/// where it stands there since before one may come for this one.
fn is_anothers(lot: &Lot, reservation: &Reservation, bays: &dyn Bays) -> bool {
    let opens = reservation.window.from.minus(lot.spec.rules.early_entry);
    let Some(since) = bays.occupied_since(reservation.slot).filter(|since| *since < opens) else {
        return false;
    };
    let used = |other: &&Arc<Reservation>| {
        let was_there = other.state == State::Completed;
        let (from, to) = (other.window.from.minus(lot.spec.rules.early_entry), other.window.to);
        was_there && other.slot == reservation.slot && from <= since && since < to
    };
    let is_his = |other: &Reservation| match (other.vehicle, reservation.vehicle) {
        (Some(other), Some(his)) => other == his,
        _ => other.holder == reservation.holder,
    };
    let ended = lot.ended.iter().rev().filter_map(|id| lot.reservation(*id));
    ended.into_iter().find(used).is_some_and(|other| !is_his(other))
}
