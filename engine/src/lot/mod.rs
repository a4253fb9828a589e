//! What is *promised*: holds and reservations per slot and window, service states, counted occupancy, and
//! every deadline of the lot in one ordered queue.
//!
//! One [`decide`] answers a whole question ("any slot that fits" included), so two promises can never
//! meet. What readers look at ([`Register`]) is apart from what only decisions need, which follows from it.
//!
//! Invariants: see [`crate::invariants`]. Absent: what sensors say (the slot's own business; `decide`
//! is told through [`Bays`]), sessions, tariffs and gates.

mod apply;
mod class;
mod command;
mod decide;
mod event;
pub mod guest;
mod index;
mod ledger;
mod needs;
mod offered;
mod openings;
pub mod pass;
mod passes;
pub mod payment;
mod pricing;
pub mod provider;
mod register;
mod rejection;
mod report;
mod requests;
mod reservation;
mod scan;
pub mod session;
pub mod shift;
mod stays;
mod tally;
mod timeline;
pub mod violation;
pub mod waiting;

use std::ops::Deref;
use std::sync::Arc;

pub use apply::{Effect, apply};
pub use command::{
    Caller, Choice, Command, CountOutcome, CountState, LotPatch, Outcome, Pay, PaymentStep,
    Reserve, Service, SlotPatch, StayChange, TariffChange,
};
pub use decide::{Decision, Events, Heartbeat, decide};
pub use event::{Event, LotValues, MovedTo, Reserved, SlotValues};
pub use guest::{Guest, Honour, TenantPass};
pub use index::Deadline;
pub use ledger::{Account, Accounts, Entry, Posting, Purpose};
pub use needs::Needs;
pub use openings::Openings;
pub use pass::{Pass, PassChange};
pub use passes::Passes;
pub use payment::{Payment, Payments};
pub use pricing::{Ask, Bill, Price, Terms};
pub use register::Register;
pub use rejection::Rejection;
pub use report::{Report, ViolationChange};
pub use requests::Requests;
pub use reservation::{Due, Proof, Reminder, Reservation, State};
pub use scan::{Credential, Scan, Scanner};
pub use session::Session;
pub use shift::{Shift, Shifts};
pub use stays::{Moved, Stays};
pub use tally::{Condition, Count, Tally};
pub use timeline::{Owner, Span, Timeline};
pub use violation::{Violation, Violations};
pub use waiting::{Waiter, WaiterTerms, WaitingList};

use index::Index;

use crate::ids::{Pseudonym, ReservationId, SlotIndex};
use crate::limits::RESERVATIONS_PER_SLOT_MAX;
use crate::money::{Amount, PerMille};
use crate::spec::Spec;
use crate::tariff::{Assignment, Tariff};
use crate::time::Timestamp;

/// What the lot is told of its bays when a decision touches them. May be one commit old: it decides
/// arrivals and preferences, never whether a slot can be promised.
pub trait Bays {
    /// Whether a vehicle stands there; nothing when it is not known.
    fn occupied(&self, slot: SlotIndex) -> Option<bool>;
    /// Since when it is as it is, by the engine's clock.
    fn occupied_since(&self, _slot: SlotIndex) -> Option<Timestamp> {
        None
    }
    /// How full the lot is, for prices that hang on demand.
    fn occupancy(&self) -> PerMille;
}

/// No sensors anywhere.
pub struct NoBays;

impl Bays for NoBays {
    fn occupied(&self, _slot: SlotIndex) -> Option<bool> {
        None
    }

    fn occupancy(&self) -> PerMille {
        PerMille(0)
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
/// It reads as its [`Register`] does; only [`apply`] changes either, and both together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    register: Register,
    index: Index,
}

/// Everything a lot cannot derive: what a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Stays inside in order of id, then ended ones, oldest first.
    pub sessions: Vec<Arc<Session>>,
    /// Payments, oldest first.
    pub payments: Vec<Arc<Payment>>,
    /// Passes that go on in order of id, then ended ones, oldest first.
    pub passes: Vec<Arc<Pass>>,
    /// Passes of other lots that were used here, in order of id.
    pub guests: Vec<Guest>,
    /// Who waits in the order of joining, then ended places, oldest first.
    pub waiting: Vec<Arc<Waiter>>,
    /// Open shifts in order of id, then closed ones, oldest first.
    pub shifts: Vec<Arc<Shift>>,
    /// Open violations in order of id, then ended ones, oldest first.
    pub violations: Vec<Arc<Violation>>,
    /// Number of postings, and the balances that are not zero.
    pub accounts: (u64, Vec<(Account, Amount)>),
    /// Tariffs in all versions.
    pub tariffs: Vec<Arc<Tariff>>,
    /// Where they apply.
    pub assignments: Vec<Assignment>,
    /// What people ask for, in order of what it is about.
    pub requests: Vec<(Owner, Pseudonym)>,
}

impl Deref for Lot {
    type Target = Register;

    fn deref(&self) -> &Register {
        &self.register
    }
}

impl From<Register> for Lot {
    fn from(register: Register) -> Self {
        let index = Index::of(&register);
        Self { register, index }
    }
}

impl Lot {
    /// A new lot without promises.
    #[must_use]
    pub fn new(spec: Arc<Spec>) -> Self {
        Register::new(spec).into()
    }

    /// A lot as it was taken apart by [`Register::parts`]; everything else is derived.
    #[must_use]
    pub fn from_parts(parts: LotParts) -> Self {
        Register::from_parts(parts).into()
    }

    /// What is promised, without what follows from it.
    #[must_use]
    pub fn register(&self) -> &Register {
        &self.register
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
        self.register.note_count(heartbeat, now);
    }
}
