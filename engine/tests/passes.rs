//! Passes: who is let in by one, what is counted, what is paid by it, and when it is over.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, at, bayed, counted, holder};
use life::{entry, plate, stay as session, vehicle};
use lotkeeper_engine::ids::{PassId, PaymentId, TariffId};
use lotkeeper_engine::lot::pass::{Allowance, Limit, PassTerms, Per, Reach, State};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::session::{DenyReason, OpenReason, Origin, Verdict};
use lotkeeper_engine::lot::violation::Kind;
use lotkeeper_engine::lot::{
    Account, Command, Outcome, Owner, PassChange, Pay, Rejection, StayChange, TariffChange,
};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::tariff::{Assignment, Covers, Hourly, LineKind, Rate, Scope, Tariff, Tier};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use proptest::prelude::*;
use uuid::Uuid;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn pass_id(number: u32) -> PassId {
    PassId(Uuid::from_u128(0xAA00 + u128::from(number)))
}

fn terms() -> PassTerms {
    PassTerms {
        plan: "monthly".into(),
        holder: Some(holder(1)),
        vehicles: vec![vehicle(1)],
        price: Amount(9_900),
        valid: Window { from: at(0), to: at(30 * DAY) },
        allowance: None,
        covers: Covers::Whole,
    }
}

fn limited(limit: Limit, per: Per) -> PassTerms {
    PassTerms { allowance: Some(Allowance { limit, per }), ..terms() }
}

fn issue(world: &mut World, terms: PassTerms) -> Result<Outcome, Rejection> {
    world.execute(&Command::IssuePass { id: pass_id(1), reach: Reach::Lot, terms: Box::new(terms) })
}

fn change(world: &mut World, change: PassChange) -> Result<Outcome, Rejection> {
    world.execute(&Command::ChangePass { id: pass_id(1), change, expected_version: None })
}

/// A lot for passes and reservations alone.
fn closed(mut spec: Spec) -> World {
    spec.rules.drive_in = false;
    World::new(spec)
}

fn scan(world: &mut World, number: u32, who: u32) -> Verdict {
    let scan = entry(number, plate(who));
    match world.execute(&Command::Scan(Box::new(scan))) {
        Ok(Outcome::Scanned(scanned)) => scanned.verdict,
        other => panic!("a scan is answered: {other:?}"),
    }
}

fn leave(world: &mut World, number: u32) {
    let change = StayChange::Leave { at: None };
    let command = Command::ChangeStay { id: session(number), change, expected_version: None };
    world.execute(&command).unwrap();
}

const OPEN: Verdict = Verdict::Open(OpenReason::Pass);
const NOT_VALID: Verdict = Verdict::Deny(DenyReason::PassNotValid);

#[test]
fn a_pass_opens_within_its_window_while_it_goes_on() {
    let later = Window { from: at(HOUR), to: at(2 * HOUR) };
    for (seconds, verdict) in [
        (0, NOT_VALID),
        (HOUR - 1, NOT_VALID),
        (HOUR, OPEN),
        (2 * HOUR - 1, OPEN),
        (2 * HOUR, NOT_VALID),
    ] {
        let mut world = closed(bayed(1));
        issue(&mut world, PassTerms { valid: later, ..terms() }).unwrap();
        world.run_until(seconds);
        assert_eq!(scan(&mut world, 1, 1), verdict, "at {seconds}");
        world.assert_invariants();
    }
    let mut world = closed(bayed(1));
    assert_eq!(scan(&mut world, 1, 1), Verdict::Deny(DenyReason::NotEntitled));
    issue(&mut world, terms()).unwrap();
    assert_eq!(scan(&mut world, 2, 2), Verdict::Deny(DenyReason::NotEntitled), "not his plate");
    change(&mut world, PassChange::Pause).unwrap();
    assert_eq!(scan(&mut world, 3, 1), NOT_VALID);
    change(&mut world, PassChange::Resume).unwrap();
    assert_eq!(scan(&mut world, 4, 1), OPEN);
    let stay = world.lot.stays().get(session(4)).unwrap();
    assert_eq!((stay.origin, stay.holder), (Origin::Pass(pass_id(1)), Some(holder(1))));
    leave(&mut world, 4);
    change(&mut world, PassChange::End).unwrap();
    assert_eq!(change(&mut world, PassChange::Resume), Err(Rejection::PassEnded));
    assert_eq!(scan(&mut world, 5, 1), NOT_VALID);
    world.assert_invariants();
}

