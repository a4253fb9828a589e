//! The command against the real server: every scenario runs, its checks pass, nothing is left behind.
//! No timing is asserted: this machine may be busy.

mod common;

use common::{build_server_if_missing, load};
use serde_json::Value;
use std::path::PathBuf;

/// Runs a scenario with tiny numbers; gives back its JSON report.
#[track_caller]
fn run(scenario: &str, more: &[&str]) -> Value {
    build_server_if_missing();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let json: PathBuf = dir.path().join("report.json");
    let small = [
        ["--duration", "1s"],
        ["--warm-up", "200ms"],
        ["--lots", "3"],
        ["--slots", "10"],
        ["--batch", "5"],
        ["--in-flight", "4"],
        ["--data-parent", dir.path().to_str().expect("UTF-8")],
        ["--json", json.to_str().expect("UTF-8")],
    ];
    let mut args = vec![scenario];
    // A flag that is given stands instead of the small number.
    args.extend(small.iter().filter(|[flag, _]| !more.contains(flag)).flatten());
    args.extend(more);
    let output = load(&args);
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        said(&output.stdout),
        said(&output.stderr)
    );
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .expect("the directory is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path != &json)
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    serde_json::from_str(&std::fs::read_to_string(&json).expect("a report")).expect("JSON")
}

#[track_caller]
fn assert_all_checked(report: &Value, at_least: usize) {
    let checks = report["checks"].as_array().expect("checks");
    assert!(checks.len() >= at_least, "{checks:?}");
    assert!(checks.iter().all(|check| check["faults"] == 0), "{checks:?}");
    assert_eq!(report["passed"], true);
}

#[test]
fn the_standard_scenario_passes_its_checks() {
    let few = ["--ingest-connections", "2", "--bookers", "2", "--subscribers", "2"];
    let report = run("standard", &few);
    assert_all_checked(&report, 10);
    for figure in ["readings", "bookings_granted", "bookings_changed", "stream_entries", "reads"] {
        assert!(report["totals"][figure].as_u64() > Some(0), "{figure}: {report:#}");
    }
}

#[test]
fn the_ingest_scenario_passes_its_checks_at_a_fixed_rate() {
    let report = run("ingest", &["--ingest-connections", "4", "--rate", "500"]);
    assert_all_checked(&report, 4);
    assert!(report["totals"]["readings"].as_u64() > Some(0), "{report:#}");
    assert_eq!(report["totals"]["bookings_granted"], 0);
}

#[test]
fn the_book_scenario_passes_its_checks() {
    let report = run("book", &["--bookers", "4"]);
    assert_all_checked(&report, 4);
    assert!(report["totals"]["bookings_granted"].as_u64() > Some(0), "{report:#}");
}

/// A figure of the scenario's own.
#[track_caller]
fn figure(report: &Value, name: &str) -> f64 {
    let rows = report["figures"].as_array().expect("figures");
    let row = rows.iter().find(|row| row["name"] == name);
    row.and_then(|row| row["value"].as_f64()).unwrap_or_else(|| panic!("{name}: {report:#}"))
}

#[test]
fn silent_sockets_stay_and_are_served_whatever_they_subscribe_to() {
    for view in ["none", "counts", "slots"] {
        let few = ["--connections", "200", "--connect-rate", "2000", "--subscribe", view];
        let report = run("idle", &few);
        assert_all_checked(&report, 3);
        assert_eq!(figure(&report, "closed by themselves"), 0.0, "{view}");
        assert!(figure(&report, "server memory at the end") > 0.0, "{view}");
    }
}

