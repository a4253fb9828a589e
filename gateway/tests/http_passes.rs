//! Are passes issued, shown, changed and honoured at the gate as the contract says?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::Server;
use http_common::{column, created, minutes, send_with};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/passes";

/// A lot for passes and reservations alone.
async fn closed() -> Server {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    let mut lot = http_common::bayed("L1", 2);
    lot["rules"] = json!({"drive_in": false});
    created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
    server
}

fn pass() -> Value {
    json!({
        "lot": "L1", "plan": "monthly", "vehicles": [{"plate": "b - xy 123", "country": "d"}],
        "from": minutes(-60), "to": minutes(60 * 24 * 30),
        "price": {"amount": 9_900, "currency": "EUR"}, "allowance": {"entries": 1, "per": "total"},
    })
}

async fn issued(server: &Server) -> (String, Value) {
    let answer = server.post(Role::Staff, PATH, &pass()).await;
    let body = answer.expect(201);
    let at = format!("{PATH}/{}", body["id"].as_str().unwrap());
    assert_eq!(answer.headers["location"], at.as_str());
    (at, body)
}

async fn scan(server: &Server) -> Value {
    let body = json!({
        "lot": "L1", "gate": "north", "direction": "entry",
        "credential": {"plate": "B XY 123", "country": "D"},
    });
    server.post(Role::Device, "/api/v1/scans", &body).await.expect(200)
}

async fn patch(server: &Server, at: &str, body: Value) -> common::Answer {
    send_with(server, Method::PATCH, at, &[], Some(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_is_shown_paused_changed_and_ended() {
    let server = closed().await;
    let (at, body) = issued(&server).await;
    assert_eq!((&body["state"], &body["covers"]), (&json!("active"), &json!("whole")));
    assert_eq!(body["vehicles"], json!([{"plate": "B-XY 123", "country": "D"}]));
    for member in ["plan", "from", "to", "price", "allowance"] {
        assert_eq!(body[member], pass()[member], "{member}");
    }
    for (change, state, version) in [
        (json!({"state": "paused"}), "paused", 2),
        (json!({"state": "active"}), "active", 3),
        (json!({"covers": {"first_minutes": 90}}), "active", 4),
        (json!({"state": "ended"}), "ended", 5),
        (json!({"state": "ended"}), "ended", 5),
    ] {
        let changed = patch(&server, &at, change.clone()).await.expect(200);
        assert_eq!((&changed["state"], &changed["version"]), (&json!(state), &json!(version)));
    }
    let ended = patch(&server, &at, json!({"state": "active"})).await.expect(409);
    assert_eq!(ended["code"], "pass_ended");
    let both = patch(&server, &at, json!({"state": "paused", "to": minutes(9)})).await.expect(422);
    assert_eq!(both["code"], "validation_failed");
    let page = server.get(Role::Staff, &format!("{PATH}?state=ended&lot=L1")).await.expect(200);
    assert_eq!(column(&page, "plan"), ["monthly"]);
    let page = server.get(Role::Staff, &format!("{PATH}?state=active")).await.expect(200);
    assert_eq!(page["items"], json!([]));
    let events = server.get(Role::Operator, "/api/v1/events?lot=L1").await.expect(200);
    assert_eq!(
        column(&events, "type"),
        [
            "lot.created",
            "ledger.posted",
            "pass.issued",
            "pass.paused",
            "pass.resumed",
            "pass.changed",
            "pass.ended"
        ]
    );
    assert!(!events.to_string().contains("XY"), "plates are pseudonyms in the log");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_price_is_owed_and_paid_once() {
    let server = closed().await;
    let (at, body) = issued(&server).await;
    let price = json!({"amount": 9_900, "currency": "EUR"});
    let ledger = async |server: &Server| server.get(Role::Operator, "/api/v1/lots/L1/ledger").await;
    let account = format!("customer:passes/{}", body["id"].as_str().unwrap());
    let owed = ledger(&server).await.expect(200);
    assert_eq!(owed["balances"][0], json!({"account": account, "balance": price}));
    let pay = format!("{at}/payments");
    let paid = server.post(Role::Staff, &pay, &json!({"method": "cash"})).await.expect(201);
    assert_eq!((&paid["amount"], &paid["about"]["pass"]), (&price, &body["id"]));
    let again = server.post(Role::Staff, &pay, &json!({"method": "cash"})).await;
    assert_eq!(again.code(), "nothing_owed");
    let settled = ledger(&server).await.expect(200);
    assert_eq!(http_accounts(&settled), ["received:cash", "revenue"]);
    let mut free = pass();
    free["price"] = Value::Null;
    let free = server.post(Role::Staff, PATH, &free).await.expect(201);
    let pay = format!("{PATH}/{}/payments", free["id"].as_str().unwrap());
    let nothing = server.post(Role::Staff, &pay, &json!({"method": "cash"})).await;
    assert_eq!(nothing.code(), "nothing_owed");
    server.stop().await;
}

fn http_accounts(ledger: &Value) -> Vec<&str> {
    let balances = ledger["balances"].as_array().unwrap();
    balances.iter().map(|balance| balance["account"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_opens_for_it_as_often_as_it_may_be_used() {
    let server = closed().await;
    assert_eq!(scan(&server).await["code"], "not_entitled");
    let (at, _) = issued(&server).await;
    let opened = scan(&server).await;
    assert_eq!((&opened["decision"], &opened["code"]), (&json!("open"), &json!("pass")));
    let used = server.get(Role::Staff, &at).await.expect(200)["used"].clone();
    assert_eq!(used, json!({"entries": 1, "minutes": 0}));
    let stay = opened["session"]["id"].as_str().unwrap();
    server
        .post(Role::Staff, &format!("/api/v1/sessions/{stay}/exit"), &json!({}))
        .await
        .expect(200);
    let denied = scan(&server).await;
    assert_eq!((&denied["decision"], &denied["code"]), (&json!("deny"), &json!("pass_not_valid")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_and_what_cannot_be_is_refused() {
    let server = closed().await;
    let (at, _) = issued(&server).await;
    for role in [Role::Driver, Role::Device, Role::Display] {
        server.post(role, PATH, &pass()).await.expect(403);
    }
    assert_eq!(server.get(Role::Driver, &at).await.expect(404)["code"], "pass_not_found");
    let mut none = pass();
    none["vehicles"] = json!([]);
    let mut two = pass();
    two["allowance"] = json!({"entries": 1, "minutes": 1, "per": "day"});
    let mut past = pass();
    past["to"] = json!(minutes(-1));
    for wrong in [none, two, past] {
        let refused = server.post(Role::Staff, PATH, &wrong).await.expect(422);
        assert_eq!(refused["code"], "validation_failed", "{wrong}");
    }
    server.stop().await;
}
