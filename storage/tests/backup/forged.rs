//! Backups that no writer made: every checksum is right, and the numbers stand where something overflows.
//!
//! A reader that adds to them would panic in this build. What the coverage-led targets found is here by name.

use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::Record;
use lotkeeper_storage::backup::{BackupError, Target};
use lotkeeper_storage::format::{Encoder, encode_snapshot};
use lotkeeper_storage::fuzzing::seal;

use crate::common::Author;
use crate::{A, TAKEN_AT, inspect, restore};

const EPOCH: u64 = 7;

/// What a forged header says.
struct Said {
    first_seq: u64,
    last_seq: u64,
    bytes_about: u64,
    release: String,
}

fn said(first_seq: u64, last_seq: u64) -> Said {
    Said { first_seq, last_seq, bytes_about: 1, release: "0.1.0".to_owned() }
}

fn block(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut block = [&kind.to_le_bytes()[..], &[0; 2], &length.to_le_bytes(), &[0; 4]].concat();
    block.extend_from_slice(payload);
    seal(&mut block, 8);
    block
}

fn header(said: &Said) -> Vec<u8> {
    let mut header = TAKEN_AT.micros().to_le_bytes().to_vec();
    for number in [EPOCH, said.first_seq, said.last_seq, said.bytes_about] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    header.extend_from_slice(&u16::try_from(said.release.len()).unwrap().to_le_bytes());
    header.extend_from_slice(said.release.as_bytes());
    block(1, &header)
}

/// The frames of a commit, and how many.
fn frames(commit: &[Record]) -> (Vec<u8>, u64) {
    let mut encoder = Encoder::default();
    encoder.encode(EPOCH, commit).unwrap();
    encoder.frames().fold((vec![], 0), |(mut bytes, count), (_, frame)| {
        bytes.extend_from_slice(frame);
        (bytes, count + 1)
    })
}

/// Blocks between a prologue and a trailer that fits; so many snapshots and frames are in them.
fn whole(blocks: &[Vec<u8>], snapshots: u64, frames: u64) -> Vec<u8> {
    let mut bytes = [&b"LKB1\x01\0\0\0"[..], &blocks.concat()].concat();
    let trailer = [bytes.len() as u64, 0, snapshots, frames].map(u64::to_le_bytes).concat();
    let checksum = crc32c::crc32c(&bytes).to_le_bytes();
    bytes.extend(block(5, &[&trailer[..], &checksum].concat()));
    bytes
}

fn forged(said: &Said, commit: &[Record]) -> Vec<u8> {
    let (frames, count) = frames(commit);
    whole(&[header(said), block(4, &frames)], 0, count)
}

fn snapshot(author: &Author) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_snapshot(&author.snapshot(A), &mut bytes).unwrap();
    block(3, &bytes)
}

/// A lot's creation and what followed it, moved to other numbers.
fn records(first_seq: u64, first_lot_seq: u64) -> Vec<Record> {
    let mut author = Author::new();
    let mut records = vec![author.created(A, 3)];
    records.extend(author.changes(A, 1));
    for (record, at) in records.iter_mut().zip(0..) {
        record.seq = first_seq.checked_add(at).unwrap();
        record.lot_seq = first_lot_seq.wrapping_add(at);
    }
    records
}

#[test]
fn a_length_beyond_all_numbers_is_only_a_progress_bar() {
    let dir = tempfile::tempdir().unwrap();
    let said = Said { bytes_about: u64::MAX, ..said(1, 2) };
    let bytes = forged(&said, &records(1, 1));
    assert_eq!(inspect(&bytes, Target::Latest).unwrap().records, 2);
    let restored = restore(&bytes, &dir.path().join("data"), Target::Latest).unwrap();
    assert!(restored.check.is_clean());
}

#[test]
fn numbers_at_their_ends_are_refused_with_the_name_of_the_file() {
    let last = u64::MAX;
    let named = |release: &str| Said { release: release.to_owned(), ..said(1, 2) };
    for (what, said, records) in [
        ("the last sequence has none after it", said(last - 1, last), records(last - 1, 1)),
        ("so has that of a lot", said(1, 2), records(1, last)),
        ("a lot's sequence begins with 1", said(1, 2), records(1, 0)),
        ("more records than the header says", said(1, 1), records(1, 1)),
        ("fewer", said(1, 3), records(1, 1)),
        ("it begins elsewhere", said(2, 2), records(1, 1)),
        ("it begins amid a lot", said(7, 8), records(7, 3)),
        ("nothing is before 1", said(0, 2), records(1, 1)),
        ("a terminal obeys it", named("0.1\u{1b}[2J"), records(1, 1)),
        ("a line of its own", named("0.1.0\nrestored"), records(1, 1)),
        ("longer than a name", named(&"9".repeat(256)), records(1, 1)),
    ] {
        let bytes = forged(&said, &records);
        for target in [Target::Latest, Target::Seq(1), Target::Time(TAKEN_AT)] {
            let refused = inspect(&bytes, target).expect_err(what);
            assert!(matches!(refused, BackupError::Damaged { .. }), "{what}: {refused}");
            assert!(refused.to_string().starts_with("the backup is damaged"), "{what}: {refused}");
        }
    }
}

