//! A tree of keys and values on disk that takes many small writes cheaply: a log-structured merge tree (`lsm_tree`)
//! without a log of its own, because the journal is the log.
//!
//! Invariants: a batch is seen whole or not at all, by readers and after a crash; what was flushed stays, in order:
//! an older batch is never lost while a younger one is there. What was not flushed is gone with the process, and
//! whoever writes says again what it was. Written by one thread, read by any. Absent: what keys mean (`keys.rs`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use lsm_tree::compaction::Leveled;
use lsm_tree::{
    AbstractTree, AnyTree, Cache, Config, DescriptorTable, Guard, IterGuardImpl, SeqNo,
    SequenceNumberCounter, UserValue,
};
use parking_lot::Mutex;

use super::keys::Key;

/// In memory until it is written as a table: large enough that what comes to an end soon is still there, small
/// enough to be written in a blink, and to be read again after a kill.
const MEMTABLE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Of one table: what one step of merging rewrites is some dozens of these, so readers of the log wait for
/// seconds at most.
const TABLE_BYTES: u64 = 16 * 1024 * 1024;
/// Open files, at most.
const FILES_MAX: usize = 64;
/// Steps of merging after one flush, at most; what is left is for the next.
const STEPS_MAX: usize = 8;

/// Changes that belong together. Of one key that comes again the last value counts; nothing is both put and removed.
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<(Key, Option<Vec<u8>>)>);

impl Batch {
    pub fn insert(&mut self, key: Key, value: Vec<u8>) {
        self.0.push((key, Some(value)));
    }

    pub fn remove(&mut self, key: Key) {
        self.0.push((key, None));
    }
}

/// See the module.
pub(super) struct Tree {
    tree: AnyTree,
    /// The next change's number, of batches and of what the tree does itself.
    next: SequenceNumberCounter,
    /// Changes below this one are whole.
    visible: SequenceNumberCounter,
    /// What somebody still reads as of.
    readers: Mutex<BTreeMap<SeqNo, usize>>,
    merging: Arc<Leveled>,
}

/// One reader's view, of the last whole batch; versions that it sees are not merged away.
struct Reading<'a> {
    tree: &'a Tree,
    seqno: SeqNo,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut readers = self.tree.readers.lock();
        if let Some(count) = readers.get_mut(&self.seqno) {
            *count -= 1;
            if *count == 0 {
                readers.remove(&self.seqno);
            }
        }
    }
}

impl Tree {
    /// Opens or makes it. May panic on damage.
    pub fn open(dir: &Path, cache_bytes: u64) -> lsm_tree::Result<Self> {
        fs::create_dir_all(dir)?;
        let (next, visible) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
        let tree = Config::new(dir, next.clone(), visible.clone())
            .use_cache(Arc::new(Cache::with_capacity_bytes(cache_bytes)))
            .use_descriptor_table(Some(Arc::new(DescriptorTable::new(FILES_MAX))))
            .open()?;
        let first = tree.get_highest_seqno().map_or(0, |highest| highest + 1);
        next.fetch_max(first);
        visible.fetch_max(first);
        let merging = Arc::new(Leveled::default().with_table_target_size(TABLE_BYTES));
        Ok(Self { tree, next, visible, readers: Mutex::default(), merging })
    }

    fn reading(&self) -> Reading<'_> {
        // Under the lock: nobody merges away what is visible before this reader is counted.
        let mut readers = self.readers.lock();
        let seqno = self.visible.get();
        *readers.entry(seqno).or_default() += 1;
        Reading { tree: self, seqno }
    }

    /// Versions that are older than the newest below this one are needed by nobody.
    fn needed_from(&self) -> SeqNo {
        let readers = self.readers.lock();
        let oldest = readers.keys().next().copied();
        oldest.unwrap_or(SeqNo::MAX).min(self.visible.get())
    }

    pub fn get(&self, key: &[u8]) -> lsm_tree::Result<Option<UserValue>> {
        let reading = self.reading();
        self.tree.get(key, reading.seqno)
    }

    pub fn contains(&self, key: &[u8]) -> lsm_tree::Result<bool> {
        let reading = self.reading();
        self.tree.contains_key(key, reading.seqno)
    }

    /// Keys of a prefix from `start` on.
    pub fn keys(&self, start: &[u8], prefix: &[u8]) -> Keys<'_> {
        let entries = self.entries(start);
        Keys { entries, prefix: prefix.into() }
    }

    /// All keys and values from `start` on.
    pub fn entries(&self, start: &[u8]) -> Entries<'_> {
        let reading = self.reading();
        let entries = self.tree.range(start.., reading.seqno, None);
        Entries { entries, _reading: reading }
    }

    /// Takes a batch into memory, in order of keys: neighbours find their places along the same way.
    pub fn take(&self, mut batch: Batch) {
        let number = self.next.next();
        batch.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (key, value) in batch.0 {
            match value {
                Some(value) => self.tree.insert(key.as_slice(), value, number),
                None => self.tree.remove(key.as_slice(), number),
            };
        }
        self.visible.fetch_max(number + 1);
    }

    /// Whether there is so much in memory that it is to be flushed before more comes.
    pub fn is_full(&self) -> bool {
        self.tree.sealed_memtable_count() > 0
            || self.tree.active_memtable().size() >= MEMTABLE_BYTES_MAX
    }

    /// Writes what is in memory, synced, and merges tables where there are too many.
    pub fn flush(&self) -> lsm_tree::Result<()> {
        {
            let lock = self.tree.get_flush_lock();
            self.tree.rotate_memtable();
            self.tree.flush(&lock, self.needed_from())?;
        }
        for _ in 0..STEPS_MAX {
            let before = self.tree.current_version().id();
            self.tree.compact(self.merging.clone(), self.needed_from())?;
            if self.tree.current_version().id() == before {
                break;
            }
        }
        Ok(())
    }

    /// Bytes of its tables.
    pub fn bytes(&self) -> u64 {
        self.tree.disk_space()
    }
}

/// See [`Tree::entries`].
pub(super) struct Entries<'a> {
    entries: Box<dyn DoubleEndedIterator<Item = IterGuardImpl> + Send + 'static>,
    _reading: Reading<'a>,
}

impl Iterator for Entries<'_> {
    type Item = lsm_tree::Result<lsm_tree::KvPair>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(Guard::into_inner)
    }
}

/// See [`Tree::keys`].
pub(super) struct Keys<'a> {
    entries: Entries<'a>,
    prefix: Key,
}

impl Iterator for Keys<'_> {
    type Item = lsm_tree::Result<lsm_tree::UserKey>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.entries.next()? {
            Ok((key, _)) => key.starts_with(&self.prefix).then_some(Ok(key)),
            Err(error) => Some(Err(error)),
        }
    }
}
