//! Short words for stays: scans, payments and tariffs of a lot, so that a story is a few lines.
//!
//! Every step of a story checks all invariants. Absent: sensors and reservations, which `common` has.

#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use lotkeeper_engine::ids::{PaymentId, Pseudonym, SessionId, SlotIndex, TariffId};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::session::{DenyReason, Direction, OpenReason, Scanned, Verdict};
use lotkeeper_engine::lot::{
    Account, Caller, Choice, Command, Credential, Event, LotPatch, Needs, Outcome, Owner, Pay,
    PaymentStep, Rejection, Scan, Scanner, Session, StayChange, TariffChange,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::tariff::{Assignment, Hourly, Rate, Scope, Tariff, Tier};
use lotkeeper_engine::time::{Seconds, Timestamp};
use uuid::Uuid;

use crate::common::{Entry, World, at, bayed, reservation};

pub const HOUR: i64 = 3_600;

pub fn vehicle(number: u32) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xC000 + u128::from(number)))
}

pub fn stay(number: u32) -> SessionId {
    SessionId(Uuid::from_u128(0x5000 + u128::from(number)))
}

pub fn payment(number: u32) -> PaymentId {
    PaymentId(Uuid::from_u128(0x7000 + u128::from(number)))
}

pub fn tariff_id() -> TariffId {
    TariffId(Uuid::from_u128(0x9000))
}

/// A plate without near ones.
pub fn plate(number: u32) -> Credential {
    Credential::Plate { vehicle: vehicle(number), near: Vec::new() }
}

/// What was read, and an expected plate that is one edit away.
pub fn misread(read: u32, expected: u32) -> Credential {
    Credential::Plate { vehicle: vehicle(read), near: vec![vehicle(expected)] }
}

pub fn scan(id: u32, direction: Direction, credential: Credential) -> Scan {
    Scan {
        id: stay(id),
        gate: Some("north".into()),
        direction,
        credential,
        seen: None,
        observed_at: None,
        confidence_percent: None,
        needs: Needs::default(),
        vehicle_type: None,
        by: Scanner::Device,
        is_elsewhere: false,
        tenant_pass: None,
        dry_run: false,
    }
}

pub fn entry(id: u32, credential: Credential) -> Scan {
    scan(id, Direction::Entry, credential)
}

pub fn exit(credential: Credential) -> Scan {
    scan(0xFFF, Direction::Exit, credential)
}

pub fn booked(id: u32) -> Credential {
    Credential::Reservation(reservation(id))
}

/// Asks a gate; what it says, after all invariants were looked at.
#[track_caller]
pub fn ask(world: &mut World, scan: &Scan) -> Scanned {
    match world.execute(&Command::Scan(Box::new(scan.clone()))) {
        Ok(Outcome::Scanned(scanned)) => {
            world.assert_invariants();
            scanned
        }
        other => panic!("{scan:?}: {other:?}"),
    }
}

#[track_caller]
pub fn opens(world: &mut World, scan: &Scan) -> OpenReason {
    match ask(world, scan).verdict {
        Verdict::Open(reason) => reason,
        Verdict::Deny(reason) => panic!("{scan:?}: denied, {reason:?}"),
    }
}

#[track_caller]
pub fn denies(world: &mut World, scan: &Scan) -> DenyReason {
    match ask(world, scan).verdict {
        Verdict::Deny(reason) => reason,
        Verdict::Open(reason) => panic!("{scan:?}: opened, {reason:?}"),
    }
}

#[track_caller]
pub fn session(world: &World, id: u32) -> Arc<Session> {
    Arc::clone(world.lot.stays().get(stay(id)).expect("the lot remembers it"))
}

#[track_caller]
pub fn change(world: &mut World, id: u32, change: StayChange) -> Result<Outcome, Rejection> {
    let command = Command::ChangeStay { id: stay(id), change, expected_version: None };
    let outcome = world.execute(&command);
    world.assert_invariants();
    outcome
}

pub fn place(slot: Option<u16>) -> StayChange {
    StayChange::Place { slot: slot.map(SlotIndex) }
}

