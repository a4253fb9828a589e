//! The history: every reservation, stay, payment and posting of all times, to be searched.
//!
//! A database of its own beside the journal, made from the log and from nothing else, so it can be thrown away
//! and made anew at any time. It is behind the log by design and says how far it goes. Invariants: a page of the
//! log is taken whole or not at all, with the sequence it goes up to; what an event means is the engine's `apply`;
//! what is damaged is never shown. Not durable per commit: after a crash it reads again what was not flushed, so
//! the log keeps that ([`History::flushed_seq`]). Format: `docs/storage-format.md`; why: `docs/adr/0025-history.md`
//! and `docs/adr/0027-history-on-an-lsm-tree.md`.
//!
//! Deliberately absent: threads and clocks (`actors` drives it), people (pseudonyms only).

mod document;
mod fold;
mod keys;
mod meta;
mod query;
mod store;
mod survey;
mod take;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lotkeeper_engine::ids::{ReservationId, SessionId};
use lotkeeper_engine::lot::{
    self, LotParts, Owner, Payment, Posting, Reservation, Session, session,
};
use parking_lot::{Mutex, RwLock};

pub use document::Document;
pub use keys::{Kind, Position, Stage};
pub use meta::Meta;
pub use query::{Listed, Page, Phase, Query};
pub use store::Found;
pub use take::Facts;

pub(crate) use survey::{newest, survey};

pub use crate::format::{LotFacts, Stamp};

use crate::error::JournalError;
use crate::files;
use crate::journal::Reader;
use crate::record::{Event, Record};
use crate::sled_journal::with_limit;
use meta::Mark;
use store::Base;
use take::Turn;

/// Where it lies under the data directory.
pub const DIRECTORY: &str = "history";

/// How its directories are called, before their number.
const PREFIX: &str = "tree-";

/// How the history is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its directory; made when it is not there.
    pub dir: PathBuf,
    /// Memory for what was read from disk.
    pub cache_bytes: u64,
    /// Opening that takes longer is given up, and it is made anew.
    pub open_seconds_max: u64,
}

impl Options {
    /// Of a data directory.
    #[must_use]
    pub fn beside(data_dir: &Path) -> Self {
        Self { dir: data_dir.join(DIRECTORY), cache_bytes: 16 * 1024 * 1024, open_seconds_max: 60 }
    }
}

/// Whether the history has to look at an event. What it does not keep is most of a log.
#[must_use]
pub fn keeps(event: &Event) -> bool {
    match event {
        Event::Slot(..) => false,
        Event::Lot(event) => match event {
            lot::Event::Session(session::Event::Denied(_))
            | lot::Event::SlotChanged(_)
            | lot::Event::ServiceChanged { .. }
            | lot::Event::TariffsChanged(_)
            | lot::Event::Counted { .. }
            | lot::Event::CounterFellSilent => false,
            lot::Event::Created(_)
            | lot::Event::Changed(_)
            | lot::Event::Session(_)
            | lot::Event::Payment(_)
            | lot::Event::Posted(_) => true,
            event => fold::reservation_of(event).is_some(),
        },
    }
}

/// See the module. Written by one thread, read by any.
pub struct History {
    options: Options,
    base: RwLock<Arc<Base>>,
    meta: Mutex<Meta>,
    flushed_seq: AtomicU64,
    damaged: AtomicBool,
}