#[test]
fn where_anybody_may_enter_a_pass_that_is_not_good_is_a_ticket() {
    let mut world = World::new(bayed(1));
    issue(&mut world, terms()).unwrap();
    change(&mut world, PassChange::Pause).unwrap();
    assert_eq!(scan(&mut world, 1, 1), Verdict::Open(OpenReason::DriveIn));
}

#[test]
fn a_full_lot_is_full_for_passes_too() {
    for spec in [bayed(1), counted(1)] {
        let mut world = closed(spec);
        issue(&mut world, PassTerms { vehicles: vec![vehicle(1), vehicle(2)], ..terms() }).unwrap();
        assert_eq!(scan(&mut world, 1, 1), OPEN);
        assert_eq!(scan(&mut world, 2, 2), Verdict::Deny(DenyReason::LotFull));
        world.assert_invariants();
    }
}

/// 2025-06-15 17:06:40 in Berlin, a Sunday, is second 0 of the test's time.
#[test]
fn entries_are_counted_for_the_day_week_month_or_for_good() {
    let (midnight, monday, july) = (7 * HOUR, 7 * HOUR, 15 * DAY + 7 * HOUR);
    for (per, before, after) in [
        (Per::Day, midnight - 401, midnight),
        (Per::Week, monday - 401, monday),
        (Per::Month, july - 401, july),
        (Per::Total, 29 * DAY, 30 * DAY - 1),
    ] {
        let mut world = closed(bayed(1));
        issue(&mut world, limited(Limit::Entries(1), per)).unwrap();
        assert_eq!(scan(&mut world, 1, 1), OPEN, "{per:?}");
        leave(&mut world, 1);
        world.run_until(before);
        assert_eq!(scan(&mut world, 2, 1), NOT_VALID, "{per:?}");
        world.run_until(after);
        let wanted = if per == Per::Total { NOT_VALID } else { OPEN };
        assert_eq!(scan(&mut world, 3, 1), wanted, "{per:?}");
        world.assert_invariants();
    }
}

#[test]
fn minutes_are_counted_when_a_stay_is_over() {
    let mut world = closed(bayed(1));
    issue(&mut world, limited(Limit::Minutes(60), Per::Total)).unwrap();
    assert_eq!(scan(&mut world, 1, 1), OPEN);
    world.run_until(1_800);
    leave(&mut world, 1);
    assert_eq!(world.lot.passes().get(pass_id(1)).unwrap().used.stayed, Seconds(1_800));
    assert_eq!(scan(&mut world, 2, 1), OPEN);
    world.run_until(4_000);
    leave(&mut world, 2);
    assert_eq!(scan(&mut world, 3, 1), NOT_VALID);
}

#[test]
fn a_stay_that_began_in_an_older_period_gives_nothing_back() {
    let mut world = closed(bayed(2));
    let vehicles = vec![vehicle(1), vehicle(2)];
    let limit = PassTerms { vehicles, ..limited(Limit::Entries(1), Per::Day) };
    issue(&mut world, limit).unwrap();
    assert_eq!(scan(&mut world, 1, 1), OPEN, "the first day");
    world.run_until(8 * HOUR);
    assert_eq!(scan(&mut world, 2, 2), OPEN, "the second day");
    leave(&mut world, 1);
    leave(&mut world, 2);
    assert_eq!(scan(&mut world, 3, 1), NOT_VALID, "the second day's entry is used");
    world.assert_invariants();
}

#[test]
fn periods_of_another_length_count_anew() {
    let mut world = closed(bayed(1));
    issue(&mut world, limited(Limit::Entries(1), Per::Day)).unwrap();
    assert_eq!(scan(&mut world, 1, 1), OPEN);
    leave(&mut world, 1);
    let monthly = limited(Limit::Entries(1), Per::Month);
    change(&mut world, PassChange::Amend(Box::new(monthly))).unwrap();
    assert_eq!(scan(&mut world, 2, 1), OPEN);
    leave(&mut world, 2);
    assert_eq!(scan(&mut world, 3, 1), NOT_VALID);
}

