//! Recurring requests: each occurrence is a reservation of its own, all are granted or none.
//!
//! Absent: the calendar. The outside turns "weekdays for a month" into windows, in the lot's time zone.

use super::{Events, Granted, reservation};
use crate::limits;
use crate::lot::{Bays, Event, Lot, Outcome, Rejection, Reserve, apply};
use crate::time::Timestamp;

pub(super) fn reserve(
    lot: &Lot,
    occurrences: &[Reserve],
    now: Timestamp,
    bays: &dyn Bays,
) -> Granted {
    let series = occurrences.first().and_then(|first| first.series);
    let count = occurrences.len();
    let (Some(series), true) = (series, count <= limits::OCCURRENCES_MAX) else {
        return Err(Rejection::OccurrencesOutOfRange { count });
    };
    let mut so_far = lot.clone();
    let mut events = Events::new();
    for (occurrence, wanted) in occurrences.iter().enumerate() {
        let granted = reservation::reserve(&so_far, wanted, now, bays);
        let (granted, _) =
            granted.map_err(|why| Rejection::Occurrence { occurrence, why: Box::new(why) })?;
        // The next one must not be given what this one has.
        granted.iter().for_each(|event| apply(&mut so_far, event, now));
        events.extend(granted);
    }
    // The last event says what a retry is answered, and must be a promise: a slot that is to show as held
    // at once does so with the next tick.
    if matches!(events.last(), Some(Event::HoldBegan { .. })) {
        events.pop();
    }
    Ok((events, Outcome::Series(series)))
}
