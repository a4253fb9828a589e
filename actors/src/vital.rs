//! The parts that are never restarted: when one of them breaks, the process ends instead of hanging.
//!
//! Lots and slots start anew from the durable view. Journal writer, publisher, supervisor, hub, ticker and pacer have nothing
//! to start from but the journal itself, and without them requests would wait for ever behind an open door.
//! So their death is treated like a failed commit: nothing is accepted any more, and `Options::on_fatal` is called.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::engine::Shared;

/// Held by a thread for as long as it runs; made first, so that it speaks before anything else of the thread unwinds:
/// a journal that is dropped would flush once more.
pub(crate) struct Vital {
    shared: Arc<Shared>,
    part: &'static str,
}

impl Vital {
    pub fn new(shared: &Arc<Shared>, part: &'static str) -> Self {
        Self { shared: Arc::clone(shared), part }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.lost(self.part);
        }
    }
}

/// Waits for the end of a task that has none while the engine runs.
pub(crate) async fn watch(shared: Arc<Shared>, part: &'static str, task: JoinHandle<()>) {
    match task.await {
        // The engine's end, or the runtime's.
        Err(ended) if ended.is_cancelled() => {}
        Ok(()) if shared.is_stopping() => {}
        Ok(()) | Err(_) => shared.lost(part),
    }
}
