//! What a reservation does with every command, every deadline and every caller in every state: one row for
//! each pair, and no pair without a row.
//!
//! A new state, deadline, caller or command of the lot does not compile here until it has a class; a new
//! class makes rows that the table must have. Counts, closures and changes: `lot_tables.rs`.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

#[macro_use]
mod common;

use common::{World, at, bayed, cancel, check_table, confirm, holder, name, reservation};
use common::{reserve_slot, window};
use lotkeeper_engine::lot::{Caller, Command, Due, Proof, Rejection, Reservation, Reserve, State};
use lotkeeper_engine::time::Seconds;

classes!(
    /// States of reservation 1: slot 0, seconds 3,600 to 7,200, held by holder 1. It shows from second
    /// 1,800, an arrival is judged at 4,200.
    Class {
        Absent,
        Held,
        HeldShown,
        Confirmed,
        ConfirmedShown,
        CheckedInSeen,
        CheckedInAssumed,
        Completed,
        Cancelled,
        Expired,
        NoShow,
    }
);

classes!(
    /// What is asked of it.
    Ask {
        ConfirmByHolder,
        ConfirmByStranger,
        ConfirmByStaff,
        ProlongByHolder,
        ProlongByStranger,
        ProlongByStaff,
        ProlongWithOldVersion,
        PutOffByHolder,
        CancelByHolder,
        CancelByStranger,
        CancelByStaff,
        ReserveSameId,
        TickAtExpiry,
        TickAtHoldBegins,
        TickAtArrivalSeen,
        TickAtArrivalEmpty,
        TickAtArrivalUnknown,
        TickAtEndSeen,
        TickAtEndEmpty,
        TickAtEndUnknown,
    }
);

/// One row per line: state, command, answer, events, next state.
const TABLE: &str = include_str!("golden/lot_transitions.txt");

fn class_of(reservation: Option<&Reservation>) -> Class {
    let Some(reservation) = reservation else { return Class::Absent };
    match (reservation.state, reservation.shown) {
        (State::Held { .. }, false) => Class::Held,
        (State::Held { .. }, true) => Class::HeldShown,
        (State::Confirmed, false) => Class::Confirmed,
        (State::Confirmed, true) => Class::ConfirmedShown,
        (State::CheckedIn { proof: Proof::Seen }, _) => Class::CheckedInSeen,
        (State::CheckedIn { proof: Proof::Assumed }, _) => Class::CheckedInAssumed,
        // By scans: see `scans.rs`.
        (State::CheckedIn { proof: Proof::Scanned | Proof::Staff | Proof::Driver }, _) => {
            unreachable!("nobody scans here")
        }
        (State::Completed, _) => Class::Completed,
        (State::Cancelled, _) => Class::Cancelled,
        (State::Expired, _) => Class::Expired,
        (State::NoShow, _) => Class::NoShow,
    }
}

/// The second at which a deadline of the reservation falls; the expiry is that of the short hold.
fn due_second(due: Due) -> i64 {
    match due {
        Due::Expiry => 600,
        Due::HoldBegins => 1_800,
        Due::Arrival => 4_200,
        Due::Remind(_) => unreachable!("these rules have no reminders"),
        Due::End => 7_200,
    }
}

fn caller(caller: Caller) -> &'static str {
    match caller {
        Caller::Holder(person) if person == holder(1) => "holder",
        Caller::Holder(_) => "stranger",
        Caller::Staff => "staff",
    }
}

/// The table that has a command's rows.
fn table_of(command: &Command) -> &'static str {
    match command {
        Command::Reserve(_)
        | Command::Confirm { .. }
        | Command::Modify { .. }
        | Command::Cancel { .. }
        | Command::Tick { .. } => "lot_transitions.rs",
        Command::ReserveSeries(_) => "series.rs",
        Command::Scan(_) | Command::ChangeStay { .. } => "scans.rs",
        Command::Pay(_) | Command::StepPayment { .. } => "payments.rs",
        Command::Provider(_) => "providers.rs",
        Command::Shift(_) => "shifts.rs",
        Command::ChangeTariffs(_) => "prices.rs",
        Command::JoinWaiting { .. } | Command::LeaveWaiting { .. } => "waiting.rs",
        Command::IssuePass { .. } | Command::ChangePass { .. } => "passes.rs",
        Command::FollowPass { .. } => "tenant_passes.rs",
        Command::Report(_) | Command::ChangeViolation { .. } => "violations.rs",
        Command::Look(_) => "looks.rs",
        Command::Count { .. } | Command::ChangeSlot { .. } | Command::ChangeLot { .. } => {
            "lot_tables.rs"
        }
    }
}

fn reserve(hold_seconds: Option<u32>) -> Reserve {
    Reserve { hold: hold_seconds.map(Seconds), ..reserve_slot(1, 0, window(3_600, 7_200)) }
}

