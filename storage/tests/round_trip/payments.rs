//! Any payment and whatever can happen to one.

use lotkeeper_engine::ids::{PassId, PaymentId, Pseudonym, ReservationId, SessionId};
use lotkeeper_engine::lot::Owner;
use lotkeeper_engine::lot::payment::{Event, Method, Payment, Recorded, State};
use lotkeeper_engine::lot::provider::{Intent, Transfer};
use lotkeeper_engine::money::Amount;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::strategies::{at, text};

fn id() -> impl Strategy<Value = PaymentId> {
    any::<u128>().prop_map(|id| PaymentId(Uuid::from_u128(id)))
}

fn amount() -> impl Strategy<Value = Amount> {
    any::<i64>().prop_map(Amount)
}

fn transfer() -> impl Strategy<Value = Transfer> {
    prop_oneof![
        Just(Transfer::Authorise),
        amount().prop_map(Transfer::Capture),
        Just(Transfer::Void),
        amount().prop_map(Transfer::Refund),
    ]
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let about = any::<u128>().prop_map(Uuid::from_u128).prop_flat_map(|id| {
        prop_oneof![
            Just(Owner::Reservation(ReservationId(id))),
            Just(Owner::Session(SessionId(id))),
            Just(Owner::Vehicle(Pseudonym(id))),
            Just(Owner::Pass(PassId(id))),
        ]
    });
    let method =
        prop_oneof![Just(Method::Cash), Just(Method::Terminal), text().prop_map(Method::Provider)];
    let cashier = option::of(any::<u128>().prop_map(|id| Pseudonym(Uuid::from_u128(id))));
    let texts = (option::of(text()), option::of(text()));
    (id(), about, method, amount(), any::<bool>(), texts, cashier).prop_map(
        |(id, about, method, amount, is_promise, (shift, reference), cashier)| Recorded {
            id,
            about,
            method,
            amount,
            is_promise,
            shift,
            cashier,
            reference,
        },
    )
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        recorded().prop_map(|recorded| Event::Recorded(Box::new(recorded))),
        recorded().prop_map(|recorded| Event::Requested(Box::new(recorded))),
        id().prop_map(|id| Event::Captured { id }),
        id().prop_map(|id| Event::Voided { id }),
        id().prop_map(|id| Event::Failed { id }),
        (id(), amount()).prop_map(|(id, amount)| Event::Refunded { id, amount }),
        (id(), transfer()).prop_map(|(id, what)| Event::Asked { id, what }),
        (id(), option::of(text())).prop_map(|(id, reference)| Event::Authorised { id, reference }),
        (id(), amount()).prop_map(|(id, amount)| Event::PartCaptured { id, amount }),
        (id(), text()).prop_map(|(id, reason)| Event::Refused { id, reason }),
    ]
}

pub fn payment() -> impl Strategy<Value = Payment> {
    let states = [
        State::Authorised,
        State::Captured,
        State::Voided,
        State::PartlyRefunded,
        State::Refunded,
        State::Failed,
        State::Pending,
    ];
    let asked = (transfer(), any::<u32>(), at());
    let asked = option::of(asked.prop_map(|(what, number, at)| Intent { what, number, at }));
    let state = proptest::sample::select(states.to_vec());
    let last = (amount(), option::of(text()), at(), at(), any::<u32>());
    (recorded(), state, asked, last).prop_map(|(recorded, state, asked, last)| Payment {
        id: recorded.id,
        about: recorded.about,
        method: recorded.method,
        state,
        amount: recorded.amount,
        refunded: last.0,
        asked,
        reason: last.1,
        shift: recorded.shift,
        cashier: recorded.cashier,
        reference: recorded.reference,
        created_at: last.2,
        updated_at: last.3,
        version: last.4,
    })
}
