//! What a backup reads of a journal in sled: the trees of people, snapshots, archive and live frames.

use std::sync::Arc;
use std::time::Duration;

use lotkeeper_engine::time::Timestamp;

use super::archive::Archive;
use super::keeping::Busy;
use super::live::Live;
use super::old_people::is_person;
use super::shared::Shared;
use crate::backup::{Backup, Header, PeopleRow, PeopleRows, PeopleTree, Snapshots, Source};
use crate::error::JournalError;
use crate::format::head_of;
use crate::paging::{Frames, Part};

/// A rotation copies what every start needs; on a slow disk that takes some tens of seconds.
const ROTATION_PATIENCE: Duration = Duration::from_secs(120);

/// Begins a backup of a journal that is in use.
pub(super) fn begin(
    shared: &Arc<Shared>,
    last_seq: &dyn Fn() -> u64,
    taken_at: Timestamp,
) -> Result<Backup, JournalError> {
    shared.check_poison()?;
    let hold = shared.keeping.hold(ROTATION_PATIENCE).map_err(|busy| JournalError::Busy {
        detail: match busy {
            Busy::AnotherBackup => "another backup is being read",
            Busy::Rotation => "the journal is being rotated",
        },
    })?;
    let last_seq = last_seq();
    let (live, archives, live_first) = {
        let log = shared.log.read();
        (Arc::clone(&log.live), log.archives.clone(), log.live_first)
    };
    let meta = live.meta()?;
    let epoch = meta.and_then(|meta| meta.epoch()).unwrap_or_default();
    let first_seq = archives.first().map_or(live_first, |archive| archive.first_seq);
    let bytes_about = bytes_about(&live, &archives)?;
    let release = env!("CARGO_PKG_VERSION").to_owned();
    let header = Header { taken_at, epoch, first_seq, last_seq, bytes_about, release };
    let source = source_of(&live, archives, live_first, last_seq, Some(Box::new(hold)))?;
    Ok(Backup::new(header, source))
}

/// An upper bound, as sled gives little space back.
pub(crate) fn bytes_about(live: &Live, archives: &[Arc<Archive>]) -> Result<u64, JournalError> {
    let mut bytes = live.bytes()?;
    for archive in archives {
        bytes += archive.bytes()?;
    }
    Ok(bytes)
}

/// All parts of a directory up to a sequence.
pub(crate) fn source_of(
    live: &Arc<Live>,
    archives: Vec<Arc<Archive>>,
    live_first: u64,
    last_seq: u64,
    held: Option<Box<dyn Send>>,
) -> Result<Source, JournalError> {
    Ok(Source {
        place: live.place(),
        people: people(live),
        snapshots: snapshots(live, last_seq)?,
        frames: frames(live, archives, live_first)?,
        held,
    })
}

fn people(live: &Arc<Live>) -> PeopleRows {
    let rows = [(PeopleTree::Placed, &live.people), (PeopleTree::Old, &live.old_vault)];
    let rows = rows.map(|(tree, values)| {
        let live = Arc::clone(live);
        values.iter().map(move |entry| {
            let (key, value) = entry.map_err(|error| live.error("read", &error))?;
            Ok(PeopleRow { tree, key: key.to_vec(), value: value.to_vec() })
        })
    });
    // A directory of format 1 that was never opened since has hashes beside its people.
    Box::new(rows.into_iter().flatten().filter(|row| match row {
        Ok(PeopleRow { tree: PeopleTree::Old, key, .. }) => is_person(key),
        Ok(_) | Err(_) => true,
    }))
}

/// Intact ones; one that a crash cut short, or that is just being written, is left out as a start would.
fn snapshots(live: &Arc<Live>, last_seq: u64) -> Result<Snapshots, JournalError> {
    let generations = live.generations(None)?;
    let live = Arc::clone(live);
    let within = generations.into_iter().filter(move |(_, seq)| *seq <= last_seq);
    Ok(Box::new(within.filter_map(move |(lot, seq)| {
        let intact = live.generation(lot, seq).and_then(|bytes| {
            let named = bytes.and_then(|bytes| head_of(&bytes).map(|head| (head, bytes)));
            let (head, bytes) =
                named.map_err(|error| JournalError::format(live.place(), &error))?;
            Ok((head.lot == lot.0 && head.seq == seq).then_some(bytes))
        });
        match intact {
            Ok(bytes) => bytes.map(Ok),
            Err(JournalError::Damaged { detail, .. }) => {
                tracing::info!(lot = lot.0, seq, detail, "a snapshot is not in the backup");
                None
            }
            Err(error) => Some(Err(error)),
        }
    })))
}

fn frames(
    live: &Arc<Live>,
    archives: Vec<Arc<Archive>>,
    live_first: u64,
) -> Result<Frames, JournalError> {
    let archived = archives.into_iter().flat_map(|archive| match archive.all_frames() {
        Ok(frames) => frames,
        Err(error) => Box::new(std::iter::once(Err(error))),
    });
    Ok(Box::new(archived.chain(live.frames_from(live_first)?)))
}
