//! What follows from a register and only decisions need: open gaps, deadlines, how much each holder has.
//!
//! It follows every effect at the price of what changed, and is the same as one built anew (invariants I5
//! and I7). Total, as `apply` is.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use uuid::Uuid;

use super::violation::{Step, Violation};
use super::{
    Effect, Moved, Openings, Owner, Pass, Promise, Register, Reservation, Service, Session, Waiter,
};
use crate::ids::{PassId, Pseudonym, ReservationId, SessionId, SlotIndex, ViolationId, WaitingId};
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
    /// The next move of a stay.
    Session(SessionId),
    /// The end of a pass.
    Pass(PassId),
    /// The next notice of a violation.
    Violation(ViolationId),
    /// The end of waiting.
    Waiting(WaitingId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub openings: Openings,
    pub deadlines: OrdSet<(Timestamp, Deadline)>,
    pub active_of: OrdMap<Pseudonym, u32>,
    /// Active reservations by vehicle.
    of_vehicle: OrdSet<(Pseudonym, ReservationId)>,
}

impl Index {
    /// Built anew.
    pub fn of(register: &Register) -> Self {
        let mut active_of: OrdMap<Pseudonym, u32> = OrdMap::new();
        let mut of_vehicle = OrdSet::new();
        for reservation in register.reservations().filter(|r| r.state.is_active()) {
            *active_of.entry(reservation.holder).or_default() += 1;
            if let Some(vehicle) = reservation.vehicle {
                of_vehicle.insert((vehicle, reservation.id));
            }
        }
        let (openings, deadlines) = (openings(register), deadlines(register));
        Self { openings, deadlines, active_of, of_vehicle }
    }

