//! Over HTTP, what lots have forgotten: listed, shown, and answered as if it were remembered; the history killed,
//! removed and damaged under a running interface.
//!
//! Deliberately absent: how the history joins what lots know (`actors/tests/history.rs`) and how it lies on the
//! disk (`storage/tests/history`).
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Answer, Server, token, token_of};
use futures_util::{StreamExt, stream};
use http_common::{bayed, column, created, minutes, send_as};
use lotkeeper_engine::ids::SessionId;
use lotkeeper_engine::limits::{ENDED_RESERVATIONS_KEPT_PER_LOT, ENDED_SESSIONS_KEPT_PER_LOT};
use lotkeeper_engine::lot::session::Direction;
use lotkeeper_engine::lot::{Command, Credential, Needs, Scan, Scanner, StayChange};
use lotkeeper_gateway::auth::Role;
use lotkeeper_storage::PersonKind;
use process::{Home, Running, seeded};
use rand::RngExt;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const RESERVATIONS: &str = "/api/v1/reservations";
/// For anything that comes by itself.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// Requests at the same time.
const AT_ONCE: usize = 32;
/// Slots of the lot: each takes so many windows, one after the other.
const SLOTS: usize = 120;
/// Reservations of Ann's that are forgotten.
const FORGOTTEN: usize = 30;

/// The `n`th window of a slot that nobody else takes.
fn window(n: usize) -> (String, String, String) {
    let (slot, hour) = (n % SLOTS + 1, i64::try_from(n / SLOTS).unwrap());
    (format!("A-{slot}"), minutes(600 + 60 * hour), minutes(660 + 60 * hour))
}

async fn book(server: &Server, who: &str, n: usize, further: Value) -> Value {
    let (slot, from, to) = window(n);
    let mut body = json!({"lot": "L1", "slot": slot, "from": from, "to": to});
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    let token = token_of(Role::Driver, who);
    server.send(Method::POST, RESERVATIONS, Some(&token), Some(&body)).await.expect(201)
}

async fn keyed(server: &Server, who: &str, path: &str, key: &str, body: &Value) -> Answer {
    let token = token_of(Role::Driver, who);
    send_as(server, &token, Method::POST, path, &[("Idempotency-Key", key)], Some(body)).await
}

