//! What a memory journal writes to: frames, snapshots and people, with what of them is not synced yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, Pseudonym};
use parking_lot::Mutex;
use sled::IVec;

use crate::format::{Assembler, FrameKey, SnapshotHead, Tip, decode_snapshot, head_of};
use crate::index::LotIndex;
use crate::scan::{Heads, older_of};
use crate::snapshot::LotSnapshot;
use crate::vault::PersonKind;

pub(super) type Clear = (Box<str>, PersonKind, Box<str>);

pub(super) enum VaultChange {
    Made(Pseudonym),
    Erased(Pseudonym, Clear),
}

/// What the "disk" holds.
pub(super) struct Disk {
    pub(super) frames: BTreeMap<FrameKey, IVec>,
    pub(super) unsynced_frames: Vec<FrameKey>,
    pub(super) snapshots: BTreeMap<(LotKey, u64), Vec<u8>>,
    pub(super) unsynced_snapshots: Vec<(LotKey, u64, Vec<u8>)>,
    pub(super) people: HashMap<Pseudonym, Clear>,
    pub(super) pseudonyms: HashMap<Clear, Pseudonym>,
    pub(super) unsynced_people: Vec<VaultChange>,
    /// Nothing before the first opening.
    pub(super) epoch: Option<u64>,
    pub(super) tip: Tip,
    pub(super) first_seq: u64,
    pub(super) index: LotIndex,
    pub(super) openings: u64,
    pub(super) random: u64,
}

/// The "disk" of a memory journal; clones share it.
#[derive(Clone)]
pub struct MemoryStore(pub(super) Arc<Mutex<Disk>>);

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_seed(getrandom::u64().expect("the system has random numbers"))
    }
}

impl MemoryStore {
    /// A store whose epochs and pseudonyms follow from a seed: for simulation.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            frames: BTreeMap::new(),
            unsynced_frames: Vec::new(),
            snapshots: BTreeMap::new(),
            unsynced_snapshots: Vec::new(),
            people: HashMap::new(),
            pseudonyms: HashMap::new(),
            unsynced_people: Vec::new(),
            epoch: None,
            tip: Tip::bare(0, 0),
            first_seq: 1,
            index: LotIndex::default(),
            openings: 0,
            random: seed,
        })))
    }

    /// Drops what was written and not synced. A process that dies leaves it; a machine does not.
    pub fn power_cut(&self) {
        let disk = &mut *self.0.lock();
        for key in disk.unsynced_frames.drain(..) {
            disk.frames.remove(&key);
        }
        disk.unsynced_snapshots.clear();
        for change in std::mem::take(&mut disk.unsynced_people).into_iter().rev() {
            match change {
                VaultChange::Made(pseudonym) => drop(disk.remove_person(pseudonym)),
                VaultChange::Erased(pseudonym, clear) => disk.insert_person(pseudonym, clear),
            }
        }
        // Nobody writes to a machine without power.
        disk.openings += 1;
    }

    /// Drops whole commits that end at or before `seq` and that no start needs: what rotation and the end
    /// of the archive's retention do on disk. Gives the first record that is left.
    pub fn prune(&self, seq: u64) -> u64 {
        let disk = &mut *self.0.lock();
        let mut floors: BTreeMap<LotKey, u64> = BTreeMap::new();
        let keys: Vec<FrameKey> = disk.frames.keys().copied().collect();
        let mut groups = Assembler::new(None);
        // Of the commit being looked at: it goes as a whole or stays.
        let (mut open, mut open_floors) = (Vec::new(), Vec::new());
        let mut cut = disk.first_seq - 1;
        let needed = disk.needed_from();
        for key in keys {
            open.push(key);
            let Ok(Some(group)) = groups.push(key, &disk.frames[&key]) else { continue };
            let Some(last) = group.records.last() else { break };
            if last.seq > seq || last.seq >= needed {
                break;
            }
            open_floors.extend(group.records.iter().map(|record| (record.lot, record.lot_seq)));
            if group.ends_commit {
                cut = last.seq;
                floors.extend(open_floors.drain(..));
                for key in open.drain(..) {
                    disk.frames.remove(&key);
                }
            }
        }
        let floors: Vec<_> = floors.into_iter().collect();
        disk.index.forget(cut, &floors);
        disk.first_seq = cut + 1;
        disk.first_seq
    }
}

impl Disk {
    /// splitmix64: enough for ids that must differ, and the same for the same seed.
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn sync(&mut self) {
        self.unsynced_frames.clear();
        self.unsynced_people.clear();
        for (lot, seq, bytes) in std::mem::take(&mut self.unsynced_snapshots) {
            self.snapshots.insert((lot, seq), bytes);
            let seqs: Vec<u64> = self
                .snapshots
                .range((lot, 0)..=(lot, u64::MAX))
                .map(|((_, seq), _)| *seq)
                .collect();
            for old in seqs.iter().rev().skip(2) {
                self.snapshots.remove(&(lot, *old));
            }
        }
    }

    pub(super) fn heads(&self) -> Heads {
        let mut heads = Heads::new();
        for ((lot, _), bytes) in &self.snapshots {
            if let Ok(head) = head_of(bytes) {
                heads.entry(*lot).or_default().push(head);
            }
        }
        heads
    }

    /// The first record that a start would need.
    fn needed_from(&self) -> u64 {
        let heads = self.heads();
        let of_lot = |lot: LotKey, first: Option<u64>| match heads.get(&lot) {
            Some(heads) => older_of(heads).map_or(0, |seq| seq + 1),
            None => first.unwrap_or(0),
        };
        let lots = self.index.iter().map(|(lot, track)| of_lot(lot, track.first_seq()));
        lots.min().unwrap_or(u64::MAX)
    }

    pub(super) fn insert_person(&mut self, pseudonym: Pseudonym, clear: Clear) {
        self.pseudonyms.insert(clear.clone(), pseudonym);
        self.people.insert(pseudonym, clear);
    }

    pub(super) fn remove_person(&mut self, pseudonym: Pseudonym) -> Option<Clear> {
        let clear = self.people.remove(&pseudonym)?;
        self.pseudonyms.remove(&clear);
        Some(clear)
    }

    pub(super) fn snapshot(&self, head: &SnapshotHead) -> Option<LotSnapshot> {
        decode_snapshot(self.snapshots.get(&(LotKey(head.lot), head.seq))?).ok()
    }
}
