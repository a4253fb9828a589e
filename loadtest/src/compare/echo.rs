//! The ceiling of HTTP: a server that parses a booking's JSON and sends it back, and nothing else.
//!
//! Bare hyper with serde_json, in a process of its own, spoken to by the same client as our own server.
//! The server is a hidden subcommand of this program, so that it is built as everything else here.

use super::context::Context;
use super::daemon::{Daemon, Home, free_address};
use super::drive::{Hand, Turn, drive};
use super::error::CompareError;
use super::table::{Row, Work};
use super::wishes::{Wish, Wishes};
use crate::clock::Rfc3339;
use crate::error::LoadError;
use crate::http::HttpClient;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// The hidden subcommand; its argument is the address.
pub const SUBCOMMAND: &str = "echo-server";

/// What is parsed and written again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Booking {
    id: String,
    lot: String,
    slot: String,
    from: String,
    to: String,
    hold_seconds: u32,
}

/// Serves until it is ended.
pub fn serve(addr: Option<&str>) -> Result<(), LoadError> {
    let addr: SocketAddr = addr
        .and_then(|addr| addr.parse().ok())
        .filter(|addr: &SocketAddr| addr.ip().is_loopback())
        .ok_or_else(|| LoadError::usage(format!("{SUBCOMMAND} ADDRESS:PORT, on this machine")))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|source| LoadError::Runtime { source })?;
    runtime.block_on(async {
        let failed = |source| LoadError::Runtime { source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        loop {
            let (stream, _) = listener.accept().await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            tokio::spawn(async move {
                let service = service_fn(answer);
                // A client that leaves is no fault of a server that keeps nothing.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let booking = match request.into_body().collect().await {
        Ok(body) => serde_json::from_slice::<Booking>(&body.to_bytes()).ok(),
        Err(_) => None,
    };
    let text = booking.and_then(|booking| serde_json::to_vec(&booking).ok());
    let status = if text.is_some() { StatusCode::CREATED } else { StatusCode::BAD_REQUEST };
    let mut response = Response::new(Full::new(Bytes::from(text.unwrap_or_default())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The one stage.
pub async fn play(context: &mut Context) -> Result<(), CompareError> {
    let name = "echo";
    let binary = std::env::current_exe().map_err(|source| CompareError::Spawn { name, source })?;
    let home = Home::new(name, &context.parent(), None)?;
    let addr = free_address()?;
    let mut command = home.command(&binary)?;
    command.args([SUBCOMMAND, &addr.to_string()]);
    let daemon = Daemon::start(name, command, home, Signal::TERM, addr).await?;
    let version = "bare HTTP echo (hyper 1, serde_json)";
    context.begin("echo").await?;
    let hand =
        |number| Caller { client: HttpClient::new(addr, "none"), wishes: context.wishes(number) };
    let hands = (0..context.options.connections).map(hand).collect();
    let driven = drive(hands, context.timing(), daemon.tree()).await;
    let driven = driven.map_err(|what| CompareError::Stage { name, what })?;
    let what = "parses a booking, sends it back, keeps nothing";
    context.put(Row::of("echo", Work::Bookings, version, what, &driven));
    Ok(())
}

struct Caller {
    client: HttpClient,
    wishes: Wishes,
}

impl Hand for Caller {
    async fn turn(&mut self) -> Result<Turn, String> {
        let Wish { id, slot, from_us, to_us } = self.wishes.next();
        let booking = Booking {
            id: id.to_string(),
            lot: format!("LT-compare-{:05}", slot / 100),
            slot: format!("S{:05}", slot % 100),
            from: Rfc3339(from_us).to_string(),
            to: Rfc3339(to_us).to_string(),
            hold_seconds: 600,
        };
        let body = serde_json::to_vec(&booking).map_err(|error| error.to_string())?;
        let answer = self.client.post("/api/v1/reservations", Bytes::from(body)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let echoed: Booking = answer.json().map_err(|error| error.to_string())?;
        if answer.status != 201 || echoed != booking {
            return Err(format!("the echo answered {} {echoed:?}", answer.status));
        }
        Ok(Turn { done: 1, refused: 0 })
    }
}
