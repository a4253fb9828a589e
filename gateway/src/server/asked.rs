//! What the server knows of a request before its handler runs: one value in the request's extensions.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::request::Parts;
use lotkeeper_actors::Turn;
use tower::{Layer, Service};

use super::Connection;
use crate::app::App;
use crate::auth::Principal;
use crate::error::Problem;

/// A copy is the same request's.
#[derive(Clone)]
pub struct Asked(Arc<Known>);

struct Known {
    connection: Option<Connection>,
    checked: Result<Principal, Problem>,
    route: OnceLock<MatchedPath>,
    /// Held until the answer is made.
    turn: OnceLock<Turn>,
}

impl Asked {
    pub(super) fn new(connection: Option<Connection>, checked: Result<Principal, Problem>) -> Self {
        Self(Arc::new(Known { connection, checked, route: OnceLock::new(), turn: OnceLock::new() }))
    }

    /// Of a request that came through the server.
    #[must_use]
    pub fn of(parts: &Parts) -> Option<&Self> {
        parts.extensions.get()
    }

    /// The connection it came on.
    #[must_use]
    pub fn connection(&self) -> Option<&Connection> {
        self.0.connection.as_ref()
    }

    /// Whose token it carries, or why it has no good one.
    ///
    /// # Errors
    /// `token_missing`, `token_invalid`, `token_expired`.
    pub fn principal(&self) -> Result<&Principal, &Problem> {
        self.0.checked.as_ref()
    }

    /// Waits until it is the turn of whoever asks; one without a good token is refused soon and needs none.
    /// Called once the body is there: one who sends slowly keeps nobody waiting.
    ///
    /// # Errors
    /// `overloaded`: his tenant has all the turns it may have, and none ended in time.
    pub async fn take_turn(&self, app: &App) -> Result<(), Problem> {
        let Ok(principal) = self.principal() else { return Ok(()) };
        if self.0.turn.get().is_some() {
            return Ok(());
        }
        let patience = app.config.engine.contended_wait;
        let turn = app.engine.turn(&principal.tenant, patience).await;
        let _first = self.0.turn.set(turn?);
        Ok(())
    }

    /// So much processor time its work took.
    pub(super) fn used(&self, time: Duration) {
        if let Some(turn) = self.0.turn.get() {
            turn.used(time);
        }
    }

    /// The template of the route that took it; `none` when none did.
    pub(super) fn route(&self) -> &str {
        self.0.route.get().map_or("none", MatchedPath::as_str)
    }
}

/// Tells which route took a request. The router tells it inside only, figures are kept outside.
#[derive(Clone, Copy)]
pub(super) struct NoteRoute;

#[derive(Clone)]
pub(super) struct Noting<S>(S);

impl<S> Layer<S> for NoteRoute {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Noting<S> {
        Noting(inner)
    }
}

impl<S: Service<Request>> Service<Request> for Noting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> S::Future {
        let extensions = request.extensions();
        if let (Some(Asked(known)), Some(route)) = (extensions.get(), extensions.get()) {
            // Set once: a request has one route.
            let _first = known.route.set(MatchedPath::clone(route));
        }
        self.0.call(request)
    }
}
