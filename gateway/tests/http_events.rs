//! Does the log tell all that happened, once, in order, and only to those who may read it?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Process, Server, token, token_of};
use http_common::{bayed, column, created, minutes, reading, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

/// Lots L1 and L2; three readings, a closure and a reservation made, moved and cancelled.
async fn busy_lot() -> Server {
    let server = with_lot(2).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await);
    // One by one: readings of different slots in one batch have no order among themselves.
    for (slot, occupied) in [("A-1", true), ("A-2", false), ("A-1", false)] {
        let body = json!({"readings": [reading(slot, occupied)]});
        server.post(Role::Device, "/api/v1/lots/L1/readings", &body).await.expect(200);
    }
    let closed = json!({"service": {"state": "out_of_service", "reason": "cleaning"}});
    server.patch(Role::Operator, "/api/v1/lots/L1/slots/A-2", &closed).await.expect(200);
    let ann = token_of(Role::Driver, "ann");
    let body = json!({"lot": "L1", "slot": "A-1", "from": minutes(60), "to": minutes(90), "hold_seconds": 600, "vehicle": {"plate": "X 1"}});
    let path = "/api/v1/reservations";
    let made = server.send(Method::POST, path, Some(&ann), Some(&body)).await.expect(201);
    let path = format!("{path}/{}", made["id"].as_str().unwrap());
    let moved = json!({"to": minutes(100)});
    server.send(Method::PATCH, &path, Some(&ann), Some(&moved)).await.expect(200);
    let reason = json!({"reason": "rain"});
    server
        .send(Method::POST, &format!("{path}/cancel"), Some(&ann), Some(&reason))
        .await
        .expect(200);
    server
}

