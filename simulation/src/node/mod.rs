//! The engine and the journal in the shape in which the actors hold them, moved by hand: decide and apply
//! at once, hand over, commit, publish. Between any two of these steps the node can be killed.
//!
//! What it owns is what a process owns: the actors' states, which are ahead of the log, the queue of what
//! is decided, and the durable view. What survives it is the [`MemoryStore`] alone. The real actors run in
//! the second tier; here everything between domain and disk is one thread and costs microseconds.

mod recovery;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, SlotIndex};
use lotkeeper_engine::lot::{self, Lot};
use lotkeeper_engine::slot::{self, Slot};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{
    Event, FaultPlan, FaultyJournal, Journal, JournalError, MemoryStore, Reader, Record,
};

pub use recovery::Opened;
pub use view::View;

/// A mistake made on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// A killed actor starts from the view without waiting for what its predecessor handed over.
    NoBarrier,
    /// Snapshots are taken from the actor, which is ahead of the log, instead of the view.
    SnapshotOfActor,
    /// Recovery applies records that its snapshots hold already.
    ReplayTwice,
    /// Heartbeats move the view as well, which a restart cannot rebuild.
    HeartbeatInView,
    /// The disk says that it synced and did not, and nobody told the auditor that it would.
    HiddenLie,
}

/// Who waits for a submission to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Somebody outside.
    Caller,
    /// The engine's own.
    Nobody,
    /// A lot's actor that comes back.
    Lot,
    /// A slot's.
    Slot(SlotIndex),
}

struct Submission {
    lot: usize,
    at: Timestamp,
    events: Vec<Event>,
    waiting: Waiting,
}

/// What is durable and not shown yet.
struct Commit {
    records: Vec<Record>,
    /// Who waits, on which lot, and for how many of the records.
    waiting: Vec<(usize, usize, Waiting)>,
}

/// One lot in a process.
pub struct LotNode {
    /// Nothing while it is dead.
    pub actor: Option<Lot>,
    /// The same, slot by slot.
    pub slots: Vec<Option<Slot>>,
    /// What is durable.
    pub view: View,
}

/// One process.
pub struct Node {
    journal: FaultyJournal,
    /// Its lots, by key.
    pub lots: Vec<LotNode>,
    queue: VecDeque<Submission>,
    commits: VecDeque<Commit>,
    seq: u64,
    lot_seqs: Vec<u64>,
    /// When it began to listen.
    pub listening_since: Timestamp,
    plant: Plant,
}

/// What publishing a commit did.
pub struct Published {
    /// The records, in order.
    pub records: Vec<Record>,
    /// The newest record that a caller was told of.
    pub answered_seq: Option<u64>,
    /// Actors that are back.
    pub back: Vec<(usize, Waiting)>,
}

