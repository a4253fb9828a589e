//! Payments, told as stories: who paid what, when the gate opens for it, and where the money stands after each
//! step. Every step checks that all balances together are nothing (invariant I9).

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, at, bayed, reserve_slot, window};
use life::*;
use lotkeeper_engine::limits::ENDED_SESSIONS_KEPT_PER_LOT;
use lotkeeper_engine::lot::payment::{Method, State};
use lotkeeper_engine::lot::session::{DenyReason, OpenReason, Verdict};
use lotkeeper_engine::lot::{Account, Credential, PaymentStep, Rejection, Reserve, StayChange};
use lotkeeper_engine::money::{Amount, BasisPoints};
use lotkeeper_engine::spec::Settlement;
use lotkeeper_engine::tariff::{LostTicket, Tariff, Tax};
use lotkeeper_engine::time::Seconds;

const CASH: Account = Account::Received(Method::Cash);

/// A lot where one pays before, and reservation 1 from 1 to 3 o'clock costs 400.
fn prepaid() -> World {
    let mut world = World::new(bayed(2));
    put(&mut world, tariff(begun_hours(200)));
    set_rules(&mut world, |rules| rules.settlement = Settlement::Before);
    let reserve =
        Reserve { vehicle: Some(vehicle(1)), ..reserve_slot(1, 0, window(HOUR, 3 * HOUR)) };
    world.reserve(reserve).unwrap();
    world
}

fn state(world: &World, id: u32) -> State {
    world.lot.payments().get(payment(id)).unwrap().state
}

#[test]
fn cash_is_received_and_the_gate_opens_for_it() {
    let mut it = parked();
    let denied = ask(&mut it, &exit(plate(1)));
    assert_eq!(denied.verdict, Verdict::Deny(DenyReason::PaymentRequired));
    assert_eq!(denied.due, Some(Amount(200)));
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    assert_eq!((balance(&it, &CASH), owed(&it, of_stay(1))), (200, -200));
    assert_eq!(due(&it, 1), 0);
    assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::Paid);
    assert_eq!((balance(&it, &CASH), balance(&it, &Account::Revenue)), (200, -200));
    assert_eq!(owed(&it, of_stay(1)), 0);
    assert_eq!(session(&it, 1).fee.as_ref().unwrap().total.0, 200);
    assert_ledger(&it);
}

#[test]
fn a_part_opens_no_gate_and_the_rest_does() {
    let mut it = parked();
    pays(&mut it, &pay(1, of_stay(1), Some(50))).unwrap();
    assert_eq!(session(&it, 1).settled, None);
    assert_eq!(ask(&mut it, &exit(plate(1))).due, Some(Amount(150)));
    pays(&mut it, &pay(2, of_stay(1), Some(150))).unwrap();
    assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::Paid);
    assert_eq!(owed(&it, of_stay(1)), 0);
    assert_ledger(&it);
}

#[test]
fn nobody_pays_more_than_he_owes_or_twice() {
    let mut it = parked();
    let owes = |owed| Err(Rejection::AmountNotOwed { owed: Amount(owed) });
    assert_eq!(pays(&mut it, &pay(1, of_stay(1), Some(201))), owes(200));
    assert_eq!(pays(&mut it, &pay(1, of_stay(1), Some(0))), owes(200));
    assert_eq!(pays(&mut it, &pay(1, of_stay(1), Some(-5))), owes(200));
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    assert_eq!(pays(&mut it, &pay(1, of_stay(1), None)), Err(Rejection::IdTaken));
    assert_eq!(pays(&mut it, &pay(2, of_stay(1), None)), Err(Rejection::NothingOwed));
    assert_eq!(pays(&mut it, &pay(2, of_stay(7), None)), Err(Rejection::SessionNotFound));
    assert_eq!(pays(&mut it, &pay(2, of_booking(7), None)), Err(Rejection::ReservationNotFound));
    assert_eq!(balance(&it, &CASH), 200);
}

#[test]
fn who_paid_drives_out_in_time_or_pays_what_came_on_top() {
    let mut it = parked();
    it.run_until(3_590);
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    assert_eq!(session(&it, 1).settled.as_ref().unwrap().leave_by, at(3_590 + 900));
    it.run_until(3_590 + 901);
    assert_eq!(ask(&mut it, &exit(plate(1))).due, Some(Amount(200)));
    // A second look at the machine: another time to leave.
    pays(&mut it, &pay(2, of_stay(1), None)).unwrap();
    it.run_until(3_590 + 901 + 900);
    assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::Paid);
    assert_eq!(session(&it, 1).fee.as_ref().unwrap().total.0, 400);
    assert_eq!((owed(&it, of_stay(1)), balance(&it, &CASH)), (0, 400));

    let mut it = parked();
    it.run_until(3_590);
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    it.run_until(3_590 + 900);
    assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::Paid);
    assert_eq!(session(&it, 1).fee.as_ref().unwrap().total.0, 200, "the second hour is his");
    assert_eq!(owed(&it, of_stay(1)), 0);
}

