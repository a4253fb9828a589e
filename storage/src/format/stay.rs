//! Stays: what happened to them, and what they are at one sequence. Since frame format 3, snapshot format 2.
//!
//! The order of fields and variants is the format: a later format adds variants at the end.

use std::sync::Arc;

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::{PassId, ReservationId, SessionId, SlotIndex};
use lotkeeper_engine::lot::session::{
    self, DenyReason as EngineDenyReason, Direction as EngineDirection,
    OpenReason as EngineOpenReason, State as EngineState,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::Timestamp;
use uuid::Uuid;

use super::FormatError;
use super::lot_event::{Window, pseudonym, reservation_id};
use super::money::{Fee, Terms};
use super::spec::mirror;

mirror!(Direction = EngineDirection { Entry, Exit });
mirror!(State = EngineState { Inside, Overstaying, Left, Abandoned });
mirror!(OpenReason = EngineOpenReason { Reserved, Pass, DriveIn, Repeated, Paid, OnAccount });
mirror!(
    DenyReason = EngineDenyReason {
        CredentialUnknown,
        TokenInvalid,
        TokenExpired,
        WrongLot,
        TooEarly,
        TooLate,
        NotConfirmed,
        HoldExpired,
        Cancelled,
        AlreadyInside,
        AlreadyUsed,
        PlateInside,
        PlateElsewhere,
        ConfidenceTooLow,
        NotEntitled,
        PassNotValid,
        LotFull,
        LotClosed,
        PaymentRequired,
        NotInside,
        AlreadyLeft,
    }
);

#[derive(Clone, Copy, Encode, Decode)]
enum Origin {
    Reservation([u8; 16]),
    Pass([u8; 16]),
    DriveIn,
    Manual,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Entered<'a> {
    id: [u8; 16],
    origin: Origin,
    vehicle: Option<[u8; 16]>,
    holder: Option<[u8; 16]>,
    slot: Option<u16>,
    claim: Option<Window>,
    booked: Option<Window>,
    at: i64,
    gate: Option<&'a str>,
    terms: Terms<'a>,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Left<'a> {
    id: [u8; 16],
    at: i64,
    gate: Option<&'a str>,
    fee: Option<Fee>,
    reason: Option<OpenReason>,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Denied<'a> {
    gate: Option<&'a str>,
    direction: Direction,
    reason: DenyReason,
    vehicle: Option<[u8; 16]>,
    reservation: Option<[u8; 16]>,
    session: Option<[u8; 16]>,
    due: Option<i64>,
    not_before: Option<i64>,
}

#[derive(Encode, BorrowDecode)]
pub(super) enum StayEvent<'a> {
    Entered(Box<Entered<'a>>),
    Placed { id: [u8; 16], slot: Option<u16>, claim: Option<Window> },
    Overstayed { id: [u8; 16] },
    Identified { id: [u8; 16], vehicle: [u8; 16] },
    TicketLost { id: [u8; 16] },
    Settled { id: [u8; 16], fee: Box<Fee>, leave_by: i64 },
    Left(Box<Left<'a>>),
    Abandoned { id: [u8; 16], fee: Option<Box<Fee>> },
    Denied(Box<Denied<'a>>),
    Requested { id: [u8; 16], request: Option<[u8; 16]> },
}

#[derive(Encode, BorrowDecode)]
struct Settled {
    fee: Fee,
    leave_by: i64,
}

/// A stay at one sequence.
#[derive(Encode, BorrowDecode)]
pub(super) struct Session<'a> {
    id: [u8; 16],
    origin: Origin,
    state: State,
    vehicle: Option<[u8; 16]>,
    holder: Option<[u8; 16]>,
    slot: Option<u16>,
    claim: Option<Window>,
    booked: Option<Window>,
    entered_at: i64,
    entry_gate: Option<&'a str>,
    left_at: Option<i64>,
    exit_gate: Option<&'a str>,
    terms: Terms<'a>,
    ticket_lost: bool,
    settled: Option<Settled>,
    fee: Option<Fee>,
    updated_at: i64,
    version: u32,
}

/// What a gate answered, in a remembered claim.
#[derive(Clone, Copy, Encode, Decode)]
pub(super) struct Scanned {
    verdict: Verdict,
    session: Option<[u8; 16]>,
    reservation: Option<[u8; 16]>,
    due: Option<i64>,
    not_before: Option<i64>,
}

#[derive(Clone, Copy, Encode, Decode)]
enum Verdict {
    Open(OpenReason),
    Deny(DenyReason),
}

pub(super) fn session_id(bytes: [u8; 16]) -> SessionId {
    SessionId(Uuid::from_bytes(bytes))
}

fn time(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

impl From<session::Origin> for Origin {
    fn from(origin: session::Origin) -> Self {
        match origin {
            session::Origin::Reservation(id) => Self::Reservation(id.0.into_bytes()),
            session::Origin::Pass(id) => Self::Pass(id.0.into_bytes()),
            session::Origin::DriveIn => Self::DriveIn,
            session::Origin::Manual => Self::Manual,
        }
    }
}

impl From<Origin> for session::Origin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Reservation(id) => Self::Reservation(reservation_id(id)),
            Origin::Pass(id) => Self::Pass(PassId(Uuid::from_bytes(id))),
            Origin::DriveIn => Self::DriveIn,
            Origin::Manual => Self::Manual,
        }
    }
}

impl<'a> From<&'a session::Event> for StayEvent<'a> {
    fn from(event: &'a session::Event) -> Self {
        use session::Event as E;
        match event {
            E::Entered(entered) => Self::Entered(Box::new((&**entered).into())),
            E::Placed { id, slot, claim } => Self::Placed {
                id: id.0.into_bytes(),
                slot: slot.map(|slot| slot.0),
                claim: claim.map(Into::into),
            },
            E::Overstayed { id } => Self::Overstayed { id: id.0.into_bytes() },
            E::Identified { id, vehicle } => {
                Self::Identified { id: id.0.into_bytes(), vehicle: vehicle.0.into_bytes() }
            }
            E::TicketLost { id } => Self::TicketLost { id: id.0.into_bytes() },
            E::Requested { id, request } => Self::Requested {
                id: id.0.into_bytes(),
                request: request.map(|request| request.0.into_bytes()),
            },
            E::Settled { id, fee, leave_by } => Self::Settled {
                id: id.0.into_bytes(),
                fee: Box::new((&**fee).into()),
                leave_by: leave_by.micros(),
            },
            E::Left(left) => Self::Left(Box::new(Left {
                id: left.id.0.into_bytes(),
                at: left.at.micros(),
                gate: left.gate.as_deref(),
                fee: left.fee.as_deref().map(Into::into),
                reason: left.reason.map(Into::into),
            })),
            E::Abandoned { id, fee } => Self::Abandoned {
                id: id.0.into_bytes(),
                fee: fee.as_deref().map(|fee| Box::new(fee.into())),
            },
            E::Denied(denied) => Self::Denied(Box::new((&**denied).into())),
        }
    }
}

