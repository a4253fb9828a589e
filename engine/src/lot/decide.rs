//! Decides a command against a lot. Changes nothing; the whole answer in one place.
//!
//! What is overdue happens first, whether or not the tick came: a window whose holder's time is up is
//! granted, a confirmation past its deadline is not. So a decision may carry events even when the
//! command itself is refused.

use super::{
    Bays, Caller, Choice, Command, Condition, Count, CountOutcome, Deadline, Due, Event, Lot,
    LotPatch, LotValues, Outcome, Proof, Rejection, Reservation, Reserve, Reserved, Service,
    SlotPatch, SlotValues, State, apply,
};
use crate::ids::{ReservationId, SlotIndex};
use crate::limits;
use crate::spec::{Fault, FeatureSet, Kind};
use crate::time::{Seconds, Timestamp, Window};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Events of one decision, in order.
pub type Events = SmallVec<[Event; 2]>;

/// What follows from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happened: first what was overdue, then what the command did.
    pub events: Events,
    /// The answer.
    pub outcome: Result<Outcome, Rejection>,
    /// A count that repeats the tally and has no record; see [`Lot::note_count`].
    pub heartbeat: Option<Timestamp>,
}

type Granted = Result<(Events, Outcome), Rejection>;

/// Decides a command; changes nothing.
#[must_use]
pub fn decide(lot: &Lot, command: &Command, now: Timestamp, bays: &dyn Bays) -> Decision {
    let due_max = match command {
        Command::Tick { .. } => limits::DUE_PER_TICK_MAX,
        _ => usize::MAX,
    };
    let (mut events, settled) = settle(lot, now, bays, due_max);
    let lot = settled.as_ref().unwrap_or(lot);
    let granted = match command {
        Command::Reserve(reserve) => decide_reserve(lot, reserve, now, bays),
        Command::Confirm { id, by } => decide_confirm(lot, *id, *by),
        Command::Modify { id, from, to, expected_version, by } => {
            decide_modify(lot, *id, (*from, *to), *expected_version, *by, now)
        }
        Command::Cancel { id, reason, by } => decide_cancel(lot, *id, reason.as_deref(), *by),
        Command::Count { count, observed_at } => {
            return decide_count(lot, *count, *observed_at, now, events);
        }
        Command::ChangeSlot { slot, patch, expected_version } => {
            decide_change_slot(lot, *slot, patch, *expected_version)
        }
        Command::ChangeLot { patch, expected_version } => {
            decide_change_lot(lot, patch, *expected_version)
        }
        Command::Tick { listening_since } => {
            Ok((tick(lot, *listening_since, now), Outcome::Settled))
        }
    };
    let outcome = granted.map(|(granted, outcome)| {
        events.extend(granted);
        outcome
    });
    Decision { events, outcome, heartbeat: None }
}

/// Everything overdue, and the lot after it; no copy is made when nothing is.
fn settle(lot: &Lot, now: Timestamp, bays: &dyn Bays, max: usize) -> (Events, Option<Lot>) {
    let mut events = Events::new();
    let mut settled: Option<Lot> = None;
    while events.len() < max {
        let current = settled.as_ref().unwrap_or(lot);
        let Some(event) = next_overdue(current, now, bays) else { break };
        apply(settled.get_or_insert_with(|| lot.clone()), &event, now);
        events.push(event);
    }
    (events, settled)
}

fn next_overdue(lot: &Lot, now: Timestamp, bays: &dyn Bays) -> Option<Event> {
    let (_, deadline) = lot.deadlines.get_min().filter(|(at, _)| *at <= now)?;
    match deadline {
        Deadline::Service(slot) => {
            Some(Event::ServiceChanged { slot: *slot, service: Service::InService })
        }
        Deadline::Reservation(id) => {
            let reservation = lot.reservations.get(id)?;
            let (_, due) = reservation.next_due(&lot.spec.rules)?;
            Some(overdue_event(reservation, due, bays))
        }
    }
}

fn overdue_event(reservation: &Reservation, due: Due, bays: &dyn Bays) -> Event {
    let id = reservation.id;
    match (due, reservation.state) {
        (Due::HoldBegins, _) => Event::HoldBegan { id },
        (Due::Expiry, _) | (Due::End, State::Held { .. }) => Event::Expired { id },
        (Due::End, State::CheckedIn { .. }) => Event::Completed { id },
        // A confirmed window that ended before its no-show time is judged at its end.
        (Due::Arrival | Due::End, _) => match bays.occupied(reservation.slot) {
            Some(true) => Event::CheckedIn { id, proof: Proof::Seen },
            Some(false) => Event::NoShow { id },
            None => Event::CheckedIn { id, proof: Proof::Assumed },
        },
    }
}