    /// Active reservations for a vehicle.
    pub fn reservations_of(&self, vehicle: Pseudonym) -> impl Iterator<Item = ReservationId> + '_ {
        let (first, last) = (ReservationId(Uuid::nil()), ReservationId(Uuid::max()));
        self.of_vehicle.range((vehicle, first)..=(vehicle, last)).map(|(_, id)| *id)
    }

    /// Brings along what follows from a change that the register has taken already.
    pub fn follow(&mut self, register: &Register, effect: &Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Created => *self = Self::of(register),
            Effect::Values { rules, allocation } => {
                // What shows as held already goes on to: taking that back without an event of its own
                // would change a slot's status behind its watchers.
                if *rules {
                    self.deadlines = deadlines(register);
                }
                if *allocation {
                    self.openings = openings(register);
                }
            }
            // A slot that changes its attributes changes its class. Rare, and bounded by one lot's promises.
            Effect::Attributes => self.openings = openings(register),
            Effect::Service { slot, before } => self.serve(register, *slot, before),
            Effect::Reservation { before, after, stay } => {
                self.move_on(register, before.as_ref(), after);
                if let Some(moved) = stay {
                    self.stay_on(register, moved);
                }
            }
            Effect::Stay(moved) => self.stay_on(register, moved),
            Effect::Pass(moved) => {
                let was = moved.before.as_deref().and_then(pass_due);
                self.put_off(was, pass_due(&moved.after));
            }
            Effect::Waiting(moved) => {
                let was = moved.before.as_deref().and_then(waiting_due);
                self.put_off(was, waiting_due(&moved.after));
            }
            Effect::Violation(Step { before, after }) => {
                let rules = &register.spec.rules;
                let was = before.as_deref().and_then(|before| notice_due(before, rules));
                self.put_off(was, notice_due(after, rules));
            }
        }
    }

    fn serve(&mut self, register: &Register, slot: SlotIndex, before: &Service) {
        let Some(promise) = register.promise(slot) else { return };
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

    fn move_on(
        &mut self,
        register: &Register,
        before: Option<&Arc<Reservation>>,
        after: &Reservation,
    ) {
        let rules = &register.spec.rules;
        self.put_off(before.and_then(|before| due(before, rules)), due(after, rules));
        let span = |r: &Reservation| r.state.is_active().then_some((r.slot, r.window));
        let (before, now) = (before.and_then(|before| span(before)), span(after));
        match (before, now) {
            (None, Some(_)) => {
                *self.active_of.entry(after.holder).or_default() += 1;
                if let Some(vehicle) = after.vehicle {
                    self.of_vehicle.insert((vehicle, after.id));
                }
            }
            (Some(_), None) => {
                self.count_down(after.holder);
                if let Some(vehicle) = after.vehicle {
                    self.of_vehicle.remove(&(vehicle, after.id));
                }
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.reclaim(register, after.id.into(), before, now);
    }

    fn stay_on(&mut self, register: &Register, moved: &Moved) {
        let rules = &register.spec.rules;
        let (before, after) = (moved.before.as_deref(), &*moved.after);
        self.put_off(before.and_then(|before| stay_due(before, rules)), stay_due(after, rules));
        let owner = Owner::Session(after.id);
        self.reclaim(register, owner, before.and_then(Session::span), after.span());
    }

    fn put_off(&mut self, was: Option<(Timestamp, Deadline)>, is: Option<(Timestamp, Deadline)>) {
        if was == is {
            return;
        }
        if let Some(was) = was {
            self.deadlines.remove(&was);
        }
        if let Some(is) = is {
            self.deadlines.insert(is);
        }
    }

    /// The timelines have the new stretch in place of the old one.
    fn reclaim(
        &mut self,
        register: &Register,
        owner: Owner,
        before: Option<(SlotIndex, Window)>,
        now: Option<(SlotIndex, Window)>,
    ) {
        if before == now {
            return;
        }
        let window = |(_, window)| window;
        match (before, now) {
            (Some((old, _)), Some((new, _))) if old != new => {
                self.reopen(register, (old, owner), before.map(window), None);
                self.reopen(register, (new, owner), None, now.map(window));
            }
            (Some((slot, _)), _) | (None, Some((slot, _))) => {
                self.reopen(register, (slot, owner), before.map(window), now.map(window));
            }
            (None, None) => {}
        }
    }

    /// Each stretch splits a gap of all the others.
    fn reopen(
        &mut self,
        register: &Register,
        (slot, owner): (SlotIndex, Owner),
        before: Option<Window>,
        now: Option<Window>,
    ) {
        let Some(promise) = register.promise(slot) else { return };
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
            self.openings.join(slot, promise.timeline.gap_around(window, owner), window);
        }
        if let Some(window) = now {
            self.openings.split(slot, promise.timeline.gap_around(window, owner), window);
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

fn stay_due(session: &Session, rules: &Rules) -> Option<(Timestamp, Deadline)> {
    let (at, _) = session.next_due(rules)?;
    Some((at, Deadline::Session(session.id)))
}

fn pass_due(pass: &Pass) -> Option<(Timestamp, Deadline)> {
    Some((pass.ends_at()?, Deadline::Pass(pass.id)))
}

fn waiting_due(waiter: &Waiter) -> Option<(Timestamp, Deadline)> {
    Some((waiter.ends_at()?, Deadline::Waiting(waiter.id)))
}

fn notice_due(violation: &Violation, rules: &Rules) -> Option<(Timestamp, Deadline)> {
    Some((violation.next_notice(rules)?, Deadline::Violation(violation.id)))
}

/// When a closed slot returns by itself.
fn returns_at(service: &Service) -> Option<Timestamp> {
    match service {
        Service::OutOfService { until, .. } => *until,
        Service::InService => None,
    }
}

fn deadlines(register: &Register) -> OrdSet<(Timestamp, Deadline)> {
    let slots = register.spec.slot_indices().zip(register.promises());
    let returns = slots.filter_map(|(slot, promise)| {
        Some((returns_at(&promise.service)?, Deadline::Service(slot)))
    });
    let rules = &register.spec.rules;
    let dues = register.reservations().filter_map(|reservation| due(reservation, rules));
    let stays = register.stays.inside().filter_map(|session| stay_due(session, rules));
    let notices = register.violations.open().filter_map(|violation| notice_due(violation, rules));
    let passes = register.passes.going_on().filter_map(|pass| pass_due(pass));
    let waiting = register.waiting.line().filter_map(|waiter| waiting_due(waiter));
    let all = returns.chain(dues).chain(stays).chain(notices).chain(passes).chain(waiting);
    let mut all: Vec<_> = all.collect();
    // In order, so that each is put where the last one was.
    all.sort_unstable();
    all.into_iter().collect()
}

fn openings(register: &Register) -> Openings {
    let slots = register.spec.slot_indices().zip(register.promises());
    let offered = slots.filter(|(_, promise)| promise.is_offered());
    let gaps =
        offered.flat_map(|(slot, promise)| promise.timeline.gaps().map(move |gap| (slot, gap)));
    Openings::of(&register.spec, gaps)
}
