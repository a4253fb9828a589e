//! The last answers of a process that cannot go on.
//!
//! After a failed commit the engine tells everybody who waits that the outcome is unknown, and aborts. What it
//! told stands in this process's buffers then: an abort in the same moment would cut the connections instead, and
//! a caller could not tell a failed disk from a failed network. So the end of the process waits until the connections have
//! ended as they do at an orderly stop, and at most [`FAREWELL`]. The journal is not touched meanwhile.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lotkeeper_actors::{OnFatal, Options};
use tokio::runtime::Handle;

use crate::shutdown::Shutdown;

/// Clients that read their answer do so in a round trip; whoever does not is not waited for.
const FAREWELL: Duration = Duration::from_millis(500);

/// What is said at such an end; nothing before [`Farewell::is_for`].
#[derive(Clone, Default)]
pub(crate) struct Farewell(Arc<OnceLock<(Shutdown, Handle)>>);

impl Farewell {
    /// For the connections of this server, from now on.
    pub(crate) fn is_for(&self, shutdown: Shutdown) {
        // Set once, by the one start that made it.
        let _set = self.0.set((shutdown, Handle::current()));
    }

    /// Says farewell, then does what the engine does by itself.
    pub(crate) fn before_the_end(&self) -> OnFatal {
        let (said, end) = (self.clone(), Options::default().on_fatal);
        Arc::new(move |cause| {
            said.say();
            end(cause);
        })
    }

    /// Blocks. The engine calls from a thread of its own or from a worker of the runtime, where nobody may wait for
    /// a future: hence one more thread.
    fn say(&self) {
        let Some((shutdown, runtime)) = self.0.get().cloned() else { return };
        shutdown.begin();
        let waited = std::thread::spawn(move || {
            runtime.block_on(async { tokio::time::timeout(FAREWELL, shutdown.drained()).await })
        });
        let _ended_or_late = waited.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(farewell: Farewell) {
        tokio::task::spawn_blocking(move || farewell.say()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_waits_for_those_who_are_being_answered() {
        let (farewell, shutdown) = (Farewell::default(), Shutdown::new());
        farewell.is_for(shutdown.clone());
        let (busy, answered) = (shutdown.busy(), Arc::new(OnceLock::new()));
        let answering = tokio::spawn({
            let answered = Arc::clone(&answered);
            async move {
                shutdown.begun().await;
                answered.set(()).unwrap();
                drop(busy);
            }
        });
        said(farewell).await;
        assert!(answered.get().is_some());
        answering.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_holds_it_up_for_ever_and_before_the_first_connection_there_is_nobody() {
        said(Farewell::default()).await;
        let (farewell, shutdown) = (Farewell::default(), Shutdown::new());
        farewell.is_for(shutdown.clone());
        let _never_answered = shutdown.busy();
        said(farewell).await;
    }
}
