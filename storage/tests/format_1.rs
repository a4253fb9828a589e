//! Format 1 as it was released: these bytes are read for ever, field by field. Snapshots and tips are still
//! written so; frames are written in format 2, which `format_2.rs` has.
//!
//! The files under `fixtures/format-1` are never made anew. A change that this test refuses is a new
//! format: it gets a version, a reader beside the old one, and a fixture of its own.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;
#[path = "common/samples.rs"]
mod samples;

use std::sync::Arc;

use common::{spec, uuid};
use lotkeeper_engine::ids::{LotKey, Pseudonym, SlotIndex};
use lotkeeper_engine::lot::{
    Condition, CountOutcome, CountState, LotParts, Proof, Reservation, Service, State, Tally,
};
use lotkeeper_engine::slot::{Hearing, Mark, Slot, Source};
use lotkeeper_engine::spec::{Kind, Spec};
use lotkeeper_engine::time::Window;
use lotkeeper_storage::format::{Frame, Tip, decode_snapshot, encode_snapshot};
use lotkeeper_storage::{Claim, ClaimKey, ClaimOutcome, LotSnapshot, RememberedClaim};
use samples::{EPOCH, after, assert_bytes, bytes_of, commits, id, read};

const COMMITS: &str = include_str!("fixtures/format-1/commits.hex");
const SNAPSHOT: &str = include_str!("fixtures/format-1/snapshot.hex");
const TIP: &str = include_str!("fixtures/format-1/tip.hex");

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

/// Nobody is named in them: format 1 had no place for it.
#[test]
fn commits_of_format_1_are_read() {
    assert_eq!(read(&bytes_of(COMMITS)), commits(|_| None));
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
    let tip = Tip::bare(EPOCH, 4_242);
    assert_bytes(&tip.to_bytes(), TIP);
    assert_eq!(Tip::from_bytes(&bytes_of(TIP)).unwrap(), tip);
}

#[test]
fn a_later_format_is_refused_by_name() {
    let mut frame = bytes_of(COMMITS);
    frame[4] = 3;
    let refused = Frame::read(&frame).unwrap_err();
    assert_eq!(refused.to_string(), "frame has format 3, this release reads up to 2");
    let mut snapshot = bytes_of(SNAPSHOT);
    snapshot[4] = 9;
    let refused = decode_snapshot(&snapshot).unwrap_err();
    assert_eq!(refused.to_string(), "snapshot has format 9, this release reads up to 1");
}
