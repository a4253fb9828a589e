//! Does the log say who asked for what, for every kind of write, after `kill -9` and after a restart; and does
//! it say so to operators of the tenant alone?
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;
#[path = "common/ws.rs"]
mod ws;

use std::time::{Duration, Instant};

use common::{Server, grant, mint, token_of};
use http_common::{bayed, column, counted, created, minutes, reading};
use lotkeeper_gateway::auth::{Grant, Role};
use lotkeeper_storage::PersonKind;
use process::Home;
use reqwest::Method;
use serde_json::{Value, json};
use ws::{Follower, Socket, Token};

/// For what happens by itself.
const DEADLINE: Duration = Duration::from_secs(30);
const RESERVATIONS: &str = "/api/v1/reservations";

/// Somebody with a token.
#[derive(Clone, Copy)]
struct Hand(&'static str, Role);

const OLGA: Hand = Hand("olga", Role::Operator);
const OTTO: Hand = Hand("otto", Role::Operator);
const ADAM: Hand = Hand("adam", Role::Admin);
const STAN: Hand = Hand("stan", Role::Staff);
const DESK: Hand = Hand("desk-7", Role::Staff);
const ANN: Hand = Hand("ann", Role::Driver);
const BOB: Hand = Hand("bob", Role::Driver);
const SENSOR: Hand = Hand("sensor-1", Role::Device);
const CAMERA: Hand = Hand("camera-2", Role::Device);
const GATE: Hand = Hand("gate-1", Role::Device);
const BARRIER: Hand = Hand("barrier-2", Role::Device);

impl Hand {
    fn token(self) -> String {
        token_of(self.1, self.0)
    }
}

/// The log as rows of type, subject and role; nobody is two dashes.
fn rows(page: &Value) -> Vec<[String; 3]> {
    let row = |item: &Value| {
        let by = |member: &str| match item.get("by") {
            None => "-".to_owned(),
            Some(by) => by[member].as_str().unwrap_or("null").to_owned(),
        };
        [item["type"].as_str().unwrap().to_owned(), by("subject"), by("role")]
    };
    page["items"].as_array().unwrap().iter().map(row).collect()
}

fn wanted(rows: &[(&str, Option<Hand>)]) -> Vec<[String; 3]> {
    let row = |(kind, by): &(&str, Option<Hand>)| {
        let (subject, role) = by.map_or(("-", "-"), |hand| (hand.0, hand.1.name()));
        [*kind, subject, role].map(str::to_owned)
    };
    rows.iter().map(row).collect()
}

async fn log(home: &Home) -> Value {
    home.send(Method::GET, "/api/v1/events?limit=500", &OLGA.token(), None).await.expect(200)
}

/// One message over an ingest socket, acknowledged.
async fn ingest(home: &Home, by: Hand, message: &Value) {
    let token = by.token();
    let socket = Socket::open(home.address, "/api/v1/ingest", Token::Header(&token));
    let mut socket = socket.await.unwrap();
    socket.send(message).await;
    let ack = socket.expect("ack").await;
    assert_eq!(ack["accepted"], 1, "{ack}");
}

/// Every kind of write there is, one after the other; the rows of the log that must come of it.
async fn every_write(home: &Home) -> Vec<(&'static str, Option<Hand>)> {
    let write = async |by: Hand, method: Method, path: &str, body: Value| {
        let answer = home.send(method, path, &by.token(), Some(&body)).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    };
    write(OLGA, Method::POST, "/api/v1/lots", bayed("L1", 3)).await;
    write(ADAM, Method::POST, "/api/v1/lots", counted("P1", 100)).await;
    write(OTTO, Method::PATCH, "/api/v1/lots/L1", json!({"name": "Market"})).await;
    let closed =
        json!({"size": "large", "service": {"state": "out_of_service", "reason": "works"}});
    write(OLGA, Method::PATCH, "/api/v1/lots/L1/slots/A-2", closed).await;
    let readings = |slot| json!({"readings": [reading(slot, true)]});
    write(SENSOR, Method::POST, "/api/v1/lots/L1/readings", readings("A-1")).await;
    let left = [reading("A-1", false)];
    let left = json!({"op": "readings", "batch": 1, "lot": "L1", "readings": left});
    ingest(home, CAMERA, &left).await;
    write(STAN, Method::POST, "/api/v1/lots/L1/readings", readings("A-3")).await;
    write(GATE, Method::POST, "/api/v1/lots/P1/counts", json!({"occupied": 40})).await;
    ingest(home, BARRIER, &json!({"op": "counts", "batch": 1, "lot": "P1", "entered": 2})).await;
    let body = json!({"lot": "L1", "from": minutes(600), "to": minutes(660), "hold_seconds": 600});
    let held = write(ANN, Method::POST, RESERVATIONS, body).await;
    let path = format!("{RESERVATIONS}/{}", held["id"].as_str().unwrap());
    write(ANN, Method::POST, &format!("{path}/confirm"), json!({})).await;
    write(ANN, Method::PATCH, &path, json!({"to": minutes(700)})).await;
    write(DESK, Method::POST, &format!("{path}/cancel"), json!({})).await;
    let now = json!({"lot": "L1", "slot": "A-1", "from": minutes(0), "to": minutes(60)});
    write(ANN, Method::POST, RESERVATIONS, now).await;
    let body = json!({"lot": "L1", "from": minutes(600), "to": minutes(660), "hold_seconds": 1});
    write(BOB, Method::POST, RESERVATIONS, body).await;
    vec![
        ("lot.created", Some(OLGA)),
        ("lot.created", Some(ADAM)),
        ("lot.changed", Some(OTTO)),
        ("slot.changed", Some(OLGA)),
        ("slot.changed", Some(OLGA)),
        ("slot.occupied", Some(SENSOR)),
        ("slot.vacated", Some(CAMERA)),
        ("slot.occupied", Some(STAN)),
        ("count.recorded", Some(GATE)),
        ("count.recorded", Some(BARRIER)),
        ("reservation.held", Some(ANN)),
        ("reservation.confirmed", Some(ANN)),
        ("reservation.modified", Some(ANN)),
        ("reservation.cancelled", Some(DESK)),
        ("reservation.confirmed", Some(ANN)),
        ("slot.hold_began", Some(ANN)),
        ("reservation.held", Some(BOB)),
        // Nobody asked for this one: its time was up.
        ("reservation.expired", None),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_names_who_asked_and_kill_9_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::new(directory.path(), &[]);
    let first = home.start().await;
    let expected = wanted(&every_write(&home).await);
    let begun = Instant::now();
    let before = loop {
        let page = log(&home).await;
        if column(&page, "type").contains(&"reservation.expired") {
            break page;
        }
        assert!(begun.elapsed() < DEADLINE, "the hold does not expire: {page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(rows(&before), expected);
    for (by, count) in [("ann", 5), ("desk-7", 1), ("sensor-1", 1), ("bob", 1), ("nobody", 0)] {
        let path = format!("/api/v1/events?by={by}");
        let found = home.send(Method::GET, &path, &OLGA.token(), None).await.expect(200);
        assert_eq!(rows(&found).len(), count, "{by}: {found}");
        assert!(rows(&found).iter().all(|row| row[1] == by), "{by}: {found}");
    }
    first.kill().await;
    let second = home.start().await;
    assert_eq!(log(&home).await, before, "after kill -9");
    assert_eq!(second.stop().await, Some(0));
    let third = home.start().await;
    assert_eq!(log(&home).await, before, "after a restart");
    assert_eq!(third.stop().await, Some(0));
    let (clean, said) = home.check().await;
    assert!(clean, "{said}");
}

/// A token of another tenant.
fn elsewhere(hand: Hand) -> String {
    mint(&Grant { subject: hand.0.to_owned(), tenant: "elsewhere".to_owned(), ..grant(hand.1) })
}

async fn events(server: &Server, token: &str, query: &str) -> Value {
    let path = format!("/api/v1/events?{query}");
    server.send(Method::GET, &path, Some(token), None).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_askers_are_its_operators_affair() {
    let server = Server::start().await;
    let lot = bayed("L1", 1);
    for token in [OLGA.token(), elsewhere(OLGA)] {
        created(&server.send(Method::POST, "/api/v1/lots", Some(&token), Some(&lot)).await);
    }
    let body = json!({"readings": [reading("A-1", true)]});
    let path = "/api/v1/lots/L1/readings";
    server.send(Method::POST, path, Some(&SENSOR.token()), Some(&body)).await.expect(200);
    let here = events(&server, &OLGA.token(), "").await;
    let there = events(&server, &elsewhere(OTTO), "").await;
    let made = [("lot.created", Some(OLGA)), ("slot.occupied", Some(SENSOR))];
    assert_eq!(rows(&here), wanted(&made));
    assert_eq!(rows(&there), wanted(&made[..1]));
    // One name in two tenants is two people; a name of elsewhere finds nothing here.
    assert_eq!(rows(&events(&server, &elsewhere(OTTO), "by=sensor-1").await).len(), 0);
    let olga = events(&server, &elsewhere(OTTO), "by=olga").await;
    assert_eq!(olga["items"], there["items"]);
    // A token for other lots shows nothing of this one.
    let other_lots = Grant { lots: Some(vec!["L9".to_owned()]), ..grant(Role::Operator) };
    assert_eq!(rows(&events(&server, &mint(&other_lots), "by=olga").await).len(), 0);
    for role in [Role::Staff, Role::Driver, Role::Device, Role::Display] {
        for query in ["", "?by=olga"] {
            let answer = server.get(role, &format!("/api/v1/events{query}")).await;
            assert_eq!(answer.code(), "role_not_allowed", "{role:?} {query}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_stays_in_the_log_without_a_name() {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    let olga = OLGA.token();
    created(&server.send(Method::POST, "/api/v1/lots", Some(&olga), Some(&bayed("L1", 2))).await);
    let reserve = async |slot: &str| {
        let body = json!({"lot": "L1", "slot": slot, "from": minutes(600), "to": minutes(660)});
        let path = RESERVATIONS;
        server.send(Method::POST, path, Some(&ANN.token()), Some(&body)).await.expect(201);
    };
    reserve("A-1").await;
    let vault = server.running.app.engine.vault();
    let ann = vault.find(common::TENANT, PersonKind::Subject, "ann").unwrap().unwrap();
    assert_eq!(events(&server, &olga, "by=ann").await["items"].as_array().unwrap().len(), 1);
    assert!(vault.erase(ann).unwrap());
    let erased = ["reservation.confirmed", "null", "driver"].map(str::to_owned);
    let log = events(&server, &olga, "lot=L1&after_seq=1").await;
    assert_eq!(rows(&log), std::slice::from_ref(&erased), "{log}");
    assert!(log["items"][0]["by"]["subject"].is_null() && !log.to_string().contains("ann"));
    assert_eq!(events(&server, &olga, "by=ann").await, json!({"items": []}));
    // Who comes back is somebody else: the old records stay without a name.
    reserve("A-2").await;
    let known = ["reservation.confirmed", "ann", "driver"].map(str::to_owned);
    assert_eq!(rows(&events(&server, &olga, "lot=L1&after_seq=1").await), [erased, known.clone()]);
    assert_eq!(rows(&events(&server, &olga, "by=ann").await), [known]);
    server.stop().await;
}

/// Signs and drivers watch lots; whoever asked for a change is none of their business.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_do_not_say_who_asked() {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    let olga = OLGA.token();
    created(&server.send(Method::POST, "/api/v1/lots", Some(&olga), Some(&bayed("L1", 2))).await);
    for role in [Role::Display, Role::Driver, Role::Operator] {
        let token = token_of(role, "watcher");
        let socket = Socket::open(server.running.address, "/api/v1/stream", Token::Header(&token));
        let (mut socket, mut follower) = (socket.await.unwrap(), Follower::new("L1"));
        follower.subscribe(&mut socket).await;
        let body = json!({"lot": "L1", "from": minutes(600), "to": minutes(660)});
        let made = server.send(Method::POST, RESERVATIONS, Some(&ANN.token()), Some(&body)).await;
        let made = made.expect(201);
        let path = format!("{RESERVATIONS}/{}/cancel", made["id"].as_str().unwrap());
        let gone = server.send(Method::POST, &path, Some(&DESK.token()), Some(&json!({}))).await;
        let head = gone.expect(200)["seq"].as_u64().unwrap();
        while follower.seq < head {
            let text = socket.text().await;
            for word in ["\"by\"", "ann", "desk-7", "olga"] {
                assert!(!text.contains(word), "{role:?} reads {word}: {text}");
            }
            follower.take(&serde_json::from_str(&text).unwrap());
        }
    }
    server.stop().await;
}
