//! Payments that staff record, and the ledger of a lot.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Done, Item, LotHandle};
use lotkeeper_engine::ids::PaymentId;
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::provider::Wanted;
use lotkeeper_engine::lot::{Command, Owner, Pay, Session, shift};
use lotkeeper_engine::money::Amount;
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf};
use super::intent::Intent;
use super::reservation_target::{self, Target};
use super::reservations::send;
use super::{authorisations, passes, people, sessions, violations};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::Page;
use crate::wire::payment::{LedgerBody, NewPayment, PartBody, PaymentBody};

/// Record a payment for a session
///
/// Cash or a card terminal. What is wholly paid may leave within the lot's time. Role staff.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/payments", tag = "payments", operation_id = "paySession",
    params(
        ("id" = Uuid, Path, description = "The session's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well."),
    ),
    request_body = NewPayment,
    responses(
        (status = 201, description = "The payment.", body = PaymentBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`session_not_found`"),
        (status = 409, description = "`nothing_owed`, `id_taken`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
    ),
)]
pub async fn pay_session(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let Item { lot, document, .. } = sessions::target(&app, &principal, &id).await?;
    let about = about_stay(&lot, &document);
    let paid = pay(&app, &principal, &lot, about, (&intent, &body)).await;
    nothing_owed_there(paid, remembers(&lot, &document))
}

/// What a payment for a stay is about: where its lot has forgotten it, its account is all that is left there.
pub fn about_stay(lot: &LotHandle, stay: &Session) -> Owner {
    if remembers(lot, stay) { Owner::Session(stay.id) } else { stay.account() }
}

fn remembers(lot: &LotHandle, stay: &Session) -> bool {
    lot.view().lot.stays().get(stay.id).is_some()
}

/// List the payments for a session
///
/// Those of its account: of the reservation it came of, where it came of one. In order of id. Role staff.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/payments", tag = "payments", operation_id = "listSessionPayments",
    params(("id" = Uuid, Path, description = "The session's id.")),
    responses(
        (status = 200, description = "Payments.", body = Page<PaymentBody>),
        (status = 404, description = "`session_not_found`: the lot does not remember it, either"),
    ),
)]
pub async fn of_session(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let Item { lot, document, .. } = sessions::target(&app, &principal, &id).await?;
    listed(&lot, Some(document.account()))
}

/// List the payments for a violation
///
/// Those of its account: of the stay, where there is one, else of the vehicle. In order of id. Role staff.
#[utoipa::path(
    get, path = "/api/v1/violations/{id}/payments", tag = "payments", operation_id = "listViolationPayments",
    params(("id" = Uuid, Path, description = "The violation's id.")),
    responses(
        (status = 200, description = "Payments.", body = Page<PaymentBody>),
        (status = 404, description = "`violation_not_found`"),
    ),
)]
pub async fn of_violation(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let violations::Target { lot, id, .. } = violations::target(&app, &principal, &id)?;
    let account = lot.view().lot.violations().get(id).and_then(|violation| violation.account);
    listed(&lot, account)
}

/// All payments of an account that the lot remembers: a handful, so there is one page.
fn listed(lot: &LotHandle, account: Option<Owner>) -> Result<Response, Problem> {
    let view = lot.view();
    let mut page = Page { items: Vec::new(), next_cursor: None };
    let of_account = account.into_iter().flat_map(|account| view.lot.payments().of(account));
    page.items.extend(of_account.map(|payment| PaymentBody::of(payment, view.spec())));
    answer::ok(&page)
}

