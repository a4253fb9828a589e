//! The waiting list: what happened on it, and what it is at one sequence. Since frame format 3, snapshot
//! format 2.
//!
//! The order of fields and variants is the format: a later format adds variants at the end.

use bincode::{Decode, Encode};
use lotkeeper_engine::lot::Needs as EngineNeeds;
use lotkeeper_engine::lot::waiting::{
    Event, State as EngineState, Waiter as EngineWaiter, WaiterTerms as EngineTerms,
};
use lotkeeper_engine::spec::Size as EngineSize;

use super::lot_event::Window;
use super::spec::Size;
use super::stored::{Stored, choice, record};

choice!(State = EngineState { Waiting, Offered, Left, RanOut, Refused });

record!(
    Needs = EngineNeeds { size: Size, features: u64, zone: Option<u16>, vehicle_type: u64 }
);

impl Stored<EngineSize> for Size {
    fn of(size: &EngineSize) -> Self {
        (*size).into()
    }

    fn engine(self) -> EngineSize {
        self.into()
    }
}

record!(
    WaiterTerms = EngineTerms {
        needs: Needs,
        window: Window,
        holder: [u8; 16],
        vehicle: Option<[u8; 16]>,
        vehicle_type: Option<Box<str>>,
        discounts: Vec<Box<str>>,
    }
);

record!(
    Waiter = EngineWaiter {
        id: [u8; 16],
        terms: WaiterTerms,
        state: State,
        created_at: i64,
        updated_at: i64,
        version: u32,
    }
);

#[derive(Encode, Decode)]
pub(super) enum WaitingEvent {
    Joined { id: [u8; 16], terms: Box<WaiterTerms> },
    Offered { id: [u8; 16] },
    Left { id: [u8; 16] },
    RanOut { id: [u8; 16] },
    Refused { id: [u8; 16] },
}

impl From<&Event> for WaitingEvent {
    fn from(event: &Event) -> Self {
        match event {
            Event::Joined { id, terms } => {
                Self::Joined { id: Stored::of(id), terms: Box::new(Stored::of(&**terms)) }
            }
            Event::Offered { id } => Self::Offered { id: Stored::of(id) },
            Event::Left { id } => Self::Left { id: Stored::of(id) },
            Event::RanOut { id } => Self::RanOut { id: Stored::of(id) },
            Event::Refused { id } => Self::Refused { id: Stored::of(id) },
        }
    }
}

impl From<WaitingEvent> for Event {
    fn from(event: WaitingEvent) -> Self {
        use WaitingEvent as E;
        match event {
            E::Joined { id, terms } => {
                Self::Joined { id: id.engine(), terms: Box::new(terms.engine()) }
            }
            E::Offered { id } => Self::Offered { id: id.engine() },
            E::Left { id } => Self::Left { id: id.engine() },
            E::RanOut { id } => Self::RanOut { id: id.engine() },
            E::Refused { id } => Self::Refused { id: id.engine() },
        }
    }
}
