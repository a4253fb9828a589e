//! `check` finds what is wrong, says nothing when nothing is, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;

use std::fs;
use std::path::Path;

use common::{Author, copy_dir, released};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::format::Encoder;
use lotkeeper_storage::{Journal, JournalError, Options, PersonKind, SledJournal, check};

const A: LotKey = LotKey(0);
const B: LotKey = LotKey(1);

fn options(dir: &Path, rotate_bytes: u64) -> Options {
    Options {
        data_dir: dir.to_path_buf(),
        cache_bytes: 8 * 1024 * 1024,
        rotate_bytes,
        tip_interval_ms: 0,
        ..Options::default()
    }
}

/// A directory with archive, two lots and people, as `kill -9` leaves it.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path(), 1)).unwrap();
    let mut author = Author::new();
    journal.vault().intern("city", PersonKind::Subject, "ada").unwrap();
    journal.commit(&[author.created(A, 60), author.created(B, 5)]).unwrap();
    let mut rotated = false;
    while !rotated {
        journal.commit(&author.changes(A, 700)).unwrap();
        let hour = u32::try_from(author.seq / 700).unwrap();
        journal.commit(&[author.reserved(B, 2, hour), author.changed(B, 1)]).unwrap();
        journal.save_snapshot(&author.snapshot(A)).unwrap();
        journal.save_snapshot(&author.snapshot(B)).unwrap();
        rotated = journal.maintain().unwrap().rotated && author.seq > 3_000;
    }
    journal.commit(&author.changes(A, 10)).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    copy
}

#[test]
fn a_sound_directory_is_clean_and_stays_as_it_is() {
    let dir = directory();
    let files = |dir: &Path| {
        let mut all = Vec::new();
        for entry in fs::read_dir(dir.join("journal-000001").parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                all.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
        all.sort();
        all
    };
    let before = files(dir.path());
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.first_seq, 1);
    assert_eq!(report.records, report.last_seq);
    assert_eq!((report.lots, report.snapshots, report.people), (2, 4, 1));
    assert!(report.archives > 0 && report.frames > 10, "{report}");
    assert!(report.to_string().ends_with("clean"), "{report}");
    let after: Vec<_> =
        files(dir.path()).into_iter().filter(|(p, _)| !p.ends_with("LOCK")).collect();
    assert_eq!(after, before.into_iter().filter(|(p, _)| !p.ends_with("LOCK")).collect::<Vec<_>>());
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let _journal = SledJournal::open(options(dir.path(), u64::MAX)).unwrap();
    assert!(matches!(check(dir.path()), Err(JournalError::Locked { .. })));
    let nowhere = check(&dir.path().join("nowhere")).unwrap_err();
    assert!(matches!(nowhere, JournalError::Disk { .. }), "{nowhere}");
}

#[test]
fn each_kind_of_damage_is_found() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 6] = [
        ("TIP is missing", |dir| fs::remove_file(dir.join("TIP")).unwrap()),
        ("CURRENT is missing", |dir| fs::remove_file(dir.join("CURRENT")).unwrap()),
        ("records are lost", |dir| {
            let tip = lotkeeper_storage::format::Tip::bare(1, 1 << 40);
            fs::write(dir.join("TIP"), tip.to_bytes()).unwrap();
        }),
        ("wrong checksum", |dir| {
            let path = first_archive(dir);
            let mut bytes = fs::read(&path).unwrap();
            bytes[100] ^= 1;
            fs::write(&path, bytes).unwrap();
        }),
        ("its name says otherwise", |dir| {
            fs::write(first_archive(dir), b"").unwrap();
        }),
        ("it is empty, and the tip file has seen", |dir| {
            let current = fs::read_to_string(dir.join("CURRENT")).unwrap();
            let db = dir.join(current.trim()).join("db");
            let bytes = fs::read(&db).unwrap();
            fs::write(&db, vec![0xff; bytes.len()]).unwrap();
        }),
    ];
    let sound = directory();
    for (expected, spoil) in cases {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(sound.path(), dir.path());
        spoil(dir.path());
        let report = check(dir.path()).unwrap();
        assert!(!report.is_clean(), "{expected}: {report}");
        let told = report.to_string();
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

fn first_archive(dir: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> =
        fs::read_dir(dir.join("archive")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

#[test]
fn a_snapshot_that_is_not_what_the_log_says_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path(), u64::MAX)).unwrap();
    let mut author = Author::new();
    journal.commit(&[author.created(A, 10)]).unwrap();
    journal.commit(&author.changes(A, 25)).unwrap();
    let mut snapshot = author.snapshot(A);
    let hearing = snapshot.slots[3].hearing.as_mut().unwrap();
    hearing.occupied = !hearing.occupied;
    journal.save_snapshot(&snapshot).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let report = check(dir.path()).unwrap();
    assert!(report.to_string().contains("occupancy differs"), "{report}");
}

/// A start that was removing what is there of a commit was killed amid it, from either end.
#[test]
fn what_is_left_of_a_commit_that_was_never_acknowledged_is_no_damage() {
    for keeps in [0..3, 3..6, 1..2] {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, recovery) = SledJournal::open(options(dir.path(), u64::MAX)).unwrap();
        let mut author = Author::new();
        journal.commit(&[author.created(A, 60)]).unwrap();
        journal.commit(&author.changes(A, 700)).unwrap();
        let whole = author.seq;
        let mut encoder = Encoder::default();
        encoder.encode(recovery.epoch, &author.changes(A, 20_000)).unwrap();
        assert!(encoder.frame_count() > keeps.end, "{} frames", encoder.frame_count());
        drop(recovery);
        drop(journal);
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let db = sled::open(released(copy.path())).unwrap();
        let frames = db.open_tree("frames").unwrap();
        for (key, bytes) in encoder.frames().skip(keeps.start).take(keeps.len()) {
            frames.insert(key.to_bytes(), bytes).unwrap();
        }
        db.flush().unwrap();
        drop((frames, db));
        released(copy.path());
        let report = check(copy.path()).unwrap();
        let told = report.to_string();
        assert!(report.is_clean(), "{keeps:?}: {told}");
        assert!(told.contains(&format!("{} frames of a commit", keeps.len())), "{told}");
        assert_eq!(report.last_seq, whole);
        let (_journal, recovery) = SledJournal::open(options(copy.path(), u64::MAX)).unwrap();
        assert_eq!(recovery.last_seq, whole);
    }
}
