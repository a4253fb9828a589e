//! What is due happens, by tick and without one.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;

use common::{START, command, confirm, create, reading, reserve, start, window};
use lotkeeper_actors::{Clock, CommandError, Engine, LotHandle};
use lotkeeper_engine::ids::{ReservationId, SlotIndex};
use lotkeeper_engine::lot::{Choice, Rejection, State};
use lotkeeper_engine::status::Status;
use lotkeeper_storage::MemoryStore;
use uuid::Uuid;

const SLOT: Choice = Choice::Slot(SlotIndex(0));

fn state(lot: &LotHandle, id: u128) -> State {
    lot.view().lot.reservation(ReservationId(Uuid::from_u128(id))).unwrap().state
}

/// Ticks and waits for what the tick set off: a command behind it is answered after it.
async fn tick(engine: &Engine, lot: &LotHandle) {
    engine.tick();
    let nothing = command(engine, lot, confirm(u128::MAX)).await;
    assert!(matches!(nothing, Err(CommandError::Rejected(Rejection::ReservationNotFound))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_expires_by_tick_and_the_lot_shows_it() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = create(&engine, "L1", 1).await;
    engine.readings(&lot, vec![reading(0, false, START, 1)], None).unwrap().await.unwrap();
    command(&engine, &lot, reserve(1, SLOT, window(600, 1_200), Some(60))).await.unwrap();
    assert_eq!(lot.view().status(SlotIndex(0)), Status::Held);
    clock.advance(61);
    tick(&engine, &lot).await;
    assert_eq!(state(&lot, 1), State::Expired);
    assert_eq!(lot.view().status(SlotIndex(0)), Status::Free);
    let late = command(&engine, &lot, confirm(1)).await;
    assert!(matches!(late, Err(CommandError::Rejected(Rejection::HoldExpired))), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_whose_holder_is_overdue_is_granted_without_a_tick() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = create(&engine, "L1", 1).await;
    command(&engine, &lot, reserve(1, SLOT, window(600, 1_200), Some(60))).await.unwrap();
    clock.advance(61);
    command(&engine, &lot, reserve(2, SLOT, window(600, 1_200), None)).await.unwrap();
    assert_eq!(state(&lot, 1), State::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_came_releases_the_slot_and_somebody_checks_in() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = create(&engine, "L1", 2).await;
    let sent = vec![reading(0, false, START, 1), reading(1, true, START, 1)];
    engine.readings(&lot, sent, None).unwrap().await.unwrap();
    for slot in 0..2 {
        let choice = Choice::Slot(SlotIndex(slot));
        let wanted = reserve(u128::from(slot), choice, window(60, 7_200), None);
        command(&engine, &lot, wanted).await.unwrap();
    }
    clock.advance(60 + 900);
    tick(&engine, &lot).await;
    assert_eq!(state(&lot, 0), State::NoShow);
    assert!(matches!(state(&lot, 1), State::CheckedIn { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_sensor_becomes_unknown_and_comes_back() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = create(&engine, "L1", 1).await;
    engine.readings(&lot, vec![reading(0, true, START, 1)], None).unwrap().await.unwrap();
    clock.advance(3_601);
    engine.tick();
    // The lot asks the slot, the slot records: wait for the record itself.
    while lot.view().status(SlotIndex(0)) != Status::Unknown {
        tokio::task::yield_now().await;
    }
    let back = vec![reading(0, true, clock.now(), 2)];
    let done = engine.readings(&lot, back, None).unwrap().await.unwrap();
    assert_eq!(done.accepted, 1);
    assert_eq!(lot.view().status(SlotIndex(0)), Status::Occupied);
}
