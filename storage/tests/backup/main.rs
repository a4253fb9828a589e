//! Backups of the journal on disk: whole or refused, restored to any commit, taken while the log moves on.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

#[path = "../common/mod.rs"]
mod common;
mod forged;
mod refusals;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::channel;

use common::{Author, copy_dir};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::backup::{
    self, Backup, BackupError, Contents, OutOfReach, Restored, Site, Target,
};
use lotkeeper_storage::{
    EpochStory, Journal, JournalError, Options, PersonKind, SledJournal, check,
};

const A: LotKey = LotKey(0);
const B: LotKey = LotKey(1);
const TAKEN_AT: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn options(dir: &Path) -> Options {
    Options {
        data_dir: dir.to_path_buf(),
        cache_bytes: 8 * 1024 * 1024,
        rotate_bytes: u64::MAX,
        tip_interval_ms: 0,
        ..Options::default()
    }
}

/// Rotates whenever it may, and keeps no archive.
fn forgetful(dir: &Path) -> Options {
    Options { rotate_bytes: 1, archive_retention_seconds: 0, ..options(dir) }
}

/// A journal with records in an archive that it keeps.
fn rotated_twice(data: &Path) -> (SledJournal, Author) {
    let keeping = Options { rotate_bytes: 1, ..options(data) };
    let (mut journal, _) = SledJournal::open(keeping).unwrap();
    let mut author = Author::new();
    journal.commit(&[author.created(A, 40)]).unwrap();
    let mut rotations = 0;
    while rotations < 2 {
        journal.commit(&author.changes(A, 300)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        rotations += usize::from(journal.maintain().unwrap().rotated);
    }
    (journal, author)
}

fn bytes(backup: Backup) -> Vec<u8> {
    backup.map(Result::unwrap).collect::<Vec<_>>().concat()
}

fn inspect(bytes: &[u8], target: Target) -> Result<Contents, BackupError> {
    backup::inspect(bytes, "the backup", target, &mut |_, _| {})
}

fn restore(bytes: &[u8], data: &Path, target: Target) -> Result<Restored, BackupError> {
    let mut open = || Ok(Box::new(std::io::Cursor::new(bytes.to_vec())) as Box<dyn Read>);
    Site::new(data)?.restore(&mut open, "the backup", target, &mut |_, _| {})
}

/// The state of a directory as its server would have it.
fn state(data: &Path) -> (Author, u64) {
    let (_journal, recovery) = SledJournal::open(options(data)).unwrap();
    assert_eq!(recovery.report.ends_below_tip, None);
    let snapshots = recovery.snapshots.clone();
    let author = Author::resume(&snapshots, recovery.tail.map(Result::unwrap));
    (author, recovery.epoch)
}

/// A log of some commits with people and snapshots; what the state was after each commit.
fn written(journal: &mut SledJournal, commits: usize) -> Vec<Author> {
    let mut author = Author::new();
    let mut states = vec![];
    let vault = journal.vault();
    journal.commit(&[author.created(A, 30)]).unwrap();
    states.push(author.clone());
    journal.commit(&[author.created(B, 4)]).unwrap();
    states.push(author.clone());
    for commit in 0..commits {
        vault.intern("city", PersonKind::Vehicle, &format!("plate {commit}")).unwrap();
        let mut records = author.changes(A, 1 + commit * 7 % 40);
        records.push(author.reserved(
            B,
            u16::try_from(commit % 4).unwrap(),
            u32::try_from(commit).unwrap(),
        ));
        journal.commit(&records).unwrap();
        states.push(author.clone());
        if commit % 4 == 3 {
            journal.save_snapshot(&author.snapshot(A)).unwrap();
            journal.save_snapshot(&author.snapshot(B)).unwrap();
        }
    }
    journal.sync().unwrap();
    states
}

#[test]
fn a_restore_ends_at_the_commit_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, recovery) = SledJournal::open(options(dir.path())).unwrap();
    let states = written(&mut journal, 12);
    let last = states.last().unwrap().seq;
    let backup = bytes(journal.reader().backup(last, TAKEN_AT).unwrap());
    let contents = inspect(&backup, Target::Latest).unwrap();
    assert_eq!((contents.lots, contents.people, contents.records), (2, 12, last));
    assert_eq!(contents.earliest.unwrap().seq, 1, "nothing was pruned");
    assert_eq!((contents.header.epoch, contents.header.last_seq), (recovery.epoch, last));
    let (mut cut_short, mut before) = (0, 0);
    for (number, wanted) in states.iter().enumerate() {
        // The end of each commit, and one record before it: there it ends with the commit before.
        let asked = if number % 2 == 0 { wanted.seq } else { wanted.seq - 1 };
        let expected = states.iter().rev().find(|state| state.seq <= asked).unwrap();
        let contents = inspect(&backup, Target::Seq(asked)).unwrap();
        assert_eq!(contents.cut.end.seq, expected.seq, "{asked}");
        assert_eq!(contents.cut.records_left_out, last - expected.seq, "{asked}");
        cut_short += usize::from(expected.seq < asked);
        if number % 3 != 0 && expected.seq != last {
            continue;
        }
        let data = dir.path().join(format!("restored-{number}"));
        let restored = restore(&backup, &data, Target::Seq(asked)).unwrap();
        assert!(restored.check.is_clean());
        let report = check(&data).unwrap();
        assert!(report.is_clean() && report.notes.is_empty(), "{report}");
        let (found, epoch) = state(&data);
        assert_eq!((found.seq, found.states()), (expected.seq, expected.states()), "{asked}");
        assert_eq!(epoch, restored.epoch);
        assert_ne!(epoch, recovery.epoch, "a restore begins a new epoch");
        assert!(found.seq >= before, "later targets hold more");
        before = found.seq;
    }
    assert!(cut_short > 3, "some targets lie amid a commit");
}

