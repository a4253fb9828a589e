//! Opening a data directory: take it, recover, repair what a failed commit left, settle the epoch.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::Archive;
use super::copy;
use super::guard::with_limit;
use super::layout::{Layout, LiveDir};
use super::live::{Live, Meta};
use super::options::Options;
use super::people::People;
use super::places::{Census, Gone};
use super::snapshots::Broken;
use crate::error::JournalError;
use crate::files;
use crate::format::{Holdings, SnapshotHead, Tip};
use crate::journal::{EpochStory, RecoveryReport};
use crate::paging::Part;
use crate::scan::{Continuation, Heads, Scan, continuation, scan};
use crate::snapshot::LotSnapshot;

/// Directories of this format and later ones have no empty place among people.
const FORMAT_OF_RUNS: u16 = 3;

/// An open journal directory and what is in it.
pub(crate) struct Inventory {
    pub(crate) live: Arc<Live>,
    /// Nothing in a new one.
    pub(crate) meta: Option<Meta>,
    pub(crate) heads: Heads,
    pub(crate) scan: Scan,
    pub(crate) blobs: usize,
    /// Snapshots that are left out, and why.
    pub(crate) broken: Vec<Broken>,
}

impl Inventory {
    /// Opens and reads all of a directory. May panic inside sled.
    fn take(dir: &Path, cache_bytes: u64) -> Result<Self, JournalError> {
        let live = Arc::new(Live::open(dir, cache_bytes)?);
        let meta = live.meta()?;
        let (heads, broken) = live.snapshot_heads()?;
        let first_seq = meta.as_ref().map_or(1, |meta| meta.first_seq);
        let place = live.place();
        let scan = scan(live.frames_from(0)?, &place, first_seq, &heads, &mut |_| Ok(()))?;
        if meta.is_none()
            && (scan.last_seq > 0 || !(live.people.is_empty() && live.old_vault.is_empty()))
        {
            return Err(JournalError::damaged(place, "records without a format and an epoch"));
        }
        let blobs = live.blobs()?;
        Ok(Self { live, meta, heads, scan, blobs, broken })
    }

    /// The same on a thread of its own, with a time limit; a panic is an error.
    pub(crate) fn open(dir: &Path, options: &Options) -> Result<Self, JournalError> {
        let (place, cache_bytes) = (dir.display().to_string(), options.cache_bytes);
        let dir = dir.to_path_buf();
        with_limit(&place, options.open_seconds_max, move || Self::take(&dir, cache_bytes))
    }
}

/// A data directory that is ready for commits.
pub(super) struct Opened {
    pub(super) live: Arc<Live>,
    pub(super) meta: Meta,
    pub(super) heads: Heads,
    pub(super) scan: Scan,
    pub(super) archives: Vec<Arc<Archive>>,
    pub(super) snapshots: Vec<LotSnapshot>,
    pub(super) tail_start: u64,
    pub(super) report: RecoveryReport,
    pub(super) people: People,
    /// The oldest record that is to be kept; it may be lost.
    pub(super) kept_from: u64,
}

/// Removes what is there of unfinished snapshots, and tells of the damaged ones.
fn leave_out(live: &Live, broken: Vec<Broken>) -> Result<Vec<String>, JournalError> {
    let mut left_out = Vec::new();
    for one in broken {
        if one.unfinished {
            tracing::info!(reason = %one, "removing what is there of a snapshot");
            live.remove_generation(one.lot, one.seq)?;
        } else {
            left_out.push(one.to_string());
        }
    }
    Ok(left_out)
}

