//! A disk that is slow, and one that hangs and comes back, under the real server.
//!
//! Slow is a sync that takes 300 ms, all of them, the start's too. Hanging is a sync that does not end until strace is
//! told to let go: so what is seen meanwhile does not depend on any time of the test's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::common::{Answer, Process, binary, token};
use crate::injected::{Attached, injected};
use crate::ws::{Follower, Socket, Token};
use crate::{DEADLINE, SLOTS, all_there, id_of, make_lot, recovers, set, until};

/// Half of it is what one tenant may have in flight while it is alone.
const PERMITS: usize = 64;
const SLOW_MS: u32 = 300;
/// More than the vault keeps in memory until the next commit.
const NEWCOMERS: usize = 5_000;
const TOGETHER: usize = 200;

fn limits(command: &mut Command, directory: &Path) {
    set(command, &directory.join("log"));
    command.env("LOTKEEPER_ENGINE_PERMITS_RECORDS", PERMITS.to_string());
    command.env("LOTKEEPER_SERVER_REQUEST_TIMEOUT_SECONDS", "3");
}

/// A server whose syncs are as `fault` says; nothing where there is no strace.
fn server(fault: &str, directory: &Path) -> Option<Arc<Process>> {
    let mut command = injected(&[fault], None, directory)?;
    limits(&mut command, directory);
    Some(Arc::new(Process::start_command(command, &directory.join("data"))))
}

/// Bookings of different windows, each with a key of its own: what is sent again is the same request.
#[derive(Clone)]
struct Booker {
    server: Arc<Process>,
    client: reqwest::Client,
    from: Timestamp,
}

impl Booker {
    fn new(server: &Arc<Process>) -> Self {
        let from = Timestamp::now() + SignedDuration::from_hours(1);
        Self { server: Arc::clone(server), client: reqwest::Client::new(), from }
    }

    /// Nothing when the connection was cut.
    async fn book(&self, number: usize) -> Option<Answer> {
        let half_hours = i64::try_from(number / SLOTS).unwrap();
        let from = self.from + SignedDuration::from_mins(30 * half_hours);
        let body = json!({
            "lot": "L1", "slot": format!("A-{}", number % SLOTS + 1),
            "from": from.to_string(), "to": (from + SignedDuration::from_mins(25)).to_string(),
        });
        let url = format!("http://{}/api/v1/reservations", self.server.address);
        let request = self.client.post(url).bearer_auth(token(Role::Operator)).json(&body);
        let request = request.header("idempotency-key", format!("wish-{number}"));
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        Some(Answer { status, headers, text: response.text().await.ok()? })
    }

    /// All at once; by number, what was answered.
    async fn at_once(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<(usize, Answer)> {
        let one = |number| async move { (number, self.book(number).await.expect("an answer")) };
        join_all(numbers.into_iter().map(one)).await
    }

    /// Again and again until every one is made.
    async fn until_made(&self, numbers: &[usize]) -> BTreeSet<String> {
        let (mut left, mut made) = (numbers.to_vec(), BTreeSet::new());
        while !left.is_empty() {
            let answers = self.at_once(std::mem::take(&mut left)).await;
            for (number, answer) in answers {
                match answer.status.as_u16() {
                    201 => drop(made.insert(id_of(&answer))),
                    // The first one with this key is still on its way.
                    409 if answer.code() == "request_in_progress" => left.push(number),
                    _ => {
                        turned_away(&answer);
                        left.push(number);
                    }
                }
            }
        }
        made
    }
}

/// Refused at the door with a time to come back.
fn turned_away(answer: &Answer) {
    let told = (answer.status.as_u16(), answer.code());
    assert_eq!(told, (503, "overloaded".to_owned()), "{}", answer.text);
    let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds > 0 && answer.json()["retry_after_ms"].as_u64().unwrap() > 0);
}

/// A figure of the metrics; all its series added.
async fn figure(server: &Process, name: &str) -> f64 {
    let page = server.send(Method::GET, "/metrics", None, None).await;
    let values = page.text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let is_it = series == name || series.starts_with(&format!("{name}{{"));
        is_it.then(|| value.parse::<f64>().unwrap())
    });
    values.sum()
}

