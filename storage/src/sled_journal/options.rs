//! What the operator may choose; every value has a default that is right for a server of a city.

use std::path::PathBuf;

use crate::vault::{Identity, as_it_is};

/// How the journal keeps its directory.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory; made when it is not there.
    pub data_dir: PathBuf,
    /// Memory for sled's pages. Commits append and reads of old records are rare, so little is needed.
    pub cache_bytes: u64,
    /// The live journal moves to a fresh directory when it is larger: sled gives little space back.
    pub rotate_bytes: u64,
    /// Records this much older than the newest leave the archive.
    pub archive_retention_seconds: u64,
    /// The tip file is at most this old, and so is what maintenance tells.
    pub tip_interval_ms: u64,
    /// Opening that takes longer is given up: sled can loop on damage.
    pub open_seconds_max: u64,
    /// What people and vehicles are found by.
    pub identity: Identity,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("lotkeeper-data"),
            cache_bytes: 32 * 1024 * 1024,
            rotate_bytes: 512 * 1024 * 1024,
            archive_retention_seconds: 90 * 86_400,
            tip_interval_ms: 500,
            open_seconds_max: 300,
            identity: as_it_is,
        }
    }
}
