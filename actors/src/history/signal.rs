//! Between the publisher and whoever follows it: two sequences, and a bell that is rung when there is work.
//!
//! The publisher never waits: it stores two numbers, and rings only when the follower sleeps and has something to
//! do. Invariant: whoever sees `published` sees every `kept` up to it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lotkeeper_storage::history::History as Store;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// Records that have nothing for the history are passed over without being read; where it stands is written down
/// after so many, so that a start that follows a kill does not read more than these.
const PASSED_OVER_MAX: u64 = 65_536;

/// See the module.
#[derive(Default)]
pub(crate) struct Following {
    /// The newest record that the history keeps something of.
    kept: AtomicU64,
    /// The newest record that is in the view.
    published: AtomicU64,
    /// Up to where the history has everything.
    applied: AtomicU64,
    /// Up to where it would have everything after a crash.
    flushed: AtomicU64,
    asleep: AtomicBool,
    stopping: AtomicBool,
    /// Nobody follows, and nobody will.
    absent: AtomicBool,
    store: OnceLock<Arc<Store>>,
    bell: (Mutex<()>, Condvar),
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// The newest record that may be read.
    pub published: u64,
    /// The newest record with something to keep.
    pub kept: u64,
}

impl Following {
    /// A record of which the history keeps something; before the commit it is in is published.
    pub fn keep(&self, seq: u64) {
        self.kept.store(seq, Ordering::SeqCst);
    }

    /// All records up to this one are in the view.
    pub fn publish(&self, seq: u64) {
        self.published.store(seq, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.has_work() {
            self.ring();
        }
    }

    pub fn ahead(&self) -> Ahead {
        let published = self.published.load(Ordering::SeqCst);
        Ahead { published, kept: self.kept.load(Ordering::SeqCst) }
    }

    fn has_work(&self) -> bool {
        let Ahead { published, kept } = self.ahead();
        let applied = self.applied();
        let damaged = self.store().is_some_and(|store| store.is_damaged());
        damaged
            || kept.min(published) > applied
            || published.saturating_sub(applied) > PASSED_OVER_MAX
    }

    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub fn set_applied(&self, seq: u64) {
        self.applied.store(seq, Ordering::Release);
    }

    pub fn set_flushed(&self, seq: u64) {
        self.flushed.store(seq, Ordering::Release);
    }

    /// Records after this one may not be pruned yet: a crash would make the history read them again.
    pub fn needs_after(&self) -> u64 {
        let Ahead { published, kept } = self.ahead();
        match self.flushed.load(Ordering::Acquire) {
            _ if self.absent.load(Ordering::Acquire) => u64::MAX,
            flushed if kept <= flushed => published.max(flushed),
            flushed => flushed,
        }
    }

    pub fn store(&self) -> Option<&Arc<Store>> {
        self.store.get()
    }

    pub fn opened(&self, store: Arc<Store>) {
        // Opened once, by the one who follows.
        let _first = self.store.set(store);
    }

    /// Nobody follows from now on.
    pub fn give_up(&self) {
        self.absent.store(true, Ordering::Release);
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Wakes the follower.
    pub fn ring(&self) {
        let _held = self.bell.0.lock();
        self.bell.1.notify_all();
    }

    /// Sleeps until there is work, or the end; or until an instant, where there is one.
    pub fn sleep(&self, until: Option<Instant>) {
        let mut held = self.bell.0.lock();
        self.asleep.store(true, Ordering::SeqCst);
        // Looked at after `asleep` is told: whoever publishes later rings.
        while !self.has_work() && !self.is_stopping() {
            match until {
                None => self.bell.1.wait(&mut held),
                Some(until) if self.bell.1.wait_until(&mut held, until).timed_out() => break,
                Some(_) => {}
            }
        }
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Lets work come together; the end interrupts it.
    pub fn gather(&self, pause: Duration) {
        let mut held = self.bell.0.lock();
        if !self.is_stopping() {
            let _timed_out = self.bell.1.wait_for(&mut held, pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_no_work_until_it_is_much() {
        let following = Following::default();
        following.publish(PASSED_OVER_MAX);
        assert!(!following.has_work());
        assert_eq!(following.needs_after(), PASSED_OVER_MAX, "it may be pruned");
        following.publish(PASSED_OVER_MAX + 1);
        assert!(following.has_work());
    }

    #[test]
    fn what_is_kept_is_work_once_it_is_published() {
        let following = Following::default();
        following.keep(5);
        assert!(!following.has_work());
        following.publish(6);
        assert!(following.has_work());
        assert_eq!(following.needs_after(), 0);
        following.set_applied(5);
        assert!(!following.has_work());
        assert_eq!(following.needs_after(), 0, "it is not flushed");
        following.set_flushed(5);
        assert_eq!(following.needs_after(), 6);
        following.give_up();
        assert_eq!(following.needs_after(), u64::MAX);
    }
}