/// Record a payment for a reservation
///
/// Cash or a card terminal, before the stay. Role staff.
#[utoipa::path(
    post, path = "/api/v1/reservations/{id}/payments", tag = "payments", operation_id = "payReservation",
    params(
        ("id" = Uuid, Path, description = "The reservation's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well."),
    ),
    request_body = NewPayment,
    responses(
        (status = 201, description = "The payment.", body = PaymentBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`reservation_not_found`"),
        (status = 409, description = "`nothing_owed`, `id_taken`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
    ),
)]
pub async fn pay_reservation(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let Target { lot, id, .. } = reservation_target::target(&app, &principal, &id).await?;
    let is_known = lot.view().lot.reservation(id).is_some();
    let paid = pay(&app, &principal, &lot, Owner::Reservation(id), (&intent, &body)).await;
    nothing_owed_there(paid, is_known)
}

/// A lot that has forgotten something and finds no debt of it does not know it at all; it is there for the caller.
fn nothing_owed_there(
    paid: Result<Response, Problem>,
    is_known: bool,
) -> Result<Response, Problem> {
    match paid {
        Err(problem) if !is_known && problem.status == StatusCode::NOT_FOUND => {
            Err(Problem::nothing_owed("it is over, and nothing of it is owed"))
        }
        paid => paid,
    }
}

/// Record a payment for a violation
///
/// For all that its account owes: of the stay, where there is one, else the penalties of the vehicle. Cash or
/// a card terminal. Role staff.
#[utoipa::path(
    post, path = "/api/v1/violations/{id}/payments", tag = "payments", operation_id = "payViolation",
    params(
        ("id" = Uuid, Path, description = "The violation's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well."),
    ),
    request_body = NewPayment,
    responses(
        (status = 201, description = "The payment.", body = PaymentBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`violation_not_found`"),
        (status = 409, description = "`nothing_owed`, `id_taken`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
    ),
)]
pub async fn pay_violation(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let violations::Target { lot, id, .. } = violations::target(&app, &principal, &id)?;
    let account = lot.view().lot.violations().get(id).and_then(|violation| violation.account);
    let nobody = || Problem::nothing_owed("nobody owes it: name its vehicle first");
    pay(&app, &principal, &lot, account.ok_or_else(nobody)?, (&intent, &body)).await
}

/// Record a payment for a pass
///
/// For its price. Cash or a card terminal. Role staff.
#[utoipa::path(
    post, path = "/api/v1/passes/{id}/payments", tag = "payments", operation_id = "payPass",
    params(
        ("id" = Uuid, Path, description = "The pass's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well."),
    ),
    request_body = NewPayment,
    responses(
        (status = 201, description = "The payment.", body = PaymentBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`pass_not_found`"),
        (status = 409, description = "`nothing_owed`, `id_taken`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
    ),
)]
pub async fn pay_pass(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let (lot, id) = passes::target(&app, &principal, &id)?;
    pay(&app, &principal, &lot, Owner::Pass(id), (&intent, &body)).await
}

async fn pay(
    app: &App,
    principal: &Principal,
    lot: &LotHandle,
    about: Owner,
    (intent, body): (&Intent, &JsonBody),
) -> Result<Response, Problem> {
    let request: NewPayment = body.parse()?;
    let amount = request.checked(&lot.spec()).map_err(invalid)?;
    let origin = intent.origin(app, principal, body.bytes(), request.id)?;
    let cashier = people::pseudonym(app, principal, PersonKind::Subject, &principal.subject)?;
    let command = Command::Pay(Box::new(Pay {
        id: PaymentId(request.id.unwrap_or_else(Uuid::now_v7)),
        about,
        method: request.method(),
        amount,
        is_promise: false,
        shift: request.shift.as_deref().map(Into::into),
        cashier: Some(cashier),
        reference: request.reference.as_deref().map(Into::into),
    }));
    let done = send(app, lot, command, origin).await?;
    let body = payment(&done)?;
    let answer = answer::json(StatusCode::CREATED, &body)?;
    let answer = answer::with_location(answer, &format!("/api/v1/payments/{}", body.id));
    Ok(answer::with_version(answer, body.version))
}

