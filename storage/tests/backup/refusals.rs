//! What is refused: backups that are not whole or not ours, places that are taken, directories left unfinished;
//! and what is left out of a backup.

use std::fs;
use std::path::Path;

use lotkeeper_storage::backup::{BackupError, Site, Target};
use lotkeeper_storage::{Journal, JournalError, PersonKind, SledJournal, check};

use crate::common::Author;
use crate::{A, TAKEN_AT, bytes, inspect, options, restore, rotated_twice, state, written};

#[test]
fn every_flipped_byte_and_every_missing_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path())).unwrap();
    let mut author = Author::new();
    journal.vault().intern("city", PersonKind::Subject, "ada").unwrap();
    journal.commit(&[author.created(A, 3)]).unwrap();
    journal.save_snapshot(&author.snapshot(A)).unwrap();
    journal.commit(&author.changes(A, 4)).unwrap();
    let whole = bytes(journal.reader().backup(author.seq, TAKEN_AT).unwrap());
    assert!(inspect(&whole, Target::Latest).is_ok());
    for at in 0..whole.len() {
        for bit in [1_u8, 0x80] {
            let mut flipped = whole.clone();
            flipped[at] ^= bit;
            let refused = inspect(&flipped, Target::Latest).expect_err(&format!("byte {at}"));
            let newer = matches!(refused, BackupError::Newer { .. });
            // The version's bytes are told apart, unless it becomes 0.
            assert_eq!(newer, (at, bit) == (4, 0x80) || at == 5, "byte {at}: {refused}");
        }
        let refused = inspect(&whole[..at], Target::Latest).unwrap_err();
        let cut = matches!(refused, BackupError::CutShort { bytes, .. } if bytes == at as u64);
        let empty = at == 0 && matches!(refused, BackupError::NotABackup { .. });
        assert!(cut || empty, "{at}: {refused}");
    }
    let twice = [whole.as_slice(), &whole].concat();
    let refused = inspect(&twice, Target::Latest).unwrap_err();
    assert!(refused.to_string().contains("after the trailer"), "{refused}");
    let mut spoilt = whole.clone();
    let last = spoilt.len() / 2;
    spoilt[last] ^= 1;
    let data = dir.path().join("restored");
    assert!(restore(&spoilt, &data, Target::Latest).is_err());
    assert!(!data.exists() && !dir.path().join("restored.partial").exists(), "nothing is left");
}

#[test]
fn what_a_later_release_wrote_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = SledJournal::open(options(dir.path())).unwrap();
    let mut newer = bytes(journal.reader().backup(0, TAKEN_AT).unwrap());
    newer[4] = 2;
    let refused = inspect(&newer, Target::Latest).unwrap_err().to_string();
    assert!(refused.contains("format 2") && refused.contains("release that wrote it"), "{refused}");
}

#[test]
fn a_place_that_is_taken_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(&dir.path().join("a"))).unwrap();
    let seq = written(&mut journal, 1).pop().unwrap().seq;
    let backup = bytes(journal.reader().backup(seq, TAKEN_AT).unwrap());
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("signing.key"), "mine").unwrap();
    let refused = restore(&backup, &data, Target::Latest).unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty { .. }), "{refused}");
    assert!(refused.to_string().contains("--data"), "{refused}");
    assert_eq!(fs::read_to_string(data.join("signing.key")).unwrap(), "mine");
    fs::remove_file(data.join("signing.key")).unwrap();
    // Somebody else's directory at the place where it would be built.
    let partial = dir.path().join("data.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("notes"), "mine too").unwrap();
    let refused = restore(&backup, &data, Target::Latest).unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty { .. }), "{refused}");
    assert!(partial.join("notes").exists());
    fs::remove_dir_all(&partial).unwrap();
    assert!(restore(&backup, &data, Target::Latest).is_ok(), "an empty directory will do");
}

