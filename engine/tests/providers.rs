//! What providers are asked and answer, told as stories: what opens a gate and what does not, where the money
//! stands after each step, and what an answer that comes late, twice or never does. Every step checks the invariants.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, bayed, reserve_slot, window};
use life::*;
use lotkeeper_engine::lot::payment::{Payment, State};
use lotkeeper_engine::lot::provider::{Answer, Command as Ask, Transfer, Wanted};
use lotkeeper_engine::lot::session::{DenyReason, OpenReason};
use lotkeeper_engine::lot::{Command, Lot, Owner, PaymentStep, Rejection, Reserve};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::Settlement;

const ALL: Wanted = Wanted::Capture { amount: None };
const BACK: Wanted = Wanted::Refund { amount: None };

#[track_caller]
fn tell(world: &mut World, ask: Ask) -> Result<(), Rejection> {
    let outcome = world.execute(&Command::Provider(Box::new(ask)));
    world.assert_invariants();
    // A restart at any moment knows the same.
    let anew = Lot::from_parts(world.lot.register().parts());
    assert!(anew == world.lot, "a lot built anew differs");
    outcome.map(|_| ())
}

fn authorise(
    world: &mut World,
    id: u32,
    about: Owner,
    amount: Option<i64>,
) -> Result<(), Rejection> {
    tell(world, Ask::Authorise(promise(id, about, amount)))
}

fn ask(world: &mut World, id: u32, wanted: Wanted) -> Result<(), Rejection> {
    tell(world, Ask::Ask { id: payment(id), wanted })
}

fn it(world: &World, id: u32) -> Payment {
    Payment::clone(world.lot.payments().get(payment(id)).unwrap())
}

fn yes() -> Answer {
    Answer::Done { reference: Some("R-1".into()) }
}

fn no() -> Answer {
    Answer::Refused { reason: "declined".into() }
}

/// Answers what is open.
fn answer(world: &mut World, id: u32, answer: Answer) {
    let number = it(world, id).asked.unwrap().number;
    tell(world, Ask::Answered { id: payment(id), number, answer }).unwrap();
    assert_eq!(it(world, id).asked, None);
}

fn authorised(amount: Option<i64>) -> World {
    let mut world = parked();
    authorise(&mut world, 1, of_stay(1), amount).unwrap();
    answer(&mut world, 1, yes());
    world
}

#[test]
fn what_is_asked_opens_no_gate_and_what_is_promised_does() {
    let mut world = parked();
    authorise(&mut world, 1, of_stay(1), None).unwrap();
    let pending = it(&world, 1);
    assert_eq!((pending.state, pending.amount), (State::Pending, Amount(200)));
    assert_eq!(pending.asked.unwrap().what, Transfer::Authorise);
    assert_eq!(denies(&mut world, &exit(plate(1))), DenyReason::PaymentRequired);
    answer(&mut world, 1, yes());
    assert_eq!(
        (it(&world, 1).state, it(&world, 1).reference),
        (State::Authorised, Some("R-1".into()))
    );
    assert_eq!(balance(&world, &bank()), 0);
    assert_eq!(opens(&mut world, &exit(plate(1))), OpenReason::OnAccount);
    assert_eq!(owed(&world, of_stay(1)), 200);
    assert_ledger(&world);
}

#[test]
fn who_waits_for_a_provider_may_pay_in_cash() {
    let mut world = parked();
    authorise(&mut world, 1, of_stay(1), None).unwrap();
    assert_eq!(authorise(&mut world, 2, of_stay(1), None), Err(Rejection::NothingOwed));
    pays(&mut world, &pay(3, of_stay(1), None)).unwrap();
    assert_eq!(opens(&mut world, &exit(plate(1))), OpenReason::Paid);
    // The answer comes after all: nothing is owed, so it is let go.
    answer(&mut world, 1, yes());
    ask(&mut world, 1, Wanted::Collect).unwrap();
    assert_eq!(it(&world, 1).asked.unwrap().what, Transfer::Void);
    answer(&mut world, 1, yes());
    assert_eq!((it(&world, 1).state, balance(&world, &bank())), (State::Voided, 0));
    assert_eq!(owed(&world, of_stay(1)), 0);
    assert_ledger(&world);
}

#[test]
fn a_refused_promise_is_over_and_says_why() {
    let mut world = parked();
    authorise(&mut world, 1, of_stay(1), None).unwrap();
    answer(&mut world, 1, no());
    assert_eq!(
        (it(&world, 1).state, it(&world, 1).reason),
        (State::Failed, Some("declined".into()))
    );
    assert_eq!(denies(&mut world, &exit(plate(1))), DenyReason::PaymentRequired);
    assert_eq!(ask(&mut world, 1, ALL), Err(Rejection::PaymentEnded { state: State::Failed }));
    assert_eq!(authorise(&mut world, 1, of_stay(1), None), Err(Rejection::IdTaken));
    authorise(&mut world, 2, of_stay(1), None).unwrap();
}

