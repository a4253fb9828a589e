//! The journal: one trait, sled behind it; frames, snapshots, recovery, rotation, the vault of clear texts.
//!
//! Invariants: a commit is durable as a whole or not at all; sequence numbers have no gap; what `commit`
//! returned `Ok` for survives any crash; no plate and no person is in a frame or snapshot in clear.
//! Byte tables: `docs/storage-format.md`. Why sled, and how it is made safe: `docs/adr/0002-sled.md`.
//!
//! Deliberately absent: threads that drive commits, clocks, actors. The journal is a step function.

pub mod backup;
mod check;
mod error;
mod faulty;
mod files;
pub mod format;
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
mod index;
mod journal;
mod memory;
mod paging;
mod record;
mod scan;
mod sled_journal;
mod snapshot;
mod vault;

pub use check::{CheckReport, check};
pub use error::JournalError;
pub use faulty::{Fault, FaultPlan, FaultyJournal};
pub use files::make_dir_durably;
pub use journal::{
    CommitStats, EpochStory, Journal, Maintenance, Page, Reader, Recovery, RecoveryReport,
};
pub use memory::{MemoryJournal, MemoryStore};
pub use record::{By, Claim, ClaimKey, Event, Record, Role};
pub use sled_journal::{Options, SledJournal, silence_guarded_panics};
pub use snapshot::{ClaimOutcome, LotSnapshot, RememberedClaim};
pub use vault::{Identity, PersonKind, Vault, as_it_is};
