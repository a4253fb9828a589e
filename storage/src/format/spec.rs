//! Format 1 of what a lot is made of. Borrows its texts: encoding copies none of them.
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
        #[derive(Clone, Copy, Encode, Decode)]
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
struct Zone<'a> {
    code: &'a str,
    name: &'a str,
    level: Option<i16>,
}

#[derive(Encode, BorrowDecode)]
struct SlotSpec<'a> {
    id: [u8; 16],
    code: &'a str,
    zone: Option<u16>,
    size: Size,
    features: u64,
}

#[derive(Encode, Decode)]
pub(super) struct Rules {
    hold_seconds: u32,
    hold_lead_seconds: u32,
    no_show_seconds: u32,
    silence_seconds: u32,
    skew_seconds: u32,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Place<'a> {
    time_zone: &'a str,
    currency: &'a str,
    city: Option<&'a str>,
    /// Latitude, longitude.
    position_microdegrees: Option<(i32, i32)>,
}

#[derive(Encode, BorrowDecode)]
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

impl From<&spec::Rules> for Rules {
    fn from(rules: &spec::Rules) -> Self {
        Self {
            hold_seconds: rules.hold.0,
            hold_lead_seconds: rules.hold_lead.0,
            no_show_seconds: rules.no_show.0,
            silence_seconds: rules.silence.0,
            skew_seconds: rules.skew.0,
        }
    }
}

impl From<Rules> for spec::Rules {
    fn from(rules: Rules) -> Self {
        Self {
            hold: Seconds(rules.hold_seconds),
            hold_lead: Seconds(rules.hold_lead_seconds),
            no_show: Seconds(rules.no_show_seconds),
            silence: Seconds(rules.silence_seconds),
            skew: Seconds(rules.skew_seconds),
        }
    }
}

impl<'a> From<&'a spec::Place> for Place<'a> {
    fn from(place: &'a spec::Place) -> Self {
        Self {
            time_zone: &place.time_zone,
            currency: &place.currency,
            city: place.city.as_deref(),
            position_microdegrees: place.position.map(|p| (p.lat_microdegrees, p.lon_microdegrees)),
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
        }
    }
}

impl<'a> From<&'a spec::Spec> for Spec<'a> {
    fn from(spec: &'a spec::Spec) -> Self {
        let zone =
            |zone: &'a spec::Zone| Zone { code: &zone.code, name: &zone.name, level: zone.level };
        let slot = |slot: &'a spec::SlotSpec| SlotSpec {
            id: slot.id.0.into_bytes(),
            code: &slot.code,
            zone: slot.zone.map(|zone| zone.0),
            size: slot.size.into(),
            features: slot.features.0,
        };
        Self {
            id: spec.id.0.into_bytes(),
            tenant: &spec.tenant,
            code: &spec.code,
            name: &spec.name,
            kind: spec.kind.into(),
            capacity: spec.capacity,
            place: (&spec.place).into(),
            zones: spec.zones.iter().map(zone).collect(),
            features: spec.features.iter().map(|name| &**name).collect(),
            slots: spec.slots.iter().map(slot).collect(),
            rules: (&spec.rules).into(),
            created_at: spec.created_at.micros(),
        }
    }
}

impl TryFrom<Spec<'_>> for Arc<spec::Spec> {
    type Error = FormatError;

    /// Refuses what would make the engine index out of its lists.
    fn try_from(spec: Spec<'_>) -> Result<Self, FormatError> {
        let wrong = |detail: String| Err(FormatError::invalid("lot", detail));
        let (zones, features, slots) = (spec.zones.len(), spec.features.len(), spec.slots.len());
        if slots > limits::SLOTS_PER_LOT_MAX || features > limits::FEATURES_PER_LOT_MAX {
            return wrong(format!("{slots} slots and {features} features are too many"));
        }
        let known = 1_u64.checked_shl(u32::try_from(features).unwrap_or(u32::MAX));
        let unknown_features = !known.map_or(u64::MAX, |bit| bit - 1);
        for (position, slot) in spec.slots.iter().enumerate() {
            if slot.zone.is_some_and(|zone| usize::from(zone) >= zones) {
                return wrong(format!("slot {position} lies in a zone that is not there"));
            }
            if slot.features & unknown_features != 0 {
                return wrong(format!("slot {position} has a feature without a name"));
            }
        }
        Ok(Self::new(spec.into_engine()))
    }
}

impl Spec<'_> {
    fn into_engine(self) -> spec::Spec {
        let zone = |zone: Zone<'_>| spec::Zone {
            code: zone.code.into(),
            name: zone.name.into(),
            level: zone.level,
        };
        let slot = |slot: SlotSpec<'_>| spec::SlotSpec {
            id: SlotId(Uuid::from_bytes(slot.id)),
            code: slot.code.into(),
            zone: slot.zone.map(ZoneIndex),
            size: slot.size.into(),
            features: FeatureSet(slot.features),
        };
        spec::Spec {
            id: LotId(Uuid::from_bytes(self.id)),
            tenant: self.tenant.into(),
            code: self.code.into(),
            name: self.name.into(),
            kind: self.kind.into(),
            capacity: self.capacity,
            place: self.place.into(),
            zones: self.zones.into_iter().map(zone).collect(),
            features: self.features.into_iter().map(Into::into).collect(),
            slots: self.slots.into_iter().map(slot).collect(),
            rules: self.rules.into(),
            created_at: Timestamp::from_micros(self.created_at),
        }
    }
}
