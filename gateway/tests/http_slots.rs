//! Are slots shown, found and changed as the contract says?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::Server;
use http_common::{column, created, etag, minutes, reading, send_with, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

/// Zone `z1` with A-1 (ev), A-2; zone `z2` with B-1 (ev, large); B-2 in no zone.
async fn lot() -> Server {
    let server = Server::start().await;
    let lot = json!({
        "code": "L1", "name": "n", "kind": "bayed", "zones": [{"code": "z1"}, {"code": "z2"}],
        "slots": [
            {"code": "A-1", "zone": "z1", "features": ["ev"]}, {"code": "A-2", "zone": "z1"},
            {"code": "B-1", "zone": "z2", "features": ["ev"], "size": "large"}, {"code": "B-2"},
        ],
    });
    created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
    let readings =
        json!({"readings": [reading("A-1", true), reading("A-2", false), reading("B-1", false)]});
    server.post(Role::Device, "/api/v1/lots/L1/readings", &readings).await.expect(200);
    server
}

async fn slots(server: &Server, query: &str) -> Value {
    server.get(Role::Display, &format!("/api/v1/lots/L1/slots?{query}")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_find_the_slots_they_name() {
    let server = lot().await;
    for (query, codes) in [
        ("", &["A-1", "A-2", "B-1", "B-2"][..]),
        ("status=free", &["A-2", "B-1"]),
        ("status=occupied,unknown", &["A-1", "B-2"]),
        ("zone=z1", &["A-1", "A-2"]),
        ("zone=z9", &[]),
        ("feature=ev", &["A-1", "B-1"]),
        ("feature=ev&status=free", &["B-1"]),
    ] {
        assert_eq!(column(&slots(&server, query).await, "code"), codes, "{query}");
    }
    let first = slots(&server, "limit=3").await;
    let next = first["next_cursor"].as_str().unwrap();
    let second = slots(&server, &format!("limit=3&cursor={next}")).await;
    assert_eq!(column(&second, "code"), ["B-2"]);
    assert!(second.get("next_cursor").is_none());
    assert!(slots(&server, "limit=4").await.get("next_cursor").is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_shows_what_was_heard_of_it() {
    let server = lot().await;
    let at = minutes(-1);
    let body = json!({"readings": [{"slot": "A-2", "occupied": true, "confidence": 0.9}]});
    server.post(Role::Staff, "/api/v1/lots/L1/readings", &body).await.expect(200);
    let slot = server.get(Role::Display, "/api/v1/lots/L1/slots/A-2").await.expect(200);
    assert_eq!((&slot["status"], &slot["source"]), (&json!("occupied"), &json!("staff")));
    assert_eq!((&slot["confidence"], &slot["sensor"]), (&json!(0.9), &json!("good")));
    assert_eq!((&slot["zone"], &slot["lot"]), (&json!("z1"), &json!("L1")));
    assert_eq!(slot["service"], json!({"state": "in_service"}));
    assert!(slot["observed_at"].as_str().unwrap() > at.as_str());
    let by_id = format!("/api/v1/lots/L1/slots/{}", slot["id"].as_str().unwrap());
    assert_eq!(server.get(Role::Display, &by_id).await.expect(200)["code"], "A-2");
    let unheard = server.get(Role::Display, "/api/v1/lots/L1/slots/B-2").await.expect(200);
    assert_eq!(
        (&unheard["status"], &unheard["sensor"]),
        (&json!("unknown"), &json!("never_heard"))
    );
    for member in ["since", "observed_at", "received_at", "source", "zone", "reservation"] {
        assert!(unheard.get(member).is_none(), "{member}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_slot_is_out_of_service_until_it_is_opened() {
    let server = lot().await;
    let path = "/api/v1/lots/L1/slots/A-2";
    let until = minutes(60);
    let closed =
        json!({"service": {"state": "out_of_service", "reason": "cleaning", "until": until}});
    let answer = server.patch(Role::Operator, path, &closed).await;
    let slot = answer.expect(200);
    assert_eq!((&slot["status"], etag(&answer)), (&json!("out_of_service"), "\"1\""));
    assert_eq!(slot["service"], closed["service"]);
    let counts = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    assert_eq!((counts["out_of_service"].as_u64(), counts["free"].as_u64()), (Some(1), Some(1)));
    let book = json!({"lot": "L1", "slot": "A-2", "from": minutes(1), "to": minutes(30)});
    let refused = server.post(Role::Driver, "/api/v1/reservations", &book).await;
    assert_eq!(refused.code(), "slot_out_of_service");
    let opened = json!({"service": {"state": "in_service"}});
    let slot = server.patch(Role::Operator, path, &opened).await.expect(200);
    assert_eq!((&slot["status"], slot["version"].as_u64()), (&json!("free"), Some(2)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_change_and_move_between_groups() {
    let server = lot().await;
    let path = "/api/v1/lots/L1/slots/B-2";
    let body = json!({
        "zone": "z2", "size": "large", "features": ["ev", "covered"], "vehicle_types": ["taxi"], "walk_metres": 70,
    });
    let slot = server.patch(Role::Operator, path, &body).await.expect(200);
    for member in ["zone", "size", "features", "vehicle_types", "walk_metres"] {
        assert_eq!(slot[member], body[member], "{member}");
    }
    let counts = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    assert_eq!(counts["by_zone"]["z2"]["capacity"], 2);
    assert_eq!(counts["by_type"]["covered"]["unknown"], 1);
    let body = json!({"zone": null, "vehicle_types": [], "walk_metres": null});
    let slot = server.patch(Role::Operator, path, &body).await.expect(200);
    for member in ["zone", "vehicle_types", "walk_metres"] {
        assert!(slot.get(member).is_none(), "{member}");
    }
    for (body, pointer) in [
        (json!({"zone": "z9"}), "/zone"),
        (json!({"features": ["e v"]}), "/features/0"),
        (json!({"features": ["large"]}), "/features/0"),
        (json!({"vehicle_types": ["a", "b c"]}), "/vehicle_types/1"),
        (json!({"service": {"state": "in_service", "reason": "why"}}), "/service"),
    ] {
        let refused = server.patch(Role::Operator, path, &body).await;
        assert_eq!(refused.code(), "validation_failed");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_of_an_old_version_is_refused() {
    let server = with_lot(1).await;
    let path = "/api/v1/lots/L1/slots/A-1";
    for (if_match, size, status) in
        [("\"0\"", "large", 200), ("\"0\"", "compact", 412), ("\"1\"", "compact", 200)]
    {
        let headers = [("if-match", if_match)];
        let body = json!({"size": size});
        let answer = send_with(&server, Method::PATCH, path, &headers, Some(&body)).await;
        assert_eq!(answer.status, status, "{if_match}: {}", answer.text);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_open_slots_of_a_window_are_those_nobody_was_promised() {
    let server = lot().await;
    let (from, to) = (minutes(60), minutes(120));
    let path = |more: &str| format!("/api/v1/lots/L1/availability?from={from}&to={to}{more}");
    let book = json!({"lot": "L1", "slot": "A-2", "from": minutes(90), "to": minutes(100)});
    server.post(Role::Driver, "/api/v1/reservations", &book).await.expect(201);
    let slot = server.get(Role::Display, "/api/v1/lots/L1/slots/A-2").await.expect(200);
    assert_eq!((&slot["reservation"]["from"], &slot["status"]), (&book["from"], &json!("free")));
    for (more, open, codes) in [
        ("", 3, json!(["A-1", "B-1", "B-2"])),
        ("&limit=2", 3, json!(["A-1", "B-1"])),
        ("&zone=z1", 1, json!(["A-1"])),
        ("&features=ev&vehicle_size=large", 1, json!(["B-1"])),
        ("&features=helipad", 0, json!([])),
    ] {
        let answer = server.get(Role::Driver, &path(more)).await.expect(200);
        assert_eq!((answer["open"].as_u64(), &answer["slots"]), (Some(open), &codes), "{more}");
    }
    server.stop().await;
}
