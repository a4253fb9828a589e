//! Recovery: what of a log's frames counts, where each lot starts from, and whether the epoch must change.
//!
//! A crash leaves whole commits and perhaps the beginning of one more. Only that beginning is discarded;
//! anything else that does not fit is damage and refused, because dropping it would drop acknowledged work.

use std::collections::BTreeMap;

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;

use crate::error::JournalError;
use crate::format::{Assembler, Frame, FrameKey, Group, SnapshotHead, Tip};
use crate::index::LotIndex;
use crate::paging::Frames;
use crate::sled_journal::people::serial_of;

/// Intact snapshots of each lot, oldest first.
pub(crate) type Heads = BTreeMap<LotKey, Vec<SnapshotHead>>;

/// Sequence of the older of the two newest snapshots: what a start takes, and what bounds pruning.
pub(crate) fn older_of(heads: &[SnapshotHead]) -> Option<u64> {
    let older = heads.len().saturating_sub(2);
    heads.get(older).map(|head| head.seq)
}

/// What a scan of all frames found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) last_seq: u64,
    pub(crate) last_at: Timestamp,
    pub(crate) index: LotIndex,
    /// How many places were given to people at least: one more than the last that a record names.
    pub(crate) places_named: u64,
    /// Frames after the last whole commit.
    pub(crate) discarded: Vec<FrameKey>,
    /// First record of every commit: a tail begins at one.
    commit_starts: Vec<u64>,
    /// Frames of whole commits.
    pub(crate) frames: u64,
}

/// Scans all frames of a log whose first retained record is `first_seq`.
pub(crate) fn scan(
    frames: Frames,
    place: &str,
    first_seq: u64,
    heads: &Heads,
    on_commit: &mut dyn FnMut(&[Group]) -> Result<(), JournalError>,
) -> Result<Scan, JournalError> {
    let mut scan = Scan {
        last_seq: first_seq - 1,
        last_at: Timestamp::default(),
        index: LotIndex::default(),
        places_named: 0,
        discarded: Vec::new(),
        commit_starts: Vec::new(),
        frames: 0,
    };
    let mut assembler = Assembler::new(Some(first_seq));
    let mut commit: Vec<Group> = Vec::new();
    let mut open_frames = Vec::new();
    let mut damage: Option<String> = None;
    for frame in frames {
        let (key, bytes) = frame?;
        open_frames.push(key);
        if let Some(damage) = &damage {
            refuse_if_more_follows(&bytes, place, damage)?;
            continue;
        }
        match assembler.push(key, &bytes) {
            Ok(None) => {}
            Ok(Some(group)) => {
                let ends = group.ends_commit;
                commit.push(group);
                if ends {
                    scan.take_commit(&commit, heads, place)?;
                    on_commit(&commit)?;
                    scan.frames += open_frames.len() as u64;
                    commit.clear();
                    open_frames.clear();
                }
            }
            Err(error @ crate::format::FormatError::Newer { .. }) => {
                return Err(JournalError::format(place, &error));
            }
            Err(error) => {
                refuse_if_more_follows(&bytes, place, &error.to_string())?;
                damage = Some(format!("{key:?}: {error}"));
            }
        }
    }
    scan.discarded = open_frames;
    scan.floor_quiet_lots(heads)?;
    Ok(scan)
}

