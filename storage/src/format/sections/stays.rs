//! Section 5: stays, those inside by id, then ended ones, oldest first.

use std::sync::Arc;

use super::{Section, decode};
use crate::format::stay::Session;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section = Section { tag: 5, name: "stays", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let sessions: Vec<Session<'_>> =
        snapshot.parts.sessions.iter().map(|session| (&**session).into()).collect();
    if sessions.is_empty() { Ok(()) } else { append(&sessions, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let sessions: Vec<Session<'_>> = decode(bytes)?;
    let sessions = sessions.into_iter().map(|session| session.try_into().map(Arc::new));
    snapshot.parts.sessions = sessions.collect::<Result<_, FormatError>>()?;
    Ok(())
}
