//! The whole log as it was read, and the judgement of everything clients were told against it.
//!
//! Pure: it waits for nothing and reads no clock, so its tests feed it histories with planted faults.

use super::book::LotBook;
use super::checks::Checks;
use super::log::{LogEvent, Standing};
use super::stays::{Fact, StayBook};
use crate::clock::parse_rfc3339;
use crate::fleet::slot_code;
use crate::verify::Check;
use crate::wire::{Counts, Status};
use std::collections::BTreeMap;

/// The server's own bound: a lot remembers so many reservations that ended.
const ENDED_REMEMBERED: usize = 2_048;

/// One reading of a batch that was answered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldReading {
    pub slot: usize,
    pub sequence: u64,
    pub occupied: bool,
}

/// One entry of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    pub kind: String,
    pub slot: Option<String>,
    pub status: Option<Status>,
}

/// Something a client was told. Each is as of a sequence of its lot.
#[derive(Clone, Debug)]
pub enum Told {
    /// A write was answered with this.
    Granted(Standing),
    /// A request to reserve was refused: there must be no such reservation, ever.
    Refused { id: String, lot: String },
    /// `GET` of a reservation, or an item of a list.
    Shown(Standing),
    /// `GET` of a reservation that was granted, answered 404.
    Absent { id: String, lot: String },
    /// A batch was acknowledged. `exact`: each reading changed its slot, so each has a record.
    Readings { lot: String, seq: u64, exact: bool, readings: Vec<ToldReading> },
    /// A count was acknowledged.
    Counted { lot: String, seq: u64, observed_us: u64, occupied: i64 },
    /// All slots of a lot, in order.
    Slots { lot: String, seq: u64, statuses: Vec<Status>, by: &'static str },
    /// Places by status.
    Counts { lot: String, seq: u64, counts: Counts, by: &'static str },
    /// Entries of a stream.
    Entries { lot: String, entries: Vec<Entry> },
    /// Something of the lot of stays; `seq` is 0 where it was told without one.
    Stay { lot: String, seq: u64, fact: Fact },
}

impl Told {
    /// The lot it is about.
    pub fn lot(&self) -> &str {
        match self {
            Self::Granted(standing) | Self::Shown(standing) => &standing.lot,
            Self::Refused { lot, .. }
            | Self::Absent { lot, .. }
            | Self::Readings { lot, .. }
            | Self::Counted { lot, .. }
            | Self::Slots { lot, .. }
            | Self::Counts { lot, .. }
            | Self::Stay { lot, .. }
            | Self::Entries { lot, .. } => lot,
        }
    }

    /// The lot's sequence it rests on.
    fn seq(&self) -> u64 {
        match self {
            Self::Granted(standing) | Self::Shown(standing) => standing.seq,
            Self::Refused { .. } | Self::Absent { .. } => 0,
            Self::Readings { seq, .. }
            | Self::Counted { seq, .. }
            | Self::Stay { seq, .. }
            | Self::Slots { seq, .. }
            | Self::Counts { seq, .. } => *seq,
            Self::Entries { entries, .. } => entries.last().map_or(0, |entry| entry.seq),
        }
    }

    /// Whether it answers a write.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Granted(_)
            | Self::Refused { .. }
            | Self::Readings { .. }
            | Self::Stay { .. }
            | Self::Counted { .. } => true,
            Self::Shown(_)
            | Self::Absent { .. }
            | Self::Slots { .. }
            | Self::Counts { .. }
            | Self::Entries { .. } => false,
        }
    }
}

/// The log so far.
#[derive(Debug)]
pub struct History {
    lots: BTreeMap<String, LotBook>,
    stays: StayBook,
    /// By global sequence, from 1.
    prints: Vec<u64>,
}

impl History {
    /// Of lots that are known by name and number of slots, and of the lot of stays.
    pub fn new(lots: impl IntoIterator<Item = (String, usize)>, stays: &str) -> Self {
        let book = |(code, slots): (String, usize)| {
            let book = LotBook::new(&code, slots);
            (code, book)
        };
        let lots = lots.into_iter().map(book).collect();
        Self { lots, stays: StayBook::new(stays), prints: Vec::new() }
    }

