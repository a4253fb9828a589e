//! A journal that fails, tears and lies on command: a memory journal behind a plan of faults.
//!
//! It keeps every promise of the trait except where the plan says otherwise, so that what stands above it
//! can be tested against a disk that does not do as it is told. [`Fault::Lied`] breaks the promise itself:
//! it is there to show that a suite notices.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::JournalError;
use crate::journal::{CommitStats, Journal, Maintenance, Reader, Recovery};
use crate::memory::{MemoryJournal, MemoryStore};
use crate::record::Record;
use crate::snapshot::LotSnapshot;
use crate::vault::Vault;

/// What goes wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error before anything was written.
    RefusedBeforeWriting,
    /// An error after all was written and before it was synced: a power cut loses it, a restart does not.
    FailedAfterWriting,
    /// An error, and only the first frames are on the disk.
    Torn {
        /// So many.
        frames: usize,
    },
    /// `Ok`, and a power cut loses it.
    Lied,
}

/// Which commits go wrong.
#[derive(Clone, Debug)]
pub enum FaultPlan {
    /// By number; the first commit after opening is 1.
    Scripted(BTreeMap<u64, Fault>),
    /// At random, the same for the same seed; never a lie.
    Seeded {
        /// Where the random numbers begin.
        seed: u64,
        /// One in so many commits fails.
        one_in: u32,
    },
}

impl FaultPlan {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::Scripted(BTreeMap::new())
    }

    /// One commit goes wrong.
    #[must_use]
    pub fn at(commit: u64, fault: Fault) -> Self {
        Self::Scripted(BTreeMap::from([(commit, fault)]))
    }

    fn fault(&self, commit: u64) -> Option<Fault> {
        match self {
            Self::Scripted(faults) => faults.get(&commit).copied(),
            Self::Seeded { seed, one_in } => {
                let drawn = mix(seed.wrapping_add(commit));
                if !drawn.is_multiple_of(u64::from((*one_in).max(1))) {
                    return None;
                }
                Some(match mix(drawn) % 4 {
                    0 => Fault::RefusedBeforeWriting,
                    1 => Fault::FailedAfterWriting,
                    frames => Fault::Torn { frames: usize::from(frames == 3) },
                })
            }
        }
    }
}

/// splitmix64.
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// See the module.
pub struct FaultyJournal {
    inner: MemoryJournal,
    plan: FaultPlan,
    commits: u64,
}

impl FaultyJournal {
    /// Opens a store as a restart does; from now on the plan holds.
    #[must_use]
    pub fn open(store: MemoryStore, plan: FaultPlan) -> (Self, Recovery) {
        let (inner, recovery) = MemoryJournal::open(store);
        (Self { inner, plan, commits: 0 }, recovery)
    }

    fn fail(&mut self, records: &[Record], fault: Fault) -> Result<(), JournalError> {
        let done = match fault {
            Fault::RefusedBeforeWriting => Ok(()),
            Fault::FailedAfterWriting => self.inner.write(records, usize::MAX),
            Fault::Torn { frames } => {
                self.inner.write(records, frames).and_then(|()| self.inner.sync_torn())
            }
            Fault::Lied => {
                self.inner.write(records, usize::MAX)?;
                return self.inner.claim_durable();
            }
        };
        let told = JournalError::Disk {
            operation: "sync",
            path: "the log in memory".to_owned(),
            cause: format!("{fault:?}, as planned for commit {}", self.commits),
        };
        Err(self.inner.poison(done.err().unwrap_or(told)))
    }
}

impl Journal for FaultyJournal {
    fn commit(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.inner.check_poison()?;
        self.commits += 1;
        match self.plan.fault(self.commits) {
            Some(fault) => self.fail(records, fault),
            None => self.inner.commit(records),
        }
    }

    fn save_snapshot(&mut self, snapshot: &LotSnapshot) -> Result<(), JournalError> {
        self.inner.save_snapshot(snapshot)
    }

    fn keep_after(&mut self, seq: u64) {
        self.inner.keep_after(seq);
    }

    fn maintain(&mut self) -> Result<Maintenance, JournalError> {
        self.inner.maintain()
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.inner.sync()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.inner.reader()
    }

    fn vault(&self) -> Arc<dyn Vault> {
        self.inner.vault()
    }

    fn last_commit(&self) -> CommitStats {
        self.inner.last_commit()
    }

    fn mark_failed(&mut self, cause: &str) {
        self.inner.mark_failed(cause);
    }
}
