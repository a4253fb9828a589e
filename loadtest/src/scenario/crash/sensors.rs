//! Sensors behind one ingest websocket, whose socket breaks with the server and is opened again.
//!
//! Invariant: readings of a slot leave in order with rising sequence, and a slot belongs to one player. What
//! had no answer is sent again unchanged, or left, as luck has it: both must be harmless.

use super::history::{Told, ToldReading};
use super::stage::{Phase, Stage, knock, ready};
use crate::encoder::{BatchEncoder, Encoding};
use crate::fleet::Shard;
use crate::model::{Portion, ShardModel};
use crate::socket::{self, Event, PONG, Socket};
use crate::target::Role;
use crate::wire::IngestMessage;
use futures_util::{SinkExt, StreamExt};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

/// Between two batches.
const PACE: Duration = Duration::from_millis(4);
/// Without an ack so many are sent.
const IN_FLIGHT_MAX: usize = 24;
/// Readings in a batch.
const READINGS_MAX: usize = 24;

/// A batch without an answer.
#[derive(Debug)]
struct Batch {
    lot: usize,
    message: Message,
    readings: Vec<ToldReading>,
    /// Sent before: some of it may be there.
    is_repeated: bool,
}

/// The sensors.
#[derive(Debug)]
pub struct Sensors {
    stage: Arc<Stage>,
    token: String,
    models: Vec<ShardModel>,
    encoder: BatchEncoder,
    luck: SmallRng,
    next_batch: u64,
    last_observed_us: u64,
    flights: BTreeMap<u64, Batch>,
}

impl Sensors {
    pub fn new(number: usize, encoding: Encoding, shards: Vec<Shard>, stage: &Arc<Stage>) -> Self {
        let models = shards.into_iter().map(|shard| ShardModel::new(shard, stage.seed));
        Self {
            token: stage.target.token(Role::Device, number).into(),
            models: models.collect(),
            encoder: BatchEncoder::new(encoding, stage.fleet.slots_per_lot),
            luck: stage.luck(1_000 + number as u64),
            stage: Arc::clone(stage),
            next_batch: 0,
            last_observed_us: 0,
            flights: BTreeMap::new(),
        }
    }

    /// Plays until the end.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) {
        loop {
            if ready(&mut phase).await == Phase::End {
                return;
            }
            let opened = socket::open(self.stage.target.addr, "/api/v1/ingest", &self.token).await;
            let Ok(mut socket) = opened else {
                knock().await;
                continue;
            };
            let is_done = self.play(&mut socket, &mut phase).await;
            self.stage.batches_gone(self.flights.len());
            if is_done {
                // A refused goodbye changes nothing of what was acknowledged.
                let _ = socket.close(None).await;
                return;
            }
            knock().await;
        }
    }

    /// Sends and hears until the socket breaks; says whether all is done.
    async fn play(&mut self, socket: &mut Socket, phase: &mut watch::Receiver<Phase>) -> bool {
        if self.send_again(socket).await.is_err() {
            return false;
        }
        let mut beat = tokio::time::interval(PACE);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let now = *phase.borrow();
            if now == Phase::End || now == Phase::Settle && self.flights.is_empty() {
                return true;
            }
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        if self.hear(&text) && socket.send(Message::text(PONG)).await.is_err() {
                            return false;
                        }
                    }
                    other => if let Event::Closed(_) = socket::judge(other) { return false },
                },
                _ = beat.tick() => {
                    let may_send = now == Phase::Up && self.flights.len() < IN_FLIGHT_MAX;
                    if may_send && self.send_next(socket).await.is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// Half of the time what was under way is sent once more, in its order, ahead of anything newer.
    async fn send_again(&mut self, socket: &mut Socket) -> Result<(), ()> {
        if self.luck.random_bool(0.5) {
            self.flights.clear();
        }
        self.stage.batches_sent(self.flights.len());
        self.stage.tallies.resent_batches.fetch_add(self.flights.len() as u64, Ordering::Relaxed);
        for batch in self.flights.values_mut() {
            batch.is_repeated = true;
            socket.feed(batch.message.clone()).await.map_err(drop)?;
        }
        socket.flush().await.map_err(drop)
    }

    async fn send_next(&mut self, socket: &mut Socket) -> Result<(), ()> {
        let (number, index) = (self.next_batch, self.luck.random_range(0..self.models.len()));
        self.next_batch += 1;
        let model = &mut self.models[index];
        let count = self.luck.random_range(1..=READINGS_MAX.min(model.slots()));
        let portion = model.take(count);
        let observed_us = self.stage.clock.now_us().max(self.last_observed_us + 1);
        let lot = model.shard.lot;
        let code = &self.stage.fleet.lots[lot].code;
        let (message, last_us) = self.encoder.encode(number, code, model, portion, observed_us);
        self.last_observed_us = last_us;
        let readings = told_readings(model, portion);
        let batch = Batch { lot, message: message.clone(), readings, is_repeated: false };
        self.flights.insert(number, batch);
        self.stage.batches_sent(1);
        socket.send(message).await.map_err(drop)
    }

    /// Takes a message; says whether it wants a pong.
    fn hear(&mut self, text: &str) -> bool {
        let Ok(message) = serde_json::from_str::<IngestMessage<'_>>(text) else {
            self.stage.error("ingest: unreadable answer");
            return false;
        };
        if message.op == "ping" {
            return true;
        }
        let flight = message.batch.and_then(|batch| self.flights.remove(&batch));
        let Some(batch) = flight else {
            self.stage.error("ingest: an answer to no batch in flight");
            return false;
        };
        self.stage.batches_gone(1);
        if message.op != "ack" {
            let code = message.code.unwrap_or_default();
            self.stage.error(format!("ingest {code}"));
            return false;
        }
        acknowledged(&self.stage, batch.lot, batch.readings, batch.is_repeated, &message);
        false
    }
}

/// What a portion says.
pub fn told_readings(model: &ShardModel, portion: Portion) -> Vec<ToldReading> {
    let first = model.shard.slots.start;
    let told = |reading: crate::model::Reading| ToldReading {
        slot: first + reading.offset,
        sequence: reading.sequence,
        occupied: reading.occupied,
    };
    model.readings(portion).map(told).collect()
}

/// An answer to a batch, by websocket or request.
pub fn acknowledged(
    stage: &Stage,
    lot: usize,
    readings: Vec<ToldReading>,
    is_repeated: bool,
    ack: &IngestMessage<'_>,
) {
    let said = ack.accepted + ack.unchanged + ack.duplicate + ack.late + ack.refused.len();
    let lot = stage.fleet.lots[lot].code.clone();
    let is_odd = ack.duplicate + ack.late > 0 && !is_repeated || !ack.refused.is_empty();
    if said != readings.len() || is_odd {
        let what = format!("lot {lot}: {} newer readings were answered {ack:?}", readings.len());
        stage.fault(super::stage::Broken::Kept, what);
    }
    let exact = ack.accepted == readings.len();
    stage.told(Told::Readings { lot, seq: ack.seq, exact, readings });
}