#[test]
fn a_restore_to_an_instant_holds_nothing_later() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path())).unwrap();
    let states = written(&mut journal, 5);
    let last = states.last().unwrap();
    let backup = bytes(journal.reader().backup(last.seq, TAKEN_AT).unwrap());
    let at = |state: &Author| state.lots.values().map(|lot| lot.at).max().unwrap();
    for (state, next) in states.iter().zip(&states[1..]) {
        for instant in [at(state), Timestamp::from_micros(at(next).micros() - 1)] {
            let cut = inspect(&backup, Target::Time(instant)).unwrap().cut;
            assert_eq!((cut.end.seq, cut.end.at), (state.seq, at(state)), "{instant}");
            assert_eq!(cut.next.unwrap().at, at(next), "{instant}");
        }
    }
    // Between the last record and the backup nothing happened; after it nobody knows.
    assert_eq!(inspect(&backup, Target::Time(TAKEN_AT)).unwrap().cut.end.seq, last.seq);
    let later = Timestamp::from_micros(TAKEN_AT.micros() + 1);
    let too_late = |refused| {
        matches!(refused, Err(BackupError::OutOfReach { why: OutOfReach::TooLate { .. }, .. }))
    };
    assert!(too_late(inspect(&backup, Target::Time(later))));
    assert!(too_late(inspect(&backup, Target::Seq(last.seq + 1))));
    let early = Timestamp::from_micros(at(&states[0]).micros() - 1);
    let refused = inspect(&backup, Target::Time(early));
    assert!(
        matches!(refused, Err(BackupError::OutOfReach { why: OutOfReach::TooEarly { earliest }, .. }) if earliest.seq == 1)
    );
}

#[test]
fn people_come_back_and_nobody_is_known_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(&dir.path().join("a"))).unwrap();
    let states = written(&mut journal, 3);
    let find = |journal: &SledJournal, plate: &str| {
        journal.vault().find("city", PersonKind::Vehicle, plate).unwrap()
    };
    let known = find(&journal, "plate 1").unwrap();
    let erased = find(&journal, "plate 2").unwrap();
    assert!(journal.vault().erase(erased).unwrap());
    let backup = bytes(journal.reader().backup(states.last().unwrap().seq, TAKEN_AT).unwrap());
    let data = dir.path().join("b");
    restore(&backup, &data, Target::Latest).unwrap();
    let (mut again, recovery) = SledJournal::open(options(&data)).unwrap();
    assert_eq!(recovery.report.people, 2);
    assert_eq!(find(&again, "plate 1"), Some(known));
    assert_eq!(again.vault().reveal(known).unwrap().as_deref(), Some("plate 1"));
    assert_eq!(again.vault().reveal(erased).unwrap(), None, "who was erased stays so");
    let new = again.vault().intern("city", PersonKind::Vehicle, "plate 99").unwrap();
    let (mut author, _) = (states.last().unwrap().clone(), ());
    again.commit(&[author.changed(A, 1)]).unwrap();
    assert_eq!(again.vault().reveal(new).unwrap().as_deref(), Some("plate 99"));
}

