//! `kill -9` at any moment: what was acknowledged is there after the restart, streams resume without a
//! gap, the data directory is clean.
//!
//! The moments are random and seeded (`LOTKEEPER_SEED`); the seed is printed.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
#[path = "common/expected.rs"]
mod expected;
mod http_common;
#[path = "common/process.rs"]
mod process;
#[path = "common/ws.rs"]
mod ws;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::token;
use expected::{Bay, Expected};
use http_common::bayed;
use lotkeeper_gateway::auth::Role;
use lotkeeper_gateway::replay::{self, Format, Options};
use process::{Home, Running, seeded};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use ws::{Event, Follower, Socket, Token};

const KILLS: u64 = 4;
/// For the whole of a test, slow machines included.
const DEADLINE: Duration = Duration::from_secs(240);
/// Between two looks at something that comes by itself.
const LOOK: Duration = Duration::from_millis(5);
/// Slots of the lot whose acknowledgements are remembered.
const ACK_SLOTS: u64 = 20;

/// A file that keeps a server busy: the real one, or as many changes made up.
fn file(directory: &Path) -> (PathBuf, Expected) {
    if let Some(data) = expected::data() {
        let file = data.join("melbourne-2016/events.csv.gz");
        let wanted = expected::melbourne_2016(&file);
        return (file, wanted);
    }
    let file = directory.join("made-up.csv.gz");
    let mut out = flate2::write::GzEncoder::new(
        std::fs::File::create(&file).unwrap(),
        flate2::Compression::fast(),
    );
    let mut rng = StdRng::seed_from_u64(1);
    let write =
        |out: &mut dyn std::io::Write, text: String| out.write_all(text.as_bytes()).unwrap();
    write(&mut out, "ts,bay,event,area\n".to_owned());
    for minute in 0..20_000_u32 {
        for _ in 0..3 {
            let bay = rng.random_range(0..600_u32);
            let event = if rng.random_bool(0.5) { "arrive" } else { "depart" };
            let (day, hour) = (7 + minute / 1_440, minute / 60 % 24);
            let ts = format!("2016-11-{day:02}T{hour:02}:{:02}:00", minute % 60);
            write(&mut out, format!("{ts},{bay}E,{event},Area {}\n", bay % 7));
        }
    }
    out.finish().unwrap();
    let wanted = expected::melbourne_2016(&file);
    (file, wanted)
}

