//! Requests as nobody's client would send them, byte for byte, at a real server: each is answered as what it
//! is, none as what it pretends to be, and the server is afterwards as it was before.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
#[path = "common/hostile.rs"]
mod hostile;
mod http_common;

use std::io::Write;

use common::token;
use futures_util::future::join_all;
use hostile::{Victim, exchange, statuses};
use http_common::{bayed, counted};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;

/// Idle connections end soon here, so that every exchange has an end.
const SETTINGS: [(&str, &str); 2] = [
    ("LOTKEEPER_SERVER_HEADER_TIMEOUT_SECONDS", "1"),
    ("LOTKEEPER_SERVER_REQUEST_TIMEOUT_SECONDS", "2"),
];
/// What a few dozen strange requests may cost; a debug build takes 30 MiB by itself.
const GROWTH_MEBIBYTES_MAX: u64 = 48;

/// A name, what is sent, and the statuses of all answers to it.
type Case = (&'static str, Vec<u8>, &'static [u16]);

fn bearer() -> String {
    format!("Authorization: Bearer {}\r\n", token(Role::Operator))
}

fn get(start: &str, lines: &str) -> Vec<u8> {
    format!("{start}\r\nHost: x\r\n{}{lines}\r\n", bearer()).into_bytes()
}

fn plain(path: &str) -> Vec<u8> {
    get(&format!("GET {path} HTTP/1.1"), "")
}

fn post(lines: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let kind = "Content-Type: application/json\r\n";
    [&get("POST /api/v1/lots HTTP/1.1", &format!("{kind}{lines}"))[..], body.as_ref()].concat()
}

fn sized(body: &[u8]) -> Vec<u8> {
    post(&format!("Content-Length: {}\r\n", body.len()), body)
}

