//! Any commit and any snapshot there can be.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{
    Condition, Count, CountOutcome, CountState, Event as LotEvent, LotParts, LotValues, Proof,
    Reservation, Reserved, Service, SlotValues, State, Tally,
};
use lotkeeper_engine::slot::{Event as SlotEvent, Hearing, Mark, Sighting, Slot, Source};
use lotkeeper_engine::spec::{FeatureSet, Kind, Place, Position, Rules, Size, Spec, Zone};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::{
    By, Claim, ClaimKey, ClaimOutcome, Event, LotSnapshot, Record, RememberedClaim, Role,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::common::{START, spec};

fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof![Just(String::new()), Just("Straße 🅿".to_owned()), ".{0,40}"].prop_map(Into::into)
}

fn at() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>().prop_map(Timestamp::from_micros),
        (-5_000_000..5_000_000_i64).prop_map(|d| Timestamp::from_micros(START.micros() + d)),
    ]
}

fn seconds() -> impl Strategy<Value = Seconds> {
    any::<u32>().prop_map(Seconds)
}

fn id() -> impl Strategy<Value = ReservationId> {
    any::<u128>().prop_map(|n| ReservationId(Uuid::from_u128(n)))
}

fn person() -> impl Strategy<Value = Pseudonym> {
    any::<u128>().prop_map(|n| Pseudonym(Uuid::from_u128(n)))
}

fn window() -> impl Strategy<Value = Window> {
    (at(), at()).prop_map(|(from, to)| Window { from, to })
}

fn size() -> impl Strategy<Value = Size> {
    proptest::sample::select(Size::ALL.to_vec())
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![Just(Source::Sensor), Just(Source::Staff)]
}

fn proof() -> impl Strategy<Value = Proof> {
    prop_oneof![Just(Proof::Seen), Just(Proof::Assumed)]
}

fn mark() -> impl Strategy<Value = Mark> {
    (at(), any::<u64>()).prop_map(|(observed_at, sequence)| Mark { observed_at, sequence })
}

fn slot_event() -> impl Strategy<Value = SlotEvent> {
    let sighting = || {
        (mark(), any::<u64>(), source(), any::<Option<u8>>()).prop_map(
            |(mark, id_hash, source, confidence_percent)| Sighting {
                mark,
                id_hash,
                source,
                confidence_percent,
            },
        )
    };
    prop_oneof![
        sighting().prop_map(SlotEvent::Occupied),
        sighting().prop_map(SlotEvent::Vacated),
        mark().prop_map(|mark| SlotEvent::Heard { mark }),
        Just(SlotEvent::FellSilent),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    [seconds(), seconds(), seconds(), seconds(), seconds()].prop_map(
        |[hold, hold_lead, no_show, silence, skew]| Rules {
            hold,
            hold_lead,
            no_show,
            silence,
            skew,
        },
    )
}

fn place() -> impl Strategy<Value = Place> {
    (text(), text(), option::of(text()), any::<Option<(i32, i32)>>()).prop_map(
        |(time_zone, currency, city, position)| Place {
            time_zone,
            currency,
            city,
            position: position.map(|(lat_microdegrees, lon_microdegrees)| Position {
                lat_microdegrees,
                lon_microdegrees,
            }),
        },
    )
}

/// A lot with random texts and numbers around a sound frame of slots and zones.
fn specification() -> impl Strategy<Value = Arc<Spec>> {
    let zone = (text(), text(), any::<Option<i16>>()).prop_map(|(code, name, level)| Zone {
        code,
        name,
        level,
    });
    let slots = vec((text(), size(), any::<bool>(), any::<bool>()), 0..30);
    (place(), rules(), text(), vec(zone, 1..4), slots, any::<bool>()).prop_map(
        |(place, rules, name, zones, slots, counted)| {
            let mut lot = Spec::clone(&spec(LotKey(3), u16::try_from(slots.len()).unwrap()));
            for (slot, (code, size, zoned, featured)) in lot.slots.iter_mut().zip(slots) {
                slot.code = code;
                slot.size = size;
                slot.zone = zoned.then_some(ZoneIndex(u16::try_from(zones.len()).unwrap() - 1));
                slot.features = FeatureSet(u64::from(featured));
            }
            lot.kind = if counted { Kind::Counted } else { Kind::Bayed };
            Arc::new(Spec { name, place, rules, zones, ..lot })
        },
    )
}

fn service() -> impl Strategy<Value = Service> {
    let closed = (text(), option::of(at()))
        .prop_map(|(reason, until)| Service::OutOfService { reason, until });
    prop_oneof![Just(Service::InService), closed]
}

fn count() -> impl Strategy<Value = Count> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(entered, left)| Count::Flow { entered, left }),
        any::<u32>().prop_map(|occupied| Count::Absolute { occupied }),
    ]
}

