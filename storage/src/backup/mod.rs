//! Backups: a consistent copy of a data directory as one stream of bytes, and a data directory made of one.
//!
//! Invariants: a backup is the directory as of one durable sequence; only one that is whole, byte for byte,
//! is restored; a restore ends at the end of a commit and begins a new epoch. The format is in
//! `docs/storage-format.md`, the decisions are in `docs/adr/0017-backup-and-restore.md`.
//!
//! Deliberately absent: where bytes go and come from (files, sockets), the signing key, encryption.

mod block;
mod error;
mod offline;
mod parts;
mod reach;
mod restore;
mod stream;
mod survey;

pub use block::BACKUP_VERSION;
pub use error::{BackupError, OutOfReach};
pub use offline::of_directory;
pub use parts::Header;
pub use restore::{Open, Restored, Site};
pub use stream::Backup;
pub use survey::{Contents, Cut, NextCommit, OnProgress, Point, Target, inspect};

pub(crate) use parts::{PeopleRow, PeopleTree};
pub(crate) use stream::{PeopleRows, Snapshots, Source};