/// Recovers a directory that this process has taken.
pub(super) fn open(layout: &Layout, options: &Options) -> Result<Opened, JournalError> {
    layout.refuse_unfinished()?;
    let LiveDir { dir, being_made } = layout.live_dir()?;
    layout.remove_leftovers(&dir)?;
    let (tip, failure) = (layout.tip()?, layout.failure()?);
    let inventory = Inventory::open(&dir, options)?;
    refuse_lost_log(&inventory, tip)?;
    let Inventory { mut live, meta, heads, scan, blobs, broken } = inventory;
    let left_out = leave_out(&live, broken)?;
    let format = live.found_format()?;
    let held = holdings(tip, meta.as_ref());
    let given = (places_given(held, &scan), missing_means(format, tip));
    let (people, census) = known_people(&live, given, options)?;
    let losses = census.losses(held);
    for key in &scan.discarded {
        live.remove(&live.frames, key.to_bytes())?;
    }
    let mut report = RecoveryReport {
        discarded_frames: scan.discarded.len() as u64,
        rebuilt: rebuild_reason(failure.as_deref(), blobs),
        created: meta.is_none(),
        format,
        snapshots_left_out: left_out,
        people: people.count(),
        people_lost: losses.people,
        people_lost_before: census.lost_before,
        erasures_lost: losses.erasures,
        restored: layout.restored()?,
        ..RecoveryReport::default()
    };
    let (meta, story) = settle_epoch(meta, scan.last_seq, tip)?;
    let restored = story == EpochStory::Kept && report.restored.is_some();
    report.epoch = if restored { EpochStory::Restored } else { story };
    report.ends_below_tip = tip.filter(|_| story == EpochStory::EndsBelowTip).map(|tip| tip.seq);
    if report.rebuilt.is_some() {
        report.rebuilt_from = Some(files::name_of(&live.dir).to_owned());
        live = rebuild(layout, options, &live, &meta, scan.last_seq)?;
    } else {
        // What a killed process had written and not synced counts from now on: so it is synced now.
        live.set_meta(&meta)?;
        live.make_durable()?;
        files::sync_tree(&live.dir)?;
        if being_made {
            layout.set_current(files::name_of(&live.dir))?;
        }
    }
    layout.remove_vault_key()?;
    let archives = joined_archives(layout, &meta, scan.last_seq)?;
    let kept_from = note_beginning(&archives, &meta, held, &mut report);
    write_tip(layout, &meta, scan.last_seq, people.holdings(kept_from))?;
    if failure.is_some() {
        layout.clear_failure()?;
    }
    if report.restored.is_some() {
        layout.clear_restored()?;
    }
    let starts = scan.starts(&heads);
    let tail_start = scan.tail_start(&starts, &live.place())?;
    report.journal = files::name_of(&live.dir).to_owned();
    Ok(Opened {
        snapshots: load(&live, &starts)?,
        archives,
        people,
        report,
        live,
        meta,
        heads,
        scan,
        tail_start,
        kept_from,
    })
}

/// Reads who is known, and leaves runs where somebody is missing.
fn known_people(
    live: &Arc<Live>,
    (given, why): (u64, Gone),
    options: &Options,
) -> Result<(People, Census), JournalError> {
    let (shared, place) = (Arc::clone(live), live.place());
    let identity = options.identity;
    let (people, mut census) = with_limit(&place, options.open_seconds_max, move || {
        People::load(&shared, identity, given, why)
    })?;
    census.mend(live)?;
    Ok((people, census))
}

/// Says what there is from now on.
fn write_tip(
    layout: &Layout,
    meta: &Meta,
    seq: u64,
    holdings: Holdings,
) -> Result<(), JournalError> {
    let epoch = meta.epoch().unwrap_or_default();
    let tip = Tip { epoch, seq, holdings: Some(holdings) };
    files::write_atomic(&layout.tip_path(), &tip.to_bytes(), true)
}

/// Tells where the log begins and what is missing there; gives the oldest record that is to be kept.
fn note_beginning(
    archives: &[Arc<Archive>],
    meta: &Meta,
    held: Option<Holdings>,
    report: &mut RecoveryReport,
) -> u64 {
    let first_seq = archives.first().map_or(meta.first_seq, |archive| archive.first_seq);
    let kept_from = held.map_or(first_seq, |held| held.first_seq.min(first_seq));
    report.first_seq = first_seq;
    report.archives = archives.len() as u64;
    report.history_lost = (kept_from < first_seq).then(|| (kept_from, first_seq - 1));
    kept_from
}

/// An empty journal beside a tip that says otherwise is a lost log, not a new one.
pub(crate) fn refuse_lost_log(inventory: &Inventory, tip: Option<Tip>) -> Result<(), JournalError> {
    match (&inventory.meta, tip) {
        (None, Some(tip)) if tip.seq > 0 => {
            let seq = tip.seq;
            let detail = format!("it is empty, and the tip file has seen record {seq}");
            Err(JournalError::damaged(inventory.live.place(), detail))
        }
        (_, _) => Ok(()),
    }
}

/// What a log's tip says of the directory; another log's says nothing of it.
pub(crate) fn holdings(tip: Option<Tip>, meta: Option<&Meta>) -> Option<Holdings> {
    tip.filter(|tip| meta.and_then(Meta::epoch) == Some(tip.epoch))?.holdings
}

/// What a place without a person or a run stands for. Earlier releases left nothing in the place of whoever was
/// erased, and a tip of format 1.
fn missing_means(format: u16, tip: Option<Tip>) -> Gone {
    match tip {
        Some(Tip { holdings: None, .. }) => Gone::Erased,
        _ if format < FORMAT_OF_RUNS => Gone::Erased,
        _ => Gone::Lost,
    }
}

/// How many places were given to people at least, as the tip and the records know.
fn places_given(held: Option<Holdings>, scan: &Scan) -> u64 {
    held.map_or(0, |held| held.places).max(scan.places_named)
}

