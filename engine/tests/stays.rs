//! Stays, told as stories: what one does to its slot, its reservation and its claim, what staff change about it,
//! and what it does by itself when its time comes.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, at, bayed, cancel, reservation, reserve_any, reserve_slot, window};
use life::*;
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::session::{DenyReason, OpenReason};
use lotkeeper_engine::lot::{
    Caller, Choice, Command, Proof, Rejection, Reserve, State, StayChange, session,
};
use lotkeeper_engine::spec::Arrival;
use lotkeeper_engine::time::Seconds;

fn world(slots: usize) -> World {
    World::new(bayed(slots))
}

/// Reservation 1 of slot 0, for vehicle 1.
fn reserved(world: &mut World, from: i64, to: i64) {
    let reserve = Reserve { vehicle: Some(vehicle(1)), ..reserve_slot(1, 0, window(from, to)) };
    world.reserve(reserve).unwrap();
}

#[test]
fn who_comes_early_has_his_slot_from_then_on_or_another_like_it() {
    let mut it = world(2);
    it.reserve(reserve_slot(2, 0, window(0, HOUR - 600))).unwrap();
    reserved(&mut it, HOUR, 2 * HOUR);
    // Ten minutes before: the slot before his window is his as well.
    it.run_until(HOUR - 600);
    opens(&mut it, &entry(1, booked(1)));
    let early = session(&it, 1);
    assert_eq!(early.slot, Some(SlotIndex(0)));
    assert_eq!(early.claim, Some(window(HOUR - 600, HOUR)));
    assert_eq!(early.booked, Some(window(HOUR, 2 * HOUR)));
    it.run_until(HOUR);
    assert_eq!(session(&it, 1).claim, None, "from now on the promise has it");

    // Another's promise still runs there: another slot.
    let mut it = world(2);
    it.reserve(reserve_slot(2, 0, window(0, HOUR))).unwrap();
    reserved(&mut it, HOUR, 2 * HOUR);
    it.run_until(HOUR - 600);
    opens(&mut it, &entry(1, booked(1)));
    assert_eq!(session(&it, 1).slot, Some(SlotIndex(1)));
    assert_eq!(it.lot.reservation(reservation(1)).unwrap().slot, SlotIndex(1));
    assert_eq!(it.state(1), State::CheckedIn { proof: Proof::Scanned });
}

#[test]
fn who_came_early_and_extends_or_is_moved_is_still_there() {
    for extends in [true, false] {
        let mut it = world(2);
        set_rules(&mut it, |rules| rules.arrival = Arrival::Proved);
        put(&mut it, tariff(begun_hours(200)));
        reserved(&mut it, HOUR, 2 * HOUR);
        it.run_until(HOUR - 600);
        opens(&mut it, &entry(1, booked(1)));
        if extends {
            it.execute(&extend(1, 3 * HOUR)).unwrap();
        } else {
            change(&mut it, 1, place(Some(1))).unwrap();
        }
        it.assert_invariants();
        assert_eq!(it.state(1), State::CheckedIn { proof: Proof::Scanned });
        it.run_until(HOUR + 1_200);
        assert_eq!(it.state(1), State::CheckedIn { proof: Proof::Scanned }, "he is inside");
        assert_eq!(owed(&it, of_booking(1)), 0, "nobody pays for not coming");
    }
}

#[test]
fn what_a_stay_may_and_costs_follows_its_window_while_it_is_inside() {
    let mut it = world(1);
    put(&mut it, tariff(begun_hours(200)));
    reserved(&mut it, 0, HOUR);
    opens(&mut it, &entry(1, booked(1)));
    it.execute(&extend(1, 3 * HOUR)).unwrap();
    it.assert_invariants();
    let rules = it.lot.spec().rules;
    assert_eq!(session(&it, 1).booked, Some(window(0, 3 * HOUR)));
    assert_eq!(session(&it, 1).expected_exit(&rules), Some(at(3 * HOUR)));
    it.run_until(2 * HOUR);
    assert_eq!(session(&it, 1).state, session::State::Inside, "it has until the new end");
    assert_eq!(due(&it, 1), 600);
    // Given back: what is left of it.
    it.execute(&extend(1, 2 * HOUR + 600)).unwrap();
    it.assert_invariants();
    it.run_until(2 * HOUR + 600);
    assert_eq!(it.state(1), State::Completed);
    assert_eq!(session(&it, 1).state, session::State::Inside);
    it.run_until(2 * HOUR + 1_200);
    assert_eq!(session(&it, 1).state, session::State::Overstaying);
}

