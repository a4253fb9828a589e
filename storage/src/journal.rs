//! The door to the log: what every implementation promises. `contract.rs` holds the suite they all run.

use std::sync::Arc;

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;

use crate::backup::Backup;
use crate::error::JournalError;
use crate::record::Record;
use crate::snapshot::LotSnapshot;
use crate::vault::Vault;

/// A log. Driven by one thread; readers and the vault are shared.
pub trait Journal: Send {
    /// Makes records durable, as a whole or not at all, before it returns `Ok`. Sequences continue
    /// without a gap from the last commit.
    ///
    /// # Errors
    /// After any error nothing more is accepted ([`JournalError::Poisoned`]): whether the commit is on
    /// the disk is unknown, and a retried sync would lie.
    fn commit(&mut self, records: &[Record]) -> Result<(), JournalError>;

    /// Writes a lot's snapshot and keeps the one before it: recovery starts from the older, so that the
    /// tail it replays also refills the change rings. Durable with the next commit or [`Journal::sync`].
    ///
    /// # Errors
    /// As for `commit`.
    fn save_snapshot(&mut self, snapshot: &LotSnapshot) -> Result<(), JournalError>;

    /// Keeps records after this one from being pruned: somebody has yet to read them.
    fn keep_after(&mut self, seq: u64) {
        let _ = seq;
    }

    /// Does what is due between commits: tip file, rotation, pruning, free space. Short unless it rotates.
    ///
    /// # Errors
    /// As for `commit`.
    fn maintain(&mut self) -> Result<Maintenance, JournalError>;

    /// Makes everything durable: before a clean end.
    ///
    /// # Errors
    /// As for `commit`.
    fn sync(&mut self) -> Result<(), JournalError>;

    /// Reads the log while it grows.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Clear texts of plates and people.
    fn vault(&self) -> Arc<dyn Vault>;

    /// What the last commit cost; zeros where it costs nothing.
    fn last_commit(&self) -> CommitStats {
        CommitStats::default()
    }

    /// Leaves a marker that a commit failed, so that the next start copies the good frames to a fresh
    /// directory. Best effort: the disk may be gone.
    fn mark_failed(&mut self, cause: &str);
}

/// What a commit cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Frames written.
    pub frames: u64,
    /// Bytes of these frames.
    pub bytes: u64,
    /// Handing them to the file.
    pub flush_micros: u64,
    /// Getting them onto the disk.
    pub sync_micros: u64,
}

/// What maintenance saw and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Free bytes on the file system of the data directory; nothing where there is none.
    pub free_bytes: Option<u64>,
    /// Bytes of the journal directory.
    pub journal_bytes: u64,
    /// Whether a rotation finished in this step.
    pub rotated: bool,
    /// The oldest retained record.
    pub first_seq: u64,
}

/// Records of a page in order, and where the log begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub records: Vec<Record>,
    /// The oldest retained record of the log (global sequence).
    pub first_seq: u64,
}

/// Reads the log while it grows; shared by threads. May see records that are written and not yet durable:
/// callers bound what they show by the durable sequence.
pub trait Reader: Send + Sync {
    /// Records after a global sequence.
    ///
    /// # Errors
    /// [`JournalError::Pruned`] when `after_seq + 1` has been pruned; damage; the disk.
    fn after(&self, after_seq: u64, limit: usize) -> Result<Page, JournalError>;

    /// Records of one lot after a lot sequence.
    ///
    /// # Errors
    /// [`JournalError::Pruned`] when the next one has been pruned; damage; the disk.
    fn lot_after(
        &self,
        lot: LotKey,
        after_lot_seq: u64,
        limit: usize,
    ) -> Result<Page, JournalError>;

    /// A copy of the whole log up to a durable sequence that ends a commit, with snapshots and people; read
    /// while commits go on. One at a time: what it needs is kept until it is dropped.
    ///
    /// # Errors
    /// [`JournalError::Busy`]; [`JournalError::NoBackup`] where there is nothing to copy; the disk.
    fn backup(&self, last_seq: u64, taken_at: Timestamp) -> Result<Backup, JournalError> {
        self.backup_as_of(&|| last_seq, taken_at)
    }

    /// The same, with the sequence asked for when everything before it is kept: to begin may take as long as a
    /// rotation, and snapshots that are newer than the sequence would push out those it rests on.
    ///
    /// # Errors
    /// As [`Reader::backup`].
    fn backup_as_of(
        &self,
        last_seq: &dyn Fn() -> u64,
        taken_at: Timestamp,
    ) -> Result<Backup, JournalError> {
        let _ = (last_seq, taken_at);
        Err(JournalError::NoBackup)
    }
}

/// What opening a log found.
pub struct Recovery {
    /// Changes whenever history may have shrunk; shown as 16 hexadecimal digits.
    pub epoch: u64,
    /// The last durable record; 0 for a new log.
    pub last_seq: u64,
    /// Record time of the newest record; the clock never goes back behind it.
    pub last_at: Timestamp,
    /// The older snapshot of each lot that has one.
    pub snapshots: Vec<LotSnapshot>,
    /// Commits after the oldest of those snapshots, in order: the records of each.
    pub tail: Box<dyn Iterator<Item = Result<Vec<Record>, JournalError>> + Send>,
    /// For the start-up log.
    pub report: RecoveryReport,
}

/// What recovery did, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Frames after the last whole commit, discarded.
    pub discarded_frames: u64,
    /// The tip file's sequence when recovery ended below it: so much was lost, and the epoch changed.
    pub ends_below_tip: Option<u64>,
    /// Why the good frames were copied to a fresh directory, if they were.
    pub rebuilt: Option<String>,
    /// Whether the log is new.
    pub created: bool,
    /// Why the epoch is what it is.
    pub epoch: EpochStory,
    /// Format of the directory as it was found; 0 where there is none.
    pub format: u16,
    /// Name of the live journal.
    pub journal: String,
    /// The journal whose good frames were copied, when they were.
    pub rebuilt_from: Option<String>,
    /// Snapshots that are damaged and left out, and why.
    pub snapshots_left_out: Vec<String>,
    /// The oldest record that is kept.
    pub first_seq: u64,
    /// Files of the archive.
    pub archives: u64,
    /// People in the vault.
    pub people: u64,
    /// People whom nobody erased and whose clear texts this start found missing.
    pub people_lost: u64,
    /// The same, found by earlier starts.
    pub people_lost_before: u64,
    /// Erasures of which there is no trace: so many people's clear texts may be back.
    pub erasures_lost: u64,
    /// First and last of the oldest records that nobody pruned and that are not there.
    pub history_lost: Option<(u64, u64)>,
    /// What the directory was restored to, at the first start after a restore.
    pub restored: Option<String>,
}

/// Why a log has the epoch it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EpochStory {
    /// As before: all that was ever told is there.
    #[default]
    Kept,
    /// A new log.
    Created,
    /// A new one: the log ends below the tip.
    EndsBelowTip,
    /// A new one: the tip is missing, unreadable or another log's, so history may have shrunk.
    TipLost,
    /// A new one, by a restore.
    Restored,
}
