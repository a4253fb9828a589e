//! Format 1 as it was released: these bytes are read for ever, field by field, and written the same.
//!
//! The files under `fixtures/format-1` are never made anew. A change that this test refuses is a new
//! format: it gets a version, a reader beside the old one, and a fixture of its own.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;

use std::sync::Arc;

use common::{START, spec, uuid};
use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{
    Condition, Count, CountOutcome, CountState, Event as LotEvent, LotParts, LotValues, Proof,
    Reservation, Reserved, Service, SlotValues, State, Tally,
};
use lotkeeper_engine::slot::{Event as SlotEvent, Hearing, Mark, Sighting, Slot, Source};
use lotkeeper_engine::spec::{FeatureSet, Kind, Size, Spec};
use lotkeeper_engine::time::{Timestamp, Window};
use lotkeeper_storage::format::{
    Assembler, Encoder, Frame, FrameKey, Tip, decode_snapshot, encode_snapshot,
};
use lotkeeper_storage::{
    Claim, ClaimKey, ClaimOutcome, Event, LotSnapshot, Record, RememberedClaim,
};

const EPOCH: u64 = 0x0123_4567_89ab_cdef;
const COMMITS: &str = include_str!("fixtures/format-1/commits.hex");
const SNAPSHOT: &str = include_str!("fixtures/format-1/snapshot.hex");
const TIP: &str = include_str!("fixtures/format-1/tip.hex");
const PAGE: &str = include_str!("../../docs/storage-format.md");

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().bytes())
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex_of(bytes: &[u8]) -> String {
    let line = |row: &[u8]| row.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

#[track_caller]
fn assert_bytes(written: &[u8], fixture: &str) {
    let written = hex_of(written);
    assert!(bytes_of(&written) == bytes_of(fixture), "format 1 is now written as\n{written}");
}

fn after(micros: i64) -> Timestamp {
    Timestamp::from_micros(START.micros() + micros)
}

fn id(number: u128) -> ReservationId {
    ReservationId(uuid(number))
}

fn sighting(sequence: u64) -> Sighting {
    Sighting {
        mark: Mark { observed_at: after(-1_500_000), sequence },
        id_hash: 0xfeed_beef,
        source: Source::Sensor,
        confidence_percent: Some(97),
    }
}

fn lot_events() -> Vec<LotEvent> {
    let lot = spec(LotKey(0), 2);
    let window = Window { from: after(3_600_000_000), to: after(7_200_000_000) };
    let values = LotValues {
        name: "Straße".into(),
        capacity: 2,
        place: lot.place.clone(),
        rules: lot.rules,
    };
    let slot_values = SlotValues {
        slot: SlotIndex(1),
        zone: Some(ZoneIndex(0)),
        size: Size::Large,
        features: FeatureSet(0b11),
        added_features: vec!["covered".into()],
    };
    let reserved = Reserved {
        id: id(1),
        slot: SlotIndex(0),
        window,
        expires_at: Some(after(600_000_000)),
        holder: Pseudonym(uuid(100)),
        vehicle: Some(Pseudonym(uuid(101))),
    };
    let closed = Service::OutOfService { reason: "cleaning".into(), until: Some(after(9_000_000)) };
    vec![
        LotEvent::Changed(Box::new(values)),
        LotEvent::SlotChanged(Box::new(slot_values)),
        LotEvent::ServiceChanged { slot: SlotIndex(1), service: closed },
        LotEvent::ServiceChanged { slot: SlotIndex(1), service: Service::InService },
        LotEvent::Reserved(Box::new(reserved)),
        LotEvent::Confirmed { id: id(1) },
        LotEvent::Modified { id: id(1), window },
        LotEvent::Cancelled { id: id(1), reason: Some("changed_plans".into()) },
        LotEvent::Expired { id: id(2) },
        LotEvent::HoldBegan { id: id(3) },
        LotEvent::CheckedIn { id: id(3), proof: Proof::Assumed },
        LotEvent::NoShow { id: id(4) },
        LotEvent::Completed { id: id(3) },
        LotEvent::Counted { count: Count::Flow { entered: 3, left: 300 }, observed_at: after(-2) },
        LotEvent::Counted { count: Count::Absolute { occupied: 70_000 }, observed_at: after(-1) },
        LotEvent::CounterFellSilent,
    ]
}

/// One commit with every event there is, and one with a record larger than a frame.
fn commits() -> [Vec<Record>; 2] {
    let slot_events = [
        SlotEvent::Occupied(sighting(7)),
        SlotEvent::Vacated(Sighting {
            source: Source::Staff,
            confidence_percent: None,
            ..sighting(8)
        }),
        SlotEvent::Heard { mark: Mark { observed_at: after(40_000), sequence: 0 } },
        SlotEvent::FellSilent,
    ];
    let mut events = vec![Event::Lot(LotEvent::Created(spec(LotKey(0), 2)))];
    events.extend(
        (0..).zip(slot_events).map(|(slot, event)| Event::Slot(SlotIndex(slot % 2), event)),
    );
    events.extend(lot_events().into_iter().map(Event::Lot));
    let first = (1_u64..).zip(events).map(|(seq, event)| Record {
        seq,
        lot: LotKey(0),
        lot_seq: seq,
        at: after(i64::try_from(seq).unwrap() * 900),
        event,
        claim: (seq % 5 == 0)
            .then_some(Claim { key: ClaimKey(u128::from(seq) << 100), fingerprint: seq }),
    });
    let first: Vec<Record> = first.collect();
    let large = Record {
        seq: first.len() as u64 + 1,
        lot: LotKey(1),
        lot_seq: 1,
        at: after(1_000_000),
        event: Event::Lot(LotEvent::Created(spec(LotKey(1), 300))),
        claim: None,
    };
    let last = Record {
        seq: large.seq + 1,
        lot_seq: 2,
        event: Event::Slot(SlotIndex(299), SlotEvent::Occupied(sighting(9))),
        ..large.clone()
    };
    [first, vec![large, last]]
}

fn reservations() -> Vec<Arc<Reservation>> {
    let states = [
        State::Held { expires_at: after(5) },
        State::Confirmed,
        State::CheckedIn { proof: Proof::Seen },
        State::Completed,
        State::Cancelled,
        State::Expired,
        State::NoShow,
    ];
    let reservation = |(number, state): (u32, State)| {
        Arc::new(Reservation {
            id: id(u128::from(number)),
            slot: SlotIndex(0),
            window: Window { from: after(0), to: after(i64::from(number)) },
            state,
            holder: Pseudonym(uuid(100)),
            vehicle: (number == 2).then_some(Pseudonym(uuid(101))),
            reason: (state == State::Cancelled).then(|| "changed_plans".into()),
            shown: number == 3,
            created_at: after(-10),
            updated_at: after(-5),
            version: number + 1,
        })
    };
    (1..).zip(states).map(reservation).collect()
}

fn snapshot() -> LotSnapshot {
    let lot = Spec::clone(&spec(LotKey(7), 2));
    let closed = Service::OutOfService { reason: "works".into(), until: None };
    let hearing = Hearing {
        occupied: true,
        since: after(-1_000),
        changed_at: after(-900),
        mark: Mark { observed_at: after(-800), sequence: 12 },
        heard_at: after(-700),
        recorded_at: after(-600),
        source: Source::Staff,
        confidence_percent: Some(50),
    };
    let heard = Slot {
        version: 9,
        hearing: Some(hearing),
        silent_since: Some(after(-1)),
        flaps: 3,
        recent_ids: [1, 300, 70_000, u64::MAX],
    };
    let outcomes = [
        ClaimOutcome::Lot { version: 2 },
        ClaimOutcome::Slot { slot: SlotIndex(1), version: 3 },
        ClaimOutcome::Reservation(Arc::clone(&reservations()[1])),
        ClaimOutcome::Count(
            CountOutcome::Unchanged,
            CountState { occupied: -4, condition: Condition::BelowZero, drift: -2 },
        ),
    ];
    let claim = |(number, outcome): (u64, ClaimOutcome)| RememberedClaim {
        claim: Claim { key: ClaimKey(u128::from(number) << 64), fingerprint: number },
        at: after(-50),
        lot_seq: number,
        outcome,
    };
    LotSnapshot {
        lot: LotKey(7),
        seq: 4_242,
        lot_seq: 42,
        at: after(77),
        parts: LotParts {
            spec: Arc::new(Spec { kind: Kind::Counted, capacity: 630, ..lot }),
            version: 5,
            slots: vec![(Service::InService, 1), (closed, 2)],
            reservations: reservations(),
            tally: Tally {
                occupied: -4,
                drift: -2,
                flowed: true,
                absolute_at: Some(after(-30)),
                observed_at: Some(after(-20)),
                heard_at: after(-20),
                recorded_at: after(-25),
                silent_since: None,
            },
        },
        slots: vec![heard, Slot::default()],
        claims: (1..).zip(outcomes).map(claim).collect(),
    }
}

#[test]
fn commits_of_format_1_are_read_and_written() {
    let mut encoder = Encoder::default();
    let mut written = Vec::new();
    for commit in commits() {
        encoder.encode(EPOCH, &commit).unwrap();
        written.extend_from_slice(encoder.bytes());
    }
    assert_bytes(&written, COMMITS);
    let fixture = bytes_of(COMMITS);
    let mut rest = fixture.as_slice();
    let mut assembler = Assembler::new(Some(1));
    let (mut commit, mut read) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (frame, after) = Frame::read(rest).unwrap();
        assert_eq!(frame.header.epoch, EPOCH);
        let (bytes, key) = (&rest[..rest.len() - after.len()], frame.header.key);
        if let Some(group) = assembler.push(key, bytes).unwrap() {
            commit.extend(group.records);
            if group.ends_commit {
                read.push(std::mem::take(&mut commit));
            }
        }
        rest = after;
    }
    assert_eq!(read, commits());
}

