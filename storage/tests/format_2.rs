//! Format 2 of frames as it was released, read for ever: who asked is in them, which has not changed since. And
//! directories on the way from one format to the next: what an earlier release wrote is continued, what a later
//! one wrote is refused by name.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;
#[path = "common/samples.rs"]
mod samples;

use std::path::Path;

use common::{Author, by, uuid};
use lotkeeper_engine::ids::{LotKey, Pseudonym};
use lotkeeper_storage::format::{Assembler, Encoder, Frame, FrameKey, Tip};
use lotkeeper_storage::{By, Journal, Options, Record, Role, SledJournal, check};
use samples::{EPOCH, bytes_of, commits, read};

const FORMAT_1: &str = include_str!("fixtures/format-1/commits.hex");
const COMMITS: &str = include_str!("fixtures/format-2/commits.hex");

#[test]
fn commits_of_format_2_are_read() {
    assert_eq!(read(&bytes_of(COMMITS)), commits(by));
}

/// Nobody, or somebody whom the frame has named already, costs not one byte.
#[test]
fn who_asked_costs_a_frame_his_name_once() {
    let one = By { subject: Pseudonym(uuid(1)), role: Role::Device };
    let device = |subject| Some(By { subject: Pseudonym(uuid(subject)), ..one });
    let bytes = |by: &dyn Fn(u64) -> Option<By>| {
        let mut author = Author::new();
        author.created(LotKey(0), 100);
        let mut records = author.changes(LotKey(0), 100);
        records.iter_mut().for_each(|record| record.by = by(record.seq));
        let mut encoder = Encoder::default();
        encoder.encode(1, &records).unwrap();
        assert_eq!(encoder.frame_count(), 1);
        encoder.bytes().len()
    };
    let nobody = bytes(&|_| None);
    assert_eq!(bytes(&|_| Some(one)), nobody + 17);
    assert_eq!(bytes(&|seq| device(u128::from(seq % 10))), nobody + 170);
    let role =
        |seq| Some(By { role: [Role::Staff, Role::Driver][usize::from(seq % 2 == 0)], ..one });
    assert_eq!(bytes(&role), nobody + 34, "one person in two roles is named twice");
}

/// A number that no asker of the frame has is damage, whatever the checksum says.
#[test]
fn an_asker_who_is_not_named_is_refused() {
    let mut author = Author::new();
    author.created(LotKey(0), 1);
    let mut record = author.changed(LotKey(0), 0);
    record.by = Some(By { subject: Pseudonym(uuid(1)), role: Role::Device });
    let mut encoder = Encoder::default();
    encoder.encode(1, std::slice::from_ref(&record)).unwrap();
    let mut frame = encoder.bytes().to_vec();
    // The payload ends with the number (here 2: the first asker, no key), 16 bytes and the role.
    let number = frame.len() - 18;
    assert_eq!(frame[number], 2);
    frame[number] = 4;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&frame[..40]), &frame[44..]);
    frame[40..44].copy_from_slice(&checksum.to_le_bytes());
    let key = FrameKey { first_seq: record.seq, part: 0 };
    let refused = Assembler::new(None).push(key, &frame).unwrap_err().to_string();
    assert!(refused.contains("asker"), "{refused}");
}

fn options(dir: &Path) -> Options {
    Options { data_dir: dir.to_path_buf(), cache_bytes: 8 << 20, ..Options::default() }
}

fn sled_tree(dir: &Path, name: &str, work: impl FnOnce(&sled::Tree)) {
    let db = sled::open(dir.join("journal-000001")).unwrap();
    work(&db.open_tree(name).unwrap());
    db.flush().unwrap();
}

/// A data directory as the release before left it: frames of format 1 under directory format 2.
fn directory_of_format_2(dir: &Path) -> u64 {
    let frames = bytes_of(FORMAT_1);
    let last_seq = commits(|_| None).concat().last().unwrap().seq;
    std::fs::write(dir.join("CURRENT"), "journal-000001\n").unwrap();
    std::fs::write(dir.join("TIP"), Tip::bare(EPOCH, last_seq).to_bytes()).unwrap();
    sled_tree(dir, "frames", |tree| {
        let mut rest = frames.as_slice();
        while !rest.is_empty() {
            let (frame, after) = Frame::read(rest).unwrap();
            let bytes = &rest[..rest.len() - after.len()];
            tree.insert(frame.header.key.to_bytes(), bytes).unwrap();
            rest = after;
        }
    });
    sled_tree(dir, "meta", |tree| {
        tree.insert("format", &2_u16.to_le_bytes()).unwrap();
        tree.insert("first_seq", &1_u64.to_le_bytes()).unwrap();
        let epochs = [1_u64.to_le_bytes(), EPOCH.to_le_bytes()].concat();
        tree.insert("epochs", epochs).unwrap();
    });
    last_seq
}

#[test]
fn a_directory_of_format_2_is_continued_and_says_then_that_it_is_newer() {
    let dir = tempfile::tempdir().unwrap();
    let last_seq = directory_of_format_2(dir.path());
    let (mut journal, recovery) = SledJournal::open(options(dir.path())).unwrap();
    assert_eq!((recovery.last_seq, recovery.epoch), (last_seq, EPOCH));
    assert_eq!(recovery.report.ends_below_tip, None);
    let mut log: Vec<Record> = recovery.tail.flat_map(Result::unwrap).collect();
    assert_eq!(log, commits(|_| None).concat());
    let before = log.last().unwrap().clone();
    let by = Some(By { subject: Pseudonym(uuid(5)), role: Role::Operator });
    let next = Record { seq: before.seq + 1, lot_seq: before.lot_seq + 1, by, ..before };
    journal.commit(std::slice::from_ref(&next)).unwrap();
    drop(journal);
    log.push(next);

    let (journal, recovery) = SledJournal::open(options(dir.path())).unwrap();
    assert_eq!(recovery.tail.flat_map(Result::unwrap).collect::<Vec<_>>(), log);
    assert_eq!(journal.reader().after(last_seq, 10).unwrap().records, log[log.len() - 1..]);
    drop(journal);
    // A release that reads frames of format 1 alone looks here first, and refuses in words.
    sled_tree(dir.path(), "meta", |tree| {
        assert_eq!(tree.get("format").unwrap().unwrap().as_ref(), 4_u16.to_le_bytes());
    });
    assert_eq!(check(dir.path()).unwrap().last_seq, log.len() as u64);
}

#[test]
fn a_directory_of_a_later_release_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    directory_of_format_2(dir.path());
    sled_tree(dir.path(), "meta", |tree| {
        tree.insert("format", &5_u16.to_le_bytes()).unwrap();
    });
    let refused = SledJournal::open(options(dir.path())).err().unwrap().to_string();
    let wanted = "has format 5, this release reads up to 4; start the release that wrote it";
    assert!(refused.contains(wanted), "{refused}");
}