fn payment(done: &Done) -> Result<PaymentBody, Problem> {
    match &done.answer {
        ClaimOutcome::Payment(payment) => Ok(PaymentBody::of(payment, &done.lot.spec())),
        other => Err(answer::unexpected("payment", other)),
    }
}

/// A payment that staff may see.
pub fn target(
    app: &App,
    principal: &Principal,
    id: &str,
) -> Result<(LotHandle, PaymentId), Problem> {
    principal.require(Access::Staff)?;
    let missing = || {
        let shown = answer::shorten(id);
        Problem::payment_not_found(format!("no payment `{shown}` that you may see"))
    };
    let id = PaymentId(Uuid::try_parse(id).map_err(|_| missing())?);
    let lot = app.engine.lot_of(&principal.tenant, id.0).ok_or_else(missing)?;
    principal.require_lot(&lot)?;
    lot.view().lot.payments().get(id).ok_or_else(missing)?;
    Ok((lot, id))
}

/// Show a payment
///
/// Role staff.
#[utoipa::path(
    get, path = "/api/v1/payments/{id}", tag = "payments", operation_id = "getPayment",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The payment.", body = PaymentBody, headers(("ETag"))),
        (status = 404, description = "`payment_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    let (lot, id) = target(&app, &principal, &id)?;
    let view = lot.view();
    let missing = || Problem::payment_not_found("the lot no longer remembers it");
    let payment = view.lot.payments().get(id).ok_or_else(missing)?;
    let body = PaymentBody::of(payment, view.spec());
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// Give a payment back
///
/// Wholly or in part. What a provider brought in it gives back; anything else staff hand out. Role staff.
#[utoipa::path(
    post, path = "/api/v1/payments/{id}/refund", tag = "payments", operation_id = "refundPayment",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless: without it each one gives back again."),
    ),
    request_body = Option<PartBody>,
    responses(
        (status = 200, description = "The payment.", body = PaymentBody, headers(("ETag"))),
        (status = 404, description = "`payment_not_found`"),
        (status = 409, description = "`payment_ended`, `payment_in_progress`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
    ),
)]
pub async fn refund(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (lot, id) = target(&app, &principal, &id)?;
    let amount = part(&lot, &body)?;
    let view = lot.view();
    let by_provider = view.lot.payments().get(id).is_some_and(|payment| match payment.method {
        Method::Provider(_) => true,
        Method::Cash | Method::Terminal => false,
    });
    if by_provider {
        let wanted = Wanted::Refund { amount };
        return authorisations::step(&app, &principal, (&lot, id), wanted, (&intent, &body)).await;
    }
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    let cashier = people::pseudonym(&app, &principal, PersonKind::Subject, &principal.subject)?;
    let hand_out = shift::Command::HandOut { payment: id, amount, cashier };
    let command = Command::Shift(Box::new(hand_out));
    let body = payment(&send(&app, &lot, command, origin).await?)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// How much of a payment is meant; nothing for all of it.
pub fn part(lot: &LotHandle, body: &JsonBody) -> Result<Option<Amount>, Problem> {
    let request: PartBody = body.parse_or_default()?;
    let amount = request.amount.map(|amount| amount.checked("/amount", &lot.spec()));
    amount.transpose().map_err(|fault| invalid(vec![fault]))
}

/// The ledger of a lot
///
/// Its balances now; the postings behind them are events of type `ledger.posted`. Role operator.
#[utoipa::path(
    get, path = "/api/v1/lots/{lot}/ledger", tag = "payments", operation_id = "getLedger",
    params(("lot" = String, Path, description = "Code or id.", example = "L1")),
    responses(
        (status = 200, description = "Balances.", body = LedgerBody),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn ledger(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
) -> Result<Response, Problem> {
    principal.require(Access::Operator)?;
    let lot = answer::lot(&app, &principal, &lot)?;
    let view = lot.view();
    answer::ok(&LedgerBody::of(&view.lot, view.lot_seq))
}
