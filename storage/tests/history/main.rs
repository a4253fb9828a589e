//! The history: it says what the lots know, however it came to be, and goes on or begins anew after whatever
//! happened to it. Deliberately absent: the thread that follows, and lists that lots have a part in, which are
//! tested with the running engine.
#![allow(clippy::unwrap_used)] // tests state what they expect

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod queries;
mod town;

use std::path::{Path, PathBuf};

use common::{Author, copy_dir};
use lotkeeper_storage::history::{History, Options, Stamp};
use lotkeeper_storage::{
    Journal, JournalError, LotSnapshot, MemoryJournal, MemoryStore, Reader, Record,
};
use std::sync::Arc;
use town::{A, B, Town, told};

const EPOCH: u64 = 77;

fn options(dir: &Path) -> Options {
    Options { dir: dir.join("history"), cache_bytes: 4 * 1024 * 1024, open_seconds_max: 60 }
}

fn opened(dir: &Path, log: &Log) -> History {
    History::open(options(dir), &*log.reader, (EPOCH, log.last_seq)).unwrap()
}

/// Every file below a directory, in order of name.
fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_of(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// A log in memory.
struct Log {
    store: MemoryStore,
    reader: Arc<dyn Reader>,
    last_seq: u64,
}

fn log_of(records: &[Record]) -> Log {
    let store = MemoryStore::default();
    let (mut journal, _) = MemoryJournal::open(store.clone());
    records.chunks(97).for_each(|commit| journal.commit(commit).unwrap());
    Log { store, reader: journal.reader(), last_seq: records.last().map_or(0, |last| last.seq) }
}

/// Prunes as a server does whose lots have snapshots.
fn prune(log: &Log, town: &Town, seq: u64) {
    let (mut journal, _) = MemoryJournal::open(log.store.clone());
    for older in [1, 0] {
        for lot in town.author.lots.keys() {
            let snapshot = town.author.snapshot(*lot);
            journal.save_snapshot(&LotSnapshot { seq: snapshot.seq - older, ..snapshot }).unwrap();
        }
    }
    journal.sync().unwrap();
    log.store.prune(seq);
}

/// Brings a history along, in pages of so many records; begins anew when it finds damage.
fn follow(history: &History, log: &Log, page: usize) {
    while history.meta().applied_seq < log.last_seq || history.is_damaged() {
        if history.is_damaged() {
            history.rebuild(&*log.reader).unwrap();
            continue;
        }
        let records = log.reader.after(history.meta().applied_seq, page).unwrap().records;
        match history.take(&records, records.last().unwrap().seq, &|_| None) {
            Ok(()) => {}
            Err(JournalError::Damaged { .. }) => assert!(history.is_damaged()),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn it_says_what_the_lots_know() {
    let town = Town::of(3_000);
    let log = log_of(&town.records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    follow(&history, &log, 500);
    let mut compared = 0;
    for state in town.author.lots.values() {
        let parts = state.lot.parts();
        for session in &parts.sessions {
            let found = history.session("city", session.id).unwrap().unwrap();
            assert_eq!(found.document, *session);
            assert!(history.session("village", session.id).unwrap().is_none(), "another tenant's");
            compared += 1;
        }
        for reservation in &parts.reservations {
            let found = history.reservation("city", reservation.id).unwrap().unwrap();
            assert_eq!(found.document, *reservation);
            compared += 1;
        }
        for payment in &parts.payments {
            let found = history.payments_of(payment.about).unwrap();
            assert!(found.iter().any(|found| found.document == *payment));
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared} compared");
    let postings: usize =
        town.postings.iter().map(|about| history.postings_of(*about).unwrap().len()).sum();
    assert!(postings >= town.postings.len(), "{postings} postings");
}

#[test]
fn made_anew_it_answers_as_it_did_when_it_followed() {
    let town = Town::of(800);
    let log = log_of(&town.records);
    let mut answers = Vec::new();
    for page in [5, 64, 100_000] {
        let dir = tempfile::tempdir().unwrap();
        let history = opened(dir.path(), &log);
        follow(&history, &log, page);
        answers.push(told(&history, &town));
        history.rebuild(&*log.reader).unwrap();
        assert_eq!(history.meta().applied_seq, 0);
        follow(&history, &log, 1_000);
        answers.push(told(&history, &town));
    }
    assert!(answers[0].len() > 50_000, "{} bytes", answers[0].len());
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn it_goes_on_where_a_kill_left_it() {
    let town = Town::of(1_000);
    let log = log_of(&town.records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    follow(&history, &log, 500);
    let wanted = told(&history, &town);
    drop(history);
    for kill in 0..8_u64 {
        let dir = tempfile::tempdir().unwrap();
        let history = opened(dir.path(), &log);
        let half = Log { last_seq: 150 + 110 * kill, ..log_of(&town.records) };
        follow(&history, &half, 50);
        let seen = history.meta().applied_seq;
        match kill % 2 {
            0 => history.flush().unwrap(),
            _ => assert!(history.flushed_seq() < seen, "so much is not written after every page"),
        }
        let flushed = history.flushed_seq();
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let again = opened(copy.path(), &log);
        let applied = again.meta().applied_seq;
        assert_eq!(applied, flushed, "it says how far it would be");
        assert!(kill % 2 == 1 || applied >= half.last_seq, "{applied} of {}", half.last_seq);
        follow(&again, &log, 300);
        assert_eq!(told(&again, &town), wanted, "kill {kill}");
    }
}

#[test]
fn another_epoch_of_the_same_log_is_followed_and_another_log_is_not() {
    let town = Town::of(1_200);
    let log = log_of(&town.records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    follow(&history, &log, 400);
    history.flush().unwrap();
    drop(history);
    let reopened = |epoch, log: &Log| {
        History::open(options(dir.path()), &*log.reader, (epoch, log.last_seq)).unwrap()
    };
    let same = reopened(EPOCH + 1, &log);
    assert_eq!((same.meta().epoch, same.meta().applied_seq), (EPOCH + 1, log.last_seq));
    same.flush().unwrap();
    drop(same);
    let mut other = town.records.clone();
    for record in &mut other {
        record.at = lotkeeper_engine::time::Timestamp::from_micros(record.at.micros() + 1);
    }
    let other = log_of(&other);
    assert_eq!(reopened(EPOCH + 2, &other).meta().applied_seq, 0);
    // A log that ends before it, whatever its epoch.
    let history = opened(dir.path(), &log);
    follow(&history, &log, 400);
    history.flush().unwrap();
    drop(history);
    let short = log_of(&town.records[..1_000]);
    assert_eq!(reopened(EPOCH, &short).meta().applied_seq, 0);
}

#[test]
fn what_was_pruned_before_it_was_seen_is_said_and_taken_from_the_lots() {
    let town = Town::of(1_500);
    let log = log_of(&town.records);
    prune(&log, &town, 700);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    let (first, last) = history.meta().lacks;
    assert!(first == 1 && last > 500, "{first} to {last}");
    assert_eq!(history.meta().applied_seq, last);
    while history.meta().applied_seq < log.last_seq {
        let records = log.reader.after(history.meta().applied_seq, 300).unwrap().records;
        history.take(&records, records.last().unwrap().seq, &|lot| town.facts(lot)).unwrap();
    }
    for (lot, state) in &town.author.lots {
        let stamp = Stamp { lot: *lot, lot_seq: state.lot_seq, at: state.at };
        let parts = state.lot.parts();
        history.adopt(&parts, stamp, &|lot| town.facts(lot)).unwrap();
        for session in &parts.sessions {
            let found = history.session("city", session.id).unwrap().unwrap();
            assert_eq!(found.document, *session, "{lot:?}");
        }
    }
    history.flush().unwrap();
    drop(history);
    assert_eq!(opened(dir.path(), &log).meta().lacks, (first, last), "it does not forget that");
}

#[test]
fn a_gap_in_what_it_has_seen_is_said() {
    let town = Town::of(1_500);
    let log = log_of(&town.records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    let part = Log { last_seq: 300, ..log_of(&town.records) };
    follow(&history, &part, 100);
    let seen = history.meta().applied_seq;
    history.flush().unwrap();
    assert_eq!(history.flushed_seq(), seen);
    drop(history);
    prune(&log, &town, 900);
    let (first, last) = opened(dir.path(), &log).meta().lacks;
    assert_eq!(first, seen + 1);
    assert!(last > 800, "{last}");
}

#[test]
fn nobody_is_in_it_in_clear() {
    let town = Town::of(400);
    let log = log_of(&town.records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    follow(&history, &log, 100);
    history.flush().unwrap();
    // Pseudonyms are all there is of people in the records, so none of their texts can be in what is made of them.
    let files = files_of(&dir.path().join("history"));
    let all: Vec<u8> = files.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    for text in [&b"driver-7"[..], b"B-XY 123", b"DE/BXY123"] {
        assert!(!all.windows(text.len()).any(|bytes| bytes == text));
    }
    assert!(all.windows(4).any(|bytes| bytes == b"city"), "it is what was written");
}

/// A disk that takes nothing for a while: pages are refused whole, and all is there when it takes them again.
#[test]
fn what_cannot_be_flushed_is_not_half_taken() {
    let mut author = Author::new();
    let mut records = vec![author.created(A, 4), author.created(B, 4)];
    let long = "g".repeat(60_000);
    // More than is kept in memory.
    for number in 1..=600 {
        let id = town::session_id(number);
        records.push(author.record(A, town::entered(id, None, None, Some(&long))));
        records.push(author.record(A, town::left(id)));
    }
    let log = log_of(&records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    let (tables, aside) = (dir.path().join("history/tree-000001/tables"), dir.path().join("aside"));
    std::fs::rename(&tables, &aside).unwrap();
    std::fs::write(&tables, b"no directory").unwrap();
    let refused = loop {
        let page = log.reader.after(history.meta().applied_seq, 20).unwrap().records;
        if history.take(&page, page.last().unwrap().seq, &|_| None).is_err() {
            break page;
        }
    };
    assert_eq!(refused[0].seq, history.meta().applied_seq + 1);
    assert_eq!(history.flushed_seq(), 0);
    // Two records each, after the two of the lots.
    let next = town::session_id(u128::from(refused[0].seq) / 2);
    assert!(history.session("city", next).unwrap().is_none(), "nothing of that page was taken");
    std::fs::remove_file(&tables).unwrap();
    std::fs::rename(&aside, &tables).unwrap();
    follow(&history, &log, 20);
    for session in author.lots[&A].lot.stays().all() {
        assert_eq!(history.session("city", session.id).unwrap().unwrap().document, *session);
    }
}

#[test]
fn a_long_document_comes_back_and_shrinks() {
    let mut author = Author::new();
    let mut records = vec![author.created(A, 4), author.created(B, 4)];
    let long = "g".repeat(30_000);
    let id = town::session_id(1);
    records.push(author.record(A, town::entered(id, None, None, Some(&long))));
    records.push(author.record(A, town::left(id)));
    let log = log_of(&records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    follow(&history, &log, 1);
    let found = history.session("city", id).unwrap().unwrap();
    assert_eq!(found.document.entry_gate.as_deref(), Some(&*long));
    assert_eq!(found.document, *author.lots[&A].lot.stays().get(id).unwrap());
}
