//! What the tests of the formats share: a snapshot that has something of everything.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, Pseudonym, SlotIndex};
use lotkeeper_engine::lot::{
    Condition, CountOutcome, CountState, LotParts, Proof, Reservation, Service, State, Tally,
};
use lotkeeper_engine::slot::{Hearing, Mark, Slot, Source};
use lotkeeper_engine::spec::{Kind, Spec};
use lotkeeper_engine::time::Window;
use lotkeeper_storage::{Claim, ClaimKey, ClaimOutcome, LotSnapshot, RememberedClaim};

use crate::common::{spec, uuid};
use crate::samples::{after, id};

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
            price: None,
            series: None,
            reminded: None,
        })
    };
    (1..).zip(states).map(reservation).collect()
}

pub fn snapshot() -> LotSnapshot {
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
            ..LotParts::default()
        },
        slots: vec![heard, Slot::default()],
        claims: (1..).zip(outcomes).map(claim).collect(),
    }
}
