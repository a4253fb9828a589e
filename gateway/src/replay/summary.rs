//! The account of a replay: where every row went.
//!
//! Invariant ([`Summary::is_balanced`]): the rows read are the rows sent plus the rows skipped by
//! fault, and the rows sent are those answered, by outcome. Notes and repairs of the connection
//! are counted beside that, for one row may have several.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::item::{Fault, Item, LocalTime, Row};
use crate::client::Ack;

/// How many faulty rows are shown with their line.
const EXAMPLES_MAX: usize = 5;

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// File and format, as a heading.
    pub title: String,
    /// Rows of the file, without the header.
    pub rows_read: u64,
    /// Rows that were sent and answered.
    pub sent: u64,
    /// Moved the state.
    pub accepted: u64,
    /// Confirmed the state.
    pub unchanged: u64,
    /// Known already.
    pub duplicate: u64,
    /// Older than what is known.
    pub late: u64,
    /// Refused by the server, by code.
    pub refused: BTreeMap<String, u64>,
    /// Not sent: a field cannot be read.
    pub malformed: u64,
    /// Not sent: the sensor has not changed for too long.
    pub dead_sensor: u64,
    /// Not sent: observed after its upload.
    pub early: u64,
    /// Sent: counts above the capacity of their row.
    pub above_capacity: u64,
    /// Sent: observed at a local time that a clock change skipped.
    pub clock_change: u64,
    /// Sent: observed at a local time that a clock change repeated.
    pub clock_fold: u64,
    /// The first malformed or refused rows, in words.
    pub examples: Vec<String>,
    /// Lots made for this file.
    pub lots_created: u64,
    /// Lots that were there.
    pub lots_found: u64,
    /// Slots of all of them that the file needs.
    pub slots: u64,
    /// Changes of a counted lot's capacity.
    pub capacity_changes: u64,
    /// Batches put off because the server was busy.
    pub put_off: u64,
    /// Batches sent again over a new connection.
    pub sent_again: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Wall time of the whole replay.
    pub elapsed: Duration,
}

impl Summary {
    /// Whether every row is accounted for exactly once.
    pub fn is_balanced(&self) -> bool {
        self.rows_read == self.sent + self.skipped()
            && self.sent
                == self.accepted
                    + self.unchanged
                    + self.duplicate
                    + self.late
                    + self.refused_total()
    }

    /// Rows the replay itself did not send.
    pub fn skipped(&self) -> u64 {
        self.malformed + self.dead_sensor + self.early
    }

    /// Rows the server refused.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Rows read per second of wall time.
    pub fn rows_per_second(&self) -> u64 {
        let milliseconds = self.elapsed.as_millis().max(1);
        u64::try_from(u128::from(self.rows_read) * 1_000 / milliseconds).unwrap_or(u64::MAX)
    }

    pub(super) fn row_read(&mut self, row: &Row) {
        self.rows_read += 1;
        match &row.item {
            Item::Reading { .. } | Item::Count { .. } => {
                self.above_capacity += u64::from(row.notes.above_capacity);
                match row.notes.local_time {
                    LocalTime::Exact => {}
                    LocalTime::Gap => self.clock_change += 1,
                    LocalTime::Fold => self.clock_fold += 1,
                }
            }
            Item::Skipped(Fault::Malformed(reason)) => {
                self.malformed += 1;
                self.example(|| format!("line {}: {reason}", row.line));
            }
            Item::Skipped(Fault::DeadSensor { .. }) => self.dead_sensor += 1,
            Item::Skipped(Fault::Early { .. }) => self.early += 1,
        }
    }

    pub(super) fn acknowledged(&mut self, ack: &Ack) {
        self.sent += ack.total();
        self.accepted += ack.accepted;
        self.unchanged += ack.unchanged;
        self.duplicate += ack.duplicate;
        self.late += ack.late;
        for refused in &ack.refused {
            *self.refused.entry(refused.code.clone()).or_default() += 1;
        }
    }

