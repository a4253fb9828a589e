//! How the engine is set up. Defaults suit one machine of two cores and up.

use std::sync::Arc;

/// What happens after a failed commit, once the callers have their answer, or when a part that is never restarted died.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Settings of the engine; every field has a default.
#[derive(Clone)]
pub struct Options {
    /// Records in flight at most: the bound of all mailboxes.
    pub permits_records: usize,
    /// Records in flight that are shared out between tenants while more than one is at work.
    pub contended_records: usize,
    /// Requests and batches being worked on that are shared out likewise.
    pub contended_requests: usize,
    /// How busy workers and journal may be, in percent of the time, for the sake of a tenant that takes more than its
    /// part while others are at work; 100 holds nobody up.
    pub contended_busy_percent: u8,
    /// How much of the workers' time one tenant may use while others are at work, in percent, however idle they are.
    /// 100 leaves it all that may be busy.
    pub contended_tenant_percent: u8,
    /// Records in one commit at most.
    pub commit_records_max: usize,
    /// Changes a lot's ring keeps for readers that resume or lag.
    pub ring_changes_per_lot: usize,
    /// A lot whose snapshot is older than so many records gets a new one.
    pub snapshot_every_records: u64,
    /// Idempotency keys remembered per lot ...
    pub claims_per_lot: usize,
    /// ... and for how long; whichever ends first.
    pub claim_seconds: u32,
    /// Below so much free disk space writes are refused.
    pub free_space_floor_bytes: u64,
    /// Where stays and reservations of all times are kept; nothing for what lots remember alone.
    pub history: Option<lotkeeper_storage::history::Options>,
    /// How often deadlines are looked at; nothing for simulations, which call `Engine::tick`.
    pub tick_ms: Option<u64>,
    /// Called after a failed commit, and when writer, publisher, supervisor, hub, ticker or pacer died.
    pub on_fatal: OnFatal,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            permits_records: 65_536,
            contended_records: 4_096,
            contended_requests: 16,
            contended_busy_percent: 50,
            contended_tenant_percent: 15,
            commit_records_max: 8_192,
            ring_changes_per_lot: 1_024,
            snapshot_every_records: 500_000,
            claims_per_lot: 10_000,
            claim_seconds: 86_400,
            free_space_floor_bytes: 256 * 1024 * 1024,
            history: None,
            tick_ms: Some(200),
            on_fatal: Arc::new(|cause| {
                tracing::error!(
                    cause,
                    "the engine cannot go on; the process ends, the next start recovers"
                );
                // Dropping sled would flush again: a retried sync that may lie. Abort runs no destructors.
                std::process::abort();
            }),
        }
    }
}

/// Places in the journal queue beside the permits, for the engine's own messages.
pub(crate) const RESERVE_RECORDS: usize = 16_384;
