//! A lot as a request describes it, made into a specification.

use std::collections::HashMap;

use lotkeeper_engine::ids::{LotId, SlotId, ZoneIndex};
use lotkeeper_engine::limits::{FEATURES_PER_LOT_MAX, VEHICLE_TYPES_PER_LOT_MAX};
use lotkeeper_engine::spec::{
    self, About, Allocation, Fault, FeatureSet, Place, Rules, SlotSpec, Spec, TypeSet,
};
use lotkeeper_engine::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::about::{AboutPatch, AddressPatch};
use super::allocation::{self, CriterionBody};
use super::names::{Kind, Size};
use super::place::{self, PositionBody};
use super::rules::RulesPatch;
use super::slot::{check_feature, unknown_zone};
use super::{code_fault, is_code};

/// The time zone of a lot that names none.
const TIME_ZONE_DEFAULT: &str = "UTC";
/// The currency of a lot that names none.
const CURRENCY_DEFAULT: &str = "EUR";

/// A lot to be created, with its zones and slots.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLot, example = json!({
    "code": "L1", "name": "Market Street", "kind": "bayed", "time_zone": "Europe/Berlin", "currency": "EUR",
    "position": {"lat": 52.52, "lon": 13.4}, "city": "Berlin",
    "zones": [{"code": "level-1", "name": "Level 1", "level": 1}],
    "slots": [{"code": "A-101", "zone": "level-1", "size": "standard", "features": ["ev"]}]
}))]
pub struct NewLot {
    /// Made by the client, so that a retry creates nothing twice; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Unique in the tenant: 1 to 64 of A-Z a-z 0-9 . _ ~ -
    pub code: String,
    /// For people.
    pub name: String,
    /// How occupancy is known.
    pub kind: Kind,
    /// IANA time zone; `UTC` when left out.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// ISO 4217; `EUR` when left out.
    #[serde(default)]
    pub currency: Option<String>,
    /// Places of a counted lot; a bayed lot has as many as slots.
    #[serde(default)]
    pub capacity: Option<u32>,
    /// Where it is.
    #[serde(default)]
    pub position: Option<PositionBody>,
    /// For search.
    #[serde(default)]
    pub city: Option<String>,
    /// Where the post finds it.
    #[serde(default)]
    pub address: AddressPatch,
    /// What people are told of it.
    #[serde(default)]
    pub about: AboutPatch,
    /// Which slot is chosen for whoever wants any, the first criterion first; `["smallest_fit", "keep_special",
    /// {"fill_zones": []}, "waste_least"]` when left out.
    #[serde(default)]
    pub allocation: Option<Vec<CriterionBody>>,
    /// Its parts.
    #[serde(default)]
    pub zones: Vec<NewZone>,
    /// Up to 10,000.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    pub slots: Vec<NewSlot>,
    /// Its rules; the server's defaults for those left out.
    #[serde(default)]
    pub rules: RulesPatch,
}

/// A part of a lot.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewZone {
    /// Unique in the lot.
    pub code: String,
    /// For people; the code when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Storey, 0 at the street.
    #[serde(default)]
    pub level: Option<i16>,
}

/// A slot of a lot.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSlot {
    /// Unique in the lot.
    pub code: String,
    /// Code of its zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// The largest vehicle it takes; `standard` when left out.
    #[serde(default)]
    pub size: Option<Size>,
    /// What it offers.
    #[serde(default)]
    pub features: Vec<String>,
    /// Codes of the vehicle types it admits; every one when empty.
    #[serde(default)]
    pub vehicle_types: Vec<String>,
    /// On foot to the nearest entrance or exit for people.
    #[serde(default)]
    pub walk_metres: Option<u16>,
}

