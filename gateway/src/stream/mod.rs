//! `GET /api/v1/stream`: snapshots, changes and counts of lots over a websocket (`docs/stream.md`).
//!
//! A connection is a set of cursors into the lots' rings, never a queue: a slow reader costs nothing,
//! and what it missed is in the ring or becomes a new snapshot. Invariant: `from` is the last `seq` plus
//! one and every sequence appears once.

mod connection;
pub mod message;
mod own;
mod pace;
mod subscription;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::app::App;
use crate::error::Problem;
use crate::ws::entry::Entry;
use crate::ws::handshake::Upgrade;

/// Opens a stream.
///
/// # Errors
/// Not a websocket, or a bad token in the header.
pub async fn open(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let entry = Entry::of(&app, &headers, upgrade.protocol_token.as_deref())?;
    Ok(upgrade.accept(move |connection| connection::serve(app, connection, entry)))
}