#[test]
fn a_slot_with_a_vehicle_on_it_is_given_to_nobody_else() {
    let mut it = world(2);
    // Stays on beyond its claim: the next promise has the slot, the vehicle stands on it.
    opens(&mut it, &entry(1, plate(7)));
    let slot = session(&it, 1).slot.unwrap();
    let reserve =
        Reserve { choice: Choice::Slot(slot), ..reserve_slot(1, 0, window(4 * HOUR, 5 * HOUR)) };
    it.reserve(reserve).unwrap();
    it.run_until(4 * HOUR);
    assert_eq!(session(&it, 1).claim, None);
    opens(&mut it, &entry(2, booked(1)));
    let other = session(&it, 2).slot.unwrap();
    assert_ne!(other, slot);
    assert_eq!(it.lot.reservation(reservation(1)).unwrap().slot, other);
    assert_eq!(denies(&mut it, &entry(3, plate(8))), DenyReason::LotFull);
}

#[test]
fn a_claim_goes_on_while_nobody_else_has_the_slot() {
    let mut it = world(1);
    opens(&mut it, &entry(1, plate(1)));
    assert_eq!(session(&it, 1).claim, Some(window(0, 4 * HOUR)));
    assert!(matches!(
        it.reserve(reserve_slot(1, 0, window(HOUR, 2 * HOUR))),
        Err(Rejection::SlotTaken { .. })
    ));
    it.run_until(4 * HOUR);
    assert_eq!(session(&it, 1).claim, Some(window(0, 8 * HOUR)));
    it.reserve(reserve_slot(1, 0, window(9 * HOUR, 10 * HOUR))).unwrap();
    it.run_until(8 * HOUR);
    assert_eq!(session(&it, 1).claim, Some(window(0, 9 * HOUR)), "up to the promise");
    it.run_until(9 * HOUR);
    assert_eq!(session(&it, 1).claim, None);
    it.assert_invariants();
    opens(&mut it, &exit(plate(1)));
    assert!(it.lot.promise(SlotIndex(0)).unwrap().timeline.spans().len() == 1);
}

#[test]
fn a_promise_that_ends_and_a_claim_that_ends_at_one_instant_leave_no_overlap() {
    // On slot 0 a promise ends with its vehicle inside, on slot 1 a drive-in's claim, all at one instant, at
    // which promises for both slots begin. Told at once, or days too late.
    for late in [0, 3 * 24 * HOUR, 30 * 24 * HOUR] {
        let mut it = world(3);
        it.run_until(0);
        reserved(&mut it, 0, 4 * HOUR);
        opens(&mut it, &entry(1, booked(1)));
        opens(&mut it, &entry(2, plate(2)));
        let slot = session(&it, 2).slot.unwrap();
        it.reserve(reserve_slot(3, 0, window(4 * HOUR, 5 * HOUR))).unwrap();
        it.reserve(reserve_slot(4, slot.0, window(4 * HOUR, 5 * HOUR))).unwrap();
        it.now = at(4 * HOUR + late);
        it.tick();
        it.assert_invariants();
        assert_eq!(it.state(1), State::Completed);
        assert_eq!((session(&it, 1).claim, session(&it, 2).claim), (None, None));
        assert!(it.lot.next_due_at().is_none_or(|due_at| due_at > it.now), "all has happened");
    }
}

