//! `neighbours`: two tenants at a calm load, in turns alone and beside stalled readers and a tenant that floods.
//!
//! The calm load goes on through all turns; what bothers it comes and goes with them (`schedule`). With a third side the
//! flood meets *another* server of the same kind on this machine: that tells what it takes from the machine, so that
//! the rest is the server's own unfairness. Flooders run on a thread of their own with a low priority: the
//! clients that are measured are not to wait for them. Absent: a server that runs already, whose tenants
//! are not ours to flood.

mod flood;
mod judge;
mod schedule;
mod stalled;

use self::flood::{Flood, Flooded};
use self::judge::Stalls;
use self::schedule::{Schedule, Side};
use self::stalled::Stalled;
use super::Plan;
use super::crew::{Crew, Stage};
use super::runner::{Sample, measure};
use super::session::{Ground, Session, prepare};
use crate::audit::Audit;
use crate::clock::{Clock, micros};
use crate::error::LoadError;
use crate::machine::{self, allow_descriptors};
use crate::options::Options;
use crate::pace::Shape;
use crate::recorder::{Recorder, Window};
use crate::report::{self, Facts, Report};
use crate::target::Target;
use crate::verify::Check;
use std::sync::Arc;
use std::time::Duration;

/// How many of which users each calm tenant has: so little that only neighbours can make it slow.
pub const PROFILE: super::Profile = super::Profile {
    duration: Some(Duration::from_secs(96)),
    ingest_connections: 2,
    rate: Some(1_000.0),
    bookers: 8,
    booking_rate: Some(50.0),
    subscribers: 8,
    read_rate: 50.0,
    ..super::Profile::NOBODY
};

/// The tenants that are measured.
const CALM_TENANTS: [&str; 2] = ["north", "south"];
/// The one that floods.
const FLOODER: &str = "flood";
/// How long readers stall before the measured time: buffers fill, and memory is looked at.
const STALL_US: u64 = 6_000_000;
/// Memory is looked at so long before that ends.
const LOOK_US: u64 = 300_000;
/// Sockets beside those that stall.
const OTHER_DESCRIPTORS: u64 = 1_024;
/// Turns that a side may have: more would be shorter than what settles.
const TURNS_MAX: usize = 1_000;

/// What the turns came to.
struct Played {
    recorder: Recorder,
    checks: Vec<Check>,
    lags: u64,
    samples: [Sample; 2],
    usage: Vec<Sample>,
    stalls: Stalls,
    floods: Vec<(&'static str, Flooded)>,
}

/// Who plays, where and when.
struct Scene<'a> {
    plan: &'a Plan,
    clock: Clock,
    began_us: u64,
    schedule: Arc<Schedule>,
    pid: Option<u32>,
    stalled_readers: usize,
}

/// Plays all turns and compares the sides.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    if options.url.is_some() {
        return Err(LoadError::usage(
            "neighbours floods its own server; leave --url out, a running one is not ours to flood",
        ));
    }
    if !(1..=TURNS_MAX).contains(&options.course.turns) {
        let turns = options.course.turns;
        return Err(LoadError::usage(format!("--turns is {turns}; give 1 to {TURNS_MAX}")));
    }
    // Refused before a server is started.
    schedule(plan, options, 0)?;
    allow_descriptors(2 * options.course.stalled_readers as u64 + OTHER_DESCRIPTORS)?;
    let session = Session::open(options, plan.warm_up + plan.duration, &[]).await?;
    let (facts, turns) = play(plan, options, &session).await?;
    Ok(Report::of(plan, &session.close(facts).await).with_turns(turns))
}

fn sides(options: &Options) -> &'static [Side] {
    match options.course.flood_elsewhere {
        false => &[Side::Calm, Side::Flooded],
        true => &[Side::Calm, Side::Elsewhere, Side::Flooded],
    }
}

fn schedule(plan: &Plan, options: &Options, began_us: u64) -> Result<Schedule, LoadError> {
    let ready_us = began_us + micros(plan.warm_up);
    let duration_us = micros(plan.duration);
    Schedule::new(ready_us, STALL_US, duration_us, sides(options), options.course.turns)
}

