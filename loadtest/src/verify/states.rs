//! Final states: a subscriber's picture and the client's own model against the server's list of slots.

use crate::fleet::slot_code;
use crate::model::Expected;
use crate::wire::Status;
use std::collections::BTreeMap;
use thiserror::Error;

/// A slot on whose state two do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StateFault {
    #[error("lot {lot} slot {slot}: the subscriber has {folded:?}, the server {server:?}")]
    Folded { lot: String, slot: String, folded: Option<Status>, server: Option<Status> },
    #[error(
        "lot {lot} slot {slot}: the last acknowledged reading says {expected:?}, the server {server:?}"
    )]
    Acknowledged { lot: String, slot: String, expected: Expected, server: Option<Status> },
}

/// A subscriber's picture against the server's list at the same sequence.
pub fn compare_stream(
    lot: &str,
    folded: &BTreeMap<String, Status>,
    server: &BTreeMap<String, Status>,
) -> Vec<StateFault> {
    let only_folded = folded.keys().filter(|slot| !server.contains_key(*slot));
    server
        .keys()
        .chain(only_folded)
        .filter(|slot| folded.get(*slot) != server.get(*slot))
        .map(|slot| StateFault::Folded {
            lot: lot.into(),
            slot: slot.clone(),
            folded: folded.get(slot).copied(),
            server: server.get(slot).copied(),
        })
        .collect()
}

/// The client's own model against the server's list. An empty slot may be held by a reservation.
pub fn compare_model(
    lot: &str,
    model: impl Iterator<Item = (usize, Expected)>,
    server: &BTreeMap<String, Status>,
) -> Vec<StateFault> {
    model
        .filter_map(|(slot, expected)| {
            let slot = slot_code(slot);
            let shown = server.get(&slot).copied();
            (!agrees(expected, shown)).then(|| StateFault::Acknowledged {
                lot: lot.into(),
                slot,
                expected,
                server: shown,
            })
        })
        .collect()
}

fn agrees(expected: Expected, shown: Option<Status>) -> bool {
    match expected {
        Expected::Unheard => shown == Some(Status::Unknown),
        Expected::Occupied => shown == Some(Status::Occupied),
        Expected::Empty => matches!(shown, Some(Status::Free | Status::Held)),
        Expected::Unsure => shown.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(rows: &[(usize, Status)]) -> BTreeMap<String, Status> {
        rows.iter().map(|(slot, status)| (slot_code(*slot), *status)).collect()
    }

    #[test]
    fn a_wrong_fold_is_detected_in_both_directions() {
        let server = states(&[(0, Status::Free), (1, Status::Held), (2, Status::Free)]);
        assert_eq!(compare_stream("L", &server, &server), []);
        let folded = states(&[(0, Status::Occupied), (1, Status::Held), (3, Status::Free)]);
        let slots: Vec<String> = compare_stream("L", &folded, &server)
            .into_iter()
            .map(|fault| match fault {
                StateFault::Folded { slot, .. } | StateFault::Acknowledged { slot, .. } => slot,
            })
            .collect();
        assert_eq!(slots, ["S00000", "S00002", "S00003"]);
    }

    #[test]
    fn every_pair_of_expectation_and_status_is_judged() {
        use Status::{Free, Held, Occupied, OutOfService, Unknown};
        for (expected, fine) in [
            (Expected::Unheard, [false, false, false, true, false]),
            (Expected::Occupied, [false, true, false, false, false]),
            (Expected::Empty, [true, false, true, false, false]),
            (Expected::Unsure, [true, true, true, true, true]),
        ] {
            for (status, fine) in
                [Free, Occupied, Held, Unknown, OutOfService].into_iter().zip(fine)
            {
                assert_eq!(agrees(expected, Some(status)), fine, "{expected:?} {status:?}");
            }
            assert!(!agrees(expected, None), "{expected:?} and no such slot");
        }
    }

    #[test]
    fn a_lost_reading_is_named_with_its_slot() {
        let server = states(&[(4, Status::Free)]);
        let faults = compare_model("L", std::iter::once((4, Expected::Occupied)), &server);
        let said = faults[0].to_string();
        assert!(said.contains("lot L slot S00004") && said.contains("Occupied"), "{said}");
    }
}
