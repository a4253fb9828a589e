//! The journal on disk.
//!
//! A commit is encoded into frames, each one sled value; then `flush`, then `sync_data`; only then is it
//! told to be durable. Driven by one thread. After a failed commit nothing is accepted any more, and sled
//! is not dropped, because its drop would flush again.

mod archive;
mod backup;
mod copy;
mod guard;
mod keeping;
pub(crate) mod layout;
mod live;
mod marks;
pub(crate) mod old_people;
mod open;
mod options;
pub(crate) mod people;
pub(crate) mod places;
mod pruning;
mod reader;
mod rotation;
mod shared;
mod snapshots;
mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;
use parking_lot::RwLock;

pub(crate) use archive::ArchiveWriter;
pub(crate) use backup::{bytes_about, source_of};
pub(crate) use copy::create as create_live;
pub use guard::silence_guarded_panics;
pub(crate) use guard::{caught, with_limit};
pub(crate) use layout::{Layout, LiveDir};
use live::Cost;
pub(crate) use live::{Live, Meta};
pub(crate) use open::{Archives, Inventory, census_of, holdings, refuse_lost_log};
pub use options::Options;

use crate::error::JournalError;
use crate::files;
use crate::format::{Encoder, Tip};
use crate::index::note_commit;
use crate::journal::{CommitStats, Journal, Maintenance, Reader, Recovery};
use crate::paging::Commits;
use crate::record::Record;
use crate::scan::older_of;
use crate::snapshot::LotSnapshot;
use crate::vault::Vault;
use reader::SledReader;
use rotation::{Plan, Prepared, Rotation};
use shared::{Log, Shared};

/// A rotation leaves the journal smaller than this part of the size at which the next one is due, or else
/// a journal full of what starts need would rotate without end.
const ROTATION_GROWTH: u64 = 2;

/// See the module.
pub struct SledJournal {
    shared: Arc<Shared>,
    /// The live journal, without the lock that writers of people take.
    live: Arc<Live>,
    meta: Meta,
    epoch: u64,
    last_seq: u64,
    last_at: Timestamp,
    encoder: Encoder,
    snapshot_buffer: Vec<u8>,
    /// Sequences of the two newest snapshots of each lot: the older bounds what may be pruned.
    generations: BTreeMap<LotKey, (u64, u64)>,
    /// Lots that got a snapshot while a backup kept their older ones.
    surplus: BTreeSet<LotKey>,
    stats: CommitStats,
    /// The oldest record that is to be kept.
    kept_from: u64,
    /// Records after this one are not pruned, however old they are.
    keep_after: u64,
    written_tip: Tip,
    rotation: Option<Rotation>,
    rotate_above_bytes: u64,
    maintenance: Maintenance,
    maintenance_due: Instant,
}

impl SledJournal {
    /// Opens a data directory, or makes one, and tells what it holds.
    ///
    /// # Errors
    /// In use by another process; damage beyond a torn end; a later format; the disk.
    #[expect(clippy::needless_pass_by_value, reason = "they are kept")]
    pub fn open(options: Options) -> Result<(Self, Recovery), JournalError> {
        let layout = Layout::new(&options.data_dir);
        let lock = layout.take()?;
        let opened = open::open(&layout, &options)?;
        let epoch = opened.meta.epoch().unwrap_or_default();
        let (last_seq, last_at) = (opened.scan.last_seq, opened.scan.last_at);
        let tail = Commits::new(&opened.live, opened.tail_start, last_seq)?;
        let recovery = Recovery {
            epoch,
            last_seq,
            last_at,
            snapshots: opened.snapshots,
            tail: Box::new(tail),
            report: opened.report,
        };
        let live_first = opened.meta.first_seq;
        let shared = Arc::new(Shared {
            options: options.clone(),
            layout,
            live: RwLock::new(Arc::clone(&opened.live)),
            log: RwLock::new(Log {
                live: Arc::clone(&opened.live),
                live_first,
                archives: opened.archives,
                index: opened.scan.index,
            }),
            people: opened.people,
            keeping: Arc::default(),
            poison: OnceLock::new(),
            _lock: lock,
        });
        let first_seq = shared.log.read().first_seq();
        let generations = opened
            .heads
            .iter()
            .filter_map(|(lot, heads)| Some((*lot, (older_of(heads)?, heads.last()?.seq))));
        let journal = Self {
            generations: generations.collect(),
            surplus: BTreeSet::new(),
            live: opened.live,
            shared,
            meta: opened.meta,
            epoch,
            last_seq,
            last_at,
            encoder: Encoder::default(),
            snapshot_buffer: Vec::new(),
            stats: CommitStats::default(),
            kept_from: opened.kept_from,
            keep_after: u64::MAX,
            written_tip: Tip::bare(epoch, last_seq),
            rotation: None,
            rotate_above_bytes: options.rotate_bytes,
            maintenance: Maintenance { first_seq, ..Maintenance::default() },
            maintenance_due: Instant::now(),
        };
        Ok((journal, recovery))
    }

