//! The publisher: in journal order, first the durable view, then the replies, then the change feed.
//!
//! It is the only one that writes to the view, so a reply sent after its records were applied is seen by
//! the next read of any client. Recovery goes through the same door: [`Publisher::apply`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam::channel::{Receiver, Sender, TrySendError};
use lotkeeper_engine::ids::{LotKey, PassId, Pseudonym};
use lotkeeper_engine::lot::pass::Reach;
use lotkeeper_engine::lot::{
    self, Outcome, Rejection, pass, payment, session, shift, violation, waiting,
};
use lotkeeper_engine::spec::PlateOnce;
use lotkeeper_engine::time::{Seconds, Timestamp};
use lotkeeper_storage::history::keeps;
use lotkeeper_storage::{ClaimOutcome, Event, LotSnapshot, Record, RememberedClaim};
use ractor::ActorRef;
use smallvec::SmallVec;
use uuid::Uuid;

use crate::claims::Remembered;
use crate::directory::{Entry, LotHandle};
use crate::engine::Shared;
use crate::error::{CommandError, StartError};
use crate::reply::Done;
use crate::ring::Change;
use crate::room::Rooms;
use crate::submission::{CommandPort, Commit, Placed, Reply, Work};
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
    rooms: Rooms,
    /// Lots in order of their snapshots, oldest first.
    snapshot_order: VecDeque<LotKey>,
    seq: u64,
}

/// Answers that wait for the rest of their decision: after how many records, to whom, what.
type Held = Vec<(usize, CommandPort, Done)>;

