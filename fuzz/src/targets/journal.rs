//! Bytes of the data directory: damage must be recognised, and what passes for whole must be usable.

use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::format::{
    Assembler, Encoder, Frame, FrameKey, Group, RECORD_BYTES_MAX, SnapshotKey, Tip,
    decode_snapshot, encode_snapshot,
};
use lotkeeper_storage::fuzzing;

use crate::{Target, bounded, said};

/// What a decoded thing takes for each of its bytes at most: a state of a slot is 2 bytes at least.
pub(super) const PER_BYTE: u64 = 400;
/// Where the checksums lie.
pub(super) const FRAME_SEAL: usize = 40;
pub(super) const SNAPSHOT_SEAL: usize = 16;
const TIP_SEAL: usize = 24;

/// Frames, as they are and with their checksum made right.
pub const FRAMES: Target =
    Target { name: "frames", run: frames, seeds: frame_seeds, words: &["LKF1"] };
/// Snapshots, as they are and with their checksum made right.
pub const SNAPSHOT: Target =
    Target { name: "snapshot", run: snapshot, seeds: snapshot_seeds, words: &["LKS1"] };
/// Values of the vault.
pub const PEOPLE: Target =
    Target { name: "people", run: people, seeds: people_seeds, words: &["default", "D B-XY 123"] };
/// The tip, `CURRENT`, keys of frames and snapshots.
pub const MARKERS: Target =
    Target { name: "markers", run: markers, seeds: marker_seeds, words: &["LKT1", "journal-"] };

/// Documents of the history: which kind, then its bytes.
pub const DOCUMENT: Target =
    Target { name: "document", run: document, seeds: document_seeds, words: &[] };

fn frames(bytes: &[u8]) {
    row_of_frames(bytes);
    let mut sealed = bytes.to_vec();
    // Each frame of the row gets its checksum, as far as the lengths lead.
    let mut at = 0;
    while let Some(length) = sealed.get(at + 36..at + 40) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(end) = (at + 44).checked_add(length).filter(|end| *end <= sealed.len()) else {
            break;
        };
        fuzzing::seal(&mut sealed[at..end], FRAME_SEAL);
        at = end;
    }
    row_of_frames(&sealed);
}

fn row_of_frames(bytes: &[u8]) {
    let mut rest = bytes;
    let mut assembler = Assembler::new(None);
    loop {
        let (frame, after) = match Frame::read(rest) {
            Ok(read) => read,
            Err(error) => return said(&error.to_string()),
        };
        let key = frame.header.key;
        let frame = &rest[..rest.len() - after.len()];
        // A record of several frames is decoded from all of them.
        let fixed = if bytes.len() <= 16 * 1024 { 2 * 1024 * 1024 } else { RECORD_BYTES_MAX };
        let pushed = bounded(bytes, fixed as u64, PER_BYTE, || assembler.push(key, frame));
        match pushed {
            Ok(Some(group)) => comes_back(&group),
            Ok(None) => {}
            Err(error) => {
                said(&error.to_string());
                assembler = Assembler::new(None);
            }
        }
        rest = after;
    }
}

/// What was decoded is encoded and decoded to the same.
fn comes_back(group: &Group) {
    let mut encoder = Encoder::default();
    let Ok(()) = encoder.encode(group.epoch, &group.records) else { return };
    let mut assembler = Assembler::new(None);
    let mut again = Vec::new();
    for (key, frame) in encoder.frames() {
        let group = assembler.push(key, frame).expect("what was encoded is decoded");
        again.extend(group.into_iter().flat_map(|group| group.records));
    }
    assert_eq!(again, group.records);
}

fn snapshot(bytes: &[u8]) {
    one_snapshot(bytes);
    let mut sealed = bytes.to_vec();
    // The length as well: it is what most changes break.
    if let Some(payload) = sealed.len().checked_sub(20).and_then(|bytes| u32::try_from(bytes).ok())
    {
        sealed[8..12].copy_from_slice(&payload.to_le_bytes());
    }
    fuzzing::seal(&mut sealed, SNAPSHOT_SEAL);
    one_snapshot(&sealed);
}

fn one_snapshot(bytes: &[u8]) {
    let decoded = bounded(bytes, 2 * 1024 * 1024, PER_BYTE, || decode_snapshot(bytes));
    match decoded {
        Err(error) => said(&error.to_string()),
        Ok(snapshot) => {
            let mut again = Vec::new();
            encode_snapshot(&snapshot, &mut again).expect("what was decoded is encoded");
            assert_eq!(decode_snapshot(&again).as_ref(), Ok(&snapshot));
        }
    }
}

