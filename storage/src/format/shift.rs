//! Shifts: what happened to them, and what they are at one sequence. Since frame format 3, snapshot format 2.
//!
//! The order of fields and variants is the format: a later format adds variants at the end.

use bincode::{Decode, Encode};
use lotkeeper_engine::lot::shift::{
    Event, Opened as EngineOpened, Shift as EngineShift, Taken as EngineTaken,
};

use super::stored::{Stored, record};

record!(Taken = EngineTaken { received: i64, refunded: i64, moves: u32 });
record!(Opened = EngineOpened { id: [u8; 16], code: Box<str>, cashier: [u8; 16], float: i64 });

record!(
    Shift = EngineShift {
        id: [u8; 16],
        code: Box<str>,
        cashier: [u8; 16],
        float: i64,
        cash: Taken,
        terminal: Taken,
        counted: Option<i64>,
        opened_at: i64,
        closed_at: Option<i64>,
        updated_at: i64,
        version: u32,
    }
);

#[derive(Encode, Decode)]
pub(super) enum ShiftEvent {
    Opened(Box<Opened>),
    Took { id: [u8; 16], payment: [u8; 16], by_terminal: bool, amount: i64 },
    Closed { id: [u8; 16], counted: i64 },
}

impl From<&Event> for ShiftEvent {
    fn from(event: &Event) -> Self {
        match event {
            Event::Opened(opened) => Self::Opened(Box::new(Stored::of(&**opened))),
            Event::Took { id, payment, by_terminal, amount } => Self::Took {
                id: Stored::of(id),
                payment: Stored::of(payment),
                by_terminal: *by_terminal,
                amount: Stored::of(amount),
            },
            Event::Closed { id, counted } => {
                Self::Closed { id: Stored::of(id), counted: Stored::of(counted) }
            }
        }
    }
}

impl From<ShiftEvent> for Event {
    fn from(event: ShiftEvent) -> Self {
        use ShiftEvent as E;
        match event {
            E::Opened(opened) => Self::Opened(Box::new(opened.engine())),
            E::Took { id, payment, by_terminal, amount } => Self::Took {
                id: id.engine(),
                payment: payment.engine(),
                by_terminal,
                amount: amount.engine(),
            },
            E::Closed { id, counted } => {
                Self::Closed { id: id.engine(), counted: counted.engine() }
            }
        }
    }
}
