//! The publisher: in journal order, first the durable view, then the replies, then the change feed.
//!
//! It is the only one that writes to the view, so a reply sent after its records were applied is seen by
//! the next read of any client. Recovery goes through the same door: [`Publisher::apply`].

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, TrySendError};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::{self, Outcome, Rejection};
use lotkeeper_engine::time::{Seconds, Timestamp};
use lotkeeper_storage::{ClaimOutcome, Event, LotSnapshot, Record, RememberedClaim};
use ractor::ActorRef;

use crate::claims::Remembered;
use crate::directory::{Entry, LotHandle};
use crate::engine::Shared;
use crate::error::{CommandError, StartError};
use crate::reply::Done;
use crate::ring::Change;
use crate::submission::{CommandPort, Commit, Reply, Work};
use crate::supervisor::SupervisorMessage;
use crate::view::{self, LotView};
use crate::vital::Vital;

/// What the publisher keeps of each lot beside its entry.
struct Kept {
    lot: LotHandle,
    /// Remembered idempotency keys, oldest first.
    claims: VecDeque<RememberedClaim>,
    /// Changes of the commit being published.
    changes: Vec<Change>,
    snapshot_seq: u64,
}

impl Kept {
    fn keep_claim(&mut self, shared: &Shared, remembered: RememberedClaim) {
        let answer = Remembered {
            lot: self.lot.key(),
            lot_seq: remembered.lot_seq,
            outcome: remembered.outcome.clone(),
        };
        shared.claims.remember(remembered.claim, Arc::new(answer));
        let horizon = remembered.at.minus(Seconds(shared.options.claim_seconds));
        self.claims.push_back(remembered);
        let too_old = |oldest: &RememberedClaim| oldest.at < horizon;
        while self.claims.len() > shared.options.claims_per_lot
            || self.claims.front().is_some_and(too_old)
        {
            if let Some(oldest) = self.claims.pop_front() {
                shared.claims.forget(oldest.claim.key);
            }
        }
    }
}

pub(crate) struct Publisher {
    shared: Arc<Shared>,
    supervisor: ActorRef<SupervisorMessage>,
    writer: Sender<Work>,
    lots: Vec<Option<Kept>>,
    touched: Vec<LotKey>,
    /// Lots in order of their snapshots, oldest first.
    snapshot_order: VecDeque<LotKey>,
    seq: u64,
}

impl Publisher {
    pub fn new(
        shared: Arc<Shared>,
        supervisor: ActorRef<SupervisorMessage>,
        writer: Sender<Work>,
    ) -> Self {
        Self {
            shared,
            supervisor,
            writer,
            lots: Vec::new(),
            touched: Vec::new(),
            snapshot_order: VecDeque::new(),
            seq: 0,
        }
    }

    /// Runs until the writer is gone.
    pub fn run(mut self, commits: &Receiver<Commit>) {
        let _vital = Vital::new(&self.shared, "publisher");
        while let Ok(commit) = commits.recv() {
            self.publish(commit);
        }
    }

    /// A reply goes out at its own place among the records: one without a record of its own shows the lot as it was when
    /// it was decided, and not what a later command in the same commit made of it.
    pub fn publish(&mut self, commit: Commit) {
        let Commit { records, replies } = commit;
        // All of it is durable, whoever asks.
        self.shared.set_seq(records.last().map_or(self.seq, |record| record.seq));
        let mut replies = replies.into_iter().peekable();
        for (position, record) in records.iter().enumerate() {
            while let Some(reply) = replies.next_if(|(before, ..)| *before <= position) {
                self.reply_after(&records, reply);
            }
            if let Err(error) = self.apply(record) {
                // A record of an unknown lot cannot come from an actor.
                tracing::error!(%error, "record is not shown");
                self.shared.metrics.invariant_broken("I0");
            }
        }
        replies.for_each(|reply| self.reply_after(&records, reply));
        self.feed();
        self.snapshot_the_oldest();
    }

