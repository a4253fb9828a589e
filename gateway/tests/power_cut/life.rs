//! Two lives of a server under strace, with an end in order between them, and what its clients were told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::{KEY, Process, hermetic, token, token_of};
use crate::trace::{Trace, traced};

/// Clients at the same time.
const CLIENTS: usize = 4;
/// Rounds of a client in each life.
const ROUNDS: usize = 10;
/// A lot for each client's bookings and one for the readings of all.
const BUSY: &str = "BUSY";
const BUSY_SLOTS: usize = 600;
const SLOTS: usize = 4;
const PAGE: usize = 500;

/// A request and its answer.
pub struct Exchange {
    pub path: String,
    pub token: String,
    pub body: Value,
    /// Of the lot, as answered.
    pub lot: String,
    pub seq: u64,
    pub answer: Value,
}

/// What clients were told over both lives.
#[derive(Default)]
pub struct Told {
    /// By request id.
    pub exchanges: BTreeMap<String, Exchange>,
    /// The log of each lot at the end, as the server showed it.
    pub logs: BTreeMap<String, Vec<Value>>,
}

/// A server's data, and what is known of it.
pub struct Life {
    data: PathBuf,
    directory: PathBuf,
    pub told: Told,
}

/// One client of a running server.
struct Client<'a> {
    server: &'a Process,
    client: reqwest::Client,
    name: String,
    token: String,
    told: &'a Mutex<Told>,
    sent: usize,
}

/// Every page of a lot's log.
pub async fn log_of(server: &Process, lot: &str) -> Vec<Value> {
    let mut log: Vec<Value> = Vec::new();
    loop {
        let path = format!("/api/v1/events?lot={lot}&after_seq={}&limit={PAGE}", log.len());
        let page = server.send(Method::GET, &path, Some(&token(Role::Operator)), None).await;
        let page = page.expect(200)["items"].as_array().unwrap().clone();
        let is_last = page.len() < PAGE;
        log.extend(page);
        if is_last {
            return log;
        }
    }
}

impl Client<'_> {
    /// Sends a request under a key and an id of its own, and keeps what was answered.
    async fn send(&mut self, lot: &str, method: Method, path: String, body: Value) -> Value {
        self.sent += 1;
        let id = format!("{}-{}", self.name, self.sent);
        let url = format!("http://{}{path}", self.server.address);
        let request = self.client.request(method, url).bearer_auth(&self.token).json(&body);
        let request = request.header("x-request-id", &id).header("idempotency-key", &id);
        let response = request.send().await.unwrap();
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {answer}");
        let seq = answer["seq"].as_u64().or_else(|| answer["availability"]["seq"].as_u64());
        let (lot, token, seq) = (lot.to_owned(), self.token.clone(), seq.unwrap());
        let kept = Exchange { path, token, body, lot, seq, answer: answer.clone() };
        self.told.lock().unwrap().exchanges.insert(id, kept);
        answer
    }

    async fn create(&mut self, lot: &str, slots: usize) {
        let slots: Vec<Value> = (1..=slots).map(|n| json!({"code": format!("A-{n}")})).collect();
        let body = json!({"code": lot, "name": "One", "kind": "bayed", "slots": slots});
        self.send(lot, Method::POST, "/api/v1/lots".to_owned(), body).await;
    }

    /// Readings of many slots, then a hold that is confirmed, moved and given up, or left as it is at any of these.
    async fn round(&mut self, lot: &str, round: usize, days: Timestamp) {
        let many = if round % 5 == 4 { BUSY_SLOTS } else { 3 };
        let occupied = round.is_multiple_of(2);
        let readings: Vec<Value> = (1..=many)
            .map(|slot| json!({"slot": format!("A-{slot}"), "occupied": occupied}))
            .collect();
        let path = format!("/api/v1/lots/{BUSY}/readings");
        self.send(BUSY, Method::POST, path, json!({"readings": readings})).await;
        let from = days + SignedDuration::from_hours(2 * i64::try_from(round).unwrap());
        let to = |hours: i64| (from + SignedDuration::from_mins(hours * 30)).to_string();
        let body = json!({
            "lot": lot, "slot": format!("A-{}", 1 + round % SLOTS), "from": from.to_string(), "to": to(2),
            "hold_seconds": 3_600, "vehicle": {"plate": format!("B-{} {round}", self.name.to_uppercase()), "country": "D"},
        });
        let held = self.send(lot, Method::POST, "/api/v1/reservations".to_owned(), body).await;
        let path = format!("/api/v1/reservations/{}", held["id"].as_str().unwrap());
        if !round.is_multiple_of(4) {
            self.send(lot, Method::POST, format!("{path}/confirm"), json!({})).await;
        }
        if round % 4 > 1 {
            self.send(lot, Method::PATCH, path.clone(), json!({"to": to(3)})).await;
        }
        if round % 4 > 2 {
            self.send(lot, Method::POST, format!("{path}/cancel"), json!({})).await;
        }
    }
}

impl Life {
    /// Nothing has lived there yet.
    pub fn new(data: &Path, directory: &Path) -> Self {
        let (data, directory) = (data.to_path_buf(), directory.to_path_buf());
        Self { data, directory, told: Told::default() }
    }

    /// Lives twice; what the process did to its files and said.
    pub async fn live(&mut self) -> Trace {
        let mut text = self.once(0).await;
        text.push_str(&self.once(1).await);
        Trace::read(&text)
    }

    async fn once(&mut self, life: usize) -> String {
        let output = self.directory.join(format!("trace-{life}"));
        let mut command = hermetic(traced(Path::new(env!("CARGO_BIN_EXE_lotkeeper")), &output));
        command.env("LOTKEEPER_AUTH_KEY", KEY).env("LOTKEEPER_RATE_DRIVER_PER_HOUR", "0");
        command.env("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", "0");
        command.env("LOTKEEPER_STORAGE_SNAPSHOT_EVERY_RECORDS", "1000");
        command.env("LOTKEEPER_LOG", "warn");
        let mut server = Process::start_command(command, &self.data);
        let told = Mutex::new(std::mem::take(&mut self.told));
        // Days ahead: nothing ends by itself.
        let days =
            Timestamp::now() + SignedDuration::from_hours(24 * (3 + i64::try_from(life).unwrap()));
        let client = |number: usize, role| Client {
            server: &server,
            client: reqwest::Client::new(),
            name: format!("{life}c{number}"),
            token: token_of(role, &format!("person-{number}")),
            told: &told,
            sent: 0,
        };
        if life == 0 {
            let mut operator = client(CLIENTS, Role::Operator);
            operator.create(BUSY, BUSY_SLOTS).await;
            for number in 0..CLIENTS {
                operator.create(&format!("L{number}"), SLOTS).await;
            }
        }
        join_all((0..CLIENTS).map(|number| {
            let mut client = client(number, Role::Operator);
            async move {
                for round in 0..ROUNDS {
                    client.round(&format!("L{number}"), round, days).await;
                }
            }
        }))
        .await;
        let mut told = told.into_inner().unwrap();
        let lots = (0..CLIENTS).map(|number| format!("L{number}")).chain([BUSY.to_owned()]);
        for lot in lots {
            told.logs.insert(lot.clone(), log_of(&server, &lot).await);
        }
        self.told = told;
        // strace itself hears no signals; the first line of a trace is its program's.
        let so_far = std::fs::read_to_string(&output).unwrap();
        let id = so_far.split_whitespace().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        assert_eq!(server.wait(), Some(0));
        std::fs::read_to_string(&output).unwrap()
    }
}
