//! `overload`: several times what the server is configured to take, readings and bookings both, open loop;
//! then half of what it takes, to see how soon it is itself again.
//!
//! The capacity is found, not assumed: a closed loop on the same connections says what this configuration
//! takes on this machine. Checked: nothing accepted is missing, nothing refused has had an effect, every
//! refusal says when to try again. Readings and bookings have lots of their own, so that a lot's sequence
//! must have grown by exactly the readings that were accepted.

mod haul;
mod judge;
mod pusher;

use super::feeder::Feeder;
use super::plan::IN_FLIGHT_MAX;
use super::runner::measure;
use super::session::{Ground, Session};
use super::stretch::{Stretch, Turns};
use super::{Plan, Profile};
use crate::audit::Audit;
use crate::clock::{Clock, micros};
use crate::error::LoadError;
use crate::fleet::Fleet;
use crate::http::HttpClient;
use crate::machine::allow_descriptors;
use crate::model::ShardModel;
use crate::options::Options;
use crate::recorder::Window;
use crate::report::{Facts, Figure, Report};
use crate::target::Role;
use crate::verify::{Check, REFUSED_HAS_NO_EFFECT};
use haul::Haul;
use judge::{Share, normal_after_us, taken_per_second};
use pusher::Pusher;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Sockets enough to have more in flight than the server takes, and connections enough to keep it busy.
pub const PROFILE: Profile = Profile {
    duration: Some(Duration::from_secs(30)),
    ingest_connections: 8,
    bookers: 64,
    ..Profile::NOBODY
};

/// What makes an own server small when no `--server-config` does: the fewest records in flight that it
/// accepts as a setting, in commits so small that the disk's sync is the bound.
const SMALL_SERVER: [(&str, &str); 2] =
    [("LOTKEEPER_ENGINE_PERMITS_RECORDS", "10000"), ("LOTKEEPER_ENGINE_COMMIT_RECORDS_MAX", "16")];
/// Descriptors for everything that is no connection of a user.
const OTHER_DESCRIPTORS: u64 = 128;
/// Readings in flight over all connections while the capacity is looked for: half of the permits, so that
/// the server is busy and refuses nothing.
const CLOSED_LOOP_READINGS: usize = 5_000;
/// Half of the capacity before and after, for so long each.
const CALM_US: u64 = 3_000_000;
/// At half of its capacity a server is normal when its p99 is at most twice what it was before, or this.
const NORMAL_P99_US_MIN: u64 = 20_000;

/// Who plays on which lots.
struct Scene<'a> {
    plan: &'a Plan,
    session: &'a Session,
    clock: Clock,
    fleet: Arc<Fleet>,
    /// Connections that book under overload; each has wishes of its own.
    pushers: usize,
    /// Lots before it take readings, the rest bookings.
    border: usize,
    began_us: u64,
}

/// What a server takes, per second.
#[derive(Clone, Copy, Debug)]
struct Capacity {
    readings: f64,
    bookings: f64,
}

/// Connections that book under overload. By Little's law so many times the work at the same latency needs
/// so many times the connections; the capacity is looked for on `--bookers` of them.
fn pushers(plan: &Plan, factor: f64) -> usize {
    plan.bookers * factor.ceil() as usize
}

/// Plays the plan.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    let factor = options.course.overload_factor;
    if !(1.0..=100.0).contains(&factor) {
        return Err(LoadError::usage(format!("--overload-factor is {factor}; give 1 to 100")));
    }
    if plan.lots < 2 || plan.ingest_connections == 0 || plan.bookers == 0 {
        return Err(LoadError::usage(
            "an overload needs --lots of at least 2 and --ingest-connections and --bookers of at least 1",
        ));
    }
    // Each connection plays sensors of its own, in the half of the lots that takes readings.
    let sensors = plan.lots / 2 * plan.slots;
    if plan.ingest_connections > sensors {
        return Err(LoadError::usage(format!(
            "--ingest-connections is {}; half of the lots have {sensors} slots",
            plan.ingest_connections
        )));
    }
    // Before the server starts: it inherits the limit.
    let sockets = plan.ingest_connections + pushers(plan, factor);
    // Each has an alarm beside its socket.
    allow_descriptors(2 * sockets as u64 + OTHER_DESCRIPTORS)?;
    let settings = SMALL_SERVER.map(|(name, value)| (name, value.to_string()));
    let settings = if options.server_config.is_none() { settings.as_slice() } else { &[] };
    let session = Session::open(options, plan.warm_up + plan.duration, settings).await?;
    let facts = play(plan, factor, &session).await?;
    Ok(Report::of(plan, &session.close(facts).await))
}

