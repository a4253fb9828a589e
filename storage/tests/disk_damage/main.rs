//! Damage to a data directory: any flipped byte, any lost file, a later format. Every start ends in a clean
//! prefix that says so, or in a refusal that says what to do; `check` agrees; nothing panics, nothing hangs.
//!
//! Flips are tried in child processes with a time limit, because sled may loop on damage and keeps threads.
//! `LOTKEEPER_FLIPS` says how many positions of the small journal (`all`: every one), `LOTKEEPER_SEED` which.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

#[path = "../common/mod.rs"]
mod common;
mod judge;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{copy_dir, released};
use judge::{House, Verdict, files, large, scratch, small, verdict};
use lotkeeper_storage::SledJournal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Positions of the small journal in a plain `cargo test`; CI tries them all.
const FLIPS: usize = 240;
/// Of the large one; a multiple of this when all of the small one are tried.
const LARGE_FLIPS: usize = 24;
const LARGE_FLIPS_IN_FULL: usize = 120;
/// Positions per child process.
const BATCH: usize = 400;
/// A child that has not ended by then hangs: far above its worst case, which has a limit of its own.
const BATCH_SECONDS_MAX: u64 = 400;
const ROLE: &str = "LOTKEEPER_TEST_FLIPS";
const HOUSE: &str = "LOTKEEPER_TEST_FLIPS_HOUSE";

