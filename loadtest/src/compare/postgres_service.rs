//! The gate on PostgreSQL as gates reach it: a service that takes a scan as JSON over HTTP, asks the database and answers.
//!
//! Gates and apps do not speak the database's protocol, so this is what ours stands in for as a whole. The same bare
//! hyper as the echo, a database connection for every client, and nothing that a real service needs besides: no
//! tokens, no checks of what is sent, no metrics. A hidden subcommand of this program, in a process of its own.

use super::error::CompareError;
use super::postgres::connect;
use super::postgres_gate::{Desk, Shown};
use super::postgres_hands::Way;
use crate::clock::Clock;
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
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

/// The hidden subcommand; its arguments are its address, the database's and a way.
pub const SUBCOMMAND: &str = "postgres-gate-server";

/// Ways by their names as arguments.
const WAYS: [(&str, Way); 2] = [("stepwise", Way::Stepwise), ("function", Way::Function)];

/// The arguments that start one.
pub fn arguments(addr: SocketAddr, database: SocketAddr, way: Way) -> [String; 4] {
    let name = WAYS.iter().find_map(|(name, known)| (*known == way).then_some(*name));
    let name = name.unwrap_or_default().to_owned();
    [SUBCOMMAND.to_owned(), addr.to_string(), database.to_string(), name]
}

/// A scan, as ours takes it.
#[derive(Debug, Serialize, Deserialize)]
struct Scan<'a> {
    lot: &'a str,
    gate: &'a str,
    direction: &'a str,
    credential: Credential<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Credential<'a> {
    qr: &'a str,
}

/// What the gate does.
#[derive(Debug, Serialize, Deserialize)]
struct Decided {
    decision: Box<str>,
    session: String,
}

/// One client's side of the service.
struct Counter {
    desk: Desk,
    number: u64,
    scans: AtomicU64,
}

/// Serves until it is ended.
pub fn serve(arguments: &[String]) -> Result<(), LoadError> {
    let [addr, database, way] = arguments else { return Err(misused()) };
    let parsed = |addr: &str| addr.parse().ok().filter(|addr: &SocketAddr| addr.ip().is_loopback());
    let (addr, database) = parsed(addr).zip(parsed(database)).ok_or_else(misused)?;
    let way = WAYS.iter().find_map(|(name, known)| (name == way).then_some(*known));
    let way = way.ok_or_else(misused)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|source| LoadError::Runtime { source })?;
    runtime.block_on(async {
        let failed = |source| LoadError::Runtime { source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        for number in 1.. {
            let (stream, _) = listener.accept().await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            tokio::spawn(async move {
                if let Err(error) = attend(stream, number, (database, way)).await {
                    eprintln!("{error}");
                }
            });
        }
        Ok(())
    })
}

fn misused() -> LoadError {
    LoadError::usage(format!("{SUBCOMMAND} ADDRESS:PORT DATABASE:PORT WAY, on this machine"))
}

async fn attend(
    stream: TcpStream,
    number: u64,
    (database, way): (SocketAddr, Way),
) -> Result<(), CompareError> {
    let desk = Desk::new(connect(database).await?, way).await?;
    let counter = Arc::new(Counter { desk, number, scans: AtomicU64::new(0) });
    let service = service_fn(move |request| answer(Arc::clone(&counter), request));
    // A client that leaves is no fault of the service.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    Ok(())
}

async fn answer(
    counter: Arc<Counter>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let decided = match request.into_body().collect().await {
        Ok(body) => counter.decide(&body.to_bytes()).await,
        Err(error) => Err(error.to_string()),
    };
    let (status, text) = match decided {
        Ok(decided) => (StatusCode::OK, serde_json::to_vec(&decided).unwrap_or_default()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.into_bytes()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Counter {
    async fn decide(&self, body: &[u8]) -> Result<Decided, String> {
        let scan: Scan<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let scans = self.scans.fetch_add(1, Ordering::Relaxed);
        let stay = Uuid::from_u64_pair(self.number, scans);
        let (code, is_exit) = (scan.credential.qr, scan.direction == "exit");
        let now_us = Clock::start().now_us().cast_signed();
        let opens = self.desk.opens(Shown { code, is_exit, stay, now_us }).await;
        let decision = if opens.map_err(|error| error.to_string())? { "open" } else { "deny" };
        Ok(Decided { decision: decision.into(), session: stay.to_string() })
    }
}

/// Shows a code at a gate; whether it opens.
pub async fn ask(service: &mut HttpClient, code: &str, is_exit: bool) -> Result<bool, String> {
    let direction = if is_exit { "exit" } else { "entry" };
    let scan = Scan { lot: "L1", gate: "north", direction, credential: Credential { qr: code } };
    let body = serde_json::to_vec(&scan).map_err(|error| error.to_string())?;
    let answer = service.post("/api/v1/scans", Bytes::from(body)).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let decided: Option<Decided> = answer.json().ok().filter(|_| answer.status == 200);
    let unclear = || format!("a scan is answered {} {}", answer.status, answer.excerpt());
    decided.map(|decided| &*decided.decision == "open").ok_or_else(unclear)
}
