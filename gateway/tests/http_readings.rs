//! Do readings and counts say what they did, and does every client see it at once?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Server, token};
use futures_util::future::join_all;
use http_common::{counted, created, minutes, reading, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const READINGS: &str = "/api/v1/lots/L1/readings";

async fn read(server: &Server, readings: Value) -> Value {
    server.post(Role::Device, READINGS, &json!({"readings": readings})).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reading_has_one_outcome() {
    let server = with_lot(3).await;
    let (early, late) = (minutes(-10), minutes(-5));
    let at = |slot: &str, occupied: bool, at: &str| json!({"slot": slot, "occupied": occupied, "observed_at": at});
    let with_id =
        |id: &str| json!({"slot": "A-2", "occupied": true, "observed_at": late, "id": id});
    for (name, readings, wanted) in [
        ("new", json!([at("A-1", true, &late), with_id("r-1")]), [2, 0, 0, 0]),
        ("the same", json!([at("A-1", true, &late), with_id("r-1")]), [0, 0, 2, 0]),
        ("older", json!([at("A-1", false, &early)]), [0, 0, 0, 1]),
        ("newer, unchanged", json!([at("A-1", true, &minutes(-4))]), [0, 1, 0, 0]),
        ("newer, changed", json!([at("A-1", false, &minutes(-3))]), [1, 0, 0, 0]),
        (
            "the same id at another time",
            json!([{"slot": "A-2", "occupied": false, "id": "r-1"}]),
            [0, 0, 1, 0],
        ),
        (
            "one instant, in order of sequence",
            json!([
                {"slot": "A-3", "occupied": true, "observed_at": late, "sequence": 1},
                {"slot": "A-3", "occupied": false, "observed_at": late, "sequence": 2},
                {"slot": "A-3", "occupied": true, "observed_at": late, "sequence": 1},
            ]),
            [2, 0, 0, 1],
        ),
    ] {
        let answer = read(&server, readings).await;
        let outcomes = ["accepted", "unchanged", "duplicate", "late"]
            .map(|name| answer[name].as_u64().unwrap());
        assert_eq!((outcomes, &answer["refused"]), (wanted, &json!([])), "{name}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_batch_is_taken_and_its_sequence_includes_it() {
    let server = with_lot(10_000).await;
    let all: Vec<Value> = (1..=10_000).map(|n| reading(&format!("A-{n}"), n % 2 == 0)).collect();
    let answer = read(&server, json!(all)).await;
    assert_eq!((answer["accepted"].as_u64(), answer["seq"].as_u64()), (Some(10_000), Some(10_001)));
    let counts = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    assert_eq!((counts["free"].as_u64(), counts["occupied"].as_u64()), (Some(5_000), Some(5_000)));
    assert_eq!(counts["seq"], answer["seq"]);
    server.stop().await;
}

/// What one client was told, the next read of any other client shows: the slot, the counts and the sequence.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_answered_is_seen_by_the_next_read_of_anybody() {
    let server = with_lot(16).await;
    let client = |n: usize| {
        let server = &server;
        async move {
            let slot = format!("A-{}", n + 1);
            for round in 0..20 {
                let occupied = round % 2 == 0;
                let told = read(server, json!([reading(&slot, occupied)])).await;
                assert_eq!(told["accepted"], 1);
                let path = format!("/api/v1/lots/L1/slots/{slot}");
                let display = token(Role::Display);
                let other = server.send(Method::GET, &path, Some(&display), None);
                let list = server.get(Role::Staff, "/api/v1/lots/L1/availability");
                let (slot, counts) = tokio::join!(other, list);
                let (slot, counts) = (slot.expect(200), counts.expect(200));
                assert_eq!(slot["status"], if occupied { "occupied" } else { "free" });
                assert!(slot["seq"].as_u64() >= told["seq"].as_u64());
                assert!(counts["seq"].as_u64() >= told["seq"].as_u64());
                let sum: u64 = ["free", "occupied", "held", "unknown", "out_of_service"]
                    .iter()
                    .map(|status| counts[status].as_u64().unwrap())
                    .sum();
                assert_eq!(Some(sum), counts["capacity"].as_u64());
            }
        }
    };
    join_all((0..16).map(client)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_of_a_lot_without_slots_are_refused_one_by_one() {
    let server = with_lot(1).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("P1", 10)).await);
    let body = json!({"readings": [reading("A-1", true)]});
    let answer = server.post(Role::Device, "/api/v1/lots/P1/readings", &body).await.expect(200);
    assert_eq!(answer["refused"], json!([{"index": 0, "code": "lot_not_bayed"}]));
    assert_eq!(answer["seq"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_add_up_and_are_judged() {
    let server = Server::start().await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("P1", 10)).await);
    let never = server.get(Role::Display, "/api/v1/lots/P1/availability").await.expect(200);
    assert_eq!(never["counted"]["condition"], "never_counted");
    assert_eq!(never["unknown"], 10);
    let early = minutes(-20);
    for (body, outcome, occupied, condition, drift) in [
        (json!({"occupied": 4, "observed_at": minutes(-10)}), "accepted", 4, "consistent", 0),
        (json!({"entered": 2, "left": 1, "gate": "north"}), "accepted", 5, "consistent", 0),
        (json!({"occupied": 3, "observed_at": early}), "late", 5, "consistent", 0),
        (json!({"left": 7}), "accepted", -2, "below_zero", 0),
        (json!({"entered": 20}), "accepted", 18, "above_capacity", 0),
        (json!({"occupied": 7}), "accepted", 7, "consistent", -11),
        (json!({"entered": 0, "left": 0}), "unchanged", 7, "consistent", -11),
    ] {
        let answer = server.post(Role::Device, "/api/v1/lots/P1/counts", &body).await.expect(200);
        assert_eq!(answer["outcome"], outcome, "{body}");
        assert_eq!(answer["occupied"], occupied, "{body}");
        assert_eq!(answer["condition"], condition, "{body}");
        assert_eq!(answer["drift"], drift, "{body}");
        let shown = server.get(Role::Display, "/api/v1/lots/P1/availability").await.expect(200);
        assert_eq!(shown["counted"]["occupied"], occupied, "the raw figure stays visible");
        let plausible = condition == "consistent";
        assert_eq!(shown["unknown"], if plausible { 0 } else { 10 }, "{body}");
    }
    server.stop().await;
}