async fn play(plan: &Plan, factor: f64, session: &Session) -> Result<Facts, LoadError> {
    let clock = Clock::start();
    let Ground { operator, fleet, server_version } =
        session.prepare(clock, plan.lots, plan.slots).await?;
    let mut audit = Audit::new(operator, clock, Arc::clone(&fleet));
    let border = plan.lots / 2;
    let mut seqs = Vec::new();
    for lot in 0..border {
        seqs.push(audit.seq(lot).await?);
    }
    let (pushers, began_us) = (pushers(plan, factor), clock.now_us());
    let scene = Scene { plan, session, clock, fleet, pushers, border, began_us };
    let mut haul = Haul::new(plan, border, pushers);

    let warm_us = micros(plan.warm_up).max(1_000_000);
    let now_us = clock.now_us();
    let found = Stretch { from_us: now_us, to_us: now_us + 2 * warm_us, per_second: None };
    let in_flight = CLOSED_LOOP_READINGS / plan.batch / plan.ingest_connections;
    let in_flight = in_flight.clamp(1, plan.in_flight);
    scene.act(&mut haul, in_flight, &[found], (plan.bookers, &[found])).await?;
    // The first half is the warm-up.
    let late = Stretch { from_us: now_us + warm_us, ..found };
    let capacity = Capacity {
        readings: taken_per_second(&haul.readings, late),
        bookings: taken_per_second(&haul.bookings, late),
    };
    if capacity.readings < 1.0 || capacity.bookings < 1.0 {
        return Err(LoadError::Refused {
            doing: "looking for the server's capacity".into(),
            status: 0,
            body: format!("{capacity:?}: nothing was taken"),
        });
    }

    let stretches = three_stretches(clock.now_us(), micros(plan.duration));
    let [_, storm, _] = stretches;
    let share = |per_second: f64, users: usize| {
        let factors = [0.5, factor, 0.5];
        let mut rated = stretches;
        for (stretch, factor) in rated.iter_mut().zip(factors) {
            stretch.per_second = Some(per_second * factor / users as f64);
        }
        rated
    };
    let batches = share(capacity.readings / plan.batch as f64, plan.ingest_connections);
    let bookings = share(capacity.bookings, pushers);
    let window = Window { from_us: storm.from_us, to_us: storm.to_us };
    let (acted, (samples, usage)) = tokio::join!(
        scene.act(&mut haul, IN_FLIGHT_MAX, &batches, (pushers, &bookings)),
        measure(clock, window, session.server_pid())
    );
    acted?;

    let mut checks = scene.compare(&mut haul, &seqs).await;
    checks.append(&mut haul.checks);
    checks.retain(|check| check.examined > 0 || !check.passed());
    let recorder = haul.record(window);
    Ok(Facts {
        recorder,
        began_us: stretches[0].from_us,
        window,
        surge: None,
        samples,
        usage,
        checks,
        lags: 0,
        server_version,
        data_dir: None,
        data_in_memory: false,
        vitals: Vec::new(),
        figures: figures(&haul, capacity, factor, plan.batch, stretches),
        course: Some(course(plan, factor)),
    })
}

fn course(plan: &Plan, factor: f64) -> String {
    format!(
        "{factor} times the capacity for {:.0} s, open loop: readings over {} websockets in batches of {}, \
         bookings over {} connections; {} lots of {} slots",
        plan.duration.as_secs_f64(),
        plan.ingest_connections,
        plan.batch,
        pushers(plan, factor),
        plan.lots,
        plan.slots
    )
}

/// Half, overload, half.
fn three_stretches(from_us: u64, overload_us: u64) -> [Stretch; 3] {
    let ends =
        [from_us + CALM_US, from_us + CALM_US + overload_us, from_us + 2 * CALM_US + overload_us];
    let stretch = |from_us, to_us| Stretch { from_us, to_us, per_second: None };
    [stretch(from_us, ends[0]), stretch(ends[0], ends[1]), stretch(ends[1], ends[2])]
}

