//! Rehearsals of `docs/runbook.md` that have no place elsewhere; and whether that page tells the truth: every
//! test that it names is there, every log line, metric and code that it shows is in the sources.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Process, Server, binary};
use http_common::{bayed, created, reading};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(30);
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// Below the floor writes are refused with their own code; reads, probes and the log go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_goes_on_reading() {
    let first = Server::start().await;
    created(&first.post(Role::Operator, "/api/v1/lots", &bayed("L1", 2)).await);
    let directory = first.stop().await;
    // No disk has so much: to this server its own is full from the first look on.
    let full = |config: &mut lotkeeper_gateway::config::Config| {
        config.storage.free_space_floor_bytes = u64::MAX;
    };
    let server = Server::start_in(directory, full).await;
    let path = "/api/v1/lots/L1/readings";
    let body = json!({"readings": [reading("A-1", true)]});
    let begun = Instant::now();
    let refused = loop {
        let answer = server.post(Role::Device, path, &body).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(begun.elapsed() < DEADLINE, "the disk is looked at twice a second");
    };
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "storage_full"));
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    let made = server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await;
    assert_eq!(made.code(), "storage_full");
    server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    server.get(Role::Operator, "/api/v1/events").await.expect(200);
    let probe = server.send(Method::GET, "/readyz", None, None).await;
    assert_eq!(probe.status, 503, "{}", probe.text);
    assert_eq!(server.send(Method::GET, "/livez", None, None).await.status, 200);
    let directory = server.stop().await;
    // With room again everything that was answered is there, and writes are taken.
    let server = Server::start_in(directory, |_| {}).await;
    server.post(Role::Device, path, &body).await.expect(200);
    server.stop().await;
}

/// A key that is gone is made anew, and the tokens of the old one are worth nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_signing_key_is_replaced_and_old_tokens_end() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mint = || {
        let mut command = binary();
        let output = command.args(["token", "--role", "operator", "--data"]).arg(&data).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let server = Process::start_command(binary(), &data);
    let old = mint();
    let made = server.send(Method::POST, "/api/v1/lots", Some(&old), Some(&bayed("L1", 1))).await;
    made.expect(201);
    assert_eq!(server.stop(), Some(0));
    std::fs::remove_file(data.join("signing.key")).unwrap();

    let server = Process::start_command(binary(), &data);
    let refused = server.send(Method::GET, "/api/v1/lots", Some(&old), None).await;
    assert_eq!(refused.code(), "token_invalid");
    let lots = server.send(Method::GET, "/api/v1/lots", Some(&mint()), None).await.expect(200);
    assert_eq!(lots["items"][0]["code"], "L1", "data do not hang on the key");
    assert_eq!(server.stop(), Some(0));
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Everything between single backticks, and the lines of blocks marked `log`.
fn quoted() -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut words, mut lines) = (Vec::new(), Vec::new());
    for (position, part) in RUNBOOK.split("```").enumerate() {
        match part.strip_prefix("log\n").filter(|_| position % 2 == 1) {
            Some(block) => lines.extend(block.lines().filter(|line| !line.trim().is_empty())),
            None if position % 2 == 0 => words.extend(part.split('`').skip(1).step_by(2)),
            None => {}
        }
    }
    (words, lines)
}

/// All sources below a folder, as one text.
fn sources(below: &Path, into: &mut String) {
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_runbook_names_is_there() {
    let (words, _) = quoted();
    let mut named = 0;
    for word in words {
        let Some((file, test)) = word.split_once(".rs::") else { continue };
        let path = root().join(format!("{file}.rs"));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{word}: {}: {error}", path.display()));
        assert!(text.contains(&format!("fn {test}(")), "{word} is not there");
        named += 1;
    }
    assert!(named > 20, "{named} tests are named");
    for entry in RUNBOOK.split("\n## ").skip(1) {
        let title = entry.lines().next().unwrap();
        for part in ["**You see**", "**It means**", "**Do**", "**Do not**", "**Rehearsed by**"] {
            assert!(entry.contains(part), "`{title}` lacks {part}");
        }
        let rehearsed = entry.split("**Rehearsed by**").nth(1).unwrap();
        assert!(rehearsed.contains(".rs::"), "`{title}` names no test");
    }
}

#[test]
fn what_the_runbook_shows_is_in_the_sources() {
    let (words, lines) = quoted();
    let mut text = String::new();
    for folder in ["engine/src", "storage/src", "actors/src", "gateway/src"] {
        sources(&root().join(folder), &mut text);
    }
    // A text that is broken over lines in the source is one on the page.
    let text: String = text.replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(lines.len() > 10, "{lines:?}");
    for line in lines {
        // What the server fills in stands as `...`.
        for part in line.split("...").map(str::trim).filter(|part| !part.is_empty()) {
            assert!(text.contains(part), "no source says `{part}`");
        }
    }
    for metric in words.iter().filter(|word| word.starts_with("lotkeeper_")) {
        let name = metric.split(['{', ' ']).next().unwrap();
        assert!(text.contains(&format!("\"{name}\"")), "there is no metric {name}");
    }
}
