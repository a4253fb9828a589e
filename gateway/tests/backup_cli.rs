//! `lotkeeper backup` and `lotkeeper restore` on the command line: pipes, kills, dead servers, refusals.
#![allow(clippy::unwrap_used)] // tests state what they expect

#[path = "common/backups.rs"]
mod backups;
mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;

use std::path::PathBuf;
use std::process::Stdio;

use backups::{empty_home_at, lotkeeper, restored, run, serving};
use common::token;
use http_common::bayed;
use lotkeeper_gateway::auth::Role;
use reqwest::Method;

/// Through a pipe, as to and from a program that encrypts.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_through_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let (home, running) = serving(directory.path(), "first", &[bayed("L1", 3)]).await;
    let output = lotkeeper(&["backup", "-", "--url", &home.url()]).output().await.unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"LKB1"));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("standard output"),
        "the summary goes elsewhere"
    );
    assert_eq!(running.stop().await, Some(0));
    let again = empty_home_at(directory.path(), "again");
    let mut command = lotkeeper(&["restore", "-", "--data", again.data.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, &output.stdout).await.unwrap();
    drop(input);
    assert!(child.wait().await.unwrap().success());
    let running = again.start().await;
    let shown = again.send(Method::GET, "/api/v1/lots/L1", &token(Role::Operator), None).await;
    assert_eq!(shown.expect(200)["slots"], 3);
    assert_eq!(running.stop().await, Some(0));
}

/// Kills of a restore, at moments of its whole length; each test run takes a few.
const RESTORE_KILLS: u64 = 6;
const RESTORE_KILLS_VARIABLE: &str = "LOTKEEPER_RESTORE_KILLS";

