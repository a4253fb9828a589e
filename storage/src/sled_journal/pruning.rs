//! Pruning: what is older than the retention, and in the history, leaves the archive.
//!
//! Invariant: the tip says which record is the oldest that is kept, and that is on the disk before an older one is
//! removed. So a file that is gone without that is lost, and a power cut between the two leaves too much.

use super::SledJournal;
use super::archive::Archive;
use crate::files;

impl SledJournal {
    /// Removes files of the archive whose newest record is old enough and needed by nobody, oldest first. What is kept is said on the
    /// disk before: a file that is gone without that is lost.
    pub(super) fn prune(&mut self) {
        let (archives, first_seq) = {
            let log = self.shared.log.read();
            (log.archives.clone(), log.first_seq())
        };
        self.maintenance.first_seq = first_seq;
        let old = archives.iter().take_while(|archive| self.is_old(archive)).count();
        let Some(newest) = archives[..old].last() else { return };
        let before = std::mem::replace(&mut self.kept_from, newest.last_seq + 1);
        if self.write_tip(true).is_err() {
            self.kept_from = before;
            return;
        }
        self.maintenance.first_seq = {
            let mut log = self.shared.log.write();
            log.archives.drain(..old);
            log.first_seq()
        };
        for archive in &archives[..old] {
            if let Err(error) = files::remove_if_there(&archive.path) {
                tracing::error!(%error, "a pruned file of the archive stays on the disk");
            }
        }
    }

    fn is_old(&self, archive: &Archive) -> bool {
        if archive.last_seq > self.keep_after {
            return false;
        }
        let retention = self.shared.options.archive_retention_seconds;
        let retention_micros = i64::try_from(retention.saturating_mul(1_000_000));
        let retention_micros = retention_micros.unwrap_or(i64::MAX);
        match archive.newest_at() {
            Ok(newest_at) => self.last_at.micros_since(newest_at) >= retention_micros,
            Err(error) => {
                tracing::error!(%error, "a file of the archive cannot be judged and stays");
                false
            }
        }
    }
}