/// 600 an hour, by the second.
fn priced(spec: Spec) -> World {
    let mut world = closed(spec);
    let tier = Tier { from: Seconds(0), amount: Amount(600), per: Seconds(3_600), begun: false };
    let rate = Rate::Hourly(Hourly { tiers: vec![tier].into() });
    let id = TariffId(Uuid::from_u128(7));
    let tariff = Tariff::plain(id, "Hourly", Timestamp::from_seconds(0), rate);
    let assignment = Assignment { scope: Scope::Lot, vehicle_type: None, tariff: id };
    let changes = vec![TariffChange::Put(tariff.into()), TariffChange::Assign(assignment)];
    world.execute(&Command::ChangeTariffs(changes)).unwrap();
    world
}

#[test]
fn a_stay_costs_what_its_pass_does_not_cover() {
    let share = Covers::Share(PerMille(500));
    for (terms, total) in [
        (terms(), 0),
        (PassTerms { covers: share, ..terms() }, 600),
        (PassTerms { covers: Covers::First(Seconds(3_600)), ..terms() }, 600),
        (limited(Limit::Minutes(90), Per::Month), 300),
        (limited(Limit::Entries(1), Per::Day), 0),
    ] {
        let mut world = priced(bayed(1));
        issue(&mut world, terms.clone()).unwrap();
        assert_eq!(scan(&mut world, 1, 1), OPEN);
        // What changes now changes no stay that runs.
        change(&mut world, PassChange::End).unwrap();
        world.run_until(7_200);
        leave(&mut world, 1);
        let stay = world.lot.stays().get(session(1)).unwrap();
        let fee = stay.fee.as_ref().unwrap();
        assert_eq!(fee.total, Amount(total), "{terms:?}");
        assert_eq!(fee.of(LineKind::Pass), Amount(total - 1_200));
        world.assert_invariants();
    }
}

#[test]
fn a_pass_that_runs_out_ends_and_who_is_inside_with_it_is_told() {
    let mut world = closed(bayed(1));
    issue(&mut world, PassTerms { valid: Window { from: at(0), to: at(HOUR) }, ..terms() })
        .unwrap();
    assert_eq!(scan(&mut world, 1, 1), OPEN);
    world.run_until(HOUR + 900);
    assert_eq!(world.lot.passes().get(pass_id(1)).unwrap().state, State::Ended);
    let found: Vec<_> = world.lot.violations().open().cloned().collect();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].kind, found[0].since), (&Kind::ExpiredPass, at(HOUR)));
    assert_eq!(found[0].notices, 1);
    leave(&mut world, 1);
    assert_eq!(world.lot.violations().open_count(), 0);
    world.assert_invariants();
}

#[test]
fn its_price_is_owed_from_the_issue_on_and_paid_once() {
    for (price, owed) in [(9_900, 9_900), (0, 0)] {
        let mut world = closed(bayed(1));
        issue(&mut world, PassTerms { price: Amount(price), ..terms() }).unwrap();
        let account = Owner::Pass(pass_id(1));
        assert_eq!(world.lot.accounts().owed_by(account), Amount(owed));
        let pay = |number: u32| {
            let id = PaymentId(Uuid::from_u128(number.into()));
            let (amount, is_promise) = (None, false);
            let (shift, cashier, reference) = (None, None, None);
            let method = Method::Cash;
            let about = account;
            let pay = Pay { id, about, method, amount, is_promise, shift, cashier, reference };
            Command::Pay(Box::new(pay))
        };
        let paid = world.execute(&pay(1)).map(drop);
        assert_eq!(paid, if owed > 0 { Ok(()) } else { Err(Rejection::NothingOwed) });
        assert_eq!(world.execute(&pay(2)), Err(Rejection::NothingOwed));
        assert_eq!(world.lot.accounts().balance(&Account::Revenue), Amount(-owed));
        assert_eq!(world.lot.accounts().owed_by(account), Amount::ZERO);
        world.assert_invariants();
    }
}

