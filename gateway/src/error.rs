//! The one error page of the edge: what a refusal looks like on the wire, and which code means what.
//!
//! Invariants: every error answer is a [`Problem`] with a code of [`CODES`]; a code has one status
//! wherever it appears; `docs/api.md` lists exactly these codes (tested). What went wrong inside goes
//! to the log, joined to the answer by the request id, never into `detail`.
//! Deliberately absent: business rules; the engine said no before anything comes here.

mod codes;
mod offered;
mod rejection;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub use codes::CODES;
pub use rejection::{check_offered, command, priced, rejection};

/// Wait proposed with a refusal for load: about one commit under pressure.
const OVERLOADED_RETRY_MS: u64 = 250;
/// Wait proposed after a failed commit or at the end of a process: about one restart.
const RESTART_RETRY_MS: u64 = 2_000;
/// Wait proposed when the disk is full: a person has to act.
const STORAGE_FULL_RETRY_MS: u64 = 30_000;

/// A refusal as RFC 9457 problem+json with a stable code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status; decided by the code.
    pub status: StatusCode,
    /// Stable, for machines.
    pub code: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// For people: the thing, the value, the remedy.
    pub detail: String,
    /// Every fault of a body that failed validation.
    pub errors: Vec<FieldError>,
    /// When to try again.
    pub retry_after_ms: Option<u64>,
    /// The oldest record there is, when older ones were asked for.
    pub first_seq: Option<u64>,
}

/// One fault of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the body.
    pub pointer: String,
    /// The value and the remedy.
    pub detail: String,
}

impl FieldError {
    /// A fault at a place of the body.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl Problem {
    pub(crate) fn with_code(code: &'static str, status: u16, detail: String) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code,
            title: status.canonical_reason().unwrap_or("Error"),
            detail,
            errors: Vec::new(),
            retry_after_ms: default_retry_ms(code),
            first_seq: None,
        }
    }

    /// `validation_failed` with all that is wrong.
    #[must_use]
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => "the request is not valid".to_owned(),
            [only] => format!("{}: {}", only.pointer, only.detail),
            [first, rest @ ..] => {
                format!("{}: {} (and {} more, see errors)", first.pointer, first.detail, rest.len())
            }
        };
        Self { errors, ..Self::validation_failed(detail) }
    }

    /// `validation_failed` for one field.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::validation(vec![FieldError::new(pointer, detail)])
    }

    /// `events_pruned`, with where the log begins now.
    #[must_use]
    pub fn pruned(first_seq: u64) -> Self {
        let detail = format!("events before {first_seq} have been pruned; read on from there");
        Self { first_seq: Some(first_seq), ..Self::events_pruned(detail) }
    }

    /// The same with another wait.
    #[must_use]
    pub fn retry_after_ms(self, wait_ms: u64) -> Self {
        Self { retry_after_ms: Some(wait_ms), ..self }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_ms.map(|wait_ms| wait_ms.div_ceil(1_000).max(1))
    }

    fn challenge(&self) -> Option<&'static str> {
        match self.code {
            "token_missing" => Some("Bearer realm=\"lotkeeper\""),
            "token_invalid" => Some("Bearer realm=\"lotkeeper\", error=\"invalid_token\""),
            "token_expired" => Some(
                "Bearer realm=\"lotkeeper\", error=\"invalid_token\", error_description=\"expired\"",
            ),
            _ => None,
        }
    }
}

fn default_retry_ms(code: &str) -> Option<u64> {
    match code {
        "overloaded" => Some(OVERLOADED_RETRY_MS),
        "outcome_unknown" | "shutting_down" => Some(RESTART_RETRY_MS),
        "storage_full" => Some(STORAGE_FULL_RETRY_MS),
        _ => None,
    }
}

/// The body; fields that say nothing are left out.
#[derive(Serialize)]
struct Page<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seq: Option<u64>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let page = Page {
            r#type: "about:blank",
            title: self.title,
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            request_id: crate::request_id::current(),
            errors: &self.errors,
            retry_after_ms: self.retry_after_ms,
            first_seq: self.first_seq,
        };
        // Strings and numbers only: there is nothing in it that serde_json could refuse.
        let body = serde_json::to_vec(&page).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(ProblemCode(self.code));
        response
    }
}

/// Travels with the response to the metrics, which count refusals by code.
#[derive(Clone, Copy, Debug)]
pub struct ProblemCode(pub &'static str);

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn body(response: Response) -> serde_json::Value {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn problem_is_problem_json_with_code_and_status() {
        let response = Problem::slot_taken("slot A-101 is taken").into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(!response.headers().contains_key("www-authenticate"));
        let page = body(response).await;
        assert_eq!(page["type"], "about:blank");
        assert_eq!(page["title"], "Conflict");
        assert_eq!(page["status"], 409);
        assert_eq!(page["code"], "slot_taken");
        assert_eq!(page["detail"], "slot A-101 is taken");
        assert!(page.get("errors").is_none());
    }

    #[tokio::test]
    async fn token_problems_carry_a_challenge() {
        for problem in [
            Problem::token_missing("none"),
            Problem::token_invalid("bad"),
            Problem::token_expired("old"),
        ] {
            let response = problem.into_response();
            assert_eq!(response.status(), 401);
            let challenge = response.headers()["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
        }
    }

    #[tokio::test]
    async fn unavailable_says_when_to_retry() {
        for (problem, seconds) in [
            (Problem::overloaded("much"), "1"),
            (Problem::storage_full("full"), "30"),
            (Problem::outcome_unknown("?"), "2"),
            (Problem::shutting_down("bye"), "2"),
            (Problem::too_many_requests("slow").retry_after_ms(1_001), "2"),
        ] {
            let code = problem.code;
            let response = problem.into_response();
            assert_eq!(response.headers()["retry-after"], seconds, "{code}");
            assert!(body(response).await["retry_after_ms"].is_u64(), "{code}");
        }
    }

    #[tokio::test]
    async fn validation_lists_every_fault() {
        let faults = vec![FieldError::new("/a", "first"), FieldError::new("/b", "second")];
        let page = body(Problem::validation(faults).into_response()).await;
        assert_eq!(page["code"], "validation_failed");
        assert_eq!(page["detail"], "/a: first (and 1 more, see errors)");
        assert_eq!(page["errors"][1]["pointer"], "/b");
    }
}
