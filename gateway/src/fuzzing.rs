//! The door for fuzz targets (`fuzz/`): what reads outside bytes and is nobody else's business.
//!
//! Hidden from the documentation and no promise: nothing else may use it. It holds no logic of its own, so
//! what is fuzzed is what runs.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};
use lotkeeper_storage::backup::{BackupError, Contents};

use crate::cli::transfer;
use crate::config::{Config, ConfigError};
use crate::error::Problem;
use crate::http::intent::key_of;
use crate::http::precondition::IfMatch;
use crate::ingest::message::{CountsMessage, Head, ReadingsMessage, TokenMessage};
use crate::stream::message::Request;

/// Reads a message of a stream's client; in words what it asks for.
///
/// # Errors
/// Why it is not understood.
pub fn stream_message(text: &str) -> Result<String, String> {
    let request: Result<Request, _> = serde_json::from_str(text);
    request.map(|request| format!("{request:?}")).map_err(|error| error.to_string())
}

/// Reads a message of a device as the socket does; how many readings it kept.
///
/// # Errors
/// Why it is not understood.
pub fn ingest_message(text: &[u8]) -> Result<usize, String> {
    let words = |error: serde_json::Error| error.to_string();
    let head: Head<'_> = serde_json::from_slice(text).map_err(words)?;
    match &*head.op {
        "readings" => {
            let message: ReadingsMessage<'_> = serde_json::from_slice(text).map_err(words)?;
            Ok(message.readings.kept())
        }
        "counts" => {
            let message: CountsMessage<'_> = serde_json::from_slice(text).map_err(words)?;
            Ok(usize::from(message.occupied.is_some()))
        }
        "token" => {
            let message: TokenMessage<'_> = serde_json::from_slice(text).map_err(words)?;
            Ok(message.token.len())
        }
        _ => Ok(0),
    }
}

/// Reads the text of a configuration file.
///
/// # Errors
/// What is wrong, where, and what to do.
pub fn config(text: &str) -> Result<Config, ConfigError> {
    crate::config::of_text(text)
}

/// Reads an `If-Match`: the version to expect of a thing that is at `current`.
///
/// # Errors
/// `version_mismatch`.
pub fn if_match(value: &[u8], current: u32) -> Result<Option<u32>, Problem> {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(header::IF_MATCH, value);
    }
    IfMatch::of(&headers).expected(current)
}

/// Reads an `Idempotency-Key`.
///
/// # Errors
/// `malformed_request`.
pub fn idempotency_key(value: &[u8]) -> Result<Option<String>, Problem> {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert("idempotency-key", value);
    }
    key_of(&headers)
}

/// What a body means, in eight bytes.
#[must_use]
pub fn fingerprint(body: &[u8]) -> u64 {
    crate::http::fingerprint::of("POST", "/", body)
}

/// What `lotkeeper restore --inspect` says of a backup.
#[must_use]
pub fn backup_told(contents: &Contents) -> String {
    struct Told<'a>(&'a Contents);
    impl fmt::Display for Told<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            transfer::write_contents(f, self.0)
        }
    }
    Told(contents).to_string()
}

/// How `lotkeeper restore` refuses one.
#[must_use]
pub fn backup_refused(error: &BackupError) -> String {
    transfer::explain(error)
}
