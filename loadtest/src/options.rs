//! The command line. Numbers left out take the scenario's own value (see `scenario`).

use crate::encoder::Encoding;
use crate::scenario::Scenario;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Plays the users of Lotkeeper at full speed, checks what it got, prints a report.
///
/// Without arguments: starts its own server in a temporary directory and runs the standard scenario.
#[derive(Debug, Parser)]
#[command(name = "lotkeeper-load", version, max_term_width = 100)]
pub struct Options {
    /// What to play: standard, ingest or book.
    #[arg(default_value = "standard", value_parser = Scenario::parse)]
    pub scenario: Scenario,

    /// Measured time, e.g. 10s, 500ms, 2m.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,

    /// Time under load before measuring begins.
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    pub warm_up: Duration,

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

    /// Websockets that watch.
    #[arg(long)]
    pub subscribers: Option<usize>,

    /// Lots that each subscriber watches.
    #[arg(long, default_value_t = 1)]
    pub lots_per_subscriber: usize,

    /// Reads per second, sent at fixed times.
    #[arg(long)]
    pub read_rate: Option<f64>,

    /// Makes two runs send the same.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Threads of the client; half of the cores when left out, so that the server has the other half.
    #[arg(long)]
    pub threads: Option<usize>,

    /// Writes the report as JSON as well.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

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
}

/// `10s`, `500ms`, `2m`, or seconds without a unit.
fn parse_duration(text: &str) -> Result<Duration, String> {
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
    fn without_arguments_the_standard_scenario_runs_for_ten_seconds() {
        let options = Options::try_parse_from(["lotkeeper-load"]).unwrap();
        assert_eq!(options.scenario, Scenario::Standard);
        assert_eq!(options.duration, Duration::from_secs(10));
        assert_eq!((options.lots, options.slots, options.url), (100, 100, None));
    }

    #[test]
    fn a_scenario_that_is_only_reserved_is_wrong_usage_that_lists_the_others() {
        let reserved = ["mixed", "fanout", "idle", "storm", "spike", "soak", "compare"];
        let names = reserved.map(|name| (name, "reserved")).into_iter();
        for (name, why) in names.chain([("nonsense", "no such scenario")]) {
            let error = Options::try_parse_from(["lotkeeper-load", name]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{name}");
            let said = error.to_string();
            assert!(said.contains(why) && said.contains("standard, ingest, book"), "{said}");
        }
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
