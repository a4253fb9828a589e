//! What `serve` says about its start: one report that names everything a recovery found and did.
//!
//! The real binary over directories as they are found in life: new, ended in order, killed, torn, behind
//! their tip, after a failed commit, restored.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use common::{KEY, Process, binary, token};
use http_common::{bayed, minutes, reading};
use lotkeeper_gateway::auth::Role;
use lotkeeper_storage::format::{Encoder, Tip};
use lotkeeper_storage::{Event, Options, SledJournal};
use reqwest::Method;
use serde_json::{Value, json};

/// A server whose log goes to a file.
struct Told {
    server: Process,
    log: PathBuf,
}

impl Told {
    fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    fn start_with(data: &Path, settings: &[(&str, &str)]) -> Self {
        let log = data.with_extension("log");
        let mut command = binary();
        command.env("LOTKEEPER_AUTH_KEY", KEY).env("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", "0");
        command.envs(settings.iter().copied()).stderr(File::create(&log).unwrap());
        // It listens after it has told.
        Self { server: Process::start_command(command, data), log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The line of the report that begins with `what`.
    #[track_caller]
    fn line(&self, what: &str) -> String {
        let log = self.log();
        let line = log.lines().find_map(|line| line.trim_start().strip_prefix(what));
        line.unwrap_or_else(|| panic!("no `{what}` in {log}")).trim().to_owned()
    }

    #[track_caller]
    fn says(&self, lines: &[(&str, &str)]) {
        for (what, part) in lines {
            let line = self.line(what);
            assert!(line.contains(part), "`{what}` says `{line}`, not `{part}`");
        }
    }

    fn warns(&self) -> bool {
        self.log().lines().any(|line| line.contains("WARN") && line.contains("recovered"))
    }

    async fn figure(&self, name: &str) -> f64 {
        let text = self.server.send(Method::GET, "/metrics", None, None).await.text;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer =
            self.server.send(Method::POST, path, Some(&token(Role::Operator)), Some(body)).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        answer.json()
    }

    /// A lot, a reading, a booking: three records, two people.
    async fn work(&self) {
        self.post("/api/v1/lots", &bayed("L1", 5)).await;
        self.post("/api/v1/lots/L1/readings", &json!({"readings": [reading("A-1", true)]})).await;
        let booking = json!({"lot": "L1", "from": minutes(6_000), "to": minutes(6_060), "vehicle": {"plate": "B-LK 1"}});
        self.post("/api/v1/reservations", &booking).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_directory_a_clean_end_and_a_kill_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let first = Told::start(&data);
    first.says(&[
        ("directory ", "format 4, live journal journal-000001"),
        ("epoch ", "new: so is the log"),
        ("log ", "empty"),
        ("serves ", "0 lots, 0 active reservations, 0 people"),
    ]);
    assert!(first.log().contains(&format!("recovered {}\n", data.display())), "{}", first.log());
    let epoch = first.line("epoch ")[..16].to_owned();
    assert_eq!((first.figure("lotkeeper_recovery_new_epoch").await, first.warns()), (1.0, false));
    first.work().await;
    assert_eq!(first.server.stop(), Some(0));

    let expected = [
        ("epoch ", epoch.as_str()),
        ("epoch ", "as before"),
        ("log ", "sequence 1 to 3, the last record at 20"),
        ("replayed ", "0 snapshots and 3 records in "),
        ("discarded ", "nothing"),
        ("serves ", "1 lots, 1 active reservations, 2 people"),
    ];
    let second = Told::start(&data);
    second.says(&expected);
    assert_eq!(second.figure("lotkeeper_recovery_replayed_records").await, 3.0);
    assert_eq!(second.figure("lotkeeper_recovery_new_epoch").await, 0.0);
    assert!(second.figure("lotkeeper_recovery_seconds").await > 0.0 && !second.warns());
    second.server.kill();

    let third = Told::start_with(&data, &[("LOTKEEPER_LOG_FORMAT", "json")]);
    let log = third.log();
    let line = log.lines().find(|line| line.contains("\"recovered\"")).unwrap();
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&told["last_seq"], &told["epoch"]), (&json!(3), &json!(epoch)), "{told}");
    assert_eq!((&told["people"], &told["remarkable"]), (&json!(2), &json!(false)), "{told}");
    assert_eq!(third.server.stop(), Some(0));
}

/// Frames of a commit that a crash cut short: the first ones of several, never acknowledged.
fn tear(data: &Path) -> usize {
    let options = Options { data_dir: data.to_path_buf(), ..Options::default() };
    let (journal, recovery) = SledJournal::open(options).unwrap();
    let epoch = recovery.epoch;
    let mut records: Vec<_> = recovery.tail.flat_map(Result::unwrap).collect();
    drop(journal);
    let seen = records.iter().rfind(|record| matches!(record.event, Event::Slot(..)));
    let (mut next, last) = (seen.unwrap().clone(), records.pop().unwrap());
    (next.seq, next.lot_seq) = (last.seq, last.lot_seq);
    let torn: Vec<_> = (0..2_000)
        .map(|_| {
            next.seq += 1;
            next.lot_seq += 1;
            next.clone()
        })
        .collect();
    let mut encoder = Encoder::default();
    encoder.encode(epoch, &torn).unwrap();
    let db = sled::open(data.join("journal-000001")).unwrap();
    let frames = db.open_tree("frames").unwrap();
    let kept = encoder.frame_count() - 1;
    for (key, bytes) in encoder.frames().take(kept) {
        frames.insert(key.to_bytes(), bytes).unwrap();
    }
    db.flush().unwrap();
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_recovery_discards_loses_or_repairs_is_told_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let first = Told::start(&data);
    first.work().await;
    assert_eq!(first.server.stop(), Some(0));

    let kept = tear(&data);
    assert!(kept > 1);
    let torn = Told::start(&data);
    let discarded = format!("{kept} frames of a commit that was cut short");
    torn.says(&[("discarded ", &discarded), ("epoch ", "as before"), ("log ", "sequence 1 to 3")]);
    assert_eq!(torn.figure("lotkeeper_recovery_discarded_frames").await as usize, kept);
    assert!(!torn.warns(), "nobody was told of it");
    assert_eq!(torn.server.stop(), Some(0));

    fs::write(data.join("FAILED"), "sync on the disk failed: Input/output error").unwrap();
    let repaired = Told::start(&data);
    repaired.says(&[
        ("rebuilt ", "from journal-000001: a commit failed before: sync on the disk failed"),
        ("directory ", "live journal journal-000002"),
        ("epoch ", "as before"),
    ]);
    assert!(repaired.warns());
    assert_eq!(repaired.figure("lotkeeper_recovery_rebuilt").await, 1.0);
    let epoch = repaired.line("epoch ")[..16].to_owned();
    assert_eq!(repaired.server.stop(), Some(0));

    let tip = Tip::bare(u64::from_str_radix(&epoch, 16).unwrap(), 10);
    fs::write(data.join("TIP"), tip.to_bytes()).unwrap();
    let behind = Told::start(&data);
    behind.says(&[
        ("LOST ", "7 records: TIP had seen sequence 10, the log ends at 3"),
        ("epoch ", "new: records that were durable are missing"),
    ]);
    assert!(behind.warns());
    assert_eq!(behind.figure("lotkeeper_recovery_lost_records").await, 7.0);
    assert_eq!(behind.server.stop(), Some(0));

    fs::remove_file(data.join("TIP")).unwrap();
    let lost = Told::start(&data);
    lost.says(&[("epoch ", "new: TIP is missing")]);
    assert!(lost.warns());
    assert_eq!(lost.server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_lost_beside_the_newest_records_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let first = Told::start(&data);
    first.work().await;
    assert_eq!(first.figure("lotkeeper_recovery_lost_people").await, 0.0);
    assert_eq!(first.server.stop(), Some(0));

    // As when sled cannot read the page under them; and a tip that knows of one erasure more.
    let db = sled::open(data.join("journal-000001")).unwrap();
    db.open_tree("people").unwrap().clear().unwrap();
    db.flush().unwrap();
    drop(db);
    let mut tip = Tip::from_bytes(&fs::read(data.join("TIP")).unwrap()).unwrap();
    let held = tip.holdings.as_mut().unwrap();
    let people = held.places;
    assert!(people >= 2, "{held:?}");
    held.erased += 1;
    // The log of this directory begins with record 1, so the one before stands for an older file.
    held.first_seq = 0;
    fs::write(data.join("TIP"), tip.to_bytes()).unwrap();
    let lost = Told::start(&data);
    lost.says(&[
        ("LOST PEOPLE ", &format!("{people}: their clear texts are not there")),
        ("LOST ERASURES ", "1: clear texts of people who were erased may be back"),
        ("LOST HISTORY ", "records 0 to 0: files of the archive that nobody pruned are gone"),
        ("epoch ", "as before"),
        ("serves ", "1 lots, 1 active reservations, 0 people"),
    ]);
    assert!(lost.warns());
    assert_eq!(lost.figure("lotkeeper_recovery_lost_people").await, people as f64);
    assert_eq!(lost.figure("lotkeeper_recovery_lost_erasures").await, 1.0);
    assert_eq!(lost.figure("lotkeeper_recovery_lost_records").await, 1.0);
    assert_eq!(lost.server.stop(), Some(0));

    let after = Told::start(&data);
    after.says(&[("lost people ", &format!("{people}, as an earlier start has told"))]);
    let log = after.log();
    assert!(!log.contains("LOST PEOPLE") && !log.contains("LOST ERASURES"), "{log}");
    assert!(log.contains("LOST HISTORY"), "until pruning has passed it: {log}");
    assert_eq!(after.figure("lotkeeper_recovery_lost_people").await, people as f64);
    assert_eq!(after.server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_after_a_restore_tells_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let (data, again) = (directory.path().join("data"), directory.path().join("again"));
    let first = Told::start(&data);
    first.work().await;
    first.server.kill();
    let file = directory.path().join("b.lkb");
    let run = |args: &[&std::ffi::OsStr]| {
        let output = binary().args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["backup".as_ref(), file.as_os_str(), "--data".as_ref(), data.as_os_str()]);
    let target = ["--to-seq".as_ref(), "2".as_ref()];
    run(&[
        "restore".as_ref(),
        file.as_os_str(),
        "--data".as_ref(),
        again.as_os_str(),
        target[0],
        target[1],
    ]);
    let restored = Told::start(&again);
    restored.says(&[
        ("restored ", "to sequence 2, from a backup of epoch "),
        ("epoch ", "new, by the restore"),
        ("log ", "sequence 1 to 2"),
        ("serves ", "1 lots, 0 active reservations, 2 people"),
    ]);
    assert_eq!(restored.figure("lotkeeper_recovery_new_epoch").await, 1.0);
    assert!(!restored.warns());
    assert_eq!(restored.server.stop(), Some(0));
    let after = Told::start(&again);
    after.says(&[("epoch ", "as before")]);
    assert!(!after.log().contains("restored "), "it is told once");
    assert_eq!(after.server.stop(), Some(0));
}