    /// Puts one durable record into the view.
    pub fn apply(&mut self, record: &Record) -> Result<(), StartError> {
        self.seq = record.seq;
        if let Event::Lot(event @ lot::Event::Created(spec)) = &record.event {
            let view = LotView::new(spec, record);
            let outcome = view.outcome_of(event);
            let ring_changes_max = self.shared.options.ring_changes_per_lot;
            let share = self.shared.door.tenant(&spec.tenant);
            self.adopt(LotHandle(Entry::new(record.lot, view, ring_changes_max, share)), 0);
            self.keep(record, created(record), outcome.as_ref());
            return Ok(());
        }
        let unknown = StartError::UnknownLot { seq: record.seq, lot: record.lot.0 };
        let kept = self.lots.get(record.lot.0 as usize).and_then(Option::as_ref).ok_or(unknown)?;
        let entry = &kept.lot.0;
        let mut shared_view = entry.view.write();
        let view = Arc::make_mut(&mut shared_view);
        let forgotten_from = ended_front(record, view);
        let (change, outcome) = view.apply(record);
        if !view.adds_up() {
            // Shown as unknown from here on; the alarm hangs on the metric.
            self.shared.metrics.invariant_broken("I1");
        }
        if let Event::Lot(event) = &record.event {
            self.follow(entry, event, view, forgotten_from);
        }
        drop(shared_view);
        self.keep(record, change, outcome.as_ref());
        Ok(())
    }

    /// Brings along what hangs on a lot's event outside its view.
    fn follow(
        &self,
        entry: &Entry,
        event: &lot::Event,
        view: &LotView,
        oldest_ended: Option<lotkeeper_engine::ids::ReservationId>,
    ) {
        match event {
            lot::Event::Reserved(reserved) => self.shared.claims.route(reserved.id, entry.key),
            lot::Event::Changed(values) => entry.take_rules(&values.rules),
            _ => {}
        }
        if let Some(id) = oldest_ended.filter(|id| view.lot.reservation(*id).is_none()) {
            self.shared.claims.unroute(id);
        }
    }