async fn play(
    plan: &Plan,
    options: &Options,
    session: &Session,
) -> Result<(Facts, Vec<report::Turn>), LoadError> {
    let clock = Clock::start();
    let valid = plan.warm_up + plan.duration + super::session::TOKEN_RESERVE;
    let mut calm = Vec::new();
    for tenant in CALM_TENANTS {
        let target = tenant_of(session, tenant, valid).await?;
        let ground = prepare(&target, clock, plan.lots, plan.slots).await?;
        calm.push((target, ground));
    }
    let here = tenant_of(session, FLOODER, valid).await?;
    let mut floods = vec![(Side::Flooded, Flood::prepare(here, clock).await?)];
    let mut other = None;
    if options.course.flood_elsewhere {
        let session = Session::open(options, valid, &[]).await?;
        let there = tenant_of(&session, FLOODER, valid).await?;
        floods.push((Side::Elsewhere, Flood::prepare(there, clock).await?));
        other = session.server;
    }
    let began_us = clock.now_us();
    let schedule = Arc::new(schedule(plan, options, began_us)?);
    let stalled_readers = options.course.stalled_readers;
    let pid = session.server_pid();
    let scene =
        Scene { plan, clock, began_us, schedule: Arc::clone(&schedule), pid, stalled_readers };
    let played = scene.play(calm, floods).await?;
    if let Some(mut server) = other {
        let _ended = server.stop().await;
    }

    let (series, window) = (played.recorder.series(), schedule.window());
    let turn = |turn: &schedule::Turn| {
        report::Turn::of(turn.side.name(), turn.counted, window, series, &played.usage)
    };
    let turns: Vec<_> = schedule.measured().iter().map(turn).collect();
    let course =
        judge::Course { series, schedule: &schedule, sides: sides(options), turns: &turns };
    let mut figures = course.figures();
    let mut checks = vec![course.pace(options.course.rise_percent), judge::memory(&played.stalls)];
    for (where_to, flooded) in &played.floods {
        figures.extend(judge::of_flood(where_to, flooded));
        judge::merge(&mut checks, std::slice::from_ref(&flooded.hints));
    }
    figures.extend(judge::of_stalls(&played.stalls));
    judge::merge(&mut checks, &played.checks);
    let Played { recorder, lags, samples, usage, .. } = played;
    let facts = Facts {
        recorder,
        began_us,
        window,
        surge: None,
        samples,
        usage,
        checks,
        lags,
        server_version: env!("CARGO_PKG_VERSION").into(),
        data_dir: None,
        data_in_memory: false,
        vitals: Vec::new(),
        figures,
        course: Some(described(plan, options, &schedule)),
    };
    Ok((facts, turns))
}

async fn tenant_of(session: &Session, tenant: &str, valid: Duration) -> Result<Target, LoadError> {
    let server = session.server.as_ref().ok_or_else(|| LoadError::usage("no own server"))?;
    server.target_of(tenant, valid).await
}

fn described(plan: &Plan, options: &Options, schedule: &Schedule) -> String {
    let seconds = |of: fn(&schedule::Turn) -> Window| {
        let window = schedule.measured().first().map(of);
        window.map_or(0.0, |window| (window.to_us - window.from_us) as f64 / 1e6)
    };
    let names: Vec<&str> = sides(options).iter().map(|side| side.name()).collect();
    format!(
        "{} tenants, each {} lots of {} slots, {} readings/s, {} bookings/s, {} subscribers, {} reads/s; {} turns \
         each of {}, of {} s of which {} s are counted, every other round reversed; flooded: {} stalled readers and \
         one tenant of {} ingest sockets and {} HTTP connections; the table of latencies has all turns together",
        CALM_TENANTS.len(),
        plan.lots,
        plan.slots,
        plan.rate.unwrap_or_default(),
        plan.booking_rate.unwrap_or_default(),
        plan.subscribers,
        plan.read_rate,
        options.course.turns,
        names.join(" and "),
        seconds(|turn| turn.whole),
        seconds(|turn| turn.counted),
        options.course.stalled_readers,
        flood::SOCKETS,
        flood::BOOKERS + flood::POSTERS,
    )
}

