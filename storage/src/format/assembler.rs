//! Puts frames together again to records, in order.

use bincode::config::Config;
use bincode::de::{DecoderImpl, read::SliceReader};
use bincode::{BorrowDecode, Decode};

use super::frame::{FRAME, Frame, FrameKey, Header};
use super::origin::Askers;
use super::{FormatError, MEMORY_PER_BYTE, RECORD_CONFIG, SMALL_BYTES_MAX, SMALL_CONFIG, event};
use crate::record::Record;

/// Reads the records of a payload, within the memory that it can be worth.
fn decode_records(
    header: &Header,
    format: u16,
    payload: &[u8],
    into: &mut Vec<Record>,
) -> Result<(), FormatError> {
    if payload.len() * MEMORY_PER_BYTE <= SMALL_BYTES_MAX {
        decode_within(SMALL_CONFIG, (header, format), payload, into)
    } else {
        decode_within(RECORD_CONFIG, (header, format), payload, into)
    }
}

fn decode_within(
    config: impl Config,
    (header, format): (&Header, u16),
    payload: &[u8],
    into: &mut Vec<Record>,
) -> Result<(), FormatError> {
    let refused =
        |error: bincode::error::DecodeError| FormatError::invalid(FRAME, error.to_string());
    let mut askers = Askers::default();
    let mut decoder = DecoderImpl::new(SliceReader::new(payload), config, ());
    for position in 0..u64::from(header.count) {
        let record = event::Record::borrow_decode(&mut decoder).map_err(refused)?;
        let origin = match format {
            1 => {
                let end = event::EndOfFormat1::decode(&mut decoder).map_err(refused)?;
                (None, end.claim.map(Into::into))
            }
            _ => askers.read(&mut decoder).map_err(refused)?,
        };
        let seq = header.key.first_seq.checked_add(position);
        let seq = seq.ok_or_else(|| FormatError::invalid(FRAME, "sequence overflows"))?;
        into.push(record.into_engine(seq, header.base, origin)?);
    }
    // bincode tells not how much it left: a byte that can still be read is one too many.
    if u8::borrow_decode(&mut decoder).is_ok() {
        return Err(FormatError::invalid(FRAME, "bytes after the last record"));
    }
    Ok(())
}

/// Records of one frame, or of all frames of an oversized record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Key of the first frame.
    pub key: FrameKey,
    /// Epoch of the last frame.
    pub epoch: u64,
    /// How many frames.
    pub frames: u16,
    /// Whether a commit ends here.
    pub ends_commit: bool,
    /// In order, never empty.
    pub records: Vec<Record>,
}

/// Puts frames in order together again, and refuses what is out of order.
#[derive(Debug, Default)]
pub struct Assembler {
    next_seq: Option<u64>,
    parts: Vec<u8>,
    parts_seen: u16,
}

impl Assembler {
    /// Begins with the frame that is expected, or with any.
    #[must_use]
    pub fn new(next_seq: Option<u64>) -> Self {
        Self { next_seq, ..Self::default() }
    }

    /// Sequence of the next record, once it is known.
    #[must_use]
    pub fn next_seq(&self) -> Option<u64> {
        self.next_seq
    }

    /// Whether some parts of an oversized record wait for the others.
    #[must_use]
    pub fn is_amid_parts(&self) -> bool {
        self.parts_seen > 0
    }

    /// Takes the next frame; gives its records unless more parts are to come.
    ///
    /// # Errors
    /// Damaged, or not the next one.
    pub fn push(&mut self, key: FrameKey, bytes: &[u8]) -> Result<Option<Group>, FormatError> {
        let frame = Frame::parse(bytes)?;
        let header = frame.header;
        if header.key != key {
            let detail = format!("stands at {key:?} and says {:?}", header.key);
            return Err(FormatError::invalid(FRAME, detail));
        }
        let expected =
            FrameKey { first_seq: self.next_seq.unwrap_or(key.first_seq), part: self.parts_seen };
        if key != expected || (self.parts_seen > 0 && !header.is_part) || header.count == 0 {
            let detail = format!("{key:?} where {expected:?} is expected");
            return Err(FormatError::invalid(FRAME, detail));
        }
        self.next_seq = Some(frame.next_seq());
        if header.is_part && !header.is_last_part {
            self.parts.extend_from_slice(frame.payload);
            self.parts_seen = self.parts_seen.saturating_add(1);
            return Ok(None);
        }
        let mut records = Vec::with_capacity(usize::from(header.count.min(1024)));
        let first = FrameKey { part: 0, ..key };
        let frames = self.parts_seen.saturating_add(1);
        if header.is_part {
            self.parts.extend_from_slice(frame.payload);
            let parts = std::mem::take(&mut self.parts);
            self.parts_seen = 0;
            decode_records(&header, frame.format, &parts, &mut records)?;
        } else {
            decode_records(&header, frame.format, frame.payload, &mut records)?;
        }
        let (epoch, ends_commit) = (header.epoch, header.ends_commit);
        Ok(Some(Group { key: first, epoch, frames, ends_commit, records }))
    }
}