#[test]
fn after_a_storm_everybody_has_everything_once() {
    let report = run("storm", &["--subscribers", "50", "--rounds", "2", "--rate", "200"]);
    assert_all_checked(&report, 7);
    let back = figure(&report, "reconnects resumed") + figure(&report, "reconnects by snapshot");
    assert_eq!(back, 100.0);
    assert!(report["totals"]["stream_entries"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn after_the_server_was_killed_everybody_has_everything_once() {
    let few = ["--subscribers", "20", "--rounds", "1", "--rate", "200", "--kill-server"];
    let report = run("storm", &few);
    assert_all_checked(&report, 7);
    assert!(figure(&report, "server down, worst round") > 0.0);
}

#[test]
fn an_overload_loses_nothing_that_was_accepted_and_does_nothing_that_was_refused() {
    let report = run("overload", &["--batch", "100", "--bookers", "8"]);
    assert_all_checked(&report, 6);
    for what in ["readings", "bookings"] {
        assert!(figure(&report, &format!("{what}: accepted")) > 0.0, "{report:#}");
    }
}

#[test]
fn pure_bookings_are_all_granted_and_change_nothing() {
    let flags = ["--slots-asked", "given", "--contention", "spread", "--bookers", "4"];
    let report = run("book", &flags);
    assert_all_checked(&report, 4);
    let totals = &report["totals"];
    assert!(totals["bookings_granted"].as_u64() > Some(0), "{report:#}");
    assert_eq!((&totals["bookings_refused"], &totals["bookings_changed"]), (&0.into(), &0.into()));
}

/// One lot of one slot, so that a driver soon keeps all that the server lets him and gives back the oldest.
#[test]
fn bookings_that_fill_a_slot_go_on_without_a_refusal() {
    let flags = ["--slots-asked", "given", "--contention", "spread", "--bookers", "2"];
    let small = ["--lots", "1", "--slots", "1", "--duration", "3s"];
    let report = run("book", &[flags.as_slice(), &small].concat());
    assert_all_checked(&report, 4);
    assert_eq!(report["totals"]["bookings_refused"], 0);
}

/// Rates that a build without optimisation carries beside other tests.
const FEW: [&str; 14] = [
    "--rate",
    "300",
    "--booking-rate",
    "30",
    "--read-rate",
    "30",
    "--bookers",
    "4",
    "--subscribers",
    "2",
    "--ingest-connections",
    "2",
    "--arrivals",
    "poisson",
];

#[test]
fn the_mixed_scenario_passes_its_checks_with_a_ramp_and_limits() {
    let more = ["--ramp", "300ms", "--limit", "p99=1m", "--limit", "readings.rate=1"];
    let report = run("mixed", &[FEW.as_slice(), &more].concat());
    assert_all_checked(&report, 12);
    for figure in ["readings", "bookings_granted", "stream_entries", "reads"] {
        assert!(report["totals"][figure].as_u64() > Some(0), "{figure}: {report:#}");
    }
    assert!(report["timeline"]["seconds"].as_array().is_some_and(|rows| rows.len() >= 10));
}

#[test]
fn the_spike_scenario_tells_its_three_phases() {
    let more = ["--duration", "2s", "--spike-factor", "3", "--spike-duration", "500ms"];
    let report = run("spike", &[FEW.as_slice(), &more].concat());
    assert_all_checked(&report, 10);
    let phases = report["spike"]["phases"].as_array().expect("phases");
    let rates: Vec<f64> =
        phases.iter().map(|p| p["per_second"]["readings"].as_f64().expect("a rate")).collect();
    assert_eq!(rates.len(), 3);
    assert!(report["spike"]["recovery"].as_array().is_some_and(|rows| !rows.is_empty()));
}

#[test]
fn the_soak_scenario_says_that_a_second_shows_no_drift() {
    let report = run("soak", &FEW);
    assert_all_checked(&report, 10);
    let warnings = report["warnings"].as_array().expect("warnings");
    let said = |text: &str| warnings.iter().any(|w| w.as_str().is_some_and(|w| w.contains(text)));
    assert!(said("too short to see drift"), "{warnings:?}");
}

/// Rates and turns so small say nothing of fairness: what counts is that the course is played to its end, and that a
/// p99 which may not rise at all is seen to.
#[test]
fn neighbours_take_turns_and_all_that_was_promised_is_kept() {
    let few = [
        ["--rate", "2000"],
        ["--batch", "50"],
        ["--booking-rate", "30"],
        ["--read-rate", "30"],
        ["--bookers", "4"],
        ["--subscribers", "4"],
        ["--ingest-connections", "2"],
        ["--stalled-readers", "10"],
        ["--duration", "3200ms"],
        ["--turns", "2"],
        ["--rise-percent", "1000000"],
    ];
    let report = run("neighbours", few.as_flattened());
    assert_all_checked(&report, 12);
    assert_eq!(figure(&report, "stalled readers"), 10.0);
    assert!(figure(&report, "flood here: batches taken") > 0.0, "{report:#}");
    let sides: Vec<&str> = report["turns"]
        .as_array()
        .expect("turns")
        .iter()
        .map(|turn| turn["side"].as_str().expect("a side"))
        .collect();
    assert_eq!(sides, ["calm", "flooded", "flooded", "calm"]);
}

#[test]
fn a_broken_limit_fails_the_run_and_the_page_says_so() {
    build_server_if_missing();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let html = dir.path().join("report.html");
    let output = load(&[
        "book",
        "--duration",
        "500ms",
        "--warm-up",
        "0s",
        "--lots",
        "2",
        "--slots",
        "5",
        "--bookers",
        "1",
        "--limit",
        "bookings_granted.rate=1000000000",
        "--html",
        html.to_str().expect("UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAIL  limit bookings_granted.rate"));
    let page = std::fs::read_to_string(&html).expect("a page");
    assert!(page.contains("FAILED") && page.contains("limit bookings_granted.rate=1000000000"));
}

#[test]
fn wrong_usage_is_refused_with_the_remedy_before_anything_starts() {
    for (args, said) in [
        (["nonsense"].as_slice(), "standard, ingest, book, mixed, spike, soak"),
        (&["--limit", "speed=1"], "readings.rate"),
        (&["ingest", "--ramp", "1s"], "no rate to climb to"),
        (&["--url", "http://example.com:8080"], "not on this machine"),
        (&["--url", "http://127.0.0.1:9"], "LOTKEEPER_TOKEN_OPERATOR"),
        (&["--batch", "10001"], "1 to 10000"),
        (&["idle", "--connections", "0"], "1 to 25000"),
        (&["storm", "--rounds", "0"], "at least 1"),
        (&["overload", "--overload-factor", "0.5"], "1 to 100"),
        (&["overload", "--lots", "1"], "at least 2"),
        (&["crash", "--kills", "0"], "at least 1"),
        (&["crash", "--url", "http://127.0.0.1:9"], "leave --url out"),
        (&["neighbours", "--url", "http://127.0.0.1:9"], "not ours to flood"),
        (&["neighbours", "--turns", "0"], "give 1 to"),
        (&["neighbours", "--duration", "100ms"], "fewer --turns"),
        (&["mixed", "--samples", "x"], "belongs to the scenario soak"),
    ] {
        let output = load(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_keeps_every_promise() {
    let report = run("crash", &["--kills", "5", "--check-every", "2", "--seed", "3"]);
    assert_all_checked(&report, 12);
    assert_eq!(figure(&report, "kills"), 5.0);
    assert!(figure(&report, "answers to writes checked") > 0.0, "{report:#}");
    for figure in ["readings", "bookings_granted", "stream_entries", "reads"] {
        assert!(report["totals"][figure].as_u64() > Some(0), "{figure}: {report:#}");
    }
}
