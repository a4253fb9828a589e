//! What every stage needs: the flags, the times, where directories go, and the table that grows.

use super::calm::{Disk, Found};
use super::drive::Timing;
use super::error::CompareError;
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
    disk: Disk,
    /// Of small commits, directly before the stage that plays now.
    disk_p99_us: Option<u64>,
}

impl Context {
    /// Nothing measured yet.
    pub fn new(options: CompareOptions) -> Self {
        let parent = options.data_parent.clone().unwrap_or_else(std::env::temp_dir);
        let disk = Disk::new(parent, options.settle, options.duration);
        Self { table: Table::new(&options), options, disk, disk_p99_us: None }
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

    /// Says what begins now. What the stage before left to be written is written first, and the disk comes
    /// to rest, so that no stage pays for another.
    pub async fn begin(&mut self, key: &str) -> Result<(), CompareError> {
        let path = self.parent();
        let settled = self.disk.settle().await;
        let found = settled.map_err(|source| CompareError::File { path, source })?;
        let Found { p99_us, is_calm, waited } = found;
        self.disk_p99_us = Some(p99_us);
        let best_us = self.disk.best_p99_us().unwrap_or_default();
        self.table.disk_best_p99_us = Some(best_us);
        eprintln!("{:5.0} s  {key}; disk before: p99 {p99_us} us", self.table.age_seconds());
        if !is_calm {
            self.note(format!(
                "{key}: the disk had not come to rest after {:.0} s: p99 of small commits {p99_us} us, {best_us} us \
                 at best",
                waited.as_secs_f64()
            ));
        }
        Ok(())
    }

    /// A peer's version and settings.
    pub fn peer(&mut self, version: &str, settings: &str) {
        eprintln!("         {version}: {settings}");
        self.table.peers.push([version.into(), settings.into()]);
    }

    /// A stage is done.
    pub fn put(&mut self, row: Row) {
        let row = Row { disk_p99_us: self.disk_p99_us, ..row };
        eprintln!("         {}", row.brief());
        self.table.rows.push(row);
    }

    /// Rows that there will not be, by the beginning of their keys, and why.
    pub fn leave_out(&mut self, rows: &'static str, why: impl Into<String>) {
        self.table.absent.push((rows, why.into()));
    }

    /// Something is left out or went wrong.
    pub fn note(&mut self, what: String) {
        eprintln!("         {what}");
        self.table.notes.push(what);
    }
}
