//! What the tests of the HTTP interface share: lots to ask about, and instants around now.
#![allow(clippy::unwrap_used)] // tests state what they expect
#![allow(dead_code)] // each test binary uses its part

use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::common::{Answer, Server, read, token};

/// A bayed lot with slots `A-1`, `A-2`, ...
pub fn bayed(code: &str, slots: usize) -> Value {
    let slots: Vec<Value> = (1..=slots).map(|n| json!({"code": format!("A-{n}")})).collect();
    json!({"code": code, "name": format!("Lot {code}"), "kind": "bayed", "slots": slots})
}

/// A counted lot.
pub fn counted(code: &str, capacity: u32) -> Value {
    json!({"code": code, "name": format!("Lot {code}"), "kind": "counted", "capacity": capacity})
}

/// Creates a lot; the answer's body.
#[track_caller]
pub fn created(answer: &Answer) -> Value {
    answer.expect(201)
}

/// A server with one bayed lot `L1`.
pub async fn with_lot(slots: usize) -> Server {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", slots)).await);
    server
}

/// An instant so many minutes from now, in whole seconds.
pub fn minutes(from_now: i64) -> String {
    let at = Timestamp::now() + SignedDuration::from_mins(from_now);
    Timestamp::from_second(at.as_second()).unwrap().to_string()
}

/// One reading of a slot, without a time.
pub fn reading(slot: &str, occupied: bool) -> Value {
    json!({"slot": slot, "occupied": occupied})
}

/// A request with further headers.
pub async fn send_with(
    server: &Server,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    send_as(server, &token(Role::Operator), method, path, headers, body).await
}

/// A request with further headers, as anybody.
pub async fn send_as(
    server: &Server,
    token: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let mut further = HeaderMap::new();
    for (name, value) in headers {
        let name: reqwest::header::HeaderName = name.parse().unwrap();
        further.append(name, value.parse().unwrap());
    }
    let mut request = server.request(method, path).bearer_auth(token).headers(further);
    if let Some(body) = body {
        request = request.json(body);
    }
    read(request).await
}

/// The values of one member of every item.
pub fn column<'a>(page: &'a Value, member: &str) -> Vec<&'a str> {
    let items = page["items"].as_array().expect("a page has items");
    items.iter().map(|item| item[member].as_str().expect("a text")).collect()
}

/// The ETag of an answer.
#[track_caller]
pub fn etag(answer: &Answer) -> &str {
    answer.headers["etag"].to_str().unwrap()
}
