//! Format 3 of frames and format 2 of snapshots, byte by byte: stays, money, violations, passes, tariffs, shifts and
//! the waiting list; and a journal of all of them, which replays to one state for ever.
//!
//! As in `format_3.rs`: the files are never made anew once they were released, and a change that this test refuses is
//! a new format. A variant that comes later gets a fixture of its own; it does not go into these. The story was
//! written by the engine of 2026-11-22, command by command; another engine may decide otherwise today, but what
//! was decided is read as it was.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;
#[path = "common/kept.rs"]
mod kept;
#[path = "common/samples.rs"]
mod samples;
#[path = "common/snapshots.rs"]
mod snapshots;
#[path = "common/stays.rs"]
mod stays;
#[path = "common/story.rs"]
mod story;

use std::sync::Arc;

use common::{Author, by};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::invariants;
use lotkeeper_engine::lot::payment::{Method, State as Paid};
use lotkeeper_engine::lot::session::State as Stay;
use lotkeeper_engine::lot::violation::State as Fine;
use lotkeeper_engine::lot::waiting::State as Waits;
use lotkeeper_engine::lot::{Account, Lot, pass};
use lotkeeper_engine::money::Amount;
use lotkeeper_storage::format::{decode_snapshot, encode_snapshot};
use samples::{assert_bytes, bytes_of, hex_of, read, written};

const COMMIT: &str = include_str!("fixtures/format-3/stays.hex");
const SNAPSHOT: &str = include_str!("fixtures/format-3/stays-snapshot.hex");
const STORY: &str = include_str!("fixtures/format-3/story.hex");
const STORY_SNAPSHOT: &str = include_str!("fixtures/format-3/story-snapshot.hex");

#[test]
fn commits_with_stays_and_money_are_read_and_written() {
    let commit = stays::commit(by);
    assert_bytes(&written(std::slice::from_ref(&commit)), COMMIT);
    assert_eq!(read(&bytes_of(COMMIT)), [commit]);
}

#[test]
fn snapshots_with_stays_and_money_are_read_and_written() {
    let snapshot = kept::snapshot(snapshots::snapshot());
    let mut written = Vec::new();
    encode_snapshot(&snapshot, &mut written).unwrap();
    assert_bytes(&written, SNAPSHOT);
    assert_eq!(decode_snapshot(&bytes_of(SNAPSHOT)).unwrap(), snapshot);
}

/// With `LOTKEEPER_PRINT_FIXTURES` it prints its bytes, for a format that is not released yet.
#[test]
fn the_story_is_told_by_the_engine_of_today_and_comes_back() {
    let told = story::story();
    let bytes = written(&told.commits);
    assert_eq!(read(&bytes), told.commits);
    let mut snapshot = Vec::new();
    encode_snapshot(&told.author.snapshot(LotKey(0)), &mut snapshot).unwrap();
    if std::env::var("LOTKEEPER_PRINT_FIXTURES").is_ok() {
        println!("story.hex\n{}story-snapshot.hex\n{}", hex_of(&bytes), hex_of(&snapshot));
    }
}

/// How many of a kind are in which state.
fn count<T: PartialEq>(states: impl Iterator<Item = T>, wanted: &T) -> usize {
    states.filter(|state| state == wanted).count()
}

fn balance(lot: &Lot, account: &Account) -> i64 {
    lot.accounts().balance(account).0
}

#[test]
fn the_story_of_a_lot_is_replayed_to_the_same_state_for_ever() {
    let commits = read(&bytes_of(STORY));
    let mut author = Author::new();
    for record in commits.iter().flatten() {
        author.apply(record);
        author.seq = record.seq;
    }
    let lot = &author.lots[&LotKey(0)].lot;
    let mut written = Vec::new();
    encode_snapshot(&author.snapshot(LotKey(0)), &mut written).unwrap();
    assert_bytes(&written, STORY_SNAPSHOT);
    assert_eq!(invariants::check_lot(lot), []);

    let stays = || lot.stays().all().map(|stay| stay.state);
    assert_eq!(count(stays(), &Stay::Left), 2);
    assert_eq!(count(stays(), &Stay::Abandoned), 1);
    let payments = || lot.payments().all().map(|payment| payment.state);
    assert_eq!(count(payments(), &Paid::Captured), 3);
    assert_eq!(count(payments(), &Paid::PartlyRefunded), 1);
    assert_eq!(count(payments(), &Paid::Failed), 1);
    let fines = || lot.violations().all().map(|violation| violation.state);
    assert_eq!((count(fines(), &Fine::Paid), count(fines(), &Fine::Waived)), (1, 1));
    let waiters = || lot.waiting().all().map(|waiter| waiter.state);
    assert_eq!(count(waiters(), &Waits::Offered), 1);
    assert_eq!((count(waiters(), &Waits::Left), count(waiters(), &Waits::RanOut)), (1, 1));
    let shift: Vec<_> = lot.shifts().all().map(Arc::as_ref).collect();
    assert_eq!(shift.len(), 1);
    assert_eq!(shift[0].difference(), Some(Amount(-100)));
    let passes: Vec<_> = lot.passes().all().map(|it| (it.state, it.used.entries)).collect();
    assert_eq!(passes, [(pass::State::Ended, 1)]);
    let cash = balance(lot, &Account::Received(Method::Cash));
    assert_eq!(cash, shift[0].expected().0 - shift[0].float.0);
    assert_eq!(lot.accounts().balances().map(|(_, amount)| amount.0).sum::<i64>(), 0);
}
