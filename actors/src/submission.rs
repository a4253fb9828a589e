//! What actors hand to the journal writer, and what the writer hands to the publisher.

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::{Outcome, Rejection};
use lotkeeper_engine::slot;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Claim, Event, LotSnapshot, Record};
use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::claims::Ticket;
use crate::door::Permit;
use crate::error::CommandError;
use crate::reply::{Done, ReadingTicket};

/// Events of one decision; they never span commits.
pub(crate) type Events = SmallVec<[Event; 1]>;

/// One decision on its way to the disk.
pub(crate) struct Submission {
    pub lot: LotKey,
    pub at: Timestamp,
    /// Empty for an answer that rests on what is still in flight: it waits behind it.
    pub events: Events,
    /// For the last event.
    pub claim: Option<Claim>,
    pub reply: Reply,
}

/// Who waits for it.
pub(crate) enum Reply {
    /// Nobody; the permit of an internal message, if it has one.
    Nobody(#[allow(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>),
    /// A reading.
    Reading(ReadingTicket, slot::Outcome),
    /// A command.
    Command(Box<CommandReply>),
    /// Somebody who wants everything before it to be in the view.
    Barrier(oneshot::Sender<()>, #[allow(dead_code, reason = "held")] Option<OwnedSemaphorePermit>),
}

/// The way back of a command.
pub(crate) struct CommandReply {
    pub port: CommandPort,
    pub outcome: Result<Outcome, Rejection>,
}

/// Port, claims and permits of one command.
pub(crate) struct CommandPort {
    pub answer: oneshot::Sender<Result<Done, CommandError>>,
    pub ticket: Ticket,
    #[allow(dead_code, reason = "held until the reply, not read")]
    pub permit: Option<Permit>,
}

impl CommandPort {
    /// Refuses or fails; the claims are released.
    pub fn fail(self, error: CommandError) {
        drop(self.ticket);
        let _caller_hung_up = self.answer.send(Err(error));
    }

    /// Answers what is durable.
    pub fn answer(self, done: Done) {
        self.ticket.keep();
        let _caller_hung_up = self.answer.send(Ok(done));
    }
}

impl Reply {
    /// A commit failed: nobody knows.
    pub fn outcome_unknown(self) {
        match self {
            Self::Nobody(_) | Self::Barrier(..) => {}
            Self::Reading(ticket, _) => ticket.fail(),
            Self::Command(reply) => reply.port.fail(CommandError::OutcomeUnknown),
        }
    }
}

/// The writer's inbox.
pub(crate) enum Work {
    Submit(Submission),
    Snapshot(Box<LotSnapshot>),
    /// Everything before it is written and synced; then the writer ends and answers.
    Stop(oneshot::Sender<()>),
}

/// One durable commit on its way to the publisher.
pub(crate) struct Commit {
    pub records: Vec<Record>,
    /// In order: how many of the records precede the reply, the lot, the reply.
    pub replies: Vec<(usize, LotKey, Reply)>,
}
