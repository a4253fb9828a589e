//! The journal in memory: for tests, benches and simulation. It writes the same frames as the one on disk
//! and recovers through the same scan; what it lacks is the disk.
//!
//! [`MemoryStore`] is that disk: it survives the journal, and [`MemoryStore::power_cut`] drops what was
//! not synced. A store opened again fences the journal that had it before.

mod backup;
mod disk;
mod shared;

use std::sync::Arc;

use parking_lot::Mutex;
use sled::IVec;

use disk::Disk;
pub use disk::MemoryStore;
use shared::{MemoryReader, MemoryVault, Stored};

use crate::error::JournalError;
use crate::format::{Encoder, Tip, encode_snapshot};
use crate::index::note_commit;
use crate::journal::{
    CommitStats, EpochStory, Journal, Maintenance, Reader, Recovery, RecoveryReport,
};
use crate::paging::Commits;
use crate::record::Record;
use crate::scan::{Continuation, continuation, scan};
use crate::snapshot::LotSnapshot;
use crate::vault::Vault;

const PLACE: &str = "the log in memory";

/// See the module.
pub struct MemoryJournal {
    store: Arc<Mutex<Disk>>,
    opening: u64,
    encoder: Encoder,
    epoch: u64,
    last_seq: u64,
    poisoned: Option<String>,
    stats: CommitStats,
}

impl MemoryJournal {
    /// Opens a store as a restart does.
    #[must_use]
    pub fn open(store: MemoryStore) -> (Self, Recovery) {
        let why = "frames in memory are only ever whole, and their order is checked at the commit";
        let mut disk = store.0.lock();
        disk.openings += 1;
        disk.sync();
        let heads = disk.heads();
        let first_seq = disk.first_seq;
        let frames: Vec<_> =
            disk.frames.iter().map(|(key, bytes)| Ok((*key, bytes.clone()))).collect();
        let found = scan(Box::new(frames.into_iter()), PLACE, first_seq, &heads, &mut |_| Ok(()));
        let found = found.expect(why);
        for key in &found.discarded {
            disk.frames.remove(key);
        }
        let created = disk.epoch.is_none();
        let tip = disk.epoch.map(|_| disk.tip);
        let (epoch, ends_below_tip, story) =
            match continuation(disk.epoch.unwrap_or_default(), found.last_seq, tip) {
                Continuation::SameEpoch => (disk.tip.epoch, None, EpochStory::Kept),
                Continuation::NewEpoch { ends_below } => {
                    let story = match (created, ends_below) {
                        (true, _) => EpochStory::Created,
                        (false, Some(_)) => EpochStory::EndsBelowTip,
                        (false, None) => EpochStory::TipLost,
                    };
                    (disk.random(), ends_below, story)
                }
            };
        disk.epoch = Some(epoch);
        disk.tip = Tip::bare(epoch, found.last_seq);
        disk.index = found.index.clone();
        let starts = found.starts(&heads);
        let tail_start = found.tail_start(&starts, PLACE).expect(why);
        let snapshots = starts.iter().map(|head| disk.snapshot(head).expect(why)).collect();
        let opening = disk.openings;
        let people = disk.people.len() as u64;
        drop(disk);
        let stored = Stored(Arc::clone(&store.0));
        let tail = Commits::new(&stored, tail_start, found.last_seq).expect(why);
        let report = RecoveryReport {
            discarded_frames: found.discarded.len() as u64,
            ends_below_tip,
            created,
            epoch: story,
            first_seq,
            people,
            ..RecoveryReport::default()
        };
        let recovery = Recovery {
            epoch,
            last_seq: found.last_seq,
            last_at: found.last_at,
            snapshots,
            tail: Box::new(tail),
            report,
        };
        let journal = Self {
            store: store.0,
            opening,
            encoder: Encoder::default(),
            epoch,
            last_seq: found.last_seq,
            poisoned: None,
            stats: CommitStats::default(),
        };
        (journal, recovery)
    }

