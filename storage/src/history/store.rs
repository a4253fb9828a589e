//! One directory of the history: what lies in it and how it is read.
//!
//! Invariants: a document has a checksum of its own; what is damaged is an error, never another document. Absent:
//! what becomes of damage (`mod.rs`), how keys and values get to disk (`tree.rs`).

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dashmap::DashMap;
use lotkeeper_engine::ids::{LotKey, Reference, ReservationId};
use lotkeeper_engine::lot::{Owner, Payment, Posting, Session};
use uuid::Uuid;

use super::document::Document;
use super::keys::{self, Key, Kind, META, Position, Scope};
use super::meta::Meta;
use super::tree::{Batch, Tree};
use crate::error::JournalError;
use crate::format::{FormatError, LotFacts, Stamp};
use crate::sled_journal::caught;

const CHECKSUM_BYTES: usize = 4;
const DOCUMENT: &str = "document of the history";

/// A document with its place in the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<D> {
    /// Where it stands in the log.
    pub stamp: Stamp,
    /// What it says.
    pub document: Arc<D>,
}

impl<D> Clone for Found<D> {
    fn clone(&self) -> Self {
        Self { stamp: self.stamp, document: Arc::clone(&self.document) }
    }
}

/// An open directory.
pub(super) struct Base {
    pub dir: PathBuf,
    tree: Tree,
    /// Lots that were asked for; what a lot is hardly changes.
    lots: DashMap<LotKey, (u32, LotFacts)>,
}

impl Base {
    /// Opens or makes it. May panic on damage.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, JournalError> {
        let tree = Tree::open(dir, cache_bytes).map_err(|error| wrong("open", dir, &error))?;
        Ok(Self { dir: dir.to_path_buf(), tree, lots: DashMap::new() })
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    pub fn wrong(&self, operation: &'static str, error: &lsm_tree::Error) -> JournalError {
        wrong(operation, &self.dir, error)
    }

    pub fn damaged(&self, error: &FormatError) -> JournalError {
        JournalError::format(self.dir.display().to_string(), error)
    }

