//! The door: how much of the engine a tenant may take while others are at work.
//!
//! Two things are counted per tenant: records between permit and reply, and requests being worked on (turns). A third is
//! measured: the processor time they took (`pacer`). Who waits for a turn stands in his tenant's queue.
//! While one tenant is at work alone it may have nearly all; once a second one is, both have their share, and
//! above it only what leaves the whole small enough that nobody waits long. See `docs/adr/0022-a-fair-door.md`.
//!
//! Invariants: the rule is a pure function of four numbers; who asks for no more than his share gets it; within a tenant
//! turns go in order of arrival; a tenant costs one entry however often it asks, and there are at most `TENANTS_MAX` of
//! them. Counting is atomic and takes no lock; only who has to wait does. Deliberately absent: who a person is (`gateway/src/rate.rs`), weights, and labels in metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::CommandError;
use crate::options::Options;
pub(crate) use crate::tenant::Tenant;
use crate::tenant::Waiting;

/// Tenants told apart: a token names one, so there are as many as the operator mints tokens for. Later ones
/// share one entry, and with it one share.
const TENANTS_MAX: usize = 10_000;
/// A tenant unheard for so many looks, a second apart, is not at work.
const QUIET_LOOKS: u64 = 3;
/// What a request costs beside the time of its handler: reading and writing it.
const TURN_NANOS: i64 = 30_000;
/// What a record costs the actors, the journal and the publisher (docs/performance.md).
const RECORD_NANOS: i64 = 3_000;
/// A tenant that used little saves up its time for so many steps of the pacer.
const SAVED_STEPS: i64 = 40;
/// Time is not looked at.
const UNPACED: i64 = 0;

/// How things stand when somebody asks for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What the tenant has.
    pub held: usize,
    /// What all have.
    pub total: usize,
    /// Tenants at work, this one included.
    pub active: usize,
}

/// What may be taken of one thing that is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// By a tenant that is at work alone.
    pub alone: usize,
    /// By all together, before shares are looked at.
    pub contended: usize,
}

impl Rule {
    /// Whether a tenant may take so many more. Who has nothing may always ask: a batch that is larger than a
    /// share would never be taken otherwise.
    pub fn may_take(self, standing: Standing, wanted: usize) -> bool {
        let Standing { held, total, active } = standing;
        let then = held.saturating_add(wanted);
        match active {
            _ if held == 0 => true,
            0 | 1 => then <= self.alone,
            _ => total.saturating_add(wanted) <= self.contended || then <= self.contended / active,
        }
    }
}

/// The door of an engine.
pub(crate) struct Door {
    /// One permit per record in flight: the bound of all mailboxes.
    permits: Arc<Semaphore>,
    permits_records: usize,
    records: Rule,
    turns: Rule,
    tenants: DashMap<Box<str>, Arc<Tenant>>,
    overflow: Arc<Tenant>,
    turns_taken: AtomicUsize,
    active: AtomicUsize,
    looks: AtomicU64,
    /// What the pacer gave each tenant in its last step, in nanoseconds, or [`UNPACED`].
    step_nanos: AtomicI64,
}

/// Records on their way; given back when dropped.
pub(crate) struct Permit {
    _permits: OwnedSemaphorePermit,
    tenant: Arc<Tenant>,
    records: usize,
}

/// One request or batch being worked on; ends when dropped.
pub struct Turn {
    door: Arc<Door>,
    tenant: Arc<Tenant>,
    /// Given back when it ends: what it really took was told by then.
    set_aside_nanos: i64,
}

impl Door {
    pub fn new(options: &Options) -> Self {
        let permits_records = options.permits_records;
        let contended = options.contended_records.min(permits_records);
        // What one tenant leaves to the next who comes, however long it was alone.
        let left = contended.min(permits_records / 2);
        Self {
            permits: Arc::new(Semaphore::new(permits_records)),
            permits_records,
            records: Rule { alone: permits_records - left, contended },
            turns: Rule { alone: usize::MAX, contended: options.contended_requests },
            tenants: DashMap::new(),
            overflow: Arc::default(),
            turns_taken: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            looks: AtomicU64::new(0),
            step_nanos: AtomicI64::new(UNPACED),
        }
    }

