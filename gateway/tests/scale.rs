//! Many lots: start, serve, recover; prints how long it takes and how much memory, asserts what is shown.
//!
//! `LOTKEEPER_SCALE=full` is 1,000 lots of 100 slots; else a tenth of the lots.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;
#[path = "common/ws.rs"]
mod ws;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::token;
use futures_util::{SinkExt, StreamExt};
use http_common::bayed;
use lotkeeper_gateway::auth::Role;
use process::{Home, Running};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use ws::{Follower, Socket, Token};

const SLOTS: usize = 100;
/// Lots made at once.
const MAKERS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(300);

fn lots() -> usize {
    if std::env::var("LOTKEEPER_SCALE").is_ok_and(|scale| scale == "full") { 1_000 } else { 100 }
}

fn code(lot: usize) -> String {
    format!("L-{lot:04}")
}

/// Which slots of a lot are occupied in round `round`; all lots differ.
fn occupied(lot: usize, slot: usize, round: usize) -> bool {
    (lot + slot + round).is_multiple_of(3)
}

async fn make(home: &Home, lots: usize) {
    let operator = token(Role::Operator);
    let makers = (0..MAKERS).map(|maker| {
        let operator = &operator;
        async move {
            for lot in (maker..lots).step_by(MAKERS) {
                let body = bayed(&code(lot), SLOTS);
                let answer = home.send(Method::POST, "/api/v1/lots", operator, Some(&body));
                answer.await.expect(201);
            }
        }
    });
    futures_util::future::join_all(makers).await;
}

/// One reading for every slot, one batch for every lot, over one socket; every batch acknowledged.
async fn read_all(home: &Home, lots: usize, round: usize) {
    let device = token(Role::Device);
    let socket =
        Socket::open(home.address, "/api/v1/ingest", Token::Header(&device)).await.unwrap();
    let (mut write, mut read) = socket.into_inner().split();
    let sending = async {
        for lot in 0..lots {
            let reading =
                |slot| json!({"slot": format!("A-{slot}"), "occupied": occupied(lot, slot, round)});
            let readings: Vec<Value> = (1..=SLOTS).map(reading).collect();
            let batch =
                json!({"op": "readings", "batch": lot, "lot": code(lot), "readings": readings});
            write.send(Message::text(batch.to_string())).await.unwrap();
        }
    };
    let answers = async {
        let mut waiting = lots;
        while waiting > 0 {
            let Message::Text(text) = read.next().await.unwrap().unwrap() else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["op"] != "ping" {
                assert_eq!(answer["op"], "ack", "{answer}");
                waiting -= 1;
            }
        }
    };
    tokio::time::timeout(DEADLINE, async { tokio::join!(sending, answers) }).await.unwrap();
}

/// Every lot's counts are what the readings say, and one lot slot by slot.
async fn is_as_read(home: &Home, lots: usize, round: usize) {
    let display = token(Role::Display);
    let (mut seen, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let path = format!("/api/v1/lots?limit=500{cursor}");
        let page = home.send(Method::GET, &path, &display, None).await.expect(200);
        for lot in page["items"].as_array().unwrap() {
            let name = lot["code"].as_str().unwrap().to_owned();
            assert!(seen.insert(name, lot["availability"].clone()).is_none(), "{lot}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), lots);
    for lot in 0..lots {
        let wanted = (1..=SLOTS).filter(|slot| occupied(lot, *slot, round)).count();
        let shown = &seen[&code(lot)];
        assert_eq!((&shown["occupied"], &shown["free"]), (&json!(wanted), &json!(SLOTS - wanted)));
    }
    let last = lots - 1;
    let mut socket =
        Socket::open(home.address, "/api/v1/stream", Token::Header(&display)).await.unwrap();
    let mut follower = Follower::new(&code(last));
    follower.subscribe(&mut socket).await;
    follower.take(&socket.expect("snapshot").await);
    for slot in 1..=SLOTS {
        let wanted = if occupied(last, slot, round) { "occupied" } else { "free" };
        assert_eq!(follower.statuses[&format!("A-{slot}")], wanted, "slot {slot}");
    }
}

fn tell(what: &str, began: Instant, running: &Running) {
    let (memory, processor) = (running.memory_mib(), running.processor_time());
    eprintln!("{what:<42} {:>8.2?}   {memory:>5} MiB   cpu {processor:.2?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_lots_start_serve_and_recover() {
    let lots = lots();
    let slots = lots * SLOTS;
    let directory = tempfile::tempdir().unwrap();
    let home = Home::new(directory.path(), &[]);
    let began = Instant::now();
    let running = home.start().await;
    tell("an empty server starts", began, &running);
    let began = Instant::now();
    make(&home, lots).await;
    tell(&format!("{lots} lots of {SLOTS} slots are made"), began, &running);
    for round in 0..3 {
        let began = Instant::now();
        read_all(&home, lots, round).await;
        tell(&format!("{slots} readings, durable, one socket"), began, &running);
    }
    let began = Instant::now();
    is_as_read(&home, lots, 2).await;
    tell("every lot is shown as it was read", began, &running);

    running.kill().await;
    let began = Instant::now();
    let running = home.start().await;
    tell("it recovers after kill -9", began, &running);
    is_as_read(&home, lots, 2).await;
    let began = Instant::now();
    read_all(&home, lots, 3).await;
    tell(&format!("{slots} readings, durable, one socket"), began, &running);
    is_as_read(&home, lots, 3).await;
    let began = Instant::now();
    assert_eq!(running.stop().await, Some(0));
    eprintln!("{:<42} {:>8.2?}", "it stops in order", began.elapsed());

    let began = Instant::now();
    let running = home.start().await;
    tell("it starts after an orderly end", began, &running);
    is_as_read(&home, lots, 3).await;
    assert_eq!(running.stop().await, Some(0));
    let bytes: u64 =
        std::fs::read_dir(&home.data).unwrap().map(|entry| size(&entry.unwrap().path())).sum();
    eprintln!("{:<42} {:>8} KiB", "the data directory has", bytes / 1_024);
}

fn size(path: &std::path::Path) -> u64 {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().map(|entry| size(&entry.unwrap().path())).sum();
    }
    std::fs::metadata(path).map_or(0, |file| file.len())
}
