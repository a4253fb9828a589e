//! Format 3 of frames and format 2 of snapshots, byte by byte: everything that a lot is made of is in them.
//!
//! The files under `fixtures/format-3` are never made anew once they were released. A change that this test
//! refuses is a new format: it gets a version, a reader beside the old one, and a fixture of its own.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;
#[path = "common/rich.rs"]
mod rich;
#[path = "common/samples.rs"]
mod samples;
#[path = "common/snapshots.rs"]
mod snapshots;

use std::sync::Arc;

use common::{START, by};
use lotkeeper_engine::ids::{LotKey, Pseudonym, SlotIndex};
use lotkeeper_engine::slot::{Event as SlotEvent, Sighting};
use lotkeeper_storage::format::{Assembler, Encoder, FrameKey, decode_snapshot, encode_snapshot};
use lotkeeper_storage::{By, Event, LotSnapshot, Record, Role};
use samples::{EPOCH, assert_bytes, bytes_of, commits, hex_of, read, sighting, written};

const COMMITS: &str = include_str!("fixtures/format-3/commits.hex");
const SNAPSHOT: &str = include_str!("fixtures/format-3/snapshot.hex");
const PAGE: &str = include_str!("../../docs/storage-format.md");
/// Bytes before the payload of a snapshot.
const SNAPSHOT_HEADER_BYTES: usize = 20;

/// The commits of the earlier formats and one of what those could not say.
fn all_commits() -> Vec<Vec<Record>> {
    let mut all = commits(by).to_vec();
    all.push(rich::commit(by));
    all
}

fn snapshot() -> LotSnapshot {
    let mut snapshot = snapshots::snapshot();
    snapshot.parts.spec = Arc::new(rich::spec_of_two_slots());
    snapshot
}

#[test]
fn commits_of_format_3_are_read_and_written() {
    assert_bytes(&written(&all_commits()), COMMITS);
    assert_eq!(read(&bytes_of(COMMITS)), all_commits());
}

#[test]
fn snapshots_of_format_2_are_read_and_written() {
    let mut written = Vec::new();
    encode_snapshot(&snapshot(), &mut written).unwrap();
    assert_bytes(&written, SNAPSHOT);
    assert_eq!(decode_snapshot(&bytes_of(SNAPSHOT)).unwrap(), snapshot());
}

/// Tag, and bytes with tag and length, of each section in a snapshot.
fn sections_of(encoded: &[u8], head_bytes: usize) -> Vec<(u16, Vec<u8>)> {
    let mut rest = &encoded[SNAPSHOT_HEADER_BYTES + head_bytes..];
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let tag = u16::from_le_bytes(rest[..2].try_into().unwrap());
        let length = u32::from_le_bytes(rest[2..6].try_into().unwrap()) as usize;
        let (section, after) = rest.split_at(6 + length);
        sections.push((tag, section.to_vec()));
        rest = after;
    }
    sections
}

/// A snapshot of these sections, with a right checksum.
fn of_sections(encoded: &[u8], head_bytes: usize, sections: &[&[u8]]) -> Vec<u8> {
    let mut bytes = encoded[..SNAPSHOT_HEADER_BYTES + head_bytes].to_vec();
    bytes.extend(sections.concat());
    let payload_bytes = u32::try_from(bytes.len() - SNAPSHOT_HEADER_BYTES).unwrap();
    bytes[8..12].copy_from_slice(&payload_bytes.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[20..]);
    bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// What has nothing to say has no section; what must be there is missed by name; what nobody knows, what
/// comes twice and what is cut short is refused.
#[test]
fn sections_are_found_missed_and_refused_by_their_tags() {
    let mut encoded = Vec::new();
    let full = snapshot();
    encode_snapshot(&full, &mut encoded).unwrap();
    // Lot 7, sequence 4,242 and 42, and a time of nine bytes.
    let head_bytes = 1 + 3 + 1 + 9;
    let sections = sections_of(&encoded, head_bytes);
    assert_eq!(sections.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let section: Vec<&[u8]> = sections.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let [lot, slots, reservations, claims] = section[..] else { panic!("four sections") };
    let decoded = |sections: &[&[u8]]| {
        decode_snapshot(&of_sections(&encoded, head_bytes, sections)).map_err(|e| e.to_string())
    };
    assert_eq!(decoded(&[lot, slots, reservations, claims]), Ok(full.clone()));
    let mut bare = full;
    bare.parts.reservations.clear();
    assert_eq!(decoded(&[lot, slots, claims]).as_ref(), Ok(&bare));
    bare.claims.clear();
    assert_eq!(decoded(&[lot, slots]).as_ref(), Ok(&bare));
    let mut short = Vec::new();
    encode_snapshot(&bare, &mut short).unwrap();
    assert_eq!(short, of_sections(&encoded, head_bytes, &[lot, slots]), "the empty have none");

    let unknown = [&[0xe7, 3, 1, 0, 0, 0, 0][..]].concat();
    for (sections, wanted) in [
        (vec![], "has no section of its lot"),
        (vec![slots], "has no section of its lot"),
        (vec![lot], "has no section of its slots"),
        (vec![lot, claims], "has no section of its slots"),
        (vec![lot, slots, &unknown], "section 999 is not known, or not in its place"),
        (vec![lot, slots, claims, claims], "section 4 is not known, or not in its place"),
        (vec![lot, slots, claims, reservations], "section 3 is not known, or not in its place"),
        (vec![lot, &slots[..slots.len() - 1]], "snapshot ends after"),
        (vec![lot, slots, &[3, 0, 1]], "snapshot ends after"),
    ] {
        let refused = decoded(&sections).unwrap_err();
        assert!(refused.contains(wanted), "{refused} is not {wanted}");
    }
}

/// The example of the page is a frame: it is decoded here, so that the page cannot drift away.
#[test]
fn the_page_tells_the_truth() {
    let example = PAGE.split("```hex\n").nth(1).unwrap().split("```").next().unwrap();
    let bytes = bytes_of(example);
    let subject = uuid::Uuid::parse_str("00000000-002a-8123-8456-789abcdef012").unwrap();
    let record = Record {
        seq: 42,
        lot: LotKey(3),
        lot_seq: 17,
        at: START,
        event: Event::Slot(
            SlotIndex(5),
            SlotEvent::Occupied(Sighting { id_hash: 0, ..sighting(7) }),
        ),
        by: Some(By { subject: Pseudonym(subject), role: Role::Device }),
        claim: None,
    };
    let mut encoder = Encoder::default();
    encoder.encode(EPOCH, std::slice::from_ref(&record)).unwrap();
    assert_eq!(hex_of(encoder.bytes()), hex_of(&bytes), "the example of docs/storage-format.md");
    let key = FrameKey { first_seq: 42, part: 0 };
    let group = Assembler::new(None).push(key, &bytes).unwrap().unwrap();
    assert_eq!(group.records, [record]);
    // Every variant that has a number on the page has it in the bytes of the fixture as well.
    for name in
        ["Created", "CounterFellSilent", "FellSilent", "Cancelled", "Absolute", "SlotChanged2"]
    {
        assert!(PAGE.contains(name), "{name} is not on the page");
    }
}
