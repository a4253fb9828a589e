//! What a lot is made of, in its second form: frames of format 3, snapshots of format 2. Borrows its texts:
//! encoding copies none of them.
//!
//! The order of fields and variants is the format: add at the end of a *new* form, never here.

use std::sync::Arc;

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::{LotId, SlotId, ZoneIndex};
use lotkeeper_engine::spec::{
    self, Arrival as EngineArrival, Days, FeatureSet, Hours, Listing as EngineListing,
    Opening as EngineOpening, PlateOnce as EnginePlateOnce, Position,
    Settlement as EngineSettlement, TypeSet,
};
use lotkeeper_engine::time::{Seconds, Timestamp};
use uuid::Uuid;

use super::FormatError;
use super::spec::{Kind, Size, Zone, checked, mirror};

mirror!(Arrival = EngineArrival { BySensor, Proved, Assumed });
mirror!(Settlement = EngineSettlement { Before, AtExit, OnAccount });
mirror!(PlateOnce = EnginePlateOnce { Lot, Tenant });
mirror!(Listing = EngineListing { Listed, Paused });

#[derive(Encode, BorrowDecode)]
struct SlotSpec<'a> {
    id: [u8; 16],
    code: &'a str,
    zone: Option<u16>,
    size: Size,
    features: u64,
    vehicle_types: u64,
    walk_metres: Option<u16>,
}

#[derive(Encode, Decode)]
pub(super) struct Rules {
    hold_seconds: u32,
    hold_lead_seconds: u32,
    no_show_seconds: u32,
    silence_seconds: u32,
    skew_seconds: u32,
    arrival: Arrival,
    early_entry_seconds: u32,
    stay_max_seconds: Option<u32>,
    auto_exit_seconds: u32,
    settlement: Settlement,
    exit_window_seconds: u32,
    drive_in: bool,
    plate_once: PlateOnce,
    fuzzy_plates: bool,
    confidence_min_percent: u8,
    repeat_window_seconds: u32,
    remind_before_start_seconds: u32,
    remind_before_end_seconds: u32,
    offer_seconds: u32,
    overstay_grace_seconds: u32,
    overstay_notice_first_seconds: u32,
    overstay_notice_every_seconds: u32,
    overstay_notices_max: u8,
    drive_in_stay_seconds: u32,
    gates_count: bool,
    enforce_slots: bool,
    enforce_grace_seconds: u32,
    change_until_seconds: Option<u32>,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Place<'a> {
    time_zone: &'a str,
    currency: &'a str,
    city: Option<&'a str>,
    /// Latitude, longitude.
    position_microdegrees: Option<(i32, i32)>,
    country: Option<&'a str>,
    street: Option<&'a str>,
    state: Option<&'a str>,
    postal_code: Option<&'a str>,
}

#[derive(Encode, Decode)]
struct Opening {
    days: u8,
    from_minute: u16,
    to_minute: u16,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct About<'a> {
    description: Option<&'a str>,
    category: Option<&'a str>,
    listing: Listing,
    hours: Vec<Opening>,
    access: Option<&'a str>,
    images: Vec<&'a str>,
}

#[derive(Encode, Decode)]
pub(super) enum Criterion {
    SmallestFit,
    KeepSpecial,
    FillZones(Vec<u16>),
    NearestEntrance,
    WasteLeast,
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
    vehicle_types: Vec<&'a str>,
    slots: Vec<SlotSpec<'a>>,
    rules: Rules,
    about: About<'a>,
    allocation: Vec<Criterion>,
    created_at: i64,
}

