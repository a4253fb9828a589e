//! The handle to the running engine, and what all its parts share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::{Sender, TrySendError};
use lotkeeper_engine::ids::{LotKey, PassId, Pseudonym};
use lotkeeper_engine::lot::pass::Used;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Claim, ClaimKey, JournalError, Maintenance, PersonKind, Reader, Vault};
use parking_lot::Mutex;
use ractor::ActorRef;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::claims::Claims;
use crate::clock::Clock;
use crate::directory::{Directory, LotHandle};
use crate::door::{Door, Permit, Tenant, Turn};
use crate::error::{CommandError, NotReady};
use crate::history::Following;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::restarts::Restarts;
use crate::sought::{Near, Place, Sought};
use crate::standing::{NoNewLots, Standing};
use crate::submission::{Submission, Work};
use crate::supervisor::SupervisorMessage;
use crate::tenant_passes::TenantPasses;

/// The running engine. A copy is the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) running: Arc<Running>,
}

/// What ends with the engine.
pub(crate) struct Running {
    pub supervisor: ActorRef<SupervisorMessage>,
    pub tasks: Vec<AbortHandle>,
    pub threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// What all parts share. Facts have one owner each; this is only where they are found.
pub(crate) struct Shared {
    pub options: Options,
    pub clock: Clock,
    pub metrics: Metrics,
    pub epoch: u64,
    pub listening_since: Timestamp,
    /// Records that the start replayed.
    pub replayed: AtomicU64,
    pub directory: Directory,
    pub claims: Arc<Claims>,
    pub tenant_passes: Arc<TenantPasses>,
    pub standing: Standing,
    pub hub: Arc<Hub>,
    /// Who may have how much in flight.
    pub door: Arc<Door>,
    /// Places for the engine's own messages.
    pub reserve: Arc<Semaphore>,
    pub writer: Sender<Work>,
    pub reader: Arc<dyn Reader>,
    pub vault: Arc<dyn Vault>,
    /// How far the history is, and how it is woken.
    pub following: Following,
    pub next_key: AtomicU32,
    /// Counts actor restarts: a sender whose message died waits for the next one.
    pub restarts: Restarts,
    pub seq: AtomicU64,
    pub failed: AtomicBool,
    pub stopping: AtomicBool,
    pub storage_full: AtomicBool,
}

impl Shared {
    /// Never blocks: the queue has a place for every permit and the reserve.
    pub fn submit(&self, submission: Submission) {
        match self.writer.try_send(Work::Submit(submission)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                // A dropped port makes the sender try again, so even this bug loses nothing.
                debug_assert!(false, "journal queue is smaller than permits + reserve");
                self.metrics.invariant_broken("queue");
            }
            // The writer ended: the dropped port tells.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    pub fn admit(&self, tenant: &Arc<Tenant>, records: usize) -> Result<Permit, CommandError> {
        self.ready().map_err(|not_ready| match not_ready {
            NotReady::ShuttingDown => CommandError::ShuttingDown,
            NotReady::JournalFailed => CommandError::OutcomeUnknown,
            NotReady::StorageFull => CommandError::StorageFull,
        })?;
        let admitted = self.door.admit(tenant, records);
        admitted.inspect_err(|_| self.metrics.shed())
    }

    pub fn ready(&self) -> Result<(), NotReady> {
        if self.failed.load(Ordering::Acquire) {
            Err(NotReady::JournalFailed)
        } else if self.is_stopping() {
            Err(NotReady::ShuttingDown)
        } else if self.storage_full.load(Ordering::Acquire) {
            Err(NotReady::StorageFull)
        } else {
            Ok(())
        }
    }

