//! What actors hand to the journal writer, and what the writer hands to the publisher.

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::{Outcome, Rejection};
use lotkeeper_engine::slot;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{By, Claim, Event, LotSnapshot, Record};
use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::claims::Ticket;
use crate::door::Permit;
use crate::error::CommandError;
use crate::reply::{Done, ReadingTicket};
use crate::standing::Coming;
use crate::tenant_passes::Aside;

/// Events of one decision; they never span commits.
pub(crate) type Events = SmallVec<[Event; 1]>;

/// One decision on its way to the disk.
pub(crate) struct Submission {
    pub lot: LotKey,
    pub at: Timestamp,
    /// Empty for an answer that rests on what is still in flight: it waits behind it.
    pub events: Events,
    /// How many of them nobody asked for: from the first on, because they were overdue, and from the last on,
    /// because time that was freed is offered to those who wait.
    pub unasked: (usize, usize),
    /// Who asked for the others.
    pub by: Option<By>,
    /// For the last event that somebody asked for.
    pub claim: Option<Claim>,
    pub reply: Reply,
}

impl Submission {
    /// Nothing to write: only the reply, behind everything that is on its way already.
    pub fn without_events(lot: LotKey, at: Timestamp, reply: Reply) -> Self {
        Self { lot, at, events: Events::new(), unasked: (0, 0), by: None, claim: None, reply }
    }
}

/// Where a command comes from: who asks, and the idempotency key he asks with. The engine's own tests and tools
/// ask as nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Who asks; goes into the record of what the command does.
    pub by: Option<By>,
    /// The key that makes a repetition harmless.
    pub claim: Option<Claim>,
}

impl From<Option<Claim>> for Origin {
    fn from(claim: Option<Claim>) -> Self {
        Self { by: None, claim }
    }
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

/// Port, claims, a use of a pass, and permits of one command. Dropped in this order: whoever hears of it by the port may send again, and
/// must find neither its own claim, nor use, nor permit still in the way.
pub(crate) struct CommandPort {
    pub ticket: Ticket,
    #[allow(dead_code, reason = "held until the reply, not read")]
    pub aside: Option<Aside>,
    #[allow(dead_code, reason = "held until the reply, not read")]
    pub coming: Option<Coming>,
    #[allow(dead_code, reason = "held until the reply, not read")]
    pub permit: Option<Permit>,
    pub answer: oneshot::Sender<Result<Done, CommandError>>,
}

impl CommandPort {
    /// Refuses or fails; the claims are released.
    pub fn fail(self, error: CommandError) {
        let Self { ticket, aside, coming, permit, answer } = self;
        drop((ticket, aside, coming, permit));
        let _caller_hung_up = answer.send(Err(error));
    }

    /// Answers what is durable.
    pub fn answer(self, done: Done) {
        let Self { ticket, aside, coming, permit, answer } = self;
        let view = done.lot.view();
        ticket.keep(|id| view.knows(id), |vehicle| view.lot.stays().of_vehicle(vehicle).is_some());
        drop((view, aside, coming, permit));
        let _caller_hung_up = answer.send(Ok(done));
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
    /// In order of their places.
    pub replies: Vec<Placed>,
}

/// A reply and its place among the records of a commit.
pub(crate) struct Placed {
    /// How many of the records it tells of.
    pub told: usize,
    /// How many of them are shown before it goes out: offers that follow are there when it is heard.
    pub shown: usize,
    pub lot: LotKey,
    pub reply: Reply,
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::*;
    use crate::claims::{Begun, Claims};
    use crate::door::{Door, Tenant};
    use crate::options::Options;
    use lotkeeper_storage::ClaimKey;

    /// Sends again at the very moment it hears that its message died.
    struct Hasty {
        claims: Arc<Claims>,
        door: Arc<Door>,
        share: Arc<Tenant>,
        could: AtomicBool,
    }

    const CLAIM: Claim = Claim { key: ClaimKey(7), fingerprint: 1 };

    impl Wake for Hasty {
        fn wake(self: Arc<Self>) {
            let claims = self.claims.begin(Some(CLAIM), (&[], LotKey(0)));
            let permit = self.door.admit(&self.share, 1);
            self.could.store(claims.is_ok() && permit.is_ok(), Ordering::SeqCst);
        }
    }

    #[test]
    fn a_message_that_died_is_out_of_the_way_before_its_sender_hears_of_it() {
        let options = Options { permits_records: 1, ..Options::default() };
        let (claims, door) = (Arc::new(Claims::default()), Arc::new(Door::new(&options)));
        let share = door.tenant("city");
        let Ok(Begun::New(ticket)) = claims.begin(Some(CLAIM), (&[], LotKey(0))) else {
            panic!("a new key")
        };
        let permit = door.admit(&share, 1).ok();
        assert!(permit.is_some());
        let (answer, answered) = oneshot::channel();
        let port = CommandPort { ticket, aside: None, coming: None, permit, answer };
        let hasty = Arc::new(Hasty { claims, door, share, could: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&hasty));
        let mut answered = pin!(answered);
        assert!(answered.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(port);
        assert!(hasty.could.load(Ordering::SeqCst));
    }
}
