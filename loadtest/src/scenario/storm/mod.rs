//! `storm`: readings flow, all subscribers are cut at once and come back at once, round after round; or the
//! server is killed under them and started again.
//!
//! Checked over all rounds together: every subscriber has every sequence once, resumed or by snapshot, and
//! nobody is left out. Absent: a storm of sensors; they keep their sockets unless the server dies.

mod survivor;

use super::feeder::{Fed, Feeder};
use super::quantile::quantile;
use super::runner::{measure, window};
use super::session::{Ground, Session};
use super::stretch::{Stretch, Turns};
use super::{Plan, Profile, Sample};
use crate::audit::Audit;
use crate::clock::{Clock, micros};
use crate::error::LoadError;
use crate::fleet::{Fleet, shards};
use crate::http::HttpClient;
use crate::machine::allow_descriptors;
use crate::model::ShardModel;
use crate::options::Options;
use crate::recorder::{Recorder, Tally, Window};
use crate::report::{Facts, Figure, Report};
use crate::subscriber::Watched;
use crate::target::Role;
use crate::verify::{
    ACKS_ARE_RIGHT, Check, NOBODY_IS_LEFT_OUT, SOCKETS_STAY_OPEN, STREAM_IS_WHOLE,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use survivor::{Back, Cue, Survived, Survivor};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A thousand signs, and enough readings that something is missed during every cut.
pub const PROFILE: Profile = Profile {
    ingest_connections: 2,
    // Twenty per lot of the default fleet.
    rate: Some(2_000.0),
    subscribers: 1_000,
    ..Profile::NOBODY
};

/// Descriptors for everything that is no subscriber.
const OTHER_DESCRIPTORS: u64 = 128;
/// How long the last may take to come back.
const BACK_SECONDS_MAX: u64 = 60;

/// Everybody at work.
struct Crowd {
    cue: watch::Sender<Cue>,
    stop: watch::Sender<bool>,
    backs: mpsc::UnboundedReceiver<Back>,
    watched: Vec<Arc<Watched>>,
    survivors: JoinSet<Survived>,
    feeders: JoinSet<Fed>,
}

/// What the rounds brought.
#[derive(Debug)]
struct Rounds {
    /// Of all rounds but the first connecting.
    backs: Vec<Back>,
    /// Per round, from the cut until the last was back.
    all_back_us: Vec<u64>,
    /// Per kill, until the server listened again.
    down_us: Vec<u64>,
    left_out: Check,
}

/// Plays the plan.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    let rounds = options.course.rounds;
    if rounds == 0 || plan.subscribers == 0 || plan.ingest_connections == 0 {
        return Err(LoadError::usage(
            "a storm needs --rounds, --subscribers and --ingest-connections of at least 1",
        ));
    }
    // Before the server starts: it inherits the limit.
    allow_descriptors(plan.subscribers as u64 + OTHER_DESCRIPTORS)?;
    let mut session = Session::open(options, plan.warm_up + plan.duration, &[]).await?;
    let facts = play(plan, options, &mut session).await?;
    Ok(Report::of(plan, &session.close(facts).await))
}

async fn play(plan: &Plan, options: &Options, session: &mut Session) -> Result<Facts, LoadError> {
    let (clock, flags) = (Clock::start(), &options.course);
    let Ground { fleet, server_version, .. } =
        session.prepare(clock, plan.lots, plan.slots).await?;
    let began_us = clock.now_us();
    let window = window(began_us, plan);
    let mut crowd = Crowd::start(plan, session, clock, &fleet, window, flags.kill_server);
    let mut rounds = Rounds {
        backs: Vec::new(),
        all_back_us: Vec::new(),
        down_us: Vec::new(),
        left_out: Check::new(NOBODY_IS_LEFT_OUT, "returns"),
    };
    crowd.gather(&mut rounds, 0, clock.now_us(), clock).await;
    // Two processes have no common processor time.
    let pid = session.server_pid().filter(|_| !flags.kill_server);
    let before = Sample::take(clock, session.server_pid());
    let cuts = async {
        for round in 1..=flags.rounds {
            let part_us = micros(plan.duration) / u64::from(flags.rounds) * u64::from(round - 1);
            clock.sleep_until(window.from_us + part_us).await;
            crowd.cut(&mut rounds, round, clock, session, flags.kill_server).await?;
        }
        Ok::<(), LoadError>(())
    };
    let ((samples, usage), cut) = tokio::join!(measure(clock, window, pid), cuts);
    cut?;
    let after = Sample::take(clock, session.server_pid());

    let operator = HttpClient::new(session.target.addr, session.target.token(Role::Operator, 0));
    let mut recorder = Recorder::new(window);
    let (checks, lags) = crowd.finish(&mut recorder, Audit::new(operator, clock, fleet)).await?;
    let mut figures = figures(&rounds, plan.subscribers, flags.rounds);
    if let (Some(before), Some(after)) = (before.server, after.server) {
        let row = |name, bytes: u64| Figure::new(name, bytes as f64, "bytes");
        figures.push(row("server memory before", before.resident_bytes));
        figures.push(row("server memory after", after.resident_bytes));
    }
    let how = if flags.kill_server { "with the server killed" } else { "cut without a goodbye" };
    let course = format!(
        "{} subscribers of slots over {} lots of {} slots, {} readings/s, {how} {} times",
        plan.subscribers,
        plan.lots,
        plan.slots,
        plan.rate.unwrap_or_default(),
        flags.rounds
    );
    Ok(Facts {
        recorder,
        began_us,
        window,
        surge: None,
        samples,
        usage,
        checks: checks.into_iter().chain([rounds.left_out]).collect(),
        lags,
        server_version,
        data_dir: None,
        data_in_memory: false,
        vitals: Vec::new(),
        figures,
        course: Some(course),
    })
}

