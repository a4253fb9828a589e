//! Commands into the engine: claims, permits, the send, and the wait for what is durable.
//!
//! The send happens in the call, in the order of the calls; the future only waits. An actor that died
//! with the message drops the reply port: nothing was journaled, and the message is sent again once the
//! actor is back. A caller that drops the future loses the answer, never the effect.

use std::sync::Arc;

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::pass::Reach;
use lotkeeper_engine::lot::session::Direction;
use lotkeeper_engine::lot::{self, Command, Credential, Outcome, Rejection, Scan, provider, shift};
use lotkeeper_engine::spec::{PlateOnce, Spec};
use lotkeeper_storage::{Claim, Event};
use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::claims::{Begun, Remembered, Ticket};
use crate::directory::LotHandle;
use crate::door::Permit;
use crate::engine::{Engine, Shared};
use crate::error::{CommandError, NotReady};
use crate::lot::LotMessage;
use crate::reply::Done;
use crate::standing;
use crate::submission::{CommandPort, CommandReply, Origin, Reply, Submission};
use crate::tenant_passes::Aside;
use std::sync::atomic::Ordering;

/// Ids of what a command would make.
fn made_by(command: &Command) -> SmallVec<[Uuid; 1]> {
    match command {
        Command::Reserve(reserve) => smallvec![reserve.id.0],
        Command::ReserveSeries(occurrences) => {
            occurrences.iter().map(|reserve| reserve.id.0).collect()
        }
        Command::Scan(scan) if scan.direction == Direction::Entry => smallvec![scan.id.0],
        Command::Pay(pay) => smallvec![pay.id.0],
        Command::Provider(command) => match &**command {
            provider::Command::Authorise(pay) => smallvec![pay.id.0],
            provider::Command::Ask { .. } | provider::Command::Answered { .. } => SmallVec::new(),
        },
        Command::Shift(command) => match &**command {
            shift::Command::Open(opened) => smallvec![opened.id.0],
            shift::Command::Close { .. } | shift::Command::HandOut { .. } => SmallVec::new(),
        },
        Command::Report(report) => smallvec![report.id.0],
        Command::IssuePass { id, .. } => smallvec![id.0],
        Command::JoinWaiting { id, .. } => smallvec![id.0],
        _ => SmallVec::new(),
    }
}

/// Where plates are inside once in all lots of the tenant, a vehicle is claimed before the lot is asked; the
/// lot says no to one that is elsewhere, and records it.
fn claim_vehicle(lot: &LotHandle, scan: &mut Scan, ticket: &mut Ticket) {
    let view = lot.view();
    if scan.direction == Direction::Exit || view.spec().rules.plate_once == PlateOnce::Lot {
        return;
    }
    let reserved = match &scan.credential {
        Credential::Reservation(id) => view.lot.reservation(*id).and_then(|r| r.vehicle),
        _ => None,
    };
    if let Some(vehicle) = scan.vehicle().or(reserved) {
        scan.is_elsewhere = !ticket.claim_vehicle(vehicle, lot.key());
    }
}

type Answer = oneshot::Receiver<Result<Done, CommandError>>;

impl Engine {
    /// Creates a lot, with the tariffs that stand in all lots of its tenant; `spec.id` and the slots' ids are the caller's to make.
    ///
    /// # Errors
    /// What is wrong with the specification, a taken code, or why nothing is accepted now.
    pub async fn create_lot(
        &self,
        spec: Spec,
        origin: impl Into<Origin>,
    ) -> Result<Done, CommandError> {
        let (shared, Origin { by, claim }) = (&self.shared, origin.into());
        let faults = spec.faults();
        if !faults.is_empty() {
            return Err(CommandError::Rejected(Rejection::Invalid { faults }));
        }
        let coming = shared.standing.coming(&spec.tenant).await;
        let mut ticket = match self.begin(claim, (&[], LotKey(0)))? {
            Begun::Repeated(remembered) => return self.first_answer(&remembered),
            Begun::New(ticket) => ticket,
        };
        let permit = shared.admit(&shared.door.tenant(&spec.tenant), 1)?;
        ticket.claim_name(&spec.tenant, &spec.code)?;
        // No tenant has an empty name: this scope is the ids', which are unique across tenants.
        ticket.claim_name("", &spec.id.to_string())?;
        if shared.directory.by_id(spec.id).is_some() {
            return Err(CommandError::Rejected(Rejection::IdTaken));
        }
        if shared.directory.find(&spec.tenant, &spec.code).is_some() {
            return Err(CommandError::LotCodeTaken);
        }
        let key = LotKey(shared.next_key.fetch_add(1, Ordering::AcqRel));
        let (answer, answered) = oneshot::channel();
        let coming = Some(coming);
        let port = CommandPort { answer, ticket, aside: None, coming, permit: Some(permit) };
        let reply = Reply::Command(Box::new(CommandReply { port, outcome: Ok(Outcome::Lot) }));
        let (lot, at) = (key, shared.clock.now());
        let taken_over = standing::tariffs(&shared.directory.of_tenant(&spec.tenant), at);
        let mut events: lot::Events = smallvec![lot::Event::Created(Arc::new(spec))];
        events.extend(
            taken_over.into_iter().map(|change| lot::Event::TariffsChanged(Box::new(change))),
        );
        let events = events.into_iter().map(Event::Lot).collect();
        shared.submit(Submission { lot, at, events, unasked: (0, 0), by, claim, reply });
        answered.await.unwrap_or(Err(CommandError::OutcomeUnknown))
    }

