//! Any violation and whatever can happen to one.

use lotkeeper_engine::ids::{PassId, Pseudonym, ReservationId, SessionId, SlotIndex, ViolationId};
use lotkeeper_engine::lot::Owner;
use lotkeeper_engine::lot::violation::{
    Amended, Event, Evidence, Kind, Raised, Severity, State, Violation,
};
use lotkeeper_engine::money::Amount;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::strategies::{at, text};

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn id() -> impl Strategy<Value = ViolationId> {
    uuid().prop_map(ViolationId)
}

fn person() -> impl Strategy<Value = Pseudonym> {
    uuid().prop_map(Pseudonym)
}

pub fn owner() -> impl Strategy<Value = Owner> {
    prop_oneof![
        uuid().prop_map(|id| Owner::Reservation(ReservationId(id))),
        uuid().prop_map(|id| Owner::Session(SessionId(id))),
        person().prop_map(Owner::Vehicle),
        uuid().prop_map(|id| Owner::Pass(PassId(id))),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        proptest::sample::select(Kind::KNOWN.to_vec()),
        text().prop_map(|code| Kind::of(&code)),
    ]
}

fn severity() -> impl Strategy<Value = Severity> {
    proptest::sample::select(vec![Severity::Minor, Severity::Serious, Severity::Severe])
}

pub fn amount() -> impl Strategy<Value = Amount> {
    any::<i64>().prop_map(Amount)
}

fn evidence() -> impl Strategy<Value = Vec<Evidence>> {
    vec((text(), text()).prop_map(|(kind, reference)| Evidence { kind, reference }), 0..4)
}

fn raised() -> impl Strategy<Value = Raised> {
    let what = (id(), kind(), severity(), any::<bool>(), at());
    let about = (option::of(uuid()), any::<Option<u16>>(), option::of(person()));
    (what, about, option::of(person()), option::of(owner()), amount(), evidence()).prop_map(
        |((id, kind, severity, detected, since), about, holder, account, penalty, evidence)| {
            Raised {
                id,
                kind,
                severity,
                detected,
                since,
                session: about.0.map(SessionId),
                slot: about.1.map(SlotIndex),
                vehicle: about.2,
                holder,
                account,
                penalty,
                evidence,
            }
        },
    )
}

pub fn event() -> impl Strategy<Value = Event> {
    let amended =
        (id(), severity(), option::of(person()), option::of(owner()), amount(), evidence())
            .prop_map(|(id, severity, vehicle, account, penalty, evidence)| Amended {
                id,
                severity,
                vehicle,
                account,
                penalty,
                evidence,
            });
    prop_oneof![
        raised().prop_map(|raised| Event::Raised(Box::new(raised))),
        amended.prop_map(|amended| Event::Amended(Box::new(amended))),
        (id(), any::<u8>(), amount()).prop_map(|(id, number, fee)| Event::Notified {
            id,
            number,
            fee
        }),
        id().prop_map(|id| Event::Paid { id }),
        (id(), option::of(text())).prop_map(|(id, reason)| Event::Appealed { id, reason }),
        (id(), option::of(text())).prop_map(|(id, reason)| Event::Waived { id, reason }),
        (id(), option::of(text())).prop_map(|(id, reason)| Event::Resolved { id, reason }),
    ]
}

pub fn violation() -> impl Strategy<Value = Violation> {
    let states = vec![
        State::Open,
        State::Notified,
        State::Appealed,
        State::Paid,
        State::Waived,
        State::Resolved,
    ];
    let told = (any::<u8>(), option::of(at()), option::of(text()));
    let paid = (option::of(at()), any::<Option<u64>>());
    let state = proptest::sample::select(states);
    (raised(), state, (told, paid), at(), at(), any::<u32>()).prop_map(
        |(raised, state, (told, (paid_at, charge)), created_at, updated_at, version)| {
            let (notices, notified_at, reason) = told;
            let Raised { id, kind, severity, detected, since, session, slot, .. } = raised;
            let Raised { vehicle, holder, account, penalty, evidence, .. } = raised;
            Violation {
                id,
                kind,
                severity,
                state,
                detected,
                since,
                session,
                slot,
                vehicle,
                holder,
                account,
                penalty,
                evidence,
                notices,
                notified_at,
                paid_at,
                charge,
                reason,
                created_at,
                updated_at,
                version,
            }
        },
    )
}
