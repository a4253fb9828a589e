//! Scans as the log tells them to staff: what a gate did, at which time, and why.
//!
//! Absent: scans that changed nothing (a vehicle read again at the same gate, a trial), which the log does not have.

use lotkeeper_actors::LotView;
use lotkeeper_engine::ids::{Pseudonym, SessionId};
use lotkeeper_engine::lot::Event as LotEvent;
use lotkeeper_engine::lot::session::{Event, OpenReason, Origin};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Event as Recorded, Record};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::instant::Instant;
use super::money::MoneyBody;
use super::names::{Decision, DenyCode, Direction, OpenCode};
use super::reservation::reference;
use super::vehicle::Vehicle;

/// A scan in the past.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ScanRecord)]
pub struct ScanRecordBody {
    /// The lot's sequence.
    pub seq: u64,
    /// When the vehicle was at the gate; for a denial when the gate was told.
    pub at: Instant,
    /// Which way.
    pub direction: Direction,
    /// What the gate did.
    pub decision: Decision,
    /// Why: a code of the openings or of the denials.
    #[schema(example = "reserved")]
    pub code: &'static str,
    /// The gate, where it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// The vehicle, where it is known and not erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<Vehicle>,
    /// The number of the stay's ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The stay it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// The reservation it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Uuid>,
    /// What was to be paid before the gate would open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<MoneyBody>,
    /// When it would be let through, where that was only a matter of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Instant>,
}

/// A scan, with its vehicle still a pseudonym.
#[derive(Clone, Debug)]
pub struct Told {
    /// The vehicle.
    pub vehicle: Option<Pseudonym>,
    /// All else.
    pub body: ScanRecordBody,
}

impl Told {
    /// Of a record, when it is what a scan came to. The vehicle of a stay is the one that staff put right since.
    #[must_use]
    pub fn of(record: &Record, view: &LotView) -> Option<Self> {
        let Recorded::Lot(LotEvent::Session(event)) = &record.event else { return None };
        let open = |(direction, reason), at: Timestamp, gate: &Option<Box<str>>, id: SessionId| {
            let session = view.lot.stays().get(id);
            let body = ScanRecordBody {
                seq: record.lot_seq,
                at: Instant(at),
                direction,
                decision: Decision::Open,
                code: OpenCode::from(reason).text(),
                gate: gate.as_deref().map(str::to_owned),
                vehicle: None,
                ticket: session.map(|session| reference(session.reference())),
                session: Some(id.0),
                reservation: session.and_then(|it| it.reservation()).map(|id| id.0),
                due: None,
                not_before: None,
            };
            Self { vehicle: session.and_then(|session| session.vehicle), body }
        };
        match event {
            Event::Entered(entered) => {
                let reason = match entered.origin {
                    Origin::Reservation(_) => OpenReason::Reserved,
                    Origin::Pass(_) => OpenReason::Pass,
                    Origin::DriveIn | Origin::Manual => OpenReason::DriveIn,
                };
                let told = open((Direction::Entry, reason), entered.at, &entered.gate, entered.id);
                Some(Self { vehicle: told.vehicle.or(entered.vehicle), ..told })
            }
            // Without a reason no gate opened: staff said later that it left.
            Event::Left(left) => left
                .reason
                .map(|reason| open((Direction::Exit, reason), left.at, &left.gate, left.id)),
            Event::Denied(denied) => {
                let session = denied.session.and_then(|id| view.lot.stays().get(id));
                let body = ScanRecordBody {
                    seq: record.lot_seq,
                    at: Instant(record.at),
                    direction: denied.direction.into(),
                    decision: Decision::Deny,
                    code: DenyCode::from(denied.reason).text(),
                    gate: denied.gate.as_deref().map(str::to_owned),
                    vehicle: None,
                    ticket: session.map(|session| reference(session.reference())),
                    session: denied.session.map(|id| id.0),
                    reservation: denied.reservation.map(|id| id.0),
                    due: denied.due.map(|due| MoneyBody::of(due, view.spec())),
                    not_before: denied.not_before.map(Instant),
                };
                let stays = session.and_then(|session| session.vehicle);
                Some(Self { vehicle: denied.vehicle.or(stays), body })
            }
            Event::Placed { .. }
            | Event::Overstayed { .. }
            | Event::Identified { .. }
            | Event::TicketLost { .. }
            | Event::Requested { .. }
            | Event::Settled { .. }
            | Event::Abandoned { .. } => None,
        }
    }
}
