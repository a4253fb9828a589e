//! Reads a backup from end to end, believes nothing, and says what is in it and where a restore would end.
//!
//! Invariants: whatever a survey accepts can be restored to the cut it names; memory is bounded by one
//! block, one snapshot, one record and a few numbers per lot and snapshot.

use std::collections::BTreeMap;
use std::io::Read;

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;

use super::block::{Block, Blocks, Kind};
use super::error::BackupError;
use super::parts::{Header, PeopleRow, PeopleTree, Trailer};
use super::reach::{Lots, Reach};
use crate::format::{
    Assembler, Frame, Group, SNAPSHOT_BYTES_MAX, SnapshotHead, decode_snapshot, head_of,
};
use crate::sled_journal::{old_people, people};

/// Up to where a restore goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everything.
    Latest,
    /// Whole commits whose last record is at most this one.
    Seq(u64),
    /// Whole commits before the first that holds a record later than this instant.
    Time(Timestamp),
}

/// A record's place and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Global sequence.
    pub seq: u64,
    /// The newest record time up to there.
    pub at: Timestamp,
}

/// The first commit that a restore leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextCommit {
    /// Its first record.
    pub first_seq: u64,
    /// Its last record.
    pub last_seq: u64,
    /// Its newest record time.
    pub at: Timestamp,
}

/// Where a restore ends, and why there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The last record that is kept.
    pub end: Point,
    /// What comes after it in the backup.
    pub next: Option<NextCommit>,
    /// Records after it.
    pub records_left_out: u64,
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What it says of itself.
    pub header: Header,
    /// Its length.
    pub bytes: u64,
    /// Lots at its end.
    pub lots: u64,
    /// People in the vault.
    pub people: u64,
    /// Snapshots of lots.
    pub snapshots: u64,
    /// Frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// The first point a restore can go to; nothing when there is no record.
    pub earliest: Option<Point>,
    /// The last point.
    pub latest: Point,
    /// Where a restore to the asked target ends.
    pub cut: Cut,
}

/// What a restore needs beside the contents.
pub(super) struct Surveyed {
    pub(super) contents: Contents,
    pub(super) lots: Lots,
    pub(super) heads: Vec<SnapshotHead>,
}

/// How far reading is: bytes read, and about how many there are.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64);

/// Reads all of a backup and verifies every byte of it.
///
/// # Errors
/// Not a whole and sound backup of a known format, or one that cannot be restored to the target.
pub fn inspect(
    read: impl Read,
    place: &str,
    target: Target,
    on_progress: OnProgress<'_>,
) -> Result<Contents, BackupError> {
    survey(read, place, target, on_progress).map(|surveyed| surveyed.contents)
}

pub(super) fn survey(
    read: impl Read,
    place: &str,
    target: Target,
    on_progress: OnProgress<'_>,
) -> Result<Surveyed, BackupError> {
    let mut blocks = Blocks::open(read, place)?;
    let head = blocks.next()?;
    let header = Header::from_bytes(&head.payload)
        .ok_or_else(|| blocks.damaged(head.offset, "a header that is none"))?;
    let bytes_about = header.bytes_about;
    let mut survey = Survey::new(header, target);
    loop {
        let block = blocks.next()?;
        on_progress(blocks.offset(), bytes_about);
        let taken = match block.kind {
            Kind::Head => Err("a second header".to_owned()),
            Kind::People => survey.people(&block.payload),
            Kind::Snapshot => survey.snapshot(&block),
            Kind::Frames => survey.frames(&block.payload),
            Kind::Trailer => {
                survey
                    .trailer(&block, blocks.checksum())
                    .map_err(|why| blocks.damaged(block.offset, why))?;
                blocks.expect_end()?;
                return survey.finish(blocks.offset(), blocks.place());
            }
        };
        taken.map_err(|why| blocks.damaged(block.offset, why))?;
    }
}

struct Survey {
    header: Header,
    target: Target,
    people: u64,
    seen: Trailer,
    open_snapshot: Vec<u8>,
    heads: Vec<SnapshotHead>,
    assembler: Assembler,
    reach: Reach,
    commit: Option<NextCommit>,
    records: u64,
    latest: Point,
    end: Option<Point>,
    next: Option<NextCommit>,
    records_left_out: u64,
}

/// Why bytes are not what was written; where they are is said by the caller.
type Taken = Result<(), String>;

