//! Lotkeeper's own turn: the scenarios of this program against a server of its own, by their flags.
//!
//! Figures are taken from the report's JSON form, which is what it promises to the outside. One stage per
//! scenario, each on a fresh server. Latency to a subscriber is taken at parts of a maximum that was measured
//! with the same encoding, connections, batches and depth, directly before.

use super::context::Context;
use super::error::CompareError;
use super::gate;
use super::table::{Row, Work};
use crate::error::LoadError;
use crate::options::Options;
use crate::scenario::{self, Plan};
use crate::verify::Check;
use clap::Parser;
use serde_json::Value;

/// How sensors' gateways send in all stages of readings: each of four brings what changed in one lot at once,
/// and does not wait for the last answer. A batch is a whole lot of the standard size.
const SHAPE: [&str; 6] = ["--ingest-connections", "4", "--batch", "100", "--in-flight", "32"];
const SHAPE_TEXT: &str = "4 connections, batches of 100, 32 in flight";
const BINARY: (&str, &str) = ("ours.binary", "binary");
const JSON: (&str, &str) = ("ours.json", "json");
/// A given slot, spread over slots and windows, nothing else: what the peers are asked for.
const BOOKINGS: [&str; 6] =
    ["--slots-asked", "given", "--contention", "spread", "--change-percent", "0"];
const WATCHERS: &str = "4";
/// The maximum in the very shape in which latency is taken, right before it: machines that are shared change
/// their speed by the minute.
const MAXIMUM: &str = "ours.maximum";
/// Parts of it at which latency to a subscriber is taken.
const LATENCY_AT: [(&str, f64); 2] = [("ours.latency.10", 0.1), ("ours.latency.80", 0.8)];

/// What a scenario reported.
struct Played {
    report: Value,
    version: String,
}

impl Played {
    fn number(&self, pointer: &str) -> Option<f64> {
        self.report.pointer(pointer)?.as_f64()
    }

    /// A latency of the report by its name.
    fn latency(&self, what: &str, quantile: &str) -> Option<u64> {
        let rows = self.report["latency"].as_array()?;
        rows.iter().find(|row| row["what"] == what)?[quantile].as_u64()
    }

    fn row(&self, key: &'static str, work: Work, what: &str, rate: &str, latency: &str) -> Row {
        Row {
            per_second: self.number(rate).unwrap_or_default(),
            p50_us: self.latency(latency, "p50_us"),
            p99_us: self.latency(latency, "p99_us"),
            ..Row::new(key, work, &self.version, what)
        }
    }
}

/// All stages; latency first, while nothing has been written yet.
pub async fn play(context: &mut Context) -> Result<(), CompareError> {
    if context.options.wants(Work::Latency) {
        let maximum = watched(context, MAXIMUM, None).await?;
        if maximum > 0.0 {
            for (key, part) in LATENCY_AT {
                watched(context, key, Some((maximum, part))).await?;
            }
        }
    }
    if context.options.wants(Work::Readings) {
        readings(context, BINARY).await?;
        readings(context, JSON).await?;
    }
    if context.options.wants(Work::Bookings) {
        book(context).await?;
    }
    gate::play(context).await?;
    fan_out(context).await
}

