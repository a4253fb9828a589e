//! Decides a command against a lot. Changes nothing; the whole answer in one place.
//!
//! What is overdue happens first, whether or not the tick came: a window whose holder's time is up is
//! granted, a confirmation past its deadline is not. So a decision may carry events even when the
//! command itself is refused.
//!
//! Absent: silence of a counter that the tick has not reported yet. It hangs on when the engine began
//! to listen, which only the tick knows.

mod arrival;
mod change;
mod count;
mod exit;
mod look;
mod pass;
mod payment;
mod provider;
mod reservation;
mod scan;
mod series;
mod shift;
mod stay;
mod tariff;
mod violation;
mod waiting;

pub(super) use tariff::apply as apply_to_book;

use smallvec::{SmallVec, smallvec};

use super::{
    Bays, Command, Deadline, Due, Event, Lot, Outcome, Rejection, Reservation, Service, State,
};
use crate::limits;
use crate::time::Timestamp;

/// Events of one decision, in order.
pub type Events = SmallVec<[Event; 2]>;

/// What follows from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happened: first what was overdue, then what the command did, then what it let others have.
    pub events: Events,
    /// How many of them, from the first on, were overdue: nobody asked for those.
    pub overdue: usize,
    /// How many of them, from the last on, are offers to those who wait: nobody asked for those either.
    pub offers: usize,
    /// The answer.
    pub outcome: Result<Outcome, Rejection>,
    /// A count that repeats the tally and has no record; see [`Lot::note_count`].
    pub heartbeat: Option<Heartbeat>,
}

/// A count that changed nothing and is not worth a record: it only shows that the counter lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// When it was counted.
    pub observed_at: Timestamp,
    /// Whether it was an absolute count: only those decide which later ones are late.
    pub absolute: bool,
}

/// What a command does on top of what was overdue.
type Granted = Result<(Events, Outcome), Rejection>;

/// Decides a command; changes nothing.
#[must_use]
pub fn decide(lot: &Lot, command: &Command, now: Timestamp, bays: &dyn Bays) -> Decision {
    let (mut events, settled) = settle(lot, now, bays, overdue_events_max(command));
    let overdue = events.len();
    let lot = settled.as_ref().unwrap_or(lot);
    let mut heartbeat = None;
    let granted = match command {
        Command::Reserve(reserve) => reservation::reserve(lot, reserve, now, bays),
        Command::Confirm { id, by } => reservation::confirm(lot, *id, *by),
        Command::ReserveSeries(occurrences) => series::reserve(lot, occurrences, now, bays),
        Command::Modify { id, choice, from, to, request, expected_version, by } => {
            let (choice, request) = (*choice, *request);
            let wanted = reservation::Wanted { choice, from: *from, to: *to, request };
            reservation::modify(lot, *id, &wanted, (*expected_version, *by), now, bays)
        }
        Command::Cancel { id, reason, by } => {
            reservation::cancel(lot, *id, reason.as_deref(), *by, now)
        }
        Command::JoinWaiting { id, terms } => waiting::join(lot, *id, terms, now, bays),
        Command::LeaveWaiting { id, by } => waiting::leave(lot, *id, *by),
        Command::Scan(scan) => scan::scan(lot, scan, now, bays),
        Command::ChangeStay { id, change, expected_version } => {
            stay::change(lot, *id, change, *expected_version, now)
        }
        Command::Pay(pay) => payment::pay(lot, pay, now),
        Command::StepPayment { id, step } => payment::step(lot, *id, *step, now),
        Command::Provider(command) => provider::decide(lot, command, now),
        Command::Shift(command) => shift::decide(lot, command, now),
        Command::ChangeTariffs(changes) => tariff::change(lot, changes),
        Command::IssuePass { id, reach, terms } => pass::issue(lot, *id, *reach, terms, now),
        Command::FollowPass { id, state, since } => {
            Ok((pass::follow(lot, *id, *state, *since, now), Outcome::Settled))
        }
        Command::ChangePass { id, change, expected_version } => {
            pass::change(lot, *id, change, *expected_version, now)
        }
        Command::Report(report) => violation::report(lot, report, now),
        Command::ChangeViolation { id, change, expected_version, by } => {
            violation::change(lot, *id, change, (*expected_version, *by), now)
        }
        Command::Look(slots) => Ok((look::look(lot, slots, now, bays), Outcome::Settled)),
        Command::Count { count, observed_at } => {
            count::count(lot, *count, observed_at.unwrap_or(now), now, &mut heartbeat)
        }
        Command::ChangeSlot { slot, patch, expected_version } => {
            change::slot(lot, *slot, patch, *expected_version)
        }
        Command::ChangeLot { patch, expected_version } => {
            change::lot(lot, patch, *expected_version)
        }
        Command::Tick { listening_since } => {
            Ok((count::silence(lot, *listening_since, now), Outcome::Settled))
        }
    };
    let mut offers = 0;
    let outcome = granted.map(|(granted, outcome)| {
        let (granted, made) = waiting::after(lot, granted, now, bays);
        offers = made;
        events.extend(granted);
        outcome
    });
    Decision { events, overdue, offers, outcome, heartbeat }
}