#[test]
fn who_stays_on_is_told_and_given_up_in_the_end() {
    let mut it = world(1);
    put(&mut it, tariff(begun_hours(200)));
    reserved(&mut it, 0, HOUR);
    opens(&mut it, &entry(1, booked(1)));
    it.run_until(HOUR);
    assert_eq!(it.state(1), State::Completed);
    assert!(session(&it, 1).claim.is_some(), "it has the slot while nobody else does");
    it.run_until(HOUR + 599);
    assert_eq!(session(&it, 1).state, session::State::Inside);
    it.run_until(HOUR + 600);
    assert_eq!(session(&it, 1).state, session::State::Overstaying);
    it.run_until(HOUR + 72 * HOUR - 1);
    assert_eq!(session(&it, 1).state, session::State::Overstaying);
    it.run_until(HOUR + 72 * HOUR);
    it.assert_invariants();
    let gone = session(&it, 1);
    assert_eq!(gone.state, session::State::Abandoned);
    let fee = gone.fee.as_ref().expect("a stay that ended has a fee");
    assert_eq!(owed(&it, of_booking(1)), fee.total.0, "it is owed");
    assert_eq!(it.lot.stays().inside_count(), 0);
    assert!(it.lot.promise(SlotIndex(0)).unwrap().timeline.spans().is_empty());
}

#[test]
fn a_rule_that_changes_moves_the_deadlines_of_who_is_inside() {
    let mut it = world(1);
    opens(&mut it, &entry(1, plate(1)));
    it.run_until(HOUR);
    set_rules(&mut it, |rules| rules.stay_max = Some(Seconds(1_800)));
    it.tick();
    assert_eq!(session(&it, 1).state, session::State::Overstaying, "since half an hour");
    set_rules(&mut it, |rules| rules.auto_exit = Seconds(60));
    it.tick();
    assert_eq!(session(&it, 1).state, session::State::Abandoned);
    it.assert_invariants();
}

#[test]
fn an_exit_before_its_window_ends_gives_the_rest_back() {
    let mut it = world(1);
    reserved(&mut it, HOUR, 3 * HOUR);
    it.run_until(HOUR - 600);
    opens(&mut it, &entry(1, booked(1)));
    it.run_until(HOUR - 300);
    opens(&mut it, &exit(booked(1)));
    assert_eq!(it.state(1), State::Completed);
    it.reserve(reserve_slot(2, 0, window(HOUR, 2 * HOUR))).unwrap();
    it.assert_invariants();
}

#[test]
fn a_checked_in_reservation_is_cancelled_only_once_its_vehicle_left() {
    let mut it = world(1);
    reserved(&mut it, 0, HOUR);
    opens(&mut it, &entry(1, booked(1)));
    assert_eq!(
        it.execute(&cancel(1, Caller::Staff)),
        Err(Rejection::VehicleInside { session: stay(1) })
    );
    change(&mut it, 1, StayChange::Leave { at: None }).unwrap();
    assert_eq!(
        it.execute(&cancel(1, Caller::Staff)),
        Err(Rejection::ReservationEnded { state: State::Completed })
    );
}

#[test]
fn a_driver_who_is_inside_moves_the_end_of_his_window_only() {
    let mut it = world(2);
    reserved(&mut it, 0, HOUR);
    opens(&mut it, &entry(1, booked(1)));
    let inside = Err(Rejection::VehicleInside { session: stay(1) });
    assert_eq!(it.execute(&common::modify(1, Some(at(600)), None)), inside);
    assert_eq!(it.execute(&modify_to(1, Some(Choice::Slot(SlotIndex(1))), HOUR)), inside);
    // The end is refused where somebody else has it, and the old one stays.
    it.reserve(reserve_slot(2, 0, window(2 * HOUR, 3 * HOUR))).unwrap();
    assert!(matches!(it.execute(&extend(1, 2 * HOUR + 1)), Err(Rejection::SlotTaken { .. })));
    it.execute(&extend(1, 2 * HOUR)).unwrap();
    assert_eq!(session(&it, 1).booked, Some(window(0, 2 * HOUR)));
}

