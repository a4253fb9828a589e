//! Are violations reported, shown, appealed, waived and closed as the contract says?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::Server;
use http_common::{etag, send_with, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/violations";

fn report() -> Value {
    json!({
        "lot": "L1", "kind": "blocks_lane", "slot": "A-1", "severity": "severe",
        "penalty": {"amount": 3_000, "currency": "EUR"},
        "vehicle": {"plate": "b - xy 123", "country": "d"},
        "evidence": [{"kind": "photo", "reference": "https://example.org/17.jpg"}],
    })
}

async fn reported(server: &Server) -> (String, Value) {
    let answer = server.post(Role::Staff, PATH, &report()).await;
    let violation = answer.expect(201);
    let at = format!("{PATH}/{}", violation["id"].as_str().unwrap());
    assert_eq!(answer.headers["location"], at.as_str());
    (at, violation)
}

async fn post(server: &Server, path: &str, body: &Value) -> common::Answer {
    server.post(Role::Staff, path, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_shown_amended_appealed_and_waived() {
    let server = with_lot(2).await;
    let (at, violation) = reported(&server).await;
    assert_eq!((&violation["state"], &violation["severity"]), (&json!("open"), &json!("severe")));
    assert_eq!((&violation["slot"], &violation["detected"]), (&json!("A-1"), &json!(false)));
    assert_eq!(violation["penalty"], report()["penalty"]);
    assert_eq!(violation["vehicle"], json!({"plate": "B-XY 123", "country": "D"}));
    assert_eq!(violation["evidence"], report()["evidence"]);
    let answer = server.get(Role::Staff, &at).await;
    assert_eq!(
        (etag(&answer), answer.expect(200)["kind"].clone()),
        ("\"1\"", json!("blocks_lane"))
    );

    let patch = json!({"penalty": {"amount": 2_000, "currency": "EUR"}});
    let stale =
        send_with(&server, Method::PATCH, &at, &[("If-Match", "\"9\"")], Some(&patch)).await;
    stale.expect(412);
    let fresh =
        send_with(&server, Method::PATCH, &at, &[("If-Match", "\"1\"")], Some(&patch)).await;
    assert_eq!(fresh.expect(200)["penalty"], patch["penalty"]);
    let told = post(&server, &format!("{at}/notify"), &json!({})).await.expect(200);
    assert_eq!((&told["state"], &told["notices"]), (&json!("notified"), &json!(1)));
    let reason = json!({"reason": "first_time"});
    let appealed = post(&server, &format!("{at}/appeal"), &reason).await.expect(200);
    assert_eq!(
        (&appealed["state"], &appealed["reason"]),
        (&json!("appealed"), &json!("first_time"))
    );
    for _ in 0..2 {
        let waived = post(&server, &format!("{at}/waive"), &json!({})).await.expect(200);
        assert_eq!(waived["state"], "waived");
    }
    let ended = post(&server, &format!("{at}/resolve"), &json!({})).await.expect(409);
    assert_eq!(ended["code"], "violation_ended");

    let events = server.get(Role::Operator, "/api/v1/events?lot=L1").await.expect(200);
    let kinds: Vec<_> = events["items"].as_array().unwrap().iter().map(|e| &e["type"]).collect();
    let ledger = json!("ledger.posted");
    let wanted = [
        &json!("lot.created"),
        &ledger,
        &json!("violation.raised"),
        &ledger,
        &json!("violation.amended"),
        &json!("violation.notified"),
        &json!("violation.appealed"),
        &ledger,
        &json!("violation.waived"),
    ];
    assert_eq!(kinds, wanted);
    assert!(!events.to_string().contains("XY"), "plates are pseudonyms in the log");
    let id = violation["id"].as_str().unwrap();
    let own = server.get(Role::Operator, &format!("/api/v1/events?entity=violations/{id}")).await;
    assert_eq!(own.expect(200)["items"].as_array().unwrap().len(), 5);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_hold_what_they_are_asked_for_page_by_page() {
    let server = with_lot(2).await;
    for kind in ["no_session", "blocks_lane", "overstay"] {
        let body = json!({"lot": "L1", "kind": kind, "slot": "A-2"});
        post(&server, PATH, &body).await.expect(201);
    }
    let (at, _) = reported(&server).await;
    post(&server, &format!("{at}/resolve"), &json!({})).await.expect(200);
    for (query, kinds) in [
        ("", &["no_session", "blocks_lane", "overstay", "blocks_lane"][..]),
        ("?state=open", &["no_session", "blocks_lane", "overstay"]),
        ("?state=resolved", &["blocks_lane"]),
        ("?kind=blocks_lane", &["blocks_lane", "blocks_lane"]),
        ("?kind=overstay,no_session&lot=L1", &["no_session", "overstay"]),
        ("?session=019f0000-0000-7000-8000-000000000000", &[]),
    ] {
        let page = server.get(Role::Staff, &format!("{PATH}{query}")).await.expect(200);
        assert_eq!(http_common::column(&page, "kind"), kinds, "{query}");
    }
    let first = server.get(Role::Staff, &format!("{PATH}?limit=3")).await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = format!("{PATH}?limit=3&cursor={cursor}");
    let second = server.get(Role::Staff, &rest).await.expect(200);
    assert_eq!(http_common::column(&second, "state"), ["resolved"]);
    assert!(second.get("next_cursor").is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_penalty_is_paid_at_the_desk() {
    let server = with_lot(1).await;
    let (at, _) = reported(&server).await;
    let paid = json!({"method": "cash", "shift": "desk-1"});
    let payment = post(&server, &format!("{at}/payments"), &paid).await.expect(201);
    assert_eq!(payment["amount"], report()["penalty"]);
    assert_eq!(server.get(Role::Staff, &at).await.expect(200)["state"], "paid");
    let again = post(&server, &format!("{at}/payments"), &paid).await.expect(409);
    assert_eq!(again["code"], "nothing_owed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_and_what_cannot_be_is_refused() {
    let server = with_lot(1).await;
    let (at, _) = reported(&server).await;
    for role in [Role::Driver, Role::Device, Role::Display] {
        server.post(role, PATH, &report()).await.expect(403);
        server.post(role, &format!("{at}/waive"), &json!({})).await.expect(403);
    }
    let strange = server.get(Role::Driver, &at).await.expect(404);
    assert_eq!(strange["code"], "violation_not_found");
    let page = server.get(Role::Driver, PATH).await.expect(200);
    assert_eq!(page["items"], json!([]), "a driver sees his own only");
    let mut unpaid = report();
    unpaid.as_object_mut().unwrap().remove("vehicle");
    let mut far = report();
    far["slot"] = json!("Z-9");
    let mut text = report();
    text["evidence"][0]["reference"] = json!("the red car of my neighbour");
    let mut foreign = report();
    foreign["penalty"]["currency"] = json!("USD");
    for (body, status, code) in [
        (foreign, 422, "validation_failed"),
        (unpaid, 422, "validation_failed"),
        (far, 404, "slot_not_found"),
        (text, 422, "validation_failed"),
    ] {
        let refused = post(&server, PATH, &body).await.expect(status);
        assert_eq!(refused["code"], code, "{body}");
    }
    let reason = json!({"reason": "he was very rude to me"});
    post(&server, &format!("{at}/appeal"), &reason).await.expect(422);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_made_id_reports_once() {
    let server = with_lot(1).await;
    let mut body = report();
    body["id"] = json!("019f0000-0000-7000-8000-000000000001");
    let first = post(&server, PATH, &body).await.expect(201);
    let again = post(&server, PATH, &body).await.expect(201);
    assert_eq!((&first["id"], &first["version"]), (&again["id"], &again["version"]));
    body["penalty"]["amount"] = json!(1);
    let other = post(&server, PATH, &body).await.expect(422);
    assert_eq!(other["code"], "idempotency_key_reused");
    server.stop().await;
}
