//! Scans, told as stories: every reason why a gate opens or stays closed by the state that leads to it, and
//! what a stay does to its slot, its reservation and its count.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, at, bayed, cancel, counted, reservation, reserve_slot, window};
use life::*;
use lotkeeper_engine::ids::Reference;
use lotkeeper_engine::lot::session::{DenyReason, Direction, OpenReason, Verdict};
use lotkeeper_engine::lot::{
    Caller, Choice, Command, Credential, Needs, Outcome, Proof, Rejection, Reserve, Scan, Scanner,
    State, StayChange, session,
};
use lotkeeper_engine::spec::Settlement;
use lotkeeper_engine::time::{Seconds, Window};

fn world(slots: usize) -> World {
    World::new(bayed(slots))
}

/// Reservation 1 of slot 0, for vehicle 1.
fn reserved(world: &mut World, from: i64, to: i64) {
    let reserve = Reserve { vehicle: Some(vehicle(1)), ..reserve_slot(1, 0, window(from, to)) };
    world.reserve(reserve).unwrap();
}

const DENIALS: [DenyReason; 21] = [
    DenyReason::CredentialUnknown,
    DenyReason::TokenInvalid,
    DenyReason::TokenExpired,
    DenyReason::WrongLot,
    DenyReason::TooEarly,
    DenyReason::TooLate,
    DenyReason::NotConfirmed,
    DenyReason::HoldExpired,
    DenyReason::Cancelled,
    DenyReason::AlreadyInside,
    DenyReason::AlreadyUsed,
    DenyReason::PlateInside,
    DenyReason::PlateElsewhere,
    DenyReason::ConfidenceTooLow,
    DenyReason::NotEntitled,
    DenyReason::PassNotValid,
    DenyReason::LotFull,
    DenyReason::LotClosed,
    DenyReason::PaymentRequired,
    DenyReason::NotInside,
    DenyReason::AlreadyLeft,
];

/// A world and a scan that it must answer so.
fn denial(reason: DenyReason) -> (World, Scan) {
    let mut it = world(2);
    let scan = match reason {
        DenyReason::CredentialUnknown => entry(1, booked(9)),
        // Judged by whoever reads tokens, passes and opening hours; only recorded here.
        DenyReason::TokenInvalid
        | DenyReason::TokenExpired
        | DenyReason::WrongLot
        | DenyReason::PassNotValid
        | DenyReason::LotClosed => entry(1, Credential::Refused(reason)),
        DenyReason::TooEarly => {
            reserved(&mut it, 2 * HOUR, 3 * HOUR);
            entry(1, booked(1))
        }
        DenyReason::TooLate => {
            reserved(&mut it, 0, HOUR);
            it.run_until(HOUR);
            entry(1, booked(1))
        }
        DenyReason::NotConfirmed | DenyReason::HoldExpired => {
            let hold = Some(Seconds(600));
            it.reserve(Reserve { hold, ..reserve_slot(1, 0, window(0, HOUR)) }).unwrap();
            it.run_until(if reason == DenyReason::HoldExpired { 600 } else { 599 });
            entry(1, booked(1))
        }
        DenyReason::Cancelled => {
            reserved(&mut it, 0, HOUR);
            it.execute(&cancel(1, Caller::Staff)).unwrap();
            entry(1, booked(1))
        }
        DenyReason::AlreadyInside => {
            reserved(&mut it, 0, HOUR);
            opens(&mut it, &entry(1, booked(1)));
            entry(2, booked(1))
        }
        DenyReason::AlreadyUsed => {
            reserved(&mut it, 0, HOUR);
            opens(&mut it, &entry(1, booked(1)));
            opens(&mut it, &exit(booked(1)));
            entry(2, booked(1))
        }
        DenyReason::PlateInside => {
            opens(&mut it, &entry(1, plate(1)));
            it.run_until(30);
            entry(2, plate(1))
        }
        DenyReason::PlateElsewhere => Scan { is_elsewhere: true, ..entry(1, plate(1)) },
        DenyReason::ConfidenceTooLow => Scan { confidence_percent: Some(79), ..entry(1, plate(1)) },
        DenyReason::NotEntitled => {
            set_rules(&mut it, |rules| rules.drive_in = false);
            entry(1, plate(1))
        }
        DenyReason::LotFull => {
            opens(&mut it, &entry(1, plate(1)));
            opens(&mut it, &entry(2, plate(2)));
            entry(3, plate(3))
        }
        DenyReason::PaymentRequired => {
            put(&mut it, tariff(begun_hours(200)));
            opens(&mut it, &entry(1, plate(1)));
            it.run_until(60);
            exit(plate(1))
        }
        DenyReason::NotInside => exit(plate(1)),
        DenyReason::AlreadyLeft => {
            opens(&mut it, &entry(1, Credential::Nothing));
            opens(&mut it, &exit(Credential::Session(stay(1))));
            exit(Credential::Session(stay(1)))
        }
    };
    (it, scan)
}

