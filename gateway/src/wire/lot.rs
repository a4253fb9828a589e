//! A lot as it is shown, and the changes a request may make to it.

use lotkeeper_actors::LotView;
use lotkeeper_engine::lot::LotPatch;
use lotkeeper_engine::spec::{Fault, Place, Spec};
use lotkeeper_engine::time::{Timestamp, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::about::{AboutBody, AboutPatch, AddressBody, AddressPatch};
use super::allocation::{self, CriterionBody};
use super::availability::LotAvailability;
use super::fault;
use super::instant::Instant;
use super::money::MoneyBody;
use super::names::{Kind, Known};
use super::place::{self, PositionBody};
use super::rules::{RulesBody, RulesPatch};
use crate::search::Room;

/// A part of a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Zone)]
pub struct ZoneBody<'a> {
    /// Unique in the lot.
    pub code: &'a str,
    /// For people.
    pub name: &'a str,
    /// Storey, 0 at the street.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<i16>,
}

/// A lot. Its slots are listed by `/slots`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Lot)]
pub struct LotBody<'a> {
    /// Identity.
    pub id: Uuid,
    /// Unique in the tenant.
    pub code: &'a str,
    /// For people.
    pub name: &'a str,
    /// How occupancy is known.
    pub kind: Kind,
    /// IANA time zone.
    pub time_zone: &'a str,
    /// ISO 4217.
    pub currency: &'a str,
    /// Places.
    pub capacity: u32,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionBody>,
    /// For search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<&'a str>,
    /// Where the post finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressBody<'a>>,
    /// What people are told of it.
    pub about: AboutBody<'a>,
    /// Which slot is chosen for whoever wants any, the first criterion first.
    pub allocation: Vec<CriterionBody>,
    /// Its parts.
    pub zones: Vec<ZoneBody<'a>>,
    /// Its rules.
    pub rules: RulesBody,
    /// Number of slots.
    pub slots: usize,
    /// Changes of its own values: the value of its `ETag`.
    pub version: u32,
    /// When it was created.
    pub created_at: Instant,
    /// What it shows now.
    pub availability: LotAvailability,
    /// From the point asked for; in searches with `near`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_km: Option<f64>,
    /// Room in the window asked for; in searches with `from` and `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomBody>,
    /// What a stay of that window costs; in searches with `sort=price`, where a tariff applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<MoneyBody>,
}

/// Room in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Room)]
pub struct RoomBody {
    /// The first instant of the window.
    pub from: Instant,
    /// The first instant after it.
    pub to: Instant,
    /// Places that nobody was promised; left out where nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<u32>,
    /// How that is known.
    pub known: Known,
}

impl From<(Window, Room)> for RoomBody {
    fn from((window, room): (Window, Room)) -> Self {
        let (from, to) = (Instant(window.from), Instant(window.to));
        Self { from, to, open: room.open, known: room.known.into() }
    }
}

impl<'a> LotBody<'a> {
    /// Of a view.
    #[must_use]
    pub fn of(view: &'a LotView, now: Timestamp) -> Self {
        let spec = view.spec();
        let zones = spec.zones.iter().map(|zone| ZoneBody {
            code: &zone.code,
            name: &zone.name,
            level: zone.level,
        });
        Self {
            id: spec.id.0,
            code: &spec.code,
            name: &spec.name,
            kind: spec.kind.into(),
            time_zone: &spec.place.time_zone,
            currency: &spec.place.currency,
            capacity: spec.capacity,
            position: spec.place.position.map(Into::into),
            city: spec.place.city.as_deref(),
            address: AddressBody::of(&spec.place),
            about: (&spec.about).into(),
            allocation: allocation::shown(&spec.allocation, &spec.zones),
            zones: zones.collect(),
            rules: (&spec.rules).into(),
            slots: spec.slots.len(),
            version: view.lot.version(),
            created_at: Instant(spec.created_at),
            availability: LotAvailability::of(view, now),
            distance_km: None,
            room: None,
            price: None,
        }
    }
}

/// New values of a lot; what is left out stays, `null` takes `position` or `city` away.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LotPatch, example = json!({"name": "Market Street North", "rules": {"hold_seconds": 900}}))]
pub struct LotPatchBody {
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// IANA time zone.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// ISO 4217.
    #[serde(default)]
    pub currency: Option<String>,
    /// Places; counted lots only.
    #[serde(default)]
    pub capacity: Option<u32>,
    /// Where it is.
    #[serde(default, deserialize_with = "super::present")]
    #[schema(value_type = Option<PositionBody>)]
    pub position: Option<Option<PositionBody>>,
    /// For search.
    #[serde(default, deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub city: Option<Option<String>>,
    /// Where the post finds it; each that is left out stays.
    #[serde(default)]
    pub address: Option<AddressPatch>,
    /// What people are told of it; each that is left out stays.
    #[serde(default)]
    pub about: Option<AboutPatch>,
    /// Which slot is chosen for whoever wants any; as a whole.
    #[serde(default)]
    pub allocation: Option<Vec<CriterionBody>>,
    /// Its rules; each that is left out stays.
    #[serde(default)]
    pub rules: Option<RulesPatch>,
}

impl LotPatchBody {
    /// What the engine is told: a lot's place and rules change as a whole, so the rest comes from `old`.
    ///
    /// # Errors
    /// Values that cannot be.
    pub fn checked(&self, old: &Spec) -> Result<LotPatch, Vec<Fault>> {
        let mut faults = Vec::new();
        let capacity = self.capacity;
        if capacity.is_some() && old.kind == lotkeeper_engine::spec::Kind::Bayed {
            let detail = "the capacity of a bayed lot is its number of slots; leave it out";
            faults.push(fault("/capacity", detail));
        }
        let patch = LotPatch {
            name: self.name.as_deref().map(Into::into),
            capacity,
            place: self.place(&old.place, &mut faults).map(Box::new),
            rules: self.rules.map(|rules| rules.over(old.rules, &mut faults)),
            about: self.about.as_ref().map(|about| about.over(&old.about, &mut faults).into()),
            allocation: self.allocation.as_ref().map(|criteria| {
                let zones = old.zones.iter().map(|zone| &*zone.code);
                allocation::checked(criteria, &zones, &mut faults)
            }),
        };
        if faults.is_empty() { Ok(patch) } else { Err(faults) }
    }

    fn place(&self, old: &Place, faults: &mut Vec<Fault>) -> Option<Place> {
        let mut place = old.clone();
        if let Some(name) = &self.time_zone {
            place.time_zone = place::time_zone(name, faults);
        }
        if let Some(code) = &self.currency {
            place.currency = place::currency(code, faults);
        }
        if let Some(city) = &self.city {
            place.city = city.as_deref().map(|name| place::city(name, faults));
        }
        if let Some(position) = self.position {
            place.position = position.and_then(|position| position.checked(faults));
        }
        if let Some(address) = &self.address {
            address.put(&mut place);
        }
        (place != *old).then_some(place)
    }
}
