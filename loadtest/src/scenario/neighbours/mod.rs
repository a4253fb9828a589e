//! `neighbours`: two tenants at a calm load; then the same beside stalled readers and a tenant that floods.
//!
//! Three stages, each on lots of its own: calm; calm while the flood meets *another* server of the same kind on
//! this machine; calm while it meets this one. The second tells what the flood takes from the machine, so that
//! what the third adds is the server's own unfairness. Flooders run on a thread of their own with a low priority: the
//! clients that are measured are not to wait for them. Absent: a server that runs already, whose tenants
//! are not ours to flood.

mod flood;
mod judge;
mod stalled;

use self::flood::{Flood, Flooded};
use self::stalled::Stalled;
use super::Plan;
use super::crew::{Crew, Stage};
use super::runner::{Sample, measure};
use super::session::{Ground, Session, prepare};
use crate::audit::Audit;
use crate::clock::{Clock, micros};
use crate::error::LoadError;
use crate::machine::allow_descriptors;
use crate::options::Options;
use crate::pace::Shape;
use crate::recorder::{Recorder, Window};
use crate::report::{Facts, Report};
use crate::target::Target;
use crate::verify::Check;
use std::sync::Arc;

/// How many of which users each calm tenant has: so little that only neighbours can make it slow.
pub const PROFILE: super::Profile = super::Profile {
    duration: Some(std::time::Duration::from_secs(20)),
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
/// Between the moment when all readers are stalled and the flood: buffers fill, and memory is looked at.
const STALL_US: u64 = 6_000_000;
/// Between the flood's beginning and the measured window.
const FLOOD_LEAD_US: u64 = 2_000_000;
/// Sockets beside those that stall.
const OTHER_DESCRIPTORS: u64 = 1_024;

/// What one stage came to.
#[derive(Debug)]
struct Played {
    recorder: Recorder,
    checks: Vec<Check>,
    lags: u64,
    samples: [Sample; 2],
    usage: Vec<Sample>,
    window: Window,
    began_us: u64,
    stalled: Option<stalled::Told>,
    flooded: Option<Flooded>,
}

/// Who bothers whom in a stage.
#[derive(Clone, Copy, Debug)]
struct Bother<'a> {
    /// Of the stage.
    number: usize,
    flood: Option<&'a Target>,
    stalls: usize,
}

/// Plays all three and compares.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    if options.url.is_some() {
        return Err(LoadError::usage(
            "neighbours floods its own server; leave --url out, a running one is not ours to flood",
        ));
    }
    allow_descriptors(2 * options.course.stalled_readers as u64 + OTHER_DESCRIPTORS)?;
    let length = 3 * (plan.warm_up + plan.duration);
    let session = Session::open(options, length, &[]).await?;
    let facts = play(plan, options, &session).await?;
    Ok(Report::of(plan, &session.close(facts).await))
}

async fn play(plan: &Plan, options: &Options, session: &Session) -> Result<Facts, LoadError> {
    let clock = Clock::start();
    let server = session.server.as_ref().ok_or_else(|| LoadError::usage("no own server"))?;
    let valid = 3 * (plan.warm_up + plan.duration) + super::session::TOKEN_RESERVE;
    let mut calm = Vec::new();
    for tenant in CALM_TENANTS {
        calm.push(server.target_of(tenant, valid).await?);
    }
    let nobody = Bother { number: 0, flood: None, stalls: 0 };
    let alone = stage(plan, session, &calm, nobody, clock).await?;
    let other = Session::open(options, valid, &[]).await?;
    let elsewhere = {
        let flooded = flooder(&other, valid).await?;
        let bother = Bother { number: 1, flood: Some(&flooded), stalls: 0 };
        stage(plan, session, &calm, bother, clock).await?
    };
    // Ended before the third stage: an idle server still takes a little of the machine.
    if let Some(mut server) = other.server {
        let _ended = server.stop().await;
    }
    let flooded = flooder(session, valid).await?;
    let bother =
        Bother { number: 2, flood: Some(&flooded), stalls: options.course.stalled_readers };
    let here = stage(plan, session, &calm, bother, clock).await?;

    let rise_percent = options.course.rise_percent;
    let figures = judge::figures(&alone, &elsewhere, &here, options.course.stalled_readers);
    let mut checks = vec![judge::pace(&alone, &here, rise_percent), judge::memory(&here)];
    checks.extend(judge::flood(&here));
    for played in [&alone, &elsewhere, &here] {
        judge::merge(&mut checks, &played.checks);
    }
    let Played { recorder, lags, samples, usage, window, began_us, .. } = here;
    Ok(Facts {
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
        course: Some(course(plan, options)),
    })
}

