//! Promises: no two active reservations of a slot share an instant, and every 201 is still there.

use crate::clock::{MICROS_PER_SECOND, parse_rfc3339};
use crate::wire::{Reservation, ReservationState};
use std::collections::HashMap;
use thiserror::Error;

/// Where a promise stands as far as the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromiseState {
    Held,
    Confirmed,
    Cancelled,
    /// A confirm or cancel got no answer.
    Unsure,
}

/// A reservation the client was granted.
#[derive(Clone, Debug)]
pub struct Promise {
    pub id: String,
    /// Position in the fleet.
    pub lot: usize,
    pub slot: String,
    pub from_us: u64,
    pub to_us: u64,
    /// When the hold ends, if it is one.
    pub expires_us: u64,
    pub state: PromiseState,
}

/// After so long without an arrival a confirmed reservation ends (the server's own rule for a lot).
const NO_SHOW_US: u64 = 1_800 * MICROS_PER_SECOND;

impl Promise {
    /// Whether it has ended by itself at that instant.
    pub fn is_over(&self, now_us: u64) -> bool {
        match self.state {
            PromiseState::Held => self.expires_us <= now_us,
            // A window that ends before that is judged at its end.
            PromiseState::Confirmed => self.to_us.min(self.from_us + NO_SHOW_US) <= now_us,
            PromiseState::Cancelled | PromiseState::Unsure => false,
        }
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReservationFault {
    #[error("lot {lot} slot {slot}: reservations {first} and {second} are both active and overlap")]
    Overlap { lot: String, slot: String, first: String, second: String },
    #[error("lot {lot}: reservation {id} has an unreadable window {from} to {to}")]
    Unreadable { lot: String, id: String, from: String, to: String },
    #[error("lot {lot}: reservation {id} was acknowledged with 201 and is not there")]
    Missing { lot: String, id: String },
    #[error(
        "lot {lot}: reservation {id} was granted for slot {granted}, the server has slot {slot}"
    )]
    OtherSlot { lot: String, id: String, granted: String, slot: String },
    #[error("lot {lot}: reservation {id} was granted for another window than {from} to {to}")]
    OtherWindow { lot: String, id: String, from: String, to: String },
    #[error("lot {lot}: reservation {id} is {state:?}, the client was told {told:?}")]
    OtherState { lot: String, id: String, state: ReservationState, told: PromiseState },
}

/// Active reservations of one slot that share an instant.
pub fn overlaps(reservations: &[Reservation]) -> Vec<ReservationFault> {
    /// From, to, id.
    type Windows<'a> = Vec<(u64, u64, &'a str)>;
    let mut faults = Vec::new();
    let mut by_slot: HashMap<(&str, &str), Windows<'_>> = HashMap::new();
    for r in reservations.iter().filter(|r| r.state.is_active()) {
        match (parse_rfc3339(&r.from), parse_rfc3339(&r.to)) {
            (Some(from_us), Some(to_us)) => {
                by_slot.entry((&r.lot, &r.slot)).or_default().push((from_us, to_us, &r.id));
            }
            _ => faults.push(ReservationFault::Unreadable {
                lot: r.lot.clone(),
                id: r.id.clone(),
                from: r.from.clone(),
                to: r.to.clone(),
            }),
        }
    }
    for ((lot, slot), mut windows) in by_slot {
        windows.sort_unstable();
        // The latest end so far, not only the neighbour's: a long window can cover several short ones.
        let mut latest: Option<(u64, &str)> = None;
        for (from_us, to_us, id) in windows {
            if let Some((_, first)) = latest.filter(|(end_us, _)| from_us < *end_us) {
                let (lot, slot) = (lot.into(), slot.into());
                let (first, second) = (first.into(), id.into());
                faults.push(ReservationFault::Overlap { lot, slot, first, second });
            }
            if latest.is_none_or(|(end_us, _)| to_us > end_us) {
                latest = Some((to_us, id));
            }
        }
    }
    faults
}

/// Every promise against what the server has of it. One that ended may have left the server's lists, and
/// so may one whose cancel got no answer.
pub fn promises_kept<'a>(
    lot: &str,
    promises: impl Iterator<Item = &'a Promise>,
    server: &HashMap<&str, &Reservation>,
    now_us: u64,
) -> Vec<ReservationFault> {
    promises
        .filter_map(|promise| match server.get(promise.id.as_str()) {
            Some(reservation) => differs(lot, promise, reservation, now_us),
            None if promise.state == PromiseState::Cancelled => None,
            None if promise.state == PromiseState::Unsure || promise.is_over(now_us) => None,
            None => Some(ReservationFault::Missing { lot: lot.into(), id: promise.id.clone() }),
        })
        .collect()
}