    /// What there is at the start is published; nobody knows what of it the history has seen.
    pub fn follow_from(&self, last_seq: u64) {
        if self.options.history.is_none() {
            self.following.give_up();
        }
        self.following.keep(last_seq);
        self.following.publish(last_seq);
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.restarts.announce();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub fn set_failed(&self) {
        self.failed.store(true, Ordering::Release);
        self.restarts.announce();
    }

    /// A part that cannot be started anew is gone.
    pub fn lost(&self, part: &str) {
        self.set_failed();
        let cause = format!("the {part} died");
        tracing::error!(cause, "nothing can be answered any more");
        (self.options.on_fatal)(&cause);
    }

    pub fn set_seq(&self, seq: u64) {
        self.seq.store(seq, Ordering::Release);
        self.metrics.seq(seq);
    }

    pub fn journal_seen(&self, seen: &Maintenance) {
        let floor = self.options.free_space_floor_bytes;
        let full = seen.free_bytes.is_some_and(|free| free < floor);
        if full && !self.storage_full.swap(true, Ordering::AcqRel) {
            let free = seen.free_bytes;
            tracing::error!(free, floor, "free disk space is below the floor; writes are refused");
        } else if !full && self.storage_full.swap(false, Ordering::AcqRel) {
            tracing::info!(free = seen.free_bytes, "free disk space is back; writes are accepted");
        }
        self.metrics.journal_seen(seen);
    }
}

impl Engine {
    /// Identifies the history; another epoch means that history may have shrunk. Shown as 16 hexadecimal digits.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    /// The newest durable record's global sequence.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.shared.seq.load(Ordering::Acquire)
    }

    /// Records that the start replayed on top of the snapshots.
    #[must_use]
    pub fn records_replayed(&self) -> u64 {
        self.shared.replayed.load(Ordering::Acquire)
    }

    /// The engine's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// A lot of a tenant by code or id; nothing for another tenant's.
    #[must_use]
    pub fn lot(&self, tenant: &str, code_or_id: &str) -> Option<LotHandle> {
        self.shared.directory.find(tenant, code_or_id)
    }

    /// A tenant's lots in order of code.
    #[must_use]
    pub fn lots(&self, tenant: &str) -> Vec<LotHandle> {
        self.shared.directory.of_tenant(tenant)
    }

    /// The next `count` lots of a tenant after `after` that may be what is sought, of those that `may_see` lets
    /// through; fewer at the end of the order. The filter's own [`Filter::fits`](crate::Filter::fits) says for
    /// sure. `may_see` is asked under a guard and must not ask the engine.
    #[must_use]
    pub fn lots_in_order(
        &self,
        tenant: &str,
        sought: &Sought<'_>,
        may_see: &dyn Fn(&LotHandle) -> bool,
        page: (Option<&Place>, usize),
    ) -> Vec<Near> {
        self.shared.directory.in_order(tenant, sought, may_see, page)
    }

    /// All lots in order of creation.
    #[must_use]
    pub fn all_lots(&self) -> Vec<LotHandle> {
        self.shared.directory.all()
    }

    /// The lot by its number in this data directory, as records have it.
    #[must_use]
    pub fn lot_by_key(&self, key: LotKey) -> Option<LotHandle> {
        self.shared.directory.by_key(key)
    }

    /// Which of a tenant's lots holds a reservation, a stay or a payment.
    #[must_use]
    pub fn lot_of(&self, tenant: &str, id: Uuid) -> Option<LotHandle> {
        let key = self.shared.claims.lot_of(id)?;
        self.shared.directory.by_key(key).filter(|lot| lot.tenant() == tenant)
    }

    /// What all lots of a tenant used of a pass that is good in all of them, in the newest period in which any did.
    #[must_use]
    pub fn used_of(&self, pass: PassId) -> Option<Used> {
        self.shared.tenant_passes.used(pass)
    }

    /// Whether a vehicle has a pass that is good in all lots of its tenant, now or at another time.
    #[must_use]
    pub fn has_tenant_pass(&self, vehicle: Pseudonym) -> bool {
        self.shared.tenant_passes.has(vehicle)
    }

    /// Waits until no lot of a tenant is on its way, and lets none come to be while the answer is held: for whoever
    /// changes what stands in all lots of it.
    pub async fn no_new_lots(&self, tenant: &str) -> NoNewLots {
        self.shared.standing.no_new_lots(tenant).await
    }

    /// Reads the log. Show nothing beyond [`Engine::seq`]: it may not be durable yet.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn Reader> {
        Arc::clone(&self.shared.reader)
    }

    /// Clear texts of plates and people.
    #[must_use]
    pub fn vault(&self) -> Arc<dyn Vault> {
        Arc::clone(&self.shared.vault)
    }