fn tick(lot: &Lot, listening_since: Timestamp, now: Timestamp) -> Events {
    match lot.counter_due_at(listening_since) {
        Some(due) if due <= now => smallvec![Event::CounterFellSilent],
        Some(_) | None => Events::new(),
    }
}

fn check_window(window: Window, now: Timestamp) -> Result<(), Rejection> {
    if window.to <= window.from {
        return Err(Rejection::WindowEmpty);
    }
    if window.from < now.minus(Seconds(limits::WINDOW_LATE_SECONDS_MAX)) || window.to <= now {
        return Err(Rejection::WindowInPast);
    }
    let too_long = window.to > window.from.plus(Seconds(limits::WINDOW_SECONDS_MAX));
    let too_far = window.from > now.plus(Seconds(limits::WINDOW_AHEAD_SECONDS_MAX));
    if too_long || too_far { Err(Rejection::WindowTooLong) } else { Ok(()) }
}

fn decide_reserve(lot: &Lot, reserve: &Reserve, now: Timestamp, bays: &dyn Bays) -> Granted {
    if lot.reservations.contains_key(&reserve.id) {
        return Err(Rejection::IdTaken);
    }
    check_window(reserve.window, now)?;
    let held = lot.active_of.get(&reserve.holder).copied().unwrap_or_default();
    if held as usize >= limits::RESERVATIONS_PER_HOLDER_MAX {
        return Err(Rejection::TooManyReservations);
    }
    let slot = match reserve.choice {
        Choice::Slot(slot) => given_slot(lot, slot, reserve.window)?,
        Choice::Any(needs) => {
            // A bay that is occupied now matters only for a window that begins about now.
            let soon = reserve.window.from <= now.plus(lot.spec.rules.hold_lead);
            let standing = |slot| soon && bays.occupied(slot) == Some(true);
            let probes = limits::EMPTY_BAY_PROBES_MAX;
            match lot.openings.find(&needs, reserve.window, probes, standing) {
                Some(slot) => slot,
                None if lot.openings.any_fits(&needs) => return Err(Rejection::NoSlotFree),
                None => return Err(Rejection::NoSlotFits),
            }
        }
    };
    check_room(lot, slot)?;
    let hold = reserve.hold.map(|hold| hold.min(Seconds(limits::HOLD_SECONDS_MAX)));
    let mut events: Events = smallvec![Event::Reserved(Box::new(Reserved {
        id: reserve.id,
        slot,
        window: reserve.window,
        expires_at: hold.map(|hold| now.plus(hold)),
        holder: reserve.holder,
        vehicle: reserve.vehicle,
    }))];
    if reserve.window.from.minus(lot.spec.rules.hold_lead) <= now {
        events.push(Event::HoldBegan { id: reserve.id });
    }
    Ok((events, Outcome::Reservation(reserve.id)))
}

fn given_slot(lot: &Lot, slot: SlotIndex, window: Window) -> Result<SlotIndex, Rejection> {
    let promise = lot.promise(slot).ok_or(Rejection::SlotNotFound)?;
    if let Service::OutOfService { until, .. } = &promise.service
        && until.is_none_or(|until| window.from < until)
    {
        return Err(Rejection::SlotOutOfService { slot, until: *until });
    }
    match promise.timeline.clash(window, None) {
        Some(span) => Err(Rejection::SlotTaken { slot, clash: span.window }),
        None => Ok(slot),
    }
}

fn check_room(lot: &Lot, slot: SlotIndex) -> Result<(), Rejection> {
    let promised = lot.promise(slot).map_or(0, |promise| promise.timeline.spans().len());
    if promised >= limits::RESERVATIONS_PER_SLOT_MAX {
        return Err(Rejection::SlotBookedOut { slot });
    }
    Ok(())
}

fn visible(lot: &Lot, id: ReservationId, by: Caller) -> Result<&Arc<Reservation>, Rejection> {
    lot.reservation(id)
        .filter(|reservation| by.may_touch(reservation.holder))
        .ok_or(Rejection::ReservationNotFound)
}

