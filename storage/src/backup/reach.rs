//! Which points of a backup can be restored: a lot needs its creation, or a snapshot at or before the point
//! from which the records go on.
//!
//! A log that was pruned begins amid its lots. Their oldest snapshots then bound how far back a restore goes.

use std::collections::BTreeMap;

use lotkeeper_engine::ids::LotKey;

use super::error::OutOfReach;
use super::survey::{ByLot, Contents, Point, Target, lot_of};
use crate::format::SnapshotHead;
use crate::record::Record;

/// A lot's part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track {
    /// Global sequence of its first record in the backup; nothing when it has none.
    pub(super) first_seq: Option<u64>,
    /// The lot's own sequence before that record: what a snapshot must reach.
    pub(super) floor: u64,
    last_lot_seq: u64,
}

impl Track {
    /// Whether the records go on from a snapshot without a hole.
    pub(super) fn goes_on_from(&self, head: &SnapshotHead) -> bool {
        head.lot_seq >= self.floor
    }
}

/// All lots of a backup.
pub(super) type Lots = ByLot<Track>;

#[derive(Default)]
pub(super) struct Reach {
    lots: Lots,
    heads: ByLot<Vec<SnapshotHead>>,
    /// The first end of a commit at or after each snapshot.
    points: BTreeMap<u64, Point>,
    first_commit: Option<Point>,
}

impl Reach {
    pub(super) fn snapshot(&mut self, head: SnapshotHead) {
        self.heads.entry(lot_of(&head)).or_default().push(head);
        self.points.insert(head.seq, Point { seq: u64::MAX, at: <_>::default() });
    }

    /// Takes the next record; a gap in its lot is damage.
    pub(super) fn record(&mut self, record: &Record) -> Result<(), String> {
        let track = self.lots.entry(record.lot).or_insert(Track {
            first_seq: Some(record.seq),
            floor: record.lot_seq.saturating_sub(1),
            last_lot_seq: record.lot_seq.saturating_sub(1),
        });
        if record.lot_seq == 0 || record.lot_seq - 1 != track.last_lot_seq {
            let (seq, lot, found) = (record.seq, record.lot.0, record.lot_seq);
            let last = track.last_lot_seq;
            return Err(format!(
                "record {seq} is number {found} of lot {lot}, after number {last}"
            ));
        }
        track.last_lot_seq = record.lot_seq;
        Ok(())
    }

    /// A commit ended here.
    pub(super) fn commit(&mut self, end: Point) {
        self.first_commit.get_or_insert(end);
        for point in self.points.range_mut(..=end.seq).rev().map(|(_, point)| point) {
            if point.seq != u64::MAX {
                break;
            }
            *point = end;
        }
    }

    /// The first point that can be restored, and all lots; or the lot that cannot be restored at all.
    pub(super) fn finish(mut self) -> Result<(Option<Point>, Lots), LotKey> {
        let mut earliest = self.first_commit;
        for lot in self.heads.keys() {
            let quiet = Track { first_seq: None, floor: 0, last_lot_seq: 0 };
            self.lots.entry(*lot).or_insert(quiet);
        }
        for (lot, track) in &self.lots {
            if track.first_seq.is_some() && track.floor == 0 {
                // Its creation is here.
                continue;
            }
            let heads = self.heads.get(lot).map(Vec::as_slice).unwrap_or_default();
            let oldest = heads.iter().find(|head| track.goes_on_from(head)).ok_or(*lot)?;
            let point = self.points.get(&oldest.seq).filter(|point| point.seq != u64::MAX);
            if let (Some(point), Some(so_far)) = (point, earliest)
                && point.seq > so_far.seq
            {
                earliest = Some(*point);
            }
        }
        Ok((earliest, self.lots))
    }
}

/// Why a target cannot be reached; nothing when it can.
pub(super) fn refusal(
    contents: &Contents,
    target: Target,
    end: Option<Point>,
) -> Option<OutOfReach> {
    let Some(earliest) = contents.earliest else {
        return (target != Target::Latest).then_some(OutOfReach::NoRecords);
    };
    if end.is_none_or(|end| end.seq < earliest.seq) {
        return Some(OutOfReach::TooEarly { earliest });
    }
    let (latest, taken_at) = (contents.latest, contents.header.taken_at);
    let too_late = match target {
        Target::Seq(seq) => seq > latest.seq,
        // What was decided between the last record and the backup is known: nothing.
        Target::Time(at) => at > taken_at.max(latest.at),
        Target::Latest => false,
    };
    too_late.then_some(OutOfReach::TooLate { latest, taken_at })
}
