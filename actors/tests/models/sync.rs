//! loom's primitives in the shape of those in `actors/src/sync.rs`, and plain models of what the maps, the
//! queue and the wake-up promise: each of their calls is one atomic step, as their authors say.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};
use std::task::{Poll, Waker};

pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// Without poison, like the real one.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model that panics ends")
    }
}

#[derive(Debug, Default)]
pub struct RwLock<T>(loom::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::RwLock::new(value))
    }

    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().expect("a model that panics ends")
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().expect("a model that panics ends")
    }
}

#[derive(Debug)]
pub struct SegQueue<T>(Mutex<VecDeque<T>>);

impl<T> Default for SegQueue<T> {
    fn default() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }
}

impl<T> SegQueue<T> {
    pub fn push(&self, value: T) {
        self.0.lock().push_back(value);
    }

    pub fn pop(&self) -> Option<T> {
        self.0.lock().pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// For one waiter, as all of ours have: a permit that is kept until somebody takes it.
#[derive(Debug, Default)]
pub struct Notify(Mutex<(bool, Option<Waker>)>);

impl Notify {
    pub fn notify_one(&self) {
        let waker = {
            let mut state = self.0.lock();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub async fn notified(&self) {
        poll_fn(|context| {
            let mut state = self.0.lock();
            if std::mem::take(&mut state.0) {
                return Poll::Ready(());
            }
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// One lock for all keys: coarser than the real one, and as atomic for each key.
#[derive(Debug)]
pub struct DashMap<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for DashMap<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

/// A place that stays locked while it is looked at.
pub enum Entry<'a, K, V> {
    Vacant(VacantEntry<'a, K, V>),
    Occupied(OccupiedEntry<'a, K, V>),
}

pub struct VacantEntry<'a, K, V>(MutexGuard<'a, HashMap<K, V>>, K);

pub struct OccupiedEntry<'a, K, V>(MutexGuard<'a, HashMap<K, V>>, K);

impl<K: Eq + Hash, V> VacantEntry<'_, K, V> {
    pub fn insert(mut self, value: V) {
        self.0.insert(self.1, value);
    }
}

impl<K: Eq + Hash, V> OccupiedEntry<'_, K, V> {
    pub fn get(&self) -> &V {
        self.0.get(&self.1).expect("occupied")
    }
}

/// A value that stays locked while it is looked at.
pub struct Ref<'a, K, V>(MutexGuard<'a, HashMap<K, V>>, K);

impl<K: Eq + Hash, V> Deref for Ref<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        self.0.get(&self.1).expect("there when it was found")
    }
}

impl<K: Copy + Eq + Hash, V> DashMap<K, V> {
    pub fn entry(&self, key: K) -> Entry<'_, K, V> {
        let map = self.0.lock();
        match map.contains_key(&key) {
            true => Entry::Occupied(OccupiedEntry(map, key)),
            false => Entry::Vacant(VacantEntry(map, key)),
        }
    }

    pub fn insert(&self, key: K, value: V) {
        self.0.lock().insert(key, value);
    }

    pub fn get(&self, key: &K) -> Option<Ref<'_, K, V>> {
        let map = self.0.lock();
        map.contains_key(key).then_some(Ref(map, *key))
    }

    pub fn remove(&self, key: &K) {
        self.0.lock().remove(key);
    }

    pub fn remove_if(&self, key: &K, wanted: impl FnOnce(&K, &V) -> bool) {
        let mut map = self.0.lock();
        if map.get(key).is_some_and(|value| wanted(key, value)) {
            map.deref_mut().remove(key);
        }
    }

    pub fn len(&self) -> usize {
        self.0.lock().len()
    }
}

#[derive(Debug)]
pub struct DashSet<K>(Mutex<HashSet<K>>);

impl<K> Default for DashSet<K> {
    fn default() -> Self {
        Self(Mutex::new(HashSet::new()))
    }
}

impl<K: Eq + Hash> DashSet<K> {
    pub fn insert(&self, key: K) -> bool {
        self.0.lock().insert(key)
    }

    pub fn remove(&self, key: &K) {
        self.0.lock().remove(key);
    }
}
