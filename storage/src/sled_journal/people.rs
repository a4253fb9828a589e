//! The vault in a sled tree: clear texts of plates and people, each behind a random pseudonym.
//!
//! Two entries per person: a keyed hash of the clear text leads to the pseudonym, the pseudonym to the
//! clear text. Both are written as one batch, so neither is ever without the other. New people wait in
//! memory for the next commit, which writes them before its frames: sled's log has one order, so they are
//! on the disk when that commit is. (A batch of sled's own for every new plate costs more than the
//! booking it belongs to: each seals a buffer and wakes a thread.) Recently used people are kept in memory.

use std::collections::HashMap;
use std::sync::Arc;

use bincode::{Decode, Encode};
use hmac::{Hmac, KeyInit, Mac};
use lotkeeper_engine::ids::Pseudonym;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use sha2::Sha256;
use uuid::{Builder, Uuid};

use super::live::Live;
use super::shared::Shared;
use crate::error::JournalError;
use crate::vault::{PersonKind, Vault};

const BY_HASH: u8 = 1;
const BY_PSEUDONYM: u8 = 2;
/// Bytes of the secret behind the hashes.
pub(crate) const KEY_BYTES: usize = 32;

/// People kept in memory: about 200 bytes each.
const CACHED_MAX: usize = 50_000;

/// People who wait for a commit at most. Requests that are refused make people and no commits: without a
/// bound they would fill the memory.
const WAITING_MAX: usize = 4_096;

#[derive(Clone, Encode, Decode)]
struct Person {
    tenant: String,
    kind: u8,
    clear: String,
}

type HashKey = [u8; 17];

/// Who is known without asking sled: those not yet written, and those used of late.
pub(crate) struct People {
    waiting: Mutex<Waiting>,
    pseudonyms: Cache<HashKey, Pseudonym>,
    clear: Cache<Uuid, Arc<str>>,
}

/// Made since the last commit. In neither map without the other.
#[derive(Default)]
struct Waiting {
    by_hash: HashMap<HashKey, Pseudonym>,
    by_pseudonym: HashMap<Uuid, Person>,
}

impl Default for People {
    fn default() -> Self {
        let (pseudonyms, clear) = (Cache::new(CACHED_MAX), Cache::new(CACHED_MAX));
        Self { waiting: Mutex::default(), pseudonyms, clear }
    }
}

impl People {
    /// Writes who waits; durable with the next flush. The journal calls it before the frames of a commit.
    pub(crate) fn write(&self, live: &Live) -> Result<(), JournalError> {
        // Held to the end: whoever is not waiting any more is found in sled.
        self.waiting.lock().write(live)
    }
}

impl Waiting {
    fn write(&mut self, live: &Live) -> Result<(), JournalError> {
        if self.by_hash.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        for (by_hash, pseudonym) in &self.by_hash {
            batch.insert(by_hash, pseudonym.0.as_bytes());
        }
        for (pseudonym, person) in &self.by_pseudonym {
            let text = bincode::encode_to_vec(person, bincode::config::standard())
                .map_err(|error| JournalError::damaged("a clear text", error.to_string()))?;
            batch.insert(&key(BY_PSEUDONYM, pseudonym.as_bytes()), text);
        }
        live.vault.apply_batch(batch).map_err(|error| live.error("write", &error))?;
        *self = Self::default();
        Ok(())
    }
}

fn kind_number(kind: PersonKind) -> u8 {
    match kind {
        PersonKind::Subject => 0,
        PersonKind::Vehicle => 1,
    }
}

fn key(prefix: u8, name: &[u8; 16]) -> [u8; 17] {
    let mut key = [prefix; 17];
    key[1..].copy_from_slice(name);
    key
}

/// Nobody without the secret can find out whether a plate is known by hashing plates.
fn hashed(secret: &[u8; KEY_BYTES], person: &Person) -> [u8; 17] {
    // HMAC itself pads a shorter key with zeros up to the block of its hash.
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(secret);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    // Tenants have no zero byte: it parts them from what follows.
    mac.update(person.tenant.as_bytes());
    mac.update(&[0, person.kind, 0]);
    mac.update(person.clear.as_bytes());
    let hash: [u8; 32] = mac.finalize().into_bytes().into();
    let mut name = [0; 16];
    name.copy_from_slice(&hash[..16]);
    key(BY_HASH, &name)
}

pub(super) struct SledVault(pub(super) Arc<Shared>);

impl SledVault {
    /// The caller holds the lock of those who wait.
    fn lookup(
        &self,
        waiting: &Waiting,
        by_hash: &HashKey,
    ) -> Result<Option<Pseudonym>, JournalError> {
        if let Some(known) = waiting.by_hash.get(by_hash) {
            return Ok(Some(*known));
        }
        let live = self.0.live.read();
        let found = live.vault.get(by_hash).map_err(|error| live.error("read", &error))?;
        let Some(bytes) = found else { return Ok(None) };
        let damaged = |_| JournalError::damaged(live.place(), "a pseudonym has not 16 bytes");
        let bytes: [u8; 16] = bytes.as_ref().try_into().map_err(damaged)?;
        let pseudonym = Pseudonym(Uuid::from_bytes(bytes));
        self.0.people.pseudonyms.insert(*by_hash, pseudonym);
        Ok(Some(pseudonym))
    }