pub(super) fn texts(names: &[Box<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

pub(super) fn boxed(names: Vec<&str>) -> Vec<Box<str>> {
    names.into_iter().map(Into::into).collect()
}

impl From<&spec::Rules> for Rules {
    fn from(rules: &spec::Rules) -> Self {
        Self {
            hold_seconds: rules.hold.0,
            hold_lead_seconds: rules.hold_lead.0,
            no_show_seconds: rules.no_show.0,
            silence_seconds: rules.silence.0,
            skew_seconds: rules.skew.0,
            arrival: rules.arrival.into(),
            early_entry_seconds: rules.early_entry.0,
            stay_max_seconds: rules.stay_max.map(|seconds| seconds.0),
            auto_exit_seconds: rules.auto_exit.0,
            settlement: rules.settlement.into(),
            exit_window_seconds: rules.exit_window.0,
            drive_in: rules.drive_in,
            plate_once: rules.plate_once.into(),
            fuzzy_plates: rules.fuzzy_plates,
            confidence_min_percent: rules.confidence_min_percent,
            repeat_window_seconds: rules.repeat_window.0,
            remind_before_start_seconds: rules.remind_before_start.0,
            remind_before_end_seconds: rules.remind_before_end.0,
            offer_seconds: rules.offer.0,
            overstay_grace_seconds: rules.overstay_grace.0,
            overstay_notice_first_seconds: rules.overstay_notice_first.0,
            overstay_notice_every_seconds: rules.overstay_notice_every.0,
            overstay_notices_max: rules.overstay_notices_max,
            drive_in_stay_seconds: rules.drive_in_stay.0,
            gates_count: rules.gates_count,
            enforce_slots: rules.enforce_slots,
            enforce_grace_seconds: rules.enforce_grace.0,
            change_until_seconds: rules.change_until.map(|seconds| seconds.0),
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
            arrival: rules.arrival.into(),
            early_entry: Seconds(rules.early_entry_seconds),
            stay_max: rules.stay_max_seconds.map(Seconds),
            auto_exit: Seconds(rules.auto_exit_seconds),
            settlement: rules.settlement.into(),
            exit_window: Seconds(rules.exit_window_seconds),
            drive_in: rules.drive_in,
            plate_once: rules.plate_once.into(),
            fuzzy_plates: rules.fuzzy_plates,
            confidence_min_percent: rules.confidence_min_percent,
            repeat_window: Seconds(rules.repeat_window_seconds),
            remind_before_start: Seconds(rules.remind_before_start_seconds),
            remind_before_end: Seconds(rules.remind_before_end_seconds),
            offer: Seconds(rules.offer_seconds),
            overstay_grace: Seconds(rules.overstay_grace_seconds),
            overstay_notice_first: Seconds(rules.overstay_notice_first_seconds),
            overstay_notice_every: Seconds(rules.overstay_notice_every_seconds),
            overstay_notices_max: rules.overstay_notices_max,
            drive_in_stay: Seconds(rules.drive_in_stay_seconds),
            gates_count: rules.gates_count,
            enforce_slots: rules.enforce_slots,
            enforce_grace: Seconds(rules.enforce_grace_seconds),
            change_until: rules.change_until_seconds.map(Seconds),
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
            country: place.country.as_deref(),
            street: place.street.as_deref(),
            state: place.state.as_deref(),
            postal_code: place.postal_code.as_deref(),
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
            country: place.country.map(Into::into),
            street: place.street.map(Into::into),
            state: place.state.map(Into::into),
            postal_code: place.postal_code.map(Into::into),
        }
    }
}

impl<'a> From<&'a spec::About> for About<'a> {
    fn from(about: &'a spec::About) -> Self {
        let opening = |opening: &EngineOpening| Opening {
            days: opening.days.0,
            from_minute: opening.from_minute,
            to_minute: opening.to_minute,
        };
        Self {
            description: about.description.as_deref(),
            category: about.category.as_deref(),
            listing: about.listing.into(),
            hours: about.hours.0.iter().map(opening).collect(),
            access: about.access.as_deref(),
            images: texts(&about.images),
        }
    }
}

impl From<About<'_>> for spec::About {
    fn from(about: About<'_>) -> Self {
        let opening = |opening: Opening| EngineOpening {
            days: Days(opening.days),
            from_minute: opening.from_minute,
            to_minute: opening.to_minute,
        };
        Self {
            description: about.description.map(Into::into),
            category: about.category.map(Into::into),
            listing: about.listing.into(),
            hours: Hours(about.hours.into_iter().map(opening).collect()),
            access: about.access.map(Into::into),
            images: boxed(about.images),
        }
    }
}

