//! Slots of a lot: list, show, change.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_actors::{LotHandle, LotView};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::Command;
use lotkeeper_engine::spec::SlotSpec;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf, QueryOf};
use super::fields;
use super::intent::Intent;
use super::precondition::IfMatch;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::{self, Problem};
use crate::wire::Page;
use crate::wire::cursor::{self, List};
use crate::wire::names::Status;
use crate::wire::slot::{SlotBody, SlotPatchBody, feature_names, zone_code};

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SlotsQuery {
    /// Statuses, separated by commas.
    #[param(example = "free,held")]
    status: Option<String>,
    /// Code of a zone.
    zone: Option<String>,
    /// A feature.
    feature: Option<String>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// List the slots of a lot
#[utoipa::path(
    get, path = "/api/v1/lots/{lot}/slots", tag = "slots", operation_id = "listSlots",
    params(("lot" = String, Path, description = "Code or id.", example = "L1"), SlotsQuery),
    responses(
        (status = 200, description = "Slots in the lot's order.", body = Page<SlotBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
    QueryOf(query): QueryOf<SlotsQuery>,
) -> Result<Response, Problem> {
    let lot = answer::lot(&app, &principal, &lot)?;
    let limit = fields::limit(query.limit)?;
    let statuses = fields::values("status", query.status.as_deref(), Status::of)?;
    let first = match fields::after(List::Slots, query.cursor.as_deref())? {
        Some(last) => last.parse::<u16>().map_err(|_| fields::bad_cursor())?.saturating_add(1),
        None => 0,
    };
    let view = lot.view();
    let spec = view.spec();
    let mut wanted = spec
        .slot_indices()
        .skip(usize::from(first))
        .filter(|slot| statuses.is_empty() || statuses.contains(&view.status(*slot).into()))
        .filter(|slot| spec.slot(*slot).is_some_and(|slot| query.fits(&view, slot)));
    let page: Vec<SlotIndex> = wanted.by_ref().take(limit).collect();
    let more = wanted.next().is_some();
    let next_cursor =
        page.last().filter(|_| more).map(|last| cursor::encode(List::Slots, &last.0.to_string()));
    let now = app.engine.now();
    let items = page.into_iter().filter_map(|slot| SlotBody::of(&view, slot, now)).collect();
    answer::ok(&Page { items, next_cursor })
}

impl SlotsQuery {
    fn fits(&self, view: &LotView, slot: &SlotSpec) -> bool {
        let spec = view.spec();
        let zone = self.zone.as_deref();
        let feature = self.feature.as_deref();
        zone.is_none_or(|zone| zone_code(spec, slot) == Some(zone))
            && feature.is_none_or(|feature| feature_names(spec, slot).contains(&feature))
    }
}

/// Show a slot
#[utoipa::path(
    get, path = "/api/v1/lots/{lot}/slots/{slot}", tag = "slots", operation_id = "getSlot",
    params(
        ("lot" = String, Path, description = "Code or id.", example = "L1"),
        ("slot" = String, Path, description = "Code or id.", example = "A-101"),
    ),
    responses(
        (status = 200, description = "The slot.", body = SlotBody, headers(("ETag"))),
        (status = 404, description = "`lot_not_found`, `slot_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf((lot, slot)): PathOf<(String, String)>,
) -> Result<Response, Problem> {
    let lot = answer::lot(&app, &principal, &lot)?;
    let index = lot.slot(&slot).ok_or_else(|| answer::no_slot(&lot, &slot))?;
    shown(&app, &lot, index)
}

fn shown(app: &App, lot: &LotHandle, slot: SlotIndex) -> Result<Response, Problem> {
    let view = lot.view();
    let missing = || Problem::slot_not_found(format!("lot {} has no such slot", lot.code()));
    let body = SlotBody::of(&view, slot, app.engine.now()).ok_or_else(missing)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// Change a slot
///
/// Its service state and attributes; what is left out stays. Reservations it carries stay as well. Role
/// operator.
#[utoipa::path(
    patch, path = "/api/v1/lots/{lot}/slots/{slot}", tag = "slots", operation_id = "changeSlot",
    params(
        ("lot" = String, Path, description = "Code or id.", example = "L1"),
        ("slot" = String, Path, description = "Code or id.", example = "A-101"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = SlotPatchBody,
    responses(
        (status = 200, description = "The slot after the change.", body = SlotBody, headers(("ETag"))),
        (status = 404, description = "`lot_not_found`, `slot_not_found`"),
        (status = 409, description = "`request_in_progress`"),
        (status = 412, description = "`version_mismatch`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn change(
    State(app): State<App>,
    principal: Principal,
    PathOf((lot, slot)): PathOf<(String, String)>,
    if_match: IfMatch,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Operator)?;
    let lot = answer::lot(&app, &principal, &lot)?;
    let index = lot.slot(&slot).ok_or_else(|| answer::no_slot(&lot, &slot))?;
    let request: SlotPatchBody = body.parse()?;
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let command = {
        let view = lot.view();
        let version = view.lot.promise(index).map_or(0, |promise| promise.version);
        Command::ChangeSlot {
            slot: index,
            patch: request.checked(view.spec()).map_err(invalid)?,
            expected_version: if_match.expected(version)?,
        }
    };
    let refused = |error| error::command(&lot.view(), &error);
    app.engine.command(&lot, command, origin).map_err(refused)?.await.map_err(refused)?;
    shown(&app, &lot, index)
}
