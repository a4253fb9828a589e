//! What stands on a slot reaches the lot that asks for it, after it is durable, and no other lot.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;

use common::{START, command, confirm, create, reading, rules, spec, start};
use lotkeeper_actors::{Clock, CommandError, Engine, LotHandle};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::violation::{Kind, State};
use lotkeeper_engine::lot::{Command, LotPatch, Rejection, Violation};
use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::MemoryStore;

const GRACE: u32 = 120;

fn enforcing() -> Rules {
    Rules { enforce_slots: true, enforce_grace: Seconds(GRACE), ..rules() }
}

async fn watched(engine: &Engine) -> LotHandle {
    let mut spec = spec("L1", 2);
    spec.rules = enforcing();
    engine.create_lot(spec, None).await.unwrap().lot
}

/// Ticks and waits for what the tick set off: a command behind it is answered after it.
async fn tick(engine: &Engine, lot: &LotHandle) {
    engine.tick();
    let nothing = command(engine, lot, confirm(u128::MAX)).await;
    assert!(matches!(nothing, Err(CommandError::Rejected(Rejection::ReservationNotFound))));
}

async fn see(engine: &Engine, lot: &LotHandle, clock: &Clock, occupied: bool, sequence: u64) {
    let seen = vec![reading(1, occupied, clock.now(), sequence)];
    engine.readings(lot, seen, None).unwrap().await.unwrap();
}

fn violations(lot: &LotHandle) -> Vec<Violation> {
    let view = lot.view();
    view.lot.violations().all().map(|violation| Violation::clone(violation)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_car_that_nobody_let_in_is_found_when_the_grace_is_over_and_gone_when_it_drives_off() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = watched(&engine).await;
    see(&engine, &lot, &clock, true, 1).await;
    tick(&engine, &lot).await;
    assert_eq!(violations(&lot).len(), 0, "it may be on its way to its own slot");
    // Nothing is read any more: the lot looks again by itself.
    clock.advance(GRACE);
    tick(&engine, &lot).await;
    let found = violations(&lot);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].kind, found[0].slot), (&Kind::NoSession, Some(SlotIndex(1))));
    assert_eq!(engine.lot_of("default", found[0].id.0).unwrap().key(), lot.key());
    see(&engine, &lot, &clock, false, 2).await;
    tick(&engine, &lot).await;
    assert_eq!(violations(&lot)[0].state, State::Resolved);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lot_whose_actor_died_looks_at_what_it_did_not_see_change() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = watched(&engine).await;
    see(&engine, &lot, &clock, true, 1).await;
    tick(&engine, &lot).await;
    engine.kill(&lot, None);
    clock.advance(GRACE);
    // The answer comes from the actor's successor.
    tick(&engine, &lot).await;
    tick(&engine, &lot).await;
    assert_eq!(violations(&lot).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lot_that_does_not_ask_is_not_told_until_it_asks() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = create(&engine, "L1", 2).await;
    see(&engine, &lot, &clock, true, 1).await;
    clock.advance(GRACE);
    tick(&engine, &lot).await;
    assert_eq!(violations(&lot).len(), 0);
    let patch = LotPatch { rules: Some(enforcing()), ..LotPatch::default() };
    let change = Command::ChangeLot { patch, expected_version: None };
    command(&engine, &lot, change).await.unwrap();
    tick(&engine, &lot).await;
    assert_eq!(violations(&lot).len(), 1, "what stood there before counts as well");
}
