//! Actors killed at random in a running server, under load over real sockets: its clients see time pass and nothing else.
//!
//! Lots and slots die alone and in bursts while clients book, devices stream readings and readers follow. No request may
//! fail, every history of bookings has an order that explains its answers (the judge is the load tester's), every
//! client sees its own writes, and every reader gets every sequence once.
//! `LOTKEEPER_KILLED_ROUNDS` plays more rounds than one; `LOTKEEPER_SEED` repeats the chances of a run.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[allow(dead_code)] // its HTTP page and command line are not played here
#[path = "../../loadtest/src/linearize/judge/mod.rs"]
mod judge;
#[path = "common/process.rs"]
mod process;
#[path = "common/ws.rs"]
mod ws;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Server, grant, mint, token, token_of};
use http_common::bayed;
use judge::history::{Answer, Asker, Operation, Outcome, Refusal};
use judge::script::{Ground, Read, asker};
use judge::{Judgement, indefinite, text};
use lotkeeper_actors::Engine;
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_gateway::auth::{Grant, Role};
use process::seeded;
use rand::rngs::{SmallRng, StdRng};
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use ws::{Event, Follower, Socket, Token};

const LOTS: u64 = 3;
const SLOTS: u8 = 3;
const CLIENTS: u32 = 6;
/// People of a history, beside staff.
const DRIVERS: u8 = 2;
const OPERATIONS: usize = 150;
/// The lot of the devices, each with slots of its own.
const BUSY: &str = "BUSY";
const DEVICES: usize = 3;
const SLOTS_PER_DEVICE: usize = 6;
/// For a round, slow machines included.
const DEADLINE: Duration = Duration::from_secs(180);

/// One clock for all histories: wall time, advanced by the monotonic clock.
#[derive(Clone, Copy)]
struct Clock(Instant, u64);

impl Clock {
    fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self(Instant::now(), u64::try_from(wall.as_micros()).unwrap())
    }

    fn now_us(self) -> u64 {
        self.1 + u64::try_from(self.0.elapsed().as_micros()).unwrap()
    }
}

fn token_of_asker(by: Asker) -> String {
    match by {
        Asker::Staff => token(Role::Operator),
        Asker::Driver(nth) => token_of(Role::Driver, &format!("driver-{nth}")),
        Asker::Stranger => mint(&Grant { tenant: "elsewhere".to_owned(), ..grant(Role::Operator) }),
    }
}

/// Plays one client of a history: every request must be answered, and none may be turned away.
async fn play(
    server: Arc<Server>,
    ground: Arc<Ground>,
    clock: Clock,
    number: u32,
    left: Arc<AtomicUsize>,
    seed: u64,
) -> Vec<Operation> {
    let (mut rng, by) = (SmallRng::seed_from_u64(seed), asker(number, DRIVERS));
    let mut done = Vec::new();
    let take = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let call = ground.next(&mut rng);
        let wanted = ground.request(&call);
        let method = Method::from_bytes(wanted.method.as_bytes()).unwrap();
        let mut request = server.request(method, &wanted.path).bearer_auth(token_of_asker(by));
        if let Some(body) = wanted.body {
            request = request.header("content-type", "application/json").body(body);
        }
        if let Some(version) = wanted.if_match {
            request = request.header("if-match", format!("\"{version}\""));
        }
        let called_us = clock.now_us();
        let answer = common::read(request).await;
        let returned_us = clock.now_us();
        let status = answer.status.as_u16();
        let Read::Told(outcome) = ground.read(&call, status, answer.text.as_bytes()) else {
            panic!("{call}: {status} {}", answer.text);
        };
        let operation = Operation { client: number, by, call, outcome, called_us, returned_us };
        ground.saw(&operation);
        done.push(operation);
    }
    done
}

/// Somebody else must have asked for the same at the same time, or nothing was in progress.
fn spurious(history: &[Operation]) -> Vec<&Operation> {
    let in_progress = Outcome::Answered(Answer::Refused(Refusal::RequestInProgress));
    let beside = |one: &Operation, other: &Operation| {
        one != other
            && one.call == other.call
            && one.called_us <= other.returned_us
            && other.called_us <= one.returned_us
    };
    let is_alone = |one: &&Operation| {
        one.outcome == in_progress && !history.iter().any(|other| beside(one, other))
    };
    history.iter().filter(is_alone).collect()
}

