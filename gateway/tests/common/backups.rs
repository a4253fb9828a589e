//! `lotkeeper backup` and `lotkeeper restore` as people run them, for the tests of both.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::path::Path;
use std::process::Stdio;

use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::Value;

use crate::common::{self, token};
use crate::process::{Home, Running};

/// The real binary with the token of an admin in its environment.
pub fn lotkeeper(args: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::from(common::binary());
    command.args(args).env("LOTKEEPER_TOKEN", token(Role::Admin)).kill_on_drop(true);
    command.stdin(Stdio::null());
    command
}

/// Runs it: exit code, standard output, standard error.
pub async fn run(command: &mut tokio::process::Command) -> (Option<i32>, String, String) {
    let output = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Restores a backup into the data of a home; what it said.
pub async fn restored(home: &Home, file: &Path, target: &[&str]) -> String {
    let (file, data) = (file.to_str().unwrap(), home.data.to_str().unwrap());
    let mut command = lotkeeper(&["restore", file, "--data", data]);
    let (code, told, errors) = run(command.args(target)).await;
    assert_eq!(code, Some(0), "{told}{errors}");
    told
}

/// The sequence with which a restore said that it ends.
pub fn end_of(told: &str) -> u64 {
    let line = told.lines().find_map(|line| line.trim().strip_prefix("ends        with sequence "));
    let line = line.unwrap_or_else(|| panic!("no end in {told}"));
    line.split(' ').next().unwrap().parse().unwrap()
}

/// A server whose lots get snapshots as often as they may.
pub fn home_at(directory: &Path, name: &str) -> Home {
    Home::new(&directory.join(name), &[("LOTKEEPER_STORAGE_SNAPSHOT_EVERY_RECORDS", "1000")])
}

/// A server that runs there, with these lots.
pub async fn serving(directory: &Path, name: &str, lots: &[Value]) -> (Home, Running) {
    let home = home_at(directory, name);
    let running = home.start().await;
    for lot in lots {
        let operator = token(Role::Operator);
        home.send(Method::POST, "/api/v1/lots", &operator, Some(lot)).await.expect(201);
    }
    (home, running)
}

/// A home whose data are still to be restored.
pub fn empty_home_at(directory: &Path, name: &str) -> Home {
    std::fs::create_dir(directory.join(name)).unwrap();
    home_at(directory, name)
}
