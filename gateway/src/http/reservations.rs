//! One reservation: make, show, move, confirm, give up.
//!
//! People and vehicles are pseudonyms everywhere behind this file; the clear text of a plate is in the
//! answers to its holder and to staff only.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Done, Item, LotHandle, LotView, Origin};
use lotkeeper_engine::ids::{Pseudonym, ReservationId};
use lotkeeper_engine::lot::{self, Caller, Choice, Command, Reservation, Reserve};
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf};
use super::intent::Intent;
use super::precondition::IfMatch;
use super::reservation_target::{no_reservation, target};
use super::{past, people, scans};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::credential::{Claim, Kind};
use crate::error::{self, Problem};
use crate::wire::request::InClear;
use crate::wire::reservation::{
    self as wire, Cancellation, NeedsBody, NewReservation, NoChoice, Nothing, ReservationBody,
    ReservationPatch,
};
use crate::wire::stay::SessionBody;
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
        (status = 409, description = "`slot_taken`, `no_slot_free`, `slot_out_of_service`, `lot_paused`, `lot_closed`, `id_taken`, `too_many_reservations`, `request_in_progress`"),
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
    let choice = choice(&lot, request.slot.as_deref(), request.needs.as_ref())?;
    let vehicle = match &request.vehicle {
        Some(vehicle) => Some(Clear::of(&app, &principal, &lot, vehicle)?),
        None => None,
    };
    let holder = people::pseudonym(&app, &principal, PersonKind::Subject, &principal.subject)?;
    let command = Command::Reserve(Reserve {
        id: ReservationId(request.id.unwrap_or_else(Uuid::now_v7)),
        choice,
        window: request.window(),
        hold: request.hold(),
        holder,
        vehicle: vehicle.as_ref().map(|vehicle| vehicle.pseudonym),
        vehicle_type: request.priced_type(),
        discounts: request.discounts.iter().map(|code| code.as_str().into()).collect(),
        series: None,
        request: people::asked(&app, &principal, holder.0, request.request.as_deref())?,
    });
    let done = send(&app, &lot, command, origin).await?;
    let answer = shown(&app, &done, StatusCode::CREATED, vehicle)?;
    let ClaimOutcome::Reservation(reservation) = &done.answer else { return Ok(answer) };
    Ok(answer::with_location(answer, &format!("/api/v1/reservations/{}", reservation.id)))
}

/// Which slot is wanted, in terms of the lot.
pub fn choice(
    lot: &LotHandle,
    slot: Option<&str>,
    needs: Option<&NeedsBody>,
) -> Result<Choice, Problem> {
    wire::choice(slot, needs, lot, &lot.spec()).map_err(|no| match no {
        NoChoice::SlotNotFound => answer::no_slot(lot, slot.unwrap_or_default()),
        NoChoice::NoSlotFits => Problem::no_slot_fits(
            "no slot of this lot has the features and lies in the zone asked for; ask for less",
        ),
    })
}

/// A vehicle whose clear text the request has brought: the vault need not be asked for the answer.
pub struct Clear {
    pub pseudonym: Pseudonym,
    canonical: String,
}

impl Clear {
    /// A vehicle that does not say its country is of the lot's.
    pub fn of(
        app: &App,
        principal: &Principal,
        lot: &LotHandle,
        vehicle: &Vehicle,
    ) -> Result<Self, Problem> {
        let vehicle = vehicle.clone().at_home_in(people::home(&lot.view()));
        let canonical = vehicle.canonical().map_err(invalid)?;
        let pseudonym = people::pseudonym(app, principal, PersonKind::Vehicle, &canonical)?;
        Ok(Self { pseudonym, canonical })
    }
}

/// Sends a command to a lot, and waits for the answer.
pub async fn send(
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
    let view = done.lot.view();
    let body = match brought.filter(|clear| reservation.vehicle == Some(clear.pseudonym)) {
        Some(clear) => {
            let vehicle = Some(Vehicle::from_canonical(&clear.canonical));
            let request = view.lot.requests().about(reservation.id.into());
            let in_clear = InClear { vehicle, ..people::in_clear(app, None, request)? };
            let qr = token(app, &view, reservation);
            ReservationBody::of(reservation, &view.lot, done.lot_seq, in_clear, qr)
        }
        None => reveal(app, reservation, &view, done.lot_seq)?,
    };
    Ok(answer::with_version(answer::json(status, &body)?, body.version))
}

/// A reservation with its plate and its request in clear: for its holder and staff.
pub fn reveal(
    app: &App,
    reservation: &Reservation,
    view: &LotView,
    lot_seq: u64,
) -> Result<ReservationBody, Problem> {
    let request = view.lot.requests().about(reservation.id.into());
    let in_clear = people::in_clear(app, reservation.vehicle, request)?;
    let qr = token(app, view, reservation);
    Ok(ReservationBody::of(reservation, &view.lot, lot_seq, in_clear, qr))
}

