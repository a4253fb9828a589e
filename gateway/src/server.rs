//! Takes connections and answers requests until told to stop.
//!
//! Invariants: at most `connections_max` connections, websockets included, and new ones no faster than
//! `accept_per_second`; headers, requests, answers and the end have time limits; [`run`] returns only when every
//! request and websocket has ended or its time is up. Order at the end: stop accepting, let requests and
//! websockets finish. Deliberately absent: TLS and HTTP/2 (a proxy's work), the engine's end (`serve`).

mod asked;
mod framing;
mod headers;
mod layers;
mod pace;
mod patience;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::Response;
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use asked::Asked;

use crate::app::App;
use crate::metrics::OpenConnection;
use crate::server::pace::Pace;
use crate::server::patience::Patient;
use crate::shutdown::Busy;

/// Request line and headers must fit; also what one read takes of a body.
const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;
/// After a failed accept (mostly: no file descriptors left) something must end first.
const ACCEPT_FAILED_PAUSE: Duration = Duration::from_millis(50);

/// A connection's place; every request knows it (see [`Asked`]). A websocket keeps a copy for as long as it lives,
/// so that it counts against `connections_max` beyond its handshake, and the end waits for it.
#[derive(Clone)]
pub struct Connection {
    /// Who is at the other end; a proxy, if there is one.
    pub peer: SocketAddr,
    _place: Arc<Place>,
}

struct Place {
    _permit: OwnedSemaphorePermit,
    _open: OpenConnection,
    _busy: Busy,
}

/// Every route.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/stream", get(crate::stream::open))
        .route("/api/v1/ingest", get(crate::ingest::open))
        .merge(crate::http::routes())
        .merge(crate::assets::routes())
}

/// Answers requests: routes with what is around every one of them. A copy is the same.
#[derive(Clone)]
pub struct Front {
    app: App,
    routes: Router,
}

impl Front {
    /// In front of these routes.
    #[must_use]
    pub fn new(routes: Router<App>, app: App) -> Self {
        let body_bytes_max = app.config.server.body_bytes_max;
        let routes = routes
            .fallback(layers::no_such_path)
            .method_not_allowed_fallback(layers::no_such_method)
            .layer((DefaultBodyLimit::max(body_bytes_max), asked::NoteRoute))
            .with_state(app.clone());
        Self { app, routes }
    }

    /// Answers one request; `connection` is the one it came on.
    pub fn answer(
        &self,
        request: Request,
        connection: Option<Connection>,
    ) -> impl Future<Output = Response> + use<> {
        layers::answer(self.app.clone(), self.routes.clone(), connection, request)
    }
}

/// Serves until `app.shutdown` begins and everybody has finished.
pub async fn run(listener: TcpListener, app: App) {
    let front = Front::new(routes(), app.clone());
    accept(&listener, &app, &front).await;
    drop(listener);
    let patience = app.config.server.shutdown;
    if tokio::time::timeout(patience, app.shutdown.drained()).await.is_err() {
        let left = app.shutdown.busy_count();
        tracing::warn!(left, patience_seconds = patience.as_secs(), "connections cut at the end");
    }
}

async fn accept(listener: &TcpListener, app: &App, front: &Front) {
    let places = Arc::new(Semaphore::new(app.config.server.connections_max));
    let mut pace = Pace::new(app.config.server.accept_per_second, Instant::now());
    loop {
        let next = async {
            let wait = pace.wait(Instant::now());
            // Even a sleep of nothing lasts until the timer's next step, which is a millisecond.
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            // The semaphore is never closed.
            let permit = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let accepted = tokio::select! {
            biased;
            () = app.shutdown.begun() => return,
            accepted = next => accepted,
        };
        match accepted {
            Some((permit, Ok((stream, peer)))) => {
                pace.taken(Instant::now());
                let place = Place {
                    _permit: permit,
                    _open: app.metrics.connection_opened(),
                    _busy: app.shutdown.busy(),
                };
                let connection = Connection { peer, _place: Arc::new(place) };
                tokio::spawn(serve(stream, connection, front.clone()));
            }
            Some((_, Err(error))) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_FAILED_PAUSE).await;
            }
            None => return,
        }
    }
}

async fn serve(stream: TcpStream, connection: Connection, front: Front) {
    // Small answers must not wait for the client's acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection ended before it began");
        return;
    }
    let app = front.app.clone();
    let stream = Patient::new(stream, app.config.server.write_timeout);
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = front.answer(request.map(Body::new), Some(connection.clone()));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.config.server.header_timeout)
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = app.shutdown.begun() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        // Clients that leave in the middle are everyday life.
        tracing::debug!(%error, "connection ended");
    }
}
