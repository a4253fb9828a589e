//! What happened to a lot. Facts in the past tense; each is one record of the journal.

use super::command::{Service, TariffChange};
use super::ledger::Posting;
use super::pricing::Price;
use super::reservation::{Proof, Reminder};
use super::tally::Count;
use super::{pass, payment, session, shift, violation, waiting};
use crate::ids::{Pseudonym, ReservationId, SeriesId, SlotIndex, ZoneIndex};
use crate::spec::{About, Allocation, FeatureSet, Place, Rules, Size, Spec, TypeSet};
use crate::time::{Timestamp, Window};
use std::sync::Arc;

/// What happened to a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came to be; always its first event.
    Created(Arc<Spec>),
    /// Its own values changed; all of them are given.
    Changed(Box<LotValues>),
    /// A slot's attributes changed; all of them are given.
    SlotChanged(Box<SlotValues>),
    /// A slot was closed or opened.
    ServiceChanged {
        /// Which.
        slot: SlotIndex,
        /// Its new state.
        service: Service,
    },
    /// A slot was promised.
    Reserved(Box<Reserved>),
    /// A hold became firm.
    Confirmed {
        /// Which.
        id: ReservationId,
    },
    /// A window moved.
    Modified {
        /// Which.
        id: ReservationId,
        /// Its new window.
        window: Window,
        /// What it costs now.
        price: Option<Box<Price>>,
    },
    /// Given up.
    Cancelled {
        /// Which.
        id: ReservationId,
        /// A reason code.
        reason: Option<Box<str>>,
    },
    /// A hold ran out.
    Expired {
        /// Which.
        id: ReservationId,
    },
    /// Its slot shows as held from now on.
    HoldBegan {
        /// Which.
        id: ReservationId,
    },
    /// The vehicle is there.
    CheckedIn {
        /// Which.
        id: ReservationId,
        /// How that is known.
        proof: Proof,
    },
    /// Nobody came; the slot is released.
    NoShow {
        /// Which.
        id: ReservationId,
    },
    /// The window ended after an arrival.
    Completed {
        /// Which.
        id: ReservationId,
    },
    /// Its slot no longer shows as held: it moves elsewhere.
    HoldEnded {
        /// Which.
        id: ReservationId,
    },
    /// Another slot, and the window there.
    Moved(Box<MovedTo>),
    /// It is time to tell its holder.
    Reminded {
        /// Which.
        id: ReservationId,
        /// Of what.
        of: Reminder,
    },
    /// Its holder asks for something in his own words, or for nothing any more.
    Requested {
        /// Which.
        id: ReservationId,
        /// What.
        request: Option<Pseudonym>,
    },
    /// Something about a stay.
    Session(session::Event),
    /// Something about a payment.
    Payment(payment::Event),
    /// Something about a cashier's shift.
    Shift(shift::Event),
    /// Something about a pass.
    Pass(pass::Event),
    /// Something about the waiting list.
    Waiting(waiting::Event),
    /// Something about a violation.
    Violation(violation::Event),
    /// Money moved in the ledger.
    Posted(Box<Posting>),
    /// The tariffs changed.
    TariffsChanged(Box<TariffChange>),
    /// The gates counted.
    Counted {
        /// What.
        count: Count,
        /// When it was seen.
        observed_at: Timestamp,
    },
    /// The gates have been silent for too long.
    CounterFellSilent,
}

/// A promise as made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Identity.
    pub id: ReservationId,
    /// The slot promised.
    pub slot: SlotIndex,
    /// The window promised.
    pub window: Window,
    /// Until when it must be confirmed; confirmed already without.
    pub expires_at: Option<Timestamp>,
    /// Who holds it.
    pub holder: Pseudonym,
    /// For which vehicle.
    pub vehicle: Option<Pseudonym>,
    /// What it costs, and in which terms.
    pub price: Option<Box<Price>>,
    /// The recurring request it is an occurrence of.
    pub series: Option<SeriesId>,
    /// What its holder asks for in his own words.
    pub request: Option<Pseudonym>,
}

/// A promise on another slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTo {
    /// Which.
    pub id: ReservationId,
    /// Its new slot.
    pub slot: SlotIndex,
    /// Its window there.
    pub window: Window,
    /// What it costs now.
    pub price: Option<Box<Price>>,
}

/// A lot's own values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LotValues {
    /// For people.
    pub name: Box<str>,
    /// Places.
    pub capacity: u32,
    /// Where.
    pub place: Place,
    /// Rules.
    pub rules: Rules,
    /// What people are told of it.
    pub about: About,
    /// Which slot is chosen for whoever wants any.
    pub allocation: Allocation,
}

/// A slot's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotValues {
    /// Which.
    pub slot: SlotIndex,
    /// Its zone.
    pub zone: Option<ZoneIndex>,
    /// Its size.
    pub size: Size,
    /// What it offers, in terms of the lot's list after `added_features`.
    pub features: FeatureSet,
    /// Names that the lot's list did not have.
    pub added_features: Vec<Box<str>>,
    /// The types it admits, in terms of the lot's list after `added_vehicle_types`.
    pub vehicle_types: TypeSet,
    /// Names of types that the lot's list did not have.
    pub added_vehicle_types: Vec<Box<str>>,
    /// On foot to the nearest entrance.
    pub walk_metres: Option<u16>,
}

impl LotValues {
    /// As a specification has them.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        Self {
            name: spec.name.clone(),
            capacity: spec.capacity,
            place: spec.place.clone(),
            rules: spec.rules,
            about: spec.about.clone(),
            allocation: spec.allocation.clone(),
        }
    }
}

impl SlotValues {
    /// As a specification has them; nothing for a slot that is not there.
    #[must_use]
    pub fn of(spec: &Spec, slot: SlotIndex) -> Option<Self> {
        let values = spec.slot(slot)?;
        Some(Self {
            slot,
            zone: values.zone,
            size: values.size,
            features: values.features,
            added_features: Vec::new(),
            vehicle_types: values.vehicle_types,
            added_vehicle_types: Vec::new(),
            walk_metres: values.walk_metres,
        })
    }
}
