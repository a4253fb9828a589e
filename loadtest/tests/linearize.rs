//! Histories against the real server: every answer has its place in an order, with crashes and without.
//! `lotkeeper-load linearize --histories 300 --crashes` is the long form.

mod common;

use common::{build_server_if_missing, load};

/// Plays and gives back what was said; fails when a history has no order.
#[track_caller]
fn judged(more: &[&str]) -> String {
    build_server_if_missing();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().to_str().expect("UTF-8");
    let args = [&["linearize", "--out", out, "--data-parent", out], more].concat();
    let output = load(&args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{stderr}", output.status);
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("the directory is there").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    said
}

#[test]
fn histories_have_an_order() {
    let said = judged(&["--histories", "4", "--operations", "200", "--seed", "11"]);
    assert!(said.contains("4 histories") && said.contains(" 0 crashes"), "{said}");
}

#[test]
fn histories_with_crashes_have_an_order() {
    let few = ["--histories", "4", "--operations", "150", "--seed", "12", "--crashes"];
    let said = judged(&[few.as_slice(), &["--crashes-per-round", "2"]].concat());
    assert!(said.contains(" 2 crashes"), "{said}");
    assert!(!said.contains(" 0 without an answer"), "a crash meets somebody: {said}");
}

#[test]
fn wrong_usage_is_refused_with_the_remedy() {
    for (args, said) in [
        (["linearize", "--slots", "1"].as_slice(), "2 to 16"),
        (&["linearize", "--out", "nowhere-at-all"], "make it first"),
    ] {
        let output = load(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}