impl TryFrom<StayEvent<'_>> for session::Event {
    type Error = FormatError;

    fn try_from(event: StayEvent<'_>) -> Result<Self, FormatError> {
        use StayEvent as E;
        Ok(match event {
            E::Entered(entered) => Self::Entered(Box::new((*entered).into())),
            E::Placed { id, slot, claim } => Self::Placed {
                id: session_id(id),
                slot: slot.map(SlotIndex),
                claim: claim.map(Into::into),
            },
            E::Overstayed { id } => Self::Overstayed { id: session_id(id) },
            E::Identified { id, vehicle } => {
                Self::Identified { id: session_id(id), vehicle: pseudonym(vehicle) }
            }
            E::TicketLost { id } => Self::TicketLost { id: session_id(id) },
            E::Requested { id, request } => {
                Self::Requested { id: session_id(id), request: request.map(pseudonym) }
            }
            E::Settled { id, fee, leave_by } => Self::Settled {
                id: session_id(id),
                fee: Box::new((*fee).try_into()?),
                leave_by: Timestamp::from_micros(leave_by),
            },
            E::Left(left) => Self::Left(Box::new(session::Left {
                id: session_id(left.id),
                at: Timestamp::from_micros(left.at),
                gate: left.gate.map(Into::into),
                fee: left.fee.map(|fee| fee.try_into().map(Box::new)).transpose()?,
                reason: left.reason.map(Into::into),
            })),
            E::Abandoned { id, fee } => Self::Abandoned {
                id: session_id(id),
                fee: fee.map(|fee| (*fee).try_into().map(Box::new)).transpose()?,
            },
            E::Denied(denied) => Self::Denied(Box::new((*denied).into())),
        })
    }
}

impl<'a> From<&'a session::Entered> for Entered<'a> {
    fn from(entered: &'a session::Entered) -> Self {
        Self {
            id: entered.id.0.into_bytes(),
            origin: entered.origin.into(),
            vehicle: entered.vehicle.map(|vehicle| vehicle.0.into_bytes()),
            holder: entered.holder.map(|holder| holder.0.into_bytes()),
            slot: entered.slot.map(|slot| slot.0),
            claim: entered.claim.map(Into::into),
            booked: entered.booked.map(Into::into),
            at: entered.at.micros(),
            gate: entered.gate.as_deref(),
            terms: (&entered.terms).into(),
        }
    }
}

impl From<Entered<'_>> for session::Entered {
    fn from(entered: Entered<'_>) -> Self {
        Self {
            id: session_id(entered.id),
            origin: entered.origin.into(),
            vehicle: entered.vehicle.map(pseudonym),
            holder: entered.holder.map(pseudonym),
            slot: entered.slot.map(SlotIndex),
            claim: entered.claim.map(Into::into),
            booked: entered.booked.map(Into::into),
            at: Timestamp::from_micros(entered.at),
            gate: entered.gate.map(Into::into),
            terms: entered.terms.into(),
        }
    }
}

