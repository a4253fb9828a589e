//! Are shifts opened, filled, counted and shown as the contract says?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Answer, Server, token_of};
use http_common::{column, created, minutes, send_as, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/shifts";

fn euros(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

async fn post(server: &Server, who: &str, path: &str, body: &Value) -> Answer {
    send_as(server, &token_of(Role::Staff, who), Method::POST, path, &[], Some(body)).await
}

async fn get(server: &Server, who: &str, path: &str) -> Answer {
    send_as(server, &token_of(Role::Staff, who), Method::GET, path, &[], None).await
}

fn new(code: &str, float: i64) -> Value {
    json!({"lot": "L1", "code": code, "float": euros(float)})
}

/// A vehicle inside that owes two euros.
async fn parked(server: &Server) -> String {
    let body = json!({
        "lot": "L1", "direction": "entry", "credential": {}, "observed_at": minutes(-30),
    });
    let entered = server.post(Role::Device, "/api/v1/scans", &body).await.expect(200);
    format!("/api/v1/sessions/{}/payments", entered["session"]["id"].as_str().unwrap())
}

async fn with_tariff() -> Server {
    let server = with_lot(4).await;
    let tariff = json!({"tariff": {
        "name": "Centre", "valid_from": "2026-01-01T00:00:00Z",
        "rate": {"hourly": {"tiers": [{"amount": 200, "begun": true}]}},
    }});
    created(&server.post(Role::Operator, "/api/v1/lots/L1/tariffs", &tariff).await);
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_is_opened_filled_counted_and_kept() {
    let server = with_tariff().await;
    let opened = post(&server, "anna", PATH, &new("desk-1", 10_000)).await;
    let shift = opened.expect(201);
    let at = format!("{PATH}/{}", shift["id"].as_str().unwrap());
    assert_eq!(opened.headers["location"], at.as_str());
    assert_eq!((&shift["cashier"], &shift["state"]), (&json!("anna"), &json!("open")));
    assert_eq!(post(&server, "anna", PATH, &new("desk-2", 0)).await.code(), "shift_open");
    let cash = json!({"method": "cash"});
    let paid = post(&server, "anna", &parked(&server).await, &cash).await.expect(201);
    assert_eq!(paid["shift"], "desk-1");
    post(&server, "bert", &parked(&server).await, &cash).await.expect(201);
    let refund = format!("/api/v1/payments/{}/refund", paid["id"].as_str().unwrap());
    post(&server, "anna", &refund, &json!({"amount": euros(50)})).await.expect(200);
    let shown = get(&server, "anna", &at).await.expect(200);
    assert_eq!((&shown["expected"], &shown["cash"]["moves"]), (&euros(10_150), &json!(2)));
    assert_eq!(get(&server, "bert", &at).await.code(), "shift_not_found", "not his");
    let close = format!("{at}/close");
    assert_eq!(
        post(&server, "bert", &close, &json!({"counted": euros(1)})).await.code(),
        "shift_not_found"
    );
    for _ in 0..2 {
        let closed =
            post(&server, "anna", &close, &json!({"counted": euros(10_100)})).await.expect(200);
        assert_eq!((&closed["state"], &closed["difference"]), (&json!("closed"), &euros(-50)));
    }
    let other = post(&server, "anna", &close, &json!({"counted": euros(10_150)})).await;
    assert_eq!(other.code(), "shift_closed");
    // Restarted, it is the same.
    let server = Server::start_in(server.stop().await, |_| {}).await;
    let again = get(&server, "anna", &at).await.expect(200);
    assert_eq!((&again["difference"], &again["version"]), (&euros(-50), &json!(4)));
    let events = server.get(Role::Operator, "/api/v1/events?lot=L1&limit=500").await.expect(200);
    let kinds: Vec<_> =
        column(&events, "type").into_iter().filter(|kind| kind.starts_with("shift.")).collect();
    assert_eq!(kinds, ["shift.opened", "shift.took", "shift.took", "shift.closed"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cashiers_list_their_own_and_operators_all() {
    let server = with_lot(1).await;
    for (who, code) in [("anna", "desk-1"), ("bert", "desk-2"), ("carl", "desk-3")] {
        post(&server, who, PATH, &new(code, 0)).await.expect(201);
    }
    let own = get(&server, "bert", PATH).await.expect(200);
    assert_eq!(column(&own, "code"), ["desk-2"]);
    let at = format!("{PATH}/{}/close", own["items"][0]["id"].as_str().unwrap());
    server.post(Role::Operator, &at, &json!({"counted": euros(0)})).await.expect(200);
    for (query, codes) in [
        ("", &["desk-1", "desk-2", "desk-3"][..]),
        ("?state=open", &["desk-1", "desk-3"]),
        ("?state=closed&lot=L1", &["desk-2"]),
    ] {
        let page = server.get(Role::Operator, &format!("{PATH}{query}")).await.expect(200);
        assert_eq!(column(&page, "code"), codes, "{query}");
    }
    let first = server.get(Role::Operator, &format!("{PATH}?limit=2")).await.expect(200);
    let rest = format!("{PATH}?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(column(&server.get(Role::Operator, &rest).await.expect(200), "code"), ["desk-3"]);
    let driver = token_of(Role::Driver, "dora");
    let refused = send_as(&server, &driver, Method::GET, PATH, &[], None).await;
    assert_eq!(refused.code(), "role_not_allowed");
    let wrong = json!({"lot": "L1", "code": "desk 4", "float": euros(-1)});
    assert_eq!(post(&server, "dora", PATH, &wrong).await.code(), "validation_failed");
    server.stop().await;
}