    /// Sends a command to a lot; the future resolves when the answer is durable.
    ///
    /// # Errors
    /// Why nothing is accepted now, or what an idempotency key or id is already used for.
    pub fn command<O: Into<Origin>>(
        &self,
        lot: &LotHandle,
        command: Command,
        origin: O,
    ) -> Result<impl Future<Output = Result<Done, CommandError>> + Send + use<O>, CommandError>
    {
        let (engine, lot, origin) = (self.clone(), lot.clone(), origin.into());
        // Looked at before the send: a restart in between is not missed.
        let mut restarts = self.shared.restarts.count();
        let mut sent = engine.send(&lot, &command, origin, None)?;
        Ok(async move {
            loop {
                match sent {
                    Sent::Repeated(remembered) => return engine.first_answer(&remembered),
                    Sent::Waiting(answer) => {
                        if let Ok(answer) = answer.await {
                            return answer;
                        }
                    }
                }
                restarts = actor_is_back(&engine.shared, restarts).await?;
                // It was let in once: a death inside costs its caller time and never a refusal.
                let permit = engine.shared.door.admit_again(&lot.0.share, 1).await;
                let permit = permit.ok_or(CommandError::ShuttingDown)?;
                sent = engine.send(&lot, &command, origin, Some(permit))?;
            }
        })
    }

    fn send(
        &self,
        lot: &LotHandle,
        command: &Command,
        origin: Origin,
        admitted: Option<Permit>,
    ) -> Result<Sent, CommandError> {
        let ids = made_by(command);
        let routes = (ids.as_slice(), lot.key());
        let begun =
            self.begin(origin.claim, routes).map_err(|error| self.while_in_flight(error, &ids))?;
        let mut ticket = match begun {
            Begun::Repeated(remembered) => return Ok(Sent::Repeated(remembered)),
            Begun::New(ticket) => ticket,
        };
        let mut command = command.clone();
        let mut aside = None;
        match &mut command {
            Command::Scan(scan) => {
                claim_vehicle(lot, scan, &mut ticket);
                aside = Aside::take(&self.shared.tenant_passes, scan, self.shared.clock.now());
            }
            Command::IssuePass { reach: Reach::Tenant, .. }
                if !self.shared.tenant_passes.has_room(lot.tenant()) =>
            {
                return Err(CommandError::Rejected(Rejection::PassesFull));
            }
            _ => {}
        }
        let permit = match admitted {
            Some(permit) => Some(permit),
            None => Some(self.shared.admit(&lot.0.share, 1)?),
        };
        let (answer, answered) = oneshot::channel();
        let port = CommandPort { answer, ticket, aside, coming: None, permit };
        lot.0.tell_lot(LotMessage::Command(Box::new((command, origin, port))));
        Ok(Sent::Waiting(answered))
    }

    /// An id that is claimed but not durable yet is not taken: its request is still on its way, and what
    /// is answered must not rest on it.
    fn while_in_flight(&self, error: CommandError, ids: &[Uuid]) -> CommandError {
        let taken = matches!(error, CommandError::Rejected(Rejection::IdTaken));
        let is_durable = |id: &Uuid| {
            let lot =
                self.shared.claims.lot_of(*id).and_then(|key| self.shared.directory.by_key(key));
            lot.is_some_and(|lot| lot.0.view.read().knows(*id))
        };
        if taken && !ids.iter().any(is_durable) { CommandError::RequestInProgress } else { error }
    }

