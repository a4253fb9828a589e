//! States of a lot, its slots, reservations and claims as snapshots hold them, and the whole body of a snapshot
//! of format 1, which is read only. Times are absolute here: states are old and new alike.

use std::sync::Arc;

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::limits::READING_IDS_KEPT;
use lotkeeper_engine::lot::{
    Condition as EngineCondition, CountOutcome as EngineCountOutcome, CountState as EngineCounted,
    Reservation as EngineReservation, State as EngineState, Tally as EngineTally,
};
use lotkeeper_engine::slot;
use lotkeeper_engine::time::Timestamp;

use super::FormatError;
use super::event::{Claim, Source};
use super::lot_event::{Proof, Service, Window, pseudonym, reservation_id};
use super::snapshot::SnapshotHead;
use super::spec::{Spec, mirror};
use crate::snapshot::{ClaimOutcome as Outcome, LotSnapshot, RememberedClaim};

mirror!(Condition = EngineCondition { Consistent, AboveCapacity, BelowZero, NeverCounted, Silent });
mirror!(CountOutcome = EngineCountOutcome { Accepted, Unchanged, Duplicate, Late });

/// Reading ids that a slot of format 1 holds.
const FORMAT_1_READING_IDS: usize = 4;
const _: () =
    assert!(READING_IDS_KEPT == FORMAT_1_READING_IDS, "another number needs another format");

#[derive(Encode, Decode)]
struct Hearing {
    occupied: bool,
    since: i64,
    changed_at: i64,
    mark_observed_at: i64,
    mark_sequence: u64,
    heard_at: i64,
    recorded_at: i64,
    source: Source,
    confidence_percent: Option<u8>,
}

#[derive(Encode, Decode)]
pub(super) struct Slot {
    version: u32,
    hearing: Option<Hearing>,
    silent_since: Option<i64>,
    flaps: u8,
    recent_ids: [u64; FORMAT_1_READING_IDS],
}

#[derive(Encode, Decode)]
pub(super) enum State {
    Held { expires_at: i64 },
    Confirmed,
    CheckedIn { proof: Proof },
    Completed,
    Cancelled,
    Expired,
    NoShow,
}

#[derive(BorrowDecode)]
pub(super) struct Reservation<'a> {
    id: [u8; 16],
    slot: u16,
    window: Window,
    state: State,
    holder: [u8; 16],
    vehicle: Option<[u8; 16]>,
    reason: Option<&'a str>,
    shown: bool,
    created_at: i64,
    updated_at: i64,
    version: u32,
}

#[derive(Encode, Decode)]
pub(super) struct Tally {
    occupied: i64,
    drift: i64,
    flowed: bool,
    absolute_at: Option<i64>,
    observed_at: Option<i64>,
    heard_at: i64,
    recorded_at: i64,
    silent_since: Option<i64>,
}

#[derive(BorrowDecode)]
enum ClaimOutcome<'a> {
    Lot { version: u32 },
    Slot { slot: u16, version: u32 },
    Reservation(Box<Reservation<'a>>),
    Count { outcome: CountOutcome, occupied: i64, condition: Condition, drift: i64 },
}

#[derive(BorrowDecode)]
pub(super) struct Remembered<'a> {
    claim: Claim,
    at: i64,
    lot_seq: u64,
    outcome: ClaimOutcome<'a>,
}

/// What follows the head of a snapshot of format 1.
#[derive(BorrowDecode)]
pub(super) struct Body<'a> {
    spec: Spec<'a>,
    version: u32,
    services: Vec<(Service<'a>, u32)>,
    reservations: Vec<Reservation<'a>>,
    tally: Tally,
    slots: Vec<Slot>,
    claims: Vec<Remembered<'a>>,
}

impl Body<'_> {
    pub(super) fn into_engine(self, head: &SnapshotHead) -> Result<LotSnapshot, FormatError> {
        let spec: Arc<lotkeeper_engine::spec::Spec> = self.spec.try_into()?;
        let (wanted, services, slots) = (spec.slots.len(), self.services.len(), self.slots.len());
        if services != wanted || slots != wanted {
            let detail = format!("{wanted} slots, {services} service states, {slots} slot states");
            return Err(FormatError::invalid("snapshot", detail));
        }
        let service = |(service, version): (Service<'_>, u32)| (service.into(), version);
        let mut snapshot = head.empty();
        snapshot.parts.spec = spec;
        snapshot.parts.version = self.version;
        snapshot.parts.slots = self.services.into_iter().map(service).collect();
        let reservations = self.reservations.into_iter().map(|r| Arc::new(r.into()));
        snapshot.parts.reservations = reservations.collect();
        snapshot.parts.tally = self.tally.into();
        snapshot.slots = self.slots.into_iter().map(Into::into).collect();
        snapshot.claims = self.claims.into_iter().map(Into::into).collect();
        Ok(snapshot)
    }
}

