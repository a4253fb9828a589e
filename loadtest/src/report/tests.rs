//! The report's figures and words, from made-up facts.

use super::text::{bytes, thousands, time};
use super::*;
use crate::options::Options;
use crate::recorder::Window;
use clap::Parser;
use serde_json::Value;

fn usage(cpu_seconds: f64) -> Usage {
    Usage { cpu_seconds, resident_bytes: 100 << 20, resident_peak_bytes: 200 << 20 }
}

fn sample(at_us: u64, server: f64, client: f64, busy: f64) -> Sample {
    Sample {
        at_us,
        server: Some(usage(server)),
        client: usage(client),
        machine_busy_seconds: busy,
        stolen_seconds: None,
    }
}

const WINDOW: Window = Window { from_us: 0, to_us: 2_000_000 };

/// Two measured seconds: 2,000,000 readings at 3 s of server CPU, one error, one broken check.
fn facts() -> Facts {
    let mut recorder = Recorder::new(WINDOW);
    for at_us in [0, 1_000_000] {
        recorder.attempt();
        recorder.latency(Measure::IngestAck, at_us, at_us + 1_500);
        recorder.count(Tally::Readings, 1_000_000, at_us);
    }
    recorder.count(Tally::Granted, 5, 0);
    recorder.error("ingest overloaded");
    recorder.unstarted("bookings", 7);
    let mut broken = Check::new("slots are right", "slots");
    broken.examine(1_000);
    (0..12).for_each(|slot| broken.fault(format!("lot L slot {slot}")));
    Facts {
        recorder,
        began_us: 0,
        window: WINDOW,
        surge: None,
        samples: [sample(0, 1.0, 1.0, 10.0), sample(2_000_000, 4.0, 1.5, 13.6)],
        usage: vec![sample(0, 1.0, 1.0, 10.0), sample(2_000_000, 4.0, 1.5, 13.6)],
        checks: vec![Check::new("streams are whole", "entries"), broken],
        lags: 0,
        server_version: "0.1.0".into(),
        data_dir: Some("/tmp/x".into()),
        data_in_memory: true,
        vitals: Vec::new(),
        figures: vec![
            Figure::new("until all are back", 1_240_000.0, "us"),
            Figure::new("memory per socket", 7_654.4, "bytes"),
            Figure::new("server while idle", 0.0125, "cores"),
            Figure::new("resumed", 1_234.0, "reconnects"),
        ],
        course: None,
    }
}

fn report(facts: &Facts) -> Report {
    report_of(&["ingest"], facts)
}

fn report_of(line: &[&str], facts: &Facts) -> Report {
    let line = ["lotkeeper-load", "--duration", "2s", "--threads", "1"].iter().chain(line);
    let plan = Plan::of(&Options::try_parse_from(line).unwrap()).unwrap();
    Report::of(&plan, facts)
}

#[test]
fn figures_are_taken_over_the_measured_window() {
    let report = report(&facts());
    let server = report.server.as_ref().unwrap();
    assert_eq!((report.per_second.readings, server.cores_used), (1e6, 1.5));
    assert_eq!((server.cpu_us_per_reading, server.cpu_us_per_booking), (Some(1.5), None));
    assert_eq!(report.client_cores_used, 0.25);
    assert!((report.other_cores_used - 0.05).abs() < 1e-9, "{}", report.other_cores_used);
}

#[test]
fn the_text_says_what_failed_and_where() {
    let report = report(&facts());
    assert!(!report.passed());
    let text = report.to_string();
    for line in [
        "readings  1,000,000/s acknowledged durable (2,000,000)",
        "server    1.50 cores, 1.50 us CPU per reading, 100 MiB resident (peak 200 MiB)",
        "until all are back                          1.24 s\n",
        "memory per socket                           7,654 bytes\n",
        "server while idle                           0.013 cores\n",
        "resumed                                     1,234 reconnects\n",
        "  ok    streams are whole (0 entries)",
        "  FAIL  slots are right (1,000 slots)",
        "        lot L slot 0",
        "        and 2 more",
        "error     ingest overloaded: 1",
        "left      7 bookings were due and never began",
        "warning   /tmp/x lies in memory",
    ] {
        assert!(text.contains(line), "missing `{line}` in:\n{text}");
    }
}

