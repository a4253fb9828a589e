//! The command line as people meet it: exit codes, what goes where, what an error says.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;

use std::io::{Read, Write};
use std::path::Path;
use std::process::Output;

use common::{Process, binary, token};
use lotkeeper_gateway::auth::{Auth, Role};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    binary().args(args).envs(environment.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn made_key(data: &Path) -> String {
    std::fs::read_to_string(data.join("signing.key")).unwrap().trim().to_owned()
}

#[test]
fn wrong_usage_and_configuration_exit_with_2_and_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let file = directory.path().join("bad.toml");
    std::fs::write(&file, "[server]\nlisen = \"127.0.0.1:0\"").unwrap();
    let file = file.to_str().unwrap();
    for (args, environment, says) in [
        (vec!["frobnicate"], vec![], "frobnicate"),
        (vec!["serve", "--nonsense"], vec![], "--nonsense"),
        (vec!["serve", "--config", file], vec![], "server.listen"),
        (vec!["serve", "--config", "/nowhere.toml"], vec![], "/nowhere.toml"),
        (vec!["serve", "--data", data, "--listen", "here"], vec![], "server.listen = here"),
        (
            vec!["serve", "--data", data],
            vec![("LOTKEEPER_SERVER_LISTN", "x")],
            "LOTKEEPER_SERVER_LISTEN",
        ),
        (vec!["serve", "--data", data], vec![("LOTKEEPER_LOG", "loud=very")], "LOTKEEPER_LOG"),
        (vec!["serve", "--data", data, "--listen", "0.0.0.0:0"], vec![], "LOTKEEPER_AUTH_KEY"),
        (vec!["token", "--data", data, "--role", "staff"], vec![], "serve"),
        (vec!["token", "--data", data, "--role", "emperor"], vec![], "emperor"),
        (vec!["token", "--data", data, "--role", "staff", "--ttl", "1"], vec![], "1h30m"),
        (vec!["token", "--role", "staff"], vec![("LOTKEEPER_AUTH_KEY", "short")], "openssl rand"),
    ] {
        let output = run(&args, &environment);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(says), "{args:?}: {errors}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    assert!(!directory.path().join("signing.key").exists(), "a refused start makes no key");
}

#[test]
fn help_and_version_exit_with_0() {
    for (args, says) in [(vec!["--help"], "replay"), (vec!["--version"], env!("CARGO_PKG_VERSION"))]
    {
        let output = run(&args, &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains(says));
    }
}

#[test]
fn token_goes_alone_to_standard_output() {
    let key = "k".repeat(40);
    let output = run(
        &[
            "token",
            "--role",
            "device",
            "--tenant",
            "city",
            "--subject",
            "gate-1",
            "--lot",
            "L1",
            "--lot",
            "L2",
            "--ttl",
            "1h30m",
        ],
        &[("LOTKEEPER_AUTH_KEY", &key)],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let principal = Auth::new(&[key]).unwrap().verify(text(&output.stdout).trim()).unwrap();
    assert_eq!((&*principal.subject, &*principal.tenant), ("gate-1", "city"));
    assert_eq!(principal.role, Role::Device);
    assert_eq!(principal.lots, Some(["L1".to_owned(), "L2".to_owned()].into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_start_makes_a_key_that_the_token_command_uses() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = Process::start_command(binary(), &data);
    let output = run(&["token", "--data", data.to_str().unwrap(), "--role", "operator"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let token = text(&output.stdout);
    let answer = server.send(Method::GET, "/api/v1/lots", Some(token.trim()), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let key = made_key(&data);
    assert_eq!(server.stop(), Some(0));

    let server = Process::start_command(binary(), &data);
    assert_eq!(made_key(&data), key, "the second start keeps the key");
    let answer = server.send(Method::GET, "/api/v1/lots", Some(token.trim()), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn either_signal_ends_in_order_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Process::start(&directory.path().join("data"));
        let answer = server.send(Method::GET, "/readyz", None, None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        server.signal(signal);
        assert_eq!(server.wait(), Some(0));
        let unreachable = reqwest::get(format!("http://{}/livez", server.address)).await;
        assert!(unreachable.is_err());
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = binary();
    command.env("LOTKEEPER_AUTH_KEY", common::KEY).env("LOTKEEPER_SERVER_SHUTDOWN_SECONDS", "600");
    let mut server = Process::start_command(command, &directory.path().join("data"));
    // A request whose body never comes: the end waits for it.
    let mut stuck = std::net::TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /api/v1/lots HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\
         Content-Type: application/json\r\nAuthorization: Bearer {}\r\n\r\n",
        token(Role::Operator)
    );
    stuck.write_all(head.as_bytes()).unwrap();
    // `100 Continue` says that the handler waits for the body.
    assert!(stuck.read(&mut [0; 64]).unwrap() > 0);
    server.signal(Signal::TERM);
    // Stopped accepting: the first signal was taken.
    while std::net::TcpStream::connect(server.address).is_ok() {
        std::thread::yield_now();
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_port_and_taken_directory_exit_with_1_and_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = Process::start(&data);
    let answer = server.send(Method::GET, "/api/v1/lots", Some(&token(Role::Driver)), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let listen = server.address.to_string();
    let other = directory.path().join("other");
    for (data, listen, says) in [
        (&other, listen.as_str(), "cannot listen on 127.0.0.1"),
        (&data, "127.0.0.1:0", "in use by another process"),
    ] {
        let output = run(&["serve", "--data", data.to_str().unwrap(), "--listen", listen], &[]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(says), "{errors}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_a_sound_directory_from_a_damaged_one() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let check = || run(&["check", "--data", data.to_str().unwrap()], &[]);
    let missing = check();
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains(data.to_str().unwrap()), "{}", text(&missing.stderr));

    let server = Process::start(&data);
    let lot = json!({"code": "P1", "name": "One", "kind": "counted", "capacity": 5});
    let operator = token(Role::Operator);
    server.send(Method::POST, "/api/v1/lots", Some(&operator), Some(&lot)).await.expect(201);
    let in_use = check();
    assert_eq!(in_use.status.code(), Some(1));
    assert!(text(&in_use.stderr).contains("in use by another process"));
    server.kill();

    let sound = check();
    assert_eq!(sound.status.code(), Some(0), "{}{}", text(&sound.stdout), text(&sound.stderr));
    assert!(text(&sound.stdout).contains("1 lots replayed"), "{}", text(&sound.stdout));
    std::fs::remove_file(data.join("CURRENT")).unwrap();
    let damaged = check();
    assert_eq!(damaged.status.code(), Some(1), "{}", text(&damaged.stdout));
    assert!(text(&damaged.stdout).contains("CURRENT"), "{}", text(&damaged.stdout));
}
