//! A backup file, as `lotkeeper restore` reads it: what is not whole and sound is refused by name, and what is
//! accepted is restored as it was announced.
//!
//! Bytes are tried as they are, and once more with every checksum, the lengths and the trailer made right:
//! damage is caught by those, a file that somebody made is not.

use std::io::{Cursor, Read};

use lotkeeper_engine::time::Timestamp;
use lotkeeper_gateway::fuzzing as gateway;
use lotkeeper_storage::backup::{BackupError, Contents, Site, Target as Point, inspect};
use lotkeeper_storage::format::{Assembler, Frame};
use lotkeeper_storage::{Journal, MemoryJournal, MemoryStore, PersonKind, fuzzing};

use super::journal::{FRAME_SEAL, PER_BYTE, SNAPSHOT_SEAL, fixture};
use crate::{Target, bounded, said};

/// A backup file.
pub const BACKUP: Target =
    Target { name: "backup", run: backup, seeds, words: &["LKB1", "LKF1", "LKS1", "0.1.0"] };

/// Named in every refusal.
const PLACE: &str = "monday.lkb";
/// One block, and what a frame and a snapshot may take whatever their length (`journal`).
const FIXED_BYTES: u64 = 3 * 1024 * 1024;
/// Magic, version, two bytes of zero.
const PROLOGUE_BYTES: usize = 8;
/// Before each payload.
const HEADER_BYTES: usize = 12;
const BLOCK_SEAL: usize = 8;
/// Kinds of blocks.
const PEOPLE: u16 = 2;
const SNAPSHOT: u16 = 3;
const FRAMES: u16 = 4;
const TRAILER: u16 = 5;
/// One in so many accepted files is restored: a directory is made for it, which takes thousands of times longer.
const RESTORED_ONE_IN: u32 = 32;

fn backup(bytes: &[u8]) {
    one(bytes);
    one(&made_right(bytes));
}

fn look(bytes: &[u8], target: Point) -> Result<Contents, BackupError> {
    let looked = bounded(bytes, FIXED_BYTES, PER_BYTE, || {
        inspect(bytes, PLACE, target, &mut |read, _| assert!(read <= bytes.len() as u64))
    });
    if let Err(error) = &looked {
        for told in [error.to_string(), gateway::backup_refused(error)] {
            said(&told);
            assert!(told.contains(PLACE), "{told}");
        }
    }
    looked
}

fn one(bytes: &[u8]) {
    let Ok(contents) = look(bytes, Point::Latest) else { return };
    assert_eq!(contents.bytes, bytes.len() as u64);
    assert_eq!((contents.cut.end, contents.cut.next), (contents.latest, None));
    let told = gateway::backup_told(&contents);
    assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{told:?}");
    // It is whole: with a byte less or more it is not.
    assert!(look(&bytes[..bytes.len() - 1], Point::Latest).is_err());
    assert!(look(&[bytes, &[0]].concat(), Point::Latest).is_err());
    let Some(earliest) = contents.earliest else { return };
    let middle = earliest.seq.midpoint(contents.latest.seq);
    for target in [
        Point::Seq(earliest.seq),
        Point::Seq(middle),
        Point::Seq(contents.latest.seq),
        Point::Time(earliest.at),
        Point::Time(contents.header.taken_at),
    ] {
        let Ok(earlier) = look(bytes, target) else {
            let promised = matches!(target, Point::Seq(seq) if seq == earliest.seq);
            assert!(!promised, "it does not go back to the point that it names");
            continue;
        };
        assert!((earliest.seq..=contents.latest.seq).contains(&earlier.cut.end.seq));
        let again = look(bytes, Point::Seq(earlier.cut.end.seq)).expect("that is where it ended");
        assert_eq!(again.cut.end.seq, earlier.cut.end.seq);
    }
    if bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31) ^ u32::from(*byte))
        % RESTORED_ONE_IN
        == 0
    {
        comes_back(bytes, &contents);
    }
}

/// What was accepted is restored, whole and clean.
fn comes_back(bytes: &[u8], contents: &Contents) {
    let dir = tempfile::tempdir().expect("a directory for temporary files");
    let data = dir.path().join("data");
    let mut open = || Ok(Box::new(Cursor::new(bytes.to_vec())) as Box<dyn Read>);
    let site = Site::new(&data).expect("a place that is free");
    let restored = site.restore(&mut open, PLACE, Point::Latest, &mut |_, _| {});
    let restored = restored.expect("what was found whole and sound is restored");
    assert_eq!(restored.cut.end, contents.latest);
    assert!(restored.check.is_clean(), "{}", restored.check);
}

