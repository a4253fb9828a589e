//! Where the records of a lot lie: sparse marks (lot sequence -> global sequence), and how far each lot goes.
//!
//! Invariant: `floor` is the newest record of a lot that is *not* in this part of the log, so what lies in
//! it is `floor + 1 ..= last`. Keys of lots are dense, so a lot is found by position, not by hash: this
//! runs for every record of every commit.

use lotkeeper_engine::ids::LotKey;

use crate::error::JournalError;
use crate::record::Record;

/// A mark at least every so many records of the lot: what a reader scans for nothing, at most.
const LOT_RECORDS_PER_MARK: u64 = 256;
/// A mark for a lot unheard for so many records of all: a quiet lot is found without reading the loud ones.
const RECORDS_PER_MARK: u64 = 262_144;
/// Far above any number of lots; a larger key is damage and must not become a huge vector.
const LOTS_MAX: usize = 1 << 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    lot_seq: u64,
    seq: u64,
}

/// One lot's part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Track {
    /// The newest record that is not here any more.
    pub(crate) floor: u64,
    /// The newest record.
    pub(crate) last: u64,
    marks: Vec<Mark>,
}

impl Track {
    /// Where to begin to look for a record; it lies there or later.
    pub(crate) fn start_of(&self, lot_seq: u64) -> u64 {
        let after = self.marks.partition_point(|mark| mark.lot_seq <= lot_seq);
        after.checked_sub(1).map_or(0, |position| self.marks[position].seq)
    }

    /// Global sequence of its first record here.
    pub(crate) fn first_seq(&self) -> Option<u64> {
        self.marks.first().map(|mark| mark.seq)
    }

    fn note(&mut self, lot_seq: u64, seq: u64) {
        self.last = lot_seq;
        let due = self.marks.last().is_none_or(|mark| {
            lot_seq - mark.lot_seq >= LOT_RECORDS_PER_MARK || seq - mark.seq >= RECORDS_PER_MARK
        });
        if due {
            self.marks.push(Mark { lot_seq, seq });
        }
    }
}

/// All lots of one part of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct LotIndex {
    lots: Vec<Option<Track>>,
}

impl LotIndex {
    pub(crate) fn get(&self, lot: LotKey) -> Option<&Track> {
        self.lots.get(lot.0 as usize)?.as_ref()
    }

    /// All lots with records or a floor.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (LotKey, &Track)> {
        (0..).map(LotKey).zip(&self.lots).filter_map(|(key, track)| Some((key, track.as_ref()?)))
    }

    /// Takes a record that follows all records noted so far.
    pub(crate) fn note(&mut self, lot: LotKey, lot_seq: u64, seq: u64) -> Result<(), JournalError> {
        let track = self.track(lot)?;
        if track.last + 1 != lot_seq {
            let detail = format!(
                "record {seq} of lot {} has lot sequence {lot_seq} where {} is expected",
                lot.0,
                track.last + 1
            );
            return Err(JournalError::OutOfOrder { detail });
        }
        track.note(lot_seq, seq);
        Ok(())
    }

    /// Says that a lot's records up to `lot_seq` lie elsewhere; only before its first record.
    pub(crate) fn begin(&mut self, lot: LotKey, lot_seq: u64) -> Result<(), JournalError> {
        let track = self.track(lot)?;
        if track.marks.is_empty() {
            track.floor = lot_seq;
            track.last = lot_seq;
        }
        Ok(())
    }

    /// Forgets records up to `cut`; `floors` are the newest forgotten record of each lot.
    pub(crate) fn forget(&mut self, cut: u64, floors: &[(LotKey, u64)]) {
        for (lot, floor) in floors {
            let Some(Some(track)) = self.lots.get_mut(lot.0 as usize) else { continue };
            track.floor = track.floor.max(*floor);
            // A mark below the cut still says where to begin: at the start of what is left.
            let gone = track.marks.partition_point(|mark| mark.seq <= cut);
            track.marks.drain(..gone.saturating_sub(1));
        }
    }

    fn track(&mut self, lot: LotKey) -> Result<&mut Track, JournalError> {
        let position = lot.0 as usize;
        if position >= LOTS_MAX {
            let detail = format!("lot key {position} is not dense; keys are given in order from 0");
            return Err(JournalError::OutOfOrder { detail });
        }
        if position >= self.lots.len() {
            self.lots.resize_with(position + 1, || None);
        }
        Ok(self.lots[position].get_or_insert_with(Track::default))
    }
}

/// Checks that a commit continues the log, and takes it into the index.
pub(crate) fn note_commit(
    index: &mut LotIndex,
    last_seq: u64,
    records: &[Record],
) -> Result<(), JournalError> {
    let mut expected = last_seq;
    for record in records {
        expected += 1;
        if record.seq != expected {
            let detail = format!("record {} where {expected} is expected", record.seq);
            return Err(JournalError::OutOfOrder { detail });
        }
        index.note(record.lot, record.lot_seq, record.seq)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_lots_are_marked_as_often_as_needed_to_skip_the_loud_ones() {
        let mut index = LotIndex::default();
        for seq in 1..=3 * RECORDS_PER_MARK {
            let quiet = seq % RECORDS_PER_MARK == 1;
            let lot = LotKey(u32::from(quiet));
            let next = index.get(lot).map_or(1, |track| track.last + 1);
            index.note(lot, next, seq).unwrap();
        }
        let quiet = index.get(LotKey(1)).unwrap();
        for (lot_seq, seq) in [(1, 1), (2, RECORDS_PER_MARK + 1), (3, 2 * RECORDS_PER_MARK + 1)] {
            assert_eq!(quiet.start_of(lot_seq), seq);
        }
        let loud = index.get(LotKey(0)).unwrap();
        let start = loud.start_of(1_000);
        assert!(start > 1_000 - LOT_RECORDS_PER_MARK && start <= 1_001, "{start}");
    }

    #[test]
    fn a_gap_in_a_lots_sequence_is_refused() {
        let mut index = LotIndex::default();
        index.begin(LotKey(3), 7).unwrap();
        assert!(index.note(LotKey(3), 9, 20).is_err());
        assert!(index.note(LotKey(3), 8, 20).is_ok());
        assert!(index.note(LotKey(u32::MAX), 1, 21).is_err());
    }
}
