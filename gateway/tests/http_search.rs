//! Does the list of lots find what was asked for, in order, page by page?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::Server;
use http_common::{column, counted, created, reading};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

/// Three bayed lots on a line through Berlin and a counted one far away.
async fn city() -> Server {
    let server = Server::start().await;
    for (code, lat, features, size) in [
        ("B1", 52.52, json!(["ev"]), "standard"),
        ("B2", 52.53, json!(["ev", "covered"]), "compact"),
        ("B3", 52.60, json!([]), "oversized"),
    ] {
        let lot = json!({
            "code": code, "name": code, "kind": "bayed", "city": "Berlin", "position": {"lat": lat, "lon": 13.4},
            "slots": [{"code": "1", "features": features, "size": size}, {"code": "2", "size": "compact"}],
        });
        created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
    }
    let mut far = counted("P1", 5);
    far["city"] = json!("Bath");
    created(&server.post(Role::Operator, "/api/v1/lots", &far).await);
    let free = json!({"readings": [reading("1", false), reading("2", true)]});
    server.post(Role::Device, "/api/v1/lots/B1/readings", &free).await.expect(200);
    server.post(Role::Device, "/api/v1/lots/P1/counts", &json!({"occupied": 2})).await.expect(200);
    server
}

async fn found(server: &Server, query: &str) -> Value {
    server.get(Role::Display, &format!("/api/v1/lots?{query}")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_find_the_lots_they_name() {
    let server = city().await;
    for (query, codes) in [
        ("", &["B1", "B2", "B3", "P1"][..]),
        ("city=berlin", &["B1", "B2", "B3"]),
        ("city=Paris", &[]),
        ("features=ev", &["B1", "B2"]),
        ("features=ev,covered", &["B2"]),
        ("features=helipad", &[]),
        ("vehicle_size=large", &["B3"]),
        ("vehicle_size=compact", &["B1", "B2", "B3"]),
        ("features=ev&vehicle_size=standard", &["B1"]),
        ("free_min=1", &["B1", "P1"]),
        ("free_min=2", &["P1"]),
        ("features=ev&free_min=1", &["B1"]),
        ("features=covered&free_min=1", &[]),
        ("near=52.52,13.4", &["B1", "B2", "B3"]),
        ("near=52.52,13.4&radius_km=2", &["B1", "B2"]),
        ("near=52.60,13.4", &["B3", "B2", "B1"]),
        ("near=0,0", &[]),
    ] {
        assert_eq!(column(&found(&server, query).await, "code"), codes, "{query}");
    }
    let near = found(&server, "near=52.52,13.4&radius_km=2").await;
    let distance_km = near["items"][1]["distance_km"].as_f64().unwrap();
    assert!((1.10..1.13).contains(&distance_km), "{distance_km}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_join_without_gap_or_repetition() {
    let server = city().await;
    for (query, codes) in [
        ("limit=1", &["B1", "B2", "B3", "P1"][..]),
        ("limit=1&near=52.60,13.4", &["B3", "B2", "B1"]),
    ] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = found(&server, &format!("{query}{cursor}")).await;
            assert_eq!(page["items"].as_array().unwrap().len(), 1);
            seen.push(page["items"][0]["code"].as_str().unwrap().to_owned());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, codes, "{query}");
    }
    let page = found(&server, "limit=1").await;
    let foreign = format!("/api/v1/lots/B1/slots?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(server.get(Role::Display, &foreign).await.code(), "malformed_cursor");
    server.stop().await;
}
