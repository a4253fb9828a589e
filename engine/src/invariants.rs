//! Invariants with numbers; pure predicates used by property tests, simulation, debug builds, `lotkeeper
//! check` and a production counter alike.

use core::fmt;
use std::sync::Arc;

use crate::counts::LotCounts;
use crate::ids::SlotIndex;
use crate::lot::{Lot, Owner, Register, Service, Session, Span};
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
pub const ALL: [(&str, &str); 11] = [
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
    ("I8", "a vehicle is inside once, and a slot is bound to one stay"),
    ("I9", "all balances of the ledger together are nothing"),
    ("I10", "a fee is the sum of its lines, and belongs to a stay that ended"),
    ("I11", "nobody waits for a window in which a slot that fits is open"),
];

/// Checks a lot's promises on their own and what follows from them: I3 to I11.
#[must_use]
pub fn check_lot(lot: &Lot) -> Vec<Broken> {
    let mut broken = check_register(lot);
    // Built anew from what cannot be derived, the lot must be the same to the last index entry.
    let anew = Lot::from(lot.register().clone());
    if !lot.openings().is_sound() || anew.openings() != lot.openings() {
        broken.push(Broken { id: "I5", detail: "index differs from one built anew".to_owned() });
    } else if anew != *lot {
        broken.push(Broken { id: "I7", detail: "lot differs from one built anew".to_owned() });
    }
    for waiter in lot.waiting().line() {
        let (needs, window) = (&waiter.terms.needs, waiter.terms.window);
        if let Some(slot) = lot.openings().find(needs, window, 0, |_| false) {
            let detail = format!("{} waits, and {slot:?} is open", waiter.id);
            broken.push(Broken { id: "I11", detail });
        }
    }
    broken
}

/// Checks a lot's promises on their own: I3, I4, I6, and of I7 the shown holds.
#[must_use]
pub fn check_register(lot: &Register) -> Vec<Broken> {
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
            if !is_owned(lot, slot, span) {
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
    let claims = lot.stays().inside().filter(|session| session.span().is_some()).count();
    if active + claims != spans {
        let detail = format!(
            "{active} active reservations, {claims} stays with a claim, {spans} promised windows"
        );
        broken.push(Broken { id: "I4", detail });
    }
    if Register::from_parts(lot.parts()) != *lot {
        broken.push(Broken { id: "I7", detail: "register differs from one built anew".to_owned() });
    }
    check_tally(lot, &mut broken);
    check_stays(lot, &mut broken);
    if !lot.accounts().is_balanced() {
        let detail = "the balances do not add up to nothing".to_owned();
        broken.push(Broken { id: "I9", detail });
    }
    broken
}

/// Whoever a stretch belongs to says the same.
fn is_owned(lot: &Register, slot: SlotIndex, span: &Span) -> bool {
    match span.owner {
        Owner::Reservation(id) => lot
            .reservation(id)
            .is_some_and(|r| r.state.is_active() && r.window == span.window && r.slot == slot),
        Owner::Session(id) => {
            lot.stays().get(id).is_some_and(|session| session.span() == Some((slot, span.window)))
        }
        Owner::Vehicle(_) | Owner::Pass(_) => false,
    }
}

fn check_stays(lot: &Register, broken: &mut Vec<Broken>) {
    let mut inside = 0;
    for session in lot.stays().inside() {
        inside += 1;
        let is_found = |found: Option<&Arc<Session>>| found.is_some_and(|s| s.id == session.id);
        let by_vehicle =
            session.vehicle.is_none_or(|vehicle| is_found(lot.stays().of_vehicle(vehicle)));
        let by_slot = session.slot.is_none_or(|slot| is_found(lot.stays().at_slot(slot)));
        if !by_vehicle || !by_slot {
            let detail = format!("{} shares its vehicle or slot with another stay", session.id);
            broken.push(Broken { id: "I8", detail });
        }
    }
    if inside != lot.stays().inside_count() {
        let detail = format!("{inside} inside, counted {}", lot.stays().inside_count());
        broken.push(Broken { id: "I8", detail });
    }
    for session in lot.stays().all() {
        let fee = session.fee.as_deref();
        if fee.is_some_and(|fee| !fee.adds_up()) || (fee.is_some() && session.state.is_inside()) {
            let detail = format!("{}: a fee that is no sum, or of a stay inside", session.id);
            broken.push(Broken { id: "I10", detail });
        }
    }
}

fn check_tally(lot: &Register, broken: &mut Vec<Broken>) {
    if let Some(tally) = lot.tally() {
        let shown = tally.counts(lot.spec().capacity);
        if shown.capacity() != lot.spec().capacity {
            broken.push(Broken { id: "I6", detail: format!("{shown:?} of {tally:?}") });
        }
    }
}

/// The shown status of one slot.
#[must_use]
pub fn status(lot: &Register, index: SlotIndex, slot: &Slot) -> Status {
    let (in_service, held) = lot.promise(index).map_or((true, false), |promise| {
        (promise.service == Service::InService, promise.shown.is_some())
    });
    Status::join(slot, in_service, held, || lot.stays().at_slot(index).is_some())
}

/// Checks the join of promises and slots: I1, I2.
#[must_use]
pub fn check_counts<'a>(
    lot: &Register,
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
