//! A backup of a log in memory: the same bytes as of one on disk, taken at one instant.

use sled::IVec;

use lotkeeper_engine::time::Timestamp;

use super::PLACE;
use super::disk::Disk;
use crate::backup::{Backup, Header, PeopleRow, PeopleTree, Source};
use crate::error::JournalError;
use crate::format::FrameKey;
use crate::sled_journal::old_people;

/// Copies everything up to a sequence; frames are shared, not copied.
pub(super) fn begin(
    disk: &Disk,
    last_seq: u64,
    taken_at: Timestamp,
) -> Result<Backup, JournalError> {
    let mut people = Vec::with_capacity(disk.people.len());
    for (pseudonym, (tenant, kind, clear)) in &disk.people {
        let (key, value) = old_people::entry(pseudonym.0, tenant, *kind, clear)?;
        people.push(PeopleRow { tree: PeopleTree::Old, key, value });
    }
    let within = disk.snapshots.iter().filter(|((_, seq), _)| *seq <= last_seq);
    let snapshots: Vec<Vec<u8>> = within.map(|(_, bytes)| bytes.clone()).collect();
    let until = FrameKey { first_seq: last_seq, part: u16::MAX };
    let frames: Vec<(FrameKey, IVec)> =
        disk.frames.range(..=until).map(|(key, bytes)| (*key, bytes.clone())).collect();
    let frame_bytes: usize = frames.iter().map(|(_, bytes)| bytes.len()).sum();
    let snapshot_bytes: usize = snapshots.iter().map(Vec::len).sum();
    let header = Header {
        taken_at,
        epoch: disk.epoch.unwrap_or_default(),
        first_seq: disk.first_seq,
        last_seq,
        bytes_about: (frame_bytes + snapshot_bytes) as u64,
        release: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let source = Source {
        place: PLACE.to_owned(),
        people: Box::new(people.into_iter().map(Ok)),
        snapshots: Box::new(snapshots.into_iter().map(Ok)),
        frames: Box::new(frames.into_iter().map(Ok)),
        held: None,
    };
    Ok(Backup::new(header, source))
}
