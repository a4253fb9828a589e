//! A lot at one sequence, with its claims: what recovery starts from.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, SlotIndex};
use lotkeeper_engine::lot::{CountOutcome, CountState, LotParts, Reservation};
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