#[test]
fn snapshots_of_format_1_are_read_and_written() {
    let mut written = Vec::new();
    encode_snapshot(&snapshot(), &mut written).unwrap();
    assert_bytes(&written, SNAPSHOT);
    assert_eq!(decode_snapshot(&bytes_of(SNAPSHOT)).unwrap(), snapshot());
}

#[test]
fn tips_of_format_1_are_read_and_written() {
    let tip = Tip { epoch: EPOCH, seq: 4_242 };
    assert_bytes(&tip.to_bytes(), TIP);
    assert_eq!(Tip::from_bytes(&bytes_of(TIP)).unwrap(), tip);
}

#[test]
fn a_later_format_is_refused_by_name() {
    let mut frame = bytes_of(COMMITS);
    frame[4] = 2;
    let refused = Frame::read(&frame).unwrap_err();
    assert!(refused.to_string().contains("format 2"), "{refused}");
    let mut snapshot = bytes_of(SNAPSHOT);
    snapshot[4] = 9;
    let refused = decode_snapshot(&snapshot).unwrap_err();
    assert!(refused.to_string().contains("format 9"), "{refused}");
}

/// The example of the page is a frame: it is decoded here, so that the page cannot drift away.
#[test]
fn the_page_tells_the_truth() {
    let example = PAGE.split("```hex\n").nth(1).unwrap().split("```").next().unwrap();
    let bytes = bytes_of(example);
    let record = Record {
        seq: 42,
        lot: LotKey(3),
        lot_seq: 17,
        at: START,
        event: Event::Slot(
            SlotIndex(5),
            SlotEvent::Occupied(Sighting { id_hash: 0, ..sighting(7) }),
        ),
        claim: None,
    };
    let mut encoder = Encoder::default();
    encoder.encode(EPOCH, std::slice::from_ref(&record)).unwrap();
    assert_eq!(hex_of(encoder.bytes()), hex_of(&bytes), "the example of docs/storage-format.md");
    let key = FrameKey { first_seq: 42, part: 0 };
    let group = Assembler::new(None).push(key, &bytes).unwrap().unwrap();
    assert_eq!(group.records, [record]);
    // Every variant that has a number on the page has it in the bytes of the fixture as well.
    for name in ["Created", "CounterFellSilent", "FellSilent", "Cancelled", "Absolute"] {
        assert!(PAGE.contains(name), "{name} is not on the page");
    }
}
