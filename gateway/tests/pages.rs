//! The pages in a real browser: what a passer-by and an operator see follows what devices say.
//!
//! Every test has a server and a browser of its own. Without Chromium they are skipped with a reason;
//! `LOTKEEPER_REQUIRE=all` makes that a failure. `LOTKEEPER_AXE` is the path of axe-core's `axe.min.js`,
//! `LOTKEEPER_PICTURES` a directory for pictures of every page, size and scheme.
//! Deliberately absent: the wire itself (`stream*.rs`, `http_*.rs`), other browsers.
#![allow(clippy::unwrap_used)] // tests state what they expect

#[path = "pages/book.rs"]
mod book;
#[path = "common/browser.rs"]
mod browser;
mod common;
#[path = "pages/console.rs"]
mod console;
#[path = "pages/desk.rs"]
mod desk;
#[path = "pages/looks.rs"]
mod looks;
#[path = "pages/scan.rs"]
mod scan;
#[path = "pages/sign.rs"]
mod sign;

use std::collections::BTreeSet;

use browser::Browser;
use common::{Server, token};
use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

const LANGUAGES: [&str; 3] = ["en", "de", "fr"];
/// What a scan may answer; each has a reason and a next step in plain words.
const SCAN_CODES: [&str; 27] = [
    "reserved",
    "pass",
    "drive_in",
    "repeated",
    "paid",
    "on_account",
    "credential_unknown",
    "token_invalid",
    "token_expired",
    "wrong_lot",
    "too_early",
    "too_late",
    "not_confirmed",
    "hold_expired",
    "cancelled",
    "already_inside",
    "already_used",
    "plate_inside",
    "plate_elsewhere",
    "confidence_too_low",
    "not_entitled",
    "pass_not_valid",
    "lot_full",
    "lot_closed",
    "payment_required",
    "not_inside",
    "already_left",
];
/// Kinds of a fee's lines.
const LINE_KINDS: [&str; 12] = [
    "base",
    "demand",
    "cap",
    "overstay",
    "penalty",
    "lost_ticket",
    "extra",
    "pass",
    "discount",
    "tax",
    "service_fee",
    "rounding",
];

/// What the engine finds by itself.
const VIOLATION_KINDS: [&str; 4] = ["overstay", "no_session", "wrong_slot_type", "expired_pass"];

/// A lot with as many slots on each of two levels: `A-1`... on level 1 (the first for electric cars), `B-1`... .
fn market(slots_per_level: usize) -> Value {
    let slots = |prefix: &str, zone: &str| -> Vec<Value> {
        let code = |n| format!("{prefix}-{n}");
        (1..=slots_per_level).map(|n| json!({"code": code(n), "zone": zone})).collect()
    };
    let mut slots = [slots("A", "level-1"), slots("B", "level-2")].concat();
    slots[0]["features"] = json!(["ev"]);
    json!({"code": "L1", "name": "Market Street", "kind": "bayed", "slots": slots, "zones": [
        {"code": "level-1", "name": "Level 1", "level": 1},
        {"code": "level-2", "name": "Level 2", "level": 2},
    ]})
}

/// A server with `lots`.
async fn server_with(lots: &[Value]) -> Server {
    let server = Server::start().await;
    for lot in lots {
        server.post(Role::Operator, "/api/v1/lots", lot).await.expect(201);
    }
    server
}

/// What the sensors of these slots of `L1` say, sent as a device does.
async fn sense(server: &Server, slots: impl IntoIterator<Item = String>, occupied: bool) {
    let reading = |slot: String| json!({"slot": slot, "occupied": occupied});
    let readings: Vec<Value> = slots.into_iter().map(reading).collect();
    let body = json!({"readings": readings});
    let answer = server.post(Role::Device, "/api/v1/lots/L1/readings", &body).await;
    assert_eq!(answer.expect(200)["refused"], json!([]));
}

/// The codes of slots: `A-1`, `A-2`, ...
fn codes(prefix: &str, numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|n| format!("{prefix}-{n}")).collect()
}

/// Promises a slot of `L1` for an hour that begins soon.
async fn reserve(server: &Server, slot: &str) {
    let at = |minutes| Timestamp::now() + SignedDuration::from_mins(minutes);
    let wanted = json!({"lot": "L1", "slot": slot, "from": at(5), "to": at(65)});
    server.post(Role::Operator, "/api/v1/reservations", &wanted).await.expect(201);
}

fn sign_url(server: &Server, lot: &str, options: &str) -> String {
    server.url(&format!("/sign/default/{lot}#token={}{options}", token(Role::Display)))
}

