//! Whether somebody came whom nobody scanned in.

use lotkeeper_engine::lot::{Proof, State};
use lotkeeper_engine::spec::Arrival;
use lotkeeper_engine::time::Timestamp;

use super::lot::{Booking, LotModel};

/// Whether something stands on a slot, and since when; nothing where that is not known.
pub type Standing = Option<(bool, Timestamp)>;

/// How a booking is taken to have come when patience is over; nothing when it is a no-show.
#[must_use]
pub fn judged(lot: &LotModel, booking: &Booking, bays: &[Standing]) -> Option<Proof> {
    let arrival = lot.spec.rules.arrival;
    let standing = bays.get(booking.slot.at()).copied().flatten();
    let bound = lot.life.at_slot(booking.slot);
    if bound.is_some_and(|stay| stay.vehicle.is_some() && stay.vehicle == booking.vehicle) {
        return Some(Proof::Scanned);
    }
    let is_anothers = |since| bound.is_some() || came_for_another(lot, booking, since);
    let seen = match standing {
        Some((true, since)) if is_anothers(since) => None,
        standing => standing.map(|(occupied, _)| occupied),
    };
    match (arrival, seen) {
        (Arrival::Assumed, _) | (Arrival::BySensor, None) => Some(Proof::Assumed),
        (_, Some(true)) => Some(Proof::Seen),
        (Arrival::BySensor, Some(false)) | (Arrival::Proved, _) => None,
    }
}

/// What stands there came in the time of the booking before, which was another's.
fn came_for_another(lot: &LotModel, booking: &Booking, since: Timestamp) -> bool {
    let early = lot.spec.rules.early_entry;
    let mut before = lot.ended.iter().rev().filter_map(|id| lot.bookings.get(id)).filter(|it| {
        let in_time = it.window.from.minus(early) <= since && since < it.window.to;
        it.slot == booking.slot && it.state == State::Completed && in_time
    });
    since < booking.window.from.minus(early)
        && before.next().is_some_and(|it| match it.vehicle.zip(booking.vehicle) {
            Some((theirs, ours)) => theirs != ours,
            None => it.holder != booking.holder,
        })
}
