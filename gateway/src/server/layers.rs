//! Around every handler: who asks, how often, for how long, and how the answer leaves.
//!
//! Invariants: every answer has a request id, every refusal is problem+json, a panic is a 500 and the
//! server lives; the token is checked once per request. Order: id, token, rate, time limit, handler.
//! Deliberately absent: what a role may do (handlers say so), bodies in logs.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http_body_util::{BodyExt, Limited};
use tower::Service;
use tracing::Instrument;

use super::asked::Asked;
use super::{Connection, framing, headers};
use crate::app::App;
use crate::error::{Problem, ProblemCode};
use crate::http::answer::{shorten, shorten_detail};
use crate::request_id::{self, current};

/// Texts of refusals made by libraries are short; more is not read.
const REFUSAL_BYTES_MAX: usize = 4_096;

/// No route for the path.
pub(super) async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(format!("nothing at {}; see /docs", shorten_detail(uri.path())))
}

/// A route, but not for the method.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let (method, path) = (shorten(method.as_str()), shorten_detail(uri.path()));
    Problem::method_not_allowed(format!("{method} is not possible at {path}; see /docs"))
}

/// Answers one request. Around the router and not inside it: a layer of the router is boxed, and copied with
/// every route, for every request.
pub(super) async fn answer(
    app: App,
    routes: Router,
    connection: Option<Connection>,
    mut request: Request,
) -> Response {
    let began = Instant::now();
    let _in_flight = app.metrics.request_began();
    let given = request.headers().get(request_id::HEADER).map(HeaderValue::as_bytes);
    let id = request_id::choose(given);
    let method = known(request.method());
    let host = request.headers().get(header::HOST).cloned();
    let asked = Asked::new(connection, app.auth.of_headers(request.headers()));
    request.extensions_mut().insert(asked.clone());
    // A span costs more than a route look-up, so it is there for those who look at every request; a failure
    // names its request by itself.
    let span = tracing::debug_span!("request", %id, method, path = request.uri().path());
    let work = guarded(&app, &asked, routes, request).instrument(span.clone());
    let mut response = request_id::scope(id.clone(), work).await;

    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    headers::write(response.headers_mut(), host.as_ref());
    let (status, elapsed) = (response.status().as_u16(), began.elapsed());
    let route = asked.route();
    app.metrics.request_answered(method, route, status, elapsed);
    if let Some(ProblemCode(code)) = response.extensions().get() {
        app.metrics.refused(code);
    }
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(parent: &span, route, status, elapsed_us, "answered");
    if status == StatusCode::INTERNAL_SERVER_ERROR.as_u16() {
        let request = &*id;
        tracing::error!(request, method, route, elapsed_us, "a request failed");
    }
    response
}

/// Token, rate, size; then the handler within its time, panics caught.
async fn guarded(app: &App, asked: &Asked, routes: Router, request: Request) -> Response {
    let quota = if is_limited(&request) {
        let peer = asked.connection().map(|at| at.peer.ip());
        let peer = peer.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
        app.rate.take(asked.principal().ok(), peer, Instant::now())
    } else {
        None
    };
    // Requests made inside have no front that could read them otherwise.
    let faulty = asked.connection().and_then(|_| framing::fault(&request));
    let refusal = quota
        .and_then(|quota| quota.refusal())
        .or(faulty)
        .or_else(|| too_large(request.headers(), app.config.server.body_bytes_max));
    let mut response = match refusal {
        Some(refusal) => {
            drain(request, app.config.server.body_bytes_max).await;
            refusal.into_response()
        }
        None => match turn(app, asked, has_no_body(&request)).await {
            Ok(()) => {
                let (response, took) = timed(handled(app, routes, request)).await;
                asked.used(took);
                mended(response).await
            }
            Err(refusal) => refusal.into_response(),
        },
    };
    if app.engine.is_contended() && is_overload(&response) {
        // Its turn is kept meanwhile: a client that tries again at once costs its tenant, and nobody else.
        tokio::time::sleep(REFUSAL_PAUSE).await;
    }
    if let Some(quota) = quota {
        quota.write(response.headers_mut());
    }
    response
}

