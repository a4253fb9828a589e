//! Wakes the readers of lots that changed. The publisher only names the lot; one task does the waking, so
//! a thousand watchers cost the journal's path nothing.

use std::sync::{Arc, Weak};

use crate::directory::LotHandle;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Notify, Ordering, SegQueue, fence};

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
        // A swap, though nobody asks for the value: a store could pass the look at the rings that follows, and
        // wipe out a flag whose change that look had not seen.
        self.dirty.swap(false, Ordering::AcqRel);
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
        // Pairs with the one in `Hub::touch`: either the publisher counts this watcher, or this watcher's look at
        // the ring, which comes after, sees what the publisher had put there.
        fence(Ordering::SeqCst);
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
        // Cleared first: a change that comes while we wake queues the lot again. By a swap, so that a change which
        // found the lot queued before is seen by those who are woken now.
        self.queued.swap(false, Ordering::AcqRel);
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
    /// After the change is in the lot's ring.
    pub fn touch(&self, lot: &LotHandle) {
        let watchers = lot.watchers();
        // See `Watchers::add`.
        fence(Ordering::SeqCst);
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
            self.round().await;
        }
    }

    /// Waits for touches and wakes whoever watches.
    pub async fn round(&self) {
        self.notify.notified().await;
        while let Some(lot) = self.changed.pop() {
            lot.watchers().wake();
        }
    }
}