#[test]
fn a_promise_for_a_stay_that_goes_on_covers_what_it_will_cost() {
    let mut world = authorised(Some(1_000));
    world.run_until(2 * HOUR + 60);
    assert_eq!(opens(&mut world, &exit(plate(1))), OpenReason::OnAccount);
    assert_eq!(owed(&world, of_stay(1)), 600);
    ask(&mut world, 1, Wanted::Collect).unwrap();
    assert_eq!(it(&world, 1).asked.unwrap().what, Transfer::Capture(Amount(600)));
    assert_eq!(owed(&world, of_stay(1)), 600, "nothing moves before the answer");
    answer(&mut world, 1, yes());
    assert_eq!((it(&world, 1).state, it(&world, 1).amount), (State::Captured, Amount(600)));
    assert_eq!((owed(&world, of_stay(1)), balance(&world, &bank())), (0, 600));
    assert_eq!(world.lot.payments().unsettled_count(), 0);
    assert_ledger(&world);
}

#[test]
fn nothing_is_collected_while_the_vehicle_is_inside_or_after_a_refusal() {
    let mut world = authorised(None);
    let entries = world.entries.len();
    ask(&mut world, 1, Wanted::Collect).unwrap();
    assert_eq!(world.entries.len(), entries, "it is inside");
    opens(&mut world, &exit(plate(1)));
    ask(&mut world, 1, Wanted::Collect).unwrap();
    answer(&mut world, 1, no());
    assert_eq!((it(&world, 1).state, owed(&world, of_stay(1))), (State::Authorised, 200));
    ask(&mut world, 1, Wanted::Collect).unwrap();
    assert_eq!(it(&world, 1).asked, None, "people look at it now");
    ask(&mut world, 1, ALL).unwrap();
    answer(&mut world, 1, yes());
    assert_eq!((owed(&world, of_stay(1)), balance(&world, &bank())), (0, 200));
    assert_ledger(&world);
}

#[test]
fn a_promise_that_is_being_let_go_opens_no_gate() {
    let mut world = authorised(None);
    ask(&mut world, 1, Wanted::Void).unwrap();
    assert_eq!(denies(&mut world, &exit(plate(1))), DenyReason::PaymentRequired);
    answer(&mut world, 1, no());
    assert_eq!(opens(&mut world, &exit(plate(1))), OpenReason::OnAccount, "it is promised still");
}

#[test]
fn who_captures_inside_lets_the_vehicle_leave_in_time() {
    let mut world = authorised(Some(500));
    ask(&mut world, 1, ALL).unwrap();
    answer(&mut world, 1, yes());
    assert_eq!(it(&world, 1).amount, Amount(200));
    assert!(session(&world, 1).settled.is_some());
    assert_eq!(opens(&mut world, &exit(plate(1))), OpenReason::Paid);
    assert_eq!((owed(&world, of_stay(1)), balance(&world, &bank())), (0, 200));
}

#[test]
fn two_promises_never_bring_in_more_than_is_owed() {
    let mut world = parked();
    for id in [1, 2] {
        authorise(&mut world, id, of_stay(1), Some(150)).unwrap();
        answer(&mut world, id, yes());
    }
    opens(&mut world, &exit(plate(1)));
    ask(&mut world, 1, ALL).unwrap();
    ask(&mut world, 2, ALL).unwrap();
    assert_eq!(it(&world, 1).asked.unwrap().what, Transfer::Capture(Amount(150)));
    assert_eq!(it(&world, 2).asked.unwrap().what, Transfer::Capture(Amount(50)));
    answer(&mut world, 2, yes());
    answer(&mut world, 1, yes());
    assert_eq!((owed(&world, of_stay(1)), balance(&world, &bank())), (0, 200));
    assert_ledger(&world);
}

#[test]
fn money_goes_back_with_the_answer_and_no_more_than_came() {
    let mut world = authorised(None);
    opens(&mut world, &exit(plate(1)));
    ask(&mut world, 1, ALL).unwrap();
    answer(&mut world, 1, yes());
    let part = |amount| Wanted::Refund { amount: Some(Amount(amount)) };
    let left = |owed| Err(Rejection::AmountNotOwed { owed: Amount(owed) });
    assert_eq!(ask(&mut world, 1, part(201)), left(200));
    assert_eq!(ask(&mut world, 1, part(0)), left(200));
    ask(&mut world, 1, part(50)).unwrap();
    assert_eq!(balance(&world, &bank()), 200);
    answer(&mut world, 1, no());
    assert_eq!((it(&world, 1).state, balance(&world, &bank())), (State::Captured, 200));
    ask(&mut world, 1, part(50)).unwrap();
    answer(&mut world, 1, yes());
    assert_eq!((it(&world, 1).state, balance(&world, &bank())), (State::PartlyRefunded, 150));
    assert_eq!(ask(&mut world, 1, part(151)), left(150));
    ask(&mut world, 1, BACK).unwrap();
    answer(&mut world, 1, yes());
    assert_eq!((it(&world, 1).state, balance(&world, &bank())), (State::Refunded, 0));
    assert_eq!(ask(&mut world, 1, BACK), Err(Rejection::PaymentEnded { state: State::Refunded }));
    assert_ledger(&world);
}

