//! Shifts: open, list, show, close. Cashiers see their own, operators all.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Done, LotHandle};
use lotkeeper_engine::ids::{Pseudonym, ShiftId};
use lotkeeper_engine::lot::shift::Command as Ask;
use lotkeeper_engine::lot::{Command, Shift};
use lotkeeper_engine::spec::Spec;
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{self, invalid, unreadable};
use super::body::{JsonBody, PathOf, QueryOf};
use super::intent::Intent;
use super::reservations::send;
use super::{fields, people};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::Page;
use crate::wire::cursor::{self, List};
use crate::wire::shift::{ClosedShift, NewShift, ShiftBody, ShiftState};

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShiftsQuery {
    /// Code or id of a lot.
    lot: Option<String>,
    /// States, separated by commas.
    #[param(example = "open")]
    state: Option<String>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// Whose shifts the caller sees: his own, or everybody's without.
fn own(app: &App, principal: &Principal) -> Result<Option<Pseudonym>, Problem> {
    principal.require(Access::Staff)?;
    if principal.role.may(Access::Operator) {
        return Ok(None);
    }
    people::pseudonym(app, principal, PersonKind::Subject, &principal.subject).map(Some)
}

/// Open a shift
///
/// The caller's own: one at a time in a lot. Every payment that he takes by cash or terminal belongs to it, and
/// everything he hands out. Role staff.
#[utoipa::path(
    post, path = "/api/v1/shifts", tag = "shifts", operation_id = "openShift",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well.")),
    request_body = NewShift,
    responses(
        (status = 201, description = "The shift.", body = ShiftBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`lot_not_found`"),
        (status = 409, description = "`shift_open`, `shifts_full`, `id_taken`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn open(
    State(app): State<App>,
    principal: Principal,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let request: NewShift = body.parse()?;
    let lot = answer::lot(&app, &principal, &request.lot)?;
    let origin = intent.origin(&app, &principal, body.bytes(), request.id)?;
    let cashier = people::pseudonym(&app, &principal, PersonKind::Subject, &principal.subject)?;
    let opened = request.opened(cashier, &lot.spec()).map_err(invalid)?;
    let command = Command::Shift(Box::new(Ask::Open(opened)));
    let done = send(&app, &lot, command, origin).await?;
    let (answer, id) = shown(&app, &done, StatusCode::CREATED)?;
    Ok(answer::with_location(answer, &format!("/api/v1/shifts/{id}")))
}

/// The shift as the command left it, whatever happened since.
fn shown(app: &App, done: &Done, status: StatusCode) -> Result<(Response, Uuid), Problem> {
    let ClaimOutcome::Shift(shift) = &done.answer else {
        return Err(answer::unexpected("shift", &done.answer));
    };
    let body = reveal(app, shift, &done.lot.spec())?;
    Ok((answer::with_version(answer::json(status, &body)?, body.version), body.id))
}

/// A shift with its cashier in clear.
fn reveal(app: &App, shift: &Shift, spec: &Spec) -> Result<ShiftBody, Problem> {
    let cashier = app.engine.vault().reveal(shift.cashier);
    let cashier = cashier.map_err(|error| unreadable("vault", &error))?;
    Ok(ShiftBody::of(shift, spec, cashier.map(|clear| clear.to_string())))
}

/// List shifts
///
/// In order of lot and id. Lots remember closed ones for a while; the log has all. Staff see their own, operators
/// all.
#[utoipa::path(
    get, path = "/api/v1/shifts", tag = "shifts", operation_id = "listShifts",
    params(ShiftsQuery),
    responses(
        (status = 200, description = "Shifts.", body = Page<ShiftBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<ShiftsQuery>,
) -> Result<Response, Problem> {
    let own = own(&app, &principal)?;
    let limit = fields::limit(query.limit)?;
    let states = fields::values("state", query.state.as_deref(), ShiftState::of)?;
    let after = after(query.cursor.as_deref())?;
    let lots = match &query.lot {
        Some(lot) => vec![answer::lot(&app, &principal, lot)?],
        None => app.engine.lots(&principal.tenant),
    };
    let wanted = |shift: &Shift| {
        (states.is_empty() || states.contains(&ShiftState::of_shift(shift)))
            && own.is_none_or(|own| own == shift.cashier)
    };
    let mut page = Page { items: Vec::new(), next_cursor: None };
    let lots = lots.iter().filter(|lot| principal.may_use_lot(lot.code(), lot.id()));
    for lot in lots.filter(|lot| after.as_ref().is_none_or(|(code, _)| *lot.code() >= **code)) {
        let view = lot.view();
        let start = after.as_ref().filter(|(code, _)| code == lot.code()).map(|(_, id)| *id);
        for shift in view.lot.shifts().after(start).filter(|shift| wanted(shift)) {
            if page.items.len() == limit {
                page.next_cursor = page.items.last().map(cursor_after);
                return answer::ok(&page);
            }
            page.items.push(reveal(&app, shift, view.spec())?);
        }
    }
    answer::ok(&page)
}

fn cursor_after(last: &ShiftBody) -> String {
    cursor::encode(List::Shifts, &format!("{}/{}", last.lot, last.id))
}

fn after(cursor: Option<&str>) -> Result<Option<(String, ShiftId)>, Problem> {
    let Some(key) = fields::after(List::Shifts, cursor)? else { return Ok(None) };
    let (lot, id) = key.split_once('/').ok_or_else(fields::bad_cursor)?;
    let id = Uuid::try_parse(id).map_err(|_| fields::bad_cursor())?;
    Ok(Some((lot.to_owned(), ShiftId(id))))
}

fn target(
    app: &App,
    principal: &Principal,
    id: &str,
) -> Result<(LotHandle, ShiftId, Option<Pseudonym>), Problem> {
    let own = own(app, principal)?;
    let missing = || {
        let shown = answer::shorten(id);
        Problem::shift_not_found(format!("no shift `{shown}` that you may see"))
    };
    let id = ShiftId(Uuid::try_parse(id).map_err(|_| missing())?);
    let lot = app.engine.lot_of(&principal.tenant, id.0).ok_or_else(missing)?;
    principal.require_lot(&lot)?;
    let view = lot.view();
    let shift = view.lot.shifts().get(id).ok_or_else(missing)?;
    match own.is_none_or(|own| own == shift.cashier) {
        true => Ok((lot, id, own)),
        false => Err(missing()),
    }
}

/// Show a shift
///
/// What came in so far and what should be in the drawer. Role staff.
#[utoipa::path(
    get, path = "/api/v1/shifts/{id}", tag = "shifts", operation_id = "getShift",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The shift.", body = ShiftBody, headers(("ETag"))),
        (status = 404, description = "`shift_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    let (lot, id, _) = target(&app, &principal, &id)?;
    let view = lot.view();
    let missing = || Problem::shift_not_found("the lot no longer remembers it");
    let shift = view.lot.shifts().get(id).ok_or_else(missing)?;
    let body = reveal(&app, shift, view.spec())?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// Close a shift
///
/// With what was counted; the answer tells the difference. Cashiers their own, operators any.
#[utoipa::path(
    post, path = "/api/v1/shifts/{id}/close", tag = "shifts", operation_id = "closeShift",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = ClosedShift,
    responses(
        (status = 200, description = "The shift.", body = ShiftBody, headers(("ETag"))),
        (status = 404, description = "`shift_not_found`"),
        (status = 409, description = "`shift_closed`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn close(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (lot, id, by) = target(&app, &principal, &id)?;
    let request: ClosedShift = body.parse()?;
    let counted = request.counted.checked_from_zero("/counted", &lot.spec());
    let counted = counted.map_err(|fault| invalid(vec![fault]))?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let command = Command::Shift(Box::new(Ask::Close { id, by, counted }));
    Ok(shown(&app, &send(&app, &lot, command, origin).await?, StatusCode::OK)?.0)
}
