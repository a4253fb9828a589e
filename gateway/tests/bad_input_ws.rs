//! What both websockets do with input that is not as it should be: the right code, and the server lives.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
#[path = "common/frames.rs"]
mod frames;
mod http_common;
#[path = "common/ws.rs"]
mod ws;

use common::{Server, token};
use frames::{KEY, close_code, frame, shaken};
use http_common::{counted, created, reading, with_lot};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use ws::{DEADLINE, Socket, Token};

const STREAM: &str = "/api/v1/stream";
const INGEST: &str = "/api/v1/ingest";

async fn lives(server: &Server) {
    assert_eq!(server.get(Role::Display, "/livez").await.status, 200);
    for path in [STREAM, INGEST] {
        let staff = token(Role::Staff);
        let opened = Socket::open(server.running.address, path, Token::Header(&staff)).await;
        assert!(opened.is_ok(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_close_with_4400() {
    let server = with_lot(1).await;
    let pong = br#"{"op":"pong"}"#;
    let mut unmasked = vec![0x81, u8::try_from(pong.len()).unwrap()];
    unmasked.extend_from_slice(pong);
    let oversize = vec![b' '; 3 * 1024 * 1024];
    let pieces = [frame(0x01, &oversize[..900_000]), frame(0x80, &oversize[..900_000])].concat();
    let claimed = [&[0x81, 0xFF], &u64::MAX.to_be_bytes()[..], &[0; 4]].concat();
    for (what, bytes) in [
        ("a frame without a mask", unmasked),
        ("a reserved opcode", frame(0x83, pong)),
        ("a reserved bit", frame(0xC1, pong)),
        ("a ping in pieces", frame(0x09, b"x")),
        ("a ping too long", frame(0x89, &[0; 126])),
        ("a continuation of nothing", frame(0x80, pong)),
        ("text that is not UTF-8", frame(0x81, &[0xC3, 0x28])),
        ("one frame too large", frame(0x81, &oversize)),
        ("pieces that are too large together", pieces),
        ("a length beyond all memory", claimed),
    ] {
        for path in [STREAM, INGEST] {
            let mut stream = shaken(server.running.address, path).await;
            let (mut read, mut write) = stream.split();
            let sending = async {
                // The server may hang up before it has taken all of it.
                let _hung_up = write.write_all(&bytes).await;
            };
            let both = async { tokio::join!(close_code(&mut read), sending).0 };
            let code = tokio::time::timeout(DEADLINE, both).await.unwrap();
            assert_eq!(code, Some(4400), "{what} at {path}");
        }
    }
    lives(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_and_control_frames_between_them_are_one_message() {
    let server = with_lot(1).await;
    let mut stream = shaken(server.running.address, STREAM).await;
    let request = br#"{"op":"subscribe","id":1,"lot":"L1","view":"counts"}"#;
    let (head, tail) = request.split_at(20);
    let pieces = [frame(0x01, head), frame(0x89, b"are you there"), frame(0x80, tail)].concat();
    stream.write_all(&pieces).await.unwrap();
    let mut pong = [0; 15];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(&pong[..2], [0x8A, 13], "the ping's answer comes without waiting for a message");
    assert_eq!(&pong[2..], b"are you there");
    let mut begin = [0; 20];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut begin)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&begin).contains("subscribed"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_close_is_answered_with_its_own_code() {
    let server = with_lot(1).await;
    for path in [STREAM, INGEST] {
        let mut stream = shaken(server.running.address, path).await;
        stream.write_all(&frame(0x88, &1_000_u16.to_be_bytes())).await.unwrap();
        let code = tokio::time::timeout(DEADLINE, close_code(&mut stream)).await.unwrap();
        assert_eq!(code, Some(1_000), "{path}: browsers show anything else as a failure");
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "then the connection ends");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_is_refused_as_a_request() {
    let server = with_lot(1).await;
    let all = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY];
    for path in [STREAM, INGEST] {
        for missing in 0..all.len() {
            let lines: Vec<&str> =
                (0..all.len()).filter(|at| *at != missing).map(|at| all[at]).collect();
            let text = request(&server, path, &lines).await;
            assert!(text.starts_with("HTTP/1.1 400 "), "{path} without {}: {text}", all[missing]);
            assert!(text.contains("malformed_request"), "{text}");
        }
        let old = [all[0], all[1], "Sec-WebSocket-Version: 8", KEY];
        let text = request(&server, path, &old).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        let posted = server.post(Role::Staff, path, &json!({})).await;
        assert_eq!((posted.status.as_u16(), posted.code()), (405, "method_not_allowed".to_owned()));
    }
    lives(&server).await;
    server.stop().await;
}

/// A request by hand; the answer as text.
async fn request(server: &Server, path: &str, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect(server.running.address).await.unwrap();
    let token = token(Role::Staff);
    let lines = lines.join("\r\n");
    // `Connection: close` beside `Upgrade` would be a header of its own; the reader cuts off instead.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{lines}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.ends_with('}') {
        let mut bytes = [0; 4_096];
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_none_close_the_stream_with_4400() {
    let server = with_lot(1).await;
    let display = token(Role::Display);
    let large = format!(r#"{{"op":"subscribe","lot":"{}","view":"slots"}}"#, "x".repeat(65_536));
    for message in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"op":"fly"}"#,
        r#"{"op":"subscribe","lot":"L1"}"#,
        r#"{"op":"subscribe","lot":"L1","view":"all"}"#,
        r#"{"op":"subscribe","lot":"L1","view":"slots","sicne":1}"#,
        r#"{"op":"subscribe","lot":"L1","view":"slots","after":{"seq":1}}"#,
        r#"{"op":"subscribe","lot":"L1","view":"slots","after":{"epoch":"x","seq":-1}}"#,
        r#"{"op":"subscribe","lot":7,"view":"slots"}"#,
        r#"{"op":"token"}"#,
        &large,
    ] {
        let mut socket =
            Socket::open(server.running.address, STREAM, Token::Header(&display)).await.unwrap();
        socket.send_text(message).await;
        let (code, reason) = socket.closed().await;
        assert_eq!(code, 4400, "{message:.80}: {reason}");
        assert!(!reason.is_empty(), "{message:.80}");
    }
    let mut socket =
        Socket::open(server.running.address, STREAM, Token::Header(&display)).await.unwrap();
    assert!(socket.try_send(Message::binary(vec![1, 2, 3])).await);
    assert_eq!(socket.closed().await.0, 4400);
    lives(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_none_close_ingest_with_4400() {
    let server = with_lot(1).await;
    let device = token(Role::Device);
    let large = " ".repeat(1024 * 1024 + 1);
    for message in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"op":"fly","batch":1}"#,
        r#"{"op":"readings","lot":"L1","readings":[]}"#,
        r#"{"op":"readings","batch":-1,"lot":"L1","readings":[]}"#,
        r#"{"op":"readings","batch":1,"lot":"L1","readings":[}"#,
        r#"{"op":"token"}"#,
        &large,
    ] {
        let mut socket =
            Socket::open(server.running.address, INGEST, Token::Header(&device)).await.unwrap();
        let _hung_up = socket.try_send(Message::text(message)).await;
        let (code, reason) = socket.closed().await;
        assert_eq!(code, 4400, "{message:.80}: {reason}");
    }
    lives(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_cannot_be_is_refused_alone() {
    let server = with_lot(1).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("P1", 10)).await);
    let device = token(Role::Device);
    let mut socket =
        Socket::open(server.running.address, INGEST, Token::Header(&device)).await.unwrap();
    let too_many: Vec<Value> = (0..10_001).map(|_| reading("A-1", true)).collect();
    let future = json!([{"slot": "A-1", "occupied": true, "observed_at": "2036-01-01T00:00:00Z"}]);
    let unsure = json!([{"slot": "A-1", "occupied": true, "confidence": 7}]);
    let one = json!([reading("A-1", true)]);
    for (message, code) in [
        (json!({"op": "readings", "lot": "L1", "readings": []}), "validation_failed"),
        (json!({"op": "readings", "lot": "L1", "readings": too_many}), "validation_failed"),
        (json!({"op": "readings", "lot": "L1", "readings": unsure}), "validation_failed"),
        (json!({"op": "readings", "lot": "L1", "readings": "all"}), "validation_failed"),
        (json!({"op": "readings", "lot": "L1", "readings": one, "extra": 1}), "validation_failed"),
        (json!({"op": "readings", "lot": "L9", "readings": one}), "lot_not_found"),
        (json!({"op": "readings", "readings": one}), "validation_failed"),
        (json!({"op": "counts", "lot": "P1"}), "validation_failed"),
        (json!({"op": "counts", "lot": "P1", "occupied": -1}), "validation_failed"),
        (json!({"op": "counts", "lot": "P1", "occupied": 1, "entered": 1}), "validation_failed"),
        (json!({"op": "counts", "lot": "P9", "occupied": 1}), "lot_not_found"),
        (json!({"op": "counts", "lot": "L1", "occupied": 1}), "not_counted"),
    ]
    .into_iter()
    {
        let mut message = message;
        message["batch"] = json!(41);
        socket.send(&message).await;
        let answer = socket.expect("error").await;
        let shown = message.to_string();
        assert_eq!(
            (&answer["batch"], &answer["code"]),
            (&json!(41), &json!(code)),
            "{shown:.120} {answer}"
        );
        assert!(!answer["detail"].as_str().unwrap().is_empty(), "{shown:.120}");
    }
    for (readings, code) in
        [(future, "reading_in_future"), (json!([reading("B-9", true)]), "slot_not_found")]
    {
        socket
            .send(&json!({"op": "readings", "batch": 42, "lot": "L1", "readings": readings}))
            .await;
        let ack = socket.expect("ack").await;
        assert_eq!(ack["refused"], json!([{"index": 0, "code": code}]), "{ack}");
        assert_eq!((&ack["accepted"], &ack["seq"]), (&json!(0), &json!(1)), "{ack}");
    }
    // A counted lot without slots says so.
    socket.send(&json!({"op": "readings", "batch": 43, "lot": "P1", "readings": one})).await;
    assert_eq!(socket.expect("ack").await["refused"][0]["code"], "lot_not_bayed");
    server.stop().await;
}
