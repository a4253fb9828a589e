//! What this scenario promises, one check each.

use crate::verify::Check;

/// All of them.
#[derive(Debug)]
pub struct Checks {
    /// Acknowledged writes against the log.
    pub kept: Check,
    /// The log by itself: every step of a reservation, every reading, every count once and in order.
    pub once: Check,
    /// The log by itself: no overlap at any point.
    pub apart: Check,
    /// Sequences, epoch, and that what was once read stays as it was.
    pub whole: Check,
    /// Everything read, by request or stream, against the log at that sequence.
    pub reads: Check,
    /// Repeated requests.
    pub keys: Check,
    /// Streams that come back.
    pub resumed: Check,
    /// The log by itself: the ledger.
    pub money: Check,
    /// Lists over all times.
    pub past: Check,
    /// `lotkeeper check`.
    pub clean: Check,
    /// Starts.
    pub starts: Check,
}

impl Checks {
    pub fn new() -> Self {
        Self {
            kept: Check::new("every acknowledged write is in the log as it was answered", "writes"),
            once: Check::new(
                "nothing is in the log twice, every step follows the one before",
                "events",
            ),
            apart: Check::new(
                "no two reservations of a slot overlap at any point of the log",
                "windows",
            ),
            whole: Check::new(
                "global and lot sequences have no gap, nothing in the log changes, one epoch",
                "events",
            ),
            reads: Check::new(
                "what is read or streamed is what the log says at that seq",
                "answers",
            ),
            keys: Check::new(
                "a repeated request gets the first answer, another body is refused",
                "requests",
            ),
            resumed: Check::new("streams resume where the ring covers what they missed", "returns"),
            money: Check::new(
                "every posting adds up to nothing, every stay that ended was billed its fee once",
                "postings and ends",
            ),
            past: Check::new(
                "lists over all times catch up and have all of the log, once, the newest first",
                "items",
            ),
            clean: Check::new("lotkeeper check finds the directory clean", "checks"),
            starts: Check::new("the server starts after every kill", "starts"),
        }
    }

    pub fn all(&self) -> [&Check; 11] {
        let Self { kept, once, apart, whole, reads, keys, resumed, money, past, clean, starts } =
            self;
        [kept, once, apart, whole, reads, keys, resumed, money, past, clean, starts]
    }
}
