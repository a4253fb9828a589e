//! Passes of the whole tenant, as one lot decides with them: at home and in a lot that did not issue them.
//!
//! What all lots used together and how much of it is set aside is the actors' (`actors/tests/tenant_passes.rs`).

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, at, bayed, holder};
use life::{denies, entry, opens, plate, stay as session, vehicle};
use lotkeeper_engine::ids::{PassId, TariffId};
use lotkeeper_engine::lot::guest::Calendar;
use lotkeeper_engine::lot::pass::{PassTerms, Per, Reach, State, Used};
use lotkeeper_engine::lot::session::{DenyReason, OpenReason, Origin};
use lotkeeper_engine::lot::violation::{Kind, State as ViolationState};
use lotkeeper_engine::lot::{
    Command, Honour, Lot, Outcome, Owner, PassChange, Register, Scan, StayChange, TariffChange,
    TenantPass,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::tariff::{Assignment, Coverage, Covers, Hourly, Rate, Scope, Tariff, Tier};
use lotkeeper_engine::time::{Seconds, Window};
use uuid::Uuid;

const HOUR: i64 = 3_600;
const PASS: PassId = PassId(Uuid::from_u128(0xAA));

fn by(per: Per) -> Calendar {
    Calendar { per, zone: "Europe/Berlin".into() }
}

fn honour() -> Honour {
    Honour {
        id: PASS,
        holder: Some(holder(1)),
        valid: Window { from: at(0), to: at(10 * HOUR) },
        coverage: Coverage { code: "everywhere".into(), covers: Covers::Whole },
        period: by(Per::Day).period(at(0)),
        by: by(Per::Day),
    }
}

fn good() -> Option<TenantPass> {
    Some(TenantPass::Good(Box::new(honour())))
}

fn scan(number: u32, tenant_pass: Option<TenantPass>) -> Scan {
    Scan { tenant_pass, ..entry(number, plate(1)) }
}

fn leave(world: &mut World, number: u32) {
    let change = StayChange::Leave { at: None };
    let command = Command::ChangeStay { id: session(number), change, expected_version: None };
    world.execute(&command).unwrap();
}

fn follow(world: &mut World, state: State, seconds: i64) {
    let command = Command::FollowPass { id: PASS, state, since: at(seconds) };
    assert_eq!(world.execute(&command), Ok(Outcome::Settled));
    world.assert_invariants();
}

fn world(drive_in: bool, slots: usize) -> World {
    let mut spec = bayed(slots);
    spec.rules.drive_in = drive_in;
    World::new(spec)
}

#[test]
fn a_gate_opens_for_what_is_set_aside_and_for_nothing_else() {
    let late = Honour { valid: Window { from: at(1), to: at(2) }, ..honour() };
    let over = Honour { valid: Window { from: at(-1), to: at(0) }, ..honour() };
    let not_in_time = |honour| Some(TenantPass::Good(Box::new(honour)));
    for (tenant_pass, closed, open) in [
        (good(), Ok(OpenReason::Pass), OpenReason::Pass),
        (not_in_time(late), Err(DenyReason::PassNotValid), OpenReason::DriveIn),
        (not_in_time(over), Err(DenyReason::PassNotValid), OpenReason::DriveIn),
        (Some(TenantPass::NotGood), Err(DenyReason::PassNotValid), OpenReason::DriveIn),
        (None, Err(DenyReason::NotEntitled), OpenReason::DriveIn),
    ] {
        let asked = scan(1, tenant_pass);
        match closed {
            Ok(reason) => assert_eq!(opens(&mut world(false, 1), &asked), reason, "{asked:?}"),
            Err(reason) => assert_eq!(denies(&mut world(false, 1), &asked), reason, "{asked:?}"),
        }
        assert_eq!(opens(&mut world(true, 1), &asked), open, "{asked:?}");
    }
    let mut full = world(false, 0);
    assert_eq!(denies(&mut full, &scan(1, good())), DenyReason::LotFull);
    assert!(full.lot.passes().guest(PASS).is_none(), "nothing is used of it");
}

#[test]
fn its_use_is_counted_where_it_opens_and_the_stay_is_its_holders() {
    let mut world = world(false, 1);
    assert_eq!(opens(&mut world, &scan(1, good())), OpenReason::Pass);
    let stay = world.lot.stays().get(session(1)).unwrap();
    assert_eq!((stay.origin, stay.holder), (Origin::Pass(PASS), Some(holder(1))));
    world.run_until(1_800);
    leave(&mut world, 1);
    let period = honour().period;
    let used = Used { period, entries: 1, stayed: Seconds(1_800) };
    assert_eq!(world.lot.passes().guest(PASS).unwrap().used, used);
    let tomorrow = Honour { period: period + 1, ..honour() };
    opens(&mut world, &scan(2, Some(TenantPass::Good(Box::new(tomorrow)))));
    let used = Used { period: period + 1, entries: 1, stayed: Seconds(0) };
    assert_eq!(world.lot.passes().guest(PASS).unwrap().used, used, "of the newest period only");
    let parts = world.lot.parts();
    assert_eq!(Lot::from(Register::from_parts(parts)), world.lot, "a snapshot holds it");
}

#[test]
fn a_pass_of_the_lot_goes_before_the_tenants() {
    let mut world = world(false, 2);
    let own = PassId(Uuid::from_u128(0xBB));
    let terms = terms(0);
    world
        .execute(&Command::IssuePass { id: own, reach: Reach::Lot, terms: Box::new(terms) })
        .unwrap();
    opens(&mut world, &scan(1, good()));
    assert_eq!(world.lot.stays().get(session(1)).unwrap().origin, Origin::Pass(own));
    assert!(world.lot.passes().guest(PASS).is_none());
}

fn terms(price: i64) -> PassTerms {
    PassTerms {
        plan: "everywhere".into(),
        holder: None,
        vehicles: vec![vehicle(1)],
        price: Amount(price),
        valid: Window { from: at(0), to: at(10 * HOUR) },
        allowance: None,
        covers: Covers::Whole,
    }
}

#[test]
fn at_home_too_it_opens_only_for_what_is_set_aside() {
    let mut world = world(false, 2);
    let terms = Box::new(terms(9_900));
    world.execute(&Command::IssuePass { id: PASS, reach: Reach::Tenant, terms }).unwrap();
    assert_eq!(world.lot.accounts().owed_by(Owner::Pass(PASS)), Amount(9_900));
    assert_eq!(denies(&mut world, &scan(1, None)), DenyReason::NotEntitled);
    assert_eq!(opens(&mut world, &scan(2, good())), OpenReason::Pass);
    assert!(world.lot.passes().guest(PASS).is_none(), "it is no guest where it was issued");
    assert_eq!(world.lot.passes().get(PASS).unwrap().used.entries, 1);
    let end = Command::ChangePass { id: PASS, change: PassChange::End, expected_version: None };
    world.execute(&end).unwrap();
    assert_eq!(expired(&world), [ViolationState::Open]);
}

fn expired(world: &World) -> Vec<ViolationState> {
    let all = world.lot.violations().all().filter(|found| found.kind == Kind::ExpiredPass);
    all.map(|found| found.state).collect()
}

#[test]
fn who_is_inside_is_told_what_became_of_it_elsewhere() {
    use ViolationState::{Open, Resolved};
    let mut world = world(false, 1);
    opens(&mut world, &scan(1, good()));
    for (seconds, state, found, guest) in [
        (10, State::Active, vec![], Some(State::Active)),
        (20, State::Paused, vec![Open], Some(State::Paused)),
        (25, State::Paused, vec![Open], Some(State::Paused)),
        (30, State::Active, vec![Resolved], Some(State::Active)),
        (40, State::Ended, vec![Open, Resolved], None),
        (50, State::Ended, vec![Open, Resolved], None),
    ] {
        world.run_until(seconds);
        follow(&mut world, state, seconds);
        let mut states = expired(&world);
        states.sort_by_key(|state| *state == Resolved);
        assert_eq!(states, found, "{state:?} at {seconds}");
        let known = world.lot.passes().guest(PASS).map(|guest| guest.state);
        assert_eq!(known, guest, "{state:?} at {seconds}");
    }
    let since: Vec<_> = world.lot.violations().all().map(|found| found.since).collect();
    assert!(since.contains(&at(20)) && since.contains(&at(40)), "{since:?}");
    leave(&mut world, 1);
    assert!(world.lot.passes().guest(PASS).is_none(), "an ended one is not counted any more");
}

#[test]
fn it_pays_a_stay_that_this_lots_tariff_prices() {
    for (covers, owed) in [(Covers::Whole, 0), (Covers::First(Seconds(1_800)), 300)] {
        let mut world = world(false, 1);
        let per = Seconds(3_600);
        let tier = Tier { from: Seconds(0), amount: Amount(600), per, begun: false };
        let rate = Rate::Hourly(Hourly { tiers: vec![tier].into() });
        let tariff = Tariff::plain(TariffId(Uuid::from_u128(1)), "Hourly", at(-HOUR), rate);
        let assignment = Assignment { scope: Scope::Lot, vehicle_type: None, tariff: tariff.id };
        let changes = vec![TariffChange::Put(tariff.into()), TariffChange::Assign(assignment)];
        world.execute(&Command::ChangeTariffs(changes)).unwrap();
        let coverage = Coverage { code: "everywhere".into(), covers };
        let honour = Honour { coverage, ..honour() };
        opens(&mut world, &scan(1, Some(TenantPass::Good(Box::new(honour)))));
        world.run_until(HOUR);
        leave(&mut world, 1);
        let owed_by = world.lot.accounts().owed_by(Owner::Session(session(1)));
        assert_eq!(owed_by, Amount(owed), "{covers:?}");
    }
}
