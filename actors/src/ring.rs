//! The change feed of one lot: a bounded ring of changes, shared by all its readers.
//!
//! A reader is a cursor, not a queue: nothing is copied per reader and nothing can overflow. One batch is
//! what one commit did to the lot; its bytes are made by the first reader that wants them, once. A reader
//! that fell out of the ring takes a snapshot and goes on.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::{Timestamp, Window};

use crate::kind::ChangeKind;
use crate::sync::{AtomicU64, Ordering, RwLock};

/// One record as the watchers of a lot see it: never a person, a vehicle or a reservation's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The lot's sequence.
    pub seq: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// The slot it concerns and that slot's status after it.
    pub slot: Option<(SlotIndex, Status)>,
    /// Record time.
    pub at: Timestamp,
    /// When a device saw it.
    pub observed_at: Option<Timestamp>,
    /// The window of the reservation it concerns.
    pub window: Option<Window>,
}

/// What one commit did to one lot.
#[derive(Debug)]
pub struct Batch {
    /// The first lot sequence in it.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// One entry per sequence.
    pub changes: Box<[Change]>,
    encoded: OnceLock<Arc<[u8]>>,
}

impl Batch {
    /// The bytes of this batch, made by the first reader; all share them.
    pub fn encoded(&self, encode: impl FnOnce(&Self) -> Vec<u8>) -> &Arc<[u8]> {
        self.encoded.get_or_init(|| encode(self).into())
    }
}

/// What a cursor can have.
#[derive(Debug)]
pub enum CatchUp {
    /// Nothing new.
    UpToDate,
    /// The batches after the cursor, in order. The first may begin before the cursor's next sequence
    /// only if the cursor lies inside a batch; then the reader must cut it.
    Batches(Vec<Arc<Batch>>),
    /// The cursor fell out of the ring, or never was in it.
    Lagged,
}

#[derive(Debug, Default)]
struct Inner {
    batches: VecDeque<Arc<Batch>>,
    changes: usize,
}

/// The ring.
#[derive(Debug)]
pub struct Ring {
    head: AtomicU64,
    changes_max: usize,
    inner: RwLock<Inner>,
}

impl Ring {
    /// An empty ring of a lot that stands at `head`.
    pub(crate) fn new(changes_max: usize, head: u64) -> Self {
        Self { head: AtomicU64::new(head), changes_max, inner: RwLock::default() }
    }

    /// The newest sequence in the ring; may be behind the view for an instant, never ahead.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    pub(crate) fn push(&self, changes: Vec<Change>) {
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else { return };
        let (from, to) = (first.seq, last.seq);
        let batch = Batch { from, to, changes: changes.into(), encoded: OnceLock::new() };
        let mut inner = self.inner.write();
        inner.changes += batch.changes.len();
        inner.batches.push_back(Arc::new(batch));
        // The newest batch stays whatever its size: a reader one commit behind must find it.
        while inner.changes > self.changes_max && inner.batches.len() > 1 {
            if let Some(oldest) = inner.batches.pop_front() {
                inner.changes -= oldest.changes.len();
            }
        }
        drop(inner);
        self.head.store(to, Ordering::Release);
    }

    /// What lies after a cursor, at most `batches_max` batches of it.
    #[must_use]
    pub fn after(&self, cursor: u64, batches_max: usize) -> CatchUp {
        // A snapshot may be ahead of the ring for an instant: the view is written first.
        if cursor >= self.head() {
            return CatchUp::UpToDate;
        }
        let inner = self.inner.read();
        match inner.batches.front() {
            Some(oldest) if oldest.from <= cursor + 1 => {
                let start = inner.batches.partition_point(|batch| batch.to <= cursor);
                let wanted = inner.batches.iter().skip(start).take(batches_max);
                CatchUp::Batches(wanted.cloned().collect())
            }
            Some(_) | None => CatchUp::Lagged,
        }
    }
}