    /// The last global sequence.
    pub fn head(&self) -> u64 {
        self.prints.len() as u64
    }

    /// The model of a lot.
    pub fn lot(&self, code: &str) -> Option<&LotBook> {
        self.lots.get(code)
    }

    /// The model of the lot of stays.
    pub fn stays(&self) -> &StayBook {
        &self.stays
    }

    /// The next event, or one that was read before and must be the same still.
    pub fn take(&mut self, event: &LogEvent, checks: &mut Checks) {
        let (seq, expected) = (event.seq, self.head() + 1);
        checks.whole.examine(1);
        let print = event.fingerprint();
        if seq < expected {
            let was =
                usize::try_from(seq).ok().and_then(|seq| self.prints.get(seq.wrapping_sub(1)));
            if was != Some(&print) {
                checks.whole.fault(format!("event {seq} is not what it was: now {event:?}"));
            }
            return;
        }
        if seq > expected {
            checks.whole.fault(format!("event {seq} follows event {}", expected - 1));
            self.prints.resize((seq - 1) as usize, 0);
        }
        self.prints.push(print);
        checks.once.examine(1);
        match self.lots.get_mut(&event.lot) {
            Some(lot) => lot.take(event, checks),
            None if event.lot == self.stays.code => self.stays.take(event, checks),
            None => checks.once.fault(format!("event {seq}: lot {} was never made", event.lot)),
        }
    }

    /// Holds what a client was told against the log, which must reach as far.
    pub fn judge(&self, told: &Told, checks: &mut Checks) {
        let check = if told.is_write() { &mut checks.kept } else { &mut checks.reads };
        let (lot, seq) = (told.lot(), told.seq());
        if let Told::Stay { fact, .. } = told {
            let head = self.stays.head();
            return match seq > head {
                true => check.fault(format!("lot {lot}: the log ends at {head}: {told:?}")),
                false => fact.judge(&self.stays, seq, check),
            };
        }
        let Some(book) = self.lots.get(lot) else {
            return check.fault(format!("lot {lot} was never made: {told:?}"));
        };
        if seq > book.head() {
            let head = book.head();
            return check.fault(format!(
                "lot {lot}: seq {seq} was told and the log ends at {head}: {told:?}"
            ));
        }
        match told {
            Told::Granted(standing) | Told::Shown(standing) => stands(book, standing, check),
            Told::Refused { id, .. } => {
                check.examine(1);
                if let Some(step) = book.reservation_at(id, u64::MAX) {
                    check.fault(format!(
                        "lot {lot}: reservation {id} was refused and the log has it: {step:?}"
                    ));
                }
            }
            Told::Absent { id, .. } => absent(book, lot, id, check),
            Told::Readings { exact, readings, .. } => {
                check.examine(readings.len() as u64);
                for reading in readings {
                    if let Some(fault) = lost(book, seq, *exact, *reading) {
                        check.fault(format!("lot {lot} at seq {seq}: {fault}"));
                    }
                }
            }
            Told::Counted { observed_us, occupied, .. } => {
                tallied(book, lot, (seq, *observed_us, *occupied), check);
            }
            Told::Slots { statuses, by, .. } => {
                check.examine(1);
                if statuses.len() != book.slots() {
                    let (are, has) = (statuses.len(), book.slots());
                    check.fault(format!("lot {lot}: {by} has {are} of {has} slots"));
                }
                for (slot, status) in statuses.iter().enumerate() {
                    shows(book, lot, seq, slot, *status, by, check);
                }
            }
            Told::Counts { counts, by, .. } => {
                check.examine(1);
                let model = book.counts_at(seq);
                if model != *counts {
                    check.fault(format!(
                        "lot {lot} at seq {seq}: {by} says {counts:?}, the log {model:?}"
                    ));
                }
            }
            Told::Stay { .. } => {}
            Told::Entries { entries, .. } => {
                for entry in entries {
                    check.examine(1);
                    streamed(book, lot, entry, check);
                }
            }
        }
    }
}

