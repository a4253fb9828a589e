//! Why a backup was not taken, read or restored, with the remedy in the text.

use std::path::Path;

use lotkeeper_engine::time::Timestamp;

use super::survey::Point;
use crate::error::JournalError;

/// Why a target is not in a backup. Instants are told in microseconds; whoever has a calendar says it better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfReach {
    /// There is nothing to go back to.
    #[error("it has no records; restore it without a target")]
    NoRecords,
    /// What is before has been pruned.
    #[error(
        "it goes back to sequence {} ({}) and no further; take that, or an older backup",
        earliest.seq, earliest.at
    )]
    TooEarly {
        /// The first point that can be restored.
        earliest: Point,
    },
    /// What is after is not known.
    #[error(
        "it ends with sequence {} ({}) and was taken at {taken_at}; restore it without a target to have \
         all of it, or take a newer backup",
        latest.seq, latest.at
    )]
    TooLate {
        /// The last point of the backup.
        latest: Point,
        /// When it was taken.
        taken_at: Timestamp,
    },
}

/// Why a backup was not taken, read or restored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BackupError {
    /// Not a backup at all.
    #[error(
        "{place} is not a backup of Lotkeeper: {detail}; give the file that `lotkeeper backup` wrote"
    )]
    NotABackup {
        /// Which file or stream.
        place: String,
        /// What it begins with.
        detail: String,
    },
    /// Written by a later release.
    #[error(
        "{place} is a backup of format {found}, this release reads up to {known}; restore it with the release that wrote it"
    )]
    Newer {
        /// Which file or stream.
        place: String,
        /// Its format.
        found: u16,
        /// The newest known.
        known: u16,
    },
    /// It ends before its trailer.
    #[error(
        "{place} ends after {bytes} bytes without its trailer: it was cut short; take the backup again, or restore an older one"
    )]
    CutShort {
        /// Which file or stream.
        place: String,
        /// How long it is.
        bytes: u64,
    },
    /// Bytes that are not what was written.
    #[error(
        "{place} is damaged: {detail}; nothing was restored: use another copy of it, or an older backup"
    )]
    Damaged {
        /// Which file or stream.
        place: String,
        /// Where in it and what is wrong.
        detail: String,
    },
    /// The target is not in the backup.
    #[error("{place} cannot be restored to that point: {why}")]
    OutOfReach {
        /// Which file or stream.
        place: String,
        /// What it has.
        why: OutOfReach,
    },
    /// There is something where the restored directory should be.
    #[error(
        "{dir} is not empty; a restore never overwrites: give a new directory to --data, look at it, then serve from it"
    )]
    NotEmpty {
        /// Which directory.
        dir: String,
    },
    /// The file cannot be read or written.
    #[error("{operation} {path} failed: {cause}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// What was built from it does not stand the check; it was removed.
    #[error(
        "what was restored is not sound and was removed; report this with the backup:\n{report}"
    )]
    Unsound {
        /// What the check said.
        report: String,
    },
    /// The journal that is backed up, or the one that is made.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl BackupError {
    /// A file said no.
    pub fn file(operation: &'static str, path: &Path, cause: &dyn std::fmt::Display) -> Self {
        Self::File { operation, path: path.display().to_string(), cause: cause.to_string() }
    }
}
