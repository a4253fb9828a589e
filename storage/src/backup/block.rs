//! A backup's bytes: a prologue, then blocks, each with its length and checksum, the last one the trailer.
//!
//! Invariants: a block is read only after its checksum held; nothing is allocated for a length that no
//! writer makes; what does not end with a trailer that fits is not a backup. The byte tables are in
//! `docs/storage-format.md`. Deliberately absent: what is in the blocks.

use std::io::{ErrorKind, Read};

use super::error::BackupError;

const MAGIC: [u8; 4] = *b"LKB1";
/// The format this release writes, and the newest it reads.
pub const BACKUP_VERSION: u16 = 1;
/// Magic, version, two bytes of zero.
const PROLOGUE_BYTES: usize = 8;
/// Before each payload.
const BLOCK_HEADER_BYTES: usize = 12;
/// Of one block: bounds what a reader holds.
pub(super) const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
const CHECKED_BYTES: usize = 8;
/// The next block continues this one.
const CONTINUED: u16 = 1;

/// What a block holds. A backup has them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Head = 1,
    People = 2,
    Snapshot = 3,
    Frames = 4,
    Trailer = 5,
}

impl Kind {
    fn of(number: u16) -> Option<Self> {
        let all = [Self::Head, Self::People, Self::Snapshot, Self::Frames, Self::Trailer];
        all.into_iter().find(|kind| *kind as u16 == number)
    }
}

/// What the file begins with.
pub(super) fn prologue() -> [u8; PROLOGUE_BYTES] {
    let mut bytes = [0; PROLOGUE_BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&BACKUP_VERSION.to_le_bytes());
    bytes
}

/// Appends a block. The payload is at most [`PAYLOAD_BYTES_MAX`] long.
pub(super) fn append(kind: Kind, continued: bool, payload: &[u8], into: &mut Vec<u8>) {
    debug_assert!(payload.len() <= PAYLOAD_BYTES_MAX, "a block that no reader takes");
    let start = into.len();
    let flags = if continued { CONTINUED } else { 0 };
    // Bounded above, so the length fits.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&(kind as u16).to_le_bytes());
    into.extend_from_slice(&flags.to_le_bytes());
    into.extend_from_slice(&length.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&into[start..]), payload);
    into.extend_from_slice(&checksum.to_le_bytes());
    into.extend_from_slice(payload);
}

/// A block whose checksum held.
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) continued: bool,
    pub(super) payload: Vec<u8>,
    /// Where it begins.
    pub(super) offset: u64,
}

/// Reads blocks out of a file or stream.
pub(super) struct Blocks<R> {
    inner: R,
    place: String,
    offset: u64,
    /// Over everything before the block that comes next.
    checksum: u32,
    last: Option<Kind>,
}

impl<R: Read> Blocks<R> {
    /// Reads and judges the prologue.
    pub(super) fn open(inner: R, place: &str) -> Result<Self, BackupError> {
        let mut blocks =
            Self { inner, place: place.to_owned(), offset: 0, checksum: 0, last: None };
        let mut bytes = [0; PROLOGUE_BYTES];
        let read = blocks.fill(&mut bytes)?;
        let not_ours = |detail: &str| BackupError::NotABackup {
            place: place.to_owned(),
            detail: detail.to_owned(),
        };
        if read == 0 {
            return Err(not_ours("it is empty"));
        }
        let compared = read.min(MAGIC.len());
        if bytes[..compared] != MAGIC[..compared] {
            return Err(not_ours("it does not begin with `LKB1`"));
        }
        if read < PROLOGUE_BYTES {
            return Err(blocks.cut_short(read));
        }
        let found = u16::from_le_bytes([bytes[4], bytes[5]]);
        if found > BACKUP_VERSION {
            let place = place.to_owned();
            return Err(BackupError::Newer { place, found, known: BACKUP_VERSION });
        }
        blocks.took(&bytes);
        Ok(blocks)
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Checksum of everything before the block that comes next.
    pub(super) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The next block; an end before the trailer is an error.
    pub(super) fn next(&mut self) -> Result<Block, BackupError> {
        let offset = self.offset;
        let mut header = [0; BLOCK_HEADER_BYTES];
        let read = self.fill(&mut header)?;
        if read < BLOCK_HEADER_BYTES {
            return Err(self.cut_short(read));
        }
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let long = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (kind, flags, length) = (short(0), short(2), long(4) as usize);
        if length > PAYLOAD_BYTES_MAX {
            return Err(self.damaged(offset, format!("a block of {length} bytes")));
        }
        let mut payload = vec![0; length];
        let read = self.fill(&mut payload)?;
        if read < length {
            return Err(self.cut_short(BLOCK_HEADER_BYTES + read));
        }
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[..CHECKED_BYTES]), &payload);
        if checksum != long(CHECKED_BYTES) {
            return Err(self.damaged(offset, "a block with a wrong checksum"));
        }
        let kind = Kind::of(kind)
            .ok_or_else(|| self.damaged(offset, format!("a block of unknown kind {kind}")))?;
        let follows = match self.last {
            None => kind == Kind::Head,
            Some(last) => kind >= last && kind != Kind::Head,
        };
        if !follows || flags > CONTINUED {
            return Err(self.damaged(offset, format!("{kind:?} where it does not belong")));
        }
        self.last = Some(kind);
        if kind != Kind::Trailer {
            self.took(&header);
            self.took(&payload);
        } else {
            self.offset += (BLOCK_HEADER_BYTES + length) as u64;
        }
        Ok(Block { kind, continued: flags == CONTINUED, payload, offset })
    }

    /// Refuses bytes after the trailer: something was appended, or two files were put together.
    pub(super) fn expect_end(&mut self) -> Result<(), BackupError> {
        match self.fill(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.damaged(self.offset, "bytes after the trailer")),
        }
    }

    pub(super) fn damaged(&self, offset: u64, detail: impl std::fmt::Display) -> BackupError {
        let detail = format!("at byte {offset}: {detail}");
        BackupError::Damaged { place: self.place.clone(), detail }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    fn cut_short(&self, read: usize) -> BackupError {
        BackupError::CutShort { place: self.place.clone(), bytes: self.offset + read as u64 }
    }

    fn took(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
    }

    /// As many bytes as there are, at most the buffer's.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, BackupError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.inner.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let (path, cause) = (self.place.clone(), error.to_string());
                    return Err(BackupError::File { operation: "reading", path, cause });
                }
            }
        }
        Ok(filled)
    }
}

/// Fixed-width little-endian numbers out of a payload.
pub(super) struct Numbers<'a>(pub(super) &'a [u8]);

impl<'a> Numbers<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }
}
