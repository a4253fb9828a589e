//! A client of a running server: JSON over HTTP ([`Client`]) and sensor ingest over a websocket
//! ([`IngestClient`]).
//!
//! `lotkeeper replay`, the demo's traffic and the tests go through here, so they meet the server
//! as any device does. Nothing in this module knows the engine's types: it speaks the documents
//! `docs/api.md` and `docs/ingest.md`, and stays honest about them.
//!
//! Absent on purpose: TLS (the server has none either; a proxy ends it), cookies, redirects, and
//! any retry: whoever calls knows whether repeating is right.

mod endpoint;
mod error;
mod http;
mod ingest;
mod wire;

pub use endpoint::Endpoint;
pub use error::{Error, Problem};
pub use http::Client;
pub use ingest::IngestClient;
pub use wire::{Ack, Answer, BatchError, Count, Reading, Refused};
