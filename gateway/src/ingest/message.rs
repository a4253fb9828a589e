//! The messages of ingest, both ways.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::wire::instant::Instant;
use crate::wire::readings::{Readings, RefusedReading};

/// What every message of a device has.
#[derive(Deserialize)]
pub struct Head<'a> {
    /// Tells the operations apart before the rest is read.
    #[serde(borrow)]
    pub op: Cow<'a, str>,
    /// The device's own number.
    pub batch: Option<u64>,
}

/// A batch of readings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadingsMessage<'a> {
    /// `readings`.
    #[serde(borrow, rename = "op")]
    pub _op: Cow<'a, str>,
    /// Known from [`Head`]; named here because unknown fields are refused.
    #[serde(rename = "batch")]
    pub _batch: u64,
    /// Code or id.
    #[serde(borrow)]
    pub lot: Cow<'a, str>,
    /// One lot's.
    #[serde(borrow)]
    pub readings: Readings<'a>,
}

/// A count.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountsMessage<'a> {
    /// `counts`.
    #[serde(borrow, rename = "op")]
    pub _op: Cow<'a, str>,
    /// Known from [`Head`]; named here because unknown fields are refused.
    #[serde(rename = "batch")]
    pub _batch: u64,
    /// Code or id.
    #[serde(borrow)]
    pub lot: Cow<'a, str>,
    /// Vehicles that came in.
    pub entered: Option<u32>,
    /// Vehicles that went out.
    pub left: Option<u32>,
    /// Vehicles inside.
    pub occupied: Option<u32>,
    /// When it was seen.
    pub observed_at: Option<Instant>,
    /// Which gate.
    pub gate: Option<String>,
}

/// A renewed token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenMessage<'a> {
    /// `token`.
    #[serde(borrow, rename = "op")]
    pub _op: Cow<'a, str>,
    /// The new token.
    pub token: String,
}

/// What the server sends.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Reply<'a> {
    /// The batch is durable.
    Ack {
        batch: u64,
        accepted: u32,
        unchanged: u32,
        duplicate: u32,
        late: u32,
        refused: &'a [RefusedReading],
        seq: u64,
    },
    /// The batch had no effect, or nobody knows.
    Error {
        batch: u64,
        code: &'a str,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        errors: &'a [crate::error::FieldError],
    },
    /// The session was renewed.
    Token { expires_at: Instant },
    /// Are you there?
    Ping { at: Instant },
}
