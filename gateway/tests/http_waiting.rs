//! Is the waiting list joined, offered from, shown and left as the contract says?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Answer, Server, token_of};
use http_common::{column, minutes, send_as, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/api/v1/waiting";

async fn ask(
    server: &Server,
    who: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    send_as(server, &token_of(Role::Driver, who), method, path, &[], body.as_ref()).await
}

fn window() -> (String, String) {
    (minutes(120), minutes(180))
}

/// `bob` has the only slot of `L1`.
async fn full() -> (Server, String) {
    let server = with_lot(1).await;
    let (from, to) = window();
    let body = json!({"lot": "L1", "from": from, "to": to});
    let taken = ask(&server, "bob", Method::POST, "/api/v1/reservations", Some(body)).await;
    let id = taken.expect(201)["id"].as_str().unwrap().to_owned();
    (server, format!("/api/v1/reservations/{id}"))
}

fn wanted(id: Option<Uuid>) -> Value {
    let (from, to) = window();
    let mut body = json!({
        "lot": "L1", "needs": {"vehicle_size": "standard"}, "from": from, "to": to,
        "vehicle": {"plate": "b - xy 123", "country": "d"},
    });
    if let Some(id) = id {
        body["id"] = json!(id);
    }
    body
}

async fn joined(server: &Server, who: &str) -> Value {
    ask(server, who, Method::POST, PATH, Some(wanted(None))).await.expect(201)
}

fn id(body: &Value) -> &str {
    body["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_slot_is_offered_to_the_first_and_then_to_the_next() {
    let (server, taken) = full().await;
    let (anna, carl) = (joined(&server, "anna").await, joined(&server, "carl").await);
    assert_eq!((&anna["state"], &anna["ahead"]), (&json!("waiting"), &json!(0)));
    assert_eq!((&carl["ahead"], &anna["version"]), (&json!(1), &json!(1)));
    assert_eq!(anna["vehicle"], json!({"plate": "B-XY 123", "country": "D"}));
    let cancel = format!("{taken}/cancel");
    ask(&server, "bob", Method::POST, &cancel, None).await.expect(200);
    // The offer is there when the cancellation is answered.
    let offer = format!("/api/v1/reservations/{}", id(&anna));
    let held = ask(&server, "anna", Method::GET, &offer, None).await.expect(200);
    assert_eq!((&held["state"], &held["vehicle"]), (&json!("held"), &anna["vehicle"]));
    let at = format!("{PATH}/{}", id(&anna));
    let shown = ask(&server, "anna", Method::GET, &at, None).await.expect(200);
    assert_eq!((&shown["state"], shown.get("ahead")), (&json!("offered"), None));
    let late = ask(&server, "anna", Method::DELETE, &at, None).await.expect(409);
    assert_eq!(late["code"], "waiting_ended");
    // Refused, it goes to the next; who never waited finds nothing.
    ask(&server, "anna", Method::POST, &format!("{offer}/cancel"), None).await.expect(200);
    let none = ask(&server, "dora", Method::POST, "/api/v1/reservations", Some(wanted(None))).await;
    assert_eq!(none.expect(409)["code"], "no_slot_free");
    let confirm = format!("/api/v1/reservations/{}/confirm", id(&carl));
    let firm = ask(&server, "carl", Method::POST, &confirm, None).await.expect(200);
    assert_eq!(firm["state"], "confirmed");
    let events = server.get(Role::Operator, "/api/v1/events?lot=L1").await.expect(200);
    assert_eq!(
        column(&events, "type"),
        [
            "lot.created",
            "reservation.confirmed",
            "waiting.joined",
            "waiting.joined",
            "reservation.cancelled",
            "waiting.offered",
            "reservation.held",
            "reservation.cancelled",
            "waiting.offered",
            "reservation.held",
            "reservation.confirmed",
        ]
    );
    let items = events["items"].as_array().unwrap();
    let asked: Vec<bool> = items.iter().map(|event| event.get("by").is_some()).collect();
    // Nobody asked for the offers.
    assert!(asked[4] && !asked[5] && !asked[6] && asked[7] && !asked[8] && !asked[9]);
    assert!(!events.to_string().contains("XY"), "plates are pseudonyms in the log");
    let about = format!("/api/v1/events?lot=L1&entity=waiting/{}", id(&anna));
    let own = server.get(Role::Operator, &about).await.expect(200);
    assert_eq!(column(&own, "type"), ["waiting.joined", "waiting.offered"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_cancellation_is_answered_as_the_first() {
    let (server, taken) = full().await;
    joined(&server, "anna").await;
    let token = token_of(Role::Driver, "bob");
    let (path, key) = (format!("{taken}/cancel"), [("Idempotency-Key", "once")]);
    let first = send_as(&server, &token, Method::POST, &path, &key, None).await.expect(200);
    let again = send_as(&server, &token, Method::POST, &path, &key, None).await.expect(200);
    assert_eq!(first, again);
    assert_eq!(first["state"], "cancelled");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_made_once_seen_by_its_holder_and_given_up() {
    let (server, taken) = full().await;
    let made = Uuid::now_v7();
    let body = wanted(Some(made));
    for _ in 0..2 {
        let answer = ask(&server, "anna", Method::POST, PATH, Some(body.clone())).await;
        answer.expect(201);
        assert_eq!(answer.headers["location"], format!("{PATH}/{made}").as_str());
        assert_eq!(http_common::etag(&answer), "\"1\"");
    }
    joined(&server, "carl").await;
    let page = ask(&server, "anna", Method::GET, PATH, None).await.expect(200);
    assert_eq!(column(&page, "id"), [made.to_string()]);
    let page = server.get(Role::Staff, &format!("{PATH}?lot=L1&state=waiting&limit=1")).await;
    let page = page.expect(200);
    let next =
        format!("{PATH}?lot=L1&state=waiting&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = server.get(Role::Staff, &next).await.expect(200);
    assert_eq!((column(&page, "id").len(), column(&rest, "id").len()), (1, 1));
    let at = format!("{PATH}/{made}");
    for method in [Method::GET, Method::DELETE] {
        let stranger = ask(&server, "carl", method, &at, None).await.expect(404);
        assert_eq!(stranger["code"], "waiting_not_found");
    }
    for _ in 0..2 {
        let left = ask(&server, "anna", Method::DELETE, &at, None).await.expect(200);
        assert_eq!((&left["state"], &left["version"]), (&json!("left"), &json!(2)));
    }
    ask(&server, "bob", Method::POST, &format!("{taken}/cancel"), None).await.expect(200);
    let page = server.get(Role::Staff, &format!("{PATH}?state=offered")).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let offer = format!("/api/v1/reservations/{made}");
    ask(&server, "anna", Method::GET, &offer, None).await.expect(404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_and_what_cannot_be_is_refused() {
    let (server, _) = full().await;
    for role in [Role::Device, Role::Display] {
        server.post(role, PATH, &wanted(None)).await.expect(403);
    }
    let mut free = wanted(None);
    free["from"] = json!(minutes(240));
    free["to"] = json!(minutes(300));
    let mut never = wanted(None);
    never["needs"]["features"] = json!(["ev"]);
    let mut begun = wanted(None);
    begun["from"] = json!(minutes(-1));
    let mut elsewhere = wanted(None);
    elsewhere["lot"] = json!("L9");
    for (body, status, code) in [
        (free, 409, "slot_free"),
        (never, 422, "no_slot_fits"),
        (begun, 422, "window_in_past"),
        (elsewhere, 404, "lot_not_found"),
    ] {
        let refused = ask(&server, "anna", Method::POST, PATH, Some(body)).await;
        assert_eq!(refused.expect(status)["code"], code);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_still_waits_after_a_restart_in_his_order() {
    let (server, taken) = full().await;
    let (anna, carl) = (joined(&server, "anna").await, joined(&server, "carl").await);
    let directory = server.stop().await;
    let server = Server::start_in(directory, |config| config.rate.driver_per_hour = 0).await;
    let at = format!("{PATH}/{}", id(&carl));
    let shown = ask(&server, "carl", Method::GET, &at, None).await.expect(200);
    assert_eq!((&shown["state"], &shown["ahead"]), (&json!("waiting"), &json!(1)));
    ask(&server, "bob", Method::POST, &format!("{taken}/cancel"), None).await.expect(200);
    let offer = format!("/api/v1/reservations/{}", id(&anna));
    let held = ask(&server, "anna", Method::GET, &offer, None).await.expect(200);
    assert_eq!(held["state"], "held");
    server.stop().await;
}