impl<'a> From<&'a session::Denied> for Denied<'a> {
    fn from(denied: &'a session::Denied) -> Self {
        Self {
            gate: denied.gate.as_deref(),
            direction: denied.direction.into(),
            reason: denied.reason.into(),
            vehicle: denied.vehicle.map(|vehicle| vehicle.0.into_bytes()),
            reservation: denied.reservation.map(|id| id.0.into_bytes()),
            session: denied.session.map(|id| id.0.into_bytes()),
            due: denied.due.map(|due| due.0),
            not_before: denied.not_before.map(Timestamp::micros),
        }
    }
}

impl From<Denied<'_>> for session::Denied {
    fn from(denied: Denied<'_>) -> Self {
        Self {
            gate: denied.gate.map(Into::into),
            direction: denied.direction.into(),
            reason: denied.reason.into(),
            vehicle: denied.vehicle.map(pseudonym),
            reservation: denied.reservation.map(reservation_id),
            session: denied.session.map(session_id),
            due: denied.due.map(Amount),
            not_before: time(denied.not_before),
        }
    }
}

impl<'a> From<&'a session::Session> for Session<'a> {
    fn from(session: &'a session::Session) -> Self {
        let settled = |settled: &'a session::Settled| Settled {
            fee: (&*settled.fee).into(),
            leave_by: settled.leave_by.micros(),
        };
        Self {
            id: session.id.0.into_bytes(),
            origin: session.origin.into(),
            state: session.state.into(),
            vehicle: session.vehicle.map(|vehicle| vehicle.0.into_bytes()),
            holder: session.holder.map(|holder| holder.0.into_bytes()),
            slot: session.slot.map(|slot| slot.0),
            claim: session.claim.map(Into::into),
            booked: session.booked.map(Into::into),
            entered_at: session.entered_at.micros(),
            entry_gate: session.entry_gate.as_deref(),
            left_at: session.left_at.map(Timestamp::micros),
            exit_gate: session.exit_gate.as_deref(),
            terms: (&*session.terms).into(),
            ticket_lost: session.ticket_lost,
            settled: session.settled.as_ref().map(settled),
            fee: session.fee.as_deref().map(Into::into),
            updated_at: session.updated_at.micros(),
            version: session.version,
        }
    }
}

impl TryFrom<Session<'_>> for session::Session {
    type Error = FormatError;

    fn try_from(session: Session<'_>) -> Result<Self, FormatError> {
        let settled = |settled: Settled| -> Result<_, FormatError> {
            let fee = Arc::new(settled.fee.try_into()?);
            Ok(session::Settled { fee, leave_by: Timestamp::from_micros(settled.leave_by) })
        };
        Ok(Self {
            id: session_id(session.id),
            origin: session.origin.into(),
            state: session.state.into(),
            vehicle: session.vehicle.map(pseudonym),
            holder: session.holder.map(pseudonym),
            slot: session.slot.map(SlotIndex),
            claim: session.claim.map(Into::into),
            booked: session.booked.map(Into::into),
            entered_at: Timestamp::from_micros(session.entered_at),
            entry_gate: session.entry_gate.map(Into::into),
            left_at: time(session.left_at),
            exit_gate: session.exit_gate.map(Into::into),
            terms: Arc::new(session.terms.into()),
            ticket_lost: session.ticket_lost,
            settled: session.settled.map(settled).transpose()?,
            fee: session.fee.map(|fee| fee.try_into().map(Arc::new)).transpose()?,
            updated_at: Timestamp::from_micros(session.updated_at),
            version: session.version,
        })
    }
}

impl From<session::Scanned> for Scanned {
    fn from(scanned: session::Scanned) -> Self {
        let verdict = match scanned.verdict {
            session::Verdict::Open(reason) => Verdict::Open(reason.into()),
            session::Verdict::Deny(reason) => Verdict::Deny(reason.into()),
        };
        Self {
            verdict,
            session: scanned.session.map(|id| id.0.into_bytes()),
            reservation: scanned.reservation.map(|id| id.0.into_bytes()),
            due: scanned.due.map(|due| due.0),
            not_before: scanned.not_before.map(Timestamp::micros),
        }
    }
}

impl From<Scanned> for session::Scanned {
    fn from(scanned: Scanned) -> Self {
        let verdict = match scanned.verdict {
            Verdict::Open(reason) => session::Verdict::Open(reason.into()),
            Verdict::Deny(reason) => session::Verdict::Deny(reason.into()),
        };
        let reservation: Option<ReservationId> = scanned.reservation.map(reservation_id);
        Self {
            verdict,
            session: scanned.session.map(session_id),
            reservation,
            due: scanned.due.map(Amount),
            not_before: time(scanned.not_before),
        }
    }
}
