//! Section 14: what people ask for in their own words, in order of what it is about.

use super::{Section, decode};
use crate::format::money::Owner;
use crate::format::stored::Stored;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 14, name: "requests", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let requests = &snapshot.parts.requests;
    let requests: Vec<(Owner, [u8; 16])> =
        requests.iter().map(|(about, text)| (Stored::of(about), Stored::of(text))).collect();
    if requests.is_empty() { Ok(()) } else { append(&requests, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let requests: Vec<(Owner, [u8; 16])> = decode(bytes)?;
    let requests = requests.into_iter().map(|(about, text)| (about.engine(), text.engine()));
    snapshot.parts.requests = requests.collect();
    Ok(())
}
