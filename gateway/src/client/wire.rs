//! The messages of `docs/ingest.md` as a client writes and reads them.
//!
//! They are the client's own types: the server's live elsewhere, and only the document binds the
//! two, so a change of one side alone is noticed by the tests between them.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One reading of one slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading<'a> {
    /// Code of the slot.
    pub slot: Cow<'a, str>,
    /// What the sensor saw.
    pub occupied: bool,
    /// When it saw it; left out by a device without a clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// The source's counter, which orders readings of the same instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// One count of one lot: what is inside, as an absolute figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Vehicles inside.
    pub occupied: u64,
    /// When they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
}

/// What the server sends about a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The batch is durable.
    Ack(Ack),
    /// The batch had no effect, or an unknown one (`outcome_unknown`).
    Error(BatchError),
}

/// A durable batch, by outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Ack {
    /// The batch it answers.
    pub batch: u64,
    /// Moved the state.
    #[serde(default)]
    pub accepted: u64,
    /// Confirmed the state.
    #[serde(default)]
    pub unchanged: u64,
    /// Known already.
    #[serde(default)]
    pub duplicate: u64,
    /// Older than what is known.
    #[serde(default)]
    pub late: u64,
    /// Refused one by one.
    #[serde(default)]
    pub refused: Vec<Refused>,
    /// The lot's sequence that includes the batch.
    #[serde(default)]
    pub seq: u64,
}

impl Ack {
    /// How many readings it accounts for.
    pub fn total(&self) -> u64 {
        self.accepted + self.unchanged + self.duplicate + self.late + self.refused.len() as u64
    }
}

/// One refused reading of an accepted batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refused {
    /// Its place in the batch, from 0.
    pub index: u64,
    /// The stable code.
    pub code: String,
}

/// A batch that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BatchError {
    /// The batch it answers.
    pub batch: u64,
    /// The stable code.
    pub code: String,
    /// What people read.
    #[serde(default)]
    pub detail: String,
    /// The pause the server asks for.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

/// A message as it is sent; `body` is flattened beside `op`, `batch` and `lot`.
#[derive(Serialize)]
pub(super) struct Message<'a, B: Serialize> {
    pub op: &'static str,
    pub batch: u64,
    pub lot: &'a str,
    #[serde(flatten)]
    pub body: B,
}

#[derive(Serialize)]
pub(super) struct Readings<'a, 'b> {
    pub readings: &'a [Reading<'b>],
}

/// A message as it is received; an op that is not known is a later server's and is skipped.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Incoming {
    Ack(Ack),
    Error(ErrorMessage),
    Ping {},
    #[serde(other)]
    Unknown,
}

/// An error may concern no batch (a token that could not be renewed).
#[derive(Deserialize)]
pub(super) struct ErrorMessage {
    pub batch: Option<u64>,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub detail: String,
    pub retry_after_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_documented() {
        let readings = [Reading {
            slot: "A-101".into(),
            occupied: true,
            observed_at: Some("2026-03-01T09:00:00Z".parse().unwrap()),
            sequence: Some(7),
        }];
        let message = Message {
            op: "readings",
            batch: 17,
            lot: "L1",
            body: Readings { readings: &readings },
        };
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            r#"{"op":"readings","batch":17,"lot":"L1","readings":[{"slot":"A-101","occupied":true,"observed_at":"2026-03-01T09:00:00Z","sequence":7}]}"#
        );
        let count = Count { occupied: 270, observed_at: None };
        let message = Message { op: "counts", batch: 18, lot: "P1", body: count };
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            r#"{"op":"counts","batch":18,"lot":"P1","occupied":270}"#
        );
    }

    #[test]
    fn answers_are_read_as_documented() {
        let ack = r#"{"op":"ack","batch":17,"accepted":1,"unchanged":2,"duplicate":3,"late":4,"refused":[{"index":3,"code":"slot_not_found"}],"seq":141}"#;
        let Ok(Incoming::Ack(ack)) = serde_json::from_str(ack) else { panic!("no ack") };
        assert_eq!((ack.batch, ack.total(), ack.seq), (17, 11, 141));

        let error =
            r#"{"op":"error","batch":19,"code":"overloaded","detail":"d","retry_after_ms":250}"#;
        let Ok(Incoming::Error(error)) = serde_json::from_str(error) else { panic!("no error") };
        assert_eq!((error.batch, error.retry_after_ms), (Some(19), Some(250)));

        for other in [r#"{"op":"ping","at":"2026-03-01T09:00:00Z"}"#, r#"{"op":"later","x":1}"#] {
            assert!(serde_json::from_str::<Incoming>(other).is_ok(), "{other}");
        }
    }
}
