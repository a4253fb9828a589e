//! `fanout`: many subscribers of one lot, and the sensors that change it, at full speed or paced.
//!
//! The client is `swarm`; this opens its sockets, measures the server beside it, and compares what every
//! subscriber ended with. Absent: more than one lot, which is the standard scenario's work.

use super::runner::{Sample, measure, window};
use super::session::{Ground, Session};
use super::{Plan, Profile};
use crate::clock::Clock;
use crate::error::LoadError;
use crate::fleet::Shard;
use crate::http::{HttpClient, get};
use crate::machine::{Usage, allow_descriptors};
use crate::model::ShardModel;
use crate::options::Options;
use crate::progress::{self, Gauges};
use crate::recorder::Tally;
use crate::report::{Facts, FanOut, Report};
use crate::swarm::lotkeeper::Lotkeeper;
use crate::swarm::{self, Cast, Harvest, Speed, connect, frame};
use crate::target::{Role, Target};
use crate::verify::{Check, SOCKETS_STAY_OPEN, STREAM_ENDS_RIGHT};
use crate::wire::{Availability, Counts};
use clap::ValueEnum;
use serde::Serialize;
use std::sync::Arc;

/// Nobody but subscribers; the one sensor's socket belongs to the swarm.
pub const PROFILE: Profile = Profile { subscribers: 1_000, ..Profile::NOBODY };
/// At full speed the publisher keeps within this of the slowest subscriber: half of what the server's ring
/// has by default (`engine.ring_changes_per_lot`), so that nobody falls out of it.
pub const AHEAD_CHANGES_MAX: u64 = 512;
/// Descriptors for everything that is no subscriber.
const OTHER_DESCRIPTORS: u64 = 128;
/// So many subscribers are checked to the last byte and measured.
pub const CHECKED: usize = 20;

/// What the subscribers of `fanout` watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Every change of every slot.
    Slots,
    /// Numbers only, the latest wins.
    Counts,
}

impl View {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slots => "slots",
            Self::Counts => "counts",
        }
    }
}

/// What the flags say about it.
#[derive(Clone, Copy, Debug)]
pub struct FanOutPlan {
    /// What is watched.
    pub view: View,
    /// Full speed when there is none.
    pub changes_per_second: Option<f64>,
}

/// Plays the plan.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    // Before the server starts: it inherits the limit.
    allow_descriptors(plan.subscribers as u64 + OTHER_DESCRIPTORS)?;
    let session = Session::open(options, plan.warm_up + plan.duration, &[]).await?;
    let (facts, fanout) = play(plan, &session).await?;
    Ok(Report::of(plan, &session.close(facts).await).with_fan_out(Some(fanout)))
}

async fn play(plan: &Plan, session: &Session) -> Result<(Facts, FanOut), LoadError> {
    let clock = Clock::start();
    let target = &session.target;
    let Ground { mut operator, fleet, server_version } =
        session.prepare(clock, 1, plan.slots).await?;
    let lot = fleet.lots[0].code.clone();
    let model = ShardModel::new(Shard { lot: 0, slots: 0..plan.slots }, plan.seed);

    let cast = tokio::task::block_in_place(|| open(plan, target, &lot, clock));
    let cast = cast.map_err(|what| LoadError::Swarm { what })?;
    let (began_us, window) = (cast.began_us, cast.window);
    let gauges = Arc::new(Gauges::default());
    let (harvest, (samples, usage), ()) = tokio::join!(
        swarm::run(cast, Lotkeeper::new(&lot, model, plan.encoding)),
        measure(clock, window, session.server_pid()),
        progress::show(clock, began_us, window, gauges)
    );
    let harvest = harvest.map_err(|what| LoadError::Swarm { what })?;
    let mut sockets = Check::new(SOCKETS_STAY_OPEN, "sockets");
    sockets.examine(plan.subscribers as u64 + 1);
    let ends = ends_right(&mut operator, &lot, &harvest, plan.fanout.view).await?;
    let fanout = figures(plan, &samples, &harvest);
    let Harvest { dialect, tape, .. } = harvest;
    let facts = Facts {
        recorder: tape.recorder,
        began_us,
        window,
        surge: None,
        samples,
        usage,
        checks: vec![tape.check, ends, dialect.acks, sockets],
        lags: tape.lags,
        server_version,
        data_dir: None,
        data_in_memory: false,
        vitals: Vec::new(),
        figures: Vec::new(),
        course: Some(course(plan)),
    };
    Ok((facts, fanout))
}

