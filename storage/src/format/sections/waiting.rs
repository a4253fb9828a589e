//! Section 11: the waiting list, those who wait in the order of joining, then ended places, oldest first.

use std::sync::Arc;

use super::{Section, decode};
use crate::format::stored::Stored;
use crate::format::waiting::Waiter;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 11, name: "waiting", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let waiting: Vec<Waiter> = snapshot.parts.waiting.iter().map(|w| Stored::of(&**w)).collect();
    if waiting.is_empty() { Ok(()) } else { append(&waiting, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let waiting: Vec<Waiter> = decode(bytes)?;
    snapshot.parts.waiting = waiting.into_iter().map(|waiter| Arc::new(waiter.engine())).collect();
    Ok(())
}
