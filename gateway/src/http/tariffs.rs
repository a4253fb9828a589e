//! Tariffs of a lot, and what a stay would cost.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Done, LotHandle};
use lotkeeper_engine::ids::TariffId;
use lotkeeper_engine::lot::{Ask, Bays, Command, Needs, TariffChange};
use lotkeeper_engine::spec::Size;
use lotkeeper_engine::time::Window;
use std::sync::Arc;
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf};
use super::intent::Intent;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::{self, Problem};
use crate::wire::tariff::FeeBody;
use crate::wire::use_of_tariff::{
    EndBody, LotTariffBody, QuoteBody, QuoteRequest, UploadBody, UseBody, zone_of,
};
use crate::wire::{Page, code_fault, is_code};

/// List a lot's tariffs
///
/// All versions, by id and number, with where they apply.
#[utoipa::path(
    get, path = "/api/v1/lots/{lot}/tariffs", tag = "tariffs", operation_id = "listTariffs",
    params(("lot" = String, Path, description = "Code or id.", example = "L1")),
    responses(
        (status = 200, description = "Tariffs.", body = Page<LotTariffBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
) -> Result<Response, Problem> {
    let lot = answer::lot(&app, &principal, &lot)?;
    let view = lot.view();
    let book = view.lot.tariffs();
    let items = book
        .tariffs()
        .map(|tariff| LotTariffBody::of(tariff, book.assignments(), view.spec()))
        .collect();
    answer::ok(&Page { items, next_cursor: None })
}

/// Upload a tariff
///
/// The first version of a new one, or with its `id` the next version of one that is there. What was booked keeps
/// its version. One for the whole tenant is taken up by every lot of the tenant there is and by those that come
/// later; it needs a token for all lots. Role operator.
#[utoipa::path(
    post, path = "/api/v1/lots/{lot}/tariffs", tag = "tariffs", operation_id = "putTariff",
    params(
        ("lot" = String, Path, description = "Code or id.", example = "L1"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a tariff that says the same makes no version anyway."),
    ),
    request_body = UploadBody,
    responses(
        (status = 201, description = "The version.", body = LotTariffBody),
        (status = 403, description = "`lot_not_allowed`"),
        (status = 404, description = "`lot_not_found`, `slot_not_found`"),
        (status = 409, description = "`tariffs_full`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn upload(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Operator)?;
    let lot = answer::lot(&app, &principal, &lot)?;
    let request: UploadBody = body.parse()?;
    let within = |mut fault: lotkeeper_engine::spec::Fault| {
        fault.pointer = format!("/tariff{}", fault.pointer);
        fault
    };
    let tariff = request.tariff.into_tariff(1, app.engine.now());
    let tariff = tariff.map_err(|faults| invalid(faults.into_iter().map(within).collect()))?;
    let id = tariff.id;
    let is_new = lot.view().lot.tariffs().latest(id).is_none();
    let everywhere = UseBody { slot: None, zone: None, tenant: false, vehicle_type: None };
    let uses = request.applies_to.unwrap_or(if is_new { vec![everywhere] } else { Vec::new() });
    let mut changes = vec![TariffChange::Put(Arc::new(tariff))];
    for (position, wanted) in uses.iter().enumerate() {
        let assignment = wanted.assignment(id, &lot, &format!("/applies_to/{position}"));
        changes.push(TariffChange::Assign(assignment.map_err(|fault| invalid(vec![fault]))?));
    }
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let done = if uses.iter().any(|wanted| wanted.tenant) {
        everywhere_too(&app, &principal, &lot, (changes, origin), |_| true).await?
    } else {
        send(&app, &lot, changes, origin).await?
    };
    shown(&done.lot, id, StatusCode::CREATED)
}

/// Lots keep their state apart: what is for the whole tenant is told to each, this one last, with the caller's
/// key. A lot that comes later takes it over, so none may come between.
async fn everywhere_too(
    app: &App,
    principal: &Principal,
    lot: &LotHandle,
    (changes, origin): (Vec<TariffChange>, lotkeeper_actors::Origin),
    concerns: impl Fn(&LotHandle) -> bool,
) -> Result<Done, Problem> {
    if principal.lots.is_some() {
        return Err(Problem::lot_not_allowed(
            "a tariff of the whole tenant needs a token for all lots; this one names some",
        ));
    }
    let _none_comes_between = app.engine.no_new_lots(&principal.tenant).await;
    for other in app.engine.lots(&principal.tenant) {
        if other.key() != lot.key() && concerns(&other) {
            let unkeyed = lotkeeper_actors::Origin { claim: None, ..origin };
            send(app, &other, changes.clone(), unkeyed).await?;
        }
    }
    send(app, lot, changes, origin).await
}

async fn send(
    app: &App,
    lot: &LotHandle,
    changes: Vec<TariffChange>,
    origin: lotkeeper_actors::Origin,
) -> Result<Done, Problem> {
    let refused = |error| error::command(&lot.view(), &error);
    let command = Command::ChangeTariffs(changes);
    app.engine.command(lot, command, origin).map_err(refused)?.await.map_err(refused)
}

fn shown(lot: &LotHandle, id: TariffId, status: StatusCode) -> Result<Response, Problem> {
    let view = lot.view();
    let book = view.lot.tariffs();
    let missing = || Problem::tariff_not_found("the lot has no such tariff");
    let tariff = book.latest(id).ok_or_else(missing)?;
    answer::json(status, &LotTariffBody::of(tariff, book.assignments(), view.spec()))
}

/// End a tariff
///
/// None of its versions is in force from then on, in this lot or in all lots of the tenant. What was booked keeps its
/// price. Role operator.
#[utoipa::path(
    post, path = "/api/v1/lots/{lot}/tariffs/{id}/end", tag = "tariffs", operation_id = "endTariff",
    params(
        ("lot" = String, Path, description = "Code or id.", example = "L1"),
        ("id" = Uuid, Path, description = "The tariff's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = Option<EndBody>,
    responses(
        (status = 200, description = "Its newest version.", body = LotTariffBody),
        (status = 403, description = "`lot_not_allowed`"),
        (status = 404, description = "`lot_not_found`, `tariff_not_found`"),
        (status = 409, description = "`request_in_progress`"),
        (status = 422, description = "`idempotency_key_reused`"),
    ),
)]
pub async fn end(
    State(app): State<App>,
    principal: Principal,
    PathOf((lot, id)): PathOf<(String, String)>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Operator)?;
    let lot = answer::lot(&app, &principal, &lot)?;
    let request: EndBody = body.parse_or_default()?;
    let missing = |_| Problem::tariff_not_found("the lot has no such tariff");
    let id = TariffId(Uuid::try_parse(&id).map_err(missing)?);
    let at = request.at.map_or(app.engine.now(), |at| at.0);
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let changes = vec![TariffChange::End { id, at }];
    let done = if request.tenant {
        let has_it = |other: &LotHandle| other.view().lot.tariffs().latest(id).is_some();
        everywhere_too(&app, &principal, &lot, (changes, origin), has_it).await?
    } else {
        send(&app, &lot, changes, origin).await?
    };
    shown(&done.lot, id, StatusCode::OK)
}

/// What a stay would cost
///
/// The same calculation as the booking's and the bill's. Nothing is promised.
#[utoipa::path(
    post, path = "/api/v1/quotes", tag = "tariffs", operation_id = "quote",
    request_body = QuoteRequest,
    responses(
        (status = 200, description = "The price.", body = QuoteBody),
        (status = 404, description = "`lot_not_found`, `slot_not_found`"),
        (status = 409, description = "`lot_paused`, `lot_closed`"),
        (status = 422, description = "`validation_failed`, `window_empty`, `window_too_long`, `discount_unknown`, `unpriceable`"),
    ),
)]
pub async fn quote(
    State(app): State<App>,
    principal: Principal,
    body: JsonBody,
) -> Result<Response, Problem> {
    let request: QuoteRequest = body.parse()?;
    let lot = answer::lot(&app, &principal, &request.lot)?;
    let view = lot.view();
    let window = Window { from: request.from.0, to: request.to.0 };
    if window.to <= window.from {
        return Err(Problem::window_empty(
            "the window ends before it begins; `to` must be after `from`",
        ));
    }
    let longest = lotkeeper_engine::time::Seconds(lotkeeper_engine::limits::WINDOW_SECONDS_MAX);
    if window.to > window.from.plus(longest) {
        return Err(Problem::window_too_long("a window lasts at most 366 days"));
    }
    let ask = ask(&lot, &view, &request, window)?;
    error::check_offered(&view, window)?;
    let priced = error::priced(&view, &ask)?;
    let spec = view.spec();
    let needs = Needs { size: Size::Motorcycle, zone: ask.zone, ..Needs::default() };
    let free = match ask.slot {
        Some(slot) => usize::from(view.lot.open_slots(&needs, window).any(|open| open == slot)),
        None => view.lot.open_slots(&needs, window).count(),
    };
    answer::ok(&QuoteBody {
        lot: spec.code.to_string(),
        from: request.from,
        to: request.to,
        price: priced.map(|price| FeeBody::new(&price.fee, &spec.place.currency)),
        free,
        seq: view.lot_seq,
    })
}

fn ask(
    lot: &LotHandle,
    view: &lotkeeper_actors::LotView,
    request: &QuoteRequest,
    window: Window,
) -> Result<Ask, Problem> {
    let discounts = request.discounts.iter().map(|code| ("/discounts", code));
    let mut codes =
        discounts.chain(request.vehicle_type.iter().map(|code| ("/vehicle_type", code)));
    if let Some((pointer, code)) = codes.find(|(_, code)| !is_code(code)) {
        return Err(invalid(vec![code_fault(pointer, code)]));
    }
    let slot = match &request.slot {
        Some(code) => Some(lot.slot(code).ok_or_else(|| answer::no_slot(lot, code))?),
        None => None,
    };
    let zone = match &request.zone {
        Some(code) => {
            let missing = || Problem::field("/zone", "the lot has no such zone");
            Some(zone_of(view.spec(), code).ok_or_else(missing)?)
        }
        None => None,
    };
    Ok(Ask {
        window,
        slot,
        zone,
        vehicle_type: request.vehicle_type.as_deref().map(Into::into),
        discounts: request.discounts.iter().map(|code| code.as_str().into()).collect(),
        occupancy: view.occupancy(),
    })
}
