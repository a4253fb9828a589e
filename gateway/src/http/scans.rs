//! Scans: what is shown at a gate, and what the gate is to do.
//!
//! A token's signature and a plate's spelling are judged here; everything else by the lot, in one message. What is
//! wrong with a token is told to the lot as well, so that the log has the whole story of a gate.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_actors::{Done, LotHandle};
use lotkeeper_engine::ids::{Reference, ReservationId, SessionId};
use lotkeeper_engine::lot::session::{DenyReason, Direction, Scanned, Session};
use lotkeeper_engine::lot::{Command, Credential, Needs, Scan, Scanner};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::ClaimOutcome;
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::JsonBody;
use super::intent::Intent;
use super::people;
use crate::app::App;
use crate::auth::{Access, Principal, Role};
use crate::credential::{Claim, Kind, Refused, Ticket};
use crate::error::{self, Problem};
use crate::plate::{Country, Stated};
use crate::wire::instant::Instant;
use crate::wire::money::MoneyBody;
use crate::wire::names::Size;
use crate::wire::reservation::{NeedsBody, reference};
use crate::wire::stay::{ScanAnswer, ScanBody, SessionBody, words};

/// How long a ticket's code is good; the stay itself says when it is over.
const TICKET_DAYS: u32 = 366;
const DAY_SECONDS: u32 = 86_400;

/// Scan a credential at a gate
///
/// The answer says what the gate does. A credential that is not good is no error: the answer is `deny` with its
/// code. With a client-made `id` or an `Idempotency-Key` a retry gets the first answer. Roles staff and device.
#[utoipa::path(
    post, path = "/api/v1/scans", tag = "sessions", operation_id = "scan",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well.")),
    request_body = ScanBody,
    responses(
        (status = 200, description = "What the gate is to do.", body = ScanAnswer),
        (status = 404, description = "`lot_not_found`"),
        (status = 409, description = "`id_taken`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `reading_in_future`, `observed_too_long_ago`, `idempotency_key_reused`"),
    ),
)]
pub async fn scan(
    State(app): State<App>,
    principal: Principal,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Device)?;
    let request: ScanBody = body.parse()?;
    request.check().map_err(invalid)?;
    let lot = answer::lot(&app, &principal, &request.lot)?;
    let origin = intent.origin(&app, &principal, body.bytes(), request.id)?;
    let by = if principal.role == Role::Device { Scanner::Device } else { Scanner::Staff };
    let scan = scan_of(&app, &principal, &lot, &request, by)?;
    let refused = |error| error::command(&lot.view(), &error);
    let command = Command::Scan(Box::new(scan));
    let done =
        app.engine.command(&lot, command, origin).map_err(refused)?.await.map_err(refused)?;
    answer::ok(&scanned(&app, &done)?)
}

fn scan_of(
    app: &App,
    principal: &Principal,
    lot: &LotHandle,
    request: &ScanBody,
    by: Scanner,
) -> Result<Scan, Problem> {
    let view = lot.view();
    let needs = NeedsBody {
        vehicle_size: request.vehicle_size,
        vehicle_type: request.vehicle_type.clone(),
        ..NeedsBody::default()
    };
    // A size alone is in every lot's terms.
    let needs = needs.in_lot(view.spec()).unwrap_or_default();
    let size = request.vehicle_size.unwrap_or(Size::Standard).into();
    let needs = Needs { size, ..needs };
    let seen = match &request.plate {
        Some(plate) => {
            let stated = stated(plate.country.as_deref(), request.confidence.is_some());
            Some(people::read(app, principal, &view, &plate.plate, stated)?)
        }
        None => None,
    };
    Ok(Scan {
        id: SessionId(request.id.unwrap_or_else(Uuid::now_v7)),
        gate: request.gate.as_deref().map(Into::into),
        direction: request.direction.into(),
        credential: credential(app, principal, lot, request)?,
        seen,
        observed_at: request.observed_at.map(|at| at.0),
        confidence_percent: request.confidence_percent(),
        needs,
        vehicle_type: request.vehicle_type.as_deref().map(Into::into),
        by,
        is_elsewhere: false,
        tenant_pass: None,
        dry_run: request.dry_run,
    })
}

/// A camera guesses the country, a person knows it.
fn stated(country: Option<&str>, is_camera: bool) -> Stated {
    match country.and_then(Country::parse) {
        Some(country) if is_camera => Stated::Guessed(country),
        Some(country) => Stated::Said(country),
        None => Stated::Unknown,
    }
}