#[test]
fn what_a_provider_promises_opens_the_gate_and_comes_in_later() {
    let mut it = parked();
    pays(&mut it, &promise(1, of_stay(1), None)).unwrap();
    assert_eq!((balance(&it, &bank()), state(&it, 1)), (0, State::Authorised));
    assert_eq!(pays(&mut it, &pay(2, of_stay(1), None)), Err(Rejection::NothingOwed));
    assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::OnAccount);
    assert_eq!(owed(&it, of_stay(1)), 200);
    steps(&mut it, 1, PaymentStep::Capture).unwrap();
    assert_eq!((owed(&it, of_stay(1)), balance(&it, &bank())), (0, 200));
    let entries = it.entries.len();
    steps(&mut it, 1, PaymentStep::Capture).unwrap();
    assert_eq!(it.entries.len(), entries, "told twice is done once");
    let ended = Err(Rejection::PaymentEnded { state: State::Captured });
    assert_eq!(steps(&mut it, 1, PaymentStep::Void), ended);
    assert_eq!(steps(&mut it, 1, PaymentStep::Fail), ended);
    assert_eq!(steps(&mut it, 9, PaymentStep::Capture), Err(Rejection::PaymentNotFound));
    assert_ledger(&it);
}

#[test]
fn the_gate_asks_for_no_more_than_the_till_takes() {
    let mut it = parked();
    pays(&mut it, &promise(1, of_stay(1), None)).unwrap();
    // Another hour has begun since the provider promised the first.
    it.run_until(HOUR + 60);
    let denied = ask(&mut it, &exit(plate(1)));
    assert_eq!(denied.verdict, Verdict::Deny(DenyReason::PaymentRequired));
    assert_eq!(denied.due, Some(Amount(200)), "of 400, 200 are promised");
    pays(&mut it, &pay(2, of_stay(1), denied.due.map(|due| due.0))).unwrap();
    assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::OnAccount);
}

#[test]
fn what_a_provider_takes_back_is_owed_again() {
    for (step, end) in [(PaymentStep::Void, State::Voided), (PaymentStep::Fail, State::Failed)] {
        let mut it = parked();
        pays(&mut it, &promise(1, of_stay(1), None)).unwrap();
        steps(&mut it, 1, step).unwrap();
        assert_eq!(state(&it, 1), end);
        assert_eq!(denies(&mut it, &exit(plate(1))), DenyReason::PaymentRequired);
        let over = Err(Rejection::PaymentEnded { state: end });
        assert_eq!(steps(&mut it, 1, PaymentStep::Capture), over);
        assert_eq!(steps(&mut it, 1, PaymentStep::Refund { amount: None }), over);
        pays(&mut it, &pay(2, of_stay(1), None)).unwrap();
        assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::Paid);
    }
}

#[test]
fn what_comes_in_while_the_vehicle_is_inside_lets_it_leave() {
    let mut it = parked();
    pays(&mut it, &promise(1, of_stay(1), None)).unwrap();
    steps(&mut it, 1, PaymentStep::Capture).unwrap();
    assert_eq!(session(&it, 1).settled.as_ref().unwrap().leave_by, at(60 + 900));
    assert_eq!(opens(&mut it, &exit(plate(1))), OpenReason::Paid);
    assert_eq!(owed(&it, of_stay(1)), 0);
}

#[test]
fn money_goes_back_in_parts_and_no_more_than_came() {
    let mut it = parked();
    let back = |amount: Option<i64>| PaymentStep::Refund { amount: amount.map(Amount) };
    pays(&mut it, &promise(9, of_stay(1), Some(50))).unwrap();
    let waits = Err(Rejection::PaymentEnded { state: State::Authorised });
    assert_eq!(steps(&mut it, 9, back(None)), waits);
    steps(&mut it, 9, PaymentStep::Void).unwrap();
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    opens(&mut it, &exit(plate(1)));
    let left = |owed| Err(Rejection::AmountNotOwed { owed: Amount(owed) });
    assert_eq!(steps(&mut it, 1, back(Some(201))), left(200));
    steps(&mut it, 1, back(Some(50))).unwrap();
    assert_eq!(state(&it, 1), State::PartlyRefunded);
    assert_eq!((balance(&it, &CASH), owed(&it, of_stay(1))), (150, 50));
    assert_eq!(steps(&mut it, 1, back(Some(151))), left(150));
    assert_eq!(steps(&mut it, 1, back(Some(-1))), left(150));
    steps(&mut it, 1, back(None)).unwrap();
    assert_eq!(state(&it, 1), State::Refunded);
    assert_eq!((balance(&it, &CASH), owed(&it, of_stay(1))), (0, 200));
    let over = Err(Rejection::PaymentEnded { state: State::Refunded });
    assert_eq!(steps(&mut it, 1, back(None)), over);
    assert_ledger(&it);
}

