//! Any pass and whatever can happen to one.

use lotkeeper_engine::ids::SessionId;
use lotkeeper_engine::ids::{PassId, Pseudonym};
use lotkeeper_engine::lot::guest::{Calendar, Guest};
use lotkeeper_engine::lot::pass::{
    Allowance, Event, Limit, Pass, PassTerms, Per, Reach, State, Used,
};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::tariff::{Coverage, Covers};
use lotkeeper_engine::time::{Seconds, Window};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use crate::strategies::{at, text};

fn id() -> impl Strategy<Value = PassId> {
    any::<u128>().prop_map(|id| PassId(Uuid::from_u128(id)))
}

fn person() -> impl Strategy<Value = Pseudonym> {
    any::<u128>().prop_map(|id| Pseudonym(Uuid::from_u128(id)))
}

fn per() -> impl Strategy<Value = Per> {
    select(vec![Per::Day, Per::Week, Per::Month, Per::Total])
}

fn reach() -> impl Strategy<Value = Reach> {
    select(vec![Reach::Lot, Reach::Tenant])
}

fn state() -> impl Strategy<Value = State> {
    select(vec![State::Active, State::Paused, State::Ended])
}

fn calendar() -> impl Strategy<Value = Calendar> {
    (per(), text()).prop_map(|(per, zone)| Calendar { per, zone })
}

fn allowance() -> impl Strategy<Value = Allowance> {
    let limit =
        prop_oneof![any::<u32>().prop_map(Limit::Entries), any::<u32>().prop_map(Limit::Minutes),];
    (limit, per()).prop_map(|(limit, per)| Allowance { limit, per })
}

fn covers() -> impl Strategy<Value = Covers> {
    prop_oneof![
        Just(Covers::Whole),
        any::<u32>().prop_map(|share| Covers::Share(PerMille(share))),
        any::<u32>().prop_map(|first| Covers::First(Seconds(first))),
    ]
}

/// What of a pass goes with a stay.
pub fn coverage() -> impl Strategy<Value = Coverage> {
    (text(), covers()).prop_map(|(code, covers)| Coverage { code, covers })
}

fn terms() -> impl Strategy<Value = PassTerms> {
    let who = (option::of(person()), vec(person(), 0..9));
    let valid = (at(), at()).prop_map(|(from, to)| Window { from, to });
    (text(), who, any::<i64>(), valid, option::of(allowance()), covers()).prop_map(
        |(plan, (holder, vehicles), price, valid, allowance, covers)| PassTerms {
            plan,
            holder,
            vehicles,
            price: Amount(price),
            valid,
            allowance,
            covers,
        },
    )
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (id(), reach(), terms()).prop_map(|(id, reach, terms)| {
            let terms = Box::new(terms);
            Event::Issued { id, reach, terms }
        }),
        (id(), terms()).prop_map(|(id, terms)| Event::Changed { id, terms: Box::new(terms) }),
        id().prop_map(|id| Event::Paused { id }),
        id().prop_map(|id| Event::Resumed { id }),
        id().prop_map(|id| Event::Ended { id }),
        (id(), any::<(i64, u32, u32)>()).prop_map(|(id, (period, entries, stayed))| {
            Event::Used { id, period, entries, stayed: Seconds(stayed) }
        }),
        (id(), any::<(u128, i64)>(), calendar()).prop_map(|(id, (session, period), by)| {
            Event::Honoured { id, session: SessionId(Uuid::from_u128(session)), period, by }
        }),
        (id(), state()).prop_map(|(id, state)| Event::Followed { id, state }),
    ]
}

fn used() -> impl Strategy<Value = Used> {
    any::<(i64, u32, u32)>().prop_map(|(period, entries, stayed)| Used {
        period,
        entries,
        stayed: Seconds(stayed),
    })
}

/// One of another lot.
pub fn guest() -> impl Strategy<Value = Guest> {
    let parts = (id(), state(), calendar(), used());
    parts.prop_map(|(id, state, by, used)| Guest { id, state, by, used })
}

pub fn pass() -> impl Strategy<Value = Pass> {
    (id(), reach(), terms(), state(), used(), at(), at(), any::<u32>()).prop_map(
        |(id, reach, terms, state, used, created_at, updated_at, version)| Pass {
            id,
            reach,
            terms,
            state,
            used,
            created_at,
            updated_at,
            version,
        },
    )
}