/// Streams readings of its own slots, and after each acknowledgement sees its own write by another way.
async fn stream_readings(
    server: Arc<Server>,
    device: usize,
    mut rng: SmallRng,
    over: watch::Receiver<bool>,
) -> u64 {
    let token = token(Role::Operator);
    let address = server.running.address;
    let mut socket = Socket::open(address, "/api/v1/ingest", Token::Header(&token)).await.unwrap();
    let (mut batch, mut seq) = (0_u64, 0_u64);
    let mut occupied = [false; SLOTS_PER_DEVICE];
    while !*over.borrow() {
        let mine = |slot: usize| format!("A-{}", device * SLOTS_PER_DEVICE + slot + 1);
        let changed = rng.random_range(0..SLOTS_PER_DEVICE);
        occupied[changed] = !occupied[changed];
        let readings: Vec<Value> = (0..SLOTS_PER_DEVICE)
            .map(|slot| json!({"slot": mine(slot), "occupied": occupied[slot]}))
            .collect();
        batch += 1;
        let message = json!({"op": "readings", "batch": batch, "lot": BUSY, "readings": readings});
        socket.send(&message).await;
        let ack = socket.expect("ack").await;
        assert_eq!(ack["batch"], batch, "{ack}");
        assert_eq!(ack["refused"], json!([]), "{ack}");
        let told =
            ["accepted", "unchanged", "duplicate", "late"].map(|one| ack[one].as_u64().unwrap());
        // The first one meets what a round before left.
        if batch > 1 {
            assert_eq!(told, [1, SLOTS_PER_DEVICE as u64 - 1, 0, 0], "{ack}");
        }
        let told_seq = ack["seq"].as_u64().unwrap();
        assert!(told_seq > seq, "{ack} after {seq}");
        seq = told_seq;
        let path = format!("/api/v1/lots/{BUSY}/slots/{}", mine(changed));
        let slot = server.get(Role::Operator, &path).await.expect(200);
        let status = if occupied[changed] { "occupied" } else { "free" };
        assert_eq!(slot["status"], status, "batch {batch}: {slot}");
        assert!(slot["seq"].as_u64().unwrap() >= seq, "batch {batch}: {slot} after {ack}");
    }
    batch
}

/// Follows a lot to its end; every sequence once, or [`Follower::take`] fails.
async fn follow(server: Arc<Server>, lot: String, mut over: watch::Receiver<bool>) -> Follower {
    let token = token(Role::Operator);
    let address = server.running.address;
    let mut socket = Socket::open(address, "/api/v1/stream", Token::Header(&token)).await.unwrap();
    let mut follower = Follower::new(&lot);
    assert_eq!(follower.subscribe(&mut socket).await["op"], "subscribed");
    loop {
        let event = tokio::select! {
            event = socket.event() => event,
            _ = over.wait_for(|over| *over) => break,
        };
        let Event::Text(text) = event else { panic!("{lot}: {event:?}") };
        let message: Value = serde_json::from_str(&text).unwrap();
        if message["op"] != "ping" {
            follower.take(&message);
        }
    }
    let path = format!("/api/v1/lots/{lot}/availability");
    let shown = server.get(Role::Operator, &path).await.expect(200);
    follower.follow_to(&mut socket, shown["seq"].as_u64().unwrap()).await;
    // From its first look on it has everything, and it looked once.
    assert_eq!(follower.snapshots, 1, "{lot}");
    follower
}

/// Kills a lot, a slot, or everything of a lot at once, again and again.
async fn kill(engine: Engine, mut rng: StdRng, over: watch::Receiver<bool>) -> u64 {
    let mut kills = 0;
    while !*over.borrow() {
        let lots = engine.all_lots();
        let lot = &lots[rng.random_range(0..lots.len())];
        let slots = u16::try_from(lot.view().slots.len()).unwrap();
        match rng.random_range(0..10) {
            0..5 => {
                engine.kill(lot, None);
                kills += 1;
            }
            5..9 => {
                engine.kill(lot, Some(SlotIndex(rng.random_range(0..slots))));
                kills += 1;
            }
            _ => {
                (0..slots).for_each(|slot| engine.kill(lot, Some(SlotIndex(slot))));
                engine.kill(lot, None);
                kills += u64::from(slots) + 1;
            }
        }
        // Now and then the next one dies while the first is being buried.
        if rng.random_bool(0.8) {
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..4_000))).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
    kills
}

