//! What staff say of a violation: that they saw one, and what becomes of one.
//!
//! Absent: what a violation is (`violation.rs`), and whether it is done (`decide/violation.rs`).

use super::violation::{Evidence, Kind, Severity};
use crate::ids::{Pseudonym, SessionId, SlotIndex, ViolationId};
use crate::money::Amount;
use crate::time::Timestamp;

/// A violation that staff saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Identity of the violation to be.
    pub id: ViolationId,
    /// What is wrong.
    pub kind: Kind,
    /// How bad it is; as its kind is, without.
    pub severity: Option<Severity>,
    /// When it was seen.
    pub seen_at: Option<Timestamp>,
    /// The stay; that of the vehicle or on the slot, without.
    pub session: Option<SessionId>,
    /// On which slot.
    pub slot: Option<SlotIndex>,
    /// The vehicle.
    pub vehicle: Option<Pseudonym>,
    /// What is to be paid for it.
    pub penalty: Amount,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

/// What becomes of a violation. Reasons are codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViolationChange {
    /// More is known; what is `None` stays.
    Amend {
        /// How bad it is.
        severity: Option<Severity>,
        /// The vehicle.
        vehicle: Option<Pseudonym>,
        /// What is to be paid for it in all.
        penalty: Option<Amount>,
        /// What shows it, as a whole.
        evidence: Option<Vec<Evidence>>,
    },
    /// Whoever did it is told now.
    Notify,
    /// He says that it is wrong.
    Appeal {
        /// Why.
        reason: Option<Box<str>>,
    },
    /// It is given up, the penalty as well.
    Waive {
        /// Why.
        reason: Option<Box<str>>,
    },
    /// It is over; the penalty stays.
    Resolve {
        /// Why.
        reason: Option<Box<str>>,
    },
}
