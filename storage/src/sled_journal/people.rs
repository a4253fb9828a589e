//! The vault in sled: clear texts of plates and people, each behind a pseudonym.
//!
//! People lie in the order in which they came, several in one value, and a pseudonym says which place it
//! has: so a commit appends the people of all its bookings with one insert, in front of its frames. (An
//! entry of its own for every plate, and one more for its hash, cost more than the booking: each lands on
//! another page, and each page is logged.) Who is known is kept in memory, 40 to 75 bytes each, under a hash
//! whose secret ends with the process.
//!
//! Directories of format 1 have people under random pseudonyms in a tree of their own; they stay there, and whoever
//! is erased there leaves the key. No place is ever empty: see [`super::places`].

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use bincode::{BorrowDecode, Decode, Encode};
use dashmap::DashMap;
use lotkeeper_engine::ids::Pseudonym;
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::Cache;
use uuid::{Builder, Uuid};

use super::live::Live;
use super::old_people;
use super::places::{Census, Gone, Run};
use crate::error::JournalError;
use crate::format::{CHUNK_BYTES_MAX, Holdings};
use crate::vault::{Identity, PersonKind};

/// Clear texts kept in memory: about 100 bytes each.
const CLEAR_TEXTS_CACHED_MAX: usize = 50_000;
/// People who wait without a commit of their own before the journal writes them.
const CROWD: usize = 1_024;
/// Random bytes of a pseudonym, the six bits of a UUID's version and variant included.
const RANDOM_BYTES: usize = 10;
/// Drawn at once: a call of the kernel costs as much as the rest of a new person.
const RANDOM_POOL_BYTES: usize = 64 * RANDOM_BYTES;
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
        place_of(&self.pseudonym)
    }

    fn is_erased(&self) -> bool {
        Run::of(&self.read()).is_some()
    }

    fn read(&self) -> Read<'_> {
        let Person { tenant, kind, clear } = &self.person;
        Read { pseudonym: self.pseudonym, tenant, kind: *kind, clear }
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

impl Read<'static> {
    /// An entry without texts: see [`super::places`].
    pub(super) fn new(pseudonym: [u8; 16], kind: u8) -> Self {
        Self { pseudonym, tenant: "", kind, clear: "" }
    }
}

impl Read<'_> {
    pub(crate) fn pseudonym(&self) -> Uuid {
        Uuid::from_bytes(self.pseudonym)
    }
}

/// The place of a person; nothing for those of format 1.
pub(crate) fn serial_of(pseudonym: Uuid) -> Option<u64> {
    (pseudonym.get_version_num() == 8).then(|| place_of(pseudonym.as_bytes()))
}

/// The place in the bytes of a pseudonym that has one.
pub(crate) fn place_of(pseudonym: &[u8; 16]) -> u64 {
    pseudonym[..6].iter().fold(0, |place, byte| place << 8 | u64::from(*byte))
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
    identity: Identity,
    pub(super) queue: Mutex<Queue>,
    /// Held by whoever changes the tree: the commit, or an erasure.
    pub(super) gate: Mutex<()>,
    /// Held exclusively by an erasure: what it erases does not come back into `clear`.
    pub(super) erasing: RwLock<()>,
    pub(super) clear: Cache<Uuid, Arc<str>>,
    /// What was handed to the tree; changed by whoever has the gate.
    written: Mutex<Extent>,
    /// What of it is on the disk at least.
    durable: Mutex<Extent>,
    /// People under random pseudonyms, erased ones too.
    old_people: u64,
}