/// Opens a socket to a server that may be down, until `over`.
async fn connected(home: &Home, path: &str, over: &watch::Receiver<bool>) -> Option<Socket> {
    let token = token(Role::Operator);
    while !*over.borrow() {
        // The handshake itself may be cut by a kill: whatever went wrong, the next try tells.
        let opening = Socket::try_open(home.address, path, Token::Header(&token));
        if let Some(socket) = opening.await {
            return Some(socket);
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

/// Follows a lot across all restarts; every sequence once, or [`Follower::take`] fails.
async fn follow(home: Arc<Home>, lot: String, mut over: watch::Receiver<bool>) -> (Follower, u32) {
    let (mut follower, mut resumed) = (Follower::new(&lot), 0);
    'connections: while let Some(mut socket) = connected(&home, "/api/v1/stream", &over).await {
        // The lot may not be made yet, and the server may go while it answers.
        let answer = follower.try_subscribe(&mut socket).await;
        match answer.as_ref().map(|answer| &answer["op"]) {
            Some(op) if op == "subscribed" => {}
            _ => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
        }
        resumed += u32::from(answer.is_some_and(|answer| answer["recovered"] == true));
        loop {
            let event = tokio::select! {
                event = socket.event() => event,
                () = told(&mut over) => {
                    // What is durable by now is on its way.
                    let head = seq_of(&home, &lot).await;
                    follower.follow_to(&mut socket, head).await;
                    break 'connections;
                }
            };
            let Event::Text(text) = event else { continue 'connections };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["op"] != "ping" {
                follower.take(&message);
            }
        }
    }
    (follower, resumed)
}

async fn told(over: &mut watch::Receiver<bool>) {
    let _sender_gone = over.wait_for(|over| *over).await;
}

async fn seq_of(home: &Home, lot: &str) -> u64 {
    let path = format!("/api/v1/lots/{lot}/availability");
    let shown = home.send(Method::GET, &path, &token(Role::Operator), None).await.expect(200);
    shown["seq"].as_u64().unwrap()
}

/// What a device knows to be durable: by slot the newest reading that moved it, and the lot's seq.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    readings: BTreeMap<u64, u64>,
    seq: u64,
    acks: u64,
}

impl Acknowledged {
    fn note(&mut self, ack: &Value) {
        self.acks += 1;
        self.seq = self.seq.max(ack["seq"].as_u64().unwrap());
        // What merely confirms a state is not recorded, so it need not survive.
        if ack["accepted"] == 1 {
            let n = ack["batch"].as_u64().unwrap();
            let newest = self.readings.entry(n % ACK_SLOTS).or_default();
            *newest = n.max(*newest);
        }
    }
}

/// The `n`th reading of the device: every slot changes every time, and its time tells its number.
fn nth(n: u64) -> Value {
    let observed_at = jiff::Timestamp::from_second(1_700_000_000 + i64::try_from(n).unwrap());
    let slot = format!("A-{}", n % ACK_SLOTS + 1);
    json!({"slot": slot, "occupied": (n / ACK_SLOTS).is_multiple_of(2), "observed_at": observed_at.unwrap()})
}

/// Sends readings one by one, a few in flight, and notes what is acknowledged; in the end it waits for
/// what is under way.
async fn send(home: Arc<Home>, noted: Arc<Mutex<Acknowledged>>, over: watch::Receiver<bool>) {
    const IN_FLIGHT: u64 = 16;
    let mut next = 0;
    while let Some(mut socket) = connected(&home, "/api/v1/ingest", &over).await {
        let mut open = 0;
        loop {
            while open < IN_FLIGHT && !*over.borrow() {
                let batch = json!({"op": "readings", "batch": next, "lot": "ACKS", "readings": [nth(next)]});
                // Whether the connection took it shows when answers are read.
                let _cut = socket.try_send(Message::text(batch.to_string())).await;
                next += 1;
                open += 1;
            }
            if open == 0 {
                return;
            }
            let Event::Text(text) = socket.event().await else { break };
            let answer: Value = serde_json::from_str(&text).unwrap();
            match answer["op"].as_str().unwrap() {
                "ack" => {
                    open -= 1;
                    noted.lock().unwrap().note(&answer);
                }
                "error" => {
                    // A busy server puts a reading off; this device has newer ones.
                    assert_eq!(answer["code"], "overloaded", "{answer}");
                    open -= 1;
                }
                _ => {}
            }
        }
    }
}

/// What was acknowledged before a kill is shown after the restart.
async fn still_there(home: &Home, before: &Acknowledged) {
    let path = "/api/v1/lots/ACKS/slots?limit=100";
    let page = home.send(Method::GET, path, &token(Role::Operator), None).await.expect(200);
    let slots = page["items"].as_array().unwrap();
    assert_eq!(slots.len() as u64, ACK_SLOTS);
    for (place, acknowledged) in &before.readings {
        let slot = &slots[usize::try_from(*place).unwrap()];
        assert_eq!(slot["code"], format!("A-{}", place + 1));
        let observed_at: jiff::Timestamp = slot["observed_at"].as_str().unwrap().parse().unwrap();
        let shown = u64::try_from(observed_at.as_second() - 1_700_000_000).unwrap();
        assert!(
            shown >= *acknowledged,
            "reading {acknowledged} was acknowledged and is lost: {slot}"
        );
        let status = if nth(shown)["occupied"] == true { "occupied" } else { "free" };
        assert_eq!(slot["status"], status, "reading {shown}: {slot}");
        assert!(slot["seq"].as_u64().unwrap() >= before.seq, "{slot} after {before:?}");
    }
}

/// Kills and restarts the server at seeded places of its work; the one that runs in the end.
async fn torment(
    home: &Home,
    mut running: Running,
    noted: &Mutex<Acknowledged>,
    records: u64,
    rng: &mut StdRng,
) -> Running {
    for kill in 0..KILLS {
        // Somewhere in its share of the work, by progress rather than by time: machines differ.
        let share = records * 8 / 10 / KILLS;
        let at = records / 10 + kill * share + rng.random_range(0..share);
        let deadline = Instant::now() + DEADLINE;
        while home.seq().await.unwrap_or_default() < at {
            assert!(Instant::now() < deadline, "the server does not reach {at} records");
            tokio::time::sleep(LOOK).await;
        }
        // Not on the beat of the looks.
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..20_000))).await;
        running.kill().await;
        let before = noted.lock().unwrap().clone();
        if kill % 2 == 1 {
            let (clean, said) = home.check().await;
            assert!(clean, "after kill {kill}: {said}");
        }
        let began = Instant::now();
        running = home.start().await;
        still_there(home, &before).await;
        eprintln!(
            "kill {kill} near {at} records, {} acks; back in {:?}",
            before.acks,
            began.elapsed()
        );
    }
    running
}