    fn begin(
        &self,
        claim: Option<Claim>,
        routes: (&[Uuid], LotKey),
    ) -> Result<Begun, CommandError> {
        self.shared.claims.begin(claim, routes)
    }

    fn first_answer(&self, remembered: &Arc<Remembered>) -> Result<Done, CommandError> {
        // Remembered claims are published with their lot; it may be launching still.
        let lot =
            self.shared.directory.by_key(remembered.lot).ok_or(CommandError::RequestInProgress)?;
        let (lot_seq, answer) = (remembered.lot_seq, remembered.outcome.clone());
        Ok(Done { lot, lot_seq, answer, repeated: true })
    }
}

enum Sent {
    Waiting(Answer),
    Repeated(Arc<Remembered>),
}

/// Waits for the next restart of any actor. Nothing restarts when the journal failed or the engine ends.
pub(crate) async fn actor_is_back(shared: &Arc<Shared>, seen: u64) -> Result<u64, CommandError> {
    let ends = || match shared.ready() {
        Err(NotReady::JournalFailed) => Err(CommandError::OutcomeUnknown),
        Err(NotReady::ShuttingDown) => Err(CommandError::ShuttingDown),
        Err(NotReady::StorageFull) | Ok(()) => Ok(()),
    };
    ends()?;
    let restarts = shared.restarts.after(seen).await;
    ends()?;
    Ok(restarts)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lotkeeper_engine::ids::{LotId, SlotId, SlotIndex};
    use lotkeeper_engine::lot::SlotPatch;
    use lotkeeper_engine::spec::{FeatureSet, Kind, Rules, Size, SlotSpec};
    use lotkeeper_engine::time::{Seconds, Timestamp};
    use lotkeeper_storage::{MemoryJournal, MemoryStore};
    use uuid::Uuid;

    use super::*;
    use crate::{Clock, Metrics, Options};

    const DEADLINE: Duration = Duration::from_secs(20);

    fn spec() -> Spec {
        let day = Seconds(86_400);
        Spec {
            id: LotId(Uuid::from_u128(1)),
            tenant: "default".into(),
            code: "L1".into(),
            name: "L1".into(),
            kind: Kind::Bayed,
            capacity: 1,
            zones: Vec::new(),
            features: Vec::new(),
            slots: vec![SlotSpec {
                id: SlotId(Uuid::from_u128(2)),
                code: "A".into(),
                zone: None,
                size: Size::Standard,
                features: FeatureSet::default(),
                ..SlotSpec::default()
            }],
            rules: Rules {
                hold: day,
                hold_lead: day,
                no_show: day,
                silence: day,
                skew: day,
                ..Rules::default()
            },
            created_at: Timestamp::from_seconds(0),
            ..Spec::default()
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_command_that_was_let_in_is_not_refused_when_its_actor_dies() {
        let (journal, recovery) = MemoryJournal::open(MemoryStore::default());
        let options = Options { permits_records: 1, tick_ms: None, ..Options::default() };
        let clock = Clock::manual(Timestamp::from_seconds(1_767_225_600));
        let metrics = Metrics::unregistered();
        let engine =
            Engine::start(Box::new(journal), recovery, clock, options, metrics).await.unwrap();
        let lot = engine.create_lot(spec(), None).await.unwrap().lot;
        // The one permit may come back a moment after the answer.
        engine.shared.door.drained().await;
        let restarts = engine.shared.restarts.count();
        engine.kill(&lot, None);
        let patch = SlotPatch { size: Some(Size::Large), ..SlotPatch::default() };
        let change = Command::ChangeSlot { slot: SlotIndex(0), patch, expected_version: None };
        let answer = engine.command(&lot, change, None).unwrap();
        // The message died with its actor and let go of its permit, and somebody else has it now.
        let share = Arc::clone(&lot.0.share);
        let taken = engine.shared.door.admit_again(&share, 1);
        let taken = tokio::time::timeout(DEADLINE, taken).await.unwrap().unwrap();
        let answer = tokio::spawn(answer);
        engine.shared.restarts.after(restarts).await;
        // Time enough for a second sending that asks for a permit like a first one to be refused.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        drop(taken);
        let done = tokio::time::timeout(DEADLINE, answer).await.unwrap().unwrap();
        assert!(done.is_ok(), "{done:?}");
        engine.shutdown(Duration::from_secs(5)).await;
    }
}
