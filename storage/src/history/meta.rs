//! What a history says of itself, in the same batch as what it is about.

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;

use crate::format::FormatError;
use crate::record::Record;

/// The format of documents and keys. A history of another one is built anew.
pub(super) const HISTORY_FORMAT: u16 = 2;
const META: &str = "head of the history";

/// The record a history goes up to: whether a log holds it tells whether it is the log the history is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Of which lot.
    pub lot: LotKey,
    /// Its place there.
    pub lot_seq: u64,
    /// When.
    pub at: Timestamp,
}

impl Mark {
    /// Of a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self { lot: record.lot, lot_seq: record.lot_seq, at: record.at }
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Of the log it follows.
    pub epoch: u64,
    /// The last record that was applied.
    pub applied_seq: u64,
    /// The newest record of which the log must still know.
    pub mark_seq: u64,
    /// What it said.
    pub mark: Mark,
    /// First and last of the records it has never seen, because the log had pruned them; zeros where there is none.
    pub lacks: (u64, u64),
    /// Documents in it.
    pub documents: u64,
    /// Tenants that have a number.
    pub tenants: u32,
}

impl Meta {
    /// Of a history that begins after a record.
    pub(super) fn new(epoch: u64, applied_seq: u64) -> Self {
        let mark = Mark { lot: LotKey(0), lot_seq: 0, at: Timestamp::default() };
        let lacks = if applied_seq > 0 { (1, applied_seq) } else { (0, 0) };
        Self { epoch, applied_seq, mark_seq: 0, mark, lacks, documents: 0, tenants: 0 }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&HISTORY_FORMAT.to_le_bytes());
        let (first, last) = self.lacks;
        let at = self.mark.at.micros().cast_unsigned();
        for number in [
            self.epoch,
            self.applied_seq,
            self.mark_seq,
            u64::from(self.mark.lot.0) << 32 | u64::from(self.tenants),
            self.mark.lot_seq,
            at,
            first,
            last,
            self.documents,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let short = FormatError::Short { what: META, bytes: bytes.len() };
        let (format, rest) = bytes.split_first_chunk::<2>().ok_or(short.clone())?;
        let found = u16::from_le_bytes(*format);
        if found != HISTORY_FORMAT {
            let detail = format!("format {found}, this release has {HISTORY_FORMAT}");
            return Err(FormatError::invalid(META, detail));
        }
        let (numbers, rest) = rest.as_chunks::<8>();
        let (numbers, checksum) = match (numbers, <[u8; 4]>::try_from(rest)) {
            (numbers, Ok(checksum)) if numbers.len() == 9 => (numbers, checksum),
            _ => return Err(short),
        };
        if u32::from_le_bytes(checksum) != crc32c::crc32c(&bytes[..bytes.len() - 4]) {
            return Err(FormatError::Checksum { what: META });
        }
        let number = |place: usize| u64::from_le_bytes(numbers[place]);
        let low = |number: u64| u32::try_from(number & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        Ok(Self {
            epoch: number(0),
            applied_seq: number(1),
            mark_seq: number(2),
            mark: Mark {
                lot: LotKey(low(number(3) >> 32)),
                lot_seq: number(4),
                at: Timestamp::from_micros(number(5).cast_signed()),
            },
            lacks: (number(6), number(7)),
            documents: number(8),
            tenants: low(number(3)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_comes_back_and_damage_is_seen() {
        let mark = Mark { lot: LotKey(9), lot_seq: 8, at: Timestamp::from_micros(-7) };
        let meta = Meta { mark, documents: 3, tenants: 2, mark_seq: 5, ..Meta::new(6, 5) };
        let bytes = meta.to_bytes();
        assert_eq!(Meta::from_bytes(&bytes), Ok(meta));
        for place in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[place] ^= 1;
            assert!(Meta::from_bytes(&broken).is_err(), "byte {place}");
            assert!(Meta::from_bytes(&bytes[..place]).is_err(), "{place} bytes");
        }
    }
}
