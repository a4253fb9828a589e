//! Wakes the readers of lots that changed. The publisher only names the lot; one task does the waking, so
//! a thousand watchers cost the journal's path nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbeam::queue::SegQueue;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::directory::LotHandle;

/// One connection's alarm clock, for all lots it watches.
#[derive(Debug, Default)]
pub struct Watcher {
    dirty: AtomicBool,
    notify: Notify,
}

impl Watcher {
    /// Waits until a watched lot changed since the last call returned.
    pub async fn changed(&self) {
        // The flag is cleared before the reader looks at its rings: a change in between sets it again.
        while !self.dirty.swap(false, Ordering::AcqRel) {
            self.notify.notified().await;
        }
    }

    /// Forgets changes up to now: the caller is about to look at its rings without having waited.
    pub fn seen(&self) {
        self.dirty.store(false, Ordering::Release);
    }

    /// Wakes the connection for another reason than a change.
    pub fn wake(&self) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            self.notify.notify_one();
        }
    }
}

/// Who watches one lot.
#[derive(Debug, Default)]
pub struct Watchers {
    number: AtomicUsize,
    /// Set while the lot stands in the hub's queue: many commits in a row wake once.
    queued: AtomicBool,
    list: Mutex<Vec<Weak<Watcher>>>,
}

impl Watchers {
    /// Wakes `watcher` at every change from now on, until it is dropped or [`Watchers::remove`]d.
    pub fn add(&self, watcher: &Arc<Watcher>) {
        let mut list = self.list.lock();
        list.retain(|known| known.strong_count() > 0);
        list.push(Arc::downgrade(watcher));
        self.number.store(list.len(), Ordering::Release);
    }

    /// Ends one [`Watchers::add`] of this watcher.
    pub fn remove(&self, watcher: &Arc<Watcher>) {
        let mut list = self.list.lock();
        let known = list.iter().position(|known| known.as_ptr() == Arc::as_ptr(watcher));
        if let Some(position) = known {
            list.swap_remove(position);
        }
        self.number.store(list.len(), Ordering::Release);
    }

    /// How many there are; connections that ended a moment ago may still count.
    #[must_use]
    pub fn count(&self) -> usize {
        self.number.load(Ordering::Acquire)
    }

    fn wake(&self) {
        // Cleared first: a change that comes while we wake queues the lot again.
        self.queued.store(false, Ordering::Release);
        let mut list = self.list.lock();
        list.retain(|watcher| match watcher.upgrade() {
            Some(watcher) => {
                watcher.wake();
                true
            }
            None => false,
        });
        self.number.store(list.len(), Ordering::Release);
    }
}

/// Lots that changed and are watched.
#[derive(Default)]
pub(crate) struct Hub {
    changed: SegQueue<LotHandle>,
    notify: Notify,
}

impl Hub {
    pub fn touch(&self, lot: &LotHandle) {
        let watchers = lot.watchers();
        if watchers.count() > 0 && !watchers.queued.swap(true, Ordering::AcqRel) {
            self.changed.push(lot.clone());
        }
    }

    /// After a commit's touches.
    pub fn flush(&self) {
        if !self.changed.is_empty() {
            self.notify.notify_one();
        }
    }

    /// Runs for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.notify.notified().await;
            while let Some(lot) = self.changed.pop() {
                lot.watchers().wake();
            }
        }
    }
}
