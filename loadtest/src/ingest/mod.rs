//! Sensors behind one ingest websocket: batches of readings, many in flight, acks as they come.
//!
//! Closed loop: as fast as acks leave room. Open loop (`Pace`): at fixed times, and latency counts from
//! the time a batch was due, however late it could leave. Invariants: readings of a slot leave in order
//! with rising `observed_at` and sequence; a batch without an answer leaves its slots `Unsure`, never assumed.

use crate::alarm::Alarm;
use crate::clock::{Clock, MICROS_PER_SECOND, Pace};
use crate::encoder::{BatchEncoder, Encoding};
use crate::fleet::Fleet;
use crate::model::{Portion, ShardModel};
use crate::progress::Gauges;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::socket::{self, Event, PONG, Socket};
use crate::subscriber::excerpt;
use crate::verify::{ACKS_ARE_RIGHT, Check, SOCKETS_STAY_OPEN};
use crate::wire::IngestMessage;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Silence after which a connection gives up.
const ACK_WAIT_US_MAX: u64 = 30 * MICROS_PER_SECOND;
/// The longest pause the server can ask for.
const RETRY_AFTER_MS_MAX: u64 = 5_000;
/// Errors that say for certain that nothing of the batch was taken.
const NOTHING_TAKEN: [&str; 4] =
    ["overloaded", "validation_failed", "lot_not_found", "lot_not_allowed"];

/// Sensors before they send.
#[derive(Debug)]
pub struct Sensors {
    pub number: usize,
    pub addr: SocketAddr,
    pub token: String,
    pub clock: Clock,
    pub window: Window,
    pub fleet: Arc<Fleet>,
    pub models: Vec<ShardModel>,
    pub batch: usize,
    pub encoding: Encoding,
    pub in_flight_max: usize,
    /// Batches at fixed times; as fast as acks leave room when there is none.
    pub pace: Option<Pace>,
    pub gauges: Arc<Gauges>,
}

/// What sensors bring back.
#[derive(Debug)]
pub struct Sent {
    pub recorder: Recorder,
    pub models: Vec<ShardModel>,
    pub sockets: Check,
    pub acks: Check,
}

/// A batch that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Flight {
    batch: u64,
    model: usize,
    portion: Portion,
    due_us: u64,
}

/// The sending side at work. The place of a batch in `flights` is its number modulo their count.
#[derive(Debug)]
struct Sending {
    sensors: Sensors,
    encoder: BatchEncoder,
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    rounds: u64,
    next_model: usize,
    last_observed_us: u64,
    /// Not before this, after the server asked for a pause.
    resume_us: u64,
    /// The last answer, or the first batch of those that wait.
    waiting_since_us: u64,
    /// After an error a slot may be told what it already is.
    had_errors: bool,
    recorder: Recorder,
    acks: Check,
}

impl Sensors {
    /// Sends until the window's end, waits for what is in flight.
    pub async fn run(self) -> Sent {
        let number = self.number;
        let mut sockets = Check::new(SOCKETS_STAY_OPEN, "sockets");
        sockets.examine(1);
        let opened = socket::open(self.addr, "/api/v1/ingest", &self.token).await;
        let mut sending = Sending::new(self);
        let ended = match opened {
            Ok(mut socket) => sending.play(&mut socket).await,
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = ended {
            sending.recorder.error("ingest socket lost");
            sockets.fault(format!("ingest connection {number}: {why}"));
            sending.lose_flights();
        }
        let Sending { mut sensors, mut recorder, acks, .. } = sending;
        if let Some(pace) = &mut sensors.pace {
            recorder.unstarted("batches of readings", pace.left_before(sensors.window.to_us));
        }
        Sent { recorder, models: sensors.models, sockets, acks }
    }
}

impl Sending {
    fn new(sensors: Sensors) -> Self {
        let places = sensors.in_flight_max;
        Self {
            encoder: BatchEncoder::new(sensors.encoding, sensors.fleet.slots_per_lot),
            flights: vec![None; places],
            free: (0..places).rev().collect(),
            rounds: 0,
            next_model: 0,
            last_observed_us: 0,
            resume_us: 0,
            waiting_since_us: 0,
            had_errors: false,
            recorder: Recorder::new(sensors.window),
            acks: Check::new(ACKS_ARE_RIGHT, "batches"),
            sensors,
        }
    }

