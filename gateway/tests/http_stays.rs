//! The whole life of a vehicle over HTTP: booked or not, in, paid, out, and what everybody sees of it.

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Answer, Server, token_of};
use http_common::{bayed, counted, created, etag, minutes, send_with, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const SCANS: &str = "/api/v1/scans";
const RESERVATIONS: &str = "/api/v1/reservations";

/// Two euros for every hour begun, a penalty, and half of a price back a day before.
fn tariff() -> Value {
    json!({
        "tariff": {
            "name": "Centre",
            "valid_from": "2026-01-01T00:00:00Z",
            "rate": {"hourly": {"tiers": [{"amount": 200, "begun": true}]}},
            "lost_ticket": {"amount": 2_000, "instead": false},
            "discounts": [{"code": "SHOP", "share_bp": 1_000}],
            "cancellation": {"steps": [{"before_seconds": 86_400, "refund_bp": 5_000}]},
        }
    })
}

async fn with_tariff(lot: &Value) -> Server {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    created(&server.post(Role::Operator, "/api/v1/lots", lot).await);
    let path = format!("/api/v1/lots/{}/tariffs", lot["code"].as_str().unwrap());
    created(&server.post(Role::Operator, &path, &tariff()).await);
    server
}

async fn scan(server: &Server, direction: &str, credential: &Value) -> Value {
    // Whoever comes in has been there for a while.
    let observed_at = minutes(if direction == "entry" { -30 } else { 0 });
    let body = json!({
        "lot": "L1", "gate": "north", "direction": direction, "credential": credential,
        "observed_at": observed_at,
    });
    server.post(Role::Device, SCANS, &body).await.expect(200)
}

fn code_of(answer: &Value) -> (&str, &str) {
    (answer["decision"].as_str().unwrap(), answer["code"].as_str().unwrap())
}

async fn book(server: &Server, who: &str, body: &Value) -> Answer {
    let token = token_of(Role::Driver, who);
    server.send(Method::POST, RESERVATIONS, Some(&token), Some(body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drive_in_takes_a_ticket_pays_and_leaves() {
    let server = with_tariff(&bayed("L1", 1)).await;
    let entered = scan(&server, "entry", &json!({})).await;
    assert_eq!(code_of(&entered), ("open", "drive_in"));
    let (ticket, qr) = (entered["ticket"].as_str().unwrap(), entered["qr"].as_str().unwrap());
    assert_eq!(entered["session"]["reference"], ticket);
    assert_eq!(entered["session"]["slot"], "A-1");
    let slot = server.get(Role::Display, "/api/v1/lots/L1/slots/A-1").await.expect(200);
    assert_eq!(slot["status"], "occupied", "no sensor says otherwise");
    // The lot is full, and the ticket opens no gate inwards.
    assert_eq!(code_of(&scan(&server, "entry", &json!({})).await), ("deny", "lot_full"));
    let again = scan(&server, "entry", &json!({"qr": qr})).await;
    assert_eq!(code_of(&again), ("deny", "already_inside"));

    let owing = scan(&server, "exit", &json!({"ticket": ticket.to_lowercase()})).await;
    assert_eq!(code_of(&owing), ("deny", "payment_required"));
    assert_eq!(owing["due"], json!({"amount": 200, "currency": "EUR"}));
    let id = entered["session"]["id"].as_str().unwrap();
    let path = format!("/api/v1/sessions/{id}/payments");
    let too_much = json!({"method": "cash", "amount": {"amount": 201, "currency": "EUR"}});
    let refused = server.post(Role::Staff, &path, &too_much).await;
    assert_eq!(refused.code(), "amount_not_owed");
    let paid = server.post(Role::Staff, &path, &json!({"method": "cash", "shift": "s1"})).await;
    let payment = paid.expect(201);
    assert_eq!(
        (&payment["state"], &payment["amount"]["amount"]),
        (&json!("captured"), &json!(200))
    );
    assert_eq!(
        server.post(Role::Staff, &path, &json!({"method": "cash"})).await.code(),
        "nothing_owed"
    );
    let left = scan(&server, "exit", &json!({"qr": qr})).await;
    assert_eq!(code_of(&left), ("open", "paid"));
    assert_eq!(left["session"]["fee"]["total"]["amount"], 200);
    assert_eq!(left["session"]["due"]["amount"], 0);
    assert_eq!(code_of(&scan(&server, "exit", &json!({"qr": qr})).await), ("deny", "already_left"));
    let ledger = server.get(Role::Operator, "/api/v1/lots/L1/ledger").await.expect(200);
    assert_eq!(
        (&ledger["balanced"], &ledger["balances"]),
        (
            &json!(true),
            &json!([
                {"account": "received:cash", "balance": {"amount": 200, "currency": "EUR"}},
                {"account": "revenue", "balance": {"amount": -200, "currency": "EUR"}},
            ])
        )
    );
    let slot = server.get(Role::Display, "/api/v1/lots/L1/slots/A-1").await.expect(200);
    assert_eq!(slot["status"], "unknown");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_opens_the_gates_by_its_code_and_by_its_plate() {
    let server = with_tariff(&bayed("L1", 3)).await;
    let window = |from: i64, to: i64, plate: &str| {
        // The end first: a second between the two makes the window shorter, and begins no further hour.
        let (to, from) = (minutes(to), minutes(from));
        json!({
            "lot": "L1", "from": from, "to": to, "discounts": ["SHOP"],
            "vehicle": {"plate": plate, "country": "D"},
        })
    };
    let booked = book(&server, "ann", &window(-3, 117, "B-XY 123")).await.expect(201);
    assert_eq!(booked["price"]["total"]["amount"], 360, "two hours less a tenth");
    assert_eq!(
        booked["payment"],
        json!({"state": "pending", "due": {"amount": 360, "currency": "EUR"}})
    );
    let unknown = json!({"discounts": ["NONE"], "lot": "L1", "from": minutes(5), "to": minutes(9)});
    assert_eq!(book(&server, "ann", &unknown).await.code(), "discount_unknown");
    let qr = booked["qr"].as_str().unwrap();
    let picture = format!("{RESERVATIONS}/{}/qr", booked["id"].as_str().unwrap());
    let token = token_of(Role::Driver, "ann");
    let answer = server.request(Method::GET, &picture).bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "image/svg+xml");

    let entered = scan(&server, "entry", &json!({"qr": qr})).await;
    assert_eq!(code_of(&entered), ("open", "reserved"));
    assert_eq!(entered["session"]["vehicle"], json!({"plate": "B-XY 123", "country": "D"}));
    let again = scan(&server, "entry", &json!({"qr": qr})).await;
    assert_eq!(code_of(&again), ("deny", "already_inside"));
    // However the plate is spelled, it is inside.
    let plate = scan(&server, "entry", &json!({"plate": "bxy123", "country": "DE"})).await;
    assert_eq!(code_of(&plate), ("open", "repeated"), "the camera of the gate where it came in");
    let south = json!({
        "lot": "L1", "gate": "south", "direction": "entry",
        "credential": {"plate": "bxy123", "country": "DE"},
    });
    let plate = server.post(Role::Device, SCANS, &south).await.expect(200);
    assert_eq!(code_of(&plate), ("deny", "plate_inside"));
    let shown = format!("{RESERVATIONS}/{}", booked["id"].as_str().unwrap());
    let shown = server.get(Role::Staff, &shown).await.expect(200);
    assert_eq!(shown["state"], "checked_in");

    let leaving = scan(&server, "exit", &json!({"plate": "BXY123", "country": "D"})).await;
    assert_eq!(code_of(&leaving), ("deny", "payment_required"));
    assert_eq!(leaving["due"]["amount"], 360, "what was booked binds");
    let pay = format!("{RESERVATIONS}/{}/payments", booked["id"].as_str().unwrap());
    created(&server.post(Role::Staff, &pay, &json!({"method": "terminal"})).await);
    let left = scan(&server, "exit", &json!({"plate": "BXY123", "country": "D"})).await;
    assert_eq!(code_of(&left), ("open", "paid"));
    assert_eq!(left["reservation"], booked["id"]);
    let again = scan(&server, "exit", &json!({"plate": "BXY123", "country": "D"})).await;
    assert_eq!(code_of(&again), ("open", "repeated"), "the camera looks once more");
    let back = scan(&server, "entry", &json!({"qr": qr})).await;
    assert_eq!(code_of(&back), ("deny", "already_used"));

    let later = book(&server, "ann", &window(300, 360, "B-XY 9")).await.expect(201);
    let early = scan(&server, "entry", &json!({"qr": later["qr"]})).await;
    assert_eq!(code_of(&early), ("deny", "too_early"));
    let opens: jiff::Timestamp = early["not_before"].as_str().unwrap().parse().unwrap();
    let begins: jiff::Timestamp = later["from"].as_str().unwrap().parse().unwrap();
    assert_eq!(begins.duration_since(opens), jiff::SignedDuration::from_mins(30));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_of_a_scan_gets_the_first_answer() {
    let server = with_lot(2).await;
    let id = "0199a7f2-c0de-7000-8000-000000000001";
    let body = json!({
        "id": id, "lot": "L1", "gate": "n", "direction": "entry",
        "credential": {"plate": "B-XY 1", "country": "D"},
    });
    let first = server.post(Role::Device, SCANS, &body).await.expect(200);
    let again = server.post(Role::Device, SCANS, &body).await.expect(200);
    assert_eq!(first, again);
    assert_eq!((code_of(&first), &first["session"]["id"]), (("open", "drive_in"), &json!(id)));
    let other = json!({"lot": "L1", "direction": "entry", "id": id, "credential": {}});
    assert_eq!(server.post(Role::Device, SCANS, &other).await.code(), "idempotency_key_reused");
    // A trial has no effect and takes no id.
    let trial =
        json!({"lot": "L1", "direction": "exit", "credential": {"plate": "BXY1"}, "dry_run": true});
    let tried = server.post(Role::Staff, SCANS, &trial).await.expect(200);
    assert_eq!(code_of(&tried), ("open", "paid"), "no tariff, no fee");
    let sessions = server.get(Role::Staff, "/api/v1/sessions?state=inside").await.expect(200);
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_others_and_of_another_lot_are_told_apart() {
    let server = with_lot(1).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await);
    let booked = json!({"lot": "L2", "from": minutes(1), "to": minutes(60)});
    let booked = book(&server, "ann", &booked).await.expect(201);
    for (credential, code) in [
        (json!({"qr": booked["qr"]}), "wrong_lot"),
        (json!({"qr": "HTTPS://EXAMPLE.ORG"}), "token_invalid"),
        (json!({"ticket": "4K7T-9X2D"}), "credential_unknown"),
        (json!({"ticket": "nonsense"}), "credential_unknown"),
    ] {
        let denied = scan(&server, "entry", &credential).await;
        assert_eq!(code_of(&denied), ("deny", code), "{credential}");
        assert!(denied["detail"].as_str().unwrap().len() > 10);
    }
    let unsure = json!({
        "lot": "L1", "direction": "entry", "credential": {"plate": "B1"}, "confidence": 0.5
    });
    let unsure = server.post(Role::Device, SCANS, &unsure).await.expect(200);
    assert_eq!(code_of(&unsure), ("deny", "confidence_too_low"));
    let denied = server.get(Role::Operator, "/api/v1/events?type=scan.denied").await.expect(200);
    assert_eq!(denied["items"].as_array().unwrap().len(), 5, "the gate's story is whole");
    let two = json!({"lot": "L1", "direction": "entry", "credential": {"qr": "a", "plate": "b"}});
    let refused = server.post(Role::Device, SCANS, &two).await;
    assert_eq!(refused.code(), "validation_failed");
    let driver = server.post(Role::Driver, SCANS, &json!({})).await;
    assert_eq!(driver.code(), "role_not_allowed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_find_and_correct_a_stay() {
    let server = with_tariff(&bayed("L1", 2)).await;
    let entered = scan(&server, "entry", &json!({"plate": "B-XY 1", "country": "D"})).await;
    let id = entered["session"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/sessions/{id}");
    for query in ["plate=bxy1", "state=inside,overstaying", "lot=L1", "plate=B-XY%201&country=DE"] {
        let found = server.get(Role::Staff, &format!("/api/v1/sessions?{query}")).await.expect(200);
        assert_eq!(found["items"][0]["id"], id, "{query}");
    }
    for query in ["plate=BXY2", "state=left", "ticket=4K7T-9X2C", "to=2020-01-01T00:00:00Z"] {
        let found = server.get(Role::Staff, &format!("/api/v1/sessions?{query}")).await;
        let is_none = found.status == 400 || found.expect(200)["items"] == json!([]);
        assert!(is_none, "{query}");
    }
    let shown = server.get(Role::Staff, &path).await;
    let tag = etag(&shown).to_owned();
    let moved = json!({"slot": "A-2"});
    let patch = |tag: String, body: Value| {
        let (server, path) = (&server, &path);
        async move { send_with(server, Method::PATCH, path, &[("if-match", &tag)], Some(&body)).await }
    };
    let moved = patch(tag.clone(), moved).await;
    assert_eq!(moved.expect(200)["slot"], "A-2");
    let stale = patch(tag, json!({"slot": "A-1"})).await;
    assert_eq!(stale.code(), "version_mismatch");
    let right = json!({"vehicle": {"plate": "B-XY 7", "country": "D"}});
    let right = patch(etag(&moved).to_owned(), right).await;
    assert_eq!(right.expect(200)["vehicle"]["plate"], "B-XY 7");
    let lost = patch("*".to_owned(), json!({"ticket_lost": true})).await.expect(200);
    assert_eq!((&lost["ticket_lost"], &lost["due"]["amount"]), (&json!(true), &json!(2_200)));
    let out = server.post(Role::Staff, &format!("{path}/exit"), &json!({})).await.expect(200);
    assert_eq!((&out["state"], &out["due"]["amount"]), (&json!("left"), &json!(2_200)));
    let again = server.post(Role::Staff, &format!("{path}/exit"), &json!({})).await.expect(200);
    assert_eq!(again["left_at"], out["left_at"]);
    let token = token_of(Role::Driver, "eve");
    let foreign = server.send(Method::GET, &path, Some(&token), None).await;
    assert_eq!(foreign.code(), "session_not_found");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_count_where_a_lot_has_no_other_counter() {
    let server = Server::start().await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("L1", 1)).await);
    let entered = scan(&server, "entry", &json!({})).await;
    assert_eq!(code_of(&entered), ("open", "drive_in"));
    let now = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    assert_eq!((&now["free"], &now["occupied"]), (&json!(0), &json!(1)));
    assert_eq!(code_of(&scan(&server, "entry", &json!({})).await), ("deny", "lot_full"));
    let ticket = entered["ticket"].as_str().unwrap();
    let left = scan(&server, "exit", &json!({"ticket": ticket})).await;
    assert_eq!(code_of(&left), ("open", "paid"));
    assert_eq!(code_of(&scan(&server, "entry", &json!({})).await), ("open", "drive_in"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_is_the_price_of_the_booking_and_binds_over_a_new_version() {
    let server = with_tariff(&bayed("L1", 2)).await;
    // The ends first: a second between makes a window shorter, and begins no further hour.
    let longer = json!({"to": minutes(300)});
    let to = minutes(240);
    let stay = json!({"lot": "L1", "from": minutes(60), "to": to});
    let quoted = server.post(Role::Driver, "/api/v1/quotes", &stay).await.expect(200);
    assert_eq!((&quoted["price"]["total"]["amount"], &quoted["free"]), (&json!(600), &json!(2)));
    let booked = book(&server, "ann", &stay).await.expect(201);
    assert_eq!(booked["price"], quoted["price"]);

    let tariffs = server.get(Role::Operator, "/api/v1/lots/L1/tariffs").await.expect(200);
    let id = tariffs["items"][0]["id"].clone();
    let mut dearer = tariff();
    dearer["tariff"]["id"] = id.clone();
    dearer["tariff"]["rate"]["hourly"]["tiers"][0]["amount"] = json!(500);
    let second = created(&server.post(Role::Operator, "/api/v1/lots/L1/tariffs", &dearer).await);
    assert_eq!((&second["version"], &second["applies_to"]), (&json!(2), &json!([{}])));
    let quoted = server.post(Role::Driver, "/api/v1/quotes", &stay).await.expect(200);
    assert_eq!(quoted["price"]["total"]["amount"], 1_500);
    // Longer by an hour, in the terms of the booking.
    let path = format!("{RESERVATIONS}/{}", booked["id"].as_str().unwrap());
    let token = token_of(Role::Driver, "ann");
    let longer = server.send(Method::PATCH, &path, Some(&token), Some(&longer)).await.expect(200);
    assert_eq!(longer["price"]["total"]["amount"], 800);
    // To another slot, the window as it is; the old one is free again.
    let other = if booked["slot"] == "A-1" { "A-2" } else { "A-1" };
    let moved = json!({"slot": other});
    let moved = server.send(Method::PATCH, &path, Some(&token), Some(&moved)).await.expect(200);
    assert_eq!((&moved["slot"], &moved["price"]), (&json!(other), &longer["price"]));

    let given_up = format!("{path}/cancel");
    let answer = server.send(Method::POST, &given_up, Some(&token), None).await.expect(200);
    assert_eq!(answer["payment"]["due"]["amount"], 800, "too late for the refund");
    let end = format!("/api/v1/lots/L1/tariffs/{}/end", id.as_str().unwrap());
    server.post(Role::Operator, &end, &json!({})).await.expect(200);
    let now = json!({"lot": "L1", "from": minutes(1), "to": minutes(60)});
    let quoted = server.post(Role::Driver, "/api/v1/quotes", &now).await.expect(200);
    assert_eq!(quoted["price"], Value::Null);
    let mut wrong = tariff();
    wrong["tariff"]["rate"]["hourly"]["tiers"] = json!([]);
    wrong["applies_to"] = json!([{"slot": "A-9"}]);
    let refused = server.post(Role::Operator, "/api/v1/lots/L1/tariffs", &wrong).await;
    assert_eq!(refused.code(), "validation_failed");
    assert!(refused.json()["errors"][0]["pointer"].as_str().unwrap().starts_with("/tariff/rate"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_occurrence_of_a_series_is_a_reservation_or_none_is() {
    let server = with_lot(1).await;
    let from = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(2)).unwrap();
    let text = |hours: i64| {
        let at = from + jiff::SignedDuration::from_hours(hours);
        jiff::Timestamp::from_second(at.as_second()).unwrap().to_string()
    };
    let until = (from + jiff::SignedDuration::from_hours(24 * 4)).to_string()[..10].to_owned();
    let series = json!({
        "lot": "L1", "from": text(0), "to": text(1), "repeat": {"every": "day", "until": until}
    });
    let path = format!("{RESERVATIONS}/series");
    let token = token_of(Role::Driver, "ann");
    let post =
        async |body: &Value| server.send(Method::POST, &path, Some(&token), Some(body)).await;
    let made = post(&series).await.expect(201);
    assert_eq!(made["items"].as_array().unwrap().len(), 5);
    assert!(made["items"].as_array().unwrap().iter().all(|item| item["series"] == made["series"]));
    let refused = post(&series).await;
    assert_eq!(refused.code(), "no_slot_free");
    assert!(refused.json()["detail"].as_str().unwrap().starts_with("occurrence 0"));
    // The third is in the way: nothing of the others is booked.
    let third = format!("{RESERVATIONS}/{}/cancel", made["items"][2]["id"].as_str().unwrap());
    server.send(Method::POST, &third, Some(&token), None).await.expect(200);
    let refused = post(&series).await;
    assert_eq!(refused.code(), "no_slot_free");
    let mine = server
        .send(Method::GET, "/api/v1/reservations?mine&state=confirmed", Some(&token), None)
        .await;
    assert_eq!(mine.expect(200)["items"].as_array().unwrap().len(), 4);
    server.stop().await;
}
