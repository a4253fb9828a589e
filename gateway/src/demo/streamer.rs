//! The ingest socket: priming at the start, then what the sensors say, four times a second.
//!
//! Invariants: readings carry the time of sending and a running number, so the server sees them in our
//! order; beyond a bound of unanswered batches nothing is sent until answers come, and the traffic waits.
//! A batch that was refused or lost is not repeated: the sensors' heartbeats mend it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Error;
use super::city::Lot;
use super::clock::CityClock;
use super::sensors::{Said, Sensors};
use super::traffic::Traffic;
use crate::client::{self, Answer, Client, IngestClient, Reading};

/// Between two looks at the traffic.
const TICK: Duration = Duration::from_millis(250);
/// Half of what the server allows on one socket.
const IN_FLIGHT_MAX: usize = 32;
/// Well under the server's 10,000 readings and 1 MiB.
const BATCH_READINGS_MAX: usize = 1_000;
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
const RECONNECTS_MAX: u32 = 20;

/// Everything between the model and the server.
pub struct Streamer {
    client: Client,
    token: String,
    socket: IngestClient,
    lots: Vec<Lot>,
    batch: u64,
    sequence: u64,
    in_flight: usize,
    observed_at: Timestamp,
}

impl Streamer {
    /// Connects.
    pub async fn connect(client: Client, token: String, lots: Vec<Lot>) -> Result<Self, Error> {
        let socket = IngestClient::connect(&client, &token).await?;
        Ok(Self {
            client,
            token,
            socket,
            lots,
            batch: 0,
            sequence: 0,
            in_flight: 0,
            observed_at: Timestamp::now(),
        })
    }

    /// Tells the server what every sensor says, one batch per lot, and waits until that is durable.
    pub async fn prime(&mut self, lots: &[Vec<Said>]) -> Result<(), Error> {
        for said in lots {
            self.send(said).await?;
        }
        while self.in_flight > 0 {
            match self.socket.next().await? {
                Answer::Ack(ack) if ack.refused.is_empty() => self.in_flight -= 1,
                Answer::Ack(ack) => {
                    let count = ack.refused.len();
                    let code = ack.refused.into_iter().next().map(|first| first.code);
                    let code = code.unwrap_or_default();
                    let detail = format!("{count} readings of a first batch were refused");
                    return Err(Error::Prime { code, detail });
                }
                Answer::Error(error) => {
                    return Err(Error::Prime { code: error.code, detail: error.detail });
                }
            }
        }
        Ok(())
    }

    /// Streams the traffic for as long as it is polled; ends when the server refuses for good.
    pub async fn run(
        mut self,
        mut traffic: Traffic,
        mut sensors: Sensors,
        clock: CityClock,
    ) -> Error {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked = Instant::now();
        loop {
            let done = tokio::select! {
                answer = self.socket.next() => answer.map(|answer| self.answered(&answer)),
                _ = ticks.tick(), if self.in_flight < IN_FLIGHT_MAX => {
                    let now = Instant::now();
                    let movements = traffic.next(clock.at(now));
                    let said = sensors.next(&movements, &traffic, now - asked);
                    asked = now;
                    self.send(&said).await
                }
            };
            if let Err(cause) = done
                && let Err(error) = self.reconnect(cause).await
            {
                return error.into();
            }
        }
    }

    /// Sends readings in order, a batch per lot and thousand.
    async fn send(&mut self, said: &[Said]) -> Result<(), client::Error> {
        // The clock may be set back; the server would take what follows for late.
        self.observed_at = self.observed_at.max(Timestamp::now());
        let mut by_lot: Vec<Vec<&Said>> = vec![Vec::new(); self.lots.len()];
        for one in said {
            by_lot[one.lot].push(one);
        }
        let Self { lots, socket, batch, sequence, in_flight, .. } = self;
        for (lot, said) in lots.iter().zip(&by_lot) {
            for part in said.chunks(BATCH_READINGS_MAX) {
                let reading = |one: &&Said| {
                    *sequence += 1;
                    Reading {
                        slot: lot.slots[one.slot].code.as_str().into(),
                        occupied: one.occupied,
                        observed_at: Some(self.observed_at),
                        sequence: Some(*sequence),
                    }
                };
                let readings: Vec<Reading<'_>> = part.iter().map(reading).collect();
                *batch += 1;
                socket.send_readings(*batch, lot.code, &readings).await?;
                *in_flight += 1;
            }
        }
        Ok(())
    }

    fn answered(&mut self, answer: &Answer) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match answer {
            Answer::Ack(ack) => {
                if let Some(refused) = ack.refused.first() {
                    let (count, code) = (ack.refused.len(), &refused.code);
                    tracing::warn!(count, code, "readings refused");
                }
            }
            Answer::Error(error) => {
                let (code, detail) = (&error.code, &error.detail);
                tracing::warn!(code, detail, "a batch was refused; heartbeats mend it");
            }
        }
    }

    async fn reconnect(&mut self, cause: client::Error) -> Result<(), client::Error> {
        let mut cause = cause;
        for _ in 0..RECONNECTS_MAX {
            if !cause.is_transient() {
                return Err(cause);
            }
            tracing::warn!(%cause, "the ingest socket broke; connecting again");
            sleep(RECONNECT_PAUSE).await;
            match IngestClient::connect(&self.client, &self.token).await {
                Ok(socket) => {
                    self.socket = socket;
                    self.in_flight = 0;
                    return Ok(());
                }
                Err(error) => cause = error,
            }
        }
        Err(cause)
    }
}
