//! Answers, and how they find their way back: a port travels inside the message and the submission.
//! A port that is dropped without an answer means that nothing was journaled: the sender sends again.

use std::sync::Arc;

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::slot::{self, Outcome, Reading};
use lotkeeper_storage::{By, ClaimOutcome};
use tokio::sync::oneshot;

use crate::directory::LotHandle;
use crate::door::Permit;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering};

/// A granted command: durable, and seen by every read from now on.
#[derive(Clone, Debug)]
pub struct Done {
    /// The lot that decided.
    pub lot: LotHandle,
    /// The lot's sequence that includes the effect.
    pub lot_seq: u64,
    /// What it did.
    pub answer: ClaimOutcome,
    /// Whether this is the first answer again, from an idempotency key.
    pub repeated: bool,
}

/// A reading and the slot it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotReading {
    /// Which slot.
    pub slot: SlotIndex,
    /// What it says.
    pub reading: Reading,
}

/// A reading that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Position in the batch.
    pub index: u32,
    /// Why.
    pub rejection: slot::Rejection,
}

/// What a batch of readings did; all of it durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadingsDone {
    /// Moved the state of a slot.
    pub accepted: u32,
    /// Repeated it.
    pub unchanged: u32,
    /// Were taken before.
    pub duplicate: u32,
    /// Came after something newer.
    pub late: u32,
    /// Were refused, in order of position.
    pub refused: Vec<Refused>,
    /// The lot's sequence that includes what was accepted.
    pub lot_seq: u64,
}

/// A batch on its way, shared by the tickets of its readings.
pub(crate) struct ReadingBatch {
    pending: AtomicU32,
    counts: [AtomicU32; 4],
    lot_seq: AtomicU64,
    by: Option<By>,
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    refused: Vec<Refused>,
    lost: Vec<u32>,
    failed: bool,
    port: Option<oneshot::Sender<()>>,
    permit: Option<Permit>,
}

/// How a round of sending ended.
pub(crate) struct Round {
    pub done: ReadingsDone,
    /// Positions whose message died with an actor before anything was journaled.
    pub lost: Vec<u32>,
    /// A commit failed: nobody knows.
    pub failed: bool,
}

impl ReadingBatch {
    pub fn new(
        readings: usize,
        by: Option<By>,
        permit: Option<Permit>,
    ) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (port, answered) = oneshot::channel();
        let pending = AtomicU32::new(u32::try_from(readings).unwrap_or(u32::MAX));
        let rest = Mutex::new(Rest { port: Some(port), permit, ..Rest::default() });
        let (counts, lot_seq) = (Default::default(), AtomicU64::new(0));
        (Arc::new(Self { pending, counts, lot_seq, by, rest }), answered)
    }

    fn settle_one(&self) {
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut rest = self.rest.lock();
            rest.permit = None;
            if let Some(port) = rest.port.take() {
                let _caller_hung_up = port.send(());
            }
        }
    }

    /// The sender's own place: made with one more than it has readings, a batch is never complete before
    /// it is wholly sent.
    pub fn sent(&self) {
        self.settle_one();
    }

    /// What came of it; once all tickets are settled.
    pub fn round(&self) -> Round {
        let mut rest = self.rest.lock();
        let mut refused = std::mem::take(&mut rest.refused);
        refused.sort_unstable_by_key(|refused| refused.index);
        let [accepted, unchanged, duplicate, late] =
            self.counts.each_ref().map(|count| count.load(Ordering::Acquire));
        let lot_seq = self.lot_seq.load(Ordering::Acquire);
        let done = ReadingsDone { accepted, unchanged, duplicate, late, refused, lot_seq };
        Round { done, lost: std::mem::take(&mut rest.lost), failed: rest.failed }
    }
}

/// The reply port of one reading.
pub(crate) struct ReadingTicket {
    batch: Option<Arc<ReadingBatch>>,
    index: u32,
}

impl ReadingTicket {
    pub fn new(batch: &Arc<ReadingBatch>, index: u32) -> Self {
        Self { batch: Some(Arc::clone(batch)), index }
    }

    /// Who sent the batch.
    pub fn by(&self) -> Option<By> {
        self.batch.as_ref().and_then(|batch| batch.by)
    }

    /// Answers; `lot_seq` is the record's, or 0 without one.
    pub fn settle(mut self, outcome: Outcome, lot_seq: u64) {
        if let Some(batch) = self.batch.take() {
            let place = match outcome {
                Outcome::Accepted => 0,
                Outcome::Unchanged => 1,
                Outcome::Duplicate => 2,
                Outcome::Late => 3,
            };
            batch.counts[place].fetch_add(1, Ordering::AcqRel);
            batch.lot_seq.fetch_max(lot_seq, Ordering::AcqRel);
            batch.settle_one();
        }
    }

    pub fn refuse(mut self, rejection: slot::Rejection) {
        if let Some(batch) = self.batch.take() {
            batch.rest.lock().refused.push(Refused { index: self.index, rejection });
            batch.settle_one();
        }
    }

    /// A commit failed: the outcome is unknown.
    pub fn fail(mut self) {
        if let Some(batch) = self.batch.take() {
            batch.rest.lock().failed = true;
            batch.settle_one();
        }
    }
}

impl Drop for ReadingTicket {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            batch.rest.lock().lost.push(self.index);
            batch.settle_one();
        }
    }
}
