//! Do two holders ever share a slot at one instant, however many ask at once?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use std::collections::BTreeMap;

use common::{Server, token_of};
use futures_util::future::join_all;
use http_common::{minutes, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const CLIENTS: usize = 64;
const ROUNDS: i64 = 20;
const PATH: &str = "/api/v1/reservations";

/// 64 people ask for the same at once; how often each status and code came, and the slots given.
async fn race(server: &Server, body: &Value) -> (BTreeMap<String, usize>, Vec<String>) {
    let tokens: Vec<String> =
        (0..CLIENTS).map(|n| token_of(Role::Driver, &format!("driver {n}"))).collect();
    let sent = tokens.iter().map(|token| server.send(Method::POST, PATH, Some(token), Some(body)));
    let mut outcomes = BTreeMap::new();
    let mut slots = Vec::new();
    for answer in join_all(sent).await {
        let outcome = match answer.status.as_u16() {
            201 => {
                slots.push(answer.json()["slot"].as_str().unwrap().to_owned());
                "201".to_owned()
            }
            status => format!("{status} {}", answer.code()),
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    (outcomes, slots)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_slot_and_window_has_one_winner_every_time() {
    let server = with_lot(4).await;
    for round in 0..ROUNDS {
        // Windows touch and never overlap; every second race is for a hold.
        let mut body = json!({"lot": "L1", "slot": "A-1", "from": minutes(60 * (round + 1)), "to": minutes(60 * (round + 2))});
        if round % 2 == 1 {
            body["hold_seconds"] = json!(600);
        }
        let (outcomes, _) = race(&server, &body).await;
        let wanted = [("201".to_owned(), 1), ("409 slot_taken".to_owned(), CLIENTS - 1)];
        assert_eq!(outcomes, BTreeMap::from(wanted), "round {round}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_slot_is_never_oversold() {
    const SLOTS: usize = 10;
    let server = with_lot(SLOTS).await;
    for round in 0..ROUNDS {
        let body = json!({"lot": "L1", "from": minutes(60 * (round + 1)), "to": minutes(60 * (round + 2))});
        let (outcomes, mut slots) = race(&server, &body).await;
        let wanted = [("201".to_owned(), SLOTS), ("409 no_slot_free".to_owned(), CLIENTS - SLOTS)];
        assert_eq!(outcomes, BTreeMap::from(wanted), "round {round}");
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), SLOTS, "round {round}: each slot once");
    }
    server.stop().await;
}

/// Given slots, any slot, moves and cancellations of many at once: afterwards no two active ones overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_mixture_of_requests_makes_two_promises_meet() {
    let server = with_lot(3).await;
    let client = |n: i64| {
        let server = &server;
        async move {
            let token = token_of(Role::Driver, &format!("driver {n}"));
            for step in 0..8 {
                let from = 60 + (n * 7 + step * 13) % 60;
                let mut body =
                    json!({"lot": "L1", "from": minutes(from), "to": minutes(from + 25)});
                if n % 2 == 0 {
                    body["slot"] = json!(format!("A-{}", 1 + n % 3));
                }
                let made = server.send(Method::POST, PATH, Some(&token), Some(&body)).await;
                if made.status != 201 {
                    continue;
                }
                let path = format!("{PATH}/{}", made.json()["id"].as_str().unwrap());
                let moved = json!({"from": minutes(from + 5), "to": minutes(from + 35)});
                let moved = server.send(Method::PATCH, &path, Some(&token), Some(&moved)).await;
                assert!(moved.status == 200 || moved.code() == "slot_taken", "{}", moved.text);
                if step % 3 == 0 {
                    let path = format!("{path}/cancel");
                    server.send(Method::POST, &path, Some(&token), None).await.expect(200);
                }
            }
        }
    };
    join_all((0..24).map(client)).await;
    let path = format!("{PATH}?state=confirmed&limit=500");
    let page = server.get(Role::Staff, &path).await.expect(200);
    let mut stays: Vec<(&str, &str, &str)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stay| ["slot", "from", "to"].map(|member| stay[member].as_str().unwrap()))
        .map(|[slot, from, to]| (slot, from, to))
        .collect();
    assert!(stays.len() > 3, "some got a slot");
    stays.sort_unstable();
    for pair in stays.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[0].2 <= pair[1].1, "{pair:?} overlap");
    }
    server.stop().await;
}