    /// Puts the frames of a commit into the store, `frames_max` of them at most; not synced yet.
    pub(crate) fn write(
        &mut self,
        records: &[Record],
        frames_max: usize,
    ) -> Result<(), JournalError> {
        let mut disk = self.store.lock();
        let disk = self.fence(&mut disk)?;
        note_commit(&mut disk.index, self.last_seq, records)?;
        self.encoder
            .encode(self.epoch, records)
            .map_err(|error| JournalError::format(PLACE, &error))?;
        self.stats = CommitStats {
            frames: self.encoder.frame_count() as u64,
            bytes: self.encoder.bytes().len() as u64,
            ..CommitStats::default()
        };
        for (key, bytes) in self.encoder.frames().take(frames_max) {
            disk.frames.insert(key, IVec::from(bytes));
            disk.unsynced_frames.push(key);
        }
        self.last_seq = records.last().map_or(self.last_seq, |record| record.seq);
        Ok(())
    }

    /// Makes durable what was written.
    pub(crate) fn sync_written(&mut self) -> Result<(), JournalError> {
        let mut disk = self.store.lock();
        let disk = self.fence(&mut disk)?;
        disk.sync();
        disk.tip = Tip::bare(self.epoch, self.last_seq);
        Ok(())
    }

    /// Makes durable what was written of a commit that fails: nothing tells how far that is.
    pub(crate) fn sync_torn(&mut self) -> Result<(), JournalError> {
        let mut disk = self.store.lock();
        self.fence(&mut disk)?.sync();
        Ok(())
    }

    /// Does as if all were durable.
    pub(crate) fn claim_durable(&mut self) -> Result<(), JournalError> {
        let mut disk = self.store.lock();
        self.fence(&mut disk)?.tip = Tip::bare(self.epoch, self.last_seq);
        Ok(())
    }

    pub(crate) fn check_poison(&self) -> Result<(), JournalError> {
        match &self.poisoned {
            Some(cause) => Err(JournalError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    pub(crate) fn poison(&mut self, error: JournalError) -> JournalError {
        self.poisoned.get_or_insert_with(|| error.to_string());
        error
    }

    fn fence<'a>(&self, disk: &'a mut Disk) -> Result<&'a mut Disk, JournalError> {
        match disk.openings == self.opening {
            true => Ok(disk),
            false => Err(JournalError::Locked { path: PLACE.to_owned() }),
        }
    }
}

impl Journal for MemoryJournal {
    fn commit(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.check_poison()?;
        let written = self.write(records, usize::MAX).and_then(|()| self.sync_written());
        written.map_err(|error| self.poison(error))
    }

    fn save_snapshot(&mut self, snapshot: &LotSnapshot) -> Result<(), JournalError> {
        self.check_poison()?;
        let mut bytes = Vec::new();
        encode_snapshot(snapshot, &mut bytes)
            .map_err(|error| JournalError::format(PLACE, &error))?;
        let mut disk = self.store.lock();
        let disk = self.fence(&mut disk)?;
        disk.unsynced_snapshots.push((snapshot.lot, snapshot.seq, bytes));
        Ok(())
    }

    fn maintain(&mut self) -> Result<Maintenance, JournalError> {
        self.check_poison()?;
        let mut disk = self.store.lock();
        let disk = self.fence(&mut disk)?;
        let bytes: usize = disk.frames.values().map(|bytes| bytes.len()).sum();
        Ok(Maintenance {
            free_bytes: None,
            journal_bytes: bytes as u64,
            rotated: false,
            first_seq: disk.first_seq,
        })
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.check_poison()?;
        self.sync_written().map_err(|error| self.poison(error))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(MemoryReader(Arc::clone(&self.store)))
    }

    fn vault(&self) -> Arc<dyn Vault> {
        Arc::new(MemoryVault(Arc::clone(&self.store)))
    }

    fn last_commit(&self) -> CommitStats {
        self.stats
    }

    fn mark_failed(&mut self, cause: &str) {
        self.poisoned.get_or_insert_with(|| cause.to_owned());
    }
}