impl From<&slot::Slot> for Slot {
    fn from(slot: &slot::Slot) -> Self {
        let hearing = |hearing: &slot::Hearing| Hearing {
            occupied: hearing.occupied,
            since: hearing.since.micros(),
            changed_at: hearing.changed_at.micros(),
            mark_observed_at: hearing.mark.observed_at.micros(),
            mark_sequence: hearing.mark.sequence,
            heard_at: hearing.heard_at.micros(),
            recorded_at: hearing.recorded_at.micros(),
            source: hearing.source.into(),
            confidence_percent: hearing.confidence_percent,
        };
        Self {
            version: slot.version,
            hearing: slot.hearing.as_ref().map(hearing),
            silent_since: slot.silent_since.map(Timestamp::micros),
            flaps: slot.flaps,
            recent_ids: slot.recent_ids,
        }
    }
}

impl From<Slot> for slot::Slot {
    fn from(slot: Slot) -> Self {
        let hearing = |hearing: Hearing| slot::Hearing {
            occupied: hearing.occupied,
            since: Timestamp::from_micros(hearing.since),
            changed_at: Timestamp::from_micros(hearing.changed_at),
            mark: slot::Mark {
                observed_at: Timestamp::from_micros(hearing.mark_observed_at),
                sequence: hearing.mark_sequence,
            },
            heard_at: Timestamp::from_micros(hearing.heard_at),
            recorded_at: Timestamp::from_micros(hearing.recorded_at),
            source: hearing.source.into(),
            confidence_percent: hearing.confidence_percent,
        };
        Self {
            version: slot.version,
            hearing: slot.hearing.map(hearing),
            silent_since: slot.silent_since.map(Timestamp::from_micros),
            flaps: slot.flaps,
            recent_ids: slot.recent_ids,
        }
    }
}

impl From<EngineState> for State {
    fn from(state: EngineState) -> Self {
        match state {
            EngineState::Held { expires_at } => Self::Held { expires_at: expires_at.micros() },
            EngineState::Confirmed => Self::Confirmed,
            EngineState::CheckedIn { proof } => Self::CheckedIn { proof: proof.into() },
            EngineState::Completed => Self::Completed,
            EngineState::Cancelled => Self::Cancelled,
            EngineState::Expired => Self::Expired,
            EngineState::NoShow => Self::NoShow,
        }
    }
}

impl From<State> for EngineState {
    fn from(state: State) -> Self {
        match state {
            State::Held { expires_at } => {
                Self::Held { expires_at: Timestamp::from_micros(expires_at) }
            }
            State::Confirmed => Self::Confirmed,
            State::CheckedIn { proof } => Self::CheckedIn { proof: proof.into() },
            State::Completed => Self::Completed,
            State::Cancelled => Self::Cancelled,
            State::Expired => Self::Expired,
            State::NoShow => Self::NoShow,
        }
    }
}

impl From<Reservation<'_>> for EngineReservation {
    fn from(reservation: Reservation<'_>) -> Self {
        Self {
            id: reservation_id(reservation.id),
            slot: SlotIndex(reservation.slot),
            window: reservation.window.into(),
            state: reservation.state.into(),
            holder: pseudonym(reservation.holder),
            vehicle: reservation.vehicle.map(pseudonym),
            price: None,
            series: None,
            // What lies behind is not told again.
            reminded: None,
            reason: reservation.reason.map(Into::into),
            shown: reservation.shown,
            created_at: Timestamp::from_micros(reservation.created_at),
            updated_at: Timestamp::from_micros(reservation.updated_at),
            version: reservation.version,
        }
    }
}

impl From<EngineTally> for Tally {
    fn from(tally: EngineTally) -> Self {
        Self {
            occupied: tally.occupied,
            drift: tally.drift,
            flowed: tally.flowed,
            absolute_at: tally.absolute_at.map(Timestamp::micros),
            observed_at: tally.observed_at.map(Timestamp::micros),
            heard_at: tally.heard_at.micros(),
            recorded_at: tally.recorded_at.micros(),
            silent_since: tally.silent_since.map(Timestamp::micros),
        }
    }
}

impl From<Tally> for EngineTally {
    fn from(tally: Tally) -> Self {
        Self {
            occupied: tally.occupied,
            drift: tally.drift,
            flowed: tally.flowed,
            absolute_at: tally.absolute_at.map(Timestamp::from_micros),
            observed_at: tally.observed_at.map(Timestamp::from_micros),
            heard_at: Timestamp::from_micros(tally.heard_at),
            recorded_at: Timestamp::from_micros(tally.recorded_at),
            silent_since: tally.silent_since.map(Timestamp::from_micros),
        }
    }
}

impl From<Remembered<'_>> for RememberedClaim {
    fn from(claim: Remembered<'_>) -> Self {
        let outcome = match claim.outcome {
            ClaimOutcome::Lot { version } => Outcome::Lot { version },
            ClaimOutcome::Slot { slot, version } => {
                Outcome::Slot { slot: SlotIndex(slot), version }
            }
            ClaimOutcome::Reservation(reservation) => {
                Outcome::Reservation(Arc::new((*reservation).into()))
            }
            ClaimOutcome::Count { outcome, occupied, condition, drift } => {
                let state = EngineCounted { occupied, condition: condition.into(), drift };
                Outcome::Count(outcome.into(), state)
            }
        };
        let (at, lot_seq) = (Timestamp::from_micros(claim.at), claim.lot_seq);
        Self { claim: claim.claim.into(), at, lot_seq, outcome }
    }
}
