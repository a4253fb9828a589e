//! What a crash leaves of the journal on disk: a clean prefix that holds every acknowledged record, or,
//! where bytes of it were destroyed, a clean prefix that says so, or a refusal. Never a panic, never a hole.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use common::{Author, copy_dir};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::{Journal, JournalError, Options, Record, SledJournal};

const A: LotKey = LotKey(0);

fn options(dir: &Path) -> Options {
    Options {
        data_dir: dir.to_path_buf(),
        cache_bytes: 8 * 1024 * 1024,
        tip_interval_ms: 0,
        open_seconds_max: 20,
        ..Options::default()
    }
}

/// All records from the start, and whether the log told that it lost some.
fn recovered(dir: &Path) -> Result<(Vec<Record>, Option<u64>, u64), JournalError> {
    let (journal, recovery) = SledJournal::open(options(dir))?;
    let epoch = recovery.epoch;
    let lost = recovery.report.ends_below_tip;
    let last_seq = recovery.last_seq;
    drop(recovery);
    let records = journal.reader().after(0, usize::MAX)?.records;
    assert_eq!(records.len() as u64, last_seq);
    Ok((records, lost, epoch))
}

#[test]
fn a_copy_at_any_commit_holds_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, recovery) = SledJournal::open(options(dir.path())).unwrap();
    let mut author = Author::new();
    let mut acknowledged = vec![author.created(A, 500)];
    journal.commit(&acknowledged).unwrap();
    for commit in 1..120 {
        let records = author.changes(A, 1 + commit * 37 % 900);
        journal.commit(&records).unwrap();
        acknowledged.extend(records);
        if commit % 40 == 1 {
            journal.save_snapshot(&author.snapshot(A)).unwrap();
        }
        if commit % 7 == 0 {
            journal.maintain().unwrap();
            let copy = tempfile::tempdir().unwrap();
            copy_dir(dir.path(), copy.path());
            let (found, lost, epoch) = recovered(copy.path()).unwrap();
            assert_eq!(found, acknowledged, "commit {commit}");
            assert_eq!((lost, epoch), (None, recovery.epoch), "commit {commit}");
        }
    }
}

#[test]
fn a_crash_amid_a_rotation_leaves_the_old_or_the_new_directory() {
    let dir = tempfile::tempdir().unwrap();
    let rotating = Options { rotate_bytes: 1, ..options(dir.path()) };
    let (mut journal, recovery) = SledJournal::open(rotating).unwrap();
    let mut author = Author::new();
    let mut acknowledged = vec![author.created(A, 50)];
    journal.commit(&acknowledged).unwrap();
    let mut rotations = 0;
    let mut directories = std::collections::BTreeSet::new();
    while rotations < 4 {
        let records = author.changes(A, 200);
        journal.commit(&records).unwrap();
        acknowledged.extend(records);
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        journal.sync().unwrap();
        rotations += usize::from(journal.maintain().unwrap().rotated);
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let (found, lost, epoch) = recovered(copy.path()).unwrap();
        assert_eq!((lost, epoch), (None, recovery.epoch));
        assert!(found == acknowledged, "{} of {}", found.len(), acknowledged.len());
        directories.insert(fs::read_to_string(copy.path().join("CURRENT")).unwrap());
        let journals = fs::read_dir(copy.path()).unwrap().filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("journal-")
        });
        assert_eq!(journals.count(), 1, "what nothing names was removed at the start");
    }
    assert!(directories.len() >= 4, "{directories:?}");
    assert_eq!(journal.reader().after(0, usize::MAX).unwrap().records, acknowledged);
    assert_eq!(journal.reader().lot_after(A, 0, usize::MAX).unwrap().records, acknowledged);
}

/// Damage to the bytes of a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// Nothing after this.
    Cut(u64),
    /// Zeros from here to the end.
    Zeroed(u64),
    /// Zeros for 512 bytes: a sector.
    Sector(u64),
    /// One bit.
    Flipped(u64),
}

