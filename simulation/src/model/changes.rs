//! What changes of a slot or a lot must do: the rules of `docs/api.md` as comparisons of values.

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{
    Event, LotPatch, LotValues, Outcome, Rejection, SlotPatch, SlotValues,
};
use lotkeeper_engine::spec::{FeatureSet, Kind, TypeSet};

use super::lot::LotModel;
use super::promises::Granted;

pub(super) fn judge_version(expected: Option<u32>, current: u32) -> Result<(), Rejection> {
    match expected.is_none_or(|expected| expected == current) {
        true => Ok(()),
        false => Err(Rejection::VersionMismatch { current }),
    }
}

/// The workload names only features and zones that are there, so that no fault is to be predicted.
pub(super) fn change_slot(
    lot: &LotModel,
    slot: SlotIndex,
    patch: &SlotPatch,
    expected_version: Option<u32>,
) -> Granted {
    let (service, version) = lot.services.get(slot.at()).ok_or(Rejection::SlotNotFound)?;
    judge_version(expected_version, *version)?;
    let old = &lot.spec.slots[slot.at()];
    let bit = |name: &str| lot.spec.features.iter().position(|known| **known == *name);
    let features = patch.features.as_ref().map_or(old.features, |names| {
        let bits = names.iter().filter_map(|name| bit(name));
        FeatureSet(bits.fold(0, |set, bit| set | 1 << bit))
    });
    let types = patch.vehicle_types.as_ref().map_or(old.vehicle_types, |names| {
        let known = &lot.spec.vehicle_types;
        let bits = names.iter().filter_map(|name| known.iter().position(|known| known == name));
        TypeSet(bits.fold(0, |set, bit| set | 1 << bit))
    });
    let values = SlotValues {
        slot,
        zone: patch.zone.unwrap_or(old.zone),
        size: patch.size.unwrap_or(old.size),
        features,
        added_features: Vec::new(),
        vehicle_types: types,
        added_vehicle_types: Vec::new(),
        walk_metres: patch.walk_metres.unwrap_or(old.walk_metres),
    };
    let same = SlotValues::of(&lot.spec, slot).as_ref() == Some(&values);
    let mut events = Vec::new();
    if !same {
        events.push(Event::SlotChanged(Box::new(values)));
    }
    if let Some(wanted) = patch.service.as_ref().filter(|wanted| *wanted != service) {
        events.push(Event::ServiceChanged { slot, service: wanted.clone() });
    }
    Ok((events, Outcome::Slot(slot)))
}

/// The workload keeps to values that are right, but for a capacity that is not the number of slots.
pub(super) fn change_lot(
    lot: &LotModel,
    patch: &LotPatch,
    expected_version: Option<u32>,
) -> Granted {
    judge_version(expected_version, lot.version)?;
    let old = LotValues::of(&lot.spec);
    let values = LotValues {
        name: patch.name.clone().unwrap_or_else(|| old.name.clone()),
        capacity: patch.capacity.unwrap_or(old.capacity),
        place: patch.place.as_deref().cloned().unwrap_or_else(|| old.place.clone()),
        rules: patch.rules.unwrap_or(old.rules),
        about: patch.about.as_deref().cloned().unwrap_or_else(|| old.about.clone()),
        allocation: patch.allocation.clone().unwrap_or_else(|| old.allocation.clone()),
    };
    let same = values == old;
    if same {
        return Ok((Vec::new(), Outcome::Lot));
    }
    let bayed = lot.spec.kind == Kind::Bayed;
    if bayed && values.capacity as usize != lot.spec.slots.len() {
        // What exactly is wrong is for people and not predicted.
        return Err(Rejection::Invalid { faults: Vec::new() });
    }
    Ok((vec![Event::Changed(Box::new(values))], Outcome::Lot))
}
