//! One tick for all lots: looks which deadlines have come, a few times a second. No timer per lot or slot.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::engine::Shared;
use crate::lot::LotMessage;

/// Sends a tick to every lot that has something due.
pub(crate) fn tick(shared: &Arc<Shared>) {
    let now_micros = shared.clock.now().micros();
    for lot in shared.directory.all() {
        let entry = &lot.0;
        let due = entry.next_due_micros.load(Ordering::Acquire) <= now_micros
            || entry.sightings.is_waiting()
            || entry.passes_moved.load(Ordering::Acquire);
        let Some(ticket) = due.then(|| entry.tick.take()).flatten() else { continue };
        // When the reserve is busy, the next round tries again.
        if let Ok(permit) = Arc::clone(&shared.reserve).try_acquire_owned() {
            entry.tell_lot(LotMessage::Tick(permit, ticket));
        }
    }
}

/// Ticks for ever.
pub(crate) async fn run(shared: Arc<Shared>, every: Duration) {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut disciplined_at = tokio::time::Instant::now();
    loop {
        interval.tick().await;
        tick(&shared);
        if disciplined_at.elapsed() >= Duration::from_secs(1) {
            disciplined_at = tokio::time::Instant::now();
            shared.metrics.clock_disagrees(shared.clock.discipline());
            shared.metrics.claims(shared.claims.len());
            shared.door.look();
            shared.metrics.permits(shared.door.in_flight());
            shared.metrics.tenants_at_work(shared.door.active());
        }
    }
}
