//! `lotkeeper backup` of a server under load and `lotkeeper restore` to any point of it, with the real binary.
//!
//! What a restored server shows over HTTP is held against what the first server's log said at that point.
#![allow(clippy::unwrap_used)] // tests state what they expect

#[path = "common/backups.rs"]
mod backups;
mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;
#[path = "common/ws.rs"]
mod ws;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use backups::{empty_home_at, end_of, home_at, lotkeeper, restored, run};
use common::{Answer, token, token_of};
use http_common::{bayed, minutes};
use lotkeeper_gateway::auth::Role;
use process::Home;
use reqwest::Method;
use serde_json::{Value, json};
use ws::{Follower, Socket, Token};

const SLOTS: u64 = 12;
const BOOKED_SLOTS: u64 = 8;

/// One booking: who, under which key, what.
#[derive(Clone, Debug)]
struct Booking {
    driver: String,
    key: String,
    body: Value,
}

fn booking(n: u64) -> Booking {
    // Far ahead: nothing begins, expires or is shown as held while the test runs.
    let from = 30_000 + i64::try_from(n / BOOKED_SLOTS).unwrap() * 120;
    let slot = format!("A-{}", n % BOOKED_SLOTS + 1);
    let body = json!({
        "lot": "BOOKED", "slot": slot, "from": minutes(from), "to": minutes(from + 60),
        "vehicle": {"plate": format!("B-LK {n}"), "country": "D"},
    });
    Booking { driver: format!("driver-{n}"), key: format!("key-{n}"), body }
}

async fn book(home: &Home, booking: &Booking) -> Answer {
    let request = reqwest::Client::new().post(format!("{}/api/v1/reservations", home.url()));
    let request = request.bearer_auth(token_of(Role::Driver, &booking.driver));
    common::read(request.header("Idempotency-Key", &booking.key).json(&booking.body)).await
}

