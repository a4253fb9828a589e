//! The vault in sled: clear texts of plates and people, each behind a pseudonym.
//!
//! People lie in the order in which they came, several in one value, and a pseudonym says which place it
//! has: so a commit appends the people of all its bookings with one insert, in front of its frames. (An
//! entry of its own for every plate, and one more for its hash, cost more than the booking: each lands on
//! another page, and each page is logged.) Who is known is kept in memory, 40 to 75 bytes each, under a hash
//! whose secret ends with the process.
//!
//! Directories of format 1 have people under random pseudonyms in a tree of their own; they stay there.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use bincode::{BorrowDecode, Decode, Encode};
use dashmap::DashMap;
use lotkeeper_engine::ids::Pseudonym;
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::Cache;
use uuid::{Builder, Uuid};

use super::live::Live;
use crate::error::JournalError;
use crate::format::CHUNK_BYTES_MAX;
use crate::vault::PersonKind;

/// Clear texts kept in memory: about 100 bytes each.
const CLEAR_TEXTS_CACHED_MAX: usize = 50_000;
/// Random bytes of a pseudonym, the six bits of a UUID's version and variant included.
const RANDOM_BYTES: usize = 10;
/// Drawn at once: a call of the kernel costs as much as the rest of a new person.
const RANDOM_POOL_BYTES: usize = 64 * RANDOM_BYTES;
/// Format 1: before a pseudonym in the old tree, and before a hash.
const OLD_BY_PSEUDONYM: u8 = 2;
const OLD_BY_HASH: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Person {
    pub(super) tenant: String,
    pub(super) kind: u8,
    pub(super) clear: String,
}

/// A person in a value of the tree.
#[derive(Clone, Debug, Encode)]
pub(super) struct Placed {
    pub(super) pseudonym: [u8; 16],
    person: Person,
}

impl Placed {
    fn serial(&self) -> u64 {
        serial_of(Uuid::from_bytes(self.pseudonym)).unwrap_or_default()
    }
}

/// The same while it is read: a value has many, and mostly one is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct Read<'a> {
    pseudonym: [u8; 16],
    pub(crate) tenant: &'a str,
    pub(crate) kind: u8,
    pub(crate) clear: &'a str,
}

impl Read<'_> {
    pub(crate) fn pseudonym(&self) -> Uuid {
        Uuid::from_bytes(self.pseudonym)
    }
}

/// The place of a person; nothing for those of format 1.
pub(super) fn serial_of(pseudonym: Uuid) -> Option<u64> {
    let bytes = pseudonym.as_bytes();
    let serial = bytes[..6].iter().fold(0, |serial, byte| serial << 8 | u64::from(*byte));
    (pseudonym.get_version_num() == 8).then_some(serial)
}

/// Two hashes of a person, each with a secret of its own: 128 bits, so that two people never share them.
type Name = (u64, u64);

/// Names are hashes already.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, half: u64) {
        self.0 ^= half;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Who is known, and who is not on the disk yet.
///
/// Locks are taken in this order: the journal directory's, `gate`, `erasing`, an entry of `known`, `queue`.
pub(crate) struct People {
    pub(super) known: DashMap<Name, Pseudonym, BuildHasherDefault<AsItIs>>,
    secrets: (RandomState, RandomState),
    pub(super) queue: Mutex<Queue>,
    /// Held by whoever changes the tree: the commit, or an erasure.
    pub(super) gate: Mutex<()>,
    /// Held exclusively by an erasure: what it erases does not come back into `clear`.
    pub(super) erasing: RwLock<()>,
    pub(super) clear: Cache<Uuid, Arc<str>>,
}

/// People on their way to the tree, in the order of their places.
pub(super) struct Queue {
    pub(super) waiting: Vec<Placed>,
    writing: Arc<Vec<Placed>>,
    next_serial: u64,
    random: [u8; RANDOM_POOL_BYTES],
    random_left: usize,
}

impl Queue {
    pub(super) fn add(&mut self, person: Person) -> Result<Pseudonym, getrandom::Error> {
        if self.random_left == 0 {
            getrandom::fill(&mut self.random)?;
            self.random_left = RANDOM_POOL_BYTES;
        }
        let drawn = &self.random[self.random_left - RANDOM_BYTES..self.random_left];
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&self.next_serial.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(drawn);
        let pseudonym = Builder::from_custom_bytes(bytes).into_uuid();
        self.random_left -= RANDOM_BYTES;
        self.next_serial += 1;
        self.waiting.push(Placed { pseudonym: pseudonym.into_bytes(), person });
        Ok(Pseudonym(pseudonym))
    }

