//! What the door knows of one tenant: what it holds, the time it used, who waits for its turns.
//!
//! Invariants: counters are atomic; what is set aside for a turn is given back when the turn ends, once. Deliberately
//! absent: the rule (`door`), and how much time a step gives (`pacer`).

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Mutex, Notify};

/// What the newest step has to say of a tenant's mean: one part of so many.
const MEAN_STEPS: i64 = 8;

/// One tenant at the door.
#[derive(Debug, Default)]
pub(crate) struct Tenant {
    /// Records between permit and reply.
    pub records: AtomicUsize,
    /// Turns that did not end yet.
    pub turns: AtomicUsize,
    /// Processor time that it may still use, in nanoseconds; below nothing it waits for the next step.
    pub time_nanos: AtomicI64,
    /// What one of its turns took lately, in the mean. So much is set aside for a turn that begins, since what it takes is
    /// known later: else all who wait would begin on the same time.
    mean_nanos: AtomicI64,
    /// Time used and turns begun that are not in the mean yet.
    new_nanos: AtomicI64,
    new_turns: AtomicI64,
    /// Whether it is counted among those at work.
    pub is_active: AtomicBool,
    /// The look in which it was last heard.
    pub seen: AtomicU64,
    /// How many wait for a turn: nobody who comes now goes before them.
    pub waiting: AtomicUsize,
    /// The queue: whoever has the lock is first and looks for a turn, the others wait for it, in order.
    pub front: Mutex<()>,
    /// Told when a turn of this tenant ends, or when it has time again.
    pub ended: Notify,
}

/// One who waits; dropped when he has his turn or gives up.
pub(crate) struct Waiting<'a>(&'a Tenant);

impl Tenant {
    /// One who comes now and has so much time to begin with.
    pub fn with_time(nanos: i64) -> Self {
        Self { time_nanos: AtomicI64::new(nanos), ..Self::default() }
    }

    /// Processor time that work of this tenant took.
    pub fn used(&self, nanos: i64) {
        self.time_nanos.fetch_sub(nanos, Ordering::AcqRel);
        self.new_nanos.fetch_add(nanos, Ordering::AcqRel);
    }

    /// A turn began, which costs so much by itself.
    pub fn begun(&self, nanos: i64) {
        self.new_turns.fetch_add(1, Ordering::AcqRel);
        self.used(nanos);
    }

    /// Takes what a turn will need away from those that come after it.
    pub fn set_aside(&self) -> i64 {
        let mean_nanos = self.mean_nanos.load(Ordering::Acquire);
        self.time_nanos.fetch_sub(mean_nanos, Ordering::AcqRel);
        mean_nanos
    }

    /// What turns took since the last time goes into the mean. Only the pacer does this.
    pub fn learn(&self) {
        let turns = self.new_turns.swap(0, Ordering::AcqRel);
        if turns == 0 {
            // What was used meanwhile is of turns that began before: the next ones stand for it.
            return;
        }
        let newest = self.new_nanos.swap(0, Ordering::AcqRel) / turns;
        let mean = self.mean_nanos.load(Ordering::Acquire);
        let mean = if mean == 0 { newest } else { mean + (newest - mean) / MEAN_STEPS };
        self.mean_nanos.store(mean, Ordering::Release);
    }
}

impl<'a> Waiting<'a> {
    /// From now on nobody who comes goes before him.
    pub fn of(tenant: &'a Tenant) -> Self {
        tenant.waiting.fetch_add(1, Ordering::AcqRel);
        Self(tenant)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