/// With the continuation flag, or another one.
fn flagged(mut block: Vec<u8>, flags: u16) -> Vec<u8> {
    block[2..4].copy_from_slice(&flags.to_le_bytes());
    seal(&mut block, 8);
    block
}

#[track_caller]
fn expect_damaged(bytes: &[u8], said: &str) {
    let refused = inspect(bytes, Target::Latest).expect_err(said).to_string();
    assert!(refused.starts_with("the backup is damaged") && refused.contains(said), "{refused}");
}

#[test]
fn blocks_that_no_writer_puts_so_are_refused() {
    let mut author = Author::new();
    let mut records = vec![author.created(A, 3)];
    let early = snapshot(&author);
    records.extend(author.changes(A, 4));
    let late = snapshot(&author);
    let (frames, count) = frames(&records);
    let (header, frames) = (header(&said(1, 5)), block(4, &frames));
    let of = |blocks: &[&Vec<u8>], snapshots| {
        let blocks: Vec<Vec<u8>> = blocks.iter().map(|block| (*block).clone()).collect();
        whole(&blocks, snapshots, count)
    };
    assert!(inspect(&of(&[&header, &early, &late, &frames], 2), Target::Latest).is_ok());
    let misplaced = "where it does not belong";
    expect_damaged(&of(&[&header, &early, &frames, &late], 2), misplaced);
    expect_damaged(&of(&[&header, &late, &early, &frames], 2), misplaced);
    expect_damaged(&of(&[&header, &early, &early, &frames], 2), misplaced);
    expect_damaged(&of(&[&header, &header, &frames], 0), misplaced);
    expect_damaged(&of(&[&header, &flagged(late.clone(), 2), &frames], 1), misplaced);
    let continued = flagged(late, 1);
    expect_damaged(&of(&[&header, &continued, &frames], 0), "without its end");
    author.changes(A, 1);
    expect_damaged(&of(&[&header, &snapshot(&author), &frames], 1), misplaced);
}

#[test]
fn a_block_that_is_larger_than_any_is_not_read() {
    let mut author = Author::new();
    let (mut all, mut count) = frames(&[author.created(A, 3)]);
    while all.len() <= 256 * 1024 {
        let (more, some) = frames(&author.changes(A, 1_000));
        (all, count) = ([all, more].concat(), count + some);
    }
    let said = said(1, author.seq);
    expect_damaged(&whole(&[header(&said), block(4, &all)], 0, count), "a block of");
}

/// A clock that was set back: the first commit that is later than the instant ends the restore, whatever follows.
#[test]
fn nothing_after_a_later_commit_is_kept() {
    let mut author = Author::new();
    let commits = [vec![author.created(A, 3)], author.changes(A, 1), author.changes(A, 2)];
    let (mut all, mut count) = (vec![], 0);
    for (mut commit, second) in commits.into_iter().zip([10, 30, 20]) {
        commit.iter_mut().for_each(|record| record.at = Timestamp::from_seconds(second));
        let (frames, some) = frames(&commit);
        (all, count) = ([all, frames].concat(), count + some);
    }
    let bytes = whole(&[header(&said(1, 4)), block(4, &all)], 0, count);
    let cut = inspect(&bytes, Target::Time(Timestamp::from_seconds(25))).unwrap().cut;
    assert_eq!((cut.end.seq, cut.records_left_out), (1, 3));
    assert_eq!(cut.next.map(|next| (next.first_seq, next.last_seq)), Some((2, 2)));
}

/// The records begin amid a lot, and of its snapshots only the second reaches them.
#[test]
fn a_snapshot_before_a_hole_is_no_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut author = Author::new();
    author.created(A, 3);
    let early = snapshot(&author);
    author.changes(A, 3);
    let (before, first) = frames(&author.changes(A, 2));
    let late = snapshot(&author);
    let (after, second) = frames(&author.changes(A, 2));
    let blocks = [header(&said(5, 8)), early, late, block(4, &[before, after].concat())];
    let bytes = whole(&blocks, 2, first + second);
    assert_eq!(inspect(&bytes, Target::Latest).unwrap().earliest.map(|point| point.seq), Some(6));
    let restored = restore(&bytes, &dir.path().join("data"), Target::Latest).unwrap();
    assert_eq!((restored.check.is_clean(), restored.check.snapshots), (true, 1));
}
