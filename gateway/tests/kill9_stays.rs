//! `kill -9` amid scans, payments, check-ins, violations and passes: what was acknowledged is there once, every key
//! still gives its first answer, the ledger balances, lists over all times are whole.
//!
//! In small what `lotkeeper-load crash` does at length. The moments are random and seeded (`LOTKEEPER_SEED`).
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{token, token_of};
use http_common::{bayed, minutes};
use lotkeeper_gateway::auth::Role;
use process::{Home, seeded};
use rand::RngExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

const KILLS: usize = 4;
const DESKS: usize = 3;
/// Answers between two kills, and some more.
const ANSWERS: std::ops::Range<usize> = 20..80;
const DEADLINE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(5);

/// A write under a key, and its first answer once there is one.
#[derive(Clone, Debug)]
struct Written {
    path: String,
    key: String,
    token: String,
    body: Value,
    first: Option<(u16, Value)>,
}

/// What is as it was for ever: what a stay costs and owes while it goes on is as of now.
fn lasting(mut answer: Value) -> Value {
    if let Some(session) = answer.get_mut("session").and_then(Value::as_object_mut) {
        session.remove("fee_so_far");
        session.remove("due");
    }
    answer
}

/// Sends it; nothing when the server went meanwhile, or was about to.
async fn send(home: &Home, client: &reqwest::Client, written: &Written) -> Option<(u16, Value)> {
    let request = client.post(format!("{}{}", home.url(), written.path));
    let request = request.bearer_auth(&written.token).header("Idempotency-Key", &written.key);
    let response = request.json(&written.body).send().await.ok()?;
    let status = response.status().as_u16();
    let text = response.text().await.ok()?;
    let answer: Value = serde_json::from_str(&text).ok()?;
    let is_busy = status == 503 || answer["code"] == "request_in_progress";
    (!is_busy).then(|| (status, lasting(answer)))
}

/// One desk: each visit is an entry, sometimes a violation, a payment and an exit.
struct Desk {
    home: Arc<Home>,
    client: reqwest::Client,
    number: usize,
    answers: Arc<AtomicUsize>,
    over: watch::Receiver<bool>,
    written: Vec<Written>,
}

