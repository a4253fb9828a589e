//! `fanout` and `compare` against real servers: they run, their checks pass, nothing is left behind.
//! No timing is asserted. A peer that is not installed is skipped with a printed reason, and fails where
//! `LOTKEEPER_REQUIRE=all` is set.

mod common;

use common::{LOAD, build_server_if_missing, load};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        "--settle",
        "1s",
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
        assert!(row["disk_p99_us"].as_u64() > Some(0), "what was the disk like? {row:#}");
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
                "postgres.book.stepwise",
                "postgres.book.pipelined",
                "postgres.book.function",
                "postgres.gate.stepwise",
                "postgres.gate.function",
                "postgres.scan.stepwise",
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
    assert_rows(&table, &["ours.maximum", "ours.latency.10", "ours.latency.80", "echo"]);
    // The journal's program is built by the command itself: this one runs from a checkout.
    assert_rows(&table, &["file.1", "file.200", "file.2000"]);
    assert_rows(&table, &["journal.1", "journal.200", "journal.2000"]);
    for bar in table["bars"].as_array().expect("bars") {
        let needs_others = ["PostgreSQL", "nats", "nchan"];
        let name = bar["what"].as_str().expect("a name");
        let is_measured = !needs_others.iter().any(|other| name.contains(other));
        assert_eq!(bar["said"] != "not_measured", is_measured, "{bar:#}");
        assert_eq!(bar["why"].as_str(), (!is_measured).then_some("left out by --only"), "{bar:#}");
    }
    latency_has_the_shape_of_its_maximum(&table);
}

/// Same encoding, connections, batches, depth and subscribers; those who write gigabytes have not had their turn yet.
#[track_caller]
fn latency_has_the_shape_of_its_maximum(table: &Value) {
    let rows = table["rows"].as_array().expect("rows");
    let keys: Vec<_> = rows.iter().filter_map(|row| row["key"].as_str()).collect();
    assert_eq!(keys[..3], ["ours.maximum", "ours.latency.10", "ours.latency.80"]);
    let text = |nth: usize| rows[nth]["what"].as_str().expect("what it is");
    let shape = text(0).strip_prefix("as many as it takes; ").expect("the shape");
    assert!(shape.contains("binary") && shape.contains("subscribers"), "{shape}");
    for nth in [1, 2] {
        assert!(text(nth).ends_with(&format!("readings/s due; {shape}")), "{}", text(nth));
    }
}

/// A place that looks as a checkout and its target directory do, with the command in it.
fn other_checkout(root: &Path, has_source: bool) -> PathBuf {
    let beside = root.join("target").join("release");
    std::fs::create_dir_all(&beside).expect("a directory");
    if has_source {
        std::fs::create_dir_all(root.join("storage/examples")).expect("a directory");
        for name in ["Cargo.toml", "storage/examples/journal_speed.rs"] {
            std::fs::write(root.join(name), "").expect("a file");
        }
    }
    let program = beside.join("lotkeeper-load");
    // By another process, as scripts are: a file that a thread of ours has open for writing, or passed on in
    // a fork, cannot be run.
    let copied = Command::new("cp").arg(LOAD).arg(&program).status().expect("cp runs");
    assert!(copied.success());
    program
}

/// A script for this machine's shell.
fn script(path: &Path, text: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod +x "$0""#;
    let mut shell = Command::new("/bin/sh");
    let written = shell.arg("-c").arg(write).arg(path).arg(text).status().expect("sh runs");
    assert!(written.success());
}

/// Plays the disk alone; gives back the table and what was said meanwhile.
#[track_caller]
fn compare_disk(program: &Path, cargo: &Path, root: &Path) -> (Value, String) {
    let out = root.join("table.json");
    let output = Command::new(program)
        .args(["compare", "--only", "disk", "--duration", "100ms", "--settle", "0s"])
        .args([OsStr::new("--out"), out.as_os_str(), "--data-parent".as_ref(), root.as_os_str()])
        .env("CARGO", cargo)
        .output()
        .expect("the command runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let table = std::fs::read_to_string(&out).expect("a table");
    (serde_json::from_str(&table).expect("JSON"), said)
}

fn journal_bar(table: &Value) -> &Value {
    let bars = table["bars"].as_array().expect("bars");
    let name = "journal over the plain file, commits of 2,000 records";
    bars.iter().find(|bar| bar["what"] == name).expect("the bar")
}

#[test]
fn the_journals_program_is_built_before_the_first_stage_and_takes_turns_with_the_file() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let root = scratch.path();
    let program = other_checkout(root, true);
    let (cargo, orders) = (root.join("my-cargo"), root.join("orders"));
    let line = r#"{"commits_per_second":1000,"bytes_per_commit":340,"p50_us":5,"p99_us":9}"#;
    // It runs where the plain file grows, and tells how long that is at each order.
    let example = format!(
        "while read order; do echo $order $(stat -c %s file.${{order%% *}} || echo 0) >> {}; echo '{line}'; done",
        orders.display()
    );
    script(&root.join("example"), &example);
    script(
        &cargo,
        "echo \"$PWD: $*\" > built; mkdir target/release/examples; mv example target/release/examples/journal_speed",
    );
    let (table, said) = compare_disk(&program, &cargo, root);
    let built = std::fs::read_to_string(root.join("built")).expect("cargo was called");
    let expected = "build -p lotkeeper-storage --example journal_speed --release --target-dir";
    assert!(built.contains(expected) && built.contains(&*root.to_string_lossy()), "{built}");
    let (building, first) = (said.find("building"), said.find("file.1;"));
    assert!(building.is_some() && building < first, "{said}");
    assert_rows(&table, &["file.2000", "journal.1", "journal.200", "journal.2000"]);
    assert!(journal_bar(&table)["measured"].as_f64() > Some(0.0), "{table:#}");
    // One to warm up and to learn the bytes of a commit, then five; in between the file grew each time.
    let orders = std::fs::read_to_string(orders).expect("it was asked");
    for records in ["1 ", "200 ", "2000 "] {
        let of_size = orders.lines().filter(|line| line.starts_with(records));
        let lengths: Vec<u64> = of_size
            .map(|line| line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a length"))
            .collect();
        assert_eq!((lengths.len(), lengths[0]), (6, 0), "{orders}");
        assert!(lengths.is_sorted_by(|before, after| before < after), "{orders}");
    }
}

#[test]
fn a_journal_that_cannot_be_measured_is_said_at_the_start_and_in_its_bar() {
    let refuses = "echo no network >&2; exit 7";
    for (has_source, expected) in [(true, "exit status: 7"), (false, "no checkout lies above")] {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let program = other_checkout(scratch.path(), has_source);
        let cargo = scratch.path().join("my-cargo");
        script(&cargo, refuses);
        let (table, said) = compare_disk(&program, &cargo, scratch.path());
        assert!(said.find("left out: journal_speed") < said.find("file.1;"), "{said}");
        let bar = journal_bar(&table);
        let why = bar["why"].as_str().expect("a reason");
        assert_eq!(bar["said"], "not_measured");
        for part in [expected, "cargo build --release -p lotkeeper-storage --example journal_speed"]
        {
            assert!(why.contains(part), "{why}");
        }
        assert_rows(&table, &["file.1", "file.200", "file.2000"]);
    }
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
