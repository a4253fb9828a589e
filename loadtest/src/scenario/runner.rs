//! One run from start to report: a server, lots, users, the measured window, the audit, the end.

use super::Plan;
use super::crew::{Crew, Haul, Stage};
use crate::audit::Audit;
use crate::clock::{Clock, micros};
use crate::error::LoadError;
use crate::fleet::{Fleet, slot_code};
use crate::http::HttpClient;
use crate::machine::{Usage, busy_cpu_seconds};
use crate::options::Options;
use crate::pace::{Shape, Surge};
use crate::progress::{self, Gauges};
use crate::recorder::Window;
use crate::report::{Facts, Report};
use crate::series::{POINTS_MAX, base_interval_us};
use crate::server::{Server, Start};
use crate::target::{Role, Target, loopback_address, read_tokens};
use crate::verify::{Check, SERVER_ENDS_WELL};
use crate::wire::Livez;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Tokens outlive the run by this: creating many lots before and comparing them after takes time too.
const TOKEN_RESERVE: Duration = Duration::from_secs(1_800);

/// Processor time and memory at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub at_us: u64,
    pub server: Option<Usage>,
    pub client: Usage,
    pub machine_busy_seconds: f64,
}

impl Sample {
    fn take(clock: Clock, server_pid: Option<u32>) -> Self {
        Self {
            at_us: clock.now_us(),
            server: server_pid.and_then(Usage::of),
            client: Usage::of(std::process::id()).unwrap_or_default(),
            machine_busy_seconds: busy_cpu_seconds().unwrap_or_default(),
        }
    }
}

/// Plays the plan and says what came of it.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    let server = match &options.url {
        Some(_) => None,
        None => {
            let (config, parent) =
                (options.server_config.as_deref(), options.data_parent.as_deref());
            Some(Server::start(Start { config, parent }).await?)
        }
    };
    let target = match (&server, &options.url) {
        (Some(server), _) => server.target(plan.warm_up + plan.duration + TOKEN_RESERVE).await?,
        (None, url) => {
            let addr = loopback_address(url.as_deref().unwrap_or_default())?;
            let variable = |name: &str| std::env::var(name).ok();
            Target::new(addr, read_tokens(options.token_file.as_deref(), variable)?)?
        }
    };
    let pid = server.as_ref().and_then(Server::pid).or(options.server_pid);
    let mut facts = play(plan, target, pid).await?;
    if let Some(server) = server {
        facts.data_dir = Some(server.dir().display().to_string());
        facts.data_in_memory = server.is_in_memory();
        let mut ended = Check::new(SERVER_ENDS_WELL, "servers");
        ended.examine(1);
        if let Err(why) = server.stop().await {
            ended.fault(why);
        }
        facts.checks.push(ended);
    }
    Ok(Report::of(plan, &facts))
}

async fn play(plan: &Plan, target: Target, server_pid: Option<u32>) -> Result<Facts, LoadError> {
    let clock = Clock::start();
    let mut operator = HttpClient::new(target.addr, target.token(Role::Operator, 0));
    let server_version = version(&mut operator).await?;
    // In base 36 a second is six characters: lots of two runs on one server keep apart.
    let fleet = Arc::new(Fleet::new(&run_name(clock), plan.lots, plan.slots));
    create_lots(&mut operator, &fleet).await?;

    let began_us = clock.now_us();
    let window = window(began_us, plan);
    let gauges = Arc::new(Gauges::default());
    let stage = Stage {
        target,
        clock,
        began_us,
        window,
        shape: shape(plan, window),
        fleet: Arc::clone(&fleet),
        gauges: gauges.clone(),
    };
    let mut crew = Crew::start(plan, &stage);
    let ((samples, usage), ()) = tokio::join!(
        measure(clock, window, server_pid),
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
    })
}

/// The measured window. It begins on the grid of the series, so that a spike's phases are whole intervals.
fn window(began_us: u64, plan: &Plan) -> Window {
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
async fn measure(
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
        let Some(next_us) = edges.filter(|at_us| *at_us > now_us && *at_us <= window.to_us).min()
        else {
            break;
        };
        clock.sleep_until(next_us).await;
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

/// The server's version, "unknown" when its probe does not say.
async fn version(client: &mut HttpClient) -> Result<String, LoadError> {
    let doing = || "GET /livez".to_string();
    let answer =
        client.get("/livez").await.map_err(|source| LoadError::Http { doing: doing(), source })?;
    if answer.status != 200 {
        let (status, body) = (answer.status, answer.excerpt());
        return Err(LoadError::Refused { doing: doing(), status, body });
    }
    Ok(answer.json::<Livez>().map_or_else(|_| "unknown".into(), |livez| livez.version))
}

fn run_name(clock: Clock) -> String {
    let mut rest = clock.now_us() / 1_000;
    let mut name = Vec::new();
    while rest > 0 {
        name.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize]);
        rest /= 36;
    }
    name.reverse();
    String::from_utf8_lossy(&name).into_owned()
}

async fn create_lots(operator: &mut HttpClient, fleet: &Fleet) -> Result<(), LoadError> {
    let slots: Vec<String> = (0..fleet.slots_per_lot)
        .map(|slot| format!(r#"{{"code":"{}","zone":"level-1"}}"#, slot_code(slot)))
        .collect();
    let slots = slots.join(",");
    for lot in &fleet.lots {
        let code = &lot.code;
        let body = format!(
            r#"{{"code":"{code}","name":"Load test {code}","kind":"bayed","time_zone":"UTC","currency":"EUR","zones":[{{"code":"level-1","name":"Level 1","level":1}}],"slots":[{slots}]}}"#
        );
        let doing = || format!("creating lot {code}");
        let answer = operator
            .post("/api/v1/lots", Bytes::from(body))
            .await
            .map_err(|source| LoadError::Http { doing: doing(), source })?;
        if answer.status != 201 {
            let (status, body) = (answer.status, answer.excerpt());
            return Err(LoadError::Refused { doing: doing(), status, body });
        }
    }
    Ok(())
}