async fn flooder(session: &Session, valid: std::time::Duration) -> Result<Target, LoadError> {
    let server = session.server.as_ref().ok_or_else(|| LoadError::usage("no own server"))?;
    let target = server.target_of(FLOODER, valid).await?;
    Ok(target)
}

fn course(plan: &Plan, options: &Options) -> String {
    format!(
        "{} tenants, each {} lots of {} slots, {} readings/s, {} bookings/s, {} subscribers, {} reads/s; for {} s \
         alone, beside a flood of another server, and beside {} stalled readers and one flooding tenant of {} \
         ingest sockets and {} HTTP connections; the figures are those of the last",
        CALM_TENANTS.len(),
        plan.lots,
        plan.slots,
        plan.rate.unwrap_or_default(),
        plan.booking_rate.unwrap_or_default(),
        plan.subscribers,
        plan.read_rate,
        plan.duration.as_secs_f64(),
        options.course.stalled_readers,
        flood::SOCKETS,
        flood::BOOKERS + flood::POSTERS,
    )
}

/// Both calm tenants through one window, with who bothers them.
async fn stage(
    plan: &Plan,
    session: &Session,
    calm: &[Target],
    bother: Bother<'_>,
    clock: Clock,
) -> Result<Played, LoadError> {
    let mut grounds = Vec::new();
    for target in calm {
        grounds.push(prepare(target, clock, plan.lots, plan.slots).await?);
    }
    let mut flood = match bother.flood {
        Some(target) => Some(Flood::prepare(target.clone(), clock).await?),
        None => None,
    };
    let began_us = clock.now_us();
    let stall_us = if bother.stalls > 0 { STALL_US } else { 0 };
    let flood_us = began_us + micros(plan.warm_up) + stall_us;
    let from_us = (flood_us + FLOOD_LEAD_US).next_multiple_of(1_000_000);
    let window = Window { from_us, to_us: from_us + micros(plan.duration) };
    let mut crews: Vec<(Crew, Ground)> = Vec::new();
    for (nth, (target, ground)) in calm.iter().zip(grounds).enumerate() {
        // The seed makes ids, which are one tenant's in one stage.
        let seed = plan.seed + (bother.number * calm.len() + nth) as u64;
        let plan = Plan { seed, ..plan.clone() };
        let stage = Stage {
            target: target.clone(),
            clock,
            began_us,
            window,
            shape: Shape { arrivals: plan.arrivals, ramp_us: 0, surge: None, seed: plan.seed },
            fleet: Arc::clone(&ground.fleet),
            gauges: Arc::default(),
        };
        crews.push((Crew::start(&plan, &stage), ground));
    }
    let busy: Vec<_> =
        calm.iter().zip(&crews).map(|(target, (_, ground))| (target, &*ground.fleet)).collect();
    clock.sleep_until(began_us + micros(plan.warm_up)).await;
    let pid = session.server_pid();
    let stalled = Stalled::start(bother.stalls, &busy, clock, pid);
    clock.sleep_until(flood_us).await;
    let stalled = stalled.before_flood();
    if let Some(flood) = &mut flood {
        flood.start(window.to_us);
    }
    let (samples, usage) = measure(clock, window, pid).await;
    let flooded = match flood {
        Some(flood) => Some(flood.finish().await?),
        None => None,
    };
    let stalled = stalled.finish().await;
    let mut played = Played {
        recorder: Recorder::new(window),
        checks: Vec::new(),
        lags: 0,
        samples,
        usage,
        window,
        began_us,
        stalled,
        flooded,
    };
    for (crew, ground) in crews {
        finish(plan, crew, ground, clock, &mut played).await?;
    }
    Ok(played)
}

/// Ends a tenant's users; what they were told is what is there.
async fn finish(
    plan: &Plan,
    mut crew: Crew,
    ground: Ground,
    clock: Clock,
    played: &mut Played,
) -> Result<(), LoadError> {
    let mut haul = crew.finish_load(played.window).await?;
    let mut audit = Audit::new(ground.operator, clock, ground.fleet);
    let mut checks = Vec::new();
    if plan.subscribers > 0 {
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
