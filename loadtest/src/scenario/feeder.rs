//! Readings over one ingest websocket through stretches of different rates.
//!
//! Unlike `ingest`'s sensors a feeder can insist: refusals are counted and timed, and the next batch leaves
//! when it is due all the same. And it can come back: a broken socket leaves its batches `Unsure`, and the
//! feeder connects again. Latency counts from the time a batch was due.

use super::stretch::Turns;
use crate::alarm::Alarm;
use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::encoder::{BatchEncoder, Encoding};
use crate::fleet::Fleet;
use crate::model::{Portion, ShardModel};
use crate::retry::{hint_of_reason, hint_of_refusal, pause_ms};
use crate::socket::{self, Event, PONG, Socket};
use crate::subscriber::excerpt;
use crate::verify::{ACKS_ARE_RIGHT, Check, REFUSALS_SAY_WHEN, SOCKETS_STAY_OPEN};
use crate::wire::IngestMessage;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Silence after which a connection gives up.
const ACK_WAIT_US_MAX: u64 = 30 * MICROS_PER_SECOND;
/// Errors that say for certain that nothing of the batch was taken.
const NOTHING_TAKEN: [&str; 4] =
    ["overloaded", "validation_failed", "lot_not_found", "lot_not_allowed"];

/// A feeder before it begins.
#[derive(Debug)]
pub struct Feeder {
    pub number: usize,
    pub addr: SocketAddr,
    pub token: String,
    pub clock: Clock,
    pub fleet: Arc<Fleet>,
    pub models: Vec<ShardModel>,
    pub batch: usize,
    pub encoding: Encoding,
    pub in_flight_max: usize,
    /// Goes on at its pace after a refusal instead of waiting as it is told.
    pub insists: bool,
    /// A broken socket is expected, and opened again.
    pub comes_back: bool,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub due_us: u64,
    pub sent_us: u64,
    pub done_us: u64,
    pub is_accepted: bool,
    /// Readings or bookings that were taken.
    pub taken: u64,
}

/// What a feeder brings back.
#[derive(Debug)]
pub struct Fed {
    pub models: Vec<ShardModel>,
    pub answers: Vec<Answered>,
    /// By lot: readings that were accepted, which is what the lot's sequence must have grown by.
    pub accepted: BTreeMap<usize, u64>,
    /// Lots with a batch of unknown outcome.
    pub unsure: Vec<usize>,
    /// Errors by code.
    pub errors: BTreeMap<String, u64>,
    pub attempts: u64,
    /// Batches that were due and could not leave in time.
    pub given_up: u64,
    pub sockets: Check,
    pub acks: Check,
    pub hints: Check,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    model: usize,
    portion: Portion,
    due_us: u64,
    sent_us: u64,
}

#[derive(Debug)]
struct Feeding {
    feeder: Feeder,
    turns: Turns,
    encoder: BatchEncoder,
    flights: BTreeMap<u64, Flight>,
    next_batch: u64,
    next_model: usize,
    last_observed_us: u64,
    resume_us: u64,
    stopped: bool,
    fed: Fed,
}

impl Feeder {
    /// Feeds through all stretches, or until `stop` says so; waits for what is in flight.
    pub async fn run(self, turns: Turns, mut stop: watch::Receiver<bool>) -> Fed {
        let mut feeding = Feeding::new(self, turns);
        feeding.fed.sockets.examine(1);
        let mut attempt = 0;
        loop {
            let why = match feeding.connect_and_play(&mut stop, &mut attempt).await {
                Ok(()) => break,
                Err(why) => why,
            };
            feeding.lose_flights();
            let is_over = feeding.stopped || feeding.turns.is_over(feeding.feeder.clock.now_us());
            if !feeding.feeder.comes_back {
                let number = feeding.feeder.number;
                feeding.error("ingest socket lost");
                feeding.fed.sockets.fault(format!("ingest connection {number}: {why}"));
                break;
            }
            if is_over {
                break;
            }
            attempt += 1;
            let wait_us = pause_ms(attempt, hint_of_reason(&why), rand::random()) * 1_000;
            let at_us = feeding.feeder.clock.now_us() + wait_us;
            tokio::select! {
                () = feeding.feeder.clock.sleep_until(at_us) => {}
                _ = stop.changed() => feeding.stopped = true,
            }
        }
        let Feeding { feeder, turns, mut fed, .. } = feeding;
        fed.models = feeder.models;
        fed.given_up = turns.given_up;
        fed
    }
}

