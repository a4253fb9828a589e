//! What is *promised*: holds and reservations per slot and window, service states, counted occupancy, and
//! every deadline of the lot in one ordered queue.
//!
//! One [`decide`] answers a whole question ("any slot that fits" included), so two promises can never
//! meet. What readers look at ([`Ledger`]) is apart from what only decisions need, which follows from it.
//!
//! Invariants: see [`crate::invariants`]. Absent: what sensors say (the slot's own business; `decide`
//! is told through [`Bays`]), sessions, tariffs and gates.

mod apply;
mod command;
mod decide;
mod event;
mod index;
mod ledger;
mod openings;
mod reservation;
mod tally;
mod timeline;

use std::ops::Deref;
use std::sync::Arc;

pub use apply::{Effect, apply};
pub use command::{
    Caller, Choice, Command, CountOutcome, CountState, LotPatch, Outcome, Rejection, Reserve,
    Service, SlotPatch,
};
pub use decide::{Decision, Events, Heartbeat, decide};
pub use event::{Event, LotValues, Reserved, SlotValues};
pub use index::Deadline;
pub use ledger::Ledger;
pub use openings::{Needs, Openings};
pub use reservation::{Due, Proof, Reservation, State};
pub use tally::{Condition, Count, Tally};
pub use timeline::{Span, Timeline};

use index::Index;

use crate::ids::{ReservationId, SlotIndex};
use crate::limits::RESERVATIONS_PER_SLOT_MAX;
use crate::spec::Spec;
use crate::time::Timestamp;

/// What the lot is told of its bays when a decision touches them. May be one commit old: it decides
/// arrivals and preferences, never whether a slot can be promised.
pub trait Bays {
    /// Whether a vehicle stands there; nothing when it is not known.
    fn occupied(&self, slot: SlotIndex) -> Option<bool>;
}

/// No sensors anywhere.
pub struct NoBays;

impl Bays for NoBays {
    fn occupied(&self, _slot: SlotIndex) -> Option<bool> {
        None
    }
}

/// What is promised on one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// Whether it can be used.
    pub service: Service,
    /// Promises in order of time.
    pub timeline: Timeline,
    /// The reservation it shows as held for.
    pub shown: Option<ReservationId>,
    /// Changes of service state and attributes.
    pub version: u32,
}

impl Promise {
    /// Whether the slot carries as many promises as it may.
    #[must_use]
    pub fn is_booked_out(&self) -> bool {
        self.timeline.spans().len() >= RESERVATIONS_PER_SLOT_MAX
    }

    /// Whether "any slot that fits" may choose it: exactly then its gaps are in the index.
    fn is_offered(&self) -> bool {
        self.service == Service::InService && !self.is_booked_out()
    }
}

/// The state of one lot: what is promised, and what follows from it for the next decision.
///
/// It reads as its [`Ledger`] does; only [`apply`] changes either, and both together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    ledger: Ledger,
    index: Index,
}

/// Everything a lot cannot derive: what a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotParts {
    /// What it is made of.
    pub spec: Arc<Spec>,
    /// Changes of its own values.
    pub version: u32,
    /// Service state and version of every slot, in order.
    pub slots: Vec<(Service, u32)>,
    /// Active reservations in order of id, then ended ones, oldest first.
    pub reservations: Vec<Arc<Reservation>>,
    /// The count.
    pub tally: Tally,
}

impl Deref for Lot {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl From<Ledger> for Lot {
    fn from(ledger: Ledger) -> Self {
        let index = Index::of(&ledger);
        Self { ledger, index }
    }
}

impl Lot {
    /// A new lot without promises.
    #[must_use]
    pub fn new(spec: Arc<Spec>) -> Self {
        Ledger::new(spec).into()
    }

    /// A lot as it was taken apart by [`Ledger::parts`]; everything else is derived.
    #[must_use]
    pub fn from_parts(parts: LotParts) -> Self {
        Ledger::from_parts(parts).into()
    }

    /// What is promised, without what follows from it.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// When something is next due by itself.
    #[must_use]
    pub fn next_due_at(&self) -> Option<Timestamp> {
        self.index.deadlines.get_min().map(|(at, _)| *at)
    }

    /// The index of open gaps.
    #[must_use]
    pub fn openings(&self) -> &Openings {
        &self.index.openings
    }

    /// Takes note of a count that repeats the tally and has no record; see [`crate::slot::Slot::note_heartbeat`].
    pub fn note_count(&mut self, heartbeat: Heartbeat, now: Timestamp) {
        self.ledger.note_count(heartbeat, now);
    }
}
