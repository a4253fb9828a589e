//! The supervisor: launches lots and brings back what died.
//!
//! Lots and slots are siblings here, never parent and child: the death of one touches nobody else. A
//! restarted actor first sends a barrier through the journal, so that everything its predecessor handed
//! over is in the durable view, and then starts from that view.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lotkeeper_engine::ids::{LotKey, SlotIndex};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use crate::directory::{Actors, Entry, LotHandle};
use crate::engine::Shared;
use crate::lot::{LotActor, LotState};
use crate::reply::Done;
use crate::slot::{SlotActor, SlotState};
use crate::submission::{CommandPort, Reply, Submission};

pub(crate) struct Supervisor;

/// Who an actor is for.
#[derive(Clone)]
pub(crate) struct Child {
    lot: Arc<Entry>,
    /// The lot's own actor without.
    slot: Option<SlotIndex>,
}

pub(crate) enum SupervisorMessage {
    /// Start a lot's actors, make it known, answer its creator.
    Launch(LotHandle, Option<Box<(CommandPort, Done)>>),
    /// Everything before it was launched.
    Launched(oneshot::Sender<()>),
    /// The barrier passed: start it anew.
    Restart(Child),
}

pub(crate) struct SupervisorState {
    shared: Arc<Shared>,
    children: HashMap<ActorId, Child>,
    /// Failures in a row, and when the last one was.
    failures: HashMap<(LotKey, Option<SlotIndex>), (u32, Instant)>,
}

/// An actor that lived this long after a failure starts from a clean record.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// At once the first time, then ever slower: an actor that dies of its state must not eat a core.
pub(crate) fn restart_delay(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        _ => Duration::from_millis(10 << (attempt - 2).min(7)),
    }
}

impl SupervisorState {
    async fn launch(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        lot: LotHandle,
    ) -> Result<(), ActorProcessingErr> {
        let entry = &lot.0;
        let spec = Arc::clone(entry.view().spec());
        let mut actors = Actors::default();
        for index in spec.slot_indices() {
            let state = SlotState::from_view(&self.shared, entry, index);
            let cell = myself.get_cell();
            let (actor, _) = ractor::Actor::spawn_linked(None, SlotActor, state, cell).await?;
            self.children
                .insert(actor.get_id(), Child { lot: Arc::clone(entry), slot: Some(index) });
            actors.slots.push(actor);
        }
        let state = LotState::from_view(&self.shared, entry);
        let cell = myself.get_cell();
        let (actor, _) = ractor::Actor::spawn_linked(None, LotActor, state, cell).await?;
        self.children.insert(actor.get_id(), Child { lot: Arc::clone(entry), slot: None });
        actors.lot = Some(actor);
        entry.launch(actors);
        self.shared.directory.insert(&lot);
        self.shared.metrics.lots(self.shared.directory.len(), self.children.len());
        Ok(())
    }

    async fn restart(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        child: Child,
    ) -> Result<(), ActorProcessingErr> {
        let entry = &child.lot;
        let cell = myself.get_cell();
        let id = match child.slot {
            Some(index) => {
                let state = SlotState::from_view(&self.shared, entry, index);
                let (actor, _) = ractor::Actor::spawn_linked(None, SlotActor, state, cell).await?;
                entry.swap_slot(index, actor.clone());
                actor.get_id()
            }
            None => {
                let state = LotState::from_view(&self.shared, entry);
                let (actor, _) = ractor::Actor::spawn_linked(None, LotActor, state, cell).await?;
                entry.swap_lot(actor.clone());
                actor.get_id()
            }
        };
        self.children.insert(id, child);
        self.shared.restarts.announce();
        Ok(())
    }

    /// Sends the barrier for a dead child; it comes back as [`SupervisorMessage::Restart`].
    fn bury(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        id: ActorId,
        failed: bool,
        cause: &str,
    ) {
        let Some(child) = self.children.remove(&id) else { return };
        if self.shared.is_stopping() {
            return;
        }
        // Only its own failures slow it down: somebody who kills it wants to see it back.
        let attempt = if failed { self.attempt(&child) } else { 0 };
        let delay = restart_delay(attempt);
        self.shared.metrics.actor_restarted(child.slot.is_some());
        tracing::warn!(
            lot = %child.lot.code, slot = child.slot.map(|slot| slot.0), attempt, cause,
            "actor died and is restarted from the durable view"
        );
        let (shared, myself) = (Arc::clone(&self.shared), myself.clone());
        tokio::spawn(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let Ok(permit) = Arc::clone(&shared.reserve).acquire_owned().await else { return };
            let (port, passed) = oneshot::channel();
            let reply = Reply::Barrier(port, Some(permit));
            let (lot, at) = (child.lot.key, shared.clock.now());
            shared.submit(Submission::without_events(lot, at, reply));
            // A barrier that never passes means that the journal failed: nothing is restarted then.
            if passed.await.is_ok() {
                let _supervisor_gone = myself.send_message(SupervisorMessage::Restart(child));
            }
        });
    }
}

impl SupervisorState {
    fn attempt(&mut self, child: &Child) -> u32 {
        let now = Instant::now();
        let (failures, last) = self.failures.entry((child.lot.key, child.slot)).or_insert((0, now));
        *failures = if now.duration_since(*last) > FORGIVEN_AFTER { 1 } else { *failures + 1 };
        *last = now;
        *failures
    }
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        shared: Arc<Shared>,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        Ok(SupervisorState { shared, children: HashMap::new(), failures: HashMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Launch(lot, reply) => {
                state.launch(&myself, lot).await?;
                if let Some(reply) = reply {
                    let (port, done) = *reply;
                    port.answer(done);
                }
            }
            SupervisorMessage::Launched(port) => {
                let _nobody_waits = port.send(());
            }
            SupervisorMessage::Restart(child) => state.restart(&myself, child).await?,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => {
                state.bury(&myself, who.get_id(), true, &error.to_string());
            }
            SupervisionEvent::ActorTerminated(who, _, reason) => {
                state.bury(&myself, who.get_id(), false, reason.as_deref().unwrap_or("killed"));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_delay_is_zero_once_then_doubles_to_a_bound() {
        let table = [(1, 0), (2, 10), (3, 20), (4, 40), (9, 1_280), (10, 1_280), (4_000, 1_280)];
        for (attempt, millis) in table {
            assert_eq!(restart_delay(attempt), Duration::from_millis(millis), "attempt {attempt}");
        }
    }
}
