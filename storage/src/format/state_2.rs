//! Reservations and claims in their second form: snapshots of format 2.
//!
//! The order of fields and variants is the format: add variants at the end of a *new* format.

use std::sync::Arc;

use bincode::{BorrowDecode, Encode};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::pass::Reach;
use lotkeeper_engine::lot::{CountState, Reservation as EngineReservation};
use lotkeeper_engine::time::Timestamp;

use super::FormatError;
use super::event::Claim;
use super::lot_event::{Reminder, Window, pseudonym, reservation_id, series_id};
use super::money::Price;
use super::pass::Pass;
use super::payment::Payment;
use super::shift::Shift;
use super::state::{Condition, CountOutcome, State};
use super::stay::{Scanned, Session};
use super::stored::Stored;
use super::violation::Violation;
use super::waiting::Waiter;
use crate::snapshot::{ClaimOutcome as Outcome, RememberedClaim};

#[derive(Encode, BorrowDecode)]
pub(super) struct Reservation<'a> {
    id: [u8; 16],
    slot: u16,
    window: Window,
    state: State,
    holder: [u8; 16],
    vehicle: Option<[u8; 16]>,
    price: Option<Price<'a>>,
    series: Option<[u8; 16]>,
    reminded: Option<Reminder>,
    reason: Option<&'a str>,
    shown: bool,
    created_at: i64,
    updated_at: i64,
    version: u32,
}

#[derive(Encode, BorrowDecode)]
enum ClaimOutcome<'a> {
    Lot { version: u32 },
    Slot { slot: u16, version: u32 },
    Reservation(Box<Reservation<'a>>),
    Count { outcome: CountOutcome, occupied: i64, condition: Condition, drift: i64 },
    Scanned(Scanned, Option<Box<Session<'a>>>),
    Session(Box<Session<'a>>),
    Payment(Box<Payment<'a>>),
    Series([u8; 16]),
    Tariffs,
    Violation(Box<Violation>),
    Pass(Box<Pass>),
    Waiting(Box<Waiter>),
    Shift(Box<Shift>),
    TenantPass(Box<Pass>),
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Remembered<'a> {
    claim: Claim,
    at: i64,
    lot_seq: u64,
    outcome: ClaimOutcome<'a>,
}

impl<'a> From<&'a EngineReservation> for Reservation<'a> {
    fn from(reservation: &'a EngineReservation) -> Self {
        Self {
            id: reservation.id.0.into_bytes(),
            slot: reservation.slot.0,
            window: reservation.window.into(),
            state: reservation.state.into(),
            holder: reservation.holder.0.into_bytes(),
            vehicle: reservation.vehicle.map(|vehicle| vehicle.0.into_bytes()),
            price: reservation.price.as_deref().map(Into::into),
            series: reservation.series.map(|series| series.0.into_bytes()),
            reminded: reservation.reminded.map(Into::into),
            reason: reservation.reason.as_deref(),
            shown: reservation.shown,
            created_at: reservation.created_at.micros(),
            updated_at: reservation.updated_at.micros(),
            version: reservation.version,
        }
    }
}

impl TryFrom<Reservation<'_>> for EngineReservation {
    type Error = FormatError;

    fn try_from(reservation: Reservation<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            id: reservation_id(reservation.id),
            slot: SlotIndex(reservation.slot),
            window: reservation.window.into(),
            state: reservation.state.into(),
            holder: pseudonym(reservation.holder),
            vehicle: reservation.vehicle.map(pseudonym),
            price: reservation.price.map(|price| price.try_into().map(Arc::new)).transpose()?,
            series: reservation.series.map(series_id),
            reminded: reservation.reminded.map(Into::into),
            reason: reservation.reason.map(Into::into),
            shown: reservation.shown,
            created_at: Timestamp::from_micros(reservation.created_at),
            updated_at: Timestamp::from_micros(reservation.updated_at),
            version: reservation.version,
        })
    }
}