/// How far people go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The next place.
    pub(crate) places: u64,
    /// How many were erased.
    pub(crate) erased: u64,
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

    /// Leaves a run in the place of a person who is not on the disk yet; tells whether there is one.
    pub(super) fn erase(&mut self, pseudonym: Uuid) -> bool {
        let bytes = pseudonym.into_bytes();
        let Some(placed) = self.waiting.iter_mut().find(|placed| placed.pseudonym == bytes) else {
            return false;
        };
        let run = Run::erased(placed.serial()).entry();
        let nobody = Person { tenant: String::new(), kind: run.kind, clear: String::new() };
        *placed = Placed { pseudonym: run.pseudonym, person: nobody };
        true
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
    /// Reads who is known, and says what a walk over them found; at least `named` places were given.
    pub(crate) fn load(
        live: &Live,
        identity: Identity,
        named: u64,
        why: Gone,
    ) -> Result<(Self, Census), JournalError> {
        let mut people = Self {
            known: DashMap::default(),
            secrets: (RandomState::new(), RandomState::new()),
            identity,
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
            written: Mutex::default(),
            durable: Mutex::default(),
            old_people: 0,
        };
        // Of two texts that have become one identity since, the later one counts: its promises are the younger ones.
        let census = Census::take(live, named, why, &mut |read| {
            let name = people.name_of(read.tenant, read.kind, read.clear);
            people.known.insert(name, Pseudonym(read.pseudonym()));
        })?;
        old_people::load(live, &mut |person, pseudonym| {
            people.known.entry(people.name(&person)).or_insert(pseudonym);
        })?;
        let extent = Extent { places: census.places, erased: census.erased };
        (people.written, people.durable) = (Mutex::new(extent), Mutex::new(extent));
        people.old_people = census.old_people;
        people.queue.lock().next_serial = census.places;
        Ok((people, census))
    }

    /// How many are known.
    pub(crate) fn count(&self) -> u64 {
        self.known.len() as u64
    }

    pub(super) fn name(&self, person: &Person) -> Name {
        self.name_of(&person.tenant, person.kind, &person.clear)
    }

    pub(super) fn name_of(&self, tenant: &str, kind: u8, clear: &str) -> Name {
        let identity = match kind_of(kind) {
            Some(person) => (self.identity)(person, clear),
            None => clear.into(),
        };
        let name = |secret: &RandomState| secret.hash_one((tenant, kind, &*identity));
        (name(&self.secrets.0), name(&self.secrets.1))
    }

    /// Whether so many wait that they are worth a write without a commit: long before newcomers are sent away.
    pub(crate) fn is_crowded(&self) -> bool {
        self.queue.lock().waiting.len() >= CROWD
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
        let mut written = self.written.lock();
        written.places = people.last().map_or(written.places, |last| last.serial() + 1);
        written.erased += people.iter().filter(|placed| placed.is_erased()).count() as u64;
        Ok(())
    }

    /// What was handed to the tree so far: durable with the next flush.
    pub(crate) fn written(&self) -> Extent {
        *self.written.lock()
    }

    /// Notes what a flush has got onto the disk: what was written before it began.
    pub(crate) fn is_durable(&self, written: Extent) {
        let mut durable = self.durable.lock();
        durable.places = durable.places.max(written.places);
        durable.erased = durable.erased.max(written.erased);
    }

    /// Notes an erasure in the tree.
    pub(super) fn has_erased(&self) {
        self.written.lock().erased += 1;
    }

    /// For the tip file.
    pub(crate) fn holdings(&self, first_seq: u64) -> Holdings {
        let Extent { places, erased } = *self.durable.lock();
        Holdings { first_seq, places, erased, old_people: self.old_people }
    }
}

pub(crate) fn append(value: &mut Vec<u8>, person: &impl Encode) -> Result<(), JournalError> {
    let config = bincode::config::standard();
    bincode::encode_into_std_write(person, value, config)
        .map(|_| ())
        .map_err(|error| JournalError::damaged("a clear text", error.to_string()))
}

/// The people of a value and their empty places, up to the first that is damaged.
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

/// Counts the people of a value that lies in a backup.
pub(crate) fn count(value: &[u8]) -> Result<u64, JournalError> {
    let mut people = 0;
    for read in read_all(value) {
        let read = read.map_err(|error| {
            JournalError::damaged("a value of people".to_owned(), format!("a person: {error}"))
        })?;
        people += u64::from(Run::of(&read).is_none());
    }
    Ok(people)
}

/// A kind as it is on the disk.
pub(super) fn kind_number(kind: PersonKind) -> u8 {
    match kind {
        PersonKind::Subject => 0,
        PersonKind::Vehicle => 1,
        // 2 and 3 are places that have nobody (`places.rs`).
        PersonKind::Request => 4,
    }
}

/// The kind behind a number on the disk.
fn kind_of(number: u8) -> Option<PersonKind> {
    [PersonKind::Subject, PersonKind::Vehicle, PersonKind::Request]
        .into_iter()
        .find(|kind| kind_number(*kind) == number)
}

/// The value that holds a place: the last one that begins at or before it.
pub(super) fn chunk_at(
    live: &Live,
    serial: u64,
) -> Result<Option<(sled::IVec, sled::IVec)>, JournalError> {
    let found = live.people.range(..=serial.to_be_bytes()).next_back().transpose();
    found.map_err(|error| live.error("read", &error))
}
