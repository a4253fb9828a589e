//! The description of the interface, made from the routes themselves and served by the process.
//!
//! `docs/openapi.json` is the same text, checked in; a test holds the two together.

use std::sync::OnceLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use utoipa::OpenApi as _;
use utoipa::openapi::content::Content;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::Response as Described;
use utoipa::openapi::schema::{Object, ObjectBuilder, Ref, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi, RefOr};

use crate::error::CODES;

/// Name of the security scheme.
const BEARER: &str = "bearer";
/// Type of every refusal.
const PROBLEM_JSON: &str = "application/problem+json";

/// What every route hangs on: title, tags, security.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Lotkeeper",
        description = "Realtime parking occupancy: lots, slots, readings, reservations, the log. JSON in \
            snake_case, instants in RFC 3339 UTC, errors as application/problem+json with a stable `code`. \
            Unknown fields and parameters are refused. The stream and the ingest websocket are described in \
            docs/stream.md and docs/ingest.md.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This server.")),
    security(("bearer" = [])),
    tags(
        (name = "lots", description = "Lots and how much room they have."),
        (name = "slots", description = "The slots of a lot."),
        (name = "occupancy", description = "What sensors and gates say."),
        (name = "reservations", description = "What is promised."),
        (name = "sessions", description = "Who is inside, and the gates."),
        (name = "payments", description = "Money that came in."),
        (name = "shifts", description = "What cashiers took and handed out."),
        (name = "tariffs", description = "What parking costs."),
        (name = "passes", description = "Who may come in without reserving."),
        (name = "waiting", description = "Who waits for a window that is full."),
        (name = "violations", description = "What somebody does that he may not."),
        (name = "events", description = "What happened."),
        (name = "backup", description = "Everything, to be kept elsewhere."),
        (name = "probes", description = "How the process is."),
    ),
)]
struct Frame;

/// The description without its paths.
pub fn frame() -> OpenApi {
    Frame::openapi()
}

/// The whole description.
#[must_use]
pub fn document() -> OpenApi {
    let mut document = super::described().into_openapi();
    let mut components = document.components.take().unwrap_or_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("`lotkeeper token --role operator` mints one."))
        .build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let components = ComponentsBuilder::from(components).schema("Problem", problem());
    document.components = Some(components.build());
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            describe_refusals(operation, path.starts_with("/api/"));
        }
    }
    document
}

/// Every refusal has the one shape; what any protected route may refuse is said here once.
fn describe_refusals(operation: &mut Operation, protected: bool) {
    let has_body = operation.request_body.is_some();
    let responses = &mut operation.responses.responses;
    if has_body {
        for (status, codes) in [("413", "`body_too_large`"), ("415", "`unsupported_media_type`")] {
            let described = || RefOr::T(Described::new(codes));
            responses.entry(status.to_owned()).or_insert_with(described);
        }
    }
    if protected {
        for (status, codes) in [
            ("400", "`malformed_json`, `malformed_request`, `malformed_cursor`"),
            ("401", "`token_missing`, `token_invalid`, `token_expired`"),
            ("403", "`role_not_allowed`, `lot_not_allowed`"),
            ("429", "`too_many_requests`, with `Retry-After`"),
            (
                "503",
                "`overloaded`, `storage_full`, `outcome_unknown`, `shutting_down`, with `Retry-After`",
            ),
        ] {
            let described = || RefOr::T(Described::new(codes));
            responses.entry(status.to_owned()).or_insert_with(described);
        }
    }
    for (status, response) in responses {
        let refusal = status.starts_with(['4', '5']);
        if let RefOr::T(response) = response
            && refusal
        {
            let schema = Ref::from_schema_name("Problem");
            let content = Content::new(Some(RefOr::Ref(schema)));
            response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(content));
        }
    }
}

/// A refusal (RFC 9457).
fn problem() -> Schema {
    let text = |description: &str| -> Object {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.description(Some(description)).build()
    };
    let number = |description: &str| -> Object {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        number.description(Some(description)).build()
    };
    let codes = CODES.iter().map(|(code, _)| *code);
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
    let place = ObjectBuilder::new()
        .property("pointer", text("JSON pointer into the body."))
        .required("pointer")
        .property("detail", text("The value and the remedy."))
        .required("detail");
    let places = utoipa::openapi::ArrayBuilder::new().items(place);
    ObjectBuilder::new()
        .description(Some("A refusal (RFC 9457). `code` is stable, `detail` is for people."))
        .property("type", text("`about:blank`."))
        .required("type")
        .property("title", text("The status in words."))
        .required("title")
        .property("status", number("The HTTP status."))
        .required("status")
        .property("code", code)
        .required("code")
        .property("detail", text("The thing, the value, the remedy."))
        .required("detail")
        .property("request_id", text("The `X-Request-Id` of the answer."))
        .property("errors", places)
        .property("retry_after_ms", number("When to try again."))
        .property("first_seq", number("With `events_pruned`: the oldest event there is."))
        .examples([json!({
            "type": "about:blank", "title": "Conflict", "status": 409, "code": "slot_taken",
            "detail": "slot A-101 is taken from 2026-03-01T09:00:00Z to 2026-03-01T11:00:00Z; choose another window or slot",
            "request_id": "0199a7f2c0de7000",
        })])
        .into()
}

/// This description
#[utoipa::path(
    get, path = "/openapi.json", tag = "probes", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json")),
)]
pub async fn show() -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    // Made of strings, numbers and maps: there is nothing in it that could not be written.
    let text = TEXT.get_or_init(|| serde_json::to_vec(&document()).unwrap_or_default().into());
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], text.clone()).into_response()
}
