//! Backups that no writer made: every checksum is right, and the numbers stand where something overflows.
//!
//! A reader that adds to them would panic in this build. What the coverage-led targets found is here by name.

use lotkeeper_storage::Record;
use lotkeeper_storage::backup::{BackupError, Target};
use lotkeeper_storage::format::Encoder;
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

fn forged(said: &Said, commit: &[Record]) -> Vec<u8> {
    let mut header = TAKEN_AT.micros().to_le_bytes().to_vec();
    for number in [EPOCH, said.first_seq, said.last_seq, said.bytes_about] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    header.extend_from_slice(&u16::try_from(said.release.len()).unwrap().to_le_bytes());
    header.extend_from_slice(said.release.as_bytes());
    let mut encoder = Encoder::default();
    encoder.encode(EPOCH, commit).unwrap();
    let (frames, count) =
        encoder.frames().fold((vec![], 0_u64), |(mut bytes, count), (_, frame)| {
            bytes.extend_from_slice(frame);
            (bytes, count + 1)
        });
    let mut bytes = [&b"LKB1\x01\0\0\0"[..], &block(1, &header), &block(4, &frames)].concat();
    let trailer = [bytes.len() as u64, 0, 0, count].map(u64::to_le_bytes).concat();
    let checksum = crc32c::crc32c(&bytes).to_le_bytes();
    bytes.extend(block(5, &[&trailer[..], &checksum].concat()));
    bytes
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
