//! What was pruned is no loss, at no later start, and what nobody pruned is one. Deliberately absent: power cuts
//! amid pruning, which `power_cut` has, and readers who ask for what is gone, who are in the contract suite.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Author, START, released};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::backup;
use lotkeeper_storage::format::Tip;
use lotkeeper_storage::{Journal, Options, RecoveryReport, SledJournal, check};

const A: LotKey = LotKey(0);

/// Rotates whenever it may.
fn options(dir: &Path, archive_retention_seconds: u64) -> Options {
    Options {
        data_dir: dir.to_path_buf(),
        cache_bytes: 8 * 1024 * 1024,
        rotate_bytes: 1,
        tip_interval_ms: 0,
        archive_retention_seconds,
        ..Options::default()
    }
}

/// Some hours of log.
const LONG_SECONDS: u64 = 100 * 24 * 3_600;

/// Works until the journal has rotated so often; gives the oldest record then.
fn rotated(journal: &mut SledJournal, author: &mut Author, rotations: usize) -> u64 {
    journal.commit(&[author.created(A, 40)]).unwrap();
    let mut seen = 0;
    loop {
        journal.commit(&author.changes(A, 300)).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        let maintenance = journal.maintain().unwrap();
        seen += usize::from(maintenance.rotated);
        if seen == rotations {
            return maintenance.first_seq;
        }
    }
}

fn started(dir: &Path, archive_retention_seconds: u64) -> RecoveryReport {
    released(dir);
    SledJournal::open(options(dir, archive_retention_seconds)).unwrap().1.report
}

fn tip(dir: &Path) -> Tip {
    Tip::from_bytes(&fs::read(dir.join("TIP")).unwrap()).unwrap()
}

#[test]
fn what_was_pruned_is_no_loss_at_any_later_start() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path(), 0)).unwrap();
    let first = rotated(&mut journal, &mut Author::new(), 2);
    assert!(first > 1, "nothing was pruned");
    // It is there before the next commit, and at once: what is gone and not said to be is a loss.
    assert_eq!(tip(dir.path()).holdings.unwrap().first_seq, first);
    journal.sync().unwrap();
    drop(journal);
    for start in 0..3 {
        let report = started(dir.path(), 0);
        assert_eq!((report.first_seq, report.history_lost), (first, None), "start {start}");
        assert_eq!(tip(dir.path()).holdings.unwrap().first_seq, first, "start {start}");
    }
    assert!(check(dir.path()).unwrap().is_clean());
}

#[test]
fn what_is_kept_is_not_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path(), LONG_SECONDS)).unwrap();
    assert_eq!(rotated(&mut journal, &mut Author::new(), 2), 1);
    drop(journal);
    let report = started(dir.path(), LONG_SECONDS);
    assert_eq!((report.first_seq, report.archives), (1, 2));
    released(dir.path());
    let backup = backup::of_directory(dir.path(), START).unwrap();
    assert_eq!(backup.header().first_seq, 1, "a backup has the archive too");
}

/// What lies beyond the gap is there still, and no reader may take it for what joins the log.
#[test]
fn a_lost_file_amid_the_archive_ends_the_log_there() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path(), LONG_SECONDS)).unwrap();
    rotated(&mut journal, &mut Author::new(), 2);
    journal.sync().unwrap();
    drop(journal);
    let mut files: Vec<PathBuf> = fs::read_dir(dir.path().join("archive"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    fs::remove_file(&files[1]).unwrap();
    assert!(!check(dir.path()).unwrap().is_clean());
    for start in 0..2 {
        let report = started(dir.path(), LONG_SECONDS);
        assert!(report.first_seq > 1 && report.archives == 0, "{report:?}");
        assert_eq!(report.history_lost, Some((1, report.first_seq - 1)), "start {start}");
        assert!(files[0].exists(), "an operator may find the other one again");
    }
}