fn send((_, port, done): (usize, CommandPort, Done)) {
    port.answer(done);
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
            rooms: Rooms::default(),
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
        self.shared.following.stop();
    }

    /// A reply is made at its own place among the records: one without a record of its own shows the lot as it was when
    /// it was decided, and not what a later command in the same commit made of it. It goes out when all records of its
    /// decision are shown.
    pub fn publish(&mut self, commit: Commit) {
        let Commit { records, replies } = commit;
        // All of it is durable, whoever asks.
        self.shared.set_seq(records.last().map_or(self.seq, |record| record.seq));
        let mut replies = replies.into_iter().peekable();
        let mut held = Held::new();
        for (position, record) in records.iter().enumerate() {
            while let Some(placed) = replies.next_if(|placed| placed.told <= position) {
                self.reply_after(&records, placed, &mut held);
            }
            if !held.is_empty() {
                held.extract_if(.., |(shown, ..)| *shown <= position).for_each(send);
            }
            if let Err(error) = self.apply(record) {
                // A record of an unknown lot cannot come from an actor.
                tracing::error!(%error, "record is not shown");
                self.shared.metrics.invariant_broken("I0");
            }
        }
        replies.for_each(|placed| self.reply_after(&records, placed, &mut held));
        held.into_iter().for_each(send);
        self.shared.following.publish(self.seq);
        self.feed();
        self.snapshot_the_oldest();
    }

    /// Puts one durable record into the view.
    pub fn apply(&mut self, record: &Record) -> Result<(), StartError> {
        self.seq = record.seq;
        if keeps(&record.event) {
            self.shared.following.keep(record.seq);
        }
        if let Event::Lot(event @ lot::Event::Created(spec)) = &record.event {
            let view = LotView::new(spec, record);
            let outcome = view.outcome_of(event);
            let ring_changes_max = self.shared.options.ring_changes_per_lot;
            let share = self.shared.door.tenant(&spec.tenant);
            let own = (share, self.rooms.next());
            self.adopt(LotHandle(Entry::new(record.lot, view, ring_changes_max, own)), 0);
            self.keep(record, created(record), outcome.as_ref());
            return Ok(());
        }
        let unknown = StartError::UnknownLot { seq: record.seq, lot: record.lot.0 };
        let kept = self.lots.get(record.lot.0 as usize).and_then(Option::as_ref).ok_or(unknown)?;
        let entry = &kept.lot.0;
        let mut shared_view = entry.view.write();
        let view = Arc::make_mut(&mut shared_view);
        let before = Before::of(record, view);
        let (change, outcome) = view.apply(record);
        if !view.adds_up() {
            // Shown as unknown from here on; the alarm hangs on the metric.
            self.shared.metrics.invariant_broken("I1");
        }
        entry.room.set(view.free());
        match &record.event {
            Event::Lot(event) => self.follow(entry, event, view, &before),
            Event::Slot(slot, event) => entry.sightings.note(*slot, event),
        }
        drop(shared_view);
        self.keep(record, change, outcome.as_ref());
        Ok(())
    }

    /// Brings along what hangs on a lot's event outside its view.
    fn follow(&self, entry: &Entry, event: &lot::Event, view: &LotView, before: &Before) {
        let claims = &self.shared.claims;
        match event {
            lot::Event::Reserved(reserved) => claims.route(reserved.id.0, entry.key),
            lot::Event::Changed(values) => {
                entry.take_rules(&values.rules);
                self.shared.directory.renew(entry, view.spec());
                entry.sightings.note_all(view.spec());
                self.count_in(entry.key, view);
                // Its calendar may be another one.
                self.take_passes(entry.key, view);
            }
            lot::Event::SlotChanged(_) => self.shared.directory.renew(entry, view.spec()),
            lot::Event::Payment(
                payment::Event::Recorded(recorded) | payment::Event::Requested(recorded),
            ) => {
                claims.route(recorded.id.0, entry.key);
            }
            lot::Event::Pass(event) => self.follow_pass(entry, event, view),
            lot::Event::Waiting(waiting::Event::Joined { id, .. }) => claims.route(id.0, entry.key),
            lot::Event::Shift(shift::Event::Opened(opened)) => {
                claims.route(opened.id.0, entry.key);
            }
            lot::Event::Violation(violation::Event::Raised(raised)) => {
                claims.route(raised.id.0, entry.key);
            }
            lot::Event::Session(event) => self.follow_stay(entry.key, event, view),
            _ => {}
        }
        for id in before.oldest.iter().filter(|id| !view.knows(**id)) {
            claims.unroute(*id);
            self.shared.tenant_passes.forget_home(entry.key, PassId(*id));
        }
        if let Some(misread) = before.misread {
            claims.went_out(misread, entry.key);
        }
    }

    fn follow_pass(&self, entry: &Entry, event: &pass::Event, view: &LotView) {
        use pass::Event as E;
        let (id, passes) = (event.id(), &self.shared.tenant_passes);
        let entered = match event {
            E::Honoured { session, .. } => Some(*session),
            E::Issued { .. } => {
                self.shared.claims.route(id.0, entry.key);
                None
            }
            _ => None,
        };
        if passes.take((entry.key, &view.lot), id, entered) {
            entry.passes_moved.store(true, Ordering::Release);
        }
        if matches!(event, E::Paused { .. } | E::Resumed { .. } | E::Ended { .. }) {
            let lots = passes.lots_of(id).into_iter();
            let lots = lots.filter_map(|lot| self.lots.get(lot.0 as usize)?.as_ref());
            lots.for_each(|kept| kept.lot.0.passes_moved.store(true, Ordering::Release));
        }
    }

    /// What a lot says of all passes of its tenant that it knows.
    fn take_passes(&self, lot: LotKey, view: &LotView) {
        let passes = view.lot.passes();
        let own = passes.all().filter(|pass| pass.reach == Reach::Tenant).map(|pass| pass.id);
        for id in own.chain(passes.guests().map(|guest| guest.id)) {
            // Every lot looks for itself at its first tick.
            let _is_late = self.shared.tenant_passes.take((lot, &view.lot), id, None);
        }
    }

    fn follow_stay(&self, lot: LotKey, event: &session::Event, view: &LotView) {
        if let session::Event::Entered(entered) = event {
            self.shared.claims.route(entered.id.0, lot);
        }
        let Some(session) = event.session().and_then(|id| view.lot.stays().get(id)) else { return };
        let Some(vehicle) = session.vehicle else { return };
        if !session.state.is_inside() {
            self.shared.claims.went_out(vehicle, lot);
        } else if view.spec().rules.plate_once == PlateOnce::Tenant {
            self.shared.claims.came_in(vehicle, lot);
        }
    }

    /// Who is inside of a lot whose plates are inside once in all lots of the tenant.
    fn count_in(&self, lot: LotKey, view: &LotView) {
        if view.spec().rules.plate_once == PlateOnce::Tenant {
            let vehicles = view.lot.stays().inside().filter_map(|session| session.vehicle);
            vehicles.for_each(|vehicle| self.shared.claims.came_in(vehicle, lot));
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
        let reservations = view.lot.reservations().map(|reservation| reservation.id.0);
        let sessions = view.lot.stays().all().map(|session| session.id.0);
        let payments = view.lot.payments().all().map(|payment| payment.id.0);
        let violations = view.lot.violations().all().map(|violation| violation.id.0);
        let passes = view.lot.passes().all().map(|pass| pass.id.0);
        let made = reservations.chain(sessions).chain(payments).chain(violations);
        let waiting = view.lot.waiting().all().map(|waiter| waiter.id.0);
        for id in made.chain(passes).chain(waiting) {
            self.shared.claims.route(id, key);
        }
        self.count_in(key, &view);
        self.take_passes(key, &view);
        let share = self.shared.door.tenant(&view.spec().tenant);
        let own = (share, self.rooms.next());
        let entry = Entry::new(key, view, self.shared.options.ring_changes_per_lot, own);
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

    /// Answers, or keeps the answer until all that goes with it is shown.
    fn reply_after(&self, records: &[Record], placed: Placed, held: &mut Held) {
        let Placed { told, shown, lot, reply } = placed;
        let last = told.checked_sub(1).and_then(|last| records.get(last));
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
            Reply::Command(reply) => {
                let answer = self.reply_to_command(lot, reply.port, reply.outcome);
                if let Some((port, done)) = answer {
                    match shown == told {
                        true => port.answer(done),
                        false => held.push((shown, port, done)),
                    }
                }
            }
        }
    }

    /// What is to be answered now; refusals are, and a new lot answers when its actors are there.
    fn reply_to_command(
        &self,
        lot: LotKey,
        port: CommandPort,
        outcome: Result<Outcome, Rejection>,
    ) -> Option<(CommandPort, Done)> {
        let Some(kept) = self.lots.get(lot.0 as usize).and_then(Option::as_ref) else {
            port.fail(CommandError::OutcomeUnknown);
            return None;
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(rejection) => {
                port.fail(CommandError::Rejected(rejection));
                return None;
            }
        };
        let is_created = outcome == Outcome::Lot && self.shared.directory.by_key(lot).is_none();
        match done(&kept.lot, &outcome) {
            None => {
                port.fail(CommandError::OutcomeUnknown);
                None
            }
            Some(done) if is_created => {
                // The supervisor lives as long as the engine.
                let launch =
                    SupervisorMessage::Launch(kept.lot.clone(), Some(Box::new((port, done))));
                let _launched = self.supervisor.send_message(launch);
                None
            }
            Some(done) => Some((port, done)),
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

/// What a lot knows before a record that it may not know after it.
struct Before {
    /// What it forgets next.
    oldest: SmallVec<[Uuid; 6]>,
    /// The vehicle of a stay that turns out to be another one's.
    misread: Option<Pseudonym>,
}

impl Before {
    fn of(record: &Record, view: &LotView) -> Self {
        let Event::Lot(event) = &record.event else {
            return Self { oldest: SmallVec::new(), misread: None };
        };
        let reservation = view.lot.oldest_ended().map(|id| id.0);
        let session = view.lot.stays().oldest_ended().map(|id| id.0);
        let payment = view.lot.payments().oldest().map(|id| id.0);
        let violation = view.lot.violations().oldest_ended().map(|id| id.0);
        let misread = match event {
            lot::Event::Session(session::Event::Identified { id, .. }) => {
                view.lot.stays().get(*id).and_then(|session| session.vehicle)
            }
            _ => None,
        };
        let pass = view.lot.passes().oldest_ended().map(|id| id.0);
        let waiter = view.lot.waiting().oldest_ended().map(|id| id.0);
        let shift = view.lot.shifts().oldest().map(|id| id.0);
        let oldest = [reservation, session, payment, violation, pass, waiter, shift];
        let oldest = oldest.into_iter().flatten().collect();
        Self { oldest, misread }
    }
}

fn created(record: &Record) -> Change {
    Change {
        seq: record.lot_seq,
        kind: crate::kind::ChangeKind::LotCreated,
        slot: None,
        at: record.at,
        observed_at: None::<Timestamp>,
        window: None,
    }
}
