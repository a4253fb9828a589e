//! The tip file: how far the log was durable a moment ago. A recovery that ends below it has lost records.

use super::{Fields, FormatError, TIP_FORMAT};

const MAGIC: [u8; 4] = *b"LKT1";
const TIP_BYTES: usize = 28;
const TIP: &str = "tip file";

/// Content of the tip file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Epoch of the log.
    pub epoch: u64,
    /// The last durable record when it was written.
    pub seq: u64,
}

impl Tip {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(self) -> [u8; TIP_BYTES] {
        let mut bytes = [0; TIP_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&TIP_FORMAT.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.seq.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..24]);
        bytes[24..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// Damage, or a later format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() != TIP_BYTES {
            return Err(FormatError::Short { what: TIP, bytes: bytes.len() });
        }
        let mut fields = Fields(bytes);
        if fields.take() != MAGIC {
            return Err(FormatError::Magic { what: TIP });
        }
        FormatError::check_version(TIP, fields.u16(), TIP_FORMAT)?;
        fields.u16();
        let tip = Self { epoch: fields.u64(), seq: fields.u64() };
        if crc32c::crc32c(&bytes[..24]) != fields.u32() {
            return Err(FormatError::Checksum { what: TIP });
        }
        Ok(tip)
    }
}
