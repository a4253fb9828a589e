//! Who is taken to have come, and who to stay too long: nobody is charged for what nobody can know.
//!
//! Where a lot cannot know, a stay begins and ends by itself. A no-show needs a lot that could have seen the
//! arrival, an overstay one who was seen to come.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, bayed, reserve_slot, window};
use lotkeeper_engine::lot::session;
use lotkeeper_engine::lot::{Proof, State};
use lotkeeper_engine::spec::{Arrival, Rules, Spec};
use lotkeeper_engine::time::Seconds;

const FROM: i64 = 3_600;
const TO: i64 = 7_200;
const NO_SHOW_SECONDS: i64 = 600;

/// A reservation of a lot that knows arrivals so; the sensor, where there is one, says so at its start.
fn booked(arrival: Arrival, seen: Option<bool>) -> World {
    let rules = Rules { arrival, overstay_grace: Seconds(600), ..common::rules() };
    let mut world = World::new(Spec { rules, ..bayed(1) });
    world.reserve(reserve_slot(1, 0, window(FROM, TO))).unwrap();
    world.run_until(FROM);
    if let Some(occupied) = seen {
        world.see(0, occupied);
    }
    world
}

#[test]
fn only_where_it_would_have_been_seen_nobody_came() {
    let came = |proof| Some(State::CheckedIn { proof });
    let rows = [
        (Arrival::BySensor, None, came(Proof::Assumed)),
        (Arrival::BySensor, Some(false), None),
        (Arrival::BySensor, Some(true), came(Proof::Seen)),
        (Arrival::Proved, None, None),
        (Arrival::Proved, Some(false), None),
        (Arrival::Proved, Some(true), came(Proof::Seen)),
        (Arrival::Assumed, None, came(Proof::Assumed)),
        (Arrival::Assumed, Some(false), came(Proof::Assumed)),
        (Arrival::Assumed, Some(true), came(Proof::Assumed)),
    ];
    for (arrival, seen, expected) in rows {
        let mut world = booked(arrival, seen);
        world.run_until(FROM + NO_SHOW_SECONDS - 1);
        assert_eq!(world.state(1), State::Confirmed, "{arrival:?} {seen:?}: patience is not over");
        world.run_until(FROM + NO_SHOW_SECONDS);
        let at_arrival = expected.unwrap_or(State::NoShow);
        assert_eq!(world.state(1), at_arrival, "{arrival:?} {seen:?}");
        world.run_until(TO);
        let at_end = expected.map_or(State::NoShow, |_| State::Completed);
        assert_eq!(world.state(1), at_end, "{arrival:?} {seen:?}: it ends by itself");
        world.assert_invariants();
    }
}

#[test]
fn only_who_was_seen_to_come_stays_too_long() {
    let rows = [
        (Arrival::BySensor, false),
        (Arrival::BySensor, true),
        (Arrival::Proved, true),
        (Arrival::Assumed, false),
        (Arrival::Assumed, true),
    ];
    for (arrival, is_scanned) in rows {
        let mut world = booked(arrival, None);
        if is_scanned {
            life::opens(&mut world, &life::entry(1, life::booked(1)));
        }
        world.run_until(TO + 1_200);
        assert_eq!(world.state(1), State::Completed, "{arrival:?}: the booked time is over");
        let stays: Vec<_> = world.lot.stays().all().map(|stay| stay.state).collect();
        let expected: &[session::State] =
            if is_scanned { &[session::State::Overstaying] } else { &[] };
        assert_eq!(stays, expected, "{arrival:?}");
        let charged = world.lot.violations().all().count();
        assert_eq!(charged, usize::from(is_scanned), "{arrival:?}");
        world.assert_invariants();
    }
}
