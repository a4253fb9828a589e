//! A tenant that floods: readings over sockets and HTTP, bookings, each as fast as answers come, over many
//! connections, and no heed of `Retry-After`.
//!
//! It runs on a thread and a runtime of its own, with a low priority. Every answer is counted by its status or code, and
//! a refusal must say when to try again. Absent: latencies of the flood itself, which are nobody's concern.

use super::super::session::{Ground, prepare};
use crate::clock::{Clock, Rfc3339};
use crate::error::LoadError;
use crate::fleet::{Fleet, slot_code};
use crate::http::HttpClient;
use crate::socket;
use crate::target::{Role, Target};
use crate::verify::{Check, REFUSALS_SAY_WHEN};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rustix::process::{getpriority_process, setpriority_process};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;

/// Ingest sockets, connections that book, connections that post readings.
pub const SOCKETS: usize = 8;
pub const BOOKERS: usize = 64;
pub const POSTERS: usize = 16;
/// Its lots.
const LOTS: usize = 8;
const SLOTS: usize = 1_000;
/// Readings of a batch: all slots of a lot.
const BATCH: usize = 1_000;
/// As many as the server reads.
const IN_FLIGHT: usize = 64;
/// Behind everybody else of this process, whose latencies are measured.
const NICENESS: i32 = 10;
const NICENESS_MAX: i32 = 19;
/// Windows are half hours from a day ahead.
const AHEAD_US: u64 = 24 * 3_600_000_000;
const WINDOW_US: u64 = 1_800_000_000;
/// What is still under way at the end has so long.
const END_SECONDS_MAX: u64 = 10;

/// What became of it.
#[derive(Clone, Debug)]
pub struct Flooded {
    /// By kind and outcome: `bookings 201`, `batches overloaded`.
    pub outcomes: BTreeMap<String, u64>,
    pub hints: Check,
    pub seconds: f64,
}

/// A flood that has not begun, or runs.
#[derive(Debug)]
pub struct Flood {
    target: Target,
    clock: Clock,
    fleet: Arc<Fleet>,
    running: Option<oneshot::Receiver<()>>,
    told: Arc<Mutex<Flooded>>,
    began_us: u64,
}

impl Flood {
    /// Makes its lots.
    pub async fn prepare(target: Target, clock: Clock) -> Result<Self, LoadError> {
        let Ground { fleet, .. } = prepare(&target, clock, LOTS, SLOTS).await?;
        let hints = Check::new(REFUSALS_SAY_WHEN, "refusals");
        let told = Flooded { outcomes: BTreeMap::new(), hints, seconds: 0.0 };
        let told = Arc::new(Mutex::new(told));
        Ok(Self { target, clock, fleet, running: None, told, began_us: 0 })
    }

    /// Begins, on its own thread.
    pub fn start(&mut self, until_us: u64) {
        self.began_us = self.clock.now_us();
        let (done, running) = oneshot::channel();
        self.running = Some(running);
        let (target, clock) = (self.target.clone(), self.clock);
        let (fleet, told) = (Arc::clone(&self.fleet), Arc::clone(&self.told));
        std::thread::spawn(move || {
            // Of this thread alone, as Linux has it. Not allowed is not fatal: the flood then has everybody's priority.
            let own = getpriority_process(None).unwrap_or_default();
            let _ = setpriority_process(None, (own + NICENESS).min(NICENESS_MAX));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(pour(&target, clock, until_us, &fleet, &told));
                runtime.shutdown_timeout(Duration::from_secs(1));
            }
            // Nobody waits when the run was given up.
            let _ = done.send(());
        });
    }

    /// Waits for its end.
    pub async fn finish(self) -> Result<Flooded, LoadError> {
        if let Some(running) = self.running {
            let _ended = running.await;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.seconds = (self.clock.now_us() - self.began_us) as f64 / 1e6;
        Ok(told)
    }
}

type Tell = Arc<Mutex<Flooded>>;

fn tell(told: &Tell, outcome: String, says_when: Option<bool>) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(says_when) = says_when {
        told.hints.examine(1);
        if !says_when {
            told.hints.fault(format!("{outcome}: no word of when to try again"));
        }
    }
    *told.outcomes.entry(outcome).or_default() += 1;
}

async fn pour(target: &Target, clock: Clock, until_us: u64, fleet: &Arc<Fleet>, told: &Tell) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..SOCKETS {
        let (target, fleet, told) = (target.clone(), Arc::clone(fleet), Arc::clone(told));
        tasks.spawn(async move {
            while clock.now_us() < until_us {
                if let Err(why) = stream(&target, number, clock, until_us, &fleet, &told).await {
                    tell(&told, format!("sockets lost: {why}"), None);
                }
            }
        });
    }
    for number in 0..BOOKERS {
        let (target, fleet, told) = (target.clone(), Arc::clone(fleet), Arc::clone(told));
        tasks.spawn(async move { book(&target, number, clock, until_us, &fleet, &told).await });
    }
    for number in 0..POSTERS {
        let (target, fleet, told) = (target.clone(), Arc::clone(fleet), Arc::clone(told));
        tasks.spawn(async move { post(&target, number, clock, until_us, &fleet, &told).await });
    }
    let left_us = until_us.saturating_sub(clock.now_us());
    let patience = Duration::from_micros(left_us) + Duration::from_secs(END_SECONDS_MAX);
    let _late =
        tokio::time::timeout(patience, async { while tasks.join_next().await.is_some() {} }).await;
}

