//! The history of a running engine: lists join what it has with what lots know, whatever stands in its way.
//!
//! Deliberately absent: what its database says and how it lies on the disk, which storage tests by itself.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::{START, options, start_with};
use lotkeeper_actors::{Clock, Engine, LotHandle, Options};
use lotkeeper_engine::ids::{Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::limits::ENDED_RESERVATIONS_KEPT_PER_LOT;
use lotkeeper_engine::lot::{Caller, Choice, Command, Reservation, Reserve};
use lotkeeper_engine::time::{Seconds, Window};
use lotkeeper_storage::history::{self, Phase, Query};
use lotkeeper_storage::{MemoryJournal, MemoryStore};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(10);
/// Commands under way together; fewer than there are permits.
const AT_ONCE: usize = 64;

fn with_history(dir: &Path) -> Options {
    let beside = history::Options { cache_bytes: 4 * 1024 * 1024, ..history::Options::beside(dir) };
    Options { history: Some(beside), ..options(&Arc::<AtomicBool>::default()) }
}

async fn started(store: &MemoryStore, options: Options) -> (Engine, LotHandle) {
    let (journal, recovery) = MemoryJournal::open(store.clone());
    let clock = Clock::manual(START);
    let engine = start_with(Box::new(journal), recovery, &clock, options).await;
    if engine.lot("default", "L1").is_none() {
        common::create(&engine, "L1", 8).await;
    }
    let lot = engine.lot("default", "L1").unwrap();
    (engine, lot)
}

fn tables_of(history: &Path) -> Vec<PathBuf> {
    let of = |dir: &Path| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    of(history).flat_map(|tree| of(&tree.join("tables")).collect::<Vec<_>>()).collect()
}

fn id(number: u128) -> ReservationId {
    ReservationId(Uuid::from_u128(0x70_0000 + number))
}

fn holder(number: u128) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0x40_0000 + number % 3))
}

fn reserving(number: u128) -> Command {
    let hour = u32::try_from(number / 8).unwrap();
    let from = START.plus(Seconds(3_600 * (hour % 200 + 1)));
    Command::Reserve(Reserve {
        id: id(number),
        choice: Choice::Slot(SlotIndex(u16::try_from(number % 8).unwrap())),
        window: Window { from, to: from.plus(Seconds(3_600)) },
        hold: None,
        holder: holder(number),
        vehicle: None,
        vehicle_type: None,
        discounts: Box::default(),
        series: None,
        request: None,
    })
}

fn cancelling(number: u128) -> Command {
    Command::Cancel { id: id(number), reason: None, by: Caller::Staff }
}

async fn reserve(engine: &Engine, lot: &LotHandle, number: u128) {
    engine.command(lot, reserving(number), None).unwrap().await.unwrap();
}

async fn cancel(engine: &Engine, lot: &LotHandle, number: u128) {
    engine.command(lot, cancelling(number), None).unwrap().await.unwrap();
}

/// Commands in their order, all of them under way before the first answer.
async fn all_at_once(engine: &Engine, lot: &LotHandle, commands: Vec<Command>) {
    let sent: Vec<_> =
        commands.into_iter().map(|command| engine.command(lot, command, None).unwrap()).collect();
    for answer in sent {
        answer.await.unwrap();
    }
}

