//! Snapshots: a lot at one sequence as chunks of one tree. The first chunk tells how many there are and
//! carries the checksum of all, so a generation that was cut short by a crash is recognised and left out.

use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::LotParts;
use lotkeeper_engine::time::Timestamp;

use super::state::Body;
use super::{CHUNK_BYTES_MAX, Fields, FormatError, SNAPSHOT_CONFIG, SNAPSHOT_FORMAT};
use super::{append, sections};
use crate::snapshot::LotSnapshot;

const MAGIC: [u8; 4] = *b"LKS1";
/// Bytes before the payload, in the first chunk.
const HEADER_BYTES: usize = 20;
const SNAPSHOT: &str = "snapshot";

/// Where a chunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotKey {
    /// Which lot.
    pub lot: LotKey,
    /// Global sequence of the snapshot.
    pub seq: u64,
    /// Which chunk.
    pub chunk: u32,
}

impl SnapshotKey {
    /// Big-endian, so that generations of a lot stand in order.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.lot.0.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.seq.to_be_bytes());
        bytes[12..].copy_from_slice(&self.chunk.to_be_bytes());
        bytes
    }

    /// The key of a stored chunk.
    ///
    /// # Errors
    /// Not sixteen bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let short = || FormatError::Short { what: "snapshot key", bytes: bytes.len() };
        let (lot, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
        let (seq, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let chunk = <[u8; 4]>::try_from(rest).map_err(|_| short())?;
        Ok(Self {
            lot: LotKey(u32::from_be_bytes(*lot)),
            seq: u64::from_be_bytes(*seq),
            chunk: u32::from_be_bytes(chunk),
        })
    }
}

/// What a snapshot begins with: enough to judge it without its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SnapshotHead {
    /// Which lot.
    pub lot: u32,
    /// Global sequence.
    pub seq: u64,
    /// The lot's sequence.
    pub lot_seq: u64,
    /// Record time of the newest record in it, in microseconds.
    pub at: i64,
}

impl SnapshotHead {
    /// A snapshot that has its head alone.
    pub(super) fn empty(&self) -> LotSnapshot {
        LotSnapshot {
            lot: LotKey(self.lot),
            seq: self.seq,
            lot_seq: self.lot_seq,
            at: Timestamp::from_micros(self.at),
            parts: LotParts::default(),
            slots: Vec::new(),
            claims: Vec::new(),
        }
    }
}

/// Encodes a snapshot with its header; `bytes` is used again.
///
/// # Errors
/// More than four gigabytes.
pub fn encode_snapshot(snapshot: &LotSnapshot, bytes: &mut Vec<u8>) -> Result<(), FormatError> {
    bytes.clear();
    bytes.resize(HEADER_BYTES, 0);
    let head = SnapshotHead {
        lot: snapshot.lot.0,
        seq: snapshot.seq,
        lot_seq: snapshot.lot_seq,
        at: snapshot.at.micros(),
    };
    append(&head, SNAPSHOT, bytes)?;
    sections::write(snapshot, bytes)?;
    let too_large = |_| FormatError::invalid(SNAPSHOT, "more than four gigabytes");
    let payload_bytes = u32::try_from(bytes.len() - HEADER_BYTES).map_err(too_large)?;
    let chunks = u32::try_from(bytes.len().div_ceil(CHUNK_BYTES_MAX)).map_err(too_large)?;
    bytes[0..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&SNAPSHOT_FORMAT.to_le_bytes());
    bytes[8..12].copy_from_slice(&payload_bytes.to_le_bytes());
    bytes[12..16].copy_from_slice(&chunks.to_le_bytes());
    let checksum = checksum(bytes);
    bytes[16..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[HEADER_BYTES..])
}

/// Cuts an encoded snapshot into the values of its tree.
pub(crate) fn split_chunks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(CHUNK_BYTES_MAX)
}

/// Puts chunks in order together; the inverse of cutting.
///
/// # Errors
/// A chunk is missing or one too many.
pub fn join_chunks<'a>(
    chunks: impl Iterator<Item = (u32, &'a [u8])>,
) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    for (expected, (chunk, value)) in (0..).zip(chunks) {
        if chunk != expected {
            return Err(FormatError::Missing { what: SNAPSHOT, chunk: expected });
        }
        bytes.extend_from_slice(value);
    }
    Ok(bytes)
}

/// Checks header and checksum; gives the format and the payload.
fn payload(bytes: &[u8]) -> Result<(u16, &[u8]), FormatError> {
    let short = FormatError::Short { what: SNAPSHOT, bytes: bytes.len() };
    if bytes.len() < HEADER_BYTES {
        return Err(short);
    }
    let mut fields = Fields(bytes);
    if fields.take() != MAGIC {
        return Err(FormatError::Magic { what: SNAPSHOT });
    }
    let format = fields.u16();
    FormatError::check_version(SNAPSHOT, format, SNAPSHOT_FORMAT)?;
    fields.u16();
    let payload_bytes = fields.u32() as usize;
    fields.u32();
    if payload_bytes != bytes.len() - HEADER_BYTES {
        return Err(short);
    }
    if checksum(bytes) != fields.u32() {
        return Err(FormatError::Checksum { what: SNAPSHOT });
    }
    Ok((format, &bytes[HEADER_BYTES..]))
}

/// The head of an encoded snapshot, whose checksum is checked.
pub(crate) fn head_of(bytes: &[u8]) -> Result<SnapshotHead, FormatError> {
    let (head, _) = bincode::decode_from_slice(payload(bytes)?.1, SNAPSHOT_CONFIG)
        .map_err(|error| FormatError::invalid(SNAPSHOT, error.to_string()))?;
    Ok(head)
}

/// Decodes a snapshot as [`encode_snapshot`] made it.
///
/// # Errors
/// Damage, or a later format.
pub fn decode_snapshot(bytes: &[u8]) -> Result<LotSnapshot, FormatError> {
    let wrong = |error: DecodeError| FormatError::invalid(SNAPSHOT, error.to_string());
    let (format, payload) = payload(bytes)?;
    let (head, read): (SnapshotHead, usize) =
        bincode::decode_from_slice(payload, SNAPSHOT_CONFIG).map_err(wrong)?;
    let rest = &payload[read..];
    match format {
        1 => sections::decode::<Body<'_>>(rest)?.into_engine(&head),
        _ => sections::read(&head, rest),
    }
}