#[test]
fn money_that_went_back_before_the_gate_is_owed_there() {
    let mut it = parked();
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    steps(&mut it, 1, PaymentStep::Refund { amount: Some(Amount(80)) }).unwrap();
    assert_eq!(ask(&mut it, &exit(plate(1))).due, Some(Amount(80)));
}

#[test]
fn a_promise_is_paid_before_it_begins_and_nothing_is_left_at_the_end() {
    let mut it = prepaid();
    it.run_until(HOUR);
    assert_eq!(denies(&mut it, &entry(1, booked(1))), DenyReason::PaymentRequired);
    pays(&mut it, &pay(1, of_booking(1), Some(399))).unwrap();
    assert_eq!(denies(&mut it, &entry(1, booked(1))), DenyReason::PaymentRequired);
    pays(&mut it, &promise(2, of_booking(1), None)).unwrap();
    assert_eq!(opens(&mut it, &entry(1, booked(1))), OpenReason::Reserved);
    steps(&mut it, 2, PaymentStep::Capture).unwrap();
    it.run_until(3 * HOUR - 60);
    assert_eq!(due(&it, 1), 0);
    assert_eq!(opens(&mut it, &exit(booked(1))), OpenReason::Paid);
    assert_eq!(owed(&it, of_booking(1)), 0);
    assert_eq!(balance(&it, &Account::Revenue), -400);
    assert_ledger(&it);
}

#[test]
fn what_was_paid_for_more_than_was_booked_in_the_end_goes_back() {
    let mut it = prepaid();
    pays(&mut it, &pay(1, of_booking(1), None)).unwrap();
    it.execute(&extend(1, 2 * HOUR)).unwrap();
    it.run_until(HOUR);
    opens(&mut it, &entry(1, booked(1)));
    it.run_until(2 * HOUR - 60);
    assert_eq!(due(&it, 1), -200);
    assert_eq!(opens(&mut it, &exit(booked(1))), OpenReason::Paid);
    assert_eq!(owed(&it, of_booking(1)), -200);
    steps(&mut it, 1, PaymentStep::Refund { amount: Some(Amount(200)) }).unwrap();
    assert_eq!(owed(&it, of_booking(1)), 0);
}

#[test]
fn who_extends_while_inside_pays_the_rest_at_the_gate() {
    let mut it = prepaid();
    pays(&mut it, &pay(1, of_booking(1), None)).unwrap();
    it.run_until(HOUR);
    opens(&mut it, &entry(1, booked(1)));
    it.execute(&extend(1, 4 * HOUR)).unwrap();
    it.run_until(4 * HOUR - 60);
    assert_eq!(ask(&mut it, &exit(booked(1))).due, Some(Amount(200)));
    pays(&mut it, &pay(2, of_stay(1), None)).unwrap();
    assert_eq!(opens(&mut it, &exit(booked(1))), OpenReason::Paid);
    assert_eq!(owed(&it, of_booking(1)), 0, "a stay is billed where its promise was");
}

#[test]
fn a_lost_ticket_costs_what_the_tariff_says() {
    for (instead, total) in [(true, 2_500), (false, 2_700)] {
        let mut it = World::new(bayed(1));
        let lost_ticket = Some(LostTicket { amount: Amount(2_500), instead });
        put(&mut it, Tariff { lost_ticket, ..tariff(begun_hours(200)) });
        opens(&mut it, &entry(1, Credential::Nothing));
        it.run_until(60);
        assert_eq!(due(&it, 1), 200);
        change(&mut it, 1, StayChange::LoseTicket).unwrap();
        assert_eq!(due(&it, 1), total);
        let entries = it.entries.len();
        change(&mut it, 1, StayChange::LoseTicket).unwrap();
        assert_eq!(it.entries.len(), entries);
        change(&mut it, 1, StayChange::Leave { at: None }).unwrap();
        assert_eq!(owed(&it, of_stay(1)), total, "staff let him out on account");
        pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
        assert_eq!(owed(&it, of_stay(1)), 0);
        assert_ledger(&it);
    }
}

