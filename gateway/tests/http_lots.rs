//! Does a lot live as the contract says: created whole, shown, changed, guarded by its version?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::Server;
use http_common::{bayed, counted, created, etag, send_with, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn created_lot_is_shown_as_it_was_described() {
    let server = Server::start().await;
    let body = json!({
        "code": "L1", "name": "Market Street", "kind": "bayed", "time_zone": "Europe/Berlin", "currency": "EUR",
        "capacity": null, "position": {"lat": 52.52, "lon": 13.4}, "city": "Berlin",
        "zones": [{"code": "level-1", "name": "Level 1", "level": 1}],
        "slots": [{"code": "A-101", "zone": "level-1", "size": "standard", "features": ["ev"]}],
        "rules": {"hold_seconds": 300},
    });
    let answer = server.post(Role::Operator, "/api/v1/lots", &body).await;
    let lot = created(&answer);
    assert_eq!(answer.headers["location"], "/api/v1/lots/L1");
    assert_eq!(etag(&answer), "\"1\"");
    for member in ["code", "name", "kind", "time_zone", "currency", "position", "city", "zones"] {
        assert_eq!(lot[member], body[member], "{member}");
    }
    assert_eq!((lot["capacity"].as_u64(), lot["slots"].as_u64()), (Some(1), Some(1)));
    assert_eq!(lot["rules"]["hold_seconds"], 300);
    assert_eq!(lot["rules"]["silence_seconds"], 86_400, "the server's default");
    assert_eq!(lot["availability"]["unknown"], 1);
    let id = lot["id"].as_str().unwrap();
    for path in ["/api/v1/lots/L1".to_owned(), format!("/api/v1/lots/{id}")] {
        let shown = server.get(Role::Display, &path).await.expect(200);
        assert_eq!((&shown["id"], &shown["created_at"]), (&lot["id"], &lot["created_at"]));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_keeps_what_it_does_not_name() {
    let server = with_lot(1).await;
    let body = json!({"city": "Berlin", "position": {"lat": 1.5, "lon": 2.5}, "rules": {"hold_seconds": 30}});
    server.patch(Role::Operator, "/api/v1/lots/L1", &body).await.expect(200);
    let body = json!({"name": "New", "position": null});
    let lot = server.patch(Role::Operator, "/api/v1/lots/L1", &body).await.expect(200);
    assert_eq!((&lot["name"], &lot["city"]), (&json!("New"), &json!("Berlin")));
    assert_eq!(
        (lot["rules"]["hold_seconds"].as_u64(), lot["version"].as_u64()),
        (Some(30), Some(3))
    );
    assert!(lot.get("position").is_none(), "null takes it away");
    let same = server.patch(Role::Operator, "/api/v1/lots/L1", &json!({"name": "New"})).await;
    assert_eq!(same.expect(200)["version"], 3, "what changes nothing is no change");
    for (body, pointer) in [
        (json!({"capacity": 7}), "/capacity"),
        (json!({"time_zone": "Mars/Olympus"}), "/time_zone"),
        (json!({"name": ""}), "/name"),
    ] {
        let refused = server.patch(Role::Operator, "/api/v1/lots/L1", &body).await;
        assert_eq!(refused.code(), "validation_failed");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
    let staff = server.patch(Role::Staff, "/api/v1/lots/L1", &json!({"name": "x"})).await;
    assert_eq!(staff.code(), "role_not_allowed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_of_an_old_version_is_refused() {
    let server = with_lot(1).await;
    let path = "/api/v1/lots/L1";
    for (if_match, status) in
        [("\"1\"", 200), ("\"1\"", 412), ("W/\"2\"", 412), ("\"2\"", 200), ("*", 200)]
    {
        let version = server.get(Role::Operator, path).await.json()["version"].clone();
        let body = json!({"name": format!("after {version}")});
        let headers = [("if-match", if_match)];
        let answer = send_with(&server, Method::PATCH, path, &headers, Some(&body)).await;
        assert_eq!(answer.status, status, "{if_match} at {version}: {}", answer.text);
    }
    assert_eq!(etag(&server.get(Role::Operator, path).await), "\"4\"");
    server.stop().await;
}

/// Two fields of one value (the place) changed at once by many: none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_different_fields_at_once_all_stay() {
    let server = with_lot(1).await;
    let changes = [
        json!({"city": "Berlin"}),
        json!({"time_zone": "Europe/Berlin"}),
        json!({"currency": "CHF"}),
        json!({"position": {"lat": 1.0, "lon": 2.0}}),
        json!({"rules": {"hold_seconds": 30}}),
        json!({"rules": {"skew_seconds": 31}}),
    ];
    let sent = changes.iter().map(|body| server.patch(Role::Operator, "/api/v1/lots/L1", body));
    for answer in futures_util::future::join_all(sent).await {
        answer.expect(200);
    }
    let lot = server.get(Role::Operator, "/api/v1/lots/L1").await.expect(200);
    assert_eq!(lot["version"], 7);
    for change in &changes {
        for (member, value) in change.as_object().unwrap() {
            match value.as_object().filter(|_| member == "rules") {
                Some(rules) => rules.iter().for_each(|(rule, value)| {
                    assert_eq!(&lot["rules"][rule], value, "{rule}");
                }),
                None => assert_eq!(&lot[member], value, "{member}"),
            }
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn capacity_of_a_counted_lot_can_change() {
    let server = Server::start().await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("P1", 10)).await);
    let lot = server.patch(Role::Operator, "/api/v1/lots/P1", &json!({"capacity": 12})).await;
    assert_eq!(lot.expect(200)["availability"]["capacity"], 12);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_one_lots_in_every_tenant() {
    let server = Server::start().await;
    let id = uuid::Uuid::now_v7();
    let mut body = bayed("L1", 1);
    body["id"] = json!(id);
    let first = created(&server.post(Role::Operator, "/api/v1/lots", &body).await);
    assert_eq!(first["id"], json!(id));
    created(&server.post(Role::Operator, "/api/v1/lots", &body).await);
    let mut other = bayed("L2", 1);
    other["id"] = json!(id);
    let token = common::token_of(Role::Operator, "somebody else");
    let refused = server.send(Method::POST, "/api/v1/lots", Some(&token), Some(&other)).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "id_taken"));
    let foreign = common::mint(&lotkeeper_gateway::auth::Grant {
        tenant: "other".into(),
        ..common::grant(Role::Operator)
    });
    let refused = server.send(Method::POST, "/api/v1/lots", Some(&foreign), Some(&body)).await;
    assert_eq!(refused.code(), "id_taken");
    server.stop().await;
}
