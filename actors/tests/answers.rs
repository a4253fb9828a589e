//! What an answer shows when many commands share a commit: the lot as it was at the command's own place.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;
#[path = "common/hooked.rs"]
mod hooked;

use std::sync::Arc;

use common::{START, cancel, confirm, create, options, reserve, start, window};
use hooked::{engine_over, gate};
use lotkeeper_actors::{Clock, Done};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{Choice, State};
use lotkeeper_storage::{Claim, ClaimKey, ClaimOutcome, MemoryStore};

fn state_of(done: &Done) -> State {
    let ClaimOutcome::Reservation(reservation) = &done.answer else { panic!("{done:?}") };
    reservation.state
}

/// A confirmation of what is confirmed has no record of its own; a cancellation behind it in the same commit must
/// not be what it shows: no order of the two would answer so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_record_is_not_of_a_later_command() {
    let (go, hook) = gate();
    let engine = engine_over(hook, options(&Arc::default())).await;
    // One for the lot, one for the reservation.
    go.send(()).unwrap();
    go.send(()).unwrap();
    let lot = create(&engine, "L1", 2).await;
    let slot = |slot| Choice::Slot(SlotIndex(slot));
    let wanted = |id, slot| reserve(id, slot, window(3_600, 7_200), None);
    let made = engine.command(&lot, wanted(1, slot(0)), None).unwrap().await.unwrap();
    // While this one's commit waits, the next two gather for the commit after it.
    let other = engine.command(&lot, wanted(2, slot(1)), None).unwrap();
    let again = engine.command(&lot, confirm(1), None).unwrap();
    let given_up = engine.command(&lot, cancel(1), None).unwrap();
    go.send(()).unwrap();
    other.await.unwrap();
    go.send(()).unwrap();
    let (again, given_up) = (again.await.unwrap(), given_up.await.unwrap());
    assert_eq!(state_of(&again), State::Confirmed, "{again:?}");
    assert_eq!(again.lot_seq, made.lot_seq + 1, "the other's, which it waited for");
    assert_eq!(state_of(&given_up), State::Cancelled, "{given_up:?}");
    assert_eq!(given_up.lot_seq, made.lot_seq + 2);
}

/// What changed nothing keeps no key, also when its answer waited behind a commit: the same again is decided afresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_record_leaves_its_key_free() {
    let (go, hook) = gate();
    let engine = engine_over(hook, options(&Arc::default())).await;
    (0..2).for_each(|_| go.send(()).unwrap());
    let lot = create(&engine, "L1", 2).await;
    let wanted = |id, slot| reserve(id, Choice::Slot(SlotIndex(slot)), window(3_600, 7_200), None);
    engine.command(&lot, wanted(1, 0), None).unwrap().await.unwrap();
    let other = engine.command(&lot, wanted(2, 1), None).unwrap();
    let claim = Some(Claim { key: ClaimKey(9), fingerprint: 1 });
    let first = engine.command(&lot, confirm(1), claim).unwrap();
    drop(go);
    other.await.unwrap();
    assert!(!first.await.unwrap().repeated);
    let again = engine.command(&lot, confirm(1), claim);
    let again = again.unwrap_or_else(|error| panic!("{error}")).await.unwrap();
    assert_eq!((state_of(&again), again.repeated), (State::Confirmed, false));
}

/// The same when something overdue came first: it is nobody's, so it keeps nobody's key, though it is of the same reservation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_overdue_keeps_no_key() {
    let clock = Clock::manual(START);
    let engine = start(&MemoryStore::default(), &clock).await;
    let lot = create(&engine, "L1", 1).await;
    let wanted = reserve(1, Choice::Slot(SlotIndex(0)), window(3_600, 7_200), None);
    let made = engine.command(&lot, wanted, None).unwrap().await.unwrap();
    // The hold became visible half an hour before its window.
    clock.advance(1_801);
    let claim = Some(Claim { key: ClaimKey(9), fingerprint: 1 });
    let confirmed = async || engine.command(&lot, confirm(1), claim).unwrap().await.unwrap();
    let first = confirmed().await;
    assert_eq!((first.lot_seq, first.repeated), (made.lot_seq + 1, false), "{first:?}");
    let again = confirmed().await;
    assert_eq!((again.lot_seq, again.repeated), (first.lot_seq, false), "{again:?}");
}