/// An intact end of a commit behind damage means that acknowledged records are in between.
fn refuse_if_more_follows(bytes: &[u8], place: &str, damage: &str) -> Result<(), JournalError> {
    match Frame::parse(bytes) {
        Ok(frame) if frame.header.ends_commit => {
            let detail = format!("{damage}; whole commits follow it, so it is not the torn end");
            Err(JournalError::damaged(place, detail))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

impl Scan {
    fn take_commit(
        &mut self,
        commit: &[Group],
        heads: &Heads,
        place: &str,
    ) -> Result<(), JournalError> {
        self.commit_starts.push(self.last_seq + 1);
        for record in commit.iter().flat_map(|group| &group.records) {
            if self.index.get(record.lot).is_none() && record.lot_seq > 1 {
                let covered = heads.get(&record.lot).is_some_and(|heads| {
                    heads.iter().any(|head| head.lot_seq + 1 >= record.lot_seq)
                });
                if !covered {
                    let detail = format!(
                        "lot {} begins with its record {}, and no snapshot holds what was before",
                        record.lot.0, record.lot_seq
                    );
                    return Err(JournalError::damaged(place, detail));
                }
                self.index.begin(record.lot, record.lot_seq - 1)?;
            }
            self.index
                .note(record.lot, record.lot_seq, record.seq)
                .map_err(|error| JournalError::damaged(place, error.to_string()))?;
            self.last_seq = record.seq;
            self.last_at = self.last_at.max(record.at);
            let named = record.people().filter_map(|person| serial_of(person.0)).max();
            self.places_named = named.map_or(0, |place| place + 1).max(self.places_named);
        }
        Ok(())
    }

    /// Lots without a frame are known from their snapshots alone.
    fn floor_quiet_lots(&mut self, heads: &Heads) -> Result<(), JournalError> {
        for (lot, heads) in heads {
            let usable = heads.iter().rfind(|head| head.seq <= self.last_seq);
            if let (Some(head), None) = (usable, self.index.get(*lot)) {
                self.index.begin(*lot, head.lot_seq)?;
                self.last_at = self.last_at.max(Timestamp::from_micros(head.at));
            }
        }
        Ok(())
    }

    /// The snapshot each lot starts from: the older of the two newest that the log still reaches.
    pub(crate) fn starts(&self, heads: &Heads) -> Vec<SnapshotHead> {
        let older = |heads: &Vec<SnapshotHead>| {
            let usable = heads.iter().rev().filter(|head| head.seq <= self.last_seq);
            usable.take(2).last().copied()
        };
        heads.values().filter_map(older).collect()
    }

    /// First record of the commit with which the tail begins.
    pub(crate) fn tail_start(
        &self,
        starts: &[SnapshotHead],
        place: &str,
    ) -> Result<u64, JournalError> {
        let from_snapshots = starts.iter().map(|head| head.seq + 1).min();
        let mut tail = from_snapshots.unwrap_or(self.last_seq + 1);
        for (lot, track) in self.index.iter() {
            // In order of lot, as the heads are.
            let start = starts.binary_search_by_key(&lot.0, |head| head.lot).ok();
            let held = start.map_or(0, |position| starts[position].lot_seq);
            if start.is_some() && track.floor <= held {
                continue;
            }
            if track.floor > held {
                let (lot, floor) = (lot.0, track.floor);
                let detail = format!("records of lot {lot} up to {floor} are in no snapshot");
                return Err(JournalError::damaged(place, detail));
            }
            tail = tail.min(track.first_seq().unwrap_or(tail));
        }
        let after = self.commit_starts.partition_point(|start| *start <= tail);
        let commit = after.checked_sub(1).map(|position| self.commit_starts[position]);
        Ok(if tail > self.last_seq { tail } else { commit.unwrap_or(tail) })
    }
}

/// How a log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuation {
    /// All that was ever told is there.
    SameEpoch,
    /// History may have shrunk.
    NewEpoch {
        /// The tip, when the log ends below it.
        ends_below: Option<u64>,
    },
}

/// Judges the tip file (nothing when it is missing or unreadable) against what was recovered.
pub(crate) fn continuation(epoch: u64, last_seq: u64, tip: Option<Tip>) -> Continuation {
    match tip {
        Some(tip) if tip.seq > last_seq => Continuation::NewEpoch { ends_below: Some(tip.seq) },
        Some(tip) if tip.epoch == epoch => Continuation::SameEpoch,
        Some(_) | None => Continuation::NewEpoch { ends_below: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_changes_whenever_history_may_have_shrunk() {
        let tip = |epoch, seq| Some(Tip::bare(epoch, seq));
        let below = |seq| Continuation::NewEpoch { ends_below: Some(seq) };
        let unknown = Continuation::NewEpoch { ends_below: None };
        for (epoch, last_seq, tip, expected) in [
            (7, 100, tip(7, 100), Continuation::SameEpoch),
            (7, 100, tip(7, 40), Continuation::SameEpoch),
            (7, 100, tip(7, 101), below(101)),
            (7, 100, tip(8, 40), unknown),
            (7, 100, tip(8, 101), below(101)),
            (7, 100, None, unknown),
        ] {
            assert_eq!(continuation(epoch, last_seq, tip), expected, "{epoch} {last_seq} {tip:?}");
        }
    }
}
