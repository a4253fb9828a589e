//! Where kills hit, as far as it can be seen from outside: requests under way, what lies in the directory,
//! what the next start says in its log. These are figures; no verdict rests on them.

use crate::report::Figure;
use crate::scenario::quantile::quantile;
use std::path::Path;

/// Counts.
#[derive(Debug, Default)]
pub struct Hits {
    pub before_listening: u64,
    pub after_listening: u64,
    pub idle: u64,
    /// Under load, with requests or batches without an answer.
    pub in_flight: u64,
    pub nothing_in_flight: u64,
    /// Requests and batches that were cut off.
    pub cut_off: u64,
    pub rotating: u64,
    /// A file was being written beside the journal.
    pub writing_file: u64,
    /// Starts that found frames after the last whole commit.
    pub torn_commits: u64,
    /// Starts that found a snapshot that was not whole.
    pub torn_snapshots: u64,
    pub rotations: u64,
    pub rotations_undone: u64,
    /// From the start of the process to its address.
    pub starts_us: Vec<u64>,
}

impl Hits {
    /// What a killed process left behind.
    pub fn look_at(&mut self, data: &Path) {
        self.rotating += u64::from(is_rotating(data));
        let names = |dir: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let all = [names(data), names(&data.join("archive"))].concat();
        self.writing_file += u64::from(all.iter().any(|name| name.ends_with(".tmp")));
    }

    /// What starts said.
    pub fn read_log(&mut self, log: &str) {
        for line in log.lines() {
            let dropped = line.split("discarded_frames=").nth(1).and_then(|rest| {
                rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
            });
            self.torn_commits += u64::from(dropped > Some(0));
            let says_torn = ["a snapshot is left out", "what is there of a snapshot"];
            let is_torn = says_torn.iter().any(|says| line.contains(says));
            self.torn_snapshots += u64::from(is_torn);
            self.rotations += u64::from(line.contains("rotation ended"));
            self.rotations_undone += u64::from(line.contains("unfinished rotation"));
        }
    }

    /// As rows of the report.
    pub fn figures(&self) -> Vec<Figure> {
        let mut starts_us = self.starts_us.clone();
        starts_us.sort_unstable();
        let time = |name, us: u64| Figure::new(name, us as f64, "us");
        let kills = |name, number: u64| Figure::new(name, number as f64, "kills");
        let more = |name, number: u64, unit| Figure::new(name, number as f64, unit);
        vec![
            kills("killed while starting, before it listened", self.before_listening),
            kills("killed while starting, after it listened", self.after_listening),
            kills("killed under load, requests in flight", self.in_flight),
            kills("killed under load, nothing in flight", self.nothing_in_flight),
            kills("killed when idle", self.idle),
            kills("of all, during a rotation", self.rotating),
            kills("of all, while a file was being written", self.writing_file),
            more("requests and batches cut off", self.cut_off, "requests"),
            more("starts that dropped an unfinished commit", self.torn_commits, "starts"),
            more("starts that left out an unfinished snapshot", self.torn_snapshots, "starts"),
            more("starts that undid an unfinished rotation", self.rotations_undone, "starts"),
            more("rotations that ended", self.rotations, "rotations"),
            time("recovery, shortest", starts_us.first().copied().unwrap_or(0)),
            time("recovery, p50", quantile(&starts_us, 0.5)),
            time("recovery, longest", starts_us.last().copied().unwrap_or(0)),
        ]
    }
}

/// A second journal beside the live one: a rotation is under way.
pub fn is_rotating(data: &Path) -> bool {
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten();
    let journals =
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("journal-"));
    journals.count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_say_is_counted() {
        let mut hits = Hits::default();
        hits.read_log(
            "INFO recovered data=x last_seq=9 discarded_frames=0 elapsed_ms=3\n\
             INFO recovered data=x last_seq=9 discarded_frames=2 elapsed_ms=3\n\
             WARN a snapshot is left out reason=\"x\"\n\
             INFO rotation ended bytes=1\nINFO removing what an unfinished rotation left path=x\n",
        );
        assert_eq!((hits.torn_commits, hits.torn_snapshots), (1, 1));
        assert_eq!((hits.rotations, hits.rotations_undone), (1, 1));
    }

    #[test]
    fn a_rotation_is_seen_by_its_second_journal() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("journal-000001")).unwrap();
        assert!(!is_rotating(dir.path()));
        std::fs::create_dir(dir.path().join("journal-000002")).unwrap();
        std::fs::write(dir.path().join("CURRENT.tmp"), "").unwrap();
        let mut hits = Hits::default();
        hits.look_at(dir.path());
        assert_eq!((hits.rotating, hits.writing_file), (1, 1));
    }
}
