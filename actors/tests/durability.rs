//! What was answered is durable, is seen by the next read, and is there after a restart.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;
#[path = "common/hooked.rs"]
mod hooked;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{
    START, cancel, command, create, options, reading, reserve, start, start_with, window,
};
use hooked::{engine_over, gate};
use lotkeeper_actors::{CatchUp, Clock, CommandError, Options};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{Choice, Rejection};
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::{Claim, ClaimKey, JournalError, MemoryStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_seen_by_the_next_read_and_survives_a_power_cut() {
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let lot = create(&engine, "L1", 3).await;
    let done =
        engine.readings(&lot, vec![reading(1, true, START, 1)], None).unwrap().await.unwrap();
    assert_eq!((done.accepted, done.lot_seq), (1, 2));
    assert_eq!(lot.view().status(SlotIndex(1)), Status::Occupied);

    // Dropped without a shutdown: what a crash leaves.
    drop(engine);
    store.power_cut();
    let engine = start(&store, &clock).await;
    let lot = engine.lot("default", "L1").unwrap();
    assert_eq!(lot.view().status(SlotIndex(1)), Status::Occupied);
    assert_eq!(lot.view().lot_seq, 2);
    assert!(lot.view().broken().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ring_is_refilled_so_that_a_reader_resumes_after_a_restart() {
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let lot = create(&engine, "L1", 1).await;
    for step in 0..10_u16 {
        let observed = START.plus(Seconds(u32::from(step)));
        clock.advance(1);
        let occupied = step % 2 == 0;
        engine
            .readings(&lot, vec![reading(0, occupied, observed, 0)], None)
            .unwrap()
            .await
            .unwrap();
    }
    engine.shutdown(Duration::from_secs(5)).await;
    let engine = start(&store, &clock).await;
    let lot = engine.lot("default", "L1").unwrap();
    let CatchUp::Batches(batches) = lot.ring().after(4, 100) else { panic!("the ring has it") };
    let seqs: Vec<u64> = batches.iter().flat_map(|b| b.changes.iter().map(|c| c.seq)).collect();
    assert_eq!(seqs, (5..=11).collect::<Vec<_>>());
    assert_eq!(batches.last().unwrap().changes[0].slot, Some((SlotIndex(0), Status::Free)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_answers_again_after_a_crash_and_refuses_another_body() {
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let lot = create(&engine, "L1", 1).await;
    let claim = Claim { key: ClaimKey(9), fingerprint: 1 };
    let wanted = reserve(5, Choice::Slot(SlotIndex(0)), window(3_600, 7_200), None);
    let first = engine.command(&lot, wanted.clone(), Some(claim)).unwrap().await.unwrap();
    assert!(!first.repeated);
    drop(engine);
    store.power_cut();

    let engine = start(&store, &clock).await;
    let lot = engine.lot("default", "L1").unwrap();
    let again = engine.command(&lot, wanted.clone(), Some(claim)).unwrap().await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.answer, again.lot_seq), (first.answer, first.lot_seq));
    assert_eq!(lot.view().lot_seq, first.lot_seq, "the effect is there once");
    let other = Claim { fingerprint: 2, ..claim };
    let reused = engine.command(&lot, wanted, Some(other)).err();
    assert!(matches!(reused, Some(CommandError::KeyReused)), "{reused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_releases_its_key_and_is_decided_afresh() {
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let lot = create(&engine, "L1", 1).await;
    let slot = Choice::Slot(SlotIndex(0));
    command(&engine, &lot, reserve(1, slot, window(0, 600), None)).await.unwrap();
    let claim = Some(Claim { key: ClaimKey(9), fingerprint: 1 });
    let wanted = reserve(2, slot, window(0, 600), None);
    let refused = engine.command(&lot, wanted.clone(), claim).unwrap().await;
    assert!(matches!(refused, Err(CommandError::Rejected(Rejection::SlotTaken { .. }))));
    command(&engine, &lot, common::cancel(1)).await.unwrap();
    let granted = engine.command(&lot, wanted, claim).unwrap().await.unwrap();
    assert!(!granted.repeated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_in_flight_is_in_progress_and_a_durable_one_is_taken() {
    let (go, hook) = gate();
    let engine = engine_over(hook, options(&Arc::default())).await;
    go.send(()).unwrap();
    let lot = create(&engine, "L1", 2).await;
    let wanted = |slot| reserve(7, Choice::Slot(SlotIndex(slot)), window(3_600, 7_200), None);
    let first = engine.command(&lot, wanted(0), None).unwrap();
    let again = engine.command(&lot, wanted(1), None).err();
    assert!(matches!(again, Some(CommandError::RequestInProgress)), "{again:?}");
    go.send(()).unwrap();
    first.await.unwrap();
    let later = engine.command(&lot, wanted(1), None).err();
    assert!(matches!(later, Some(CommandError::Rejected(Rejection::IdTaken))), "{later:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lot_code_is_taken_once_whatever_the_race() {
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let attempts = (0..16).map(|_| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.create_lot(common::spec("L1", 2), None).await.is_ok() })
    });
    let mut created = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        created += u32::from(attempt.await.unwrap());
    }
    assert_eq!(created, 1);
    assert_eq!(engine.lots("default").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_engine_lets_go_of_its_directory() {
    let data = tempfile::tempdir().unwrap();
    let options = || lotkeeper_storage::Options {
        data_dir: data.path().join("data"),
        ..lotkeeper_storage::Options::default()
    };
    for round in 0..10_u64 {
        let opened = lotkeeper_storage::SledJournal::open(options());
        let (journal, recovery) = opened.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let clock = Clock::manual(START);
        let engine =
            start_with(Box::new(journal), recovery, &clock, common::options(&Arc::default())).await;
        create(&engine, &format!("L{round}"), 50).await;
        assert_eq!(engine.seq(), round + 1);
        engine.shutdown(Duration::from_secs(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lot_id_is_taken_once_across_tenants() {
    let (store, clock) = (MemoryStore::default(), Clock::manual(START));
    let engine = start(&store, &clock).await;
    let lot = create(&engine, "L1", 1).await;
    let mut other = common::spec("L1", 1);
    other.tenant = "other".into();
    let refused = engine.create_lot(other, None).await.err();
    assert!(matches!(refused, Some(CommandError::Rejected(Rejection::IdTaken))), "{refused:?}");
    assert_eq!(engine.lots("other").len(), 0);
    assert_eq!(engine.lot("default", &lot.id().to_string()).unwrap().code(), "L1");
}

/// Whoever asks more than the permits allow is told so at once; reads and the clock do not wait for the disk;
/// what was taken is answered when the disk is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_hangs_holds_up_writes_alone() {
    // One tenant alone may have half of so few.
    let options = Options { permits_records: 4, ..options(&Arc::default()) };
    let (go_on, hook) = gate();
    let engine = engine_over(hook, options).await;
    go_on.send(()).unwrap();
    let lot = create(&engine, "L1", 4).await;
    // From here on the disk hangs.
    let sent = |slot| engine.readings(&lot, vec![reading(slot, true, START, 1)], None);
    let waiting = [sent(0).unwrap(), sent(1).unwrap()];
    assert!(matches!(sent(2).err(), Some(CommandError::Overloaded)));
    assert!(matches!(command(&engine, &lot, cancel(1)).await, Err(CommandError::Overloaded)));
    assert_eq!((lot.view().lot_seq, engine.ready()), (1, Ok(())), "reads go on, and the probe");
    // One commit or two: whatever had come in when the first one began.
    (0..2).for_each(|_| go_on.send(()).unwrap());
    for answer in waiting {
        assert_eq!(answer.await.unwrap().accepted, 1);
    }
    go_on.send(()).unwrap();
    assert_eq!(sent(2).unwrap().await.unwrap().accepted, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_is_an_unknown_outcome_shows_nothing_and_ends_the_process() {
    let failed = Arc::new(AtomicBool::new(false));
    let mut commits = 0;
    let dies_at_the_second = move || {
        commits += 1;
        match commits {
            2 => Err(JournalError::Poisoned { cause: "the test's disk died".to_owned() }),
            _ => Ok(()),
        }
    };
    let engine = engine_over(Box::new(dies_at_the_second), options(&failed)).await;
    let lot = create(&engine, "L1", 1).await;
    let answer = engine.readings(&lot, vec![reading(0, true, START, 1)], None).unwrap().await;
    assert!(matches!(answer, Err(CommandError::OutcomeUnknown)), "{answer:?}");
    assert_eq!(
        lot.view().status(SlotIndex(0)),
        Status::Unknown,
        "what is not durable is not shown"
    );
    let later = engine.readings(&lot, vec![reading(0, true, START, 2)], None).err();
    assert!(matches!(later, Some(CommandError::OutcomeUnknown)), "{later:?}");
    // The callback runs after the callers were answered: wait for the thread, not for a time.
    while !failed.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}
