//! Format 3 of frames and format 2 of snapshots, byte by byte: what people ask for in their own words.
//!
//! As in `format_3.rs`: the files are never made anew once they were released.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;
#[path = "common/samples.rs"]
mod samples;
#[path = "common/snapshots.rs"]
mod snapshots;

use common::{by, uuid};
use lotkeeper_engine::ids::{LotKey, Pseudonym, SessionId, SlotIndex};
use lotkeeper_engine::lot::{Event as LotEvent, Owner, Reserved, session};
use lotkeeper_engine::time::Window;
use lotkeeper_storage::format::{decode_snapshot, encode_snapshot};
use lotkeeper_storage::{Event, LotSnapshot, Record};
use samples::{after, assert_bytes, bytes_of, id, read, written};

const COMMIT: &str = include_str!("fixtures/format-3/requests.hex");
const SNAPSHOT: &str = include_str!("fixtures/format-3/requests-snapshot.hex");

fn text(number: u128) -> Pseudonym {
    Pseudonym(uuid(number))
}

fn commit() -> Vec<Record> {
    let stay = SessionId(uuid(2));
    let reserved = Reserved {
        id: id(1),
        slot: SlotIndex(1),
        window: Window { from: after(10), to: after(20) },
        expires_at: None,
        holder: Pseudonym(uuid(3)),
        vehicle: None,
        price: None,
        series: None,
        request: Some(text(4)),
    };
    let of_stay = |request| session::Event::Requested { id: stay, request };
    let events = [
        LotEvent::Reserved(Box::new(reserved)),
        LotEvent::Requested { id: id(1), request: Some(text(5)) },
        LotEvent::Requested { id: id(1), request: None },
        LotEvent::Session(of_stay(Some(text(6)))),
        LotEvent::Session(of_stay(None)),
    ];
    let record = |(seq, event)| Record {
        seq,
        lot: LotKey(2),
        lot_seq: seq + 10,
        at: after(3_000_000),
        event: Event::Lot(event),
        by: by(seq),
        claim: None,
    };
    (1..).zip(events).map(record).collect()
}

fn snapshot() -> LotSnapshot {
    let mut snapshot = snapshots::snapshot();
    snapshot.parts.requests =
        vec![(Owner::Reservation(id(1)), text(5)), (Owner::Session(SessionId(uuid(2))), text(6))];
    snapshot
}

#[test]
fn commits_with_requests_are_read_and_written() {
    assert_bytes(&written(&[commit()]), COMMIT);
    assert_eq!(read(&bytes_of(COMMIT)), [commit()]);
}

#[test]
fn snapshots_with_requests_are_read_and_written() {
    let mut written = Vec::new();
    encode_snapshot(&snapshot(), &mut written).unwrap();
    assert_bytes(&written, SNAPSHOT);
    assert_eq!(decode_snapshot(&bytes_of(SNAPSHOT)).unwrap(), snapshot());
}
