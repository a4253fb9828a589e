//! Connections that are held, starved, flooded or left: each ends within the time the configuration promises,
//! memory stays bounded while they last, others are answered, and every file handle comes back.
//!
//! `LOTKEEPER_HOSTILE_CONNECTIONS` sets how many come at once (60 when it is not set).
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
#[path = "common/frames.rs"]
mod frames;
#[path = "common/hostile.rs"]
mod hostile;
mod http_common;

use std::net::SocketAddr;
use std::time::Duration;

use common::token;
use frames::{KEY, close_code, frame, shaken, shaken_over};
use futures_util::future::join_all;
use hostile::{DEADLINE, Victim, ended, exchange, narrow, statuses};
use http_common::{bayed, counted};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const STREAM: &str = "/api/v1/stream";
const INGEST: &str = "/api/v1/ingest";
/// Every limit of time at its least.
const SHORT: [(&str, &str); 5] = [
    ("LOTKEEPER_SERVER_HEADER_TIMEOUT_SECONDS", "1"),
    ("LOTKEEPER_SERVER_REQUEST_TIMEOUT_SECONDS", "1"),
    ("LOTKEEPER_SERVER_WRITE_TIMEOUT_SECONDS", "1"),
    ("LOTKEEPER_STREAM_FIRST_MESSAGE_SECONDS", "1"),
    ("LOTKEEPER_STREAM_PING_SECONDS", "1"),
];

fn many() -> usize {
    let set = std::env::var("LOTKEEPER_HOSTILE_CONNECTIONS");
    set.map_or(60, |text| text.parse().expect("LOTKEEPER_HOSTILE_CONNECTIONS is a number"))
}

fn bearer() -> String {
    format!("Authorization: Bearer {}\r\n", token(Role::Operator))
}

async fn connected(address: SocketAddr) -> TcpStream {
    tokio::time::timeout(DEADLINE, TcpStream::connect(address)).await.unwrap().unwrap()
}

