//! Changes of a slot or of the lot itself by staff.
//!
//! A patch that asks for what is there already is granted without an event. Absent: adding and removing
//! slots and zones; a lot keeps the ones it was created with.

use super::{Events, Granted, expect_version, happened, unchanged};
use crate::ids::SlotIndex;
use crate::limits;
use crate::lot::{Event, Lot, LotPatch, LotValues, Outcome, Rejection, SlotPatch, SlotValues};
use crate::spec::{self, Fault, FeatureSet};

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
    let old = lot.spec.slot(slot).ok_or(Rejection::SlotNotFound)?;
    let mut added_features = Vec::new();
    let features = match &patch.features {
        Some(names) => feature_set(lot, names, &mut added_features)?,
        None => old.features,
    };
    let zone = patch.zone.unwrap_or(old.zone);
    if let Some(index) = zone.filter(|zone| zone.at() >= lot.spec.zones.len()) {
        let zones = lot.spec.zones.len();
        return Err(invalid("/zone", format!("zone {} of {zones}; name one of them", index.0)));
    }
    let size = patch.size.unwrap_or(old.size);
    let same = zone == old.zone && size == old.size && features == old.features;
    Ok((!same).then_some(SlotValues { slot, zone, size, features, added_features }))
}

fn feature_set(
    lot: &Lot,
    names: &[Box<str>],
    added: &mut Vec<Box<str>>,
) -> Result<FeatureSet, Rejection> {
    let mut set = FeatureSet::default();
    for (position, name) in names.iter().enumerate() {
        let known = lot.spec.features.iter().chain(added.iter()).position(|known| known == name);
        let bit = match known {
            Some(bit) => bit,
            None => {
                let faults = spec::code_faults(&format!("/features/{position}"), name);
                if !faults.is_empty() {
                    return Err(Rejection::Invalid { faults });
                }
                added.push(name.clone());
                lot.spec.features.len() + added.len() - 1
            }
        };
        if bit >= limits::FEATURES_PER_LOT_MAX {
            let max = limits::FEATURES_PER_LOT_MAX;
            let detail = format!("`{name}` would be one too many; a lot knows {max} features");
            return Err(invalid("/features", detail));
        }
        set.0 |= 1 << bit;
    }
    Ok(set)
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
    spec.place = patch.place.clone().unwrap_or(spec.place);
    spec.rules = patch.rules.unwrap_or(spec.rules);
    if spec == *lot.spec {
        return unchanged(Outcome::Lot);
    }
    let faults = spec.faults();
    if !faults.is_empty() {
        return Err(Rejection::Invalid { faults });
    }
    let values = LotValues {
        name: spec.name,
        capacity: spec.capacity,
        place: spec.place,
        rules: spec.rules,
    };
    happened(Event::Changed(Box::new(values)), Outcome::Lot)
}