impl<'a> From<&'a RememberedClaim> for Remembered<'a> {
    fn from(claim: &'a RememberedClaim) -> Self {
        let outcome = match &claim.outcome {
            Outcome::Lot { version } => ClaimOutcome::Lot { version: *version },
            Outcome::Slot { slot, version } => {
                ClaimOutcome::Slot { slot: slot.0, version: *version }
            }
            Outcome::Reservation(reservation) => {
                ClaimOutcome::Reservation(Box::new((&**reservation).into()))
            }
            Outcome::Count(outcome, state) => ClaimOutcome::Count {
                outcome: (*outcome).into(),
                occupied: state.occupied,
                condition: state.condition.into(),
                drift: state.drift,
            },
            Outcome::Scanned(scanned, session) => {
                let session = session.as_deref().map(|session| Box::new(session.into()));
                ClaimOutcome::Scanned((*scanned).into(), session)
            }
            Outcome::Session(session) => ClaimOutcome::Session(Box::new((&**session).into())),
            Outcome::Payment(payment) => ClaimOutcome::Payment(Box::new((&**payment).into())),
            Outcome::Series(id) => ClaimOutcome::Series(id.0.into_bytes()),
            Outcome::Tariffs => ClaimOutcome::Tariffs,
            Outcome::Waiting(waiter) => ClaimOutcome::Waiting(Box::new(Stored::of(&**waiter))),
            Outcome::Pass(pass) => match pass.reach {
                Reach::Lot => ClaimOutcome::Pass(Box::new(Pass::of(pass))),
                Reach::Tenant => ClaimOutcome::TenantPass(Box::new(Pass::of(pass))),
            },
            Outcome::Shift(shift) => ClaimOutcome::Shift(Box::new(Stored::of(&**shift))),
            Outcome::Violation(violation) => {
                ClaimOutcome::Violation(Box::new(Stored::of(&**violation)))
            }
        };
        let (at, lot_seq) = (claim.at.micros(), claim.lot_seq);
        Self { claim: claim.claim.into(), at, lot_seq, outcome }
    }
}

impl TryFrom<Remembered<'_>> for RememberedClaim {
    type Error = FormatError;

    fn try_from(claim: Remembered<'_>) -> Result<Self, FormatError> {
        let outcome = match claim.outcome {
            ClaimOutcome::Lot { version } => Outcome::Lot { version },
            ClaimOutcome::Slot { slot, version } => {
                Outcome::Slot { slot: SlotIndex(slot), version }
            }
            ClaimOutcome::Reservation(reservation) => {
                Outcome::Reservation(Arc::new((*reservation).try_into()?))
            }
            ClaimOutcome::Count { outcome, occupied, condition, drift } => {
                let state = CountState { occupied, condition: condition.into(), drift };
                Outcome::Count(outcome.into(), state)
            }
            ClaimOutcome::Scanned(scanned, session) => {
                let session = session.map(|session| (*session).try_into().map(Arc::new));
                Outcome::Scanned(scanned.into(), session.transpose()?)
            }
            ClaimOutcome::Session(session) => Outcome::Session(Arc::new((*session).try_into()?)),
            ClaimOutcome::Payment(payment) => Outcome::Payment(Arc::new((*payment).into())),
            ClaimOutcome::Series(id) => Outcome::Series(series_id(id)),
            ClaimOutcome::Tariffs => Outcome::Tariffs,
            ClaimOutcome::Waiting(waiter) => Outcome::Waiting(Arc::new(waiter.engine())),
            ClaimOutcome::Pass(pass) => Outcome::Pass(Arc::new(pass.engine(Reach::Lot))),
            ClaimOutcome::TenantPass(pass) => Outcome::Pass(Arc::new(pass.engine(Reach::Tenant))),
            ClaimOutcome::Shift(shift) => Outcome::Shift(Arc::new(shift.engine())),
            ClaimOutcome::Violation(violation) => Outcome::Violation(Arc::new(violation.engine())),
        };
        let at = Timestamp::from_micros(claim.at);
        Ok(Self { claim: claim.claim.into(), at, lot_seq: claim.lot_seq, outcome })
    }
}
