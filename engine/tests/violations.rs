//! Violations: the table of kinds, overstays, what staff do, and where the money goes. What is found on slots:
//! `looks.rs`.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, at, bayed, holder, reserve_slot, window};
use life::{entry, plate, stay as session, vehicle};
use lotkeeper_engine::ids::{SlotIndex, ViolationId};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::violation::{Event as Told, Evidence, Kind, Severity, State, Violation};
use lotkeeper_engine::lot::{
    Account, Caller, Command, Credential, Event, Owner, Pay, PaymentStep, Purpose, Rejection,
    Report, Scan, StayChange, ViolationChange,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::Seconds;
use proptest::prelude::*;
use uuid::Uuid;

fn violation(number: u32) -> ViolationId {
    ViolationId(Uuid::from_u128(0xB0 + u128::from(number)))
}

fn report(number: u32) -> Report {
    Report {
        id: violation(number),
        kind: Kind::of("blocks_lane"),
        severity: None,
        seen_at: None,
        session: None,
        slot: None,
        vehicle: Some(vehicle(number)),
        penalty: Amount(3_000),
        evidence: vec![Evidence { kind: "photo".into(), reference: "img-17".into() }],
    }
}

fn raise(world: &mut World, report: Report) -> Result<(), Rejection> {
    world.execute(&Command::Report(Box::new(report))).map(drop)
}

fn change(world: &mut World, id: ViolationId, change: ViolationChange) -> Result<(), Rejection> {
    let (expected_version, by) = (None, Caller::Staff);
    world.execute(&Command::ChangeViolation { id, change, expected_version, by }).map(drop)
}

fn pay(world: &mut World, about: Owner, amount: i64) -> Result<(), Rejection> {
    let pay = Pay {
        id: lotkeeper_engine::ids::PaymentId(Uuid::from_u128(amount.unsigned_abs().into())),
        about,
        method: Method::Cash,
        amount: Some(Amount(amount)),
        is_promise: false,
        shift: None,
        cashier: None,
        reference: None,
    };
    world.execute(&Command::Pay(Box::new(pay))).map(drop)
}

fn only(world: &World) -> Violation {
    let all: Vec<_> = world.lot.violations().all().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    Violation::clone(all[0])
}

fn owes(world: &World, number: u32) -> i64 {
    world.lot.accounts().owed_by(Owner::Vehicle(vehicle(number))).0
}

/// The table that a new kind gets a row in.
#[test]
fn every_kind_has_its_row() {
    let rows = [
        (Kind::Overstay, "overstay", Severity::Minor, true),
        (Kind::WrongSlotType, "wrong_slot_type", Severity::Serious, false),
        (Kind::NoSession, "no_session", Severity::Serious, false),
        (Kind::ExpiredPass, "expired_pass", Severity::Minor, true),
    ];
    assert_eq!(rows.len(), Kind::KNOWN.len());
    for (kind, code, severity, notices) in rows {
        assert_eq!((kind.code(), Kind::of(code)), (code, kind.clone()));
        assert_eq!((kind.severity(), kind.has_notices()), (severity, notices), "{code}");
    }
    let other = Kind::of("blocks_lane");
    assert_eq!((other.code(), other.severity()), ("blocks_lane", Severity::Minor));
    assert!(!other.has_notices());
}

fn booked_inside() -> World {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(0, 3_600))).unwrap();
    let credential = Credential::Reservation(common::reservation(1));
    let scan = Scan { credential, seen: Some(vehicle(1)), ..entry(1, plate(1)) };
    world.execute(&Command::Scan(Box::new(scan))).unwrap();
    world
}