pub(super) fn criteria(allocation: &spec::Allocation) -> Vec<Criterion> {
    let criterion = |criterion: &spec::Criterion| match criterion {
        spec::Criterion::SmallestFit => Criterion::SmallestFit,
        spec::Criterion::KeepSpecial => Criterion::KeepSpecial,
        spec::Criterion::FillZones(order) => {
            Criterion::FillZones(order.iter().map(|zone| zone.0).collect())
        }
        spec::Criterion::NearestEntrance => Criterion::NearestEntrance,
        spec::Criterion::WasteLeast => Criterion::WasteLeast,
    };
    allocation.0.iter().map(criterion).collect()
}

pub(super) fn allocation(criteria: Vec<Criterion>) -> spec::Allocation {
    let criterion = |criterion| match criterion {
        Criterion::SmallestFit => spec::Criterion::SmallestFit,
        Criterion::KeepSpecial => spec::Criterion::KeepSpecial,
        Criterion::FillZones(order) => {
            spec::Criterion::FillZones(order.into_iter().map(ZoneIndex).collect())
        }
        Criterion::NearestEntrance => spec::Criterion::NearestEntrance,
        Criterion::WasteLeast => spec::Criterion::WasteLeast,
    };
    spec::Allocation(criteria.into_iter().map(criterion).collect())
}

impl<'a> From<&'a spec::Spec> for Spec<'a> {
    fn from(spec: &'a spec::Spec) -> Self {
        let slot = |slot: &'a spec::SlotSpec| SlotSpec {
            id: slot.id.0.into_bytes(),
            code: &slot.code,
            zone: slot.zone.map(|zone| zone.0),
            size: slot.size.into(),
            features: slot.features.0,
            vehicle_types: slot.vehicle_types.0,
            walk_metres: slot.walk_metres,
        };
        Self {
            id: spec.id.0.into_bytes(),
            tenant: &spec.tenant,
            code: &spec.code,
            name: &spec.name,
            kind: spec.kind.into(),
            capacity: spec.capacity,
            place: (&spec.place).into(),
            zones: spec.zones.iter().map(Into::into).collect(),
            features: texts(&spec.features),
            vehicle_types: texts(&spec.vehicle_types),
            slots: spec.slots.iter().map(slot).collect(),
            rules: (&spec.rules).into(),
            about: (&spec.about).into(),
            allocation: criteria(&spec.allocation),
            created_at: spec.created_at.micros(),
        }
    }
}

impl TryFrom<Spec<'_>> for Arc<spec::Spec> {
    type Error = FormatError;

    fn try_from(spec: Spec<'_>) -> Result<Self, FormatError> {
        let slot = |slot: SlotSpec<'_>| spec::SlotSpec {
            id: SlotId(Uuid::from_bytes(slot.id)),
            code: slot.code.into(),
            zone: slot.zone.map(ZoneIndex),
            size: slot.size.into(),
            features: FeatureSet(slot.features),
            vehicle_types: TypeSet(slot.vehicle_types),
            walk_metres: slot.walk_metres,
        };
        checked(spec::Spec {
            id: LotId(Uuid::from_bytes(spec.id)),
            tenant: spec.tenant.into(),
            code: spec.code.into(),
            name: spec.name.into(),
            kind: spec.kind.into(),
            capacity: spec.capacity,
            place: spec.place.into(),
            zones: spec.zones.into_iter().map(Into::into).collect(),
            features: boxed(spec.features),
            vehicle_types: boxed(spec.vehicle_types),
            slots: spec.slots.into_iter().map(slot).collect(),
            rules: spec.rules.into(),
            about: spec.about.into(),
            allocation: allocation(spec.allocation),
            created_at: Timestamp::from_micros(spec.created_at),
        })
    }
}
