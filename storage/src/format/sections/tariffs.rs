//! Section 8: tariffs in all versions, and where they apply.

use std::sync::Arc;

use super::{Section, decode};
use crate::format::tariff::{Assignment, Tariff};
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 8, name: "tariffs", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let parts = &snapshot.parts;
    if parts.tariffs.is_empty() && parts.assignments.is_empty() {
        return Ok(());
    }
    let tariffs: Vec<Tariff> = parts.tariffs.iter().map(|tariff| (&**tariff).into()).collect();
    let assignments: Vec<Assignment> = parts.assignments.iter().map(Into::into).collect();
    append(&(tariffs, assignments), "snapshot", into)
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let (tariffs, assignments): (Vec<Tariff>, Vec<Assignment>) = decode(bytes)?;
    let tariffs = tariffs.into_iter().map(|tariff| tariff.try_into().map(Arc::new));
    snapshot.parts.tariffs = tariffs.collect::<Result<_, FormatError>>()?;
    snapshot.parts.assignments = assignments.into_iter().map(Into::into).collect();
    Ok(())
}