fn told(world: &World) -> Vec<(i64, String)> {
    let told = world.entries.iter().filter_map(|entry| match entry {
        common::Entry::Lot(Event::Violation(event), time) => {
            Some((time.micros_since(at(0)) / 1_000_000, common::name(event)))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn an_overstay_is_raised_once_told_of_in_its_intervals_and_over_when_the_car_leaves() {
    let mut world = booked_inside();
    // Grace 600 s, first notice 900 s after the end, each further 1,800 s later, three at most.
    world.run_until(20_000);
    let row = |seconds: i64, name: &str| (3_600 + seconds, name.to_owned());
    let notices = [row(900, "Notified"), row(2_700, "Notified"), row(4_500, "Notified")];
    assert_eq!(told(&world), [[row(600, "Raised")].as_slice(), &notices].concat());
    let overstay = only(&world);
    assert_eq!((overstay.kind, overstay.state), (Kind::Overstay, State::Notified));
    assert_eq!((overstay.since, overstay.notices), (at(3_600), 3));
    assert_eq!((overstay.vehicle, overstay.holder), (Some(vehicle(1)), Some(holder(1))));
    world.assert_invariants();
    let leave = StayChange::Leave { at: None };
    let command = Command::ChangeStay { id: session(1), change: leave, expected_version: None };
    world.execute(&command).unwrap();
    let overstay = only(&world);
    assert_eq!(overstay.state, State::Resolved);
    assert_eq!(overstay.reason.as_deref(), Some("session_ended"));
    world.assert_invariants();
}

#[test]
fn an_engine_that_was_down_tells_one_notice_and_not_all_at_once() {
    let mut world = booked_inside();
    world.run_until(3_600 + 600);
    world.now = at(12_000);
    world.tick();
    assert_eq!(only(&world).notices, 1);
    world.run_until(12_000 + 1_799);
    assert_eq!(only(&world).notices, 1);
    world.run_until(12_000 + 1_800);
    assert_eq!(only(&world).notices, 2);
}

#[test]
fn a_penalty_is_owed_by_the_vehicle_and_paid_with_its_account() {
    let mut world = World::new(bayed(1));
    raise(&mut world, report(1)).unwrap();
    assert_eq!((owes(&world, 1), only(&world).state), (3_000, State::Open));
    assert_eq!(world.lot.accounts().balance(&Account::Penalties), Amount(-3_000));
    let owner = Owner::Vehicle(vehicle(1));
    assert_eq!(
        pay(&mut world, owner, 3_001),
        Err(Rejection::AmountNotOwed { owed: Amount(3_000) })
    );
    pay(&mut world, owner, 1_000).unwrap();
    assert_eq!((owes(&world, 1), only(&world).state), (2_000, State::Open));
    pay(&mut world, owner, 2_000).unwrap();
    assert_eq!((owes(&world, 1), only(&world).state), (0, State::Paid));
    let refused = change(&mut world, violation(1), ViolationChange::Waive { reason: None });
    assert_eq!(refused, Err(Rejection::ViolationEnded { state: State::Paid }));
    world.assert_invariants();
}

#[test]
fn a_paid_penalty_that_is_waived_after_an_appeal_is_reversed_and_goes_back() {
    let mut world = World::new(bayed(1));
    raise(&mut world, report(1)).unwrap();
    let owner = Owner::Vehicle(vehicle(1));
    pay(&mut world, owner, 3_000).unwrap();
    let paid_at = only(&world).paid_at;
    assert!(paid_at.is_some());
    change(&mut world, violation(1), ViolationChange::Appeal { reason: None }).unwrap();
    assert_eq!((only(&world).state, only(&world).paid_at), (State::Appealed, paid_at));
    world.assert_invariants();
    change(&mut world, violation(1), ViolationChange::Waive { reason: None }).unwrap();
    assert_eq!((only(&world).state, owes(&world, 1)), (State::Waived, -3_000));
    let accounts = world.lot.accounts();
    assert_eq!(accounts.balance(&Account::Penalties), Amount::ZERO);
    assert_eq!(accounts.balance(&Account::WrittenOff), Amount::ZERO, "it was paid, nobody lost it");
    let last = world.entries.iter().rev().find_map(|entry| match entry {
        common::Entry::Lot(Event::Posted(posting), _) => Some(posting.clone()),
        _ => None,
    });
    assert_eq!(last.unwrap().purpose, Purpose::Reversal { of: 1 });
    let id = lotkeeper_engine::ids::PaymentId(Uuid::from_u128(3_000));
    let step = PaymentStep::Refund { amount: None };
    world.execute(&Command::StepPayment { id, step }).unwrap();
    assert_eq!(owes(&world, 1), 0);
    world.assert_invariants();
}

#[test]
fn what_was_paid_and_appealed_against_stays_paid_when_staff_say_so() {
    let mut world = World::new(bayed(1));
    raise(&mut world, report(1)).unwrap();
    pay(&mut world, Owner::Vehicle(vehicle(1)), 3_000).unwrap();
    change(&mut world, violation(1), ViolationChange::Appeal { reason: None }).unwrap();
    change(&mut world, violation(1), ViolationChange::Resolve { reason: None }).unwrap();
    assert_eq!((only(&world).state, owes(&world, 1)), (State::Resolved, 0));
    let again = change(&mut world, violation(1), ViolationChange::Appeal { reason: None });
    assert_eq!(again, Err(Rejection::ViolationEnded { state: State::Resolved }));
    world.assert_invariants();
}

/// The engine sends none of itself then; staff may, and the appeal still waits for them.
#[test]
fn a_notice_does_not_decide_an_appeal() {
    let mut world = World::new(bayed(1));
    raise(&mut world, report(1)).unwrap();
    change(&mut world, violation(1), ViolationChange::Appeal { reason: None }).unwrap();
    change(&mut world, violation(1), ViolationChange::Notify).unwrap();
    assert_eq!((only(&world).state, only(&world).notices), (State::Appealed, 1));
    assert_eq!(only(&world).next_notice(&world.lot.spec().rules), None);
    world.assert_invariants();
}

#[test]
fn what_is_waived_is_written_off_and_what_is_resolved_stays_owed() {
    for (how, state, owed, written_off) in [
        (ViolationChange::Waive { reason: Some("first_time".into()) }, State::Waived, 0, 3_000),
        (ViolationChange::Resolve { reason: None }, State::Resolved, 3_000, 0),
    ] {
        let mut world = World::new(bayed(1));
        raise(&mut world, report(1)).unwrap();
        change(&mut world, violation(1), ViolationChange::Appeal { reason: None }).unwrap();
        assert_eq!(only(&world).state, State::Appealed);
        change(&mut world, violation(1), how.clone()).unwrap();
        assert_eq!((only(&world).state, owes(&world, 1)), (state, owed));
        assert_eq!(world.lot.accounts().balance(&Account::WrittenOff), Amount(written_off));
        let before = world.entries.len();
        change(&mut world, violation(1), how).unwrap();
        assert_eq!(world.entries.len(), before, "asked again it is as asked");
        world.assert_invariants();
    }
}

#[test]
fn a_penalty_needs_somebody_to_pay_it_and_moves_with_him() {
    let mut world = World::new(bayed(1));
    let nobody = Report { vehicle: None, slot: Some(SlotIndex(0)), ..report(1) };
    assert!(matches!(raise(&mut world, nobody.clone()), Err(Rejection::Invalid { .. })));
    raise(&mut world, Report { penalty: Amount::ZERO, ..nobody }).unwrap();
    let amend = |vehicle, penalty| ViolationChange::Amend {
        severity: None,
        vehicle,
        penalty,
        evidence: None,
    };
    let refused = change(&mut world, violation(1), amend(None, Some(Amount(500))));
    assert!(matches!(refused, Err(Rejection::Invalid { .. })));
    change(&mut world, violation(1), amend(Some(vehicle(7)), Some(Amount(500)))).unwrap();
    assert_eq!(owes(&world, 7), 500);
    change(&mut world, violation(1), amend(None, Some(Amount(200)))).unwrap();
    assert_eq!(owes(&world, 7), 200);
    change(&mut world, violation(1), amend(Some(vehicle(8)), None)).unwrap();
    assert_eq!((owes(&world, 7), owes(&world, 8)), (0, 200));
    world.assert_invariants();
}

#[test]
fn what_was_not_meant_is_refused() {
    let mut world = World::new(bayed(1));
    let bad = |reference: &str| Report {
        evidence: vec![Evidence { kind: "photo".into(), reference: reference.into() }],
        ..report(1)
    };
    for wrong in [
        Report { penalty: Amount(-1), ..report(1) },
        Report { kind: Kind::of("Mr Smith's car"), ..report(1) },
        bad("red car of Mr Smith"),
        bad("http://plain.example"),
        Report { evidence: vec![report(1).evidence[0].clone(); 9], ..report(1) },
    ] {
        let refused = raise(&mut world, wrong.clone());
        assert!(matches!(refused, Err(Rejection::Invalid { .. })), "{wrong:?}");
    }
    raise(&mut world, bad("https://example.org/a.jpg")).unwrap();
    assert_eq!(raise(&mut world, report(1)), Err(Rejection::IdTaken));
    let missing = Report { session: Some(session(9)), ..report(2) };
    assert_eq!(raise(&mut world, missing), Err(Rejection::SessionNotFound));
    let missing = Report { slot: Some(SlotIndex(9)), ..report(2) };
    assert_eq!(raise(&mut world, missing), Err(Rejection::SlotNotFound));
}

#[test]
fn a_driver_appeals_against_his_own_only() {
    let mut world = booked_inside();
    world.run_until(4_200);
    let id = only(&world).id;
    let appeal = |by| Command::ChangeViolation {
        id,
        change: ViolationChange::Appeal { reason: None },
        expected_version: None,
        by,
    };
    let stranger = world.execute(&appeal(Caller::Holder(holder(2))));
    assert_eq!(stranger, Err(Rejection::ViolationNotFound));
    world.execute(&appeal(Caller::Holder(holder(1)))).unwrap();
    world.run_until(20_000);
    assert_eq!(only(&world).notices, 0, "nobody is told while staff have to decide");
}

#[derive(Clone, Debug)]
enum Deed {
    Report(u8, i64),
    Amend(u8, Option<u8>, Option<i64>),
    Appeal(u8),
    Waive(u8),
    Resolve(u8),
    Notify(u8),
    Pay(u8, i64),
    Enter(u8),
    Leave(u8),
    Pass(u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    let (who, amount) = (0..4_u8, 0..5_000_i64);
    prop_oneof![
        (who.clone(), amount.clone()).prop_map(|(who, amount)| Deed::Report(who, amount)),
        (who.clone(), prop::option::of(who.clone()), prop::option::of(amount.clone()))
            .prop_map(|(which, who, amount)| Deed::Amend(which, who, amount)),
        who.clone().prop_map(Deed::Appeal),
        who.clone().prop_map(Deed::Waive),
        who.clone().prop_map(Deed::Resolve),
        who.clone().prop_map(Deed::Notify),
        (who.clone(), 1..5_000_i64).prop_map(|(who, amount)| Deed::Pay(who, amount)),
        who.clone().prop_map(Deed::Enter),
        who.prop_map(Deed::Leave),
        (1..9_000_u32).prop_map(Deed::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done, the ledger holds exactly the penalties that were neither lowered nor waived.
    #[test]
    fn penalties_and_ledger_say_the_same(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut spec = bayed(4);
        spec.rules.stay_max = Some(Seconds(3_600));
        let mut world = World::new(spec);
        for (step, deed) in deeds.into_iter().enumerate() {
            let ids: Vec<_> = world.lot.violations().all().map(|v| v.id).collect();
            let pick = |n: u8| ids.get(usize::from(n)).copied().unwrap_or(violation(999));
            let step = u32::try_from(step).unwrap();
            // What is refused changes nothing but what was overdue.
            let _refused = match deed {
                Deed::Report(who, amount) => raise(&mut world, Report {
                    id: violation(1_000 + step),
                    vehicle: Some(vehicle(who.into())),
                    penalty: Amount(amount),
                    ..report(0)
                }),
                Deed::Amend(which, who, amount) => change(&mut world, pick(which), ViolationChange::Amend {
                    severity: None,
                    vehicle: who.map(|who| vehicle(who.into())),
                    penalty: amount.map(Amount),
                    evidence: None,
                }),
                Deed::Appeal(n) => change(&mut world, pick(n), ViolationChange::Appeal { reason: None }),
                Deed::Waive(n) => change(&mut world, pick(n), ViolationChange::Waive { reason: None }),
                Deed::Resolve(n) => change(&mut world, pick(n), ViolationChange::Resolve { reason: None }),
                Deed::Notify(n) => change(&mut world, pick(n), ViolationChange::Notify),
                Deed::Pay(who, amount) => pay(&mut world, Owner::Vehicle(vehicle(who.into())), amount),
                Deed::Enter(who) => {
                    let scan = Scan { id: session(2_000 + step), ..entry(who.into(), plate(who.into())) };
                    world.execute(&Command::Scan(Box::new(scan))).map(drop)
                }
                Deed::Leave(who) => {
                    let stay = world.lot.stays().of_vehicle(vehicle(who.into())).map(|s| s.id);
                    let id = stay.unwrap_or(session(9));
                    let change = StayChange::Leave { at: None };
                    world.execute(&Command::ChangeStay { id, change, expected_version: None }).map(drop)
                }
                Deed::Pass(seconds) => {
                    world.advance(seconds);
                    world.tick();
                    Ok(())
                }
            };
            world.assert_invariants();
        }
        let mut penalised = 0;
        for entry in &world.entries {
            let common::Entry::Lot(event, _) = entry else { continue };
            match event {
                Event::Posted(posting) => {
                    prop_assert!(posting.is_balanced());
                    let amount = posting.entries[0].amount.0;
                    match posting.purpose {
                        Purpose::Penalty => penalised += amount,
                        Purpose::Waiver => penalised -= amount,
                        Purpose::Reversal { .. } => penalised += amount,
                        _ => {}
                    }
                }
                Event::Violation(Told::Notified { number, .. }) => prop_assert!(*number > 0),
                _ => {}
            }
        }
        let kept = world.lot.violations().all().filter(|v| v.state != State::Waived);
        let kept: i64 = kept.map(|violation| violation.penalty.0).sum();
        prop_assert_eq!(penalised, kept);
    }
}
