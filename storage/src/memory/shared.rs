//! What threads share of a memory journal: its frames, its reader, its vault.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, Pseudonym};
use lotkeeper_engine::time::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use super::disk::{Clear, Disk, VaultChange};
use super::{PLACE, backup};
use crate::backup::Backup;
use crate::error::JournalError;
use crate::format::FrameKey;
use crate::journal::{Page, Reader};
use crate::paging::{Frames, LotPage, Part, read_after, read_lot};
use crate::vault::{PersonKind, Vault};

/// Frames of a store, looked up one by one, so that none is held while the log grows.
pub(super) struct Stored(pub(super) Arc<Mutex<Disk>>);

impl Part for Stored {
    fn frames_from(&self, seq: u64) -> Result<Frames, JournalError> {
        let store = Arc::clone(&self.0);
        let holding = {
            let disk = store.lock();
            let until = FrameKey { first_seq: seq, part: u16::MAX };
            disk.frames.range(..=until).next_back().map_or(seq, |(key, _)| key.first_seq)
        };
        let mut next = Some(FrameKey { first_seq: holding, part: 0 });
        Ok(Box::new(std::iter::from_fn(move || {
            let disk = store.lock();
            let (key, bytes) = disk.frames.range(next?..).next()?;
            next = key
                .part
                .checked_add(1)
                .map(|part| FrameKey { part, ..*key })
                .or(Some(FrameKey { first_seq: key.first_seq.checked_add(1)?, part: 0 }));
            Some(Ok((*key, bytes.clone())))
        })))
    }

    fn place(&self) -> String {
        PLACE.to_owned()
    }
}

pub(super) struct MemoryReader(pub(super) Arc<Mutex<Disk>>);

impl Reader for MemoryReader {
    fn after(&self, after_seq: u64, limit: usize) -> Result<Page, JournalError> {
        let first_seq = self.0.lock().first_seq;
        if after_seq.saturating_add(1) < first_seq {
            return Err(JournalError::Pruned { first_seq });
        }
        let mut records = Vec::new();
        read_after(&Stored(Arc::clone(&self.0)), after_seq.saturating_add(1), limit, &mut records)?;
        Ok(Page { records, first_seq })
    }

    fn lot_after(
        &self,
        lot: LotKey,
        after_lot_seq: u64,
        limit: usize,
    ) -> Result<Page, JournalError> {
        let wanted = after_lot_seq.saturating_add(1);
        let (first_seq, range) = {
            let disk = self.0.lock();
            (disk.first_seq, disk.index.get(lot).map(|track| (track.floor, track.last)))
        };
        let mut records = Vec::new();
        if let Some((floor, last)) = range {
            if wanted <= floor {
                return Err(JournalError::Pruned { first_seq });
            }
            let start_of =
                |lot_seq| self.0.lock().index.get(lot).map_or(0, |track| track.start_of(lot_seq));
            let page = LotPage { lot, wanted, last, limit };
            read_lot(&Stored(Arc::clone(&self.0)), &page, &start_of, &mut records)?;
        }
        Ok(Page { records, first_seq })
    }

    fn backup_as_of(
        &self,
        last_seq: &dyn Fn() -> u64,
        taken_at: Timestamp,
    ) -> Result<Backup, JournalError> {
        backup::begin(&self.0.lock(), last_seq(), taken_at)
    }
}

pub(super) struct MemoryVault(pub(super) Arc<Mutex<Disk>>);

impl Vault for MemoryVault {
    fn intern(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Pseudonym, JournalError> {
        let disk = &mut *self.0.lock();
        let clear: Clear = (tenant.into(), kind, clear.into());
        if let Some(pseudonym) = disk.pseudonyms.get(&clear) {
            return Ok(*pseudonym);
        }
        let random = Uuid::from_u64_pair(disk.random(), disk.random());
        // Of version 4, as where people once lay by random pseudonyms: version 8 says a place on the disk.
        let pseudonym =
            Pseudonym(uuid::Builder::from_random_bytes(random.into_bytes()).into_uuid());
        disk.insert_person(pseudonym, clear);
        disk.unsynced_people.push(VaultChange::Made(pseudonym));
        Ok(pseudonym)
    }

    fn find(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Option<Pseudonym>, JournalError> {
        let clear: Clear = (tenant.into(), kind, clear.into());
        Ok(self.0.lock().pseudonyms.get(&clear).copied())
    }

    fn reveal(&self, pseudonym: Pseudonym) -> Result<Option<Arc<str>>, JournalError> {
        let disk = self.0.lock();
        Ok(disk.people.get(&pseudonym).map(|(_, _, clear)| clear.as_ref().into()))
    }

    fn erase(&self, pseudonym: Pseudonym) -> Result<bool, JournalError> {
        let disk = &mut *self.0.lock();
        let Some(clear) = disk.remove_person(pseudonym) else { return Ok(false) };
        disk.unsynced_people.push(VaultChange::Erased(pseudonym, clear));
        // As on disk, an erasure does not wait for a commit.
        disk.unsynced_people.clear();
        Ok(true)
    }
}
