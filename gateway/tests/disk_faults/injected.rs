//! Calls that fail, by strace's fault injection into the real server.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use futures_util::future::join_all;

use crate::common::{Process, hermetic, must_run_without};
use crate::{DEADLINE, LOOK, book, check, id_of, make_lot, recovers, refused, set, sound};

/// Whether strace cannot be used here; says so.
fn strace_is_missing() -> bool {
    let is_missing = Command::new("strace").arg("-V").output().is_err();
    let reason = "strace is missing (apt-get install strace)";
    assert!(!is_missing || !must_run_without("strace", reason), "strace is required");
    is_missing
}

/// strace at a server that runs already: its calls fail or are late from now until this is dropped.
///
/// It is dropped before the server is told to end: what strace delays, it keeps even from SIGKILL.
pub struct Attached(Child);

impl Attached {
    /// With these faults, of calls on some files where any are named. Nothing where there is no strace, or where nobody
    /// may attach to another process.
    pub async fn to(
        server: &Process,
        inject: &[&str],
        files: &[PathBuf],
        directory: &Path,
    ) -> Option<Self> {
        if strace_is_missing() {
            return None;
        }
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(directory.join("attached"));
        command.args(["-p", &server.id().to_string()]);
        command.args(["-e", "trace=fsync,fdatasync,read,pread64"]);
        for fault in inject {
            command.arg("-e").arg(format!("inject={fault}"));
        }
        for file in files {
            command.arg("-P").arg(file);
        }
        let mut tracer = Self(command.stderr(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + DEADLINE;
        while !is_traced(server.id()) {
            if tracer.0.try_wait().unwrap().is_some() {
                eprintln!("skipped: this machine lets nobody attach to another process");
                return None;
            }
            assert!(Instant::now() < deadline, "strace does not attach");
            tokio::time::sleep(LOOK).await;
        }
        Some(tracer)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether all threads of a process are.
fn is_traced(id: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    // A thread may be gone before it is looked at.
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).ok();
    let mut threads = threads.filter_map(|thread| status(thread.ok()?));
    threads.all(|status| !status.contains("TracerPid:\t0\n"))
}

/// The server under strace, which leaves the server as our own child; or nothing where there is no strace.
pub fn injected(inject: &[&str], path: Option<&Path>, directory: &Path) -> Option<Command> {
    if strace_is_missing() {
        return None;
    }
    let mut command = hermetic(Command::new("strace"));
    // `-D`: the tracer is a grandchild, so that signals and exit codes are the server's.
    command
        .args(["-D", "-f", "-qq", "-e", "trace=fsync,fdatasync,pread64", "-o"])
        .arg(directory.join("trace"));
    for fault in inject {
        command.arg("-e").arg(format!("inject={fault}"));
    }
    if let Some(path) = path {
        command.arg("-P").arg(path);
    }
    command.arg(env!("CARGO_BIN_EXE_lotkeeper"));
    Some(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_process_and_the_next_start_copies_the_good_frames() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    // The calls of each thread count on their own; only the journal's makes so many.
    let Some(mut command) = injected(&["fdatasync:error=EIO:when=12"], None, directory.path())
    else {
        return;
    };
    set(&mut command, &log);
    let mut server = Process::start_command(command, &data);
    make_lot(&server).await;
    let (mut ids, mut unknown, mut cut) = (BTreeSet::new(), 0, 0);
    for round in 0..40 {
        // Several at once, so that some wait while the sync fails.
        let answers = join_all((0..6).map(|one| book(&server, round * 6 + one))).await;
        for answer in answers {
            match answer {
                Some(answer) if answer.status == 201 => drop(ids.insert(id_of(&answer))),
                Some(answer) => {
                    assert_eq!(
                        (answer.status.as_u16(), answer.code().as_str()),
                        (503, "outcome_unknown")
                    );
                    unknown += 1;
                }
                None => cut += 1,
            }
        }
        if unknown + cut > 0 {
            break;
        }
    }
    println!("{} acknowledged, {unknown} outcome_unknown, {cut} cut", ids.len());
    assert!(unknown > 0 && !ids.is_empty(), "{unknown} of those who waited were told");
    assert_eq!(server.wait(), None, "it aborts");
    let marker = fs::read_to_string(data.join("FAILED")).unwrap();
    assert!(marker.contains("sync") && marker.contains("Input/output error"), "{marker}");
    let (clean, said) = check(&data);
    assert!(
        clean && said.contains("a commit failed") && said.contains("fresh directory"),
        "{said}"
    );

    let logged = recovers(&data, directory.path(), &ids).await;
    assert!(logged.contains("recovered") && logged.contains("a commit failed before"), "{logged}");
    assert_eq!(fs::read_to_string(data.join("CURRENT")).unwrap(), "journal-000002\n");
    assert!(!data.join("FAILED").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_read_is_refused_at_the_start_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    let server = sound(&data, &log);
    make_lot(&server).await;
    let mut ids = BTreeSet::new();
    for number in 0..30 {
        ids.insert(id_of(&book(&server, number).await.unwrap()));
    }
    server.kill();
    let db = data.join("journal-000001").join("db");
    // A thread reads the file through in two calls; what sled reads of it later comes from others.
    for when in ["1+", "2+"] {
        let fault = format!("pread64:error=EIO:when={when}");
        let Some(command) = injected(&[&fault], Some(&db), directory.path()) else { return };
        let said = refused(command, &data);
        assert!(
            said.contains("Input/output error") && said.contains("good disk"),
            "{when}: {said}"
        );
    }
    recovers(&data, directory.path(), &ids).await;
}
