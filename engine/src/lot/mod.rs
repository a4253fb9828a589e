//! What is *promised*: holds and reservations per slot and window, service states, counted occupancy, and
//! every deadline of the lot in one ordered queue.
//!
//! One [`decide`] answers a whole question ("any slot that fits" included), so two promises can never
//! meet. The parts that grow are persistent or shared by reference: a reader takes a copy of the whole
//! lot for the price of a few pointers.
//!
//! Invariants: see [`crate::invariants`]. Absent: what sensors say (the slot's own business; `decide`
//! is told through [`Bays`]), sessions, tariffs and gates.

mod apply;
mod command;
mod decide;
mod event;
mod openings;
mod reservation;
mod tally;
mod timeline;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};

pub use apply::apply;
pub use command::{
    Caller, Choice, Command, CountOutcome, CountState, LotPatch, Outcome, Rejection, Reserve,
    Service, SlotPatch,
};
pub use decide::{Decision, Events, Heartbeat, decide};
pub use event::{Event, LotValues, Reserved, SlotValues};
pub use openings::{Needs, Openings};
pub use reservation::{Due, Proof, Reservation, State};
pub use tally::{Condition, Count, Tally};
pub use timeline::{Span, Timeline};

use crate::ids::{Pseudonym, ReservationId, SlotIndex};
use crate::limits::RESERVATIONS_PER_SLOT_MAX;
use crate::spec::{Kind, Spec};
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

/// What becomes due by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deadline {
    /// The next move of a reservation.
    Reservation(ReservationId),
    /// The end of a closure.
    Service(SlotIndex),
}

/// The state of one lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    spec: Arc<Spec>,
    version: u32,
    promises: Vector<Promise>,
    reservations: OrdMap<ReservationId, Arc<Reservation>>,
    /// Ended reservations, oldest first.
    ended: Vector<ReservationId>,
    active_of: OrdMap<Pseudonym, u32>,
    deadlines: OrdSet<(Timestamp, Deadline)>,
    openings: Openings,
    tally: Tally,
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

impl Lot {
    /// A new lot without promises.
    #[must_use]
    pub fn new(spec: Arc<Spec>) -> Self {
        let slots = vec![(Service::InService, 0); spec.slots.len()];
        Self::from_parts(LotParts {
            spec,
            version: 1,
            slots,
            reservations: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// A lot as it was taken apart by [`Lot::parts`]; everything else is derived. Total: the specification
    /// says how many slots there are, whatever number of states a damaged snapshot brings.
    #[must_use]
    pub fn from_parts(parts: LotParts) -> Self {
        let openings = Openings::of(&parts.spec.slots);
        let mut states = parts.slots.into_iter();
        let promises = parts.spec.slot_indices().map(|_| {
            let (service, version) = states.next().unwrap_or_default();
            Promise { service, version, ..Promise::default() }
        });
        let mut lot = Self {
            promises: promises.collect(),
            spec: parts.spec,
            version: parts.version,
            reservations: OrdMap::new(),
            ended: Vector::new(),
            active_of: OrdMap::new(),
            deadlines: OrdSet::new(),
            openings,
            tally: parts.tally,
        };
        lot.derive(parts.reservations);
        lot
    }

    /// What a snapshot must hold.
    #[must_use]
    pub fn parts(&self) -> LotParts {
        let active = self.reservations.values().filter(|r| r.state.is_active()).cloned();
        let ended = self.ended.iter().filter_map(|id| self.reservations.get(id)).cloned();
        LotParts {
            spec: Arc::clone(&self.spec),
            version: self.version,
            slots: self.promises.iter().map(|p| (p.service.clone(), p.version)).collect(),
            reservations: active.chain(ended).collect(),
            tally: self.tally,
        }
    }

    /// What it is made of.
    #[must_use]
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// Changes of the lot's own values.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What is promised on a slot.
    #[must_use]
    pub fn promise(&self, slot: SlotIndex) -> Option<&Promise> {
        self.promises.get(slot.at())
    }

    /// What is promised, slot by slot.
    pub fn promises(&self) -> impl Iterator<Item = &Promise> {
        self.promises.iter()
    }

    /// A reservation, active or ended not long ago.
    #[must_use]
    pub fn reservation(&self, id: ReservationId) -> Option<&Arc<Reservation>> {
        self.reservations.get(&id)
    }

    /// All reservations the lot remembers, in order of id.
    pub fn reservations(&self) -> impl Iterator<Item = &Arc<Reservation>> {
        self.reservations.values()
    }

    /// Reservations after `after` in order of id: a page of a list.
    pub fn reservations_after(
        &self,
        after: Option<ReservationId>,
    ) -> impl Iterator<Item = &Arc<Reservation>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.reservations.range((start, Unbounded)).map(|(_, reservation)| reservation)
    }

    /// The ended reservation that is forgotten next.
    #[must_use]
    pub fn oldest_ended(&self) -> Option<ReservationId> {
        self.ended.front().copied()
    }

    /// When something is next due by itself.
    #[must_use]
    pub fn next_due_at(&self) -> Option<Timestamp> {
        self.deadlines.get_min().map(|(at, _)| *at)
    }

    /// The index of open gaps.
    #[must_use]
    pub fn openings(&self) -> &Openings {
        &self.openings
    }

    /// The count of a counted lot.
    #[must_use]
    pub fn tally(&self) -> Option<&Tally> {
        match self.spec.kind {
            Kind::Counted => Some(&self.tally),
            Kind::Bayed => None,
        }
    }

    /// The count judged against the capacity, for an answer.
    #[must_use]
    pub fn count_state(&self) -> CountState {
        CountState {
            occupied: self.tally.occupied,
            condition: self.tally.condition(self.spec.capacity),
            drift: self.tally.drift,
        }
    }

    /// Takes note of a count that repeats the tally and has no record; see [`crate::slot::Slot::note_heartbeat`].
    pub fn note_count(&mut self, heartbeat: Heartbeat, now: Timestamp) {
        let observed_at = Some(heartbeat.observed_at);
        if heartbeat.absolute {
            self.tally.absolute_at = self.tally.absolute_at.max(observed_at);
        }
        self.tally.observed_at = self.tally.observed_at.max(observed_at);
        self.tally.heard_at = now;
    }

    /// When the counter must have been heard again, or it is silent.
    #[must_use]
    pub fn counter_due_at(&self, listening_since: Timestamp) -> Option<Timestamp> {
        let tally = self.tally()?;
        let live = tally.observed_at.is_some() && tally.silent_since.is_none();
        live.then(|| tally.heard_at.max(listening_since).plus(self.spec.rules.silence))
    }
}