impl Scene<'_> {
    /// Both calm tenants through all turns, with who bothers them.
    async fn play(
        &self,
        calm: Vec<(Target, Ground)>,
        mut floods: Vec<(Side, Flood)>,
    ) -> Result<Played, LoadError> {
        let crews: Vec<Crew> =
            calm.iter().zip(0..).map(|(calm, nth)| self.crew(calm, nth)).collect();
        for (side, flood) in &mut floods {
            flood.start(&self.schedule, *side);
        }
        let busy: Vec<_> = calm.iter().map(|(target, ground)| (target, &*ground.fleet)).collect();
        let port = busy[0].0.addr.port();
        let readers = Stalled::start(self.stalled_readers, &busy, self.clock, &self.schedule);
        let mut stalls = self.watch_stalls(port).await;
        let (samples, usage) = measure(self.clock, self.schedule.window(), self.pid).await;
        stalls.memory_bytes[2] = self.most_beside_the_flood(&usage);
        stalls.cut = readers.finish().await;
        let mut told = Vec::new();
        for (side, flood) in floods {
            let where_to = if side == Side::Elsewhere { "elsewhere" } else { "here" };
            told.push((where_to, flood.finish().await?));
        }
        let mut played = Played {
            recorder: Recorder::new(self.schedule.window()),
            checks: Vec::new(),
            lags: 0,
            samples,
            usage,
            stalls,
            floods: told,
        };
        for (crew, (_, ground)) in crews.into_iter().zip(calm) {
            self.finish(crew, ground, &mut played).await?;
        }
        Ok(played)
    }

    fn crew(&self, (target, ground): &(Target, Ground), nth: u64) -> Crew {
        // The seed makes ids, which are one tenant's.
        let seed = self.plan.seed + nth;
        let plan = Plan { seed, ..self.plan.clone() };
        let stage = Stage {
            target: target.clone(),
            clock: self.clock,
            began_us: self.began_us,
            window: self.schedule.window(),
            shape: Shape { arrivals: plan.arrivals, ramp_us: 0, surge: None, seed },
            fleet: Arc::clone(&ground.fleet),
            gauges: Arc::default(),
        };
        Crew::start(&plan, &stage)
    }

    /// What readers cost that stall and nothing else.
    async fn watch_stalls(&self, port: u16) -> Stalls {
        let resident = || Sample::take(self.clock, self.pid).server.map(|used| used.resident_bytes);
        let Some(turn) = self.schedule.next(self.began_us, |side| side == Side::Stalled) else {
            return Stalls::default();
        };
        self.clock.sleep_until(turn.whole.from_us.saturating_sub(LOOK_US)).await;
        let before = resident();
        self.clock.sleep_until(turn.whole.to_us.saturating_sub(LOOK_US)).await;
        Stalls {
            readers: self.stalled_readers,
            cut: 0,
            backed_up: machine::backed_up_connections(port),
            memory_bytes: [before, resident(), None],
            descriptors: self.pid.and_then(|pid| machine::held(pid).descriptors),
        }
    }

    /// The server's memory, the most that was seen in flooded turns.
    fn most_beside_the_flood(&self, usage: &[Sample]) -> Option<u64> {
        let is_flooded = |sample: &&Sample| {
            let mut turns = self.schedule.measured().iter();
            turns.any(|turn| {
                let Window { from_us, to_us } = turn.whole;
                turn.side == Side::Flooded && (from_us..=to_us).contains(&sample.at_us)
            })
        };
        let flooded = usage.iter().filter(is_flooded);
        flooded.filter_map(|sample| Some(sample.server?.resident_bytes)).max()
    }

    /// Ends a tenant's users; what they were told is what is there.
    async fn finish(
        &self,
        mut crew: Crew,
        ground: Ground,
        played: &mut Played,
    ) -> Result<(), LoadError> {
        let mut haul = crew.finish_load(self.schedule.window()).await?;
        let mut audit = Audit::new(ground.operator, self.clock, ground.fleet);
        let mut checks = Vec::new();
        if self.plan.subscribers > 0 {
            checks.push(audit.streams(&crew.watched).await);
        }
        checks.push(audit.readings(&haul.models).await);
        checks.extend(audit.reservations(&haul.promises).await);
        let (whole, lags) = crew.finish_watch(&mut haul).await?;
        checks.extend([whole, haul.acks, haul.grants, haul.fresh, haul.sockets]);
        played.recorder.merge(&haul.recorder);
        played.lags += lags;
        judge::merge(&mut played.checks, &checks);
        Ok(())
    }
}
