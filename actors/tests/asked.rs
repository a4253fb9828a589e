//! Who asked is in the record of what a command did, and in no other: not in what was overdue, not in what
//! the engine did by itself; and no death of an actor mixes it up.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;

use common::{START, confirm, create, reading, reserve, start, window};
use lotkeeper_actors::{Clock, Engine, LotHandle, Origin};
use lotkeeper_engine::ids::{Pseudonym, SlotIndex};
use lotkeeper_engine::lot::{self, Choice, Command, Service, SlotPatch};
use lotkeeper_engine::slot;
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::{By, Event, MemoryStore, Record, Role};
use uuid::Uuid;

const SLOT: Choice = Choice::Slot(SlotIndex(0));

fn by(number: u128, role: Role) -> By {
    By { subject: Pseudonym(Uuid::from_u128(number)), role }
}

async fn asked(engine: &Engine, lot: &LotHandle, command: Command, by: By) {
    let origin = Origin { by: Some(by), claim: None };
    engine.command(lot, command, origin).unwrap().await.unwrap();
}

fn log(engine: &Engine) -> Vec<Record> {
    engine.reader().after(0, 10_000).unwrap().records
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Slot(_, slot::Event::Occupied(_)) => "occupied",
        Event::Slot(_, slot::Event::FellSilent) => "silent",
        Event::Lot(lot::Event::Created(_)) => "created",
        Event::Lot(lot::Event::Reserved(_)) => "reserved",
        Event::Lot(lot::Event::Expired { .. }) => "expired",
        Event::Lot(lot::Event::Confirmed { .. }) => "confirmed",
        Event::Lot(lot::Event::ServiceChanged { service: Service::InService, .. }) => "opened",
        Event::Lot(lot::Event::ServiceChanged { .. }) => "closed",
        other => panic!("{other:?}"),
    }
}

fn closed_for(reason: &str, seconds: u32) -> Command {
    let service =
        Service::OutOfService { reason: reason.into(), until: Some(START.plus(Seconds(seconds))) };
    let patch = SlotPatch { service: Some(service), ..SlotPatch::default() };
    Command::ChangeSlot { slot: SlotIndex(1), patch, expected_version: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_overdue_is_nobodys() {
    let (clock, store) = (Clock::manual(START), MemoryStore::default());
    let engine = start(&store, &clock).await;
    let lot = create(&engine, "L1", 2).await;
    let (ann, bob, desk) = (by(1, Role::Driver), by(2, Role::Driver), by(3, Role::Staff));
    asked(&engine, &lot, reserve(1, SLOT, window(6_000, 7_200), Some(60)), ann).await;
    asked(&engine, &lot, closed_for("works", 60), desk).await;
    clock.advance(61);
    // No tick has come: bob's command settles ann's hold, and what the desk had closed until now.
    asked(&engine, &lot, reserve(2, SLOT, window(6_000, 7_200), Some(600)), bob).await;
    asked(&engine, &lot, confirm(2), desk).await;
    // The same slot, closed again: what opens by itself and what is asked for differ by time alone.
    asked(&engine, &lot, closed_for("paint", 90), desk).await;
    clock.advance(30);
    asked(&engine, &lot, closed_for("paint", 120), bob).await;
    let wanted = [
        ("created", None),
        ("reserved", Some(ann)),
        ("closed", Some(desk)),
        ("expired", None),
        ("opened", None),
        ("reserved", Some(bob)),
        ("confirmed", Some(desk)),
        ("closed", Some(desk)),
        ("opened", None),
        ("closed", Some(bob)),
    ];
    let found = |engine: &Engine| -> Vec<_> {
        log(engine).iter().map(|record| (name(&record.event), record.by)).collect()
    };
    let mut rows = found(&engine);
    // What is due at one instant has no order among itself.
    rows[3..5].sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(rows, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_nobodys() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = create(&engine, "L1", 1).await;
    let sensor = by(7, Role::Device);
    let sent = vec![reading(0, true, START, 1)];
    engine.readings(&lot, sent, Some(sensor)).unwrap().await.unwrap();
    clock.advance(3_601);
    engine.tick();
    // The lot asks the slot, the slot records: wait for the record itself.
    while lot.view().status(SlotIndex(0)) != Status::Unknown {
        tokio::task::yield_now().await;
    }
    let rows: Vec<_> = log(&engine).iter().map(|record| (name(&record.event), record.by)).collect();
    assert_eq!(rows, [("created", None), ("occupied", Some(sensor)), ("silent", None)]);
}

/// A message that died with its actor is sent again, by the same hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_actors_mix_nobody_up() {
    const ROUNDS: u32 = 60;
    let (clock, store) = (Clock::manual(START), MemoryStore::default());
    let engine = start(&store, &clock).await;
    let lot = create(&engine, "L1", 4).await;
    for round in 0..ROUNDS {
        clock.advance(10);
        let slot = (round % 4) as u16;
        let device = by(100 + u128::from(slot), Role::Device);
        let sent = vec![reading(slot, round / 4 % 2 == 0, clock.now(), u64::from(round) + 1)];
        let driver = by(200 + u128::from(round), Role::Driver);
        let (from, id) = (100_000 + round * 100, u128::from(round) + 1);
        let wanted = reserve(id, SLOT, window(from, from + 60), None);
        // Dead before the send, or with the message in the mailbox.
        engine.kill(&lot, Some(SlotIndex(slot)));
        let readings = engine.readings(&lot, sent, Some(device)).unwrap();
        let origin = Origin { by: Some(driver), claim: None };
        let reserved = engine.command(&lot, wanted, origin).unwrap();
        engine.kill(&lot, None);
        assert_eq!(readings.await.unwrap().accepted, 1);
        drop(reserved.await.unwrap());
    }
    let log = log(&engine);
    assert_eq!(log.len() as u32, 1 + 2 * ROUNDS);
    for record in &log[1..] {
        match &record.event {
            Event::Slot(slot, _) => {
                assert_eq!(record.by, Some(by(100 + u128::from(slot.0), Role::Device)));
            }
            Event::Lot(lot::Event::Reserved(reserved)) => {
                assert_eq!(record.by, Some(by(199 + reserved.id.0.as_u128(), Role::Driver)));
            }
            other => panic!("{other:?}"),
        }
    }
    drop((lot, engine));
}