    /// Keeps a record's change for the feed, and its answer under the key it came with.
    fn keep(&mut self, record: &Record, change: Change, outcome: Option<&ClaimOutcome>) {
        let Some(kept) = self.lots.get_mut(record.lot.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        if kept.changes.is_empty() {
            self.touched.push(record.lot);
        }
        kept.changes.push(change);
        if let (Some(claim), Some(outcome)) = (record.claim, outcome) {
            let (at, lot_seq, outcome) = (record.at, record.lot_seq, outcome.clone());
            kept.keep_claim(&self.shared, RememberedClaim { claim, at, lot_seq, outcome });
        }
    }

    pub fn restore(&mut self, snapshot: LotSnapshot) {
        let shared = Arc::clone(&self.shared);
        let (key, seq) = (snapshot.lot, snapshot.seq);
        let claims = snapshot.claims.clone();
        let view = LotView::from_snapshot(snapshot);
        for reservation in view.lot.reservations() {
            self.shared.claims.route(reservation.id, key);
        }
        let share = self.shared.door.tenant(&view.spec().tenant);
        let entry = Entry::new(key, view, self.shared.options.ring_changes_per_lot, share);
        self.adopt(LotHandle(entry), seq);
        if let Some(kept) = self.kept(key) {
            claims.into_iter().for_each(|claim| kept.keep_claim(&shared, claim));
        }
    }

    fn adopt(&mut self, lot: LotHandle, snapshot_seq: u64) {
        let key = lot.key();
        let place = key.0 as usize;
        if self.lots.len() <= place {
            self.lots.resize_with(place + 1, || None);
        }
        let kept = Kept { lot, claims: VecDeque::new(), changes: Vec::new(), snapshot_seq };
        self.lots[place] = Some(kept);
        self.snapshot_order.push_back(key);
    }

    fn kept(&mut self, lot: LotKey) -> Option<&mut Kept> {
        self.lots.get_mut(lot.0 as usize)?.as_mut()
    }

    /// All lots, for the launch at start.
    pub fn handles(&self) -> Vec<LotHandle> {
        self.lots.iter().flatten().map(|kept| kept.lot.clone()).collect()
    }

    /// The last sequence of each lot by key: where the writer goes on.
    pub fn lot_seqs(&self) -> Vec<u64> {
        let lot_seq =
            |kept: &Option<Kept>| kept.as_ref().map_or(0, |kept| kept.lot.0.view().lot_seq);
        self.lots.iter().map(lot_seq).collect()
    }

    /// Turns the changes since the last call into one batch for each lot: one commit, one batch.
    pub fn feed(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for key in touched.drain(..) {
            let Some(kept) = self.kept(key) else { continue };
            let changes = std::mem::take(&mut kept.changes);
            let lot = kept.lot.clone();
            lot.0.ring.push(changes);
            self.shared.hub.touch(&lot);
        }
        self.touched = touched;
        self.shared.hub.flush();
    }

    fn reply_after(&self, records: &[Record], reply: (usize, LotKey, Reply)) {
        let (records_before, lot, reply) = reply;
        let last = records_before.checked_sub(1).and_then(|last| records.get(last));
        self.reply(lot, reply, last);
    }

    fn reply(&self, lot: LotKey, reply: Reply, last: Option<&Record>) {
        let last = last.filter(|record| record.lot == lot);
        match reply {
            Reply::Nobody(_) => {}
            Reply::Barrier(passed, _) => {
                let _nobody_waits = passed.send(());
            }
            Reply::Reading(ticket, outcome) => {
                let lot_seq = last.map_or(0, |record| record.lot_seq);
                self.shared.metrics.reading(outcome);
                ticket.settle(outcome, lot_seq);
            }
            Reply::Command(reply) => self.reply_to_command(lot, reply.port, reply.outcome),
        }
    }

    fn reply_to_command(
        &self,
        lot: LotKey,
        port: CommandPort,
        outcome: Result<Outcome, Rejection>,
    ) {
        let Some(kept) = self.lots.get(lot.0 as usize).and_then(Option::as_ref) else {
            return port.fail(CommandError::OutcomeUnknown);
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(rejection) => return port.fail(CommandError::Rejected(rejection)),
        };
        let is_created = outcome == Outcome::Lot && self.shared.directory.by_key(lot).is_none();
        match done(&kept.lot, &outcome) {
            None => port.fail(CommandError::OutcomeUnknown),
            Some(done) if is_created => {
                // Answered when its actors are there. The supervisor lives as long as the engine.
                let launch =
                    SupervisorMessage::Launch(kept.lot.clone(), Some(Box::new((port, done))));
                let _launched = self.supervisor.send_message(launch);
            }
            Some(done) => port.answer(done),
        }
    }

    /// A lot whose snapshot is too old gets a new one, at most one per commit: the tail stays bounded and
    /// no commit waits long.
    fn snapshot_the_oldest(&mut self) {
        let Some(key) = self.snapshot_order.front().copied() else { return };
        let (seq, every) = (self.seq, self.shared.options.snapshot_every_records);
        let Some(kept) = self.kept(key) else { return };
        if seq.saturating_sub(kept.snapshot_seq) < every {
            return;
        }
        let snapshot = kept.lot.0.view().snapshot(key, seq, kept.claims.iter().cloned());
        match self.writer.try_send(Work::Snapshot(Box::new(snapshot))) {
            Ok(()) => {
                if let Some(kept) = self.kept(key) {
                    kept.snapshot_seq = seq;
                }
                self.snapshot_order.rotate_left(1);
            }
            // The queue is full: the next commit tries again. Waiting here would stop the writer,
            // which may be waiting for us.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// The answer to a granted command, as the view shows it at the command's own place in the log.
fn done(handle: &LotHandle, outcome: &Outcome) -> Option<Done> {
    let view = handle.0.view.read();
    let (lot_seq, answer) = (view.lot_seq, view::answer(&view.lot, outcome)?);
    Some(Done { lot: handle.clone(), lot_seq, answer, repeated: false })
}

/// The reservation that the lot may forget with this record.
fn ended_front(record: &Record, view: &LotView) -> Option<lotkeeper_engine::ids::ReservationId> {
    matches!(record.event, Event::Lot(_)).then(|| view.lot.oldest_ended()).flatten()
}

fn created(record: &Record) -> Change {
    Change {
        seq: record.lot_seq,
        kind: crate::ring::ChangeKind::LotCreated,
        slot: None,
        at: record.at,
        observed_at: None::<Timestamp>,
        window: None,
    }
}
