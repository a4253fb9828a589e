//! Changes of a slot or of the lot itself by staff.
//!
//! A patch that asks for what is there already is granted without an event. Absent: adding and removing
//! slots and zones; a lot keeps the ones it was created with.

use super::{Events, Granted, expect_version, happened, unchanged};
use crate::ids::SlotIndex;
use crate::limits;
use crate::lot::{Event, Lot, LotPatch, LotValues, Outcome, Rejection, SlotPatch, SlotValues};
use crate::spec::{self, Fault};

pub(super) fn slot(
    lot: &Lot,
    slot: SlotIndex,
    patch: &SlotPatch,
    expected_version: Option<u32>,
) -> Granted {
    let promise = lot.promise(slot).ok_or(Rejection::SlotNotFound)?;
    expect_version(expected_version, promise.version)?;
    let mut events = Events::new();
    if let Some(values) = changed_slot_values(lot, slot, patch)? {
        events.push(Event::SlotChanged(Box::new(values)));
    }
    if let Some(service) = patch.service.as_ref().filter(|service| **service != promise.service) {
        events.push(Event::ServiceChanged { slot, service: service.clone() });
    }
    Ok((events, Outcome::Slot(slot)))
}

fn changed_slot_values(
    lot: &Lot,
    slot: SlotIndex,
    patch: &SlotPatch,
) -> Result<Option<SlotValues>, Rejection> {
    let old = SlotValues::of(&lot.spec, slot).ok_or(Rejection::SlotNotFound)?;
    let mut new = old.clone();
    if let Some(names) = &patch.features {
        let known = Known { field: "features", what: "features", names: &lot.spec.features };
        new.features.0 =
            known.bits_of(names, limits::FEATURES_PER_LOT_MAX, &mut new.added_features)?;
    }
    if let Some(names) = &patch.vehicle_types {
        let types = &lot.spec.vehicle_types;
        let known = Known { field: "vehicle_types", what: "vehicle types", names: types };
        let (max, added) = (limits::VEHICLE_TYPES_PER_LOT_MAX, &mut new.added_vehicle_types);
        new.vehicle_types.0 = known.bits_of(names, max, added)?;
    }
    new.zone = patch.zone.unwrap_or(old.zone);
    if let Some(index) = new.zone.filter(|zone| zone.at() >= lot.spec.zones.len()) {
        let zones = lot.spec.zones.len();
        return Err(invalid("/zone", format!("zone {} of {zones}; name one of them", index.0)));
    }
    new.size = patch.size.unwrap_or(old.size);
    new.walk_metres = patch.walk_metres.unwrap_or(old.walk_metres);
    Ok((new != old).then_some(new))
}

/// The names behind the bits of a set.
struct Known<'a> {
    field: &'static str,
    what: &'static str,
    names: &'a [Box<str>],
}

impl Known<'_> {
    /// The bits of some names; those that are new come at the end of the list.
    fn bits_of(
        &self,
        wanted: &[Box<str>],
        max: usize,
        added: &mut Vec<Box<str>>,
    ) -> Result<u64, Rejection> {
        let mut bits = 0;
        for (position, name) in wanted.iter().enumerate() {
            let known = self.names.iter().chain(added.iter()).position(|known| known == name);
            let bit = match known {
                Some(bit) => bit,
                None => {
                    let pointer = format!("/{}/{position}", self.field);
                    let faults = spec::code_faults(&pointer, name);
                    if !faults.is_empty() {
                        return Err(Rejection::Invalid { faults });
                    }
                    added.push(name.clone());
                    self.names.len() + added.len() - 1
                }
            };
            if bit >= max {
                let what = self.what;
                let detail = format!("`{name}` would be one too many; a lot knows {max} {what}");
                return Err(invalid(&format!("/{}", self.field), detail));
            }
            bits |= 1 << bit;
        }
        Ok(bits)
    }
}

fn invalid(pointer: &str, detail: String) -> Rejection {
    Rejection::Invalid { faults: vec![Fault { pointer: pointer.to_owned(), detail }] }
}

pub(super) fn lot(lot: &Lot, patch: &LotPatch, expected_version: Option<u32>) -> Granted {
    expect_version(expected_version, lot.version)?;
    let mut spec = (*lot.spec).clone();
    if let Some(name) = &patch.name {
        spec.name.clone_from(name);
    }
    spec.capacity = patch.capacity.unwrap_or(spec.capacity);
    spec.place = patch.place.as_deref().cloned().unwrap_or(spec.place);
    spec.rules = patch.rules.unwrap_or(spec.rules);
    spec.about = patch.about.as_deref().cloned().unwrap_or(spec.about);
    spec.allocation = patch.allocation.clone().unwrap_or(spec.allocation);
    if spec == *lot.spec {
        return unchanged(Outcome::Lot);
    }
    let faults = spec.faults();
    if !faults.is_empty() {
        return Err(Rejection::Invalid { faults });
    }
    let values = LotValues::of(&spec);
    happened(Event::Changed(Box::new(values)), Outcome::Lot)
}
