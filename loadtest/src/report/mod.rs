//! The report: what ran where, what it cost, whether it was right, what to doubt. Text for people, JSON for
//! machines, both from the same figures.

mod curve;
mod fanout;
mod html;
mod parameters;
mod phases;
pub mod text;
mod timeline;
mod trends;
mod turns;

pub use self::fanout::FanOut;
pub use self::turns::Turn;

use self::curve::Curve;
use self::parameters::Parameters;
use self::phases::Phases;
use self::timeline::Timeline;
use crate::drift;
use crate::error::LoadError;
use crate::limit::Measured;
use crate::machine::{Machine, Usage, commit};
use crate::pace::Surge;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::scenario::{Plan, Sample, Scenario};
use crate::series::POINTS_MAX;
use crate::trend::{self, Trend};
use crate::verify::Check;
use crate::vitals::Vitals;
use crate::warning::{self, Evidence, Warning};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The JSON's version: raised when a field changes its meaning.
const FORMAT: u32 = 1;

/// Points of a line in the page: more than its pixels tell apart only make the page heavy.
const CHART_POINTS_MAX: usize = 180;

/// What a run left behind.
#[derive(Debug)]
pub struct Facts {
    pub recorder: Recorder,
    pub began_us: u64,
    pub window: Window,
    /// The spike, when there was one.
    pub surge: Option<Surge>,
    /// At the beginning and the end of the measured window.
    pub samples: [Sample; 2],
    /// Over the whole run, in order.
    pub usage: Vec<Sample>,
    pub checks: Vec<Check>,
    pub lags: u64,
    pub server_version: String,
    pub data_dir: Option<String>,
    pub data_in_memory: bool,
    /// What the server held over the run, where that was looked at.
    pub vitals: Vec<Vitals>,
    /// What this scenario alone measures.
    pub figures: Vec<Figure>,
    /// What was played, where the numbers of the plan do not say it.
    pub course: Option<String>,
}

/// One row of a scenario's own figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    pub value: f64,
    /// `us`, `bytes`, `cores` and the like; a bare word for counts.
    pub unit: &'static str,
}

impl Figure {
    /// A row.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit }
    }

    /// The value as people read it.
    fn shown(&self) -> String {
        let Self { value, unit, .. } = self;
        match *unit {
            "us" => text::time(value.round() as u64),
            // A fraction of a core, or per cent, says something; half a socket does not.
            "cores" | "%" => format!("{value:.3} {unit}"),
            unit => format!("{} {unit}", text::whole(*value)),
        }
    }
}

/// All that is said of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    format: u32,
    passed: bool,
    scenario: &'static str,
    course: Option<String>,
    parameters: Parameters,
    machine: Machine,
    data_dir: Option<String>,
    client_version: &'static str,
    server_version: String,
    commit: String,
    measured_seconds: f64,
    totals: Totals,
    per_second: PerSecond,
    server: Option<ServerCost>,
    client_cores_used: f64,
    other_cores_used: f64,
    latency: Vec<Latency>,
    /// Latency by percentile.
    curves: Vec<Curve>,
    /// Before, during and after a spike.
    spike: Option<Phases>,
    timeline: Timeline,
    /// The same with fewer rows, for the page.
    #[serde(skip)]
    chart: Timeline,
    figures: Vec<Figure>,
    /// What a long run held, and whether it grew.
    trends: Vec<Trend>,
    operations: u64,
    /// Arrivals that were due and never began.
    unstarted: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    checks: Vec<Check>,
    warnings: Vec<Warning>,
    /// Of the scenario `fanout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fan_out: Option<FanOut>,
    /// Of the scenario `neighbours`: each turn by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    turns: Vec<Turn>,
}

#[derive(Debug, Serialize)]
struct Totals {
    readings: u64,
    bookings_granted: u64,
    bookings_refused: u64,
    bookings_changed: u64,
    stream_entries: u64,
    reads: u64,
}

#[derive(Debug, Serialize)]
struct PerSecond {
    readings: f64,
    bookings_granted: f64,
    bookings_refused: f64,
    bookings_changed: f64,
    stream_entries: f64,
    reads: f64,
}