    /// Runs what may panic on damage.
    pub fn guarded<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        caught(&self.dir.display().to_string(), AssertUnwindSafe(|| work(self)))
    }

    /// Writes what is in memory, so that it stays.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.tree.flush().map_err(|error| self.wrong("flush", &error))
    }

    pub fn bytes(&self) -> u64 {
        self.tree.bytes()
    }

    fn get(&self, key: &[u8]) -> Result<Option<lsm_tree::UserValue>, JournalError> {
        self.tree.get(key).map_err(|error| self.wrong("read", &error))
    }

    /// What it says of itself; nothing when it is new.
    pub fn meta(&self) -> Result<Option<Meta>, JournalError> {
        let Some(bytes) = self.get(META)? else { return Ok(None) };
        Meta::from_bytes(&bytes).map(Some).map_err(|error| self.damaged(&error))
    }

    pub fn put_meta(meta: &Meta, batch: &mut Batch) {
        batch.insert(Key::from_slice(META), meta.to_bytes().to_vec());
    }

    /// A tenant's number.
    pub fn tenant(&self, name: &str) -> Result<Option<u32>, JournalError> {
        let Some(number) = self.get(&keys::tenant(name))? else { return Ok(None) };
        let number = number.as_ref().try_into().map(u32::from_be_bytes);
        let invalid = |_| FormatError::invalid(DOCUMENT, "a tenant's number of other than 4 bytes");
        number.map(Some).map_err(|error| self.damaged(&invalid(error)))
    }

    pub fn put_tenant(name: &str, number: u32, batch: &mut Batch) {
        batch.insert(keys::tenant(name), number.to_be_bytes().to_vec());
    }

    /// A lot and its tenant's number.
    pub fn lot(&self, lot: LotKey) -> Result<Option<(u32, LotFacts)>, JournalError> {
        if let Some(known) = self.lots.get(&lot) {
            return Ok(Some(known.clone()));
        }
        let Some(bytes) = self.get(&keys::lot(lot))? else { return Ok(None) };
        let facts = unsealed(&bytes).and_then(LotFacts::decode);
        let facts = facts.map_err(|error| self.damaged(&error))?;
        let Some(tenant) = self.tenant(&facts.tenant)? else {
            let error = FormatError::invalid(DOCUMENT, "a lot of a tenant without a number");
            return Err(self.damaged(&error));
        };
        self.lots.insert(lot, (tenant, facts.clone()));
        Ok(Some((tenant, facts)))
    }

    pub fn put_lot(
        &self,
        lot: LotKey,
        facts: &LotFacts,
        batch: &mut Batch,
    ) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        facts.append(&mut bytes).map_err(|error| self.damaged(&error))?;
        batch.insert(keys::lot(lot), sealed(&bytes));
        self.lots.remove(&lot);
        Ok(())
    }

    pub fn is_of(&self, lot: LotKey, tenant: u32) -> Result<bool, JournalError> {
        Ok(self.lot(lot)?.is_some_and(|(number, _)| number == tenant))
    }

    /// A document by its id.
    pub fn document<D: Document>(&self, id: Uuid) -> Result<Option<Found<D>>, JournalError> {
        let Some(bytes) = self.get(&keys::document(D::KIND, id))? else { return Ok(None) };
        self.decoded(&bytes).map(Some)
    }

    pub fn decoded<D: Document>(&self, bytes: &[u8]) -> Result<Found<D>, JournalError> {
        let decoded = unsealed(bytes).and_then(D::decode);
        let (stamp, document) = decoded.map_err(|error| self.damaged(&error))?;
        Ok(Found { stamp, document: Arc::new(document) })
    }

    /// Puts a document in place of the one before.
    pub fn put_document<D: Document>(
        &self,
        id: Uuid,
        found: &Found<D>,
        batch: &mut Batch,
    ) -> Result<(), JournalError> {
        let mut bytes = vec![0; CHECKSUM_BYTES];
        found.document.append(&found.stamp, &mut bytes).map_err(|error| self.damaged(&error))?;
        let checksum = crc32c::crc32c(&bytes[CHECKSUM_BYTES..]).to_le_bytes();
        bytes[..CHECKSUM_BYTES].copy_from_slice(&checksum);
        batch.insert(keys::document(D::KIND, id), bytes);
        Ok(())
    }

    /// What people call by a reference, of all tenants.
    pub fn called<D: Document>(&self, reference: Reference) -> Result<Vec<Found<D>>, JournalError> {
        let prefix = keys::called(D::KIND, reference);
        let mut all = Vec::new();
        for entry in self.tree.entries(&prefix) {
            let (key, bytes) = entry.map_err(|error| self.wrong("read", &error))?;
            if !key.starts_with(&prefix) {
                break;
            }
            all.push(self.decoded(&bytes)?);
        }
        Ok(all)
    }

    /// Stays that came of a reservation, the newest first.
    pub fn stays_of(&self, id: ReservationId) -> Result<Vec<Found<Session>>, JournalError> {
        self.all_of(&Scope::reservation(Kind::Session, id))
    }

    /// Payments for a reservation or stay, the newest first.
    pub fn payments_of(&self, owner: Owner) -> Result<Vec<Found<Payment>>, JournalError> {
        self.all_of(&Scope::owner(Kind::Payment, owner))
    }

    /// Postings about a reservation or stay, the newest first.
    pub fn postings_of(&self, owner: Owner) -> Result<Vec<Found<Posting>>, JournalError> {
        self.all_of(&Scope::owner(Kind::Posting, owner))
    }

    fn all_of<D: Document>(&self, scope: &Scope) -> Result<Vec<Found<D>>, JournalError> {
        let mut all = Vec::new();
        for key in self.tree.keys(scope.prefix(), scope.prefix()) {
            let key = key.map_err(|error| self.wrong("read", &error))?;
            let Some(position) = Position::of_key(&key) else { continue };
            all.extend(self.document(position.id())?);
        }
        Ok(all)
    }
}

fn sealed(bytes: &[u8]) -> Vec<u8> {
    [crc32c::crc32c(bytes).to_le_bytes().as_slice(), bytes].concat()
}

fn unsealed(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let short = FormatError::Short { what: DOCUMENT, bytes: bytes.len() };
    let (checksum, rest) = bytes.split_first_chunk::<CHECKSUM_BYTES>().ok_or(short)?;
    match u32::from_le_bytes(*checksum) == crc32c::crc32c(rest) {
        true => Ok(rest),
        false => Err(FormatError::Checksum { what: DOCUMENT }),
    }
}

fn wrong(operation: &'static str, dir: &Path, error: &lsm_tree::Error) -> JournalError {
    match error {
        lsm_tree::Error::Io(error) => JournalError::disk(operation, dir, error),
        damage => JournalError::damaged(dir.display().to_string(), damage.to_string()),
    }
}
