//! What lots are told of their slots' changes: which ones to look at, and nothing more.
//!
//! Facts flow one way, from slots to lots, after they are durable: the publisher notes a slot, the lot's next
//! tick looks at the durable view. A lot with something noted is due for a tick, and ticks come one at a time,
//! so any number of changes is one message. Bounded by the number of slots. A lot whose rules do not ask pays
//! one relaxed load for each change.

use std::collections::{BTreeMap, BTreeSet};

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::slot::Event;
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::time::Timestamp;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Slots that changed since the lot looked last.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    asked: AtomicBool,
    waiting: AtomicBool,
    slots: Mutex<BTreeSet<SlotIndex>>,
}

impl Sightings {
    /// Whether the lot's rules ask for it.
    pub fn ask(&self, asked: bool) {
        self.asked.store(asked, Ordering::Relaxed);
    }

    /// A durable change of a slot. Heartbeats and silence say nothing new of what stands there.
    pub fn note(&self, slot: SlotIndex, event: &Event) {
        if !self.asked.load(Ordering::Relaxed) {
            return;
        }
        match event {
            Event::Occupied(_) | Event::Vacated(_) => {
                self.slots.lock().insert(slot);
                // After the slot is in: whoever takes what waits lets go of the flag first.
                self.waiting.store(true, Ordering::Release);
            }
            Event::Heard { .. } | Event::FellSilent => {}
        }
    }

    /// Everything, for a lot that looks for the first time.
    pub fn note_all(&self, spec: &Spec) {
        if self.asked.load(Ordering::Relaxed) {
            self.slots.lock().extend(spec.slot_indices());
            self.waiting.store(true, Ordering::Release);
        }
    }

    /// Whether the lot has something to look at.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// What there is to look at.
    pub fn take(&self) -> BTreeSet<SlotIndex> {
        if !self.waiting.swap(false, Ordering::AcqRel) {
            return BTreeSet::new();
        }
        std::mem::take(&mut *self.slots.lock())
    }
}

/// Slots that a lot must look at again, and when.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    due_at: BTreeMap<SlotIndex, Timestamp>,
    in_order: BTreeSet<(Timestamp, SlotIndex)>,
}

impl Looks {
    /// What to look at now: what changed, and what was put off until now.
    pub fn due(&self, changed: BTreeSet<SlotIndex>, now: Timestamp) -> Vec<SlotIndex> {
        let mut slots = changed;
        slots.extend(self.in_order.iter().take_while(|(at, _)| *at <= now).map(|(_, slot)| *slot));
        slots.into_iter().collect()
    }

    /// Puts the next look at a slot off, or gives it up.
    pub fn again(&mut self, slot: SlotIndex, at: Option<Timestamp>) {
        let before = match at {
            Some(at) => self.due_at.insert(slot, at),
            None => self.due_at.remove(&slot),
        };
        if let Some(before) = before {
            self.in_order.remove(&(before, slot));
        }
        if let Some(at) = at {
            self.in_order.insert((at, slot));
        }
    }

    /// When something must be looked at again.
    pub fn next(&self) -> Option<Timestamp> {
        self.in_order.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_lot_that_does_not_ask_is_told_nothing() {
        let sightings = Sightings::default();
        let gone = Event::FellSilent;
        let seen = Event::Vacated(lotkeeper_engine::slot::Sighting {
            mark: lotkeeper_engine::slot::Mark { observed_at: at(0), sequence: 0 },
            id_hash: 0,
            source: lotkeeper_engine::slot::Source::Sensor,
            confidence_percent: None,
        });
        sightings.note(SlotIndex(1), &seen);
        assert!(!sightings.is_waiting() && sightings.take().is_empty());
        sightings.ask(true);
        sightings.note(SlotIndex(1), &gone);
        assert!(!sightings.is_waiting(), "silence moves no car");
        sightings.note(SlotIndex(1), &seen);
        sightings.note(SlotIndex(1), &seen);
        assert!(sightings.is_waiting());
        assert_eq!(sightings.take(), BTreeSet::from([SlotIndex(1)]));
        assert!(!sightings.is_waiting());
    }

    #[test]
    fn a_look_that_is_put_off_comes_once_at_its_new_time() {
        let mut looks = Looks::default();
        looks.again(SlotIndex(1), Some(at(10)));
        looks.again(SlotIndex(1), Some(at(20)));
        looks.again(SlotIndex(2), Some(at(15)));
        assert_eq!(looks.next(), Some(at(15)));
        assert_eq!(looks.due(BTreeSet::new(), at(14)), []);
        assert_eq!(looks.due(BTreeSet::from([SlotIndex(9)]), at(15)), [SlotIndex(2), SlotIndex(9)]);
        looks.again(SlotIndex(2), None);
        assert_eq!(looks.due(BTreeSet::new(), at(20)), [SlotIndex(1)]);
    }
}
