//! Does a retry have its effect once, across keys, ids and a restart of the server?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Answer, Process, Server, read, token, token_of};
use http_common::{bayed, counted, created, minutes, send_as, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/reservations";

async fn post(server: &Server, token: &str, path: &str, key: Option<&str>, body: &Value) -> Answer {
    let headers: Vec<(&str, &str)> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
    send_as(server, token, Method::POST, path, &headers, Some(body)).await
}

fn window() -> Value {
    json!({"lot": "L1", "from": minutes(60), "to": minutes(120)})
}

async fn post_to(process: &Process, token: &str, path: &str, key: &str, body: &Value) -> Answer {
    let request = reqwest::Client::new().post(format!("http://{}{path}", process.address));
    read(request.bearer_auth(token).header("idempotency-key", key).json(body)).await
}

/// The same again gives the first answer, whatever happened since; another request is refused.
async fn check(process: &Process, token: &str, body: &Value, first: &Answer, when: &str) {
    for key in ["k-1", "\"k-1\""] {
        let again = post_to(process, token, PATH, key, body).await;
        assert_eq!(again.expect(201), first.json(), "{when}: {key}");
        assert_eq!(again.headers["location"], first.headers["location"]);
    }
    let mut other = body.clone();
    other["to"] = json!(minutes(180));
    let refused = post_to(process, token, PATH, "k-1", &other).await;
    let refused = (refused.status.as_u16(), refused.code());
    assert_eq!(refused, (422, "idempotency_key_reused".to_owned()), "{when}");
}

#[tokio::test]
async fn the_same_key_gives_the_first_answer_also_after_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path());
    let operator = token(Role::Operator);
    post_to(&process, &operator, "/api/v1/lots", "lot", &bayed("L1", 4)).await.expect(201);
    let (ann, bob) = (token_of(Role::Driver, "ann"), token_of(Role::Driver, "bob"));
    let body = window();
    let first = post_to(&process, &ann, PATH, "k-1", &body).await;
    let made = first.expect(201);
    let cancel = format!("{PATH}/{}/cancel", made["id"].as_str().unwrap());
    let cancelled = post_to(&process, &ann, &cancel, "k-2", &json!({})).await.expect(200);
    assert_eq!(cancelled["state"], "cancelled");
    check(&process, &ann, &body, &first, "at once").await;
    let others = post_to(&process, &bob, PATH, "k-1", &body).await.expect(201);
    assert_ne!(others["id"], made["id"], "keys belong to their subject");
    process.kill();
    let process = Process::start(data.path());
    check(&process, &ann, &body, &first, "after kill -9").await;
    let again = post_to(&process, &operator, "/api/v1/lots", "lot", &bayed("L1", 4)).await;
    assert_eq!(again.expect(201)["code"], "L1");
    assert_eq!(process.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_the_client_is_a_key() {
    let server = with_lot(4).await;
    let ann = token_of(Role::Driver, "ann");
    let mut body = window();
    body["id"] = json!("0199b5a0-0000-7000-8000-000000000001");
    let made = post(&server, &ann, PATH, None, &body).await.expect(201);
    assert_eq!(made["id"], body["id"]);
    assert_eq!(post(&server, &ann, PATH, None, &body).await.expect(201), made);
    let mut other = body.clone();
    other["to"] = json!(minutes(180));
    assert_eq!(post(&server, &ann, PATH, None, &other).await.code(), "idempotency_key_reused");
    let bob = token_of(Role::Driver, "bob");
    let taken = post(&server, &bob, PATH, None, &body).await;
    assert_eq!((taken.status.as_u16(), taken.code().as_str()), (409, "id_taken"));
    let under_a_key = post(&server, &ann, PATH, Some("k"), &body).await;
    assert_eq!(under_a_key.code(), "id_taken");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_decided_afresh() {
    let server = with_lot(1).await;
    let (ann, bob) = (token_of(Role::Driver, "ann"), token_of(Role::Driver, "bob"));
    let body = window();
    let made = post(&server, &bob, PATH, None, &body).await.expect(201);
    let refused = post(&server, &ann, PATH, Some("k"), &body).await;
    assert_eq!(refused.code(), "no_slot_free");
    let cancel = format!("{PATH}/{}/cancel", made["id"].as_str().unwrap());
    post(&server, &bob, &cancel, None, &json!({})).await.expect(200);
    post(&server, &ann, PATH, Some("k"), &body).await.expect(201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_with_a_key_has_its_effect_once() {
    let server = with_lot(2).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("P1", 100)).await);
    let operator = token(Role::Operator);
    let lot = bayed("L2", 1);
    for _ in 0..2 {
        let made = post(&server, &operator, "/api/v1/lots", Some("lot"), &lot).await;
        assert_eq!(made.expect(201)["code"], "L2");
    }
    for _ in 0..3 {
        let body = json!({"entered": 5});
        let path = "/api/v1/lots/P1/counts";
        let counted = post(&server, &operator, path, Some("count"), &body).await.expect(200);
        assert_eq!(
            (&counted["outcome"], counted["occupied"].as_i64()),
            (&json!("accepted"), Some(5))
        );
    }
    for (path, body) in [
        ("/api/v1/lots/L2", json!({"name": "N"})),
        ("/api/v1/lots/L1/slots/A-1", json!({"size": "large"})),
    ] {
        for _ in 0..2 {
            let headers = [("idempotency-key", "patch-once"), ("if-match", "*")];
            let key = [(headers[0].0, path), headers[1]];
            let answer = send_as(&server, &operator, Method::PATCH, path, &key, Some(&body)).await;
            answer.expect(200);
        }
    }
    let before = server.get(Role::Operator, "/api/v1/events?limit=500").await.expect(200);
    let types: Vec<&str> = http_common::column(&before, "type");
    let count = |name: &str| types.iter().filter(|kind| **kind == name).count();
    assert_eq!(
        ["lot.created", "count.recorded", "lot.changed", "slot.changed"].map(count),
        [3, 1, 1, 1]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_duplicates_have_one_effect() {
    let server = with_lot(64).await;
    let ann = token_of(Role::Driver, "ann");
    for round in 0..10 {
        let key = format!("round-{round}");
        let body = json!({"lot": "L1", "from": minutes(60), "to": minutes(120)});
        let sent = (0..16).map(|_| post(&server, &ann, PATH, Some(&key), &body));
        let mut ids = std::collections::BTreeSet::new();
        for answer in futures_util::future::join_all(sent).await {
            match answer.status.as_u16() {
                201 => drop(ids.insert(answer.json()["id"].as_str().unwrap().to_owned())),
                _ => assert_eq!(answer.code(), "request_in_progress"),
            }
        }
        assert_eq!(ids.len(), 1, "round {round}");
    }
    let page = server.get(Role::Staff, &format!("{PATH}?limit=500")).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 10);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_key_is_refused() {
    let server = with_lot(1).await;
    let long = "k".repeat(129);
    for key in ["", "two words", long.as_str()] {
        let answer = post(&server, &token(Role::Driver), PATH, Some(key), &window()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "malformed_request"));
    }
    server.stop().await;
}