/// All pages, in order.
fn all(engine: &Engine, mut query: Query<Reservation>) -> Vec<(ReservationId, Phase)> {
    let mut all = Vec::new();
    loop {
        let listing = engine.history().list(&query).unwrap();
        assert!(listing.items.len() <= query.limit);
        all.extend(listing.items.iter().map(|item| (item.document.id, item.document.state.into())));
        match listing.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

async fn caught_up(engine: &Engine) {
    let deadline = Instant::now() + PATIENCE;
    while engine.history().applied_seq() < engine.seq() {
        assert!(Instant::now() < deadline, "the history stays behind");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_one_comes_once_whether_lot_or_history_knows_it() {
    let (store, dir) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let (engine, lot) = started(&store, with_history(dir.path())).await;
    let everything = Query::<Reservation>::of("default", 7);
    for number in 0..60 {
        reserve(&engine, &lot, number).await;
        if number % 3 == 0 {
            cancel(&engine, &lot, number).await;
        }
        // At whatever the history has by now.
        let mut found: Vec<_> = all(&engine, everything.clone());
        found.sort_by_key(|(id, _)| *id);
        let state = |number| if number % 3 == 0 { Phase::Cancelled } else { Phase::Confirmed };
        let wanted: Vec<_> = (0..=number).map(|number| (id(number), state(number))).collect();
        assert_eq!(found, wanted, "after {number}");
    }
    let cancelled = Query { states: vec![Phase::Cancelled], ..everything.clone() };
    assert_eq!(all(&engine, cancelled).len(), 20);
    let own = Query { holder: Some(holder(1)), ..everything.clone() };
    assert_eq!(all(&engine, own.clone()).len(), 20);
    caught_up(&engine).await;
    assert_eq!(all(&engine, own).len(), 20);
    assert_eq!(all(&engine, Query::<Reservation>::of("another", 7)), []);
    engine.shutdown(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_lot_has_forgotten_is_found() {
    let (store, dir) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let (engine, lot) = started(&store, with_history(dir.path())).await;
    let many = ENDED_RESERVATIONS_KEPT_PER_LOT as u128 + 20;
    // Together: one by one, each would wait for a commit and a turn of three threads.
    let numbers: Vec<u128> = (0..many).collect();
    for numbers in numbers.chunks(AT_ONCE) {
        let reserved = numbers.iter().map(|number| reserving(*number)).collect();
        all_at_once(&engine, &lot, reserved).await;
        let cancelled = numbers.iter().map(|number| cancelling(*number)).collect();
        all_at_once(&engine, &lot, cancelled).await;
    }
    assert!(lot.view().lot.reservation(id(0)).is_none(), "the lot remembers it");
    caught_up(&engine).await;
    let found = engine.history().reservation("default", id(0)).unwrap().unwrap();
    assert_eq!(found.document.id, id(0));
    assert!(engine.history().reservation("another", id(0)).unwrap().is_none());
    let everything = all(&engine, Query::<Reservation>::of("default", 500));
    assert_eq!(everything.len() as u128, many);
    engine.shutdown(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_goes_on_with_it_or_makes_it_anew() {
    let (store, dir) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let everything = Query::<Reservation>::of("default", 9);
    let mut wanted = Vec::new();
    for start in 0..4_u128 {
        let (engine, lot) = started(&store, with_history(dir.path())).await;
        for number in 20 * start..20 * start + 20 {
            reserve(&engine, &lot, number).await;
        }
        caught_up(&engine).await;
        let found = all(&engine, everything.clone());
        assert_eq!(found.len() as u128, 20 * start + 20);
        assert!(found.starts_with(&wanted), "what was is as it was");
        wanted = found;
        let seq = engine.seq();
        engine.shutdown(PATIENCE).await;
        drop((engine, lot));
        match start {
            // Nothing happens: the next start has nothing to read.
            0 => {}
            1 => std::fs::remove_dir_all(dir.path().join("history")).unwrap(),
            _ => {
                let tables = tables_of(&dir.path().join("history"));
                assert!(!tables.is_empty());
                for table in tables {
                    std::fs::write(table, vec![0xA5; 10_000]).unwrap();
                }
            }
        }
        assert!(seq > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_history_lists_have_what_lots_remember() {
    let store = MemoryStore::default();
    let (engine, lot) = started(&store, options(&Arc::<AtomicBool>::default())).await;
    for number in 0..30 {
        reserve(&engine, &lot, number).await;
    }
    let listing = engine.history().list(&Query::<Reservation>::of("default", 50)).unwrap();
    assert_eq!((listing.items.len(), listing.as_of_seq), (30, 0));
    assert!(engine.history().meta().is_none());
    engine.shutdown(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_where_it_cannot_lie_stops_nobody() {
    let (store, dir) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("history"), b"a file").unwrap();
    let (engine, lot) = started(&store, with_history(dir.path())).await;
    reserve(&engine, &lot, 1).await;
    let listing = engine.history().list(&Query::<Reservation>::of("default", 50)).unwrap();
    assert_eq!((listing.items.len(), listing.as_of_seq), (1, 0));
    engine.shutdown(PATIENCE).await;
}
