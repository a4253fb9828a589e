//! Reads pages out of a part of the log, be it a tree of sled, a map in memory or a file of the archive.

use lotkeeper_engine::ids::LotKey;
use sled::IVec;

use crate::error::JournalError;
use crate::format::{Assembler, FrameKey, Group};
use crate::record::Record;

/// Stored frames in order.
pub(crate) type Frames = Box<dyn Iterator<Item = Result<(FrameKey, IVec), JournalError>> + Send>;

/// A part of the log.
pub(crate) trait Part {
    /// Frames from the one that holds `seq` on, or from the first after it.
    fn frames_from(&self, seq: u64) -> Result<Frames, JournalError>;
    /// For messages.
    fn place(&self) -> String;
}

/// Frames put together to records; ends at the first error.
pub(crate) struct Groups {
    frames: Frames,
    assembler: Assembler,
    place: String,
    failed: bool,
}

impl Groups {
    pub(crate) fn new(part: &dyn Part, seq: u64) -> Result<Self, JournalError> {
        let (frames, place) = (part.frames_from(seq)?, part.place());
        Ok(Self { frames, assembler: Assembler::new(None), place, failed: false })
    }

    fn next_group(&mut self) -> Result<Option<Group>, JournalError> {
        while let Some(frame) = self.frames.next() {
            let (key, bytes) = frame?;
            let group = self.assembler.push(key, &bytes);
            if let Some(group) = group.map_err(|error| JournalError::format(&self.place, &error))? {
                return Ok(Some(group));
            }
        }
        Ok(None)
    }
}

impl Iterator for Groups {
    type Item = Result<Group, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let group = self.next_group().transpose();
        self.failed = group.as_ref().is_some_and(Result::is_err);
        group
    }
}

/// Whole commits from the one that begins at `start` to the one that ends at `last`.
pub(crate) struct Commits {
    groups: Groups,
    last: u64,
    done: bool,
}

impl Commits {
    pub(crate) fn new(part: &dyn Part, start: u64, last: u64) -> Result<Self, JournalError> {
        Ok(Self { groups: Groups::new(part, start)?, last, done: start > last })
    }

    fn next_commit(&mut self) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        for group in &mut self.groups {
            let group = group?;
            records.extend(group.records);
            if group.ends_commit {
                self.done = records.last().is_none_or(|record| record.seq >= self.last);
                return Ok(records);
            }
        }
        let detail = format!("the log ends amid a commit, before record {}", self.last);
        Err(JournalError::damaged(&self.groups.place, detail))
    }
}

impl Iterator for Commits {
    type Item = Result<Vec<Record>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let commit = self.next_commit();
        self.done |= commit.is_err();
        Some(commit)
    }
}

/// Appends records from `seq` on until the page is full or the part ends.
pub(crate) fn read_after(
    part: &dyn Part,
    seq: u64,
    limit: usize,
    into: &mut Vec<Record>,
) -> Result<(), JournalError> {
    for group in Groups::new(part, seq)? {
        let records = group?.records.into_iter().filter(|record| record.seq >= seq);
        into.extend(records.take(limit - into.len()));
        if into.len() >= limit {
            break;
        }
    }
    Ok(())
}

/// What a page of one lot is about.
pub(crate) struct LotPage {
    pub(crate) lot: LotKey,
    /// The first lot sequence wanted.
    pub(crate) wanted: u64,
    /// The last one of this part: reading stops there, not at the end of the part.
    pub(crate) last: u64,
    pub(crate) limit: usize,
}

/// Appends records of one lot until the page is full or its last record in this part is reached.
/// `start_of` tells where a lot sequence lies or later: asked again whenever a frame had nothing.
pub(crate) fn read_lot(
    part: &dyn Part,
    page: &LotPage,
    start_of: &dyn Fn(u64) -> u64,
    into: &mut Vec<Record>,
) -> Result<(), JournalError> {
    let mut wanted = page.wanted;
    let mut start = start_of(wanted);
    'hop: while wanted <= page.last && into.len() < page.limit {
        for group in Groups::new(part, start)? {
            let group = group?;
            let end = group.records.last().map_or(start, |record| record.seq);
            let mut found = false;
            for record in group.records.into_iter().filter(|record| record.lot == page.lot) {
                if record.lot_seq == wanted && into.len() < page.limit {
                    into.push(record);
                    wanted += 1;
                    found = true;
                }
            }
            if wanted > page.last || into.len() >= page.limit {
                break 'hop;
            }
            let known = start_of(wanted);
            if !found && known > end + 1 {
                start = known;
                continue 'hop;
            }
        }
        break;
    }
    Ok(())
}
