//! A device that speaks HTTP: readings of its own slots, and what passes a gate of the counted lot, under a
//! key. What had no answer is sent again as it was, until there is one.

use super::history::{Told, ToldReading};
use super::sensors::{acknowledged, told_readings};
use super::stage::{Broken, Phase, Stage, knock, pause, ready};
use crate::clock::Rfc3339;
use crate::fleet::{Shard, slot_code};
use crate::http::{Answer, HttpClient};
use crate::model::ShardModel;
use crate::target::Role;
use crate::wire::IngestMessage;
use bytes::Bytes;
use hyper::Method;
use rand::RngExt;
use rand::rngs::SmallRng;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Between two requests.
const PAUSE_MS: std::ops::Range<u64> = 3..14;
/// Readings in a request.
const READINGS_MAX: usize = 8;

/// A request without an answer.
#[derive(Debug)]
struct Open {
    path: String,
    key: Option<String>,
    body: Bytes,
    what: What,
    is_repeated: bool,
}

#[derive(Debug)]
enum What {
    Readings { lot: usize, readings: Vec<ToldReading> },
    Count { observed_us: u64 },
}

/// What a count did.
#[derive(Debug, Deserialize)]
struct CountAnswer {
    outcome: String,
    occupied: i64,
    seq: u64,
}

/// The device.
#[derive(Debug)]
pub struct Gates {
    stage: Arc<Stage>,
    client: HttpClient,
    models: Vec<ShardModel>,
    /// The counted lot.
    counted: usize,
    luck: SmallRng,
    last_us: u64,
}

impl Gates {
    pub fn new(number: usize, shards: Vec<Shard>, counted: usize, stage: &Arc<Stage>) -> Self {
        let models = shards.into_iter().map(|shard| ShardModel::new(shard, stage.seed ^ 1));
        Self {
            client: stage.client(Role::Device, number),
            models: models.collect(),
            counted,
            luck: stage.luck(2_000 + number as u64),
            stage: Arc::clone(stage),
            last_us: 0,
        }
    }

    /// Plays until the end.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) {
        let mut open: Option<Open> = None;
        loop {
            let now = ready(&mut phase).await;
            let request = match (now, open.take()) {
                (Phase::End, _) | (Phase::Settle, None) => return,
                (_, Some(request)) => request,
                (_, None) => {
                    pause(&mut self.luck, PAUSE_MS).await;
                    self.next()
                }
            };
            open = self.send(request).await;
        }
    }

    fn next(&mut self) -> Open {
        self.last_us = self.stage.clock.now_us().max(self.last_us + 1);
        let observed_us = self.last_us;
        if self.luck.random_bool(0.3) {
            let code = &self.stage.fleet.lots[self.counted].code;
            let (entered, left) = (self.luck.random_range(0..4), self.luck.random_range(1..4));
            let at = Rfc3339(observed_us);
            return Open {
                path: format!("/api/v1/lots/{code}/counts"),
                key: Some(format!("count-{observed_us}")),
                body: Bytes::from(format!(
                    r#"{{"entered":{entered},"left":{left},"observed_at":"{at}","gate":"north"}}"#
                )),
                what: What::Count { observed_us },
                is_repeated: false,
            };
        }
        let index = self.luck.random_range(0..self.models.len());
        let model = &mut self.models[index];
        let portion = model.take(self.luck.random_range(1..=READINGS_MAX.min(model.slots())));
        let (lot, readings) = (model.shard.lot, told_readings(model, portion));
        let at = Rfc3339(observed_us);
        let items: Vec<String> = readings
            .iter()
            .map(|ToldReading { slot, sequence, occupied }| {
                let slot = slot_code(*slot);
                format!(r#"{{"slot":"{slot}","occupied":{occupied},"observed_at":"{at}","sequence":{sequence}}}"#)
            })
            .collect();
        let code = &self.stage.fleet.lots[lot].code;
        Open {
            path: format!("/api/v1/lots/{code}/readings"),
            key: None,
            body: Bytes::from(format!(r#"{{"readings":[{}]}}"#, items.join(","))),
            what: What::Readings { lot, readings },
            is_repeated: false,
        }
    }

    /// Gives it back when there was no answer.
    async fn send(&mut self, mut open: Open) -> Option<Open> {
        let answer = {
            let _flight = self.stage.fly();
            let (key, body) = (open.key.as_deref(), open.body.clone());
            self.client.write(Method::POST, &open.path, key, body).await
        };
        let was_repeated = std::mem::replace(&mut open.is_repeated, true);
        let Ok(answer) = answer else {
            knock().await;
            return Some(open);
        };
        if answer.status != 200 {
            self.stage.error(format!("device {}", answer.problem()));
            tokio::time::sleep(Duration::from_millis(50)).await;
            return matches!(answer.status, 409 | 429 | 500 | 503).then_some(open);
        }
        if was_repeated {
            self.stage.tallies.retried.fetch_add(1, Ordering::Relaxed);
        }
        self.answered(open.what, was_repeated, &answer);
        None
    }

    fn answered(&self, what: What, was_repeated: bool, answer: &Answer) {
        let text = String::from_utf8_lossy(&answer.body);
        let unreadable = |error: &dyn std::fmt::Display| {
            self.stage.fault(Broken::Kept, format!("a device was answered {text}: {error}"));
        };
        match what {
            What::Readings { lot, readings } => {
                // The same members as an ack, without its frame.
                let framed = format!(r#"{{"op":"ack",{}"#, text.get(1..).unwrap_or("}"));
                match serde_json::from_str::<IngestMessage<'_>>(&framed) {
                    Ok(ack) => acknowledged(&self.stage, lot, readings, was_repeated, &ack),
                    Err(error) => unreadable(&error),
                }
            }
            What::Count { observed_us } => match serde_json::from_str::<CountAnswer>(&text) {
                Ok(CountAnswer { outcome, occupied, seq }) => {
                    if outcome != "accepted" {
                        unreadable(&"flows are accepted");
                    }
                    let lot = self.stage.fleet.lots[self.counted].code.clone();
                    self.stage.told(Told::Counted { lot, seq, observed_us, occupied });
                }
                Err(error) => unreadable(&error),
            },
        }
    }
}
