//! Messages of the websockets, and batches of readings in both forms.

use lotkeeper_engine::slot::Source;
use lotkeeper_gateway::fuzzing;
use lotkeeper_gateway::wire::Refusal;
use lotkeeper_gateway::wire::readings::{self, Parsed};
use lotkeeper_gateway::wire::readings_binary::{
    CONFIDENCE, FORMAT, ID, Message, NO_BASE_TIME, OCCUPIED, OWN_TIME, SEQUENCE, SLOTS_BY_NAME,
};

use crate::{Target, bounded, said, world};

/// Memory whatever comes: texts of errors, and what the first element of a list takes.
const FIXED_BYTES: u64 = 16 * 1024;
/// A reading of JSON has 30 bytes at least and takes 130; one of the compact form has 3 and takes 56, the
/// refusals beside it as many again.
const PER_BYTE: u64 = 64;

/// What a stream's client sends.
pub const STREAM: Target = Target {
    name: "stream",
    run: stream,
    seeds: stream_seeds,
    words: &["\"op\":", "\"subscribe\"", "\"after\":", "\"epoch\":", "\"token\"", "\"counts\""],
};
/// What a device sends as text.
pub const INGEST: Target = Target {
    name: "ingest",
    run: ingest,
    seeds: ingest_seeds,
    words: &[
        "\"op\":",
        "\"batch\":",
        "\"readings\":",
        "\"counts\"",
        "\"token\"",
        "\"observed_at\":",
    ],
};
/// The body of a batch.
pub const READINGS: Target = Target {
    name: "readings",
    run: batch,
    seeds: batch_seeds,
    words: &[
        "\"slot\":",
        "\"occupied\":true",
        "\"observed_at\":",
        "\"id\":",
        "\"sequence\":",
        "\"confidence\":",
    ],
};
/// A batch in the compact form.
pub const BINARY: Target =
    Target { name: "binary", run: binary, seeds: binary_seeds, words: &["L1", "A-1"] };

fn stream(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = bounded(bytes, FIXED_BYTES, PER_BYTE, || fuzzing::stream_message(text));
    if let Err(error) = read {
        assert!(!error.is_empty());
    }
}

fn ingest(bytes: &[u8]) {
    let read = bounded(bytes, FIXED_BYTES, PER_BYTE, || fuzzing::ingest_message(bytes));
    match read {
        Ok(kept) => assert!(kept <= bytes.len(), "{kept} of {} bytes", bytes.len()),
        Err(error) => assert!(!error.is_empty()),
    }
}

fn batch(bytes: &[u8]) {
    let lot = world::with(|world| world.lot());
    let read =
        bounded(bytes, FIXED_BYTES, PER_BYTE, || readings::parse(&lot, Source::Sensor, bytes));
    judge(read);
}

fn binary(bytes: &[u8]) {
    let lot = world::with(|world| world.lot());
    let read = bounded(bytes, FIXED_BYTES, PER_BYTE, || {
        Message::read(bytes).and_then(|message| message.resolve(&lot, Source::Sensor))
    });
    judge(read);
}

fn judge(read: Result<Parsed, Refusal>) {
    match read {
        Ok(parsed) => {
            for reading in &parsed.readings {
                let percent = reading.reading.confidence_percent;
                assert!(percent.is_none_or(|percent| percent <= 100), "{percent:?}");
                assert!(reading.slot.0 < 3, "a slot that the lot does not have");
            }
        }
        Err(Refusal::Syntax { detail } | Refusal::Shape { detail, .. }) => said(&detail),
        Err(Refusal::Invalid(faults)) => {
            assert!(!faults.is_empty());
            faults.iter().for_each(|fault| said(&fault.detail));
        }
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn stream_seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"op":"subscribe","id":1,"lot":"L1","view":"slots","after":{"epoch":"6f0c","seq":120}}"#,
        r#"{"op":"subscribe","lot":"L1","view":"counts"}"#,
        r#"{"op":"unsubscribe","id":-3,"lot":"L1","view":"slots"}"#,
        r#"{"op":"pong"}"#,
        r#"{"op":"token","token":"a.b.c"}"#,
    ])
}

fn ingest_seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"op":"readings","batch":17,"lot":"L1","readings":[{"slot":"A-1","occupied":true,"observed_at":"2026-03-01T09:00:00Z","id":"r-1","sequence":7,"confidence":0.9}]}"#,
        r#"{"op":"counts","batch":18,"lot":"P1","occupied":270,"observed_at":"2026-03-01T09:00:00.5+01:00","gate":"north"}"#,
        r#"{"op":"token","token":"a.b.c"}"#,
        r#"{"op":"pong"}"#,
    ])
}

fn batch_seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"readings":[{"slot":"A-1","occupied":true,"observed_at":"2026-03-01T09:00:00Z","id":"r-1","sequence":7},{"slot":"A-9","occupied":false}]}"#,
        r#"{"readings":[{"slot":"A\u002d2","occupied":true,"confidence":1.0}]}"#,
        r#"{"readings":[]}"#,
    ])
}

fn binary_seeds() -> Vec<Vec<u8>> {
    let head = |flags: u8, count: u16| {
        let mut bytes = vec![FORMAT, flags];
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[2, 0, 0, 0]);
        bytes.extend_from_slice(&17_u64.to_le_bytes());
        bytes.extend_from_slice(&1_700_000_000_000_000_i64.to_le_bytes());
        bytes.extend_from_slice(b"L1");
        bytes
    };
    let plain = [head(0, 2), vec![0, 0, OCCUPIED, 1, 0, 0]].concat();
    let mut full = head(NO_BASE_TIME, 1);
    full.extend_from_slice(&[2, 0, OCCUPIED | OWN_TIME | SEQUENCE | ID | CONFIDENCE]);
    full.extend_from_slice(&1_700_000_000_000_000_i64.to_le_bytes());
    full.extend_from_slice(&7_u64.to_le_bytes());
    full.extend_from_slice(b"\x03r-1\x5a");
    let named = [head(SLOTS_BY_NAME, 1), b"\x03A-1\x00".to_vec()].concat();
    vec![plain, full, named]
}