impl History {
    /// Opens it for a log that ends at `last_seq`. What is damaged, of another format or of another log is
    /// removed: the history begins anew then, where the log does.
    ///
    /// # Errors
    /// The disk.
    pub fn open(
        options: Options,
        reader: &dyn Reader,
        (epoch, last_seq): (u64, u64),
    ) -> Result<Self, JournalError> {
        files::make_dir_durably(&options.dir)?;
        let (base, found) = open_newest(&options)?;
        let (base, meta) =
            match found.map(|meta| joined(meta, reader, epoch, last_seq)).transpose()? {
                Some(Ok(meta)) => (base, meta),
                Some(Err(why)) => {
                    tracing::warn!(why, "the history is not this log's; it is made anew");
                    let base = open_fresh(&options, &next_after(&base.dir), Some(base))?;
                    (base, beginning(reader, epoch)?)
                }
                None => (base, beginning(reader, epoch)?),
            };
        if meta.lacks.1 > 0 {
            let (first, last) = meta.lacks;
            tracing::warn!(first, last, "the history has not seen these records: they were pruned");
        }
        let history = Self {
            options,
            base: RwLock::new(Arc::new(base)),
            meta: Mutex::new(meta),
            flushed_seq: AtomicU64::new(meta.applied_seq),
            damaged: AtomicBool::new(false),
        };
        history.put_meta(meta)?;
        Ok(history)
    }

    /// How far it goes, and what it has.
    #[must_use]
    pub fn meta(&self) -> Meta {
        *self.meta.lock()
    }

    /// Up to where a crash leaves it: records after this one will be read again.
    #[must_use]
    pub fn flushed_seq(&self) -> u64 {
        self.flushed_seq.load(Ordering::Acquire)
    }

