//! The tip file: how far the log was durable a moment ago, where it began, and how many people it had. A recovery
//! that finds less has lost something, whatever the journal's own files say of themselves.

use super::{Fields, FormatError, TIP_FORMAT};

const MAGIC: [u8; 4] = *b"LKT1";
const TIP: &str = "tip file";
/// Of format 1, which ends after the sequence.
const BARE_BYTES: usize = 28;
const TIP_BYTES: usize = BARE_BYTES + 32;
const CHECKSUM_BYTES: usize = 4;

/// Content of the tip file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Epoch of the log.
    pub epoch: u64,
    /// The last durable record when it was written.
    pub seq: u64,
    /// What else was kept; nothing in format 1.
    pub holdings: Option<Holdings>,
}

/// What a directory holds beside its newest record. Each of these numbers only grows, but by a start or a restore
/// that has told why not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The oldest record that is kept; raised before pruning removes what is older.
    pub first_seq: u64,
    /// Places that were given to people: the next one's.
    pub places: u64,
    /// How many people were erased.
    pub erased: u64,
    /// People under random pseudonyms, erased ones too: of directories that were format 1 once.
    pub old_people: u64,
}

impl Tip {
    /// One that says how far the log was durable and nothing else: format 1.
    #[must_use]
    pub fn bare(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq, holdings: None }
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TIP_BYTES);
        let version = if self.holdings.is_some() { TIP_FORMAT } else { 1 };
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        for number in [self.epoch, self.seq] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        if let Some(held) = self.holdings {
            for number in [held.first_seq, held.places, held.erased, held.old_people] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// Damage, or a later format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let short = FormatError::Short { what: TIP, bytes: bytes.len() };
        if bytes.len() < BARE_BYTES {
            return Err(short);
        }
        let mut fields = Fields(bytes);
        if fields.take() != MAGIC {
            return Err(FormatError::Magic { what: TIP });
        }
        let version = fields.u16();
        FormatError::check_version(TIP, version, TIP_FORMAT)?;
        fields.u16();
        let wanted = if version == TIP_FORMAT { TIP_BYTES } else { BARE_BYTES };
        if bytes.len() != wanted {
            return Err(short);
        }
        let (epoch, seq) = (fields.u64(), fields.u64());
        let holdings = (version == TIP_FORMAT).then(|| Holdings {
            first_seq: fields.u64(),
            places: fields.u64(),
            erased: fields.u64(),
            old_people: fields.u64(),
        });
        if crc32c::crc32c(&bytes[..wanted - CHECKSUM_BYTES]) != fields.u32() {
            return Err(FormatError::Checksum { what: TIP });
        }
        Ok(Self { epoch, seq, holdings })
    }
}
