//! The hash of a reading's `id`, by which a repeated reading is known.
//!
//! It is stored in the journal, so it is part of the format and never changes: 64-bit FNV-1a over the id's
//! UTF-8 bytes, with 1 in place of 0. Fast on short texts; who makes ids collide loses his own readings.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// Bytes of the longest reading id.
pub(super) const ID_BYTES_MAX: usize = 128;

/// The stable hash of a reading's id; 0, which stands for no id, never comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdHash(pub u64);

impl IdHash {
    /// Of an id.
    #[must_use]
    pub fn of(id: &str) -> Self {
        Self::of_bytes(id.as_bytes())
    }

    /// Of an id's UTF-8 bytes.
    #[must_use]
    pub fn of_bytes(id: &[u8]) -> Self {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        Self(id.iter().copied().fold(OFFSET_BASIS, mix).max(1))
    }
}

impl<'de> Deserialize<'de> for IdHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = IdHash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id of 1 to {ID_BYTES_MAX} bytes")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<IdHash, E> {
        match id.len() {
            1..=ID_BYTES_MAX => Ok(IdHash::of(id)),
            length => Err(E::invalid_length(length, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_hash_is_the_one_of_the_journal() {
        // The published test vectors of 64-bit FNV-1a: a change would break every journal.
        for (id, hash) in [
            ("a", 0xaf63_dc4c_8601_ec8c_u64),
            ("foobar", 0x8594_4171_f739_67e8),
            ("chongo was here!\n", 0x4681_0940_eff5_f915),
        ] {
            assert_eq!(IdHash::of(id).0, hash, "{id}");
        }
    }
}