/// Every kind of read, by somebody who waits for nothing.
async fn reads(server: &Process) {
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/api/v1/lots",
        "/api/v1/lots/L1/slots",
        "/api/v1/lots/L1/availability",
        "/api/v1/reservations?lot=L1&limit=500",
        "/api/v1/events?lot=L1&limit=500",
        "/api/v1/search?near=52.5,13.4&radius_m=1000",
    ] {
        let answer = server.send(Method::GET, path, Some(&token(Role::Operator)), None).await;
        assert!(!answer.status.is_server_error(), "{path}: {} {}", answer.status, answer.text);
    }
}

/// More vehicles that nobody has heard of than may wait for a commit: refused as well, and no thread waits for them.
async fn newcomers(server: &Process) {
    let client = reqwest::Client::new();
    let from = Timestamp::now() + SignedDuration::from_hours(1);
    let to = (from + SignedDuration::from_hours(1)).to_string();
    let url = format!("http://{}/api/v1/reservations", server.address);
    let one = async |number: usize| {
        let plate = format!("NEW {number}");
        let body = json!({
            "lot": "L1", "from": from.to_string(), "to": to, "vehicle": {"plate": plate, "country": "D"},
        });
        let request = client.post(&url).bearer_auth(token(Role::Operator)).json(&body).send();
        let response = tokio::time::timeout(DEADLINE, request).await.expect("an answer").unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        turned_away(&Answer { status, headers, text: response.text().await.unwrap() });
    };
    for first in (0..NEWCOMERS).step_by(TOGETHER) {
        join_all((first..first + TOGETHER).map(one)).await;
    }
}

/// Somebody who follows the lot from now on.
async fn follower(server: &Process) -> (Follower, Socket) {
    let token = token(Role::Operator);
    let opened = Socket::open(server.address, "/api/v1/stream", Token::Header(&token)).await;
    let (mut follower, mut socket) = (Follower::new("L1"), opened.unwrap());
    follower.subscribe(&mut socket).await;
    let snapshot = socket.expect("snapshot").await;
    follower.take(&snapshot);
    (follower, socket)
}

async fn lot_seq(server: &Process) -> u64 {
    let path = "/api/v1/lots/L1/availability";
    let answer = server.send(Method::GET, path, Some(&token(Role::Operator)), None).await;
    answer.expect(200)["seq"].as_u64().unwrap()
}