/// As many as it takes; how many a second those are.
async fn readings(
    context: &mut Context,
    (key, encoding): (&'static str, &str),
) -> Result<f64, CompareError> {
    let flags = [["--encoding", encoding].as_slice(), &SHAPE].concat();
    let played = scenario(context, key, "ingest", &flags).await?;
    let what = format!("{encoding} over /api/v1/ingest, {SHAPE_TEXT}");
    let row = played.row(key, Work::Readings, &what, "/per_second/readings", "ingest batch ack");
    let per_second = row.per_second;
    let row = Row {
        server_cpu_us: played.number("/server/cpu_us_per_reading"),
        client_cpu_us: client_us(&played, per_second),
        ..row
    };
    put(context, row, &played);
    Ok(per_second)
}

/// With subscribers: as many as it takes, or at a part of that in an open loop. How many a second they were.
async fn watched(
    context: &mut Context,
    key: &'static str,
    of_maximum: Option<(f64, f64)>,
) -> Result<f64, CompareError> {
    let rate = of_maximum.map(|(maximum, part)| (maximum * part).round().max(1.0).to_string());
    let (_, encoding) = BINARY;
    let mut flags =
        [["--encoding", encoding, "--subscribers", WATCHERS].as_slice(), &SHAPE].concat();
    flags.extend(rate.iter().flat_map(|rate| ["--rate", rate]));
    let played = scenario(context, key, "ingest", &flags).await?;
    let pace = match (&rate, of_maximum) {
        (Some(rate), Some((_, part))) => {
            format!("{:.0} % of {MAXIMUM}, {rate} readings/s due", part * 100.0)
        }
        (_, _) => "as many as it takes".to_owned(),
    };
    let what = format!("{pace}; {encoding}, {SHAPE_TEXT}, {WATCHERS} subscribers");
    let row = played.row(key, Work::Latency, &what, "/per_second/readings", "sensor to subscriber");
    let per_second = row.per_second;
    put(context, row, &played);
    Ok(per_second)
}

async fn book(context: &mut Context) -> Result<(), CompareError> {
    let bookers = context.options.connections.to_string();
    let flags = [["--bookers", &bookers].as_slice(), &BOOKINGS].concat();
    let played = scenario(context, "ours.book", "book", &flags).await?;
    let what = format!("given slot, spread, over HTTP, {bookers} keep-alive connections");
    let rate = "/per_second/bookings_granted";
    let row = played.row("ours.book", Work::Bookings, &what, rate, "booking");
    let server_us = played.number("/server/cores_used").map(|cores| cores * 1e6);
    let row = Row {
        server_cpu_us: server_us.filter(|_| row.per_second > 0.0).map(|us| us / row.per_second),
        client_cpu_us: client_us(&played, row.per_second),
        ..row
    };
    put(context, row, &played);
    Ok(())
}

async fn fan_out(context: &mut Context) -> Result<(), CompareError> {
    let subscribers = context.options.subscribers.to_string();
    let rate = context.options.changes_per_second.to_string();
    let paced = ["--changes-per-second", &rate];
    let stages: [(&'static str, Work, &str, &[&str]); 4] = [
        ("ours.fanout.full", Work::FanOutFull, "slots", &[]),
        ("ours.fanout.paced", Work::FanOutPaced, "slots", &paced),
        ("ours.counts.full", Work::FanOutFull, "counts", &[]),
        ("ours.counts.paced", Work::FanOutPaced, "counts", &paced),
    ];
    let stages = stages.into_iter().filter(|(_, work, ..)| context.options.wants(*work));
    for (key, work, view, speed) in stages.collect::<Vec<_>>() {
        let mut flags = vec!["--subscribers", &subscribers, "--view", view];
        flags.extend(speed);
        let played = scenario(context, key, "fanout", &flags).await?;
        let speed = match speed.last() {
            Some(rate) => format!("{rate} changes/s"),
            None => "full speed".into(),
        };
        let messages = played.number("/fan_out/messages_per_second").unwrap_or_default();
        let what =
            format!("{subscribers} subscribers of {view}, {speed}, {messages:.0} messages/s");
        let rate = "/fan_out/deliveries_per_second";
        let row = Row {
            server_cpu_us: played.number("/fan_out/server_cpu_us_per_delivery"),
            client_cpu_us: played.number("/fan_out/client_cpu_us_per_delivery"),
            bytes_each: played.number("/fan_out/bytes_per_delivery"),
            ..played.row(key, work, &what, rate, "sensor to subscriber")
        };
        put(context, row, &played);
    }
    Ok(())
}

fn client_us(played: &Played, per_second: f64) -> Option<f64> {
    let cores = played.number("/client_cores_used")?;
    (per_second > 0.0).then(|| cores * 1e6 / per_second)
}

/// A row with one check for all that the scenario checked, and what it warns of.
fn put(context: &mut Context, row: Row, played: &Played) {
    let mut check = Check::new("every check of the scenario passes", "things");
    for scenarios in played.report["checks"].as_array().into_iter().flatten() {
        check.examine(scenarios["examined"].as_u64().unwrap_or_default());
        if scenarios["faults"].as_u64() != Some(0) {
            check.fault(scenarios);
        }
    }
    for warning in played.report["warnings"].as_array().into_iter().flatten() {
        let text = warning.as_str().unwrap_or_default();
        context.note(format!("{}: {text}", row.key));
    }
    context.put(row.with_check(check));
}

async fn scenario(
    context: &mut Context,
    key: &str,
    name: &str,
    flags: &[&str],
) -> Result<Played, CompareError> {
    let compare = &context.options;
    let ms = |duration: std::time::Duration| format!("{}ms", duration.as_millis());
    let mut line: Vec<String> = ["lotkeeper-load", name].map(String::from).into();
    let mut put = |flag: &str, value: String| line.extend([flag.to_string(), value]);
    put("--duration", ms(compare.duration));
    put("--warm-up", ms(compare.warm_up));
    put("--lots", compare.lots.to_string());
    put("--slots", compare.slots.to_string());
    put("--seed", compare.seed.to_string());
    put("--threads", compare.threads().to_string());
    if let Some(parent) = &compare.data_parent {
        put("--data-parent", parent.display().to_string());
    }
    line.extend(flags.iter().map(ToString::to_string));
    let options = Options::try_parse_from(&line)
        .map_err(|error| LoadError::usage(format!("{}: {error}", line.join(" "))))?;
    let plan = Plan::of(&options)?;
    context.begin(key).await?;
    let report = serde_json::to_value(scenario::run(&plan, &options).await?).unwrap_or_default();
    let version = report["server_version"].as_str().unwrap_or("unknown");
    Ok(Played { version: format!("Lotkeeper {version}"), report })
}