fn document(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match bounded(rest, 64 * 1024, PER_BYTE, || fuzzing::document_again(*kind, rest)) {
        Ok(again) => assert_eq!(fuzzing::document_again(*kind, &again), Ok(again)),
        Err(error) => said(&error.to_string()),
    }
}

fn people(bytes: &[u8]) {
    let read = bounded(bytes, 64 * 1024, 64, || fuzzing::people(bytes));
    let again = fuzzing::people_again(bytes);
    assert_eq!(read.is_some(), again.is_some());
    if let (Some(people), Some(again)) = (read, again) {
        assert_eq!(fuzzing::people(&again), Some(people));
    }
}

fn markers(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), {
        let mut sealed = bytes.to_vec();
        fuzzing::seal(&mut sealed, TIP_SEAL);
        sealed
    }] {
        match Tip::from_bytes(&bytes) {
            Ok(tip) => assert_eq!(Tip::from_bytes(&tip.to_bytes()), Ok(tip)),
            Err(error) => said(&error.to_string()),
        }
    }
    if let Ok(key) = FrameKey::from_bytes(bytes) {
        assert_eq!(key.to_bytes(), bytes);
    }
    if let Ok(key) = SnapshotKey::from_bytes(bytes) {
        assert_eq!(key.to_bytes(), bytes);
    }
    match fuzzing::current(bytes) {
        Ok(name) => {
            assert!(!name.contains('/') && name.starts_with("journal-"), "{name}");
            assert_eq!(fuzzing::current(name.as_bytes()), Ok(name));
        }
        Err(error) => said(&error),
    }
}

/// Bytes of a fixture.
pub(super) fn fixture(hex: &str) -> Vec<u8> {
    let lines = hex.lines().map(|line| line.split('#').next().unwrap_or_default());
    let digits: Vec<u32> = lines.flat_map(str::chars).filter_map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).expect("two digits are a byte");
    digits.chunks_exact(2).map(byte).collect()
}

fn frame_seeds() -> Vec<Vec<u8>> {
    // Every field of every record of each format is in one of them.
    let fixtures = [
        include_str!("../../../storage/tests/fixtures/format-1/commits.hex"),
        include_str!("../../../storage/tests/fixtures/format-2/commits.hex"),
        include_str!("../../../storage/tests/fixtures/format-3/commits.hex"),
        include_str!("../../../storage/tests/fixtures/format-3/stays.hex"),
        include_str!("../../../storage/tests/fixtures/format-3/story.hex"),
    ];
    fixtures.into_iter().map(fixture).chain([Vec::new()]).collect()
}

pub(super) fn snapshot_seeds() -> Vec<Vec<u8>> {
    let fixtures = [
        include_str!("../../../storage/tests/fixtures/format-1/snapshot.hex"),
        include_str!("../../../storage/tests/fixtures/format-3/snapshot.hex"),
        include_str!("../../../storage/tests/fixtures/format-3/stays-snapshot.hex"),
    ];
    fixtures.into_iter().map(fixture).collect()
}

fn document_seeds() -> Vec<Vec<u8>> {
    let snapshots = snapshot_seeds();
    let decoded = snapshots.iter().filter_map(|bytes| decode_snapshot(bytes).ok());
    decoded.flat_map(|snapshot| fuzzing::documents_of(&snapshot)).collect()
}

pub(super) fn people_seeds() -> Vec<Vec<u8>> {
    let person = |tenant: &str, clear: &str| {
        let mut value = vec![0x80; 16];
        for text in [tenant, clear] {
            if text == clear {
                value.push(1);
            }
            value.push(u8::try_from(text.len()).expect("a short text"));
            value.extend_from_slice(text.as_bytes());
        }
        value
    };
    vec![person("default", "D B-XY 123"), [person("a", "b"), person("c", "d")].concat()]
}

fn marker_seeds() -> Vec<Vec<u8>> {
    let (frame, chunk) =
        (FrameKey { first_seq: 7, part: 1 }, SnapshotKey { lot: LotKey(1), seq: 2, chunk: 3 });
    vec![
        Tip::bare(7, 9).to_bytes().to_vec(),
        frame.to_bytes().to_vec(),
        chunk.to_bytes().to_vec(),
        b"journal-000001\n".to_vec(),
    ]
}