fn course(plan: &Plan) -> String {
    let (view, slots) = (plan.fanout.view.name(), plan.slots);
    let speed = match plan.fanout.changes_per_second {
        Some(rate) => format!("{rate} changes/s"),
        None => format!("full speed, {} batches", plan.encoding.name()),
    };
    format!("{} subscribers of {view} on one lot of {slots} slots, {speed}", plan.subscribers)
}

/// All sockets, each subscribed and answered, and the time to begin.
fn open(plan: &Plan, target: &Target, lot: &str, clock: Clock) -> Result<Cast, String> {
    let authorization = |role| format!("Authorization: Bearer {}\r\n", target.token(role, 0));
    let view = plan.fanout.view;
    let wish = format!(r#"{{"op":"subscribe","id":1,"lot":"{lot}","view":"{}"}}"#, view.name());
    let first_answer = match view {
        View::Slots => b"\"op\":\"snapshot\"".as_slice(),
        View::Counts => b"\"op\":\"counts\"",
    };
    let mut subscribe = Vec::new();
    frame::put_text(&mut subscribe, wish.as_bytes());
    let display = authorization(Role::Display);
    let mut subscribers = Vec::with_capacity(plan.subscribers);
    for _ in 0..plan.subscribers {
        let mut opened = connect::websocket(target.addr, "/api/v1/stream", &display)?;
        connect::until(&mut opened, &subscribe, first_answer)?;
        subscribers.push(opened);
    }
    let device = authorization(Role::Device);
    let publisher = connect::websocket(target.addr, "/api/v1/ingest", &device)?;
    let began_us = clock.now_us();
    let window = window(began_us, plan);
    let batch = plan.batch.min(AHEAD_CHANGES_MAX as usize);
    let speed = match plan.fanout.changes_per_second {
        None => Speed::Full { ahead_max: AHEAD_CHANGES_MAX, batch },
        Some(rate) => Speed::Paced(rate),
    };
    let check_every = (plan.subscribers / CHECKED).max(1);
    Ok(Cast { subscribers, publisher, clock, began_us, window, speed, check_every })
}

/// What every subscriber ended with against what the server shows.
async fn ends_right(
    operator: &mut HttpClient,
    lot: &str,
    harvest: &Harvest<Lotkeeper>,
    view: View,
) -> Result<Check, LoadError> {
    let mut check = Check::new(STREAM_ENDS_RIGHT, "subscribers");
    let truth: Availability = get(operator, &format!("/api/v1/lots/{lot}/availability")).await?;
    for (who, seen) in harvest.seen.iter().enumerate() {
        check.examine(1);
        let seq = harvest.dialect.seq_after(seen.upto);
        if seq != Some(truth.seq) {
            check.fault(format!(
                "subscriber {who} ends at seq {seq:?}, the server at {}",
                truth.seq
            ));
        }
        if view == View::Counts {
            let counts: Option<Counts> = serde_json::from_slice(&seen.last).ok();
            if counts != Some(truth.counts) {
                check.fault(format!(
                    "subscriber {who} ends with {counts:?}, the server with {:?}",
                    truth.counts
                ));
            }
        }
    }
    Ok(check)
}

fn figures(plan: &Plan, samples: &[Sample; 2], harvest: &Harvest<Lotkeeper>) -> FanOut {
    let seconds = plan.duration.as_secs_f64();
    let [first, last] = samples;
    let spent =
        |of: fn(&Sample) -> Option<Usage>| Some(of(last)?.cpu_seconds - of(first)?.cpu_seconds);
    let deliveries = harvest.tape.recorder.total(Tally::Entries);
    let messages = harvest.tape.messages;
    let per = |amount: Option<f64>, count: u64| {
        amount.filter(|_| count > 0).map(|amount| amount / count as f64)
    };
    let server_us = spent(|sample| sample.server).map(|seconds| seconds * 1e6);
    let client_us = spent(|sample| Some(sample.client)).map(|seconds| seconds * 1e6);
    FanOut {
        view: plan.fanout.view,
        subscribers: plan.subscribers,
        changes_per_second_asked: plan.fanout.changes_per_second,
        changes_per_second: harvest.published_in_window as f64 / seconds,
        deliveries,
        deliveries_per_second: deliveries as f64 / seconds,
        messages_per_second: messages as f64 / seconds,
        server_cpu_us_per_delivery: per(server_us, deliveries),
        server_cpu_us_per_message: per(server_us, messages),
        client_cpu_us_per_delivery: per(client_us, deliveries),
        bytes_per_delivery: per(Some(harvest.tape.bytes as f64), deliveries),
        lags: harvest.tape.lags,
        missed: harvest.tape.missed,
    }
}
