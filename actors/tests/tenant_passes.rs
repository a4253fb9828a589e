//! Passes of the whole tenant over several lots: no gate takes a use that another one has, nothing of it is lost or
//! counted twice over deaths and restarts, and every lot hears what became of one.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;

use std::collections::BTreeMap;

use common::{START, command, confirm, options, spec, start_with};
use lotkeeper_actors::{Clock, CommandError, Engine, LotHandle, Options};
use lotkeeper_engine::ids::{PassId, Pseudonym, SessionId};
use lotkeeper_engine::lot::pass::{Allowance, Limit, PassTerms, Per, Reach, State, Used};
use lotkeeper_engine::lot::session::{DenyReason, Direction, OpenReason, Verdict};
use lotkeeper_engine::lot::violation::{Kind, State as ViolationState};
use lotkeeper_engine::lot::{
    Command, Credential, Needs, PassChange, Rejection, Scan, Scanner, StayChange,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::tariff::Covers;
use lotkeeper_engine::time::{Seconds, Window};
use lotkeeper_storage::{ClaimOutcome, MemoryJournal, MemoryStore};
use uuid::Uuid;

const HOUR: u32 = 3_600;
const OPEN: Verdict = Verdict::Open(OpenReason::Pass);
const NOT_VALID: Verdict = Verdict::Deny(DenyReason::PassNotValid);

/// Snapshots come soon, so that a start rests on them and on the tail.
async fn start(store: &MemoryStore, clock: &Clock) -> Engine {
    let (journal, recovery) = MemoryJournal::open(store.clone());
    let options = Options { snapshot_every_records: 16, ..options(&<_>::default()) };
    start_with(Box::new(journal), recovery, clock, options).await
}

/// A lot for passes and reservations alone.
async fn create(engine: &Engine, code: &str, slots: u128) -> LotHandle {
    let mut spec = spec(code, slots);
    spec.rules.drive_in = false;
    spec.rules.repeat_window = Seconds(0);
    engine.create_lot(spec, None).await.unwrap().lot
}

fn pass(number: u128) -> PassId {
    PassId(Uuid::from_u128(0xFA55_0000 + number))
}

fn vehicle(number: u128) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xCA4_0000 + number))
}

fn terms(vehicles: std::ops::Range<u128>, entries: u32) -> PassTerms {
    PassTerms {
        plan: "everywhere".into(),
        holder: None,
        vehicles: vehicles.map(vehicle).collect(),
        price: Amount(9_900),
        valid: Window { from: START, to: START.plus(Seconds(10 * HOUR)) },
        allowance: Some(Allowance { limit: Limit::Entries(entries), per: Per::Total }),
        covers: Covers::Whole,
    }
}

async fn issue(engine: &Engine, home: &LotHandle, number: u128, terms: PassTerms) {
    let (id, terms) = (pass(number), Box::new(terms));
    let issue = Command::IssuePass { id, reach: Reach::Tenant, terms };
    command(engine, home, issue).await.unwrap();
}

async fn change(engine: &Engine, home: &LotHandle, change: PassChange) {
    let change = Command::ChangePass { id: pass(1), change, expected_version: None };
    command(engine, home, change).await.unwrap();
}

fn stay(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(0x57A_0000 + number))
}

