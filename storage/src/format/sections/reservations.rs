//! Section 3: reservations, active ones by id, then ended ones, oldest first.

use std::sync::Arc;

use super::{Section, decode};
use crate::format::state_2::Reservation;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 3, name: "reservations", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let reservations: Vec<Reservation<'_>> =
        snapshot.parts.reservations.iter().map(|reservation| (&**reservation).into()).collect();
    if reservations.is_empty() { Ok(()) } else { append(&reservations, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let reservations: Vec<Reservation<'_>> = decode(bytes)?;
    let reservations = reservations.into_iter().map(|r| r.try_into().map(Arc::new));
    snapshot.parts.reservations = reservations.collect::<Result<_, FormatError>>()?;
    Ok(())
}