/// All pages of a list, in order.
async fn all(server: &Server, token: &str, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _page in 0..1_000 {
        let page = server.send(Method::GET, &format!("{path}{cursor}"), Some(token), None).await;
        let page = page.expect(200);
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
    panic!("{path} has no last page");
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

/// The newest first; none twice.
#[track_caller]
fn in_order(items: &[Value]) {
    let made: Vec<jiff::Timestamp> =
        items.iter().map(|item| item["created_at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(made.is_sorted_by(|one, next| one >= next), "the newest comes first");
    assert_eq!(ids(items).into_iter().collect::<BTreeSet<_>>().len(), items.len());
}

/// Ann's reservations, cancelled, and then so many holds of Bob's that run out that the lot forgets hers: her first
/// answers to the cancellations, and the id of Bob's first.
async fn forgotten(server: &Server) -> (Vec<Value>, String) {
    let mut cancelled = Vec::new();
    for n in 0..FORGOTTEN {
        let vehicle = json!({"vehicle": {"plate": format!("B-AN {n}"), "country": "D"}});
        let made = book(server, "ann", n, vehicle).await;
        let path = format!("{RESERVATIONS}/{}/cancel", made["id"].as_str().unwrap());
        let reason = json!({"reason": "plans_changed"});
        let answer = keyed(server, "ann", &path, &format!("cancel-{n}"), &reason).await;
        cancelled.push(answer.expect(200));
    }
    let first = book(server, "bob", FORGOTTEN, json!({"hold_seconds": 1})).await;
    let many = FORGOTTEN + 1..FORGOTTEN + 1 + ENDED_RESERVATIONS_KEPT_PER_LOT + FORGOTTEN;
    stream::iter(many)
        .for_each_concurrent(AT_ONCE, |n| async move {
            // Of many people: one may have only so many at a time.
            let who = format!("bob-{}", n % AT_ONCE);
            book(server, &who, n, json!({"hold_seconds": 1})).await;
        })
        .await;
    let held = format!("{RESERVATIONS}?lot=L1&state=held&limit=1");
    wait("every hold runs out", async || {
        let page = server.get(Role::Staff, &held).await.expect(200);
        page["items"].as_array().unwrap().is_empty()
    })
    .await;
    let lot = server.running.app.engine.lot("default", "L1").unwrap();
    let id = cancelled[0]["id"].as_str().unwrap().parse().unwrap();
    assert!(lot.view().lot.reservation(lotkeeper_engine::ids::ReservationId(id)).is_none());
    (cancelled, first["id"].as_str().unwrap().to_owned())
}

async fn wait(what: &str, mut is_there: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_there().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

async fn caught_up(server: &Server) {
    let path = format!("{RESERVATIONS}?lot=L1&limit=1");
    let head = server.running.app.engine.seq();
    wait("the history catches up", async || {
        let page = server.get(Role::Staff, &path).await.expect(200);
        page["as_of_seq"].as_u64().unwrap() >= head
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lot_has_forgotten_is_listed_shown_and_answered() {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", SLOTS)).await);
    let (cancelled, expired) = forgotten(&server).await;
    caught_up(&server).await;
    let mut active = Vec::new();
    for n in 0..5 {
        active.push(book(&server, "ann", 20 * SLOTS + n, json!({})).await);
    }
    listed(&server, &cancelled, &active).await;
    answered(&server, &cancelled, &expired).await;
    without_a_name(&server, &cancelled[0]).await;
    server.stop().await;
}

/// Pages join what the lot knows with what the history has, by one cursor.
async fn listed(server: &Server, cancelled: &[Value], active: &[Value]) {
    let (ann, staff) = (token_of(Role::Driver, "ann"), token(Role::Staff));
    let wanted: Vec<&str> = [ids(active), ids(cancelled)].concat().into_iter().collect::<Vec<_>>();
    let wanted: BTreeSet<&str> = wanted.into_iter().collect();
    let own = all(server, &ann, &format!("{RESERVATIONS}?mine&limit=7")).await;
    in_order(&own);
    assert_eq!(ids(&own).into_iter().collect::<BTreeSet<_>>(), wanted);
    let first: BTreeSet<&str> = ids(&own[..active.len()]).into_iter().collect();
    assert_eq!(first, ids(active).into_iter().collect(), "the newest are the lot's own");
    for (state, how_many) in [("cancelled", FORGOTTEN), ("confirmed", 5), ("held,expired", 0)] {
        let path = format!("{RESERVATIONS}?mine&state={state}&limit=4");
        assert_eq!(all(server, &ann, &path).await.len(), how_many, "{state}");
    }
    let everything = all(server, &staff, &format!("{RESERVATIONS}?lot=L1&limit=500")).await;
    in_order(&everything);
    let total = FORGOTTEN + 1 + ENDED_RESERVATIONS_KEPT_PER_LOT + FORGOTTEN + active.len();
    assert_eq!(everything.len(), total);
    let states = everything.iter().map(|item| item["state"].as_str().unwrap());
    assert_eq!(states.filter(|state| *state == "expired").count(), total - FORGOTTEN - 5);
    // A cursor of another list is none of this one.
    let page = server.get(Role::Staff, &format!("{RESERVATIONS}?lot=L1&limit=1")).await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let strange = server.get(Role::Staff, &format!("/api/v1/sessions?cursor={cursor}")).await;
    assert_eq!(strange.code(), "malformed_cursor");
    assert_eq!(column(&page, "id").len(), 1);
}

/// As its lot would have answered while it remembered it.
async fn answered(server: &Server, cancelled: &[Value], expired: &str) {
    let ann = token_of(Role::Driver, "ann");
    let id = cancelled[0]["id"].as_str().unwrap();
    let path = format!("{RESERVATIONS}/{id}");
    let shown = server.send(Method::GET, &path, Some(&ann), None).await.expect(200);
    assert_eq!((&shown["state"], &shown["version"]), (&json!("cancelled"), &json!(2)));
    let as_ann = |method: Method, what: &str, body: Value| {
        let (path, ann) = (format!("{path}{what}"), ann.clone());
        async move { server.send(method, &path, Some(&ann), Some(&body)).await }
    };
    let moved = as_ann(Method::PATCH, "", json!({"to": minutes(700)})).await;
    assert_eq!(moved.code(), "reservation_ended");
    assert!(moved.json()["detail"].as_str().unwrap().contains("cancelled"), "{moved:?}");
    assert_eq!(as_ann(Method::POST, "/confirm", json!({})).await.code(), "reservation_ended");
    let again = as_ann(Method::POST, "/cancel", json!({})).await.expect(200);
    assert_eq!((&again["state"], &again["version"]), (&json!("cancelled"), &json!(2)));
    // The first answer, to the byte: the key was remembered longer than the reservation.
    let (cancel, reason) = (format!("{path}/cancel"), json!({"reason": "plans_changed"}));
    assert_eq!(keyed(server, "ann", &cancel, "cancel-0", &reason).await.expect(200), cancelled[0]);
    let other = keyed(server, "ann", &cancel, "cancel-0", &json!({"reason": "another"})).await;
    assert_eq!(other.code(), "idempotency_key_reused");
    for what in ["/confirm", "/cancel"] {
        let bob = token_of(Role::Driver, "bob");
        let path = format!("{path}{what}");
        let answer = server.send(Method::POST, &path, Some(&bob), Some(&json!({}))).await;
        assert_eq!(answer.code(), "reservation_not_found", "not Bob's");
    }
    let bob = token_of(Role::Driver, "bob");
    for (what, code) in [("confirm", "hold_expired"), ("cancel", "reservation_ended")] {
        let path = format!("{RESERVATIONS}/{expired}/{what}");
        let answer = server.send(Method::POST, &path, Some(&bob), Some(&json!({}))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, code));
    }
}

/// Whose plate was erased is in the history without it.
async fn without_a_name(server: &Server, one: &Value) {
    let ann = token_of(Role::Driver, "ann");
    let path = format!("{RESERVATIONS}/{}", one["id"].as_str().unwrap());
    let shown = server.send(Method::GET, &path, Some(&ann), None).await.expect(200);
    assert_eq!(shown["vehicle"], json!({"plate": "B-AN 0", "country": "D"}));
    let vault = server.running.app.engine.vault();
    let plate = vault.find("default", PersonKind::Vehicle, "D B-AN 0").unwrap();
    assert!(vault.erase(plate.expect("the plate is known")).unwrap());
    let shown = server.send(Method::GET, &path, Some(&ann), None).await.expect(200);
    assert_eq!(shown.get("vehicle"), None, "{shown}");
    let list = all(server, &ann, &format!("{RESERVATIONS}?mine&limit=9")).await;
    assert!(!json!(list).to_string().contains("\"B-AN 0\""), "{list:?}");
    assert_eq!(list.iter().filter(|item| item.get("vehicle").is_some()).count(), FORGOTTEN - 1);
    // Her own name goes, and nobody of that name has anything any more.
    let person = vault.find("default", PersonKind::Subject, "ann").unwrap();
    assert!(vault.erase(person.expect("she is known")).unwrap());
    assert!(all(server, &ann, &format!("{RESERVATIONS}?mine&limit=9")).await.is_empty());
    let staff = token(Role::Staff);
    let of_staff = server.send(Method::GET, &path, Some(&staff), None).await.expect(200);
    assert_eq!(of_staff["state"], "cancelled", "what happened stays");
}

/// So many vehicles in and out by staff, through the engine itself, so many at a time.
async fn others_come_and_go(server: &Server, how_many: usize) {
    let engine = &server.running.app.engine;
    let lot = engine.lot("default", "L1").unwrap();
    let ids: Vec<SessionId> = (0..how_many).map(|_| SessionId(Uuid::now_v7())).collect();
    for ids in ids.chunks(AT_ONCE) {
        let entries = ids.iter().map(|id| {
            Command::Scan(Box::new(Scan {
                id: *id,
                gate: None,
                direction: Direction::Entry,
                credential: Credential::Nothing,
                seen: None,
                observed_at: None,
                confidence_percent: None,
                needs: Needs::default(),
                vehicle_type: None,
                by: Scanner::Staff,
                is_elsewhere: false,
                tenant_pass: None,
                dry_run: false,
            }))
        });
        let exits = ids.iter().map(|id| {
            let change = StayChange::Leave { at: None };
            Command::ChangeStay { id: *id, change, expected_version: None }
        });
        for commands in [entries.collect::<Vec<_>>(), exits.collect()] {
            let sent: Vec<_> = commands
                .into_iter()
                .map(|command| engine.command(&lot, command, None).unwrap())
                .collect();
            for answer in sent {
                answer.await.unwrap();
            }
        }
    }
}

/// Stays are forgotten as reservations are; what they owe is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_stay_is_found_answered_and_paid() {
    let server = Server::start().await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", SLOTS)).await);
    let rate = json!({"hourly": {"tiers": [{"amount": 200, "begun": true}]}});
    let tariff =
        json!({"tariff": {"name": "T", "valid_from": "2026-01-01T00:00:00Z", "rate": rate}});
    created(&server.post(Role::Operator, "/api/v1/lots/L1/tariffs", &tariff).await);
    let entry = json!({
        "lot": "L1", "gate": "north", "direction": "entry", "observed_at": minutes(-30),
        "credential": {"plate": "B-XY 123", "country": "D"},
    });
    let entered = server.post(Role::Staff, "/api/v1/scans", &entry).await.expect(200);
    let id = entered["session"]["id"].as_str().unwrap();
    let (path, staff) = (format!("/api/v1/sessions/{id}"), token(Role::Staff));
    let exit = format!("{path}/exit");
    let under = [("Idempotency-Key", "exit-1")];
    let left = send_as(&server, &staff, Method::POST, &exit, &under, Some(&json!({}))).await;
    let left = left.expect(200);
    assert_eq!((&left["state"], &left["due"]["amount"]), (&json!("left"), &json!(200)));
    others_come_and_go(&server, ENDED_SESSIONS_KEPT_PER_LOT + 10).await;
    let lot = server.running.app.engine.lot("default", "L1").unwrap();
    assert!(lot.view().lot.stays().get(SessionId(id.parse().unwrap())).is_none());
    caught_up(&server).await;

    for found in ["plate=bxy123", "plate=B-XY%20123&country=D&state=left"] {
        let page = server.get(Role::Staff, &format!("/api/v1/sessions?{found}")).await.expect(200);
        assert_eq!(column(&page, "id"), [id], "{found}");
    }
    let everything = all(&server, &staff, "/api/v1/sessions?lot=L1&limit=500").await;
    assert_eq!(everything.len(), ENDED_SESSIONS_KEPT_PER_LOT + 11);
    assert_eq!(everything.last().unwrap()["id"], id, "the last to come in is the first");
    // As its lot would have answered while it remembered it.
    let again = send_as(&server, &staff, Method::POST, &exit, &under, Some(&json!({}))).await;
    assert_eq!(again.expect(200), left, "the first answer under the key");
    let again = server.post(Role::Staff, &exit, &json!({})).await.expect(200);
    assert_eq!((&again["state"], &again["version"]), (&left["state"], &left["version"]));
    let moved = server.patch(Role::Staff, &path, &json!({"slot": "A-2"})).await;
    assert_eq!((moved.status.as_u16(), moved.code().as_str()), (409, "session_ended"));
    // What it owes is still owed, and paid once.
    assert_eq!(server.get(Role::Staff, &path).await.expect(200)["due"]["amount"], 200);
    let (payments, cash) = (format!("{path}/payments"), json!({"method": "cash"}));
    let paid = server.post(Role::Staff, &payments, &cash).await.expect(201);
    assert_eq!((&paid["amount"]["amount"], &paid["about"]["session"]), (&json!(200), &json!(id)));
    assert_eq!(server.post(Role::Staff, &payments, &cash).await.code(), "nothing_owed");
    assert_eq!(server.get(Role::Staff, &path).await.expect(200)["due"]["amount"], 0);
    server.stop().await;
}

/// Books and cancels, so that the history has something to read.
async fn some_life(home: &Home, from: usize) {
    let staff = token(Role::Staff);
    stream::iter(from..from + 40)
        .for_each_concurrent(8, |n| {
            let staff = staff.clone();
            async move {
                let (slot, from, to) = window(n);
                let body = json!({"lot": "L1", "slot": slot, "from": from, "to": to});
                let made = home.send(Method::POST, RESERVATIONS, &staff, Some(&body)).await;
                let made = made.expect(201);
                if n % 2 == 0 {
                    let path = format!("{RESERVATIONS}/{}/cancel", made["id"].as_str().unwrap());
                    home.send(Method::POST, &path, &staff, None).await.expect(200);
                }
            }
        })
        .await;
}

/// Everything by id, once the history has everything: the next start begins where this one ended.
async fn everything(home: &Home) -> Vec<(String, String)> {
    let (staff, deadline) = (token(Role::Staff), Instant::now() + PATIENCE);
    loop {
        let head = home.seq().await.unwrap();
        let path = format!("{RESERVATIONS}?lot=L1&limit=500");
        let page = home.send(Method::GET, &path, &staff, None).await.expect(200);
        assert!(page["as_of_seq"].as_u64().unwrap() <= home.seq().await.unwrap());
        let items = page["items"].as_array().unwrap();
        in_order(items);
        if page["as_of_seq"].as_u64().unwrap() >= head {
            let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
            return items.iter().map(|item| (text(item, "id"), text(item, "state"))).collect();
        }
        assert!(
            Instant::now() < deadline,
            "the history stays behind {head}: {}",
            page["as_of_seq"]
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// What happens to the directory between two starts.
fn damage(round: usize, history: &Path) -> &'static str {
    let table = || {
        let trees = std::fs::read_dir(history).unwrap().map(|entry| entry.unwrap().path());
        let tables = trees.flat_map(|tree| std::fs::read_dir(tree.join("tables")).unwrap());
        tables.map(|entry| entry.unwrap().path()).next().unwrap()
    };
    match round {
        0 | 1 => "nothing",
        2 => {
            std::fs::remove_dir_all(history).unwrap();
            "removed"
        }
        3 => {
            std::fs::write(table(), vec![0xA5; 200_000]).unwrap();
            "another file in its place"
        }
        _ => {
            let file = std::fs::OpenOptions::new().write(true).open(table()).unwrap();
            let half = file.metadata().unwrap().len() / 2;
            file.set_len(half).unwrap();
            "cut in half"
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_is_killed_removed_or_damaged_is_whole_again() {
    let (mut rng, directory) = (seeded(), tempfile::tempdir().unwrap());
    let home = Home::new(directory.path(), &[]);
    let mut running: Running = home.start().await;
    let lot = bayed("L1", SLOTS);
    home.send(Method::POST, "/api/v1/lots", &token(Role::Operator), Some(&lot)).await.expect(201);
    let mut before: Vec<(String, String)> = Vec::new();
    for round in 0..5 {
        some_life(&home, 40 * round).await;
        // At whatever the history has by now: it looks at most ten times in a second.
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..30_000))).await;
        // What is damaged must have been written: at a stop, and long after that too.
        match round {
            0..3 => running.kill().await,
            _ => assert_eq!(running.stop().await, Some(0)),
        }
        let done = damage(round, &home.data.join("history"));
        running = home.start().await;
        let found = everything(&home).await;
        eprintln!("round {round}, {done}: {} reservations", found.len());
        assert_eq!(found.len(), 40 * (round + 1), "{done}");
        assert!(found.ends_with(&before), "{done}: what was is as it was");
        before = found;
    }
    assert_eq!(running.stop().await, Some(0));
    let (clean, said) = home.check().await;
    assert!(clean, "{said}");
}
