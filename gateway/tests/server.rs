//! What is around every handler: refusals, limits, time, panics, headers; and how connections are taken.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::routing::{get, post};
use common::{Server, grant, mint, read, token, token_of};
use http_body_util::BodyExt;
use lotkeeper_gateway::app::App;
use lotkeeper_gateway::auth::{Principal, Role};
use lotkeeper_gateway::error::Problem;
use lotkeeper_gateway::server::Front;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Routes that do what no real one does, inside the real layers.
fn odd_routes() -> Router<App> {
    let panic = async || -> Problem { panic!("a planted bug") };
    let sleep = async || tokio::time::sleep(Duration::from_secs(3_600)).await;
    let who = async |principal: Principal| principal.subject.to_string();
    Router::new()
        .route("/odd/panic", get(panic))
        .route("/odd/sleep", get(sleep))
        .route("/odd/body", post(async |body: Bytes| body.len().to_string()))
        .route("/odd/json", post(async |body: axum::Json<Value>| body.0.to_string()))
        .route("/odd/who", get(who))
}

async fn odd(server: &Server, request: Request<Body>) -> (u16, Value) {
    let front = Front::new(odd_routes(), server.running.app.clone());
    let response = front.answer(request, None).await;
    let status = response.status().as_u16();
    assert!(response.headers().contains_key("x-request-id"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    (status, serde_json::from_slice(&body).unwrap_or(Value::String(text)))
}

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(path).body(body.into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_problem_with_a_request_id() {
    let server = Server::start().await;
    let operator = token(Role::Operator);
    let expired = mint(&lotkeeper_gateway::auth::Grant { ttl_seconds: 0, ..grant(Role::Staff) });
    // Past its leeway without waiting for it: the server's own clock decides, so this one is still good.
    assert_eq!(server.send(Method::GET, "/api/v1/lots", Some(&expired), None).await.status, 200);
    for (method, path, token, status, code) in [
        (Method::GET, "/nowhere", None, 404, "not_found"),
        (Method::GET, "/assets/nothing.js", None, 404, "not_found"),
        (Method::DELETE, "/api/v1/lots", Some(operator.as_str()), 405, "method_not_allowed"),
        (Method::POST, "/console", None, 405, "method_not_allowed"),
        (Method::GET, "/api/v1/lots", None, 401, "token_missing"),
        (Method::GET, "/api/v1/lots", Some("nonsense"), 401, "token_invalid"),
        (Method::GET, "/api/v1/stream", Some(operator.as_str()), 400, "malformed_request"),
    ] {
        let answer = server.send(method.clone(), path, token, None).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert_eq!(answer.code(), code, "{method} {path}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_id_comes_back_or_is_made() {
    let server = Server::start().await;
    for (given, kept) in [("order-66", true), ("two words", false)] {
        let request = server.request(Method::GET, "/livez").header("x-request-id", given);
        let answer = read(request).await;
        assert_eq!(answer.headers["x-request-id"] == given, kept, "{given}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_500_and_the_server_lives() {
    let server = Server::start().await;
    let (status, problem) = odd(&server, request(Method::GET, "/odd/panic", "")).await;
    assert_eq!((status, &problem["code"]), (500, &json!("internal")));
    assert!(!problem["detail"].as_str().unwrap().contains("planted"), "the inside stays inside");
    let metrics = server.running.app.metrics.text();
    assert!(metrics.contains("lotkeeper_http_panics_total 1"), "{metrics}");
    assert_eq!(odd(&server, request(Method::POST, "/odd/body", "abc")).await, (200, json!(3)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_answered() {
    let change = |config: &mut lotkeeper_gateway::config::Config| {
        config.server.request_timeout = Duration::from_millis(50);
    };
    let server = Server::start_with(change).await;
    let (status, problem) = odd(&server, request(Method::GET, "/odd/sleep", "")).await;
    assert_eq!((status, &problem["code"]), (503, &json!("outcome_unknown")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_whatever_they_say_of_their_size() {
    let server = Server::start_with(|config| config.server.body_bytes_max = 1_024).await;
    for (bytes, chunked, status) in [(1_024, false, 200), (1_025, false, 413), (1_025, true, 413)] {
        let body = vec![b'x'; bytes];
        let body = if chunked {
            let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
            Body::from_stream(chunks)
        } else {
            Body::from(body)
        };
        let mut request = request(Method::POST, "/odd/body", body);
        if !chunked {
            request.headers_mut().insert("content-length", bytes.into());
        }
        let (found, problem) = odd(&server, request).await;
        assert_eq!(found, status, "{bytes} {chunked}");
        if status == 413 {
            assert_eq!(problem["code"], "body_too_large", "{bytes} {chunked}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_libraries_become_problems() {
    let server = Server::start().await;
    for (content_type, body, status, code) in [
        ("application/json", "{", 400, "malformed_request"),
        ("text/plain", "{}", 415, "unsupported_media_type"),
    ] {
        let mut request = request(Method::POST, "/odd/json", body);
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        let (found, problem) = odd(&server, request).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{problem}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handler_that_names_a_principal_is_protected() {
    let server = Server::start().await;
    let (status, _) = odd(&server, request(Method::GET, "/odd/who", "")).await;
    assert_eq!(status, 401);
    let mut good = request(Method::GET, "/odd/who", "");
    let bearer = format!("Bearer {}", token_of(Role::Driver, "ada"));
    good.headers_mut().insert("authorization", bearer.parse().unwrap());
    assert_eq!(odd(&server, good).await, (200, json!("ada")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_have_a_quota_and_others_none() {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 2).await;
    for (role, limited) in [(Role::Driver, true), (Role::Operator, false), (Role::Device, false)] {
        for (nth, remaining) in [(0, "1"), (1, "0"), (2, "0")] {
            let answer = server.get(role, "/api/v1/lots").await;
            let refused = limited && nth == 2;
            assert_eq!(answer.status.as_u16(), if refused { 429 } else { 200 }, "{role:?} {nth}");
            assert_eq!(answer.headers.contains_key("ratelimit"), limited);
            if limited {
                assert_eq!(answer.headers["ratelimit-policy"], "\"driver\";q=2;w=3600");
                let limit = answer.headers["ratelimit"].to_str().unwrap();
                assert!(limit.starts_with(&format!("\"driver\";r={remaining};t=")), "{limit}");
            }
            if refused {
                assert_eq!(answer.code(), "too_many_requests");
                assert_eq!(answer.headers["retry-after"], "1800");
            }
        }
    }
    let other = token_of(Role::Driver, "another");
    let answer = server.send(Method::GET, "/api/v1/lots", Some(&other), None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(server.send(Method::GET, "/livez", None, None).await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_carry_a_policy_and_etags() {
    let server = Server::start().await;
    for path in ["/console", "/docs", "/sign/default/L1", "/scan", "/book"] {
        let answer = server.send(Method::GET, path, None, None).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert!(policy.contains(&format!("ws://{}", server.running.address)), "{policy}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        let etag = answer.headers["etag"].clone();
        let again = read(server.request(Method::GET, path).header("if-none-match", etag)).await;
        assert_eq!((again.status.as_u16(), again.text.len()), (304, 0), "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_never_end_end_the_connection() {
    let change = |config: &mut lotkeeper_gateway::config::Config| {
        config.server.header_timeout = Duration::from_millis(100);
    };
    let server = Server::start_with(change).await;
    let mut socket = TcpStream::connect(server.running.address).await.unwrap();
    socket.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut answer = Vec::new();
    let ended =
        tokio::time::timeout(Duration::from_secs(30), socket.read_to_end(&mut answer)).await;
    ended.expect("the server closes the connection").unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_maximum_waits_for_a_place() {
    let server = Server::start_with(|config| config.server.connections_max = 1).await;
    let ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut answer = [0_u8; 4_096];
    let mut first = TcpStream::connect(server.running.address).await.unwrap();
    first.write_all(ask).await.unwrap();
    assert!(first.read(&mut answer).await.unwrap() > 0);
    let mut second = TcpStream::connect(server.running.address).await.unwrap();
    second.write_all(ask).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), second.read(&mut answer)).await;
    assert!(early.is_err(), "answered although there is no place");
    drop(first);
    assert!(second.read(&mut answer).await.unwrap() > 0);
    drop(second);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_requests_do_not_end_the_server() {
    let server = Server::start().await;
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"POST /api/v1/lots HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n".to_vec(),
        b"POST /api/v1/lots HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            .to_vec(),
        [b"GET /".to_vec(), vec![b'a'; 200_000], b" HTTP/1.1\r\n\r\n".to_vec()].concat(),
    ] {
        let mut socket = TcpStream::connect(server.running.address).await.unwrap();
        // The server may well close before it has read everything.
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(server.send(Method::GET, "/livez", None, None).await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_their_way_are_answered_before_the_end() {
    let server = Server::start().await;
    let mut idle = TcpStream::connect(server.running.address).await.unwrap();
    let mut busy = TcpStream::connect(server.running.address).await.unwrap();
    let body = r#"{"code":"L1","name":"One","kind":"counted","capacity":5}"#;
    let head = format!(
        "POST /api/v1/lots HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        token(Role::Operator),
        body.len()
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    busy.write_all(&body.as_bytes()[..10]).await.unwrap();
    let app = server.running.app.clone();
    while app.metrics.text().contains("lotkeeper_http_in_flight_requests 0") {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(server.stop());
    app.shutdown.begun().await;
    busy.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let mut nothing = Vec::new();
    idle.read_to_end(&mut nothing).await.unwrap();
    assert!(nothing.is_empty());
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_told_to_come_back_and_waited_for() {
    use futures_util::StreamExt;
    use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
    let server = Server::start().await;
    let mut sockets = Vec::new();
    for path in ["/api/v1/stream", "/api/v1/ingest"] {
        let mut request = server.websocket_url(path).into_client_request().unwrap();
        let bearer = format!("Bearer {}", token(Role::Staff));
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        sockets.push((path, tokio_tungstenite::connect_async(request).await.unwrap().0));
    }
    let stopping = tokio::spawn(server.stop());
    for (path, socket) in &mut sockets {
        let closed = loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => break frame.unwrap(),
                Some(Ok(_)) => {}
                other => panic!("{path}: {other:?} instead of a close frame"),
            }
        };
        assert_eq!(u16::from(closed.code), 4503, "{path}");
        assert!(closed.reason.contains("retry_after_ms="), "{path}: {}", closed.reason);
    }
    drop(sockets);
    stopping.await.unwrap();
}