/// A reservation as answered against the log at that sequence.
fn stands(book: &LotBook, told: &Standing, check: &mut Check) {
    check.examine(1);
    let (lot, id, seq) = (&told.lot, &told.id, told.seq);
    let Some(step) = book.reservation_at(id, seq) else {
        return check.fault(format!("lot {lot}: reservation {id} is not in the log: {told:?}"));
    };
    let window = (parse_rfc3339(&told.from), parse_rfc3339(&told.to));
    let agrees = step.state == told.state
        && step.version == told.version
        && slot_code(step.slot) == told.slot
        && window == (Some(step.from_us), Some(step.to_us));
    if !agrees {
        check.fault(format!("lot {lot}: the log has {step:?}, a client was told {told:?}"));
    }
}

/// A count, told with what it made of the tally.
fn tallied(book: &LotBook, lot: &str, told: (u64, u64, i64), check: &mut Check) {
    let (seq, observed_us, occupied) = told;
    check.examine(1);
    let (found, tally) = (book.counted(observed_us), book.tally_at(seq));
    if found.is_none_or(|found| found > seq) || tally != Some(occupied) {
        check.fault(format!(
            "lot {lot}: a count made {occupied} at seq {seq}, the log has {tally:?} there and it at {found:?}"
        ));
    }
}

/// Only one that ended, and long ago, may be forgotten.
fn absent(book: &LotBook, lot: &str, id: &str, check: &mut Check) {
    check.examine(1);
    let remembered = book.ended.iter().rev().take(ENDED_REMEMBERED).any(|ended| ended == id);
    let is_active = book.reservation_at(id, u64::MAX).is_some_and(|step| step.state.is_active());
    if remembered || is_active {
        check.fault(format!("lot {lot}: reservation {id} is in the log and answers 404"));
    }
}

/// Why a reading that was answered for is not in the log.
fn lost(book: &LotBook, seq: u64, exact: bool, reading: ToldReading) -> Option<String> {
    let ToldReading { slot, sequence, occupied } = reading;
    if exact {
        return match book.seen(slot, sequence) {
            Some(seen) if seen.seq <= seq && seen.occupied == occupied => None,
            found => {
                Some(format!("reading {sequence} of slot {slot} was taken, the log has {found:?}"))
            }
        };
    }
    // It may have confirmed what was known, repeated what is there or come late: then nothing is recorded.
    match book.seen_at(slot, seq) {
        Some(seen) if seen.sequence >= sequence || seen.occupied == occupied => None,
        found => Some(format!(
            "reading {sequence} of slot {slot} was answered for, the log has {found:?} there"
        )),
    }
}

fn shows(
    book: &LotBook,
    lot: &str,
    seq: u64,
    slot: usize,
    status: Status,
    by: &str,
    check: &mut Check,
) {
    let model = book.status_at(slot, seq);
    if model != status {
        let slot = slot_code(slot);
        check.fault(format!(
            "lot {lot} slot {slot} at seq {seq}: {by} says {status:?}, the log {model:?}"
        ));
    }
}

fn streamed(book: &LotBook, lot: &str, entry: &Entry, check: &mut Check) {
    let slot = entry.slot.as_deref().and_then(super::log::slot_number);
    let mark = book.mark_at(entry.seq);
    let same = mark.is_some_and(|mark| {
        let same_slot = mark.slot.is_none() || slot.is_none() || mark.slot == slot;
        mark.kind == entry.kind && same_slot
    });
    if !same {
        check.fault(format!("lot {lot}: streamed {entry:?}, the log has {mark:?}"));
    }
    if let (Some(slot), Some(status)) = (slot, entry.status) {
        shows(book, lot, entry.seq, slot, status, "the stream", check);
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