/// A reservation with the stay that came of it, as its holder sees both.
pub fn own(
    app: &App,
    view: &LotView,
    reservation: &Reservation,
) -> Result<(ReservationBody, Option<SessionBody>), Problem> {
    let session = view.lot.stays().of_reservation(reservation.id);
    let session = session.map(|session| scans::body(app, view, session, view.lot_seq));
    Ok((reveal(app, reservation, view, view.lot_seq)?, session.transpose()?))
}

/// The text of the code that opens a gate for it, while it does.
pub fn token(app: &App, view: &LotView, reservation: &Reservation) -> Option<String> {
    let opens = match reservation.state {
        lot::State::Confirmed | lot::State::CheckedIn { .. } | lot::State::Completed => true,
        lot::State::Held { .. }
        | lot::State::Cancelled
        | lot::State::Expired
        | lot::State::NoShow => false,
    };
    let after_end = app.config.credentials.qr_after_end;
    let expires_at = reservation.window.to.plus(after_end);
    let claim = Claim { kind: Kind::Reservation, id: reservation.id.0, expires_at };
    opens.then(|| app.qr.sign(&view.spec().tenant, &claim))
}

/// Who asks, in the engine's terms. A driver who never reserved has no pseudonym and sees nothing.
pub fn caller(app: &App, principal: &Principal) -> Result<Option<Caller>, Problem> {
    if principal.role.may(Access::Staff) {
        return Ok(Some(Caller::Staff));
    }
    let own = people::known(app, principal, PersonKind::Subject, &principal.subject)?;
    Ok(own.map(Caller::Holder))
}

/// Show a reservation
///
/// However long ago it was.
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
    principal.require(Access::Driver)?;
    let missing = || no_reservation(&id);
    let wanted = ReservationId(Uuid::try_parse(&id).map_err(|_| missing())?);
    let by = caller(&app, &principal)?.ok_or_else(missing)?;
    let found = past::one(&app, &principal, wanted.0, move |history, tenant| {
        history.reservation(tenant, wanted)
    });
    let found = found.await?;
    let Item { lot, lot_seq, document } = found.ok_or_else(missing)?;
    principal.require_lot(&lot)?;
    if !by.may_touch(document.holder) {
        return Err(missing());
    }
    let body = reveal(&app, &document, &lot.view(), lot_seq)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// Move a reservation
///
/// To another window, another slot, or both; shorter, longer, and while the vehicle is inside its end. When that
/// is refused, the old promise stays. The price follows the window, under the tariff of the booking. `request` says
/// what its holder asks for from now on; alone, it moves nothing.
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
        (status = 404, description = "`reservation_not_found`, `slot_not_found`"),
        (status = 409, description = "`slot_taken`, `no_slot_free`, `slot_out_of_service`, `lot_paused`, `lot_closed`, `change_too_late`, `reservation_ended`, `vehicle_inside`, `request_in_progress`"),
        (status = 412, description = "`version_mismatch`"),
        (status = 422, description = "`validation_failed`, `no_slot_fits`, `unpriceable`, `window_empty`, `window_in_past`, `window_too_long`, `idempotency_key_reused`"),
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
    let target = target(&app, &principal, &id).await?;
    let (lot, id, by) = (&target.lot, target.id, target.by);
    let request: ReservationPatch = body.parse()?;
    if request.slot.is_some() && request.needs.is_some() {
        let detail = "`slot` and `needs` exclude each other; leave one out";
        return Err(Problem::field("/needs", detail));
    }
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let command = Command::Modify {
        id,
        choice: match (&request.slot, &request.needs) {
            (None, None) => None,
            (slot, needs) => Some(choice(lot, slot.as_deref(), needs.as_ref())?),
        },
        from: request.from.map(|from| from.0),
        to: request.to.map(|to| to.0),
        request: match &request.request {
            Some(text) => {
                let whose = target.last.holder.0;
                Some(people::asked(&app, &principal, whose, text.as_deref())?)
            }
            None => None,
        },
        expected_version: if_match.expected(target.last.version)?,
        by,
    };
    let done = target.send(&app, command, origin).await?;
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
    let target = target(&app, &principal, &id).await?;
    let (id, by) = (target.id, target.by);
    let Nothing {} = body.parse_or_default()?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let done = target.send(&app, Command::Confirm { id, by }, origin).await?;
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
        (status = 409, description = "`reservation_ended`, `vehicle_inside`, `change_too_late`, `request_in_progress`"),
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
    let target = target(&app, &principal, &id).await?;
    let (id, by) = (target.id, target.by);
    let request: Cancellation = body.parse_or_default()?;
    let reason = request.checked().map_err(invalid)?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let done = target.send(&app, Command::Cancel { id, reason, by }, origin).await?;
    shown(&app, &done, StatusCode::OK, None)
}