    /// The caller holds the lock of those who wait.
    fn person(
        &self,
        waiting: &Waiting,
        pseudonym: Pseudonym,
    ) -> Result<Option<Person>, JournalError> {
        if let Some(person) = waiting.by_pseudonym.get(&pseudonym.0) {
            return Ok(Some(person.clone()));
        }
        let live = self.0.live.read();
        let by_pseudonym = key(BY_PSEUDONYM, pseudonym.0.as_bytes());
        let found = live.vault.get(by_pseudonym).map_err(|error| live.error("read", &error))?;
        let Some(bytes) = found else { return Ok(None) };
        let config = bincode::config::standard().with_limit::<65_536>();
        let (person, _) = bincode::decode_from_slice(&bytes, config)
            .map_err(|error| JournalError::damaged(live.place(), error.to_string()))?;
        Ok(Some(person))
    }

    fn asked(tenant: &str, kind: PersonKind, clear: &str) -> Person {
        Person { tenant: tenant.to_owned(), kind: kind_number(kind), clear: clear.to_owned() }
    }
}

/// Counts people, and entries that have lost their other half.
pub(crate) fn census(live: &Live) -> Result<(u64, u64), JournalError> {
    let (mut pseudonyms, mut whole, mut lost) = (0_u64, 0_u64, 0_u64);
    for entry in &live.vault {
        let (name, value) = entry.map_err(|error| live.error("read", &error))?;
        if name.first() == Some(&BY_PSEUDONYM) {
            pseudonyms += 1;
            continue;
        }
        let mut by_pseudonym = vec![BY_PSEUDONYM];
        by_pseudonym.extend_from_slice(&value);
        let other = live.vault.contains_key(by_pseudonym);
        match other.map_err(|error| live.error("read", &error))? {
            true => whole += 1,
            false => lost += 1,
        }
    }
    Ok((whole, lost + pseudonyms.saturating_sub(whole)))
}

impl Vault for SledVault {
    fn intern(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Pseudonym, JournalError> {
        let person = Self::asked(tenant, kind, clear);
        let by_hash = hashed(&self.0.vault_key, &person);
        let people = &self.0.people;
        if let Some(known) = people.pseudonyms.get(&by_hash) {
            return Ok(known);
        }
        self.0.check_poison()?;
        // One at a time, so that two requests of a new person do not make two of them.
        let mut waiting = people.waiting.lock();
        if let Some(known) = self.lookup(&waiting, &by_hash)? {
            return Ok(known);
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            JournalError::disk("draw random numbers for", &self.0.live.read().dir, &error)
        })?;
        let pseudonym = Pseudonym(Builder::from_random_bytes(random).into_uuid());
        people.pseudonyms.insert(by_hash, pseudonym);
        people.clear.insert(pseudonym.0, person.clear.as_str().into());
        waiting.by_hash.insert(by_hash, pseudonym);
        waiting.by_pseudonym.insert(pseudonym.0, person);
        if waiting.by_hash.len() >= WAITING_MAX {
            waiting.write(&self.0.live.read())?;
        }
        Ok(pseudonym)
    }

    fn find(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Option<Pseudonym>, JournalError> {
        let by_hash = hashed(&self.0.vault_key, &Self::asked(tenant, kind, clear));
        if let Some(known) = self.0.people.pseudonyms.get(&by_hash) {
            return Ok(Some(known));
        }
        self.lookup(&self.0.people.waiting.lock(), &by_hash)
    }

    fn reveal(&self, pseudonym: Pseudonym) -> Result<Option<Arc<str>>, JournalError> {
        let people = &self.0.people;
        if let Some(clear) = people.clear.get(&pseudonym.0) {
            return Ok(Some(clear));
        }
        // Kept under the lock: a person who is erased meanwhile does not come back into memory.
        let waiting = people.waiting.lock();
        let Some(person) = self.person(&waiting, pseudonym)? else { return Ok(None) };
        let clear: Arc<str> = person.clear.into();
        people.clear.insert(pseudonym.0, Arc::clone(&clear));
        Ok(Some(clear))
    }

    fn erase(&self, pseudonym: Pseudonym) -> Result<bool, JournalError> {
        self.0.check_poison()?;
        let people = &self.0.people;
        let mut waiting = people.waiting.lock();
        let Some(person) = self.person(&waiting, pseudonym)? else { return Ok(false) };
        let by_hash = hashed(&self.0.vault_key, &person);
        waiting.by_hash.remove(&by_hash);
        waiting.by_pseudonym.remove(&pseudonym.0);
        people.pseudonyms.remove(&by_hash);
        people.clear.remove(&pseudonym.0);
        let live = self.0.live.read();
        let mut batch = sled::Batch::default();
        batch.remove(&key(BY_PSEUDONYM, pseudonym.0.as_bytes()));
        batch.remove(&by_hash);
        live.vault.apply_batch(batch).map_err(|error| live.error("write", &error))?;
        // Told to be gone, so it must not come back; and a sync that failed here is lost for commits.
        live.make_durable().map_err(|error| self.0.poison(error))?;
        Ok(true)
    }
}
