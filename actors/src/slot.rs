//! The slot actor: a thin shell around `engine::slot`. Decide, apply, hand over, next message.

use std::sync::Arc;

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::slot::{self, Command, Decision, Outcome, Reading, Slot};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{By, Event};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use smallvec::smallvec;
use tokio::sync::OwnedSemaphorePermit;

use crate::directory::Entry;
use crate::engine::Shared;
use crate::reply::ReadingTicket;
use crate::submission::{Events, Reply, Submission};

pub(crate) struct SlotActor;

pub(crate) enum SlotMessage {
    Read(Reading, ReadingTicket),
    CheckSilence(OwnedSemaphorePermit),
}

/// What a slot actor is made from, at launch and at every restart: the durable view, nothing else.
pub(crate) struct SlotState {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    index: SlotIndex,
    slot: Slot,
    /// Whether an event may still be in flight: answers wait behind it.
    dirty: bool,
}

impl SlotState {
    pub fn from_view(shared: &Arc<Shared>, entry: &Arc<Entry>, index: SlotIndex) -> Self {
        let slot = entry.view.read().slots.get(index.at()).cloned().unwrap_or_default();
        Self { shared: Arc::clone(shared), entry: Arc::clone(entry), index, slot, dirty: false }
    }

    fn read(&mut self, reading: Reading, ticket: ReadingTicket) {
        let now = self.shared.clock.now();
        let command = Command::Read(reading);
        match slot::decide(&self.slot, &command, now, self.entry.sensor_rules()) {
            // The device's clock is wrong, whatever the slot's state: nothing undurable is in that answer.
            Err(rejection) => {
                self.shared.metrics.reading_refused();
                ticket.refuse(rejection);
            }
            Ok(decision) => {
                if let Some(mark) = decision.heartbeat {
                    self.slot.note_heartbeat(mark, now);
                }
                let by = ticket.by();
                self.carry_out(&decision, now, by, |outcome| Reply::Reading(ticket, outcome));
            }
        }
    }

    fn check_silence(&mut self, permit: OwnedSemaphorePermit) {
        let now = self.shared.clock.now();
        let command = Command::CheckSilence { listening_since: self.shared.listening_since };
        if let Ok(decision) = slot::decide(&self.slot, &command, now, self.entry.sensor_rules())
            && decision.event.is_some()
        {
            self.carry_out(&decision, now, None, |_| Reply::Nobody(Some(permit)));
        }
    }

    fn carry_out(
        &mut self,
        decision: &Decision,
        now: Timestamp,
        by: Option<By>,
        reply: impl FnOnce(Outcome) -> Reply,
    ) {
        let reply = reply(decision.outcome);
        let events: Events = match &decision.event {
            Some(event) => {
                slot::apply(&mut self.slot, event, now);
                self.dirty = true;
                smallvec![Event::Slot(self.index, *event)]
            }
            None if self.rests_on_durable() => return self.answer_at_once(reply),
            None => Events::new(),
        };
        let (lot, at) = (self.entry.key, now);
        self.shared.submit(Submission { lot, at, events, unasked: (0, 0), by, claim: None, reply });
    }

    /// Whether everything this actor ever submitted is in the view.
    fn rests_on_durable(&mut self) -> bool {
        if self.dirty {
            let view = self.entry.view.read();
            let durable = view.slots.get(self.index.at()).map_or(0, |slot| slot.version);
            self.dirty = durable != self.slot.version;
        }
        !self.dirty
    }

    fn answer_at_once(&self, reply: Reply) {
        if let Reply::Reading(ticket, outcome) = reply {
            self.shared.metrics.reading(outcome);
            ticket.settle(outcome, 0);
        }
    }
}

impl Actor for SlotActor {
    type Msg = SlotMessage;
    type State = SlotState;
    type Arguments = SlotState;

    async fn pre_start(
        &self,
        _myself: ActorRef<SlotMessage>,
        state: SlotState,
    ) -> Result<SlotState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<SlotMessage>,
        message: SlotMessage,
        state: &mut SlotState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SlotMessage::Read(reading, ticket) => state.read(reading, ticket),
            SlotMessage::CheckSilence(permit) => state.check_silence(permit),
        }
        Ok(())
    }
}
