//! Two tenants at the door of a real engine: one that takes all it gets does not take the other's share, and a large
//! batch does not stand in front of everybody.
//!
//! On one thread, and nothing is awaited while records are let in: no slot answers meanwhile, so how much is in
//! flight is known and not guessed.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use common::{START, options, reading, spec, start_with};
use lotkeeper_actors::{
    Clock, CommandError, Engine, LotHandle, Options, ReadingsDone, SlotReading,
};
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::{MemoryJournal, MemoryStore};

const PERMITS: usize = 100;
const CONTENDED: usize = 40;
const BATCH: u16 = 5;

async fn engine() -> Engine {
    engine_for(PERMITS).await
}

async fn engine_for(permits_records: usize) -> Engine {
    let (journal, recovery) = MemoryJournal::open(MemoryStore::default());
    let options = Options {
        permits_records,
        contended_records: CONTENDED,
        contended_requests: 4,
        ..options(&Arc::default())
    };
    start_with(Box::new(journal), recovery, &Clock::manual(START), options).await
}

async fn lot_of(engine: &Engine, tenant: &str) -> LotHandle {
    large_lot_of(engine, tenant, 10).await
}

async fn large_lot_of(engine: &Engine, tenant: &str, slots: u128) -> LotHandle {
    let mut spec = spec(tenant, slots);
    spec.tenant = tenant.into();
    engine.create_lot(spec, None).await.unwrap().lot
}

type Sent = Result<
    std::pin::Pin<Box<dyn Future<Output = Result<ReadingsDone, CommandError>> + Send>>,
    CommandError,
>;

fn send(engine: &Engine, lot: &LotHandle, nth: u64) -> Sent {
    let at = START.plus(Seconds(1));
    let batch = (0..BATCH).map(|slot| reading(slot, nth.is_multiple_of(2), at, nth + 1)).collect();
    let done = engine.readings(lot, batch, None)?;
    Ok(Box::pin(done))
}

fn send_all(engine: &Engine, lot: &LotHandle, numbers: &mut u64) -> Vec<Sent> {
    let mut sent = Vec::new();
    loop {
        let one = send(engine, lot, *numbers);
        match one {
            Ok(_) => sent.push(one),
            Err(CommandError::Overloaded) => return sent,
            Err(other) => panic!("{other}"),
        }
        *numbers += 1;
    }
}

#[tokio::test]
async fn a_flooding_tenant_leaves_the_others_their_share() {
    let engine = engine().await;
    let (north, flood) = (lot_of(&engine, "north").await, lot_of(&engine, "flood").await);
    let (mut of_north, mut of_flood) = (0, 0);
    // Both were heard when their lots were made, so both are at work.
    let first = send_all(&engine, &flood, &mut of_flood);
    assert_eq!(first.len(), CONTENDED / usize::from(BATCH), "what nobody uses may be taken");
    let own = send_all(&engine, &north, &mut of_north);
    assert_eq!(own.len(), CONTENDED / 2 / usize::from(BATCH), "a share is there all the same");
    assert!(matches!(send(&engine, &flood, of_flood), Err(CommandError::Overloaded)));
    for done in first.into_iter().chain(own) {
        let done = done.ok().unwrap().await.unwrap();
        assert_eq!(done.accepted + done.unchanged, u32::from(BATCH), "{done:?}");
    }
    assert!(send(&engine, &flood, of_flood).is_ok(), "and it is given back");
    engine.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_tenant_alone_has_nearly_all_and_leaves_something_to_the_next() {
    let engine = engine().await;
    let flood = lot_of(&engine, "flood").await;
    let mut numbers = 0;
    let all = send_all(&engine, &flood, &mut numbers);
    assert_eq!(all.len(), (PERMITS - CONTENDED) / usize::from(BATCH));
    for done in all {
        done.ok().unwrap().await.unwrap();
    }
    engine.shutdown(Duration::from_secs(10)).await;
}

/// Slots of a lot, all of them in one batch.
const MANY: u16 = 1_000;

fn all_of_them(nth: u64) -> Vec<SlotReading> {
    let at = START.plus(Seconds(1));
    (0..MANY).map(|slot| reading(slot, true, at, nth)).collect()
}

#[tokio::test]
async fn a_large_batch_lets_others_have_their_turn() {
    let engine = engine_for(3 * usize::from(MANY)).await;
    let lot = large_lot_of(&engine, "flood", u128::from(MANY)).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counting.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    // A thousand actors that have just begun stand in front of it.
    while turns.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    let before = turns.load(Ordering::Relaxed);
    let done = engine.readings_in_parts(&lot, all_of_them(1), None).await.unwrap();
    let turns = turns.load(Ordering::Relaxed) - before;
    assert!(turns >= 5, "{turns} turns of another while {MANY} readings were sent");
    assert_eq!(done.await.unwrap().accepted, u32::from(MANY));
    other.abort();
    engine.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn who_goes_amid_a_batch_has_sent_all_of_it() {
    let engine = engine_for(3 * usize::from(MANY)).await;
    let lot = large_lot_of(&engine, "flood", u128::from(MANY)).await;
    {
        let sent = engine.readings_in_parts(&lot, all_of_them(1), None);
        let mut sent = std::pin::pin!(sent);
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(sent.as_mut().poll(&mut nobody).is_pending(), "it is sent in parts");
    }
    let again = engine.readings(&lot, all_of_them(1), None).unwrap().await.unwrap();
    assert_eq!((again.accepted, again.duplicate), (0, u32::from(MANY)));
    engine.shutdown(Duration::from_secs(10)).await;
}
