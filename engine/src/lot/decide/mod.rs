//! Decides a command against a lot. Changes nothing; the whole answer in one place.
//!
//! What is overdue happens first, whether or not the tick came: a window whose holder's time is up is
//! granted, a confirmation past its deadline is not. So a decision may carry events even when the
//! command itself is refused.
//!
//! Absent: silence of a counter that the tick has not reported yet. It hangs on when the engine began
//! to listen, which only the tick knows.

mod change;
mod count;
mod reservation;

use smallvec::{SmallVec, smallvec};

use super::{
    Bays, Command, Deadline, Due, Event, Lot, Outcome, Proof, Rejection, Reservation, Service,
    State, apply,
};
use crate::limits;
use crate::time::Timestamp;

/// Events of one decision, in order.
pub type Events = SmallVec<[Event; 2]>;

/// What follows from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happened: first what was overdue, then what the command did.
    pub events: Events,
    /// How many of them, from the first on, were overdue: nobody asked for those.
    pub overdue: usize,
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
        Command::Modify { id, from, to, expected_version, by } => {
            reservation::modify(lot, *id, (*from, *to), *expected_version, *by, now)
        }
        Command::Cancel { id, reason, by } => reservation::cancel(lot, *id, reason.as_deref(), *by),
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
    let outcome = granted.map(|(granted, outcome)| {
        events.extend(granted);
        outcome
    });
    Decision { events, overdue, outcome, heartbeat }
}

/// A tick can come again and keeps its commit small; a command must see the lot as it is.
fn overdue_events_max(command: &Command) -> usize {
    match command {
        Command::Tick { .. } => limits::DUE_PER_TICK_MAX,
        Command::Reserve(_)
        | Command::Confirm { .. }
        | Command::Modify { .. }
        | Command::Cancel { .. }
        | Command::Count { .. }
        | Command::ChangeSlot { .. }
        | Command::ChangeLot { .. } => usize::MAX,
    }
}

/// Everything overdue, and the lot after it; no copy is made when nothing is, and the copy shares all
/// that the events do not touch. It ends: each event brings a reservation or a closure a step further.
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
    let (_, deadline) = lot.index.deadlines.get_min().filter(|(at, _)| *at <= now)?;
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