fn inflict(path: &Path, damage: Damage) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let mut overwrite = |from: u64, bytes: &[u8]| {
        file.seek(SeekFrom::Start(from)).unwrap();
        file.write_all(bytes).unwrap();
    };
    match damage {
        Damage::Cut(at) => file.set_len(at).unwrap(),
        Damage::Zeroed(at) => overwrite(at, &vec![0; usize::try_from(length - at).unwrap()]),
        Damage::Sector(at) => {
            overwrite(at, &vec![0; 512.min(usize::try_from(length - at).unwrap())]);
        }
        Damage::Flipped(at) => {
            let mut byte = [0];
            file.seek(SeekFrom::Start(at)).unwrap();
            file.read_exact(&mut byte).unwrap();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&[byte[0] ^ 0x10]).unwrap();
        }
    }
}

#[test]
fn a_damaged_end_gives_a_clean_prefix_or_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, recovery) = SledJournal::open(options(dir.path())).unwrap();
    let epoch = recovery.epoch;
    let mut author = Author::new();
    let mut acknowledged = vec![author.created(A, 500)];
    let mut ends = vec![0, 1];
    journal.commit(&acknowledged).unwrap();
    for commit in 1..200 {
        let records = author.changes(A, 1 + commit * 37 % 900);
        journal.commit(&records).unwrap();
        acknowledged.extend(records);
        ends.push(author.seq);
    }
    journal.maintain().unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let db = |root: &Path| root.join("journal-000001").join("db");
    let length = fs::metadata(db(copy.path())).unwrap().len();
    // The newest segments in fine steps, all before in coarse ones.
    let fine = (0..26).map(|step| length - 1 - step * 41_989 % length);
    let coarse = (0..8).map(|step| step * (length / 8));
    let places: Vec<u64> = fine.chain(coarse).collect();
    let (mut prefixes, mut refusals, mut whole) = (0, 0, 0);
    for (number, at) in places.into_iter().enumerate() {
        let damage = match number % 4 {
            0 => Damage::Cut(at),
            1 => Damage::Zeroed(at),
            2 => Damage::Sector(at),
            _ => Damage::Flipped(at),
        };
        let victim = tempfile::tempdir().unwrap();
        copy_dir(copy.path(), victim.path());
        inflict(&db(victim.path()), damage);
        match recovered(victim.path()) {
            Ok((found, lost, new_epoch)) => {
                assert_eq!(found, acknowledged[..found.len()], "{damage:?}");
                assert!(ends.contains(&(found.len() as u64)), "{damage:?}: half a commit");
                let shrunk = found.len() < acknowledged.len();
                assert_eq!(lost, shrunk.then_some(author.seq), "{damage:?}");
                assert_eq!(new_epoch != epoch, shrunk, "{damage:?}: the epoch tells");
                prefixes += usize::from(shrunk);
                whole += usize::from(!shrunk);
            }
            Err(error) => {
                assert!(matches!(error, JournalError::Damaged { .. }), "{damage:?}: {error}");
                refusals += 1;
            }
        }
    }
    println!("{whole} whole, {prefixes} prefixes, {refusals} refusals of a file of {length} bytes");
    assert!(prefixes > 0, "the damage hit nothing");
}

#[test]
fn a_failed_commit_is_followed_by_a_fresh_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, recovery) = SledJournal::open(options(dir.path())).unwrap();
    let mut author = Author::new();
    let acknowledged = vec![author.created(A, 50)];
    journal.commit(&acknowledged).unwrap();
    journal.mark_failed("the disk said no");
    assert!(matches!(journal.commit(&author.changes(A, 1)), Err(JournalError::Poisoned { .. })));
    assert!(matches!(journal.maintain(), Err(JournalError::Poisoned { .. })));
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let (journal, again) = SledJournal::open(options(copy.path())).unwrap();
    assert!(again.report.rebuilt.as_deref().is_some_and(|why| why.contains("the disk said no")));
    assert_eq!((again.epoch, again.last_seq), (recovery.epoch, 1));
    drop(again);
    assert_eq!(fs::read_to_string(copy.path().join("CURRENT")).unwrap(), "journal-000002\n");
    assert!(!copy.path().join("FAILED").exists());
    assert_eq!(journal.reader().after(0, 10).unwrap().records, acknowledged);
    drop(journal);
    assert_eq!(SledJournal::open(options(copy.path())).unwrap().1.report.rebuilt, None);
}

