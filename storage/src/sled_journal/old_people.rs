//! People of directories that were format 1 once: each a value of a tree of their own, under a random pseudonym.
//!
//! Whoever is erased leaves the key and an empty value, so that their number only shrinks when the disk loses some.

use lotkeeper_engine::ids::Pseudonym;
use uuid::Uuid;

use super::live::Live;
use super::people::{Person, append, kind_number};
use crate::error::JournalError;
use crate::vault::PersonKind;

/// Before a pseudonym in a key, and before a hash.
const OLD_BY_PSEUDONYM: u8 = 2;
const OLD_BY_HASH: u8 = 1;

/// Reads who is there. Drops what format 1 kept to find people by: hashes under a secret on the disk.
pub(super) fn load(
    live: &Live,
    on_person: &mut dyn FnMut(Person, Pseudonym),
) -> Result<(), JournalError> {
    for entry in &live.old_vault {
        let (key, value) = entry.map_err(|error| live.error("read", &error))?;
        match key.split_first() {
            Some((&OLD_BY_PSEUDONYM, _)) if value.is_empty() => {}
            Some((&OLD_BY_PSEUDONYM, pseudonym)) => {
                let damaged = || JournalError::damaged(live.place(), "a pseudonym is not one");
                let pseudonym = Uuid::from_slice(pseudonym).map_err(|_| damaged())?;
                on_person(decode(live, &value)?, Pseudonym(pseudonym));
            }
            Some((&OLD_BY_HASH, _)) => live.remove(&live.old_vault, key)?,
            _ => return Err(JournalError::damaged(live.place(), "a strange entry in `vault`")),
        }
    }
    Ok(())
}

pub(super) fn decode(live: &Live, value: &[u8]) -> Result<Person, JournalError> {
    decode_from(|| live.place(), value)
}

fn decode_from(place: impl Fn() -> String, value: &[u8]) -> Result<Person, JournalError> {
    let config = bincode::config::standard().with_limit::<65_536>();
    let decoded = bincode::decode_from_slice(value, config);
    let (person, _) = decoded.map_err(|error| JournalError::damaged(place(), error.to_string()))?;
    Ok(person)
}

/// Counts the people of a value that lies in a backup: one, or nobody.
pub(crate) fn count(value: &[u8]) -> Result<u64, JournalError> {
    if value.is_empty() {
        return Ok(0);
    }
    decode_from(|| "a value of people".to_owned(), value).map(|_| 1)
}

/// Whether a key of the old tree leads to a person, and not from a hash.
pub(super) fn is_person(key: &[u8]) -> bool {
    key.first() == Some(&OLD_BY_PSEUDONYM)
}

/// The value of a person behind a random pseudonym, with its key, as format 1 had them.
pub(crate) fn entry(
    pseudonym: Uuid,
    tenant: &str,
    kind: PersonKind,
    clear: &str,
) -> Result<(Vec<u8>, Vec<u8>), JournalError> {
    let (tenant, clear) = (tenant.to_owned(), clear.to_owned());
    let mut value = Vec::new();
    append(&mut value, &Person { tenant, kind: kind_number(kind), clear })?;
    Ok((key(pseudonym).to_vec(), value))
}

pub(super) fn key(pseudonym: Uuid) -> [u8; 17] {
    let mut key = [OLD_BY_PSEUDONYM; 17];
    key[1..].copy_from_slice(pseudonym.as_bytes());
    key
}