impl Scene<'_> {
    /// Everybody through all stretches.
    async fn act(
        &self,
        haul: &mut Haul,
        in_flight: usize,
        batches: &[Stretch],
        (bookers, bookings): (usize, &[Stretch]),
    ) -> Result<(), LoadError> {
        let (plan, target) = (self.plan, &self.session.target);
        let (mut feeders, mut pushers) = (JoinSet::new(), JoinSet::new());
        // Nobody stops them before their stretches end.
        let (stop, _) = watch::channel(false);
        for (number, models) in std::mem::take(&mut haul.models).into_iter().enumerate() {
            let feeder = Feeder {
                number,
                addr: target.addr,
                token: target.token(Role::Device, number).into(),
                clock: self.clock,
                fleet: Arc::clone(&self.fleet),
                models,
                batch: plan.batch,
                encoding: plan.encoding,
                in_flight_max: in_flight,
                insists: true,
                comes_back: false,
            };
            let offset = number as f64 / plan.ingest_connections as f64;
            feeders.spawn(feeder.run(Turns::new(batches.to_vec(), offset), stop.subscribe()));
        }
        for number in 0..bookers {
            let pusher = Pusher {
                number,
                pushers: self.pushers,
                client: HttpClient::new(target.addr, target.token(Role::Driver, number)),
                clock: self.clock,
                fleet: Arc::clone(&self.fleet),
                lots: self.border..plan.lots,
                origin_us: self.began_us,
                first_wish: haul.wishes[number],
                id_salt: self.began_us,
            };
            let offset = number as f64 / bookers as f64;
            let turns = Turns::new(bookings.to_vec(), offset);
            pushers.spawn(async move { (number, pusher.run(turns).await) });
        }
        while let Some(fed) = feeders.join_next().await {
            haul.feed(fed.map_err(|source| LoadError::Task { source })?);
        }
        while let Some(pushed) = pushers.join_next().await {
            let (number, pushed) = pushed.map_err(|source| LoadError::Task { source })?;
            haul.push(number, pushed);
        }
        Ok(())
    }

    /// What was accepted is there, and nothing else.
    async fn compare(&self, haul: &mut Haul, seqs: &[u64]) -> Vec<Check> {
        let target = &self.session.target;
        let operator = HttpClient::new(target.addr, target.token(Role::Operator, 0));
        let mut audit = Audit::new(operator, self.clock, Arc::clone(&self.fleet));
        let models: Vec<ShardModel> = haul.models.drain(..).flatten().collect();
        let mut checks = vec![audit.readings(&models).await];
        checks.extend(audit.reservations(&haul.promises).await);
        let mut nothing_else = Check::new(REFUSED_HAS_NO_EFFECT, "lots");
        for (lot, began) in seqs.iter().enumerate() {
            if haul.unsure_lots.contains(&lot) {
                continue;
            }
            nothing_else.examine(1);
            let accepted = haul.accepted.get(&lot).copied().unwrap_or(0);
            match audit.seq(lot).await {
                Ok(seq) if seq == began + accepted => {}
                Ok(seq) => nothing_else.fault(format!(
                    "lot {}: grew by {} records, {accepted} readings were accepted",
                    self.fleet.lots[lot].code,
                    seq.saturating_sub(*began)
                )),
                Err(error) => nothing_else.fault(error),
            }
        }
        let granted: HashSet<&str> = haul.promises.iter().map(|p| p.id.as_str()).collect();
        for lot in self.border..self.plan.lots {
            nothing_else.examine(1);
            match audit.reservation_ids(lot).await {
                Ok(ids) => ids
                    .iter()
                    .filter(|id| !granted.contains(id.as_str()) && !haul.unsure_ids.contains(*id))
                    .for_each(|id| {
                        let code = &self.fleet.lots[lot].code;
                        nothing_else
                            .fault(format!("lot {code}: reservation {id} was never granted"));
                    }),
                Err(error) => nothing_else.fault(error),
            }
        }
        checks.push(nothing_else);
        checks
    }
}

fn figures(
    haul: &Haul,
    capacity: Capacity,
    factor: f64,
    batch: usize,
    [before, storm, after]: [Stretch; 3],
) -> Vec<Figure> {
    let kinds = [
        ("readings", &haul.readings, capacity.readings, haul.batches_given_up * batch as u64),
        ("bookings", &haul.bookings, capacity.bookings, haul.bookings_given_up),
    ];
    let mut rows = Vec::new();
    for (what, answers, capacity, given_up) in kinds {
        let (calm, over) = (Share::of(answers, before), Share::of(answers, storm));
        let p99_us_max = (2 * calm.accepted_p99_us).max(NORMAL_P99_US_MIN);
        let normal = normal_after_us(answers, after, p99_us_max);
        let mut row = |name: &str, value: f64, unit| {
            rows.push(Figure::new(format!("{what}: {name}"), value, unit));
        };
        row("capacity, closed loop", capacity, "per second");
        row("offered", capacity * factor, "per second");
        row("due, not sent in time", given_up as f64, what);
        row("accepted", over.taken_per_second, "per second");
        row("refused", over.refused_percent, "%");
        row("p99 at half load before", calm.accepted_p99_us as f64, "us");
        row("accepted p50", over.accepted_p50_us as f64, "us");
        row("accepted p99", over.accepted_p99_us as f64, "us");
        row("refused p99", over.refused_p99_us as f64, "us");
        let sent_us = [over.accepted_p99_from_sending_us, over.refused_p99_from_sending_us];
        row("accepted p99 from sending", sent_us[0] as f64, "us");
        row("refused p99 from sending", sent_us[1] as f64, "us");
        match normal {
            Some(us) => row("normal again after", us as f64, "us"),
            None => row("not normal again within", (after.to_us - after.from_us) as f64, "us"),
        }
    }
    rows
}

#[cfg(test)]
mod tests;
