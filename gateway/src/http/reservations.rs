//! One reservation: make, show, move, confirm, give up.
//!
//! People and vehicles are pseudonyms everywhere behind this file; the clear text of a plate is in the
//! answers to its holder and to staff only.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Done, LotHandle, Origin};
use lotkeeper_engine::ids::{Pseudonym, ReservationId};
use lotkeeper_engine::lot::{Caller, Choice, Command, Reservation, Reserve};
use lotkeeper_engine::spec::Spec;
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use uuid::Uuid;

use super::answer::{self, invalid, unreadable};
use super::body::{JsonBody, PathOf};
use super::intent::Intent;
use super::precondition::IfMatch;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::{self, Problem};
use crate::wire::reservation::{
    Cancellation, NewReservation, NoChoice, Nothing, ReservationBody, ReservationPatch,
};
use crate::wire::vehicle::Vehicle;

/// Reserve a slot
///
/// A given one, or any that fits. With `hold_seconds` it is held until then, without it confirmed. Role
/// driver and up; the holder is the token's subject.
#[utoipa::path(
    post, path = "/api/v1/reservations", tag = "reservations", operation_id = "reserve",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well.")),
    request_body = NewReservation,
    responses(
        (status = 201, description = "The reservation.", body = ReservationBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`lot_not_found`, `slot_not_found`"),
        (status = 409, description = "`slot_taken`, `no_slot_free`, `slot_out_of_service`, `id_taken`, `too_many_reservations`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`, `window_empty`, `window_in_past`, `window_too_long`, `no_slot_fits`"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    principal: Principal,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Driver)?;
    let request: NewReservation = body.parse()?;
    request.check().map_err(invalid)?;
    let lot = answer::lot(&app, &principal, &request.lot)?;
    let origin = intent.origin(&app, &principal, body.bytes(), request.id)?;
    let choice = choice(&lot, &request)?;
    let vehicle = match &request.vehicle {
        Some(vehicle) => Some(Clear::of(&app, &principal, vehicle)?),
        None => None,
    };
    let command = Command::Reserve(Reserve {
        id: ReservationId(request.id.unwrap_or_else(Uuid::now_v7)),
        choice,
        window: request.window(),
        hold: request.hold(),
        holder: pseudonym(&app, &principal, PersonKind::Subject, &principal.subject)?,
        vehicle: vehicle.as_ref().map(|vehicle| vehicle.pseudonym),
    });
    let done = send(&app, &lot, command, origin).await?;
    let answer = shown(&app, &done, StatusCode::CREATED, vehicle)?;
    let ClaimOutcome::Reservation(reservation) = &done.answer else { return Ok(answer) };
    Ok(answer::with_location(answer, &format!("/api/v1/reservations/{}", reservation.id)))
}

fn choice(lot: &LotHandle, request: &NewReservation) -> Result<Choice, Problem> {
    request.choice(lot, &lot.spec()).map_err(|no| match no {
        NoChoice::SlotNotFound => answer::no_slot(lot, request.slot.as_deref().unwrap_or_default()),
        NoChoice::NoSlotFits => Problem::no_slot_fits(
            "no slot of this lot has the features and lies in the zone asked for; ask for less",
        ),
    })
}

fn pseudonym(
    app: &App,
    principal: &Principal,
    kind: PersonKind,
    clear: &str,
) -> Result<Pseudonym, Problem> {
    let interned = app.engine.vault().intern(&principal.tenant, kind, clear);
    interned.map_err(|error| unreadable("vault", &error))
}

/// A vehicle whose clear text the request has brought: the vault need not be asked for the answer.
struct Clear {
    pseudonym: Pseudonym,
    canonical: String,
}

impl Clear {
    fn of(app: &App, principal: &Principal, vehicle: &Vehicle) -> Result<Self, Problem> {
        let canonical = vehicle.canonical().map_err(invalid)?;
        let pseudonym = pseudonym(app, principal, PersonKind::Vehicle, &canonical)?;
        Ok(Self { pseudonym, canonical })
    }
}

async fn send(
    app: &App,
    lot: &LotHandle,
    command: Command,
    origin: Origin,
) -> Result<Done, Problem> {
    let refused = |error| error::command(&lot.view(), &error);
    app.engine.command(lot, command, origin).map_err(refused)?.await.map_err(refused)
}

/// The reservation as the command left it, whatever happened since.
fn shown(
    app: &App,
    done: &Done,
    status: StatusCode,
    brought: Option<Clear>,
) -> Result<Response, Problem> {
    let ClaimOutcome::Reservation(reservation) = &done.answer else {
        return Err(answer::unexpected("reservation", &done.answer));
    };
    let spec = done.lot.spec();
    let body = match brought.filter(|clear| reservation.vehicle == Some(clear.pseudonym)) {
        Some(clear) => {
            let vehicle = Vehicle::from_canonical(&clear.canonical);
            ReservationBody::of(reservation, &spec, done.lot_seq, Some(vehicle))
        }
        None => reveal(app, reservation, &spec, done.lot_seq)?,
    };
    Ok(answer::with_version(answer::json(status, &body)?, body.version))
}

/// A reservation with its plate in clear: for its holder and staff.
pub fn reveal(
    app: &App,
    reservation: &Reservation,
    spec: &Spec,
    lot_seq: u64,
) -> Result<ReservationBody, Problem> {
    let vehicle = match reservation.vehicle {
        Some(pseudonym) => app
            .engine
            .vault()
            .reveal(pseudonym)
            .map_err(|error| unreadable("vault", &error))?
            .map(|clear| Vehicle::from_canonical(&clear)),
        None => None,
    };
    Ok(ReservationBody::of(reservation, spec, lot_seq, vehicle))
}

/// Who asks, in the engine's terms. A driver who never reserved has no pseudonym and sees nothing.
pub fn caller(app: &App, principal: &Principal) -> Result<Option<Caller>, Problem> {
    if principal.role.may(Access::Staff) {
        return Ok(Some(Caller::Staff));
    }
    let known = app.engine.vault().find(&principal.tenant, PersonKind::Subject, &principal.subject);
    let known = known.map_err(|error| unreadable("vault", &error))?;
    Ok(known.map(Caller::Holder))
}

/// A reservation that the caller may see: the lot that has it, its id, and who asks.
struct Target {
    lot: LotHandle,
    id: ReservationId,
    by: Caller,
}

fn target(app: &App, principal: &Principal, id: &str) -> Result<Target, Problem> {
    principal.require(Access::Driver)?;
    let missing = || {
        let shown = answer::shorten(id);
        Problem::reservation_not_found(format!("no reservation `{shown}` that you may see"))
    };
    let id = ReservationId(Uuid::try_parse(id).map_err(|_| missing())?);
    let by = caller(app, principal)?.ok_or_else(missing)?;
    let lot = app.engine.lot_of(&principal.tenant, id).ok_or_else(missing)?;
    principal.require_lot(&lot)?;
    let view = lot.view();
    let reservation = view.lot.reservation(id).ok_or_else(missing)?;
    if by.may_touch(reservation.holder) { Ok(Target { lot, id, by }) } else { Err(missing()) }
}

/// Show a reservation
#[utoipa::path(
    get, path = "/api/v1/reservations/{id}", tag = "reservations", operation_id = "getReservation",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The reservation.", body = ReservationBody, headers(("ETag"))),
        (status = 404, description = "`reservation_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    let Target { lot, id, .. } = target(&app, &principal, &id)?;
    let view = lot.view();
    let missing = || Problem::reservation_not_found("the lot no longer remembers it");
    let reservation = view.lot.reservation(id).ok_or_else(missing)?;
    let body = reveal(&app, reservation, view.spec(), view.lot_seq)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// Move a reservation
///
/// On the same slot; when the new window is refused, the old one stays.
#[utoipa::path(
    patch, path = "/api/v1/reservations/{id}", tag = "reservations", operation_id = "changeReservation",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = ReservationPatch,
    responses(
        (status = 200, description = "The reservation after the change.", body = ReservationBody, headers(("ETag"))),
        (status = 404, description = "`reservation_not_found`"),
        (status = 409, description = "`slot_taken`, `reservation_ended`, `request_in_progress`"),
        (status = 412, description = "`version_mismatch`"),
        (status = 422, description = "`window_empty`, `window_in_past`, `window_too_long`, `idempotency_key_reused`"),
    ),
)]
pub async fn change(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    if_match: IfMatch,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let Target { lot, id, by } = target(&app, &principal, &id)?;
    let request: ReservationPatch = body.parse()?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let version = lot.view().lot.reservation(id).map_or(0, |reservation| reservation.version);
    let command = Command::Modify {
        id,
        from: request.from.map(|from| from.0),
        to: request.to.map(|to| to.0),
        expected_version: if_match.expected(version)?,
        by,
    };
    let done = send(&app, &lot, command, origin).await?;
    shown(&app, &done, StatusCode::OK, None)
}

