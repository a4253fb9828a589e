//! `lotkeeper demo` as a newcomer meets it: the real binary, and only what it prints.
//!
//! Absent: the shape of the traffic, which is proved where the model is (`gateway/src/demo`).
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{KEY, Server, binary, must_run_without};
use flate2::read::GzDecoder;
use futures_util::{SinkExt, StreamExt};
use lotkeeper_gateway::auth::Role;
use lotkeeper_gateway::demo::calibration::STAY_QUANTILES;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const START_SECONDS_MAX: u64 = 120;
const STOP_SECONDS_MAX: u64 = 60;
const CHANGES_WANTED: usize = 20;
const CHANGES_SECONDS_MAX: u64 = 120;
const FLAPPING_SECONDS_MAX: u64 = 120;
const ROLES: [&str; 6] = ["admin", "operator", "staff", "driver", "device", "display"];
const STATUSES: [&str; 5] = ["free", "occupied", "held", "unknown", "out_of_service"];

/// A demo that has told everything.
struct Demo {
    child: Child,
    address: SocketAddr,
    told: String,
    tokens: HashMap<String, String>,
    client: reqwest::Client,
}

fn command(data: &Path, listen: &str) -> Command {
    let mut command = binary();
    // Small machines run tests too. A city's night passes in seconds.
    command.env("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", "0");
    command.args(["demo", "--speed", "1440", "--listen", listen, "--data"]).arg(data);
    command
}

