//! A tenant that floods in its turns: readings over sockets and HTTP, bookings, each as fast as answers come, over many
//! connections, and no heed of `Retry-After`.
//!
//! At a turn's end its sockets are cut off with all that they have in flight, so that the next turn does not pay for
//! it; HTTP connections stay open and fall silent. It runs on a thread and a runtime of its own, with a low priority. Every answer is counted by its status or code, and
//! a refusal must say when to try again. Absent: latencies of the flood itself, which are nobody's concern.

use super::super::session::{Ground, prepare};
use super::schedule::{Schedule, Side, Turn};
use crate::clock::{Clock, Rfc3339};
use crate::error::LoadError;
use crate::fleet::{Fleet, slot_code};
use crate::http::HttpClient;
use crate::socket::{self, Socket};
use crate::target::{Role, Target};
use crate::verify::{Check, REFUSALS_SAY_WHEN};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rustix::process::{getpriority_process, setpriority_process};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::{Error, Message};

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
}

impl Flood {
    /// Makes its lots.
    pub async fn prepare(target: Target, clock: Clock) -> Result<Self, LoadError> {
        let Ground { fleet, .. } = prepare(&target, clock, LOTS, SLOTS).await?;
        let hints = Check::new(REFUSALS_SAY_WHEN, "refusals");
        let told = Flooded { outcomes: BTreeMap::new(), hints, seconds: 0.0 };
        let told = Arc::new(Mutex::new(told));
        Ok(Self { target, clock, fleet, running: None, told })
    }