impl Crowd {
    fn start(
        plan: &Plan,
        session: &Session,
        clock: Clock,
        fleet: &Arc<Fleet>,
        window: Window,
        server_dies: bool,
    ) -> Self {
        let (cue, _) = watch::channel(Cue::Watch);
        let (stop, _) = watch::channel(false);
        let (back, backs) = mpsc::unbounded_channel();
        let target = &session.target;
        let (mut survivors, mut feeders) = (JoinSet::new(), JoinSet::new());
        let mut watched = Vec::new();
        for number in 0..plan.subscribers {
            let lot = number % plan.lots;
            watched.push(Arc::new(Watched::new(lot, &fleet.lots[lot].code)));
            let survivor = Survivor {
                number,
                addr: target.addr,
                token: target.token(Role::Display, number).into(),
                clock,
                window,
                watched: Arc::clone(&watched[number]),
                back: back.clone(),
            };
            survivors.spawn(survivor.run(cue.subscribe()));
        }
        let rate = plan.rate.unwrap_or_default() / plan.batch as f64;
        let connections = plan.ingest_connections as f64;
        // Until it is told to stop: a round takes as long as it takes.
        let flow = Stretch {
            from_us: clock.now_us(),
            to_us: u64::MAX,
            per_second: Some(rate / connections),
        };
        let dealt = shards(plan.lots, plan.slots, plan.ingest_connections);
        for (number, shards) in dealt.into_iter().enumerate() {
            let feeder = Feeder {
                number,
                addr: target.addr,
                token: target.token(Role::Device, number).into(),
                clock,
                fleet: Arc::clone(fleet),
                models: shards.into_iter().map(|s| ShardModel::new(s, plan.seed)).collect(),
                batch: plan.batch,
                encoding: plan.encoding,
                in_flight_max: plan.in_flight,
                insists: false,
                comes_back: server_dies,
            };
            let turns = Turns::new(vec![flow], number as f64 / connections);
            feeders.spawn(feeder.run(turns, stop.subscribe()));
        }
        Self { cue, stop, backs, watched, survivors, feeders }
    }

    async fn cut(
        &mut self,
        rounds: &mut Rounds,
        round: u32,
        clock: Clock,
        session: &mut Session,
        kill_server: bool,
    ) -> Result<(), LoadError> {
        let at_us = clock.now_us();
        match session.server.as_mut().filter(|_| kill_server) {
            // Nobody listens when all have ended, and then all are left out.
            None => {
                let _ = self.cue.send(Cue::Cut { round, at_us });
            }
            Some(server) => {
                let _ = self.cue.send(Cue::Killed { round, at_us });
                server.kill().await?;
                server.start_again().await?;
                rounds.down_us.push(clock.now_us() - at_us);
            }
        }
        self.gather(rounds, round, at_us, clock).await;
        Ok(())
    }

