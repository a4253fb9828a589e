//! Snapshots in a sled tree: the two newest generations of each lot, in chunks.

use lotkeeper_engine::ids::LotKey;

use super::live::Live;
use crate::error::JournalError;
use crate::format::{
    FormatError, SnapshotHead, SnapshotKey, decode_snapshot, encode_snapshot, head_of, join_chunks,
    split_chunks,
};
use crate::scan::Heads;
use crate::snapshot::LotSnapshot;

/// Generations of a lot that are kept: recovery starts from the older, the newer is its spare.
const GENERATIONS: usize = 2;

/// A generation that no start can take.
pub(crate) struct Broken {
    pub(crate) lot: LotKey,
    pub(crate) seq: u64,
    /// Chunks are missing, as when an end came amid writing or removing it; what is there is what was written.
    pub(crate) unfinished: bool,
    pub(crate) error: JournalError,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "snapshot of lot {} at {}: {}", self.lot.0, self.seq, self.error)
    }
}

impl Live {
    /// Writes a generation.
    pub(crate) fn save_snapshot(
        &self,
        snapshot: &LotSnapshot,
        buffer: &mut Vec<u8>,
    ) -> Result<(), JournalError> {
        encode_snapshot(snapshot, buffer)
            .map_err(|error| JournalError::format(self.place(), &error))?;
        let (lot, seq) = (snapshot.lot, snapshot.seq);
        for (chunk, value) in (0..).zip(split_chunks(buffer)) {
            self.put(&self.snapshots, SnapshotKey { lot, seq, chunk }.to_bytes(), value)?;
        }
        Ok(())
    }

    /// Removes the generations before the one before the newest. sled's log keeps the order, so a crash
    /// leaves too many generations and never too few.
    pub(crate) fn remove_old_generations(&self, lot: LotKey) -> Result<(), JournalError> {
        let generations = self.generations(Some(lot))?;
        for (lot, old) in generations.iter().rev().skip(GENERATIONS) {
            self.remove_generation(*lot, *old)?;
        }
        Ok(())
    }

    /// Lots and sequences of all generations, whole or not, in order.
    pub(crate) fn generations(
        &self,
        of: Option<LotKey>,
    ) -> Result<Vec<(LotKey, u64)>, JournalError> {
        let mut found = Vec::new();
        let first = SnapshotKey { lot: of.unwrap_or(LotKey(0)), seq: 0, chunk: 0 };
        let mut next = Some(first);
        while let Some(start) = next {
            // One look-up per generation: the keys of its other chunks are jumped over.
            let entry = self.snapshots.range(start.to_bytes()..).next().transpose();
            let Some((key, _)) = entry.map_err(|error| self.error("read", &error))? else { break };
            let key = self.snapshot_key(&key)?;
            if of.is_some_and(|lot| lot != key.lot) {
                break;
            }
            found.push((key.lot, key.seq));
            next = match key.seq.checked_add(1) {
                Some(seq) => Some(SnapshotKey { lot: key.lot, seq, chunk: 0 }),
                None => key.lot.0.checked_add(1).map(|lot| SnapshotKey {
                    lot: LotKey(lot),
                    seq: 0,
                    chunk: 0,
                }),
            };
        }
        Ok(found)
    }

    /// The bytes of one generation as they were encoded, if they are all there.
    pub(crate) fn generation(
        &self,
        lot: LotKey,
        seq: u64,
    ) -> Result<Result<Vec<u8>, FormatError>, JournalError> {
        let range = SnapshotKey { lot, seq, chunk: 0 }.to_bytes()..=SnapshotKey {
            lot,
            seq,
            chunk: u32::MAX,
        }
        .to_bytes();
        let mut chunks = Vec::new();
        for entry in self.snapshots.range(range) {
            let (key, value) = entry.map_err(|error| self.error("read", &error))?;
            chunks.push((self.snapshot_key(&key)?.chunk, value));
        }
        Ok(join_chunks(chunks.iter().map(|(chunk, value)| (*chunk, value.as_ref()))))
    }

    /// Heads of all intact generations, and the others.
    pub(crate) fn snapshot_heads(&self) -> Result<(Heads, Vec<Broken>), JournalError> {
        let (mut heads, mut broken) = (Heads::new(), Vec::new());
        for (lot, seq) in self.generations(None)? {
            let head = self.generation(lot, seq)?.and_then(|bytes| head_of(&bytes));
            let mut is_broken = |unfinished, error| {
                broken.push(Broken { lot, seq, unfinished, error });
            };
            match head {
                Ok(head) if head.lot == lot.0 && head.seq == seq => {
                    heads.entry(lot).or_default().push(head);
                }
                Ok(_) => {
                    let detail = "a snapshot stands at another's key";
                    is_broken(false, JournalError::damaged(self.place(), detail));
                }
                Err(error @ FormatError::Newer { .. }) => {
                    return Err(JournalError::format(self.place(), &error));
                }
                Err(error) => {
                    let unfinished =
                        matches!(error, FormatError::Short { .. } | FormatError::Missing { .. });
                    is_broken(unfinished, JournalError::format(self.place(), &error));
                }
            }
        }
        Ok((heads, broken))
    }

    /// A whole snapshot.
    pub(crate) fn snapshot(&self, head: &SnapshotHead) -> Result<LotSnapshot, JournalError> {
        let bytes = self.generation(LotKey(head.lot), head.seq)?;
        let snapshot = bytes.and_then(|bytes| decode_snapshot(&bytes));
        snapshot.map_err(|error| JournalError::format(self.place(), &error))
    }

    pub(crate) fn remove_generation(&self, lot: LotKey, seq: u64) -> Result<(), JournalError> {
        let range = SnapshotKey { lot, seq, chunk: 0 }.to_bytes()..=SnapshotKey {
            lot,
            seq,
            chunk: u32::MAX,
        }
        .to_bytes();
        for key in self.snapshots.range(range).keys() {
            let key = key.map_err(|error| self.error("read", &error))?;
            self.remove(&self.snapshots, key)?;
        }
        Ok(())
    }

    fn snapshot_key(&self, bytes: &[u8]) -> Result<SnapshotKey, JournalError> {
        SnapshotKey::from_bytes(bytes).map_err(|error| JournalError::format(self.place(), &error))
    }
}