fn decide_confirm(lot: &Lot, id: ReservationId, by: Caller) -> Granted {
    let reservation = visible(lot, id, by)?;
    match reservation.state {
        // Past its deadline it would have expired while settling.
        State::Held { .. } => Ok((smallvec![Event::Confirmed { id }], Outcome::Reservation(id))),
        State::Confirmed | State::CheckedIn { .. } => Ok((Events::new(), Outcome::Reservation(id))),
        State::Expired => Err(Rejection::HoldExpired),
        state @ (State::Completed | State::Cancelled | State::NoShow) => {
            Err(Rejection::ReservationEnded { state })
        }
    }
}

fn decide_modify(
    lot: &Lot,
    id: ReservationId,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    expected_version: Option<u32>,
    by: Caller,
    now: Timestamp,
) -> Granted {
    let reservation = visible(lot, id, by)?;
    if !reservation.state.is_active() {
        return Err(Rejection::ReservationEnded { state: reservation.state });
    }
    expect_version(expected_version, reservation.version)?;
    let old = reservation.window;
    let window = Window { from: from.unwrap_or(old.from), to: to.unwrap_or(old.to) };
    if window == old {
        return Ok((Events::new(), Outcome::Reservation(id)));
    }
    check_modified(old, window, now)?;
    let slot = reservation.slot;
    let promise = lot.promise(slot).ok_or(Rejection::SlotNotFound)?;
    if let Some(span) = promise.timeline.clash(window, Some(id)) {
        return Err(Rejection::SlotTaken { slot, clash: span.window });
    }
    Ok((smallvec![Event::Modified { id, window }], Outcome::Reservation(id)))
}

/// A stay that runs may keep its start, which lies in the past; a new start may not.
fn check_modified(old: Window, window: Window, now: Timestamp) -> Result<(), Rejection> {
    let checked = if window.from == old.from && window.from < now {
        Window { from: now, to: window.to }
    } else {
        window
    };
    if window.to <= window.from {
        return Err(Rejection::WindowEmpty);
    }
    if window.to <= now {
        return Err(Rejection::WindowInPast);
    }
    check_window(checked, now)?;
    check_length(window)
}

fn check_length(window: Window) -> Result<(), Rejection> {
    let too_long = window.to > window.from.plus(Seconds(limits::WINDOW_SECONDS_MAX));
    if too_long { Err(Rejection::WindowTooLong) } else { Ok(()) }
}

fn decide_cancel(lot: &Lot, id: ReservationId, reason: Option<&str>, by: Caller) -> Granted {
    let reservation = visible(lot, id, by)?;
    match reservation.state {
        State::Held { .. } | State::Confirmed | State::CheckedIn { .. } => {
            let reason = reason.map(Box::from);
            Ok((smallvec![Event::Cancelled { id, reason }], Outcome::Reservation(id)))
        }
        State::Cancelled => Ok((Events::new(), Outcome::Reservation(id))),
        state @ (State::Completed | State::Expired | State::NoShow) => {
            Err(Rejection::ReservationEnded { state })
        }
    }
}

fn decide_count(
    lot: &Lot,
    count: Count,
    observed_at: Option<Timestamp>,
    now: Timestamp,
    mut events: Events,
) -> Decision {
    let refused = |events, rejection| Decision { events, outcome: Err(rejection), heartbeat: None };
    if lot.spec.kind != Kind::Counted {
        return refused(events, Rejection::NotCounted);
    }
    let observed_at = observed_at.unwrap_or(now);
    if observed_at > now.plus(lot.spec.rules.skew) {
        let ahead_micros = observed_at.micros_since(now);
        return refused(events, Rejection::InFuture { ahead_micros });
    }
    let (outcome, heartbeat) = judge_count(lot, count, observed_at, now);
    if outcome == CountOutcome::Accepted || (outcome == CountOutcome::Unchanged && !heartbeat) {
        events.push(Event::Counted { count, observed_at });
    }
    let heartbeat = heartbeat.then_some(observed_at);
    Decision { events, outcome: Ok(Outcome::Count(outcome)), heartbeat }
}