/// Whenever a restore is killed there is the whole directory or none, and the next restore works.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_killed_leaves_nothing_that_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let lots = [bayed("L1", 4_000), bayed("L2", 4_000)];
    let (home, running) = serving(directory.path(), "first", &lots).await;
    let file = directory.path().join("city.lkb");
    let (code, ..) =
        run(&mut lotkeeper(&["backup", file.to_str().unwrap(), "--url", &home.url()])).await;
    assert_eq!(code, Some(0));
    assert_eq!(running.stop().await, Some(0));
    let again = empty_home_at(directory.path(), "again");
    let partial = again.data.with_extension("partial");
    let args =
        ["restore", file.to_str().unwrap(), "--data", again.data.to_str().unwrap(), "--quiet"];
    let began = std::time::Instant::now();
    restored(&again, &file, &[]).await;
    let whole = began.elapsed();
    std::fs::remove_dir_all(&again.data).unwrap();
    let kills =
        std::env::var(RESTORE_KILLS_VARIABLE).map_or(RESTORE_KILLS, |kills| kills.parse().unwrap());
    let mut rng = process::seeded();
    let (mut nothing, mut unfinished) = (0, 0);
    for _ in 0..kills {
        let mut child = lotkeeper(&args).stdout(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(whole.mul_f64(rand::RngExt::random_range(&mut rng, 0.0..1.1))).await;
        child.kill().await.unwrap();
        if again.data.exists() {
            let (clean, said) = again.check().await;
            assert!(clean, "what has its name is whole: {said}");
            std::fs::remove_dir_all(&again.data).unwrap();
        } else if partial.join("RESTORING").exists() {
            unfinished += 1;
            let mut serve = lotkeeper(&[
                "serve",
                "--data",
                partial.to_str().unwrap(),
                "--listen",
                "127.0.0.1:0",
            ]);
            let (code, _, errors) = run(serve.env("LOTKEEPER_AUTH_KEY", common::KEY)).await;
            assert_eq!(code, Some(1), "{errors}");
            assert!(errors.contains("run the restore again, or remove it"), "{errors}");
        } else {
            nothing += 1;
        }
    }
    println!(
        "{kills} kills of a restore of {whole:?}: {unfinished} unfinished, {nothing} before it began"
    );
    restored(&again, &file, &[]).await;
    assert!(!partial.exists());
    let running = again.start().await;
    let shown = again.send(Method::GET, "/api/v1/lots/L2", &token(Role::Operator), None).await;
    assert_eq!(shown.expect(200)["slots"], 4_000);
    assert_eq!(running.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_whose_server_died_is_backed_up_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (home, running) = serving(directory.path(), "first", &[bayed("L1", 3)]).await;
    let file = directory.path().join("dead.lkb");
    let (out, data) = (file.to_str().unwrap(), home.data.to_str().unwrap());
    let (code, _, errors) = run(&mut lotkeeper(&["backup", out, "--data", data])).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("in use by another process") && !file.exists(), "{errors}");
    running.kill().await;
    let (code, told, errors) = run(&mut lotkeeper(&["backup", out, "--data", data])).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(told.contains("1 lots"), "{told}");
    let again = empty_home_at(directory.path(), "again");
    restored(&again, &file, &[]).await;
    let running = again.start().await;
    again.send(Method::GET, "/api/v1/lots/L1", &token(Role::Operator), None).await.expect(200);
    assert_eq!(running.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    std::fs::write(path("there"), "mine").unwrap();
    std::fs::write(path("strange"), "PK\u{3}\u{4} something else").unwrap();
    std::fs::create_dir(path("full")).unwrap();
    std::fs::write(path("full").join("x"), "mine").unwrap();
    let [there, strange, full, new] =
        ["there", "strange", "full", "new"].map(|name| path(name).to_str().unwrap().to_owned());
    // Nothing listens there: the port is taken and given back.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    for (args, code, says) in [
        (vec!["backup", &new, "--url", &nobody], 1, "is a server running at that address?"),
        (vec!["backup", &new, "--data", &full], 1, "CURRENT"),
        (vec!["backup", &new, "--data", &full, "--url", &nobody], 2, "cannot be used with"),
        (vec!["restore", &new, "--data", &full], 1, "No such file"),
        (vec!["restore", &strange, "--data", &full], 1, "is not empty"),
        (vec!["restore", &strange, "--data", &new], 1, "is not a backup of Lotkeeper"),
        (vec!["restore", &strange], 2, "--data"),
        (
            vec!["restore", &strange, "--data", &new, "--to-time", "yesterday"],
            2,
            "2026-03-01T09:00:00Z",
        ),
        (
            vec![
                "restore",
                &strange,
                "--data",
                &new,
                "--to-seq",
                "1",
                "--to-time",
                "2026-03-01T09:00:00Z",
            ],
            2,
            "cannot be used with",
        ),
    ] {
        let (found, told, errors) = run(&mut lotkeeper(&args)).await;
        assert_eq!(found, Some(code), "{args:?}: {told}{errors}");
        assert!(errors.contains(says), "{args:?}: {errors}");
        assert!(!path("new").exists() && !path("new.partial").exists(), "{args:?} left something");
    }
    let mut command = lotkeeper(&["backup", &new]);
    let (code, _, errors) = run(command.env_remove("LOTKEEPER_TOKEN")).await;
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("--role admin"), "{errors}");
    let (code, _, errors) = run(&mut lotkeeper(&["backup", &there, "--url", &nobody])).await;
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(
        std::fs::read_to_string(path("there")).unwrap(),
        "mine",
        "a backup never overwrites"
    );
}

/// Answers one request as it is told and hangs up.
fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<()>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut request, mut piece) = (Vec::new(), [0; 1_024]);
        while !request.ends_with(b"\r\n\r\n") {
            let read = socket.read(&mut piece).unwrap();
            assert!(read > 0, "the request has an end");
            request.extend_from_slice(&piece[..read]);
        }
        socket.write_all(answer.as_bytes()).unwrap();
    });
    (url, serving)
}

/// A server that cannot read its disk is there: what it said is told, not that its address may be wrong.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_said_that_cannot_go_on_is_told() {
    const REFUSED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 81\r\n\r\n\
        {\"status\":500,\"code\":\"internal\",\"detail\":\"the journal cannot be read; tell them\"}";
    const CUT: &str =
        "HTTP/1.1 200 OK\r\nx-request-id: r-17\r\ncontent-length: 9000\r\n\r\nLKB1\u{1}\0\0\0\0\0";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    for (answer, says) in [
        (REFUSED, ["500 internal", "the journal cannot be read; tell them"]),
        (CUT, ["answered with 200 and cut off after 10 bytes", "request id r-17"]),
    ] {
        let (url, serving) = answering(answer);
        let (code, _, errors) =
            run(&mut lotkeeper(&["backup", file.to_str().unwrap(), "--url", &url])).await;
        serving.join().unwrap();
        assert_eq!(code, Some(1), "{errors}");
        assert!(says.iter().all(|says| errors.contains(says)), "{errors}");
        assert!(!errors.contains("is a server running"), "{errors}");
        assert!(!file.exists(), "half a backup is none");
    }
}