/// What becomes of a pass while its vehicle is inside, when, and since when it should not be there.
#[test]
fn who_is_inside_without_a_good_pass_is_told_from_when() {
    let amend = || PassTerms { valid: Window { from: at(0), to: at(2 * HOUR) }, ..terms() };
    for (claim, steps, since) in [
        ("it goes on", vec![], None),
        ("paused", vec![(600, PassChange::Pause)], Some(600)),
        ("ended", vec![(600, PassChange::End)], Some(600)),
        ("paused, then ended", vec![(600, PassChange::Pause), (700, PassChange::End)], Some(600)),
        ("paused and resumed", vec![(600, PassChange::Pause), (700, PassChange::Resume)], None),
        (
            "paused again",
            vec![(600, PassChange::Pause), (700, PassChange::Resume), (800, PassChange::Pause)],
            Some(800),
        ),
        (
            "paused until it runs out",
            vec![(600, PassChange::Pause), (HOUR, PassChange::Pause)],
            Some(600),
        ),
        ("prolonged in time", vec![(600, PassChange::Amend(Box::new(amend())))], None),
    ] {
        let mut world = closed(bayed(1));
        let hour = Window { from: at(0), to: at(HOUR) };
        let valid = if claim == "paused until it runs out" { hour } else { terms().valid };
        issue(&mut world, PassTerms { valid, ..terms() }).unwrap();
        assert_eq!(scan(&mut world, 1, 1), OPEN);
        for (second, step) in steps {
            world.run_until(second);
            let _ended = change(&mut world, step);
            world.assert_invariants();
        }
        world.run_until(HOUR + 60);
        let found: Vec<_> =
            world.lot.violations().open().map(|v| (v.kind.clone(), v.since)).collect();
        let wanted: Vec<_> =
            since.map(|second| (Kind::ExpiredPass, at(second))).into_iter().collect();
        assert_eq!(found, wanted, "{claim}");
        leave(&mut world, 1);
        assert_eq!(world.lot.violations().open_count(), 0, "{claim}");
        world.assert_invariants();
    }
}

#[test]
fn what_cannot_be_a_pass_is_refused() {
    let mut world = closed(bayed(1));
    for wrong in [
        PassTerms { plan: "Mr Smith's".into(), ..terms() },
        PassTerms { vehicles: Vec::new(), ..terms() },
        PassTerms { vehicles: (0..9).map(vehicle).collect(), ..terms() },
        PassTerms { price: Amount(-1), ..terms() },
        PassTerms { valid: Window { from: at(10), to: at(10) }, ..terms() },
        PassTerms { valid: Window { from: at(-10), to: at(0) }, ..terms() },
        PassTerms { covers: Covers::Share(PerMille(1_001)), ..terms() },
        limited(Limit::Entries(0), Per::Day),
        limited(Limit::Minutes(0), Per::Day),
    ] {
        let refused = issue(&mut world, wrong.clone());
        assert!(matches!(refused, Err(Rejection::Invalid { .. })), "{wrong:?}");
    }
    assert_eq!(change(&mut world, PassChange::End), Err(Rejection::PassNotFound));
    issue(&mut world, terms()).unwrap();
    assert_eq!(issue(&mut world, terms()), Err(Rejection::IdTaken));
    let events = world.entries.len();
    change(&mut world, PassChange::Amend(Box::new(terms()))).unwrap();
    assert_eq!(world.entries.len(), events, "what is asked is there");
    let other = PassTerms { vehicles: vec![vehicle(2)], ..terms() };
    change(&mut world, PassChange::Amend(Box::new(other))).unwrap();
    assert_eq!(scan(&mut world, 1, 1), Verdict::Deny(DenyReason::NotEntitled));
    assert_eq!(scan(&mut world, 2, 2), OPEN);
    world.assert_invariants();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes and goes, no day has more entries than the pass allows.
    #[test]
    fn no_day_has_more_entries_than_allowed(
        allowed in 1..4_u32,
        steps in prop::collection::vec((1..20_000_u32, any::<bool>()), 1..60),
    ) {
        let mut world = closed(bayed(2));
        let month = Window { from: at(0), to: at(300 * DAY) };
        issue(&mut world, PassTerms { valid: month, ..limited(Limit::Entries(allowed), Per::Day) }).unwrap();
        let mut entries: std::collections::BTreeMap<i64, u32> = std::collections::BTreeMap::new();
        let mut inside = None;
        for (number, (seconds, comes)) in steps.into_iter().enumerate() {
            world.advance(seconds);
            world.tick();
            let number = u32::try_from(number).unwrap();
            match inside.take() {
                Some(stay) if !comes => leave(&mut world, stay),
                Some(stay) => inside = Some(stay),
                None => {
                    let zone = world.lot.zone().clone();
                    let day = zone.period_of(lotkeeper_engine::tariff::Unit::Day, world.now).unwrap();
                    let before = entries.entry(day).or_default();
                    let opened = scan(&mut world, number, 1) == OPEN;
                    prop_assert_eq!(opened, *before < allowed);
                    if opened {
                        *before += 1;
                        inside = Some(number);
                    }
                }
            }
            world.assert_invariants();
        }
    }
}
