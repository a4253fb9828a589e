//! What a check found, for people.

use std::fmt;
use std::path::{Path, PathBuf};

/// Problems that are told one by one; damage tends to repeat itself.
const PROBLEMS_TOLD_MAX: usize = 40;

/// What a check of a data directory found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Which directory.
    pub data_dir: PathBuf,
    /// Of the log.
    pub epoch: u64,
    /// The oldest retained record.
    pub first_seq: u64,
    /// The newest record.
    pub last_seq: u64,
    /// Records read and replayed.
    pub records: u64,
    /// Frames read.
    pub frames: u64,
    /// Lots replayed to their end.
    pub lots: u64,
    /// Snapshots compared with the replay.
    pub snapshots: u64,
    /// Files of the archive.
    pub archives: u64,
    /// Entries of the vault.
    pub people: u64,
    /// What is unusual and right.
    pub notes: Vec<String>,
    /// What is wrong; the first ones.
    pub problems: Vec<String>,
    /// How many more there are.
    pub further_problems: u64,
}

impl CheckReport {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_path_buf(),
            epoch: 0,
            first_seq: 1,
            last_seq: 0,
            records: 0,
            frames: 0,
            lots: 0,
            snapshots: 0,
            archives: 0,
            people: 0,
            notes: Vec::new(),
            problems: Vec::new(),
            further_problems: 0,
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn problem(&mut self, problem: String) {
        match self.problems.len() < PROBLEMS_TOLD_MAX {
            true => self.problems.push(problem),
            false => self.further_problems += 1,
        }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.data_dir.display())?;
        writeln!(
            f,
            "  records {} to {} (epoch {:016x}): {} read in {} frames, {} archive files",
            self.first_seq, self.last_seq, self.epoch, self.records, self.frames, self.archives
        )?;
        writeln!(
            f,
            "  {} lots replayed, {} snapshots compared, {} people in the vault",
            self.lots, self.snapshots, self.people
        )?;
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        for problem in &self.problems {
            writeln!(f, "  PROBLEM: {problem}")?;
        }
        if self.further_problems > 0 {
            writeln!(f, "  and {} more", self.further_problems)?;
        }
        match self.is_clean() {
            true => write!(f, "clean"),
            false => write!(
                f,
                "damaged: restore a backup, or start from the good records with what is left"
            ),
        }
    }
}
