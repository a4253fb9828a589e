//! Small texts: plates, fields of requests, JSON in general, the configuration.

use lotkeeper_gateway::config::{Config, DEFAULT_TOML};
use lotkeeper_gateway::fuzzing;
use lotkeeper_gateway::plate;
use lotkeeper_gateway::wire::cursor::{self, List};
use lotkeeper_gateway::wire::instant::{self, Instant};
use lotkeeper_gateway::wire::vehicle::Vehicle;
use lotkeeper_gateway::wire::{Refusal, from_json, is_code, pointer};
use lotkeeper_storage::PersonKind;
use serde_json::Value;

use crate::{Target, bounded, said};

/// A plate and its country, in two lines.
pub const VEHICLE: Target = Target {
    name: "vehicle",
    run: vehicle,
    seeds: vehicle_seeds,
    words: &["\u{2013}", "ß", "ŉ", "京", "·", "Ａ", "І", "\u{308}", "\nGB"],
};
/// Cursors, instants, codes, `If-Match`, `Idempotency-Key`, request ids.
pub const FIELDS: Target = Target {
    name: "fields",
    run: fields,
    seeds: field_seeds,
    words: &["2026-03-01T09:00:00Z", "+01:00", "W/", "\"7\"", "*", "6c", ".999999999"],
};
/// JSON of any shape: fingerprints, and where a parser stopped.
pub const JSON: Target = Target {
    name: "json",
    run: json,
    seeds: json_seeds,
    words: &["\\u", "true", "null", "\":", "1e3"],
};
/// A configuration file.
pub const CONFIG: Target = Target {
    name: "config",
    run: config,
    seeds: config_seeds,
    words: &[
        "[server]",
        "listen = ",
        "[auth]",
        "key = ",
        "[log]",
        "level = ",
        "'''",
        "inf",
        "1979-05-27",
    ],
};

fn vehicle(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (plate, country) = match text.split_once('\n') {
        Some((plate, country)) => (plate, Some(country.to_owned())),
        None => (&*text, None),
    };
    let vehicle = Vehicle { plate: plate.to_owned(), country };
    match bounded(bytes, 4_096, 32, || vehicle.canonical()) {
        Ok(clear) => {
            assert!(clear.chars().count() <= 24, "{clear}");
            // One vehicle has one form, however often it goes round.
            let again = Vehicle::from_canonical(&clear).canonical();
            assert_eq!(again.as_ref(), Ok(&clear));
            // And one identity, which every spelling leads to.
            let identity = plate::identity(PersonKind::Vehicle, &clear);
            let (country, compact) = identity.split_once(' ').expect("a country and a plate");
            assert!(compact.chars().all(char::is_alphanumeric), "{compact}");
            let bare = Vehicle { plate: compact.to_lowercase(), country: Some(country.to_owned()) };
            if let Ok(bare) = bare.canonical() {
                assert_eq!(plate::identity(PersonKind::Vehicle, &bare), identity, "{clear}");
            }
            assert_eq!(plate::identity(PersonKind::Vehicle, &identity), identity);
        }
        Err(faults) => {
            for fault in faults {
                said(&fault.detail);
                // A plate is a person's: it is not repeated where it may be logged.
                assert!(plate.trim().len() < 8 || !fault.detail.contains(plate.trim()));
            }
        }
    }
}

fn fields(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for list in
        [List::Lots, List::NearLots, List::Slots, List::Reservations, List::Events, List::LotEvents]
    {
        if let Some(key) = bounded(bytes, 1_024, 8, || cursor::decode(list, &text)) {
            let again = cursor::encode(list, &key);
            assert!(again.eq_ignore_ascii_case(&text), "{again}");
        }
        assert_eq!(cursor::decode(list, &cursor::encode(list, &text)).as_deref(), Some(&*text));
    }
    if let Some(at) = instant::parse(&text) {
        // Shown with a year of four digits it is read as the same.
        let shown = Instant(at).to_string();
        assert!(shown.starts_with('-') || instant::parse(&shown) == Some(at), "{text} {shown}");
    }
    if is_code(&text) {
        assert!(text.len() <= 64 && !text.contains('/'));
    }
    if let Err(problem) = fuzzing::if_match(bytes, 7) {
        said(&problem.detail);
    }
    match fuzzing::idempotency_key(bytes) {
        Ok(Some(key)) => assert!(key.len() <= 128 && key.is_ascii()),
        Ok(None) => {}
        Err(problem) => said(&problem.detail),
    }
    let id = lotkeeper_gateway::request_id::choose(Some(bytes));
    assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()));
}

