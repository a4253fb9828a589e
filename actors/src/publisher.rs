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

/// What the publisher keeps of each lot beside its entry.
struct Kept {
    lot: LotHandle,
    /// Remembered idempotency keys, oldest first.
    claims: VecDeque<RememberedClaim>,
    /// Changes of the commit being published.
    changes: Vec<Change>,
    snapshot_seq: u64,
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
        while let Ok(commit) = commits.recv() {
            self.publish(commit);
        }
    }

    fn publish(&mut self, commit: Commit) {
        for record in &commit.records {
            if let Err(error) = self.apply(record) {
                // A record of an unknown lot cannot come from an actor.
                tracing::error!(%error, "record is not shown");
                self.shared.metrics.invariant_broken("I0");
            }
        }
        self.shared.set_seq(self.seq);
        for (records_before, lot, reply) in commit.replies {
            let last = records_before.checked_sub(1).and_then(|last| commit.records.get(last));
            self.reply(lot, reply, last);
        }
        self.feed();
        self.snapshot_the_oldest();
    }

    /// Puts one durable record into the view.
    pub fn apply(&mut self, record: &Record) -> Result<(), StartError> {
        self.seq = record.seq;
        if let Event::Lot(lot::Event::Created(spec)) = &record.event {
            let entry = Entry::new(
                record.lot,
                LotView::new(spec, record),
                self.shared.options.ring_changes_per_lot,
            );
            self.adopt(LotHandle(entry), 0);
            self.touch(record, created(record));
            self.remember(record);
            return Ok(());
        }
        let unknown = StartError::UnknownLot { seq: record.seq, lot: record.lot.0 };
        let kept = self.kept(record.lot).ok_or(unknown)?;
        let entry = Arc::clone(&kept.lot.0);
        let mut shared_view = entry.view.write();
        let view = Arc::make_mut(&mut shared_view);
        let forgotten_from = ended_front(record, view);
        let change = view.apply(record);
        if !view.adds_up() {
            // Shown as unknown from here on; the alarm hangs on the metric.
            self.shared.metrics.invariant_broken("I1");
        }
        if let Event::Lot(event) = &record.event {
            self.follow(&entry, event, view, forgotten_from);
        }
        drop(shared_view);
        self.touch(record, change);
        self.remember(record);
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

    pub fn restore(&mut self, snapshot: LotSnapshot) {
        let (key, seq) = (snapshot.lot, snapshot.seq);
        let claims = snapshot.claims.clone();
        let view = LotView::from_snapshot(snapshot);
        for reservation in view.lot.reservations() {
            self.shared.claims.route(reservation.id, key);
        }
        let entry = Entry::new(key, view, self.shared.options.ring_changes_per_lot);
        self.adopt(LotHandle(entry), seq);
        for claim in claims {
            self.keep_claim(key, claim);
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

    fn touch(&mut self, record: &Record, change: Change) {
        let key = record.lot;
        let Some(kept) = self.kept(key) else { return };
        let first = kept.changes.is_empty();
        kept.changes.push(change);
        if first {
            self.touched.push(key);
        }
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

    fn remember(&mut self, record: &Record) {
        let Some(claim) = record.claim else { return };
        let Some(kept) = self.kept(record.lot) else { return };
        let Some(outcome) = kept.lot.0.view().outcome_of(&record.event) else { return };
        let (at, lot_seq) = (record.at, record.lot_seq);
        self.keep_claim(record.lot, RememberedClaim { claim, at, lot_seq, outcome });
    }

    fn keep_claim(&mut self, lot: LotKey, remembered: RememberedClaim) {
        let shared = Arc::clone(&self.shared);
        let Some(kept) = self.kept(lot) else { return };
        let answer =
            Remembered { lot, lot_seq: remembered.lot_seq, outcome: remembered.outcome.clone() };
        shared.claims.remember(remembered.claim, Arc::new(answer));
        let horizon = remembered.at.minus(Seconds(shared.options.claim_seconds));
        kept.claims.push_back(remembered);
        let too_old = |oldest: &RememberedClaim| oldest.at < horizon;
        while kept.claims.len() > shared.options.claims_per_lot
            || kept.claims.front().is_some_and(too_old)
        {
            if let Some(oldest) = kept.claims.pop_front() {
                shared.claims.forget(oldest.claim.key);
            }
        }
    }

    fn reply(&mut self, lot: LotKey, reply: Reply, last: Option<&Record>) {
        match reply {
            Reply::Nobody(_) => {}
            Reply::Barrier(passed, _) => {
                let _nobody_waits = passed.send(());
            }
            Reply::Reading(ticket, outcome) => {
                let lot_seq = last.filter(|record| record.lot == lot).map_or(0, |r| r.lot_seq);
                self.shared.metrics.reading(outcome);
                ticket.settle(outcome, lot_seq);
            }
            Reply::Command(reply) => self.reply_to_command(lot, reply.port, reply.outcome),
        }
    }

    fn reply_to_command(
        &mut self,
        lot: LotKey,
        port: CommandPort,
        outcome: Result<Outcome, Rejection>,
    ) {
        let Some(kept) = self.kept(lot) else { return port.fail(CommandError::OutcomeUnknown) };
        let handle = kept.lot.clone();
        let created = self.shared.directory.by_key(lot).is_none();
        match outcome.map(|outcome| done(&handle, &outcome)) {
            Err(rejection) => port.fail(CommandError::Rejected(rejection)),
            Ok(None) => port.fail(CommandError::OutcomeUnknown),
            Ok(Some(done)) if created => {
                // Answered when its actors are there. The supervisor lives as long as the engine.
                let launch = SupervisorMessage::Launch(handle, Some(Box::new((port, done))));
                let _launched = self.supervisor.send_message(launch);
            }
            Ok(Some(done)) => port.answer(done),
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

/// The answer to a granted command as the view shows it now.
pub(crate) fn done(handle: &LotHandle, outcome: &Outcome) -> Option<Done> {
    let view = handle.0.view();
    let answer: ClaimOutcome = view::answer(&view.lot, outcome)?;
    Some(Done { lot: handle.clone(), lot_seq: view.lot_seq, answer, repeated: false })
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
