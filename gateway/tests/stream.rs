//! What the stream says: subscribe, snapshot, changes, counts, resume, lag. Sessions (tokens, pings,
//! limits, the end) are in `stream_session.rs`.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;
#[path = "common/ws.rs"]
mod ws;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{Server, token};
use http_common::{bayed, created, minutes, reading, with_lot};
use lotkeeper_gateway::auth::Role;
use process::Home;
use reqwest::Method;
use serde_json::{Value, json};
use ws::{Follower, Socket, Token};

const STREAM: &str = "/api/v1/stream";
const READINGS: &str = "/api/v1/lots/L1/readings";

async fn open(server: &Server) -> Socket {
    let display = token(Role::Display);
    Socket::open(server.running.address, STREAM, Token::Header(&display)).await.unwrap()
}

async fn subscribed(server: &Server) -> (Socket, Follower) {
    let (mut socket, mut follower) = (open(server).await, Follower::new("L1"));
    let answer = follower.subscribe(&mut socket).await;
    assert_eq!((&answer["op"], &answer["recovered"]), (&json!("subscribed"), &json!(false)));
    let snapshot = socket.expect("snapshot").await;
    assert_eq!(snapshot["seq"], answer["seq"]);
    follower.take(&snapshot);
    (socket, follower)
}

/// Readings of all slots at once; the lot's seq afterwards.
async fn read_all(server: &Server, slots: usize, occupied: bool) -> u64 {
    let readings: Vec<Value> = (1..=slots).map(|n| reading(&format!("A-{n}"), occupied)).collect();
    read(server, &readings).await
}

async fn read(server: &Server, readings: &[Value]) -> u64 {
    let answer = server.post(Role::Device, READINGS, &json!({"readings": readings})).await;
    let answer = answer.expect(200);
    assert_eq!(answer["accepted"], readings.len(), "{answer}");
    answer["seq"].as_u64().unwrap()
}

