//! A lot at one sequence, with its claims: what recovery starts from.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, SeriesId, SlotIndex};
use lotkeeper_engine::lot::session::Scanned;
use lotkeeper_engine::lot::{
    CountOutcome, CountState, LotParts, Pass, Payment, Reservation, Session, Shift, Violation,
    Waiter,
};
use lotkeeper_engine::slot::Slot;
use lotkeeper_engine::time::Timestamp;

use crate::record::Claim;

/// The first answer to an idempotent request, for the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The lot was created or changed.
    Lot {
        /// Its version then.
        version: u32,
    },
    /// A slot was changed.
    Slot {
        /// Which.
        slot: SlotIndex,
        /// Its version then.
        version: u32,
    },
    /// The reservation as it was then.
    Reservation(Arc<Reservation>),
    /// The count as it was then.
    Count(CountOutcome, CountState),
    /// What the gate answered, and the stay as it was then.
    Scanned(Scanned, Option<Arc<Session>>),
    /// The stay as it was then.
    Session(Arc<Session>),
    /// The payment as it was then.
    Payment(Arc<Payment>),
    /// The recurring request: its reservations are looked up.
    Series(SeriesId),
    /// The tariffs were changed.
    Tariffs,
    /// The pass as it was then.
    Pass(Arc<Pass>),
    /// The place on the waiting list as it was then.
    Waiting(Arc<Waiter>),
    /// The shift as it was then.
    Shift(Arc<Shift>),
    /// The violation as it was then.
    Violation(Arc<Violation>),
}

/// A remembered claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedClaim {
    /// Key and fingerprint.
    pub claim: Claim,
    /// Record time of the effect; it is remembered for a published time from then.
    pub at: Timestamp,
    /// The lot's sequence after the effect.
    pub lot_seq: u64,
    /// The first answer.
    pub outcome: ClaimOutcome,
}

/// A lot at one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotSnapshot {
    /// Which lot.
    pub lot: LotKey,
    /// Everything up to this global sequence is in it.
    pub seq: u64,
    /// The lot's sequence then.
    pub lot_seq: u64,
    /// Record time of the newest record in it.
    pub at: Timestamp,
    /// What is promised.
    pub parts: LotParts,
    /// What is, slot by slot.
    pub slots: Vec<Slot>,
    /// Idempotency keys, oldest first.
    pub claims: Vec<RememberedClaim>,
}
