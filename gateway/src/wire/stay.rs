//! Stays and scans as they are asked for and shown.

use lotkeeper_engine::lot::session::{Origin, Scanned, Session, Verdict};
use lotkeeper_engine::lot::{Register, StayChange};
use lotkeeper_engine::spec::Fault;
use lotkeeper_engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::instant::Instant;
use super::money::MoneyBody;
use super::names::{Decision, DenyCode, Direction, OpenCode, OriginName, SessionState, Size};
use super::request::{InClear, some};
use super::reservation::reference;
use super::tariff::FeeBody;
use super::vehicle::Vehicle;
use super::{code_fault, fault, is_code};

/// What is shown at a gate: one of the three, or nothing for a ticket.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Credential, example = json!({"plate": "B-XY 123", "country": "D"}))]
pub struct CredentialBody {
    /// The text of a QR code.
    #[serde(default)]
    pub qr: Option<String>,
    /// A plate as it was read or typed.
    #[serde(default)]
    pub plate: Option<String>,
    /// The country that issued it.
    #[serde(default)]
    pub country: Option<String>,
    /// The number of a ticket.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// A credential at a gate.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewScan, example = json!({
    "lot": "L1", "gate": "north-1", "direction": "entry", "credential": {"plate": "B-XY 123", "country": "D"},
    "observed_at": "2026-03-01T09:00:00Z", "confidence": 0.97
}))]
pub struct ScanBody {
    /// Made by the client, so that a retry lets nobody in twice: the session's id if it comes to one.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Code or id of the lot.
    pub lot: String,
    /// Code of the gate.
    #[serde(default)]
    pub gate: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// What is shown; `{}` asks for a ticket.
    #[serde(default)]
    pub credential: CredentialBody,
    /// A plate that a camera saw beside another credential.
    #[serde(default)]
    pub plate: Option<Vehicle>,
    /// When; the time of receipt when the gate has no clock.
    #[serde(default)]
    pub observed_at: Option<Instant>,
    /// How sure the camera is, 0 to 1.
    #[serde(default)]
    pub confidence: Option<f64>,
    /// The size of a drive-in's vehicle; `standard` when left out.
    #[serde(default)]
    pub vehicle_size: Option<Size>,
    /// The tenant's name of its type.
    #[serde(default)]
    pub vehicle_type: Option<String>,
    /// Only tells what the answer would be.
    #[serde(default)]
    pub dry_run: bool,
}