async fn events(server: &Server, query: &str) -> Value {
    server.get(Role::Operator, &format!("/api/v1/events?{query}")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_what_happened_in_order() {
    let server = busy_lot().await;
    let page = events(&server, "lot=L1").await;
    assert_eq!(
        column(&page, "type"),
        [
            "lot.created",
            "slot.occupied",
            "slot.vacated",
            "slot.vacated",
            "slot.changed",
            "reservation.held",
            "reservation.modified",
            "reservation.cancelled",
        ]
    );
    let items = page["items"].as_array().unwrap();
    let lot_seqs: Vec<u64> = items.iter().map(|item| item["lot_seq"].as_u64().unwrap()).collect();
    assert_eq!(lot_seqs, (1..=8).collect::<Vec<u64>>(), "no gap, no repetition");
    assert_eq!(items[0]["entity"], "lots/L1");
    assert_eq!(
        (&items[4]["entity"], &items[4]["data"]["service"]["reason"]),
        (&json!("slots/A-2"), &json!("cleaning"))
    );
    let held = &items[5];
    assert_eq!((&held["entity"], &held["data"]["slot"]), (&json!("slots/A-1"), &json!("A-1")));
    for pseudonym in ["holder", "vehicle", "reservation"] {
        let text = held["data"][pseudonym].as_str().unwrap();
        assert!(uuid::Uuid::try_parse(text).is_ok(), "{pseudonym}");
    }
    assert_eq!(items[7]["data"]["reason"], "rain");
    server.stop().await;
}

/// A camera writes a plate in one word, people do not; a country has several codes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vehicle_has_one_pseudonym_however_it_is_spelled() {
    let server = with_lot(1).await;
    let ann = token_of(Role::Driver, "ann");
    let mut shown = Vec::new();
    for (hour, plate, country) in [
        (1, "B-XY 123", "D"),
        (2, "bxy123", "DE"),
        (3, "B XY\u{2013}123", "deu"),
        (4, "B-XY 124", "D"),
        (5, "B-XY 123", "A"),
    ] {
        let (from, to) = (minutes(hour * 60), minutes(hour * 60 + 30));
        let vehicle = json!({"plate": plate, "country": country});
        let body = json!({"lot": "L1", "slot": "A-1", "from": from, "to": to, "vehicle": vehicle});
        let path = "/api/v1/reservations";
        let made = server.send(Method::POST, path, Some(&ann), Some(&body)).await.expect(201);
        let path = format!("{path}/{}", made["id"].as_str().unwrap());
        let again = server.send(Method::GET, &path, Some(&ann), None).await.expect(200);
        shown.push(again["vehicle"].clone());
    }
    let page = events(&server, "lot=L1").await;
    let items = page["items"].as_array().unwrap().iter();
    let vehicles: Vec<&Value> =
        items.map(|item| &item["data"]["vehicle"]).filter(|vehicle| vehicle.is_string()).collect();
    let [first, second, third, another, abroad] = vehicles[..] else { panic!("{page}") };
    assert_eq!((first, first), (second, third));
    assert!(another != first && abroad != first && abroad != another);
    let written = json!({"plate": "B-XY 123", "country": "D"});
    assert_eq!(shown[..3], vec![written; 3], "as it was written first");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_find_the_events_they_name() {
    let server = busy_lot().await;
    let all = events(&server, "").await;
    let made =
        all["items"].as_array().unwrap().iter().find(|item| item["type"] == "reservation.held");
    let id = made.unwrap()["data"]["reservation"].as_str().unwrap();
    let about = format!("entity=reservations/{id}");
    let soon = format!("from={}", minutes(1));
    let past = format!("from={}&lot=L1", minutes(-60));
    for (query, count) in [
        ("", 9),
        ("lot=L2", 1),
        ("type=slot.occupied,slot.vacated", 3),
        ("type=reservation.held&lot=L2", 0),
        ("entity=slots/A-2", 2),
        ("entity=lots/L1", 1),
        (about.as_str(), 3),
        (soon.as_str(), 0),
        (past.as_str(), 8),
        ("lot=L1&after_seq=6", 2),
        ("after_seq=8", 1),
        ("after_seq=99", 0),
        ("limit=500", 9),
    ] {
        let page = events(&server, query).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}: {page}");
    }
    for (query, code) in [
        ("type=slot.exploded", "malformed_request"),
        ("entity=cars/1", "malformed_request"),
        ("cursor=00", "malformed_cursor"),
        ("lot=L9", "lot_not_found"),
    ] {
        let answer = server.get(Role::Operator, &format!("/api/v1/events?{query}")).await;
        assert_eq!(answer.code(), code, "{query}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_join_without_gap_or_repetition() {
    let server = busy_lot().await;
    for (query, wanted) in [
        ("limit=2", (1..=9).collect::<Vec<u64>>()),
        ("limit=3&lot=L1", vec![1, 3, 4, 5, 6, 7, 8, 9]),
        ("limit=1&type=slot.vacated", vec![4, 5]),
    ] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = events(&server, &format!("{query}{cursor}")).await;
            let items = page["items"].as_array().unwrap();
            seen.extend(items.iter().map(|item| item["seq"].as_u64().unwrap()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, wanted, "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_log_is_the_same_after_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let operator = token(Role::Operator);
    let first = Process::start(data.path());
    let lot = bayed("L1", 2);
    first.send(Method::POST, "/api/v1/lots", Some(&operator), Some(&lot)).await.expect(201);
    for occupied in [true, false, true] {
        let body = json!({"readings": [reading("A-1", occupied)]});
        let path = "/api/v1/lots/L1/readings";
        first.send(Method::POST, path, Some(&operator), Some(&body)).await.expect(200);
    }
    let path = "/api/v1/events";
    let before = first.send(Method::GET, path, Some(&operator), None).await.expect(200);
    assert_eq!(before["items"].as_array().unwrap().len(), 4);
    first.kill();
    let second = Process::start(data.path());
    assert_eq!(second.send(Method::GET, path, Some(&operator), None).await.expect(200), before);
    assert_eq!(second.stop(), Some(0));
}