/// Ids of all reservations there are.
async fn listed(server: &Process) -> BTreeSet<String> {
    let path = "/api/v1/reservations?lot=L1&limit=500";
    let answer = server.send(Method::GET, path, Some(&token(Role::Operator)), None).await;
    let items = answer.expect(200)["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_slow_disk_writes_are_late_and_right_and_the_end_is_clean() {
    let directory = tempfile::tempdir().unwrap();
    let fault = format!("fsync,fdatasync:delay_exit={}", SLOW_MS * 1_000);
    let Some(server) = server(&fault, directory.path()) else { return };
    make_lot(&server).await;
    let booker = Booker::new(&server);
    let (mut follower, mut socket) = follower(&server).await;

    // Fewer than may be in flight: each is made, and those that came while one was synced share the next commit.
    let few = booker.at_once(0..PERMITS / 2).await;
    let mut ids: BTreeSet<String> = few.iter().map(|(_, answer)| id_of(answer)).collect();
    reads(&server).await;
    let commits = figure(&server, "lotkeeper_journal_commits_total").await;
    let seconds = figure(&server, "lotkeeper_journal_commit_seconds_sum").await;
    assert!(commits < 1.0 + PERMITS as f64 / 2.0, "{commits} commits share nothing");
    assert!(seconds >= commits * f64::from(SLOW_MS) / 1_000.0, "{seconds} s for {commits} commits");

    // More than may be: the others are told at once, and nothing piles up. What is repeated is made once.
    let many: Vec<usize> = (PERMITS / 2..PERMITS * 4).collect();
    ids.extend(booker.until_made(&many).await);
    assert_eq!(ids.len(), PERMITS * 4);
    let shed = figure(&server, "lotkeeper_shed_total").await;
    println!("{commits} commits of 32 bookings took {seconds:.1} s; {shed} refusals for 224 more");
    assert!(shed >= (many.len() - PERMITS / 2) as f64, "{shed} refusals");
    follower.follow_to(&mut socket, lot_seq(&server).await).await;
    assert_eq!(listed(&server).await, ids);

    // The end amid writes: each is answered as it was decided, or was not let in.
    let seq = lot_seq(&server).await;
    let last = booker.clone();
    let last = tokio::spawn(async move { last.at_once(PERMITS * 4..PERMITS * 4 + 8).await });
    until(&server, "/api/v1/lots/L1/availability", |one| one.json()["seq"].as_u64() > Some(seq))
        .await;
    server.signal(Signal::TERM);
    for (_, answer) in last.await.unwrap() {
        match answer.status.as_u16() {
            201 => drop(ids.insert(id_of(&answer))),
            _ => assert_eq!(answer.code(), "shutting_down", "{}", answer.text),
        }
    }
    drop(booker);
    assert_eq!(Arc::into_inner(server).expect("nobody else has it").wait(), Some(0));
    recovers(&directory.path().join("data"), directory.path(), &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_holds_up_writes_alone_and_all_goes_on_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = binary();
    limits(&mut command, directory.path());
    let server = Arc::new(Process::start_command(command, &directory.path().join("data")));
    make_lot(&server).await;
    let booker = Booker::new(&server);
    let first = booker.at_once(0..SLOTS).await;
    let mut ids: BTreeSet<String> = first.iter().map(|(_, answer)| id_of(answer)).collect();
    // An hour is longer than any test.
    let faults = ["fsync,fdatasync:delay_exit=3600000000"];
    let Some(hanging) = Attached::to(&server, &faults, &[], directory.path()).await else { return };
    let seq = figure(&server, "lotkeeper_seq").await;

    // While it hangs: so many wait as may, the others are told at once, reads and streams do not notice.
    let (mut waited, mut refused) = (Vec::new(), Vec::new());
    for (number, answer) in booker.at_once(SLOTS..SLOTS + PERMITS * 2).await {
        match answer.code().as_str() {
            "outcome_unknown" => waited.push(number),
            _ => {
                turned_away(&answer);
                refused.push(number);
            }
        }
    }
    assert_eq!(waited.len(), PERMITS / 2, "as many as one tenant may have in flight");
    newcomers(&server).await;
    let (mut follower, mut socket) = follower(&server).await;
    reads(&server).await;
    all_there(&server, &ids).await;
    assert_eq!(listed(&server).await, ids, "nothing is shown before it is durable");
    let now = figure(&server, "lotkeeper_seq").await;
    assert_eq!(now, seq, "`lotkeeper_seq` stands still");
    let in_flight = figure(&server, "lotkeeper_in_flight_records").await;
    let shed = figure(&server, "lotkeeper_shed_total").await;
    // Newcomers beyond what the vault keeps do not even come to the door.
    assert!(
        in_flight == (PERMITS / 2) as f64 && shed >= refused.len() as f64,
        "{in_flight} {shed}"
    );
    println!("{} wait, {} were refused", waited.len(), refused.len());

    // It is back: what waited becomes durable, and a repetition tells; what was refused had no effect.
    drop(hanging);
    for number in waited.iter().chain(&refused) {
        let mut made = booker.until_made(&[*number]).await;
        ids.append(&mut made);
    }
    assert_eq!(ids.len(), SLOTS + PERMITS * 2);
    assert_eq!(listed(&server).await, ids, "nothing is made twice");
    follower.follow_to(&mut socket, lot_seq(&server).await).await;
    drop((socket, booker));
    assert_eq!(Arc::into_inner(server).expect("nobody else has it").stop(), Some(0));
    let logged = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(logged.contains("a commit was slow; the disk is slow or shared"), "{logged}");
    recovers(&directory.path().join("data"), directory.path(), &ids).await;
}
