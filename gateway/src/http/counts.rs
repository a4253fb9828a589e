//! Counts at the gates of a counted lot.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_engine::lot::Command;
use lotkeeper_storage::ClaimOutcome;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf};
use super::intent::Intent;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::{self, Problem};
use crate::wire::counts::{CountAnswer, CountBody};

/// Take a count
///
/// `entered` and `left` since the last report, or `occupied` as an absolute figure; answered when durable.
/// Flows add up, so a counter that retries sends an `Idempotency-Key`. Role device, or staff and up.
#[utoipa::path(
    post, path = "/api/v1/lots/{lot}/counts", tag = "occupancy", operation_id = "takeCount",
    params(
        ("lot" = String, Path, description = "Code or id.", example = "P1"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = CountBody,
    responses(
        (status = 200, description = "What it did.", body = CountAnswer),
        (status = 404, description = "`lot_not_found`"),
        (status = 409, description = "`request_in_progress`"),
        (status = 422, description = "`validation_failed`, `not_counted`, `reading_in_future`, `idempotency_key_reused`"),
    ),
)]
pub async fn take(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Device)?;
    let lot = answer::lot(&app, &principal, &lot)?;
    let request: CountBody = body.parse()?;
    let (count, observed_at) = request.count().map_err(invalid)?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let refused = |error| error::command(&lot.view(), &error);
    let command = Command::Count { count, observed_at };
    let sent = app.engine.command(&lot, command, origin).map_err(refused)?;
    let done = sent.await.map_err(refused)?;
    match done.answer {
        ClaimOutcome::Count(outcome, state) => {
            answer::ok(&CountAnswer::new(outcome, state, done.lot_seq))
        }
        other => Err(answer::unexpected("count", &other)),
    }
}
