//! What becomes of counts and readings.

use lotkeeper_engine::{lot, slot};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mirror! {
    /// Whether a count can be true.
    Condition = lot::Condition {
        /// Between zero and the capacity.
        Consistent = "consistent",
        /// More vehicles than places.
        AboveCapacity = "above_capacity",
        /// Fewer than none.
        BelowZero = "below_zero",
        /// No count yet.
        NeverCounted = "never_counted",
        /// No count for longer than the lot's rule.
        Silent = "silent",
    }
}

mirror! {
    /// What a count did.
    CountOutcome = lot::CountOutcome {
        /// It moved the tally.
        Accepted = "accepted",
        /// It repeats the tally.
        Unchanged = "unchanged",
        /// The same count of the same moment was taken before.
        Duplicate = "duplicate",
        /// A newer absolute count was taken before.
        Late = "late",
    }
}

vocabulary! {
    /// Why one reading of an accepted batch was refused.
    ReadingRefusal {
        /// The lot has no slot of that code or id.
        SlotNotFound = "slot_not_found",
        /// Observed further ahead than the lot's rule allows.
        ReadingInFuture = "reading_in_future",
        /// The lot has no slots at all.
        LotNotBayed = "lot_not_bayed",
    }
}

impl From<slot::Rejection> for ReadingRefusal {
    fn from(rejection: slot::Rejection) -> Self {
        match rejection {
            slot::Rejection::InFuture { .. } => Self::ReadingInFuture,
        }
    }
}
