//! The lot actor: a thin shell around `engine::lot`, and the keeper of the lot's deadlines.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::{self, Bays, Command, Decision, Lot};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::slot::Slot;
use lotkeeper_engine::time::{Seconds, Timestamp};
use lotkeeper_storage::Event;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::OwnedSemaphorePermit;

use crate::directory::{Entry, LotHandle};
use crate::engine::Shared;
use crate::error::CommandError;
use crate::reply::Done;
use crate::sightings::Looks;
use crate::slot::SlotMessage;
use crate::submission::{CommandPort, CommandReply, Origin, Reply, Submission};
use crate::tick_flag::TickTicket;
use crate::view;

pub(crate) struct LotActor;

pub(crate) enum LotMessage {
    Command(Box<(Command, Origin, CommandPort)>),
    Tick(OwnedSemaphorePermit, TickTicket),
}

/// What a lot actor is made from, at launch and at every restart: the durable view, nothing else.
pub(crate) struct LotState {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    lot: Lot,
    /// Events applied so far; the view lags behind by what is in flight.
    events: u64,
    /// When the sensors must next be looked at.
    silence_due: Timestamp,
    /// What must be looked at again because something stands there that is not accounted for.
    looks: Looks,
}

/// Bays as the durable view has them at the moment of the question.
struct Sensors<'a>(&'a Entry);

impl Bays for Sensors<'_> {
    fn occupied(&self, slot: SlotIndex) -> Option<bool> {
        self.0.view.read().slots.get(slot.at()).and_then(Slot::occupied)
    }

    fn occupied_since(&self, slot: SlotIndex) -> Option<Timestamp> {
        self.0.view.read().occupied_since(slot)
    }

    fn occupancy(&self) -> PerMille {
        self.0.view.read().occupancy()
    }
}

impl LotState {
    pub fn from_view(shared: &Arc<Shared>, entry: &Arc<Entry>) -> Self {
        let view = entry.view();
        let (register, events) = (view.lot.clone(), view.lot_events);
        // What follows from the register takes a while to build: the publisher need not copy for it.
        drop(view);
        let state = Self {
            shared: Arc::clone(shared),
            entry: Arc::clone(entry),
            lot: register.into(),
            events,
            silence_due: Timestamp::MIN,
            looks: Looks::default(),
        };
        // What changed while no actor was there: the look is cheap, and finds nothing twice.
        state.entry.sightings.note_all(state.lot.spec());
        state.entry.passes_moved.store(true, Ordering::Release);
        state.set_next_due();
        state
    }

    fn command(&mut self, command: &Command, mut origin: Origin, port: CommandPort) {
        let now = self.shared.clock.now();
        let decision = self.decide(command, now);
        let Decision { events, overdue, offers, outcome, heartbeat } = decision;
        if let Some(heartbeat) = heartbeat {
            self.lot.note_count(heartbeat, now);
        }
        if let Err(rejection) = &outcome {
            self.shared.metrics.rejected(rejection);
        }
        if events.is_empty() && self.rests_on_durable() {
            return self.answer_at_once(outcome, port);
        }
        // What was overdue comes first, offers come last; the key belongs to what the command itself did, if it
        // did anything.
        origin.claim = origin.claim.filter(|_| events.len() > overdue + offers);
        let reply = Reply::Command(Box::new(CommandReply { port, outcome }));
        self.submit((events, (overdue, offers)), now, origin, reply);
        self.set_next_due();
    }

    fn decide(&mut self, command: &Command, now: Timestamp) -> Decision {
        let decision = lot::decide(&self.lot, command, now, &Sensors(&self.entry));
        for event in &decision.events {
            lot::apply(&mut self.lot, event, now);
        }
        self.events += decision.events.len() as u64;
        decision
    }

    fn submit(
        &self,
        (events, unasked): (impl IntoIterator<Item = lot::Event>, (usize, usize)),
        at: Timestamp,
        Origin { by, claim }: Origin,
        reply: Reply,
    ) {
        let events = events.into_iter().map(Event::Lot).collect();
        let lot = self.entry.key;
        self.shared.submit(Submission { lot, at, events, unasked, by, claim, reply });
    }

    fn rests_on_durable(&self) -> bool {
        self.entry.view.read().lot_events == self.events
    }

