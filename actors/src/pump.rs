//! Writer and publisher without their threads, moved by hand: for simulation, where between any two of
//! their steps anything may happen, and where the same seed must be the same run.
//!
//! The steps are the ones the threads take. Deliberately absent: waiting; a step with nothing to do does
//! nothing.

use crossbeam::channel::Receiver;

use crate::publisher::Publisher;
use crate::start::COMMITS_AHEAD_MAX;
use crate::submission::{Commit, Work};
use crate::writer::{self, Writer};

/// Moves the journal of an engine that was started by hand. Dropped, it leaves the engine without a disk.
pub struct Pump {
    writer: Option<Result<Writer, Receiver<Work>>>,
    publisher: Publisher,
    commits: Receiver<Commit>,
}

impl Pump {
    pub(crate) fn new(writer: Writer, publisher: Publisher, commits: Receiver<Commit>) -> Self {
        Self { writer: Some(Ok(writer)), publisher, commits }
    }

    /// Makes what waits durable, as one commit; publishes first where the writer would have to wait for it.
    pub fn commit(&mut self) {
        while self.commits.len() >= COMMITS_AHEAD_MAX {
            self.publish();
        }
        self.writer = self.writer.take().map(|writer| match writer {
            Ok(writer) => writer.step_by_hand(),
            Err(inbox) => {
                writer::turn_away_present(&inbox);
                Err(inbox)
            }
        });
    }

    /// Publishes the oldest commit that is not published; tells whether there was one.
    pub fn publish(&mut self) -> bool {
        let commit = self.commits.try_recv();
        commit.map(|commit| self.publisher.publish(commit)).is_ok()
    }

    /// Whether a commit failed: the journal is not touched any more.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.writer, Some(Err(_)))
    }
}
