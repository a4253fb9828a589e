//! The command line. Numbers left out take the scenario's own value (see `scenario`).

use crate::encoder::Encoding;
use crate::limit::Limit;
use crate::pace::Arrivals;
use crate::scenario::{Contention, CourseFlags, Scenario, SlotsAsked, View};
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Plays the users of Lotkeeper at full speed, checks what it got, prints a report.
///
/// Without arguments: starts its own server in a temporary directory and runs the standard scenario.
#[derive(Debug, Parser)]
#[command(name = "lotkeeper-load", version, max_term_width = 100)]
pub struct Options {
    /// What to play: standard, ingest, book, mixed, spike, soak, idle, storm, overload, fanout, crash or
    /// neighbours; `compare --help` and `linearize --help` have pages of their own.
    #[arg(default_value = "standard", value_parser = Scenario::parse)]
    pub scenario: Scenario,

    /// Measured time, e.g. 10s, 500ms, 2m; 10s when left out, 30s for spike and overload, 1m for idle, 1h for soak.
    #[arg(long, value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Time under load before measuring begins.
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    pub warm_up: Duration,

    /// Rates climb to their target in so long from the start; the warm-up lasts at least as long.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub ramp: Duration,

    /// How arrivals at fixed rates lie between each other.
    #[arg(long, value_enum, default_value_t = Arrivals::Even)]
    pub arrivals: Arrivals,

    /// Lots to create.
    #[arg(long, default_value_t = 100)]
    pub lots: usize,

    /// Slots in each lot, at most 10000.
    #[arg(long, default_value_t = 100)]
    pub slots: usize,

    /// Websockets that stream readings.
    #[arg(long)]
    pub ingest_connections: Option<usize>,

    /// Readings in a batch.
    #[arg(long, default_value_t = 100)]
    pub batch: usize,

    /// How batches are written.
    #[arg(long, value_enum, default_value_t)]
    pub encoding: Encoding,

    /// Batches in flight on each connection; the server stops reading at 64.
    #[arg(long, default_value_t = 32)]
    pub in_flight: usize,

    /// Readings per second over all connections, sent at fixed times; full speed when left out.
    #[arg(long)]
    pub rate: Option<f64>,

    /// HTTP connections that book.
    #[arg(long)]
    pub bookers: Option<usize>,

    /// Bookings per second, begun at fixed times by whichever connection is free; full speed when left out.
    #[arg(long)]
    pub booking_rate: Option<f64>,

    /// Ask for a given slot, for any slot of a lot, or both in turn.
    #[arg(long, value_enum)]
    pub slots_asked: Option<SlotsAsked>,

    /// Wishes that nobody else has, that everybody has, or both.
    #[arg(long, value_enum)]
    pub contention: Option<Contention>,

    /// Of a hundred bookings, those followed by a confirm or cancel; none for given, spread slots.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub change_percent: Option<u32>,

    /// Of a hundred bookings, those for a minute that begins soon, so that holds and windows end in the run.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub short_percent: Option<u32>,

    /// Of a hundred cars, those never seen before; the others are 10,000 that come again and again.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub newcomer_percent: Option<u32>,

    /// Websockets that watch.
    #[arg(long)]
    pub subscribers: Option<usize>,

    /// Lots that each subscriber watches.
    #[arg(long, default_value_t = 1)]
    pub lots_per_subscriber: usize,

    /// What the subscribers of `fanout` watch.
    #[arg(long, value_enum, default_value = "slots")]
    pub view: View,

    /// Changes per second of `fanout`, each sent alone at its time; full speed when left out.
    #[arg(long)]
    pub changes_per_second: Option<f64>,

    /// Reads per second, sent at fixed times.
    #[arg(long)]
    pub read_rate: Option<f64>,

    /// How many times the base rates a spike has.
    #[arg(long)]
    pub spike_factor: Option<f64>,

    /// How long a spike lasts; a fifth of the duration when left out.
    #[arg(long, value_parser = parse_duration)]
    pub spike_duration: Option<Duration>,

    /// How much worse latency and memory of a soak may be in its last quarter than in its first, in percent.
    #[arg(long)]
    pub drift_percent: Option<f64>,

    /// What must hold, as in p99=20ms, booking.p99=5ms, readings.rate=400000, errors=0.1%, server.rss=1300MiB.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = Limit::parse)]
    pub limits: Vec<Limit>,

    /// Makes two runs send the same.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Threads of the client; half of the cores when left out, so that the server has the other half.
    #[arg(long)]
    pub threads: Option<usize>,

    /// Writes the report as JSON as well.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Writes the report as one page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Uses a running server on this machine instead of an own one.
    #[arg(long)]
    pub url: Option<String>,

    /// Tokens for --url: lines `role=token`, or one token for all; else `LOTKEEPER_TOKEN` or `LOTKEEPER_TOKEN_<ROLE>`.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,

    /// Process id of the server at --url, to measure its CPU and memory.
    #[arg(long, requires = "url")]
    pub server_pid: Option<u32>,

    /// Configuration file of the own server.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub server_config: Option<PathBuf>,

    /// Where the own server's temporary directory is made; a disk, not memory, or durability costs nothing.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub data_parent: Option<PathBuf>,

    /// What single scenarios take.
    #[command(flatten)]
    pub course: CourseFlags,
}

/// `10s`, `500ms`, `2m`, or seconds without a unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let ms_per_unit: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("`{unit}` is no unit of time; use ms, s, m or h")),
    };
    let number: u64 =
        number.parse().map_err(|_| "a whole number with a unit, such as 10s".to_string())?;
    number
        .checked_mul(ms_per_unit)
        .filter(|ms| *ms <= DURATION_MS_MAX)
        .map(Duration::from_millis)
        .ok_or_else(|| "at most 24h".into())
}

/// A soak of a day: longer runs would keep every booking in memory for longer than they are worth.
const DURATION_MS_MAX: u64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, ms) in
            [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("3", 3_000), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "10x", "-1s", "1.5s", "25h", "99999999999999999999s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn without_arguments_the_standard_scenario_is_played_on_an_own_server() {
        let options = Options::try_parse_from(["lotkeeper-load"]).unwrap();
        assert_eq!((options.scenario, options.duration), (Scenario::Standard, None));
        assert_eq!((options.lots, options.slots, options.url), (100, 100, None));
    }

    #[test]
    fn a_scenario_that_does_not_exist_is_wrong_usage_that_lists_the_others() {
        let error = Options::try_parse_from(["lotkeeper-load", "nonsense"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let said = error.to_string();
        assert!(said.contains("no such scenario"), "{said}");
        assert!(said.contains("standard, ingest, book") && said.contains("fanout"), "{said}");
    }

    #[test]
    fn a_wrong_limit_is_wrong_usage_that_lists_the_known_ones() {
        let line = ["lotkeeper-load", "--limit", "p99=20ms", "--limit", "speed=1"];
        let error = Options::try_parse_from(line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("readings.rate"), "{error}");
    }

    #[test]
    fn flags_of_an_own_server_and_of_a_running_one_exclude_each_other() {
        for line in [
            ["lotkeeper-load", "--token-file", "t", "--lots", "1"].as_slice(),
            &["lotkeeper-load", "--server-pid", "1"],
            &["lotkeeper-load", "--url", "http://localhost:1", "--data-parent", "/tmp"],
        ] {
            assert_eq!(Options::try_parse_from(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
