//! The disk between stages: gigabytes that one stage wrote are still being written, trimmed and forgotten
//! when the next begins, and a sync that takes 0.2 ms on a quiet disk then takes tens.
//!
//! So every stage waits until small commits to a plain file are as fast as the fastest of this run so far, for
//! a bounded time, and its row says what they cost directly before it. The run begins with a few probes; the
//! best of all is the measure, since one that met noise would let noise through for the whole run.
//! Absent: any wait for the processor.

use std::io::{Error, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A commit of one record of the journal.
pub const PROBE_BYTES: usize = 34;
/// How long small commits are written to learn their p99: thousands of them on a quiet disk.
const PROBE: Duration = Duration::from_millis(500);
/// Short stages are not to spend their time on the disk before them.
const PROBE_SHARE: u32 = 10;
/// At the start, so many probes before the one that is held against them.
const FIRST_PROBES: usize = 3;
/// A p99 wanders by itself; up to so many times the best is the same disk.
const SAME: u64 = 2;
/// Below this nobody could tell the difference in any row.
const SAME_US: u64 = 500;
/// All waits of a run together, in multiples of the longest single one: a disk that stays busy must not
/// make a run endless.
const WAITS_MAX: u32 = 5;

/// What was found directly before a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub p99_us: u64,
    pub is_calm: bool,
    pub waited: Duration,
}

/// The disk under the temporary directories.
#[derive(Debug)]
pub struct Disk {
    parent: PathBuf,
    probe: Duration,
    /// Between two probes.
    pause: Duration,
    wait_max: Duration,
    /// What all waits may still take.
    left: Duration,
    /// The least that was found; nothing before the first stage.
    best_p99_us: Option<u64>,
}

impl Disk {
    /// Nothing known of it. `wait_max` is for one stage of so long a duration.
    pub fn new(parent: PathBuf, wait_max: Duration, duration: Duration) -> Self {
        let probe = PROBE.min(duration / PROBE_SHARE);
        let left = wait_max * WAITS_MAX;
        Self { parent, probe, pause: probe, wait_max, left, best_p99_us: None }
    }

    /// The least p99 of small commits so far.
    pub fn best_p99_us(&self) -> Option<u64> {
        self.best_p99_us
    }

    /// Writes what is left to be written and waits until small commits are as fast as they can be.
    pub async fn settle(&mut self) -> std::io::Result<Found> {
        let (parent, length) = (self.parent.clone(), self.probe);
        self.settle_by(|| tokio::task::block_in_place(|| probe(&parent, length))).await
    }

    async fn settle_by(
        &mut self,
        mut probe: impl FnMut() -> std::io::Result<u64>,
    ) -> std::io::Result<Found> {
        if self.best_p99_us.is_none() {
            for _ in 0..FIRST_PROBES {
                let p99_us = probe()?;
                self.best_p99_us = Some(self.best_p99_us.map_or(p99_us, |best| best.min(p99_us)));
                // Lets an interruption through.
                tokio::time::sleep(self.pause).await;
            }
        }
        let (began, wait_max) = (Instant::now(), self.wait_max.min(self.left));
        let mut has_said = false;
        let found = loop {
            let p99_us = probe()?;
            let waited = if has_said { began.elapsed() } else { Duration::ZERO };
            let best_us = self.best_p99_us.map_or(p99_us, |best| best.min(p99_us));
            self.best_p99_us = Some(best_us);
            let is_calm = p99_us <= (best_us * SAME).max(SAME_US);
            if is_calm || began.elapsed() >= wait_max {
                break Found { p99_us, is_calm, waited };
            }
            if !has_said {
                let seconds = wait_max.as_secs_f64();
                eprintln!(
                    "         waiting for the disk, at most {seconds:.0} s: p99 of small commits {p99_us} us, {best_us} us at best"
                );
                has_said = true;
            }
            tokio::time::sleep(self.pause).await;
        };
        self.left = self.left.saturating_sub(found.waited);
        Ok(found)
    }
}

