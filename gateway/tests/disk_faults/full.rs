//! A full disk, for real: a file system of some megabytes in memory.
//!
//! Mounting needs root, or a name space of one's own: without root the test runs itself again under
//! `unshare`. Where neither is allowed it is skipped.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use tempfile::TempDir;

use crate::common::{KEY, Process, binary, must_run_without, token};
use crate::{all_there, book, check, id_of, make_lot, recovers, refused, set, sound, until};
use lotkeeper_gateway::auth::Role;

const MIB: u64 = 1024 * 1024;
/// Set for a test that runs in a name space of its own.
const INSIDE: &str = "LOTKEEPER_TEST_MOUNTS";

/// A small file system; gone when this is dropped.
struct Small {
    place: TempDir,
}

impl Small {
    /// Mounts one; nothing where that is not allowed.
    fn mount(mib: u64) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "lotkeeper-test"]).arg(place.path());
        let mounted = mount.output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { place })
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(self.path()).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Something else takes the space, but for `left`.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join("something-else");
        let mut file = File::create(&path).unwrap();
        let block = vec![1; 4096];
        while self.free() > left {
            file.write_all(&block).unwrap();
        }
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.place.path()).status();
    }
}

/// A small file system, or nothing when the test ran elsewhere or cannot run.
fn small(test: &str, mib: u64) -> Option<Small> {
    if let Some(small) = Small::mount(mib) {
        return Some(small);
    }
    if std::env::var_os(INSIDE).is_none() {
        let mut again = Command::new("unshare");
        again.arg("-rm").arg(std::env::current_exe().unwrap());
        again.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
        let probe = Command::new("unshare").args(["-rm", "true"]).status();
        if probe.is_ok_and(|status| status.success()) {
            assert!(again.status().unwrap().success(), "the test failed in its own name space");
            return None;
        }
    }
    // A program can be installed; what a machine forbids cannot be required of it.
    if Command::new("mount").arg("--version").output().is_ok() {
        eprintln!("skipped: this machine lets nobody mount a small file system");
    } else {
        assert!(!must_run_without("mount", "nothing can be mounted"), "mount is required");
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_floor_writes_are_refused_and_reads_go_on() {
    let Some(disk) = small("full::below_the_floor_writes_are_refused_and_reads_go_on", 64) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (disk.path().join("data"), directory.path().join("log"));
    let mut command = binary();
    set(&mut command, &log);
    command.env("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", (32 * MIB).to_string());
    let server = Process::start_command(command, &data);
    make_lot(&server).await;
    let mut ids = BTreeSet::from([id_of(&book(&server, 0).await.unwrap())]);

    let other = disk.fill(16 * MIB);
    let told = until(&server, "/readyz", |answer| answer.status == 503).await;
    assert_eq!(told.code(), "storage_full");
    let refusal = book(&server, 1).await.unwrap();
    assert_eq!((refusal.status.as_u16(), refusal.code().as_str()), (503, "storage_full"));
    assert!(
        refusal.headers.contains_key("retry-after") && refusal.text.contains("free disk space")
    );
    for path in ["/livez", "/api/v1/lots/L1", "/api/v1/lots/L1/slots"] {
        let answer = server.send(Method::GET, path, Some(&token(Role::Operator)), None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    all_there(&server, &ids).await;

    fs::remove_file(other).unwrap();
    until(&server, "/readyz", |answer| answer.status == 200).await;
    ids.insert(id_of(&book(&server, 1).await.unwrap()));
    assert_eq!(server.stop(), Some(0));
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("free disk space is below the floor; writes are refused"), "{logged}");
    recovers(&data, directory.path(), &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_ends_the_process_and_loses_nothing() {
    let Some(disk) = small("full::a_disk_that_is_full_ends_the_process_and_loses_nothing", 24)
    else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (disk.path().join("data"), directory.path().join("log"));
    let mut server = sound(&data, &log);
    make_lot(&server).await;
    let mut ids = BTreeSet::from([id_of(&book(&server, 0).await.unwrap())]);
    let other = disk.fill(48 * 1024);
    for number in 1.. {
        let Some(answer) = book(&server, number).await else { break };
        if answer.status == 503 {
            assert_eq!(answer.code(), "outcome_unknown", "{}", answer.text);
            break;
        }
        ids.insert(id_of(&answer));
        assert!(number < 20_000, "the disk does not fill up");
    }
    // Aborted: no exit code.
    assert_eq!(server.wait(), None);
    let logged = fs::read_to_string(&log).unwrap();
    assert!(
        logged.contains("the engine cannot go on; the process ends, the next start recovers"),
        "{logged}"
    );
    assert!(logged.contains("No space left on device"), "{logged}");

    // As long as there is no space a start says so; and it may not make things worse.
    let mut command = binary();
    command.env("LOTKEEPER_AUTH_KEY", KEY);
    let said = refused(command, &data);
    assert!(said.contains("free disk space, then start again"), "{said}");
    fs::remove_file(other).unwrap();
    let (clean, said) = check(&data);
    assert!(clean, "{said}");
    println!("{} bookings were acknowledged before the disk was full", ids.len());
    recovers(&data, directory.path(), &ids).await;
}
