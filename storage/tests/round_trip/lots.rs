//! Any lot, and any new values of it, there can be.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{LotValues, SlotValues};
use lotkeeper_engine::spec::{
    About, Allocation, Arrival, Criterion, Days, FeatureSet, Hours, Kind, Listing, Opening, Place,
    PlateOnce, Position, Rules, Settlement, Size, Spec, TypeSet, Zone,
};
use lotkeeper_engine::time::Seconds;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::common::spec;
use crate::strategies::text;

fn size() -> impl Strategy<Value = Size> {
    select(Size::ALL.to_vec())
}

fn rules() -> impl Strategy<Value = Rules> {
    let arrivals = [Arrival::BySensor, Arrival::Proved, Arrival::Assumed];
    let settlements = [Settlement::Before, Settlement::AtExit, Settlement::OnAccount];
    let choices = (
        select(arrivals.to_vec()),
        select(settlements.to_vec()),
        select(vec![PlateOnce::Lot, PlateOnce::Tenant]),
    );
    let others = any::<(bool, bool, u8, u8, Option<u32>)>();
    (any::<[u32; 16]>(), choices, others).prop_map(|(seconds, choices, others)| {
        let [
            hold,
            hold_lead,
            no_show,
            silence,
            skew,
            early_entry,
            auto_exit,
            exit_window,
            rest @ ..,
        ] = seconds.map(Seconds);
        let [repeat_window, before_start, before_end, offer, grace, first, every, stay] = rest;
        Rules {
            hold,
            hold_lead,
            no_show,
            silence,
            skew,
            arrival: choices.0,
            early_entry,
            stay_max: others.4.map(Seconds),
            auto_exit,
            settlement: choices.1,
            exit_window,
            drive_in: others.0,
            plate_once: choices.2,
            fuzzy_plates: others.1,
            confidence_min_percent: others.2,
            repeat_window,
            remind_before_start: before_start,
            remind_before_end: before_end,
            offer,
            overstay_grace: grace,
            overstay_notice_first: first,
            overstay_notice_every: every,
            overstay_notices_max: others.3,
            drive_in_stay: stay,
            gates_count: others.0 != others.1,
            enforce_slots: others.0,
            enforce_grace: stay,
            change_until: (stay > before_end).then_some(stay),
        }
    })
}

fn place() -> BoxedStrategy<Place> {
    let address = [option::of(text()), option::of(text()), option::of(text()), option::of(text())];
    let drawn = (text(), text(), option::of(text()), any::<Option<(i32, i32)>>(), address);
    let place = drawn.prop_map(
        |(time_zone, currency, city, position, [country, street, state, postal_code])| Place {
            time_zone,
            currency,
            city,
            position: position.map(|(lat_microdegrees, lon_microdegrees)| Position {
                lat_microdegrees,
                lon_microdegrees,
            }),
            country,
            street,
            state,
            postal_code,
        },
    );
    place.boxed()
}

fn about() -> BoxedStrategy<About> {
    let opening = any::<(u8, u16, u16)>().prop_map(|(days, from_minute, to_minute)| Opening {
        days: Days(days),
        from_minute,
        to_minute,
    });
    let texts = [option::of(text()), option::of(text()), option::of(text())];
    let listing = select(vec![Listing::Listed, Listing::Paused]);
    let drawn = (texts, listing, vec(opening, 0..4), vec(text(), 0..3));
    let about = drawn.prop_map(|([description, category, access], listing, hours, images)| About {
        description,
        category,
        listing,
        hours: Hours(hours),
        access,
        images,
    });
    about.boxed()
}

fn allocation() -> impl Strategy<Value = Allocation> {
    let zones = vec(any::<u16>().prop_map(ZoneIndex), 0..3);
    let criterion = prop_oneof![
        Just(Criterion::SmallestFit),
        Just(Criterion::KeepSpecial),
        zones.prop_map(Criterion::FillZones),
        Just(Criterion::NearestEntrance),
        Just(Criterion::WasteLeast),
    ];
    vec(criterion, 0..6).prop_map(Allocation)
}

/// A lot with random texts and numbers around a sound frame of slots and zones.
pub fn specification() -> impl Strategy<Value = Arc<Spec>> {
    let zone = (text(), text(), any::<Option<i16>>()).prop_map(|(code, name, level)| Zone {
        code,
        name,
        level,
    });
    let attributes = any::<(bool, bool, bool, Option<u16>)>();
    let slots = vec((text(), size(), attributes), 0..30);
    let values = (place(), rules(), about(), allocation());
    (values, text(), vec(zone, 1..4), slots, any::<bool>()).prop_map(
        |((place, rules, about, allocation), name, zones, slots, counted)| {
            let mut lot = Spec::clone(&spec(LotKey(3), u16::try_from(slots.len()).unwrap()));
            for (slot, (code, size, (zoned, featured, typed, walk_metres))) in
                lot.slots.iter_mut().zip(slots)
            {
                slot.code = code;
                slot.size = size;
                slot.zone = zoned.then_some(ZoneIndex(u16::try_from(zones.len()).unwrap() - 1));
                slot.features = FeatureSet(u64::from(featured));
                slot.vehicle_types = TypeSet(u64::from(typed));
                slot.walk_metres = walk_metres;
            }
            let vehicle_types = vec!["taxi".into()];
            let kind = if counted { Kind::Counted } else { Kind::Bayed };
            let lot = Spec { kind, vehicle_types, about, allocation, ..lot };
            Arc::new(Spec { name, place, rules, zones, ..lot })
        },
    )
}

pub fn values() -> impl Strategy<Value = LotValues> {
    (text(), any::<u32>(), place(), rules(), about(), allocation()).prop_map(
        |(name, capacity, place, rules, about, allocation)| LotValues {
            name,
            capacity,
            place,
            rules,
            about,
            allocation,
        },
    )
}

pub fn slot_values() -> impl Strategy<Value = SlotValues> {
    let added = || vec(text(), 0..3);
    let places = any::<(u16, Option<u16>, Option<u16>)>();
    (places, size(), any::<(u64, u64)>(), added(), added()).prop_map(
        |((slot, zone, walk_metres), size, sets, added_features, added_vehicle_types)| SlotValues {
            slot: SlotIndex(slot),
            zone: zone.map(ZoneIndex),
            size,
            features: FeatureSet(sets.0),
            added_features,
            vehicle_types: TypeSet(sets.1),
            added_vehicle_types,
            walk_metres,
        },
    )
}
