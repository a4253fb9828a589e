//! Restarts of actors, counted: a sender whose message died waits for the next one.
//!
//! Waiters are woken in the order in which they came. (`tokio::sync::watch` spreads its waiters over eight
//! lists by chance, so that no run could be repeated.) The end of the engine wakes them too: nothing is
//! restarted after it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts restarts and wakes whoever waits for one.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    count: AtomicU64,
    notify: Notify,
}

impl Restarts {
    /// How many there were; taken before a message is sent, so that no restart after it is missed.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// An actor is back, or none will ever be.
    pub fn announce(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.notify.notify_waiters();
    }

    /// Waits until there were more than `seen`; gives the new number.
    pub async fn after(&self, seen: u64) -> u64 {
        loop {
            // `notify_waiters` reaches a `Notified` from its making on, before it is first polled: what is
            // announced after the look at the count is not missed.
            let announced = self.notify.notified();
            let count = self.count();
            if count != seen {
                return count;
            }
            announced.await;
        }
    }
}
