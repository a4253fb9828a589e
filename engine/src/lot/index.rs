//! What follows from a ledger and only decisions need: open gaps, deadlines, how much each holder has.
//!
//! It follows every effect at the price of what changed, and is the same as one built anew (invariants I5
//! and I7). Total, as `apply` is.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{Effect, Ledger, Openings, Promise, Reservation, Service};
use crate::ids::{Pseudonym, ReservationId, SlotIndex};
use crate::limits::RESERVATIONS_PER_SLOT_MAX;
use crate::spec::Rules;
use crate::time::{Timestamp, Window};

/// What becomes due by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deadline {
    /// The next move of a reservation.
    Reservation(ReservationId),
    /// The end of a closure.
    Service(SlotIndex),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub openings: Openings,
    pub deadlines: OrdSet<(Timestamp, Deadline)>,
    pub active_of: OrdMap<Pseudonym, u32>,
}

impl Index {
    /// Built anew.
    pub fn of(ledger: &Ledger) -> Self {
        let mut active_of: OrdMap<Pseudonym, u32> = OrdMap::new();
        for reservation in ledger.reservations().filter(|r| r.state.is_active()) {
            *active_of.entry(reservation.holder).or_default() += 1;
        }
        Self { openings: openings(ledger), deadlines: deadlines(ledger), active_of }
    }

    /// Brings along what follows from a change that the ledger has taken already.
    pub fn follow(&mut self, ledger: &Ledger, effect: &Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Created => *self = Self::of(ledger),
            // What shows as held already goes on to: taking that back without an event of its own would
            // change a slot's status behind its watchers.
            Effect::Rules => self.deadlines = deadlines(ledger),
            // A slot that changes its attributes changes its class. Rare, and bounded by one lot's promises.
            Effect::Attributes => self.openings = openings(ledger),
            Effect::Service { slot, before } => self.serve(ledger, *slot, before),
            Effect::Reservation { before, after } => {
                self.move_on(ledger, before.as_ref(), after);
            }
        }
    }

    fn serve(&mut self, ledger: &Ledger, slot: SlotIndex, before: &Service) {
        let Some(promise) = ledger.promise(slot) else { return };
        if let Some(until) = returns_at(before) {
            self.deadlines.remove(&(until, Deadline::Service(slot)));
        }
        if let Some(until) = returns_at(&promise.service) {
            self.deadlines.insert((until, Deadline::Service(slot)));
        }
        let was_offered = *before == Service::InService && !promise.is_booked_out();
        match (was_offered, promise.is_offered()) {
            (false, true) => self.offer(slot, promise),
            (true, false) => self.withdraw(slot, promise),
            (true, true) | (false, false) => {}
        }
    }

    fn move_on(&mut self, ledger: &Ledger, before: Option<&Arc<Reservation>>, after: &Reservation) {
        let rules = &ledger.spec.rules;
        let (was, is) = (before.and_then(|before| due(before, rules)), due(after, rules));
        if was != is {
            if let Some(was) = was {
                self.deadlines.remove(&was);
            }
            if let Some(is) = is {
                self.deadlines.insert(is);
            }
        }
        let before = before.map(|before| before.window);
        let now = after.state.is_active().then_some(after.window);
        match (before, now) {
            (None, Some(_)) => *self.active_of.entry(after.holder).or_default() += 1,
            (Some(_), None) => self.count_down(after.holder),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if before != now
            && let Some(promise) = ledger.promise(after.slot)
        {
            self.reopen(promise, after, before, now);
        }
    }

    /// The timeline has the new window in place of the old one; each of them splits a gap of all the others.
    fn reopen(
        &mut self,
        promise: &Promise,
        reservation: &Reservation,
        before: Option<Window>,
        now: Option<Window>,
    ) {
        let (id, slot) = (reservation.id, reservation.slot);
        let others = promise.timeline.spans().len().saturating_sub(usize::from(now.is_some()));
        let were = others + usize::from(before.is_some());
        if promise.service != Service::InService {
            return;
        }
        if were >= RESERVATIONS_PER_SLOT_MAX {
            if promise.is_offered() {
                self.offer(slot, promise);
            }
            return;
        }
        if let Some(window) = before {
            self.openings.join(slot, promise.timeline.gap_around(window, id), window);
        }
        if let Some(window) = now {
            self.openings.split(slot, promise.timeline.gap_around(window, id), window);
        }
        if !promise.is_offered() {
            self.withdraw(slot, promise);
        }
    }

    fn offer(&mut self, slot: SlotIndex, promise: &Promise) {
        promise.timeline.gaps().for_each(|gap| self.openings.insert(slot, gap));
    }

    fn withdraw(&mut self, slot: SlotIndex, promise: &Promise) {
        promise.timeline.gaps().for_each(|gap| self.openings.remove(slot, gap));
    }

    fn count_down(&mut self, holder: Pseudonym) {
        match self.active_of.get(&holder) {
            Some(1) | None => {
                self.active_of.remove(&holder);
            }
            Some(count) => {
                self.active_of.insert(holder, count - 1);
            }
        }
    }
}

fn due(reservation: &Reservation, rules: &Rules) -> Option<(Timestamp, Deadline)> {
    let (at, _) = reservation.next_due(rules)?;
    Some((at, Deadline::Reservation(reservation.id)))
}

/// When a closed slot returns by itself.
fn returns_at(service: &Service) -> Option<Timestamp> {
    match service {
        Service::OutOfService { until, .. } => *until,
        Service::InService => None,
    }
}

fn deadlines(ledger: &Ledger) -> OrdSet<(Timestamp, Deadline)> {
    let slots = ledger.spec.slot_indices().zip(ledger.promises());
    let returns = slots.filter_map(|(slot, promise)| {
        Some((returns_at(&promise.service)?, Deadline::Service(slot)))
    });
    let rules = &ledger.spec.rules;
    let dues = ledger.reservations().filter_map(|reservation| due(reservation, rules));
    let mut all: Vec<_> = returns.chain(dues).collect();
    // In order, so that each is put where the last one was.
    all.sort_unstable();
    all.into_iter().collect()
}

fn openings(ledger: &Ledger) -> Openings {
    let slots = ledger.spec.slot_indices().zip(ledger.promises());
    let offered = slots.filter(|(_, promise)| promise.is_offered());
    let gaps =
        offered.flat_map(|(slot, promise)| promise.timeline.gaps().map(move |gap| (slot, gap)));
    Openings::of(&ledger.spec.slots, gaps)
}