#[test]
fn values_that_sled_moved_out_are_brought_home() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path())).unwrap();
    let mut author = Author::new();
    journal.commit(&[author.created(A, 10_000)]).unwrap();
    for _ in 0..20 {
        journal.commit(&author.changes(A, 3_000)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
    }
    journal.sync().unwrap();
    let blobs = dir.path().join("journal-000001").join("blobs");
    assert_eq!(fs::read_dir(&blobs).unwrap().count(), 0, "frames and chunks stay inline");
    fs::write(blobs.join("123456"), b"x").unwrap();
    let error = journal.maintain().unwrap_err();
    assert!(error.to_string().contains("blobs/"), "{error}");
}

const VICTIM: &str = "LOTKEEPER_TEST_DIES_IN";

/// The process that is killed. Run as a plain test it has nothing to do.
#[test]
fn commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(VICTIM) else { return };
    let rotating = Options { rotate_bytes: 1024 * 1024, ..options(Path::new(&dir)) };
    let (mut journal, recovery) = SledJournal::open(rotating).unwrap();
    let snapshots = recovery.snapshots.clone();
    let mut author = Author::resume(&snapshots, recovery.tail.map(Result::unwrap));
    if author.lots.is_empty() {
        journal.commit(&[author.created(A, 300)]).unwrap();
    }
    let mut out = File::options().write(true).open("/proc/self/fd/1").unwrap();
    for commit in 0.. {
        journal.commit(&author.changes(A, 1 + commit * 101 % 900)).unwrap();
        writeln!(out, "reply {}", author.seq).unwrap();
        if commit % 9 == 0 {
            journal.save_snapshot(&author.snapshot(A)).unwrap();
        }
        journal.maintain().unwrap();
    }
}

#[test]
fn nothing_that_was_told_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut epoch = None;
    let mut told_before = 0;
    for round in 0..5 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "commits_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env(VICTIM, &data)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let replies = lines.by_ref().filter_map(|line| {
            let line = line.unwrap();
            line.split("reply ").nth(1).map(|seq| seq.trim().parse::<u64>().unwrap())
        });
        for seq in replies.take(40 + 15 * round) {
            told = seq;
        }
        child.kill().unwrap();
        // What it had told before the kill arrived counts as well.
        for line in lines.map_while(Result::ok) {
            if let Some(Ok(seq)) = line.strip_prefix("reply ").map(str::parse) {
                told = seq;
            }
        }
        child.wait().unwrap();
        assert!(told > told_before, "round {round} told nothing");
        if round % 2 == 0 {
            let report = lotkeeper_storage::check(&data).unwrap();
            assert!(report.is_clean(), "{report}");
        }
        let (found, lost, this_epoch) = recovered(&data).unwrap();
        assert!(found.len() as u64 >= told, "{} of {told}", found.len());
        assert!((1..).zip(&found).all(|(seq, record)| record.seq == seq), "a hole");
        assert_eq!(lost, None);
        assert_eq!(*epoch.get_or_insert(this_epoch), this_epoch, "a clean kill keeps the epoch");
        told_before = told;
    }
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = SledJournal::open(options(dir.path())).unwrap();
    let second = SledJournal::open(options(dir.path())).err().unwrap();
    assert!(matches!(second, JournalError::Locked { .. }), "{second}");
    drop(first);
    drop(SledJournal::open(options(dir.path())).unwrap());
}

#[test]
fn a_lost_piece_of_the_directory_is_refused_not_replaced() {
    for lost in ["CURRENT", "journal-000001"] {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, recovery) = SledJournal::open(options(dir.path())).unwrap();
        drop(recovery);
        let vault = journal.vault();
        vault.intern("city", lotkeeper_storage::PersonKind::Subject, "ada").unwrap();
        drop(vault);
        journal.commit(&[Author::new().created(A, 5)]).unwrap();
        drop(journal);
        let path = dir.path().join(lost);
        match path.is_dir() {
            true => fs::remove_dir_all(&path).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
        let error = SledJournal::open(options(dir.path())).err().unwrap();
        assert!(error.to_string().contains(lost), "{lost}: {error}");
    }
}
