//! The waiting list: join, list, show, leave. What is offered is a reservation of the same id.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Done, LotHandle, LotView};
use lotkeeper_engine::ids::WaitingId;
use lotkeeper_engine::lot::{Caller, Choice, Command, Needs, Waiter, WaiterTerms};
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf, QueryOf};
use super::intent::Intent;
use super::reservations::{Clear, caller, choice, send};
use super::{fields, people};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::Page;
use crate::wire::cursor::{self, List};
use crate::wire::waiting::{NewWaiting, WaitingBody, WaitingState};

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitingQuery {
    /// Code or id of a lot.
    lot: Option<String>,
    /// States, separated by commas.
    #[param(example = "waiting,offered")]
    state: Option<String>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// Wait for a window that is full
///
/// Whatever becomes free is offered to the first whom it fits, as a held reservation of the same id: it is
/// confirmed or cancelled as any other, and runs out after the lot's `offer_seconds`. Waiting ends when the
/// window begins. Role driver and up; the holder is the token's subject.
#[utoipa::path(
    post, path = "/api/v1/waiting", tag = "waiting", operation_id = "joinWaiting",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well.")),
    request_body = NewWaiting,
    responses(
        (status = 201, description = "The place on the list.", body = WaitingBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`lot_not_found`"),
        (status = 409, description = "`slot_free`, `lot_paused`, `lot_closed`, `id_taken`, `too_many_waiting`, `waiting_full`, `too_many_reservations`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`, `window_empty`, `window_in_past`, `window_too_long`, `no_slot_fits`, `discount_unknown`, `unpriceable`"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    principal: Principal,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Driver)?;
    let request: NewWaiting = body.parse()?;
    request.check().map_err(invalid)?;
    let lot = answer::lot(&app, &principal, &request.lot)?;
    let origin = intent.origin(&app, &principal, body.bytes(), request.id)?;
    let vehicle = match &request.vehicle {
        Some(vehicle) => Some(Clear::of(&app, &principal, &lot, vehicle)?.pseudonym),
        None => None,
    };
    let terms = WaiterTerms {
        needs: needs(&lot, &request)?,
        window: request.window(),
        holder: people::pseudonym(&app, &principal, PersonKind::Subject, &principal.subject)?,
        vehicle,
        vehicle_type: request.priced_type(),
        discounts: request.discounts.iter().map(|code| code.as_str().into()).collect(),
    };
    let command = Command::JoinWaiting { id: request.id(), terms: Box::new(terms) };
    let done = send(&app, &lot, command, origin).await?;
    let (answer, id) = shown(&app, &done, StatusCode::CREATED)?;
    Ok(answer::with_location(answer, &format!("/api/v1/waiting/{id}")))
}

/// What is needed, in terms of the lot.
fn needs(lot: &LotHandle, request: &NewWaiting) -> Result<Needs, Problem> {
    let Choice::Any(needs) = choice(lot, None, request.needs.as_ref())? else {
        return Ok(Needs::default());
    };
    Ok(needs)
}

/// The place as the command left it, whatever happened since.
fn shown(app: &App, done: &Done, status: StatusCode) -> Result<(Response, Uuid), Problem> {
    let ClaimOutcome::Waiting(waiter) = &done.answer else {
        return Err(answer::unexpected("place on the waiting list", &done.answer));
    };
    let body = reveal(app, waiter, &done.lot.view(), done.lot_seq)?;
    Ok((answer::with_version(answer::json(status, &body)?, body.version), body.id))
}

/// A place with its plate in clear: for its holder and staff.
fn reveal(
    app: &App,
    waiter: &Waiter,
    view: &LotView,
    lot_seq: u64,
) -> Result<WaitingBody, Problem> {
    let vehicle = people::vehicle(app, waiter.terms.vehicle)?;
    Ok(WaitingBody::of(waiter, &view.lot, lot_seq, vehicle))
}

/// List who waits
///
/// In order of lot and id. Lots remember ended places for a while; the log has all. Staff see all, drivers
/// their own.
#[utoipa::path(
    get, path = "/api/v1/waiting", tag = "waiting", operation_id = "listWaiting",
    params(WaitingQuery),
    responses(
        (status = 200, description = "Places.", body = Page<WaitingBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<WaitingQuery>,
) -> Result<Response, Problem> {
    principal.require(Access::Driver)?;
    let limit = fields::limit(query.limit)?;
    let states = fields::values("state", query.state.as_deref(), WaitingState::of)?;
    let after = after(query.cursor.as_deref())?;
    let lots = match &query.lot {
        Some(lot) => vec![answer::lot(&app, &principal, lot)?],
        None => app.engine.lots(&principal.tenant),
    };
    let mut page = Page { items: Vec::new(), next_cursor: None };
    let Some(by) = caller(&app, &principal)? else { return answer::ok(&page) };
    let wanted = |waiter: &Waiter| {
        let is_asked = states.is_empty() || states.contains(&waiter.state.into());
        is_asked && by.may_touch(waiter.terms.holder)
    };
    let lots = lots.iter().filter(|lot| principal.may_use_lot(lot.code(), lot.id()));
    for lot in lots.filter(|lot| after.as_ref().is_none_or(|(code, _)| *lot.code() >= **code)) {
        let view = lot.view();
        let start = after.as_ref().filter(|(code, _)| code == lot.code()).map(|(_, id)| *id);
        for waiter in view.lot.waiting().after(start).filter(|waiter| wanted(waiter)) {
            if page.items.len() == limit {
                page.next_cursor = page.items.last().map(cursor_after);
                return answer::ok(&page);
            }
            page.items.push(reveal(&app, waiter, &view, view.lot_seq)?);
        }
    }
    answer::ok(&page)
}

fn cursor_after(last: &WaitingBody) -> String {
    cursor::encode(List::Waiting, &format!("{}/{}", last.lot, last.id))
}

fn after(cursor: Option<&str>) -> Result<Option<(String, WaitingId)>, Problem> {
    let Some(key) = fields::after(List::Waiting, cursor)? else { return Ok(None) };
    let (lot, id) = key.split_once('/').ok_or_else(fields::bad_cursor)?;
    let id = Uuid::try_parse(id).map_err(|_| fields::bad_cursor())?;
    Ok(Some((lot.to_owned(), WaitingId(id))))
}

/// A place that the caller may see.
struct Target {
    lot: LotHandle,
    id: WaitingId,
    by: Caller,
}

fn target(app: &App, principal: &Principal, id: &str) -> Result<Target, Problem> {
    principal.require(Access::Driver)?;
    let missing = || {
        let shown = answer::shorten(id);
        Problem::waiting_not_found(format!("no place `{shown}` on a waiting list that you may see"))
    };
    let id = WaitingId(Uuid::try_parse(id).map_err(|_| missing())?);
    let by = caller(app, principal)?.ok_or_else(missing)?;
    let lot = app.engine.lot_of(&principal.tenant, id.0).ok_or_else(missing)?;
    principal.require_lot(&lot)?;
    let view = lot.view();
    let waiter = view.lot.waiting().get(id).ok_or_else(missing)?;
    if by.may_touch(waiter.terms.holder) { Ok(Target { lot, id, by }) } else { Err(missing()) }
}

/// Show a place on the waiting list
#[utoipa::path(
    get, path = "/api/v1/waiting/{id}", tag = "waiting", operation_id = "getWaiting",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The place.", body = WaitingBody, headers(("ETag"))),
        (status = 404, description = "`waiting_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    let Target { lot, id, .. } = target(&app, &principal, &id)?;
    let view = lot.view();
    let missing = || Problem::waiting_not_found("the lot no longer remembers it");
    let waiter = view.lot.waiting().get(id).ok_or_else(missing)?;
    let body = reveal(&app, waiter, &view, view.lot_seq)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// Wait no longer
///
/// One that was given up already stays as it is. What was offered is a reservation: cancel that.
#[utoipa::path(
    delete, path = "/api/v1/waiting/{id}", tag = "waiting", operation_id = "leaveWaiting",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    responses(
        (status = 200, description = "The place.", body = WaitingBody, headers(("ETag"))),
        (status = 404, description = "`waiting_not_found`"),
        (status = 409, description = "`waiting_ended`, `request_in_progress`"),
        (status = 422, description = "`idempotency_key_reused`"),
    ),
)]
pub async fn leave(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
) -> Result<Response, Problem> {
    let Target { lot, id, by } = target(&app, &principal, &id)?;
    let origin = intent.origin(&app, &principal, &[], None)?;
    let done = send(&app, &lot, Command::LeaveWaiting { id, by }, origin).await?;
    Ok(shown(&app, &done, StatusCode::OK)?.0)
}
