//! What can go wrong with the journal, with the remedy in the text.

/// Why the journal did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// A commit failed before; nothing is accepted until a restart.
    #[error(
        "the journal refuses writes since a commit failed ({cause}); restart to recover the good frames"
    )]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// The disk said no.
    #[error("{operation} on {path} failed: {cause}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// Bytes that are not what was written.
    #[error("{place} is damaged: {detail}; `lotkeeper check` tells how far the good frames go")]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// Written by a later release.
    #[error(
        "{path} has format {found}, this release reads up to {known}; start the release that wrote it"
    )]
    NewerFormat {
        /// Which directory.
        path: String,
        /// Its format.
        found: u16,
        /// The newest known.
        known: u16,
    },
    /// Another process has the directory open.
    #[error("{path} is in use by another process; stop it or choose another --data")]
    Locked {
        /// Which directory.
        path: String,
    },
    /// It cannot be backed up right now.
    #[error("no backup can be taken now: {detail}; try again when that has ended")]
    Busy {
        /// What is under way.
        detail: &'static str,
    },
    /// More new people wait for a commit than are kept in memory; nothing was made.
    #[error("{waiting} new people wait for the journal; send it again when it has written them")]
    Crowded {
        /// How many.
        waiting: usize,
    },
    /// This kind of log has nothing to back up.
    #[error("this log cannot be backed up; `lotkeeper backup` asks a server with a data directory")]
    NoBackup,
    /// A restore that did not end.
    #[error("{path} is what an unfinished restore left; run the restore again, or remove it")]
    Unfinished {
        /// Which directory.
        path: String,
    },
    /// Records that do not continue the log: a mistake of the caller, found before anything was written.
    #[error("{detail}; the log is unchanged, restart to continue it")]
    OutOfOrder {
        /// Which record, and what was expected.
        detail: String,
    },
    /// The wanted records were pruned.
    #[error("records before {first_seq} have been pruned")]
    Pruned {
        /// The oldest one there is.
        first_seq: u64,
    },
}

/// What to do about what the system said; nothing where its own words do.
fn remedy(cause: &str) -> &'static str {
    // ENOSPC, EDQUOT and EIO, in the words of std, which sled hands on.
    match cause {
        full if full.contains("(os error 28)") || full.contains("(os error 122)") => {
            "; free disk space, then start again"
        }
        bad if bad.contains("(os error 5)") => {
            "; the disk does not read or write: see the system's log, and copy the directory to a good disk"
        }
        _ => "",
    }
}

impl JournalError {
    pub(crate) fn disk(
        operation: &'static str,
        path: &std::path::Path,
        cause: &dyn std::fmt::Display,
    ) -> Self {
        let mut cause = cause.to_string();
        cause.push_str(remedy(&cause));
        Self::Disk { operation, path: path.display().to_string(), cause }
    }

    pub(crate) fn damaged(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), detail: detail.into() }
    }

    /// Says where bytes of the log are not what was written.
    pub(crate) fn format(place: impl Into<String>, error: &crate::format::FormatError) -> Self {
        match *error {
            crate::format::FormatError::Newer { found, known, .. } => {
                Self::NewerFormat { path: place.into(), found, known }
            }
            _ => Self::damaged(place, error.to_string()),
        }
    }
}