fn entry(number: u128, who: u128) -> Scan {
    Scan {
        id: stay(number),
        gate: Some("north".into()),
        direction: Direction::Entry,
        credential: Credential::Plate { vehicle: vehicle(who), near: Vec::new() },
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

async fn scan(engine: &Engine, lot: &LotHandle, scan: Scan) -> Verdict {
    match command(engine, lot, Command::Scan(Box::new(scan))).await.unwrap().answer {
        ClaimOutcome::Scanned(scanned, _) => scanned.verdict,
        other => panic!("a scan is answered: {other:?}"),
    }
}

async fn leave(engine: &Engine, lot: &LotHandle, number: u128) {
    let change = StayChange::Leave { at: None };
    let change = Command::ChangeStay { id: stay(number), change, expected_version: None };
    command(engine, lot, change).await.unwrap();
}

fn entries(engine: &Engine, number: u128) -> u32 {
    engine.used_of(pass(number)).map_or(0, |used| used.entries)
}

/// Ticks, and waits for what the ticks set off: first at home, then where it is followed.
async fn tick(engine: &Engine, lots: &[&LotHandle]) {
    for _ in 0..2 {
        engine.tick();
        for lot in lots {
            let nothing = command(engine, lot, confirm(u128::MAX)).await;
            let missing = CommandError::Rejected(Rejection::ReservationNotFound);
            assert_eq!(format!("{:?}", nothing.unwrap_err()), format!("{missing:?}"));
        }
    }
}

/// A linear congruential generator: the seed is the test's, and the same seed is the same run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_gates_at_once_exactly_as_many_open_as_the_allowance_has() {
    const ROUNDS: u128 = 40;
    let seed = 7;
    println!("seed={seed}");
    let mut dice = Dice(seed);
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let mut engine = start(&store, &clock).await;
    for code in ["A", "B", "C"] {
        create(&engine, code, 200).await;
    }
    let mut allowed = BTreeMap::new();
    for round in 0..ROUNDS {
        let lots = engine.lots("default");
        let most = 1 + u32::try_from(dice.roll(3)).unwrap();
        let who = round * 8..round * 8 + 8;
        let home = &lots[usize::try_from(dice.roll(3)).unwrap()];
        issue(&engine, home, round, terms(who.clone(), most)).await;
        let racers: Vec<_> = who
            .map(|who| {
                let lot = lots[usize::try_from(dice.roll(3)).unwrap()].clone();
                let (engine, entry) = (engine.clone(), entry(who, who));
                tokio::spawn(async move { scan(&engine, &lot, entry).await })
            })
            .collect();
        // An actor that dies takes scans with it, which let go of what was set aside and come again.
        if dice.roll(2) == 0 {
            engine.kill(&lots[usize::try_from(dice.roll(3)).unwrap()], None);
        }
        let mut opened = 0;
        for racer in racers {
            match racer.await.unwrap() {
                OPEN => opened += 1,
                NOT_VALID => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((opened, entries(&engine, round)), (most, most), "round {round}");
        allowed.insert(round, most);
        if dice.roll(8) == 0 {
            engine.shutdown(std::time::Duration::from_secs(5)).await;
            engine = start(&store, &clock).await;
        }
        for (round, most) in &allowed {
            assert_eq!(entries(&engine, *round), *most, "of round {round}");
        }
    }
    let lots = engine.lots("default");
    let entered = |lot: &LotHandle| lot.view().lot.stays().inside_count();
    let inside: usize = lots.iter().map(entered).sum();
    assert_eq!(inside, allowed.values().sum::<u32>() as usize, "each use is a stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_use_that_comes_to_nothing_is_free_for_the_next_gate() {
    let engine = start(&MemoryStore::default(), &Clock::manual(START)).await;
    let (small, other) = (create(&engine, "A", 1).await, create(&engine, "B", 9).await);
    issue(&engine, &small, 1, terms(0..3, 2)).await;
    assert_eq!(scan(&engine, &small, entry(1, 0)).await, OPEN);
    assert_eq!(scan(&engine, &small, entry(2, 1)).await, Verdict::Deny(DenyReason::LotFull));
    assert_eq!(entries(&engine, 1), 1);
    let tried = Scan { dry_run: true, ..entry(3, 1) };
    assert_eq!(scan(&engine, &other, tried).await, OPEN);
    assert_eq!(entries(&engine, 1), 1, "only tried");
    assert_eq!(scan(&engine, &other, entry(4, 1)).await, OPEN);
    assert_eq!(scan(&engine, &other, entry(5, 2)).await, NOT_VALID);
    let tried = Scan { dry_run: true, ..entry(6, 2) };
    assert_eq!(scan(&engine, &other, tried).await, NOT_VALID);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_opens_in_lots_that_come_later_and_minutes_count_in_all_of_them() {
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let home = create(&engine, "A", 2).await;
    let hour = Some(Allowance { limit: Limit::Minutes(60), per: Per::Total });
    issue(&engine, &home, 1, PassTerms { allowance: hour, ..terms(0..1, 1) }).await;
    let later = create(&engine, "B", 2).await;
    assert_eq!(scan(&engine, &later, entry(1, 0)).await, OPEN);
    clock.advance(HOUR / 2);
    leave(&engine, &later, 1).await;
    assert_eq!(scan(&engine, &home, entry(2, 0)).await, OPEN);
    clock.advance(HOUR / 2);
    leave(&engine, &home, 2).await;
    let used = Used { period: 0, entries: 2, stayed: Seconds(HOUR) };
    assert_eq!(engine.used_of(pass(1)), Some(used));
    engine.shutdown(std::time::Duration::from_secs(5)).await;
    let engine = start(&store, &clock).await;
    assert_eq!(engine.used_of(pass(1)), Some(used), "as it was before the restart");
    let latest = create(&engine, "C", 2).await;
    assert_eq!(scan(&engine, &latest, entry(3, 0)).await, NOT_VALID);
    let strange = Scan {
        credential: Credential::Plate { vehicle: vehicle(9), near: Vec::new() },
        ..entry(4, 9)
    };
    assert_eq!(scan(&engine, &latest, strange).await, Verdict::Deny(DenyReason::NotEntitled));
}

fn expired(lot: &LotHandle) -> Vec<(ViolationState, u32)> {
    let view = lot.view();
    let found = view.lot.violations().all().filter(|found| found.kind == Kind::ExpiredPass);
    let after = |at: lotkeeper_engine::time::Timestamp| at.micros_since(START) / 1_000_000;
    found.map(|found| (found.state, u32::try_from(after(found.since)).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lot_hears_what_became_of_a_pass_and_a_restart_between_loses_nothing() {
    use ViolationState::{Open, Resolved};
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let (home, other) = (create(&engine, "A", 2).await, create(&engine, "B", 2).await);
    issue(&engine, &home, 1, terms(0..2, 9)).await;
    assert_eq!(scan(&engine, &other, entry(1, 0)).await, OPEN);
    tick(&engine, &[&home, &other]).await;
    assert_eq!(expired(&other), []);
    clock.advance(10);
    change(&engine, &home, PassChange::Pause).await;
    assert_eq!(scan(&engine, &other, entry(2, 1)).await, NOT_VALID, "at once");
    // Nobody ticked: the lot hears of it at its first tick after the restart.
    engine.shutdown(std::time::Duration::from_secs(5)).await;
    let engine = start(&store, &clock).await;
    let find = |code: &str| engine.lot("default", code).unwrap();
    let (home, other) = (find("A"), find("B"));
    tick(&engine, &[&home, &other]).await;
    assert_eq!(expired(&other), [(Open, 10)]);
    change(&engine, &home, PassChange::Resume).await;
    tick(&engine, &[&home, &other]).await;
    assert_eq!(expired(&other), [(Resolved, 10)]);
    // Longer than it was: the end that the other lot knew of is none.
    let longer = Window { from: START, to: START.plus(Seconds(20 * HOUR)) };
    let longer = PassTerms { valid: longer, ..terms(0..2, 9) };
    change(&engine, &home, PassChange::Amend(Box::new(longer))).await;
    clock.advance(10 * HOUR);
    tick(&engine, &[&home, &other]).await;
    assert_eq!(expired(&other), [(Resolved, 10)]);
    clock.advance(10 * HOUR);
    tick(&engine, &[&home, &other]).await;
    let mut found = expired(&other);
    found.sort_by_key(|(_, since)| *since);
    assert_eq!(found, [(Resolved, 10), (Open, 20 * HOUR)]);
    assert_eq!(home.view().lot.passes().get(pass(1)).unwrap().state, State::Ended);
    assert!(other.view().lot.passes().guest(pass(1)).is_none());
    assert_eq!(scan(&engine, &other, entry(3, 1)).await, NOT_VALID);
    leave(&engine, &other, 1).await;
    assert_eq!(engine.used_of(pass(1)), Some(Used::default()));
}