    /// Begins, on its own thread, and floods in the turns of a side.
    pub fn start(&mut self, schedule: &Arc<Schedule>, side: Side) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).seconds =
            schedule.seconds_of(side);
        let (done, running) = oneshot::channel();
        self.running = Some(running);
        let (target, fleet) = (self.target.clone(), Arc::clone(&self.fleet));
        let (clock, told) = (self.clock, Arc::clone(&self.told));
        let schedule = Arc::clone(schedule);
        let first = Hand { target, number: 0, clock, schedule, side, fleet, told };
        std::thread::spawn(move || {
            // Of this thread alone, as Linux has it. Not allowed is not fatal: the flood then has everybody's priority.
            let own = getpriority_process(None).unwrap_or_default();
            let _ = setpriority_process(None, (own + NICENESS).min(NICENESS_MAX));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(pour(&first));
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
        Ok(self.told.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// One of its connections.
#[derive(Clone, Debug)]
struct Hand {
    target: Target,
    number: usize,
    clock: Clock,
    schedule: Arc<Schedule>,
    side: Side,
    fleet: Arc<Fleet>,
    told: Arc<Mutex<Flooded>>,
}

impl Hand {
    /// Waits for a turn, unless there is one now; nothing when none comes any more.
    async fn turn(&self) -> Option<Turn> {
        let turn = self.schedule.next(self.clock.now_us(), |side| side == self.side)?;
        self.clock.sleep_until(turn.whole.from_us).await;
        Some(turn)
    }

    /// The lot of its readings.
    fn lot(&self) -> &str {
        &self.fleet.lots[self.number % self.fleet.lots.len()].code
    }

    fn client(&self, role: Role) -> HttpClient {
        HttpClient::new(self.target.addr, self.target.token(role, self.number))
    }

    fn tell(&self, outcome: String, says_when: Option<bool>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(says_when) = says_when {
            told.hints.examine(1);
            if !says_when {
                told.hints.fault(format!("{outcome}: no word of when to try again"));
            }
        }
        *told.outcomes.entry(outcome).or_default() += 1;
    }
}

async fn pour(first: &Hand) {
    let mut tasks = tokio::task::JoinSet::new();
    let hand = |number| Hand { number, ..first.clone() };
    for hand in (0..SOCKETS).map(hand) {
        tasks.spawn(async move {
            while let Some(turn) = hand.turn().await {
                tokio::select! {
                    () = hand.clock.sleep_until(turn.whole.to_us) => {}
                    why = stream(&hand) => hand.tell(format!("sockets lost: {why}"), None),
                }
            }
        });
    }
    for hand in (0..BOOKERS).map(hand) {
        tasks.spawn(async move { book(&hand).await });
    }
    for hand in (0..POSTERS).map(hand) {
        tasks.spawn(async move { post(&hand).await });
    }
    let end_us = first.schedule.window().to_us;
    let left_us = end_us.saturating_sub(first.clock.now_us());
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

/// Streams until the socket ends, and says why it did.
async fn stream(hand: &Hand) -> String {
    let token = hand.target.token(Role::Device, hand.number);
    match socket::open(hand.target.addr, "/api/v1/ingest", token).await {
        Ok(mut socket) => match pour_into(hand, &mut socket).await {
            Err(why) => why,
        },
        Err(error) => error.to_string(),
    }
}

async fn pour_into(hand: &Hand, socket: &mut Socket) -> Result<Infallible, String> {
    let broke = |error: Error| error.to_string();
    let lot = hand.lot();
    let halves = [readings(true), readings(false)];
    let (mut sent, mut in_flight) = (0, 0);
    loop {
        while in_flight < IN_FLIGHT {
            let half = &halves[sent % 2];
            let text =
                format!(r#"{{"op":"readings","batch":{sent},"lot":"{lot}","readings":[{half}]}}"#);
            socket.feed(Message::text(text)).await.map_err(broke)?;
            sent += 1;
            in_flight += 1;
        }
        socket.flush().await.map_err(broke)?;
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let answer: Answer =
                    serde_json::from_str(&text).map_err(|error| error.to_string())?;
                match answer.op.as_str() {
                    "ack" => hand.tell("batches taken".into(), None),
                    "error" => {
                        let says_when = Some(answer.retry_after_ms.is_some());
                        hand.tell(format!("batches refused, {}", answer.code), says_when);
                    }
                    _ => {
                        socket.send(Message::text(socket::PONG)).await.map_err(broke)?;
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
}

/// Bookings that nobody else wants, so that nothing but the door refuses them.
async fn book(hand: &Hand) {
    let mut client = hand.client(Role::Driver);
    let lots = &hand.fleet.lots;
    let first_us = (hand.clock.now_us() + AHEAD_US) / WINDOW_US * WINDOW_US;
    for nth in 0_u64.. {
        if hand.turn().await.is_none() {
            return;
        }
        // Each connection has slots of its own, and goes from window to window.
        let own = SLOTS / BOOKERS;
        let slot = slot_code(hand.number * own + (nth % own as u64) as usize);
        let nth = nth / own as u64;
        let lot = &lots[(nth % lots.len() as u64) as usize].code;
        let from_us = first_us + nth / lots.len() as u64 * WINDOW_US;
        let (from, to) = (Rfc3339(from_us), Rfc3339(from_us + WINDOW_US));
        let body = format!(r#"{{"lot":"{lot}","slot":"{slot}","from":"{from}","to":"{to}"}}"#);
        send(hand, &mut client, "bookings", "/api/v1/reservations", body.into()).await;
    }
}

async fn post(hand: &Hand) {
    let mut client = hand.client(Role::Device);
    let path = format!("/api/v1/lots/{}/readings", hand.lot());
    let halves =
        [true, false].map(|half| Bytes::from(format!(r#"{{"readings":[{}]}}"#, readings(half))));
    for nth in 0_usize.. {
        if hand.turn().await.is_none() {
            return;
        }
        send(hand, &mut client, "posts of readings", &path, halves[nth % 2].clone()).await;
    }
}

async fn send(hand: &Hand, client: &mut HttpClient, what: &str, path: &str, body: Bytes) {
    match client.post(path, body).await {
        Ok(answer) if answer.status < 300 => hand.tell(format!("{what} taken"), None),
        Ok(answer) => {
            let is_hinted = matches!(answer.status, 429 | 503);
            let says_when = is_hinted.then_some(answer.retry_after_seconds.is_some());
            hand.tell(format!("{what} refused, {}", answer.problem()), says_when);
        }
        Err(error) => hand.tell(format!("{what} lost: {error}"), None),
    }
}