    /// A tenant's entry, made at the first call.
    pub fn tenant(&self, name: &str) -> Arc<Tenant> {
        if let Some(known) = self.tenants.get(name) {
            return Arc::clone(&known);
        }
        if self.tenants.len() >= TENANTS_MAX {
            return Arc::clone(&self.overflow);
        }
        let new = || Arc::new(Tenant::with_time(self.step_nanos.load(Ordering::Acquire)));
        Arc::clone(&self.tenants.entry(Box::from(name)).or_insert_with(new))
    }

    /// Permits of a batch. One that is larger than there are permits takes all of them and is alone.
    fn permits(&self, records: usize) -> usize {
        records.min(self.permits_records)
    }

    /// Lets so many records in, or nobody.
    pub fn admit(&self, tenant: &Arc<Tenant>, records: usize) -> Result<Permit, CommandError> {
        let records = self.permits(records);
        self.heard(tenant);
        let active = self.active.load(Ordering::Acquire);
        let total = self.in_flight();
        let taken = tenant.records.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
            let standing = Standing { held, total, active };
            self.records.may_take(standing, records).then(|| held + records)
        });
        taken.map_err(|_| CommandError::Overloaded)?;
        let many = u32::try_from(records).unwrap_or(u32::MAX);
        match Arc::clone(&self.permits).try_acquire_many_owned(many) {
            Ok(permits) => {
                tenant.used(RECORD_NANOS.saturating_mul(i64::from(many)));
                Ok(Permit { _permits: permits, tenant: Arc::clone(tenant), records })
            }
            Err(_) => {
                tenant.records.fetch_sub(records, Ordering::AcqRel);
                Err(CommandError::Overloaded)
            }
        }
    }

    /// The same for records that were let in before and must go again: waits, and asks for no share.
    pub async fn admit_again(&self, tenant: &Arc<Tenant>, records: usize) -> Option<Permit> {
        let records = self.permits(records);
        let many = u32::try_from(records).unwrap_or(u32::MAX);
        let permits = Arc::clone(&self.permits).acquire_many_owned(many).await.ok()?;
        tenant.records.fetch_add(records, Ordering::AcqRel);
        Some(Permit { _permits: permits, tenant: Arc::clone(tenant), records })
    }

    /// Returns when nothing is in flight: for the end, when nothing more is let in.
    pub async fn drained(&self) {
        let all = u32::try_from(self.permits_records).unwrap_or(u32::MAX);
        let _all = self.permits.acquire_many(all).await;
    }

    /// Records between permit and reply.
    pub fn in_flight(&self) -> usize {
        self.permits_records.saturating_sub(self.permits.available_permits())
    }

    /// Tenants at work.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// Whether shares are looked at.
    pub fn is_contended(&self) -> bool {
        self.active() > 1
    }

    /// A turn, when there is one now and nobody of the tenant waits for one.
    pub fn try_turn(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Option<Turn> {
        match tenant.waiting.load(Ordering::Acquire) {
            0 => self.take_turn(tenant),
            _ => None,
        }
    }

    fn take_turn(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Option<Turn> {
        self.heard(tenant);
        let active = self.active();
        let is_paced = self.step_nanos.load(Ordering::Acquire) != UNPACED;
        if is_paced && tenant.time_nanos.load(Ordering::Acquire) < 0 {
            return None;
        }
        let total = self.turns_taken.load(Ordering::Acquire);
        let taken = tenant.turns.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
            self.turns.may_take(Standing { held, total, active }, 1).then(|| held + 1)
        });
        taken.ok()?;
        self.turns_taken.fetch_add(1, Ordering::AcqRel);
        let set_aside_nanos = if is_paced { tenant.set_aside() } else { 0 };
        tenant.begun(TURN_NANOS);
        Some(Turn { door: Arc::clone(self), tenant: Arc::clone(tenant), set_aside_nanos })
    }

    /// A turn as soon as there is one, in order of arrival within a tenant.
    pub async fn turn(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Turn {
        if let Some(turn) = self.try_turn(tenant) {
            return turn;
        }
        let _waiting = Waiting::of(tenant);
        // Handed on in order, also by one who gives up.
        let _front = tenant.front.lock().await;
        loop {
            // Listening before looking: a turn that ends in between is not missed.
            let ended = tenant.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if let Some(turn) = self.take_turn(tenant) {
                return turn;
            }
            ended.await;
        }
    }

    /// The same with an end to patience.
    pub async fn turn_within(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        patience: Duration,
    ) -> Result<Turn, CommandError> {
        if let Some(turn) = self.try_turn(tenant) {
            return Ok(turn);
        }
        let waited = tokio::time::timeout(patience, self.turn(tenant)).await;
        waited.map_err(|_| CommandError::Overloaded)
    }

    /// A step of the pacer: each tenant may use so much more time, and who waited for it may go; with nothing, nobody
    /// is held up from now on.
    pub fn allow(&self, step: Option<i64>) {
        let is_first = self.step_nanos.load(Ordering::Acquire) == UNPACED;
        let Some(step) = step else {
            self.step_nanos.store(UNPACED, Ordering::Release);
            if !is_first {
                self.known().for_each(|tenant| tenant.ended.notify_one());
            }
            return;
        };
        let saved_max = step.saturating_mul(SAVED_STEPS);
        for tenant in self.known() {
            tenant.learn();
            // What was used while nobody looked is nobody's debt.
            let more = |has: i64| {
                Some(if is_first { step } else { has.saturating_add(step).min(saved_max) })
            };
            let had = tenant.time_nanos.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
            let has_time_again = |had: i64| had < 0 && (is_first || had.saturating_add(step) >= 0);
            if had.is_ok_and(has_time_again) {
                tenant.ended.notify_one();
            }
        }
        // Last: at the first step everybody has some by then.
        self.step_nanos.store(step, Ordering::Release);
    }

    fn known(&self) -> impl Iterator<Item = Arc<Tenant>> + '_ {
        let known = self.tenants.iter().map(|entry| Arc::clone(entry.value()));
        known.chain(std::iter::once(Arc::clone(&self.overflow)))
    }

    fn heard(&self, tenant: &Tenant) {
        tenant.seen.store(self.looks.load(Ordering::Relaxed), Ordering::Relaxed);
        // Read first: the flag is set nearly always, and a write would move the line between processors.
        if !tenant.is_active.load(Ordering::Acquire)
            && !tenant.is_active.swap(true, Ordering::AcqRel)
        {
            self.active.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Once a second: who was not heard for a while is not at work. (One who is heard in this very moment may
    /// be taken for quiet; the next thing he sends makes it good.)
    pub fn look(&self) {
        let look = self.looks.fetch_add(1, Ordering::AcqRel) + 1;
        for tenant in self.known() {
            let is_idle = tenant.records.load(Ordering::Acquire) == 0
                && tenant.turns.load(Ordering::Acquire) == 0;
            let quiet = look.saturating_sub(tenant.seen.load(Ordering::Relaxed));
            if is_idle && quiet > QUIET_LOOKS && tenant.is_active.swap(false, Ordering::AcqRel) {
                self.active.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}

impl Turn {
    /// Processor time that the work of this turn took so far and was not told yet.
    pub fn used(&self, time: Duration) {
        self.tenant.used(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.tenant.records.fetch_sub(self.records, Ordering::AcqRel);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.door.turns_taken.fetch_sub(1, Ordering::AcqRel);
        self.tenant.turns.fetch_sub(1, Ordering::AcqRel);
        self.tenant.time_nanos.fetch_add(self.set_aside_nanos, Ordering::AcqRel);
        // One place, one who waits for it.
        self.tenant.ended.notify_one();
    }
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "door_time_tests.rs"]
mod time_tests;
