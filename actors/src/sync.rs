//! Locks, atomics and wake-ups of what is hand-made and concurrent: ring, hub, claims, answers, ticks.
//!
//! Those files take them from here and from nowhere else, because `tests/models` compiles the same files with
//! loom's in their place and runs them through their interleavings, stale reads of weak memory included.

pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

pub(crate) use crossbeam::queue::SegQueue;
pub(crate) use dashmap::mapref::entry::Entry;
pub(crate) use dashmap::{DashMap, DashSet};
pub(crate) use parking_lot::{Mutex, RwLock};
pub(crate) use tokio::sync::Notify;
