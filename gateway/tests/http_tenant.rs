//! Does what is said for a whole tenant hold in all its lots, in those that come later, and after a restart?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Answer, Server, grant, mint};
use http_common::{bayed, column, created, minutes, send_as};
use lotkeeper_gateway::auth::{Grant, Role};
use reqwest::Method;
use serde_json::{Value, json};

const PASSES: &str = "/api/v1/passes";

async fn again(server: Server) -> Server {
    let directory = server.stop().await;
    Server::start_in(directory, |config| config.rate.driver_per_hour = 0).await
}

/// A lot for passes and reservations alone.
async fn create(server: &Server, code: &str) {
    let mut lot = bayed(code, 4);
    lot["rules"] = json!({"drive_in": false});
    created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
}

async fn with_lots(codes: &[&str]) -> Server {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    for code in codes {
        create(&server, code).await;
    }
    server
}

fn pass() -> Value {
    let plates = ["B-XY 1", "B-XY 2", "B-XY 3", "B-XY 4"];
    json!({
        "lot": "L1", "scope": "tenant", "plan": "everywhere",
        "vehicles": plates.map(|plate| json!({"plate": plate, "country": "D"})),
        "from": minutes(-60), "to": minutes(60 * 24 * 30),
        "price": {"amount": 9_900, "currency": "EUR"}, "allowance": {"entries": 3, "per": "total"},
    })
}

async fn enter(server: &Server, lot: &str, plate: &str) -> Value {
    let body = json!({
        "lot": lot, "gate": "north", "direction": "entry",
        "credential": {"plate": plate, "country": "D"},
    });
    let answer = server.post(Role::Device, "/api/v1/scans", &body).await.expect(200);
    answer["code"].clone()
}

/// Only for some lots.
fn limited(role: Role) -> String {
    mint(&Grant { lots: Some(vec!["L1".to_owned()]), ..grant(role) })
}

async fn as_limited(
    server: &Server,
    role: Role,
    (method, at): (Method, &str),
    body: &Value,
) -> Answer {
    send_as(server, &limited(role), method, at, &[], Some(body)).await
}

async fn used(server: &Server, at: &str) -> Value {
    server.get(Role::Staff, at).await.expect(200)["used"]["entries"].clone()
}