    async fn play(&mut self, socket: &mut Socket) -> Result<(), String> {
        let clock = self.sensors.clock;
        let alarm = Alarm::new(clock);
        loop {
            let now_us = clock.now_us();
            let is_sending = now_us < self.sensors.window.to_us;
            if is_sending {
                self.send_due(socket, now_us).await.map_err(|error| error.to_string())?;
            } else if self.in_flight() == 0 {
                break;
            }
            if self.in_flight() > 0 && now_us > self.waiting_since_us + ACK_WAIT_US_MAX {
                let seconds = ACK_WAIT_US_MAX / MICROS_PER_SECOND;
                return Err(format!(
                    "no ack for {seconds} s, {} batches in flight",
                    self.in_flight()
                ));
            }
            tokio::select! {
                biased;
                message = socket.next() => self.take_all(socket, message).await?,
                () = alarm.until(self.wake_us(is_sending)) => {}
            }
        }
        // A refused goodbye changes nothing of what was acknowledged.
        let _ = socket.close(None).await;
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    /// When there is something to do although no message came.
    fn wake_us(&self, is_sending: bool) -> u64 {
        let mut wake_us = self.waiting_since_us.saturating_add(ACK_WAIT_US_MAX + 1);
        if self.in_flight() == 0 {
            wake_us = u64::MAX;
        }
        if is_sending {
            wake_us = wake_us.min(self.sensors.window.to_us);
            if !self.free.is_empty() {
                let due_us = self.sensors.pace.as_ref().map_or(0, Pace::next_due_us);
                wake_us = wake_us.min(due_us.max(self.resume_us));
            }
        }
        wake_us
    }

    async fn send_due(&mut self, socket: &mut Socket, now_us: u64) -> Result<(), Error> {
        let mut sent = false;
        while now_us >= self.resume_us && !self.free.is_empty() {
            let due_us = match &mut self.sensors.pace {
                None => now_us,
                Some(pace) => match pace.take(now_us) {
                    Some(due_us) => due_us,
                    None => break,
                },
            };
            let message = self.next_batch(due_us, now_us);
            socket.feed(message).await?;
            sent = true;
        }
        if sent { socket.flush().await } else { Ok(()) }
    }

    fn next_batch(&mut self, due_us: u64, now_us: u64) -> Message {
        if self.in_flight() == 0 {
            self.waiting_since_us = now_us;
        }
        let place = self.free.pop().expect("the caller saw a free place");
        let batch = self.rounds * self.flights.len() as u64 + place as u64;
        self.rounds += 1;
        let index = self.next_model;
        self.next_model = (index + 1) % self.sensors.models.len();
        let model = &mut self.sensors.models[index];
        let portion = model.take(self.sensors.batch);
        let observed_us = due_us.max(self.last_observed_us + 1);
        let lot = &self.sensors.fleet.lots[model.shard.lot].code;
        let (message, last_us) = self.encoder.encode(batch, lot, model, portion, observed_us);
        self.last_observed_us = last_us;
        self.flights[place] = Some(Flight { batch, model: index, portion, due_us });
        self.recorder.attempt();
        message
    }

    /// Takes a message and those that came with it, so that the answer to many acks is one write.
    async fn take_all(
        &mut self,
        socket: &mut Socket,
        first: Option<Result<Message, Error>>,
    ) -> Result<(), String> {
        let mut message = first;
        let mut taken = 0;
        loop {
            if let Some(Ok(Message::Text(text))) = &message {
                if self.take(text)? {
                    let pong = socket.send(Message::text(PONG)).await;
                    pong.map_err(|error| error.to_string())?;
                }
            } else if let Event::Closed(why) = socket::judge(message) {
                return Err(why);
            }
            taken += 1;
            if taken >= self.flights.len() {
                return Ok(());
            }
            let Some(next) = socket.next().now_or_never() else { return Ok(()) };
            message = next;
        }
    }

    /// Takes one message; says whether it wants a pong.
    fn take(&mut self, text: &str) -> Result<bool, String> {
        let message: IngestMessage<'_> = serde_json::from_str(text)
            .map_err(|error| format!("unreadable message ({error}): {}", excerpt(text)))?;
        match message.op {
            "ping" => return Ok(true),
            "ack" | "error" => {}
            other => return Err(format!("unknown op `{other}`: {}", excerpt(text))),
        }
        self.acks.examine(1);
        let Some(flight) = self.land(message.batch) else {
            self.acks.fault(format!("an answer to no batch in flight: {}", excerpt(text)));
            return Ok(false);
        };
        let now_us = self.sensors.clock.now_us();
        self.waiting_since_us = now_us;
        match message.op {
            "ack" => self.acknowledged(flight, &message, now_us),
            _ => self.refused(flight, &message, now_us),
        }
        Ok(false)
    }

    fn land(&mut self, batch: Option<u64>) -> Option<Flight> {
        let batch = batch?;
        let place = (batch % self.flights.len() as u64) as usize;
        let flight = self.flights[place].take_if(|flight| flight.batch == batch)?;
        self.free.push(place);
        Some(flight)
    }

    fn acknowledged(&mut self, flight: Flight, ack: &IngestMessage<'_>, now_us: u64) {
        let Flight { batch, model, portion, due_us } = flight;
        let model = &mut self.sensors.models[model];
        let lot = &self.sensors.fleet.lots[model.shard.lot];
        let taken = ack.accepted + ack.unchanged + ack.duplicate + ack.late;
        let place = || format!("lot {} batch {batch}", lot.code);
        if taken + ack.refused.len() != portion.count {
            let said = taken + ack.refused.len();
            self.acks.fault(format!("{}: {said} answers to {} readings", place(), portion.count));
        }
        // Each reading is newer than all before it and flips its slot, so the server has no reason for these.
        let odd = ack.duplicate + ack.late + if self.had_errors { 0 } else { ack.unchanged };
        if odd > 0 {
            self.acks.fault(format!(
                "{}: {} unchanged, {} duplicate, {} late, though every reading is newer and flips its slot",
                place(),
                ack.unchanged,
                ack.duplicate,
                ack.late
            ));
        }
        for refused in &ack.refused {
            self.had_errors = true;
            self.recorder.error(format!("reading {}", refused.code));
        }
        let refused: Vec<usize> = ack.refused.iter().map(|refused| refused.index).collect();
        model.acknowledge(portion, &refused);
        lot.was_told(ack.seq);
        self.recorder.latency(Measure::IngestAck, due_us, now_us);
        self.recorder.count(Tally::Readings, ack.accepted as u64, now_us);
        Gauges::add(&self.sensors.gauges.readings, ack.accepted as u64);
    }

    fn refused(&mut self, flight: Flight, error: &IngestMessage<'_>, now_us: u64) {
        let code = error.code.as_deref().unwrap_or("without a code");
        self.recorder.error(format!("ingest {code}"));
        self.had_errors = true;
        if !NOTHING_TAKEN.contains(&code) {
            self.sensors.models[flight.model].lose(flight.portion);
        }
        if let Some(pause_ms) = error.retry_after_ms {
            self.resume_us = now_us + pause_ms.min(RETRY_AFTER_MS_MAX) * 1_000;
        }
    }

    fn lose_flights(&mut self) {
        for flight in self.flights.iter_mut().filter_map(Option::take) {
            self.acks.examine(1);
            self.acks.fault(format!("batch {} was never answered", flight.batch));
            self.sensors.models[flight.model].lose(flight.portion);
        }
    }
}

#[cfg(test)]
mod tests;
