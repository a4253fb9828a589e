//! Bytes of the log: frames, records, snapshots, the tip file. Byte tables: `docs/storage-format.md`.
//!
//! Record types here belong to storage and mirror the engine's, so that domain and format evolve apart.
//! Invariants: what was encoded decodes to the same; decoding is total (outside bytes give an error,
//! never a panic); a length that is announced takes no more memory than the input can be worth.
//!
//! Deliberately absent: files, sled, policy. What a damaged frame means is decided by recovery.

mod assembler;
mod document;
mod encoder;
mod event;
mod fee;
mod frame;
mod lot_event;
mod money;
mod origin;
mod pass;
mod payment;
mod sections;
mod shift;
mod snapshot;
mod spec;
mod spec_2;
mod state;
mod state_2;
mod stay;
mod stored;
mod tariff;
mod tip;
mod values_2;
mod violation;
mod waiting;

pub use assembler::{Assembler, Group};
pub use document::{Body, LotFacts, Stamp};
pub use encoder::{Encoder, FrameSpan};
pub use fee::{decode_fee, encode_fee};
pub use frame::{Frame, FrameKey, Header};
pub use snapshot::{SnapshotHead, SnapshotKey, decode_snapshot, encode_snapshot, join_chunks};
pub use tariff::{decode_assignment, decode_tariff, encode_assignment, encode_tariff};
pub use tip::{Holdings, Tip};

pub(crate) use frame::{HEADER_BYTES, frame_bytes};
pub(crate) use snapshot::{head_of, split_chunks};

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;

/// The format of frames this release writes, and the newest it reads; it reads all before.
pub const FRAME_FORMAT: u16 = 3;
/// The same of snapshots.
pub const SNAPSHOT_FORMAT: u16 = 2;
/// The same of the tip file.
pub const TIP_FORMAT: u16 = 2;
/// A frame with its header. sled moves a leaf of up to 16 values that exceeds 128 KiB out to a file it
/// never syncs; with at most 6 KiB a value that cannot happen.
pub const FRAME_BYTES_MAX: usize = 6 * 1024;
/// One value of the snapshot tree, for the same reason as [`FRAME_BYTES_MAX`].
pub const CHUNK_BYTES_MAX: usize = 6 * 1024;
/// What one record may take while it is decoded: a lot of 10,000 slots with the longest codes takes 2 MB.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What one snapshot may take while it is decoded: far above a lot with a million reservations.
pub const SNAPSHOT_BYTES_MAX: usize = 1024 * 1024 * 1024;

const _: () = assert!(16 * FRAME_BYTES_MAX < 128 * 1024 - 16 * 64, "a full leaf stays inline");

/// Why bytes are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Fewer bytes than the fields need.
    #[error("{what} ends after {bytes} bytes")]
    Short {
        /// Of what.
        what: &'static str,
        /// How many there are.
        bytes: usize,
    },
    /// A piece is not there, and later ones are.
    #[error("{what} lacks its chunk {chunk}")]
    Missing {
        /// Of what.
        what: &'static str,
        /// Which.
        chunk: u32,
    },
    /// Not this kind of thing.
    #[error("{what} does not begin with its magic bytes")]
    Magic {
        /// Of what.
        what: &'static str,
    },
    /// Written by a later release.
    #[error("{what} has format {found}, this release reads up to {known}")]
    Newer {
        /// Of what.
        what: &'static str,
        /// Its format.
        found: u16,
        /// The newest known.
        known: u16,
    },
    /// The checksum does not match.
    #[error("{what} has a wrong checksum")]
    Checksum {
        /// Of what.
        what: &'static str,
    },
    /// Fields that contradict each other.
    #[error("{what}: {detail}")]
    Invalid {
        /// Of what.
        what: &'static str,
        /// What is wrong.
        detail: String,
    },
}

impl FormatError {
    /// Refuses what a later release wrote, and a number that no release has written.
    fn check_version(what: &'static str, found: u16, known: u16) -> Result<(), Self> {
        match found {
            0 => Err(Self::invalid(what, "format 0, which no release has written")),
            _ if found > known => Err(Self::Newer { what, found, known }),
            _ => Ok(()),
        }
    }

    pub(crate) fn invalid(what: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { what, detail: detail.into() }
    }
}

type Bounded<const BYTES_MAX: usize> = Configuration<LittleEndian, Varint, Limit<BYTES_MAX>>;

/// What a byte of ours is worth in memory at most: the least dense of all lists, the service states of a snapshot,
/// has 24 for each.
const MEMORY_PER_BYTE: usize = 64;
/// The least limit, and those between it and [`SNAPSHOT_BYTES_MAX`]: bincode has limits of fixed sizes only.
const SMALL_BYTES_MAX: usize = 1024 * 1024;
const MIDDLE_BYTES_MAX: usize = 16 * 1024 * 1024;
const LARGE_BYTES_MAX: usize = 128 * 1024 * 1024;

const SMALL_CONFIG: Bounded<SMALL_BYTES_MAX> =
    bincode::config::standard().with_limit::<SMALL_BYTES_MAX>();
const MIDDLE_CONFIG: Bounded<MIDDLE_BYTES_MAX> =
    bincode::config::standard().with_limit::<MIDDLE_BYTES_MAX>();
const LARGE_CONFIG: Bounded<LARGE_BYTES_MAX> =
    bincode::config::standard().with_limit::<LARGE_BYTES_MAX>();
const RECORD_CONFIG: Bounded<RECORD_BYTES_MAX> =
    bincode::config::standard().with_limit::<RECORD_BYTES_MAX>();
const SNAPSHOT_CONFIG: Bounded<SNAPSHOT_BYTES_MAX> =
    bincode::config::standard().with_limit::<SNAPSHOT_BYTES_MAX>();

/// Lets bincode append to a buffer that is used again and again.
struct Sink<'a>(&'a mut Vec<u8>);

impl Writer for Sink<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends a value.
fn append(
    value: &impl bincode::Encode,
    what: &'static str,
    into: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let mut encoder = bincode::enc::EncoderImpl::new(Sink(into), bincode::config::standard());
    bincode::Encode::encode(value, &mut encoder)
        .map_err(|error| FormatError::invalid(what, error.to_string()))
}

/// Reads one value that stands by itself. The memory it may take is that of one record.
fn decode_alone<T: bincode::Decode<()>>(
    bytes: &[u8],
    what: &'static str,
) -> Result<T, FormatError> {
    let wrong = |error: bincode::error::DecodeError| FormatError::invalid(what, error.to_string());
    let small = bytes.len().saturating_mul(MEMORY_PER_BYTE) <= SMALL_BYTES_MAX;
    let (value, read) = if small {
        bincode::decode_from_slice(bytes, SMALL_CONFIG).map_err(wrong)?
    } else {
        bincode::decode_from_slice(bytes, RECORD_CONFIG).map_err(wrong)?
    };
    if read == bytes.len() {
        Ok(value)
    } else {
        Err(FormatError::invalid(what, "bytes after its end"))
    }
}

/// Fixed-width little-endian fields out of a header.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.0 = rest;
                *head
            }
            // Headers are measured before they are read.
            None => [0; N],
        }
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