#[test]
fn every_reason_to_deny_has_a_state_that_leads_to_it() {
    for reason in DENIALS {
        let (mut world, scan) = denial(reason);
        let stays = world.lot.stays().clone();
        let entries = world.entries.len();
        assert_eq!(denies(&mut world, &scan), reason);
        assert_eq!(world.lot.stays(), &stays, "{reason:?} moves no stay");
        let tail = &world.lot_events_since(entries)[..];
        assert_eq!(tail, ["Session"], "{reason:?} is recorded");
    }
}

#[test]
fn every_reason_to_open_has_a_state_that_leads_to_it() {
    let mut it = world(3);
    reserved(&mut it, 0, HOUR);
    assert_eq!(opens(&mut it, &entry(1, booked(1))), OpenReason::Reserved);
    assert_eq!(it.state(1), State::CheckedIn { proof: Proof::Scanned });
    assert_eq!(opens(&mut it, &entry(2, plate(2))), OpenReason::DriveIn);
    it.run_until(29);
    assert_eq!(opens(&mut it, &entry(3, plate(2))), OpenReason::Repeated);
    assert_eq!(opens(&mut it, &exit(plate(2))), OpenReason::Paid, "without a tariff all is paid");
    set_rules(&mut it, |rules| rules.settlement = Settlement::OnAccount);
    put(&mut it, tariff(begun_hours(200)));
    opens(&mut it, &entry(4, plate(4)));
    it.run_until(60);
    assert_eq!(opens(&mut it, &exit(plate(4))), OpenReason::OnAccount);
    assert_eq!(session(&it, 4).fee.as_ref().unwrap().total.0, 200);
}

#[test]
fn a_time_is_told_where_it_is_only_a_matter_of_time() {
    let (mut it, scan) = denial(DenyReason::TooEarly);
    assert_eq!(ask(&mut it, &scan).not_before, Some(at(2 * HOUR - 1_800)));
    it.run_until(2 * HOUR - 1_800);
    assert_eq!(opens(&mut it, &scan), OpenReason::Reserved);

    // Somebody stands on the slot and does not go: nobody knows until when.
    let mut it = world(1);
    opens(&mut it, &entry(1, plate(7)));
    it.run_until(4 * HOUR - 1);
    reserved(&mut it, 4 * HOUR, 5 * HOUR);
    it.run_until(4 * HOUR);
    let scanned = ask(&mut it, &entry(2, booked(1)));
    assert_eq!(scanned.verdict, Verdict::Deny(DenyReason::LotFull));
    assert_eq!(scanned.not_before, None, "his time has begun already");
}

#[test]
fn drive_ins_of_two_gates_get_two_slots_and_the_third_none() {
    let mut it = world(2);
    let south = |id, credential| Scan { gate: Some("south".into()), ..entry(id, credential) };
    opens(&mut it, &entry(1, plate(1)));
    // The same vehicle at both gates at once came in once.
    assert_eq!(denies(&mut it, &south(2, plate(1))), DenyReason::PlateInside);
    opens(&mut it, &south(3, plate(2)));
    assert_ne!(session(&it, 1).slot, session(&it, 3).slot);
    assert_eq!(denies(&mut it, &south(4, plate(3))), DenyReason::LotFull);
    assert_eq!(it.lot.stays().inside_count(), 2);
}

#[test]
fn a_ticket_is_given_once_to_a_vehicle_that_a_camera_sees() {
    let mut it = world(3);
    let button = |id| Scan { seen: Some(vehicle(1)), ..entry(id, Credential::Nothing) };
    assert_eq!(opens(&mut it, &button(1)), OpenReason::DriveIn);
    assert_eq!(opens(&mut it, &button(2)), OpenReason::Repeated, "pressed twice");
    let south = Scan { gate: Some("south".into()), ..button(3) };
    assert_eq!(denies(&mut it, &south), DenyReason::PlateInside);
    // Whom no camera sees gets a ticket each time.
    assert_eq!(opens(&mut it, &entry(4, Credential::Nothing)), OpenReason::DriveIn);
    assert_eq!(opens(&mut it, &entry(5, Credential::Nothing)), OpenReason::DriveIn);
    assert_eq!(it.lot.stays().inside_count(), 3);
    let ticket = Credential::Ticket(Reference::of(stay(4).0));
    assert_eq!(denies(&mut it, &entry(6, ticket.clone())), DenyReason::AlreadyInside);
    assert_eq!(opens(&mut it, &exit(ticket.clone())), OpenReason::Paid);
    assert_eq!(denies(&mut it, &entry(7, ticket)), DenyReason::AlreadyUsed);
}

