//! Why a replay cannot go on. Faults of single rows are none of these: they are counted.

use std::path::PathBuf;

use super::options::Format;
use crate::client;

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// The server or the road to it.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A lot of that code exists and is another lot.
    #[error(
        "lot {lot} exists and cannot take this file: {reason}; \
         replay into another tenant or an empty server"
    )]
    LotUnfit {
        /// Its code.
        lot: String,
        /// What it lacks.
        reason: String,
    },
    /// The server refuses the lot as such, so nothing of it can be sent.
    #[error("lot {lot}: the server answered {code}: {detail}; does the token allow this lot?")]
    LotRefused {
        /// Its code.
        lot: String,
        /// The server's code.
        code: String,
        /// The server's words.
        detail: String,
    },
    /// No answer for longer than the patience.
    #[error(
        "no answer from the server for {patience_seconds} s ({last}); {acknowledged} rows are \
         acknowledged and durable; replay the same file again to send the rest, \
         what is known already counts as duplicate"
    )]
    GaveUp {
        /// The limit.
        patience_seconds: u64,
        /// The last thing that went wrong.
        last: String,
        /// Rows acknowledged until then.
        acknowledged: u64,
    },
    /// The server's answers do not add up.
    #[error("the server's answer to batch {batch} of lot {lot} does not add up: {reason}")]
    Answer {
        /// Number of the batch.
        batch: u64,
        /// Code of the lot.
        lot: String,
        /// What does not.
        reason: String,
    },
    /// The file named a lot in the second pass that it did not name in the first.
    #[error(
        "line {line} names lot {lot}, which was not there a moment ago: the file is changing; replay a copy"
    )]
    FileChanged {
        /// Where.
        line: u64,
        /// Code of the lot.
        lot: String,
    },
    /// The task that reads the file died.
    #[error("reading the file stopped: {0}")]
    Reader(String),
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not found, not readable, torn.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The columns are another format's.
    #[error(
        "is not {format}: its columns are {found:?}, needed are {expected}; choose another --format"
    )]
    Header {
        /// The format asked for.
        format: Format,
        /// The columns it has.
        expected: String,
        /// The columns found.
        found: String,
    },
    /// Not CSV.
    #[error("line {line} is not CSV: {reason}")]
    Csv {
        /// Where.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A row of the bays file.
    #[error("line {line}: {reason}")]
    Bays {
        /// Where.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The bundled time zones lack one.
    #[error("needs the time zone {0}, which this build does not have")]
    TimeZone(&'static str),
}

impl From<csv::Error> for FileError {
    fn from(error: csv::Error) -> Self {
        let line = error.position().map_or(0, csv::Position::line);
        let reason = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Self::Io(error),
            _ => Self::Csv { line, reason },
        }
    }
}