/// How many times the largest body is read of one that is refused.
const DRAINED_BODIES_MAX: usize = 4;
/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// The code of a refusal at the engine's door.
const OVERLOADED: &str = "overloaded";
/// How long a refusal for overload takes while others are at work: 20 a second for each turn.
const REFUSAL_PAUSE: Duration = Duration::from_millis(50);

fn has_no_body(request: &Request) -> bool {
    is_limited(request) && request.body().is_end_stream()
}

/// The turn of a request that has no body; one that has takes it when the body has come.
async fn turn(app: &App, asked: &Asked, has_no_body: bool) -> Result<(), Problem> {
    if has_no_body { asked.take_turn(app).await } else { Ok(()) }
}

fn is_overload(response: &Response) -> bool {
    let code = response.extensions().get::<ProblemCode>();
    code.is_some_and(|ProblemCode(code)| *code == OVERLOADED)
}

/// Probes and pages are free; sockets are paced by the accept rate and their own limits.
fn is_limited(request: &Request) -> bool {
    request.uri().path().starts_with("/api/") && !request.headers().contains_key(header::UPGRADE)
}

/// A body that says itself that it is too large is refused before it is sent.
fn too_large(headers: &HeaderMap, bytes_max: usize) -> Option<Problem> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    (length > bytes_max as u64).then(|| {
        Problem::body_too_large(format!(
            "the body has {length} bytes, at most {bytes_max} are taken; split it into several requests"
        ))
    })
}

/// Takes what a refused client is still sending: an answer that meets a half-sent body is lost to a reset.
/// Bounded in bytes and time, and not at all for a client that asked before it sends.
async fn drain(request: Request, body_bytes_max: usize) {
    if request.headers().contains_key(header::EXPECT) {
        return;
    }
    let mut left = body_bytes_max.saturating_mul(DRAINED_BODIES_MAX);
    let mut body = request.into_body();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
            if bytes > left {
                break;
            }
            left -= bytes;
        }
    };
    let _too_slow = tokio::time::timeout(DRAIN_TIME_MAX, reading).await;
}

/// How long somebody worked on it: without what it waited for.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let (mut work, mut took) = (std::pin::pin!(work), Duration::ZERO);
    let output = std::future::poll_fn(|context| {
        let began = Instant::now();
        let polled = work.as_mut().poll(context);
        took += began.elapsed();
        polled
    });
    let output = output.await;
    (output, took)
}

async fn handled(app: &App, mut routes: Router, request: Request) -> Response {
    let limit = app.config.server.request_timeout;
    let work = AssertUnwindSafe(async { routes.call(request).await }).catch_unwind();
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => {
            app.metrics.panicked();
            tracing::error!(request = current(), panic = text_of(&*panic), "a handler panicked");
            let detail = "a bug in the server; report it with the request id";
            Problem::internal(detail).into_response()
        }
        Err(_) => {
            let seconds = limit.as_secs();
            let detail = format!(
                "no answer within {seconds} s; whether it had an effect is unknown: \
                 send it again with the same Idempotency-Key"
            );
            Problem::outcome_unknown(detail).into_response()
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// Refusals that a library wrote as plain text become problems.
async fn mended(response: Response) -> Response {
    let status = response.status();
    let is_ours = response.extensions().get::<ProblemCode>().is_some();
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let content_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(|kind| !kind.starts_with(b"text/plain")) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = text(body).await;
    let mut response = problem(status, text).into_response();
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

async fn text(body: Body) -> String {
    let read = Limited::new(body, REFUSAL_BYTES_MAX).collect().await;
    read.map(|read| String::from_utf8_lossy(&read.to_bytes()).into_owned()).unwrap_or_default()
}

fn problem(status: StatusCode, text: String) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::not_found(text),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::method_not_allowed("not this method here; see /docs")
        }
        StatusCode::NOT_ACCEPTABLE => Problem::not_acceptable(text),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::body_too_large("the body is larger than server.body_bytes_max; split it")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::unsupported_media_type(text),
        StatusCode::UNPROCESSABLE_ENTITY => Problem::validation_failed(text),
        status if status.is_client_error() => Problem::malformed_request(text),
        _ => {
            tracing::error!(
                request = current(),
                status = status.as_u16(),
                text,
                "an answer without a code"
            );
            Problem::internal("a bug in the server; report it with the request id")
        }
    }
}

/// Methods as labels: a client must not be able to invent time series.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
