//! The command line of `lotkeeper-load compare`.

use super::table::Work;
use crate::error::LoadError;
use crate::options::parse_duration;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Plays the same work on Lotkeeper and on what people use today, one after the other, and prints one table.
///
/// Servers that are not installed are left out. Every server is started for this run in a temporary directory
/// on a free port of 127.0.0.1, and ended.
#[derive(Clone, Debug, Parser)]
#[command(name = "lotkeeper-load compare", max_term_width = 100)]
pub struct CompareOptions {
    /// Only these, with commas between.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Peer>,

    /// Only this work, with commas between.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub work: Vec<Work>,

    /// What to do about a peer that is not installed: leave it out, or refuse to run.
    #[arg(long, value_enum, default_value = "installed")]
    pub peers: Wanted,

    /// Measured time of each stage.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,

    /// Time under load before each measuring begins.
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    pub warm_up: Duration,

    /// The longest wait for the disk to come to rest before a stage; all waits together take at most five times this.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub settle: Duration,

    /// Lots.
    #[arg(long, default_value_t = 1_000)]
    pub lots: usize,

    /// Slots in each lot.
    #[arg(long, default_value_t = 100)]
    pub slots: usize,

    /// Connections that book or scan.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,

    /// Websockets that watch in the fan-out stages.
    #[arg(long, default_value_t = 1_000)]
    pub subscribers: usize,

    /// Changes per second of the paced fan-out stages.
    #[arg(long, default_value_t = 1_000.0)]
    pub changes_per_second: f64,

    /// Makes two runs ask for the same.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Threads of the client; half of the cores when left out.
    #[arg(long)]
    pub threads: Option<usize>,

    /// Where to write; the name's end says what: .md, .json or .txt. May be given more than once.
    ///
    /// Left out: docs/benchmarks/DATE-compare.md where that directory exists.
    #[arg(long, value_name = "FILE")]
    pub out: Vec<PathBuf>,

    /// Where temporary directories are made; a disk, not memory, or durability costs nothing.
    #[arg(long, value_name = "DIR")]
    pub data_parent: Option<PathBuf>,
}

/// Who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// PostgreSQL: bookings and scans with row locks.
    Postgres,
    /// Redis with an append-only file synced always: readings and bookings.
    Redis,
    /// A plain file with `sync_data`, and our journal beside it.
    Disk,
    /// A bare HTTP server that parses JSON and sends it back.
    Echo,
    /// nats-server over websockets: fan-out.
    Nats,
    /// nginx with nchan over websockets: fan-out.
    Nchan,
    /// Lotkeeper.
    Ours,
}

/// Whether a peer may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// Those that are here.
    Installed,
    /// Every one, or there is no run.
    All,
}

impl CompareOptions {
    /// Whether work is done.
    pub fn wants(&self, work: Work) -> bool {
        self.work.is_empty() || self.work.contains(&work)
    }

    /// Whether a peer has its turn.
    pub fn plays(&self, peer: Peer) -> bool {
        self.only.is_empty() || self.only.contains(&peer)
    }

    /// Threads of the client.
    pub fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(cores / 2).max(1)
    }

    /// What cannot be run is refused before anything starts.
    pub fn check(&self) -> Result<(), LoadError> {
        let slots = self.lots.saturating_mul(self.slots);
        let ranges = [
            ("--lots", self.lots, 1, 10_000),
            ("--slots", self.slots, 1, 10_000),
            ("--lots times --slots", slots, self.connections, 10_000_000),
            ("--connections", self.connections, 1, 1_000),
            ("--subscribers", self.subscribers, 1, 8_000),
            ("--threads", self.threads(), 1, 256),
        ];
        for (flag, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(LoadError::usage(format!("{flag} is {value}; give {least} to {most}")));
            }
        }
        if self.duration.is_zero() {
            return Err(LoadError::usage("--duration is nought; give at least 1s"));
        }
        if !(1.0..=1e6).contains(&self.changes_per_second) {
            return Err(LoadError::usage("--changes-per-second: give 1 to 1000000"));
        }
        for path in &self.out {
            let end = path.extension().unwrap_or_default();
            if !["md", "json", "txt"].iter().any(|known| end == *known) {
                let name = path.display();
                return Err(LoadError::usage(format!(
                    "--out {name}: end it in .md, .json or .txt"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &[&str]) -> CompareOptions {
        CompareOptions::try_parse_from(["lotkeeper-load compare"].iter().chain(line)).unwrap()
    }

    #[test]
    fn the_flags_are_consistent() {
        CompareOptions::command().debug_assert();
        assert!(parse(&[]).check().is_ok());
    }

    #[test]
    fn only_chooses_who_plays() {
        let all = parse(&[]);
        let few = parse(&["--only", "postgres,nats"]);
        for peer in Peer::value_variants() {
            assert!(all.plays(*peer));
            assert_eq!(few.plays(*peer), matches!(peer, Peer::Postgres | Peer::Nats), "{peer:?}");
        }
    }

    #[test]
    fn work_chooses_what_is_played() {
        let few = parse(&["--work", "scans,quotes"]);
        for work in Work::ALL {
            assert!(parse(&[]).wants(work));
            assert_eq!(few.wants(work), matches!(work, Work::Scans | Work::Quotes), "{work:?}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_flag() {
        for line in [
            ["--lots", "0"],
            ["--connections", "1001"],
            ["--subscribers", "0"],
            ["--duration", "0s"],
            ["--changes-per-second", "0"],
            ["--out", "table.html"],
        ] {
            let error = parse(&line).check().unwrap_err();
            assert!(error.to_string().contains(line[0]), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        assert!(parse(&["--lots", "1", "--slots", "3"]).check().is_err(), "fewer slots than hands");
    }
}