fn lot(code: &str) -> String {
    counted(code, 5).to_string()
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Lengths and codings that two readers may understand differently.
fn framing() -> Vec<Case> {
    let hidden = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let both = |code: &str| chunked(&lot(code)) + hidden;
    let long = format!("1;{}\r\n{{\r\n0\r\n\r\n", "a".repeat(100_000));
    let trailer = chunked(&lot("C5")).replace("0\r\n\r\n", "0\r\nX-Injected: 1\r\n\r\n");
    vec![
        // Chunks are believed and the connection ends, so nothing of what follows is a request.
        (
            "a length, then chunks",
            post(&format!("Content-Length: 4\r\n{CHUNKED}"), both("C1")),
            &[201],
        ),
        (
            "chunks, then a length",
            post(&format!("{CHUNKED}Content-Length: 4\r\n"), both("C2")),
            &[201],
        ),
        (
            "chunks of gzip",
            post("Transfer-Encoding: gzip, chunked\r\n", chunked(&lot("C3"))),
            &[415],
        ),
        ("chunks in chunks", post(&format!("{CHUNKED}{CHUNKED}"), chunked(&lot("C4"))), &[415]),
        ("chunks not last", post("Transfer-Encoding: chunked, gzip\r\n", ""), &[400]),
        ("no chunks", post("Transfer-Encoding: xchunked\r\n", ""), &[400]),
        ("chunks of HTTP/1.0", get("POST /api/v1/lots HTTP/1.0", CHUNKED), &[400]),
        ("a trailer", post(CHUNKED, trailer), &[201]),
        ("an endless chunk size", post(CHUNKED, "f".repeat(40)), &[400]),
        ("a large chunk size", post(CHUNKED, "7fffffffffffffff\r\nx"), &[503]),
        ("no chunk size", post(CHUNKED, "zz\r\n"), &[400]),
        ("a long chunk extension", post(CHUNKED, long), &[400]),
        ("two lengths", post("Content-Length: 4\r\nContent-Length: 5\r\n", "{}"), &[400]),
        ("a list of lengths", post("Content-Length: 5, 5\r\n", "{}"), &[400]),
        ("a signed length", post("Content-Length: +2\r\n", "{}"), &[400]),
        ("a negative length", post("Content-Length: -2\r\n", "{}"), &[400]),
        (
            "a length beyond all numbers",
            post(&format!("Content-Length: {}\r\n", "9".repeat(30)), ""),
            &[400],
        ),
        ("a length beyond all memory", post("Content-Length: 9999999999999999999\r\n", ""), &[413]),
        (
            "a body where none belongs",
            [
                get("GET /livez HTTP/1.1", &format!("Content-Length: {}\r\n", hidden.len())),
                hidden.into(),
            ]
            .concat(),
            &[200],
        ),
        ("many in one go", plain("/livez").repeat(100), &[200; 100]),
    ]
}

/// Lines that are no lines, names that are no names.
fn lines() -> Vec<Case> {
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    let large = format!("X-Large: {}\r\n", "a".repeat(300_000));
    let livez = "GET /livez HTTP/1.1";
    vec![
        ("a blank before the colon", get(livez, "X-A : b\r\n"), &[400]),
        ("a folded line", get(livez, "X-A: b\r\n c\r\n"), &[400]),
        ("a NUL in a header", get(livez, "X-A: b\0c\r\n"), &[400]),
        ("a bare CR in a header", get(livez, "X-A: b\rX-Injected: 1\r\n"), &[400]),
        ("a header without a name", get(livez, ": b\r\n"), &[400]),
        ("two hundred headers", get(livez, &many), &[431]),
        ("a large header", get(livez, &large), &[431]),
        ("a long path", plain(&format!("/{}", "a".repeat(70_000))), &[414]),
        ("a path that just fits", plain(&format!("/{}", "a".repeat(60_000))), &[404]),
        ("no Host", format!("{livez}\r\n\r\n").into_bytes(), &[400]),
        ("two Hosts", get(livez, "Host: y\r\n"), &[400]),
        (
            "a Host with a script",
            format!("{livez}\r\nHost: x\";script\r\n\r\n").into_bytes(),
            &[400],
        ),
        ("HTTP/1.0 without a Host", b"GET /livez HTTP/1.0\r\n\r\n".to_vec(), &[200]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[]),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n".to_vec(), &[400]),
        ("tabs between", b"GET\t/livez\tHTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), &[400]),
        ("a blank in the path", plain("/livez x"), &[400]),
        (
            "bytes in the path",
            [b"GET /\xff HTTP/1.1\r\n".to_vec(), b"Host: x\r\n\r\n".to_vec()].concat(),
            &[400],
        ),
        (
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00\r\n\r\n".to_vec(),
            &[400],
        ),
        (
            "a request id with another header",
            get(livez, "X-Request-Id: a\r\n\tX-Injected: 1\r\n"),
            &[400],
        ),
        ("a request id of bytes", get(livez, "X-Request-Id: k\u{e4}se\u{202e}\r\n"), &[200]),
        (
            "a request id that is long",
            get(livez, &format!("X-Request-Id: {}\r\n", "a".repeat(5_000))),
            &[200],
        ),
    ]
}

/// Ways out of the tree, and methods that are not for it.
fn paths_and_methods() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("/api/v1/../../etc/passwd", &[404]),
        ("/assets/%2e%2e/%2e%2e/Cargo.toml", &[404]),
        ("/assets/..%2f..%2fCargo.toml", &[404]),
        ("/assets/..\\..\\Cargo.toml", &[404]),
        ("/assets/%00", &[404]),
        ("/assets/console.js%00.html", &[404]),
        ("//livez", &[404]),
        ("/api//v1/lots", &[404]),
        ("/livez/", &[404]),
        ("/API/V1/LOTS", &[404]),
        ("/api/v1/lots/%00", &[404]),
        ("/api/v1/lots/%ff", &[400]),
        ("/api/v1/lots/%", &[404]),
        ("/api/v1/lots/%zz", &[404]),
        ("/api/v1/lots?limit=1&limit=2", &[400]),
        ("/api/v1/lots?%00=1", &[400]),
        ("/api/v1/lots?limit=99999999999999999999", &[400]),
        ("*", &[404]),
        // A name of another server in the request line is this server's all the same: it is no proxy.
        ("http://elsewhere.example/api/v1/lots/none", &[404]),
    ]
    .into_iter()
    .map(|(path, statuses): (&'static str, &'static [u16; 1])| (path, plain(path), &statuses[..]))
    .collect();
    let with = |method: &str, path: &str| get(&format!("{method} {path} HTTP/1.1"), "");
    cases.extend([
        ("TRACE", with("TRACE", "/livez"), &[405][..]),
        ("CONNECT", with("CONNECT", "elsewhere.example:443"), &[404]),
        ("a method of our own", with("PARK", "/api/v1/lots"), &[405]),
        ("get in small letters", with("get", "/livez"), &[405]),
        ("a long method", with(&"A".repeat(5_000), "/livez"), &[405]),
        ("OPTIONS of everything", with("OPTIONS", "*"), &[404]),
        (
            "another method by a header",
            get("POST /livez HTTP/1.1", "X-HTTP-Method-Override: GET\r\n"),
            &[405],
        ),
        (
            "HTTP/2 by upgrade",
            get("GET /livez HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
            &[200],
        ),
    ]);
    cases
}

async fn all_are_answered(cases: Vec<Case>) {
    let victim = Victim::start(&SETTINGS).await;
    let before = victim.forget_peak();
    let exchanges = cases.into_iter().map(|(name, bytes, expected)| async move {
        (name, exchange(victim.address, &bytes).await, expected)
    });
    for (name, answer, expected) in join_all(exchanges).await {
        let shown: String = answer.chars().take(600).collect();
        assert_eq!(statuses(&answer), expected, "{name}: {shown}");
        assert!(!answer.to_ascii_lowercase().contains("\r\nx-injected"), "{name}: {shown}");
        let answers = answer.split("HTTP/1.").skip(1);
        for answer in answers.filter(|answer| answer.contains("x-request-id")) {
            let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
            assert!(
                id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()),
                "{name}: {id}"
            );
            assert!(answer.len() < 200_000, "{name}: nothing is repeated at length");
        }
    }
    victim.survived(before, GROWTH_MEBIBYTES_MAX, "strange requests").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled_in_bodies() {
    all_are_answered(framing()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled_in_headers() {
    all_are_answered(lines()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_lead_nowhere_else_and_methods_do_nothing_else() {
    all_are_answered(paths_and_methods()).await;
}

/// Bodies that are an attack on whoever reads JSON.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str| open.repeat(100_000).into_bytes();
    vec![
        ("arrays in arrays", deep("[")),
        ("objects in objects", deep("{\"a\":")),
        ("arrays in readings", [b"{\"readings\":".to_vec(), deep("[")].concat()),
        ("arrays in rules", [b"{\"rules\":".to_vec(), deep("[")].concat()),
        ("a key twice", br#"{"occupied":1,"occupied":2,"code":"a","code":"b","lot":"L1","lot":"L2","from":1,"from":2,"name":"a","name":"b","readings":[],"readings":[]}"#.to_vec()),
        ("a number beyond all numbers", br#"{"capacity":1e999,"occupied":1e999,"hold_seconds":1e999}"#.to_vec()),
        ("a number of many digits", format!(r#"{{"capacity":{0},"occupied":{0}}}"#, "9".repeat(100_000)).into_bytes()),
        ("a fraction of many digits", format!(r#"{{"capacity":0.{0},"occupied":0.{0}}}"#, "3".repeat(100_000)).into_bytes()),
        ("not a number", br#"{"capacity":NaN}"#.to_vec()),
        ("bytes that are no UTF-8", b"{\"name\":\"\xc3\x28\"}".to_vec()),
        ("half of a character", br#"{"name":"\ud800"}"#.to_vec()),
        ("NUL", b"\0\0\0\0".to_vec()),
        ("NUL in a text", b"{\"name\":\"\0\"}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}x".to_vec()),
        ("a long key", format!(r#"{{"{}":1}}"#, "k".repeat(1_000_000)).into_bytes()),
        ("many keys", format!("{{{}}}", (0..100_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",")).into_bytes()),
        ("one long text", vec![b'"'; 1]),
        ("many blanks", vec![b' '; 4_000_000]),
        ("many escapes", format!(r#"{{"name":"{}"}}"#, r"\u0000".repeat(500_000)).into_bytes()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn json_made_to_hurt_is_refused_everywhere() {
    let victim = Victim::start(&[]).await;
    let operator = Role::Operator;
    for lot in [bayed("L1", 2), counted("P1", 5)] {
        let made = victim.send(operator, Method::POST, "/api/v1/lots", Some(&lot)).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let before = victim.forget_peak();
    let client = reqwest::Client::new();
    let id = "01a20022-12ae-75d2-9d8b-cb7c4d467aba";
    for (method, path) in [
        (Method::POST, "/api/v1/lots".to_owned()),
        (Method::PATCH, "/api/v1/lots/L1".to_owned()),
        (Method::PATCH, "/api/v1/lots/L1/slots/A-1".to_owned()),
        (Method::POST, "/api/v1/lots/L1/readings".to_owned()),
        (Method::POST, "/api/v1/lots/P1/counts".to_owned()),
        (Method::POST, "/api/v1/reservations".to_owned()),
        (Method::PATCH, format!("/api/v1/reservations/{id}")),
        (Method::POST, format!("/api/v1/reservations/{id}/cancel")),
    ] {
        for (name, body) in bodies() {
            let url = format!("http://{}{path}", victim.address);
            let request = client.request(method.clone(), url).bearer_auth(token(operator));
            let request = request.header("content-type", "application/json");
            // With a key, so that the request is digested as well.
            let request = request.header("idempotency-key", "k").body(body);
            let answer = common::read(request).await;
            assert!(answer.status.is_client_error(), "{name} at {path}: {}", answer.text);
            let _is_a_problem = answer.code();
            assert!(answer.text.len() < 8_192, "{name} at {path}: {} bytes", answer.text.len());
        }
    }
    // One body at a time, 4 MB at most, and what the parser makes of it.
    victim.survived(before, 64, "JSON made to hurt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_refused_and_answers_are_not_compressed() {
    let victim = Victim::start(&SETTINGS).await;
    let before = victim.forget_peak();
    let blanks = vec![b' '; 1024 * 1024];
    let best = flate2::Compression::best();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), best);
    for _ in 0..256 {
        bomb.write_all(&blanks).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1024 * 1024, "a quarter of a gigabyte in {} bytes", bomb.len());
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"] {
        let lines = format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n", bomb.len());
        let answer = exchange(victim.address, &post(&lines, &bomb)).await;
        assert_eq!(statuses(&answer), [415], "{coding}: {answer}");
        assert!(answer.contains(&format!("`Content-Encoding: {coding}` is not read")), "{answer}");
    }
    // Without the header it is not JSON, with `identity` it is what it is.
    assert_eq!(statuses(&exchange(victim.address, &sized(&bomb)).await), [400]);
    let body = lot("C1");
    let lines = format!("Content-Encoding: identity\r\nContent-Length: {}\r\n", body.len());
    assert_eq!(statuses(&exchange(victim.address, &post(&lines, &body)).await), [201]);
    for path in ["/api/v1/lots", "/openapi.json", "/console", "/metrics"] {
        let lines = "Accept-Encoding: gzip, deflate, br, zstd\r\n";
        let answer = exchange(victim.address, &get(&format!("GET {path} HTTP/1.1"), lines)).await;
        assert_eq!(statuses(&answer), [200], "{path}");
        assert!(!answer.to_ascii_lowercase().contains("content-encoding"), "{path}");
    }
    victim.survived(before, GROWTH_MEBIBYTES_MAX, "compressed bombs").await;
}