impl NewLot {
    /// The specification, with ids for everything.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn into_spec(
        self,
        tenant: &str,
        now: Timestamp,
        defaults: Rules,
    ) -> Result<Spec, Vec<Fault>> {
        let mut faults = Vec::new();
        let features = feature_names(&self.slots, &mut faults);
        let vehicle_types = type_names(&self.slots, &mut faults);
        let names = (features.as_slice(), vehicle_types.as_slice());
        let slots = slot_specs(&self.slots, &self.zones, names, &mut faults);
        // Lossless in every lot that passes the check of its size below.
        let slot_count = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let capacity = match self.kind {
            Kind::Bayed => self.capacity.unwrap_or(slot_count),
            Kind::Counted => self.capacity.unwrap_or_default(),
        };
        let mut place = Place {
            time_zone: self.time_zone.map_or_else(
                || TIME_ZONE_DEFAULT.into(),
                |name| place::time_zone(&name, &mut faults),
            ),
            currency: self.currency.map_or_else(
                || CURRENCY_DEFAULT.into(),
                |code| place::currency(&code, &mut faults),
            ),
            city: self.city.map(|name| place::city(&name, &mut faults)),
            position: self.position.and_then(|position| position.checked(&mut faults)),
            ..Place::default()
        };
        self.address.put(&mut place);
        let zones = self.zones.iter().map(|zone| zone.code.as_str());
        let criteria = self.allocation.as_ref();
        let spec = Spec {
            allocation: criteria.map_or_else(Allocation::default, |criteria| {
                allocation::checked(criteria, &zones, &mut faults)
            }),
            about: self.about.over(&About::default(), &mut faults),
            id: LotId(self.id.unwrap_or_else(Uuid::now_v7)),
            tenant: tenant.into(),
            capacity,
            place,
            code: self.code.into(),
            name: self.name.into(),
            kind: self.kind.into(),
            zones: self.zones.into_iter().map(NewZone::into_spec).collect(),
            features: features.into_iter().map(Into::into).collect(),
            vehicle_types: vehicle_types.into_iter().map(Into::into).collect(),
            slots,
            rules: self.rules.over(defaults, &mut faults),
            created_at: now,
        };
        // Features, vehicle types and rules were checked above, where they stand in the request.
        let told = |fault: &Fault| {
            ["/features", "/vehicle_types", "/rules"].iter().any(|p| fault.pointer.starts_with(p))
        };
        faults.extend(spec.faults().into_iter().filter(|fault| !told(fault)));
        if faults.is_empty() { Ok(spec) } else { Err(faults) }
    }
}

impl NewZone {
    fn into_spec(self) -> spec::Zone {
        let name = self.name.unwrap_or_else(|| self.code.clone()).into();
        spec::Zone { code: self.code.into(), name, level: self.level }
    }
}

/// Every feature once, in order of appearance.
fn feature_names(slots: &[NewSlot], faults: &mut Vec<Fault>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (slot, at) in slots.iter().zip(0..) {
        for (position, name) in slot.features.iter().enumerate() {
            if !names.contains(name) {
                check_feature(format!("/slots/{at}/features/{position}"), name, faults);
                // One beyond the limit is enough for the check to see that there are too many.
                if names.len() <= FEATURES_PER_LOT_MAX {
                    names.push(name.clone());
                }
            }
        }
    }
    names
}

/// Every vehicle type once, in order of appearance.
fn type_names(slots: &[NewSlot], faults: &mut Vec<Fault>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (slot, at) in slots.iter().zip(0..) {
        for (position, name) in slot.vehicle_types.iter().enumerate() {
            if !names.contains(name) {
                if !is_code(name) {
                    faults.push(code_fault(format!("/slots/{at}/vehicle_types/{position}"), name));
                }
                // One beyond the limit is enough for the check to see that there are too many.
                if names.len() <= VEHICLE_TYPES_PER_LOT_MAX {
                    names.push(name.clone());
                }
            }
        }
    }
    names
}

/// The bits of some names, in terms of a list; those beyond the limit are refused elsewhere.
fn bits_of(names: &[String], known: &[String], max: usize) -> u64 {
    let bit = |name: &String| known.iter().position(|known| known == name);
    names.iter().filter_map(bit).filter(|bit| *bit < max).fold(0, |set, bit| set | 1 << bit)
}