struct Told {
    operations: usize,
    batches: u64,
    kills: u64,
    entries: u64,
}

/// One round on the lots of its own name, and on the devices' lot.
async fn round(server: &Arc<Server>, nth: u64, rng: &mut StdRng) -> Told {
    let clock = Clock::start();
    let mut grounds = Vec::new();
    for lot in 0..LOTS {
        let ground = Ground::new(format!("H{nth}-{lot}"), SLOTS, clock.now_us(), rng.random());
        let creation: Value = serde_json::from_str(&ground.creation(None).body.unwrap()).unwrap();
        server.post(Role::Operator, "/api/v1/lots", &creation).await.expect(201);
        grounds.push(ground);
    }
    let (tell, over) = watch::channel(false);
    let killer = tokio::spawn(kill(
        server.running.app.engine.clone(),
        StdRng::seed_from_u64(rng.random()),
        over.clone(),
    ));
    let devices: Vec<_> = (0..DEVICES)
        .map(|device| {
            let rng = SmallRng::seed_from_u64(rng.random());
            tokio::spawn(stream_readings(Arc::clone(server), device, rng, over.clone()))
        })
        .collect();
    let (tell_readers, readers_over) = watch::channel(false);
    let watched = grounds.iter().map(|ground| ground.lot.clone()).chain([BUSY.to_owned()]);
    let readers: Vec<_> = watched
        .map(|lot| tokio::spawn(follow(Arc::clone(server), lot, readers_over.clone())))
        .collect();
    let mut players = Vec::new();
    for ground in &grounds {
        let left = Arc::new(AtomicUsize::new(OPERATIONS));
        let of_lot = (0..CLIENTS).map(|number| {
            let (server, ground, left) =
                (Arc::clone(server), Arc::clone(ground), Arc::clone(&left));
            tokio::spawn(play(server, ground, clock, number, left, rng.random()))
        });
        players.push(of_lot.collect::<Vec<_>>());
    }
    let mut told = Told { operations: 0, batches: 0, kills: 0, entries: 0 };
    for of_lot in players {
        let mut history = Vec::new();
        for player in of_lot {
            history.extend(player.await.unwrap());
        }
        told.operations += history.len();
        assert_eq!(indefinite(&history), 0, "every request is answered");
        assert_eq!(spurious(&history), Vec::<&Operation>::new(), "in progress beside nothing");
        if let Judgement::Violated(violation) = judge::judge(&history, SLOTS) {
            panic!("round {nth}\n{}", text::explain(&violation));
        }
    }
    tell.send_replace(true);
    told.kills = killer.await.unwrap();
    for device in devices {
        told.batches += device.await.unwrap();
    }
    tell_readers.send_replace(true);
    for reader in readers {
        told.entries += reader.await.unwrap().entries;
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_actors_cost_their_clients_time_and_nothing_else() {
    let rounds = std::env::var("LOTKEEPER_KILLED_ROUNDS").ok().and_then(|n| n.parse().ok());
    let mut rng = seeded();
    let server = Server::start_with(|config| {
        config.rate.driver_per_hour = 0;
        // Every reader finds all it missed: a snapshot would hide a gap.
        config.engine.ring_changes_per_lot = 1_000_000;
    });
    let server = Arc::new(server.await);
    let devices = bayed(BUSY, DEVICES * SLOTS_PER_DEVICE);
    server.post(Role::Operator, "/api/v1/lots", &devices).await.expect(201);
    for nth in 0..rounds.unwrap_or(1) {
        let began = Instant::now();
        let told = tokio::time::timeout(DEADLINE, round(&server, nth, &mut rng)).await;
        let Told { operations, batches, kills, entries } = told.expect("nobody waits for ever");
        eprintln!(
            "round {nth}: {LOTS} histories, {operations} operations, {batches} batches, {entries} changes followed, \
             {kills} kills, {:.1} s",
            began.elapsed().as_secs_f64()
        );
        assert!(kills > 20, "{kills} kills are too few to say anything");
    }
    let metrics = server.send(Method::GET, "/metrics", None, None).await.text;
    let restarts: Vec<&str> = metrics.lines().filter(|line| line.contains("restart")).collect();
    eprintln!("{restarts:#?}");
    Arc::into_inner(server).expect("everybody has finished").stop().await;
}
