//! The vault in a sled tree: clear texts of plates and people, each behind a random pseudonym.
//!
//! Two entries per person: a keyed hash of the clear text leads to the pseudonym, the pseudonym to the
//! clear text. Both are written as one batch, so neither is ever without the other. sled's log has one
//! order: an entry made before a commit is on the disk when that commit is.

use std::sync::Arc;

use bincode::{Decode, Encode};
use hmac::{Hmac, KeyInit, Mac};
use lotkeeper_engine::ids::Pseudonym;
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

#[derive(Encode, Decode)]
struct Person {
    tenant: String,
    kind: u8,
    clear: String,
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
    fn lookup(live: &Live, by_hash: &[u8; 17]) -> Result<Option<Pseudonym>, JournalError> {
        let found = live.vault.get(by_hash).map_err(|error| live.error("read", &error))?;
        let Some(bytes) = found else { return Ok(None) };
        let damaged = |_| JournalError::damaged(live.place(), "a pseudonym has not 16 bytes");
        let bytes: [u8; 16] = bytes.as_ref().try_into().map_err(damaged)?;
        Ok(Some(Pseudonym(Uuid::from_bytes(bytes))))
    }

    fn person(live: &Live, pseudonym: Pseudonym) -> Result<Option<Person>, JournalError> {
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
        if let Some(known) = self.find(tenant, kind, clear)? {
            return Ok(known);
        }
        self.0.check_poison()?;
        // One writer, so that two requests of a new person do not make two of them.
        let _one = self.0.vault_writer.lock();
        let live = self.0.live.read();
        let person = Self::asked(tenant, kind, clear);
        let by_hash = hashed(&self.0.vault_key, &person);
        if let Some(known) = Self::lookup(&live, &by_hash)? {
            return Ok(known);
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| JournalError::disk("draw random numbers for", &live.dir, &error))?;
        let pseudonym = Builder::from_random_bytes(random).into_uuid();
        let text = bincode::encode_to_vec(&person, bincode::config::standard())
            .map_err(|error| JournalError::damaged("a clear text", error.to_string()))?;
        let mut batch = sled::Batch::default();
        batch.insert(&key(BY_PSEUDONYM, pseudonym.as_bytes()), text);
        batch.insert(&by_hash, pseudonym.as_bytes());
        live.vault.apply_batch(batch).map_err(|error| live.error("write", &error))?;
        Ok(Pseudonym(pseudonym))
    }

    fn find(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Option<Pseudonym>, JournalError> {
        let by_hash = hashed(&self.0.vault_key, &Self::asked(tenant, kind, clear));
        Self::lookup(&self.0.live.read(), &by_hash)
    }

    fn reveal(&self, pseudonym: Pseudonym) -> Result<Option<String>, JournalError> {
        Ok(Self::person(&self.0.live.read(), pseudonym)?.map(|person| person.clear))
    }

    fn erase(&self, pseudonym: Pseudonym) -> Result<bool, JournalError> {
        self.0.check_poison()?;
        let _one = self.0.vault_writer.lock();
        let live = self.0.live.read();
        let Some(person) = Self::person(&live, pseudonym)? else { return Ok(false) };
        let mut batch = sled::Batch::default();
        batch.remove(&key(BY_PSEUDONYM, pseudonym.0.as_bytes()));
        batch.remove(&hashed(&self.0.vault_key, &person));
        live.vault.apply_batch(batch).map_err(|error| live.error("write", &error))?;
        // Told to be gone, so it must not come back; and a sync that failed here is lost for commits.
        live.make_durable().map_err(|error| self.0.poison(error))?;
        Ok(true)
    }
}
