//! Section 10: passes, those that go on by id, then ended ones, oldest first.

use std::sync::Arc;

use lotkeeper_engine::lot::pass::Reach;

use super::{Section, decode};
use crate::format::pass::Pass;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 10, name: "passes", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let passes: Vec<Pass> = snapshot.parts.passes.iter().map(|pass| Pass::of(pass)).collect();
    if passes.is_empty() { Ok(()) } else { append(&passes, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let passes: Vec<Pass> = decode(bytes)?;
    snapshot.parts.passes =
        passes.into_iter().map(|pass| Arc::new(pass.engine(Reach::Lot))).collect();
    Ok(())
}