/// Walks over the people of a directory that nobody has started.
pub(crate) fn census_of(inventory: &Inventory, tip: Option<Tip>) -> Result<Census, JournalError> {
    let live = &inventory.live;
    let given = places_given(holdings(tip, inventory.meta.as_ref()), &inventory.scan);
    Census::take(live, given, missing_means(live.found_format()?, tip), &mut |_| {})
}

fn rebuild_reason(failure: Option<&str>, blobs: usize) -> Option<String> {
    match (failure, blobs) {
        (Some(cause), _) => Some(format!("a commit failed before: {cause}")),
        (None, 0) => None,
        (None, blobs) => Some(format!("{blobs} values lay in blobs/, which sled does not sync")),
    }
}

/// Keeps the epoch or begins a new one, which holds from the next record on.
fn settle_epoch(
    meta: Option<Meta>,
    last_seq: u64,
    tip: Option<Tip>,
) -> Result<(Meta, EpochStory), JournalError> {
    let mut meta = meta.unwrap_or(Meta { first_seq: 1, epochs: Vec::new() });
    let story = match meta.epoch().map(|epoch| continuation(epoch, last_seq, tip)) {
        Some(Continuation::SameEpoch) => return Ok((meta, EpochStory::Kept)),
        Some(Continuation::NewEpoch { ends_below: Some(_) }) => EpochStory::EndsBelowTip,
        Some(Continuation::NewEpoch { ends_below: None }) => EpochStory::TipLost,
        None => EpochStory::Created,
    };
    let epoch = getrandom::u64().map_err(|error| {
        JournalError::disk("draw an epoch for", Path::new("the journal"), &error)
    })?;
    // Epochs of records that are lost, or that never came, say nothing.
    meta.epochs.retain(|(first_seq, _)| *first_seq <= last_seq);
    meta.epochs.push((last_seq + 1, epoch));
    Ok((meta, story))
}

/// The kernel may show bytes that a failed sync never got onto the disk: they are written once more, in a
/// fresh directory, and that is synced.
fn rebuild(
    layout: &Layout,
    options: &Options,
    live: &Arc<Live>,
    meta: &Meta,
    last_seq: u64,
) -> Result<Arc<Live>, JournalError> {
    let fresh = copy::create(&layout.next_dir(&live.dir), options.cache_bytes)?;
    copy::frames(live, &fresh, (meta.first_seq, last_seq), &|| Ok(()))?;
    copy::complete(live, &fresh, meta)?;
    layout.set_current(files::name_of(&fresh.dir))?;
    remove_dir(&live.dir);
    Ok(Arc::new(fresh))
}

/// What stays is removed at the next start.
pub(super) fn remove_dir(dir: &PathBuf) {
    if let Err(error) = fs::remove_dir_all(dir) {
        tracing::warn!(path = %dir.display(), %error, "the old journal stays until the next start");
    }
}

fn load(live: &Live, starts: &[SnapshotHead]) -> Result<Vec<LotSnapshot>, JournalError> {
    starts.iter().map(|head| live.snapshot(head)).collect()
}

/// Files of the archive, told apart by whether they join the live journal.
#[derive(Default)]
pub(crate) struct Archives {
    /// They end where the live journal begins, without a gap; oldest first.
    pub(crate) chain: Vec<Arc<Archive>>,
    /// Exported by a rotation that did not end: the live journal still has all of it.
    pub(crate) repeated: Vec<Archive>,
    /// Beyond a gap.
    pub(crate) strangers: Vec<Archive>,
}

impl Archives {
    pub(crate) fn of(layout: &Layout, meta: &Meta, last_seq: u64) -> Result<Self, JournalError> {
        let mut archives = Self::default();
        let mut next = meta.first_seq;
        for archive in Archive::list(&layout.archive_dir())?.into_iter().rev() {
            if archive.last_seq + 1 == next {
                next = archive.first_seq;
                archives.chain.push(Arc::new(archive));
            } else if archive.first_seq >= meta.first_seq && archive.last_seq <= last_seq {
                archives.repeated.push(archive);
            } else {
                archives.strangers.push(archive);
            }
        }
        archives.chain.reverse();
        Ok(archives)
    }
}

/// The archive of a log that goes on.
fn joined_archives(
    layout: &Layout,
    meta: &Meta,
    last_seq: u64,
) -> Result<Vec<Arc<Archive>>, JournalError> {
    let archives = Archives::of(layout, meta, last_seq)?;
    for archive in archives.repeated {
        files::remove_if_there(&archive.path)?;
    }
    for archive in archives.strangers {
        let path = archive.path.display();
        tracing::warn!(%path, "a file of the archive does not join the log and is left out");
    }
    Ok(archives.chain)
}
