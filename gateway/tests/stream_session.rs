//! A stream's session: tokens and their end, pings, limits, what it refuses, the server's end.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/ws.rs"]
mod ws;

use std::time::{Duration, Instant};

use common::{KEY, Server, TENANT, grant, mint, token};
use http_common::{bayed, created, reading, with_lot};
use lotkeeper_gateway::auth::{Grant, Role};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use ws::{Event, Socket, Token};

const STREAM: &str = "/api/v1/stream";
/// Long enough not to be mistaken for a slow machine, short enough to wait for.
const QUICK: Duration = Duration::from_millis(150);

async fn open(server: &Server, token: Token<'_>) -> Socket {
    Socket::open(server.running.address, STREAM, token).await.unwrap()
}

/// A good signature over times long gone.
fn expired() -> String {
    let now = jsonwebtoken::get_current_timestamp();
    let claims = json!({"iss": "lotkeeper", "aud": "lotkeeper", "sub": "display", "tenant": TENANT,
        "role": "display", "iat": now - 7_200, "exp": now - 3_600, "jti": "1"});
    // The first mint sets the library up.
    let _known = token(Role::Display);
    let key = jsonwebtoken::EncodingKey::from_secret(KEY.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

fn subscribe(id: i64, lot: &str, view: &str) -> serde_json::Value {
    json!({"op": "subscribe", "id": id, "lot": lot, "view": view})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_by_header_subprotocol_or_first_message() {
    let server = with_lot(1).await;
    let display = token(Role::Display);
    for way in [Token::Header(&display), Token::Protocol(&display), Token::None] {
        let mut socket = open(&server, way).await;
        let chosen = matches!(way, Token::Protocol(_)).then(|| format!("bearer.{display}"));
        assert_eq!(socket.protocol, chosen);
        if matches!(way, Token::None) {
            // A ping of the protocol is no first message.
            assert!(socket.try_send(Message::Ping("x".into())).await);
            socket.send(&json!({"op": "token", "token": display})).await;
        }
        socket.send(&subscribe(1, "L1", "slots")).await;
        socket.expect("subscribed").await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_nothing_is_streamed() {
    let server = Server::start_with(|config| config.stream.first_message = QUICK).await;
    let (expired, address) = (expired(), server.running.address);
    // A program that sets headers is answered before the socket opens; a browser sees close codes only.
    for (bad, code) in [("nonsense", "token_invalid"), (expired.as_str(), "token_expired")] {
        let refused = Socket::open(address, STREAM, Token::Header(bad)).await.err().unwrap();
        assert_eq!((refused.0, &refused.1["code"]), (401, &json!(code)));
        let mut socket = open(&server, Token::Protocol(bad)).await;
        assert_eq!(socket.closed().await.0, 4401, "{code}");
        let mut socket = open(&server, Token::None).await;
        socket.send(&json!({"op": "token", "token": bad})).await;
        assert_eq!(socket.closed().await.0, 4401, "{code}");
    }
    for first in ["", "nonsense", r#"{"op":"subscribe","lot":"L1","view":"slots"}"#] {
        let mut socket = open(&server, Token::None).await;
        if !first.is_empty() {
            socket.send_text(first).await;
        }
        assert_eq!(socket.closed().await.0, 4401, "{first:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lots_of_others_are_not_there() {
    let server = with_lot(1).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await);
    let other = mint(&Grant { tenant: "other".to_owned(), ..grant(Role::Admin) });
    let limited = mint(&Grant { lots: Some(vec!["L2".to_owned()]), ..grant(Role::Display) });
    for (token, lot, code) in [
        (&other, "L1", Some("lot_not_found")),
        (&limited, "L9", Some("lot_not_found")),
        (&limited, "L1", Some("lot_not_allowed")),
        (&limited, "L2", None),
    ] {
        let mut socket = open(&server, Token::Protocol(token)).await;
        socket.send(&subscribe(5, lot, "counts")).await;
        let answer = socket.message().await;
        assert_eq!(answer["id"], 5, "{answer}");
        match code {
            Some(code) => {
                assert_eq!((&answer["op"], &answer["code"]), (&json!("error"), &json!(code)));
            }
            None => assert_eq!(answer["op"], "subscribed", "{answer}"),
        }
        // Refused or not, the socket stays open.
        socket.send(&subscribe(6, "L9", "slots")).await;
        while socket.message().await["id"] != 6 {}
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_in_place_or_ends_with_its_token() {
    let change = |config: &mut lotkeeper_gateway::config::Config| config.stream.ping = QUICK;
    let server = Server::start_with(change).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 1)).await);
    let brief = mint(&Grant { ttl_seconds: 2, ..grant(Role::Display) });
    let ends = Instant::now() + Duration::from_secs(2);
    let mut ending = open(&server, Token::Protocol(&brief)).await;
    let mut renewed = open(&server, Token::Protocol(&brief)).await;
    renewed.send(&subscribe(1, "L1", "slots")).await;
    renewed.expect("subscribed").await;
    renewed.expect("snapshot").await;
    renewed.send(&json!({"op": "token", "token": token(Role::Display)})).await;
    let answer = renewed.expect("token").await;
    let until: jiff::Timestamp = answer["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(until.duration_since(jiff::Timestamp::now()).as_secs() > 3_000, "{answer}");

    let staying = async {
        while Instant::now() < ends + QUICK * 2 {
            renewed.ping().await;
        }
    };
    let ending = async {
        let (code, reason) = ending.closed().await;
        assert_eq!(code, 4401, "{reason}");
        // Second granularity: a token of 2 s ends between 1 and 2 s after it was made.
        assert!(Instant::now() + Duration::from_secs(1) >= ends, "closed before its token ended");
    };
    tokio::join!(staying, ending);
    let body = json!({"readings": [reading("A-1", true)]});
    server.post(Role::Device, "/api/v1/lots/L1/readings", &body).await.expect(200);
    renewed.expect("changes").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_must_fit_the_session() {
    let server = with_lot(1).await;
    let expired = expired();
    let other = mint(&Grant { tenant: "other".to_owned(), ..grant(Role::Admin) });
    let limited = mint(&Grant { lots: Some(vec!["L2".to_owned()]), ..grant(Role::Display) });
    let bad = [("nonsense", 4401), (&expired, 4401), (&other, 4403), (&limited, 4403)];
    for (token_sent, code) in bad {
        let display = token(Role::Display);
        let mut socket = open(&server, Token::Header(&display)).await;
        socket.send(&subscribe(1, "L1", "counts")).await;
        socket.expect("subscribed").await;
        socket.send(&json!({"op": "token", "token": token_sent})).await;
        assert_eq!(socket.closed().await.0, code, "{token_sent}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_tell_where_lots_stand_and_end_those_who_are_gone() {
    let server = Server::start_with(|config| config.stream.ping = QUICK).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 2)).await);
    let display = token(Role::Display);
    let mut answering = open(&server, Token::Header(&display)).await;
    for view in ["slots", "counts"] {
        answering.send(&subscribe(1, "L1", view)).await;
        answering.expect("subscribed").await;
        answering.message().await;
    }
    assert_eq!(answering.ping().await["lots"], json!({"L1": 1}));
    let body = json!({"readings": [reading("A-1", true), reading("A-2", true)]});
    server.post(Role::Device, "/api/v1/lots/L1/readings", &body).await.expect(200);

    answering.expect("changes").await;

    let mut silent = open(&server, Token::Header(&display)).await;
    silent.answer_pings = false;
    let ending = async {
        let mut pings = 0;
        loop {
            match silent.event().await {
                Event::Text(text) => pings += u32::from(text.contains(r#""op":"ping""#)),
                Event::Closed(code, reason) => return (code, pings, reason),
                Event::Gone => panic!("gone without a code"),
            }
        }
    };
    let staying = async {
        for _ in 0..6 {
            let ping = answering.ping().await;
            assert_eq!(ping["lots"], json!({"L1": 3}), "{ping}");
            assert!(ping["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        }
    };
    let ((code, pings, reason), ()) = tokio::join!(ending, staying);
    assert_eq!((code, pings), (4408, 2), "{reason}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_subscriptions_or_messages_end_the_socket() {
    let change = |config: &mut lotkeeper_gateway::config::Config| {
        config.stream.subscriptions_max = 2;
        config.stream.messages_per_second_max = 20;
    };
    let server = Server::start_with(change).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 1)).await);
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await);
    let display = token(Role::Display);
    let mut socket = open(&server, Token::Header(&display)).await;
    // The same subscription again replaces itself; it is no third one.
    for (id, lot, view) in [(1, "L1", "slots"), (2, "L1", "counts"), (3, "L1", "slots")] {
        socket.send(&subscribe(id, lot, view)).await;
        assert_eq!(socket.expect("subscribed").await["id"], id);
        socket.message().await;
    }
    socket.send(&subscribe(4, "L2", "slots")).await;
    assert_eq!(socket.closed().await.0, 4429);

    let mut socket = open(&server, Token::Header(&display)).await;
    for _ in 0..100 {
        if !socket.try_send(Message::text(r#"{"op":"pong"}"#)).await {
            break;
        }
    }
    assert_eq!(socket.closed().await.0, 4429);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_told_with_a_time_to_come_back() {
    let server = with_lot(1).await;
    let display = token(Role::Display);
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = open(&server, Token::Header(&display)).await;
        socket.send(&subscribe(1, "L1", "slots")).await;
        socket.expect("subscribed").await;
        sockets.push(socket);
    }
    let began = Instant::now();
    let goodbyes = async {
        let mut waits = std::collections::BTreeSet::new();
        for socket in &mut sockets {
            let (code, reason) = socket.closed().await;
            assert_eq!(code, 4503, "{reason}");
            let wait_ms: u64 = reason.split("retry_after_ms=").nth(1).unwrap().parse().unwrap();
            waits.insert(wait_ms);
        }
        waits
    };
    let (_directory, waits) = tokio::join!(server.stop(), goodbyes);
    assert!(waits.len() > 10, "spread, so that they do not all come back at once: {waits:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "nobody was waited for in vain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_takes_a_place_among_the_connections_until_it_ends() {
    let server = Server::start_with(|config| config.server.connections_max = 2).await;
    let display = token(Role::Display);
    let address = server.running.address;
    let first = open(&server, Token::Header(&display)).await;
    let mut second = open(&server, Token::Header(&display)).await;
    second.send(&subscribe(1, "L9", "slots")).await;
    second.expect("error").await;
    let mut third = tokio::spawn(async move {
        Socket::open(address, STREAM, Token::Header(&token(Role::Display))).await.is_ok()
    });
    // Waiting in the system's queue: this can only be seen by its not being answered.
    assert!(tokio::time::timeout(QUICK, &mut third).await.is_err(), "a third place of two");
    drop(first);
    assert!(tokio::time::timeout(ws::DEADLINE, third).await.unwrap().unwrap());
    server.stop().await;
}
