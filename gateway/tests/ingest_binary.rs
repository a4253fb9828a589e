//! The compact form of ingest: the bytes of `docs/ingest.md`, the same effects and acks as JSON, and what
//! happens to messages that are not as they should be. The bytes here are written by hand, on purpose:
//! nothing of the server's own code helps.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/ws.rs"]
mod ws;

use common::{Server, token};
use http_common::{counted, created, with_lot};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use ws::{Event, Socket, Token};

/// 2023-11-14T22:13:20Z, in microseconds.
const BASE: i64 = 1_700_000_000_000_000;
const NAMED: u8 = 1;
const NO_BASE: u8 = 2;

async fn open(server: &Server) -> Socket {
    let token = token(Role::Device);
    Socket::open(server.running.address, "/api/v1/ingest", Token::Header(&token)).await.unwrap()
}

fn header(flags: u8, count: u16, batch: u64, base: i64, lot: &str) -> Vec<u8> {
    let mut bytes = vec![1, flags];
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&[u8::try_from(lot.len()).unwrap(), 0, 0, 0]);
    bytes.extend_from_slice(&batch.to_le_bytes());
    bytes.extend_from_slice(&base.to_le_bytes());
    bytes.extend_from_slice(lot.as_bytes());
    bytes
}

/// A reading without anything else.
fn plain(slot: u16, occupied: bool) -> Vec<u8> {
    let [low, high] = slot.to_le_bytes();
    vec![low, high, u8::from(occupied)]
}

fn message(flags: u8, base: i64, readings: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(readings.len()).unwrap();
    let mut bytes = header(flags, count, 17, base, "L1");
    readings.iter().for_each(|reading| bytes.extend_from_slice(reading));
    bytes
}

async fn send(socket: &mut Socket, bytes: Vec<u8>) {
    assert!(socket.try_send(Message::binary(bytes)).await, "the socket is closed");
}