/// A restore that was cut off left `data.partial` as far as it came.
#[test]
fn what_a_cut_off_restore_left_is_not_served_and_is_cleared_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(&dir.path().join("a"))).unwrap();
    let author = written(&mut journal, 2).pop().unwrap();
    let backup = bytes(journal.reader().backup(author.seq, TAKEN_AT).unwrap());
    let data = dir.path().join("data");
    let partial = dir.path().join("data.partial");
    let site = Site::new(&data).unwrap();
    let second = Site::new(&data).err().unwrap();
    assert!(matches!(second, BackupError::Journal(JournalError::Locked { .. })), "{second}");
    fs::write(site.spool(), b"half a backup").unwrap();
    fs::create_dir(partial.join("journal-000001")).unwrap();
    drop(site);
    for refused in [SledJournal::open(options(&partial)).err(), check(&partial).err()] {
        let refused = refused.unwrap();
        assert!(matches!(refused, JournalError::Unfinished { .. }), "{refused}");
        assert!(refused.to_string().contains("run the restore again"), "{refused}");
    }
    // Cut off before its first mark, and after its last one.
    for (name, ends) in [("RESTORING.tmp", false), ("RESTORED", true)] {
        fs::remove_dir_all(&partial).unwrap();
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join(name), "").unwrap();
        if ends {
            fs::create_dir(partial.join("journal-000001")).unwrap();
        }
        let _site = Site::new(&data).unwrap();
        assert_eq!(names(&partial), ["LOCK", "RESTORING"], "nothing else of it stays");
    }
    // From a stream, which lies there meanwhile.
    let site = Site::new(&data).unwrap();
    let spool = site.spool();
    fs::write(&spool, &backup).unwrap();
    let mut open = || Ok(Box::new(fs::File::open(&spool)?) as Box<dyn std::io::Read>);
    site.restore(&mut open, "the backup", Target::Latest, &mut |_, _| {}).unwrap();
    assert!(!partial.exists());
    let made = ["CURRENT", "LOCK", "RESTORED", "TIP", "archive", "journal-000001"];
    assert_eq!(names(&data), made);
    assert_eq!(state(&data).0.states(), author.states());
    assert_eq!(names(&data).len(), made.len() - 1, "the first start knows where it comes from");
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| name(entry).into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every byte of it is as it was written; what was written is not what the records say.
#[test]
fn what_does_not_stand_the_check_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(&dir.path().join("a"))).unwrap();
    let mut author = Author::new();
    journal.commit(&[author.created(A, 10)]).unwrap();
    journal.commit(&author.changes(A, 25)).unwrap();
    let mut snapshot = author.snapshot(A);
    let hearing = snapshot.slots[3].hearing.as_mut().unwrap();
    hearing.occupied = !hearing.occupied;
    journal.save_snapshot(&snapshot).unwrap();
    let backup = bytes(journal.reader().backup(author.seq, TAKEN_AT).unwrap());
    let data = dir.path().join("data");
    let refused = restore(&backup, &data, Target::Latest).unwrap_err();
    assert!(matches!(refused, BackupError::Unsound { .. }), "{refused}");
    assert!(!data.exists() && !dir.path().join("data.partial").exists(), "nothing is left");
}

#[test]
fn snapshots_after_its_last_record_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = SledJournal::open(options(dir.path())).unwrap();
    let states = written(&mut journal, 12);
    let before_the_last = &states[states.len() - 2];
    let backup = bytes(journal.reader().backup(before_the_last.seq, TAKEN_AT).unwrap());
    let contents = inspect(&backup, Target::Latest).unwrap();
    assert_eq!((contents.latest.seq, contents.snapshots), (before_the_last.seq, 2));
}

/// What is wrong in the log ends the backup, which has no trailer then: the writer looks at every frame.
#[test]
fn a_log_with_a_hole_has_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, author) = rotated_twice(dir.path());
    let refusal = |last_seq| {
        let blocks: Vec<_> = journal.reader().backup(last_seq, TAKEN_AT).unwrap().collect();
        blocks.into_iter().find_map(Result::err)
    };
    assert!(refusal(author.seq).is_none());
    for no_end_of_a_commit in [author.seq - 1, author.seq + 1] {
        let refused = refusal(no_end_of_a_commit).unwrap().to_string();
        assert!(refused.contains("the log ends before"), "{refused}");
    }
    // A sound file in the place of another.
    let archive = dir.path().join("archive");
    let mut files: Vec<_> =
        fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    fs::copy(&files[1], &files[0]).unwrap();
    let mut backup = journal.reader().backup(author.seq, TAKEN_AT).unwrap();
    let refused = backup.find_map(Result::err).unwrap().to_string();
    assert!(refused.contains("is expected"), "{refused}");
    assert!(journal.reader().backup(author.seq, TAKEN_AT).is_ok(), "it keeps nothing any more");
}