/// The p99 of small commits for so long, on a file with a name: a file system may pass over the syncs of
/// one that nobody can open again.
fn probe(parent: &Path, length: Duration) -> std::io::Result<u64> {
    rustix::fs::sync();
    let mut file =
        tempfile::Builder::new().prefix("lotkeeper-compare-probe-").tempfile_in(parent)?;
    let mut latencies = commits(file.as_file_mut(), PROBE_BYTES, length)?;
    latencies.sort_unstable();
    Ok(quantile(&latencies, 99))
}

/// Microseconds of each commit of so many bytes, for so long, one at least.
pub fn commits(
    file: &mut std::fs::File,
    bytes: usize,
    length: Duration,
) -> Result<Vec<u64>, Error> {
    let record: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
    let mut latencies = Vec::new();
    let began = Instant::now();
    while latencies.is_empty() || began.elapsed() < length {
        let commit = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        latencies.push(u64::try_from(commit.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(latencies)
}

/// Of sorted values; nought of none.
pub fn quantile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a best p99 of 400 us and no pauses.
    fn disk(wait_max: Duration) -> Disk {
        let mut disk = Disk::new(std::env::temp_dir(), wait_max, Duration::from_secs(10));
        (disk.pause, disk.best_p99_us) = (Duration::ZERO, Some(400));
        disk
    }

    async fn settle(disk: &mut Disk, found: &[u64]) -> (Found, usize) {
        let mut asked = 0;
        let next = || {
            asked += 1;
            Ok(found[(asked - 1).min(found.len() - 1)])
        };
        let settled = disk.settle_by(next).await.unwrap();
        (settled, asked)
    }

    #[tokio::test]
    async fn the_best_of_all_probes_is_the_measure() {
        let mut disk = disk(Duration::from_secs(60));
        disk.best_p99_us = None;
        let (found, _) = settle(&mut disk, &[40_000, 2_000, 1_000, 2_000]).await;
        assert_eq!((disk.best_p99_us(), found.p99_us, found.is_calm), (Some(1_000), 2_000, true));
        let (_, asked) = settle(&mut disk, &[900, 2_000]).await;
        assert_eq!((disk.best_p99_us(), asked), (Some(900), 1));
        let (found, asked) = settle(&mut disk, &[2_000, 1_800]).await;
        assert_eq!((found.p99_us, asked), (1_800, 2), "a quieter disk was seen meanwhile");
    }

    #[tokio::test]
    async fn a_busy_disk_is_waited_for_until_it_is_as_at_its_best() {
        let mut disk = disk(Duration::from_secs(60));
        let (found, asked) = settle(&mut disk, &[9_000, 801, 800, 1]).await;
        assert_eq!((found.p99_us, found.is_calm, asked), (800, true, 3));
        let (found, asked) = settle(&mut disk, &[700]).await;
        assert_eq!((found.waited, asked), (Duration::ZERO, 1));
    }

    #[tokio::test]
    async fn a_disk_that_stays_busy_is_not_waited_for_for_ever() {
        let mut disk = disk(Duration::from_millis(20));
        for _ in 0..WAITS_MAX {
            let (found, _) = settle(&mut disk, &[9_000]).await;
            assert!(!found.is_calm && found.p99_us == 9_000, "{found:?}");
        }
        assert_eq!(disk.left, Duration::ZERO);
        assert_eq!(settle(&mut disk, &[9_000]).await.1, 1, "nothing is left to wait with");
    }

    #[test]
    fn every_commit_is_written_and_measured_and_probes_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = std::fs::File::create(&path).unwrap();
        let latencies = commits(&mut file, 100, Duration::from_millis(20)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), latencies.len() as u64 * 100);
        std::fs::remove_file(path).unwrap();
        assert!(probe(dir.path(), Duration::ZERO).unwrap() < u64::MAX);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn quantiles_are_of_sorted_values() {
        let values: Vec<u64> = (0..200).collect();
        assert_eq!(
            (quantile(&values, 50), quantile(&values, 99), quantile(&[], 99)),
            (100, 198, 0)
        );
    }
}