impl Node {
    /// Submissions not committed yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Commits not published yet.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        self.commits.len()
    }

    /// The journal's reader.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn Reader> {
        self.journal.reader()
    }

    /// Hands over a new lot.
    pub fn create(&mut self, spec: Spec) {
        let at = spec.created_at;
        let event = Event::Lot(lot::Event::Created(Arc::new(spec)));
        let lot = self.lot_seqs.len();
        self.lot_seqs.push(0);
        self.queue.push_back(Submission { lot, at, events: vec![event], waiting: Waiting::Caller });
    }

    /// A lot decides; nothing when its actor is dead.
    pub fn command(
        &mut self,
        lot: usize,
        command: &lot::Command,
        now: Timestamp,
    ) -> Option<lot::Decision> {
        let node = &mut self.lots[lot];
        let actor = node.actor.as_mut()?;
        let decision = lot::decide(actor, command, now, &node.view);
        for event in &decision.events {
            lot::apply(actor, event, now);
        }
        if let Some(heartbeat) = decision.heartbeat {
            actor.note_count(heartbeat, now);
        }
        let waiting = match command {
            lot::Command::Tick { .. } => Waiting::Nobody,
            _ => Waiting::Caller,
        };
        let events = decision.events.iter().cloned().map(Event::Lot).collect();
        self.submit(Submission { lot, at: now, events, waiting });
        Some(decision)
    }

    /// A slot decides; nothing when its actor is dead.
    pub fn reading(
        &mut self,
        lot: usize,
        index: SlotIndex,
        command: &slot::Command,
        now: Timestamp,
    ) -> Option<Result<slot::Decision, slot::Rejection>> {
        let node = &mut self.lots[lot];
        let rules = node.view.sensor_rules();
        let actor = node.slots[index.at()].as_mut()?;
        let decision = match slot::decide(actor, command, now, rules) {
            Ok(decision) => decision,
            Err(rejection) => return Some(Err(rejection)),
        };
        if let Some(event) = &decision.event {
            slot::apply(actor, event, now);
        }
        if let Some(mark) = decision.heartbeat {
            actor.note_heartbeat(mark, now);
            if self.plant == Plant::HeartbeatInView {
                node.view.slots[index.at()].note_heartbeat(mark, now);
            }
        }
        let waiting = match command {
            slot::Command::Read(_) => Waiting::Caller,
            slot::Command::CheckSilence { .. } => Waiting::Nobody,
        };
        let events = decision.event.map(|event| Event::Slot(index, event)).into_iter().collect();
        self.submit(Submission { lot, at: now, events, waiting });
        Some(Ok(decision))
    }

    fn submit(&mut self, submission: Submission) {
        // A decision without events waits in the queue all the same, if somebody waits for it.
        if !submission.events.is_empty() || submission.waiting != Waiting::Nobody {
            self.queue.push_back(submission);
        }
    }

    /// A lot's actor dies, or one of its slots'; it is back when its barrier has passed.
    pub fn kill(&mut self, lot: usize, slot: Option<SlotIndex>, now: Timestamp) {
        let node = &mut self.lots[lot];
        let waiting = match slot {
            Some(index) if node.slots[index.at()].take().is_some() => Waiting::Slot(index),
            None if node.actor.take().is_some() => Waiting::Lot,
            // It is dead already and on its way back.
            Some(_) | None => return,
        };
        if self.plant == Plant::NoBarrier {
            node.bring_back(waiting);
            return;
        }
        self.queue.push_back(Submission { lot, at: now, events: Vec::new(), waiting });
    }

    /// Numbers up to `submissions_max` of what waits and makes it durable: the records of the commit.
    ///
    /// # Errors
    /// The journal's. The node must not be used any more.
    pub fn commit(
        &mut self,
        submissions_max: usize,
    ) -> Result<Vec<Record>, (Vec<Record>, JournalError)> {
        let taken = self.queue.len().min(submissions_max);
        let (mut records, mut waiting) = (Vec::new(), Vec::new());
        for submission in self.queue.drain(..taken) {
            let lot = LotKey(u32::try_from(submission.lot).unwrap_or(u32::MAX));
            for event in submission.events {
                self.seq += 1;
                self.lot_seqs[submission.lot] += 1;
                records.push(Record {
                    seq: self.seq,
                    lot,
                    lot_seq: self.lot_seqs[submission.lot],
                    at: submission.at,
                    event,
                    claim: None,
                    by: None,
                });
            }
            waiting.push((records.len(), submission.lot, submission.waiting));
        }
        if !records.is_empty()
            && let Err(error) = self.journal.commit(&records)
        {
            return Err((records, error));
        }
        self.commits.push_back(Commit { records: records.clone(), waiting });
        Ok(records)
    }

    /// Shows the oldest commit that is not shown, and answers whoever waits for it.
    pub fn publish(&mut self) -> Option<Published> {
        let Commit { records, waiting } = self.commits.pop_front()?;
        for record in &records {
            self.show(record);
        }
        let mut published = Published { records, answered_seq: None, back: Vec::new() };
        for (before, lot, waiting) in waiting {
            match waiting {
                Waiting::Caller => {
                    let told = before.checked_sub(1).and_then(|last| published.records.get(last));
                    published.answered_seq =
                        published.answered_seq.max(told.map(|record| record.seq));
                }
                Waiting::Nobody => {}
                Waiting::Lot | Waiting::Slot(_) => {
                    self.lots[lot].bring_back(waiting);
                    published.back.push((lot, waiting));
                }
            }
        }
        Some(published)
    }

    fn show(&mut self, record: &Record) {
        if let Event::Lot(lot::Event::Created(spec)) = &record.event {
            self.lots.push(LotNode::new(View::new(spec, record)));
        } else {
            self.lots[record.lot.0 as usize].view.apply(record);
        }
    }

    /// Writes a lot's snapshot as of everything that is published.
    ///
    /// # Errors
    /// The journal's.
    pub fn snapshot(&mut self, lot: usize) -> Result<(), JournalError> {
        let seq = self.lots.iter().map(|lot| lot.view.seq).max().unwrap_or_default();
        let node = &self.lots[lot];
        let ahead = node.actor.as_ref().filter(|_| self.plant == Plant::SnapshotOfActor);
        let parts =
            ahead.map_or_else(|| node.view.register.parts(), |actor| actor.register().parts());
        let snapshot = node.view.snapshot(lot, seq, parts);
        self.journal.save_snapshot(&snapshot)
    }

    /// The process stops to be; what it wrote is the store's.
    pub fn end(self) -> Vec<LotNode> {
        self.lots
    }

    /// Starts on a store as a process does.
    ///
    /// # Errors
    /// What recovery found.
    pub fn open(
        store: &MemoryStore,
        plan: FaultPlan,
        wall: Timestamp,
        plant: Plant,
    ) -> Result<(Self, Opened), JournalError> {
        recovery::open(store, plan, wall, plant)
    }
}

impl LotNode {
    /// A lot whose actors start from its view.
    #[must_use]
    pub fn new(view: View) -> Self {
        let actor = Some(Lot::from(view.register.clone()));
        let slots = view.slots.iter().cloned().map(Some).collect();
        Self { actor, slots, view }
    }

    fn bring_back(&mut self, who: Waiting) {
        match who {
            Waiting::Lot => self.actor = Some(Lot::from(self.view.register.clone())),
            Waiting::Slot(index) => {
                self.slots[index.at()] = self.view.slots.get(index.at()).cloned();
            }
            Waiting::Caller | Waiting::Nobody => {}
        }
    }
}