fn json(bytes: &[u8]) {
    let first = fuzzing::fingerprint(bytes);
    assert_eq!(first, fuzzing::fingerprint(bytes));
    let read: Result<Value, Refusal> = from_json(bytes);
    match read {
        Ok(value) => same_in_other_words(bytes, &value),
        Err(Refusal::Syntax { detail }) => said(&detail),
        Err(Refusal::Shape { pointer, detail }) => {
            said(&detail);
            assert!(pointer.is_empty() || pointer.starts_with('/'), "{pointer}");
        }
        Err(Refusal::Invalid(_)) => {}
    }
    // Any place may be asked for: a parser may stop anywhere.
    for (line, column) in [(1, bytes.len() / 2), (2, 1), (0, 0), (usize::MAX, usize::MAX)] {
        let place = pointer::at(bytes, line, column);
        assert!(place.is_empty() || place.starts_with('/'), "{place}");
    }
}

/// Blanks do not change what a body means; nor does the order of fields, where each is there once.
fn same_in_other_words(bytes: &[u8], value: &Value) {
    let spaced = [b" \n", bytes, b"\t "].concat();
    assert_eq!(fuzzing::fingerprint(bytes), fuzzing::fingerprint(&spaced));
    let (Ok(plain), Ok(pretty)) = (serde_json::to_vec(value), serde_json::to_vec_pretty(value))
    else {
        return;
    };
    assert_eq!(fuzzing::fingerprint(&plain), fuzzing::fingerprint(&pretty));
}

fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match fuzzing::config(text) {
        Ok(config) => {
            // A configuration that exists can be served.
            assert!(config.server.connections_max >= 1 && config.server.body_bytes_max >= 1_024);
            assert!(!config.server.write_timeout.is_zero());
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.trim().is_empty());
            let secret = "a secret that is in the seeds only";
            assert!(!text.contains(secret) || !shown.contains(secret), "{shown}");
        }
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn vehicle_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "B-XY 123\nD",
        "b - xy   123 ",
        "京A12345\nCHN",
        "straße 1\nd",
        "B\u{2013}XY\t1",
        "AB1O CDE\nGB",
        "а123вс77\nRUS",
        "٣٤٥\nET",
        "wu\u{308} x.1\nD",
    ])
}

fn field_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "6c4c31",
        "2026-03-01T09:00:00Z",
        "2026-03-01T10:00:00.123456789+01:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "\"7\", W/\"8\"",
        "key-1",
        "01a20022-12ae-75d2-9d8b-cb7c4d467aba",
        "A-101",
    ])
}

fn json_seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"lot":"L1","from":"2026-03-01T09:00:00Z","needs":{"features":["ev"]},"n":[1,-2,3.5,1e3]}"#,
        r#"{"a":{"a":{"a":[[],{},null,true]}},"\u0061":"\ud83d\ude97"}"#,
        "[1,2",
        "\"",
    ])
}

fn config_seeds() -> Vec<Vec<u8>> {
    // Compared with the defaults somewhere else; here the whole file is a seed.
    let same = fuzzing::config(DEFAULT_TOML).is_ok_and(|config| config == Config::default());
    assert!(same, "the default file says what the code says");
    texts(&[
        DEFAULT_TOML,
        "[server]\nlisten = \"[::1]:80\"\nbody_bytes_max = 1_024\n[log]\nlevel = \"info,hyper=warn\"\n",
        "[auth]\nkey = \"a secret that is in the seeds only\"\nkeys = [\"short\"]\n",
        "server.listen = '127.0.0.1:1'\n",
    ])
}