    pub(super) fn refused(&mut self, lot: &str, code: &str, detail: &str, rows: u64) {
        self.sent += rows;
        *self.refused.entry(code.to_owned()).or_default() += rows;
        self.example(|| format!("lot {lot}: {rows} rows refused with {code}: {detail}"));
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} rows in {:.1} s, {} rows/s",
            self.title,
            grouped(self.rows_read),
            self.elapsed.as_secs_f64(),
            grouped(self.rows_per_second()),
        )?;
        writeln!(
            f,
            "lots: {} created, {} found, {} slots",
            self.lots_created,
            self.lots_found,
            grouped(self.slots)
        )?;
        line(f, 0, "sent", self.sent, "")?;
        line(f, 1, "accepted", self.accepted, "")?;
        line(f, 1, "unchanged", self.unchanged, "")?;
        line(f, 1, "duplicate", self.duplicate, "")?;
        line(f, 1, "late", self.late, "older than what the server knew")?;
        line(f, 1, "refused", self.refused_total(), "")?;
        for (code, rows) in &self.refused {
            line(f, 2, code, *rows, "")?;
        }
        line(f, 0, "not sent", self.skipped(), "")?;
        line(f, 1, "early", self.early, "observed after their upload")?;
        line(f, 1, "dead_sensor", self.dead_sensor, "unchanged for too long to mean anything")?;
        line(f, 1, "malformed", self.malformed, "")?;
        for (name, count, meaning) in [
            ("above_capacity", self.above_capacity, "of the sent: counts above their capacity"),
            ("clock_change", self.clock_change, "of the sent: local times that were skipped"),
            ("clock_fold", self.clock_fold, "of the sent: local times that came twice"),
            ("capacity_changes", self.capacity_changes, "lots whose capacity was changed"),
            ("put_off", self.put_off, "batches sent again because the server was busy"),
            ("sent_again", self.sent_again, "batches sent again over a new connection"),
            ("reconnects", self.reconnects, ""),
        ] {
            if count > 0 {
                line(f, 0, name, count, meaning)?;
            }
        }
        for example in &self.examples {
            writeln!(f, "  {example}")?;
        }
        Ok(())
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    depth: usize,
    name: &str,
    count: u64,
    meaning: &str,
) -> fmt::Result {
    const NAME_WIDTH: usize = 22;
    let indent = 2 * depth;
    let width = NAME_WIDTH.saturating_sub(indent);
    let count = grouped(count);
    let text = format!("{:indent$}{name:<width$}{count:>12}  {meaning}", "");
    writeln!(f, "{}", text.trim_end())
}

/// `1225705` as `1,225,705`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Refused;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_225_705, "1,225,705")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn every_row_is_accounted_for_once() {
        let mut summary = Summary::default();
        let skipped = |fault| Row {
            line: 2,
            clock: None,
            item: Item::Skipped(fault),
            notes: super::super::item::Notes::default(),
        };
        for fault in [
            Fault::Malformed("ts \"x\" is no time".to_owned()),
            Fault::DeadSensor { age_days: 31 },
            Fault::Early { ahead_seconds: 61 },
        ] {
            summary.row_read(&skipped(fault));
        }
        assert!(summary.is_balanced(), "only skipped rows");

        summary.rows_read += 6;
        assert!(!summary.is_balanced(), "rows on their way");
        let refused = vec![Refused { index: 0, code: "slot_not_found".to_owned() }];
        let ack =
            Ack { accepted: 1, unchanged: 1, duplicate: 1, late: 1, refused, ..Ack::default() };
        summary.acknowledged(&ack);
        summary.refused("l", "validation_failed", "d", 1);
        assert!(summary.is_balanced(), "all answered");

        let text = summary.to_string();
        for part in ["slot_not_found", "validation_failed", "line 2: ts \"x\"", "dead_sensor"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
