//! Payments by providers over HTTP: promised, captured, let go, given back.

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
mod provider_common;

use std::time::Duration;

use common::token_of;
use http_common::{minutes, send_as, send_with};
use lotkeeper_gateway::auth::Role;
use provider_common::{
    SELDOM, at, authorised, becomes, kinds, parked, promise, scan, with_providers,
};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_opens_the_gate_and_is_collected_when_the_stay_is_over() {
    let server = with_providers(Duration::from_secs(1)).await;
    let (ticket, path) = parked(&server).await;
    let denied = scan(&server, "exit", &ticket).await;
    assert_eq!(denied["code"], "payment_required");
    let payment = authorised(&server, &path, "invoice", 1_500).await;
    assert_eq!((&payment["state"], &payment["method"]), (&json!("authorised"), &json!("invoice")));
    assert!(payment["reference"].is_string() && payment["asked"].is_null());
    assert_eq!(scan(&server, "exit", &ticket).await["code"], "on_account");
    let captured = becomes(&server, &at(&payment), "captured").await;
    assert_eq!(captured["amount"]["amount"], 200);
    let ledger = server.get(Role::Operator, "/api/v1/lots/L1/ledger").await.expect(200);
    let wanted = json!([
        {"account": "received:invoice", "balance": {"amount": 200, "currency": "EUR"}},
        {"account": "revenue", "balance": {"amount": -200, "currency": "EUR"}},
    ]);
    assert_eq!((&ledger["balances"], &ledger["balanced"]), (&wanted, &json!(true)));
    // A promise that nobody needs in the end is let go.
    let (ticket, path) = parked(&server).await;
    let payment = authorised(&server, &path, "invoice", 1_500).await;
    let exit = path.replace("authorisations", "exit");
    send_with(&server, Method::POST, &format!("{}/void", at(&payment)), &[], None)
        .await
        .expect(200);
    assert_eq!(scan(&server, "exit", &ticket).await["code"], "payment_required");
    server.post(Role::Staff, &exit, &json!({})).await.expect(200);
    let wanted = [
        "requested",
        "authorised",
        "asked",
        "captured",
        "requested",
        "authorised",
        "asked",
        "voided",
    ];
    assert_eq!(kinds(&server, "payment.").await, wanted.map(|kind| format!("payment.{kind}")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_capture_a_part_and_give_it_back_and_a_retry_does_neither_twice() {
    let server = with_providers(SELDOM).await;
    let (_, path) = parked(&server).await;
    let key = [("Idempotency-Key", "one")];
    let body = promise("rehearsal", Some(500));
    let first = send_with(&server, Method::POST, &path, &key, Some(&body)).await.expect(201);
    let capture = format!("{}/capture", at(&first));
    let part = |amount: i64| json!({"amount": {"amount": amount, "currency": "EUR"}});
    let too_much = server.post(Role::Staff, &capture, &part(201)).await;
    assert_eq!(too_much.code(), "amount_not_owed");
    for _ in 0..2 {
        let key = [("Idempotency-Key", "two")];
        let captured = send_with(&server, Method::POST, &capture, &key, Some(&part(150))).await;
        let captured = captured.expect(200);
        assert_eq!(
            (&captured["state"], &captured["amount"]["amount"]),
            (&json!("captured"), &json!(150))
        );
    }
    // A retry shows it as it is now.
    let retried = send_with(&server, Method::POST, &path, &key, Some(&body)).await.expect(201);
    assert_eq!((&retried["id"], &retried["state"]), (&first["id"], &json!("captured")));
    let refund = format!("{}/refund", at(&first));
    for _ in 0..2 {
        let key = [("Idempotency-Key", "three")];
        let back =
            send_with(&server, Method::POST, &refund, &key, Some(&part(50))).await.expect(200);
        assert_eq!(
            (&back["state"], &back["refunded"]["amount"]),
            (&json!("partly_refunded"), &json!(50))
        );
    }
    // 11: the provider refuses, and no money moves.
    let refused = server.post(Role::Staff, &refund, &part(11)).await.expect(200);
    assert_eq!(
        (&refused["reason"], &refused["refunded"]["amount"]),
        (&json!("declined"), &json!(50))
    );
    let rest = server.post(Role::Staff, &refund, &json!({})).await.expect(200);
    assert_eq!((&rest["state"], &rest["refunded"]["amount"]), (&json!("refunded"), &json!(150)));
    assert_eq!(server.post(Role::Staff, &capture, &json!({})).await.code(), "payment_ended");
    let posted = kinds(&server, "ledger.").await;
    assert_eq!(posted.len(), 3, "one capture, two refunds");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drivers_promise_for_their_own_and_not_by_invoice() {
    let server = with_providers(SELDOM).await;
    let (anna, bert) = (token_of(Role::Driver, "anna"), token_of(Role::Driver, "bert"));
    let booking = json!({"lot": "L1", "from": minutes(60), "to": minutes(180)});
    let booked =
        send_as(&server, &anna, Method::POST, "/api/v1/reservations", &[], Some(&booking)).await;
    let path = format!(
        "/api/v1/reservations/{}/authorisations",
        booked.expect(201)["id"].as_str().unwrap()
    );
    let ask = |token: String, body: Value| {
        let (server, path) = (&server, path.clone());
        async move { send_as(server, &token, Method::POST, &path, &[], Some(&body)).await }
    };
    assert_eq!(ask(bert.clone(), promise("rehearsal", None)).await.code(), "reservation_not_found");
    assert_eq!(ask(anna.clone(), promise("invoice", None)).await.code(), "validation_failed");
    assert_eq!(ask(anna.clone(), promise("bank", None)).await.code(), "validation_failed");
    assert_eq!(ask(anna.clone(), promise("rehearsal", Some(401))).await.code(), "amount_not_owed");
    let payment = ask(anna.clone(), promise("rehearsal", None)).await.expect(201);
    assert_eq!(
        (&payment["state"], &payment["amount"]["amount"]),
        (&json!("authorised"), &json!(400))
    );
    assert_eq!(ask(anna.clone(), promise("rehearsal", None)).await.code(), "nothing_owed");
    for step in ["capture", "void", "refund"] {
        let path = format!("{}/{step}", at(&payment));
        let refused = send_as(&server, &anna, Method::POST, &path, &[], Some(&json!({}))).await;
        assert_eq!(refused.code(), "role_not_allowed", "{step}");
    }
    let (_, session) = parked(&server).await;
    let refused =
        send_as(&server, &anna, Method::POST, &session, &[], Some(&promise("rehearsal", None)))
            .await;
    assert_eq!(refused.code(), "role_not_allowed");
    let above =
        server.post(Role::Staff, &session, &promise("invoice", Some(100_001))).await.expect(201);
    assert_eq!((&above["state"], &above["reason"]), (&json!("failed"), &json!("above_limit")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_provider_is_configured_there_is_none() {
    let server = http_common::with_lot(1).await;
    let (_, path) = parked(&server).await;
    for name in ["invoice", "rehearsal", "cash"] {
        assert_eq!(
            server.post(Role::Staff, &path, &promise(name, Some(100))).await.code(),
            "validation_failed"
        );
    }
    server.stop().await;
}
