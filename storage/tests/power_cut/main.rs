//! A power cut at any moment: only what was synced survives, and of the rest any part.
//!
//! A process that lives through everything a journal does is traced; at hundreds of points of the trace the
//! directory is built as a power cut might leave it, opened, and held against what the process had said by
//! then. `LOTKEEPER_POWER_CUTS` says how many points, `LOTKEEPER_SEED` which ones; the seed is printed first.
//! That the proof finds a fault is shown with two that are planted: no `sync_data`, and values in `blobs/`.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod leaves;
mod planted;
mod trace;
mod verify;
mod workload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use disk::Disk;
use leaves::{Bytes, Leaves, Names};
use lotkeeper_storage::SledJournal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use trace::{Call, Step, Trace};
use verify::{Depth, Found, verify};
use workload::{LIFE, ROLE, Truth};

/// In a plain `cargo test`; CI asks for more.
const CUTS: usize = 60;
const TWO_SEGMENTS_BYTES: u64 = 2 * 512 * 1024;
/// One cut in so many is looked at in depth.
const DEEP_EVERY: usize = 5;

/// The traced process. Run as a plain test it has nothing to do.
#[test]
fn lives_and_tells() {
    workload::live();
}

/// A traced life in a data directory.
fn life(data: &Path, whole: bool) -> Trace {
    let life = if whole { "whole" } else { "start" };
    trace::of_test("lives_and_tells", &[(ROLE, data.as_os_str()), (LIFE, life.as_ref())])
}

fn cuts_wanted() -> usize {
    let given = std::env::var("LOTKEEPER_POWER_CUTS").ok();
    given.map_or(CUTS, |cuts| cuts.parse().expect("LOTKEEPER_POWER_CUTS is a number"))
}

fn seed() -> u64 {
    let given = std::env::var("LOTKEEPER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(rand::rng().random::<u32>()));
    println!("LOTKEEPER_SEED={seed}");
    seed
}

/// Steps after which the power goes, in order: as many in every phase, half of them after an acknowledgement.
fn cut_points(trace: &Trace, cuts: usize, rng: &mut StdRng) -> Vec<usize> {
    let mut phases: Vec<(Vec<usize>, Vec<usize>)> = vec![Default::default()];
    for (at, step) in trace.steps.iter().enumerate() {
        let said = trace.said(step).unwrap_or_default();
        if said.starts_with("phase ") {
            phases.push(Default::default());
        }
        let (all, acked) = phases.last_mut().unwrap();
        all.push(at);
        if said.starts_with("acked ") {
            acked.push(at);
        }
    }
    let mut points = Vec::new();
    for number in 0..cuts {
        let (all, acked) = &phases[number % phases.len()];
        let after_ack = number / phases.len() % 2 == 1 && !acked.is_empty();
        let from = if after_ack { acked } else { all };
        points.push(from[rng.random_range(0..from.len())]);
    }
    points.sort_unstable();
    points
}

/// One cut and what became of it.
struct Cut {
    phase: String,
    leaves: Leaves,
    step: usize,
    outcome: Result<Found, String>,
}

/// Goes through a trace, and cuts the power of a disk at seeded points.
fn cut(
    trace: &Trace,
    mut disk: Disk,
    mut truth: Truth,
    (cuts, rng): (usize, &mut StdRng),
    look: &mut dyn FnMut(usize, &Path, &Truth) -> Result<Found, String>,
) -> Vec<Cut> {
    let points = cut_points(trace, cuts, rng);
    let mut next = points.iter().copied().enumerate().peekable();
    let mut made = Vec::new();
    for (at, step) in trace.steps.iter().enumerate() {
        disk.step(trace, step);
        if let Some(said) = trace.said(step) {
            truth.hear(said);
        }
        while let Some((number, _)) = next.next_if(|(_, point)| *point == at) {
            let leaves = Leaves::draw(rng);
            let target = scratch();
            disk.rebuild(leaves, target.path());
            let outcome = look(number, &target.path().join("data"), &truth);
            made.push(Cut { phase: truth.phase.clone(), leaves, step: at, outcome });
        }
    }
    assert_eq!(made.len(), points.len());
    made
}

/// In memory where there is such a place: thousands of files come and go.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn deep_now_and_then(number: usize, data: &Path, truth: &Truth) -> Result<Found, String> {
    verify(data, truth, if number.is_multiple_of(DEEP_EVERY) { Depth::All } else { Depth::Records })
}

