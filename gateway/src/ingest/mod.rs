//! `GET /api/v1/ingest`: batches of readings and counts over a websocket (`docs/ingest.md`).
//!
//! A batch is sent to the slots in the order of arrival, at once; acks leave in the order in which
//! batches become durable. Beyond the batches in flight allowed the socket is not read, so a sender that
//! is too fast is slowed down by its own connection. Absent: rules; every batch meets the same parser
//! and the same engine as over HTTP.

mod batch;
mod connection;
pub(crate) mod message;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::app::App;
use crate::error::Problem;
use crate::ws::entry::Entry;
use crate::ws::handshake::Upgrade;

/// Opens an ingest socket.
///
/// # Errors
/// Not a websocket, a bad token in the header, or a role that may not.
pub async fn open(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let entry = Entry::of(&app, &headers, upgrade.protocol_token.as_deref())?;
    if let Entry::Known(principal) = &entry
        && upgrade.protocol_token.is_none()
    {
        principal.require(crate::auth::Access::Device)?;
    }
    Ok(upgrade.accept(move |connection| connection::serve(app, connection, entry)))
}
