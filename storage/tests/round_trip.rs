//! What is encoded decodes to the same, whatever it is; what is not ours gives an error, never a panic.

mod common;

use std::sync::Arc;

use common::{START, spec};
use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{
    Condition, Count, CountOutcome, CountState, Event as LotEvent, LotParts, LotValues, Proof,
    Reservation, Reserved, Service, SlotValues, State, Tally,
};
use lotkeeper_engine::slot::{Event as SlotEvent, Hearing, Mark, Sighting, Slot, Source};
use lotkeeper_engine::spec::{FeatureSet, Kind, Place, Position, Rules, Size, Spec, Zone};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::format::{
    Assembler, CHUNK_BYTES_MAX, Encoder, FRAME_BYTES_MAX, Frame, FrameKey, SnapshotKey, Tip,
    decode_snapshot, encode_snapshot,
};
use lotkeeper_storage::{
    Claim, ClaimKey, ClaimOutcome, Event, LotSnapshot, Record, RememberedClaim,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

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

fn commit() -> impl Strategy<Value = Vec<Record>> {
    let event = prop_oneof![
        4 => (any::<u16>(), slot_event()).prop_map(|(slot, e)| Event::Slot(SlotIndex(slot), e)),
        1 => lot_event().prop_map(Event::Lot),
    ];
    let record = (any::<u32>(), any::<u64>(), at(), event, option::of(claim()));
    (0..=u64::MAX - 1_000, vec(record, 1..400)).prop_map(|(first_seq, records)| {
        let record = |(seq, (lot, lot_seq, at, event, claim))| Record {
            seq,
            lot: LotKey(lot),
            lot_seq,
            at,
            event,
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
        reservation().prop_map(|r| ClaimOutcome::Reservation(Box::new(r))),
        counted.prop_map(|(outcome, condition, (occupied, drift))| {
            ClaimOutcome::Count(outcome, CountState { occupied, condition, drift })
        }),
    ];
    (claim(), at(), any::<u64>(), outcome)
        .prop_map(|(claim, at, lot_seq, outcome)| RememberedClaim { claim, at, lot_seq, outcome })
}

fn snapshot() -> impl Strategy<Value = LotSnapshot> {
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

/// Frames back to records, as a recovery reads them.
fn read_back(encoder: &Encoder) -> (Vec<Record>, bool) {
    let mut assembler = Assembler::new(None);
    let (mut records, mut ended) = (Vec::new(), false);
    for (key, bytes) in encoder.frames() {
        assert!(bytes.len() <= FRAME_BYTES_MAX);
        assert!(!ended, "a commit ends once");
        if let Some(group) = assembler.push(key, bytes).unwrap() {
            records.extend(group.records);
            ended = group.ends_commit;
        }
    }
    (records, ended)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_commit_survives(records in commit(), epoch in any::<u64>()) {
        let mut encoder = Encoder::default();
        encoder.encode(epoch, &records).unwrap();
        prop_assert_eq!(read_back(&encoder), (records, true));
    }

    #[test]
    fn any_snapshot_survives(snapshot in snapshot()) {
        let mut bytes = Vec::new();
        encode_snapshot(&snapshot, &mut bytes).unwrap();
        prop_assert_eq!(decode_snapshot(&bytes).unwrap(), snapshot);
    }

    #[test]
    fn any_flipped_bit_is_noticed(records in commit(), bit in any::<proptest::sample::Index>()) {
        let mut encoder = Encoder::default();
        encoder.encode(1, &records).unwrap();
        let (_, bytes) = encoder.frames().next().unwrap();
        let mut bytes = bytes.to_vec();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Frame::parse(&bytes).is_err());
    }

    /// Behind a right checksum anything may stand: a fault of ours, or a forger.
    #[test]
    fn any_payload_is_decoded_or_refused(payload in vec(any::<u8>(), 0..600), count in any::<u16>()) {
        let frame = forged(&payload, count);
        let key = FrameKey { first_seq: 1, part: 0 };
        // A result of either kind; what is tested is that there is one.
        drop(Assembler::new(None).push(key, &frame));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        drop(Frame::parse(&bytes));
        drop(decode_snapshot(&bytes));
        drop(Tip::from_bytes(&bytes));
        drop(FrameKey::from_bytes(&bytes));
        drop(SnapshotKey::from_bytes(&bytes));
    }

    #[test]
    fn keys_and_tips_survive_and_sort(a in any::<(u64, u16)>(), b in any::<(u64, u16)>()) {
        let key = |(first_seq, part)| FrameKey { first_seq, part };
        let (a, b) = (key(a), key(b));
        prop_assert_eq!(FrameKey::from_bytes(&a.to_bytes()).unwrap(), a);
        prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), a.cmp(&b));
        let tip = Tip { epoch: a.first_seq, seq: b.first_seq };
        prop_assert_eq!(Tip::from_bytes(&tip.to_bytes()).unwrap(), tip);
    }
}

/// A frame of epoch 1 that begins at record 1, with a right checksum.
fn forged(payload: &[u8], count: u16) -> Vec<u8> {
    let mut frame = b"LKF1".to_vec();
    frame.extend(1_u16.to_le_bytes());
    frame.extend(1_u16.to_le_bytes());
    frame.extend(1_u64.to_le_bytes());
    frame.extend(1_u64.to_le_bytes());
    frame.extend(0_i64.to_le_bytes());
    frame.extend(count.to_le_bytes());
    frame.extend(0_u16.to_le_bytes());
    frame.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&frame), payload);
    frame.extend(checksum.to_le_bytes());
    frame.extend(payload);
    frame
}

/// A length of four gigabytes in a few bytes must not become an allocation.
#[test]
fn a_forged_length_is_refused_before_it_is_believed() {
    // lot 0, lot sequence 1, time 0, lot event `changed`, a name of u32::MAX bytes.
    let mut payload = vec![0, 1, 0, 1, 1, 252];
    payload.extend(u32::MAX.to_le_bytes());
    let frame = forged(&payload, 1);
    let refused = Assembler::new(None).push(FrameKey { first_seq: 1, part: 0 }, &frame);
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn frames_out_of_order_are_refused() {
    let mut author = common::Author::new();
    let mut records = vec![author.created(LotKey(0), 2_000)];
    records.extend(author.changes(LotKey(0), 2_000));
    let mut encoder = Encoder::default();
    encoder.encode(9, &records).unwrap();
    let frames: Vec<_> = encoder.frames().collect();
    assert!(frames.len() > 10 && frames[3].0.part > 0);
    for skipped in 1..frames.len() - 1 {
        let mut assembler = Assembler::new(None);
        let pushed = frames.iter().enumerate().filter(|(position, _)| *position != skipped);
        let refused =
            pushed.map(|(_, (key, bytes))| assembler.push(*key, bytes)).any(|r| r.is_err());
        assert!(refused, "frame {skipped} is missing and nobody noticed");
    }
}

#[test]
fn the_budget_of_a_leaf_holds() {
    // sled splits a leaf beyond 16 values and moves one beyond a quarter of its 512 KiB segment out.
    const { assert!(17 * FRAME_BYTES_MAX < 128 * 1024 && 17 * CHUNK_BYTES_MAX < 128 * 1024) };
}