fn build(class: Class) -> World {
    let mut world = World::new(bayed(1));
    // The short hold expires before it shows, the long one not before its window ends.
    let hold = match class {
        Class::Absent => return world,
        Class::Held | Class::Expired => Some(600),
        Class::HeldShown => Some(9_000),
        _ => None,
    };
    world.reserve(reserve(hold)).unwrap();
    match class {
        Class::Absent | Class::Held | Class::Confirmed => {}
        Class::HeldShown | Class::ConfirmedShown => world.run_until(due_second(Due::HoldBegins)),
        Class::CheckedInSeen | Class::Completed => world.see(0, true),
        Class::CheckedInAssumed => {}
        Class::Cancelled => {
            world.execute(&cancel(1, Caller::Staff)).unwrap();
        }
        Class::Expired => world.run_until(due_second(Due::Expiry)),
        Class::NoShow => world.see(0, false),
    }
    match class {
        Class::CheckedInSeen | Class::CheckedInAssumed | Class::NoShow => {
            world.run_until(due_second(Due::Arrival));
        }
        Class::Completed => world.run_until(due_second(Due::End)),
        _ => {}
    }
    world
}

/// The command and what the sensor says before it; ticks come at their deadline.
fn command(ask: Ask) -> (Command, Option<Due>, Option<bool>) {
    let (person, stranger) = (Caller::Holder(holder(1)), Caller::Holder(holder(2)));
    let change = |from: Option<i64>, to: Option<i64>, expected_version, by| Command::Modify {
        id: reservation(1),
        choice: None,
        from: from.map(at),
        to: to.map(at),
        request: None,
        expected_version,
        by,
    };
    let tick = |due, seen| (Command::Tick { listening_since: at(0) }, Some(due), seen);
    let asked = match ask {
        Ask::ConfirmByHolder => confirm(1, person),
        Ask::ConfirmByStranger => confirm(1, stranger),
        Ask::ConfirmByStaff => confirm(1, Caller::Staff),
        Ask::ProlongByHolder => change(None, Some(9_000), None, person),
        Ask::ProlongByStranger => change(None, Some(9_000), None, stranger),
        Ask::ProlongByStaff => change(None, Some(9_000), None, Caller::Staff),
        Ask::ProlongWithOldVersion => change(None, Some(9_000), Some(0), person),
        Ask::PutOffByHolder => change(Some(20_000), Some(21_000), None, person),
        Ask::CancelByHolder => cancel(1, person),
        Ask::CancelByStranger => cancel(1, stranger),
        Ask::CancelByStaff => cancel(1, Caller::Staff),
        Ask::ReserveSameId => Command::Reserve(reserve(None)),
        Ask::TickAtExpiry => return tick(Due::Expiry, None),
        Ask::TickAtHoldBegins => return tick(Due::HoldBegins, None),
        Ask::TickAtArrivalSeen => return tick(Due::Arrival, Some(true)),
        Ask::TickAtArrivalEmpty => return tick(Due::Arrival, Some(false)),
        Ask::TickAtArrivalUnknown => return tick(Due::Arrival, None),
        Ask::TickAtEndSeen => return tick(Due::End, Some(true)),
        Ask::TickAtEndEmpty => return tick(Due::End, Some(false)),
        Ask::TickAtEndUnknown => return tick(Due::End, None),
    };
    (asked, None, None)
}

fn row(class: Class, ask: Ask) -> String {
    let mut world = build(class);
    let (command, due, seen) = command(ask);
    world.now = world.now.max(due.map_or(world.now, |due| at(due_second(due))));
    world.forget_sensors();
    if let Some(occupied) = seen {
        world.see(0, occupied);
    }
    let before = world.entries.len();
    let answer = match world.execute(&command) {
        Ok(outcome) => name(&outcome),
        Err(Rejection::ReservationEnded { state }) => format!("Ended/{}", name(&state)),
        Err(rejection) => name(&rejection),
    };
    let events = world.lot_events_since(before);
    let events = if events.is_empty() { "-".to_owned() } else { events.join(",") };
    world.assert_invariants();
    let next = class_of(world.lot.reservation(reservation(1)).map(AsRef::as_ref));
    let (class, ask) = (name(&class), name(&ask));
    format!("{class:<16} {ask:<21} {answer:<19} {events:<29} {next:?}")
}

#[test]
fn every_reservation_answers_every_command_as_the_table_says() {
    let pairs = Class::ALL.iter().flat_map(|class| Ask::ALL.iter().map(move |ask| (*class, *ask)));
    check_table(TABLE, &pairs.map(|(class, ask)| row(class, ask)).collect::<Vec<_>>());
}

#[test]
fn every_class_is_built_as_the_class_it_is_named_after() {
    for class in Class::ALL {
        let world = build(*class);
        let found = class_of(world.lot.reservation(reservation(1)).map(AsRef::as_ref));
        assert_eq!(found, *class);
    }
}

#[test]
fn every_caller_and_command_of_a_reservation_has_rows() {
    for who in ["holder", "stranger", "staff"] {
        let asks = Ask::ALL.iter().filter(|ask| match command(**ask).0 {
            Command::Confirm { by, .. }
            | Command::Modify { by, .. }
            | Command::Cancel { by, .. } => caller(by) == who,
            _ => false,
        });
        assert!(asks.count() >= 3, "{who}");
    }
    for ask in Ask::ALL {
        assert_eq!(table_of(&command(*ask).0), "lot_transitions.rs", "{ask:?}");
    }
}
