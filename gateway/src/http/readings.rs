//! Readings of a lot's slots.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_engine::slot::Source;

use super::answer;
use super::body::{JsonBody, PathOf};
use super::intent::Intent;
use crate::app::App;
use crate::auth::{Access, Principal, Role};
use crate::error::{self, Problem};
use crate::wire::readings::{ReadingsAnswer, ReadingsBody, parse};

/// Take readings
///
/// Up to 10,000 of one lot, answered when all that was accepted is durable. A reading that cannot be taken
/// is refused by its index while the others go on. Readings are harmless to repeat, so an
/// `Idempotency-Key` is checked and not remembered. Role device, or staff and up.
#[utoipa::path(
    post, path = "/api/v1/lots/{lot}/readings", tag = "occupancy", operation_id = "takeReadings",
    params(("lot" = String, Path, description = "Code or id.", example = "L1")),
    request_body = ReadingsBody,
    responses(
        (status = 200, description = "What they did.", body = ReadingsAnswer),
        (status = 404, description = "`lot_not_found`"),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`validation_failed`"),
    ),
)]
pub async fn take(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
    _harmless_to_repeat: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Device)?;
    let lot = answer::lot(&app, &principal, &lot)?;
    let source = match principal.role {
        Role::Device => Source::Sensor,
        Role::Admin | Role::Operator | Role::Staff | Role::Driver | Role::Display => Source::Staff,
    };
    let parsed = parse(&lot, source, body.bytes())?;
    drop(body);
    if parsed.readings.is_empty() {
        return answer::ok(&parsed.rest.nothing_sent(lot.view().lot_seq));
    }
    let by = principal.by(&*app.engine.vault());
    let by = by.map_err(|error| answer::unreadable("vault", &error))?;
    let refused = |error| error::command(&lot.view(), &error);
    let sent = app.engine.readings_in_parts(&lot, parsed.readings, Some(by)).await;
    let done = sent.map_err(refused)?.await.map_err(refused)?;
    answer::ok(&parsed.rest.answer(&done))
}