/// Readings and bookings until it is told to stop; every booking that was granted, by id.
async fn load(
    home: Arc<Home>,
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> BTreeMap<String, Booking> {
    let operator = token(Role::Operator);
    let mut booked = BTreeMap::new();
    let mut n = 0;
    while !over.load(Ordering::Relaxed) {
        let readings: Vec<Value> = (1..=SLOTS)
            .filter(|slot| (slot + n) % 3 > 0)
            .map(|slot| json!({"slot": format!("A-{slot}"), "occupied": (slot / 2 + n).is_multiple_of(2)}))
            .collect();
        let body = json!({"readings": readings});
        home.send(Method::POST, "/api/v1/lots/SENSED/readings", &operator, Some(&body))
            .await
            .expect(200);
        let booking = booking(n);
        let granted = book(&home, &booking).await.expect(201);
        let id = granted["id"].as_str().unwrap().to_owned();
        if n % 5 == 4 {
            let path = format!("/api/v1/reservations/{id}/cancel");
            home.send(Method::POST, &path, &operator, Some(&json!({}))).await.expect(200);
        }
        booked.insert(id, booking);
        n += 1;
        done.store(n, Ordering::Relaxed);
    }
    booked
}

/// The whole log as the server tells it.
async fn events(home: &Home) -> Vec<Value> {
    let (operator, mut all, mut cursor) = (token(Role::Operator), vec![], String::new());
    loop {
        let path = format!("/api/v1/events?limit=500{cursor}");
        let mut page = home.send(Method::GET, &path, &operator, None).await.expect(200);
        all.append(page["items"].as_array_mut().unwrap());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// What the log says: occupancy by slot, the lots' sequences, the state of every reservation.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    occupied: BTreeMap<String, bool>,
    lot_seqs: BTreeMap<String, u64>,
    reservations: BTreeMap<String, String>,
}

impl Said {
    fn of(events: &[Value]) -> Self {
        let mut said = Self::default();
        for event in events {
            let text =
                |value: &Value| value.as_str().unwrap_or_else(|| panic!("{event}")).to_owned();
            said.lot_seqs.insert(text(&event["lot"]), event["lot_seq"].as_u64().unwrap());
            let id = event["data"]["id"].as_str().map(str::to_owned);
            let slot = || text(&event["entity"]).trim_start_matches("slots/").to_owned();
            match event["type"].as_str().unwrap() {
                "slot.occupied" => drop(said.occupied.insert(slot(), true)),
                "slot.vacated" => drop(said.occupied.insert(slot(), false)),
                "lot.created" => {}
                kind => {
                    let state =
                        kind.strip_prefix("reservation.").unwrap_or_else(|| panic!("{event}"));
                    let id = id.unwrap_or_else(|| reservation_in(event));
                    drop(said.reservations.insert(id, state.to_owned()));
                }
            }
        }
        said
    }
}

fn reservation_in(event: &Value) -> String {
    let entity = event["entity"].as_str().unwrap_or_default();
    let id = entity.strip_prefix("reservations/").map(str::to_owned);
    id.or_else(|| event["data"]["reservation"].as_str().map(str::to_owned))
        .unwrap_or_else(|| panic!("no reservation in {event}"))
}

/// Everything a restored server shows, against what the log said up to there.
async fn shows(home: &Home, log: &[Value], booked: &BTreeMap<String, Booking>) {
    assert_eq!(events(home).await, log, "the log itself");
    let (operator, said) = (token(Role::Operator), Said::of(log));
    let get = |path: String| {
        let operator = operator.clone();
        async move { home.send(Method::GET, &path, &operator, None).await }
    };
    for (lot, seq) in &said.lot_seqs {
        let shown = get(format!("/api/v1/lots/{lot}/availability")).await.expect(200);
        assert_eq!(shown["seq"], *seq, "{shown}");
    }
    let page = get("/api/v1/lots/SENSED/slots?limit=500".to_owned()).await.expect(200);
    for slot in page["items"].as_array().unwrap() {
        let code = slot["code"].as_str().unwrap();
        let wanted =
            said.occupied.get(code).map_or("unknown", |is| if *is { "occupied" } else { "free" });
        assert_eq!(slot["status"], wanted, "{slot}");
    }
    for (id, booking) in booked {
        let shown = get(format!("/api/v1/reservations/{id}")).await;
        let Some(state) = said.reservations.get(id) else {
            assert_eq!(shown.status, 404, "{id} came later: {}", shown.text);
            continue;
        };
        let shown = shown.expect(200);
        assert_eq!(
            (&shown["state"], &shown["slot"]),
            (&json!(state), &booking.body["slot"]),
            "{shown}"
        );
        assert_eq!(
            shown["vehicle"]["plate"], booking.body["vehicle"]["plate"],
            "people come along"
        );
    }
}

/// A key that was used before the point still answers with the first booking; one that was used after it does not.
async fn keys_are_as_of_then(home: &Home, log: &[Value], booked: &BTreeMap<String, Booking>) {
    let said = Said::of(log);
    let was = |(id, _): &(&String, &Booking)| said.reservations.contains_key(*id);
    let (id, used) =
        booked.iter().filter(was).max_by_key(|(_, booking)| booking.key.len()).unwrap();
    let again = book(home, used).await.expect(201);
    assert_eq!(again["id"], **id, "the first answer");
    assert_eq!(events(home).await.len(), log.len(), "and nothing was done");
    if let Some((id, later)) = booked.iter().find(|entry| !was(entry)) {
        let new = book(home, later).await.expect(201);
        assert_ne!(new["id"], **id, "that history did not happen");
    }
}

/// Readings and bookings on a server with two lots, a backup in the middle, and more of both.
async fn backed_up(home: &Arc<Home>, file: &Path) -> BTreeMap<String, Booking> {
    let operator = token(Role::Operator);
    for lot in [bayed("SENSED", 12), bayed("BOOKED", 8)] {
        home.send(Method::POST, "/api/v1/lots", &operator, Some(&lot)).await.expect(201);
    }
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let loading = tokio::spawn(load(Arc::clone(home), Arc::clone(&over), Arc::clone(&done)));
    let reached = |turns| {
        let done = Arc::clone(&done);
        async move {
            while done.load(Ordering::Relaxed) < turns {
                tokio::task::yield_now().await;
            }
        }
    };
    reached(120).await;
    let out = file.to_str().unwrap();
    let (code, told, errors) =
        run(lotkeeper(&["backup", out, "--url", &home.url()]).arg("--quiet")).await;
    assert_eq!(code, Some(0), "{told}{errors}");
    assert!(told.contains("2 lots") && told.contains("not in it"), "{told}");
    let turns = done.load(Ordering::Relaxed);
    reached(turns + 5).await;
    over.store(true, Ordering::Relaxed);
    loading.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_restores_to_what_the_log_said() {
    let directory = tempfile::tempdir().unwrap();
    let home = Arc::new(home_at(directory.path(), "first"));
    let running = home.start().await;
    let file = directory.path().join("city.lkb");
    let booked = backed_up(&home, &file).await;
    let (code, _, errors) =
        run(&mut lotkeeper(&["backup", file.to_str().unwrap(), "--url", &home.url()])).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("never overwrites"), "{errors}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "people are in it");
    assert!(!directory.path().join("city.lkb.partial").exists());
    let log = events(&home).await;
    let mut reader = Follower::new("SENSED");
    let mut socket =
        Socket::open(home.address, "/api/v1/stream", Token::Header(&token(Role::Operator)))
            .await
            .unwrap();
    reader.subscribe(&mut socket).await;
    reader.take(&socket.message().await);
    drop(socket);
    assert_eq!(running.stop().await, Some(0));

    let (_, told, _) = run(&mut lotkeeper(&["restore", file.to_str().unwrap(), "--inspect"])).await;
    let latest = end_of(&told);
    assert!(latest < log.len() as u64, "the load went on after the backup");
    let middle = log[usize::try_from(latest / 2).unwrap()]["at"].as_str().unwrap();
    let seqs = [latest / 5, latest - 7].map(|seq| seq.to_string());
    let mut ends = vec![];
    let by_seq = |seq| vec!["--to-seq", seq];
    let targets = [vec![], by_seq(&*seqs[0]), by_seq(&*seqs[1]), vec!["--to-time", middle]];
    for (number, target) in targets.into_iter().enumerate() {
        let again = empty_home_at(directory.path(), &format!("again-{number}"));
        let told = restored(&again, &file, &target).await;
        let (clean, said) = again.check().await;
        assert!(clean, "{said}");
        let end = end_of(&told);
        let kept = &log[..usize::try_from(end).unwrap()];
        match target.as_slice() {
            [] => assert_eq!(end, latest),
            ["--to-seq", asked] => assert!(end <= asked.parse().unwrap(), "{told}"),
            _ => {
                let at = |event: &Value| {
                    event["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
                };
                let asked: jiff::Timestamp = middle.parse().unwrap();
                assert!(kept.iter().all(|event| at(event) <= asked), "{told}");
                assert!(at(&log[usize::try_from(end).unwrap()]) >= at(&log[0]));
            }
        }
        let running = again.start().await;
        shows(&again, kept, &booked).await;
        starts_with_a_snapshot(
            &again,
            &mut Follower {
                lot: "SENSED".to_owned(),
                epoch: reader.epoch.clone(),
                seq: reader.seq,
                ..Follower::default()
            },
        )
        .await;
        keys_are_as_of_then(&again, kept, &booked).await;
        assert_eq!(running.stop().await, Some(0));
        let (clean, said) = again.check().await;
        assert!(clean, "{said}");
        ends.push(end);
    }
    assert!(ends[1] < ends[3] && ends[3] < ends[2] && ends[2] <= ends[0], "{ends:?}");
}

/// A reader of the first history is told that this is another one.
async fn starts_with_a_snapshot(home: &Home, reader: &mut Follower) {
    let header = token(Role::Operator);
    let mut socket =
        Socket::open(home.address, "/api/v1/stream", Token::Header(&header)).await.unwrap();
    let before = reader.epoch.clone();
    let answer = reader.subscribe(&mut socket).await;
    assert_eq!(
        (&answer["op"], &answer["recovered"]),
        (&json!("subscribed"), &json!(false)),
        "{answer}"
    );
    reader.take(&socket.expect("snapshot").await);
    assert_ne!(reader.epoch, before);
    assert_eq!(reader.snapshots, 1);
}