/// Confirm a held reservation
///
/// One that is confirmed already stays as it is.
#[utoipa::path(
    post, path = "/api/v1/reservations/{id}/confirm", tag = "reservations", operation_id = "confirmReservation",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    responses(
        (status = 200, description = "The reservation.", body = ReservationBody, headers(("ETag"))),
        (status = 404, description = "`reservation_not_found`"),
        (status = 409, description = "`hold_expired`, `reservation_ended`, `request_in_progress`"),
        (status = 422, description = "`idempotency_key_reused`"),
    ),
)]
pub async fn confirm(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let Target { lot, id, by } = target(&app, &principal, &id)?;
    let Nothing {} = body.parse_or_default()?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let done = send(&app, &lot, Command::Confirm { id, by }, origin).await?;
    shown(&app, &done, StatusCode::OK, None)
}

/// Give a reservation up
///
/// One that is cancelled already stays as it is. The body may be left out.
#[utoipa::path(
    post, path = "/api/v1/reservations/{id}/cancel", tag = "reservations", operation_id = "cancelReservation",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = Option<Cancellation>,
    responses(
        (status = 200, description = "The reservation.", body = ReservationBody, headers(("ETag"))),
        (status = 404, description = "`reservation_not_found`"),
        (status = 409, description = "`reservation_ended`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn cancel(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let Target { lot, id, by } = target(&app, &principal, &id)?;
    let request: Cancellation = body.parse_or_default()?;
    let reason = request.checked().map_err(invalid)?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let done = send(&app, &lot, Command::Cancel { id, reason, by }, origin).await?;
    shown(&app, &done, StatusCode::OK, None)
}
