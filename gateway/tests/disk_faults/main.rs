//! Faults of the disk under the real server: it fills up, a sync fails, reads fail, it is slow, files are lost.
//!
//! Failing and slow calls come from strace's fault injection, a full disk is a small file system of its own.
//! Every test ends with a good disk: what was acknowledged is there, and `check` is clean.
#![allow(clippy::unwrap_used)] // tests state what they expect

#[path = "../common/mod.rs"]
mod common;
mod full;
mod injected;
mod lost;
mod slow;
mod unread;
#[path = "../common/ws.rs"]
mod ws;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Answer, KEY, Process, binary, token};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

/// For things that come by themselves, slow machines included.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
const SLOTS: usize = 8;

/// What tests set for their servers.
pub fn set(command: &mut Command, log: &Path) {
    command.env("LOTKEEPER_AUTH_KEY", KEY).env("LOTKEEPER_RATE_DRIVER_PER_HOUR", "0");
    command.env("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", "0");
    command.stderr(File::options().create(true).append(true).open(log).unwrap());
}

/// A server on a good disk; it logs into a file.
pub fn sound(data: &Path, log: &Path) -> Process {
    let mut command = binary();
    set(&mut command, log);
    Process::start_command(command, data)
}

/// `lotkeeper check`: whether it is clean, and what it said.
pub fn check(data: &Path) -> (bool, String) {
    let output = binary().arg("check").arg("--data").arg(data).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

/// A start that must be refused: exit code 1 within a time limit, a remedy, and no panic. What it said.
pub fn refused(mut command: Command, data: &Path) -> String {
    command.env("LOTKEEPER_AUTH_KEY", KEY).arg("serve").arg("--data").arg(data);
    let output = command.args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Makes the lot of these tests.
pub async fn make_lot(server: &Process) {
    let slots: Vec<Value> = (1..=SLOTS).map(|n| json!({"code": format!("A-{n}")})).collect();
    let lot = json!({"code": "L1", "name": "One", "kind": "bayed", "slots": slots});
    let token = token(Role::Operator);
    server.send(Method::POST, "/api/v1/lots", Some(&token), Some(&lot)).await.expect(201);
}

/// Books a window that nobody else does; nothing when the connection was cut.
pub async fn book(server: &Process, number: usize) -> Option<Answer> {
    let half_hours = i64::try_from(number / SLOTS).unwrap();
    let from = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(60 + 30 * half_hours);
    let to = from + jiff::SignedDuration::from_mins(25);
    let body = json!({
        "lot": "L1", "slot": format!("A-{}", number % SLOTS + 1), "from": from.to_string(), "to": to.to_string()
    });
    let url = format!("http://{}/api/v1/reservations", server.address);
    let request = reqwest::Client::new().post(url).bearer_auth(token(Role::Operator)).json(&body);
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status(), response.headers().clone());
    Some(Answer { status, headers, text: response.text().await.ok()? })
}

/// The id of a booking that was made.
pub fn id_of(answer: &Answer) -> String {
    answer.expect(201)["id"].as_str().unwrap().to_owned()
}

/// Every booking that was acknowledged is shown.
pub async fn all_there(server: &Process, ids: &BTreeSet<String>) {
    for id in ids {
        let path = format!("/api/v1/reservations/{id}");
        let shown = server.send(Method::GET, &path, Some(&token(Role::Operator)), None).await;
        assert_eq!(shown.expect(200)["id"], **id);
    }
}

/// Starts on a good disk, looks, ends, and checks; what the start logged.
pub async fn recovers(data: &Path, directory: &Path, ids: &BTreeSet<String>) -> String {
    let log = directory.join("recovery.log");
    let server = sound(data, &log);
    all_there(&server, ids).await;
    assert_eq!(server.stop(), Some(0));
    let (clean, said) = check(data);
    assert!(clean, "{said}");
    fs::read_to_string(log).unwrap()
}

/// Waits until an answer is as wanted.
pub async fn until(server: &Process, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = server.send(Method::GET, path, Some(&token(Role::Operator)), None).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "still {}: {}", answer.status, answer.text);
        tokio::time::sleep(LOOK).await;
    }
}
