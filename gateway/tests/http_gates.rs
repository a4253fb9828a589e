//! What staff at the desk ask for: the scans of a lot, and the payments of a stay or violation.

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::Server;
use http_common::{bayed, column, created, minutes, with_lot};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

const SCANS: &str = "/api/v1/scans";

/// Whoever comes in has been there for half an hour.
async fn scan(server: &Server, direction: &str, plate: &str, further: Value) -> Value {
    let observed_at = minutes(if direction == "entry" { -30 } else { 0 });
    let mut body = json!({"lot": "L1", "direction": direction, "credential": {"plate": plate},
        "gate": "north", "observed_at": observed_at});
    body.as_object_mut().unwrap().append(&mut further.as_object().unwrap().clone());
    server.post(Role::Device, SCANS, &body).await.expect(200)
}

async fn with_tariff(slots: usize) -> Server {
    let server = with_lot(slots).await;
    let tariff = json!({"tariff": {"name": "Flat", "valid_from": "2026-01-01T00:00:00Z", "rate": {"flat": {"amount": 500}}}});
    created(&server.post(Role::Operator, "/api/v1/lots/L1/tariffs", &tariff).await);
    server
}

async fn listed(server: &Server, query: &str) -> Value {
    server.get(Role::Staff, &format!("{SCANS}?lot=L1{query}")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_are_listed_with_what_the_gate_did_and_why_the_last_first() {
    let server = with_tariff(2).await;
    scan(&server, "entry", "B-XY 123", json!({})).await;
    scan(&server, "exit", "B-XY 123", json!({"gate": "south"})).await;
    scan(&server, "exit", "HH-AB 99", json!({})).await;
    // What changes nothing is not told: a trial, and the same car once more.
    scan(&server, "entry", "M-QR 7", json!({"dry_run": true})).await;
    let again = scan(&server, "entry", "B-XY 123", json!({})).await;
    assert_eq!(again["code"], "repeated");

    let page = listed(&server, "").await;
    assert_eq!(column(&page, "code"), ["not_inside", "payment_required", "drive_in"]);
    assert_eq!(column(&page, "decision"), ["deny", "deny", "open"]);
    assert_eq!(column(&page, "direction"), ["exit", "exit", "entry"]);
    assert_eq!(column(&page, "gate"), ["north", "south", "north"]);
    let [unknown, owing, entered] = [0, 1, 2].map(|at| page["items"][at].clone());
    assert_eq!(unknown["vehicle"]["plate"], "HH-AB 99");
    assert_eq!((&owing["due"]["amount"], &owing["session"]), (&json!(500), &entered["session"]));
    assert_eq!(
        (&owing["ticket"], &entered["vehicle"]["plate"]),
        (&entered["ticket"], &json!("B-XY 123"))
    );
    let session = entered["session"].as_str().unwrap();
    let pay = format!("/api/v1/sessions/{session}/payments");
    server.post(Role::Staff, &pay, &json!({"method": "cash"})).await.expect(201);
    scan(&server, "exit", "B-XY 123", json!({})).await;
    assert_eq!(listed(&server, "&limit=1").await["items"][0]["code"], "paid");
    // Staff who say that somebody left are no gate.
    let other = scan(&server, "entry", "M-QR 7", json!({})).await;
    let exit = format!("/api/v1/sessions/{}/exit", other["session"]["id"].as_str().unwrap());
    server.post(Role::Staff, &exit, &json!({})).await.expect(200);
    assert_eq!(listed(&server, "").await["items"].as_array().unwrap().len(), 5);

    assert_eq!(
        column(&listed(&server, "&decision=open").await, "code"),
        ["drive_in", "paid", "drive_in"]
    );
    assert_eq!(column(&listed(&server, "&gate=south").await, "code"), ["payment_required"]);
    let (mut cursor, mut codes) = (String::new(), Vec::new());
    loop {
        let page = listed(&server, &format!("&limit=2{cursor}")).await;
        codes.extend(column(&page, "code").into_iter().map(str::to_owned));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(codes, ["drive_in", "paid", "not_inside", "payment_required", "drive_in"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_and_payments_are_for_staff_of_the_lot() {
    let server = with_tariff(2).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await);
    let entered = scan(&server, "entry", "B-XY 123", json!({})).await;
    let session = entered["session"]["id"].as_str().unwrap();
    for path in [format!("{SCANS}?lot=L1"), format!("/api/v1/sessions/{session}/payments")] {
        for role in [Role::Driver, Role::Device, Role::Display] {
            assert_eq!(server.get(role, &path).await.code(), "role_not_allowed", "{role:?} {path}");
        }
    }
    assert_eq!(listed(&server, "").await["items"].as_array().unwrap().len(), 1);
    let elsewhere = server.get(Role::Staff, &format!("{SCANS}?lot=L2")).await.expect(200);
    assert_eq!(elsewhere["items"], json!([]));
    assert_eq!(server.get(Role::Staff, &format!("{SCANS}?lot=L9")).await.code(), "lot_not_found");
    let none = "/api/v1/sessions/0199a0b0-0000-7000-8000-000000000000/payments";
    assert_eq!(server.get(Role::Staff, none).await.code(), "session_not_found");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_are_listed_by_stay_and_by_violation() {
    let server = with_tariff(2).await;
    let entered = scan(&server, "entry", "B-XY 123", json!({})).await;
    let path = format!("/api/v1/sessions/{}/payments", entered["session"]["id"].as_str().unwrap());
    let none = server.get(Role::Staff, &path).await.expect(200);
    assert_eq!(none, json!({"items": []}));
    let paid = server
        .post(Role::Staff, &path, &json!({"method": "cash", "shift": "s1"}))
        .await
        .expect(201);
    let back = format!("/api/v1/payments/{}/refund", paid["id"].as_str().unwrap());
    let part = json!({"amount": {"amount": 200, "currency": "EUR"}});
    server.post(Role::Staff, &back, &part).await.expect(200);
    let listed = server.get(Role::Staff, &path).await.expect(200);
    assert_eq!(
        (column(&listed, "id"), column(&listed, "state")),
        (vec![paid["id"].as_str().unwrap()], vec!["partly_refunded"])
    );
    assert_eq!(
        (&listed["items"][0]["refunded"]["amount"], &listed["items"][0]["shift"]),
        (&json!(200), &json!("s1"))
    );

    let report = json!({"lot": "L1", "kind": "blocks_lane", "vehicle": {"plate": "HH-AB 99"}, "penalty": {"amount": 3_000, "currency": "EUR"}});
    let violation = server.post(Role::Staff, "/api/v1/violations", &report).await.expect(201);
    let path = format!("/api/v1/violations/{}/payments", violation["id"].as_str().unwrap());
    assert_eq!(server.get(Role::Staff, &path).await.expect(200)["items"], json!([]));
    server.post(Role::Staff, &path, &json!({"method": "terminal"})).await.expect(201);
    let listed = server.get(Role::Staff, &path).await.expect(200);
    assert_eq!(column(&listed, "method"), ["terminal"]);
    server.stop().await;
}
