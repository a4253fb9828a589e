//! One run from start to report: a server, lots, users, the measured window, the audit, the end.

use super::Plan;
use super::crew::{Crew, Haul, Stage};
use super::session::{Ground, Session};
use crate::audit::Audit;
use crate::clock::{Clock, micros};
use crate::error::LoadError;
use crate::http::HttpClient;
use crate::machine::{Usage, busy_cpu_seconds, stolen_cpu_seconds};
use crate::options::Options;
use crate::pace::{Shape, Surge};
use crate::progress::{self, Gauges};
use crate::recorder::Window;
use crate::report::{Facts, Report};
use crate::series::{POINTS_MAX, base_interval_us};
use crate::server::Server;
use crate::target::Role;
use crate::verify::Check;
use crate::vitals;
use std::sync::Arc;

/// Processor time and memory at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub at_us: u64,
    pub server: Option<Usage>,
    pub client: Usage,
    pub machine_busy_seconds: f64,
    /// What the host took, over all processors; nothing where the kernel does not know.
    pub stolen_seconds: Option<f64>,
}

impl Sample {
    /// Now.
    pub fn take(clock: Clock, server_pid: Option<u32>) -> Self {
        Self {
            at_us: clock.now_us(),
            server: server_pid.and_then(Usage::of),
            client: Usage::of(std::process::id()).unwrap_or_default(),
            machine_busy_seconds: busy_cpu_seconds().unwrap_or_default(),
            stolen_seconds: stolen_cpu_seconds(),
        }
    }
}

/// Plays the plan and says what came of it.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    let session = Session::open(options, plan.warm_up + plan.duration, &[]).await?;
    let facts = play(plan, &session).await?;
    Ok(Report::of(plan, &session.close(facts).await))
}

async fn play(plan: &Plan, session: &Session) -> Result<Facts, LoadError> {
    let clock = Clock::start();
    let Ground { operator, fleet, server_version } =
        session.prepare(clock, plan.lots, plan.slots).await?;
    let began_us = clock.now_us();
    let window = window(began_us, plan);
    let gauges = Arc::new(Gauges::default());
    let stage = Stage {
        target: session.target.clone(),
        clock,
        began_us,
        window,
        shape: shape(plan, window),
        fleet: Arc::clone(&fleet),
        gauges: gauges.clone(),
    };
    let mut crew = Crew::start(plan, &stage);
    let watch = watch(plan, session, clock);
    let ((samples, usage), vitals, ()) = tokio::join!(
        measure(clock, window, session.server_pid()),
        async {
            match watch {
                Some(watch) => watch.run(window).await,
                None => Vec::new(),
            }
        },
        progress::show(clock, began_us, window, gauges)
    );
    let mut haul = crew.finish_load(window).await?;
    let mut checks = compare(plan, Audit::new(operator, clock, fleet), &crew, &haul).await;
    let (whole, lags) = crew.finish_watch(&mut haul).await?;
    checks.extend([whole, haul.acks, haul.grants, haul.fresh, haul.sockets]);
    checks.retain(|check| check.examined > 0 || !check.passed());
    Ok(Facts {
        recorder: haul.recorder,
        began_us,
        window,
        surge: stage.shape.surge,
        samples,
        usage,
        checks,
        lags,
        server_version,
        data_dir: None,
        data_in_memory: false,
        vitals,
        figures: Vec::new(),
        course: None,
    })
}

/// Who looks at what the server holds, in a run that is to show whether it grows.
fn watch(plan: &Plan, session: &Session, clock: Clock) -> Option<vitals::Watch> {
    plan.drift_percent?;
    let client = HttpClient::new(session.target.addr, session.target.token(Role::Operator, 0));
    Some(vitals::Watch {
        clock,
        client,
        pid: session.server_pid(),
        data: session.server.as_ref().map(Server::data_dir),
        samples: plan.samples.clone(),
    })
}

/// The measured window. It begins on the grid of the series, so that a spike's phases are whole intervals.
pub(super) fn window(began_us: u64, plan: &Plan) -> Window {
    let ready_us = began_us + micros(plan.warm_up);
    let interval_us = base_interval_us(Window { from_us: 0, to_us: micros(plan.duration) });
    let from_us = ready_us.next_multiple_of(interval_us);
    Window { from_us, to_us: from_us + micros(plan.duration) }
}

fn shape(plan: &Plan, window: Window) -> Shape {
    let interval_us = base_interval_us(window);
    let on_grid = |duration| micros(duration).next_multiple_of(interval_us);
    let surge = plan.spike.map(|spike| {
        let from_us = window.from_us + on_grid(spike.before);
        Surge { from_us, to_us: from_us + on_grid(spike.length), factor: spike.factor }
    });
    Shape { arrivals: plan.arrivals, ramp_us: micros(plan.ramp), surge, seed: plan.seed }
}

/// Samples at both ends of the window, and over the whole run. The latter lie as far apart as the intervals
/// of the series; when there are too many, every other one is let go.
pub(super) async fn measure(
    clock: Clock,
    window: Window,
    server_pid: Option<u32>,
) -> ([Sample; 2], Vec<Sample>) {
    let mut interval_us = base_interval_us(window);
    let mut all = vec![Sample::take(clock, server_pid)];
    let mut first = None;
    loop {
        let now_us = clock.now_us();
        let tick_us = (now_us / interval_us + 1) * interval_us;
        let edges = [tick_us, window.from_us, window.to_us].into_iter();
        let next_us = edges.filter(|at_us| *at_us > now_us && *at_us <= window.to_us).min();
        // A tick just before the window may have taken until after its beginning: then it is now.
        if first.is_some() || now_us < window.from_us {
            let Some(next_us) = next_us else { break };
            clock.sleep_until(next_us).await;
        }
        let sample = Sample::take(clock, server_pid);
        if first.is_none() && sample.at_us >= window.from_us {
            first = Some(sample);
        }
        all.push(sample);
        if all.len() > 2 * POINTS_MAX {
            let mut nth = 0;
            all.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            interval_us *= 2;
        }
    }
    let last = *all.last().expect("there is one from the beginning");
    ([first.unwrap_or(last), last], all)
}

async fn compare(plan: &Plan, mut audit: Audit, crew: &Crew, haul: &Haul) -> Vec<Check> {
    let mut checks = Vec::new();
    if plan.subscribers > 0 {
        checks.push(audit.streams(&crew.watched).await);
    }
    if plan.ingest_connections > 0 {
        checks.push(audit.readings(&haul.models).await);
    }
    if plan.bookers > 0 {
        checks.extend(audit.reservations(&haul.promises).await);
    }
    checks
}
