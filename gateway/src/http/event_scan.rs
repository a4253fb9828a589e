//! Walks the log for the lists of events and scans: the whole log or one lot's, forwards or backwards, bounded
//! in what it reads per page.
//!
//! Positions are sequences: global ones, or a lot's own. Nothing beyond the durable sequence is shown.

use std::sync::Arc;

use lotkeeper_actors::{Engine, LotHandle};
use lotkeeper_engine::time::{Seconds, Timestamp};
use lotkeeper_storage::{JournalError, Reader, Record};

use super::answer::unreadable;
use crate::error::Problem;

/// Records looked at for one page; a filter that matches little is continued by its cursor.
const RECORDS_READ_MAX: usize = 20_000;
/// Records fetched at once.
const RECORDS_FETCHED: usize = 1_000;
/// Actors stamp records beside each other, so times in the log may step back by less than this.
const DISORDER_SECONDS: u32 = 10;

/// A log, or a lot's part of it.
pub struct Log {
    reader: Arc<dyn Reader>,
    lot: Option<LotHandle>,
    /// Global sequence; nothing after it is durable yet.
    durable_seq: u64,
}

/// What a walk found.
pub struct Walked<T> {
    /// In order.
    pub items: Vec<T>,
    /// The position of the last record looked at, when there are more beyond it.
    pub next_after: Option<u64>,
}

impl Log {
    /// The log, or one lot's part of it.
    pub fn new(engine: &Engine, lot: Option<LotHandle>) -> Self {
        Self { reader: engine.reader(), lot, durable_seq: engine.seq() }
    }

    fn position(&self, record: &Record) -> u64 {
        if self.lot.is_some() { record.lot_seq } else { record.seq }
    }

    /// Durable records after a position; nothing when the first of them has been pruned.
    fn page(&self, after: u64, limit: usize) -> Result<Option<Vec<Record>>, Problem> {
        let page = match &self.lot {
            Some(lot) => self.reader.lot_after(lot.key(), after, limit),
            None => self.reader.after(after, limit),
        };
        match page {
            Ok(mut page) => {
                page.records.retain(|record| record.seq <= self.durable_seq);
                Ok(Some(page.records))
            }
            Err(JournalError::Pruned { .. }) => Ok(None),
            Err(error) => Err(unreadable("journal", &error)),
        }
    }

    /// The last position before every retained record of `from` or later, and whether older records
    /// than that one are pruned.
    pub fn before(&self, from: Timestamp) -> Result<(u64, bool), Problem> {
        let from = from.minus(Seconds(DISORDER_SECONDS));
        let end = match &self.lot {
            Some(lot) => lot.view().lot_seq,
            None => self.durable_seq,
        };
        // Binary search for the first position from which reading is possible and late enough.
        let (mut low, mut high) = (0, end);
        let mut first_retained = 0;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.page(middle, 1)? {
                None => {
                    first_retained = first_retained.max(middle + 1);
                    low = middle + 1;
                }
                Some(records) if records.first().is_some_and(|record| record.at < from) => {
                    low = middle + 1;
                }
                Some(_) => high = middle,
            }
        }
        Ok((low, low > 0 && low == first_retained))
    }

    /// The oldest retained position.
    pub fn first(&self) -> Result<u64, Problem> {
        Ok(self.before(Timestamp::MIN)?.0 + 1)
    }

    /// Collects what `pick` makes of the records after a position.
    pub fn walk<T>(
        &self,
        after: u64,
        limit: usize,
        mut pick: impl FnMut(&Record) -> Option<T>,
    ) -> Result<Walked<T>, Problem> {
        let mut walked = Walked { items: Vec::new(), next_after: None };
        let (mut position, mut read) = (after, 0);
        while read < RECORDS_READ_MAX {
            let Some(records) = self.page(position, RECORDS_FETCHED)? else {
                return Err(Problem::pruned(self.first()?));
            };
            if records.is_empty() {
                return Ok(walked);
            }
            for record in &records {
                if walked.items.len() == limit {
                    walked.next_after = Some(position);
                    return Ok(walked);
                }
                walked.items.extend(pick(record));
                position = self.position(record);
            }
            read += records.len();
        }
        walked.next_after = Some(position);
        Ok(walked)
    }

    /// The same towards the beginning: the newest record before a position first. What has been pruned is
    /// the end, and no refusal: who wants the last ones does not miss the first.
    pub fn walk_back<T>(
        &self,
        before: u64,
        limit: usize,
        mut pick: impl FnMut(&Record) -> Option<T>,
    ) -> Result<Walked<T>, Problem> {
        let mut walked = Walked { items: Vec::new(), next_after: None };
        let (mut end, mut read) = (before, 0);
        let mut first = 1;
        while end > first && read < RECORDS_READ_MAX {
            let after = end.saturating_sub(1 + RECORDS_FETCHED as u64).max(first - 1);
            let Some(mut records) = self.page(after, RECORDS_FETCHED)? else {
                first = self.first()?;
                continue;
            };
            records.retain(|record| self.position(record) < end);
            for record in records.iter().rev() {
                if walked.items.len() == limit {
                    walked.next_after = Some(end);
                    return Ok(walked);
                }
                walked.items.extend(pick(record));
                end = self.position(record);
            }
            read += records.len();
            // Nothing durable lies there (yet): the next look is below it.
            end = end.min(after + 1);
        }
        walked.next_after = (end > first).then_some(end);
        Ok(walked)
    }

    /// The position after the newest record.
    pub fn end(&self) -> u64 {
        1 + self.lot.as_ref().map_or(self.durable_seq, |lot| lot.view().lot_seq)
    }
}

