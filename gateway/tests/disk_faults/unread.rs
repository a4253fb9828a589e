//! Reads that fail in a server that runs: after a clean start strace is attached and fails those of the archive.
//!
//! Deliberately absent: the live journal's file, whose pages a start has read and sled mostly still has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lotkeeper_gateway::auth::Role;
use lotkeeper_storage::{Journal, Options, SledJournal};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Answer, Process, binary, token};
use crate::injected::Attached;
use crate::{DEADLINE, LOOK, SLOTS, all_there, book, check, id_of, make_lot, recovers, set};

const BATCHES: usize = 8;
const READINGS: usize = 10_000;
const PAGE: usize = 500;

/// A server with the smallest cache.
fn small(data: &Path, log: &Path) -> Process {
    let mut command = binary();
    set(&mut command, log);
    command.env("LOTKEEPER_STORAGE_CACHE_BYTES", "1048576");
    command.env("LOTKEEPER_STORAGE_SNAPSHOT_EVERY_RECORDS", "10000");
    Process::start_command(command, data)
}

async fn get(server: &Process, path: &str) -> Answer {
    server.send(Method::GET, path, Some(&token(Role::Operator)), None).await
}

/// Fills the log.
async fn fill(server: &Process) {
    for batch in 0..BATCHES {
        let readings: Vec<Value> = (0..READINGS)
            .map(|reading| {
                let occupied = ((batch * READINGS + reading) / SLOTS).is_multiple_of(2);
                json!({"slot": format!("A-{}", reading % SLOTS + 1), "occupied": occupied})
            })
            .collect();
        let body = json!({"readings": readings});
        let (path, token) = ("/api/v1/lots/L1/readings", token(Role::Operator));
        server.send(Method::POST, path, Some(&token), Some(&body)).await.expect(200);
    }
}

/// Moves all that no start needs to the archive, as a server does when its journal has 16 MiB or more.
fn rotate(data: &Path) {
    let options = Options {
        data_dir: data.to_path_buf(),
        rotate_bytes: 1,
        tip_interval_ms: 0,
        ..Options::default()
    };
    let (mut journal, _recovery) = SledJournal::open(options).unwrap();
    let deadline = Instant::now() + DEADLINE;
    while !journal.maintain().unwrap().rotated {
        assert!(Instant::now() < deadline, "the journal does not rotate");
        std::thread::sleep(LOOK);
    }
    assert!(!archives(data).is_empty());
}

fn archives(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("archive")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|one| one == "lkf")).collect();
    paths.sort();
    paths
}

/// The log, page by page: as it is, or an error; by the first sequence of a page.
async fn pages(server: &Process) -> Vec<Answer> {
    let mut pages = Vec::new();
    for after in (0..BATCHES * READINGS).step_by(2_000) {
        pages.push(get(server, &format!("/api/v1/events?after_seq={after}&limit={PAGE}")).await);
    }
    pages
}

/// A server whose reads of some files fail: what it says, and that nothing else suffers.
async fn round(
    data: &Path,
    files: &[PathBuf],
    good: &[Answer],
    ids: &mut BTreeSet<String>,
    directory: &Path,
) -> Option<()> {
    let log = directory.join("log");
    let server = small(data, &log);
    let faults = ["read:error=EIO", "pread64:error=EIO"];
    let failing = Attached::to(&server, &faults, files, directory).await?;
    let mut failed = 0;
    for (page, good) in pages(&server).await.iter().zip(good) {
        match page.status.as_u16() {
            200 => assert_eq!(page.text, good.text, "what is answered is right"),
            _ => {
                assert_eq!((page.status.as_u16(), page.code().as_str()), (500, "internal"));
                failed += 1;
            }
        }
    }
    println!("{failed} of {} pages failed, of {files:?}", good.len());
    assert!(failed > 0);
    for path in ["/livez", "/readyz", "/metrics", "/api/v1/lots/L1/slots", "/api/v1/lots/L1"] {
        assert_eq!(get(&server, path).await.status, 200, "{path}");
    }
    all_there(&server, ids).await;
    let file = directory.join("backup");
    let mut backup = binary();
    backup.arg("backup").arg(&file).args(["--token", &token(Role::Admin)]);
    let output = backup.args(["--url", &format!("http://{}", server.address)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!file.exists(), "half a backup is none");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // At once, or when the body had begun.
    assert!(said.contains("500 internal") || said.contains("cut off after"), "{said}");
    assert!(!said.contains("is a server running"), "the address is not to blame: {said}");
    // What a write needs of the journal is in memory.
    let made = book(&server, ids.len()).await;
    ids.insert(id_of(&made.unwrap()));
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("storage cannot be read") && logged.contains("good disk"), "{logged}");
    assert!(!logged.contains("panicked"), "{logged}");

    // The disk is good again, and so is what was read of it.
    drop(failing);
    for (page, good) in pages(&server).await.iter().zip(good) {
        assert_eq!((page.status.as_u16(), &page.text), (200, &good.text));
    }
    assert_eq!(server.stop(), Some(0));
    let (clean, said) = check(data);
    assert!(clean, "{said}");
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_fail_while_it_runs_are_told_and_nothing_else_suffers() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = small(&data, &directory.path().join("log"));
    make_lot(&server).await;
    let mut ids = BTreeSet::new();
    for number in 0..SLOTS {
        ids.insert(id_of(&book(&server, number).await.unwrap()));
    }
    fill(&server).await;
    let good = pages(&server).await;
    assert!(good.iter().all(|page| page.status == 200));
    assert_eq!(server.stop(), Some(0));

    rotate(&data);
    let archive = archives(&data);
    if round(&data, &archive, &good, &mut ids, directory.path()).await.is_none() {
        return;
    }
    recovers(&data, directory.path(), &ids).await;
}
