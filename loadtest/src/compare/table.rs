//! What the comparison measured, and on what: the one thing that text, JSON and Markdown are made from.

use super::bars::{self, Verdict};
use super::drive::Driven;
use super::options::CompareOptions;
use crate::error::LoadError;
use crate::machine::{Machine, commit, is_in_memory};
use crate::verify::Check;
use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// The JSON's version: raised when a field changes its meaning.
const FORMAT: u32 = 1;

/// The same work is in one part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    Readings,
    Bookings,
    /// Vehicles at gates.
    Scans,
    /// Prices.
    Quotes,
    FanOutFull,
    FanOutPaced,
    Latency,
    Log,
}

impl Work {
    /// All, in the table's order.
    pub const ALL: [Self; 8] = [
        Self::Readings,
        Self::Bookings,
        Self::Scans,
        Self::Quotes,
        Self::FanOutFull,
        Self::FanOutPaced,
        Self::Latency,
        Self::Log,
    ];

    /// The part's heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Readings => "Durable readings",
            Self::Bookings => "Durable bookings of a given slot, spread",
            Self::Scans => "Scans at a gate, durable: in and out of a reservation",
            Self::Quotes => "Quotes",
            Self::FanOutFull => "Fan-out at full speed",
            Self::FanOutPaced => "Fan-out, paced",
            Self::Latency => "Sensor to subscriber's socket, under load",
            Self::Log => "The log",
        }
    }

    /// What is counted per second.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Readings | Self::Latency => "readings",
            Self::Bookings => "bookings",
            Self::Scans => "scans",
            Self::Quotes => "quotes",
            Self::FanOutFull | Self::FanOutPaced => "deliveries",
            Self::Log => "commits",
        }
    }
}

/// One stage's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What bars know it by.
    pub key: &'static str,
    pub work: Work,
    pub who: String,
    pub what: String,
    pub per_second: f64,
    pub server_cpu_us: Option<f64>,
    pub client_cpu_us: Option<f64>,
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub bytes_each: Option<f64>,
    /// What a small commit to a plain file took at most, 99 of 100, directly before the stage.
    pub disk_p99_us: Option<u64>,
    pub checks: Vec<Check>,
}

impl Row {
    /// Without figures.
    pub fn new(key: &'static str, work: Work, who: &str, what: &str) -> Self {
        Self {
            key,
            work,
            who: who.into(),
            what: what.into(),
            per_second: 0.0,
            server_cpu_us: None,
            client_cpu_us: None,
            p50_us: None,
            p99_us: None,
            bytes_each: None,
            disk_p99_us: None,
            checks: Vec::new(),
        }
    }

    /// Of a closed loop.
    pub fn of(key: &'static str, work: Work, who: &str, what: &str, driven: &Driven) -> Self {
        Self {
            per_second: driven.per_second,
            server_cpu_us: driven.server_cpu_us,
            client_cpu_us: driven.client_cpu_us,
            p50_us: driven.p50_us,
            p99_us: driven.p99_us,
            ..Self::new(key, work, who, what)
        }
    }

    /// With what was looked at afterwards.
    pub fn with_check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Whether all that was looked at was right.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }
}

/// The whole comparison.
#[derive(Debug, Serialize)]
pub struct Table {
    pub format: u32,
    pub date: String,
    pub machine: Machine,
    pub commit: String,
    pub parameters: Parameters,
    /// Version and settings of each.
    pub peers: Vec<[String; 2]>,
    pub rows: Vec<Row>,
    pub bars: Vec<Verdict>,
    /// What was left out, went wrong or is to be doubted.
    pub notes: Vec<String>,
    /// Stages that have no figures because something broke.
    pub failures: Vec<String>,
    /// As in the rows, the least of all.
    pub disk_best_p99_us: Option<u64>,
    /// Rows that are not there, by the beginning of their keys, and why.
    #[serde(skip)]
    pub absent: Vec<(&'static str, String)>,
    #[serde(skip)]
    began: Instant,
}

/// The flags, as far as they matter.
#[derive(Clone, Debug, Serialize)]
pub struct Parameters {
    pub warm_up_seconds: f64,
    pub duration_seconds: f64,
    pub lots: usize,
    pub slots_per_lot: usize,
    pub connections: usize,
    pub subscribers: usize,
    pub changes_per_second: f64,
    pub seed: u64,
    pub client_threads: usize,
    pub is_debug_build: bool,
}

impl Table {
    /// Nothing measured yet.
    pub fn new(options: &CompareOptions) -> Self {
        let parent = options.data_parent.clone().unwrap_or_else(std::env::temp_dir);
        let mut notes = Vec::new();
        if is_in_memory(&parent) {
            let dir = parent.display();
            notes.push(format!(
                "{dir} lies in memory, where a sync costs nothing: give a --data-parent on a disk"
            ));
        }
        if cfg!(debug_assertions) {
            notes.push("built without optimisation: the figures mean nothing".into());
        }
        Self {
            format: FORMAT,
            date: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            machine: Machine::read(),
            commit: commit(),
            parameters: Parameters {
                warm_up_seconds: options.warm_up.as_secs_f64(),
                duration_seconds: options.duration.as_secs_f64(),
                lots: options.lots,
                slots_per_lot: options.slots,
                connections: options.connections,
                subscribers: options.subscribers,
                changes_per_second: options.changes_per_second,
                seed: options.seed,
                client_threads: options.threads(),
                is_debug_build: cfg!(debug_assertions),
            },
            peers: Vec::new(),
            rows: Vec::new(),
            bars: Vec::new(),
            notes,
            failures: Vec::new(),
            disk_best_p99_us: None,
            absent: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Since the command began.
    pub fn age_seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Judges the bars by what there is.
    pub fn judge(&mut self) {
        self.bars = bars::judge(&self.rows, &self.absent);
    }

    /// Whether every stage came to its end and everything looked at was right. A missed bar is no fault.
    pub fn passed(&self) -> bool {
        self.failures.is_empty() && self.rows.iter().all(Row::passed)
    }

    /// Writes the form that the name's end asks for.
    pub fn write(&self, path: &Path) -> Result<(), LoadError> {
        let text = match path.extension().and_then(|end| end.to_str()) {
            Some("json") => {
                serde_json::to_string_pretty(self).expect("numbers and text only") + "\n"
            }
            Some("md") => self.markdown(),
            _ => self.to_string(),
        };
        std::fs::write(path, text).map_err(|source| LoadError::File { path: path.into(), source })
    }
}
