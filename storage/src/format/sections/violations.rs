//! Section 9: violations, open ones by id, then ended ones, oldest first.

use std::sync::Arc;

use super::{Section, decode};
use crate::format::stored::Stored;
use crate::format::violation::Violation;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 9, name: "violations", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let violations: Vec<Violation> =
        snapshot.parts.violations.iter().map(|violation| Stored::of(&**violation)).collect();
    if violations.is_empty() { Ok(()) } else { append(&violations, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let violations: Vec<Violation> = decode(bytes)?;
    let violations = violations.into_iter().map(|violation| Arc::new(violation.engine()));
    snapshot.parts.violations = violations.collect();
    Ok(())
}
