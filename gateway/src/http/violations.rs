//! Violations: report, list, show, and what becomes of one.
//!
//! Staff see all of them and drivers their own, which they can appeal against. Plates are in clear in the
//! answers to both; everywhere behind this file vehicles are pseudonyms.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Done, LotHandle};
use lotkeeper_engine::ids::{Pseudonym, SessionId, ViolationId};
use lotkeeper_engine::lot::{Caller, Command, Violation, ViolationChange};
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
use crate::wire::reservation::Nothing;
use crate::wire::vehicle::Vehicle;
use crate::wire::violation::{
    Because, NewViolation, ViolationBody, ViolationPatch, ViolationState, slot_of,
};

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ViolationsQuery {
    /// Code or id of a lot.
    lot: Option<String>,
    /// States, separated by commas.
    #[param(example = "open,notified")]
    state: Option<String>,
    /// Kinds, separated by commas.
    #[param(example = "overstay,no_session")]
    kind: Option<String>,
    /// The stay it is about.
    session: Option<Uuid>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// List violations
///
/// In order of lot and id. Lots remember closed ones for a while; the log has all. Staff see all, drivers
/// their own.
#[utoipa::path(
    get, path = "/api/v1/violations", tag = "violations", operation_id = "listViolations",
    params(ViolationsQuery),
    responses(
        (status = 200, description = "Violations.", body = Page<ViolationBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<ViolationsQuery>,
) -> Result<Response, Problem> {
    principal.require(Access::Driver)?;
    let limit = fields::limit(query.limit)?;
    let states = fields::values("state", query.state.as_deref(), ViolationState::of)?;
    let kinds = fields::names(query.kind.as_deref());
    let after = after(query.cursor.as_deref())?;
    let lots = match &query.lot {
        Some(lot) => vec![answer::lot(&app, &principal, lot)?],
        None => app.engine.lots(&principal.tenant),
    };
    let mut page = Page { items: Vec::new(), next_cursor: None };
    let Some(by) = caller(&app, &principal)? else { return answer::ok(&page) };
    let wanted = |violation: &Violation| {
        (states.is_empty() || states.contains(&violation.state.into()))
            && (kinds.is_empty() || kinds.iter().any(|kind| kind == violation.kind.code()))
            && query.session.is_none_or(|id| violation.session == Some(SessionId(id)))
            && sees(by, violation)
    };
    let lots = lots.iter().filter(|lot| principal.may_use_lot(lot.code(), lot.id()));
    for lot in lots.filter(|lot| after.as_ref().is_none_or(|(code, _)| *lot.code() >= **code)) {
        let view = lot.view();
        let start = after.as_ref().filter(|(code, _)| code == lot.code()).map(|(_, id)| *id);
        for violation in view.lot.violations().after(start).filter(|v| wanted(v)) {
            if page.items.len() == limit {
                page.next_cursor = page.items.last().map(cursor_after);
                return answer::ok(&page);
            }
            page.items.push(reveal(&app, violation, view.spec(), view.lot_seq)?);
        }
    }
    answer::ok(&page)
}

fn cursor_after(last: &ViolationBody) -> String {
    cursor::encode(List::Violations, &format!("{}/{}", last.lot, last.id))
}

fn after(cursor: Option<&str>) -> Result<Option<(String, ViolationId)>, Problem> {
    let Some(key) = fields::after(List::Violations, cursor)? else { return Ok(None) };
    let (lot, id) = key.split_once('/').ok_or_else(fields::bad_cursor)?;
    let id = Uuid::try_parse(id).map_err(|_| fields::bad_cursor())?;
    Ok(Some((lot.to_owned(), ViolationId(id))))
}

/// Staff see all, whoever it is about sees his own.
fn sees(by: Caller, violation: &Violation) -> bool {
    match by {
        Caller::Staff => true,
        Caller::Holder(_) => violation.holder.is_some_and(|holder| by.may_touch(holder)),
    }
}

/// A violation with its plate in clear.
fn reveal(
    app: &App,
    violation: &Violation,
    spec: &Spec,
    lot_seq: u64,
) -> Result<ViolationBody, Problem> {
    let vehicle = people::vehicle(app, violation.vehicle)?;
    Ok(ViolationBody::of(violation, spec, lot_seq, vehicle))
}

fn pseudonym(
    app: &App,
    principal: &Principal,
    lot: &LotHandle,
    vehicle: Option<&Vehicle>,
) -> Result<Option<Pseudonym>, Problem> {
    let Some(vehicle) = vehicle else { return Ok(None) };
    let home = people::home(&lot.view());
    let clear = vehicle.clone().at_home_in(home).canonical().map_err(invalid)?;
    people::pseudonym(app, principal, PersonKind::Vehicle, &clear).map(Some)
}

/// Report a violation
///
/// Its penalty is owed at once: by the stay, where there is one, else by the vehicle. Role staff.
#[utoipa::path(
    post, path = "/api/v1/violations", tag = "violations", operation_id = "reportViolation",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well.")),
    request_body = NewViolation,
    responses(
        (status = 201, description = "The violation.", body = ViolationBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`lot_not_found`, `slot_not_found`, `session_not_found`"),
        (status = 409, description = "`id_taken`, `violations_full`, `request_in_progress`"),
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
    let request: NewViolation = body.parse()?;
    let lot = answer::lot(&app, &principal, &request.lot)?;
    let origin = intent.origin(&app, &principal, body.bytes(), request.id)?;
    let slot = slot_of(&request, &lot)
        .ok_or_else(|| answer::no_slot(&lot, request.slot.as_deref().unwrap_or_default()))?;
    let vehicle = pseudonym(&app, &principal, &lot, request.vehicle.as_ref())?;
    let report = request.report(slot, vehicle, &lot.spec()).map_err(invalid)?;
    let command = Command::Report(Box::new(report));
    let done = send(&app, &lot, command, origin).await?;
    let (answer, id) = shown(&app, &done, StatusCode::CREATED)?;
    Ok(answer::with_location(answer, &format!("/api/v1/violations/{id}")))
}

/// The violation as the command left it, whatever happened since.
fn shown(app: &App, done: &Done, status: StatusCode) -> Result<(Response, Uuid), Problem> {
    let ClaimOutcome::Violation(violation) = &done.answer else {
        return Err(answer::unexpected("violation", &done.answer));
    };
    let body = reveal(app, violation, &done.lot.spec(), done.lot_seq)?;
    Ok((answer::with_version(answer::json(status, &body)?, body.version), body.id))
}

/// A violation that the caller may see: the lot that has it, its id, its version, and who asks.
pub struct Target {
    pub lot: LotHandle,
    pub id: ViolationId,
    version: u32,
    by: Caller,
}

pub fn target(app: &App, principal: &Principal, id: &str) -> Result<Target, Problem> {
    principal.require(Access::Driver)?;
    let missing = || {
        let shown = answer::shorten(id);
        Problem::violation_not_found(format!("no violation `{shown}` that you may see"))
    };
    let id = ViolationId(Uuid::try_parse(id).map_err(|_| missing())?);
    let by = caller(app, principal)?.ok_or_else(missing)?;
    let lot = app.engine.lot_of(&principal.tenant, id.0).ok_or_else(missing)?;
    principal.require_lot(&lot)?;
    let view = lot.view();
    let violation = view.lot.violations().get(id).filter(|violation| sees(by, violation));
    let version = violation.ok_or_else(missing)?.version;
    Ok(Target { lot, id, version, by })
}

/// Show a violation
#[utoipa::path(
    get, path = "/api/v1/violations/{id}", tag = "violations", operation_id = "getViolation",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The violation.", body = ViolationBody, headers(("ETag"))),
        (status = 404, description = "`violation_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    let Target { lot, id, .. } = target(&app, &principal, &id)?;
    let view = lot.view();
    let missing = || Problem::violation_not_found("the lot no longer remembers it");
    let violation = view.lot.violations().get(id).ok_or_else(missing)?;
    let body = reveal(&app, violation, view.spec(), view.lot_seq)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// Say more of a violation
///
/// The vehicle, the penalty, what shows it. Role staff.
#[utoipa::path(
    patch, path = "/api/v1/violations/{id}", tag = "violations", operation_id = "changeViolation",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = ViolationPatch,
    responses(
        (status = 200, description = "The violation after the change.", body = ViolationBody, headers(("ETag"))),
        (status = 404, description = "`violation_not_found`"),
        (status = 409, description = "`violation_ended`, `request_in_progress`"),
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
    let target = target(&app, &principal, &id)?;
    let request: ViolationPatch = body.parse()?;
    let vehicle = pseudonym(&app, &principal, &target.lot, request.vehicle.as_ref())?;
    let expected_version = if_match.expected(target.version)?;
    let change = request.change(vehicle, &target.lot.spec()).map_err(invalid)?;
    moved(&app, &principal, target, (&intent, &body), change, expected_version).await
}

async fn moved(
    app: &App,
    principal: &Principal,
    Target { lot, id, by, .. }: Target,
    (intent, body): (&Intent, &JsonBody),
    change: ViolationChange,
    expected_version: Option<u32>,
) -> Result<Response, Problem> {
    let origin = intent.origin(app, principal, body.bytes(), None)?;
    let command = Command::ChangeViolation { id, change, expected_version, by };
    let done = send(app, &lot, command, origin).await?;
    Ok(shown(app, &done, StatusCode::OK)?.0)
}

/// Appeal against a violation
///
/// Staff decide: they waive or resolve it. No notices follow until then. Whoever it is about, or staff.
#[utoipa::path(
    post, path = "/api/v1/violations/{id}/appeal", tag = "violations", operation_id = "appealViolation",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = Option<Because>,
    responses(
        (status = 200, description = "The violation.", body = ViolationBody, headers(("ETag"))),
        (status = 404, description = "`violation_not_found`"),
        (status = 409, description = "`violation_ended`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn appeal(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let target = target(&app, &principal, &id)?;
    let reason = body.parse_or_default::<Because>()?.checked().map_err(invalid)?;
    let change = ViolationChange::Appeal { reason };
    moved(&app, &principal, target, (&intent, &body), change, None).await
}

/// Waive a violation
///
/// Its penalty is written off. Role staff.
#[utoipa::path(
    post, path = "/api/v1/violations/{id}/waive", tag = "violations", operation_id = "waiveViolation",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = Option<Because>,
    responses(
        (status = 200, description = "The violation.", body = ViolationBody, headers(("ETag"))),
        (status = 404, description = "`violation_not_found`"),
        (status = 409, description = "`violation_ended`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn waive(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let target = target(&app, &principal, &id)?;
    let reason = body.parse_or_default::<Because>()?.checked().map_err(invalid)?;
    let change = ViolationChange::Waive { reason };
    moved(&app, &principal, target, (&intent, &body), change, None).await
}

/// Resolve a violation
///
/// It is over; a penalty that is not paid stays owed. Role staff.
#[utoipa::path(
    post, path = "/api/v1/violations/{id}/resolve", tag = "violations", operation_id = "resolveViolation",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = Option<Because>,
    responses(
        (status = 200, description = "The violation.", body = ViolationBody, headers(("ETag"))),
        (status = 404, description = "`violation_not_found`"),
        (status = 409, description = "`violation_ended`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn resolve(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let target = target(&app, &principal, &id)?;
    let reason = body.parse_or_default::<Because>()?.checked().map_err(invalid)?;
    let change = ViolationChange::Resolve { reason };
    moved(&app, &principal, target, (&intent, &body), change, None).await
}

/// Tell whoever did it
///
/// Counts as a notice, with what is owed so far. Role staff.
#[utoipa::path(
    post, path = "/api/v1/violations/{id}/notify", tag = "violations", operation_id = "notifyViolation",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    responses(
        (status = 200, description = "The violation.", body = ViolationBody, headers(("ETag"))),
        (status = 404, description = "`violation_not_found`"),
        (status = 409, description = "`violation_ended`, `request_in_progress`"),
        (status = 422, description = "`idempotency_key_reused`"),
    ),
)]
pub async fn notify(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let target = target(&app, &principal, &id)?;
    let Nothing {} = body.parse_or_default()?;
    moved(&app, &principal, target, (&intent, &body), ViolationChange::Notify, None).await
}
