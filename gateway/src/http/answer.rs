//! Answers: JSON bodies, their headers, and refusals of the wire in the words of the error page.

use axum::body::Body;
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode, header};
use axum::response::Response;
use lotkeeper_actors::LotHandle;
use lotkeeper_engine::spec::Fault;
use lotkeeper_storage::{ClaimOutcome, JournalError};
use serde::Serialize;

use crate::app::App;
use crate::auth::Principal;
use crate::error::{FieldError, Problem};
use crate::request_id::current;
use crate::wire::Refusal;

/// Room for one resource; lists grow from here.
const ANSWER_BYTES: usize = 512;

/// 200 with a body.
pub fn ok(body: &impl Serialize) -> Result<Response, Problem> {
    json(StatusCode::OK, body)
}

/// A body as JSON. State changes with every reading, so nothing is kept by caches.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let mut bytes = Vec::with_capacity(ANSWER_BYTES);
    serde_json::to_writer(&mut bytes, body).map_err(|error| {
        tracing::error!(request = current(), %error, "an answer cannot be written as JSON");
        Problem::internal("the answer cannot be written; tell the operator the request id")
    })?;
    let mut response = HttpResponse::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Adds the `ETag` of a version.
pub fn with_version(mut response: Response, version: u32) -> Response {
    if let Ok(etag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Adds where the created thing is.
pub fn with_location(mut response: Response, path: &str) -> Response {
    if let Ok(location) = HeaderValue::try_from(path) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Syntax { detail } => {
                Self::malformed_json(format!("the body is not JSON: {detail}"))
            }
            Refusal::Shape { pointer, detail } => {
                let place = if pointer.is_empty() { "the body" } else { &pointer };
                let problem = Self::malformed_request(format!("{place}: {detail}"));
                Self { errors: vec![FieldError::new(pointer, detail)], ..problem }
            }
            Refusal::Invalid(faults) => invalid(faults),
        }
    }
}

/// `validation_failed` with all faults.
pub fn invalid(faults: Vec<Fault>) -> Problem {
    let errors = faults.into_iter().map(|fault| FieldError::new(fault.pointer, fault.detail));
    Problem::validation(errors.collect())
}

/// The journal or vault could not be read: for the log, not for the caller.
pub fn unreadable(what: &'static str, error: &JournalError) -> Problem {
    if let JournalError::Crowded { .. } = error {
        return Problem::overloaded(error.to_string());
    }
    tracing::error!(request = current(), what, %error, "storage cannot be read");
    Problem::internal(format!("the {what} cannot be read; tell the operator the request id"))
}

/// A lot that the caller may use. Another tenant's is not found, like one that is not there.
pub fn lot(app: &App, principal: &Principal, code_or_id: &str) -> Result<LotHandle, Problem> {
    let Some(lot) = app.engine.lot(&principal.tenant, code_or_id) else {
        let shown = shorten(code_or_id);
        return Err(Problem::lot_not_found(format!(
            "no lot `{shown}`; GET /api/v1/lots lists those you may see"
        )));
    };
    principal.require_lot(&lot)?;
    Ok(lot)
}

/// A slot that the lot does not have.
pub fn no_slot(lot: &LotHandle, code_or_id: &str) -> Problem {
    let (code, shown) = (lot.code(), shorten(code_or_id));
    Problem::slot_not_found(format!(
        "lot {code} has no slot `{shown}`; GET /api/v1/lots/{code}/slots lists its slots"
    ))
}

/// Text of a caller, cut for an answer.
pub fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// A message of a library that may repeat what the caller sent, cut for an answer.
pub fn shorten_detail(text: &str) -> String {
    const DETAIL_CHARS_MAX: usize = 300;
    text.chars().take(DETAIL_CHARS_MAX).collect()
}

/// The engine answered a command with the answer to another kind: a bug, told as one.
pub fn unexpected(what: &'static str, answer: &ClaimOutcome) -> Problem {
    tracing::error!(request = current(), what, ?answer, "the engine gave another kind of answer");
    Problem::internal("the engine gave an answer of another kind; tell the operator the request id")
}
