//! Section 12: shifts, open ones in order of id, then closed ones, oldest first.

use std::sync::Arc;

use super::{Section, decode};
use crate::format::shift::Shift;
use crate::format::stored::Stored;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 12, name: "shifts", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let shifts: Vec<Shift> =
        snapshot.parts.shifts.iter().map(|shift| Stored::of(&**shift)).collect();
    if shifts.is_empty() { Ok(()) } else { append(&shifts, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let shifts: Vec<Shift> = decode(bytes)?;
    snapshot.parts.shifts = shifts.into_iter().map(|shift| Arc::new(shift.engine())).collect();
    Ok(())
}