/// Readings of all slots of a lot: all occupied, or none.
fn readings(occupied: bool) -> String {
    let one = |slot| format!(r#"{{"slot":"{}","occupied":{occupied}}}"#, slot_code(slot));
    (0..BATCH).map(one).collect::<Vec<_>>().join(",")
}

/// What an ingest socket answers.
#[derive(Debug, Deserialize)]
struct Answer {
    op: String,
    #[serde(default)]
    code: String,
    retry_after_ms: Option<u64>,
}

async fn stream(
    target: &Target,
    number: usize,
    clock: Clock,
    until_us: u64,
    fleet: &Fleet,
    told: &Tell,
) -> Result<(), String> {
    let token = target.token(Role::Device, number);
    let opened = socket::open(target.addr, "/api/v1/ingest", token).await;
    let mut socket = opened.map_err(|error| error.to_string())?;
    let lot = &fleet.lots[number % fleet.lots.len()].code;
    let halves = [readings(true), readings(false)];
    let (mut sent, mut in_flight) = (0, 0);
    while clock.now_us() < until_us {
        while in_flight < IN_FLIGHT {
            let half = &halves[sent % 2];
            let text =
                format!(r#"{{"op":"readings","batch":{sent},"lot":"{lot}","readings":[{half}]}}"#);
            socket.feed(Message::text(text)).await.map_err(|error| error.to_string())?;
            sent += 1;
            in_flight += 1;
        }
        socket.flush().await.map_err(|error| error.to_string())?;
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let answer: Answer =
                    serde_json::from_str(&text).map_err(|error| error.to_string())?;
                match answer.op.as_str() {
                    "ack" => tell(told, "batches taken".into(), None),
                    "error" => {
                        let says_when = Some(answer.retry_after_ms.is_some());
                        tell(told, format!("batches refused, {}", answer.code), says_when);
                    }
                    _ => {
                        let pong = Message::text(socket::PONG);
                        socket.send(pong).await.map_err(|error| error.to_string())?;
                        continue;
                    }
                }
                in_flight -= 1;
            }
            other => {
                if let socket::Event::Closed(why) = socket::judge(other) {
                    return Err(why);
                }
            }
        }
    }
    Ok(())
}

/// Bookings that nobody else wants, so that nothing but the door refuses them.
async fn book(
    target: &Target,
    number: usize,
    clock: Clock,
    until_us: u64,
    fleet: &Fleet,
    told: &Tell,
) {
    let mut client = HttpClient::new(target.addr, target.token(Role::Driver, number));
    let first_us = (clock.now_us() + AHEAD_US) / WINDOW_US * WINDOW_US;
    for nth in 0_u64.. {
        if clock.now_us() >= until_us {
            return;
        }
        // Each connection has slots of its own, and goes from window to window.
        let own = SLOTS / BOOKERS;
        let slot = slot_code(number * own + (nth % own as u64) as usize);
        let nth = nth / own as u64;
        let lot = &fleet.lots[(nth % fleet.lots.len() as u64) as usize].code;
        let from_us = first_us + nth / fleet.lots.len() as u64 * WINDOW_US;
        let (from, to) = (Rfc3339(from_us), Rfc3339(from_us + WINDOW_US));
        let body = format!(r#"{{"lot":"{lot}","slot":"{slot}","from":"{from}","to":"{to}"}}"#);
        send(&mut client, "bookings", "/api/v1/reservations", body.into(), told).await;
    }
}

async fn post(
    target: &Target,
    number: usize,
    clock: Clock,
    until_us: u64,
    fleet: &Fleet,
    told: &Tell,
) {
    let mut client = HttpClient::new(target.addr, target.token(Role::Device, number));
    let path = format!("/api/v1/lots/{}/readings", fleet.lots[number % fleet.lots.len()].code);
    let halves =
        [true, false].map(|half| Bytes::from(format!(r#"{{"readings":[{}]}}"#, readings(half))));
    for nth in 0_usize.. {
        if clock.now_us() >= until_us {
            return;
        }
        send(&mut client, "posts of readings", &path, halves[nth % 2].clone(), told).await;
    }
}

async fn send(client: &mut HttpClient, what: &str, path: &str, body: Bytes, told: &Tell) {
    match client.post(path, body).await {
        Ok(answer) if answer.status < 300 => tell(told, format!("{what} taken"), None),
        Ok(answer) => {
            let is_hinted = matches!(answer.status, 429 | 503);
            let says_when = is_hinted.then_some(answer.retry_after_seconds.is_some());
            tell(told, format!("{what} refused, {}", answer.problem()), says_when);
        }
        Err(error) => tell(told, format!("{what} lost: {error}"), None),
    }
}
