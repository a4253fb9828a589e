//! Section 4: idempotency keys with their first answers, oldest first.

use super::{Section, decode};
use crate::format::state_2::Remembered;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 4, name: "claims", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let claims: Vec<Remembered<'_>> = snapshot.claims.iter().map(Into::into).collect();
    if claims.is_empty() { Ok(()) } else { append(&claims, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let claims: Vec<Remembered<'_>> = decode(bytes)?;
    snapshot.claims = claims.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    Ok(())
}
