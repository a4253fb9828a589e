//! `GET /api/v1/backup`: who may, one at a time, and clients that hang or servers that go.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use common::{Server, grant, mint, token};
use http_common::bayed;
use lotkeeper_gateway::auth::{Grant, Role};
use lotkeeper_gateway::config::Config;
use lotkeeper_storage::backup::{Site, Target};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/backup";
const DEADLINE: Duration = Duration::from_secs(60);
/// About a megabyte of log each.
const LARGE_LOTS: u64 = 9;

/// A lot of 10,000 slots with long codes.
fn large(code: &str) -> Value {
    let slots: Vec<Value> = (1..=10_000).map(|n| json!({"code": format!("{n:064}")})).collect();
    json!({"code": code, "name": code, "kind": "bayed", "slots": slots})
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_of_the_named_tenant_for_all_lots_may() {
    let server = Server::start().await;
    for role in Role::ALL {
        let answer = server.send(Method::GET, PATH, Some(&token(role)), None).await;
        match role {
            Role::Admin => assert_eq!(answer.status, 200),
            _ => assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "role_not_allowed")),
        }
    }
    let elsewhere = mint(&Grant { tenant: "elsewhere".to_owned(), ..grant(Role::Admin) });
    let limited = mint(&Grant { lots: Some(vec!["L1".to_owned()]), ..grant(Role::Admin) });
    for (token, status, code) in [
        (Some(elsewhere.as_str()), 403, "role_not_allowed"),
        (Some(limited.as_str()), 403, "lot_not_allowed"),
        (None, 401, "token_missing"),
    ] {
        let answer = server.send(Method::GET, PATH, token, None).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code));
    }
    server.stop().await;
    let server =
        Server::start_with(|config| config.auth.backup_tenant = "elsewhere".to_owned()).await;
    assert_eq!(server.send(Method::GET, PATH, Some(&elsewhere), None).await.status, 200);
    assert_eq!(server.get(Role::Admin, PATH).await.status, 403);
    server.stop().await;
    let nobodys = Server::start_with(|config| config.auth.backup_tenant = String::new()).await;
    assert_eq!(nobodys.get(Role::Admin, PATH).await.status, 403);
    nobodys.stop().await;
}

fn figure(server: &Server, series: &str) -> f64 {
    let text = server.running.app.metrics.text();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).trim().parse().unwrap()
}

/// A client that asks and does not read holds the backup until its time is over, and nobody else up.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_loses_its_backup_and_the_next_has_all() {
    let server = Server::start().await;
    // More than the system keeps for a connection that nobody reads.
    for n in 0..LARGE_LOTS {
        server.post(Role::Operator, "/api/v1/lots", &large(&format!("L{n}"))).await.expect(201);
    }
    // The short time is for the hanging client alone: such lots may take longer on a busy machine.
    let directory = server.stop().await;
    let short = |config: &mut Config| config.server.request_timeout = Duration::from_secs(4);
    let server = Server::start_in(directory, short).await;
    let hanging = tokio::net::TcpSocket::new_v4().unwrap();
    hanging.set_recv_buffer_size(2_048).unwrap();
    let hanging = hanging.connect(server.running.address).await.unwrap();
    let mut hanging = hanging.into_std().unwrap();
    hanging.set_nonblocking(false).unwrap();
    let admin = token(Role::Admin);
    write!(hanging, "GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin}\r\n\r\n")
        .unwrap();
    // The first bytes: it has begun.
    let mut first = [0; 15];
    let mut hanging = tokio::task::spawn_blocking(move || {
        hanging.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        hanging
    })
    .await
    .unwrap();
    let second = server.get(Role::Admin, PATH).await;
    assert_eq!((second.status.as_u16(), &*second.code()), (409, "backup_in_progress"));
    server.post(Role::Operator, "/api/v1/lots", &bayed("MORE", 3)).await.expect(201);
    let deadline = Instant::now() + DEADLINE;
    while figure(&server, "lotkeeper_backups_total{outcome=\"failed\"}") < 1.0 {
        assert!(Instant::now() < deadline, "the hanging client keeps its backup");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What it finds when it reads at last is no backup, and does not end like one.
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = Vec::new();
        let _cut = hanging.read_to_end(&mut rest);
        rest
    });
    assert!(!rest.await.unwrap().ends_with(b"0\r\n\r\n"), "an end of the body was sent");

    let request = server.request(Method::GET, PATH).bearer_auth(&admin);
    let whole = request.send().await.unwrap().bytes().await.unwrap();
    assert!(figure(&server, "lotkeeper_backup_timestamp_seconds") > 1e9);
    let directory = tempfile::tempdir().unwrap();
    let mut open = || Ok(Box::new(Cursor::new(whole.clone())) as Box<dyn Read>);
    let site = Site::new(&directory.path().join("data")).unwrap();
    let restored = site.restore(&mut open, "the backup", Target::Latest, &mut |_, _| {}).unwrap();
    assert_eq!(restored.contents.lots, LARGE_LOTS + 1);
    server.stop().await;
    let again = Server::start_in(directory, |_| {}).await;
    let shown = again.get(Role::Operator, "/api/v1/lots/L5/availability").await.expect(200);
    assert_eq!(shown["capacity"], 10_000);
    again.stop().await;
}

/// A backup is read no faster than configured, and a server that ends amid it waits for nothing and does not end it as
/// if it were whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_amid_a_backup_cuts_it_off() {
    // A byte a second: after the first block the backup rests for minutes.
    let server = Server::start_with(|config| config.server.backup_bytes_per_second = 1).await;
    server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 50)).await.expect(201);
    let request = server.request(Method::GET, PATH).bearer_auth(token(Role::Admin));
    let mut taking = request.send().await.unwrap();
    assert!(taking.chunk().await.unwrap().is_some());
    let second = server.get(Role::Admin, PATH).await;
    assert_eq!((second.status.as_u16(), &*second.code()), (409, "backup_in_progress"));
    let _directory = tokio::time::timeout(DEADLINE, server.stop()).await.expect("it ends");
    while let Ok(more) = taking.chunk().await {
        assert!(more.is_some(), "an end of the body was sent");
    }
}

/// What comes of a server that goes amid a backup is no file.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_amid_a_backup_leaves_no_file() {
    let server = Server::start().await;
    server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 500)).await.expect(201);
    let admin = token(Role::Admin);
    let whole = server.request(Method::GET, PATH).bearer_auth(&admin).send().await.unwrap();
    let whole = whole.bytes().await.unwrap();
    server.stop().await;
    let directory = tempfile::tempdir().unwrap();
    for (kept, says) in
        [(whole.len() / 2, "cut short"), (whole.len() - 1, "cut short"), (0, "is empty")]
    {
        // A server that sends so much of it and is gone, in good form and in bad.
        for ends_well in [true, false] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let part = whole.slice(..kept);
            let serving = tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 4_096];
                assert!(socket.read(&mut request).await.unwrap() > 0);
                let length = part.len() + usize::from(!ends_well);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(&part).await.unwrap();
                socket.shutdown().await.unwrap();
            });
            let out = directory.path().join("out.lkb");
            let mut command = tokio::process::Command::from(common::binary());
            command.args(["backup", out.to_str().unwrap(), "--url", &format!("http://{address}")]);
            let output = command.env("LOTKEEPER_TOKEN", &admin).output().await.unwrap();
            serving.await.unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{errors}");
            assert!(!ends_well || errors.contains(says), "{kept}: {errors}");
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "{errors}");
        }
    }
}
