//! What a long run must not pile up: memory, threads, file handles, disk, records, keys; and what must go
//! on at its pace: commits, snapshots, rotations, pruning. Looked at from outside every few seconds.
//!
//! From `/proc`, the data directory and one scrape of `/metrics`; what cannot be read is a gap, never the
//! end of a run. Absent: a verdict (see `trend`), and any figure that the server alone could know.

use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::http::HttpClient;
use crate::machine;
use crate::recorder::Window;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Between two looks: a rotation and a prune take longer.
const INTERVAL_US: u64 = 5 * MICROS_PER_SECOND;
/// A run so short is looked at more often.
const INTERVALS_MIN: u64 = 20;
/// Looks that are kept; beyond, every other one is let go.
const SAMPLES_MAX: usize = 2_400;

/// What one figure is, and so how it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Must not grow.
    Level,
    /// Counts up; its pace must stay.
    Pace,
}

/// A figure.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// In the JSON.
    pub key: &'static str,
    /// For people.
    pub title: &'static str,
    pub unit: &'static str,
    pub kind: Kind,
}

const fn gauge(key: &'static str, title: &'static str, unit: &'static str, kind: Kind) -> Gauge {
    Gauge { key, title, unit, kind }
}

/// All figures, in the report's order.
pub const GAUGES: [Gauge; 21] = [
    gauge("resident_bytes", "Resident memory", "bytes", Kind::Level),
    gauge("anonymous_bytes", "Resident memory that is no file", "bytes", Kind::Level),
    gauge("threads", "Threads", "threads", Kind::Level),
    gauge("descriptors", "File handles", "handles", Kind::Level),
    gauge("disk_bytes", "Data directory", "bytes", Kind::Level),
    gauge("journal_disk_bytes", "Live journal on the disk", "bytes", Kind::Level),
    gauge("archive_bytes", "Archive", "bytes", Kind::Level),
    gauge("archive_files", "Archived journals", "files", Kind::Level),
    gauge("files", "Files in the data directory", "files", Kind::Level),
    gauge("retained_records", "Records kept", "records", Kind::Level),
    gauge("claims", "Idempotency keys remembered", "keys", Kind::Level),
    gauge("in_flight", "Records in flight", "records", Kind::Level),
    gauge("connections", "Connections", "connections", Kind::Level),
    gauge("websockets", "Websockets", "sockets", Kind::Level),
    gauge("subscriptions", "Subscriptions", "subscriptions", Kind::Level),
    gauge("seq", "Records", "records", Kind::Pace),
    gauge("commits", "Commits", "commits", Kind::Pace),
    gauge("snapshots", "Snapshots", "snapshots", Kind::Pace),
    gauge("rotations", "Rotations", "rotations", Kind::Pace),
    gauge("pruned_files", "Archived journals pruned", "files", Kind::Pace),
    gauge("pruned_records", "Records pruned", "records", Kind::Pace),
];

/// One look.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    pub at_us: u64,
    pub values: BTreeMap<&'static str, f64>,
}

/// Where to look.
#[derive(Debug)]
pub struct Watch {
    pub clock: Clock,
    pub client: HttpClient,
    pub pid: Option<u32>,
    /// The data directory, where it is known.
    pub data: Option<PathBuf>,
    /// Each look is appended here as it comes, so that a long run can be watched.
    pub samples: Option<PathBuf>,
}

impl Watch {
    /// Looks until the window ends.
    pub async fn run(mut self, window: Window) -> Vec<Vitals> {
        let length_us = window.to_us.saturating_sub(self.clock.now_us());
        let mut interval_us = INTERVAL_US.min(length_us / INTERVALS_MIN).max(1_000);
        let mut archives = Archives::default();
        let mut all: Vec<Vitals> = Vec::new();
        // A file that cannot be written is said once and changes nothing.
        let mut file = self.samples.as_deref().and_then(open);
        let mut next_us = self.clock.now_us();
        while next_us < window.to_us {
            self.clock.sleep_until(next_us).await;
            let look = self.look(&mut archives).await;
            if let Some(file) = &mut file {
                let _ = writeln!(file, "{}", line(&look));
            }
            all.push(look);
            if all.len() > SAMPLES_MAX {
                let mut nth = 0;
                all.retain(|_| {
                    nth += 1;
                    nth % 2 == 1
                });
                interval_us *= 2;
            }
            next_us = (next_us + interval_us).max(self.clock.now_us());
        }
        all
    }

