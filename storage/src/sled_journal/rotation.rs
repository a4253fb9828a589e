//! Rotation: what no start needs goes to the archive, the rest moves to a fresh directory.
//!
//! Phase one runs beside the commits: it exports, and copies what is there. Phase two stops them for a
//! moment: it copies what came since, snapshots and people, renames `CURRENT` and swaps. A crash at any
//! point leaves the old directory or the new one, complete.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::archive::{Archive, Floors, export};
use super::copy::{self, GoOn};
use super::live::{Live, Meta};
use super::shared::Shared;
use crate::error::JournalError;
use crate::files;
use crate::format::FrameKey;
use crate::paging::{Groups, Part};

/// What phase one made.
pub(super) struct Prepared {
    pub(super) live: Live,
    /// The newest record in it.
    pub(super) copied: u64,
    pub(super) exported: Option<Exported>,
}

pub(super) struct Exported {
    pub(super) archive: Archive,
    pub(super) floors: Floors,
}

/// Phase one under way.
pub(super) struct Rotation {
    thread: JoinHandle<Result<Prepared, JournalError>>,
    cancelled: Arc<AtomicBool>,
}

/// What is to be moved.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// First record of the live journal.
    pub(super) first: u64,
    /// The newest record that no start needs.
    pub(super) cut: u64,
    /// The newest durable record.
    pub(super) last: u64,
}

impl Rotation {
    pub(super) fn start(shared: &Arc<Shared>, plan: Plan) -> Result<Self, JournalError> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (shared, cancel) = (Arc::clone(shared), Arc::clone(&cancelled));
        let dir = shared.layout.dir().to_path_buf();
        let thread = std::thread::Builder::new()
            .name("journal-rotation".to_owned())
            .spawn(move || prepare(&shared, &plan, &|| not_cancelled(&cancel)))
            .map_err(|error| JournalError::disk("start a thread for", &dir, &error))?;
        Ok(Self { thread, cancelled })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) fn result(self) -> Result<Prepared, JournalError> {
        self.thread.join().unwrap_or_else(|_| {
            Err(JournalError::damaged("the live journal", "a rotation panicked while reading it"))
        })
    }

    /// Gives up; what it wrote is removed at the next start.
    pub(super) fn cancel(self) {
        self.cancelled.store(true, Ordering::Relaxed);
        drop(self.thread.join());
    }
}

fn not_cancelled(cancelled: &AtomicBool) -> Result<(), JournalError> {
    match cancelled.load(Ordering::Relaxed) {
        true => Err(JournalError::damaged("rotation", "given up because the journal closes")),
        false => Ok(()),
    }
}

fn prepare(shared: &Shared, plan: &Plan, go_on: &GoOn<'_>) -> Result<Prepared, JournalError> {
    let live = Arc::clone(&shared.live.read());
    let boundary = commit_boundary(&live, plan, go_on)?;
    let exported = match boundary {
        Some((last, floors)) => {
            let frames = live.frames_from(plan.first)?;
            let within = |key: &FrameKey| key.first_seq <= last;
            let frames = frames
                .take_while(|frame| frame.as_ref().map_or(true, |(key, _)| within(key)))
                .map(|frame| go_on().and(frame));
            let archive = export(&shared.layout.archive_dir(), plan.first, last, frames)?;
            Some(Exported { archive, floors })
        }
        None => None,
    };
    let dir = shared.layout.next_dir(&live.dir);
    let fresh = copy::create(&dir, shared.options.cache_bytes)?;
    let first = exported.as_ref().map_or(plan.first, |exported| exported.archive.last_seq + 1);
    copy::frames(&live, &fresh, (first, plan.last), go_on)?;
    Ok(Prepared { live: fresh, copied: plan.last, exported })
}

/// The newest end of a commit at or before the cut, and the newest record of each lot up to there.
fn commit_boundary(
    live: &Arc<Live>,
    plan: &Plan,
    go_on: &GoOn<'_>,
) -> Result<Option<(u64, Floors)>, JournalError> {
    let mut boundary = None;
    let mut floors = HashMap::new();
    let mut commit: Vec<_> = Vec::new();
    if plan.cut < plan.first {
        return Ok(None);
    }
    for group in Groups::new(live, plan.first)? {
        let group = group?;
        commit.extend(group.records.iter().map(|record| (record.lot, record.lot_seq)));
        let Some(last) = group.records.last().map(|record| record.seq) else { continue };
        go_on()?;
        if last > plan.cut {
            break;
        }
        if group.ends_commit {
            floors.extend(commit.drain(..));
            boundary = Some(last);
        }
    }
    Ok(boundary.map(|last| (last, floors.into_iter().collect())))
}

/// Phase two. Gives the meta of the new directory, and the old one to be removed.
pub(super) fn finish(
    shared: &Shared,
    prepared: Prepared,
    last_seq: u64,
    meta: &Meta,
) -> Result<(Meta, PathBuf), JournalError> {
    // Nobody may write a person into the old directory once its people are copied.
    let mut current = shared.live.write();
    let old = Arc::clone(&current);
    copy::frames(&old, &prepared.live, (prepared.copied + 1, last_seq), &|| Ok(()))?;
    let first_seq =
        prepared.exported.as_ref().map_or(meta.first_seq, |exported| exported.archive.last_seq + 1);
    let meta = Meta { first_seq, epochs: meta.epochs.clone() };
    copy::complete(&old, &prepared.live, &meta)?;
    let live = Arc::new(prepared.live);
    // From here on a failure leaves open which of the two the next start takes: the caller poisons.
    let renamed = shared.layout.set_current(files::name_of(&live.dir));
    renamed.map_err(|error| shared.poison(error))?;
    *current = Arc::clone(&live);
    let mut log = shared.log.write();
    log.live = live;
    log.live_first = first_seq;
    if let Some(Exported { archive, floors }) = prepared.exported {
        log.index.forget(archive.last_seq, &floors);
        log.archives.push(Arc::new(archive));
    }
    Ok((meta, old.dir.clone()))
}
