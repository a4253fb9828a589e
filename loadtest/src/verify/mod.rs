//! What must be true of what the server said, as pure functions over it: streams without a gap, states
//! that agree, promises that hold. Fetching is `audit`'s work; nothing here waits or reads a clock.

mod reservations;
mod states;
mod stream;

pub use reservations::{Promise, PromiseState, overlaps, promises_kept};
pub use states::{compare_model, compare_stream};
pub use stream::StreamFold;

use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Display;

/// Of every websocket.
pub const SOCKETS_STAY_OPEN: &str = "sockets stay open until the client closes them";
/// Of every batch.
pub const ACKS_ARE_RIGHT: &str = "every batch is answered once and its readings are taken once";
/// Of every stream.
pub const STREAM_IS_WHOLE: &str = "streams bring every seq once, in order, in one epoch";
/// Of every watched lot at the end.
pub const STREAM_ENDS_RIGHT: &str = "subscribers end with the server's states and counts";
/// Of every acknowledged reading at the end.
pub const READINGS_ARE_KEPT: &str = "the last acknowledged reading of every slot is shown";
/// Of every 201 when it comes.
pub const GRANTS_ARE_RIGHT: &str = "reservations are granted as asked";
/// Of every 201 at the end.
pub const PROMISES_ARE_KEPT: &str = "acknowledged reservations are there as the client was told";
/// Of all reservations at the end.
pub const NOTHING_OVERLAPS: &str = "active reservations of a slot do not overlap";
/// Of every read.
pub const READS_ARE_FRESH: &str = "reads show what any client was told before, and add up";
/// Of a long run.
pub const NOTHING_DRIFTS: &str =
    "latency and memory do not drift from the first quarter to the last";
/// Of the own server.
pub const SERVER_ENDS_WELL: &str = "the server ends in order when asked to";

/// Of every silent websocket at the end.
pub const SOCKETS_STILL_SERVED: &str = "every socket still gets a change, or answers, at the end";
/// Of every subscriber after a storm.
pub const NOBODY_IS_LEFT_OUT: &str = "after every cut every subscriber is back";
/// Of every refusal under overload.
pub const REFUSALS_SAY_WHEN: &str = "every refusal says when to try again";
/// Of every lot after an overload.
pub const REFUSED_HAS_NO_EFFECT: &str =
    "lots have what was accepted and nothing of what was refused";

/// Of the calm tenants.
pub const NEIGHBOURS_KEEP_THEIR_PACE: &str = "the p99 of calm tenants holds beside bad neighbours";
/// Of stalled readers and floods.
pub const MEMORY_IS_BOUNDED: &str = "memory stays within its bound beside bad neighbours";

/// Faults of one check that are shown; the rest is a number.
pub const FAULTS_SHOWN_MAX: usize = 10;

/// One thing that was checked.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The promise, as a sentence.
    pub name: Cow<'static, str>,
    /// How many things were looked at.
    pub examined: u64,
    /// What they are.
    pub unit: &'static str,
    /// How many broke the promise.
    pub faults: u64,
    /// The first of them: what and where.
    pub first_faults: Vec<String>,
}

impl Check {
    /// Nothing examined yet.
    pub fn new(name: impl Into<Cow<'static, str>>, unit: &'static str) -> Self {
        Self { name: name.into(), examined: 0, unit, faults: 0, first_faults: Vec::new() }
    }

    /// Whether the promise held.
    pub fn passed(&self) -> bool {
        self.faults == 0
    }

    /// More was looked at.
    pub fn examine(&mut self, how_many: u64) {
        self.examined += how_many;
    }

    /// Something broke the promise.
    pub fn fault(&mut self, what: impl Display) {
        self.faults += 1;
        if self.first_faults.len() < FAULTS_SHOWN_MAX {
            self.first_faults.push(what.to_string());
        }
    }

    /// Takes in what another place saw of the same promise.
    pub fn merge(&mut self, other: &Self) {
        self.examined += other.examined;
        self.faults += other.faults;
        let room = FAULTS_SHOWN_MAX - self.first_faults.len();
        self.first_faults.extend(other.first_faults.iter().take(room).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_faults_are_counted_and_the_first_shown() {
        let mut all = Check::new("nothing breaks", "things");
        let mut one = Check::new("nothing breaks", "things");
        one.examine(20);
        (0..20).for_each(|number| one.fault(format!("thing {number}")));
        all.merge(&one);
        all.merge(&one);
        assert!(!all.passed());
        assert_eq!((all.examined, all.faults), (40, 40));
        assert_eq!((all.first_faults.len(), all.first_faults[0].as_str()), (10, "thing 0"));
    }
}
