//! Lotkeeper's outside: HTTP, websocket streams, sensor ingest, pages, configuration, commands.
//!
//! Wire types live here only; the engine has no serde and the journal has its own records, so the three
//! evolve apart. Nothing is decided here: a request is authenticated, parsed into a command and sent to
//! the actor that owns the answer.

pub mod anpr;
pub mod app;
pub mod assets;
pub mod auth;
pub mod cli;
pub mod client;
pub mod config;
pub mod credential;
pub mod demo;
pub mod error;
mod farewell;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod ingest;
pub mod logging;
pub mod metrics;
pub mod plate;
pub mod provider;
pub mod rate;
pub mod replay;
pub mod request_id;
pub mod search;
pub mod serve;
pub mod server;
pub mod shutdown;
pub mod startup;
pub mod stream;
pub mod token;
pub mod wire;
pub mod ws;