#[test]
fn a_fee_is_billed_once_however_often_somebody_says_that_it_left() {
    let mut it = parked();
    change(&mut it, 1, StayChange::Leave { at: Some(at(30)) }).unwrap();
    assert_eq!(session(&it, 1).left_at, Some(at(30)));
    let ledger = it.lot.accounts().clone();
    change(&mut it, 1, StayChange::Leave { at: None }).unwrap();
    denies(&mut it, &exit(plate(1)));
    it.run_until(100 * HOUR);
    assert_eq!(it.lot.accounts(), &ledger);
    // Said of a time before it came, or of one that is not yet: of when it came, of now.
    for (said, left) in [(-500, 60), (50 * HOUR, 200)] {
        let mut it = World::new(bayed(1));
        it.run_until(60);
        opens(&mut it, &entry(1, plate(1)));
        it.run_until(200);
        change(&mut it, 1, StayChange::Leave { at: Some(at(said)) }).unwrap();
        assert_eq!(session(&it, 1).left_at, Some(at(left)));
    }
}

#[test]
fn tax_and_penalties_go_where_they_belong() {
    let mut it = World::new(bayed(1));
    let tax = Some(Tax {
        code: "vat".into(),
        rate: BasisPoints(2_000),
        included: false,
        on_penalty: false,
    });
    let mut taxed = Tariff { tax, ..tariff(begun_hours(200)) };
    taxed.overstay.penalty_per_hour = Amount(1_000);
    put(&mut it, taxed);
    it.reserve(reserve_slot(1, 0, window(0, HOUR))).unwrap();
    opens(&mut it, &entry(1, booked(1)));
    it.run_until(HOUR + 1_800);
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    opens(&mut it, &exit(booked(1)));
    let fee = session(&it, 1).fee.clone().unwrap();
    assert_eq!(balance(&it, &CASH), fee.total.0);
    assert_eq!(balance(&it, &Account::Tax), -fee.tax.0);
    assert_eq!(balance(&it, &Account::Penalties), -1_000);
    assert_eq!(balance(&it, &Account::Revenue), -(fee.total.0 - fee.tax.0 - 1_000));
    assert_eq!(owed(&it, of_booking(1)), 0);
}

#[test]
fn a_hold_that_was_let_go_owes_nothing_and_keeps_what_was_paid_for_it() {
    let mut it = World::new(bayed(1));
    put(&mut it, tariff(begun_hours(200)));
    let hold = Some(Seconds(600));
    it.reserve(Reserve { hold, ..reserve_slot(1, 0, window(HOUR, 2 * HOUR)) }).unwrap();
    pays(&mut it, &pay(1, of_booking(1), None)).unwrap();
    it.run_until(600);
    assert_eq!(owed(&it, of_booking(1)), -200);
    assert_eq!(pays(&mut it, &pay(2, of_booking(1), None)), Err(Rejection::NothingOwed));
    steps(&mut it, 1, PaymentStep::Refund { amount: None }).unwrap();
    assert_eq!((owed(&it, of_booking(1)), balance(&it, &CASH)), (0, 0));
}

/// The ledger remembers longer than the lot does.
#[test]
fn what_a_forgotten_stay_owes_can_be_paid_and_nothing_beside_it() {
    let mut it = parked();
    change(&mut it, 1, StayChange::Leave { at: None }).unwrap();
    assert_eq!(owed(&it, of_stay(1)), 200);
    for id in 2..u32::try_from(ENDED_SESSIONS_KEPT_PER_LOT).unwrap() + 2 {
        opens(&mut it, &entry(id, plate(id)));
        change(&mut it, id, StayChange::Leave { at: None }).unwrap();
    }
    assert!(it.lot.stays().get(stay(1)).is_none(), "the lot has forgotten it");
    let too_much = pays(&mut it, &pay(1, of_stay(1), Some(201)));
    assert_eq!(too_much, Err(Rejection::AmountNotOwed { owed: Amount(200) }));
    pays(&mut it, &pay(1, of_stay(1), None)).unwrap();
    assert_eq!((owed(&it, of_stay(1)), balance(&it, &CASH)), (0, 200));
    for about in [of_stay(1), of_stay(90_000)] {
        assert_eq!(pays(&mut it, &pay(2, about, None)), Err(Rejection::SessionNotFound));
    }
    assert_eq!(pays(&mut it, &pay(2, of_booking(9), None)), Err(Rejection::ReservationNotFound));
    assert_ledger(&it);
}
