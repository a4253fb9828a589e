//! The hand-made concurrent parts under loom: every interleaving of a few threads up to a bound of
//! preemptions, and every stale value that the memory model lets an atomic load see.
//!
//! The files themselves are compiled here once more, with loom's primitives in the place of the real ones
//! (`crate::sync`); nothing is copied, no flag is needed. Lots are stand-ins that have a ring and watchers.
//!
//! `cargo test -p lotkeeper-actors --test models`; `LOOM_MAX_PREEMPTIONS=4` looks further, `LOOM_LOG=trace`
//! tells what happened. Absent: actors, the journal and the runtime, which are run for real in `races.rs`.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

#[path = "../../src/claims.rs"]
#[allow(dead_code, reason = "a model uses a part")]
mod claims;
#[path = "../../src/error.rs"]
#[allow(dead_code, reason = "a model uses a part")]
mod error;
#[path = "../../src/hub.rs"]
#[allow(dead_code, reason = "a model uses a part")]
mod hub;
#[path = "../../src/reply.rs"]
#[allow(dead_code, reason = "a model uses a part")]
mod reply;
#[path = "../../src/ring.rs"]
#[allow(dead_code, reason = "a model uses a part")]
mod ring;
#[path = "../../src/tick_flag.rs"]
mod tick_flag;

mod answers;
mod keys;
#[allow(dead_code, reason = "a model uses a part")]
#[path = "../../src/kind.rs"]
mod kind;
#[allow(dead_code, reason = "a model uses a part")]
mod sync;
mod ticks;
mod wakes;
mod watching;

use kind::ChangeKind;
use lotkeeper_engine::time::Timestamp;
use ring::Change;

/// What the files under test know of the door: something that is held.
mod door {
    pub struct Permit;
}

/// What the files under test know of a lot.
mod directory {
    use std::sync::Arc;

    use crate::hub::Watchers;
    use crate::ring::Ring;
    use crate::sync::AtomicU64;

    #[derive(Debug)]
    pub struct Entry {
        pub ring: Ring,
        pub watchers: Watchers,
        /// The lot's sequence in the durable view; written before the ring is.
        pub view_seq: AtomicU64,
    }

    #[derive(Clone, Debug)]
    pub struct LotHandle(pub Arc<Entry>);

    impl LotHandle {
        pub fn new(changes_max: usize) -> Self {
            let (ring, watchers) = (Ring::new(changes_max, 0), Watchers::default());
            Self(Arc::new(Entry { ring, watchers, view_seq: AtomicU64::new(0) }))
        }

        pub fn watchers(&self) -> &Watchers {
            &self.0.watchers
        }
    }
}

/// Runs a model through what can happen, with so many preemptions of a thread that could go on.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

/// The changes of one commit.
fn changes(from: u64, to: u64) -> Vec<Change> {
    let (kind, at) = (ChangeKind::SlotHeard, Timestamp::default());
    let change = |seq| Change { seq, kind, slot: None, at, observed_at: None, window: None };
    (from..=to).map(change).collect()
}
