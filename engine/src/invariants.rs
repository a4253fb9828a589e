//! Invariants with numbers; pure predicates used by property tests, simulation, debug builds, `lotkeeper
//! check` and a production counter alike.

use core::fmt;

use crate::counts::LotCounts;
use crate::lot::{Ledger, Lot, Service};
use crate::slot::Slot;
use crate::spec::Kind;
use crate::status::Status;

/// A broken invariant: which, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its number, as in `I3`.
    pub id: &'static str,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.detail)
    }
}

/// All invariants with what they say, for documents and reports.
pub const ALL: [(&str, &str); 7] = [
    ("I1", "free + occupied + held + unknown + out of service = slots, in the lot and every group"),
    ("I2", "the counts kept change by change equal the counts of all slots counted anew"),
    ("I3", "two promises on one slot never share an instant"),
    ("I4", "timelines, shown holds and active reservations say the same"),
    ("I5", "the index of openings holds exactly the gaps of the slots that can take a promise"),
    (
        "I6",
        "a count that cannot be true is shown as unknown, and shown counts add up to the capacity",
    ),
    ("I7", "deadlines, shown holds and the holders' numbers follow from the reservations alone"),
];

/// Checks a lot's promises on their own and what follows from them: I3 to I7.
#[must_use]
pub fn check_lot(lot: &Lot) -> Vec<Broken> {
    let mut broken = check_ledger(lot);
    // Built anew from what cannot be derived, the lot must be the same to the last index entry.
    let anew = Lot::from(lot.ledger().clone());
    if !lot.openings().is_sound() || anew.openings() != lot.openings() {
        broken.push(Broken { id: "I5", detail: "index differs from one built anew".to_owned() });
    } else if anew != *lot {
        broken.push(Broken { id: "I7", detail: "lot differs from one built anew".to_owned() });
    }
    broken
}

/// Checks a lot's promises on their own: I3, I4, I6, and of I7 the shown holds.
#[must_use]
pub fn check_ledger(lot: &Ledger) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut spans = 0;
    for (slot, promise) in lot.spec().slot_indices().zip(lot.promises()) {
        let timeline = promise.timeline.spans();
        spans += timeline.len();
        for pair in timeline.windows(2) {
            if pair[0].window.overlaps(pair[1].window) {
                broken.push(Broken { id: "I3", detail: format!("{slot:?}: {pair:?}") });
            }
        }
        for span in timeline {
            let known = lot
                .reservation(span.reservation)
                .is_some_and(|r| r.state.is_active() && r.window == span.window && r.slot == slot);
            if !known {
                broken
                    .push(Broken { id: "I4", detail: format!("{slot:?}: {span:?} has no owner") });
            }
        }
        if let Some(id) = promise.shown
            && !lot.reservation(id).is_some_and(|r| r.shown && r.slot == slot)
        {
            broken.push(Broken { id: "I4", detail: format!("{slot:?} shows {id}, which is over") });
        }
    }
    let active = lot.reservations().filter(|r| r.state.is_active()).count();
    if active != spans {
        let detail = format!("{active} active reservations, {spans} promised windows");
        broken.push(Broken { id: "I4", detail });
    }
    if Ledger::from_parts(lot.parts()) != *lot {
        broken.push(Broken { id: "I7", detail: "ledger differs from one built anew".to_owned() });
    }
    check_tally(lot, &mut broken);
    broken
}

fn check_tally(lot: &Ledger, broken: &mut Vec<Broken>) {
    if let Some(tally) = lot.tally() {
        let shown = tally.counts(lot.spec().capacity);
        if shown.capacity() != lot.spec().capacity {
            broken.push(Broken { id: "I6", detail: format!("{shown:?} of {tally:?}") });
        }
    }
}

/// The shown status of one slot.
#[must_use]
pub fn status(lot: &Ledger, index: crate::ids::SlotIndex, slot: &Slot) -> Status {
    let (in_service, held) = lot.promise(index).map_or((true, false), |promise| {
        (promise.service == Service::InService, promise.shown.is_some())
    });
    Status::join(slot, in_service, held)
}

/// Checks the join of promises and slots: I1, I2.
#[must_use]
pub fn check_counts<'a>(
    lot: &Ledger,
    slots: impl Iterator<Item = &'a Slot>,
    counts: &LotCounts,
) -> Vec<Broken> {
    let mut broken = Vec::new();
    let number = lot.spec().slots.len();
    if lot.spec().kind == Kind::Bayed && counts.total.capacity() as usize != number {
        broken.push(Broken { id: "I1", detail: format!("{:?} of {number} slots", counts.total) });
    }
    let statuses =
        lot.spec().slot_indices().zip(slots).map(|(index, slot)| status(lot, index, slot));
    let anew = LotCounts::of(lot.spec(), statuses);
    if anew != *counts {
        broken.push(Broken { id: "I2", detail: format!("kept {counts:?}, counted {anew:?}") });
    }
    broken
}
