//! Shifts, told as stories: what belongs to a cashier's drawer, and what differs when it is counted.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, bayed};
use life::*;
use lotkeeper_engine::ids::{Pseudonym, ShiftId};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::shift::{Command as Ask, Opened, Shift};
use lotkeeper_engine::lot::{Command, Lot, Pay, Rejection};
use lotkeeper_engine::money::Amount;
use uuid::Uuid;

const ANNA: Pseudonym = Pseudonym(Uuid::from_u128(0xA));
const BERT: Pseudonym = Pseudonym(Uuid::from_u128(0xB));

fn shift_id(number: u32) -> ShiftId {
    ShiftId(Uuid::from_u128(0x8000 + u128::from(number)))
}

#[track_caller]
fn tell(world: &mut World, ask: Ask) -> Result<(), Rejection> {
    let outcome = world.execute(&Command::Shift(Box::new(ask)));
    world.assert_invariants();
    let anew = Lot::from_parts(world.lot.register().parts());
    assert!(anew == world.lot, "a lot built anew differs");
    outcome.map(|_| ())
}

fn open(world: &mut World, number: u32, cashier: Pseudonym, float: i64) -> Result<(), Rejection> {
    let code = format!("desk-{number}").into();
    tell(world, Ask::Open(Opened { id: shift_id(number), code, cashier, float: Amount(float) }))
}

fn close(
    world: &mut World,
    number: u32,
    by: Option<Pseudonym>,
    counted: i64,
) -> Result<(), Rejection> {
    tell(world, Ask::Close { id: shift_id(number), by, counted: Amount(counted) })
}

fn it(world: &World, number: u32) -> Shift {
    Shift::clone(world.lot.shifts().get(shift_id(number)).unwrap())
}

fn by(cashier: Pseudonym, method: Method, pay: Pay) -> Pay {
    Pay { cashier: Some(cashier), method, ..pay }
}

fn hand_out(
    world: &mut World,
    id: u32,
    cashier: Pseudonym,
    amount: Option<i64>,
) -> Result<(), Rejection> {
    let amount = amount.map(Amount);
    tell(world, Ask::HandOut { payment: payment(id), amount, cashier })
}

/// Vehicles 1 to 4 are inside, each owes 200.
fn parked() -> World {
    let mut world = World::new(bayed(4));
    put(&mut world, tariff(begun_hours(200)));
    for number in 1..=4 {
        opens(&mut world, &entry(number, plate(number)));
    }
    world.run_until(60);
    world
}

#[test]
fn what_a_cashier_takes_and_hands_out_is_in_his_drawer() {
    let mut world = parked();
    open(&mut world, 1, ANNA, 5_000).unwrap();
    open(&mut world, 2, BERT, 0).unwrap();
    pays(&mut world, &by(ANNA, Method::Cash, pay(1, of_stay(1), None))).unwrap();
    pays(&mut world, &by(ANNA, Method::Terminal, pay(2, of_stay(2), None))).unwrap();
    pays(&mut world, &by(BERT, Method::Cash, pay(3, of_stay(3), None))).unwrap();
    let shift = it(&world, 1);
    assert_eq!((shift.cash.received, shift.terminal.received), (Amount(200), Amount(200)));
    assert_eq!(shift.expected(), Amount(5_200), "what the terminal took is not in the drawer");
    // He who hands it out has less, whoever took it.
    hand_out(&mut world, 3, ANNA, Some(50)).unwrap();
    assert_eq!((it(&world, 1).expected(), it(&world, 2).expected()), (Amount(5_150), Amount(200)));
    hand_out(&mut world, 2, ANNA, None).unwrap();
    assert_eq!(it(&world, 1).terminal.refunded, Amount(200));
    assert_eq!(it(&world, 1).expected(), Amount(5_150));
    assert_eq!(world.lot.payments().get(payment(1)).unwrap().shift.as_deref(), Some("desk-1"));
    close(&mut world, 1, Some(ANNA), 5_100).unwrap();
    assert_eq!((it(&world, 1).difference(), it(&world, 1).cash.moves), (Some(Amount(-50)), 2));
    close(&mut world, 2, None, 210).unwrap();
    assert_eq!(it(&world, 2).difference(), Some(Amount(10)));
    assert_ledger(&world);
}

#[test]
fn a_closed_shift_never_changes() {
    let mut world = parked();
    open(&mut world, 1, ANNA, 0).unwrap();
    close(&mut world, 1, Some(ANNA), 0).unwrap();
    let closed = it(&world, 1);
    pays(&mut world, &by(ANNA, Method::Cash, pay(1, of_stay(1), None))).unwrap();
    hand_out(&mut world, 1, ANNA, None).unwrap();
    close(&mut world, 1, Some(ANNA), 0).unwrap();
    assert_eq!(close(&mut world, 1, Some(ANNA), 1), Err(Rejection::ShiftClosed));
    assert_eq!(it(&world, 1), closed);
    assert_eq!(world.lot.payments().get(payment(1)).unwrap().shift, None);
    open(&mut world, 2, ANNA, 0).unwrap();
}

#[test]
fn refusals_say_why() {
    let mut world = parked();
    open(&mut world, 1, ANNA, 0).unwrap();
    assert_eq!(open(&mut world, 2, ANNA, 0), Err(Rejection::ShiftOpen { shift: shift_id(1) }));
    assert_eq!(open(&mut world, 1, BERT, 0), Err(Rejection::IdTaken));
    assert!(matches!(open(&mut world, 2, BERT, -1), Err(Rejection::Invalid { .. })));
    assert!(matches!(close(&mut world, 1, None, -1), Err(Rejection::Invalid { .. })));
    assert_eq!(close(&mut world, 1, Some(BERT), 0), Err(Rejection::ShiftNotFound), "not his");
    assert_eq!(close(&mut world, 9, None, 0), Err(Rejection::ShiftNotFound));
    assert_eq!(hand_out(&mut world, 9, ANNA, None), Err(Rejection::PaymentNotFound));
    pays(&mut world, &by(ANNA, Method::Cash, pay(1, of_stay(1), None))).unwrap();
    let owed = Amount(200);
    let too_much = hand_out(&mut world, 1, ANNA, Some(201));
    assert_eq!(too_much, Err(Rejection::AmountNotOwed { owed }));
}

#[test]
fn what_was_named_by_hand_keeps_its_name_and_is_in_the_drawer_all_the_same() {
    let mut world = parked();
    open(&mut world, 1, ANNA, 0).unwrap();
    let named = Pay { shift: Some("early".into()), ..pay(1, of_stay(1), None) };
    pays(&mut world, &by(ANNA, Method::Cash, named)).unwrap();
    assert_eq!(world.lot.payments().get(payment(1)).unwrap().shift.as_deref(), Some("early"));
    assert_eq!(it(&world, 1).expected(), Amount(200));
    // What nobody took, and what a provider promised, is in no drawer.
    pays(&mut world, &pay(2, of_stay(2), None)).unwrap();
    pays(&mut world, &Pay { cashier: Some(ANNA), ..promise(3, of_stay(3), None) }).unwrap();
    assert_eq!(it(&world, 1).cash.moves + it(&world, 1).terminal.moves, 1);
}