/// The same with checksums, lengths and a trailer that fit what is there.
fn made_right(bytes: &[u8]) -> Vec<u8> {
    let mut right = bytes.to_vec();
    let [mut people, mut snapshots, mut frames] = [0_u64; 3];
    let (mut at, mut snapshot_at) = (PROLOGUE_BYTES, None);
    while let Some(header) = right.get(at..at + HEADER_BYTES) {
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let (kind, continued) = (short(0), short(2) != 0);
        let said = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if kind == TRAILER {
            break;
        }
        let start = at + HEADER_BYTES;
        let end = start.saturating_add(said).min(right.len());
        let length = u32::try_from(end - start).expect("an input is short");
        right[at + 4..start - 4].copy_from_slice(&length.to_le_bytes());
        match kind {
            PEOPLE => people += rows(&right[start..end]),
            // One of several blocks keeps its checksum: its bytes do not lie together.
            SNAPSHOT if !continued => {
                if snapshot_at.take().is_none() {
                    seal_snapshot(&mut right[start..end]);
                }
                snapshots += 1;
            }
            SNAPSHOT => snapshot_at = Some(at),
            FRAMES => frames += seal_frames(&mut right[start..end]),
            _ => {}
        }
        fuzzing::seal(&mut right[at..end], BLOCK_SEAL);
        at = end;
    }
    right.truncate(at.max(PROLOGUE_BYTES));
    let numbers = [right.len() as u64, people, snapshots, frames];
    let checksum = crc32c::crc32c(&right);
    let trailer = numbers.iter().flat_map(|number| number.to_le_bytes());
    let payload: Vec<u8> = trailer.chain(checksum.to_le_bytes()).collect();
    right.extend(block(TRAILER, &payload));
    right
}

fn block(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut block = [&kind.to_le_bytes()[..], &[0; 2], &length.to_le_bytes(), &[0; 4]].concat();
    block.extend_from_slice(payload);
    fuzzing::seal(&mut block, BLOCK_SEAL);
    block
}

/// How many rows of people there are, as far as their lengths lead.
fn rows(mut payload: &[u8]) -> u64 {
    let mut rows = 0;
    while let Some(row) = payload.get(..6) {
        let value = u32::from_le_bytes([row[2], row[3], row[4], row[5]]) as usize;
        let Some(rest) = payload.get((6 + usize::from(row[1])).saturating_add(value)..) else {
            break;
        };
        payload = rest;
        rows += 1;
    }
    rows
}

fn seal_snapshot(bytes: &mut [u8]) {
    if let Some(payload) = bytes.len().checked_sub(20) {
        let payload = u32::try_from(payload).expect("an input is short");
        bytes[8..12].copy_from_slice(&payload.to_le_bytes());
    }
    fuzzing::seal(bytes, SNAPSHOT_SEAL);
}

fn seal_frames(payload: &mut [u8]) -> u64 {
    let (mut at, mut frames) = (0, 0);
    while let Some(length) = payload.get(at + 36..at + 40) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(end) = (at + 44).checked_add(length).filter(|end| *end <= payload.len()) else {
            break;
        };
        fuzzing::seal(&mut payload[at..end], FRAME_SEAL);
        (at, frames) = (end, frames + 1);
    }
    frames
}

/// Backups of logs in memory, whose epochs and pseudonyms follow from a seed: with people, snapshots and every
/// kind of record, without any, and with people as a directory of today has them.
fn seeds() -> Vec<Vec<u8>> {
    let taken_at = Timestamp::from_seconds(1_800_000_000);
    let (empty, _) = MemoryJournal::open(MemoryStore::with_seed(1));
    let (mut full, _) = MemoryJournal::open(MemoryStore::with_seed(2));
    let mut last_seq = 0;
    for commit in commits() {
        last_seq = commit.last().map_or(last_seq, |record| record.seq);
        full.commit(&commit).expect("a commit in memory");
    }
    full.vault().intern("city", PersonKind::Vehicle, "B-XY 123").expect("a vault in memory");
    full.sync().expect("memory is synced");
    let bytes = |journal: &MemoryJournal, last_seq| -> Vec<u8> {
        let backup = journal.reader().backup(last_seq, taken_at).expect("a backup of a log");
        backup.flat_map(|block| block.expect("a block in memory")).collect()
    };
    let with_people = bytes(&full, last_seq);
    // People by place come right after the header, as a directory of today has them.
    let head_end = PROLOGUE_BYTES + HEADER_BYTES + usize::from(with_people[12]);
    let person = super::journal::people_seeds().swap_remove(0);
    let mut row = vec![0, 8];
    row.extend_from_slice(&u32::try_from(person.len()).expect("a short person").to_le_bytes());
    row.extend_from_slice(&[0; 8]);
    row.extend_from_slice(&person);
    let people = block(PEOPLE, &row);
    let placed = [&with_people[..head_end], &people, &with_people[head_end..]].concat();
    vec![bytes(&empty, 0), made_right(&placed), with_people]
}

/// The commits of the fixture of format 1.
fn commits() -> Vec<Vec<lotkeeper_storage::Record>> {
    let bytes = fixture(include_str!("../../../storage/tests/fixtures/format-1/commits.hex"));
    let (mut rest, mut assembler) = (bytes.as_slice(), Assembler::new(None));
    let (mut commits, mut open) = (vec![], vec![]);
    while let Ok((frame, after)) = Frame::read(rest) {
        let group = assembler.push(frame.header.key, &rest[..rest.len() - after.len()]);
        rest = after;
        let Some(group) = group.expect("a fixture is whole") else { continue };
        open.extend(group.records);
        if group.ends_commit {
            commits.push(std::mem::take(&mut open));
        }
    }
    commits
}