impl Demo {
    fn start(data: &Path) -> Self {
        let mut child = command(data, "127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut told = String::new();
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let address = line.strip_prefix("listening on http://").map(str::to_owned);
                told += &line;
                told.push('\n');
                if let Some(address) = address {
                    let _ = sender.send((address, std::mem::take(&mut told)));
                }
            }
        });
        let waited = receiver.recv_timeout(Duration::from_secs(START_SECONDS_MAX));
        let Ok((address, told)) = waited else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the demo did not open within {START_SECONDS_MAX} s; see the log above");
        };
        let tokens = ROLES.into_iter().map(|role| {
            let line = told.lines().find_map(|line| line.trim_start().strip_prefix(role));
            (role.to_owned(), line.expect("a token of every role").trim().to_owned())
        });
        let tokens = tokens.collect();
        let client = reqwest::Client::new();
        Self { child, address: address.parse().unwrap(), told, tokens, client }
    }

    /// The rest of the line that begins so.
    fn line(&self, label: &str) -> &str {
        let found = self.told.lines().find_map(|line| line.strip_prefix(label));
        found.unwrap_or_else(|| panic!("no line `{label}` in {}", self.told)).trim()
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("http://{}{path}", self.address));
        let answer = request.bearer_auth(&self.tokens["operator"]).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn lots(&self) -> Vec<Value> {
        self.get("/api/v1/lots?limit=100").await["items"].as_array().unwrap().clone()
    }

    /// How many slots of the city have each status.
    async fn statuses(&self, lots: &[Value]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for lot in lots {
            let code = lot["code"].as_str().unwrap();
            let page = self.get(&format!("/api/v1/lots/{code}/slots?limit=500")).await;
            for slot in page["items"].as_array().unwrap() {
                *counts.entry(slot["status"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            }
        }
        counts
    }

    /// SIGTERM; the exit code.
    fn stop(mut self) -> Option<i32> {
        let id = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("still running {STOP_SECONDS_MAX} s after it was told to end");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // After a failed assertion nothing may stay behind; after `stop` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The city is as large as it says and looks alive.
async fn check_city(demo: &Demo) -> Vec<Value> {
    let lots = demo.lots().await;
    assert_eq!(lots.len(), 12);
    let slots: u64 = lots.iter().map(|lot| lot["slots"].as_u64().unwrap()).sum();
    assert_eq!(slots, 2_000);
    let counted: Vec<_> = lots.iter().filter(|lot| lot["kind"] == "counted").collect();
    assert_eq!((counted.len(), &counted[0]["capacity"]), (1, &json!(620)));
    let count = demo.get("/api/v1/lots/NORTHGATE/availability").await;
    assert_eq!(count["counted"]["condition"], "consistent", "{count}");

    let statuses = demo.statuses(&lots).await;
    assert_eq!(statuses.values().sum::<usize>(), 2_000);
    for status in STATUSES {
        assert!(statuses.contains_key(status), "no slot is {status}: {statuses:?}");
    }
    let occupied = statuses["occupied"];
    assert!((160..=1_900).contains(&occupied), "{occupied} of 2,000 are occupied");
    assert!(statuses["unknown"] < 100, "{statuses:?}");
    lots
}

/// What is printed works as printed.
async fn check_addresses(demo: &Demo) {
    let own = format!("http://{}/", demo.address);
    for (label, path) in [
        ("Console ", "console#token="),
        ("Sign ", "sign/default/MARKET#token="),
        ("Counted ", "sign/default/NORTHGATE#token="),
        ("Book ", "book#token="),
        ("Scan ", "scan#token="),
        ("Docs ", "docs"),
    ] {
        let url = demo.line(label);
        assert!(url.starts_with(&format!("{own}{path}")), "{url}");
        let answer = demo.client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
    }
    for (role, token) in &demo.tokens {
        let request = demo.client.get(format!("{own}api/v1/lots")).bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), 200, "{role}");
    }
}

/// The `curl` command, taken apart at its quotes.
async fn occupy_as_told(demo: &Demo) {
    let (_, command) = demo.told.split_once("  curl ").unwrap();
    let url = command.split_whitespace().next().unwrap();
    let quoted: Vec<&str> = command.split('\'').skip(1).step_by(2).take(3).collect();
    let [kind, bearer, body] = quoted[..] else { panic!("{command}") };
    let mut request = demo.client.post(url).body(body.to_owned());
    for header in [kind, bearer] {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{command}");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["accepted"], 1, "{answer}");
}

/// Changes of all lots, until there are enough.
async fn watch(demo: &Demo, lots: &[Value]) -> usize {
    let mut request = format!("ws://{}/api/v1/stream", demo.address).into_client_request().unwrap();
    let bearer = format!("Bearer {}", demo.tokens["display"]);
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    for (lot, id) in lots.iter().zip(1..) {
        let subscribe = json!({"op":"subscribe","id":id,"lot":lot["code"],"view":"slots"});
        socket.send(Message::text(subscribe.to_string())).await.unwrap();
    }
    let mut changes = 0;
    let counting = async {
        while changes < CHANGES_WANTED {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            assert_ne!(message["op"], "error", "{message}");
            changes += message["changes"].as_array().map_or(0, Vec::len);
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(CHANGES_SECONDS_MAX), counting).await;
    changes
}

async fn wait_until_one_sensor_flaps(demo: &Demo) {
    let deadline = Instant::now() + Duration::from_secs(FLAPPING_SECONDS_MAX);
    loop {
        let slot = demo.get("/api/v1/lots/MARKET/slots/B-017").await;
        if slot["sensor"] == "flapping" {
            return;
        }
        assert!(Instant::now() < deadline, "{slot}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_opens_a_living_city_and_the_next_start_goes_on_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("demo");

    let demo = Demo::start(&data);
    assert!(demo.told.contains("(new, ready in"), "{}", demo.told);
    let lots = check_city(&demo).await;
    check_addresses(&demo).await;
    occupy_as_told(&demo).await;
    assert!(watch(&demo, &lots).await >= CHANGES_WANTED, "the traffic stands still");
    wait_until_one_sensor_flaps(&demo).await;
    let path = "/api/v1/lots/MARKET/slots/A-001";
    let before = demo.get(path).await;
    assert_eq!(before["status"], "occupied", "{before}");
    assert_eq!(demo.stop(), Some(0));

    let demo = Demo::start(&data);
    assert!(demo.told.contains("(as you left it, ready in"), "{}", demo.told);
    let after = demo.get(path).await;
    assert_eq!((&after["id"], &after["status"]), (&before["id"], &json!("occupied")));
    assert!(after["seq"].as_u64() > before["seq"].as_u64(), "{after}");
    let lots = check_city(&demo).await;
    assert!(watch(&demo, &lots).await >= CHANGES_WANTED, "the traffic stands still");
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_taken_port_is_told_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let output = command(&directory.path().join("demo"), &listen).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(output.stdout.is_empty());
    for says in [listen.as_str(), "--listen 127.0.0.1:0"] {
        assert!(errors.contains(says), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_with_other_lots_is_refused_and_left_alone() {
    let server = Server::start().await;
    let other =
        json!({"code":"MARKET","name":"Not the demo's","kind":"bayed","slots":[{"code":"1"}]});
    server.post(Role::Operator, "/api/v1/lots", &other).await.expect(201);
    let directory = server.stop().await;
    let mut demo = command(&directory.path().join("data"), "127.0.0.1:0");
    let output = demo.env("LOTKEEPER_AUTH_KEY", KEY).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(output.stdout.is_empty());
    for says in ["lot MARKET exists", "--data"] {
        assert!(errors.contains(says), "{errors}");
    }
    let server = Server::start_in(directory, |_| {}).await;
    let lot = server.get(Role::Operator, "/api/v1/lots/MARKET").await.expect(200);
    assert_eq!((&lot["name"], &lot["version"]), (&other["name"], &json!(1)));
    let lots = server.get(Role::Operator, "/api/v1/lots").await.expect(200);
    assert_eq!(lots["items"].as_array().map(Vec::len), Some(1), "{lots}");
    server.stop().await;
}

#[test]
fn speeds_outside_of_their_bounds_are_refused() {
    for speed in ["0", "1441", "fast"] {
        let output = binary().args(["demo", "--speed", speed]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{speed}");
    }
}

/// Measures [`STAY_QUANTILES`] again.
#[test]
fn stays_are_those_of_the_data() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/melbourne-2016/events.csv.gz");
    if !path.exists() && !must_run_without("data", "../shared/data is not there") {
        return;
    }
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut since: HashMap<&str, jiff::civil::DateTime> = HashMap::new();
    let mut stays: Vec<f64> = Vec::new();
    for row in text.lines().skip(1) {
        let mut columns = row.split(',');
        let at: jiff::civil::DateTime = columns.next().unwrap().parse().unwrap();
        let (bay, event) = (columns.next().unwrap(), columns.next().unwrap());
        if event == "arrive" {
            since.insert(bay, at);
        } else if let Some(came) = since.remove(bay)
            && (came.hour(), came.minute()) != (7, 30)
        {
            stays.push(at.duration_since(came).as_secs_f64() / 60.0);
        }
    }
    assert_eq!(stays.len(), 54_841);
    stays.sort_by(f64::total_cmp);
    for (share, minutes) in STAY_QUANTILES {
        let place = (stays.len() as f64 * share) as usize;
        let measured = stays[place.min(stays.len() - 1)];
        assert!((measured - minutes).abs() < 0.5, "{share}: {measured} min for {minutes}");
    }
    let mean = stays.iter().sum::<f64>() / stays.len() as f64;
    assert!((mean - 128.8).abs() < 0.05, "{mean}");
}
