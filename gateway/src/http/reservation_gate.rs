//! A reservation at the gate: its code, and the driver who checks himself in and out.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_engine::ids::SessionId;
use lotkeeper_engine::lot::session::Direction;
use lotkeeper_engine::lot::{Caller, Command, Credential, Needs, Scan, Scanner};
use uuid::Uuid;

use super::answer;
use super::body::{JsonBody, PathOf, QueryOf};
use super::intent::Intent;
use super::reservation_target::{Target, target};
use super::reservations::token;
use super::{picture, scans};
use crate::app::App;
use crate::auth::Principal;
use crate::error::Problem;
use crate::wire::reservation::Nothing;
use crate::wire::stay::ScanAnswer;

/// The code of a reservation
///
/// As a picture. It opens the gates from the lot's early entry on.
#[utoipa::path(
    get, path = "/api/v1/reservations/{id}/qr", tag = "reservations", operation_id = "getReservationQr",
    params(("id" = Uuid, Path, description = "Its id."), picture::PictureQuery),
    responses(
        (status = 200, description = "The picture.", content((String = "image/svg+xml"), (Vec<u8> = "image/png"))),
        (status = 404, description = "`reservation_not_found`"),
        (status = 409, description = "`reservation_ended`: it opens no gate, or not yet"),
    ),
)]
pub async fn qr(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<picture::PictureQuery>,
) -> Result<Response, Problem> {
    let Target { lot, last: reservation, .. } = target(&app, &principal, &id).await?;
    let view = lot.view();
    let closed = || {
        Problem::reservation_ended(
            "it is not confirmed, or over, and has no code; confirm it first",
        )
    };
    picture::of(&token(&app, &view, &reservation).ok_or_else(closed)?, &query)
}

/// Check in
///
/// By the driver himself, where there is no gate: the same decision as a scan at an entry.
#[utoipa::path(
    post, path = "/api/v1/reservations/{id}/check-in", tag = "reservations", operation_id = "checkIn",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    responses(
        (status = 200, description = "What a gate would do.", body = ScanAnswer),
        (status = 404, description = "`reservation_not_found`"),
        (status = 409, description = "`request_in_progress`"),
        (status = 422, description = "`idempotency_key_reused`"),
    ),
)]
pub async fn check_in(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    pass(&app, &principal, &id, Direction::Entry, (&intent, &body)).await
}

/// Check out
///
/// By the driver himself, where there is no gate: the same decision as a scan at an exit.
#[utoipa::path(
    post, path = "/api/v1/reservations/{id}/check-out", tag = "reservations", operation_id = "checkOut",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    responses(
        (status = 200, description = "What a gate would do.", body = ScanAnswer),
        (status = 404, description = "`reservation_not_found`"),
        (status = 409, description = "`request_in_progress`"),
        (status = 422, description = "`idempotency_key_reused`"),
    ),
)]
pub async fn check_out(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    pass(&app, &principal, &id, Direction::Exit, (&intent, &body)).await
}

async fn pass(
    app: &App,
    principal: &Principal,
    id: &str,
    direction: Direction,
    (intent, body): (&Intent, &JsonBody),
) -> Result<Response, Problem> {
    let target = target(app, principal, id).await?;
    let (id, by) = (target.id, target.by);
    let Nothing {} = body.parse_or_default()?;
    let by = match by {
        Caller::Holder(driver) => Scanner::Driver(driver),
        Caller::Staff => Scanner::Staff,
    };
    let scan = Scan {
        id: SessionId(Uuid::now_v7()),
        gate: None,
        direction,
        credential: Credential::Reservation(id),
        seen: None,
        observed_at: None,
        confidence_percent: None,
        needs: Needs::default(),
        vehicle_type: None,
        by,
        is_elsewhere: false,
        tenant_pass: None,
        dry_run: false,
    };
    let origin = intent.origin(app, principal, body.bytes(), None)?;
    let done = target.send(app, Command::Scan(Box::new(scan)), origin).await?;
    answer::ok(&scans::scanned(app, &done)?)
}
