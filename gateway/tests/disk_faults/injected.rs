//! Calls that fail or are slow, by strace's fault injection into the real server.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use futures_util::future::join_all;
use reqwest::Method;

use crate::common::{Process, must_run_without, token};
use crate::{all_there, book, check, id_of, make_lot, recovers, refused, set, sound};
use lotkeeper_gateway::auth::Role;

/// A booking takes milliseconds.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// The server under strace, which leaves the server as our own child; or nothing where there is no strace.
fn injected(inject: &[&str], path: Option<&Path>, directory: &Path) -> Option<Command> {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(
            !must_run_without("strace", "strace is missing (apt-get install strace)"),
            "strace is required"
        );
        return None;
    }
    let mut command = Command::new("strace");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LOTKEEPER_") {
            command.env_remove(name);
        }
    }
    // `-D`: the tracer is a grandchild, so that signals and exit codes are the server's.
    command
        .args(["-D", "-f", "-qq", "-e", "trace=fdatasync,pread64", "-o"])
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

#[tokio::test(flavor = "multi_thread")]
async fn on_a_slow_disk_writes_wait_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    // From the twelfth sync of a thread on each takes ten minutes: longer than any test.
    let fault = "fdatasync:delay_exit=600000000:when=12+";
    let Some(mut command) = injected(&[fault], None, directory.path()) else { return };
    set(&mut command, &log);
    command.env("LOTKEEPER_ENGINE_PERMITS_RECORDS", "64");
    let server = std::sync::Arc::new(Process::start_command(command, &data));
    make_lot(&server).await;
    let mut ids = BTreeSet::new();
    let mut number = 0;
    // Until one gets no answer in the time that is enough for hundreds: the disk is slow from there on.
    while let Ok(answer) = tokio::time::timeout(PATIENCE, book(&server, number)).await {
        ids.insert(id_of(&answer.unwrap()));
        number += 1;
        assert!(number < 100, "the disk does not become slow");
    }
    let waiting: Vec<_> = (number + 1..number + 200)
        .map(|number| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { book(&server, number).await })
        })
        .collect();
    // More than there are permits: those beyond are told at once.
    let deadline = std::time::Instant::now() + crate::DEADLINE;
    let told = |waiting: &Vec<tokio::task::JoinHandle<_>>| {
        waiting.iter().filter(|one| one.is_finished()).count()
    };
    while told(&waiting) < 100 {
        assert!(std::time::Instant::now() < deadline, "{} are told", told(&waiting));
        for path in ["/livez", "/readyz", "/api/v1/lots/L1/slots", "/metrics"] {
            let answer = server.send(Method::GET, path, Some(&token(Role::Operator)), None).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        }
        all_there(&server, &ids).await;
    }
    let mut wait_still = 0;
    for one in waiting {
        if !one.is_finished() {
            wait_still += 1;
            one.abort();
            continue;
        }
        let answer = one.await.unwrap().expect("an answer");
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (503, "overloaded"),
            "{}",
            answer.text
        );
    }
    assert!(wait_still > 0, "writes wait for the disk");
    println!("{wait_still} writes wait for the disk, the others are told overloaded");
    // `kill -9` amid the sync; the abort of a client takes nothing back.
    drop(server);
    recovers(&data, directory.path(), &ids).await;
}
