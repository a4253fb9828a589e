//! Frames: what a commit is written as. One sled value each; also what an archive is a row of.
//!
//! Records go into frames of at most [`FRAME_BYTES_MAX`]; a record that fits in none gets frames of its
//! own, its bytes cut into parts. The last frame of a commit says so: recovery keeps whole commits.

use lotkeeper_engine::time::Timestamp;

use super::{FRAME_BYTES_MAX, FRAME_FORMAT, Fields, FormatError};

const MAGIC: [u8; 4] = *b"LKF1";
/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 44;
/// Header bytes that the checksum covers; its own four follow.
const CHECKED_BYTES: usize = 40;
pub(super) const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES;
pub(super) const FRAME: &str = "frame";

const END_OF_COMMIT: u16 = 1;
const PART: u16 = 2;
const LAST_PART: u16 = 4;

/// Where a frame stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameKey {
    /// Sequence of its first record.
    pub first_seq: u64,
    /// Which part of an oversized record it is; 0 for all others.
    pub part: u16,
}

impl FrameKey {
    /// Big-endian, so that bytes sort as numbers do.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.first_seq.to_be_bytes());
        bytes[8..].copy_from_slice(&self.part.to_be_bytes());
        bytes
    }

    /// The key of a stored frame.
    ///
    /// # Errors
    /// Not ten bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let short = || FormatError::Short { what: "frame key", bytes: bytes.len() };
        let (seq, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let part = <[u8; 2]>::try_from(rest).map_err(|_| short())?;
        Ok(Self { first_seq: u64::from_be_bytes(*seq), part: u16::from_be_bytes(part) })
    }
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of the log, when the frame was written.
    pub epoch: u64,
    /// Place in the log.
    pub key: FrameKey,
    /// Times of its records are differences to this.
    pub base: Timestamp,
    /// Records in it; 1 in each part of an oversized one.
    pub count: u16,
    /// Whether its commit ends here.
    pub ends_commit: bool,
    /// Whether it holds a part of one record.
    pub is_part: bool,
    /// Whether it holds the last part.
    pub is_last_part: bool,
}

impl Header {
    fn flags(&self) -> u16 {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        bit(self.ends_commit, END_OF_COMMIT)
            | bit(self.is_part, PART)
            | bit(self.is_last_part, LAST_PART)
    }

    /// Fills in the header in front of a payload that lies in place already.
    pub(super) fn seal(&self, frame: &mut [u8]) -> Result<(), FormatError> {
        let payload_bytes = u32::try_from(frame.len() - HEADER_BYTES)
            .map_err(|_| FormatError::invalid(FRAME, "payload too long"))?;
        frame[0..4].copy_from_slice(&MAGIC);
        frame[4..6].copy_from_slice(&FRAME_FORMAT.to_le_bytes());
        frame[6..8].copy_from_slice(&self.flags().to_le_bytes());
        frame[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        frame[16..24].copy_from_slice(&self.key.first_seq.to_le_bytes());
        frame[24..32].copy_from_slice(&self.base.micros().to_le_bytes());
        frame[32..34].copy_from_slice(&self.count.to_le_bytes());
        frame[34..36].copy_from_slice(&self.key.part.to_le_bytes());
        frame[36..40].copy_from_slice(&payload_bytes.to_le_bytes());
        let checksum = checksum(frame);
        frame[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        Ok(())
    }
}

/// Over header and payload, without the checksum's own bytes.
fn checksum(frame: &[u8]) -> u32 {
    let head = crc32c::crc32c(&frame[..CHECKED_BYTES]);
    crc32c::crc32c_append(head, &frame[HEADER_BYTES..])
}

/// A frame whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it says of itself.
    pub header: Header,
    /// How its records are written.
    pub(super) format: u16,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A stored frame.
    ///
    /// # Errors
    /// Not exactly one intact frame of a known format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        match Self::read(bytes)? {
            (frame, []) => Ok(frame),
            (_, rest) => {
                Err(FormatError::invalid(FRAME, format!("{} bytes after its end", rest.len())))
            }
        }
    }

    /// The first frame of a row of frames, and the bytes after it.
    ///
    /// # Errors
    /// Not an intact frame of a known format.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), FormatError> {
        let short = FormatError::Short { what: FRAME, bytes: bytes.len() };
        if bytes.len() < HEADER_BYTES {
            return Err(short);
        }
        let mut fields = Fields(bytes);
        if fields.take() != MAGIC {
            return Err(FormatError::Magic { what: FRAME });
        }
        let format = fields.u16();
        FormatError::check_version(FRAME, format, FRAME_FORMAT)?;
        let flags = fields.u16();
        let epoch = fields.u64();
        let first_seq = fields.u64();
        let base = Timestamp::from_micros(i64::from_le_bytes(fields.take()));
        let count = fields.u16();
        let part = fields.u16();
        let payload_bytes = fields.u32() as usize;
        if payload_bytes > bytes.len() - HEADER_BYTES {
            return Err(short);
        }
        let (frame, rest) = bytes.split_at(HEADER_BYTES + payload_bytes);
        if checksum(frame) != fields.u32() {
            return Err(FormatError::Checksum { what: FRAME });
        }
        let header = Header {
            epoch,
            key: FrameKey { first_seq, part },
            base,
            count,
            ends_commit: flags & END_OF_COMMIT != 0,
            is_part: flags & PART != 0,
            is_last_part: flags & LAST_PART != 0,
        };
        Ok((Self { header, format, payload: &frame[HEADER_BYTES..] }, rest))
    }

    /// Sequence after the last record of this frame; the same for a part that is not the last.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        let whole = !self.header.is_part || self.header.is_last_part;
        let count = if whole { u64::from(self.header.count) } else { 0 };
        self.header.key.first_seq.saturating_add(count)
    }
}

/// Bytes of the frame that begins with this header; for reading a row of frames out of a file.
///
/// # Errors
/// No frame begins so.
pub(crate) fn frame_bytes(header: &[u8; HEADER_BYTES]) -> Result<usize, FormatError> {
    let mut fields = Fields(header);
    if fields.take() != MAGIC {
        return Err(FormatError::Magic { what: FRAME });
    }
    let mut fields = Fields(&header[36..]);
    match fields.u32() as usize {
        payload if payload <= PAYLOAD_BYTES_MAX => Ok(HEADER_BYTES + payload),
        payload => Err(FormatError::invalid(FRAME, format!("a payload of {payload} bytes"))),
    }
}