/// Waits for something that a tick sets off: until then the list is asked again, with a deadline.
async fn violations(server: &Server, lot: &str, wanted: usize) -> Value {
    let path = format!("/api/v1/violations?lot={lot}&kind=expired_pass");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let page = server.get(Role::Staff, &path).await.expect(200);
        if page["items"].as_array().unwrap().len() == wanted {
            return page;
        }
        assert!(std::time::Instant::now() < deadline, "not {wanted}: {page}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_of_the_tenant_is_one_pass_in_all_its_lots() {
    let server = with_lots(&["L1", "L2"]).await;
    let issued = server.post(Role::Staff, PASSES, &pass()).await.expect(201);
    let at = format!("{PASSES}/{}", issued["id"].as_str().unwrap());
    assert_eq!((&issued["scope"], &issued["lot"]), (&json!("tenant"), &json!("L1")));
    create(&server, "L3").await;
    assert_eq!(enter(&server, "L2", "B-XY 1").await, "pass");
    assert_eq!(enter(&server, "L3", "B-XY 2").await, "pass");
    assert_eq!(used(&server, &at).await, 2);
    let server = again(server).await;
    assert_eq!(used(&server, &at).await, 2, "as before the restart");
    assert_eq!(enter(&server, "L1", "B-XY 3").await, "pass");
    for lot in ["L1", "L2", "L3"] {
        assert_eq!(enter(&server, lot, "B-XY 4").await, "pass_not_valid", "{lot}");
    }
    let account = format!("customer:passes/{}", issued["id"].as_str().unwrap());
    for (lot, owes) in [("L1", true), ("L2", false), ("L3", false)] {
        let ledger = server.get(Role::Operator, &format!("/api/v1/lots/{lot}/ledger")).await;
        let is_owed = ledger.expect(200).to_string().contains(&account);
        assert_eq!(is_owed, owes, "its price is owed once: {lot}");
    }
    let paused = server.patch(Role::Staff, &at, &json!({"state": "ended"})).await.expect(200);
    assert_eq!(paused["state"], "ended");
    for lot in ["L1", "L2", "L3"] {
        violations(&server, lot, 1).await;
    }
    let told = server.get(Role::Operator, "/api/v1/events?lot=L2&type=pass.followed").await;
    assert_eq!(told.expect(200)["items"][0]["data"]["state"], "ended");
    let told = server.get(Role::Operator, "/api/v1/events?lot=L2&type=pass.honoured").await;
    assert_eq!(told.expect(200)["items"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_a_stopped_server_did_not_follow_is_followed_by_the_next() {
    let server = with_lots(&["L1", "L2"]).await;
    let issued = server.post(Role::Staff, PASSES, &pass()).await.expect(201);
    let at = format!("{PASSES}/{}", issued["id"].as_str().unwrap());
    assert_eq!(enter(&server, "L2", "B-XY 1").await, "pass");
    server.patch(Role::Staff, &at, &json!({"state": "paused"})).await.expect(200);
    let server = again(server).await;
    violations(&server, "L2", 1).await;
    assert_eq!(enter(&server, "L2", "B-XY 2").await, "pass_not_valid");
    server.patch(Role::Staff, &at, &json!({"state": "active"})).await.expect(200);
    assert_eq!(enter(&server, "L2", "B-XY 2").await, "pass");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_use_some_lots_only_says_nothing_for_the_tenant() {
    let server = with_lots(&["L1", "L2"]).await;
    let post = |at| (Method::POST, at);
    let refused = as_limited(&server, Role::Staff, post(PASSES), &pass()).await;
    assert_eq!(refused.expect(403)["code"], "lot_not_allowed");
    let issued = server.post(Role::Staff, PASSES, &pass()).await.expect(201);
    let at = format!("{PASSES}/{}", issued["id"].as_str().unwrap());
    let end = json!({"state": "ended"});
    let refused = as_limited(&server, Role::Staff, (Method::PATCH, &at), &end).await;
    assert_eq!(refused.expect(403)["code"], "lot_not_allowed");
    let mut here = pass();
    here["scope"] = json!("lot");
    as_limited(&server, Role::Staff, post(PASSES), &here).await.expect(201);
    let at = "/api/v1/lots/L1/tariffs";
    let refused = as_limited(&server, Role::Operator, post(at), &tariff(500, true)).await;
    assert_eq!(refused.expect(403)["code"], "lot_not_allowed");
    as_limited(&server, Role::Operator, post(at), &tariff(500, false)).await.expect(201);
    server.stop().await;
}

fn tariff(amount: i64, tenant: bool) -> Value {
    json!({
        "tariff": {
            "name": "Flat", "valid_from": "2026-01-01T00:00:00Z", "rate": {"flat": {"amount": amount}},
        },
        "applies_to": [{"tenant": tenant}],
    })
}

async fn costs(server: &Server, lot: &str) -> Option<i64> {
    let body = json!({"lot": lot, "from": minutes(60), "to": minutes(120)});
    let quote = server.post(Role::Staff, "/api/v1/quotes", &body).await.expect(200);
    quote["price"]["total"]["amount"].as_i64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_lots_take_the_tariffs_of_the_tenant() {
    let server = with_lots(&["L1", "L2"]).await;
    let at = "/api/v1/lots/L1/tariffs";
    server.post(Role::Operator, "/api/v1/lots/L2/tariffs", &tariff(100, false)).await.expect(201);
    let uploaded = server.post(Role::Operator, at, &tariff(500, true)).await.expect(201);
    let id = uploaded["id"].clone();
    let mut dearer = tariff(700, true);
    dearer["tariff"]["id"] = id.clone();
    create(&server, "L3").await;
    server.post(Role::Operator, at, &dearer).await.expect(201);
    let server = again(server).await;
    let key = [("Idempotency-Key", "\"l4\"")];
    let mut lot = bayed("L4", 1);
    lot["time_zone"] = json!("Europe/Berlin");
    for _ in 0..2 {
        let token = common::token(Role::Operator);
        let made = send_as(&server, &token, Method::POST, "/api/v1/lots", &key, Some(&lot)).await;
        assert_eq!(made.expect(201)["code"], "L4", "a repetition is answered as the first time");
    }
    for (lot, amount) in [("L1", 700), ("L2", 100), ("L3", 700), ("L4", 700)] {
        assert_eq!(costs(&server, lot).await, Some(amount), "{lot}");
    }
    let taken = server.get(Role::Staff, "/api/v1/lots/L4/tariffs").await.expect(200);
    assert_eq!(
        column(&taken, "name"),
        ["Flat", "Flat"],
        "both versions, and nothing of other lots"
    );
    assert_eq!(taken["items"][1]["applies_to"], json!([{"tenant": true}]));
    let end = format!("{at}/{}/end", id.as_str().unwrap());
    server.post(Role::Operator, &end, &json!({})).await.expect(200);
    assert_eq!((costs(&server, "L1").await, costs(&server, "L4").await), (None, Some(700)));
    create(&server, "L5").await;
    assert_eq!(costs(&server, "L5").await, Some(700), "it stands in the others");
    let end_all = json!({"tenant": true});
    server.post(Role::Operator, &end, &end_all).await.expect(200);
    let server = again(server).await;
    create(&server, "L6").await;
    for lot in ["L1", "L3", "L4", "L5", "L6"] {
        assert_eq!(costs(&server, lot).await, None, "{lot}");
    }
    let taken = server.get(Role::Staff, "/api/v1/lots/L6/tariffs").await.expect(200);
    assert_eq!(taken["items"], json!([]), "what is over is not taken");
    server.stop().await;
}