fn why(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Survey {
    fn new(header: Header, target: Target) -> Self {
        let before = Point { seq: header.first_seq - 1, at: Timestamp::MIN };
        Self {
            assembler: Assembler::new(Some(header.first_seq)),
            header,
            target,
            people: 0,
            seen: Trailer::default(),
            open_snapshot: Vec::new(),
            heads: Vec::new(),
            reach: Reach::default(),
            commit: None,
            records: 0,
            latest: before,
            end: None,
            next: None,
            records_left_out: 0,
        }
    }

    fn people(&mut self, payload: &[u8]) -> Taken {
        let rows = PeopleRow::all(payload).ok_or("rows of people that are none")?;
        for row in rows {
            self.seen.people_rows += 1;
            self.people += match row.tree {
                PeopleTree::Placed => people::count(&row.value).map_err(why)?,
                PeopleTree::Old => old_people::count(&row.value).map_err(why)?,
            };
        }
        Ok(())
    }

    fn snapshot(&mut self, block: &Block) -> Taken {
        self.open_snapshot.extend_from_slice(&block.payload);
        if self.open_snapshot.len() > SNAPSHOT_BYTES_MAX {
            return Err("a snapshot without an end".to_owned());
        }
        if block.continued {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.open_snapshot);
        let head = head_of(&bytes).map_err(why)?;
        decode_snapshot(&bytes).map_err(why)?;
        let follows =
            self.heads.last().is_none_or(|last| (last.lot, last.seq) < (head.lot, head.seq));
        if !follows || head.seq > self.header.last_seq {
            let (lot, seq) = (head.lot, head.seq);
            return Err(format!("a snapshot of lot {lot} at {seq} where it does not belong"));
        }
        self.seen.snapshots += 1;
        self.reach.snapshot(head);
        self.heads.push(head);
        Ok(())
    }

    fn frames(&mut self, payload: &[u8]) -> Taken {
        let mut rest = payload;
        while !rest.is_empty() {
            let (frame, after) = Frame::read(rest).map_err(why)?;
            let bytes = &rest[..rest.len() - after.len()];
            rest = after;
            self.seen.frames += 1;
            if let Some(group) = self.assembler.push(frame.header.key, bytes).map_err(why)? {
                self.group(&group)?;
            }
        }
        Ok(())
    }

    fn group(&mut self, group: &Group) -> Taken {
        let commit = self.commit.get_or_insert(NextCommit {
            first_seq: group.key.first_seq,
            last_seq: 0,
            at: Timestamp::MIN,
        });
        for record in &group.records {
            if record.seq > self.header.last_seq {
                let (seq, last) = (record.seq, self.header.last_seq);
                return Err(format!(
                    "record {seq}, where the header says record {last} is the last"
                ));
            }
            self.reach.record(record)?;
            commit.last_seq = record.seq;
            commit.at = commit.at.max(record.at);
            self.records += 1;
        }
        if !group.ends_commit {
            return Ok(());
        }
        let Some(commit) = self.commit.take() else { return Ok(()) };
        self.latest = Point { seq: commit.last_seq, at: self.latest.at.max(commit.at) };
        self.reach.commit(self.latest);
        let fits = match self.target {
            Target::Latest => true,
            Target::Seq(seq) => commit.last_seq <= seq,
            Target::Time(at) => commit.at <= at,
        };
        if fits && self.next.is_none() {
            self.end = Some(self.latest);
        } else {
            self.next.get_or_insert(commit);
            self.records_left_out += commit.last_seq + 1 - commit.first_seq;
        }
        Ok(())
    }

    fn trailer(&mut self, block: &Block, checksum: u32) -> Taken {
        let trailer = Trailer::from_bytes(&block.payload).ok_or("a trailer that is none")?;
        let found = Trailer { bytes: block.offset, checksum, ..self.seen };
        if trailer != found {
            return Err("the trailer does not fit what is before it".to_owned());
        }
        if !self.open_snapshot.is_empty() || self.commit.is_some() || self.assembler.is_amid_parts()
        {
            return Err("a snapshot or commit without its end".to_owned());
        }
        if self.latest.seq != self.header.last_seq {
            let (last, found) = (self.header.last_seq, self.latest.seq);
            return Err(format!("the header says record {last}, the last one is {found}"));
        }
        Ok(())
    }

    fn finish(self, bytes: u64, place: &str) -> Result<Surveyed, BackupError> {
        let (earliest, lots) = self.reach.finish().map_err(|lot| BackupError::Damaged {
            place: place.to_owned(),
            detail: format!(
                "lot {} has neither its creation nor a snapshot that reaches its records",
                lot.0
            ),
        })?;
        let contents = Contents {
            bytes,
            lots: lots.len() as u64,
            people: self.people,
            snapshots: self.seen.snapshots,
            frames: self.seen.frames,
            records: self.records,
            earliest,
            latest: self.latest,
            cut: Cut {
                end: self.end.unwrap_or(self.latest),
                next: self.next,
                records_left_out: self.records_left_out,
            },
            header: self.header,
        };
        match super::reach::refusal(&contents, self.target, self.end) {
            Some(why) => Err(BackupError::OutOfReach { place: place.to_owned(), why }),
            None => Ok(Surveyed { contents, lots, heads: self.heads }),
        }
    }
}

/// Key of a lot, for maps in order.
pub(super) fn lot_of(head: &SnapshotHead) -> LotKey {
    LotKey(head.lot)
}

/// What is known of each lot.
pub(super) type ByLot<T> = BTreeMap<LotKey, T>;
