//! What a power cut leaves of bytes and names that no sync has covered: one of the ways in which disks do it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use rand::RngExt;
use rand::rngs::StdRng;

/// What of the unsynced bytes survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    None,
    All,
    /// The file has grown, and what was written reads as zeros.
    Zeros,
    /// The first ones, the last of them torn at a sector.
    Torn,
    /// Every sector of every write as chance will have it.
    Sectors,
    /// Whole writes as chance will have it.
    Writes,
    /// The newest write alone.
    Newest,
}

/// What of the unsynced names survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    None,
    All,
    /// The first ones, directory by directory.
    First,
}

/// What a power cut leaves.
#[derive(Clone, Copy, Debug)]
pub struct Leaves {
    pub bytes: Bytes,
    pub names: Names,
    pub sector_bytes: u64,
    pub seed: u64,
}

impl Leaves {
    pub fn draw(rng: &mut StdRng) -> Self {
        const BYTES: [Bytes; 7] = [
            Bytes::None,
            Bytes::All,
            Bytes::Zeros,
            Bytes::Torn,
            Bytes::Sectors,
            Bytes::Writes,
            Bytes::Newest,
        ];
        const NAMES: [Names; 3] = [Names::None, Names::All, Names::First];
        Self {
            bytes: BYTES[rng.random_range(0..BYTES.len())],
            names: NAMES[rng.random_range(0..NAMES.len())],
            sector_bytes: if rng.random_bool(0.5) { 512 } else { 4_096 },
            seed: rng.random(),
        }
    }
}