    fn answer_at_once(&self, outcome: Result<lot::Outcome, lot::Rejection>, port: CommandPort) {
        let answer = outcome.map(|outcome| view::answer(&self.lot, &outcome));
        match answer {
            Err(rejection) => port.fail(CommandError::Rejected(rejection)),
            Ok(None) => port.fail(CommandError::OutcomeUnknown),
            Ok(Some(answer)) => {
                let lot_seq = self.entry.view.read().lot_seq;
                let lot = LotHandle(Arc::clone(&self.entry));
                // Nothing was recorded, so the claims are released: the same again is decided afresh.
                let CommandPort { answer: port, ticket, aside, coming, permit: _released } = port;
                drop((ticket, aside, coming));
                let _caller_hung_up = port.send(Ok(Done { lot, lot_seq, answer, repeated: false }));
            }
        }
    }

    fn tick(&mut self, permit: OwnedSemaphorePermit) {
        let now = self.shared.clock.now();
        let listening_since = self.shared.listening_since;
        let mut decision = self.decide(&Command::Tick { listening_since }, now);
        decision.events.extend(self.look(now));
        decision.events.extend(self.follow_passes(now));
        if !decision.events.is_empty() {
            let (events, reply) = (decision.events, Reply::Nobody(Some(permit)));
            self.submit((events, (decision.overdue, 0)), now, Origin::default(), reply);
        }
        if self.silence_due <= now {
            self.silence_due = self.look_for_silence(now);
        }
        self.set_next_due();
    }

    /// Hears where passes of other lots are that were used here, after they were paused, ended or went on.
    fn follow_passes(&mut self, now: Timestamp) -> lot::Events {
        let mut events = lot::Events::new();
        if !self.entry.passes_moved.swap(false, Ordering::AcqRel) {
            return events;
        }
        let passes = &self.shared.tenant_passes;
        let news = self.lot.passes().guests().filter_map(|guest| {
            let (state, since) = passes.state(guest.id, now);
            (state != guest.state).then_some(Command::FollowPass { id: guest.id, state, since })
        });
        let news: Vec<_> = news.take(limits::DUE_PER_TICK_MAX).collect();
        if news.len() == limits::DUE_PER_TICK_MAX {
            // There may be more: the next tick goes on.
            self.entry.passes_moved.store(true, Ordering::Release);
        }
        for command in news {
            events.extend(self.decide(&command, now).events);
        }
        events
    }

    /// Compares what stands on slots that changed, or were not accounted for, with who came in.
    fn look(&mut self, now: Timestamp) -> lot::Events {
        let changed = self.entry.sightings.take();
        let slots = self.looks.due(changed, now);
        if slots.is_empty() {
            return lot::Events::new();
        }
        let decision = self.decide(&Command::Look(slots.clone()), now);
        let bays = Sensors(&self.entry);
        for slot in slots {
            self.looks.again(slot, self.lot.next_look(slot, now, &bays));
        }
        decision.events
    }

    /// Asks every slot that may have fallen silent; tells when to look again. The view knows recorded
    /// hearings, at most a quarter of the silence time old: the slot itself has the last word.
    fn look_for_silence(&self, now: Timestamp) -> Timestamp {
        let rules = self.entry.sensor_rules();
        let since = self.shared.listening_since;
        let view = self.entry.view();
        let mut next = now.plus(rules.silence);
        let mut suspects = Vec::new();
        for (index, slot) in view.spec().slot_indices().zip(view.slots.iter()) {
            let Some(hearing) = slot.hearing.filter(|_| slot.silent_since.is_none()) else {
                continue;
            };
            let due = hearing.heard_at.max(since).plus(rules.silence);
            if due > now {
                next = next.min(due);
                continue;
            }
            // Looked at again soon: it may have been heard, or there may be no place in the queue now.
            next = next.min(now.plus(Seconds(1.max(rules.silence.0 / 8))));
            match Arc::clone(&self.shared.reserve).try_acquire_owned() {
                Ok(permit) => suspects.push((index, SlotMessage::CheckSilence(permit))),
                Err(_) => break,
            }
        }
        drop(view);
        self.entry.tell_slots(suspects.into_iter());
        next
    }

    fn set_next_due(&self) {
        let counter = self.lot.counter_due_at(self.shared.listening_since);
        let dues = [self.lot.next_due_at(), counter, Some(self.silence_due), self.looks.next()];
        self.entry.due_at(dues.into_iter().flatten().min());
    }
}

impl Actor for LotActor {
    type Msg = LotMessage;
    type State = LotState;
    type Arguments = LotState;

    async fn pre_start(
        &self,
        _myself: ActorRef<LotMessage>,
        state: LotState,
    ) -> Result<LotState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<LotMessage>,
        message: LotMessage,
        state: &mut LotState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            LotMessage::Command(command) => {
                let (command, origin, port) = *command;
                state.command(&command, origin, port);
            }
            LotMessage::Tick(permit, ticket) => {
                state.tick(permit);
                drop(ticket);
            }
        }
        Ok(())
    }
}
