//! What the tests of the formats share: one commit with every event there is and one with a record larger
//! than a frame, and bytes as text.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{
    Count, Event as LotEvent, LotValues, Proof, Reserved, Service, SlotValues,
};
use lotkeeper_engine::slot::{Event as SlotEvent, Mark, Sighting, Source};
use lotkeeper_engine::spec::{FeatureSet, Size, TypeSet};
use lotkeeper_engine::time::{Timestamp, Window};
use lotkeeper_storage::format::{Assembler, Encoder, Frame};
use lotkeeper_storage::{By, Claim, ClaimKey, Event, Record};

use crate::common::{START, spec, uuid};

pub const EPOCH: u64 = 0x0123_4567_89ab_cdef;

pub fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().bytes())
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub fn hex_of(bytes: &[u8]) -> String {
    let line = |row: &[u8]| row.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

#[track_caller]
pub fn assert_bytes(written: &[u8], fixture: &str) {
    let written = hex_of(written);
    assert!(bytes_of(&written) == bytes_of(fixture), "this is now written as\n{written}");
}

pub fn after(micros: i64) -> Timestamp {
    Timestamp::from_micros(START.micros() + micros)
}

pub fn id(number: u128) -> ReservationId {
    ReservationId(uuid(number))
}

pub fn sighting(sequence: u64) -> Sighting {
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
        ..LotValues::default()
    };
    let slot_values = SlotValues {
        slot: SlotIndex(1),
        zone: Some(ZoneIndex(0)),
        size: Size::Large,
        features: FeatureSet(0b11),
        added_features: vec!["covered".into()],
        vehicle_types: TypeSet::default(),
        added_vehicle_types: Vec::new(),
        walk_metres: None,
    };
    let reserved = Reserved {
        id: id(1),
        slot: SlotIndex(0),
        window,
        expires_at: Some(after(600_000_000)),
        holder: Pseudonym(uuid(100)),
        vehicle: Some(Pseudonym(uuid(101))),
        price: None,
        series: None,
        request: None,
    };
    let closed = Service::OutOfService { reason: "cleaning".into(), until: Some(after(9_000_000)) };
    vec![
        LotEvent::Changed(Box::new(values)),
        LotEvent::SlotChanged(Box::new(slot_values)),
        LotEvent::ServiceChanged { slot: SlotIndex(1), service: closed },
        LotEvent::ServiceChanged { slot: SlotIndex(1), service: Service::InService },
        LotEvent::Reserved(Box::new(reserved)),
        LotEvent::Confirmed { id: id(1) },
        LotEvent::Modified { id: id(1), window, price: None },
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
pub fn commits(by: impl Fn(u64) -> Option<By>) -> [Vec<Record>; 2] {
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
        by: by(seq),
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
        by: by(first.len() as u64 + 1),
        claim: None,
    };
    let last = Record {
        seq: large.seq + 1,
        by: by(large.seq + 1),
        lot_seq: 2,
        event: Event::Slot(SlotIndex(299), SlotEvent::Occupied(sighting(9))),
        ..large.clone()
    };
    [first, vec![large, last]]
}

/// The bytes of commits as they are written now.
pub fn written(commits: &[Vec<Record>]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut written = Vec::new();
    for commit in commits {
        encoder.encode(EPOCH, commit).unwrap();
        written.extend_from_slice(encoder.bytes());
    }
    written
}

/// The commits in a row of frames that begins with record 1.
pub fn read(mut rest: &[u8]) -> Vec<Vec<Record>> {
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
    read
}