    /// Waits until all are back from a round, or for as long as that may take.
    async fn gather(&mut self, rounds: &mut Rounds, round: u32, since_us: u64, clock: Clock) {
        let mut missing: BTreeSet<usize> = (0..self.watched.len()).collect();
        rounds.left_out.examine(missing.len() as u64);
        let deadline_us = clock.now_us() + BACK_SECONDS_MAX * 1_000_000;
        while !missing.is_empty() {
            let back = tokio::select! {
                back = self.backs.recv() => back,
                () = clock.sleep_until(deadline_us) => None,
            };
            let Some(back) = back else { break };
            if back.round == round {
                missing.remove(&back.number);
                if round > 0 {
                    rounds.backs.push(back);
                }
            }
        }
        if round > 0 {
            rounds.all_back_us.push(clock.now_us() - since_us);
        }
        for number in missing {
            rounds.left_out.fault(format!(
                "subscriber {number} is not back {BACK_SECONDS_MAX} s after cut {round}"
            ));
        }
    }

    /// Ends the readings, compares, ends the subscribers.
    async fn finish(
        mut self,
        recorder: &mut Recorder,
        mut audit: Audit,
    ) -> Result<(Vec<Check>, u64), LoadError> {
        let mut sockets = Check::new(SOCKETS_STAY_OPEN, "sockets");
        let mut acks = Check::new(ACKS_ARE_RIGHT, "batches");
        let mut models = Vec::new();
        let _ = self.stop.send(true);
        while let Some(fed) = self.feeders.join_next().await {
            let fed = fed.map_err(|source| LoadError::Task { source })?;
            recorder.tell(fed.attempts, &fed.errors);
            for answer in &fed.answers {
                recorder.count(Tally::Readings, answer.taken, answer.done_us);
            }
            sockets.merge(&fed.sockets);
            acks.merge(&fed.acks);
            models.extend(fed.models);
        }
        let mut checks = vec![audit.slot_views(&self.watched).await, audit.readings(&models).await];
        let _ = self.cue.send(Cue::End);
        while let Some(survived) = self.survivors.join_next().await {
            let survived = survived.map_err(|source| LoadError::Task { source })?;
            recorder.merge(&survived.recorder);
            sockets.merge(&survived.sockets);
        }
        let mut whole = Check::new(STREAM_IS_WHOLE, "entries");
        let mut lags = 0;
        for watched in &self.watched {
            whole.merge(&watched.fold().check);
            lags += watched.fold().lags;
        }
        checks.extend([whole, acks, sockets]);
        Ok((checks, lags))
    }
}

fn figures(rounds: &Rounds, subscribers: usize, cuts: u32) -> Vec<Figure> {
    let mut took_us: Vec<u64> = rounds.backs.iter().map(|back| back.took_us).collect();
    took_us.sort_unstable();
    let resumed = rounds.backs.iter().filter(|back| back.is_resumed).count();
    let failed: u64 = rounds.backs.iter().map(|back| u64::from(back.failed_attempts)).sum();
    let returns = rounds.backs.len();
    let time = |name, us: u64| Figure::new(name, us as f64, "us");
    let count = |name, number: usize, unit| Figure::new(name, number as f64, unit);
    let mut rows = vec![
        count("reconnects expected", subscribers * cuts as usize, "returns"),
        count("reconnects resumed", resumed, "returns"),
        count("reconnects by snapshot", returns - resumed, "returns"),
        Figure::new("share resumed", 100.0 * resumed as f64 / returns.max(1) as f64, "%"),
        time("reconnect p50", quantile(&took_us, 0.5)),
        time("reconnect p99", quantile(&took_us, 0.99)),
        time("reconnect max", took_us.last().copied().unwrap_or(0)),
        time(
            "until all are back, worst round",
            rounds.all_back_us.iter().copied().max().unwrap_or(0),
        ),
        Figure::new("attempts that failed on the way", failed as f64, "attempts"),
    ];
    if let Some(down_us) = rounds.down_us.iter().copied().max() {
        rows.push(time("server down, worst round", down_us));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_are_counted_by_kind_and_time() {
        let back = |number: usize, is_resumed| Back {
            number,
            round: 1,
            took_us: number as u64 * 10,
            is_resumed,
            failed_attempts: 1,
        };
        let rounds = Rounds {
            backs: (1..=4).map(|number| back(number, number != 4)).collect(),
            all_back_us: vec![40, 50],
            down_us: vec![],
            left_out: Check::new(NOBODY_IS_LEFT_OUT, "returns"),
        };
        let rows = figures(&rounds, 4, 1);
        for (name, value) in [
            ("reconnects expected", 4.0),
            ("reconnects resumed", 3.0),
            ("reconnects by snapshot", 1.0),
            ("share resumed", 75.0),
            ("reconnect p50", 20.0),
            ("reconnect max", 40.0),
            ("until all are back, worst round", 50.0),
            ("attempts that failed on the way", 4.0),
        ] {
            assert_eq!(rows.iter().find(|row| row.name == name).unwrap().value, value, "{name}");
        }
    }
}