    /// Names a request for idempotency without naming anybody: the subject goes in as its pseudonym. The
    /// fingerprint says what is asked for: the same key with another one is refused.
    ///
    /// # Errors
    /// The vault's disk.
    pub fn claim(
        &self,
        tenant: &str,
        subject: &str,
        key: &str,
        fingerprint: u64,
    ) -> Result<Claim, JournalError> {
        let person = self.shared.vault.intern(tenant, PersonKind::Subject, subject)?;
        let mut named = Sha256::new();
        for part in [tenant.as_bytes(), person.0.as_bytes().as_slice(), key.as_bytes()] {
            named.update((part.len() as u64).to_le_bytes());
            named.update(part);
        }
        let key = ClaimKey(first_u128(&named.finalize()));
        Ok(Claim { key, fingerprint })
    }

    /// Whether a request under this name came before and is remembered, or is on its way.
    #[must_use]
    pub fn is_claimed(&self, claim: Claim) -> bool {
        self.shared.claims.knows(claim.key)
    }

    /// Whether writes are accepted.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), NotReady> {
        self.shared.ready()
    }

    /// Waits for a turn of a tenant: while others are at work too, only so many of its requests are worked
    /// on at once. Hold it for as long as the work takes.
    ///
    /// # Errors
    /// `Overloaded` when there was none within `patience`.
    pub async fn turn(&self, tenant: &str, patience: Duration) -> Result<Turn, CommandError> {
        let door = &self.shared.door;
        let taken = door.turn_within(&door.tenant(tenant), patience).await;
        taken.inspect_err(|_| self.shared.metrics.shed())
    }

    /// The same without an end to patience, for a caller that reads nothing more until then.
    pub async fn turn_at_last(&self, tenant: &str) -> Turn {
        let door = &self.shared.door;
        door.turn(&door.tenant(tenant)).await
    }

    /// Whether more than one tenant is at work, so that each has a share only.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        self.shared.door.is_contended()
    }

    /// Looks at all deadlines now; the engine does it by itself unless `Options::tick_ms` is `None`.
    pub fn tick(&self) {
        crate::ticker::tick(&self.shared);
    }

    /// Kills one of a lot's actors, the lot's own without `slot`: for fault tests. It comes back by itself.
    pub fn kill(&self, lot: &LotHandle, slot: Option<lotkeeper_engine::ids::SlotIndex>) {
        let actor = match slot {
            Some(slot) => lot.0.slot_actor(slot),
            None => lot.0.lot_actor(),
        };
        if let Some(actor) = actor {
            actor.kill();
        }
    }

    /// Ends all actors and tasks at once, as a process that is killed; what was in flight gets no answer and
    /// the journal is not told. For simulation: threads of the journal would go on.
    pub async fn abandon(&self) {
        self.shared.stop();
        self.running.tasks.iter().for_each(AbortHandle::abort);
        let supervisor = &self.running.supervisor;
        let _gone_already = supervisor.kill_and_wait(None).await;
    }

    /// Ends the engine in order: admission, what is in flight, the journal, the actors. What is still in
    /// flight after `patience` gets no answer, but what was answered stays.
    pub async fn shutdown(&self, patience: Duration) {
        self.shared.stop();
        let drained = self.shared.door.drained();
        if tokio::time::timeout(patience, drained).await.is_err() {
            tracing::warn!(?patience, "requests were still in flight at shutdown");
        }
        self.running.tasks.iter().for_each(AbortHandle::abort);
        let (port, stopped) = oneshot::channel();
        let writer = self.shared.writer.clone();
        // The queue may be full for a moment; this thread may block, the runtime's may not.
        let _sent = tokio::task::spawn_blocking(move || drop(writer.send(Work::Stop(port)))).await;
        let _writer_gone = stopped.await;
        let threads = std::mem::take(&mut *self.running.threads.lock());
        let _joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|thread| drop(thread.join()));
        })
        .await;
        // Children first and awaited: each holds the shared parts, and with them the journal's directory.
        let supervisor = self.running.supervisor.get_cell();
        supervisor.stop_children_and_wait(None, Some(patience)).await;
        let _timed_out = supervisor.stop_and_wait(None, Some(patience)).await;
    }
}

fn first_u128(digest: &[u8]) -> u128 {
    digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}
