//! Any place on a waiting list and whatever can happen to one.

use lotkeeper_engine::ids::{Pseudonym, WaitingId, ZoneIndex};
use lotkeeper_engine::lot::Needs;
use lotkeeper_engine::lot::waiting::{Event, State, Waiter, WaiterTerms};
use lotkeeper_engine::spec::{FeatureSet, Size, TypeSet};
use lotkeeper_engine::time::Window;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::strategies::{at, text};

fn id() -> impl Strategy<Value = WaitingId> {
    any::<u128>().prop_map(|id| WaitingId(Uuid::from_u128(id)))
}

fn person() -> impl Strategy<Value = Pseudonym> {
    any::<u128>().prop_map(|id| Pseudonym(Uuid::from_u128(id)))
}

fn needs() -> impl Strategy<Value = Needs> {
    let size = proptest::sample::select(Size::ALL.to_vec());
    (size, any::<u64>(), option::of(any::<u16>()), any::<u64>()).prop_map(
        |(size, features, zone, vehicle_type)| Needs {
            size,
            features: FeatureSet(features),
            zone: zone.map(ZoneIndex),
            vehicle_type: TypeSet(vehicle_type),
        },
    )
}

fn terms() -> impl Strategy<Value = WaiterTerms> {
    let window = (at(), at()).prop_map(|(from, to)| Window { from, to });
    let priced = (option::of(text()), vec(text(), 0..3));
    (needs(), window, person(), option::of(person()), priced).prop_map(
        |(needs, window, holder, vehicle, (vehicle_type, discounts))| WaiterTerms {
            needs,
            window,
            holder,
            vehicle,
            vehicle_type,
            discounts: discounts.into(),
        },
    )
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (id(), terms()).prop_map(|(id, terms)| Event::Joined { id, terms: Box::new(terms) }),
        id().prop_map(|id| Event::Offered { id }),
        id().prop_map(|id| Event::Left { id }),
        id().prop_map(|id| Event::RanOut { id }),
        id().prop_map(|id| Event::Refused { id }),
    ]
}

pub fn waiter() -> impl Strategy<Value = Waiter> {
    let states = [State::Waiting, State::Offered, State::Left, State::RanOut, State::Refused];
    let state = proptest::sample::select(states.to_vec());
    (id(), terms(), state, at(), at(), any::<u32>()).prop_map(
        |(id, terms, state, created_at, updated_at, version)| Waiter {
            id,
            terms,
            state,
            created_at,
            updated_at,
            version,
        },
    )
}