/// Status of every slot as HTTP tells it.
async fn statuses(server: &Server) -> BTreeMap<String, String> {
    let page = server.get(Role::Display, "/api/v1/lots/L1/slots?limit=500").await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = page["items"].as_array().unwrap().iter();
    items.map(|slot| (text(&slot["code"]), text(&slot["status"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_comes_once_and_in_order() {
    let server = with_lot(40).await;
    let (mut socket, mut follower) = subscribed(&server).await;
    assert_eq!((follower.seq, follower.statuses.len()), (1, 40));
    assert!(follower.statuses.values().all(|status| status == "unknown"));
    // Four writers side by side, each with its own slots, so commits mix them.
    let writers = (0..4).map(|writer| {
        let server = &server;
        async move {
            for round in 0..10 {
                let slots = (1..=10).map(|n| format!("A-{}", writer * 10 + n));
                let readings: Vec<Value> =
                    slots.map(|slot| reading(&slot, (round + writer) % 2 == 0)).collect();
                read(server, &readings).await;
            }
        }
    });
    let ((), _) = tokio::join!(
        follower.follow_to(&mut socket, 401),
        futures_util::future::join_all(writers),
    );
    assert_eq!((follower.seq, follower.entries, follower.snapshots), (401, 400, 1));
    assert_eq!(follower.statuses, statuses(&server).await);
    server.stop().await;
}

/// From 50 readers on a lot's readers are written to less often; the last change comes after a pause.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_is_written_to_less_often_misses_nothing() {
    const READERS: usize = 120;
    // Pings would bring what a pause has kept back.
    let hour = Duration::from_secs(3_600);
    let server = Server::start_with(|config| config.stream.ping = hour).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 10)).await);
    let mut crowd = futures_util::future::join_all((0..READERS).map(|_| subscribed(&server))).await;
    let writing = async {
        for round in 0..20 {
            read_all(&server, 10, round % 2 == 0).await;
        }
    };
    let reading = crowd.iter_mut().map(|(socket, follower)| follower.follow_to(socket, 201));
    tokio::join!(writing, futures_util::future::join_all(reading));
    for (_, follower) in &crowd {
        assert_eq!((follower.seq, follower.entries, follower.snapshots), (201, 200, 1));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_over_http_shows_as_documented() {
    let server = with_lot(2).await;
    let (mut socket, _) = subscribed(&server).await;
    let observed_at = minutes(-1);
    let seen = json!({"slot": "A-1", "occupied": true, "observed_at": observed_at});
    read(&server, &[seen]).await;
    let changes = socket.expect("changes").await;
    assert_eq!((&changes["from"], &changes["seq"]), (&json!(2), &json!(2)));
    let mut entry = changes["changes"][0].clone();
    let at = entry.as_object_mut().unwrap().remove("at").unwrap();
    assert!(at.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{at}");
    assert_eq!(
        entry,
        json!({"seq": 2, "type": "slot.occupied", "slot": "A-1", "status": "occupied",
               "observed_at": observed_at})
    );

    let (from, to) = (minutes(5), minutes(65));
    let body = json!({"lot": "L1", "slot": "A-2", "from": from, "to": to, "hold_seconds": 600,
                      "vehicle": {"plate": "B-XY 123"}});
    let reservation = server.post(Role::Driver, "/api/v1/reservations", &body).await.expect(201);
    let text = socket.text().await;
    for secret in [reservation["id"].as_str().unwrap(), "B-XY", "driver"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    let changes: Value = serde_json::from_str(&text).unwrap();
    let held = &changes["changes"][0];
    assert_eq!((&held["type"], &held["slot"]), (&json!("reservation.held"), &json!("A-2")));
    assert_eq!((&held["from_time"], &held["to_time"]), (&json!(from), &json!(to)));

    let renamed = json!({"name": "Another name"});
    server.patch(Role::Operator, "/api/v1/lots/L1", &renamed).await.expect(200);
    let kind = |message: &Value| message["changes"][0]["type"].as_str().unwrap().to_owned();
    let mut changes = socket.expect("changes").await;
    // The window is near enough for the slot to show as held: its own entry, now or with the next look.
    while kind(&changes) == "slot.hold_began" {
        changes = socket.expect("changes").await;
    }
    let last = changes["changes"].as_array().unwrap().last().unwrap();
    assert_eq!(last["type"], "lot.changed");
    assert!(last.get("slot").is_none() && last.get("status").is_none(), "{last}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_paced_and_end_with_the_latest() {
    let server = with_lot(5).await;
    let mut socket = open(&server).await;
    let began = Instant::now();
    socket.send(&json!({"op": "subscribe", "id": -3, "lot": "L1", "view": "counts"})).await;
    let answer = socket.expect("subscribed").await;
    assert_eq!((&answer["id"], &answer["view"]), (&json!(-3), &json!("counts")));
    let first = socket.expect("counts").await;
    assert_eq!(
        (&first["seq"], &first["capacity"], &first["unknown"]),
        (&json!(1), &json!(5), &json!(5))
    );

    let (tell, mut told) = tokio::sync::watch::channel(None);
    let writing = async {
        let mut last = 1;
        // Far more often than the pace, for longer than a second, so that the pace can be seen.
        while began.elapsed() < Duration::from_millis(1_500) {
            last = read(&server, &[reading("A-1", last % 2 == 1)]).await;
        }
        tell.send_replace(Some(last));
    };
    let reading = async {
        let (mut messages, mut latest) = (1_u32, first);
        let seq = |counts: &Value| counts["seq"].as_u64().unwrap();
        while told.borrow().is_none_or(|last| seq(&latest) < last) {
            tokio::select! {
                counts = socket.expect("counts") => {
                    assert!(seq(&counts) > seq(&latest), "{counts} after {latest}");
                    (messages, latest) = (messages + 1, counts);
                }
                changed = told.changed() => changed.unwrap(),
            }
        }
        (messages, latest)
    };
    let ((), (messages, latest)) = tokio::join!(writing, reading);
    let elapsed = began.elapsed().as_secs_f64();
    assert!(f64::from(messages) <= elapsed * 10.0 + 1.0, "{messages} messages in {elapsed} s");
    assert!(messages >= 5, "{messages} messages in {elapsed} s");
    assert_eq!(latest["unknown"], 4, "{latest}");
    let sum: u64 = ["free", "occupied"].iter().map(|status| latest[status].as_u64().unwrap()).sum();
    assert_eq!(sum, 1, "{latest}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_resumes_where_it_stopped() {
    let server = with_lot(10).await;
    let (socket, mut follower) = subscribed(&server).await;
    drop(socket);
    let head = read_all(&server, 10, true).await;
    let mut socket = open(&server).await;
    let answer = follower.subscribe(&mut socket).await;
    assert_eq!((&answer["recovered"], &answer["seq"]), (&json!(true), &json!(head)), "{answer}");
    follower.follow_to(&mut socket, head).await;
    assert_eq!((follower.entries, follower.snapshots), (10, 1));

    // The middle of a commit is a place to resume from like any other.
    let mut cut = Follower { seq: head - 4, epoch: follower.epoch.clone(), ..Follower::new("L1") };
    let mut socket = open(&server).await;
    assert_eq!(cut.subscribe(&mut socket).await["recovered"], true);
    cut.follow_to(&mut socket, head).await;
    assert_eq!((cut.entries, cut.snapshots), (4, 0));

    // Nothing missed: recovered, and silent until something happens.
    let mut socket = open(&server).await;
    assert_eq!(follower.subscribe(&mut socket).await["recovered"], true);
    let next = read(&server, &[reading("A-3", false)]).await;
    follower.follow_to(&mut socket, next).await;
    assert_eq!((follower.entries, follower.snapshots), (11, 1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_change_and_another_history_is_no_place_to_resume_from() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::new(directory.path(), &[]);
    let running = home.start().await;
    let (operator, lot) = (token(Role::Operator), bayed("L1", 10));
    let lots = "/api/v1/lots";
    home.send(Method::POST, lots, &operator, Some(&lot)).await.expect(201);
    let mut socket = Socket::open(home.address, STREAM, Token::Header(&operator)).await.unwrap();
    let mut follower = Follower::new("L1");
    follower.subscribe(&mut socket).await;
    follower.take(&socket.expect("snapshot").await);
    drop(socket);
    let readings: Vec<Value> = (1..=10).map(|n| reading(&format!("A-{n}"), true)).collect();
    let body = json!({"readings": readings});
    let answer = home.send(Method::POST, READINGS, &operator, Some(&body)).await.expect(200);
    let head = answer["seq"].as_u64().unwrap();
    assert_eq!(running.stop().await, Some(0));

    let running = home.start().await;
    let mut socket = Socket::open(home.address, STREAM, Token::Header(&operator)).await.unwrap();
    assert_eq!(follower.subscribe(&mut socket).await["recovered"], true);
    follower.follow_to(&mut socket, head).await;
    assert_eq!((follower.entries, follower.snapshots), (10, 1));

    for (epoch, seq) in [("0123456789abcdef", 5), (follower.epoch.as_str(), head + 1), ("", 0)] {
        let after = json!({"epoch": epoch, "seq": seq});
        let request = json!({"op": "subscribe", "lot": "L1", "view": "slots", "after": after});
        socket.send(&request).await;
        let answer = socket.expect("subscribed").await;
        assert_eq!(answer["recovered"], false, "{after}");
        assert!(answer.get("id").is_none(), "{answer}");
        let snapshot = socket.expect("snapshot").await;
        assert_eq!(snapshot["seq"], head, "{after}");
        assert!(snapshot.get("reason").is_none(), "{after}");
    }
    assert_eq!(running.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lags_gets_a_snapshot_and_goes_on() {
    const SLOTS: usize = 200;
    let server = Server::start_with(|config| config.engine.ring_changes_per_lot = 16).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", SLOTS)).await);
    let display = token(Role::Display);
    let address = server.running.address;
    let mut socket = Socket::open_narrow(address, STREAM, Token::Header(&display)).await;
    let mut follower = Follower::new("L1");
    follower.subscribe(&mut socket).await;
    // Far more than the connection's buffers hold, and nobody reads.
    let mut head = 0;
    for round in 0..150 {
        head = read_all(&server, SLOTS, round % 2 == 0).await;
    }
    let mut reasons = Vec::new();
    while follower.seq < head {
        let message = socket.message().await;
        if message["op"] == "snapshot" {
            reasons.push(message["reason"].clone());
        }
        follower.take(&message);
    }
    assert_eq!(reasons[0], Value::Null);
    assert!(reasons.len() > 1 && reasons[1..].iter().all(|it| it == "lagged"), "{reasons:?}");
    assert_eq!(follower.statuses, statuses(&server).await);
    let next = read(&server, &[reading("A-1", true)]).await;
    let entries = follower.entries;
    follower.follow_to(&mut socket, next).await;
    assert_eq!(follower.entries, entries + 1, "it goes on with changes");
    assert!(server.running.app.metrics.text().contains("lag"), "lag is counted");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_one_lot_get_the_same_bytes() {
    let server = with_lot(20).await;
    let mut readers = Vec::new();
    for _ in 0..5 {
        readers.push(subscribed(&server).await.0);
    }
    let mut head = 0;
    for round in 0..6 {
        head = read_all(&server, 20, round % 2 == 0).await;
    }
    let mut heard: Vec<Vec<String>> = Vec::new();
    for reader in &mut readers {
        let mut texts = Vec::new();
        let mut seq = 0;
        while seq < head {
            let text = reader.text().await;
            let message: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(message["op"], "changes", "{message}");
            seq = message["seq"].as_u64().unwrap();
            texts.push(text);
        }
        heard.push(texts);
    }
    assert!(heard[0].len() >= 6, "a commit is a message at least");
    for other in &heard[1..] {
        assert_eq!(other, &heard[0]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribed_is_silent() {
    let server = with_lot(2).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await);
    let (mut socket, _) = subscribed(&server).await;
    socket.send(&json!({"op": "subscribe", "id": 2, "lot": "L2", "view": "slots"})).await;
    socket.expect("subscribed").await;
    socket.expect("snapshot").await;
    // A lot has two views; each is its own subscription.
    socket.send(&json!({"op": "subscribe", "id": 4, "lot": "L1", "view": "counts"})).await;
    socket.expect("subscribed").await;
    socket.expect("counts").await;
    for view in ["slots", "counts", "counts"] {
        socket.send(&json!({"op": "unsubscribe", "id": 3, "lot": "L1", "view": view})).await;
        let wanted = json!({"op": "unsubscribed", "id": 3, "lot": "L1", "view": view});
        assert_eq!(socket.message().await, wanted);
    }
    read_all(&server, 2, true).await;
    let body = json!({"readings": [reading("A-1", true)]});
    server.post(Role::Device, "/api/v1/lots/L2/readings", &body).await.expect(200);
    let changes = socket.expect("changes").await;
    assert_eq!(changes["lot"], "L2", "L1 came first and says nothing");
    server.stop().await;
}