/// Every slot of the file's lots as the server shows it.
async fn bays(home: &Home, wanted: &Expected) -> BTreeMap<expected::Place, Bay> {
    let operator = token(Role::Operator);
    let mut bays = BTreeMap::new();
    for lot in wanted.changes.keys() {
        let mut cursor = String::new();
        for _page in 0..100 {
            let path = format!("/api/v1/lots/{lot}/slots?limit=500{cursor}");
            let page = home.send(Method::GET, &path, &operator, None).await.expect(200);
            for slot in page["items"].as_array().unwrap() {
                let since = slot["since"].as_str().map(|since| since.parse().unwrap());
                let bay = Bay { status: slot["status"].as_str().unwrap().to_owned(), since };
                bays.insert((lot.clone(), slot["code"].as_str().unwrap().to_owned()), bay);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
    }
    bays
}

async fn is_as_the_file_says(home: &Home, wanted: &Expected) {
    let found = bays(home, wanted).await;
    assert_eq!(found.len(), wanted.bays.len());
    for (place, bay) in &wanted.bays {
        assert_eq!(found.get(place), Some(bay), "{place:?}");
    }
    for (lot, changes) in &wanted.changes {
        assert_eq!(seq_of(home, lot).await, 1 + changes, "{lot}: one record for each change");
    }
}

/// `lotkeeper replay` as its own process, which has to come through all kills.
async fn replay_through(home: &Home, file: &Path) -> String {
    let mut command = tokio::process::Command::from(common::binary());
    command.args(["replay", "--format", "melbourne-2016", "--quiet", "--patience-seconds", "120"]);
    command.arg(file).args(["--url", &home.url()]);
    command.env("LOTKEEPER_TOKEN", token(Role::Operator)).kill_on_drop(true);
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let mut rng = seeded();
    let directory = tempfile::tempdir().unwrap();
    let (file, wanted) = file(directory.path());
    // Every reader finds all it missed: a snapshot would hide a gap.
    let settings = [("LOTKEEPER_ENGINE_RING_CHANGES_PER_LOT", "1000000")];
    let home = Arc::new(Home::new(directory.path(), &settings));
    let running = home.start().await;
    let acks = bayed("ACKS", usize::try_from(ACK_SLOTS).unwrap());
    home.send(Method::POST, "/api/v1/lots", &token(Role::Operator), Some(&acks)).await.expect(201);
    let (tell, over) = watch::channel(false);
    let (tell_device, device_over) = watch::channel(false);
    let noted = Arc::new(Mutex::new(Acknowledged::default()));
    let busiest = wanted.busiest().to_owned();
    let reader = tokio::spawn(follow(Arc::clone(&home), busiest.clone(), over.clone()));
    let second = tokio::spawn(follow(Arc::clone(&home), "ACKS".to_owned(), over));
    let device = tokio::spawn(send(Arc::clone(&home), Arc::clone(&noted), device_over));

    let all = async {
        let tormented = torment(&home, running, &noted, wanted.changes_total(), &mut rng);
        tokio::join!(tormented, replay_through(&home, &file))
    };
    let (running, said) = tokio::time::timeout(DEADLINE, all).await.expect("it comes to an end");
    eprintln!("{said}");
    is_as_the_file_says(&home, &wanted).await;
    tell_device.send_replace(true);
    tokio::time::timeout(ws::DEADLINE, device).await.unwrap().unwrap();
    tell.send_replace(true);
    for (lot, reader) in [(busiest.as_str(), reader), ("ACKS", second)] {
        let (follower, resumed) =
            tokio::time::timeout(ws::DEADLINE, reader).await.unwrap().unwrap();
        // From its first look on it has everything, and it looked once.
        assert_eq!(follower.snapshots, 1, "{lot}");
        assert!(resumed >= 1, "{lot}: {resumed} of {KILLS} kills were resumed from");
        assert_eq!(follower.seq, seq_of(&home, lot).await, "{lot}");
        eprintln!("{lot}: {} changes, each once, over {resumed} resumptions", follower.entries);
    }
    let before = noted.lock().unwrap().clone();
    assert!(before.acks > 100, "{before:?}");
    still_there(&home, &before).await;

    let mut options = Options::new(Format::Melbourne2016, file, home.url(), token(Role::Operator));
    options.quiet = true;
    let again = replay::run(options).await.unwrap();
    assert_eq!((again.accepted, again.refused_total()), (0, 0), "{again}");
    is_as_the_file_says(&home, &wanted).await;
    assert_eq!(running.stop().await, Some(0));
    let (clean, said) = home.check().await;
    assert!(clean, "{said}");
}