fn differs(
    lot: &str,
    promise: &Promise,
    reservation: &Reservation,
    now_us: u64,
) -> Option<ReservationFault> {
    let (lot, id) = (lot.to_string(), promise.id.clone());
    if promise.slot != reservation.slot {
        let (granted, slot) = (promise.slot.clone(), reservation.slot.clone());
        return Some(ReservationFault::OtherSlot { lot, id, granted, slot });
    }
    let window = (parse_rfc3339(&reservation.from), parse_rfc3339(&reservation.to));
    if window != (Some(promise.from_us), Some(promise.to_us)) {
        let (from, to) = (reservation.from.clone(), reservation.to.clone());
        return Some(ReservationFault::OtherWindow { lot, id, from, to });
    }
    let expires_us = reservation.expires_at.as_deref().and_then(parse_rfc3339);
    let state = reservation.state;
    let fine = match promise.state {
        PromiseState::Held => {
            state == ReservationState::Held
                || state == ReservationState::Expired && expires_us.is_none_or(|at| at <= now_us)
        }
        PromiseState::Confirmed => {
            let came_or_not = [
                ReservationState::NoShow,
                ReservationState::CheckedIn,
                ReservationState::Completed,
            ];
            state == ReservationState::Confirmed
                || came_or_not.contains(&state) && promise.from_us <= now_us
        }
        PromiseState::Cancelled => state == ReservationState::Cancelled,
        PromiseState::Unsure => true,
    };
    (!fine).then_some(ReservationFault::OtherState { lot, id, state, told: promise.state })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Rfc3339;

    const HOUR_US: u64 = 3_600_000_000;

    fn reservation(
        id: &str,
        slot: &str,
        state: ReservationState,
        hours: (u64, u64),
    ) -> Reservation {
        Reservation {
            id: id.into(),
            lot: "L".into(),
            slot: slot.into(),
            state,
            from: Rfc3339(hours.0 * HOUR_US).to_string(),
            to: Rfc3339(hours.1 * HOUR_US).to_string(),
            expires_at: Some(Rfc3339(5 * HOUR_US).to_string()),
            seq: 1,
        }
    }

    fn promise(id: &str, state: PromiseState) -> Promise {
        let (from_us, to_us) = (HOUR_US, 2 * HOUR_US);
        let (id, slot, expires_us) = (id.into(), "A".into(), 5 * HOUR_US);
        Promise { id, lot: 0, slot, from_us, to_us, expires_us, state }
    }

    #[test]
    fn overlapping_windows_of_one_slot_are_detected_and_touching_ones_are_not() {
        use ReservationState::{Cancelled, CheckedIn, Confirmed, Held};
        let fine = [
            reservation("a", "A", Held, (1, 2)),
            reservation("b", "A", Confirmed, (2, 3)),
            reservation("c", "B", Held, (1, 3)),
            reservation("d", "A", Cancelled, (1, 3)),
        ];
        assert_eq!(overlaps(&fine), []);
        let long = [
            reservation("a", "A", Held, (1, 9)),
            reservation("b", "A", Confirmed, (2, 3)),
            reservation("c", "A", CheckedIn, (5, 6)),
        ];
        let pairs: Vec<String> = overlaps(&long).iter().map(ToString::to_string).collect();
        assert_eq!(pairs.len(), 2, "{pairs:?}");
        assert!(pairs[1].contains("a and c"), "{pairs:?}");
    }

    #[test]
    fn a_window_that_cannot_be_read_is_a_fault() {
        let mut odd = reservation("a", "A", ReservationState::Held, (1, 2));
        odd.to = "soon".into();
        assert_eq!(overlaps(&[odd]).len(), 1);
    }

    #[test]
    fn every_promise_is_judged_by_what_the_client_was_told() {
        use ReservationState::{Cancelled, Confirmed, Expired, Held, NoShow};
        let early = 0;
        let late = 9 * HOUR_US;
        for (told, state, now_us, kept) in [
            (PromiseState::Held, Held, early, true),
            (PromiseState::Held, Expired, early, false),
            (PromiseState::Held, Expired, late, true),
            (PromiseState::Held, Cancelled, early, false),
            (PromiseState::Confirmed, Confirmed, early, true),
            (PromiseState::Confirmed, Held, early, false),
            (PromiseState::Confirmed, NoShow, early, false),
            (PromiseState::Confirmed, NoShow, late, true),
            (PromiseState::Cancelled, Cancelled, early, true),
            (PromiseState::Cancelled, Confirmed, early, false),
            (PromiseState::Unsure, Cancelled, early, true),
        ] {
            let server = reservation("a", "A", state, (1, 2));
            let by_id = HashMap::from([("a", &server)]);
            let faults = promises_kept("L", [promise("a", told)].iter(), &by_id, now_us);
            assert_eq!(faults.is_empty(), kept, "{told:?} {state:?} {faults:?}");
        }
    }

    #[test]
    fn a_promise_may_vanish_only_after_it_ended() {
        for (told, end_us) in
            [(PromiseState::Held, 5 * HOUR_US), (PromiseState::Confirmed, HOUR_US + NO_SHOW_US)]
        {
            for (now_us, faults) in [(end_us - 1, 1), (end_us, 0)] {
                let promises = [promise("a", told)];
                let found = promises_kept("L", promises.iter(), &HashMap::new(), now_us);
                assert_eq!(found.len(), faults, "{told:?} at {now_us}");
            }
        }
    }

    #[test]
    fn a_promise_that_vanished_or_moved_is_detected() {
        let promises =
            [promise("gone", PromiseState::Held), promise("ended", PromiseState::Cancelled)];
        let faults = promises_kept("L", promises.iter(), &HashMap::new(), 0);
        assert_eq!(faults, [ReservationFault::Missing { lot: "L".into(), id: "gone".into() }]);
        let other_slot = reservation("a", "B", ReservationState::Held, (1, 2));
        let other_window = reservation("a", "A", ReservationState::Held, (1, 3));
        for moved in [other_slot, other_window] {
            let by_id = HashMap::from([("a", &moved)]);
            let faults = promises_kept("L", [promise("a", PromiseState::Held)].iter(), &by_id, 0);
            assert_eq!(faults.len(), 1, "{moved:?}");
        }
    }
}