fn lot_event() -> impl Strategy<Value = LotEvent> {
    let slot = || any::<u16>().prop_map(SlotIndex);
    let reserved = (id(), slot(), window(), option::of(at()), person(), option::of(person()))
        .prop_map(|(id, slot, window, expires_at, holder, vehicle)| Reserved {
            id,
            slot,
            window,
            expires_at,
            holder,
            vehicle,
        });
    let values = (text(), any::<u32>(), place(), rules())
        .prop_map(|(name, capacity, place, rules)| LotValues { name, capacity, place, rules });
    let slot_values = (slot(), any::<Option<u16>>(), size(), any::<u64>(), vec(text(), 0..3))
        .prop_map(|(slot, zone, size, features, added_features)| SlotValues {
            slot,
            zone: zone.map(ZoneIndex),
            size,
            features: FeatureSet(features),
            added_features,
        });
    prop_oneof![
        specification().prop_map(LotEvent::Created),
        values.prop_map(|values| LotEvent::Changed(Box::new(values))),
        slot_values.prop_map(|values| LotEvent::SlotChanged(Box::new(values))),
        (slot(), service()).prop_map(|(slot, service)| LotEvent::ServiceChanged { slot, service }),
        reserved.prop_map(|reserved| LotEvent::Reserved(Box::new(reserved))),
        id().prop_map(|id| LotEvent::Confirmed { id }),
        (id(), window()).prop_map(|(id, window)| LotEvent::Modified { id, window }),
        (id(), option::of(text())).prop_map(|(id, reason)| LotEvent::Cancelled { id, reason }),
        id().prop_map(|id| LotEvent::Expired { id }),
        id().prop_map(|id| LotEvent::HoldBegan { id }),
        (id(), proof()).prop_map(|(id, proof)| LotEvent::CheckedIn { id, proof }),
        id().prop_map(|id| LotEvent::NoShow { id }),
        id().prop_map(|id| LotEvent::Completed { id }),
        (count(), at()).prop_map(|(count, observed_at)| LotEvent::Counted { count, observed_at }),
        Just(LotEvent::CounterFellSilent),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    any::<(u128, u64)>().prop_map(|(key, fingerprint)| Claim { key: ClaimKey(key), fingerprint })
}

/// A few who come again, as they do, or anybody.
fn by() -> impl Strategy<Value = By> {
    let roles =
        [Role::Admin, Role::Operator, Role::Staff, Role::Driver, Role::Device, Role::Display];
    let subject = prop_oneof![
        3 => (0..4_u128).prop_map(|number| Pseudonym(Uuid::from_u128(number))),
        1 => person(),
    ];
    (subject, proptest::sample::select(roles.to_vec()))
        .prop_map(|(subject, role)| By { subject, role })
}

pub fn commit() -> impl Strategy<Value = Vec<Record>> {
    let event = prop_oneof![
        4 => (any::<u16>(), slot_event()).prop_map(|(slot, e)| Event::Slot(SlotIndex(slot), e)),
        1 => lot_event().prop_map(Event::Lot),
    ];
    let record = (any::<u32>(), any::<u64>(), at(), event, option::of(by()), option::of(claim()));
    (0..=u64::MAX - 1_000, vec(record, 1..400)).prop_map(|(first_seq, records)| {
        let record = |(seq, (lot, lot_seq, at, event, by, claim))| Record {
            seq,
            lot: LotKey(lot),
            lot_seq,
            at,
            event,
            by,
            claim,
        };
        (first_seq..).zip(records).map(record).collect()
    })
}

fn slot() -> impl Strategy<Value = Slot> {
    let hearing = (any::<bool>(), [at(), at(), at(), at()], mark(), source(), any::<Option<u8>>());
    let hearing = hearing.prop_map(|(occupied, times, mark, source, confidence_percent)| Hearing {
        occupied,
        since: times[0],
        changed_at: times[1],
        mark,
        heard_at: times[2],
        recorded_at: times[3],
        source,
        confidence_percent,
    });
    (any::<u32>(), option::of(hearing), option::of(at()), any::<u8>(), any::<[u64; 4]>()).prop_map(
        |(version, hearing, silent_since, flaps, recent_ids)| Slot {
            version,
            hearing,
            silent_since,
            flaps,
            recent_ids,
        },
    )
}

fn reservation() -> impl Strategy<Value = Reservation> {
    let state = prop_oneof![
        at().prop_map(|expires_at| State::Held { expires_at }),
        Just(State::Confirmed),
        proof().prop_map(|proof| State::CheckedIn { proof }),
        Just(State::Completed),
        Just(State::Cancelled),
        Just(State::Expired),
        Just(State::NoShow),
    ];
    let who = (id(), any::<u16>(), person(), option::of(person()));
    (who, window(), state, option::of(text()), any::<bool>(), at(), at(), any::<u32>()).prop_map(
        |(who, window, state, reason, shown, created_at, updated_at, version)| Reservation {
            id: who.0,
            slot: SlotIndex(who.1),
            window,
            state,
            holder: who.2,
            vehicle: who.3,
            reason,
            shown,
            created_at,
            updated_at,
            version,
        },
    )
}

fn tally() -> impl Strategy<Value = Tally> {
    (
        any::<(i64, i64, bool)>(),
        [option::of(at()), option::of(at()), option::of(at())],
        [at(), at()],
    )
        .prop_map(|((occupied, drift, flowed), options, times)| Tally {
            occupied,
            drift,
            flowed,
            absolute_at: options[0],
            observed_at: options[1],
            heard_at: times[0],
            recorded_at: times[1],
            silent_since: options[2],
        })
}

fn remembered() -> impl Strategy<Value = RememberedClaim> {
    let outcomes = [
        CountOutcome::Accepted,
        CountOutcome::Unchanged,
        CountOutcome::Duplicate,
        CountOutcome::Late,
    ];
    let conditions = [
        Condition::Consistent,
        Condition::AboveCapacity,
        Condition::BelowZero,
        Condition::NeverCounted,
        Condition::Silent,
    ];
    let counted = (
        proptest::sample::select(outcomes.to_vec()),
        proptest::sample::select(conditions.to_vec()),
        any::<(i64, i64)>(),
    );
    let outcome = prop_oneof![
        any::<u32>().prop_map(|version| ClaimOutcome::Lot { version }),
        any::<(u16, u32)>()
            .prop_map(|(slot, version)| ClaimOutcome::Slot { slot: SlotIndex(slot), version }),
        reservation().prop_map(|r| ClaimOutcome::Reservation(r.into())),
        counted.prop_map(|(outcome, condition, (occupied, drift))| {
            ClaimOutcome::Count(outcome, CountState { occupied, condition, drift })
        }),
    ];
    (claim(), at(), any::<u64>(), outcome)
        .prop_map(|(claim, at, lot_seq, outcome)| RememberedClaim { claim, at, lot_seq, outcome })
}

pub fn snapshot() -> impl Strategy<Value = LotSnapshot> {
    let each_slot = vec((service(), any::<u32>(), slot()), 30);
    let lists = (each_slot, vec(reservation(), 0..20), vec(remembered(), 0..10));
    (specification(), lists, tally(), any::<(u32, u64, u64, u32)>(), at()).prop_map(
        |(spec, (mut slots, reservations, claims), tally, (lot, seq, lot_seq, version), at)| {
            slots.truncate(spec.slots.len());
            let (services, slots) = slots.into_iter().map(|(s, v, slot)| ((s, v), slot)).unzip();
            let reservations = reservations.into_iter().map(Arc::new).collect();
            let parts = LotParts { spec, version, slots: services, reservations, tally };
            LotSnapshot { lot: LotKey(lot), seq, lot_seq, at, parts, slots, claims }
        },
    )
}
