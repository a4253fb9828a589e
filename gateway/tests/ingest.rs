//! Sensor ingest over its websocket: acknowledgements, order, refusals, overload, the server's end.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;
#[path = "common/ws.rs"]
mod ws;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Server, token};
use futures_util::{SinkExt, StreamExt};
use http_common::{bayed, counted, created, reading, with_lot};
use lotkeeper_gateway::auth::Role;
use process::Home;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use ws::{DEADLINE, Event, Socket, Token};

const INGEST: &str = "/api/v1/ingest";

async fn open(server: &Server, role: Role) -> Socket {
    Socket::open(server.running.address, INGEST, Token::Header(&token(role))).await.unwrap()
}

/// A batch of readings of one lot.
fn batch(number: u64, readings: &[Value]) -> Value {
    json!({"op": "readings", "batch": number, "lot": "L1", "readings": readings})
}

/// A reading at a second of a day in the past.
fn at(slot: &str, second: u32, occupied: bool) -> Value {
    let observed_at = jiff::Timestamp::from_second(1_700_000_000 + i64::from(second)).unwrap();
    json!({"slot": slot, "occupied": occupied, "observed_at": observed_at})
}

async fn slot(server: &Server, code: &str) -> Value {
    server.get(Role::Display, &format!("/api/v1/lots/L1/slots/{code}")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_acknowledged_as_documented() {
    let server = with_lot(3).await;
    let mut socket = open(&server, Role::Device).await;
    let named = |second, id: &str| {
        let mut reading = at("A-1", second, true);
        reading["id"] = json!(id);
        reading
    };
    for (readings, accepted, unchanged, duplicate, late, seq) in [
        (vec![named(10, "r-1"), at("A-2", 10, false)], 2, 0, 0, 0, 3),
        (vec![named(10, "r-1")], 0, 0, 1, 0, 3),
        (vec![at("A-1", 5, false)], 0, 0, 0, 1, 3),
        (vec![at("A-1", 20, true)], 0, 1, 0, 0, 3),
        (vec![at("A-1", 30, false), at("A-1", 40, true)], 2, 0, 0, 0, 5),
    ] {
        socket.send(&batch(17, &readings)).await;
        let ack = socket.message().await;
        let wanted = json!({"op": "ack", "batch": 17, "accepted": accepted, "unchanged": unchanged,
            "duplicate": duplicate, "late": late, "refused": [], "seq": seq});
        assert_eq!(ack, wanted, "{readings:?}");
        let shown = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
        assert_eq!(shown["seq"], seq, "what is acknowledged is what the next read shows");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_the_lot_does_not_have_is_refused_by_its_index() {
    let server = with_lot(3).await;
    let mut socket = open(&server, Role::Device).await;
    let slots = ["A-1", "B-1", "A-2", "B-2", "A-3"];
    let readings: Vec<Value> = slots.iter().map(|slot| reading(slot, true)).collect();
    socket.send(&batch(9_007_199_254_740_991, &readings)).await;
    let ack = socket.expect("ack").await;
    assert_eq!(ack["batch"], 9_007_199_254_740_991_u64);
    assert_eq!((&ack["accepted"], &ack["seq"]), (&json!(3), &json!(4)), "{ack}");
    let not_found = |index: u32| json!({"index": index, "code": "slot_not_found"});
    assert_eq!(ack["refused"], json!([not_found(1), not_found(3)]));
    // Slots can be named by id as well.
    let id = slot(&server, "A-2").await["id"].clone();
    socket.send(&batch(1, &[json!({"slot": id, "occupied": false})])).await;
    assert_eq!(socket.expect("ack").await["accepted"], 1);
    assert_eq!(slot(&server, "A-2").await["status"], "free");
    server.stop().await;
}

/// Sends all, never waiting for an answer, while the answers are read; by batch.
async fn pour(socket: Socket, batches: Vec<Value>) -> BTreeMap<u64, Value> {
    let wanted = batches.len();
    let (mut write, mut read) = socket.into_inner().split();
    let sending = async {
        for batch in batches {
            write.send(Message::text(batch.to_string())).await.unwrap();
        }
    };
    let reading = async {
        let mut answers = BTreeMap::new();
        while answers.len() < wanted {
            let Message::Text(text) = read.next().await.unwrap().unwrap() else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if let Some(batch) = answer["batch"].as_u64() {
                assert!(answers.insert(batch, answer).is_none(), "batch {batch} is answered twice");
            }
        }
        answers
    };
    let all = async { tokio::join!(sending, reading).1 };
    tokio::time::timeout(DEADLINE, all).await.expect("every batch is answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn many_batches_in_flight_keep_the_order_of_each_slot() {
    // Few places, so that the server stops reading again and again; and batches so large that they are sent in parts.
    for (in_flight_max, slots, batches) in [(64, 4, 500), (2, 4, 500), (64, 200, 20)] {
        let change = |config: &mut lotkeeper_gateway::config::Config| {
            config.ingest.batches_in_flight_max = in_flight_max;
        };
        let server = Server::start_with(change).await;
        created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", slots)).await);
        let sent = (0..batches).map(|number| {
            let reading = |slot: usize| at(&format!("A-{}", slot + 1), number, number % 2 == 0);
            let readings: Vec<Value> = (0..slots).map(reading).collect();
            batch(number.into(), &readings)
        });
        let socket = open(&server, Role::Device).await;
        let answers = pour(socket, sent.collect()).await;
        // One reading out of order would be late, and the one after it unchanged.
        for (number, answer) in &answers {
            assert_eq!(answer["accepted"], slots, "{number}: {answer}");
        }
        let highest = answers.values().map(|answer| answer["seq"].as_u64().unwrap()).max();
        assert_eq!(highest, Some(1 + slots as u64 * u64::from(batches)));
        assert_eq!(slot(&server, "A-3").await["status"], "free");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_acknowledged_like_readings() {
    let server = Server::start().await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("P1", 300)).await);
    let mut socket = open(&server, Role::Device).await;
    let (first, second) = ("2023-11-14T22:00:00Z", "2023-11-14T23:00:00Z");
    for (fields, outcome, seq) in [
        (json!({"occupied": 270, "observed_at": second}), "accepted", 2),
        (json!({"occupied": 270, "observed_at": second}), "duplicate", 2),
        (json!({"occupied": 9, "observed_at": first}), "late", 2),
        (json!({"entered": 2, "left": 1, "gate": "north"}), "accepted", 3),
    ] {
        let mut message = json!({"op": "counts", "batch": 18, "lot": "P1"});
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        socket.send(&message).await;
        let mut wanted = json!({"op": "ack", "batch": 18, "accepted": 0, "unchanged": 0,
            "duplicate": 0, "late": 0, "refused": [], "seq": seq});
        wanted[outcome] = json!(1);
        assert_eq!(socket.message().await, wanted, "{fields}");
    }
    let shown = server.get(Role::Display, "/api/v1/lots/P1/availability").await.expect(200);
    assert_eq!(shown["counted"]["occupied"], 271);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_told_and_passes() {
    let server = Server::start_with(|config| config.engine.permits_records = 4).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 8)).await);
    let mut socket = open(&server, Role::Device).await;
    // A batch of more readings than there are permits is taken when it is alone.
    let readings: Vec<Value> = (1..=8).map(|n| reading(&format!("A-{n}"), true)).collect();
    socket.send(&batch(19, &readings)).await;
    assert_eq!(socket.expect("ack").await["accepted"], 8);
    // Many of them at once are not: while the first is on its way to the disk, others come.
    let many = (20..80).map(|n| batch(n, &readings)).collect();
    let answers = pour(open(&server, Role::Device).await, many).await;
    let refused: Vec<&Value> = answers.values().filter(|it| it["op"] == "error").collect();
    assert!(!refused.is_empty(), "60 batches of 8 with 4 permits");
    for refused in refused {
        assert_eq!(refused["code"], "overloaded");
        assert!(refused["retry_after_ms"].as_u64().is_some_and(|pause| pause > 0), "{refused}");
    }
    // Whatever is put off under real pressure and sent again has its effect once.
    let mut waiting: BTreeMap<u64, Value> = (0..200_u32)
        .map(|n| (n.into(), batch(n.into(), &[at(&format!("A-{}", n % 8 + 1), n, n / 8 % 2 == 1)])))
        .collect();
    let deadline = std::time::Instant::now() + DEADLINE;
    while !waiting.is_empty() {
        assert!(std::time::Instant::now() < deadline, "{} batches are left", waiting.len());
        let socket = open(&server, Role::Device).await;
        for (number, answer) in pour(socket, waiting.values().cloned().collect()).await {
            match answer["op"].as_str().unwrap() {
                "ack" => drop(waiting.remove(&number)),
                _ => assert_eq!(answer["code"], "overloaded", "{answer}"),
            }
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may_send_readings_get_in() {
    let server = with_lot(1).await;
    let address = server.running.address;
    for role in Role::ALL {
        let may = !matches!(role, Role::Display | Role::Driver);
        let token = token(role);
        let by_header = Socket::open(address, INGEST, Token::Header(&token)).await;
        match by_header {
            Ok(_) => assert!(may, "{role:?}"),
            Err((status, problem)) => {
                assert_eq!(
                    (status, &problem["code"]),
                    (403, &json!("role_not_allowed")),
                    "{role:?}"
                );
                assert!(!may, "{role:?}");
            }
        }
        let mut by_protocol = Socket::open(address, INGEST, Token::Protocol(&token)).await.unwrap();
        let mut by_message = Socket::open(address, INGEST, Token::None).await.unwrap();
        by_message.send(&json!({"op": "token", "token": token})).await;
        for socket in [&mut by_protocol, &mut by_message] {
            if may {
                socket.send(&batch(1, &[reading("A-1", true)])).await;
                socket.expect("ack").await;
            } else {
                assert_eq!(socket.closed().await.0, 4403, "{role:?}");
            }
        }
    }
    // Renewing as somebody who may not is no way around it.
    let mut socket = open(&server, Role::Device).await;
    socket.send(&json!({"op": "token", "token": token(Role::Device)})).await;
    socket.expect("token").await;
    socket.send(&json!({"op": "token", "token": token(Role::Display)})).await;
    assert_eq!(socket.closed().await.0, 4403);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_lot_concerns_its_batch_only() {
    let server = with_lot(1).await;
    let limited = common::mint(&lotkeeper_gateway::auth::Grant {
        lots: Some(vec!["L2".to_owned()]),
        ..common::grant(Role::Device)
    });
    let token = Token::Header(&limited);
    let mut socket = Socket::open(server.running.address, INGEST, token).await.unwrap();
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await);
    for (lot, op, code) in [
        ("L1", "error", json!("lot_not_allowed")),
        ("L9", "error", json!("lot_not_found")),
        ("L2", "ack", Value::Null),
    ] {
        let mut message = batch(5, &[reading("A-1", true)]);
        message["lot"] = json!(lot);
        socket.send(&message).await;
        let answer = socket.expect(op).await;
        assert_eq!((&answer["batch"], &answer["code"]), (&json!(5), &code), "{lot}");
    }
    assert_eq!(slot(&server, "A-1").await["status"], "unknown");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_does_not_answer_pings_is_let_go() {
    let server = Server::start_with(|config| config.stream.ping = Duration::from_millis(150)).await;
    let mut answering = open(&server, Role::Device).await;
    let mut silent = open(&server, Role::Device).await;
    silent.answer_pings = false;
    let ending = async {
        let mut pings = 0;
        loop {
            match silent.event().await {
                Event::Text(text) => pings += u32::from(text.contains(r#""op":"ping""#)),
                Event::Closed(code, _) => return (code, pings),
                Event::Gone => panic!("gone without a code"),
            }
        }
    };
    let staying = async {
        for _ in 0..6 {
            answering.ping().await;
        }
    };
    assert_eq!(tokio::join!(ending, staying).0, (4408, 2));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_before_the_end_is_answered_before_the_close() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::new(directory.path(), &[]);
    let running = home.start().await;
    let operator = token(Role::Operator);
    let lot = bayed("L1", 50);
    home.send(Method::POST, "/api/v1/lots", &operator, Some(&lot)).await.expect(201);
    let socket = Socket::open(home.address, INGEST, Token::Header(&operator)).await.unwrap();
    // Poured without a pause, so that whenever the end comes there are batches under way.
    let (mut write, mut read) = socket.into_inner().split();
    let (tell, mut told) = tokio::sync::watch::channel(0_usize);
    let sending = async {
        for number in 0..u32::MAX {
            let readings: Vec<Value> =
                (1..=50).map(|n| at(&format!("A-{n}"), number, number % 2 == 0)).collect();
            let message = Message::text(batch(number.into(), &readings).to_string());
            if write.send(message).await.is_err() {
                return;
            }
        }
    };
    let goodbye = async {
        let mut acknowledged = Vec::new();
        loop {
            match tokio::time::timeout(DEADLINE, read.next()).await.unwrap() {
                Some(Ok(Message::Text(text))) => {
                    acknowledged.push(serde_json::from_str::<Value>(&text).unwrap());
                    tell.send_replace(acknowledged.len());
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (u16::from(frame.code), frame.reason.to_string(), acknowledged);
                }
                other => panic!("gone without a code: {other:?}"),
            }
        }
    };
    let stopping = async {
        told.wait_for(|acks| *acks >= 10).await.unwrap();
        running.stop().await
    };
    let pouring = async {
        sending.await;
        std::future::pending::<()>().await;
    };
    let goodbye = async {
        tokio::select! {
            goodbye = goodbye => goodbye,
            () = pouring => unreachable!("it pends"),
        }
    };
    let (exit, (code, reason, acknowledged)) = tokio::join!(stopping, goodbye);
    assert_eq!((exit, code), (Some(0), 4503), "{reason}");
    let told = acknowledged.iter().map(|ack| ack["seq"].as_u64().unwrap()).max().unwrap();
    let running = home.start().await;
    let shown = "/api/v1/lots/L1/availability";
    let shown = home.send(Method::GET, shown, &operator, None).await.expect(200);
    // Not less than what was told, and nothing that was taken without being told.
    assert_eq!(shown["seq"], told, "{} batches were acknowledged", acknowledged.len());
    assert_eq!(running.stop().await, Some(0));
}