    fn write(&mut self, records: &[Record]) -> Result<CommitStats, JournalError> {
        note_commit(&mut self.shared.log.write().index, self.last_seq, records)?;
        self.encoder
            .encode(self.epoch, records)
            .map_err(|error| JournalError::format(self.live.place(), &error))?;
        // First: a record must not be on the disk without the people it names.
        self.shared.people.write(&self.live)?;
        for (key, bytes) in self.encoder.frames() {
            self.live.put(&self.live.frames, key.to_bytes(), bytes)?;
        }
        let cost = self.make_durable()?;
        Ok(CommitStats {
            frames: self.encoder.frame_count() as u64,
            bytes: self.encoder.bytes().len() as u64,
            flush_micros: cost.flush_micros,
            sync_micros: cost.sync_micros,
        })
    }

    /// Gets everything onto the disk that was handed to sled before.
    fn make_durable(&self) -> Result<Cost, JournalError> {
        let written = self.shared.people.written();
        let cost = self.live.make_durable()?;
        self.shared.people.is_durable(written);
        Ok(cost)
    }

    /// The tip is a hint for the next start: that it cannot be written stops nobody but pruning.
    fn write_tip(&mut self, sync: bool) -> Result<(), JournalError> {
        let holdings = Some(self.shared.people.holdings(self.kept_from));
        let tip = Tip { epoch: self.epoch, seq: self.last_seq, holdings };
        if tip == self.written_tip && !sync {
            return Ok(());
        }
        let path = self.shared.layout.tip_path();
        let written = files::write_atomic(&path, &tip.to_bytes(), sync);
        match &written {
            Ok(()) => self.written_tip = tip,
            Err(error) => tracing::warn!(%error, "the tip file stays behind"),
        }
        written
    }

    fn look_around(&mut self) -> Result<(), JournalError> {
        drop(self.write_tip(false));
        if self.live.blobs()? > 0 {
            let detail = "sled moved a value out to blobs/, which it does not sync";
            return Err(JournalError::damaged(self.live.place(), detail));
        }
        let dir = self.shared.layout.dir();
        let free = rustix::fs::statvfs(dir).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        self.maintenance.free_bytes = free.ok();
        self.maintenance.journal_bytes = self.live.bytes()?;
        let shared = Arc::clone(&self.shared);
        if let Some(_nobody_reads) = shared.keeping.unless_held() {
            for lot in std::mem::take(&mut self.surplus) {
                self.live.remove_old_generations(lot)?;
            }
            self.prune();
        }
        Ok(())
    }

    /// Starts a rotation when one is due. That it cannot be done keeps disk space and nothing else.
    fn rotate_if_due(&mut self) {
        if self.rotation.is_some() || self.maintenance.journal_bytes <= self.rotate_above_bytes {
            return;
        }
        if !self.shared.keeping.begin_rotation() {
            return;
        }
        let plan = Plan { first: self.meta.first_seq, cut: self.cut(), last: self.last_seq };
        tracing::info!(?plan, bytes = self.maintenance.journal_bytes, "rotation begins");
        match Rotation::start(&self.shared, plan) {
            Ok(rotation) => self.rotation = Some(rotation),
            Err(error) => {
                self.shared.keeping.end_rotation();
                self.postpone_rotation(&error);
            }
        }
    }

    fn postpone_rotation(&mut self, error: &JournalError) {
        self.rotate_above_bytes = self.maintenance.journal_bytes.saturating_mul(ROTATION_GROWTH);
        let next = self.rotate_above_bytes;
        tracing::error!(%error, next_at_bytes = next, "rotation failed; the journal stays as it is");
    }

    /// The newest record that no start needs: older than the older snapshot of every lot.
    fn cut(&self) -> u64 {
        let log = self.shared.log.read();
        let of_lot = |lot: LotKey, first: Option<u64>| match self.generations.get(&lot) {
            Some((older, _)) => *older,
            None => first.map_or(0, |seq| seq - 1),
        };
        let lots = log.index.iter().map(|(lot, track)| of_lot(lot, track.first_seq()));
        lots.min().unwrap_or(0).min(self.last_seq)
    }

