//! Any shift and whatever can happen to one.

use lotkeeper_engine::ids::{PaymentId, Pseudonym, ShiftId};
use lotkeeper_engine::lot::shift::{Event, Opened, Shift, Taken};
use lotkeeper_engine::money::Amount;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::strategies::{at, text};

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn amount() -> impl Strategy<Value = Amount> {
    any::<i64>().prop_map(Amount)
}

fn opened() -> impl Strategy<Value = Opened> {
    (uuid(), text(), uuid(), amount()).prop_map(|(id, code, cashier, float)| Opened {
        id: ShiftId(id),
        code,
        cashier: Pseudonym(cashier),
        float,
    })
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        opened().prop_map(|opened| Event::Opened(Box::new(opened))),
        (uuid(), uuid(), any::<bool>(), amount()).prop_map(|(id, payment, by_terminal, amount)| {
            Event::Took { id: ShiftId(id), payment: PaymentId(payment), by_terminal, amount }
        }),
        (uuid(), amount()).prop_map(|(id, counted)| Event::Closed { id: ShiftId(id), counted }),
    ]
}

fn taken() -> impl Strategy<Value = Taken> {
    (amount(), amount(), any::<u32>()).prop_map(|(received, refunded, moves)| Taken {
        received,
        refunded,
        moves,
    })
}

pub fn shift() -> impl Strategy<Value = Shift> {
    let ends = (option::of(amount()), option::of(at()));
    (opened(), taken(), taken(), ends, at(), at(), any::<u32>()).prop_map(
        |(opened, cash, terminal, (counted, closed_at), opened_at, updated_at, version)| Shift {
            id: opened.id,
            code: opened.code,
            cashier: opened.cashier,
            float: opened.float,
            cash,
            terminal,
            counted,
            opened_at,
            closed_at,
            updated_at,
            version,
        },
    )
}