fn seeded() -> StdRng {
    let given = std::env::var("LOTKEEPER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(rand::rng().random::<u32>()));
    println!("LOTKEEPER_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// One byte of a file of the directory, and what it is changed by.
#[derive(Clone, Debug)]
struct Flip {
    file: PathBuf,
    at: usize,
    mask: u8,
}

impl Flip {
    fn line(&self) -> String {
        format!("{} {} {}", self.file.display(), self.at, self.mask)
    }

    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let (at, mask) = (words[1].parse().unwrap(), words[2].parse().unwrap());
        Self { file: words[0].into(), at, mask }
    }
}

/// The child: makes each flip of its list in a copy of the house and judges the start.
#[test]
fn flips_and_judges() {
    let Some(list) = std::env::var_os(ROLE) else { return };
    let house = House::read(Path::new(&std::env::var_os(HOUSE).unwrap()));
    for line in fs::read_to_string(list).unwrap().lines() {
        let flip = Flip::parse(line);
        let copy = scratch();
        copy_dir(&house.data, copy.path());
        let path = copy.path().join(&flip.file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[flip.at] ^= flip.mask;
        fs::write(&path, bytes).unwrap();
        let began = Instant::now();
        let verdict = verdict(&house, copy.path());
        let seconds = began.elapsed().as_secs();
        println!("\nFLIP {line} {seconds} {verdict:?}");
    }
}

/// Tries flips in child processes; fails on the first list that breaks a promise, with all that do.
fn try_all(house: &House, flips: &[Flip]) {
    let began = Instant::now();
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let (mut broken, mut slowest) = (Vec::new(), 0);
    for (flip, seconds, said) in tried(house, flips) {
        slowest = seconds.max(slowest);
        let kind = said.split(['(', ' ']).next().unwrap_or_default().to_owned();
        if kind == "Broken" {
            broken.push(format!("{}: {said}", flip.line()));
        }
        let file = flip.file.to_string_lossy().replace(|c: char| c.is_ascii_digit(), "");
        *outcomes.entry(format!("{file} {kind}")).or_default() += 1;
    }
    for (what, times) in outcomes {
        println!("{times:>7} {what}");
    }
    let seconds = began.elapsed().as_secs();
    println!("{} flips in {seconds} s, the slowest start took {slowest} s", flips.len());
    assert!(broken.is_empty(), "{} flips break a promise:\n{}", broken.len(), broken.join("\n"));
}

/// One child process per core at a time, and batch after batch for each.
fn tried(house: &House, flips: &[Flip]) -> Vec<(Flip, u64, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let size = flips.len().div_ceil(cores).clamp(1, BATCH);
    let (batches, next): (Vec<_>, _) = (flips.chunks(size).collect(), AtomicUsize::new(0));
    let work = || {
        let mut done = Vec::new();
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.extend(try_batch(house, batch));
        }
        done
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

fn try_batch(house: &House, batch: &[Flip]) -> Vec<(Flip, u64, String)> {
    let place = tempfile::tempdir().unwrap();
    let (list, out) = (place.path().join("list"), place.path().join("out"));
    let lines: Vec<String> = batch.iter().map(Flip::line).collect();
    fs::write(&list, lines.join("\n")).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "flips_and_judges", "--nocapture", "--test-threads=1"])
        .envs([(ROLE, list.as_os_str()), (HOUSE, house.place.path().as_os_str())])
        // Copies of `check` as well belong where they cost nothing.
        .env(
            "TMPDIR",
            if Path::new("/dev/shm").is_dir() {
                OsStr::new("/dev/shm")
            } else {
                place.path().as_os_str()
            },
        )
        .stdout(fs::File::create(&out).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(BATCH_SECONDS_MAX);
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let said = fs::read_to_string(&out).unwrap();
    let done: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("FLIP "))
        .map(|line| {
            let words: Vec<&str> = line.splitn(5, ' ').collect();
            (Flip::parse(line), words[3].parse().unwrap(), words[4].to_owned())
        })
        .collect();
    let next = batch.get(done.len()).map(Flip::line);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?} at {next:?}");
    assert_eq!(done.len(), batch.len());
    done
}

/// All positions of all files, each with a mask.
fn positions(house: &House, rng: &mut StdRng) -> Vec<Flip> {
    let mut all = Vec::new();
    for file in files(&house.data) {
        let length = fs::metadata(house.data.join(&file)).unwrap().len();
        for at in 0..usize::try_from(length).unwrap() {
            let mask = 1 << rng.random_range(0..8_u32);
            all.push(Flip { file: file.clone(), at, mask });
        }
    }
    all
}

/// Some of them, as many from every file as there are.
fn sample(all: Vec<Flip>, wanted: usize, rng: &mut StdRng) -> Vec<Flip> {
    let mut by_file: BTreeMap<PathBuf, Vec<Flip>> = BTreeMap::new();
    for flip in all {
        by_file.entry(flip.file.clone()).or_default().push(flip);
    }
    let share = wanted / by_file.len();
    let mut drawn = Vec::new();
    for flips in by_file.values() {
        match flips.len() <= share {
            true => drawn.extend(flips.iter().cloned()),
            false => {
                let one = |_| flips[rng.random_range(0..flips.len())].clone();
                drawn.extend((0..share).map(one));
            }
        }
    }
    drawn
}

#[test]
fn any_flipped_byte_gives_a_prefix_that_says_so_or_a_refusal() {
    let mut rng = seeded();
    let house = small();
    let wanted = std::env::var("LOTKEEPER_FLIPS").unwrap_or_else(|_| FLIPS.to_string());
    let all = positions(&house, &mut rng);
    println!("{} bytes in {} files", all.len(), files(&house.data).len());
    let flips = match wanted.as_str() {
        "all" => all,
        number => {
            sample(all, number.parse().expect("LOTKEEPER_FLIPS is a number or `all`"), &mut rng)
        }
    };
    try_all(&house, &flips);
}

#[test]
fn flipped_bytes_of_a_large_journal_give_a_prefix_that_says_so_or_a_refusal() {
    let mut rng = seeded();
    let house = large();
    let full = std::env::var("LOTKEEPER_FLIPS").is_ok_and(|wanted| wanted == "all");
    let wanted = if full { LARGE_FLIPS_IN_FULL } else { LARGE_FLIPS };
    let all = positions(&house, &mut rng);
    println!("{} bytes in {} files", all.len(), files(&house.data).len());
    let flips = sample(all, wanted, &mut rng);
    try_all(&house, &flips);
}

#[test]
fn every_lost_file_gives_all_records_or_a_refusal() {
    let house = small();
    for file in files(&house.data) {
        let copy = scratch();
        copy_dir(&house.data, copy.path());
        fs::remove_file(copy.path().join(&file)).unwrap();
        let verdict = verdict(&house, copy.path());
        println!("without {}: {verdict:?}", file.display());
        assert!(!matches!(verdict, Verdict::Broken(_)), "without {}: {verdict:?}", file.display());
        let name = file.to_string_lossy();
        let refused = matches!(verdict, Verdict::Refused(_));
        // Without these nobody knows what the log was.
        let needed = name == "CURRENT" || name.ends_with("db");
        assert!(refused || !needed, "without {name}: {verdict:?}");
        if name.starts_with("archive") {
            assert!(matches!(verdict, Verdict::Later(_)), "without {name}: {verdict:?}");
        }
        if name == "TIP" || name == "LOCK" {
            assert!(matches!(verdict, Verdict::Whole { .. }), "without {name}: {verdict:?}");
        }
    }
}

#[test]
fn a_directory_of_a_later_format_is_refused_by_its_number() {
    let house = small();
    {
        let db = sled::open(released(&house.data)).unwrap();
        db.open_tree("meta").unwrap().insert("format", &9_u16.to_le_bytes()).unwrap();
        db.flush().unwrap();
    }
    released(&house.data);
    let by_start = SledJournal::open(judge::options(&house.data)).err().unwrap().to_string();
    released(&house.data);
    let by_check = lotkeeper_storage::check(&house.data).unwrap_err().to_string();
    for text in [by_start, by_check] {
        assert!(text.contains("format 9") && text.contains("start the release"), "{text}");
    }
}