    pub(super) fn find(&self, pseudonym: Uuid, serial: u64) -> Option<&Person> {
        [&self.waiting, &*self.writing]
            .into_iter()
            .find_map(|people| {
                let at = people.binary_search_by_key(&serial, Placed::serial).ok()?;
                Some(&people[at]).filter(|placed| placed.pseudonym == pseudonym.into_bytes())
            })
            .map(|placed| &placed.person)
    }
}

impl People {
    /// Reads who is known. Drops what format 1 kept to find people by: hashes under a secret on the disk.
    pub(crate) fn load(live: &Live) -> Result<Self, JournalError> {
        let people = Self {
            known: DashMap::default(),
            secrets: (RandomState::new(), RandomState::new()),
            queue: Mutex::new(Queue {
                waiting: Vec::new(),
                writing: Arc::default(),
                next_serial: 0,
                random: [0; RANDOM_POOL_BYTES],
                random_left: 0,
            }),
            gate: Mutex::default(),
            erasing: RwLock::default(),
            clear: Cache::new(CLEAR_TEXTS_CACHED_MAX),
        };
        let mut next_serial = 0;
        for value in live.people.iter().values() {
            let value = value.map_err(|error| live.error("read", &error))?;
            for read in decode(live, &value) {
                let read = read?;
                let pseudonym = read.pseudonym();
                next_serial = next_serial.max(serial_of(pseudonym).unwrap_or_default() + 1);
                let name = people.name_of(read.tenant, read.kind, read.clear);
                people.known.insert(name, Pseudonym(pseudonym));
            }
        }
        for entry in &live.old_vault {
            let (key, value) = entry.map_err(|error| live.error("read", &error))?;
            match key.split_first() {
                Some((&OLD_BY_PSEUDONYM, pseudonym)) => {
                    let damaged = || JournalError::damaged(live.place(), "a pseudonym is not one");
                    let pseudonym = Uuid::from_slice(pseudonym).map_err(|_| damaged())?;
                    let person = decode_old(live, &value)?;
                    people.known.insert(people.name(&person), Pseudonym(pseudonym));
                }
                Some((&OLD_BY_HASH, _)) => {
                    live.remove(&live.old_vault, key)?;
                }
                _ => return Err(JournalError::damaged(live.place(), "a strange entry in `vault`")),
            }
        }
        people.queue.lock().next_serial = next_serial;
        Ok(people)
    }

    /// How many are known.
    pub(crate) fn count(&self) -> u64 {
        self.known.len() as u64
    }

    pub(super) fn name(&self, person: &Person) -> Name {
        self.name_of(&person.tenant, person.kind, &person.clear)
    }

    pub(super) fn name_of(&self, tenant: &str, kind: u8, clear: &str) -> Name {
        let name = |secret: &RandomState| secret.hash_one((tenant, kind, clear));
        (name(&self.secrets.0), name(&self.secrets.1))
    }

    /// Writes who waits; durable with the next flush. The journal calls it before the frames of a commit.
    pub(crate) fn write(&self, live: &Live) -> Result<(), JournalError> {
        let _gate = self.gate.lock();
        let people = {
            let mut queue = self.queue.lock();
            if queue.waiting.is_empty() {
                return Ok(());
            }
            queue.writing = Arc::new(std::mem::take(&mut queue.waiting));
            Arc::clone(&queue.writing)
        };
        let mut left = people.as_slice();
        while let Some(first) = left.first() {
            let mut value = Vec::new();
            let mut taken = 0;
            for placed in left {
                let before = value.len();
                append(&mut value, placed)?;
                if taken > 0 && value.len() > CHUNK_BYTES_MAX {
                    value.truncate(before);
                    break;
                }
                taken += 1;
            }
            live.put(&live.people, first.serial().to_be_bytes(), value)?;
            left = &left[taken..];
        }
        // Only now: whoever is not waiting any more is found in the tree.
        self.queue.lock().writing = Arc::default();
        Ok(())
    }
}

pub(crate) fn append(value: &mut Vec<u8>, person: &impl Encode) -> Result<(), JournalError> {
    let config = bincode::config::standard();
    bincode::encode_into_std_write(person, value, config)
        .map(|_| ())
        .map_err(|error| JournalError::damaged("a clear text", error.to_string()))
}

