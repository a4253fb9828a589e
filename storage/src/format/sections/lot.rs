//! Section 1: what the lot is made of, its version and its count.

use std::sync::Arc;

use bincode::{BorrowDecode, Encode};

use super::{Section, decode};
use crate::format::spec_2::Spec;
use crate::format::state::Tally;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section = Section { tag: 1, name: "lot", required: true, write, read };

#[derive(Encode, BorrowDecode)]
struct Body<'a> {
    spec: Spec<'a>,
    version: u32,
    tally: Tally,
}

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let parts = &snapshot.parts;
    let spec = Arc::as_ref(&parts.spec).into();
    append(&Body { spec, version: parts.version, tally: parts.tally.into() }, "snapshot", into)
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let body: Body<'_> = decode(bytes)?;
    snapshot.parts.spec = body.spec.try_into()?;
    snapshot.parts.version = body.version;
    snapshot.parts.tally = body.tally.into();
    Ok(())
}
