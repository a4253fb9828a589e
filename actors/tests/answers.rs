//! What an answer shows when many commands share a commit: the lot as it was at the command's own place.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;
#[path = "common/hooked.rs"]
mod hooked;

use std::sync::Arc;

use common::{cancel, confirm, create, options, reserve, window};
use hooked::{engine_over, gate};
use lotkeeper_actors::Done;
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{Choice, State};
use lotkeeper_storage::{Claim, ClaimKey, ClaimOutcome};

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