/// A tick can come again and keeps its commit small; a command must see the lot as it is.
fn overdue_events_max(command: &Command) -> usize {
    match command {
        Command::Tick { .. } | Command::Look(_) | Command::FollowPass { .. } => {
            limits::DUE_PER_TICK_MAX
        }
        Command::Reserve(_)
        | Command::Confirm { .. }
        | Command::Modify { .. }
        | Command::Cancel { .. }
        | Command::ReserveSeries(_)
        | Command::JoinWaiting { .. }
        | Command::LeaveWaiting { .. }
        | Command::Scan(_)
        | Command::ChangeStay { .. }
        | Command::Pay(_)
        | Command::StepPayment { .. }
        | Command::Provider(_)
        | Command::Shift(_)
        | Command::ChangeTariffs(_)
        | Command::IssuePass { .. }
        | Command::ChangePass { .. }
        | Command::Report(_)
        | Command::ChangeViolation { .. }
        | Command::Count { .. }
        | Command::ChangeSlot { .. }
        | Command::ChangeLot { .. } => usize::MAX,
    }
}

/// Everything overdue, and the lot after it; no copy is made when nothing is, and the copy shares all
/// that the events do not touch. It ends: each step brings a reservation, a stay, a place in line or a closure further.
fn settle(lot: &Lot, now: Timestamp, bays: &dyn Bays, max: usize) -> (Events, Option<Lot>) {
    let mut events = Events::new();
    let mut settled: Option<Lot> = None;
    while events.len() < max {
        let current = settled.as_ref().unwrap_or(lot);
        let step = next_overdue(current, now, bays);
        if step.is_empty() {
            break;
        }
        let lot = settled.get_or_insert_with(|| lot.clone());
        let (step, _) = waiting::follow(lot, step, now, bays);
        events.extend(step);
    }
    (events, settled)
}

/// What is due first, and what that brings along.
fn next_overdue(lot: &Lot, now: Timestamp, bays: &dyn Bays) -> Events {
    let first = lot.index.deadlines.get_min().filter(|(at, _)| *at <= now);
    let Some((_, deadline)) = first else { return Events::new() };
    let rules = &lot.spec.rules;
    match deadline {
        Deadline::Service(slot) => {
            smallvec![Event::ServiceChanged { slot: *slot, service: Service::InService }]
        }
        Deadline::Reservation(id) => lot
            .reservation(*id)
            .and_then(|reservation| Some((reservation, reservation.next_due(rules)?.1)))
            .map(|(reservation, due)| overdue(lot, reservation, due, now, bays))
            .unwrap_or_default(),
        Deadline::Session(id) => lot
            .stays
            .get(*id)
            .and_then(|session| Some((session, session.next_due(rules)?.1)))
            .map(|(session, due)| stay::overdue(lot, session, due, now))
            .unwrap_or_default(),
        Deadline::Pass(id) => {
            lot.passes.get(*id).map(|pass| pass::run_out(lot, pass, now)).unwrap_or_default()
        }
        Deadline::Waiting(id) => waiting::run_out(*id),
        Deadline::Violation(id) => lot
            .violations
            .get(*id)
            .map(|violation| violation::notify(lot, violation, now))
            .unwrap_or_default(),
    }
}

fn overdue(
    lot: &Lot,
    reservation: &Reservation,
    due: Due,
    now: Timestamp,
    bays: &dyn Bays,
) -> Events {
    let id = reservation.id;
    match (due, reservation.state) {
        (Due::HoldBegins, _) => smallvec![Event::HoldBegan { id }],
        (Due::Remind(of), _) => smallvec![Event::Reminded { id, of }],
        (Due::Expiry, _) | (Due::End, State::Held { .. }) => smallvec![Event::Expired { id }],
        (Due::End, State::CheckedIn { .. }) => reservation::complete(lot, reservation, now),
        // A confirmed window that ended before its no-show time is judged at its end.
        (Due::Arrival | Due::End, _) => arrival::arrival(lot, reservation, bays),
    }
}

fn expect_version(expected: Option<u32>, current: u32) -> Result<(), Rejection> {
    match expected {
        Some(expected) if expected != current => Err(Rejection::VersionMismatch { current }),
        Some(_) | None => Ok(()),
    }
}

/// A granted command that finds everything as asked.
fn unchanged(outcome: Outcome) -> Granted {
    Ok((Events::new(), outcome))
}

/// A granted command with one event.
fn happened(event: Event, outcome: Outcome) -> Granted {
    Ok((smallvec![event], outcome))
}
