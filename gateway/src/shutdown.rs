//! The end of a server, told once and heard by everybody; and who is still busy.
//!
//! Invariants: once begun it never un-begins; `drained` returns when no [`Busy`] is alive. A connection
//! or websocket holds a [`Busy`] for as long as it has something to finish.
//! Deliberately absent: time limits (the server's) and signals (`serve`'s).

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by everything that has to end; a copy is the same end.
#[derive(Clone)]
pub struct Shutdown(Arc<Parts>);

struct Parts {
    begun: watch::Sender<bool>,
    busy: watch::Sender<usize>,
}

/// Something that wants to finish before the server ends.
pub struct Busy(Shutdown);

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// One that has not begun.
    #[must_use]
    pub fn new() -> Self {
        let (begun, _) = watch::channel(false);
        let (busy, _) = watch::channel(0);
        Self(Arc::new(Parts { begun, busy }))
    }

    /// Begins the end; again is no harm.
    pub fn begin(&self) {
        self.0.begun.send_replace(true);
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.begun.borrow()
    }

    /// Returns when it has begun.
    pub async fn begun(&self) {
        let mut begun = self.0.begun.subscribe();
        // The sender lives in `self`: the only error cannot happen while this borrows it.
        let _ = begun.wait_for(|begun| *begun).await;
    }

    /// Registers something that wants to finish; dropping it says that it has.
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.0.busy.send_modify(|count| *count += 1);
        Busy(self.clone())
    }

    /// How many are registered.
    #[must_use]
    pub fn busy_count(&self) -> usize {
        *self.0.busy.borrow()
    }

    /// Returns when nobody is busy.
    pub async fn drained(&self) {
        let mut busy = self.0.busy.subscribe();
        let _ = busy.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drained_waits_for_the_last_busy() {
        let shutdown = Shutdown::new();
        let (first, second) = (shutdown.busy(), shutdown.busy());
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.drained().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn begun_is_heard_by_those_who_come_late() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.has_begun());
        shutdown.begin();
        shutdown.begun().await;
        assert!(shutdown.clone().has_begun());
    }
}
