//! One connection's alarm clock: a change after the last look always wakes.

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;

use crate::explore;
use crate::hub::Watcher;
use crate::sync::{AtomicU64, Ordering};

const CHANGES: u64 = 2;

/// Two that wake, as hub and shutdown do, and one that forgets what it has seen before it looks.
#[test]
fn what_comes_after_the_look_wakes() {
    explore(3, || {
        let (watcher, facts) = (Arc::new(Watcher::default()), Arc::new(AtomicU64::new(0)));
        let wakers: Vec<_> = (0..CHANGES)
            .map(|_| {
                let (watcher, facts) = (Arc::clone(&watcher), Arc::clone(&facts));
                thread::spawn(move || {
                    facts.fetch_add(1, Ordering::AcqRel);
                    watcher.wake();
                })
            })
            .collect();
        loop {
            watcher.seen();
            if facts.load(Ordering::Acquire) == CHANGES {
                break;
            }
            block_on(watcher.changed());
        }
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
    });
}

/// A wait that is given up, as `select` does with the branch that lost, loses nothing.
#[test]
fn a_wait_that_is_given_up_loses_no_change() {
    explore(3, || {
        let (watcher, facts) = (Arc::new(Watcher::default()), Arc::new(AtomicU64::new(0)));
        let waker = {
            let (watcher, facts) = (Arc::clone(&watcher), Arc::clone(&facts));
            thread::spawn(move || {
                facts.store(1, Ordering::Release);
                watcher.wake();
            })
        };
        block_on(async {
            let mut given_up = Box::pin(watcher.changed());
            std::future::poll_fn(|context| {
                let _ready_or_not = given_up.as_mut().poll(context);
                std::task::Poll::Ready(())
            })
            .await;
        });
        while facts.load(Ordering::Acquire) == 0 {
            block_on(watcher.changed());
        }
        waker.join().unwrap();
    });
}
