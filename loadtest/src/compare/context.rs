//! What every stage needs: the flags, the times, where directories go, and the table that grows.

use super::drive::Timing;
use super::options::CompareOptions;
use super::table::{Row, Table};
use super::wishes::{Rounds, Wishes};
use crate::clock::Clock;
use std::path::PathBuf;

/// Shared by the stages, which run one after the other.
#[derive(Debug)]
pub struct Context {
    pub options: CompareOptions,
    pub table: Table,
}

impl Context {
    /// Nothing measured yet.
    pub fn new(options: CompareOptions) -> Self {
        Self { table: Table::new(&options), options }
    }

    /// How long a stage is.
    pub fn timing(&self) -> Timing {
        Timing { warm_up: self.options.warm_up, duration: self.options.duration }
    }

    /// Where temporary directories are made.
    pub fn parent(&self) -> PathBuf {
        self.options.data_parent.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// All slots together.
    pub fn slots(&self) -> usize {
        self.options.lots * self.options.slots
    }

    /// Slots whose sensors one hand plays.
    pub fn slots_per_hand(&self) -> usize {
        self.slots() / self.options.connections
    }

    /// What a hand books.
    pub fn wishes(&self, number: usize) -> Wishes {
        Wishes::new(self.options.seed, number, self.slots(), Clock::start().now_us())
    }

    /// What a hand scans.
    pub fn rounds(&self, number: usize) -> Rounds {
        let each = self.slots_per_hand();
        Rounds::new(number * each..(number + 1) * each, Clock::start().now_us())
    }

    /// Says what begins now. What the stage before left to be written is written first, so that no stage
    /// pays for another.
    pub fn begin(&self, key: &str) {
        rustix::fs::sync();
        eprintln!("{:5.0} s  {key}", self.table.age_seconds());
    }

    /// A peer's version and settings.
    pub fn peer(&mut self, version: &str, settings: &str) {
        eprintln!("         {version}: {settings}");
        self.table.peers.push([version.into(), settings.into()]);
    }

    /// A stage is done.
    pub fn put(&mut self, row: Row) {
        eprintln!("         {}", row.brief());
        self.table.rows.push(row);
    }

    /// Something is left out or went wrong.
    pub fn note(&mut self, what: String) {
        eprintln!("         {what}");
        self.table.notes.push(what);
    }
}