#[test]
fn the_json_has_the_same_figures() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    report(&facts()).write_json(&path).unwrap();
    let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((&json["format"], &json["passed"]), (&1.into(), &false.into()));
    assert_eq!(json["totals"]["readings"], 2_000_000);
    assert_eq!(json["latency"][0]["what"], "ingest batch ack");
    assert_eq!(json["checks"][1]["faults"], 12);
    assert_eq!(json["figures"][1]["unit"], "bytes");
    assert!(json["warnings"].as_array().unwrap().iter().all(Value::is_string));
}

#[test]
fn the_json_has_the_run_over_time_and_by_percentile() {
    let json = serde_json::to_value(report(&facts())).unwrap();
    let timeline = &json["timeline"];
    let rows = timeline["seconds"].as_array().unwrap().len();
    assert_eq!((rows, &timeline["interval_seconds"]), (20, &0.1.into()));
    assert_eq!(timeline["per_second"]["readings"][10], 1e7);
    assert_eq!(timeline["latency"][0]["p99_us"].as_array().unwrap().len(), rows);
    assert_eq!(timeline["latency"][0]["max_us"][10], 1_500);
    assert!((timeline["server_cores"][7].as_f64().unwrap() - 1.5).abs() < 1e-9);
    assert_eq!(timeline["server_resident_bytes"][19], 100 << 20);
    assert_eq!(json["curves"][0]["what"], "ingest batch ack");
    assert!(json.get("chart").is_none());
}

#[test]
fn a_spike_is_told_by_phases() {
    let mut facts = facts();
    let read = |recorder: &mut Recorder, at_us: u64, us: u64| {
        (0..10).for_each(|_| recorder.latency(Measure::Read, at_us, at_us + us));
    };
    for tenth in 0..20 {
        let us = if (8..14).contains(&tenth) { 90_000 } else { 2_000 };
        read(&mut facts.recorder, tenth * 100_000, us);
    }
    facts.surge = Some(Surge { from_us: 800_000, to_us: 1_200_000, factor: 5.0 });
    let report = report_of(&["spike"], &facts);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["spike"]["phases"][1]["name"], "spike");
    let text = report.to_string();
    assert!(text.contains("spike of 5 times, 0.4 s"), "{text}");
    let line = text.lines().rfind(|line| line.starts_with("read ")).unwrap();
    assert!(line.ends_with("0.2 s after it") && line.contains("90.00 ms"), "{line}");
}

#[test]
fn limits_are_checks_and_decide() {
    let mut facts = facts();
    facts.checks.truncate(1);
    let holds = ["ingest", "--limit=p99=2ms", "--limit=server.cpu_per_reading=1.5us"];
    assert!(report_of(&holds, &facts).passed());
    let breaks = report_of(&["ingest", "--limit=p99=2ms", "--limit=readings.rate=1000001"], &facts);
    assert!(!breaks.passed());
    let text = breaks.to_string();
    assert!(text.contains("  ok    limit p99=2ms (1 figures)"), "{text}");
    assert!(text.contains("FAIL  limit readings.rate=1000001"), "{text}");
    assert!(text.contains("readings is 1000000/s, the limit is"), "{text}");
}

#[test]
fn a_course_stands_in_place_of_the_plans_numbers() {
    let facts = Facts { course: Some("8,000 silent sockets".into()), ..facts() };
    let text = report(&facts).to_string();
    assert!(text.starts_with("lotkeeper-load ingest: 8,000 silent sockets; seed 1\n"), "{text}");
}

#[test]
fn a_run_without_faults_passes() {
    let mut facts = facts();
    facts.checks.truncate(1);
    assert!(report(&facts).passed());
}

#[test]
fn numbers_are_written_for_people() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(thousands(number), text);
    }
    for (us, text) in [(412, "412 us"), (2_130, "2.13 ms"), (1_240_000, "1.24 s")] {
        assert_eq!(time(us), text);
    }
    assert_eq!(bytes(23 << 30), "23.0 GiB");
}