#[test]
fn an_answer_counts_once_and_for_its_own_question() {
    let mut world = parked();
    authorise(&mut world, 1, of_stay(1), None).unwrap();
    let first = it(&world, 1).asked.unwrap().number;
    answer(&mut world, 1, yes());
    ask(&mut world, 1, ALL).unwrap();
    let second = it(&world, 1).asked.unwrap().number;
    assert_ne!(first, second);
    let entries = world.entries.len();
    let told = |number, answer| Ask::Answered { id: payment(1), number, answer };
    tell(&mut world, told(first, no())).unwrap();
    assert_eq!(world.entries.len(), entries, "the answer to an older question");
    tell(&mut world, told(second, yes())).unwrap();
    let entries = world.entries.len();
    tell(&mut world, told(second, yes())).unwrap();
    tell(&mut world, told(second, no())).unwrap();
    assert_eq!(world.entries.len(), entries, "told twice");
    assert_eq!(balance(&world, &bank()), 200);
    assert_eq!(ask(&mut world, 9, ALL), Err(Rejection::PaymentNotFound));
}

#[test]
fn while_a_question_is_open_the_same_is_no_second_one_and_another_waits() {
    let mut world = authorised(None);
    ask(&mut world, 1, ALL).unwrap();
    let entries = world.entries.len();
    for same in [ALL, Wanted::Capture { amount: Some(Amount(200)) }, Wanted::Collect] {
        ask(&mut world, 1, same).unwrap();
    }
    assert_eq!(world.entries.len(), entries);
    for other in [Wanted::Void, BACK, Wanted::Capture { amount: Some(Amount(100)) }] {
        assert_eq!(ask(&mut world, 1, other), Err(Rejection::PaymentInProgress), "{other:?}");
    }
    let by_hand = steps(&mut world, 1, PaymentStep::Capture);
    assert_eq!(by_hand, Err(Rejection::PaymentInProgress));
    answer(&mut world, 1, yes());
    let entries = world.entries.len();
    ask(&mut world, 1, ALL).unwrap();
    assert_eq!(world.entries.len(), entries, "it is captured");
    assert_eq!(
        ask(&mut world, 1, Wanted::Void),
        Err(Rejection::PaymentEnded { state: State::Captured })
    );
}

#[test]
fn amounts_are_what_may_be_asked_for() {
    let mut world = parked();
    let owes = |owed| Err(Rejection::AmountNotOwed { owed: Amount(owed) });
    for wrong in [0, -1, 10_000_000_001] {
        assert_eq!(authorise(&mut world, 1, of_stay(1), Some(wrong)), owes(200), "{wrong}");
    }
    let mut world = authorised(Some(300));
    for wrong in [0, -1, 201, 301] {
        let wanted = Wanted::Capture { amount: Some(Amount(wrong)) };
        assert_eq!(ask(&mut world, 1, wanted), owes(200), "{wrong}");
    }
    // What is paid otherwise is not brought in a second time.
    pays(&mut world, &pay(2, of_stay(1), None)).unwrap_err();
    pays(&mut world, &pay(3, of_stay(1), Some(200))).unwrap_err();
    ask(&mut world, 1, Wanted::Capture { amount: Some(Amount(120)) }).unwrap();
    answer(&mut world, 1, yes());
    assert_eq!(due(&world, 1), 80, "the rest of the promise was let go");
    pays(&mut world, &pay(4, of_stay(1), None)).unwrap();
    assert_eq!(opens(&mut world, &exit(plate(1))), OpenReason::Paid);
    assert_eq!(ask(&mut world, 4, BACK), Err(Rejection::PaymentEnded { state: State::Captured }));
    assert_ledger(&world);
}

#[test]
fn a_reservation_is_promised_before_and_collected_when_it_is_over() {
    let mut world = World::new(bayed(2));
    put(&mut world, tariff(begun_hours(200)));
    set_rules(&mut world, |rules| rules.settlement = Settlement::Before);
    let window = window(HOUR, 3 * HOUR);
    world.reserve(Reserve { vehicle: Some(vehicle(1)), ..reserve_slot(1, 0, window) }).unwrap();
    let owes = Err(Rejection::AmountNotOwed { owed: Amount(400) });
    assert_eq!(authorise(&mut world, 1, of_booking(1), Some(401)), owes, "its price is known");
    authorise(&mut world, 1, of_booking(1), None).unwrap();
    world.run_until(HOUR);
    assert_eq!(denies(&mut world, &entry(1, booked(1))), DenyReason::PaymentRequired);
    answer(&mut world, 1, yes());
    ask(&mut world, 1, Wanted::Collect).unwrap();
    assert_eq!(it(&world, 1).asked, None, "it has not begun");
    assert_eq!(opens(&mut world, &entry(1, booked(1))), OpenReason::Reserved);
    world.run_until(3 * HOUR - 60);
    assert_eq!(opens(&mut world, &exit(booked(1))), OpenReason::OnAccount);
    ask(&mut world, 1, Wanted::Collect).unwrap();
    answer(&mut world, 1, yes());
    assert_eq!((owed(&world, of_booking(1)), balance(&world, &bank())), (0, 400));
    assert_ledger(&world);
}