impl Desk {
    /// As often as it takes; nothing when all is over and it was not answered.
    async fn ask(&mut self, role: Role, path: &str, body: Value) -> Option<Value> {
        let number = self.written.len();
        let token = match role {
            Role::Driver => token_of(Role::Driver, "ann"),
            other => token(other),
        };
        let key = format!("desk-{}-{number}", self.number);
        self.written.push(Written { path: path.to_owned(), key, token, body, first: None });
        loop {
            let written = self.written[number].clone();
            if let Some((status, answer)) = send(&self.home, &self.client, &written).await {
                assert!((200..300).contains(&status), "{written:?}: {status} {answer}");
                self.written[number].first = Some((status, answer.clone()));
                self.answers.fetch_add(1, Ordering::Relaxed);
                return Some(answer);
            }
            if *self.over.borrow() {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn visit(&mut self, turn: usize) -> Option<()> {
        let plate = json!({"plate": format!("K{} {turn}", self.number), "country": "D"});
        let scan = |direction: &str, credential: &Value| json!({"lot": "L1", "gate": direction, "direction": direction, "credential": credential});
        let entered = match turn % 4 {
            0 => {
                let window = (minutes(-1), minutes(119));
                let body = json!({"lot": "L1", "from": window.0, "to": window.1, "vehicle": plate});
                let booked = self.ask(Role::Driver, "/api/v1/reservations", body).await?;
                let path =
                    format!("/api/v1/reservations/{}/check-in", booked["id"].as_str().unwrap());
                self.ask(Role::Driver, &path, json!({})).await?
            }
            1 => {
                let body = json!({
                    "lot": "L1", "plan": "monthly", "vehicles": [plate],
                    "from": minutes(-600), "to": minutes(600),
                });
                let pass = self.ask(Role::Staff, "/api/v1/passes", body).await?;
                assert_eq!(pass["state"], "active");
                self.ask(Role::Device, "/api/v1/scans", scan("entry", &plate)).await?
            }
            _ => {
                let mut body = scan("entry", &json!({}));
                body["plate"] = plate.clone();
                body["observed_at"] = json!(minutes(-90));
                self.ask(Role::Device, "/api/v1/scans", body).await?
            }
        };
        assert_eq!(entered["decision"], "open", "{entered}");
        let id = entered["session"]["id"].as_str().unwrap().to_owned();
        let is_fined = turn.is_multiple_of(3);
        if is_fined {
            let body = json!({
                "lot": "L1", "kind": "blocks_lane", "session": id,
                "penalty": {"amount": 500, "currency": "EUR"},
            });
            self.ask(Role::Staff, "/api/v1/violations", body).await?;
        }
        if turn % 4 != 1 || is_fined {
            let path = format!("/api/v1/sessions/{id}/payments");
            self.ask(Role::Staff, &path, json!({"method": "cash", "shift": "s1"})).await?;
        }
        let left = self.ask(Role::Device, "/api/v1/scans", scan("exit", &plate)).await?;
        assert_eq!((&left["decision"], &left["session"]["id"]), (&json!("open"), &json!(id)));
        Some(())
    }

    async fn work(mut self) -> Vec<Written> {
        for turn in 0.. {
            if *self.over.borrow() || self.visit(turn).await.is_none() {
                break;
            }
        }
        self.written
    }
}

async fn get(home: &Home, path: &str) -> Value {
    home.send(Method::GET, path, &token(Role::Operator), None).await.expect(200)
}

/// All of a list that goes on by a cursor or, as the log does, after a sequence.
async fn all(home: &Home, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(home, &format!("{path}&limit=500{cursor}")).await;
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn log(home: &Home) -> Vec<Value> {
    let mut log: Vec<Value> = Vec::new();
    loop {
        let after = log.len();
        let page = get(home, &format!("/api/v1/events?lot=L1&after_seq={after}&limit=500")).await;
        log.extend(page["items"].as_array().unwrap().iter().cloned());
        if page["next_cursor"].is_null() {
            return log;
        }
    }
}

/// What the log says of stays and money, each once.
#[derive(Debug, Default)]
struct Told {
    entered: BTreeSet<String>,
    left: BTreeMap<String, i64>,
    charged: i64,
    paid: BTreeMap<String, i64>,
    violations: BTreeSet<String>,
    passes: BTreeSet<String>,
}

fn told(log: &[Value]) -> Told {
    let mut told = Told::default();
    for (nth, event) in log.iter().enumerate() {
        assert_eq!(event["lot_seq"], nth + 1, "no gap");
        let data = &event["data"];
        let (id, session) = (event["entity"].as_str().unwrap(), data["session"].as_str());
        let session = session.unwrap_or_default().to_owned();
        let is_new = match event["type"].as_str().unwrap() {
            "session.entered" => told.entered.insert(session),
            "session.left" => {
                let fee = data["fee"]["amount"].as_i64().expect("every end has a fee");
                told.left.insert(session, fee).is_none()
            }
            "payment.recorded" => told
                .paid
                .insert(id.to_owned(), data["amount"]["amount"].as_i64().unwrap())
                .is_none(),
            "violation.raised" => told.violations.insert(id.to_owned()),
            "pass.issued" => told.passes.insert(id.to_owned()),
            "ledger.posted" => {
                let sides = data["entries"].as_array().unwrap();
                let amounts = sides.iter().map(|side| side["amount"]["amount"].as_i64().unwrap());
                assert_eq!(amounts.sum::<i64>(), 0, "{event}");
                if data["purpose"] == "charge" {
                    told.charged += sides[0]["amount"]["amount"].as_i64().unwrap().abs();
                }
                true
            }
            _ => true,
        };
        assert!(is_new, "it is in the log twice: {event}");
    }
    told
}

/// An answer without what something costs and owes by now: that goes on, whoever asks under which key.
fn fixed(answer: &Value) -> Value {
    let mut answer = answer.clone();
    match &mut answer {
        Value::Object(members) => {
            members.retain(|name, _| !["payment", "due", "fee"].contains(&name.as_str()));
            members.values_mut().for_each(|member| *member = fixed(member));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = fixed(item)),
        _ => {}
    }
    answer
}

async fn judge(home: &Home, client: &reqwest::Client, written: &[Written]) {
    for one in written {
        let Some((status, first)) = &one.first else { continue };
        let again = send(home, client, one).await.expect("an answer");
        let (again, first) = ((again.0, fixed(&again.1)), (*status, fixed(first)));
        assert_eq!(again, first, "{} under {}", one.path, one.key);
    }
    let log = log(home).await;
    let told = told(&log);
    let granted = |path: &'static str| {
        let of = written.iter().filter(move |one| one.path.ends_with(path));
        of.filter_map(|one| one.first.as_ref().map(|(_, answer)| answer))
    };
    for payment in granted("/payments") {
        let id = format!("payments/{}", payment["id"].as_str().unwrap());
        assert_eq!(told.paid.get(&id).copied(), payment["amount"]["amount"].as_i64());
    }
    for violation in granted("/violations") {
        let id = format!("violations/{}", violation["id"].as_str().unwrap());
        assert!(told.violations.contains(&id), "{violation}");
    }
    for pass in granted("/passes") {
        assert!(told.passes.contains(&format!("passes/{}", pass["id"].as_str().unwrap())));
    }
    for scan in granted("/scans").chain(granted("/check-in")) {
        let session = &scan["session"];
        let id = session["id"].as_str().unwrap();
        assert!(told.entered.contains(id), "{scan}");
        if session["state"] == "left" {
            assert_eq!(told.left.get(id).copied(), session["fee"]["total"]["amount"].as_i64());
        }
    }
    assert_eq!(told.charged, told.left.values().sum::<i64>(), "each end is billed once");
    let ledger = get(home, "/api/v1/lots/L1/ledger").await;
    assert_eq!(ledger["balanced"], true);
    let received = ledger["balances"].as_array().unwrap().iter();
    let received = received.filter(|side| side["account"] == "received:cash");
    let received: i64 = received.map(|side| side["balance"]["amount"].as_i64().unwrap()).sum();
    assert_eq!(received, told.paid.values().sum::<i64>());
    in_the_past(home, &told).await;
}

/// Lists over all times have caught up and are whole.
async fn in_the_past(home: &Home, told: &Told) {
    let (head, deadline) = (home.seq().await.unwrap(), Instant::now() + DEADLINE);
    while get(home, "/api/v1/sessions?lot=L1&limit=1").await["as_of_seq"].as_u64().unwrap() < head {
        assert!(Instant::now() < deadline, "the history stays behind {head}");
        tokio::time::sleep(LOOK).await;
    }
    let stays = all(home, "/api/v1/sessions?lot=L1").await;
    let ids: BTreeSet<String> =
        stays.iter().map(|stay| stay["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((ids.len(), &ids), (stays.len(), &told.entered));
    for stay in &stays {
        let fee = told.left.get(stay["id"].as_str().unwrap()).copied();
        assert_eq!(stay["fee"]["total"]["amount"].as_i64(), fee, "{stay}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stays_and_money_outlive_every_kill() {
    let (mut rng, directory) = (seeded(), tempfile::tempdir().unwrap());
    let home = Arc::new(Home::new(directory.path(), &[]));
    let mut running = home.start().await;
    let operator = token(Role::Operator);
    home.send(Method::POST, "/api/v1/lots", &operator, Some(&bayed("L1", 20))).await.expect(201);
    let rate = json!({"hourly": {"tiers": [{"amount": 200, "begun": true}]}});
    let tariff =
        json!({"tariff": {"name": "T", "valid_from": "2026-01-01T00:00:00Z", "rate": rate}});
    let path = "/api/v1/lots/L1/tariffs";
    home.send(Method::POST, path, &operator, Some(&tariff)).await.expect(201);

    let (tell, over) = watch::channel(false);
    let answers = Arc::new(AtomicUsize::new(0));
    let desks: Vec<_> = (0..DESKS)
        .map(|number| {
            let (home, answers) = (Arc::clone(&home), Arc::clone(&answers));
            let (client, over) = (reqwest::Client::new(), over.clone());
            let written = Vec::new();
            tokio::spawn(Desk { home, client, number, answers, over, written }.work())
        })
        .collect();
    let deadline = Instant::now() + DEADLINE;
    for kill in 0..KILLS {
        let wanted = answers.load(Ordering::Relaxed) + rng.random_range(ANSWERS);
        while answers.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < deadline, "desks do not get on");
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..5_000))).await;
        running.kill().await;
        let (clean, said) = home.check().await;
        assert!(clean, "after kill {kill}: {said}");
        running = home.start().await;
    }
    tell.send_replace(true);
    let mut written = Vec::new();
    for desk in desks {
        written.extend(tokio::time::timeout(DEADLINE, desk).await.unwrap().unwrap());
    }
    let client = reqwest::Client::new();
    judge(&home, &client, &written).await;
    // Once more by a process that has it all from the disk.
    running.kill().await;
    running = home.start().await;
    judge(&home, &client, &written).await;
    eprintln!("{} answers over {KILLS} kills", answers.load(Ordering::Relaxed));
    assert_eq!(running.stop().await, Some(0));
}
