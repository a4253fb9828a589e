//! Who came, where nobody was scanned in: what a sensor proves of a promise, and what it does not.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, bayed, holder, reserve_slot, window};
use life::*;
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{Proof, Purpose, Reserve, State, session};
use lotkeeper_engine::spec::Arrival;

/// A lot of one slot whose promises 1 and 2 follow each other, for vehicles 1 and `second`.
fn two_in_a_row(arrival: Arrival, second: u32) -> World {
    let mut it = World::new(bayed(1));
    set_rules(&mut it, |rules| rules.arrival = arrival);
    put(&mut it, tariff(begun_hours(200)));
    let of = |id: u32, number: u32, window| Reserve {
        vehicle: Some(vehicle(number)),
        holder: holder(number),
        ..reserve_slot(id, 0, window)
    };
    it.reserve(of(1, 1, window(0, 2 * HOUR))).unwrap();
    it.reserve(of(2, second, window(2 * HOUR, 4 * HOUR))).unwrap();
    it
}

#[test]
fn a_sensor_that_sees_anothers_overstaying_car_proves_nothing_for_the_next() {
    for (arrival, state) in [
        (Arrival::BySensor, State::CheckedIn { proof: Proof::Assumed }),
        (Arrival::Proved, State::NoShow),
    ] {
        // Nobody scans: the sensor sees the first one come, and never leave.
        let mut it = two_in_a_row(arrival, 2);
        it.see(0, true);
        it.run_until(2 * HOUR + 600);
        assert_eq!(it.state(1), State::Completed, "{arrival:?}");
        assert_eq!(it.state(2), state, "{arrival:?}");

        // The first one came through a gate.
        let mut it = two_in_a_row(arrival, 2);
        opens(&mut it, &entry(1, booked(1)));
        it.see(0, true);
        it.run_until(2 * HOUR + 600);
        assert_eq!(session(&it, 1).slot, Some(SlotIndex(0)));
        assert_eq!(it.state(2), state, "{arrival:?}, through a gate");
        it.assert_invariants();
    }
}

#[test]
fn a_car_that_comes_once_the_other_is_gone_is_seen() {
    let mut it = two_in_a_row(Arrival::Proved, 2);
    it.see(0, true);
    it.run_until(2 * HOUR + 100);
    it.see(0, false);
    it.run_until(2 * HOUR + 200);
    it.see(0, true);
    it.run_until(2 * HOUR + 600);
    assert_eq!(it.state(2), State::CheckedIn { proof: Proof::Seen });

    // Nobody was promised the slot before: whoever is early is seen as well.
    let mut it = World::new(bayed(1));
    it.see(0, true);
    it.reserve(reserve_slot(2, 0, window(2 * HOUR, 4 * HOUR))).unwrap();
    it.run_until(2 * HOUR + 600);
    assert_eq!(it.state(2), State::CheckedIn { proof: Proof::Seen });
}

#[test]
fn consecutive_promises_of_one_car_are_one_stay_and_it_came_for_both() {
    // Seen by a sensor alone.
    let mut it = two_in_a_row(Arrival::Proved, 1);
    it.see(0, true);
    it.run_until(2 * HOUR + 600);
    assert_eq!(it.state(2), State::CheckedIn { proof: Proof::Seen });

    // Through a gate, with no sensor: nobody who is inside is a no-show.
    let mut it = two_in_a_row(Arrival::Proved, 1);
    opens(&mut it, &entry(1, booked(1)));
    it.run_until(2 * HOUR + 600);
    assert_eq!(it.state(2), State::CheckedIn { proof: Proof::Scanned });
    it.run_until(4 * HOUR);
    assert_eq!(it.state(2), State::Completed);
    let stays: Vec<_> = it.lot.stays().all().collect();
    assert_eq!(stays.len(), 1, "one vehicle from its entry to its exit");
    assert!(stays[0].state.is_inside());
    it.assert_invariants();
}

#[test]
fn a_plate_that_comes_too_early_for_its_promise_takes_a_ticket_as_any_other() {
    let mut it = World::new(bayed(2));
    put(&mut it, tariff(begun_hours(200)));
    let reserve =
        Reserve { vehicle: Some(vehicle(1)), ..reserve_slot(1, 0, window(5 * HOUR, 6 * HOUR)) };
    it.reserve(reserve).unwrap();
    opens(&mut it, &entry(1, plate(1)));
    assert_eq!(session(&it, 1).origin, session::Origin::DriveIn);
    assert_eq!(it.state(1), State::Confirmed, "the promise stands");
    it.run_until(HOUR);
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    opens(&mut it, &exit(plate(1)));
    it.run_until(5 * HOUR);
    // And is there for him when its time has come.
    opens(&mut it, &entry(2, plate(1)));
    assert_eq!(session(&it, 2).origin, session::Origin::Reservation(common::reservation(1)));
}

#[test]
fn a_stay_that_is_given_up_costs_a_day_at_most_and_no_penalty() {
    let mut it = World::new(bayed(1));
    let mut day = tariff(begun_hours(200));
    day.overstay.penalty_per_hour = lotkeeper_engine::money::Amount(500);
    put(&mut it, day);
    opens(&mut it, &entry(1, plate(1)));
    let rules = it.lot.spec().rules;
    it.run_until(i64::from(rules.auto_exit.0));
    assert_eq!(session(&it, 1).state, session::State::Abandoned);
    let fee = session(&it, 1).fee.clone().unwrap();
    assert_eq!(fee.total.0, 24 * 200, "the first day, though nobody saw it leave for three");
    let charges = it.entries.iter().filter(|entry| {
        matches!(entry, common::Entry::Lot(lotkeeper_engine::lot::Event::Posted(posting), _)
            if posting.purpose == Purpose::Charge)
    });
    assert_eq!(charges.count(), 1);
    assert_eq!(owed(&it, of_stay(1)), 24 * 200);
    it.assert_invariants();
}
