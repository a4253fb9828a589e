//! Payments by providers: ask for a promise, bring it in, let it go, give it back.
//!
//! The question is durable before the provider hears it, and the answer before the caller does. A provider that has
//! not answered in its time leaves the payment as it is, with `asked`: nobody waits longer, and it is asked again.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_actors::{Item, LotHandle, Origin};
use lotkeeper_engine::ids::PaymentId;
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::provider::{Command as Ask, Wanted};
use lotkeeper_engine::lot::{Command, Owner, Pay, Payment};
use lotkeeper_engine::money::Amount;
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use std::sync::Arc;
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf};
use super::intent::Intent;
use super::payments::{self, part, target};
use super::reservation_target::{self, Target};
use super::reservations::send;
use super::{passes, people, sessions, violations};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::money::MoneyBody;
use crate::wire::payment::{NewAuthorisation, PartBody, PaymentBody};

/// Ask a provider to promise a session's payment
///
/// A promise of what is due lets the vehicle out. When the stay is over it is captured for what it cost and the rest
/// let go. Role staff.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/authorisations", tag = "payments", operation_id = "authoriseSession",
    params(
        ("id" = Uuid, Path, description = "The session's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well."),
    ),
    request_body = NewAuthorisation,
    responses(
        (status = 201, description = "The payment: `authorised`, `failed`, or `pending` while the provider has not answered.", body = PaymentBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`session_not_found`"),
        (status = 409, description = "`nothing_owed`, `id_taken`, `payments_full`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
        (status = 503, description = "`provider_unavailable`, `overloaded`, `storage_full`, `outcome_unknown`, `shutting_down`, with `Retry-After`"),
    ),
)]
pub async fn authorise_session(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let Item { lot, document, .. } = sessions::target(&app, &principal, &id).await?;
    let about = payments::about_stay(&lot, &document);
    authorise(&app, &principal, &lot, about, (&intent, &body)).await
}

/// Ask a provider to promise a reservation's payment
///
/// Drivers for their own, with providers that are for drivers.
#[utoipa::path(
    post, path = "/api/v1/reservations/{id}/authorisations", tag = "payments", operation_id = "authoriseReservation",
    params(
        ("id" = Uuid, Path, description = "The reservation's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well."),
    ),
    request_body = NewAuthorisation,
    responses(
        (status = 201, description = "The payment: `authorised`, `failed`, or `pending` while the provider has not answered.", body = PaymentBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`reservation_not_found`"),
        (status = 409, description = "`nothing_owed`, `id_taken`, `payments_full`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
        (status = 503, description = "`provider_unavailable`, `overloaded`, `storage_full`, `outcome_unknown`, `shutting_down`, with `Retry-After`"),
    ),
)]
pub async fn authorise_reservation(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let Target { lot, id, .. } = reservation_target::target(&app, &principal, &id).await?;
    authorise(&app, &principal, &lot, Owner::Reservation(id), (&intent, &body)).await
}

/// Ask a provider to promise what a violation costs
///
/// For all that its account owes. It is captured at once. Role staff.
#[utoipa::path(
    post, path = "/api/v1/violations/{id}/authorisations", tag = "payments", operation_id = "authoriseViolation",
    params(
        ("id" = Uuid, Path, description = "The violation's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well."),
    ),
    request_body = NewAuthorisation,
    responses(
        (status = 201, description = "The payment: `authorised`, `failed`, or `pending` while the provider has not answered.", body = PaymentBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`violation_not_found`"),
        (status = 409, description = "`nothing_owed`, `id_taken`, `payments_full`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
        (status = 503, description = "`provider_unavailable`, `overloaded`, `storage_full`, `outcome_unknown`, `shutting_down`, with `Retry-After`"),
    ),
)]
pub async fn authorise_violation(
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
    authorise(&app, &principal, &lot, account.ok_or_else(nobody)?, (&intent, &body)).await
}

/// Ask a provider to promise a pass's price
///
/// Whoever it belongs to for his own, with providers that are for drivers. It is captured at once.
#[utoipa::path(
    post, path = "/api/v1/passes/{id}/authorisations", tag = "payments", operation_id = "authorisePass",
    params(
        ("id" = Uuid, Path, description = "The pass's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well."),
    ),
    request_body = NewAuthorisation,
    responses(
        (status = 201, description = "The payment: `authorised`, `failed`, or `pending` while the provider has not answered.", body = PaymentBody, headers(("Location"), ("ETag"))),
        (status = 404, description = "`pass_not_found`"),
        (status = 409, description = "`nothing_owed`, `id_taken`, `payments_full`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
        (status = 503, description = "`provider_unavailable`, `overloaded`, `storage_full`, `outcome_unknown`, `shutting_down`, with `Retry-After`"),
    ),
)]
pub async fn authorise_pass(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (lot, id) = passes::target(&app, &principal, &id)?;
    authorise(&app, &principal, &lot, Owner::Pass(id), (&intent, &body)).await
}

