//! `fanout` and `compare` against real servers: they run, their checks pass, nothing is left behind.
//! No timing is asserted. A peer that is not installed is skipped with a printed reason, and fails where
//! `LOTKEEPER_REQUIRE=all` is set.

mod common;

use common::{build_server_if_missing, load};
use serde_json::Value;
use std::path::Path;

/// Programs that make a peer, as the command looks for them.
const PEERS: [(&str, &[&str]); 4] = [
    ("postgres", &["postgres"]),
    ("redis", &["redis-server"]),
    ("nats", &["nats-server"]),
    ("nchan", &["nginx"]),
];

fn is_installed(program: &str) -> bool {
    let mut dirs: Vec<std::path::PathBuf> = ["/usr/sbin", "/usr/local/bin"].map(Into::into).into();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        dirs.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    dirs.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    dirs.iter().any(|dir| dir.join(program).is_file())
}

/// Runs the comparison with tiny numbers; gives back its JSON table.
#[track_caller]
fn compare(only: &str, scratch: &Path) -> Value {
    let out = scratch.join("table.json");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let data = scratch.join("data");
    std::fs::create_dir(&data).expect("a directory");
    // Servers that refuse to run as root run as somebody else, who must get in here.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch, open).expect("permissions");
    let output = load(&[
        "compare",
        "--only",
        only,
        "--duration",
        "1s",
        "--warm-up",
        "200ms",
        "--lots",
        "4",
        "--slots",
        "32",
        "--connections",
        "4",
        "--subscribers",
        "20",
        "--changes-per-second",
        "100",
        "--out",
        &text(&out),
        "--data-parent",
        &text(&data),
    ]);
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    let left: Vec<_> = std::fs::read_dir(&data).expect("readable").flatten().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    serde_json::from_str(&std::fs::read_to_string(&out).expect("a table")).expect("JSON")
}

#[track_caller]
fn assert_rows(table: &Value, keys: &[&str]) {
    let rows = table["rows"].as_array().expect("rows");
    for key in keys {
        let row = rows
            .iter()
            .find(|row| row["key"] == *key)
            .unwrap_or_else(|| panic!("no {key}: {table:#}"));
        assert!(row["per_second"].as_f64() > Some(0.0), "{row:#}");
        let checks = row["checks"].as_array().expect("checks");
        assert!(checks.iter().all(|check| check["faults"] == 0), "{row:#}");
    }
}

#[test]
fn every_installed_peer_does_its_work_and_is_verified() {
    let must = std::env::var_os("LOTKEEPER_REQUIRE").is_some_and(|what| what == "all");
    let mut names = Vec::new();
    for (name, programs) in PEERS {
        if programs.iter().all(|program| is_installed(program)) {
            names.push(name);
        } else {
            assert!(!must, "{name} is not installed and LOTKEEPER_REQUIRE=all");
            println!("skipped {name}: none of {programs:?} is installed");
        }
    }
    if names.is_empty() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let table = compare(&names.join(","), scratch.path());
    for name in names {
        let keys: &[&str] = match name {
            "postgres" => &[
                "postgres.book.pipelined",
                "postgres.book.function",
                "postgres.scan.pipelined",
                "postgres.scan.function",
                "postgres.scan.batched",
            ],
            "redis" => &["redis.reading", "redis.reading.pipelined", "redis.book"],
            "nats" => &["nats.full", "nats.paced"],
            _ => &["nchan.full", "nchan.paced"],
        };
        assert_rows(&table, keys);
    }
}

#[test]
fn our_own_stages_the_echo_and_the_file_give_figures() {
    build_server_if_missing();
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let table = compare("ours,echo,disk", scratch.path());
    assert_rows(
        &table,
        &[
            "ours.json",
            "ours.binary",
            "ours.book",
            "ours.fanout.full",
            "ours.fanout.paced",
            "ours.counts.paced",
        ],
    );
    assert_rows(
        &table,
        &["ours.latency.10", "ours.latency.80", "echo", "file.1", "file.200", "file.2000"],
    );
    let bars = table["bars"].as_array().expect("bars");
    assert!(bars.iter().any(|bar| bar["said"] == "not_measured"), "{bars:?}");
    assert!(bars.iter().any(|bar| bar["said"] != "not_measured"), "{bars:?}");
}

#[test]
fn the_fanout_scenario_delivers_every_change_on_both_views() {
    build_server_if_missing();
    for (view, speed) in [("slots", None), ("slots", Some("200")), ("counts", Some("200"))] {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let json = scratch.path().join("report.json");
        let mut args = vec!["fanout", "--view", view, "--subscribers", "30", "--slots", "20"];
        args.extend([
            "--duration",
            "1s",
            "--warm-up",
            "200ms",
            "--json",
            json.to_str().expect("UTF-8"),
        ]);
        if let Some(rate) = speed {
            args.extend(["--changes-per-second", rate]);
        }
        let output = load(&args);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
        let report: Value =
            serde_json::from_str(&std::fs::read_to_string(&json).expect("a report")).expect("JSON");
        assert!(report["fan_out"]["deliveries"].as_u64() > Some(0), "{report:#}");
        assert_eq!((&report["passed"], &report["fan_out"]["view"]), (&true.into(), &view.into()));
    }
}

#[test]
fn wrong_usage_of_the_comparison_starts_nothing() {
    for (args, said) in [
        (["compare", "--only", "oracle"].as_slice(), "possible values"),
        (&["compare", "--subscribers", "0"], "--subscribers"),
        (&["compare", "--out", "table.html"], ".md, .json or .txt"),
        (&["echo-server", "10.0.0.1:80"], "on this machine"),
    ] {
        let output = load(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}