/// Fails with all cuts that broke a promise; else tells what was seen.
fn all_kept(cuts: &[Cut]) {
    let mut by_phase: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    let mut broken = Vec::new();
    for cut in cuts {
        let row = by_phase.entry(&cut.phase).or_default();
        row[0] += 1;
        match &cut.outcome {
            Ok(found) => {
                row[1] += u64::from(found.discarded_frames > 0);
                row[2] += u64::from(found.new_epoch);
            }
            Err(why) => {
                let Cut { phase, leaves, step, .. } = cut;
                broken.push(format!("{phase}, step {step}, {leaves:?}: {why}"));
            }
        }
    }
    for (phase, [cuts, torn, epochs]) in by_phase {
        println!("{phase:>12}: {cuts} cuts, {torn} with a torn commit, {epochs} with a new epoch");
    }
    assert!(broken.is_empty(), "{} of {} cuts:\n{}", broken.len(), cuts.len(), broken.join("\n"));
}

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    if trace::strace_is_missing() {
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    let home = tempfile::tempdir().unwrap();
    let empty = Disk::of(home.path());
    let trace = life(&home.path().join("data"), true);
    let acks = trace.steps.iter().filter_map(|step| trace.said(step));
    let acks = acks.filter(|said| said.starts_with("acked ")).count();
    println!("{} calls, {acks} acknowledged commits", trace.calls.len());
    let most = log_between_syncs(&trace, None);
    println!("{most} bytes of log between two syncs at most");
    assert!((1..=TWO_SEGMENTS_BYTES).contains(&most), "{most} bytes of log between two syncs");
    let work = (cuts_wanted(), &mut rng);
    let cuts = cut(&trace, empty, Truth::default(), work, &mut deep_now_and_then);
    all_kept(&cuts);
}

