//! Encodes commits into frames, for the disk and for the archive alike.

use std::ops::Range;

use super::frame::{FrameKey, HEADER_BYTES, Header, PAYLOAD_BYTES_MAX};
use super::origin::Askers;
use super::{FRAME_BYTES_MAX, FormatError, append, event};
use crate::record::Record;

/// One frame of an encoded commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSpan {
    /// Where it goes in the log.
    pub key: FrameKey,
    /// Where its bytes lie in [`Encoder::bytes`].
    pub range: Range<usize>,
}

/// Encodes commits into buffers that are used again.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    spans: Vec<FrameSpan>,
    oversized: Vec<u8>,
    askers: Askers,
}

impl Encoder {
    /// Encodes one commit; see [`Encoder::frames`] for what came of it.
    ///
    /// # Errors
    /// A record too large for any number of frames.
    pub fn encode(&mut self, epoch: u64, records: &[Record]) -> Result<(), FormatError> {
        self.bytes.clear();
        self.spans.clear();
        let mut rest = records;
        while let Some(first) = rest.first() {
            let start = self.bytes.len();
            self.bytes.resize(start + HEADER_BYTES, 0);
            let mut count: u16 = 0;
            self.askers.clear();
            for record in rest {
                let mark = self.bytes.len();
                append(&event::Record::new(record, first.at), "record", &mut self.bytes)?;
                self.askers.append(record, &mut self.bytes)?;
                if self.bytes.len() - start > FRAME_BYTES_MAX {
                    self.bytes.truncate(mark);
                    break;
                }
                count += 1;
            }
            rest = &rest[usize::from(count).max(1)..];
            let header = Header {
                epoch,
                key: FrameKey { first_seq: first.seq, part: 0 },
                base: first.at,
                count,
                ends_commit: rest.is_empty(),
                is_part: false,
                is_last_part: false,
            };
            if count == 0 {
                self.bytes.truncate(start);
                self.encode_parts(first, header)?;
            } else {
                self.seal(start, &header)?;
            }
        }
        Ok(())
    }

    /// The frames of the commit with their keys, in order.
    pub fn frames(&self) -> impl Iterator<Item = (FrameKey, &[u8])> {
        self.spans.iter().map(|span| (span.key, &self.bytes[span.range.clone()]))
    }

    /// All frames of the commit, one after the other: the form of an archive.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of frames.
    #[must_use]
    pub fn frame_count(&self) -> usize {
        self.spans.len()
    }

    fn seal(&mut self, start: usize, header: &Header) -> Result<(), FormatError> {
        header.seal(&mut self.bytes[start..])?;
        self.spans.push(FrameSpan { key: header.key, range: start..self.bytes.len() });
        Ok(())
    }

    fn encode_parts(&mut self, record: &Record, whole: Header) -> Result<(), FormatError> {
        let mut stream = std::mem::take(&mut self.oversized);
        stream.clear();
        append(&event::Record::new(record, whole.base), "record", &mut stream)?;
        self.askers.clear();
        self.askers.append(record, &mut stream)?;
        let last = stream.len().div_ceil(PAYLOAD_BYTES_MAX) - 1;
        for (position, part) in stream.chunks(PAYLOAD_BYTES_MAX).enumerate() {
            let start = self.bytes.len();
            self.bytes.resize(start + HEADER_BYTES, 0);
            self.bytes.extend_from_slice(part);
            let part = u16::try_from(position)
                .map_err(|_| FormatError::invalid("record", "needs more than 65,536 frames"))?;
            let is_last_part = position == last;
            let header = Header {
                key: FrameKey { part, ..whole.key },
                count: 1,
                ends_commit: whole.ends_commit && is_last_part,
                is_part: true,
                is_last_part,
                ..whole
            };
            self.seal(start, &header)?;
        }
        self.oversized = stream;
        Ok(())
    }
}