/// The people of a value, up to the first that is damaged.
pub(super) fn decode<'a>(
    live: &Live,
    value: &'a [u8],
) -> impl Iterator<Item = Result<Read<'a>, JournalError>> {
    let damaged = |error| JournalError::damaged(live.place(), format!("a person: {error}"));
    read_all(value).map(move |read| read.map_err(damaged))
}

/// The same without a journal to name.
pub(crate) fn read_all(
    mut value: &[u8],
) -> impl Iterator<Item = Result<Read<'_>, bincode::error::DecodeError>> {
    let config = bincode::config::standard().with_limit::<65_536>();
    std::iter::from_fn(move || {
        if value.is_empty() {
            return None;
        }
        let decoded = bincode::borrow_decode_from_slice(value, config);
        let rest = decoded.as_ref().map_or(value.len(), |(_, bytes)| *bytes);
        value = &value[rest..];
        Some(decoded.map(|(read, _)| read))
    })
}

pub(super) fn decode_old(live: &Live, value: &[u8]) -> Result<Person, JournalError> {
    decode_old_from(|| live.place(), value)
}

fn decode_old_from(place: impl Fn() -> String, value: &[u8]) -> Result<Person, JournalError> {
    let config = bincode::config::standard().with_limit::<65_536>();
    let decoded = bincode::decode_from_slice(value, config);
    let (person, _) = decoded.map_err(|error| JournalError::damaged(place(), error.to_string()))?;
    Ok(person)
}

/// Counts the people of a value that lies in a backup.
pub(crate) fn count(value: &[u8]) -> Result<u64, JournalError> {
    let mut people = 0;
    for read in read_all(value) {
        read.map_err(|error| {
            JournalError::damaged("a value of people".to_owned(), format!("a person: {error}"))
        })?;
        people += 1;
    }
    Ok(people)
}

/// The same for a value of format 1.
pub(crate) fn count_old(value: &[u8]) -> Result<u64, JournalError> {
    decode_old_from(|| "a value of people".to_owned(), value).map(|_| 1)
}

/// Whether a key of the old tree leads to a person, and not from a hash.
pub(super) fn is_person_of_format_1(key: &[u8]) -> bool {
    key.first() == Some(&OLD_BY_PSEUDONYM)
}

/// The value of a person behind a random pseudonym, with its key, as format 1 had them.
pub(crate) fn old_entry(
    pseudonym: Uuid,
    tenant: &str,
    kind: PersonKind,
    clear: &str,
) -> Result<(Vec<u8>, Vec<u8>), JournalError> {
    let (tenant, clear) = (tenant.to_owned(), clear.to_owned());
    let mut value = Vec::new();
    append(&mut value, &Person { tenant, kind: kind_number(kind), clear })?;
    Ok((old_key(pseudonym).to_vec(), value))
}

/// A kind as it is on the disk.
pub(super) fn kind_number(kind: PersonKind) -> u8 {
    match kind {
        PersonKind::Subject => 0,
        PersonKind::Vehicle => 1,
    }
}

pub(super) fn old_key(pseudonym: Uuid) -> [u8; 17] {
    let mut key = [OLD_BY_PSEUDONYM; 17];
    key[1..].copy_from_slice(pseudonym.as_bytes());
    key
}

/// The value that holds a place: the last one that begins at or before it.
pub(super) fn chunk_at(
    live: &Live,
    serial: u64,
) -> Result<Option<(sled::IVec, sled::IVec)>, JournalError> {
    let found = live.people.range(..=serial.to_be_bytes()).next_back().transpose();
    found.map_err(|error| live.error("read", &error))
}

/// Counts people, and those who do not lie where their pseudonym says.
pub(crate) fn census(live: &Live) -> Result<(u64, u64), JournalError> {
    let (mut people, mut misplaced, mut next) = (0, 0, 0);
    for entry in &live.people {
        let (key, value) = entry.map_err(|error| live.error("read", &error))?;
        let first = key.iter().fold(0, |serial, byte| serial << 8 | u64::from(*byte));
        next = first.max(next);
        for read in decode(live, &value) {
            people += 1;
            match serial_of(read?.pseudonym()).filter(|serial| *serial >= next) {
                Some(serial) => next = serial + 1,
                None => misplaced += 1,
            }
        }
    }
    for key in live.old_vault.iter().keys() {
        let key = key.map_err(|error| live.error("read", &error))?;
        people += u64::from(is_person_of_format_1(&key));
    }
    Ok((people, misplaced))
}