async fn authorise(
    app: &App,
    principal: &Principal,
    lot: &LotHandle,
    about: Owner,
    (intent, body): (&Intent, &JsonBody),
) -> Result<Response, Problem> {
    let request: NewAuthorisation = body.parse()?;
    let amount = amount(request.amount.as_ref(), lot)?;
    let provider = app
        .till
        .provider(&request.provider)
        .filter(|provider| provider.is_for_drivers() || principal.role.may(Access::Staff));
    let Some(provider) = provider else {
        let shown = answer::shorten(&request.provider);
        let known = app.till.names().join(", ");
        return Err(Problem::field(
            "/provider",
            format!("`{shown}` is not a provider that you may use; configured are: {known}"),
        ));
    };
    let origin = intent.origin(app, principal, body.bytes(), request.id)?;
    // Whoever repeats himself asks nothing new of the provider, and is shown what there is.
    let is_new = origin.claim.is_none_or(|claim| !app.engine.is_claimed(claim));
    if let Some(rest) = app.till.rests(provider.name()).filter(|_| is_new) {
        let name = provider.name();
        let detail = format!("`{name}` does not answer; pay in another way, or ask again later");
        let wait_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        return Err(Problem::provider_unavailable(detail).retry_after_ms(wait_ms));
    }
    let cashier = people::pseudonym(app, principal, PersonKind::Subject, &principal.subject)?;
    let ask = Ask::Authorise(Pay {
        id: PaymentId(request.id.unwrap_or_else(Uuid::now_v7)),
        about,
        method: Method::Provider(provider.name().into()),
        amount,
        is_promise: true,
        shift: None,
        cashier: principal.role.may(Access::Staff).then_some(cashier),
        reference: None,
    });
    let body = asked(app, lot, ask, origin).await?;
    let answer = answer::json(StatusCode::CREATED, &body)?;
    let answer = answer::with_location(answer, &format!("/api/v1/payments/{}", body.id));
    Ok(answer::with_version(answer, body.version))
}

fn amount(amount: Option<&MoneyBody>, lot: &LotHandle) -> Result<Option<Amount>, Problem> {
    let amount = amount.map(|amount| amount.checked("/amount", &lot.spec()));
    amount.transpose().map_err(|fault| invalid(vec![fault]))
}

/// Records the question, puts it, and shows the payment as it is after the answer, or as it waits for one. A retry
/// shows it as it is now.
async fn asked(
    app: &App,
    lot: &LotHandle,
    ask: Ask,
    origin: Origin,
) -> Result<PaymentBody, Problem> {
    let done = send(app, lot, Command::Provider(Box::new(ask)), origin).await?;
    let ClaimOutcome::Payment(payment) = &done.answer else {
        return Err(answer::unexpected("payment", &done.answer));
    };
    let id = payment.id;
    let shown = |payment: &Payment| PaymentBody::of(payment, &lot.spec());
    let view = lot.view();
    // A first answer that is remembered tells of a question that may have been answered since.
    let open = view.lot.payments().get(id).filter(|now| now.asked.is_some());
    if let Some(open) = open {
        let (app, lot, open) = (app.clone(), lot.clone(), Arc::clone(open));
        // On its own feet: whoever stops waiting for the answer does not stop the question.
        let carried = tokio::spawn(async move {
            let _busy = app.shutdown.busy();
            app.till.carry(&app.engine, &lot, &open, false).await;
        });
        if let Err(error) = carried.await {
            tracing::error!(payment = %id, %error, "a question ended badly; it is asked again");
        }
    }
    let view = lot.view();
    Ok(view.lot.payments().get(id).map_or_else(|| shown(payment), |payment| shown(payment)))
}

/// Bring in what a provider promised
///
/// All of it that is owed, or a part; the rest is let go. Happens by itself when the stay is over. Role staff.
#[utoipa::path(
    post, path = "/api/v1/payments/{id}/capture", tag = "payments", operation_id = "capturePayment",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = Option<PartBody>,
    responses(
        (status = 200, description = "The payment; with `asked` while the provider has not answered.", body = PaymentBody, headers(("ETag"))),
        (status = 404, description = "`payment_not_found`"),
        (status = 409, description = "`payment_ended`, `payment_in_progress`, `nothing_owed`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `amount_not_owed`, `idempotency_key_reused`"),
    ),
)]
pub async fn capture(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (lot, id) = target(&app, &principal, &id)?;
    let amount = part(&lot, &body)?;
    step(&app, &principal, (&lot, id), Wanted::Capture { amount }, (&intent, &body)).await
}

/// Let go what a provider promised
///
/// Role staff.
#[utoipa::path(
    post, path = "/api/v1/payments/{id}/void", tag = "payments", operation_id = "voidPayment",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    responses(
        (status = 200, description = "The payment; with `asked` while the provider has not answered.", body = PaymentBody, headers(("ETag"))),
        (status = 404, description = "`payment_not_found`"),
        (status = 409, description = "`payment_ended`, `payment_in_progress`, `request_in_progress`"),
        (status = 422, description = "`idempotency_key_reused`"),
    ),
)]
pub async fn void(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (lot, id) = target(&app, &principal, &id)?;
    step(&app, &principal, (&lot, id), Wanted::Void, (&intent, &body)).await
}

/// A payment's next step by its provider.
pub async fn step(
    app: &App,
    principal: &Principal,
    (lot, id): (&LotHandle, PaymentId),
    wanted: Wanted,
    (intent, body): (&Intent, &JsonBody),
) -> Result<Response, Problem> {
    let origin = intent.origin(app, principal, body.bytes(), None)?;
    let body = asked(app, lot, Ask::Ask { id, wanted }, origin).await?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}