#[cfg(test)]
mod tests {
    use lotkeeper_engine::ids::{LotKey, SlotIndex};
    use lotkeeper_engine::slot;
    use lotkeeper_storage::{Event, Page};

    use super::*;

    /// A log whose records before `first_seq` are gone; each is a minute after the one before.
    struct Kept {
        first_seq: u64,
        last_seq: u64,
    }

    const MINUTE_SECONDS: i64 = 60;

    fn at(seq: u64) -> Timestamp {
        Timestamp::from_seconds(i64::try_from(seq).unwrap() * MINUTE_SECONDS)
    }

    impl Reader for Kept {
        fn after(&self, after_seq: u64, limit: usize) -> Result<Page, JournalError> {
            let first_seq = self.first_seq;
            if after_seq + 1 < first_seq {
                return Err(JournalError::Pruned { first_seq });
            }
            let record = |seq| Record {
                seq,
                lot: LotKey(0),
                lot_seq: seq,
                at: at(seq),
                event: Event::Slot(SlotIndex(0), slot::Event::FellSilent),
                by: None,
                claim: None,
            };
            let records = (after_seq + 1..=self.last_seq).take(limit).map(record).collect();
            Ok(Page { records, first_seq })
        }

        fn lot_after(&self, _: LotKey, _: u64, _: usize) -> Result<Page, JournalError> {
            unreachable!("this log is not one lot's")
        }
    }

    fn log(first_seq: u64, last_seq: u64, durable_seq: u64) -> Log {
        Log { reader: Arc::new(Kept { first_seq, last_seq }), lot: None, durable_seq }
    }

    fn seqs(record: &Record) -> Option<u64> {
        Some(record.seq)
    }

    #[test]
    fn a_time_is_found_and_so_is_the_start_of_what_is_retained() {
        let (fresh, pruned) = (log(1, 1_000, 1_000), log(301, 1_000, 1_000));
        for (log, from, found) in [
            (&fresh, at(1), (0, false)),
            (&fresh, at(500), (499, false)),
            (&fresh, at(5_000), (1_000, false)),
            (&fresh, Timestamp::MIN, (0, false)),
            (&pruned, at(500), (499, false)),
            (&pruned, at(200), (300, true)),
            (&pruned, Timestamp::MIN, (300, true)),
        ] {
            assert_eq!(log.before(from).unwrap(), found, "{from}");
        }
        assert_eq!((fresh.first().unwrap(), pruned.first().unwrap()), (1, 301));
        assert_eq!(log(1, 0, 0).first().unwrap(), 1, "an empty log");
    }

    #[test]
    fn pruned_events_are_refused_with_the_first_there_is() {
        let pruned = log(301, 1_000, 1_000);
        let Err(problem) = pruned.walk(299, 10, seqs) else { panic!("300 is gone") };
        assert_eq!((problem.code, problem.first_seq), ("events_pruned", Some(301)));
        assert_eq!(pruned.walk(300, 2, seqs).unwrap().items, [301, 302]);
    }

    #[test]
    fn nothing_that_is_not_durable_is_shown() {
        let walked = log(1, 1_000, 3).walk(0, 10, seqs).unwrap();
        assert_eq!((walked.items, walked.next_after), (vec![1, 2, 3], None));
    }

    #[test]
    fn a_filter_that_matches_nothing_is_continued() {
        let many = RECORDS_READ_MAX as u64 + 10;
        let log = log(1, many, many);
        let none = |_: &Record| None::<u64>;
        let first = log.walk(0, 10, none).unwrap();
        let next = first.next_after.expect("there is more");
        assert_eq!(next, RECORDS_READ_MAX as u64);
        assert_eq!(log.walk(next, 10, none).unwrap().next_after, None);
        let page = log.walk(0, 10, seqs).unwrap();
        assert_eq!((page.items.len(), page.next_after), (10, Some(10)));
    }

    #[test]
    fn backwards_the_newest_come_first_and_pages_join() {
        let log = log(301, 2_500, 2_400);
        let mut before = log.end();
        let mut found = Vec::new();
        for _ in 0..3 {
            let walked = log.walk_back(before, 800, seqs).unwrap();
            found.extend(walked.items);
            let Some(next) = walked.next_after else { break };
            before = next;
        }
        let wanted: Vec<u64> = (301..=2_400).rev().collect();
        assert!(found == wanted, "{} of {}, ends {:?}", found.len(), wanted.len(), found.last());
        assert_eq!(log.walk_back(301, 10, seqs).unwrap().items, Vec::<u64>::new(), "pruned");
        let none = |_: &Record| None::<u64>;
        let many = super::tests::log(1, 30_000, 30_000);
        assert_eq!(many.walk_back(30_001, 1, none).unwrap().next_after, Some(10_001));
        assert_eq!(many.walk_back(10_001, 1, none).unwrap().next_after, None);
    }
}
