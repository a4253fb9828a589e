//! A power cut under the real server: it lives under strace while clients use it over HTTP, and starts again on what
//! the cut left.
//!
//! The disk is that of the journal's own proof (`storage/tests/power_cut`). What the server had answered by a cut is
//! read from the trace: the bytes that it wrote to its sockets. After every cut the binary itself is started on the
//! rebuilt directory and must show all of that over HTTP, nothing that never was, and take a write.
//! `LOTKEEPER_SERVER_CUTS` says how many cuts, `LOTKEEPER_SEED` which ones; the seed is printed first.
//! Deliberately absent: rotations, which take more than a traced server writes in seconds; the journal's proof has them.
#![allow(clippy::unwrap_used)] // tests state what they expect

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../storage/tests/power_cut/disk.rs"]
mod disk;
#[path = "../../../storage/tests/power_cut/leaves.rs"]
mod leaves;
mod life;
mod look;
#[path = "../common/process.rs"]
mod process;
#[path = "../../../storage/tests/power_cut/trace.rs"]
mod trace;

use std::collections::BTreeSet;
use std::path::Path;

use disk::Disk;
use leaves::Leaves;
use life::Life;
use rand::RngExt;
use trace::{Step, Trace};

/// In a plain `cargo test`; CI asks for more.
const CUTS: usize = 10;
/// How an answer names the request that it is for.
const REQUEST_ID: &str = "x-request-id: ";

fn cuts_wanted() -> usize {
    let given = std::env::var("LOTKEEPER_SERVER_CUTS").ok();
    given.map_or(CUTS, |cuts| cuts.parse().expect("LOTKEEPER_SERVER_CUTS is a number"))
}

/// Ids of the requests that a step begins to answer. Before the server says anything of it, it is durable.
fn answered<'a>(trace: &'a Trace, step: &Step) -> impl Iterator<Item = &'a str> {
    let said = trace.said(step).unwrap_or_default();
    said.split(REQUEST_ID).skip(1).filter_map(|rest| rest.lines().next()).map(str::trim)
}

/// Steps after which the power goes: half of them anywhere, half right after an answer.
fn cut_points(trace: &Trace, rng: &mut rand::rngs::StdRng) -> Vec<usize> {
    let all = 0..trace.steps.len();
    let answers: Vec<usize> =
        all.clone().filter(|at| answered(trace, &trace.steps[*at]).next().is_some()).collect();
    let mut points: Vec<usize> = (0..cuts_wanted())
        .map(|number| match number % 2 {
            0 => rng.random_range(all.clone()),
            _ => answers[rng.random_range(0..answers.len())],
        })
        .collect();
    points.sort_unstable();
    points
}

/// In memory where there is such a place: directories come and go.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_starts_after_any_power_cut_and_shows_what_it_had_answered() {
    if trace::strace_is_missing() {
        return;
    }
    let mut rng = process::seeded();
    let home = tempfile::tempdir().unwrap();
    let mut disk = Disk::of(home.path());
    let mut life = Life::new(&home.path().join("data"), home.path());
    let trace = life.live().await;
    let points = cut_points(&trace, &mut rng);
    let mut next = points.iter().copied().peekable();
    let mut acked = BTreeSet::new();
    let (mut survived, mut more) = (0, 0);
    for (at, step) in trace.steps.iter().enumerate() {
        disk.step(&trace, step);
        acked.extend(answered(&trace, step));
        while next.next_if_eq(&at).is_some() {
            let leaves = Leaves::draw(&mut rng);
            let target = scratch();
            disk.rebuild(leaves, target.path());
            let of = trace.steps.len();
            eprintln!("cut at step {at} of {of}, {} answers, {leaves:?}", acked.len());
            let seen = look::at(target.path(), &life.told, &acked).await;
            survived += seen.acked;
            more += seen.records - seen.acked;
        }
    }
    println!(
        "{} cuts of {} calls and {} answers: {survived} answered records were looked for and are there, \
         {more} came with them",
        points.len(),
        trace.calls.len(),
        acked.len()
    );
    assert!(survived > 0, "no cut came after an answer");
}

/// The proof finds a fault: a server whose `fdatasync` of the journal does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_sync_the_server_shows_less_than_it_had_answered() {
    if trace::strace_is_missing() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut deaf = Disk::of(home.path()).deaf_to("db");
    let mut life = Life::new(&home.path().join("data"), home.path());
    let trace = life.live().await;
    let mut acked = BTreeSet::new();
    let last = trace.steps.iter().rposition(|step| answered(&trace, step).next().is_some());
    for step in &trace.steps[..=last.unwrap()] {
        deaf.step(&trace, step);
        acked.extend(answered(&trace, step));
    }
    let target = scratch();
    let nothing = Leaves {
        bytes: leaves::Bytes::None,
        names: leaves::Names::All,
        sector_bytes: 512,
        seed: 0,
    };
    deaf.rebuild(nothing, target.path());
    let path = target.path().to_path_buf();
    let told = std::mem::take(&mut life.told);
    let acked: BTreeSet<String> = acked.into_iter().map(str::to_owned).collect();
    let looked = tokio::spawn(async move {
        let acked = acked.iter().map(String::as_str).collect();
        look::at(&path, &told, &acked).await
    });
    let said = looked.await.expect_err("acknowledged records are lost and nobody sees it");
    assert!(said.is_panic(), "{said}");
}