    async fn look(&mut self, archives: &mut Archives) -> Vitals {
        let mut values = BTreeMap::new();
        let mut put = |key: &'static str, value: Option<f64>| {
            values.extend(value.map(|value| (key, value)));
        };
        if let Some(pid) = self.pid {
            let held = machine::held(pid);
            put("resident_bytes", held.resident_bytes);
            put("anonymous_bytes", held.anonymous_bytes);
            put("threads", held.threads);
            put("descriptors", held.descriptors);
        }
        if let Some(data) = &self.data {
            let disk = Disk::of(data);
            archives.saw(&disk.archives);
            put("disk_bytes", Some(disk.bytes as f64));
            put("journal_disk_bytes", Some(disk.journal_bytes as f64));
            put("archive_bytes", Some(disk.archive_bytes as f64));
            put("archive_files", Some(disk.archives.len() as f64));
            put("files", Some(disk.files as f64));
            put("pruned_files", Some(archives.gone() as f64));
        }
        // A server that is not there is the other users' to report.
        if let Ok(answer) = self.client.get("/metrics").await {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let sum = |name: &str| metric(&text, name);
            let first = sum("lotkeeper_first_seq");
            let seq = sum("lotkeeper_seq");
            put("seq", seq);
            put("retained_records", seq.zip(first).map(|(seq, first)| seq + 1.0 - first));
            put("pruned_records", first.map(|first| (first - 1.0).max(0.0)));
            put("commits", sum("lotkeeper_journal_commits_total"));
            put("snapshots", sum("lotkeeper_snapshots_total"));
            put("rotations", sum("lotkeeper_journal_rotations_total"));
            put("claims", sum("lotkeeper_idempotency_keys"));
            put("in_flight", sum("lotkeeper_in_flight_records"));
            put("connections", sum("lotkeeper_http_connections"));
            put("websockets", sum("lotkeeper_websockets"));
            put("subscriptions", sum("lotkeeper_stream_subscriptions"));
        }
        Vitals { at_us: self.clock.now_us(), values }
    }
}

fn open(path: &Path) -> Option<File> {
    File::create(path)
        .map_err(|error| eprintln!("lotkeeper-load: --samples {}: {error}", path.display()))
        .ok()
}

fn line(look: &Vitals) -> String {
    let at = look.at_us as f64 / 1e6;
    let values: Vec<String> = look.values.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
    format!("{{\"at\":{at:.3},{}}}", values.join(","))
}

/// A metric's value, summed over its labels; nothing when it is not there.
fn metric(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.trim().parse::<f64>().ok()
    });
    values.reduce(|sum, value| sum + value)
}

/// What lies in a data directory.
#[derive(Debug, Default)]
struct Disk {
    bytes: u64,
    files: u64,
    journal_bytes: u64,
    archive_bytes: u64,
    archives: BTreeSet<String>,
}

impl Disk {
    /// Files come and go while one looks: one that is gone counts nothing.
    fn of(data: &Path) -> Self {
        let mut disk = Self::default();
        let mut dirs = vec![data.to_path_buf()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                let Ok(about) = entry.metadata() else { continue };
                if about.is_dir() {
                    dirs.push(entry.path());
                    continue;
                }
                disk.files += 1;
                disk.bytes += about.len();
                let path = entry.path();
                let below = path.strip_prefix(data).unwrap_or(&path);
                let top = below.components().next().map(|part| part.as_os_str().to_string_lossy());
                let top = top.unwrap_or_default();
                if top.starts_with("archive") {
                    disk.archive_bytes += about.len();
                    let name = entry.file_name().to_string_lossy().into_owned();
                    // One that is being written has another ending.
                    if name.ends_with(".lkf") {
                        disk.archives.insert(name);
                    }
                } else if top.starts_with("journal") {
                    disk.journal_bytes += about.len();
                }
            }
        }
        disk
    }
}

/// Which archived journals were seen, to tell those that were pruned.
#[derive(Debug, Default)]
struct Archives {
    seen: u64,
    last: BTreeSet<String>,
}

impl Archives {
    fn saw(&mut self, now: &BTreeSet<String>) {
        self.seen += now.difference(&self.last).count() as u64;
        self.last.clone_from(now);
    }

    fn gone(&self) -> u64 {
        self.seen - self.last.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_mixed_up_with_longer_names() {
        let text = "# HELP a x\n# TYPE a gauge\na 3\na_b 100\nc{kind=\"x\"} 1\nc{kind=\"}\"} 2.5\n";
        assert_eq!(metric(text, "a"), Some(3.0));
        assert_eq!(metric(text, "c"), Some(3.5));
        assert_eq!(metric(text, "d"), None);
    }

    #[test]
    fn a_directory_is_told_by_its_parts() {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in
            [("journal-000001/db", 10), ("archive/1-2.lkf", 20), ("archive/3-4.tmp", 5), ("TIP", 1)]
        {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; bytes]).unwrap();
        }
        let disk = Disk::of(dir.path());
        assert_eq!((disk.bytes, disk.files, disk.journal_bytes), (36, 4, 10));
        assert_eq!((disk.archive_bytes, disk.archives.len()), (25, 1));
        assert_eq!(Disk::of(&dir.path().join("gone")).files, 0);
    }

    #[test]
    fn archives_that_went_are_counted_once() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect();
        let mut archives = Archives::default();
        for (now, gone) in [(names(&["a"]), 0), (names(&["a", "b"]), 0), (names(&["c"]), 2)] {
            archives.saw(&now);
            assert_eq!(archives.gone(), gone);
        }
    }

    #[test]
    fn every_figure_has_a_key_of_its_own() {
        let keys: BTreeSet<&str> = GAUGES.iter().map(|gauge| gauge.key).collect();
        assert_eq!(keys.len(), GAUGES.len());
    }
}
