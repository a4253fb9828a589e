//! What happened to a lot. Facts in the past tense; each is one record of the journal.

use super::command::Service;
use super::reservation::Proof;
use super::tally::Count;
use crate::ids::{Pseudonym, ReservationId, SlotIndex, ZoneIndex};
use crate::spec::{FeatureSet, Place, Rules, Size, Spec};
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
}

/// A lot's own values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotValues {
    /// For people.
    pub name: Box<str>,
    /// Places.
    pub capacity: u32,
    /// Where.
    pub place: Place,
    /// Rules.
    pub rules: Rules,
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
}
