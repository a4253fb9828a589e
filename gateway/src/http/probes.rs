//! What machines ask a process: does it run, does it take writes, how is it doing.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use lotkeeper_actors::NotReady;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use crate::app::App;
use crate::error::Problem;

/// Text format 0.0.4.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a process is.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
    /// Its release.
    version: &'static str,
    /// Changes whenever a page does: pages that run for days reload themselves then.
    build: &'static str,
    /// The epoch of its history.
    epoch: String,
    /// The newest durable record.
    seq: u64,
    /// Seconds since it began to serve.
    uptime_seconds: u64,
}

fn health(app: &App) -> Result<Response, Problem> {
    answer::ok(&Health {
        status: "ok",
        version: app.build.version,
        build: app.build.assets,
        epoch: crate::wire::availability::epoch_text(app.engine.epoch()),
        seq: app.engine.seq(),
        uptime_seconds: app.started_at.elapsed().as_secs(),
    })
}

/// Does it run?
#[utoipa::path(
    get, path = "/livez", tag = "probes", operation_id = "livez", security(()),
    responses((status = 200, description = "It runs.", body = Health)),
)]
pub async fn livez(State(app): State<App>) -> Result<Response, Problem> {
    health(&app)
}

/// Does it take writes?
#[utoipa::path(
    get, path = "/readyz", tag = "probes", operation_id = "readyz", security(()),
    responses(
        (status = 200, description = "Recovery is done and the journal accepts writes.", body = Health),
        (status = 503, description = "`storage_full`, `outcome_unknown`, `shutting_down`"),
    ),
)]
pub async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    match app.engine.ready() {
        Ok(()) if app.shutdown.has_begun() => Err(not_ready(NotReady::ShuttingDown)),
        Ok(()) => health(&app),
        Err(reason) => Err(not_ready(reason)),
    }
}

fn not_ready(reason: NotReady) -> Problem {
    let text = reason.to_string();
    match reason {
        NotReady::ShuttingDown => Problem::shutting_down(text),
        NotReady::JournalFailed => Problem::outcome_unknown(text),
        NotReady::StorageFull => Problem::storage_full(text),
    }
}

/// Figures for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "probes", operation_id = "metrics", security(()),
    responses((status = 200, description = "Prometheus text format.", body = String, content_type = "text/plain")),
)]
pub async fn metrics(State(app): State<App>) -> Response {
    let mut response = app.metrics.text().into_response();
    let text = HeaderValue::from_static(PROMETHEUS_TEXT);
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