#[test]
fn a_camera_that_looks_twice_is_one_visit_in_and_out() {
    let mut it = world(2);
    opens(&mut it, &entry(1, plate(1)));
    let version = session(&it, 1).version;
    it.run_until(29);
    let entries = it.entries.len();
    assert_eq!(opens(&mut it, &entry(2, plate(1))), OpenReason::Repeated);
    assert_eq!(it.entries.len(), entries, "nothing happens a second time");
    assert_eq!(session(&it, 1).version, version);
    it.run_until(100);
    opens(&mut it, &exit(plate(1)));
    it.run_until(129);
    assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::Repeated);
    let south = Scan { gate: Some("south".into()), ..exit(plate(1)) };
    assert_eq!(denies(&mut it, &south), DenyReason::NotInside);
    it.run_until(130);
    assert_eq!(denies(&mut it, &exit(plate(1))), DenyReason::NotInside);
}

#[test]
fn a_plate_one_edit_away_counts_as_the_expected_one_where_the_lot_says_so() {
    let mut it = world(3);
    set_rules(&mut it, |rules| rules.drive_in = false);
    reserved(&mut it, 0, HOUR);
    let near = entry(1, misread(2, 1));
    assert_eq!(denies(&mut it, &near), DenyReason::NotEntitled);
    set_rules(&mut it, |rules| rules.fuzzy_plates = true);
    assert_eq!(opens(&mut it, &near), OpenReason::Reserved);
    assert_eq!(session(&it, 1).vehicle, Some(vehicle(1)), "it counts as the expected one");
    // Read as badly again, and then well: one visit.
    assert_eq!(opens(&mut it, &entry(2, misread(2, 1))), OpenReason::Repeated);
    assert_eq!(opens(&mut it, &entry(3, plate(1))), OpenReason::Repeated);
    it.run_until(60);
    assert_eq!(denies(&mut it, &entry(4, plate(1))), DenyReason::PlateInside);
    assert_eq!(opens(&mut it, &exit(misread(3, 1))), OpenReason::Paid);
}

#[test]
fn two_near_plates_inside_are_nobody_at_the_exit() {
    let mut it = world(3);
    set_rules(&mut it, |rules| rules.fuzzy_plates = true);
    opens(&mut it, &entry(1, plate(1)));
    opens(&mut it, &entry(2, plate(2)));
    let near = vec![vehicle(1), vehicle(2)];
    let both = Credential::Plate { vehicle: vehicle(3), near };
    assert_eq!(denies(&mut it, &exit(both)), DenyReason::NotInside);
    assert_eq!(opens(&mut it, &exit(misread(3, 2))), OpenReason::Paid);
}

#[test]
fn a_dry_run_answers_as_the_scan_would_and_changes_nothing() {
    for reason in DENIALS {
        let (mut it, scan) = denial(reason);
        let (lot, entries) = (it.lot.clone(), it.entries.len());
        assert_eq!(denies(&mut it, &Scan { dry_run: true, ..scan }), reason);
        assert_eq!((&it.lot, it.entries.len()), (&lot, entries));
    }
    let mut it = world(1);
    let dry = Scan { dry_run: true, ..entry(1, plate(1)) };
    assert_eq!(opens(&mut it, &dry), OpenReason::DriveIn);
    assert_eq!(opens(&mut it, &dry), OpenReason::DriveIn);
    assert_eq!(it.lot.stays().inside_count(), 0);
}

#[test]
fn a_gate_that_was_cut_off_tells_late_and_one_with_a_wrong_clock_is_told_so() {
    let mut it = world(2);
    it.run_until(48 * HOUR);
    let told =
        |seconds: i64| Scan { observed_at: Some(at(48 * HOUR + seconds)), ..entry(1, plate(1)) };
    let refused = |it: &World, scan: Scan| it.decide(&Command::Scan(Box::new(scan))).outcome;
    assert!(matches!(
        refused(&it, told(61)),
        Err(Rejection::InFuture { ahead_micros: 61_000_000 })
    ));
    assert!(matches!(refused(&it, told(-24 * HOUR - 1)), Err(Rejection::TooLongAgo { .. })));
    opens(&mut it, &told(-24 * HOUR));
    assert_eq!(session(&it, 1).entered_at, at(24 * HOUR));
    let ahead = Scan { observed_at: Some(at(48 * HOUR + 60)), ..entry(2, plate(2)) };
    opens(&mut it, &ahead);
    assert_eq!(session(&it, 2).entered_at, at(48 * HOUR), "nobody comes later than now");
    // Told in the wrong order: it left no earlier than it came.
    let left = Scan { observed_at: Some(at(47 * HOUR)), ..exit(plate(2)) };
    opens(&mut it, &left);
    assert_eq!(session(&it, 2).left_at, Some(at(48 * HOUR)));
}