/// Two full circles: the second backup is of what the first one made, with some work in between.
#[test]
fn a_restored_directory_is_backed_up_and_restored_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = dir.path().join("data-0");
    let (mut journal, recovery) = SledJournal::open(options(&data)).unwrap();
    let mut author = written(&mut journal, 6).pop().unwrap();
    let mut epochs = vec![recovery.epoch];
    drop(recovery);
    for circle in 1..=2 {
        let backup = bytes(journal.reader().backup(author.seq, TAKEN_AT).unwrap());
        data = dir.path().join(format!("data-{circle}"));
        let restored = restore(&backup, &data, Target::Latest).unwrap();
        assert!(!epochs.contains(&restored.epoch));
        epochs.push(restored.epoch);
        let (reopened, recovery) = SledJournal::open(options(&data)).unwrap();
        journal = reopened;
        assert_eq!(recovery.report.epoch, EpochStory::Restored);
        assert!(recovery.report.restored.is_some());
        assert_eq!((recovery.epoch, recovery.last_seq), (restored.epoch, author.seq));
        journal.commit(&author.changes(A, 9)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        journal.sync().unwrap();
    }
    let read = journal.reader().after(0, usize::MAX >> 1).unwrap();
    assert_eq!(read.records.len() as u64, author.seq, "the whole history is there");
    drop(journal);
    assert!(check(&data).unwrap().is_clean());
    let (found, epoch) = state(&data);
    assert_eq!((found.states(), epoch), (author.states(), epochs[2]));
    let (_, recovery) = SledJournal::open(options(&data)).unwrap();
    assert_eq!(
        recovery.report.epoch,
        EpochStory::Kept,
        "only the first start tells of the restore"
    );
}

/// A journal that rotates at every look and keeps no archive: the worst case for whoever reads.
/// To begin may take as long as a rotation, and snapshots that are saved meanwhile push out those it rests on: so
/// it asks for its end when nothing goes any more.
#[test]
fn a_backup_ends_where_the_log_ended_when_it_had_begun() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(forgetful(&dir.path().join("a"))).unwrap();
    let mut author = Author::new();
    journal.commit(&[author.created(A, 40)]).unwrap();
    let turn = |journal: &mut SledJournal, author: &mut Author| {
        journal.commit(&author.changes(A, 300)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        journal.maintain().unwrap();
    };
    (0..20).for_each(|_| turn(&mut journal, &mut author));
    let (reader, seq) = (journal.reader(), author.seq);
    let (asked, is_asked) = channel();
    let (go, may_answer) = channel();
    let beginning = std::thread::spawn(move || {
        let as_of = || {
            asked.send(()).unwrap();
            may_answer.recv().unwrap();
            seq
        };
        reader.backup_as_of(&as_of, TAKEN_AT).unwrap()
    });
    // A rotation may be under way, and the journal's thread ends it.
    while is_asked.try_recv().is_err() {
        journal.maintain().unwrap();
        std::thread::yield_now();
    }
    (0..20).for_each(|_| turn(&mut journal, &mut author));
    go.send(()).unwrap();
    let contents = inspect(&bytes(beginning.join().unwrap()), Target::Latest).unwrap();
    assert_eq!(contents.latest.seq, seq);
    assert!(contents.earliest.unwrap().seq <= seq, "{contents:?}");
}

#[test]
fn nothing_that_a_backup_needs_goes_while_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(forgetful(&dir.path().join("a"))).unwrap();
    let mut author = Author::new();
    journal.commit(&[author.created(A, 40), author.created(B, 5)]).unwrap();
    let turn = |journal: &mut SledJournal, author: &mut Author| {
        journal.commit(&author.changes(A, 300)).unwrap();
        journal.commit(&author.changes(B, 2)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        journal.save_snapshot(&author.snapshot(B)).unwrap();
        journal.maintain().unwrap().rotated
    };
    let mut rotations = 0;
    while rotations < 2 {
        rotations += usize::from(turn(&mut journal, &mut author));
    }
    // A rotation may be under way: the backup waits for it, and the journal goes on meanwhile.
    let (reader, as_of) = (journal.reader(), author.clone());
    let seq = as_of.seq;
    let beginning = std::thread::spawn(move || reader.backup(seq, TAKEN_AT).unwrap());
    while !beginning.is_finished() {
        // No snapshots yet: the thread may not have begun, and two of them would push out what `seq` rests on.
        journal.commit(&author.changes(A, 300)).unwrap();
        journal.maintain().unwrap();
    }
    let mut backup = beginning.join().unwrap();
    let again = journal.reader().backup(author.seq, TAKEN_AT).err().unwrap();
    assert!(matches!(again, JournalError::Busy { .. }), "{again}");
    let mut read: Vec<Vec<u8>> = vec![];
    for block in backup.by_ref() {
        read.push(block.unwrap());
        assert!(read.len() < 1_000, "it goes on with the log");
        assert!(!turn(&mut journal, &mut author), "no rotation while it is read");
    }
    drop(backup);
    let contents = inspect(&read.concat(), Target::Latest).unwrap();
    let earliest = contents.earliest.unwrap();
    assert!(contents.header.first_seq > 1 && earliest.seq > 1, "history was pruned: {earliest:?}");
    assert!(earliest.seq < seq);
    let early = inspect(&read.concat(), Target::Seq(earliest.seq - 1)).unwrap_err();
    assert!(
        matches!(early, BackupError::OutOfReach { why: OutOfReach::TooEarly { earliest: told }, .. } if told == earliest)
    );
    for (target, name) in [(Target::Latest, "latest"), (Target::Seq(earliest.seq), "earliest")] {
        let data = dir.path().join(name);
        restore(&read.concat(), &data, target).unwrap();
        let (found, _) = state(&data);
        let expected = if target == Target::Latest { seq } else { earliest.seq };
        assert_eq!(found.seq, expected, "{name}");
        if target == Target::Latest {
            assert_eq!(found.states(), as_of.states());
        }
    }
    // What was postponed is done now.
    let mut rotated = false;
    while !rotated {
        rotated = turn(&mut journal, &mut author);
    }
    let copy = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("a"), copy.path());
    let report = check(copy.path()).unwrap();
    assert!(report.is_clean() && report.snapshots <= 4, "{report}");
}

