//! One lot: create, show, change.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{CommandError, LotHandle};
use lotkeeper_engine::ids::LotId;
use lotkeeper_engine::lot::{Command, Rejection};
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf};
use super::intent::Intent;
use super::precondition::IfMatch;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::{self, Problem};
use crate::wire::lot::{LotBody, LotPatchBody};
use crate::wire::new_lot::NewLot;

/// A change without `If-Match` is tried again when another one came between; so often.
const CHANGES_TRIED_MAX: usize = 16;

/// Create a lot
///
/// With its zones and up to 10,000 slots in one request, as a whole or not at all. Role operator.
#[utoipa::path(
    post, path = "/api/v1/lots", tag = "lots", operation_id = "createLot",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; 1 to 128 visible characters.")),
    request_body = NewLot,
    responses(
        (status = 201, description = "The lot.", body = LotBody, headers(("Location"), ("ETag"))),
        (status = 409, description = "`lot_code_taken`, `id_taken`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    principal: Principal,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Operator)?;
    let request: NewLot = body.parse()?;
    let origin = intent.origin(&app, &principal, body.bytes(), request.id)?;
    let id = request.id;
    let spec = request
        .into_spec(&principal.tenant, app.engine.now(), app.config.rules.0)
        .map_err(invalid)?;
    if !principal.may_use_lot(&spec.code, spec.id) {
        let code = &spec.code;
        return Err(Problem::lot_not_allowed(format!("this token is not for lot {code}")));
    }
    if let Some(id) = id {
        check_id(&app, id, &principal.tenant, &spec.code)?;
    }
    let done = app.engine.create_lot(spec, origin).await?;
    let view = done.lot.view();
    let answer = answer::json(StatusCode::CREATED, &LotBody::of(&view, app.engine.now()))?;
    let answer = answer::with_location(answer, &format!("/api/v1/lots/{}", done.lot.code()));
    Ok(answer::with_version(answer, view.lot.version()))
}

/// An id is one lot's in the whole installation; the same lot again is the engine's to judge.
fn check_id(app: &App, id: Uuid, tenant: &str, code: &str) -> Result<(), Problem> {
    let lots = app.engine.all_lots();
    match lots.iter().find(|lot| lot.id() == LotId(id)) {
        Some(lot) if lot.tenant() != tenant || lot.code() != code => {
            Err(Problem::id_taken("a lot has this id already; make a new id for a new lot"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Show a lot
#[utoipa::path(
    get, path = "/api/v1/lots/{lot}", tag = "lots", operation_id = "getLot",
    params(("lot" = String, Path, description = "Code or id.", example = "L1")),
    responses(
        (status = 200, description = "The lot.", body = LotBody, headers(("ETag"))),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
) -> Result<Response, Problem> {
    let lot = answer::lot(&app, &principal, &lot)?;
    shown(&app, &lot)
}

fn shown(app: &App, lot: &LotHandle) -> Result<Response, Problem> {
    let view = lot.view();
    let answer = answer::ok(&LotBody::of(&view, app.engine.now()))?;
    Ok(answer::with_version(answer, view.lot.version()))
}

/// Change a lot
///
/// What is left out stays. Role operator.
#[utoipa::path(
    patch, path = "/api/v1/lots/{lot}", tag = "lots", operation_id = "changeLot",
    params(
        ("lot" = String, Path, description = "Code or id.", example = "L1"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = LotPatchBody,
    responses(
        (status = 200, description = "The lot after the change.", body = LotBody, headers(("ETag"))),
        (status = 404, description = "`lot_not_found`"),
        (status = 409, description = "`request_in_progress`"),
        (status = 412, description = "`version_mismatch`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn change(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
    if_match: IfMatch,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Operator)?;
    let lot = answer::lot(&app, &principal, &lot)?;
    let request: LotPatchBody = body.parse()?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    for _ in 0..CHANGES_TRIED_MAX {
        let view = lot.view();
        let seen = view.lot.version();
        let expected = if_match.expected(seen)?;
        // Place and rules change as a whole: what the request leaves out is as it was in this view, and
        // the expected version makes sure that it still is.
        let patch = request.checked(view.spec()).map_err(invalid)?;
        drop(view);
        let expected_version = Some(expected.unwrap_or(seen));
        let command = Command::ChangeLot { patch, expected_version };
        let done = match app.engine.command(&lot, command, origin) {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        match done {
            Ok(_) => return shown(&app, &lot),
            Err(CommandError::Rejected(Rejection::VersionMismatch { .. }))
                if expected.is_none() => {}
            Err(error) => return Err(error::command(&lot.view(), &error)),
        }
    }
    Err(Problem::overloaded("the lot is being changed by many at once; try again"))
}
