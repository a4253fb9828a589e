//! Passes: issue, list, show, change.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Done, LotHandle};
use lotkeeper_engine::ids::{PassId, Pseudonym};
use lotkeeper_engine::lot::pass::Reach;
use lotkeeper_engine::lot::{Caller, Command, Pass, PassChange};
use lotkeeper_engine::spec::Spec;
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf, QueryOf};
use super::intent::Intent;
use super::precondition::IfMatch;
use super::reservations::{caller, send};
use super::{fields, people};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::Page;
use crate::wire::cursor::{self, List};
use crate::wire::pass::{NewPass, PassBody, PassPatch, PassState};
use crate::wire::vehicle::Vehicle;

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PassesQuery {
    /// Code or id of a lot.
    lot: Option<String>,
    /// States, separated by commas.
    #[param(example = "active,paused")]
    state: Option<String>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// Issue a pass
///
/// Its vehicles come in by their plates, without reserving, in this lot or in all lots of the tenant. Role staff.
#[utoipa::path(
    post, path = "/api/v1/passes", tag = "passes", operation_id = "issuePass",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well.")),
    request_body = NewPass,
    responses(
        (status = 201, description = "The pass.", body = PassBody, headers(("Location"), ("ETag"))),
        (status = 403, description = "`lot_not_allowed`"),
        (status = 404, description = "`lot_not_found`"),
        (status = 409, description = "`id_taken`, `passes_full`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    principal: Principal,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let request: NewPass = body.parse()?;
    let lot = answer::lot(&app, &principal, &request.lot)?;
    for_all_lots(&principal, request.reach())?;
    let origin = intent.origin(&app, &principal, body.bytes(), request.id)?;
    let vehicles = pseudonyms(&app, &principal, &lot, &request.vehicles)?;
    let holder = request.holder.as_deref();
    let holder = holder.map(|who| people::pseudonym(&app, &principal, PersonKind::Subject, who));
    let terms = request.terms(vehicles, holder.transpose()?, &lot.spec()).map_err(invalid)?;
    let (id, reach) = (request.id(), request.reach());
    let command = Command::IssuePass { id, reach, terms: Box::new(terms) };
    let done = send(&app, &lot, command, origin).await?;
    let (answer, id) = shown(&app, &done, StatusCode::CREATED)?;
    Ok(answer::with_location(answer, &format!("/api/v1/passes/{id}")))
}

/// A pass of the whole tenant is not in the hands of somebody who may use some lots only.
fn for_all_lots(principal: &Principal, reach: Reach) -> Result<(), Problem> {
    match reach {
        Reach::Tenant if principal.lots.is_some() => Err(Problem::lot_not_allowed(
            "a pass of the whole tenant needs a token for all lots; this one names some",
        )),
        Reach::Tenant | Reach::Lot => Ok(()),
    }
}

fn pseudonyms(
    app: &App,
    principal: &Principal,
    lot: &LotHandle,
    vehicles: &[Vehicle],
) -> Result<Vec<Pseudonym>, Problem> {
    let home = people::home(&lot.view());
    let pseudonym = |vehicle: &Vehicle| {
        let clear = vehicle.clone().at_home_in(home).canonical().map_err(invalid)?;
        people::pseudonym(app, principal, PersonKind::Vehicle, &clear)
    };
    vehicles.iter().map(pseudonym).collect()
}

/// The pass as the command left it, whatever happened since.
fn shown(app: &App, done: &Done, status: StatusCode) -> Result<(Response, Uuid), Problem> {
    let ClaimOutcome::Pass(pass) = &done.answer else {
        return Err(answer::unexpected("pass", &done.answer));
    };
    let body = reveal(app, pass, &done.lot.spec(), done.lot_seq)?;
    Ok((answer::with_version(answer::json(status, &body)?, body.version), body.id))
}

/// A pass with its plates in clear.
fn reveal(app: &App, pass: &Pass, spec: &Spec, lot_seq: u64) -> Result<PassBody, Problem> {
    let clear = pass.terms.vehicles.iter().map(|vehicle| people::vehicle(app, Some(*vehicle)));
    let clear = clear.collect::<Result<Vec<_>, Problem>>()?;
    let used = match pass.reach {
        Reach::Lot => pass.used,
        Reach::Tenant => app.engine.used_of(pass.id).unwrap_or(pass.used),
    };
    Ok(PassBody::of((pass, used), spec, lot_seq, clear.into_iter().flatten().collect()))
}

/// Staff see all, whoever it belongs to sees his own.
fn sees(by: Caller, pass: &Pass) -> bool {
    match by {
        Caller::Staff => true,
        Caller::Holder(_) => pass.terms.holder.is_some_and(|holder| by.may_touch(holder)),
    }
}

/// List passes
///
/// In order of lot and id. Lots remember ended ones for a while; the log has all. Staff see all, drivers
/// their own.
#[utoipa::path(
    get, path = "/api/v1/passes", tag = "passes", operation_id = "listPasses",
    params(PassesQuery),
    responses(
        (status = 200, description = "Passes.", body = Page<PassBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<PassesQuery>,
) -> Result<Response, Problem> {
    principal.require(Access::Driver)?;
    let limit = fields::limit(query.limit)?;
    let states = fields::values("state", query.state.as_deref(), PassState::of)?;
    let after = after(query.cursor.as_deref())?;
    let lots = match &query.lot {
        Some(lot) => vec![answer::lot(&app, &principal, lot)?],
        None => app.engine.lots(&principal.tenant),
    };
    let mut page = Page { items: Vec::new(), next_cursor: None };
    let Some(by) = caller(&app, &principal)? else { return answer::ok(&page) };
    let wanted =
        |pass: &Pass| (states.is_empty() || states.contains(&pass.state.into())) && sees(by, pass);
    let lots = lots.iter().filter(|lot| principal.may_use_lot(lot.code(), lot.id()));
    for lot in lots.filter(|lot| after.as_ref().is_none_or(|(code, _)| *lot.code() >= **code)) {
        let view = lot.view();
        let start = after.as_ref().filter(|(code, _)| code == lot.code()).map(|(_, id)| *id);
        for pass in view.lot.passes().after(start).filter(|pass| wanted(pass)) {
            if page.items.len() == limit {
                page.next_cursor = page.items.last().map(cursor_after);
                return answer::ok(&page);
            }
            page.items.push(reveal(&app, pass, view.spec(), view.lot_seq)?);
        }
    }
    answer::ok(&page)
}

fn cursor_after(last: &PassBody) -> String {
    cursor::encode(List::Passes, &format!("{}/{}", last.lot, last.id))
}

fn after(cursor: Option<&str>) -> Result<Option<(String, PassId)>, Problem> {
    let Some(key) = fields::after(List::Passes, cursor)? else { return Ok(None) };
    let (lot, id) = key.split_once('/').ok_or_else(fields::bad_cursor)?;
    let id = Uuid::try_parse(id).map_err(|_| fields::bad_cursor())?;
    Ok(Some((lot.to_owned(), PassId(id))))
}

/// A pass that the caller may see.
pub fn target(app: &App, principal: &Principal, id: &str) -> Result<(LotHandle, PassId), Problem> {
    principal.require(Access::Driver)?;
    let missing = || {
        let shown = answer::shorten(id);
        Problem::pass_not_found(format!("no pass `{shown}` that you may see"))
    };
    let id = PassId(Uuid::try_parse(id).map_err(|_| missing())?);
    let by = caller(app, principal)?.ok_or_else(missing)?;
    let lot = app.engine.lot_of(&principal.tenant, id.0).ok_or_else(missing)?;
    principal.require_lot(&lot)?;
    lot.view().lot.passes().get(id).filter(|pass| sees(by, pass)).ok_or_else(missing)?;
    Ok((lot, id))
}

/// Show a pass
#[utoipa::path(
    get, path = "/api/v1/passes/{id}", tag = "passes", operation_id = "getPass",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The pass.", body = PassBody, headers(("ETag"))),
        (status = 404, description = "`pass_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    let (lot, id) = target(&app, &principal, &id)?;
    let view = lot.view();
    let missing = || Problem::pass_not_found("the lot no longer remembers it");
    let pass = view.lot.passes().get(id).ok_or_else(missing)?;
    let body = reveal(&app, pass, view.spec(), view.lot_seq)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// Change a pass
///
/// Pause it, let it go on, end it; or its vehicles, its end, its allowance, what it pays. Role staff.
#[utoipa::path(
    patch, path = "/api/v1/passes/{id}", tag = "passes", operation_id = "changePass",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = PassPatch,
    responses(
        (status = 200, description = "The pass after the change.", body = PassBody, headers(("ETag"))),
        (status = 404, description = "`pass_not_found`"),
        (status = 409, description = "`pass_ended`, `request_in_progress`"),
        (status = 412, description = "`version_mismatch`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
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
    principal.require(Access::Staff)?;
    let (lot, id) = target(&app, &principal, &id)?;
    let request: PassPatch = body.parse()?;
    let vehicles = request.vehicles.as_deref();
    let vehicles = vehicles.map(|vehicles| pseudonyms(&app, &principal, &lot, vehicles));
    let vehicles = vehicles.transpose()?;
    let pass = lot.view().lot.passes().get(id).cloned();
    let pass = pass.ok_or_else(|| Problem::pass_not_found("the lot no longer remembers it"))?;
    for_all_lots(&principal, pass.reach)?;
    let change = match (request.state, request.has_terms()) {
        (Some(PassState::Paused), false) => PassChange::Pause,
        (Some(PassState::Active), false) => PassChange::Resume,
        (Some(PassState::Ended), false) => PassChange::End,
        (Some(_), true) => {
            let detail = "`state` changes alone; send the other changes in a request of their own";
            return Err(Problem::field("/state", detail));
        }
        (None, _) => {
            let terms = request.over(&pass.terms, vehicles).map_err(invalid)?;
            PassChange::Amend(Box::new(terms))
        }
    };
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    // New terms are made from those that were seen here: somebody else's must not be lost between.
    let seen = matches!(change, PassChange::Amend(_)).then_some(pass.version);
    let expected_version = if_match.expected(pass.version)?.or(seen);
    let command = Command::ChangePass { id, change, expected_version };
    let done = send(&app, &lot, command, origin).await?;
    Ok(shown(&app, &done, StatusCode::OK)?.0)
}
