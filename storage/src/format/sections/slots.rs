//! Section 2: what is known of each slot, in the lot's order: whether it can be used, and what was heard.

use bincode::{BorrowDecode, Encode};

use super::{Section, decode};
use crate::format::lot_event::Service;
use crate::format::state::Slot;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section = Section { tag: 2, name: "slots", required: true, write, read };

#[derive(Encode, BorrowDecode)]
struct Body<'a> {
    services: Vec<(Service<'a>, u32)>,
    slots: Vec<Slot>,
}

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let services = snapshot.parts.slots.iter();
    let services = services.map(|(service, version)| (service.into(), *version)).collect();
    let slots = snapshot.slots.iter().map(Into::into).collect();
    append(&Body { services, slots }, "snapshot", into)
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let Body { services, slots } = decode(bytes)?;
    let wanted = snapshot.parts.spec.slots.len();
    if services.len() != wanted || slots.len() != wanted {
        let (services, slots) = (services.len(), slots.len());
        let detail = format!("{wanted} slots, {services} service states, {slots} slot states");
        return Err(FormatError::invalid("snapshot", detail));
    }
    let services = services.into_iter().map(|(service, version)| (service.into(), version));
    snapshot.parts.slots = services.collect();
    snapshot.slots = slots.into_iter().map(Into::into).collect();
    Ok(())
}