#[derive(Debug, Serialize)]
struct ServerCost {
    cores_used: f64,
    /// All of the server's work in the window, whatever it was, over the readings acknowledged in it.
    cpu_us_per_reading: Option<f64>,
    /// The same over all answers to bookings, where there were no readings.
    cpu_us_per_booking: Option<f64>,
    resident_bytes: u64,
    resident_peak_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Latency {
    what: &'static str,
    samples: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    p9999_us: u64,
    max_us: u64,
}

impl Report {
    /// From what a run left behind.
    pub fn of(plan: &Plan, facts: &Facts) -> Self {
        let [first, last] = &facts.samples;
        let seconds = last.at_us.saturating_sub(first.at_us) as f64 / 1e6;
        let machine = Machine::read();
        let client_seconds = last.client.cpu_seconds - first.client.cpu_seconds;
        let server_seconds = match (first.server, last.server) {
            (Some(first), Some(last)) => Some((last.cpu_seconds - first.cpu_seconds, last)),
            _ => None,
        };
        let busy_seconds = last.machine_busy_seconds - first.machine_busy_seconds;
        let known_seconds = client_seconds + server_seconds.map_or(0.0, |(seconds, _)| seconds);
        // A server that is not measured would count among the others.
        let other_seconds =
            if server_seconds.is_some() { busy_seconds - known_seconds } else { 0.0 };
        let totals = Totals::of(&facts.recorder);
        let server =
            server_seconds.map(|(cpu, usage)| ServerCost::of(cpu, seconds, usage, &totals));
        let (checks, drift_unjudged) = all_checks(plan, facts, server.as_ref());
        let trends = match plan.drift_percent {
            Some(_) => trend::all(&facts.vitals, facts.recorder.series(), facts.window),
            None => Vec::new(),
        };
        let evidence = Evidence {
            recorder: &facts.recorder,
            measured_seconds: plan.duration.as_secs_f64(),
            cores: machine.cores,
            client_threads: plan.threads,
            // In a spike the client may be short of processor for a moment that the mean hides.
            client_cores_used: client_during(facts).max(per(client_seconds, seconds)),
            other_cores_used: per(other_seconds.max(0.0), seconds),
            lags: facts.lags,
            has_spike: facts.surge.is_some() || plan.scenario == Scenario::Crash,
            drift_unjudged,
            trends: &trends,
            dir_in_memory: facts.data_dir.as_deref().filter(|_| facts.data_in_memory),
            is_debug_build: cfg!(debug_assertions),
        };
        let series = facts.recorder.series();
        let timeline = |points_max: usize| {
            Timeline::of(series, facts.began_us, facts.window, &facts.usage, points_max)
        };
        Self {
            format: FORMAT,
            passed: checks.iter().all(Check::passed),
            scenario: plan.scenario.name(),
            course: facts.course.clone(),
            parameters: Parameters::of(plan),
            data_dir: facts.data_dir.clone(),
            client_version: env!("CARGO_PKG_VERSION"),
            server_version: facts.server_version.clone(),
            commit: commit(),
            measured_seconds: seconds,
            per_second: totals.per_second(plan.duration.as_secs_f64()),
            server,
            totals,
            client_cores_used: per(client_seconds, seconds),
            other_cores_used: evidence.other_cores_used,
            latency: latencies(&facts.recorder),
            curves: curve::all(&facts.recorder),
            spike: facts.surge.map(|surge| Phases::of(series, facts.window, surge)),
            timeline: timeline(POINTS_MAX),
            chart: timeline(CHART_POINTS_MAX),
            figures: facts.figures.clone(),
            operations: facts.recorder.operations(),
            unstarted: facts.recorder.all_unstarted().clone(),
            errors: facts.recorder.errors().clone(),
            checks,
            warnings: warning::find(&evidence),
            trends,
            machine,
            fan_out: None,
            turns: Vec::new(),
        }
    }

    /// With what the scenario `fanout` measured.
    pub fn with_fan_out(mut self, fan_out: Option<FanOut>) -> Self {
        self.fan_out = fan_out;
        self
    }