/// What a count does, and whether it is a heartbeat without a record.
fn judge_count(
    lot: &Lot,
    count: Count,
    observed_at: Timestamp,
    now: Timestamp,
) -> (CountOutcome, bool) {
    let tally = &lot.tally;
    let Count::Absolute { occupied } = count else {
        let idle = count == Count::Flow { entered: 0, left: 0 } && tally.observed_at.is_some();
        let silent = tally.silent_since.is_some();
        let still = idle && !silent;
        return (if still { CountOutcome::Unchanged } else { CountOutcome::Accepted }, still);
    };
    let repeats = i64::from(occupied) == tally.occupied;
    match tally.absolute_at {
        Some(last) if observed_at == last && repeats => (CountOutcome::Duplicate, false),
        Some(last) if observed_at <= last => (CountOutcome::Late, false),
        Some(_) if repeats && tally.condition(lot.spec.capacity) != Condition::Silent => {
            let quiet_micros = now.micros_since(tally.recorded_at);
            let fresh = quiet_micros <= lot.spec.rules.silence.micros() / 4;
            (CountOutcome::Unchanged, fresh && !tally.flowed)
        }
        Some(_) | None => (CountOutcome::Accepted, false),
    }
}

fn expect_version(expected: Option<u32>, current: u32) -> Result<(), Rejection> {
    match expected {
        Some(expected) if expected != current => Err(Rejection::VersionMismatch { current }),
        Some(_) | None => Ok(()),
    }
}

fn decide_change_slot(
    lot: &Lot,
    slot: SlotIndex,
    patch: &SlotPatch,
    expected_version: Option<u32>,
) -> Granted {
    let promise = lot.promise(slot).ok_or(Rejection::SlotNotFound)?;
    expect_version(expected_version, promise.version)?;
    let mut events = Events::new();
    if let Some(values) = changed_slot_values(lot, slot, patch)? {
        events.push(Event::SlotChanged(Box::new(values)));
    }
    if let Some(service) = patch.service.as_ref().filter(|service| **service != promise.service) {
        events.push(Event::ServiceChanged { slot, service: service.clone() });
    }
    Ok((events, Outcome::Slot(slot)))
}

fn changed_slot_values(
    lot: &Lot,
    slot: SlotIndex,
    patch: &SlotPatch,
) -> Result<Option<SlotValues>, Rejection> {
    let old = lot.spec.slot(slot).ok_or(Rejection::SlotNotFound)?;
    let mut added_features = Vec::new();
    let features = match &patch.features {
        Some(names) => feature_set(lot, names, &mut added_features)?,
        None => old.features,
    };
    let zone = patch.zone.unwrap_or(old.zone);
    let size = patch.size.unwrap_or(old.size);
    let same = zone == old.zone && size == old.size && features == old.features;
    Ok((!same).then_some(SlotValues { slot, zone, size, features, added_features }))
}

fn feature_set(
    lot: &Lot,
    names: &[Box<str>],
    added: &mut Vec<Box<str>>,
) -> Result<FeatureSet, Rejection> {
    let mut set = FeatureSet::default();
    for name in names {
        let known = lot.spec.features.iter().chain(added.iter()).position(|known| known == name);
        let bit = known.unwrap_or_else(|| {
            added.push(name.clone());
            lot.spec.features.len() + added.len() - 1
        });
        if bit >= limits::FEATURES_PER_LOT_MAX {
            let detail = format!("a lot knows {} features", limits::FEATURES_PER_LOT_MAX);
            let faults = vec![Fault { pointer: "/features".to_owned(), detail }];
            return Err(Rejection::Invalid { faults });
        }
        set.0 |= 1 << bit;
    }
    Ok(set)
}

fn decide_change_lot(lot: &Lot, patch: &LotPatch, expected_version: Option<u32>) -> Granted {
    expect_version(expected_version, lot.version)?;
    let mut spec = (*lot.spec).clone();
    if let Some(name) = &patch.name {
        spec.name.clone_from(name);
    }
    spec.capacity = patch.capacity.unwrap_or(spec.capacity);
    spec.place = patch.place.clone().unwrap_or(spec.place);
    spec.rules = patch.rules.unwrap_or(spec.rules);
    if spec == *lot.spec {
        return Ok((Events::new(), Outcome::Lot));
    }
    let faults = spec.faults();
    if !faults.is_empty() {
        return Err(Rejection::Invalid { faults });
    }
    let values = LotValues {
        name: spec.name,
        capacity: spec.capacity,
        place: spec.place,
        rules: spec.rules,
    };
    Ok((smallvec![Event::Changed(Box::new(values))], Outcome::Lot))
}
