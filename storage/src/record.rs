//! One record: a fact with its place in the one sequence.

use lotkeeper_engine::ids::{LotKey, Pseudonym, SlotIndex};
use lotkeeper_engine::lot::{payment, session, shift};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_engine::{lot, slot};

/// Names an idempotent request: a keyed hash of tenant, subject and key, so that no person is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey(pub u128);

/// An idempotency key in the record of its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose and which key.
    pub key: ClaimKey,
    /// Hash of the request's body: the same key with another body is refused.
    pub fingerprint: u64,
}

/// As what somebody asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything.
    Admin,
    /// Runs lots.
    Operator,
    /// Works in a lot.
    Staff,
    /// Parks.
    Driver,
    /// A sensor, camera or counter.
    Device,
    /// A sign.
    Display,
}

/// Who asked for what a record says. The clear text is the vault's, where it can be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct By {
    /// The subject of the token.
    pub subject: Pseudonym,
    /// Its role.
    pub role: Role,
}

/// What happened, to a slot or to its lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To one slot.
    Slot(SlotIndex, slot::Event),
    /// To the lot.
    Lot(lot::Event),
}

/// A fact of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Place in the one global sequence; the first record has 1; no gaps.
    pub seq: u64,
    /// The lot it belongs to.
    pub lot: LotKey,
    /// Place in the lot's own sequence; `lot.created` has 1; no gaps.
    pub lot_seq: u64,
    /// When the engine decided it.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// Who asked for it; nobody for what the engine did by itself, and in records of frame format 1.
    pub by: Option<By>,
    /// The idempotency key of the request behind it: on the last record of its command only.
    pub claim: Option<Claim>,
}

impl Record {
    /// Whom it names.
    pub(crate) fn people(&self) -> impl Iterator<Item = Pseudonym> {
        let named = match &self.event {
            Event::Lot(lot::Event::Reserved(reserved)) => [Some(reserved.holder), reserved.vehicle],
            Event::Lot(lot::Event::Session(event)) => match event {
                session::Event::Entered(entered) => [entered.holder, entered.vehicle],
                session::Event::Identified { vehicle, .. } => [None, Some(*vehicle)],
                session::Event::Denied(denied) => [None, denied.vehicle],
                _ => [None, None],
            },
            Event::Lot(lot::Event::Payment(
                payment::Event::Recorded(recorded) | payment::Event::Requested(recorded),
            )) => [recorded.cashier, None],
            Event::Lot(lot::Event::Shift(shift::Event::Opened(opened))) => {
                [Some(opened.cashier), None]
            }
            Event::Lot(_) | Event::Slot(..) => [None, None],
        };
        self.by.map(|by| by.subject).into_iter().chain(named.into_iter().flatten())
    }
}
