//! What is shown at a gate: QR tokens, numbers of tickets, posts of plate cameras.

use std::sync::LazyLock;

use axum::body::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_gateway::anpr::{self, AnprError, Message};
use lotkeeper_gateway::credential::{Claim, Kind, QrKeys, Refused, TOKEN_CHARS, Ticket};
use lotkeeper_gateway::plate::{self, PLATE_CHARS_MAX};
use sha2::Sha256;

use crate::{Target, bounded, said, world};

/// What a scanner read.
pub const QR: Target =
    Target { name: "qr", run: qr, seeds: qr_seeds, words: &["CE", "CI", "\r\n", "=", "0"] };
/// What somebody typed from a ticket.
pub const TICKET: Target =
    Target { name: "ticket", run: ticket, seeds: ticket_seeds, words: &["-", "O", "l", "U", "*"] };
/// A content type in the first line, and what was posted.
pub const PLATE_RECOGNIZER: Target = Target {
    name: "plate_recognizer",
    run: |bytes| post(bytes, anpr::plate_recognizer),
    seeds: plate_recognizer_seeds,
    words: &[
        "\"data\":",
        "\"results\":[",
        "\"plate\":",
        "\"score\":",
        "\"timestamp\":",
        "\"camera_id\":",
        "\"region\":{",
        "--x\r\n",
        "\r\n\r\n",
        "name=\"json\"",
        "json=",
        "%7B",
    ],
};
/// The same for the other maker.
pub const REKOR: Target = Target {
    name: "rekor",
    run: |bytes| post(bytes, anpr::rekor),
    seeds: rekor_seeds,
    words: &[
        "\"data_type\":\"alpr_group\"",
        "\"alpr_results\"",
        "\"best_plate_number\":",
        "\"epoch_start\":",
        "\"candidates\":[",
        "\"uuids\":[",
        "\"plate_indexes\":[",
        "1772356504479",
        "--x\r\n",
        "json=",
    ],
};

/// A form is copied once, its field once more; each of 64 vehicles may have 32 readings.
const POST_FIXED_BYTES: u64 = 1024 * 1024;
const POST_PER_BYTE: u64 = 16;
const TENANT: &str = "default";
const NOW: Timestamp = Timestamp::from_seconds(1_772_355_600);

static KEYS: LazyLock<QrKeys> =
    LazyLock::new(|| QrKeys::new(&[world::KEY.to_owned()]).expect("the key is long enough"));

fn qr(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match bounded(bytes, 1_024, 4, || KEYS.verify(TENANT, &text, NOW)) {
        // Only the seeds are signed, and each token has one text.
        Ok(claim) => assert!(text.trim().eq_ignore_ascii_case(&KEYS.sign(TENANT, &claim))),
        Err(refused) => {
            said(&refused.to_string());
            assert!(text.len() < TOKEN_CHARS || !refused.to_string().contains(&*text));
        }
    }
    signed(bytes);
}

