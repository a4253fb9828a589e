//! Writing a backup: people, snapshots and frames of a journal as one row of blocks, made as they are asked for.
//!
//! Invariants: memory is bounded by one block and one snapshot, whatever the log's length; every frame's
//! checksum and order is looked at on the way, so that damage ends the backup instead of going into it.
//! Deliberately absent: decoding of records (the reader of the backup does that, on his own machine).

use std::panic::AssertUnwindSafe;

use super::block::{self, Kind, PAYLOAD_BYTES_MAX};
use super::parts::{Header, PeopleRow, Trailer};
use crate::error::JournalError;
use crate::format::{FRAME_BYTES_MAX, Frame, FrameKey};
use crate::paging::Frames;
use crate::sled_journal::caught;

/// A block is handed on when it has so much.
const BLOCK_BYTES: usize = 64 * 1024;

/// Values of the trees of people, in order.
pub(crate) type PeopleRows = Box<dyn Iterator<Item = Result<PeopleRow, JournalError>> + Send>;
/// Encoded snapshots, whole, in order of lot and sequence.
pub(crate) type Snapshots = Box<dyn Iterator<Item = Result<Vec<u8>, JournalError>> + Send>;

/// Where the parts of a backup come from.
pub(crate) struct Source {
    pub(crate) place: String,
    pub(crate) people: PeopleRows,
    pub(crate) snapshots: Snapshots,
    /// From the oldest one that is kept; may go beyond the last sequence.
    pub(crate) frames: Frames,
    /// Dropped with the backup: what must not change until then.
    pub(crate) held: Option<Box<dyn Send>>,
}

impl Source {
    /// Lets go of everything, what is held last.
    fn release(&mut self) {
        self.people = Box::new(std::iter::empty());
        self.snapshots = Box::new(std::iter::empty());
        self.frames = Box::new(std::iter::empty());
        self.held = None;
    }
}

enum Stage {
    Head,
    People,
    Snapshots,
    Frames,
    Done,
}

/// A backup as it is read out of a journal, block by block.
///
/// Dropping it before its end leaves a file without a trailer, which no restore takes.
pub struct Backup {
    header: Header,
    source: Source,
    stage: Stage,
    /// The rest of a snapshot that is being handed on.
    snapshot: Option<(Vec<u8>, usize)>,
    next_seq: u64,
    next_part: u16,
    ends_whole: bool,
    trailer: Trailer,
}

impl Backup {
    pub(crate) fn new(header: Header, source: Source) -> Self {
        Self {
            next_seq: header.first_seq,
            next_part: 0,
            ends_whole: true,
            header,
            source,
            stage: Stage::Head,
            snapshot: None,
            trailer: Trailer::default(),
        }
    }

    /// What it says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next bytes; nothing at the end.
    fn step(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        loop {
            let block = match self.stage {
                Stage::Head => {
                    self.stage = Stage::People;
                    let mut bytes = block::prologue().to_vec();
                    block::append(Kind::Head, false, &self.header.to_bytes(), &mut bytes);
                    Some(bytes)
                }
                Stage::People => self.people()?,
                Stage::Snapshots => self.snapshot()?,
                Stage::Frames => self.frames()?,
                Stage::Done => return Ok(None),
            };
            if let Some(bytes) = block {
                self.trailer.bytes += bytes.len() as u64;
                self.trailer.checksum = crc32c::crc32c_append(self.trailer.checksum, &bytes);
                return Ok(Some(bytes));
            }
            self.stage = match self.stage {
                Stage::Head | Stage::People => Stage::Snapshots,
                Stage::Snapshots => Stage::Frames,
                Stage::Frames => {
                    self.stage = Stage::Done;
                    return self.end().map(Some);
                }
                Stage::Done => Stage::Done,
            };
        }
    }

    fn people(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let mut payload = Vec::new();
        while payload.len() < BLOCK_BYTES
            && let Some(row) = self.source.people.next()
        {
            let row = row?;
            if row.value.len() > PAYLOAD_BYTES_MAX - 2 * BLOCK_BYTES {
                let detail = format!("a value of people has {} bytes", row.value.len());
                return Err(JournalError::damaged(&self.source.place, detail));
            }
            row.append(&mut payload);
            self.trailer.people_rows += 1;
        }
        Ok(whole(Kind::People, &payload))
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let (bytes, sent) = match self.snapshot.take() {
            Some(open) => open,
            None => match self.source.snapshots.next() {
                Some(bytes) => (bytes?, 0),
                None => return Ok(None),
            },
        };
        let end = bytes.len().min(sent + PAYLOAD_BYTES_MAX);
        let continued = end < bytes.len();
        let mut block = Vec::new();
        block::append(Kind::Snapshot, continued, &bytes[sent..end], &mut block);
        match continued {
            true => self.snapshot = Some((bytes, end)),
            false => self.trailer.snapshots += 1,
        }
        Ok(Some(block))
    }

    fn frames(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let mut payload = Vec::with_capacity(BLOCK_BYTES + FRAME_BYTES_MAX);
        while payload.len() < BLOCK_BYTES
            && let Some(frame) = self.source.frames.next()
        {
            let (key, bytes) = frame?;
            if key.first_seq > self.header.last_seq {
                break;
            }
            self.judge(key, &bytes)?;
            payload.extend_from_slice(&bytes);
            self.trailer.frames += 1;
        }
        Ok(whole(Kind::Frames, &payload))
    }

    /// Refuses a frame that is damaged or does not follow the one before.
    fn judge(&mut self, key: FrameKey, bytes: &[u8]) -> Result<(), JournalError> {
        let frame = Frame::parse(bytes)
            .map_err(|error| JournalError::format(&self.source.place, &error))?;
        let expected = FrameKey { first_seq: self.next_seq, part: self.next_part };
        if key != expected || frame.header.key != expected {
            let detail = format!("{:?} where {expected:?} is expected", frame.header.key);
            return Err(JournalError::damaged(&self.source.place, detail));
        }
        self.next_seq = frame.next_seq();
        let amid = frame.header.is_part && !frame.header.is_last_part;
        self.next_part = if amid { self.next_part.saturating_add(1) } else { 0 };
        self.ends_whole = frame.header.ends_commit;
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<u8>, JournalError> {
        let last_seq = self.header.last_seq;
        if self.next_seq != last_seq + 1 || !self.ends_whole {
            let next = self.next_seq;
            let detail = format!("the log ends before record {next}, not with record {last_seq}");
            return Err(JournalError::damaged(&self.source.place, detail));
        }
        let mut block = Vec::new();
        block::append(Kind::Trailer, false, &self.trailer.to_bytes(), &mut block);
        self.source.release();
        Ok(block)
    }
}

fn whole(kind: Kind, payload: &[u8]) -> Option<Vec<u8>> {
    (!payload.is_empty()).then(|| {
        let mut bytes = Vec::with_capacity(payload.len() + 16);
        block::append(kind, false, payload, &mut bytes);
        bytes
    })
}

impl Iterator for Backup {
    type Item = Result<Vec<u8>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.source.place.clone();
        let step = caught(&place, AssertUnwindSafe(|| self.step())).transpose();
        if step.as_ref().is_none_or(Result::is_err) {
            self.stage = Stage::Done;
            self.source.release();
        }
        step
    }
}