impl Feeding {
    fn new(feeder: Feeder, turns: Turns) -> Self {
        Self {
            encoder: BatchEncoder::new(feeder.encoding, feeder.fleet.slots_per_lot),
            feeder,
            turns,
            flights: BTreeMap::new(),
            next_batch: 0,
            next_model: 0,
            last_observed_us: 0,
            resume_us: 0,
            stopped: false,
            fed: Fed {
                models: Vec::new(),
                answers: Vec::new(),
                accepted: BTreeMap::new(),
                unsure: Vec::new(),
                errors: BTreeMap::new(),
                attempts: 0,
                given_up: 0,
                sockets: Check::new(SOCKETS_STAY_OPEN, "sockets"),
                acks: Check::new(ACKS_ARE_RIGHT, "batches"),
                hints: Check::new(REFUSALS_SAY_WHEN, "refusals"),
            },
        }
    }

    async fn connect_and_play(
        &mut self,
        stop: &mut watch::Receiver<bool>,
        attempt: &mut u32,
    ) -> Result<(), String> {
        let opened = socket::open(self.feeder.addr, "/api/v1/ingest", &self.feeder.token).await;
        let mut socket = opened.map_err(|error| match hint_of_refusal(&error) {
            Some(hint_ms) => format!("{error}; retry_after_ms={hint_ms}"),
            None => error.to_string(),
        })?;
        *attempt = 0;
        self.play(&mut socket, stop).await?;
        // A refused goodbye changes nothing of what was acknowledged.
        let _ = socket.close(None).await;
        Ok(())
    }

    async fn play(
        &mut self,
        socket: &mut Socket,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), String> {
        let clock = self.feeder.clock;
        let alarm = Alarm::new(clock);
        loop {
            let now_us = clock.now_us();
            let is_sending = !self.stopped && !self.turns.is_over(now_us);
            if is_sending {
                self.send_due(socket, now_us).await.map_err(|error| error.to_string())?;
            } else if self.flights.is_empty() {
                return Ok(());
            }
            let oldest_us = self.flights.values().next().map(|flight| flight.sent_us);
            let give_up_us = oldest_us.map_or(u64::MAX, |sent_us| sent_us + ACK_WAIT_US_MAX);
            if now_us > give_up_us {
                return Err(format!("no ack for 30 s, {} batches in flight", self.flights.len()));
            }
            let mut wake_us = give_up_us.saturating_add(1);
            if is_sending && self.flights.len() < self.feeder.in_flight_max {
                let due_us = self.turns.next_due_us(now_us).unwrap_or(now_us);
                wake_us = wake_us.min(due_us.max(self.resume_us));
            }
            tokio::select! {
                biased;
                message = socket.next() => self.take_all(socket, message).await?,
                _ = stop.changed(), if !self.stopped => self.stopped = true,
                () = alarm.until(wake_us) => {}
            }
        }
    }

    async fn send_due(&mut self, socket: &mut Socket, now_us: u64) -> Result<(), Error> {
        let mut sent = false;
        while now_us >= self.resume_us && self.flights.len() < self.feeder.in_flight_max {
            let Some(due_us) = self.turns.take(now_us) else { break };
            let message = self.next_message(due_us, now_us);
            socket.feed(message).await?;
            sent = true;
        }
        if sent { socket.flush().await } else { Ok(()) }
    }

    fn next_message(&mut self, due_us: u64, sent_us: u64) -> Message {
        let (batch, index) = (self.next_batch, self.next_model);
        self.next_batch += 1;
        self.next_model = (index + 1) % self.feeder.models.len();
        let model = &mut self.feeder.models[index];
        let portion = model.take(self.feeder.batch);
        let observed_us = due_us.max(self.last_observed_us + 1);
        let lot = &self.feeder.fleet.lots[model.shard.lot].code;
        let (message, last_us) = self.encoder.encode(batch, lot, model, portion, observed_us);
        self.last_observed_us = last_us;
        self.flights.insert(batch, Flight { model: index, portion, due_us, sent_us });
        self.fed.attempts += 1;
        message
    }

