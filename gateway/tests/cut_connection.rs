//! A client whose connection is cut before the answer tries again with the same key: the effect is there
//! once, whether the server went on or was killed.
//!
//! The moments are random and seeded (`LOTKEEPER_SEED`); the seed is printed.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::token;
use http_common::{bayed, minutes};
use lotkeeper_gateway::auth::Role;
use process::{Home, seeded};
use rand::RngExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

const DEADLINE: Duration = Duration::from_secs(30);

/// A reservation request by hand, so that its connection can be cut at any byte.
fn request(home: &Home, key: &str, body: &Value) -> Vec<u8> {
    let (token, body) = (token(Role::Driver), body.to_string());
    let address = home.address;
    format!(
        "POST /api/v1/reservations HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The retry of somebody who never got an answer, until it is final.
async fn retry(home: &Home, key: &str, body: &Value) -> Value {
    let client = reqwest::Client::new();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let request = client.post(format!("{}/api/v1/reservations", home.url()));
        let request = request.bearer_auth(token(Role::Driver)).header("idempotency-key", key);
        let answer = common::read(request.json(body)).await;
        if answer.status == 409 && answer.code() == "request_in_progress" {
            assert!(Instant::now() < deadline, "the first request never ends");
            continue;
        }
        return answer.expect(201);
    }
}

async fn reservations(home: &Home) -> Vec<Value> {
    let path = "/api/v1/reservations?lot=L1&limit=500";
    let page = home.send(Method::GET, path, &token(Role::Operator), None).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_a_cut_connection_has_its_effect_once() {
    let mut rng = seeded();
    let directory = tempfile::tempdir().unwrap();
    let home = Home::new(directory.path(), &[]);
    let mut running = home.start().await;
    let operator = token(Role::Operator);
    home.send(Method::POST, "/api/v1/lots", &operator, Some(&bayed("L1", 100))).await.expect(201);
    let mut ids = BTreeMap::new();
    for round in 0..30 {
        let key = format!("order-{round}");
        let (from, to) = (minutes(120), minutes(180));
        let body = json!({"lot": "L1", "from": from, "to": to});
        let bytes = request(&home, &key, &body);
        let mut stream = tokio::net::TcpStream::connect(home.address).await.unwrap();
        // Mostly whole; sometimes the cut comes in the middle of it.
        let sent = if round % 5 == 4 { rng.random_range(1..bytes.len()) } else { bytes.len() };
        stream.write_all(&bytes[..sent]).await.unwrap();
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..6_000))).await;
        if round % 10 == 9 {
            running.kill().await;
            running = home.start().await;
        }
        drop(stream);
        let first = retry(&home, &key, &body).await;
        let again = retry(&home, &key, &body).await;
        for member in ["id", "slot", "from", "to", "reference", "state"] {
            assert_eq!(first[member], again[member], "round {round}: {member}");
        }
        assert!(
            ids.insert(first["id"].to_string(), round).is_none(),
            "two orders, one reservation"
        );
        assert_eq!(reservations(&home).await.len(), ids.len(), "round {round}");
    }
    // Keys outlive a crash for as long as they are remembered.
    running.kill().await;
    let running = home.start().await;
    assert_eq!(reservations(&home).await.len(), ids.len());
    assert_eq!(running.stop().await, Some(0));
    let (clean, said) = home.check().await;
    assert!(clean, "{said}");
}