    /// Bytes of its files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.base().bytes()
    }

    /// Whether somebody found damage in it, so that it must be made anew.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// Takes records that follow those it has; it goes up to `applied_seq` then, which is that of the last one,
    /// or later when nothing in between is to be kept.
    ///
    /// # Errors
    /// Damage; the disk. Nothing of it was taken.
    pub fn take(
        &self,
        records: &[Record],
        applied_seq: u64,
        facts: Facts<'_>,
    ) -> Result<(), JournalError> {
        self.turn(applied_seq, facts, |turn| {
            records.iter().try_for_each(|record| turn.take(record))
        })
    }

    /// Takes over what a lot remembers, where the log no longer tells how it came to be.
    ///
    /// # Errors
    /// As for [`History::take`].
    pub fn adopt(
        &self,
        parts: &LotParts,
        stamp: Stamp,
        facts: Facts<'_>,
    ) -> Result<(), JournalError> {
        self.turn(0, facts, |turn| turn.adopt(parts, stamp))
    }

    fn turn(
        &self,
        applied_seq: u64,
        facts: Facts<'_>,
        work: impl FnOnce(&mut Turn<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        // Before, not after: what cannot be flushed must not be half taken, nor pile up in memory.
        if self.base().tree().is_full() {
            self.flush()?;
        }
        let meta = self.meta();
        let after = self.watched(|base| {
            let mut turn = Turn::new(base, meta, facts);
            work(&mut turn)?;
            turn.finish(applied_seq)
        })?;
        *self.meta.lock() = after;
        Ok(())
    }

    /// Writes what is in memory, synced: a crash costs nothing of it.
    ///
    /// # Errors
    /// Damage, which is met where tables are merged; the disk.
    pub fn flush(&self) -> Result<(), JournalError> {
        let applied_seq = self.meta().applied_seq;
        self.watched(Base::flush)?;
        self.flushed_seq.store(applied_seq, Ordering::Release);
        Ok(())
    }

    /// Throws everything away and begins anew where the log does.
    ///
    /// # Errors
    /// The disk.
    pub fn rebuild(&self, reader: &dyn Reader) -> Result<(), JournalError> {
        let next = next_after(&self.base().dir);
        let fresh = Arc::new(open_fresh(&self.options, &next, None)?);
        let old = std::mem::replace(&mut *self.base.write(), fresh);
        remove(&old.dir);
        drop(old);
        self.damaged.store(false, Ordering::Release);
        let meta = beginning(reader, self.meta().epoch)?;
        *self.meta.lock() = meta;
        self.flushed_seq.store(0, Ordering::Release);
        self.put_meta(meta)
    }

    /// Goes on where the log begins: what lies before is lacking.
    ///
    /// # Errors
    /// As for [`History::take`].
    pub fn miss_until(&self, first_seq: u64) -> Result<(), JournalError> {
        let meta = self.meta();
        let meta = Meta { lacks: widened(&meta, first_seq), applied_seq: first_seq - 1, ..meta };
        self.put_meta(meta)?;
        *self.meta.lock() = meta;
        Ok(())
    }

    fn put_meta(&self, meta: Meta) -> Result<(), JournalError> {
        self.watched(|base| {
            let mut batch = tree::Batch::default();
            Base::put_meta(&meta, &mut batch);
            base.tree().take(batch);
            Ok(())
        })
    }

    /// A page of stays, or of reservations.
    ///
    /// # Errors
    /// Damage; the disk.
    pub fn page<D: Listed>(&self, query: &Query<D>) -> Result<Page<D>, JournalError> {
        self.watched(|base| base.page(query))
    }

    /// A stay of a tenant.
    ///
    /// # Errors
    /// Damage; the disk.
    pub fn session(
        &self,
        tenant: &str,
        id: SessionId,
    ) -> Result<Option<Found<Session>>, JournalError> {
        self.one(tenant, id.0)
    }

    /// A reservation of a tenant.
    ///
    /// # Errors
    /// Damage; the disk.
    pub fn reservation(
        &self,
        tenant: &str,
        id: ReservationId,
    ) -> Result<Option<Found<Reservation>>, JournalError> {
        self.one(tenant, id.0)
    }

    fn one<D: Document>(
        &self,
        tenant: &str,
        id: uuid::Uuid,
    ) -> Result<Option<Found<D>>, JournalError> {
        self.watched(|base| {
            let Some(number) = base.tenant(tenant)? else { return Ok(None) };
            let Some(found) = base.document::<D>(id)? else { return Ok(None) };
            Ok(base.is_of(found.stamp.lot, number)?.then_some(found))
        })
    }

    /// Payments for a reservation or stay, the newest first.
    ///
    /// # Errors
    /// Damage; the disk.
    pub fn payments_of(&self, owner: Owner) -> Result<Vec<Found<Payment>>, JournalError> {
        self.watched(|base| base.payments_of(owner))
    }

    /// Postings about a reservation or stay, the newest first.
    ///
    /// # Errors
    /// Damage; the disk.
    pub fn postings_of(&self, owner: Owner) -> Result<Vec<Found<Posting>>, JournalError> {
        self.watched(|base| base.postings_of(owner))
    }

    fn base(&self) -> Arc<Base> {
        Arc::clone(&self.base.read())
    }

    /// Whoever finds damage says so: it is made anew.
    fn watched<T>(
        &self,
        work: impl FnOnce(&Base) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let base = self.base();
        base.guarded(work).inspect_err(|error| {
            if matches!(error, JournalError::Damaged { .. } | JournalError::NewerFormat { .. }) {
                // What was found damaged may have been replaced in the meantime.
                let is_current = Arc::ptr_eq(&base, &self.base.read());
                self.damaged.fetch_or(is_current, Ordering::AcqRel);
            }
        })
    }
}

/// Where a history begins that has seen nothing: where the log does.
fn beginning(reader: &dyn Reader, epoch: u64) -> Result<Meta, JournalError> {
    Ok(Meta::new(epoch, first_of(reader, 1)? - 1))
}

/// The first record at or after a sequence that the log has.
fn first_of(reader: &dyn Reader, seq: u64) -> Result<u64, JournalError> {
    match reader.after(seq - 1, 1) {
        Ok(_) => Ok(seq),
        Err(JournalError::Pruned { first_seq }) => Ok(first_seq.max(seq)),
        Err(error) => Err(error),
    }
}

