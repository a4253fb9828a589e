//! A journal that asks before every commit, for tests that need a commit to wait, to fail or to panic.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use lotkeeper_actors::{Clock, Engine, Options};
use lotkeeper_storage::{
    Journal, JournalError, LotSnapshot, Maintenance, MemoryJournal, MemoryStore, Reader, Record,
    Vault,
};

use crate::common::{START, start_with};

/// Asked before every commit.
pub type Hook = Box<dyn FnMut() -> Result<(), JournalError> + Send>;

/// Each commit waits for a word of the test; once that has let go of the sender, none waits.
pub fn gate() -> (Sender<()>, Hook) {
    let (go, wait) = channel::<()>();
    let hook = move || {
        let _gone = wait.recv();
        Ok(())
    };
    (go, Box::new(hook))
}

/// An engine on a new journal in memory that asks before every commit.
pub async fn engine_over(hook: Hook, options: Options) -> Engine {
    let (journal, recovery) = MemoryJournal::open(MemoryStore::default());
    start_with(Box::new(Hooked(journal, hook)), recovery, &Clock::manual(START), options).await
}

/// A journal that asks before every commit: the test's disk dies or dawdles.
struct Hooked(MemoryJournal, Hook);

impl Journal for Hooked {
    fn commit(&mut self, records: &[Record]) -> Result<(), JournalError> {
        (self.1)()?;
        self.0.commit(records)
    }
    fn save_snapshot(&mut self, snapshot: &LotSnapshot) -> Result<(), JournalError> {
        self.0.save_snapshot(snapshot)
    }
    fn maintain(&mut self) -> Result<Maintenance, JournalError> {
        self.0.maintain()
    }
    fn sync(&mut self) -> Result<(), JournalError> {
        self.0.sync()
    }
    fn reader(&self) -> Arc<dyn Reader> {
        self.0.reader()
    }
    fn vault(&self) -> Arc<dyn Vault> {
        self.0.vault()
    }
    fn mark_failed(&mut self, cause: &str) {
        self.0.mark_failed(cause);
    }
    fn last_commit(&self) -> lotkeeper_storage::CommitStats {
        self.0.last_commit()
    }
}