impl ScanBody {
    /// Everything that is wrong with the request itself.
    ///
    /// # Errors
    /// All faults.
    pub fn check(&self) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        let CredentialBody { qr, plate, ticket, country } = &self.credential;
        let shown = [qr.is_some(), plate.is_some(), ticket.is_some()];
        if shown.iter().filter(|given| **given).count() > 1 {
            faults.push(fault("/credential", "`qr`, `plate` and `ticket` exclude each other"));
        }
        if country.is_some() && plate.is_none() {
            faults.push(fault("/credential/country", "a country goes with a plate; leave it out"));
        }
        if let Some(confidence) = self.confidence.filter(|c| !(0.0..=1.0).contains(c)) {
            faults.push(fault("/confidence", format!("{confidence} is not between 0 and 1")));
        }
        for (pointer, code) in [("/gate", &self.gate), ("/vehicle_type", &self.vehicle_type)] {
            if let Some(code) = code.as_deref().filter(|code| !is_code(code)) {
                faults.push(code_fault(pointer, code));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// How sure the camera is, in percent.
    #[must_use]
    pub fn confidence_percent(&self) -> Option<u8> {
        // Checked to lie between 0 and 1.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.confidence.map(|confidence| (confidence * 100.0).round() as u8)
    }
}

/// A window that was booked.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Booked)]
pub struct BookedBody {
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
}

/// A stay.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionBody {
    /// Identity.
    pub id: Uuid,
    /// Short, for people; on a drive-in's ticket.
    #[schema(example = "4K7T-9X2C")]
    pub reference: String,
    /// Code of the lot.
    pub lot: String,
    /// Where it is.
    pub state: SessionState,
    /// By what right.
    pub origin: OriginName,
    /// The reservation it came of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Uuid>,
    /// The pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<Uuid>,
    /// The vehicle; left out when nobody read it, or when it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<Vehicle>,
    /// Code of the slot it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// When it came in.
    pub entered_at: Instant,
    /// Through which gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_gate: Option<String>,
    /// When it should be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_exit: Option<Instant>,
    /// When it left or was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Instant>,
    /// Through which gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_gate: Option<String>,
    /// What was booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booked: Option<BookedBody>,
    /// What it cost, once it ended; null where the lot has no tariff.
    #[schema(required)]
    pub fee: Option<FeeBody>,
    /// What it cost up to now, while it is inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_so_far: Option<FeeBody>,
    /// What is to be paid; below zero what was paid too much.
    pub due: MoneyBody,
    /// Paid: until when it may leave for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leave_by: Option<Instant>,
    /// Its ticket is lost.
    pub ticket_lost: bool,
    /// What somebody asks for in his own words, now or when he reserved; until the lot forgets the stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// When it last changed.
    pub updated_at: Instant,
    /// Changes so far: the value of its `ETag`.
    pub version: u32,
    /// The lot's sequence it is as of.
    pub seq: u64,
}

impl SessionBody {
    /// Of a stay of a lot, as of `now`; what is in clear is for its holder and staff.
    #[must_use]
    pub fn of(
        session: &Session,
        register: &Register,
        (lot_seq, now): (u64, Timestamp),
        InClear { vehicle, request }: InClear,
    ) -> Self {
        let spec = register.spec();
        let fee_body =
            |fee: &lotkeeper_engine::tariff::Fee| FeeBody::new(fee, &spec.place.currency);
        let bill = session.state.is_inside().then(|| register.bill_of(session, now));
        let owed = match &bill {
            Some(bill) => bill.owed,
            None => register.accounts().owed_by(session.account()),
        };
        let (pass, origin) = match session.origin {
            Origin::Reservation(_) => (None, OriginName::Reservation),
            Origin::Pass(id) => (Some(id.0), OriginName::Pass),
            Origin::DriveIn => (None, OriginName::DriveIn),
            Origin::Manual => (None, OriginName::Manual),
        };
        let code = |code: &Option<Box<str>>| code.as_ref().map(ToString::to_string);
        Self {
            id: session.id.0,
            reference: reference(session.reference()),
            lot: spec.code.to_string(),
            state: session.state.into(),
            origin,
            reservation: session.reservation().map(|id| id.0),
            pass,
            vehicle,
            slot: session.slot.and_then(|slot| spec.slot(slot)).map(|slot| slot.code.to_string()),
            entered_at: Instant(session.entered_at),
            entry_gate: code(&session.entry_gate),
            expected_exit: session.expected_exit(&spec.rules).map(Instant),
            left_at: session.left_at.map(Instant),
            exit_gate: code(&session.exit_gate),
            booked: session
                .booked
                .map(|booked| BookedBody { from: Instant(booked.from), to: Instant(booked.to) }),
            fee: session.fee.as_deref().map(fee_body),
            fee_so_far: bill.and_then(|bill| bill.fee).as_deref().map(fee_body),
            due: MoneyBody::of(owed, spec),
            leave_by: session.settled.as_ref().map(|settled| Instant(settled.leave_by)),
            ticket_lost: session.ticket_lost,
            request,
            updated_at: Instant(session.updated_at),
            version: session.version,
            seq: lot_seq,
        }
    }
}

/// What a gate is to do.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Scan)]
pub struct ScanAnswer {
    /// Open or not.
    pub decision: Decision,
    /// Why: a code of the openings or of the denials.
    #[schema(example = "reserved")]
    pub code: &'static str,
    /// In plain words, and what to do next.
    pub detail: String,
    /// The stay it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionBody>,
    /// The reservation it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Uuid>,
    /// What is to be paid before the gate opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<MoneyBody>,
    /// When it would be let through, where that is only a matter of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Instant>,
    /// The number of the ticket that a drive-in is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The text of the QR code on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// The lot's sequence after it.
    pub seq: u64,
}

/// Code and words of a verdict.
#[must_use]
pub fn words(scanned: &Scanned) -> (Decision, &'static str, &'static str) {
    match scanned.verdict {
        Verdict::Open(reason) => {
            let code = OpenCode::from(reason);
            (Decision::Open, code.text(), open_words(code))
        }
        Verdict::Deny(reason) => {
            let code = DenyCode::from(reason);
            (Decision::Deny, code.text(), deny_words(code))
        }
    }
}

fn open_words(code: OpenCode) -> &'static str {
    match code {
        OpenCode::Reserved => "Reserved: welcome.",
        OpenCode::Pass => "Valid pass: welcome.",
        OpenCode::DriveIn => "Welcome: keep the ticket for the exit.",
        OpenCode::Repeated => "The same vehicle again: the gate stays open for it.",
        OpenCode::Paid => "Paid: have a good journey.",
        OpenCode::OnAccount => "Will be billed: have a good journey.",
    }
}