    fn finish_rotation(&mut self) -> Result<bool, JournalError> {
        let Some(rotation) = self.rotation.take_if(|rotation| rotation.is_finished()) else {
            return Ok(false);
        };
        let moved = rotation.result().and_then(|prepared| self.swap(prepared));
        self.shared.keeping.end_rotation();
        match moved {
            Ok(()) => Ok(true),
            Err(error) => match self.shared.check_poison() {
                Ok(()) => {
                    self.postpone_rotation(&error);
                    Ok(false)
                }
                Err(_) => Err(error),
            },
        }
    }

    fn swap(&mut self, prepared: Prepared) -> Result<(), JournalError> {
        let (meta, old) = rotation::finish(&self.shared, prepared, self.last_seq, &self.meta)?;
        self.meta = meta;
        self.live = Arc::clone(&self.shared.live.read());
        open::remove_dir(&old);
        self.maintenance.journal_bytes = self.live.bytes()?;
        let grown = self.maintenance.journal_bytes.saturating_mul(ROTATION_GROWTH);
        self.rotate_above_bytes = self.shared.options.rotate_bytes.max(grown);
        tracing::info!(bytes = self.maintenance.journal_bytes, "rotation ended");
        Ok(())
    }
}

impl Journal for SledJournal {
    fn commit(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.shared.check_poison()?;
        let Some(last) = records.last() else { return Ok(()) };
        self.stats = self.write(records).map_err(|error| self.shared.poison(error))?;
        self.last_seq = last.seq;
        self.last_at = records.iter().fold(self.last_at, |at, record| at.max(record.at));
        Ok(())
    }

    fn save_snapshot(&mut self, snapshot: &LotSnapshot) -> Result<(), JournalError> {
        self.shared.check_poison()?;
        self.live
            .save_snapshot(snapshot, &mut self.snapshot_buffer)
            .and_then(|()| match self.shared.keeping.unless_held() {
                Some(_nobody_reads) => self.live.remove_old_generations(snapshot.lot),
                None => {
                    self.surplus.insert(snapshot.lot);
                    Ok(())
                }
            })
            .map_err(|error| self.shared.poison(error))?;
        let newest = (snapshot.seq, snapshot.seq);
        let generations = self.generations.entry(snapshot.lot).or_insert(newest);
        *generations = (generations.1, snapshot.seq);
        Ok(())
    }

    fn keep_after(&mut self, seq: u64) {
        self.keep_after = seq;
    }

    fn maintain(&mut self) -> Result<Maintenance, JournalError> {
        self.shared.check_poison()?;
        self.maintenance.rotated =
            self.finish_rotation().map_err(|error| self.shared.poison(error))?;
        if self.shared.people.is_crowded() {
            let written = self.shared.people.write(&self.live);
            written.map_err(|error| self.shared.poison(error))?;
        }
        let now = Instant::now();
        if now >= self.maintenance_due || self.maintenance.rotated {
            self.maintenance_due = now + Duration::from_millis(self.shared.options.tip_interval_ms);
            self.look_around().map_err(|error| self.shared.poison(error))?;
            self.rotate_if_due();
        }
        Ok(self.maintenance.clone())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.shared.check_poison()?;
        let written = self.shared.people.write(&self.live);
        written.and_then(|()| self.make_durable()).map_err(|error| self.shared.poison(error))?;
        drop(self.write_tip(true));
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(SledReader(Arc::clone(&self.shared)))
    }

    fn vault(&self) -> Arc<dyn Vault> {
        Arc::new(vault::SledVault(Arc::clone(&self.shared)))
    }

    fn last_commit(&self) -> CommitStats {
        self.stats
    }

    fn mark_failed(&mut self, cause: &str) {
        self.shared.poison.get_or_init(|| cause.to_owned());
        if let Err(error) = self.shared.layout.mark_failed(cause) {
            tracing::error!(%error, "the marker of the failed commit cannot be left");
        }
    }
}

impl Drop for SledJournal {
    fn drop(&mut self) {
        if let Some(rotation) = self.rotation.take() {
            rotation.cancel();
        }
        if self.shared.poison.get().is_some() {
            // sled flushes when it is dropped; what a failed sync left must not be written once more
            // as if nothing had happened.
            std::mem::forget(Arc::clone(&self.live));
        }
    }
}