#[test]
fn one_id_is_one_stay_and_a_way_out_needs_none() {
    let mut it = world(2);
    opens(&mut it, &entry(1, plate(1)));
    let again = Command::Scan(Box::new(entry(1, plate(2))));
    assert_eq!(it.decide(&again).outcome, Err(Rejection::IdTaken));
    opens(&mut it, &Scan { id: stay(1), ..exit(plate(1)) });
}

#[test]
fn a_counted_lot_lets_in_as_many_as_it_has_places_and_counts_them() {
    let mut it = World::new(counted(2));
    assert_eq!(opens(&mut it, &entry(1, plate(1))), OpenReason::DriveIn);
    opens(&mut it, &entry(2, Credential::Nothing));
    assert_eq!(it.lot.count_state().occupied, 2);
    assert_eq!(denies(&mut it, &entry(3, plate(3))), DenyReason::LotFull);
    opens(&mut it, &exit(plate(1)));
    assert_eq!(it.lot.count_state().occupied, 1);
    opens(&mut it, &entry(3, plate(3)));
    // A manual exit is an exit: its place is there for the next.
    change(&mut it, 2, StayChange::Leave { at: None }).unwrap();
    assert_eq!(it.lot.count_state().occupied, 1);
    opens(&mut it, &entry(4, plate(4)));
    // Nobody knows whether an abandoned one is there: the count stays, until somebody counts.
    it.run_until(72 * HOUR);
    assert_eq!((it.lot.stays().inside_count(), it.lot.count_state().occupied), (0, 2));
    assert_eq!(denies(&mut it, &entry(5, plate(5))), DenyReason::LotFull);
}

#[test]
fn where_counters_count_gates_do_not() {
    let mut it = World::new(counted(2));
    set_rules(&mut it, |rules| rules.gates_count = false);
    opens(&mut it, &entry(1, plate(1)));
    assert_eq!(it.lot.count_state().occupied, 0);
    opens(&mut it, &exit(plate(1)));
    assert_eq!(it.lot.count_state().occupied, 0);
}

#[test]
fn staff_and_drivers_are_known_as_such() {
    let mut it = world(3);
    reserved(&mut it, 0, HOUR);
    let by = Scanner::Driver(common::holder(1));
    opens(&mut it, &Scan { by, gate: None, ..entry(1, booked(1)) });
    assert_eq!(it.state(1), State::CheckedIn { proof: Proof::Driver });
    opens(&mut it, &Scan { by: Scanner::Staff, ..entry(2, Credential::Nothing) });
    assert_eq!(session(&it, 2).origin, session::Origin::Manual);
    opens(&mut it, &Scan { by, gate: None, direction: Direction::Exit, ..entry(1, booked(1)) });
    assert_eq!(it.state(1), State::Completed);
}

#[test]
fn a_plate_with_several_promises_uses_the_one_whose_time_it_is() {
    let mut it = world(3);
    let of = |id, slot, from, to| Reserve {
        vehicle: Some(vehicle(1)),
        ..reserve_slot(id, slot, window(from, to))
    };
    it.reserve(of(1, 0, 5 * HOUR, 6 * HOUR)).unwrap();
    it.reserve(of(2, 1, 0, HOUR)).unwrap();
    set_rules(&mut it, |rules| rules.drive_in = false);
    let scanned = ask(&mut it, &entry(1, plate(1)));
    assert_eq!(scanned.reservation, Some(reservation(2)));
    opens(&mut it, &exit(plate(1)));
    it.run_until(60);
    let scanned = ask(&mut it, &entry(2, plate(1)));
    assert_eq!(scanned.verdict, Verdict::Deny(DenyReason::TooEarly));
    assert_eq!(scanned.not_before, Some(at(5 * HOUR - 1_800)));
}

#[test]
fn a_window_that_begins_now_is_one_for_the_gate() {
    let mut it = world(1);
    let needs = Needs::default();
    let now = Window { from: it.now, to: it.now.plus(Seconds(3_600)) };
    let reserve = Reserve { choice: Choice::Any(needs), ..reserve_slot(1, 0, now) };
    it.reserve(reserve).unwrap();
    let outcome = it.execute(&Command::Scan(Box::new(entry(1, booked(1)))));
    assert!(matches!(outcome, Ok(Outcome::Scanned(_))));
    assert_eq!(session(&it, 1).claim, None);
}
