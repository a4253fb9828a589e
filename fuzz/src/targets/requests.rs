//! Whole requests at the real routes: paths, queries, headers and bodies of every method, as every role.
//!
//! The first line is `ROLE METHOD TARGET` (a digit, or `-` for nobody), headers follow to an empty line, the rest
//! is the body. No answer may be the server's own fault, and every refusal is one of the documented kind.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use lotkeeper_gateway::error::CODES;
use serde_json::Value;

use crate::{Target, world};

/// The whole interface.
pub const HTTP: Target = Target {
    name: "http",
    run: http,
    seeds,
    words: &[
        "/api/v1/lots/",
        "?limit=",
        "&cursor=",
        "near=52.5,13.4",
        "radius_km=",
        "features=ev",
        "from=2030-01-01T00:00:00Z",
        "to=2030-01-01T01:00:00Z",
        "state=held",
        "after_seq=",
        "entity=slots/A-1",
        "If-Match: \"1\"",
        "Idempotency-Key: k",
        "\"capacity\":",
        "\"rules\":{",
        "\"position\":null",
        "\"hold_seconds\":",
        "\"vehicle\":{\"plate\":\"B-1\"}",
    ],
};

fn http(bytes: &[u8]) {
    let Some((role, request)) = request(bytes) else { return };
    let answer = world::with(|world| world.answer(role, request));
    let body = String::from_utf8_lossy(&answer.body);
    let status = answer.status.as_u16();
    assert!(status < 500, "{status}: {body}");
    if status >= 400 {
        assert_eq!(answer.content_type, "application/problem+json", "{status}: {body}");
        assert!(body.len() <= 64 * 1024, "a refusal of {} bytes", body.len());
        let problem: Value = serde_json::from_slice(&answer.body).expect("a problem is JSON");
        let code = problem["code"].as_str().expect("a problem has a code");
        assert!(CODES.iter().any(|(known, of)| *known == code && *of == status), "{status} {code}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    } else if answer.content_type == "application/json" && !answer.body.is_empty() {
        let _value: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    }
}

fn request(bytes: &[u8]) -> Option<(Option<usize>, Request)> {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(3, |byte| *byte == b' ');
    let role = std::str::from_utf8(first.next()?).ok()?.parse::<usize>().ok();
    let method = Method::from_bytes(first.next()?).ok()?;
    let uri = Uri::try_from(first.next()?).ok()?;
    let mut request = Request::new(Body::from(body.to_vec()));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for line in lines {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(parts.next()?).ok()?;
        let value = HeaderValue::from_bytes(parts.next()?.trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some((role, request))
}

fn seeds() -> Vec<Vec<u8>> {
    let json = "content-type: application/json";
    let with = |first: &str, body: &str| format!("{first}\n{json}\nidempotency-key: k1\n\n{body}");
    let reservation = r#"{"lot":"L1","needs":{"vehicle_size":"standard","features":["ev"],"zone":"z"},"from":"2030-03-01T09:00:00Z","to":"2030-03-01T10:00:00Z","vehicle":{"plate":"B-XY 123","country":"D"},"hold_seconds":60}"#;
    let id = "01a20022-12ae-75d2-9d8b-cb7c4d467aba";
    let mut seeds: Vec<String> = [
        "3 GET /api/v1/lots?limit=2&near=52.5,13.4&radius_km=10&city=Berlin&features=ev&vehicle_size=standard&free_min=1",
        "3 GET /api/v1/lots/L1",
        "4 GET /api/v1/lots/L1/availability?from=2030-03-01T09:00:00Z&to=2030-03-01T10:00:00Z&features=ev&zone=z&limit=5",
        "3 GET /api/v1/lots/L1/slots?status=free,held&zone=z&feature=ev&limit=1&cursor=73",
        "3 GET /api/v1/lots/L1/slots/A-1",
        "2 GET /api/v1/reservations?mine&lot=L1&state=held,confirmed&limit=1",
        "0 GET /api/v1/events?lot=L1&type=reservation.held&entity=slots/A-1&from=2026-03-01T09:00:00Z&after_seq=1&limit=5",
        "- GET /livez",
        "- GET /assets/console.js",
        "- GET /sign/default/L1",
        "3 GET /api/v1/stream\nconnection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    .map(str::to_owned)
    .to_vec();
    seeds.extend([
        with("0 POST /api/v1/lots", r#"{"code":"L2","name":"x","kind":"bayed","time_zone":"Europe/Berlin","currency":"EUR","position":{"lat":1,"lon":2},"zones":[{"code":"a","name":"b","level":-1}],"slots":[{"code":"1","zone":"a","size":"large","features":["ev"]}],"rules":{"hold_seconds":60}}"#),
        with("0 POST /api/v1/lots", r#"{"code":"P2","name":"x","kind":"counted","capacity":9}"#),
        format!("0 PATCH /api/v1/lots/L1\n{json}\nif-match: \"1\"\n\n{}", r#"{"name":"y","position":null,"city":null,"rules":{"skew_seconds":5}}"#),
        with("0 PATCH /api/v1/lots/L1/slots/A-1", r#"{"service":{"state":"out_of_service","reason":"cleaning","until":"2030-01-01T00:00:00Z"},"zone":null,"size":"compact","features":["ev"]}"#),
        with("1 POST /api/v1/lots/L1/readings", r#"{"readings":[{"slot":"A-1","occupied":true,"id":"r","sequence":1,"confidence":0.5}]}"#),
        with("1 POST /api/v1/lots/P1/counts", r#"{"entered":2,"left":1,"gate":"north"}"#),
        with("2 POST /api/v1/reservations", reservation),
        with(&format!("2 PATCH /api/v1/reservations/{id}"), r#"{"to":"2030-03-01T11:00:00Z"}"#),
        with(&format!("2 POST /api/v1/reservations/{id}/confirm"), ""),
        with(&format!("2 POST /api/v1/reservations/{id}/cancel"), r#"{"reason":"plans_changed"}"#),
    ]);
    seeds.into_iter().map(String::into_bytes).collect()
}
