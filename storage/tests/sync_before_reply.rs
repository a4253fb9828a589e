//! A reply comes after the disk: shown by the system calls, not by trust in a library.
//!
//! The test runs itself again under strace as a small server that commits and then writes `reply N` to
//! its output. In the trace, every reply must stand after a `fdatasync` (or `fsync`) of the `db` file that
//! returned 0 and that was called after the last write to that file. With the `sync_data` taken out of
//! `Live::make_durable` it fails at the first reply: sled's own flush ends in `sync_file_range`, and the
//! trace shows that too.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use common::Author;
use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::{Journal, Options, SledJournal};

const ROLE: &str = "LOTKEEPER_TEST_COMMITS_INTO";
const COMMITS: usize = 40;

/// The traced process. Run as a plain test it has nothing to do.
#[test]
fn commits_and_replies() {
    let Some(dir) = std::env::var_os(ROLE) else { return };
    let options = Options { data_dir: dir.into(), ..Options::default() };
    let (mut journal, _) = SledJournal::open(options).unwrap();
    let mut author = Author::new();
    journal.commit(&[author.created(LotKey(0), 300)]).unwrap();
    reply(0);
    for commit in 1..COMMITS {
        // Now and then more than sled's buffer of half a megabyte, which other threads write.
        let many = if commit % 10 == 9 { 40_000 } else { 0 };
        journal.commit(&author.changes(LotKey(0), commit * 13 + many)).unwrap();
        reply(commit);
    }
}

fn reply(commit: usize) {
    // Straight to the descriptor: a captured test output would never become a system call.
    let mut out = std::fs::File::options().write(true).open("/proc/self/fd/1").unwrap();
    out.write_all(format!("reply {commit}\n").as_bytes()).unwrap();
}

#[test]
fn every_reply_comes_after_a_sync_of_the_frames() {
    let required = std::env::var("LOTKEEPER_REQUIRE").is_ok_and(|require| require == "all");
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(!required, "strace is required and missing; apt-get install strace");
        println!("skipped: strace is missing (apt-get install strace)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let status = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-s",
            "16",
            "-e",
            "trace=pwrite64,write,fdatasync,fsync,sync_file_range",
        ])
        .arg("-o")
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "commits_and_replies", "--nocapture", "--test-threads=1"])
        .env(ROLE, dir.path().join("data"))
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let trace = std::fs::read_to_string(&trace).unwrap();
    let db = dir.path().join("data").join("journal-000001").join("db");
    let seen = judge(&trace, &db);
    assert_eq!(seen.replies, COMMITS, "every reply is in the trace");
    assert!(seen.writes >= COMMITS, "{} writes of frames", seen.writes);
    assert!(seen.syncs >= COMMITS, "{} syncs", seen.syncs);
}

#[derive(Debug, Default)]
struct Seen {
    replies: usize,
    writes: usize,
    syncs: usize,
}

/// Reads a trace of all threads in order of time. A call that another thread interrupts stands in two
/// lines, `<unfinished ...>` and `<... resumed>`: a write counts from its beginning to its end, a sync
/// covers what was written before it began and counts from its end.
fn judge(trace: &str, db: &Path) -> Seen {
    let db = format!("<{}>", db.display());
    let mut seen = Seen::default();
    let mut newest_write = 0;
    let mut synced_up_to = 0;
    let mut replied_up_to = 0;
    // By thread: the number of writes that its unfinished sync covers.
    let mut syncing: BTreeMap<&str, usize> = BTreeMap::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let is_sync = call.starts_with("fdatasync(") || call.starts_with("fsync(");
        if call.starts_with("pwrite64(") && call.contains(&db) {
            seen.writes += 1;
            newest_write = seen.writes;
        } else if is_sync && call.contains(&db) {
            match call.ends_with("<unfinished ...>") {
                true => drop(syncing.insert(thread, newest_write)),
                false => {
                    assert!(call.ends_with("= 0"), "a sync failed: {line}");
                    seen.syncs += 1;
                    synced_up_to = newest_write;
                }
            }
        } else if call.starts_with("<... fdatasync resumed>")
            || call.starts_with("<... fsync resumed>")
        {
            if let Some(covered) = syncing.remove(thread) {
                assert!(call.ends_with("= 0"), "a sync failed: {line}");
                seen.syncs += 1;
                synced_up_to = synced_up_to.max(covered);
            }
        } else if call.starts_with("write(") && call.contains("\"reply ") {
            assert!(newest_write > replied_up_to, "a reply without a write before it: {line}");
            assert_eq!(synced_up_to, newest_write, "a reply before the sync of its frames: {line}");
            replied_up_to = newest_write;
            seen.replies += 1;
        }
    }
    seen
}

#[test]
fn the_judge_refuses_a_reply_before_its_sync() {
    let write = "7 pwrite64(5</d/db>, \"x\", 4, 0) = 4\n";
    let sync = "7 fdatasync(5</d/db>) = 0\n";
    let range = "7 sync_file_range(5</d/db>, 0, 0, 0) = 0\n";
    let reply = "7 write(1</dev/null>, \"reply 1\\n\", 8) = 8\n";
    let unfinished = "7 fdatasync(5</d/db> <unfinished ...>\n";
    let resumed = "7 <... fdatasync resumed>) = 0\n";
    let verdict = |lines: &[&str]| {
        let trace = lines.concat();
        std::panic::catch_unwind(|| judge(&trace, Path::new("/d/db"))).is_ok()
    };
    assert!(verdict(&[write, sync, reply]));
    assert!(verdict(&[write, unfinished, resumed, reply]));
    assert!(!verdict(&[write, range, reply]));
    assert!(!verdict(&[write, reply, sync]));
    assert!(!verdict(&[write, unfinished, reply, resumed]));
    assert!(!verdict(&[write, unfinished, write, resumed, reply]));
    assert!(!verdict(&[write, "7 fdatasync(5</d/db>) = -1 EIO (Input/output error)\n", reply]));
    assert!(!verdict(&[sync, reply]));
}
