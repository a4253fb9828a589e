//! The command line of `lotkeeper-load linearize`.

use crate::error::LoadError;
use clap::Parser;
use std::path::PathBuf;

/// Plays concurrent histories on lots of few slots and looks for an order that explains every answer.
///
/// A server is started for this run in a temporary directory on a free port of 127.0.0.1, and ended.
#[derive(Clone, Debug, Parser)]
#[command(name = "lotkeeper-load linearize", max_term_width = 100)]
pub struct LinearizeOptions {
    /// The first history is played by this seed, the next by the one after it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// How many histories: one is all that happens to one lot.
    #[arg(long, default_value_t = 12)]
    pub histories: usize,

    /// Kills the server in the middle of histories (SIGKILL) and starts it again.
    #[arg(long)]
    pub crashes: bool,

    /// Kills of each round of histories that are played at the same time.
    #[arg(long, default_value_t = 3)]
    pub crashes_per_round: usize,

    /// Lots at the same time.
    #[arg(long, default_value_t = 4)]
    pub lots: usize,

    /// Clients of each lot.
    #[arg(long, default_value_t = 10)]
    pub clients: usize,

    /// Drivers of each lot, whom the clients are dealt to: each several clients, beside staff and an operator of another
    /// tenant. Without drivers everybody is staff.
    #[arg(long, default_value_t = 3)]
    pub drivers: u8,

    /// Operations of a history.
    #[arg(long, default_value_t = 300)]
    pub operations: usize,

    /// Slots of the largest lot; the smallest has two.
    #[arg(long, default_value_t = 4)]
    pub slots: u8,

    /// Where a violation is written: the history as JSON and its smallest part as a page.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,

    /// Where the server's temporary directory is made.
    #[arg(long, value_name = "DIR")]
    pub data_parent: Option<PathBuf>,
}

impl LinearizeOptions {
    /// What cannot be run is refused before anything starts.
    pub fn check(&self) -> Result<(), LoadError> {
        let ranges = [
            ("--histories", self.histories, 1, 100_000),
            ("--crashes-per-round", self.crashes_per_round, 1, 100),
            ("--lots", self.lots, 1, 64),
            ("--clients", self.clients, 1, 64),
            // Beyond it a list of a lot's reservations would not fit one page.
            ("--operations", self.operations, 10, 2_000),
            ("--slots", usize::from(self.slots), 2, 16),
            ("--drivers", usize::from(self.drivers), 0, 16),
        ];
        for (flag, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(LoadError::usage(format!("{flag} is {value}; give {least} to {most}")));
            }
        }
        if !self.out.is_dir() {
            let out = self.out.display();
            return Err(LoadError::usage(format!("--out {out}: is no directory; make it first")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        LinearizeOptions::command().debug_assert();
        let parse = |line: &[&str]| {
            LinearizeOptions::try_parse_from(["linearize"].iter().chain(line)).unwrap()
        };
        assert!(parse(&[]).check().is_ok());
        for line in [["--slots", "1"], ["--histories", "0"], ["--out", "/nowhere/at/all"]] {
            assert_eq!(parse(&line).check().unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
