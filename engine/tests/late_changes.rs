//! Until when a driver may change his mind: the lot's rule, and whom it does not bind.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;

use common::{World, at, bayed, cancel, confirm, holder, reservation, reserve_slot, window};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{Caller, Choice, Command, Lot, Outcome, Rejection, Reserve, State};
use lotkeeper_engine::time::{Seconds, Timestamp};
use std::sync::Arc;

const HOUR: i64 = 3_600;
/// The booking goes from hour 10 to hour 12, and may be changed until hour 8.
const UNTIL: i64 = 8 * HOUR;

fn driver() -> Caller {
    Caller::Holder(holder(1))
}

fn change(
    by: Caller,
    from_hours: Option<i64>,
    to_hours: Option<i64>,
    slot: Option<u16>,
) -> Command {
    let at = |hours: Option<i64>| hours.map(|hours| at(hours * HOUR));
    let choice = slot.map(|slot| Choice::Slot(SlotIndex(slot)));
    let (from, to) = (at(from_hours), at(to_hours));
    Command::Modify {
        id: reservation(1),
        choice,
        from,
        to,
        request: None,
        expected_version: None,
        by,
    }
}

fn booked(change_until: Option<Seconds>, hold: Option<Seconds>) -> World {
    let mut spec = bayed(2);
    spec.rules.change_until = change_until;
    let mut world = World::new(spec);
    let window = window(10 * HOUR, 12 * HOUR);
    world.reserve(Reserve { hold, ..reserve_slot(1, 0, window) }).unwrap();
    world
}

#[test]
fn a_driver_changes_his_mind_in_time_and_staff_always() {
    let two_hours = Some(Seconds(7_200));
    let late = Err(Rejection::ChangeTooLate { until: at(UNTIL) });
    let done = Ok(Outcome::Reservation(reservation(1)));
    let staff = Caller::Staff;
    let commands = |by| {
        [
            ("cancelled", cancel(1, by)),
            ("shorter", change(by, None, Some(11), None)),
            ("later", change(by, Some(11), None, None)),
            ("moved on", change(by, Some(11), Some(13), None)),
            ("earlier", change(by, Some(9), None, None)),
            ("another slot", change(by, None, None, Some(1))),
            ("another slot and longer", change(by, None, Some(13), Some(1))),
        ]
    };
    for (rule, by, seconds, wanted) in [
        (two_hours, driver(), UNTIL, &done),
        (two_hours, driver(), UNTIL + 1, &late),
        (two_hours, staff, UNTIL + 1, &done),
        (None, driver(), UNTIL + 1, &done),
    ] {
        for (claim, command) in commands(by) {
            let mut world = booked(rule, None);
            world.run_until(seconds);
            assert_eq!(world.execute(&command), *wanted, "{claim} at {seconds}");
            world.assert_invariants();
        }
    }
    // To the microsecond.
    let mut world = booked(two_hours, None);
    world.now = Timestamp::from_micros(at(UNTIL).micros() + 1);
    assert_eq!(world.execute(&cancel(1, driver())), late);
}

#[test]
fn what_gives_nothing_back_is_never_late() {
    let rule = Some(Seconds(7_200));
    let mut world = booked(rule, None);
    world.run_until(UNTIL + 1);
    for command in [
        change(driver(), None, Some(13), None),
        change(driver(), None, None, None),
        change(driver(), Some(10), Some(13), Some(0)),
    ] {
        world.execute(&command).unwrap();
    }
    // The first stays longer, also while he is there.
    world.run_until(10 * HOUR + 1_800);
    assert!(matches!(world.state(1), State::CheckedIn { .. }));
    world.execute(&change(driver(), None, Some(14), None)).unwrap();
    assert!(world.execute(&change(driver(), None, Some(13), None)).is_err());
    world.assert_invariants();
}

#[test]
fn a_hold_is_let_go_at_any_time_and_firm_once_confirmed() {
    let rule = Some(Seconds(24 * 3_600));
    let mut world = booked(rule, Some(Seconds(600)));
    let mut firm = world.clone();
    world.execute(&cancel(1, driver())).unwrap();
    assert_eq!(world.state(1), State::Cancelled);
    // Again is no change.
    world.execute(&cancel(1, driver())).unwrap();
    firm.execute(&confirm(1, driver())).unwrap();
    let until = at(10 * HOUR - 24 * HOUR);
    assert_eq!(firm.execute(&cancel(1, driver())), Err(Rejection::ChangeTooLate { until }));
    assert_eq!(firm.state(1), State::Confirmed);
}

#[test]
fn the_rule_is_between_a_second_and_a_year() {
    for (seconds, is_good) in [(0, false), (1, true), (31_622_400, true), (31_622_401, false)] {
        let mut spec = bayed(1);
        spec.rules.change_until = Some(Seconds(seconds));
        assert_eq!(
            Lot::new(Arc::new(spec.clone())).spec().faults().is_empty(),
            is_good,
            "{seconds}"
        );
    }
}
