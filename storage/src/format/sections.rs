//! The body of a snapshot since format 2: sections, each with its tag and length, in order of tag.
//!
//! A family of state has one section, its types and two functions in a file of its own, and one line in
//! [`SECTIONS`]. An empty family writes nothing, and one that is not there is empty, so a family that comes
//! later changes no byte of a lot that does not use it. A tag that is not known is refused: what it holds
//! would be lost. Absent: the order of fields inside of a section, which is its family's and its format.

mod accounts;
mod claims;
mod lot;
mod passes;
mod payments;
mod requests;
mod reservations;
mod shifts;
mod slots;
mod stays;
mod tariffs;
mod tenant_passes;
mod violations;
mod waiting;

use bincode::BorrowDecode;
use bincode::error::DecodeError;

use super::snapshot::SnapshotHead;
use super::{FormatError, LARGE_BYTES_MAX, LARGE_CONFIG, MEMORY_PER_BYTE, MIDDLE_BYTES_MAX};
use super::{MIDDLE_CONFIG, SMALL_BYTES_MAX, SMALL_CONFIG, SNAPSHOT_CONFIG};
use crate::snapshot::LotSnapshot;

/// Bytes of a tag and a length.
const FRAME_BYTES: usize = 6;
const SNAPSHOT: &str = "snapshot";

/// One family of state.
pub(super) struct Section {
    /// Says which; never given again.
    tag: u16,
    name: &'static str,
    /// Whether every snapshot has it.
    required: bool,
    /// Appends it; nothing when there is nothing of it.
    write: fn(&LotSnapshot, &mut Vec<u8>) -> Result<(), FormatError>,
    /// Takes it into a snapshot that has all sections before it.
    read: fn(&[u8], &mut LotSnapshot) -> Result<(), FormatError>,
}

/// All families, in order of tag.
const SECTIONS: &[Section] = &[
    lot::SECTION,
    slots::SECTION,
    reservations::SECTION,
    claims::SECTION,
    stays::SECTION,
    payments::SECTION,
    accounts::SECTION,
    tariffs::SECTION,
    violations::SECTION,
    passes::SECTION,
    waiting::SECTION,
    shifts::SECTION,
    tenant_passes::SECTION,
    requests::SECTION,
];

/// Appends all sections.
pub(super) fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    for section in SECTIONS {
        let start = into.len();
        into.resize(start + FRAME_BYTES, 0);
        (section.write)(snapshot, into)?;
        let length = into.len() - start - FRAME_BYTES;
        if length == 0 {
            into.truncate(start);
            continue;
        }
        let length = u32::try_from(length)
            .map_err(|_| FormatError::invalid(SNAPSHOT, "a section of four gigabytes"))?;
        into[start..start + 2].copy_from_slice(&section.tag.to_le_bytes());
        into[start + 2..start + FRAME_BYTES].copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// Reads all sections.
pub(super) fn read(head: &SnapshotHead, mut bytes: &[u8]) -> Result<LotSnapshot, FormatError> {
    let mut snapshot = head.empty();
    let mut known = SECTIONS.iter();
    while !bytes.is_empty() {
        let short = || FormatError::Short { what: SNAPSHOT, bytes: bytes.len() };
        let (tag, rest) = bytes.split_first_chunk::<2>().ok_or_else(short)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (tag, length) = (u16::from_le_bytes(*tag), u32::from_le_bytes(*length));
        let section = loop {
            match known.next() {
                Some(section) if section.tag == tag => break section,
                Some(section) if section.required => return Err(missing(section)),
                Some(_) => {}
                None => {
                    let detail = format!("section {tag} is not known, or not in its place");
                    return Err(FormatError::invalid(SNAPSHOT, detail));
                }
            }
        };
        let (payload, rest) = rest.split_at_checked(length as usize).ok_or_else(short)?;
        (section.read)(payload, &mut snapshot)?;
        bytes = rest;
    }
    match known.find(|section| section.required) {
        Some(section) => Err(missing(section)),
        None => Ok(snapshot),
    }
}

fn missing(section: &Section) -> FormatError {
    FormatError::invalid(SNAPSHOT, format!("has no section of its {}", section.name))
}

/// Decodes one value that fills a section, within the memory that so many bytes can be worth: a list that
/// announces more is refused before it is made.
pub(super) fn decode<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, FormatError> {
    let worth_bytes = bytes.len().saturating_mul(MEMORY_PER_BYTE);
    let decoded = if worth_bytes <= SMALL_BYTES_MAX {
        bincode::borrow_decode_from_slice(bytes, SMALL_CONFIG)
    } else if worth_bytes <= MIDDLE_BYTES_MAX {
        bincode::borrow_decode_from_slice(bytes, MIDDLE_CONFIG)
    } else if worth_bytes <= LARGE_BYTES_MAX {
        bincode::borrow_decode_from_slice(bytes, LARGE_CONFIG)
    } else {
        bincode::borrow_decode_from_slice(bytes, SNAPSHOT_CONFIG)
    };
    let wrong = |error: DecodeError| FormatError::invalid(SNAPSHOT, error.to_string());
    let (value, read) = decoded.map_err(wrong)?;
    match read == bytes.len() {
        true => Ok(value),
        false => Err(FormatError::invalid(SNAPSHOT, "bytes after the end of a part of it")),
    }
}
