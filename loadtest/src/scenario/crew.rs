//! The users of a run: made from the plan, started, waited for. Dropping a crew ends its tasks.

use super::Plan;
use crate::booker::{Booked, Booker};
use crate::clock::{Clock, Pace};
use crate::error::LoadError;
use crate::fleet::{Fleet, shards};
use crate::http::HttpClient;
use crate::ingest::{Sensors, Sent};
use crate::model::ShardModel;
use crate::pace::{Shape, SharedPace};
use crate::progress::Gauges;
use crate::reader::{Read, Reader};
use crate::recorder::{Recorder, Window};
use crate::subscriber::{Subscriber, Watch, Watched};
use crate::target::{Role, Target};
use crate::verify::{
    ACKS_ARE_RIGHT, Check, GRANTS_ARE_RIGHT, Promise, READS_ARE_FRESH, SOCKETS_STAY_OPEN,
    STREAM_IS_WHOLE,
};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Everything the users share.
#[derive(Clone, Debug)]
pub struct Stage {
    pub target: Target,
    pub clock: Clock,
    pub began_us: u64,
    pub window: Window,
    /// Of all open loops.
    pub shape: Shape,
    pub fleet: Arc<Fleet>,
    pub gauges: Arc<Gauges>,
}

/// The users at work.
#[derive(Debug)]
pub struct Crew {
    sensors: JoinSet<Sent>,
    bookers: JoinSet<Booked>,
    readers: JoinSet<Read>,
    watchers: JoinSet<Watch>,
    /// What the watchers see.
    pub watched: Vec<Arc<Watched>>,
    /// Schedules that pools share, and what their turns are called.
    pools: Vec<(&'static str, SharedPace)>,
    stop: watch::Sender<bool>,
}

/// What the users brought back.
#[derive(Debug)]
pub struct Haul {
    pub recorder: Recorder,
    pub models: Vec<ShardModel>,
    pub promises: Vec<Promise>,
    pub sockets: Check,
    pub acks: Check,
    pub grants: Check,
    pub fresh: Check,
}

impl Crew {
    /// Starts everybody; watchers first, so that most of them see the whole run.
    pub fn start(plan: &Plan, stage: &Stage) -> Self {
        let (stop, _) = watch::channel(false);
        let mut crew = Self {
            sensors: JoinSet::new(),
            bookers: JoinSet::new(),
            readers: JoinSet::new(),
            watchers: JoinSet::new(),
            watched: Vec::new(),
            pools: Vec::new(),
            stop,
        };
        crew.start_watchers(plan, stage);
        crew.start_sensors(plan, stage);
        crew.start_bookers(plan, stage);
        crew.start_readers(plan, stage);
        crew
    }

    fn start_watchers(&mut self, plan: &Plan, stage: &Stage) {
        // The watched lots are spread over the fleet, so that they belong to different connections.
        let stride = (plan.lots / (plan.subscribers * plan.lots_per_subscriber).max(1)).max(1);
        for number in 0..plan.subscribers {
            let first = number * plan.lots_per_subscriber;
            let watched: Vec<Arc<Watched>> = (first..first + plan.lots_per_subscriber)
                .map(|nth| nth * stride % plan.lots)
                .map(|lot| Arc::new(Watched::new(lot, &stage.fleet.lots[lot].code)))
                .collect();
            self.watched.extend(watched.iter().cloned());
            // Every other one comes in the middle of the warm-up.
            let late_us = (stage.window.from_us - stage.began_us) / 2 * (number as u64 % 2);
            let subscriber = Subscriber {
                number,
                addr: stage.target.addr,
                token: stage.target.token(Role::Display, number).into(),
                clock: stage.clock,
                window: stage.window,
                join_us: stage.began_us + late_us,
                watched,
                gauges: Arc::clone(&stage.gauges),
            };
            self.watchers.spawn(subscriber.run(self.stop.subscribe()));
        }
    }

    fn start_sensors(&mut self, plan: &Plan, stage: &Stage) {
        let dealt = shards(plan.lots, plan.slots, plan.ingest_connections);
        let batches_per_second =
            plan.rate.map(|rate| rate / plan.batch as f64 / plan.ingest_connections.max(1) as f64);
        let of = dealt.len();
        for (number, shards) in dealt.into_iter().enumerate() {
            let sensors = Sensors {
                number,
                addr: stage.target.addr,
                token: stage.target.token(Role::Device, number).into(),
                clock: stage.clock,
                window: stage.window,
                fleet: Arc::clone(&stage.fleet),
                models: shards.into_iter().map(|s| ShardModel::new(s, plan.seed)).collect(),
                batch: plan.batch,
                encoding: plan.encoding,
                in_flight_max: plan.in_flight,
                pace: batches_per_second
                    .map(|rate| Pace::shaped(stage.began_us, rate, stage.shape, (number, of))),
                gauges: Arc::clone(&stage.gauges),
            };
            self.sensors.spawn(sensors.run());
        }
    }

