//! Pages out of archive and live journal.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;

use super::archive::Archive;
use super::backup;
use super::guard::caught;
use super::live::Live;
use super::shared::Shared;
use crate::backup::Backup;
use crate::error::JournalError;
use crate::journal::{Page, Reader};
use crate::paging::{LotPage, read_after, read_lot};
use crate::record::Record;

pub(super) struct SledReader(pub(super) Arc<Shared>);

impl SledReader {
    fn read_all(&self, seq: u64, limit: usize) -> Result<Page, JournalError> {
        let (archives, live, first_seq) = {
            let log = self.0.log.read();
            (log.archives.clone(), Arc::clone(&log.live), log.first_seq())
        };
        if seq < first_seq {
            return Err(JournalError::Pruned { first_seq });
        }
        let mut records = Vec::new();
        let mut next = seq;
        for archive in archives.iter().filter(|archive| archive.last_seq >= seq) {
            self.unless_pruned(read_after(&**archive, next, limit, &mut records))?;
            if records.len() >= limit {
                return Ok(Page { records, first_seq });
            }
            next = archive.last_seq + 1;
        }
        read_after(&live, next, limit, &mut records)?;
        Ok(Page { records, first_seq })
    }

    fn read_lot(&self, lot: LotKey, wanted: u64, limit: usize) -> Result<Page, JournalError> {
        let (archives, live, first_seq, range) = {
            let log = self.0.log.read();
            let range = log.index.get(lot).map(|track| (track.floor, track.last));
            (log.archives.clone(), Arc::clone(&log.live), log.first_seq(), range)
        };
        let mut records = Vec::new();
        let Some((floor, last)) = range else { return Ok(Page { records, first_seq }) };
        let page = |last, wanted| LotPage { lot, wanted, last, limit };
        let mut wanted = wanted;
        for archive in self.archives_with(&archives, lot, wanted, floor, first_seq)? {
            let Some(track) = archive.contents()?.index.get(lot) else { continue };
            let page = page(track.last, wanted);
            self.unless_pruned(read_lot(
                &*archive,
                &page,
                &|lot_seq| track.start_of(lot_seq),
                &mut records,
            ))?;
            wanted = wanted.max(track.last + 1);
        }
        if records.len() < limit {
            self.read_live(&live, &page(last, wanted), &mut records)?;
        }
        Ok(Page { records, first_seq })
    }

    fn read_live(
        &self,
        live: &Arc<Live>,
        page: &LotPage,
        records: &mut Vec<Record>,
    ) -> Result<(), JournalError> {
        let start_of = |lot_seq| {
            let log = self.0.log.read();
            log.index.get(page.lot).map_or(0, |track| track.start_of(lot_seq))
        };
        read_lot(live, page, &start_of, records)
    }

    /// Files that hold records of the lot from `wanted` up to the floor of the live journal, in order.
    fn archives_with(
        &self,
        archives: &[Arc<Archive>],
        lot: LotKey,
        wanted: u64,
        floor: u64,
        first_seq: u64,
    ) -> Result<Vec<Arc<Archive>>, JournalError> {
        let mut with = Vec::new();
        let mut oldest = floor + 1;
        for archive in archives.iter().rev() {
            if wanted >= oldest {
                break;
            }
            let contents = self.unless_pruned(archive.contents())?;
            if let Some(track) = contents.index.get(lot) {
                oldest = track.floor + 1;
                with.insert(0, Arc::clone(archive));
            }
        }
        match wanted >= oldest {
            true => Ok(with),
            false => Err(JournalError::Pruned { first_seq }),
        }
    }

    /// A file that is gone while it is read was pruned in between.
    fn unless_pruned<T>(&self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        result.map_err(|error| match &error {
            JournalError::Disk { path, .. } if !std::path::Path::new(path).exists() => {
                JournalError::Pruned { first_seq: self.0.log.read().first_seq() }
            }
            _ => error,
        })
    }

    fn guarded(
        &self,
        read: impl FnOnce() -> Result<Page, JournalError>,
    ) -> Result<Page, JournalError> {
        caught(&self.0.layout.dir().display().to_string(), AssertUnwindSafe(read))
    }
}

impl Reader for SledReader {
    fn after(&self, after_seq: u64, limit: usize) -> Result<Page, JournalError> {
        self.guarded(|| self.read_all(after_seq.saturating_add(1), limit))
    }

    fn lot_after(
        &self,
        lot: LotKey,
        after_lot_seq: u64,
        limit: usize,
    ) -> Result<Page, JournalError> {
        self.guarded(|| self.read_lot(lot, after_lot_seq.saturating_add(1), limit))
    }

    fn backup_as_of(
        &self,
        last_seq: &dyn Fn() -> u64,
        taken_at: Timestamp,
    ) -> Result<Backup, JournalError> {
        let place = self.0.layout.dir().display().to_string();
        caught(&place, AssertUnwindSafe(|| backup::begin(&self.0, last_seq, taken_at)))
    }
}