async fn slot(server: &Server, code: &str) -> Value {
    server.get(Role::Display, &format!("/api/v1/lots/L1/slots/{code}")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_acknowledged_as_in_json() {
    let server = with_lot(3).await;
    let mut socket = open(&server).await;
    let named = |id: &[u8]| [&[0, 0, 1 | 8, u8::try_from(id.len()).unwrap()], id].concat();
    let at = |slot: u8, bits: u8, ahead: i64| {
        let mut reading = vec![slot, 0, bits | 2];
        reading.extend_from_slice(&(BASE + ahead * 1_000_000).to_le_bytes());
        reading
    };
    for (readings, accepted, unchanged, duplicate, late, seq) in [
        (vec![named(b"r-1"), plain(1, false)], 2, 0, 0, 0, 3),
        (vec![named(b"r-1")], 0, 0, 1, 0, 3),
        (vec![at(0, 0, -5)], 0, 0, 0, 1, 3),
        (vec![at(0, 1, 20)], 0, 1, 0, 0, 3),
        (vec![at(0, 0, 30), at(0, 1, 40)], 2, 0, 0, 0, 5),
    ] {
        send(&mut socket, message(0, BASE, &readings)).await;
        let wanted = json!({"op": "ack", "batch": 17, "accepted": accepted, "unchanged": unchanged,
            "duplicate": duplicate, "late": late, "refused": [], "seq": seq});
        assert_eq!(socket.message().await, wanted, "{readings:?}");
    }
    // An id means the same in both forms.
    let again = json!({"op": "readings", "batch": 18, "lot": "L1", "readings": [
        {"slot": "A-1", "occupied": true, "observed_at": "2023-11-14T22:13:20Z", "id": "r-1"}]});
    socket.send(&again).await;
    let ack = socket.expect("ack").await;
    assert_eq!((&ack["duplicate"], &ack["late"]), (&json!(1), &json!(0)), "{ack}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_reading_can_carry_arrives() {
    let server = with_lot(3).await;
    let mut socket = open(&server).await;
    let mut reading = vec![2, 0, 1 | 2 | 4 | 8 | 16];
    reading.extend_from_slice(&(BASE + 1).to_le_bytes());
    reading.extend_from_slice(&7_u64.to_le_bytes());
    reading.extend_from_slice(&[2, b'r', b'1', 91]);
    send(&mut socket, message(0, BASE, &[reading])).await;
    assert_eq!(socket.expect("ack").await["accepted"], 1);
    let shown = slot(&server, "A-3").await;
    assert_eq!((&shown["number"], &shown["status"]), (&json!(2), &json!("occupied")));
    assert_eq!(shown["observed_at"], "2023-11-14T22:13:20.000001Z");
    assert_eq!((&shown["confidence"], &shown["source"]), (&json!(0.91), &json!("sensor")));
    // Of one instant the higher sequence is the newer: 6 comes too late.
    let mut older = vec![2, 0, 2 | 4];
    older.extend_from_slice(&(BASE + 1).to_le_bytes());
    older.extend_from_slice(&6_u64.to_le_bytes());
    send(&mut socket, message(0, BASE, &[older])).await;
    assert_eq!(socket.expect("ack").await["late"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_go_by_number_or_name_and_unknown_ones_are_refused_by_index() {
    let server = with_lot(3).await;
    let mut socket = open(&server).await;
    send(&mut socket, message(0, BASE, &[plain(0, true), plain(3, true), plain(1, true)])).await;
    let ack = socket.expect("ack").await;
    assert_eq!(
        (&ack["accepted"], &ack["refused"]),
        (&json!(2), &json!([{"index": 1, "code": "slot_not_found"}]))
    );
    let id = slot(&server, "A-3").await["id"].as_str().unwrap().to_owned();
    let named = |name: &str| [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), &[1]].concat();
    let readings = [named("A-9"), named(&id), named("A-2")];
    send(&mut socket, message(NAMED, BASE, &readings)).await;
    let ack = socket.expect("ack").await;
    assert_eq!(ack["refused"], json!([{"index": 0, "code": "slot_not_found"}]), "{ack}");
    assert_eq!((&ack["accepted"], &ack["duplicate"]), (&json!(1), &json!(1)), "{ack}");
    assert_eq!(slot(&server, "A-3").await["status"], "occupied");
    // A device without a clock: seen when it came.
    send(&mut socket, message(NO_BASE, 0, &[plain(2, false)])).await;
    assert_eq!(socket.expect("ack").await["accepted"], 1);
    let since = slot(&server, "A-3").await["observed_at"].as_str().unwrap().to_owned();
    assert!(since.as_str() > "2026", "{since}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_batch_concerns_the_batch() {
    let server = with_lot(3).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("C1", 10)).await);
    let mut socket = open(&server).await;
    let of_lot = |lot: &str| [header(0, 1, 17, BASE, lot), plain(0, true)].concat();
    let at = |micros: i64| [&[0, 0, 2], micros.to_le_bytes().as_slice()].concat();
    let long_id = [&[0, 0, 8, 129], [b'i'; 129].as_slice()].concat();
    for (bytes, code, pointer) in [
        (of_lot("L9"), "lot_not_found", None),
        (message(0, BASE, &[]), "validation_failed", Some("/readings")),
        (header(0, 10_001, 17, BASE, "L1"), "validation_failed", Some("/readings")),
        (
            message(0, i64::MAX, &[plain(0, true)]),
            "validation_failed",
            Some("/readings/0/observed_at"),
        ),
        (
            message(0, BASE, &[plain(1, true), at(i64::MIN)]),
            "validation_failed",
            Some("/readings/1/observed_at"),
        ),
        (
            message(0, BASE, &[vec![0, 0, 16, 101]]),
            "validation_failed",
            Some("/readings/0/confidence"),
        ),
        (message(0, BASE, &[vec![0, 0, 8, 0]]), "validation_failed", Some("/readings/0/id")),
        (message(0, BASE, &[long_id]), "validation_failed", Some("/readings/0/id")),
    ] {
        send(&mut socket, bytes.clone()).await;
        let error = socket.expect("error").await;
        assert_eq!((&error["batch"], &error["code"]), (&json!(17), &json!(code)), "{error}");
        assert_eq!(error["errors"][0]["pointer"].as_str(), pointer, "{error}");
    }
    send(&mut socket, of_lot("C1")).await;
    let ack = socket.expect("ack").await;
    assert_eq!(ack["refused"], json!([{"index": 0, "code": "lot_not_bayed"}]));
    // Nothing of all that had an effect, and the socket is as good as before.
    let shown = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    assert_eq!(shown["seq"], 1);
    send(&mut socket, message(0, BASE, &[plain(0, true)])).await;
    assert_eq!(socket.expect("ack").await["accepted"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_of_this_form_closes_the_socket() {
    let server = with_lot(3).await;
    let good = message(0, BASE, &[plain(0, true), plain(1, true)]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut broken = vec![
        Vec::new(),
        with(0, 2),
        with(1, 4),
        with(6, 1),
        with(4, 200),
        with(24, 0xFF),
        with(28, 0x80),
        [good.as_slice(), &[0]].concat(),
        message(0, BASE, &[vec![0, 0, 8, 9, b'x']]),
        message(NAMED, BASE, &[vec![200, b'A']]),
    ];
    // Cut anywhere.
    broken.extend((0..good.len()).map(|end| good[..end].to_vec()));
    for bytes in broken {
        let mut socket = open(&server).await;
        send(&mut socket, bytes.clone()).await;
        match socket.event().await {
            Event::Closed(4400, reason) => assert!(!reason.is_empty()),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
    let shown = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    assert_eq!(shown["seq"], 1, "no cut batch was taken in part");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_document_is_what_the_server_takes() {
    let document = include_str!("../../docs/ingest.md");
    let start = document.find("01 00 02 00").expect("the example's first bytes");
    let end = start + document[start..].find("```").expect("the example's end");
    let bytes = document[start..end].split_whitespace();
    let bytes: Vec<u8> = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let server = with_lot(3).await;
    let mut socket = open(&server).await;
    send(&mut socket, bytes).await;
    let ack = socket.expect("ack").await;
    assert_eq!((&ack["batch"], &ack["accepted"]), (&json!(17), &json!(2)), "{ack}");
    assert_eq!(slot(&server, "A-1").await["observed_at"], "2023-11-14T22:13:20Z");
    assert_eq!(slot(&server, "A-2").await["observed_at"], "2023-11-14T22:13:21Z");
    server.stop().await;
}