/// A history that goes on with a log; or why it cannot be of that log.
fn joined(
    found: Meta,
    reader: &dyn Reader,
    epoch: u64,
    last_seq: u64,
) -> Result<Result<Meta, String>, JournalError> {
    if found.applied_seq > last_seq {
        let applied = found.applied_seq;
        return Ok(Err(format!("it goes up to {applied}, and the log ends at {last_seq}")));
    }
    if found.epoch != epoch && !remembers(reader, &found)? {
        let mark = found.mark_seq;
        return Ok(Err(format!("the log's epoch changed, and its record {mark} is another one")));
    }
    let next = found.applied_seq + 1;
    let first = first_of(reader, next)?;
    let lacks = if first > next { widened(&found, first) } else { found.lacks };
    Ok(Ok(Meta { epoch, applied_seq: first - 1, lacks, ..found }))
}

/// What a history lacks that goes on at `first_seq`, and what it lacked before.
fn widened(meta: &Meta, first_seq: u64) -> (u64, u64) {
    let oldest = if meta.lacks.1 == 0 { meta.applied_seq + 1 } else { meta.lacks.0 };
    (oldest, first_seq - 1)
}

/// Whether a log has the newest record that a history has seen.
fn remembers(reader: &dyn Reader, found: &Meta) -> Result<bool, JournalError> {
    let Some(before) = found.mark_seq.checked_sub(1) else { return Ok(found.applied_seq == 0) };
    match reader.after(before, 1) {
        Ok(page) => Ok(page
            .records
            .first()
            .is_some_and(|record| record.seq == found.mark_seq && Mark::of(record) == found.mark)),
        Err(JournalError::Pruned { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The directories of the history, oldest first: each one that was begun has a number of its own, because readers
/// may hold the files of one that is given up for a while.
fn generations(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut all: Vec<_> =
        files::entries(dir)?.into_iter().filter(|path| number_of(path).is_some()).collect();
    all.sort();
    Ok(all)
}

/// The number of one of today's directories. Those of the first format had nothing else in their names.
fn number_of(dir: &Path) -> Option<u32> {
    files::name_of(dir).strip_prefix(PREFIX)?.parse().ok()
}

fn next_after(dir: &Path) -> String {
    name(number_of(dir).unwrap_or_default().wrapping_add(1))
}

fn name(number: u32) -> String {
    format!("{PREFIX}{number:06}")
}

/// Histories of the first format, which nothing of today reads.
fn remove_outdated(dir: &Path) -> Result<(), JournalError> {
    let outdated =
        files::entries(dir)?.into_iter().filter(|path| files::name_of(path).parse::<u32>().is_ok());
    outdated.for_each(|dir| remove(&dir));
    Ok(())
}

/// Opens what is there, or something new beside it when that is damaged.
fn open_newest(options: &Options) -> Result<(Base, Option<Meta>), JournalError> {
    let mut generations = generations(&options.dir)?;
    let newest = generations.pop();
    generations.iter().for_each(|dir| remove(dir));
    remove_outdated(&options.dir)?;
    let Some(newest) = newest else {
        return Ok((open_fresh(options, &name(1), None)?, None));
    };
    let (place, cache_bytes) = (newest.display().to_string(), options.cache_bytes);
    let dir = newest.clone();
    let opened = with_limit(&place, options.open_seconds_max, move || {
        let base = Base::open(&dir, cache_bytes)?;
        let meta = base.meta()?;
        Ok((base, meta))
    });
    match opened {
        Ok((base, meta)) => Ok((base, meta)),
        Err(error) => {
            tracing::warn!(%error, "the history cannot be read; it is made anew");
            let fresh = open_fresh(options, &next_after(&newest), None)?;
            remove(&newest);
            Ok((fresh, None))
        }
    }
}

/// Begins a new one, and removes the one before.
fn open_fresh(options: &Options, name: &str, old: Option<Base>) -> Result<Base, JournalError> {
    let dir = options.dir.join(name);
    let fresh = Base::open(&dir, options.cache_bytes)?;
    if let Some(old) = old {
        remove(&old.dir);
    }
    Ok(fresh)
}

/// What stays is removed at the next start.
fn remove(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        tracing::warn!(path = %dir.display(), %error, "an old history stays until the next start");
    }
}
