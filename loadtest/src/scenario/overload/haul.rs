//! What all users of an overload brought back, over both runs.

use super::pusher::Pushed;
use crate::fleet::{Shard, shards};
use crate::model::ShardModel;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::scenario::Plan;
use crate::scenario::feeder::{Answered, Fed};
use crate::verify::{ACKS_ARE_RIGHT, Check, Promise, REFUSALS_SAY_WHEN, SOCKETS_STAY_OPEN};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What everybody brought back, of both runs.
#[derive(Debug, Default)]
pub struct Haul {
    pub readings: Vec<Answered>,
    pub bookings: Vec<Answered>,
    pub models: Vec<Vec<ShardModel>>,
    pub wishes: Vec<u64>,
    pub accepted: BTreeMap<usize, u64>,
    pub unsure_lots: BTreeSet<usize>,
    pub promises: Vec<Promise>,
    pub unsure_ids: HashSet<String>,
    pub errors: BTreeMap<String, u64>,
    pub attempts: u64,
    pub batches_given_up: u64,
    pub bookings_given_up: u64,
    pub checks: Vec<Check>,
}

impl Haul {
    /// Nothing yet; the first half of the lots is dealt to the feeders.
    pub fn new(plan: &Plan, border: usize, pushers: usize) -> Self {
        let model = |shard: Shard| ShardModel::new(shard, plan.seed);
        let dealt = shards(border, plan.slots, plan.ingest_connections);
        let checks = [
            Check::new(ACKS_ARE_RIGHT, "batches"),
            Check::new(SOCKETS_STAY_OPEN, "sockets"),
            Check::new(REFUSALS_SAY_WHEN, "refusals"),
        ];
        Self {
            models: dealt.into_iter().map(|own| own.into_iter().map(model).collect()).collect(),
            wishes: vec![0; pushers],
            checks: checks.into(),
            ..Self::default()
        }
    }

    /// What a feeder brought.
    pub fn feed(&mut self, fed: Fed) {
        self.readings.extend(fed.answers);
        self.models.push(fed.models);
        for (lot, readings) in fed.accepted {
            *self.accepted.entry(lot).or_default() += readings;
        }
        self.unsure_lots.extend(fed.unsure);
        self.blame(fed.attempts, fed.errors);
        self.batches_given_up += fed.given_up;
        for (all, one) in self.checks.iter_mut().zip([fed.acks, fed.sockets, fed.hints]) {
            all.merge(&one);
        }
    }

    /// What a booker brought.
    pub fn push(&mut self, number: usize, pushed: Pushed) {
        self.bookings.extend(pushed.answers);
        self.wishes[number] = pushed.next_wish;
        self.promises.extend(pushed.promises);
        self.unsure_ids.extend(pushed.unsure);
        self.blame(pushed.attempts, pushed.errors);
        self.bookings_given_up += pushed.given_up;
        self.checks[2].merge(&pushed.hints);
    }

    fn blame(&mut self, attempts: u64, errors: BTreeMap<String, u64>) {
        self.attempts += attempts;
        for (code, times) in errors {
            *self.errors.entry(code).or_default() += times;
        }
    }

    /// The overload's accepted work as every other run's is recorded.
    pub fn record(&self, window: Window) -> Recorder {
        let mut recorder = Recorder::new(window);
        recorder.tell(self.attempts, &self.errors);
        for (answers, measure, tally) in [
            (&self.readings, Measure::IngestAck, Tally::Readings),
            (&self.bookings, Measure::Booking, Tally::Granted),
        ] {
            for answer in answers.iter().filter(|answer| answer.is_accepted) {
                recorder.latency(measure, answer.due_us, answer.done_us);
                recorder.count(tally, answer.taken, answer.done_us);
            }
        }
        recorder
    }
}
