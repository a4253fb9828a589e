//! What an answer shows when many commands share a commit: the lot as it was at the command's own place.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;
#[path = "common/hooked.rs"]
mod hooked;

use std::sync::Arc;

use common::{START, cancel, confirm, create, options, reserve, start_with, window};
use hooked::Hooked;
use lotkeeper_actors::{Clock, Done};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{Choice, State};
use lotkeeper_storage::{ClaimOutcome, MemoryJournal, MemoryStore};

fn state_of(done: &Done) -> State {
    let ClaimOutcome::Reservation(reservation) = &done.answer else { panic!("{done:?}") };
    reservation.state
}

/// A confirmation of what is confirmed has no record of its own; a cancellation behind it in the same commit must
/// not be what it shows: no order of the two would answer so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_record_is_not_of_a_later_command() {
    let (journal, recovery) = MemoryJournal::open(MemoryStore::default());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let dawdles = move || {
        wait.recv().unwrap();
        Ok(())
    };
    let journal = Box::new(Hooked(journal, Box::new(dawdles)));
    let clock = Clock::manual(START);
    let engine = start_with(journal, recovery, &clock, options(&Arc::default())).await;
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
    drop(go);
}