/// The start after a power cut writes too: the next cut may come amid its repairs.
#[test]
fn nothing_acknowledged_is_lost_by_a_second_cut_amid_the_recovery() {
    if trace::strace_is_missing() {
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    let first = tempfile::tempdir().unwrap();
    let empty = Disk::of(first.path());
    let trace = life(&first.path().join("data"), true);
    let wanted = cuts_wanted();
    let mut second_seed = rng.random::<u64>();
    let mut look = |_: usize, data: &Path, truth: &Truth| {
        second_seed = second_seed.wrapping_add(1);
        // Another process begins where the first one ended: what that had said holds for it too.
        let torn = Disk::of(data.parent().unwrap());
        let live = std::fs::read(data.join("CURRENT")).ok().map(|name| live_file(data, &name));
        let again = life(data, false);
        let most = log_between_syncs(&again, live);
        assert!(most <= TWO_SEGMENTS_BYTES, "{most} bytes of log between two syncs of a start");
        let mut rng = StdRng::seed_from_u64(second_seed);
        let work = (wanted / 6, &mut rng);
        let cuts = cut(&again, torn, truth.clone(), work, &mut deep_now_and_then);
        let broken = cuts.iter().filter_map(|cut| cut.outcome.as_ref().err());
        let broken: Vec<&String> = broken.collect();
        if broken.is_empty() { Ok(Found::default()) } else { Err(format!("{broken:?}")) }
    };
    let cuts = cut(&trace, empty, Truth::default(), (6, &mut rng), &mut look);
    all_kept(&cuts);
}

/// What a start takes out of a large commit that was torn makes its log grow as what is put in does.
#[test]
fn a_start_that_leaves_out_a_large_commit_syncs_as_often_as_one_that_writes_it() {
    if trace::strace_is_missing() {
        return;
    }
    let first = tempfile::tempdir().unwrap();
    let mut disk = Disk::of(first.path());
    let trace = life(&first.path().join("data"), true);
    let spoken = |text: &str| {
        let said = trace.steps.iter().map(|step| trace.said(step).unwrap_or_default());
        said.enumerate().filter(|(_, said)| said.starts_with(text)).map(|(at, _)| at).collect()
    };
    let (large, acked): (Vec<usize>, Vec<usize>) =
        (spoken("will change 0 40000"), spoken("acked "));
    let end = *acked.iter().find(|at| **at > large[1]).unwrap();
    // The later, the more there is to leave out; just before the end all of it may be there.
    let points: Vec<usize> = (1..8).map(|part| large[1] + (end - large[1]) * part / 8).collect();
    let mut left_out = 0;
    for (at, step) in trace.steps[..end].iter().enumerate() {
        disk.step(&trace, step);
        if !points.contains(&at) {
            continue;
        }
        let target = scratch();
        let all = Leaves { bytes: Bytes::All, names: Names::All, sector_bytes: 512, seed: 0 };
        disk.rebuild(all, target.path());
        let data = target.path().join("data");
        let live = live_file(&data, &std::fs::read(data.join("CURRENT")).unwrap());
        let copy = scratch();
        common::copy_dir(&data, copy.path());
        let (_, recovery) = SledJournal::open(workload::options(copy.path())).unwrap();
        left_out += recovery.report.discarded_frames;
        let again = life(&data, false);
        let most = log_between_syncs(&again, Some(live));
        println!("{at}: {most} bytes, {} left out", recovery.report.discarded_frames);
        assert!(
            most <= TWO_SEGMENTS_BYTES,
            "{most} bytes between two syncs: {:?}",
            recovery.report
        );
    }
    assert!(left_out > 100, "only {left_out} frames were left out");
}

/// The most that is written to the live journal's log between two syncs, in a life that begins with `live`. More
/// than two segments may begin a third one since a sync, and its header would tell of one that no sync has
/// covered: see `UNSYNCED_BYTES_MAX`.
fn log_between_syncs(trace: &Trace, live: Option<PathBuf>) -> u64 {
    let (mut live, mut written, mut most) = (live.unwrap_or_default(), 0, 0);
    for step in &trace.steps {
        let Step::Begins(call) = step else { continue };
        match &trace.calls[*call] {
            Call::Write { path, bytes, .. } if path.ends_with("CURRENT.tmp") => {
                (live, written) = (live_file(path.parent().unwrap(), bytes), 0);
            }
            // What is emptied before its use tells of nothing.
            Call::Write { path, bytes, .. }
                if *path == live && bytes.iter().any(|byte| *byte != 0) =>
            {
                written += bytes.len() as u64;
                most = written.max(most);
            }
            Call::Sync { path, .. } if *path == live => written = 0,
            _ => {}
        }
    }
    most
}

/// The file that sled writes, as `CURRENT` names its directory.
fn live_file(data: &Path, current: &[u8]) -> PathBuf {
    data.join(std::str::from_utf8(current).unwrap().trim()).join("db")
}

/// For the planted faults: how many cuts broke a promise, and one of them.
fn broken(cuts: &[Cut]) -> (usize, Option<&str>) {
    let mut broken = cuts.iter().filter_map(|cut| cut.outcome.as_ref().err());
    let first = broken.next();
    (usize::from(first.is_some()) + broken.count(), first.map(String::as_str))
}

/// The last thing that was said in a trace.
fn last_said<'a>(steps: &[Step], trace: &'a Trace, what: &str) -> Option<&'a str> {
    steps.iter().rev().filter_map(|step| trace.said(step)).find_map(|said| said.strip_prefix(what))
}
