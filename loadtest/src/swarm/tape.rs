//! What a swarm writes down while it runs: deliveries, bytes, latencies, faults.
//!
//! A delivery is one change that reached one subscriber. Latency is kept for a part of the subscribers only
//! (`Seen::is_checked`): a histogram entry per delivery would be a good part of what a delivery costs.

use crate::clock::Clock;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::verify::Check;

/// Of every subscriber.
pub const DELIVERED_ONCE: &str =
    "every subscriber sees every change once and in order, or is told that it lagged";

/// What one subscriber has.
#[derive(Debug, Default)]
pub struct Seen {
    /// Changes: all up to this number, from 1.
    pub upto: u64,
    /// Whether its messages are read to the last byte and its latencies kept.
    pub is_checked: bool,
    /// The last message, where it replaces those before it.
    pub last: Vec<u8>,
    /// The end of a payload that goes on in the next.
    pub rest: Vec<u8>,
}

/// Of all subscribers together.
#[derive(Debug)]
pub struct Tape {
    pub clock: Clock,
    pub window: Window,
    pub recorder: Recorder,
    /// When each change was due; the first one is number 1.
    pub due_us: Vec<u64>,
    pub messages: u64,
    pub bytes: u64,
    /// Snapshots instead of changes, and how many changes they stood for.
    pub lags: u64,
    pub missed: u64,
    /// Deliveries that had not come when the wait for them ended.
    pub undelivered: u64,
    pub check: Check,
}

impl Tape {
    /// Nothing yet.
    pub fn new(clock: Clock, window: Window) -> Self {
        Self {
            clock,
            window,
            recorder: Recorder::new(window),
            due_us: Vec::new(),
            messages: 0,
            bytes: 0,
            lags: 0,
            missed: 0,
            undelivered: 0,
            check: Check::new(DELIVERED_ONCE, "changes delivered"),
        }
    }

    /// So many bytes came, in so many messages that show something.
    pub fn arrived(&mut self, messages: u64, bytes: u64, now_us: u64) {
        if (self.window.from_us..self.window.to_us).contains(&now_us) {
            self.messages += messages;
            self.bytes += bytes;
        }
    }

    /// A subscriber has all changes up to that number, each of them now for the first time.
    pub fn delivered(&mut self, seen: &mut Seen, upto: u64, now_us: u64) {
        if seen.is_checked {
            let range = seen.upto as usize..(upto as usize).min(self.due_us.len());
            for due_us in self.due_us.get(range).unwrap_or_default() {
                self.recorder.latency(Measure::SensorToSubscriber, *due_us, now_us);
            }
        }
        self.counted(seen, upto, now_us);
    }

    /// The same without latencies, which the caller knows better.
    pub fn counted(&mut self, seen: &mut Seen, upto: u64, now_us: u64) {
        let fresh = upto.saturating_sub(seen.upto);
        self.check.examine(fresh);
        self.recorder.count(Tally::Entries, fresh, now_us);
        seen.upto = seen.upto.max(upto);
    }

    /// A subscriber was told that it missed some.
    pub fn lagged(&mut self, seen: &mut Seen, upto: u64) {
        self.lags += 1;
        self.missed += upto.saturating_sub(seen.upto);
        seen.upto = seen.upto.max(upto);
    }
}