/// Sends one piece after the other for as long as the server takes them.
async fn drip(mut stream: TcpStream, piece: &[u8]) {
    let (mut read, mut write) = stream.split();
    let dripping = async {
        while write.write_all(piece).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut unread = [0; 1_024];
    let reading = async { while read.read(&mut unread).await.is_ok_and(|bytes| bytes > 0) {} };
    let until_either = async {
        tokio::select! {
            () = dripping => {}
            () = reading => {}
        }
    };
    tokio::time::timeout(DEADLINE, until_either).await.expect("the server ends the connection");
}

/// A lot whose answers and snapshots are large.
async fn with_large_lot(victim: &Victim) {
    let lot = bayed("L1", 2_000);
    let made = victim.send(Role::Operator, Method::POST, "/api/v1/lots", Some(&lot)).await;
    assert_eq!(made.status, 201, "{}", made.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_byte_by_byte_gets_no_more_time_than_others() {
    let victim = Victim::start(&SHORT).await;
    let before = victim.forget_peak();
    let (address, bearer) = (victim.address, bearer());
    let livez = "GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ".to_owned();
    let handshake = format!("GET {STREAM} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{KEY}");
    let post = format!(
        "POST /api/v1/lots HTTP/1.1\r\nHost: x\r\n{bearer}Content-Type: application/json\r\n"
    );
    let body = format!("{post}Content-Length: 100000\r\n\r\n");
    let chunks = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    let requests = [
        (livez, &b"a"[..]),
        ("GET /".to_owned(), b"a"),
        (handshake, b"="),
        (body, b" "),
        (chunks, b"1\r\n \r\n"),
    ];
    let of_requests = requests.iter().flat_map(|(start, piece)| {
        (0..many() / 5).map(move |_| async move {
            let mut stream = connected(address).await;
            stream.write_all(start.as_bytes()).await.unwrap();
            drip(stream, piece).await;
        })
    });
    // A large frame whose end never comes: without a token the first message is late, with one no ping is answered.
    let of_sockets = (0..many() / 5).map(|n| {
        let bearer = &bearer;
        async move {
            let path = if n.is_multiple_of(2) { STREAM } else { INGEST };
            let lines = if n % 4 < 2 { bearer } else { "" };
            let mut stream = shaken_over(connected(address).await, path, lines).await;
            stream.write_all(&frame(0x81, &[b' '; 60_000])[..20]).await.unwrap();
            drip(stream, b" ").await;
        }
    });
    let others = async {
        for _ in 0..10 {
            victim.lives().await;
        }
    };
    tokio::join!(join_all(of_requests), join_all(of_sockets), others);
    victim.survived(before, 48, "senders byte by byte").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_too_slowly_is_answered_as_late() {
    let victim = Victim::start(&SHORT).await;
    let post = format!(
        "POST /api/v1/lots HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{",
        bearer()
    );
    let answer = exchange(victim.address, post.as_bytes()).await;
    assert_eq!(statuses(&answer), [503], "{answer}");
    assert!(answer.contains("outcome_unknown"), "{answer}");
    victim.settles().await;
    victim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_vanishes_leaves_nothing_behind() {
    let victim = Victim::start(&SHORT).await;
    let before = victim.forget_peak();
    let bearer = bearer();
    let started =
        format!("POST /api/v1/lots HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: 1000\r\n\r\n{{");
    let asked = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
    let mut silent = Vec::new();
    for n in 0..many() * 4 {
        let mut stream = connected(victim.address).await;
        let sent: &[u8] = match n % 4 {
            0 => b"",
            1 => b"GET /liv",
            2 => started.as_bytes(),
            _ => asked.as_bytes(),
        };
        stream.write_all(sent).await.unwrap();
        match n % 3 {
            // A reset, as of a client that was cut off.
            0 => rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
            1 => {}
            // Nothing more is ever heard of it, not even an end.
            _ => silent.push(stream),
        }
    }
    for path in [STREAM, INGEST] {
        for n in 0..many() / 2 {
            let stream = shaken(victim.address, path).await;
            if n.is_multiple_of(2) {
                silent.push(stream);
            }
        }
    }
    victim.settles().await;
    victim.grew_by_less_than(before, 48, "clients that vanish");
    drop(silent);
    victim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_given_up() {
    let victim = Victim::start(&SHORT).await;
    with_large_lot(&victim).await;
    let before = victim.forget_peak();
    // 50 megabytes of answers each, if they were made before they can be sent.
    let asks = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500);
    let page =
        format!("GET /api/v1/lots/L1/slots?limit=500 HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer());
    let subscribe = frame(0x81, br#"{"op":"subscribe","lot":"L1","view":"slots"}"#).repeat(45);
    let mut unread = Vec::new();
    for n in 0..many() {
        let mut stream = narrow(victim.address).await;
        let sent = match n % 3 {
            0 => asks.clone().into_bytes(),
            1 => page.repeat(100).into_bytes(),
            _ => {
                stream = shaken_over(stream, STREAM, &bearer()).await;
                subscribe.clone()
            }
        };
        // It may give up before it has taken all of them.
        let _cut = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&sent)).await;
        unread.push(stream);
    }
    victim.lives().await;
    // They are held and never read: only the server can have ended them.
    victim.settles().await;
    victim.grew_by_less_than(before, 96, "clients that do not read");
    drop(unread);
    victim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_but_steadily_gets_everything() {
    const ANSWERS: usize = 300;
    let settings = [&SHORT[..], &[("LOTKEEPER_SERVER_WRITE_TIMEOUT_SECONDS", "2")]].concat();
    let victim = Victim::start(&settings).await;
    let asks = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(ANSWERS);
    let mut stream = connected(victim.address).await;
    stream.write_all(asks.as_bytes()).await.unwrap();
    let (mut taken, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut piece)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        taken.extend_from_slice(&piece[..read]);
        // One answer in some hundredths of a second, all of them in more than twice the time for one.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(statuses(&String::from_utf8_lossy(&taken)), [200; ANSWERS]);
    victim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_length_takes_no_memory() {
    let victim = Victim::start(&SHORT).await;
    let before = victim.forget_peak();
    let post = format!(
        "POST /api/v1/lots HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\n\
         Content-Length: 4194304\r\n\r\n{{",
        bearer()
    );
    let mut held = Vec::new();
    for n in 0..many() * 4 {
        let mut stream = connected(victim.address).await;
        if n.is_multiple_of(2) {
            stream.write_all(post.as_bytes()).await.unwrap();
        } else {
            stream = shaken(victim.address, INGEST).await;
            let announced = [&[0x82, 0xFF], &1_048_576_u64.to_be_bytes()[..], &[0; 8]].concat();
            stream.write_all(&announced).await.unwrap();
        }
        held.push(stream);
    }
    victim.lives().await;
    // 600 MiB are announced when 60 are set.
    victim.grew_by_less_than(before, 64, "announced lengths");
    for stream in &mut held {
        ended(stream).await;
    }
    drop(held);
    victim.settles().await;
    victim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_an_end_are_refused_by_their_size() {
    let settings = [&SHORT[..], &[("LOTKEEPER_SERVER_BODY_BYTES_MAX", "65536")]].concat();
    let victim = Victim::start(&settings).await;
    let before = victim.forget_peak();
    let head = format!(
        "POST /api/v1/lots HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        bearer()
    );
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 65_536], b"\r\n".to_vec()].concat();
    let endless = (0..many() / 3).map(|_| async {
        let mut stream = connected(victim.address).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        let sending = async { while write.write_all(&chunk).await.is_ok() {} };
        let mut answer = Vec::new();
        let reading = async {
            let _reset = read.read_to_end(&mut answer).await;
        };
        tokio::time::timeout(DEADLINE, async { tokio::join!(sending, reading) }).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    });
    for answer in join_all(endless).await {
        // A body that outlasts the time of a request is late before it is too large.
        let refused = answer.is_empty() || matches!(statuses(&answer)[..], [413 | 503]);
        assert!(refused, "{answer}");
    }
    victim.survived(before, 48, "bodies without an end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_without_an_end_are_no_message() {
    let victim = Victim::start(&SHORT).await;
    let before = victim.forget_peak();
    let address = victim.address;
    let of = |piece: Vec<u8>, code: u16| {
        [STREAM, INGEST].map(|path| {
            let piece = piece.clone();
            async move {
                let mut stream = shaken(address, path).await;
                let (mut read, mut write) = stream.split();
                let sending = async {
                    let first = write.write_all(&frame(0x01, b"{")).await;
                    while first.is_ok() && write.write_all(&piece).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                let both = async { tokio::join!(close_code(&mut read), sending).0 };
                let closed = tokio::time::timeout(DEADLINE, both).await.unwrap();
                assert_eq!(closed, Some(code), "{path} {}", piece.len());
            }
        })
    };
    let large = of(frame(0x00, &[b' '; 4_096]), 4400);
    // Nothing comes together, so only the missing pongs tell.
    let empty = of(frame(0x00, b"").repeat(100), 4408);
    tokio::join!(join_all(large), join_all(empty));
    victim.survived(before, 32, "fragments without an end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_pings_are_answered_or_ended() {
    let victim = Victim::start(&SHORT).await;
    let before = victim.forget_peak();
    let pings = frame(0x89, &[b'p'; 125]).repeat(1_000);
    // Pings are messages: a stream takes so many in a second and no more.
    let mut stream = shaken(victim.address, STREAM).await;
    let (mut read, mut write) = stream.split();
    let both = async { tokio::join!(close_code(&mut read), write.write_all(&pings)).0 };
    assert_eq!(tokio::time::timeout(DEADLINE, both).await.unwrap(), Some(4429));
    // A device may send as much as it can, if it takes the answers.
    let mut floods = Vec::new();
    for _ in 0..many() / 6 {
        let stream = shaken_over(narrow(victim.address).await, INGEST, &bearer()).await;
        floods.push(stream);
    }
    let flooding = floods.iter_mut().map(|stream| async {
        let flooding = async { while stream.write_all(&pings).await.is_ok() {} };
        tokio::time::timeout(DEADLINE, flooding).await.expect("who does not read is given up");
    });
    let others = async {
        for _ in 0..10 {
            victim.lives().await;
        }
    };
    tokio::join!(join_all(flooding), others);
    victim.survived(before, 48, "floods of pings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_subscriptions_end_a_stream() {
    let settings = [("LOTKEEPER_STREAM_MESSAGES_PER_SECOND_MAX", "100000")];
    let victim = Victim::start(&settings).await;
    for n in 0..201 {
        let lot = counted(&format!("P{n}"), 5);
        let made = victim.send(Role::Operator, Method::POST, "/api/v1/lots", Some(&lot)).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let before = victim.forget_peak();
    let subscribe = |n: usize| {
        let view = if n.is_multiple_of(2) { "slots" } else { "counts" };
        frame(
            0x81,
            format!(r#"{{"op":"subscribe","lot":"P{}","view":"{view}"}}"#, n % 201).as_bytes(),
        )
    };
    let asks: Vec<u8> = (0..10_000).flat_map(subscribe).collect();
    let attempts = (0..many() / 6).map(|_| async {
        let mut stream = shaken(victim.address, STREAM).await;
        let (mut read, mut write) = stream.split();
        let both = async { tokio::join!(close_code(&mut read), write.write_all(&asks)).0 };
        tokio::time::timeout(DEADLINE, both).await.unwrap()
    });
    for code in join_all(attempts).await {
        assert_eq!(code, Some(4429));
    }
    // With the limit of messages as it is by default that one is met first.
    victim.survived(before, 48, "ten thousand subscriptions").await;
}