/// A stay at this lot costs 5.00, however long.
async fn flat_tariff(server: &Server, lot: &str) {
    let tariff = json!({"tariff": {"name": "Flat", "valid_from": "2026-01-01T00:00:00Z", "rate": {"flat": {"amount": 500}}}});
    let path = format!("/api/v1/lots/{lot}/tariffs");
    server.post(Role::Operator, &path, &tariff).await.expect(201);
}

fn book_url(server: &Server, options: &str) -> String {
    server.url(&format!("/book#token={}&lang=en{options}", token(Role::Driver)))
}

fn scan_url(server: &Server, options: &str) -> String {
    server.url(&format!("/scan#token={}&lang=en{options}", token(Role::Staff)))
}

fn console_url(server: &Server, role: Role) -> String {
    server.url(&format!("/console#token={}", token(role)))
}

#[tokio::test(flavor = "multi_thread")]
async fn docs_list_the_operations_and_try_one() {
    let Some(page) = Browser::start().await else { return };
    let server = server_with(&[market(2)]).await;
    page.open(&server.url("/docs")).await;
    page.until("document.querySelectorAll('#operations details').length").await;
    let described = server.get(Role::Display, "/openapi.json").await.expect(200);
    let paths = described["paths"].as_object().unwrap();
    let verbs = ["get", "post", "put", "patch", "delete"];
    let operations: usize = paths
        .values()
        .map(|item| verbs.iter().filter(|verb| item.get(**verb).is_some()).count())
        .sum();
    let listed = page.js("return document.querySelectorAll('#operations details').length").await;
    assert_eq!(listed, operations);
    assert_eq!(page.js("return document.querySelectorAll('#index a').length").await, operations);

    page.click("#token").await;
    page.keys(&token(Role::Display)).await;
    page.click("#token-form button").await;
    page.shows("#token-state", "in use: display").await;
    // By its path, as a person finds it.
    page.js("const of = [...document.querySelectorAll('#operations details')].find((card) =>
            card.querySelector('.verb').textContent === 'GET'
            && card.querySelector('.path').textContent === '/api/v1/lots/{lot}');
        of.open = true; of.dataset.tried = '';")
        .await;
    page.click("[data-tried] .field input").await;
    page.keys("L1").await;
    page.click("[data-tried] button.primary").await;
    let answer = page.until("document.querySelector('[data-tried] pre')?.textContent").await;
    let answer = answer.as_str().unwrap();
    assert!(answer.contains("\"name\": \"Market Street\""), "{answer}");
    assert!(answer.starts_with("GET /api/v1/lots/L1\n"), "{answer}");
    server.stop().await;
}

#[test]
fn every_language_has_words_for_everything_the_server_says() {
    let read = |path: &str| -> Value {
        let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let schemas = read("../docs/asyncapi.json")["components"]["schemas"].take();
    let mut wanted: Vec<String> =
        ["consistent", "above_capacity", "below_zero", "never_counted", "silent"]
            .map(|condition| format!("condition.{condition}"))
            .to_vec();
    for (schema, group) in
        [("ChangeKind", "type"), ("Status", "status"), ("Sensor", "sensor"), ("Size", "size")]
    {
        let values = schemas[schema]["enum"].as_array().unwrap();
        wanted.extend(values.iter().map(|value| format!("{group}.{}", value.as_str().unwrap())));
    }
    wanted.extend(
        SCAN_CODES.iter().flat_map(|code| [format!("code.{code}"), format!("next.{code}")]),
    );
    wanted.extend(LINE_KINDS.iter().map(|kind| format!("line.{kind}")));
    let described = read("../docs/openapi.json")["components"]["schemas"].take();
    for (schema, group) in [
        ("SessionState", "stay"),
        ("OriginName", "origin"),
        ("ViolationState", "violation_state"),
        ("Severity", "severity"),
        ("Decision", "scan"),
        ("Direction", "scan"),
    ] {
        let values = described[schema]["enum"].as_array().unwrap();
        wanted.extend(values.iter().map(|value| format!("{group}.{}", value.as_str().unwrap())));
    }
    wanted.extend(VIOLATION_KINDS.iter().map(|kind| format!("violation.{kind}")));
    let all = |language: &str| {
        ["texts", "stay", "gate", "desk"]
            .map(|name| read(&format!("assets/{name}.{language}.json")))
    };
    let english = all("en");
    for language in LANGUAGES {
        let catalogues = all(language);
        let keys =
            |texts: &Value| texts.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(catalogues.each_ref().map(keys), english.each_ref().map(keys), "{language}");
        let said = |key: &&String| catalogues.iter().any(|texts| texts[key.as_str()].is_string());
        let missing: Vec<_> = wanted.iter().filter(|key| !said(key)).collect();
        assert!(missing.is_empty(), "{language}: {missing:?}");
    }
}
