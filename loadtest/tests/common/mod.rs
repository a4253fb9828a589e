//! What the tests of the command share: the command, the server beside it.

use std::path::Path;
use std::process::{Command, Output};

/// The command under test; the server is looked for beside it.
pub const LOAD: &str = env!("CARGO_BIN_EXE_lotkeeper-load");

/// `cargo test --workspace` builds the server beside the command; `-p lotkeeper-loadtest` alone does not.
pub fn build_server_if_missing() {
    let dir = Path::new(LOAD).parent().expect("a binary lies in a directory");
    if dir.join(format!("lotkeeper{}", std::env::consts::EXE_SUFFIX)).is_file() {
        return;
    }
    let target_dir = dir.parent().expect("the profile's directory lies in the target directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "-p", "lotkeeper-gateway", "--bin", "lotkeeper", "--target-dir"]);
    cargo.arg(target_dir).current_dir(env!("CARGO_MANIFEST_DIR"));
    if dir.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "the server does not build");
}

/// Runs it.
pub fn load(args: &[&str]) -> Output {
    Command::new(LOAD).args(args).env_remove("LOTKEEPER_BIN").output().expect("the command runs")
}