#[track_caller]
pub fn set_rules(world: &mut World, change: impl FnOnce(&mut Rules)) {
    let mut rules = world.lot.spec().rules;
    change(&mut rules);
    let patch = LotPatch { rules: Some(rules), ..LotPatch::default() };
    world.execute(&Command::ChangeLot { patch, expected_version: None }).expect("rules are right");
    world.assert_invariants();
}

/// Every begun hour costs this.
pub fn begun_hours(amount: i64) -> Rate {
    let tier = Tier { from: Seconds(0), amount: Amount(amount), per: Seconds(3_600), begun: true };
    Rate::Hourly(Hourly { tiers: vec![tier].into() })
}

pub fn tariff(rate: Rate) -> Tariff {
    Tariff::plain(tariff_id(), "Day", Timestamp::from_seconds(0), rate)
}

/// Puts a tariff in force for the whole lot.
#[track_caller]
pub fn put(world: &mut World, tariff: Tariff) {
    let assignment = Assignment { scope: Scope::Lot, vehicle_type: None, tariff: tariff.id };
    let changes = vec![TariffChange::Put(Arc::new(tariff)), TariffChange::Assign(assignment)];
    world.execute(&Command::ChangeTariffs(changes)).expect("a right tariff");
    world.assert_invariants();
}

/// Cash for a stay; all that is owed without an amount.
pub fn pay(id: u32, about: Owner, amount: Option<i64>) -> Pay {
    Pay {
        id: payment(id),
        about,
        method: Method::Cash,
        amount: amount.map(Amount),
        is_promise: false,
        shift: None,
        cashier: None,
        reference: None,
    }
}

/// What a provider promises.
pub fn promise(id: u32, about: Owner, amount: Option<i64>) -> Pay {
    Pay { method: Method::Provider("bank".into()), is_promise: true, ..pay(id, about, amount) }
}

pub fn of_stay(id: u32) -> Owner {
    Owner::Session(stay(id))
}

pub fn of_booking(id: u32) -> Owner {
    Owner::Reservation(reservation(id))
}

#[track_caller]
pub fn pays(world: &mut World, pay: &Pay) -> Result<(), Rejection> {
    let outcome = world.execute(&Command::Pay(Box::new(pay.clone())));
    world.assert_invariants();
    outcome.map(|_| ())
}

#[track_caller]
pub fn steps(world: &mut World, id: u32, step: PaymentStep) -> Result<(), Rejection> {
    let outcome = world.execute(&Command::StepPayment { id: payment(id), step });
    world.assert_invariants();
    outcome.map(|_| ())
}

/// What an account has.
pub fn balance(world: &World, account: &Account) -> i64 {
    world.lot.accounts().balance(account).0
}

pub fn owed(world: &World, about: Owner) -> i64 {
    world.lot.accounts().owed_by(about).0
}

/// What a stay would owe at the gate now.
pub fn due(world: &World, id: u32) -> i64 {
    world.lot.bill_of(&session(world, id), world.now).owed.0
}

/// What postings a run brought, as the number of each must be the one after the last.
#[track_caller]
pub fn assert_ledger(world: &World) {
    let mut last = 0;
    for entry in &world.entries {
        if let Entry::Lot(Event::Posted(posting), _) = entry {
            assert_eq!(posting.number, last + 1, "{posting:?}");
            assert!(posting.is_balanced(), "{posting:?}");
            last = posting.number;
        }
    }
    assert_eq!(world.lot.accounts().postings(), last);
}

pub fn extend(id: u32, to_seconds: i64) -> Command {
    modify_to(id, None, to_seconds)
}

pub fn modify_to(id: u32, choice: Option<Choice>, to_seconds: i64) -> Command {
    Command::Modify {
        id: reservation(id),
        choice,
        from: None,
        to: Some(at(to_seconds)),
        request: None,
        expected_version: None,
        by: Caller::Staff,
    }
}

/// Where the money of the one provider is.
pub fn bank() -> Account {
    Account::Received(Method::Provider("bank".into()))
}

/// A lot where every begun hour costs 200, and vehicle 1 is inside since the start.
pub fn parked() -> World {
    let mut world = World::new(bayed(2));
    put(&mut world, tariff(begun_hours(200)));
    opens(&mut world, &entry(1, plate(1)));
    world.run_until(60);
    world
}
