//! A journal that asks before every commit, for tests that need a commit to wait, to fail or to panic.

use std::sync::Arc;

use lotkeeper_storage::{
    Journal, JournalError, LotSnapshot, Maintenance, MemoryJournal, Reader, Record, Vault,
};

/// A journal that asks before every commit: the test's disk dies or dawdles.
pub struct Hooked(pub MemoryJournal, pub Box<dyn FnMut() -> Result<(), JournalError> + Send>);

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
