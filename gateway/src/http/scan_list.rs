//! What the gates of a lot did, from its log: for whoever stands at one, or sits behind it.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::QueryOf;
use super::event_scan::Log;
use super::{answer, fields, people};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::Page;
use crate::wire::cursor::{self, List};
use crate::wire::names::Decision;
use crate::wire::scan_record::{ScanRecordBody, Told};

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScansQuery {
    /// Code or id of the lot.
    lot: String,
    /// Code of a gate.
    gate: Option<String>,
    /// `open`, `deny`.
    decision: Option<String>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// List scans of a lot
///
/// The last one first, as far back as the log is kept. What changed nothing is not there: a vehicle that is
/// read again, a trial. A page may hold fewer than `limit` and still have a `next_cursor`. Role staff.
#[utoipa::path(
    get, path = "/api/v1/scans", tag = "sessions", operation_id = "listScans",
    params(ScansQuery),
    responses(
        (status = 200, description = "Scans.", body = Page<ScanRecordBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<ScansQuery>,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let limit = fields::limit(query.limit)?;
    let decisions = fields::values("decision", query.decision.as_deref(), Decision::of)?;
    let lot = answer::lot(&app, &principal, &query.lot)?;
    let before = fields::after(List::Scans, query.cursor.as_deref())?
        .map(|key| key.parse::<u64>().map_err(|_| fields::bad_cursor()))
        .transpose()?;
    let gate = query.gate;
    let wanted = move |scan: &ScanRecordBody| {
        (decisions.is_empty() || decisions.contains(&scan.decision))
            && gate.as_ref().is_none_or(|gate| scan.gate.as_ref() == Some(gate))
    };
    // Reads the disk for as long as it takes; a page is some milliseconds.
    let page = tokio::task::spawn_blocking(move || {
        let view = lot.view();
        let log = Log::new(&app.engine, Some(lot));
        // A position from elsewhere is no more than the end.
        let before = before.unwrap_or(u64::MAX).min(log.end());
        let walked = log.walk_back(before, limit, |record| {
            Told::of(record, &view).filter(|told| wanted(&told.body))
        })?;
        let shown = |Told { vehicle, body }| -> Result<ScanRecordBody, Problem> {
            Ok(ScanRecordBody { vehicle: people::vehicle(&app, vehicle)?, ..body })
        };
        Ok(Page {
            items: walked.items.into_iter().map(shown).collect::<Result<_, _>>()?,
            next_cursor: walked
                .next_after
                .map(|before| cursor::encode(List::Scans, &before.to_string())),
        })
    });
    let page: Result<Page<ScanRecordBody>, Problem> = page.await.map_err(|error| {
        tracing::error!(request = crate::request_id::current(), %error, "reading the log ended early");
        Problem::internal("the log cannot be read; tell the operator the request id")
    })?;
    answer::ok(&page?)
}