#[test]
fn staff_bind_a_stay_where_the_vehicle_stands() {
    let mut it = world(3);
    reserved(&mut it, 0, HOUR);
    opens(&mut it, &entry(1, booked(1)));
    opens(&mut it, &entry(2, plate(2)));
    let taken = session(&it, 2).slot.unwrap();
    assert_eq!(
        change(&mut it, 1, place(Some(taken.0))),
        Err(Rejection::VehicleInside { session: stay(2) })
    );
    let free = (0..3).find(|slot| ![0, taken.0].contains(slot)).unwrap();
    it.reserve(reserve_slot(3, free, window(HOUR / 2, HOUR))).unwrap();
    assert!(matches!(change(&mut it, 1, place(Some(free))), Err(Rejection::SlotTaken { .. })));
    it.execute(&cancel(3, Caller::Staff)).unwrap();
    change(&mut it, 1, place(Some(free))).unwrap();
    assert_eq!(it.lot.reservation(reservation(1)).unwrap().slot, SlotIndex(free));
    assert_eq!(change(&mut it, 1, place(Some(9))), Err(Rejection::SlotNotFound));
    // Nobody knows where: its promise stays where it is, and it can come back to it.
    change(&mut it, 1, place(None)).unwrap();
    assert_eq!(session(&it, 1).slot, None);
    change(&mut it, 1, place(Some(free))).unwrap();
    assert_eq!(session(&it, 1).slot, Some(SlotIndex(free)));
    assert_eq!(it.lot.reservation(reservation(1)).unwrap().slot, SlotIndex(free));
}

#[test]
fn an_early_stay_is_moved_beside_the_promises_of_others() {
    let mut it = world(2);
    reserved(&mut it, HOUR, 2 * HOUR);
    it.run_until(HOUR - 1_800);
    opens(&mut it, &entry(1, booked(1)));
    // On the other slot somebody has the last ten minutes before the window.
    it.reserve(reserve_slot(2, 1, window(HOUR - 600, HOUR))).unwrap();
    change(&mut it, 1, place(Some(1))).unwrap();
    assert_eq!(session(&it, 1).claim, Some(window(HOUR - 1_800, HOUR - 600)));
    it.run_until(HOUR + 60);
    it.assert_invariants();
}

#[test]
fn a_misread_plate_is_put_right_unless_another_has_it() {
    let mut it = world(2);
    opens(&mut it, &entry(1, plate(1)));
    opens(&mut it, &entry(2, plate(2)));
    let to = |number| StayChange::Identify { vehicle: vehicle(number) };
    assert_eq!(change(&mut it, 1, to(2)), Err(Rejection::VehicleInside { session: stay(2) }));
    change(&mut it, 1, to(3)).unwrap();
    assert_eq!(denies(&mut it, &exit(plate(1))), DenyReason::NotInside);
    assert_eq!(opens(&mut it, &exit(plate(3))), OpenReason::Paid);
    assert!(matches!(change(&mut it, 1, to(4)), Err(Rejection::SessionEnded { .. })));
}

#[test]
fn a_tick_and_a_command_settle_alike_after_days_without_either() {
    for days in [1, 4, 40, 800] {
        let mut it = world(4);
        put(&mut it, tariff(begun_hours(200)));
        reserved(&mut it, 0, HOUR);
        opens(&mut it, &entry(1, booked(1)));
        opens(&mut it, &entry(2, plate(2)));
        it.reserve(reserve_any(2, window(HOUR, 2 * HOUR))).unwrap();
        it.reserve(Reserve { hold: Some(Seconds(60)), ..reserve_any(3, window(HOUR, 2 * HOUR)) })
            .unwrap();
        it.now = at(days * 24 * HOUR);
        let mut ticked = it.clone();
        ticked.tick();
        it.execute(&Command::Pay(Box::new(pay(1, of_stay(9), None)))).unwrap_err();
        assert_eq!(it.lot, ticked.lot, "{days} days");
        it.assert_invariants();
        assert_ledger(&it);
    }
}

#[test]
fn a_slot_with_a_stay_bound_to_it_hides_no_other() {
    // A vehicle stays on where its claim ended, on all others a sensor sees somebody: nobody is sent away for
    // that, and nobody is sent to the slot of a stay.
    for bound in 0..3 {
        let mut it = world(3);
        opens(&mut it, &entry(1, plate(7)));
        change(&mut it, 1, place(Some(bound))).unwrap();
        it.reserve(reserve_slot(1, bound, window(4 * HOUR, 4 * HOUR + 600))).unwrap();
        it.run_until(4 * HOUR + 600);
        assert_eq!(session(&it, 1).claim, None);
        (0..3).filter(|slot| *slot != bound).for_each(|slot| it.see(slot, true));
        opens(&mut it, &entry(2, plate(8)));
        opens(&mut it, &entry(3, plate(9)));
        assert_eq!(denies(&mut it, &entry(4, plate(10))), DenyReason::LotFull);
    }
}