#[test]
fn archived_records_are_archived_again() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, author) = rotated_twice(&dir.path().join("a"));
    let all = journal.reader().after(0, usize::MAX >> 1).unwrap().records;
    let backup = bytes(journal.reader().backup(author.seq, TAKEN_AT).unwrap());
    let data = dir.path().join("b");
    restore(&backup, &data, Target::Latest).unwrap();
    let archived = fs::read_dir(data.join("archive")).unwrap().count();
    assert_eq!(archived, 1, "what no start needs does not burden one");
    let (journal, recovery) = SledJournal::open(options(&data)).unwrap();
    assert_eq!((recovery.report.archives, recovery.report.first_seq), (1, 1));
    assert_eq!(journal.reader().after(0, usize::MAX >> 1).unwrap().records, all);
}

#[test]
fn a_lot_of_ten_thousand_slots_comes_through() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(&dir.path().join("a"))).unwrap();
    let mut author = Author::new();
    journal.commit(&[author.created(A, 10_000)]).unwrap();
    journal.commit(&author.changes(A, 12_000)).unwrap();
    journal.save_snapshot(&author.snapshot(A)).unwrap();
    journal.commit(&author.changes(A, 50)).unwrap();
    let backup = bytes(journal.reader().backup(author.seq, TAKEN_AT).unwrap());
    let data = dir.path().join("b");
    restore(&backup, &data, Target::Latest).unwrap();
    assert_eq!(state(&data).0.states(), author.states());
}

/// Of a directory as `kill -9` leaves it, amid a commit: the server does not start, its operator wants all.
#[test]
fn a_directory_that_nobody_serves_is_backed_up_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(&dir.path().join("a"))).unwrap();
    let author = written(&mut journal, 4).pop().unwrap();
    let busy = backup::of_directory(&dir.path().join("a"), TAKEN_AT).err().unwrap();
    assert!(matches!(busy, JournalError::Locked { .. }), "{busy}");
    let left = dir.path().join("left");
    copy_dir(&dir.path().join("a"), &left);
    fs::write(left.join("FAILED"), "the disk said no").unwrap();
    let db = left.join("journal-000001").join("db");
    let before = fs::read(&db).unwrap();
    let backup = bytes(backup::of_directory(&left, TAKEN_AT).unwrap());
    assert_eq!(fs::read(&db).unwrap(), before, "sled had a copy");
    let data = dir.path().join("b");
    restore(&backup, &data, Target::Latest).unwrap();
    assert_eq!(state(&data).0.states(), author.states());
    let nowhere = backup::of_directory(&dir.path().join("nowhere"), TAKEN_AT).err().unwrap();
    assert!(matches!(nowhere, JournalError::Disk { .. }), "{nowhere}");
}

#[test]
fn a_new_directory_has_a_backup_too() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = SledJournal::open(options(&dir.path().join("a"))).unwrap();
    let backup = bytes(journal.reader().backup(0, TAKEN_AT).unwrap());
    let contents = inspect(&backup, Target::Latest).unwrap();
    assert_eq!((contents.records, contents.lots, contents.earliest), (0, 0, None));
    assert!(inspect(&backup, Target::Seq(1)).is_err());
    let data = dir.path().join("b");
    restore(&backup, &data, Target::Latest).unwrap();
    let (mut journal, _) = SledJournal::open(options(&data)).unwrap();
    journal.commit(&[Author::new().created(A, 2)]).unwrap();
}