    /// With the turns that the scenario `neighbours` took.
    pub fn with_turns(mut self, turns: Vec<Turn>) -> Self {
        self.turns = turns;
        self
    }

    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// Writes the page.
    pub fn write_html(&self, path: &Path) -> Result<(), LoadError> {
        std::fs::write(path, html::page(self).into_string())
            .map_err(|source| LoadError::File { path: path.into(), source })
    }

    /// Writes the JSON form.
    pub fn write_json(&self, path: &Path) -> Result<(), LoadError> {
        let text = serde_json::to_string_pretty(self).expect("numbers and text only");
        std::fs::write(path, text + "\n")
            .map_err(|source| LoadError::File { path: path.into(), source })
    }
}

impl Totals {
    fn of(recorder: &Recorder) -> Self {
        Self {
            readings: recorder.total(Tally::Readings),
            bookings_granted: recorder.total(Tally::Granted),
            bookings_refused: recorder.total(Tally::Conflicts),
            bookings_changed: recorder.total(Tally::Changed),
            stream_entries: recorder.total(Tally::Entries),
            reads: recorder.total(Tally::Reads),
        }
    }

    fn per_second(&self, seconds: f64) -> PerSecond {
        let rate = |total: u64| per(total as f64, seconds);
        PerSecond {
            readings: rate(self.readings),
            bookings_granted: rate(self.bookings_granted),
            bookings_refused: rate(self.bookings_refused),
            bookings_changed: rate(self.bookings_changed),
            stream_entries: rate(self.stream_entries),
            reads: rate(self.reads),
        }
    }
}

impl ServerCost {
    fn of(cpu_seconds: f64, seconds: f64, usage: Usage, totals: &Totals) -> Self {
        let us_per = |times: u64| (times > 0).then(|| cpu_seconds * 1e6 / times as f64);
        let bookings = totals.bookings_granted + totals.bookings_refused + totals.bookings_changed;
        Self {
            cores_used: per(cpu_seconds, seconds),
            cpu_us_per_reading: us_per(totals.readings),
            cpu_us_per_booking: us_per(bookings).filter(|_| totals.readings == 0),
            resident_bytes: usage.resident_bytes,
            resident_peak_bytes: usage.resident_peak_bytes,
        }
    }
}

/// The run's own checks, the limits it was given, and drift where that is looked for; also whether the run
/// was too short to see any.
fn all_checks(plan: &Plan, facts: &Facts, server: Option<&ServerCost>) -> (Vec<Check>, bool) {
    let measured = Measured {
        recorder: &facts.recorder,
        seconds: plan.duration.as_secs_f64(),
        server_resident_peak_bytes: server.map(|server| server.resident_peak_bytes),
        cpu_us_per_reading: server.and_then(|server| server.cpu_us_per_reading),
        cpu_us_per_booking: server.and_then(|server| server.cpu_us_per_booking),
    };
    let mut checks = facts.checks.clone();
    checks.extend(plan.limits.iter().map(|limit| limit.judge(&measured)));
    let Some(percent) = plan.drift_percent else { return (checks, false) };
    let drift = drift::check(facts.recorder.series(), facts.window, &facts.usage, percent);
    let unjudged = drift.is_none();
    checks.extend(drift);
    (checks, unjudged)
}

/// The client's processors during a spike; nought when there was none.
fn client_during(facts: &Facts) -> f64 {
    let of = |surge: Surge| {
        let edges = (surge.from_us, surge.to_us);
        timeline::cores_between(&facts.usage, edges, &|sample| Some(sample.client))
    };
    facts.surge.and_then(of).unwrap_or(0.0)
}

fn latencies(recorder: &Recorder) -> Vec<Latency> {
    let row = |measure: Measure| {
        let histogram = recorder.histogram(measure)?;
        Some(Latency {
            what: measure.name(),
            samples: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            p9999_us: histogram.value_at_quantile(0.9999),
            max_us: histogram.max(),
        })
    };
    Measure::ALL.into_iter().filter_map(row).collect()
}

fn per(amount: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests;