fn deny_words(code: DenyCode) -> &'static str {
    match code {
        DenyCode::CredentialUnknown => {
            "Nothing is known under this code. Read it again, or take a ticket."
        }
        DenyCode::TokenInvalid => {
            "This code is not one of ours. Show the one from the booking or ticket."
        }
        DenyCode::TokenExpired => "This code has run out. Open the booking and show the new one.",
        DenyCode::WrongLot => "This booking is for another lot. Look up where it is.",
        DenyCode::TooEarly => "The booking begins later. Come back then, or move it.",
        DenyCode::TooLate => "The booking is over. Book again, or take a ticket.",
        DenyCode::NotConfirmed => "The booking is not confirmed. Confirm it, then scan again.",
        DenyCode::HoldExpired => "The booking was not confirmed in time. Book again.",
        DenyCode::Cancelled => "The booking was cancelled. Book again, or take a ticket.",
        DenyCode::AlreadyInside => "A vehicle came in with this code and is inside. Ask for help.",
        DenyCode::AlreadyUsed => "This code was used, and the vehicle left. Book again.",
        DenyCode::PlateInside => "A vehicle with this plate is inside. Ask for help.",
        DenyCode::PlateElsewhere => "A vehicle with this plate is in another lot. Ask for help.",
        DenyCode::ConfidenceTooLow => {
            "The plate was not read well enough. Show a code, or type it."
        }
        DenyCode::NotEntitled => {
            "No booking or pass for this vehicle, and this lot takes nobody else."
        }
        DenyCode::PassNotValid => "The pass is not valid now. Look at its dates.",
        DenyCode::LotFull => "No place is free. Wait, or go to another lot.",
        DenyCode::LotClosed => "The lot is closed now. Look at its opening hours.",
        DenyCode::PaymentRequired => "Something is to be paid first. Pay, then scan again.",
        DenyCode::NotInside => "No vehicle inside goes by this. Show the ticket, or ask for help.",
        DenyCode::AlreadyLeft => "This vehicle left already. Ask for help.",
    }
}

/// New values of a stay; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SessionPatch, example = json!({"slot": "A-102"}))]
pub struct SessionPatch {
    /// Code or id of the slot it stands on; null where it may stand anywhere.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<String>)]
    pub slot: Option<Option<String>>,
    /// The right vehicle, where it was misread or not known.
    #[serde(default)]
    pub vehicle: Option<Vehicle>,
    /// Its ticket is lost; that cannot be taken back.
    #[serde(default)]
    pub ticket_lost: bool,
    /// What is asked for in one's own words, 500 characters at most; null for nothing any more. Drivers say this
    /// themselves.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<String>, example = "Our ticket machine swallowed the card.")]
    pub request: Option<Option<String>>,
}

/// When staff say that a vehicle left.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ManualExit)]
pub struct ManualExit {
    /// Now when left out; never before it came.
    #[serde(default)]
    pub at: Option<Instant>,
}

impl From<ManualExit> for StayChange {
    fn from(exit: ManualExit) -> Self {
        Self::Leave { at: exit.at.map(|at| at.0) }
    }
}