fn credential(
    app: &App,
    principal: &Principal,
    lot: &LotHandle,
    request: &ScanBody,
) -> Result<Credential, Problem> {
    let shown = &request.credential;
    if let Some(text) = &shown.qr {
        return Ok(token(app, principal, lot, text, request.direction.into()));
    }
    if let Some(text) = &shown.ticket {
        let number = Ticket::parse(text).ok().map(Ticket::number);
        let reference = number.and_then(Reference::of_number);
        let unknown = Credential::Refused(DenyReason::CredentialUnknown);
        return Ok(reference.map_or(unknown, Credential::Ticket));
    }
    let Some(plate) = &shown.plate else { return Ok(Credential::Nothing) };
    let view = lot.view();
    let stated = stated(shown.country.as_deref(), request.confidence.is_some());
    let mut vehicle = people::read(app, principal, &view, plate, stated)?;
    let is_exit = Direction::from(request.direction) == Direction::Exit;
    if is_exit && stated == Stated::Unknown && view.lot.stays().of_vehicle(vehicle).is_none() {
        // Whoever came in under his country may be read without it; with two of them nobody knows which.
        let alike = people::anyhow(app, principal, plate)?;
        let mut inside = alike.into_iter().filter(|v| view.lot.stays().of_vehicle(*v).is_some());
        if let (Some(only), None) = (inside.next(), inside.next()) {
            vehicle = only;
        }
    }
    let near = people::near(app, &view, vehicle, plate)?;
    Ok(Credential::Plate { vehicle, near })
}

/// What a token stands for in this lot. Whoever wants out is let out by a token that has run out, if it was ours.
fn token(
    app: &App,
    principal: &Principal,
    lot: &LotHandle,
    text: &str,
    direction: Direction,
) -> Credential {
    let claim = match app.qr.verify(&principal.tenant, text, app.engine.now()) {
        Ok(claim) => claim,
        Err(Refused::Expired { claim }) if direction == Direction::Exit => claim,
        Err(Refused::Expired { .. }) => return Credential::Refused(DenyReason::TokenExpired),
        Err(
            Refused::Malformed
            | Refused::UnknownVersion { .. }
            | Refused::UnknownKey
            | Refused::BadSignature,
        ) => return Credential::Refused(DenyReason::TokenInvalid),
    };
    match app.engine.lot_of(&principal.tenant, claim.id) {
        Some(other) if other.key() != lot.key() => Credential::Refused(DenyReason::WrongLot),
        Some(_) | None => match claim.kind {
            Kind::Reservation => Credential::Reservation(ReservationId(claim.id)),
            Kind::Session => Credential::Session(SessionId(claim.id)),
        },
    }
}

/// The answer to a scan, as the lot decided it.
pub fn scanned(app: &App, done: &Done) -> Result<ScanAnswer, Problem> {
    let ClaimOutcome::Scanned(scanned, session) = &done.answer else {
        return Err(answer::unexpected("scan", &done.answer));
    };
    let view = done.lot.view();
    let (decision, code, detail) = words(scanned);
    let ticket = session.as_deref().filter(|session| is_ticket_due(scanned, session));
    let shown = match session {
        Some(session) => Some(body(app, &view, session, done.lot_seq)?),
        None => None,
    };
    Ok(ScanAnswer {
        decision,
        code,
        detail: detail.to_owned(),
        session: shown,
        reservation: scanned.reservation.map(|id| id.0),
        due: scanned.due.map(|due| MoneyBody::of(due, view.spec())),
        not_before: scanned.not_before.map(Instant),
        ticket: ticket.map(|session| reference(session.reference())),
        qr: ticket.map(|session| ticket_token(app, done.lot.tenant(), session)),
        seq: done.lot_seq,
    })
}

/// Who came in without a reservation is given a ticket.
fn is_ticket_due(scanned: &Scanned, session: &Session) -> bool {
    use lotkeeper_engine::lot::session::{OpenReason, Verdict};
    matches!(scanned.verdict, Verdict::Open(OpenReason::DriveIn)) && session.state.is_inside()
}

/// The text of the code on a ticket.
pub fn ticket_token(app: &App, tenant: &str, session: &Session) -> String {
    let expires_at =
        session.entered_at.plus(lotkeeper_engine::time::Seconds(TICKET_DAYS * DAY_SECONDS));
    app.qr.sign(tenant, &Claim { kind: Kind::Session, id: session.id.0, expires_at })
}

/// A stay with its plate in clear: for its holder and staff.
pub fn body(
    app: &App,
    view: &lotkeeper_actors::LotView,
    session: &Session,
    lot_seq: u64,
) -> Result<SessionBody, Problem> {
    let now: Timestamp = app.engine.now();
    let request = view.lot.request_of_stay(session);
    let in_clear = people::in_clear(app, session.vehicle, request)?;
    Ok(SessionBody::of(session, &view.lot, (lot_seq, now), in_clear))
}
