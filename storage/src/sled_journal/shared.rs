//! What the journal shares with its readers and its vault.

use std::fs::File;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::archive::Archive;
use super::keeping::Keeping;
use super::layout::Layout;
use super::live::Live;
use super::options::Options;
use super::people::People;
use crate::error::JournalError;
use crate::index::LotIndex;

/// Where records lie, for readers.
pub(crate) struct Log {
    pub(crate) live: Arc<Live>,
    /// First record of the live journal.
    pub(crate) live_first: u64,
    /// Older ones, in order, without a gap up to the live journal.
    pub(crate) archives: Vec<Arc<Archive>>,
    /// Of the live journal.
    pub(crate) index: LotIndex,
}

impl Log {
    /// The oldest retained record.
    pub(crate) fn first_seq(&self) -> u64 {
        self.archives.first().map_or(self.live_first, |archive| archive.first_seq)
    }
}

/// Shared by journal, readers and vault. The lock on the directory is the last to go.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    /// The live journal for those who write into it; held exclusively while a rotation copies the last of it.
    pub(crate) live: RwLock<Arc<Live>>,
    pub(crate) log: RwLock<Log>,
    pub(crate) people: People,
    /// What a backup keeps in place while it is read.
    pub(crate) keeping: Arc<Keeping>,
    pub(crate) poison: OnceLock<String>,
    pub(crate) _lock: File,
}

impl Shared {
    pub(crate) fn check_poison(&self) -> Result<(), JournalError> {
        match self.poison.get() {
            Some(cause) => Err(JournalError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// After a failed write nothing more is accepted: a retried sync would report success for pages
    /// that the kernel has dropped.
    pub(crate) fn poison(&self, error: JournalError) -> JournalError {
        self.poison.get_or_init(|| error.to_string());
        error
    }
}