fn slot_specs(
    slots: &[NewSlot],
    zones: &[NewZone],
    (features, vehicle_types): (&[String], &[String]),
    faults: &mut Vec<Fault>,
) -> Vec<SlotSpec> {
    let zone_at =
        |(code, at): (&NewZone, usize)| (code.code.clone(), u16::try_from(at).map(ZoneIndex).ok());
    let zone_of: HashMap<String, Option<ZoneIndex>> = zones.iter().zip(0..).map(zone_at).collect();
    let mut specs = Vec::with_capacity(slots.len());
    for (at, slot) in slots.iter().enumerate() {
        let zone = slot.zone.as_ref().and_then(|code| {
            zone_of.get(code).copied().unwrap_or_else(|| {
                faults.push(unknown_zone(format!("/slots/{at}/zone"), code));
                None
            })
        });
        let types = bits_of(&slot.vehicle_types, vehicle_types, VEHICLE_TYPES_PER_LOT_MAX);
        specs.push(SlotSpec {
            id: SlotId(Uuid::now_v7()),
            code: slot.code.as_str().into(),
            zone,
            size: slot.size.map_or_else(spec::Size::default, Into::into),
            features: FeatureSet(bits_of(&slot.features, features, FEATURES_PER_LOT_MAX)),
            vehicle_types: TypeSet(types),
            walk_metres: slot.walk_metres,
        });
    }
    specs
}

#[cfg(test)]
mod tests {
    use lotkeeper_engine::time::Seconds;

    use super::*;
    use crate::wire::from_json;

    fn rules() -> Rules {
        let (hold, hold_lead, no_show) = (Seconds(600), Seconds(1_800), Seconds(1_800));
        let (silence, skew) = (Seconds(86_400), Seconds(60));
        Rules { hold, hold_lead, no_show, silence, skew, ..Rules::default() }
    }

    fn spec(body: &str) -> Result<Spec, Vec<Fault>> {
        let lot: NewLot = from_json(body.as_bytes()).unwrap();
        lot.into_spec("default", Timestamp::from_seconds(1), rules())
    }

    #[test]
    fn defaults_fill_what_is_left_out() {
        let made = spec(
            r#"{"code":"L1","name":"N","kind":"bayed","zones":[{"code":"z"}],
            "slots":[{"code":"A","zone":"z","features":["ev","roof"]},{"code":"B","size":"large","features":["roof"]}],
            "rules":{"hold_seconds":30}}"#,
        )
        .unwrap();
        assert_eq!(
            (made.capacity, &*made.place.time_zone, &*made.place.currency),
            (2, "UTC", "EUR")
        );
        assert_eq!(&*made.zones[0].name, "z");
        assert_eq!(made.slots[0].features, FeatureSet(0b11));
        assert_eq!(made.slots[1].features, FeatureSet(0b10));
        assert_eq!(made.slots[1].size, spec::Size::Large);
        assert_eq!((made.rules.hold, made.rules.skew), (Seconds(30), Seconds(60)));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let faults = spec(
            r#"{"code":"L 1","name":"","kind":"counted","time_zone":"Mars","currency":"eur","position":{"lat":91,"lon":0},
            "slots":[{"code":"A","zone":"nowhere","features":["e v","large"]}],"rules":{"hold_seconds":0}}"#,
        )
        .unwrap_err();
        let mut pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(
            pointers,
            [
                "/capacity",
                "/code",
                "/currency",
                "/name",
                "/position",
                "/rules/hold_seconds",
                "/slots/0/features/0",
                "/slots/0/features/1",
                "/slots/0/zone",
                "/time_zone",
            ]
        );
    }

    #[test]
    fn more_features_than_a_lot_knows_are_refused() {
        let names: Vec<String> = (0..=FEATURES_PER_LOT_MAX).map(|n| format!("\"f{n}\"")).collect();
        let body = format!(
            r#"{{"code":"L","name":"N","kind":"bayed","slots":[{{"code":"A","features":[{}]}}]}}"#,
            names.join(",")
        );
        assert_eq!(spec(&body).unwrap_err()[0].pointer, "/slots");
    }
}