    fn start_bookers(&mut self, plan: &Plan, stage: &Stage) {
        let pace = plan.booking_rate.map(|rate| self.pool("bookings", rate, stage));
        for number in 0..plan.bookers {
            let token = stage.target.token(Role::Driver, number);
            let booker = Booker {
                number,
                of: plan.bookers,
                holders: stage.target.people(Role::Driver),
                client: HttpClient::new(stage.target.addr, token),
                clock: stage.clock,
                window: stage.window,
                fleet: Arc::clone(&stage.fleet),
                mix: plan.mix,
                pace: pace.clone(),
                seed: plan.seed,
                gauges: Arc::clone(&stage.gauges),
            };
            self.bookers.spawn(booker.run());
        }
    }

    fn start_readers(&mut self, plan: &Plan, stage: &Stage) {
        if plan.readers() == 0 {
            return;
        }
        let pace = self.pool("reads", plan.read_rate, stage);
        for number in 0..plan.readers() {
            let reader = Reader {
                number,
                client: HttpClient::new(stage.target.addr, stage.target.token(Role::Display, 0)),
                clock: stage.clock,
                window: stage.window,
                fleet: Arc::clone(&stage.fleet),
                pace: pace.clone(),
                seed: plan.seed,
            };
            self.readers.spawn(reader.run());
        }
    }

    fn pool(&mut self, what: &'static str, rate: f64, stage: &Stage) -> SharedPace {
        // Each pool has its own randomness.
        let part = (usize::MAX / 2 + self.pools.len(), usize::MAX);
        let pace = SharedPace::new(Pace::shaped(stage.began_us, rate, stage.shape, part));
        self.pools.push((what, pace.clone()));
        pace
    }

    /// Waits for all but the watchers, who go on until the audit is done.
    pub async fn finish_load(&mut self, window: Window) -> Result<Haul, LoadError> {
        let mut haul = Haul {
            recorder: Recorder::new(window),
            models: Vec::new(),
            promises: Vec::new(),
            sockets: Check::new(SOCKETS_STAY_OPEN, "sockets"),
            acks: Check::new(ACKS_ARE_RIGHT, "batches"),
            grants: Check::new(GRANTS_ARE_RIGHT, "reservations"),
            fresh: Check::new(READS_ARE_FRESH, "reads"),
        };
        while let Some(sent) = self.sensors.join_next().await {
            let sent = sent.map_err(|source| LoadError::Task { source })?;
            haul.recorder.merge(&sent.recorder);
            haul.models.extend(sent.models);
            haul.sockets.merge(&sent.sockets);
            haul.acks.merge(&sent.acks);
        }
        while let Some(booked) = self.bookers.join_next().await {
            let booked = booked.map_err(|source| LoadError::Task { source })?;
            haul.recorder.merge(&booked.recorder);
            haul.promises.extend(booked.promises);
            haul.grants.merge(&booked.grants);
        }
        while let Some(read) = self.readers.join_next().await {
            let read = read.map_err(|source| LoadError::Task { source })?;
            haul.recorder.merge(&read.recorder);
            haul.fresh.merge(&read.fresh);
        }
        for (what, pace) in &self.pools {
            haul.recorder.unstarted(what, pace.left_before(window.to_us));
        }
        Ok(haul)
    }

    /// Ends the watchers. Gives back what their streams were like, and how often they were too slow.
    pub async fn finish_watch(mut self, haul: &mut Haul) -> Result<(Check, u64), LoadError> {
        // Nobody listens when nobody watches.
        let _ = self.stop.send(true);
        while let Some(watch) = self.watchers.join_next().await {
            let watch = watch.map_err(|source| LoadError::Task { source })?;
            haul.recorder.merge(&watch.recorder);
            haul.sockets.merge(&watch.sockets);
        }
        let mut whole = Check::new(STREAM_IS_WHOLE, "entries");
        let mut lags = 0;
        for watched in &self.watched {
            let fold = watched.fold();
            whole.merge(&fold.check);
            lags += fold.lags;
        }
        Ok((whole, lags))
    }
}
