//! Section 13: which passes of section 10 are good in all lots of the tenant, and passes of other lots that were
//! used here, by id.

use std::collections::HashSet;
use std::sync::Arc;

use bincode::{Decode, Encode};
use lotkeeper_engine::lot::pass::Reach;

use super::{Section, decode};
use crate::format::pass::Guest;
use crate::format::stored::Stored;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 13, name: "passes of the tenant", required: false, write, read };

#[derive(Encode, Decode)]
struct TenantPasses {
    issued: Vec<[u8; 16]>,
    guests: Vec<Guest>,
}

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let parts = &snapshot.parts;
    let everywhere = parts.passes.iter().filter(|pass| pass.reach == Reach::Tenant);
    let passes = TenantPasses {
        issued: everywhere.map(|pass| Stored::of(&pass.id)).collect(),
        guests: Stored::of(&parts.guests),
    };
    let is_empty = passes.issued.is_empty() && passes.guests.is_empty();
    if is_empty { Ok(()) } else { append(&passes, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let passes: TenantPasses = decode(bytes)?;
    let issued: HashSet<[u8; 16]> = passes.issued.into_iter().collect();
    for pass in &mut snapshot.parts.passes {
        if issued.contains(pass.id.0.as_bytes()) {
            Arc::make_mut(pass).reach = Reach::Tenant;
        }
    }
    snapshot.parts.guests = passes.guests.engine();
    Ok(())
}
