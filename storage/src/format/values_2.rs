//! New values of a lot and of a slot in their second form: frames of format 3.
//!
//! The order of fields is the format: add at the end of a *new* form, never here.

use bincode::{BorrowDecode, Encode};
use lotkeeper_engine::ids::{SlotIndex, ZoneIndex};
use lotkeeper_engine::lot;
use lotkeeper_engine::spec::{FeatureSet, TypeSet};

use super::spec::Size;
use super::spec_2::{About, Criterion, Place, Rules, allocation, boxed, criteria, texts};

#[derive(Encode, BorrowDecode)]
pub(super) struct LotValues<'a> {
    name: &'a str,
    capacity: u32,
    place: Place<'a>,
    rules: Rules,
    about: About<'a>,
    allocation: Vec<Criterion>,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct SlotValues<'a> {
    slot: u16,
    zone: Option<u16>,
    size: Size,
    features: u64,
    added_features: Vec<&'a str>,
    vehicle_types: u64,
    added_vehicle_types: Vec<&'a str>,
    walk_metres: Option<u16>,
}

impl<'a> From<&'a lot::LotValues> for LotValues<'a> {
    fn from(values: &'a lot::LotValues) -> Self {
        Self {
            name: &values.name,
            capacity: values.capacity,
            place: (&values.place).into(),
            rules: (&values.rules).into(),
            about: (&values.about).into(),
            allocation: criteria(&values.allocation),
        }
    }
}

impl From<LotValues<'_>> for lot::LotValues {
    fn from(values: LotValues<'_>) -> Self {
        Self {
            name: values.name.into(),
            capacity: values.capacity,
            place: values.place.into(),
            rules: values.rules.into(),
            about: values.about.into(),
            allocation: allocation(values.allocation),
        }
    }
}

impl<'a> From<&'a lot::SlotValues> for SlotValues<'a> {
    fn from(values: &'a lot::SlotValues) -> Self {
        Self {
            slot: values.slot.0,
            zone: values.zone.map(|zone| zone.0),
            size: values.size.into(),
            features: values.features.0,
            added_features: texts(&values.added_features),
            vehicle_types: values.vehicle_types.0,
            added_vehicle_types: texts(&values.added_vehicle_types),
            walk_metres: values.walk_metres,
        }
    }
}

impl From<SlotValues<'_>> for lot::SlotValues {
    fn from(values: SlotValues<'_>) -> Self {
        Self {
            slot: SlotIndex(values.slot),
            zone: values.zone.map(ZoneIndex),
            size: values.size.into(),
            features: FeatureSet(values.features),
            added_features: boxed(values.added_features),
            vehicle_types: TypeSet(values.vehicle_types),
            added_vehicle_types: boxed(values.added_vehicle_types),
            walk_metres: values.walk_metres,
        }
    }
}
