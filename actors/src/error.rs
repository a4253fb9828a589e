//! Why a command has no effect, or why nobody knows.

use lotkeeper_engine::lot;
use lotkeeper_storage::JournalError;

/// Why a command was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// The owner said no.
    #[error(transparent)]
    Rejected(lot::Rejection),
    /// A lot of the tenant has this code.
    #[error("a lot with this code exists")]
    LotCodeTaken,
    /// More in flight than permitted; try again in a moment.
    #[error("too much in flight; retry")]
    Overloaded,
    /// Too little free disk space to promise durability.
    #[error("storage is full; free disk space")]
    StorageFull,
    /// A commit failed: whether the command is durable is unknown until the restart.
    #[error("outcome unknown: the journal failed; retry with the same idempotency key")]
    OutcomeUnknown,
    /// The engine is going away.
    #[error("shutting down; retry elsewhere or later")]
    ShuttingDown,
    /// The idempotency key was used for another request.
    #[error("idempotency key was used with another body")]
    KeyReused,
    /// The same request is on its way.
    #[error("a request with this idempotency key is in progress")]
    RequestInProgress,
}

/// Why the engine takes no writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It is going away.
    #[error("shutting down")]
    ShuttingDown,
    /// A commit failed.
    #[error("journal failed")]
    JournalFailed,
    /// Free disk space is below the floor.
    #[error("storage full")]
    StorageFull,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The log names a lot that it never created.
    #[error(
        "record {seq} belongs to lot {lot}, which the log does not create; run `lotkeeper check`"
    )]
    UnknownLot {
        /// The record.
        seq: u64,
        /// The lot's number.
        lot: u32,
    },
    /// An actor or thread could not be started.
    #[error("cannot start {what}: {cause}")]
    Spawn {
        /// What.
        what: &'static str,
        /// Why.
        cause: String,
    },
}
