//! A reader of a ring has each sequence once and in order, or is told that it lagged and then stands where
//! the view does; and it never sleeps while there is something to read.

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;

use crate::directory::LotHandle;
use crate::hub::{Hub, Watcher};
use crate::ring::CatchUp;
use crate::sync::{AtomicBool, Ordering};
use crate::{changes, explore};

/// What the publisher does with one commit of a lot: the view, the ring, the readers.
fn publish(lot: &LotHandle, hub: &Hub, from: u64, to: u64) {
    for seq in from..=to {
        // Record by record: a snapshot may fall into the middle of a commit.
        lot.0.view_seq.store(seq, Ordering::Release);
    }
    lot.0.ring.push(changes(from, to));
    hub.touch(lot);
    hub.flush();
}

/// Reads all there is; panics when something is missing or twice.
fn catch_up(lot: &LotHandle, cursor: &mut u64) {
    match lot.0.ring.after(*cursor, 2) {
        CatchUp::UpToDate => {}
        CatchUp::Lagged => {
            let view = lot.0.view_seq.load(Ordering::Acquire);
            assert!(view > *cursor, "sent to {view}, and stood at {cursor}");
            *cursor = view;
        }
        CatchUp::Batches(batches) => {
            assert!(!batches.is_empty(), "something is new, and there is nothing");
            for batch in batches {
                assert!(batch.from <= *cursor + 1 && batch.to > *cursor, "{batch:?} at {cursor}");
                assert_eq!(batch.changes.len() as u64, batch.to + 1 - batch.from);
                *cursor = batch.to;
            }
        }
    }
}

/// As a stream does it: registers, looks, and from then on sleeps until it is woken.
fn follow(lot: &LotHandle, mut cursor: u64, last: u64) {
    let watcher = Arc::new(Watcher::default());
    lot.watchers().add(&watcher);
    loop {
        watcher.seen();
        while cursor < lot.0.ring.head() {
            catch_up(lot, &mut cursor);
        }
        if cursor >= last {
            break;
        }
        block_on(watcher.changed());
    }
    assert_eq!(cursor, last);
    lot.watchers().remove(&watcher);
}

/// A wake-up that is lost is a reader that sleeps for ever, which loom reports as a deadlock.
fn readers_and_publisher(readers: usize, commits: &'static [(u64, u64)], changes_max: usize) {
    let (lot, hub) = (LotHandle::new(changes_max), Arc::new(Hub::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let last = commits.last().unwrap().1;
    let waking = {
        let (hub, stop) = (Arc::clone(&hub), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                block_on(hub.round());
            }
        })
    };
    let readers: Vec<_> = (0..readers)
        .map(|_| {
            let lot = lot.clone();
            thread::spawn(move || follow(&lot, 0, last))
        })
        .collect();
    for (from, to) in commits {
        publish(&lot, &hub, *from, *to);
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    // One more touch with a watcher of its own ends the hub.
    let end = Arc::new(Watcher::default());
    lot.watchers().add(&end);
    stop.store(true, Ordering::Release);
    hub.touch(&lot);
    hub.flush();
    waking.join().unwrap();
}

#[test]
fn a_reader_sleeps_only_when_it_has_everything() {
    explore(2, || readers_and_publisher(1, &[(1, 1), (2, 2)], 8));
}

#[test]
fn a_reader_that_falls_out_of_the_ring_goes_on_from_the_view() {
    explore(2, || readers_and_publisher(1, &[(1, 2), (3, 4)], 2));
}

/// No hub and no sleep: the ring alone, with more readers and more commits.
#[test]
fn readers_of_a_ring_have_each_sequence_once() {
    explore(3, || {
        let lot = LotHandle::new(2);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let lot = lot.clone();
                thread::spawn(move || {
                    let mut cursor = 0;
                    for _ in 0..3 {
                        catch_up(&lot, &mut cursor);
                    }
                })
            })
            .collect();
        let hub = Hub::default();
        for seq in 1..=3 {
            publish(&lot, &hub, seq, seq);
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        let mut cursor = 0;
        while cursor < 3 {
            catch_up(&lot, &mut cursor);
        }
    });
}
