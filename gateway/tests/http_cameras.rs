//! Posts of plate cameras over HTTP: what a gate does, what is one visit, and what is corrected.

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Answer, Server, token};
use http_common::{bayed, created};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

const STREAM: &str = include_str!("fixtures/anpr/plate_recognizer_stream.json");
const GROUP: &str = include_str!("fixtures/anpr/rekor_group.json");

async fn post(server: &Server, maker: &str, direction: &str, body: &str) -> Answer {
    let path = format!("/api/v1/cameras/{maker}?lot=L1&gate=north&direction={direction}");
    let request = server.request(reqwest::Method::POST, &path).bearer_auth(token(Role::Device));
    common::read(request.header("content-type", "application/json").body(body.to_owned())).await
}

async fn with_lot() -> Server {
    let server = Server::start().await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 5)).await);
    server
}

/// A sighting of Rekor as its agent posts it.
fn group(id: &str, plate: &str, confidence: f64) -> String {
    let mut group: Value = serde_json::from_str(GROUP).unwrap();
    group["best_uuid"] = json!(id);
    group["best_plate_number"] = json!(plate);
    group["best_confidence"] = json!(confidence);
    // The camera's clock is years off: it counts as none.
    group.to_string()
}

async fn inside(server: &Server) -> Vec<Value> {
    let found = server.get(Role::Staff, "/api/v1/sessions?state=inside").await.expect(200);
    found["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_car_comes_in_once_and_leaves_by_its_plate() {
    let server = with_lot().await;
    let first = post(&server, "rekor", "entry", &group("u-1", "BXY123", 93.0)).await.expect(200);
    let sighting = &first["sightings"][0];
    assert_eq!(
        (&sighting["became"], &sighting["scan"]["decision"]),
        (&json!("scanned"), &json!("open"))
    );
    let again = post(&server, "rekor", "entry", &group("u-1", "BXY123", 93.0)).await.expect(200);
    assert_eq!(again["sightings"][0]["became"], "repeated");
    let same = post(&server, "rekor", "entry", &group("u-2", "BXY123", 91.0)).await.expect(200);
    assert_eq!(same["sightings"][0]["became"], "same_visit");
    assert_eq!(inside(&server).await.len(), 1);
    // Read better a moment later: the stay has the right plate, and an event says so.
    let better = post(&server, "rekor", "entry", &group("u-3", "BXY128", 99.0)).await.expect(200);
    assert_eq!(better["sightings"][0]["became"], "corrected");
    assert_eq!(inside(&server).await[0]["vehicle"]["plate"], "BXY128");
    let events = server.get(Role::Operator, "/api/v1/events?type=session.identified").await;
    assert_eq!(events.expect(200)["items"].as_array().unwrap().len(), 1);

    let unsure = post(&server, "rekor", "entry", &group("u-4", "AAA111", 40.0)).await.expect(200);
    assert_eq!(unsure["sightings"][0]["became"], "confidence_too_low");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plate_recognizer_is_understood_and_nonsense_is_named() {
    let server = with_lot().await;
    let first = post(&server, "plate-recognizer", "entry", STREAM).await.expect(200);
    assert!(!first["sightings"].as_array().unwrap().is_empty(), "{first}");
    assert!(first["sightings"].as_array().unwrap().iter().all(|s| s["became"] != "refused"));
    for (maker, body, code) in [
        ("rekor", "{", "malformed_json"),
        ("rekor", r#"{"data_type":"alpr_group"}"#, "malformed_request"),
        ("polaroid", "{}", "not_found"),
    ] {
        assert_eq!(post(&server, maker, "entry", body).await.code(), code, "{maker} {body}");
    }
    let heartbeat = post(&server, "rekor", "entry", r#"{"data_type":"heartbeat"}"#).await;
    assert_eq!(heartbeat.expect(200)["sightings"], json!([]));
    server.stop().await;
}
