//! Many at once: no slot is promised twice, nothing is oversold, and dead actors change nothing but time.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{START, command, create, reading, reserve, start, window};
use lotkeeper_actors::{CatchUp, Clock, CommandError, Engine, LotHandle};
use lotkeeper_engine::ids::{ReservationId, SlotIndex};
use lotkeeper_engine::lot::{Choice, Needs, Rejection, State};
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::MemoryStore;
use uuid::Uuid;

async fn race(engine: &Engine, lot: &LotHandle, first_id: u128, choice: Choice) -> (u32, u32) {
    let racers: Vec<_> = (0..64)
        .map(|racer| {
            let (engine, lot) = (engine.clone(), lot.clone());
            let wanted = reserve(first_id + racer, choice, window(3_600, 7_200), None);
            tokio::spawn(async move { command(&engine, &lot, wanted).await })
        })
        .collect();
    let (mut granted, mut refused) = (0, 0);
    for racer in racers {
        match racer.await.unwrap() {
            Ok(_) => granted += 1,
            Err(CommandError::Rejected(Rejection::SlotTaken { .. } | Rejection::NoSlotFree)) => {
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    (granted, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_racers_for_one_slot_one_wins_every_time() {
    let engine = start(&MemoryStore::default(), &Clock::manual(START)).await;
    for round in 0..20_u128 {
        let lot = create(&engine, &format!("L{round}"), 1).await;
        let outcome = race(&engine, &lot, round * 1_000, Choice::Slot(SlotIndex(0))).await;
        assert_eq!(outcome, (1, 63), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_slot_never_oversells() {
    let engine = start(&MemoryStore::default(), &Clock::manual(START)).await;
    for round in 0..10_u128 {
        let lot = create(&engine, &format!("L{round}"), 10).await;
        let outcome = race(&engine, &lot, round * 1_000, Choice::Any(Needs::default())).await;
        assert_eq!(outcome, (10, 54), "round {round}");
        assert!(lot.view().broken().is_empty());
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
async fn killing_actors_at_random_changes_nothing_a_client_can_see() {
    const SLOTS: u64 = 5;
    let seed = 42;
    println!("seed={seed}");
    let mut dice = Dice(seed);
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let lot = create(&engine, "L1", u128::from(SLOTS)).await;
    let mut model: BTreeMap<u16, bool> = BTreeMap::new();
    let mut promised = 0_u32;
    for step in 1..=400_u32 {
        clock.advance(1);
        let slot = u16::try_from(dice.roll(SLOTS)).unwrap();
        if dice.roll(4) == 0 {
            engine.kill(&lot, Some(SlotIndex(slot)));
        }
        if dice.roll(8) == 0 {
            engine.kill(&lot, None);
        }
        let occupied = dice.roll(2) == 0;
        let sent = vec![reading(slot, occupied, START.plus(Seconds(step)), 0)];
        let done = engine.readings(&lot, sent, None).unwrap().await.unwrap();
        let changed = model.insert(slot, occupied) != Some(occupied);
        assert_eq!(
            (done.accepted, done.unchanged),
            (u32::from(changed), u32::from(!changed)),
            "step {step}"
        );
        if dice.roll(3) == 0 {
            let start = 86_400 + promised * 60;
            let slot = Choice::Slot(SlotIndex(slot));
            let wanted = reserve(u128::from(step), slot, window(start, start + 60), None);
            command(&engine, &lot, wanted).await.unwrap();
            promised += 1;
        }
        let shown = lot.view().status(SlotIndex(slot));
        assert_eq!(shown, if occupied { Status::Occupied } else { Status::Free }, "step {step}");
    }
    let view = lot.view();
    assert!(view.broken().is_empty(), "{:?}", view.broken());
    let active = view.lot.reservations().count();
    assert_eq!(active, promised as usize);
    // An answer comes before its change is fed: the publisher's end comes after both.
    engine.shutdown(Duration::from_secs(5)).await;
    let CatchUp::Batches(batches) = lot.ring().after(0, 10_000) else {
        panic!("all is in the ring")
    };
    let seqs: Vec<u64> = batches.iter().flat_map(|b| b.changes.iter().map(|c| c.seq)).collect();
    assert_eq!(seqs, (1..=view.lot_seq).collect::<Vec<_>>(), "every sequence once");
}

/// A tick that is sent while the lot's actor is being replaced is lost with the old one; the next one comes all
/// the same. No command comes: only ticks can do what is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lot_that_dies_beside_its_tick_is_ticked_again() {
    const ROUNDS: u128 = 60;
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = create(&engine, "L1", 1).await;
    let over = Arc::new(AtomicBool::new(false));
    let ticking = {
        let (engine, over) = (engine.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                engine.tick();
                std::thread::yield_now();
            }
        })
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    for round in 1..=ROUNDS {
        let seconds = u32::try_from(round).unwrap() * 100;
        let window = window(1_000_000 + seconds, 1_000_050 + seconds);
        let held = reserve(round, Choice::Slot(SlotIndex(0)), window, Some(10));
        command(&engine, &lot, held).await.unwrap();
        engine.kill(&lot, None);
        clock.advance(11);
        let id = ReservationId(Uuid::from_u128(round));
        while lot.view().lot.reservation(id).unwrap().state != State::Expired {
            assert!(Instant::now() < deadline, "round {round}: due, and never ticked");
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Release);
    ticking.join().unwrap();
}
