//! Marks of a restore in a data directory: one that says it is not finished, one that says what it was made of.
//!
//! Invariant: a directory with the first mark is never served; the second is read by the first start and gone
//! after it, as `FAILED` is.

use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::error::JournalError;
use crate::files;

const RESTORING: &str = "RESTORING";
const RESTORED: &str = "RESTORED";
/// Kept while the rest is cleared away: the lock file, and what says that this is unfinished.
const KEPT: [&str; 2] = [RESTORING, "LOCK"];

impl Layout {
    /// The journal of a new directory.
    pub(crate) fn first_dir(&self) -> PathBuf {
        self.dir().join("journal-000001")
    }

    pub(crate) fn mark_unfinished(&self) -> Result<(), JournalError> {
        let text =
            b"A restore is at work here, or did not end: run it again, or remove this directory.\n";
        files::write_atomic(&self.dir().join(RESTORING), text, true)
    }

    pub(crate) fn is_unfinished(&self) -> bool {
        self.dir().join(RESTORING).exists()
    }

    /// Whether a directory may be cleared for a new restore: it is empty, or one began in it, or one ended in it
    /// and was cut off before it gave it its name.
    pub(crate) fn is_left_by_a_restore(&self) -> Result<bool, JournalError> {
        let entries = files::entries(self.dir())?;
        let marked = self.is_unfinished() || self.dir().join(RESTORED).exists();
        let begins = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "tmp");
        Ok(marked || entries.iter().all(begins))
    }

    pub(crate) fn is_kept_while_unfinished(&self, path: &Path) -> bool {
        KEPT.contains(&files::name_of(path))
    }

    pub(crate) fn clear_unfinished(&self) -> Result<(), JournalError> {
        files::remove_if_there(&self.dir().join(RESTORING))?;
        files::sync_dir(self.dir())
    }

    /// Refuses what a restore left unfinished.
    pub(crate) fn refuse_unfinished(&self) -> Result<(), JournalError> {
        match self.is_unfinished() {
            true => Err(JournalError::Unfinished { path: self.dir().display().to_string() }),
            false => Ok(()),
        }
    }

    pub(crate) fn mark_restored(&self, what: &str) -> Result<(), JournalError> {
        files::write_atomic(&self.dir().join(RESTORED), format!("{what}\n").as_bytes(), true)
    }

    /// What this directory was restored to, before its first start.
    pub(crate) fn restored(&self) -> Result<Option<String>, JournalError> {
        let text = files::read_if_there(&self.dir().join(RESTORED))?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
    }

    pub(crate) fn clear_restored(&self) -> Result<(), JournalError> {
        files::remove_if_there(&self.dir().join(RESTORED))?;
        files::sync_dir(self.dir())
    }
}