    /// Takes a message and those that came with it, so that the answer to many acks is one write.
    async fn take_all(
        &mut self,
        socket: &mut Socket,
        first: Option<Result<Message, Error>>,
    ) -> Result<(), String> {
        let mut message = first;
        for _ in 0..self.feeder.in_flight_max {
            if let Some(Ok(Message::Text(text))) = &message {
                if self.take(text)? {
                    let pong = socket.send(Message::text(PONG)).await;
                    pong.map_err(|error| error.to_string())?;
                }
            } else if let Event::Closed(why) = socket::judge(message) {
                return Err(why);
            }
            let Some(next) = socket.next().now_or_never() else { break };
            message = next;
        }
        Ok(())
    }

    /// Takes one message; says whether it wants a pong.
    fn take(&mut self, text: &str) -> Result<bool, String> {
        let message: IngestMessage<'_> = serde_json::from_str(text)
            .map_err(|error| format!("unreadable message ({error}): {}", excerpt(text)))?;
        if message.op == "ping" {
            return Ok(true);
        }
        self.fed.acks.examine(1);
        let flight = message.batch.and_then(|batch| self.flights.remove(&batch));
        let Some(flight) = flight else {
            self.fed.acks.fault(format!("an answer to no batch in flight: {}", excerpt(text)));
            return Ok(false);
        };
        match message.op {
            "ack" => self.acknowledged(flight, &message),
            "error" => self.refused(flight, &message),
            other => return Err(format!("unknown op `{other}`: {}", excerpt(text))),
        }
        Ok(false)
    }

    fn acknowledged(&mut self, flight: Flight, ack: &IngestMessage<'_>) {
        let model = &mut self.feeder.models[flight.model];
        let lot = model.shard.lot;
        let said = ack.accepted + ack.unchanged + ack.duplicate + ack.late + ack.refused.len();
        // A slot may be told what it already is after a refusal, never something older.
        if said != flight.portion.count || ack.duplicate + ack.late + ack.refused.len() > 0 {
            let code = &self.feeder.fleet.lots[lot].code;
            let (sent, fresh) = (flight.portion.count, ack.accepted + ack.unchanged);
            self.fed.acks.fault(format!(
                "lot {code}: of {sent} newer readings {fresh} were taken, {said} answered for"
            ));
        }
        let refused: Vec<usize> = ack.refused.iter().map(|refused| refused.index).collect();
        model.acknowledge(flight.portion, &refused);
        self.feeder.fleet.lots[lot].was_told(ack.seq);
        *self.fed.accepted.entry(lot).or_default() += ack.accepted as u64;
        self.answer(flight, true, (ack.accepted + ack.unchanged) as u64);
    }

    fn refused(&mut self, flight: Flight, error: &IngestMessage<'_>) {
        let code = error.code.as_deref().unwrap_or("without a code");
        // To one who insists a refusal is what he came for, and no error.
        if !self.feeder.insists || !NOTHING_TAKEN.contains(&code) {
            self.error(&format!("ingest {code}"));
        }
        if NOTHING_TAKEN.contains(&code) {
            self.fed.hints.examine(1);
            if error.retry_after_ms.is_none() {
                self.fed
                    .hints
                    .fault(format!("a batch was refused as {code} without retry_after_ms"));
            }
            self.answer(flight, false, 0);
        } else {
            self.lose(flight);
        }
        if let Some(hint_ms) = error.retry_after_ms.filter(|_| !self.feeder.insists) {
            let wait_ms = pause_ms(1, Some(hint_ms), rand::random());
            self.resume_us = self.feeder.clock.now_us() + wait_ms * 1_000;
        }
    }

    fn answer(&mut self, flight: Flight, is_accepted: bool, taken: u64) {
        let done_us = self.feeder.clock.now_us();
        let Flight { due_us, sent_us, .. } = flight;
        self.fed.answers.push(Answered { due_us, sent_us, done_us, is_accepted, taken });
    }

    fn lose(&mut self, flight: Flight) {
        let model = &mut self.feeder.models[flight.model];
        model.lose(flight.portion);
        self.fed.unsure.push(model.shard.lot);
    }

    fn lose_flights(&mut self) {
        for (batch, flight) in std::mem::take(&mut self.flights) {
            if !self.feeder.comes_back {
                self.fed.acks.examine(1);
                self.fed.acks.fault(format!("batch {batch} was never answered"));
            }
            self.lose(flight);
        }
    }

    fn error(&mut self, code: &str) {
        *self.fed.errors.entry(code.into()).or_default() += 1;
    }
}