/// Any 24 bytes under a signature that is right, and the key's name in its place.
fn signed(bytes: &[u8]) {
    let Some(first) = bytes.first_chunk::<24>() else { return };
    let sample = data_of(&KEYS.sign(TENANT, &claim(Kind::Session)));
    let mut token = *first;
    token[1..4].copy_from_slice(&sample[1..4]);
    let mut mac =
        Hmac::<Sha256>::new_from_slice(world::KEY.as_bytes()).expect("any length is a key");
    mac.update(b"lotkeeper.qr.1\0");
    mac.update(&token);
    mac.update(TENANT.as_bytes());
    let text = base32(&[&token[..], &mac.finalize().into_bytes()[..16]].concat());
    match KEYS.verify(TENANT, &text, NOW) {
        Ok(claim) | Err(Refused::Expired { claim }) => {
            assert_eq!(KEYS.sign(TENANT, &claim), text);
        }
        Err(Refused::Malformed | Refused::UnknownVersion { .. }) => {}
        Err(refused) => panic!("a right signature and {refused:?}"),
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let digit = |place: usize| (0..5).fold(0, |digit, at| digit << 1 | bit(5 * place + at));
    (0..bytes.len() * 8 / 5).map(|place| char::from(BASE32[usize::from(digit(place))])).collect()
}

fn data_of(text: &str) -> Vec<u8> {
    let value = |c: u8| BASE32.iter().position(|digit| *digit == c).expect("a digit");
    let bits: Vec<u8> =
        text.bytes().flat_map(|c| (0..5).rev().map(move |at| (value(c) >> at & 1) as u8)).collect();
    bits.chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

fn claim(kind: Kind) -> Claim {
    let id = "01998f2a-1b2c-7def-8123-456789abcdef".parse().expect("an id");
    Claim { kind, id, expires_at: Timestamp::from_seconds(NOW.micros() / 1_000_000 + 60) }
}

fn ticket(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match bounded(bytes, 1_024, 4, || Ticket::parse(&text)) {
        Ok(ticket) => {
            let shown = ticket.to_string();
            assert_eq!(Ticket::parse(&shown), Ok(ticket));
            assert_eq!(Ticket::parse(&ticket.code()), Ok(ticket));
            assert_eq!(Ticket::of_number(ticket.number()), Some(ticket), "{shown} is given out");
        }
        Err(error) => said(&error.to_string()),
    }
}

fn post(bytes: &[u8], parser: fn(&str, &Bytes) -> Result<Message, AnprError>) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let content_type = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    let read = bounded(bytes, POST_FIXED_BYTES, POST_PER_BYTE, || parser(&content_type, &body));
    match &read {
        Ok(message) => {
            assert!(message.sightings.len() <= anpr::SIGHTINGS_MAX);
            for sighting in &message.sightings {
                let plates = sighting.candidates.iter().map(|other| &other.plate);
                for form in plates.chain([&sighting.plate]) {
                    assert!((1..=PLATE_CHARS_MAX).contains(&form.chars().count()), "{form}");
                    assert_eq!(plate::compact(form, sighting.country).as_ref(), Ok(form));
                }
                assert!(sighting.candidates.len() <= anpr::CANDIDATES_MAX);
                assert!(sighting.confidence.percent() <= 100 && !sighting.camera.is_empty());
                assert!(sighting.direction_degrees.is_none_or(|degrees| degrees < 360));
            }
        }
        Err(error) => {
            said(&error.to_string());
            // The plate of the seeds; a key of an object may be in a pointer.
            let secret = "SECRET99";
            let in_a_pointer = matches!(error, AnprError::Shape { .. });
            assert!(in_a_pointer || !error.to_string().contains(secret), "{error}");
        }
    }
    assert_eq!(parser(&content_type, &body), read, "the same twice");
}

fn qr_seeds() -> Vec<Vec<u8>> {
    let good = KEYS.sign(TENANT, &claim(Kind::Reservation));
    let ended = Claim { expires_at: Timestamp::from_seconds(1), ..claim(Kind::Session) };
    let others = KEYS.sign("other", &claim(Kind::Session));
    let read = [
        good.clone(),
        good.to_lowercase(),
        format!(" {good}\r\n"),
        KEYS.sign(TENANT, &ended),
        others,
    ];
    let mut seeds: Vec<Vec<u8>> = read.into_iter().map(String::into_bytes).collect();
    seeds.push(data_of(&good));
    seeds.push(data_of(&KEYS.sign(TENANT, &ended)));
    seeds
}

fn ticket_seeds() -> Vec<Vec<u8>> {
    ["14SC-0PJV", "14sc0pjv", " I4SC-OPJV\n", "00000000", "ZZZZ-ZZZ7"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

const PLATE_RECOGNIZER_POST: &str = r#"{"hook":{"id":"c"},"data":{"camera_id":"c","timestamp":"2026-03-01T09:15:04.691903Z","results":[{"plate":"secret99","score":0.9,"region":{"code":"de","score":0.7},"candidates":[{"plate":"SECRET99","score":0.9},{"plate":"5ecret99","score":0.5}],"vehicle":{"type":"Sedan"},"direction":180},{"plate":"","score":0}]}}"#;
const REKOR_GROUP: &str = r#"{"data_type":"alpr_group","camera_id":7,"epoch_start":1772356504479,"best_plate_number":"SECRET99","best_confidence":93.4,"best_region":"eu-de","best_uuid":"a-7-1","uuids":["a-7-0","a-7-1"],"plate_indexes":[0,1],"candidates":[{"plate":"5ECRET99","confidence":80.1}],"travel_direction":271.6,"vehicle":{"body_type":[{"name":"suv","confidence":1}]}}"#;
const REKOR_RESULTS: &str = r#"{"data_type":"alpr_results","camera_id":7,"epoch_time":1772356505511,"uuid":"a-7-1","results":[{"plate":"SECRET99","confidence":93.4,"region":"eu-de","plate_index":1,"candidates":[]}]}"#;

/// A post in each form in which it may come.
fn forms(json: &str) -> Vec<Vec<u8>> {
    let encoded: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let part = "Content-Disposition: form-data; name=\"json\"";
    let picture =
        "Content-Disposition: form-data; name=\"upload\"; filename=\"a.jpg\"\r\n\r\n\u{FFFD}--";
    [
        format!("application/json\n{json}"),
        format!("application/x-www-form-urlencoded\na=1&json={encoded}"),
        format!("multipart/form-data; boundary=x\n--x\r\n{picture}\r\n--x\r\n{part}\r\n\r\n{json}\r\n--x--\r\n"),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn plate_recognizer_seeds() -> Vec<Vec<u8>> {
    forms(PLATE_RECOGNIZER_POST)
}

fn rekor_seeds() -> Vec<Vec<u8>> {
    let other =
        "application/json\n{\"data_type\":\"heartbeat\",\"video_streams\":[{\"camera_id\":7}]}";
    let mut seeds = [forms(REKOR_GROUP), forms(REKOR_RESULTS)].concat();
    seeds.push(other.as_bytes().to_vec());
    seeds
}
