//! What a lot is made of in frames of formats 1 and 2 and snapshots of format 1: read for ever, written no
//! more. What they could not say has its default. The form that is written is in `spec_2.rs`.
//!
//! The order of fields and variants is the format: add at the end of a *new* format, never here.

use std::sync::Arc;

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::{LotId, SlotId, ZoneIndex};
use lotkeeper_engine::limits;
use lotkeeper_engine::spec::{self, FeatureSet, Position};
use lotkeeper_engine::time::{Seconds, Timestamp};
use uuid::Uuid;

use super::FormatError;

/// Mirrors an enum without data, with its conversions both ways; the order of variants is the format.
macro_rules! mirror {
    ($name:ident = $engine:ident { $($variant:ident),+ $(,)? }) => {
        #[derive(Clone, Copy, bincode::Encode, bincode::Decode)]
        pub(super) enum $name { $($variant),+ }
        impl From<$engine> for $name {
            fn from(value: $engine) -> Self {
                match value { $($engine::$variant => Self::$variant),+ }
            }
        }
        impl From<$name> for $engine {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}
pub(super) use mirror;

use lotkeeper_engine::spec::{Kind as EngineKind, Size as EngineSize};
mirror!(Kind = EngineKind { Bayed, Counted });
mirror!(Size = EngineSize { Motorcycle, Compact, Standard, Large, Oversized });

#[derive(Encode, BorrowDecode)]
pub(super) struct Zone<'a> {
    pub(super) code: &'a str,
    pub(super) name: &'a str,
    pub(super) level: Option<i16>,
}

#[derive(BorrowDecode)]
struct SlotSpec<'a> {
    id: [u8; 16],
    code: &'a str,
    zone: Option<u16>,
    size: Size,
    features: u64,
}

#[derive(Decode)]
pub(super) struct Rules {
    hold_seconds: u32,
    hold_lead_seconds: u32,
    no_show_seconds: u32,
    silence_seconds: u32,
    skew_seconds: u32,
}

#[derive(BorrowDecode)]
pub(super) struct Place<'a> {
    time_zone: &'a str,
    currency: &'a str,
    city: Option<&'a str>,
    /// Latitude, longitude.
    position_microdegrees: Option<(i32, i32)>,
}

#[derive(BorrowDecode)]
pub(super) struct Spec<'a> {
    id: [u8; 16],
    tenant: &'a str,
    code: &'a str,
    name: &'a str,
    kind: Kind,
    capacity: u32,
    place: Place<'a>,
    zones: Vec<Zone<'a>>,
    features: Vec<&'a str>,
    slots: Vec<SlotSpec<'a>>,
    rules: Rules,
    created_at: i64,
}

impl From<Rules> for spec::Rules {
    fn from(rules: Rules) -> Self {
        Self {
            hold: Seconds(rules.hold_seconds),
            hold_lead: Seconds(rules.hold_lead_seconds),
            no_show: Seconds(rules.no_show_seconds),
            silence: Seconds(rules.silence_seconds),
            skew: Seconds(rules.skew_seconds),
            ..Self::default()
        }
    }
}

impl From<Place<'_>> for spec::Place {
    fn from(place: Place<'_>) -> Self {
        let position = |(lat, lon)| Position { lat_microdegrees: lat, lon_microdegrees: lon };
        Self {
            time_zone: place.time_zone.into(),
            currency: place.currency.into(),
            city: place.city.map(Into::into),
            position: place.position_microdegrees.map(position),
            ..Self::default()
        }
    }
}

impl<'a> From<&'a spec::Zone> for Zone<'a> {
    fn from(zone: &'a spec::Zone) -> Self {
        Self { code: &zone.code, name: &zone.name, level: zone.level }
    }
}

impl From<Zone<'_>> for spec::Zone {
    fn from(zone: Zone<'_>) -> Self {
        Self { code: zone.code.into(), name: zone.name.into(), level: zone.level }
    }
}

impl TryFrom<Spec<'_>> for Arc<spec::Spec> {
    type Error = FormatError;

    fn try_from(spec: Spec<'_>) -> Result<Self, FormatError> {
        checked(spec.into_engine())
    }
}

/// Refuses what would make the engine index out of its lists.
pub(super) fn checked(spec: spec::Spec) -> Result<Arc<spec::Spec>, FormatError> {
    let wrong = |detail: String| Err(FormatError::invalid("lot", detail));
    let (features, types) = (spec.features.len(), spec.vehicle_types.len());
    let (zones, slots) = (spec.zones.len(), spec.slots.len());
    if slots > limits::SLOTS_PER_LOT_MAX || features > limits::FEATURES_PER_LOT_MAX {
        return wrong(format!("{slots} slots and {features} features are too many"));
    }
    if types > limits::VEHICLE_TYPES_PER_LOT_MAX {
        return wrong(format!("{types} vehicle types are too many"));
    }
    let unnamed = |names: usize| {
        let known = 1_u64.checked_shl(u32::try_from(names).unwrap_or(u32::MAX));
        !known.map_or(u64::MAX, |bit| bit - 1)
    };
    let (unnamed_features, unnamed_types) = (unnamed(features), unnamed(types));
    for (position, slot) in spec.slots.iter().enumerate() {
        if slot.zone.is_some_and(|zone| zone.at() >= zones) {
            return wrong(format!("slot {position} lies in a zone that is not there"));
        }
        if slot.features.0 & unnamed_features != 0 {
            return wrong(format!("slot {position} has a feature without a name"));
        }
        if slot.vehicle_types.0 & unnamed_types != 0 {
            return wrong(format!("slot {position} admits a vehicle type without a name"));
        }
    }
    Ok(Arc::new(spec))
}

impl Spec<'_> {
    fn into_engine(self) -> spec::Spec {
        let slot = |slot: SlotSpec<'_>| spec::SlotSpec {
            id: SlotId(Uuid::from_bytes(slot.id)),
            code: slot.code.into(),
            zone: slot.zone.map(ZoneIndex),
            size: slot.size.into(),
            features: FeatureSet(slot.features),
            ..spec::SlotSpec::default()
        };
        spec::Spec {
            id: LotId(Uuid::from_bytes(self.id)),
            tenant: self.tenant.into(),
            code: self.code.into(),
            name: self.name.into(),
            kind: self.kind.into(),
            capacity: self.capacity,
            place: self.place.into(),
            zones: self.zones.into_iter().map(Into::into).collect(),
            features: self.features.into_iter().map(Into::into).collect(),
            slots: self.slots.into_iter().map(slot).collect(),
            rules: self.rules.into(),
            created_at: Timestamp::from_micros(self.created_at),
            ..spec::Spec::default()
        }
    }
}
