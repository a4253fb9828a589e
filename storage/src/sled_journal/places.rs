//! Places of people: none is ever without a person or a run that says what became of them, so that people whom
//! the disk lost are found missing.
//!
//! A run stands in a value like a person: its pseudonym has the first place, zeros and the number of places, its
//! kind says why they are empty, its texts are empty. Nothing of a person is in it. An erasure leaves one in the
//! person's place; runs beside each other in a value are one, and a rotation joins values that are runs, so there is
//! at most about one for every person who is left.
//!
//! What a start finds missing becomes runs as well: it is told by that start as new, and counted by later ones.

use super::live::Live;
use super::old_people::is_person;
use super::people::{Read, append, place_of, read_all};
use crate::error::JournalError;
use crate::format::Holdings;

/// The kind of a run: erased, or found missing. People have other kinds (`people.rs`).
const ERASED: u8 = 2;
const LOST: u8 = 3;
/// Of a run in a value: a pseudonym, two empty texts, a kind.
const RUN_BYTES: usize = 16 + 3;

/// Why a place has nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Erased,
    Lost,
}

/// Places beside each other that have nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) why: Gone,
}

impl Run {
    /// Of one place.
    pub(super) fn erased(place: u64) -> Self {
        Self { first: place, count: 1, why: Gone::Erased }
    }

    /// What an entry of a value says; nothing when it is a person.
    pub(super) fn of(read: &Read<'_>) -> Option<Self> {
        let why = match read.kind {
            ERASED => Gone::Erased,
            LOST => Gone::Lost,
            _ => return None,
        };
        let bytes = read.pseudonym().into_bytes();
        let count = bytes[8..].iter().fold(0, |count, byte| count << 8 | u64::from(*byte));
        Some(Self { first: place_of(&bytes), count, why })
    }

    fn next(self) -> u64 {
        self.first.saturating_add(self.count)
    }

    /// As it lies in a value.
    pub(super) fn entry(self) -> Read<'static> {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&self.first.to_be_bytes()[2..]);
        bytes[8..].copy_from_slice(&self.count.to_be_bytes());
        let kind = match self.why {
            Gone::Erased => ERASED,
            Gone::Lost => LOST,
        };
        Read::new(bytes, kind)
    }

    /// A value that is nothing else.
    fn value(self) -> Result<Vec<u8>, JournalError> {
        let mut value = Vec::new();
        append(&mut value, &self.entry())?;
        Ok(value)
    }
}

/// Writes a value; joins runs that touch.
#[derive(Default)]
struct Row {
    value: Vec<u8>,
    open: Option<Run>,
}

impl Row {
    fn push(&mut self, read: &Read<'_>) -> Result<(), JournalError> {
        match Run::of(read) {
            Some(run) => self.run(run),
            None => self.close().and_then(|()| append(&mut self.value, read)),
        }
    }

    fn run(&mut self, run: Run) -> Result<(), JournalError> {
        match &mut self.open {
            Some(open) if open.next() == run.first && open.why == run.why => {
                open.count = open.count.saturating_add(run.count);
            }
            _ => {
                self.close()?;
                self.open = Some(run);
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        self.open.take().map_or(Ok(()), |run| append(&mut self.value, &run.entry()))
    }

    fn finish(mut self) -> Result<Vec<u8>, JournalError> {
        self.close()?;
        Ok(self.value)
    }
}

/// A value with a run in the place of one of its people.
pub(super) fn without(
    live: &Live,
    value: &[u8],
    pseudonym: uuid::Uuid,
) -> Result<Vec<u8>, JournalError> {
    let mut row = Row::default();
    for read in decode(live, value) {
        let read = read?;
        match read.pseudonym() == pseudonym {
            true => row.run(Run::erased(place_of(pseudonym.as_bytes())))?,
            false => row.push(&read)?,
        }
    }
    row.finish()
}

/// The same value without a hole inside.
fn filled(live: &Live, key: u64, value: &[u8], why: Gone) -> Result<Vec<u8>, JournalError> {
    let (mut row, mut next) = (Row::default(), key);
    for read in decode(live, value) {
        let read = read?;
        let (first, after) = span(&read);
        if first > next {
            row.run(Run { first: next, count: first - next, why })?;
        }
        row.push(&read)?;
        next = after.max(next);
    }
    row.finish()
}

/// First place of an entry, and the place after its last.
fn span(read: &Read<'_>) -> (u64, u64) {
    match Run::of(read) {
        Some(run) => (run.first, run.next()),
        None => {
            let place = place_of(read.pseudonym().as_bytes());
            (place, place + 1)
        }
    }
}

/// The people of a value, up to the first that is damaged.
pub(super) fn decode<'a>(
    live: &Live,
    value: &'a [u8],
) -> impl Iterator<Item = Result<Read<'a>, JournalError>> {
    let damaged = |error| JournalError::damaged(live.place(), format!("a person: {error}"));
    read_all(value).map(move |read| read.map_err(damaged))
}

/// What a walk over all people found.
#[derive(Debug, Default)]
pub(crate) struct Census {
    pub(crate) people: u64,
    /// Who do not lie where their pseudonym says.
    pub(crate) misplaced: u64,
    /// The next place.
    pub(crate) places: u64,
    /// How many were erased, under random pseudonyms too.
    pub(crate) erased: u64,
    /// Found missing by an earlier start.
    pub(crate) lost_before: u64,
    /// Places that have nobody and no run.
    pub(crate) missing: u64,
    /// People under random pseudonyms, erased ones too.
    pub(crate) old_people: u64,
    /// Values that put runs where places are missing.
    mended: Vec<(u64, Vec<u8>)>,
}

/// What a census says of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Places that are lost: of people whom nobody erased, but for erasures that are lost with them.
    pub(crate) people: u64,
    /// Erasures without a trace: undone, or lost with the place.
    pub(crate) erasures: u64,
}

impl Census {
    /// Walks over all people. At least `named` places were given; `why` is what missing ones are taken for.
    pub(crate) fn take(
        live: &Live,
        named: u64,
        why: Gone,
        on_person: &mut dyn FnMut(&Read<'_>),
    ) -> Result<Self, JournalError> {
        let mut census = Self::default();
        for entry in &live.people {
            let (key, value) = entry.map_err(|error| live.error("read", &error))?;
            let key = key.iter().fold(0, |place, byte| place << 8 | u64::from(*byte));
            census.skip_to(key, why)?;
            if census.value(live, &value, on_person)? {
                census.mended.push((key, filled(live, key, &value, why)?));
            }
        }
        census.skip_to(named, why)?;
        if why == Gone::Erased {
            census.erased += std::mem::take(&mut census.missing);
        }
        for entry in &live.old_vault {
            let (key, value) = entry.map_err(|error| live.error("read", &error))?;
            if is_person(&key) {
                census.old_people += 1;
                *(if value.is_empty() { &mut census.erased } else { &mut census.people }) += 1;
            }
        }
        Ok(census)
    }

    /// Notes that nothing lies before a place.
    fn skip_to(&mut self, place: u64, why: Gone) -> Result<(), JournalError> {
        if place > self.places {
            let run = Run { first: self.places, count: place - self.places, why };
            self.mended.push((run.first, run.value()?));
            self.missing += run.count;
            self.places = place;
        }
        Ok(())
    }

    /// Reads a value; tells whether places are missing inside of it.
    fn value(
        &mut self,
        live: &Live,
        value: &[u8],
        on_person: &mut dyn FnMut(&Read<'_>),
    ) -> Result<bool, JournalError> {
        let mut has_holes = false;
        for read in decode(live, value) {
            let read = read?;
            let (first, after) = span(&read);
            if first > self.places {
                self.missing += first - self.places;
                has_holes = true;
            }
            self.misplaced += u64::from(first < self.places);
            self.places = after.max(self.places);
            match Run::of(&read) {
                Some(Run { count, why: Gone::Erased, .. }) => {
                    self.erased = self.erased.saturating_add(count);
                }
                Some(Run { count, why: Gone::Lost, .. }) => {
                    self.lost_before = self.lost_before.saturating_add(count);
                }
                None => {
                    self.people += 1;
                    on_person(&read);
                }
            }
        }
        Ok(has_holes)
    }

    /// Compares with what the directory held.
    pub(crate) fn losses(&self, held: Option<Holdings>) -> Losses {
        let held = held.unwrap_or_default();
        Losses {
            people: self.missing + held.old_people.saturating_sub(self.old_people),
            erasures: held.erased.saturating_sub(self.erased),
        }
    }

    /// What the tip file says of a directory like this.
    pub(crate) fn holdings(&self, first_seq: u64) -> Holdings {
        let Self { places, erased, old_people, .. } = *self;
        Holdings { first_seq, places, erased, old_people }
    }

    /// Puts runs where places are missing; durable with the next flush.
    pub(crate) fn mend(&mut self, live: &Live) -> Result<(), JournalError> {
        for (key, value) in std::mem::take(&mut self.mended) {
            live.put(&live.people, key.to_be_bytes(), value)?;
        }
        Ok(())
    }
}

/// Copies all people, and makes one value of neighbours that are runs. Nobody may write people meanwhile.
pub(super) fn copy(from: &Live, to: &Live) -> Result<(), JournalError> {
    let put = |key: u64, value: &[u8]| {
        let inserted = to.people.insert(key.to_be_bytes(), value);
        inserted.map(drop).map_err(|error| to.error("write", &error))
    };
    let mut open: Option<Run> = None;
    for entry in &from.people {
        let (key, value) = entry.map_err(|error| from.error("read", &error))?;
        let alone = match value.len() == RUN_BYTES {
            true => decode(from, &value).next().transpose()?.and_then(|read| Run::of(&read)),
            false => None,
        };
        match (&mut open, alone) {
            (Some(open), Some(run)) if open.next() == run.first && open.why == run.why => {
                open.count = open.count.saturating_add(run.count);
                continue;
            }
            _ => {}
        }
        if let Some(run) = open.take() {
            put(run.first, &run.value()?)?;
        }
        match alone {
            Some(run) => open = Some(run),
            None => {
                let key = key.iter().fold(0, |place, byte| place << 8 | u64::from(*byte));
                put(key, &value)?;
            }
        }
    }
    open.map_or(Ok(()), |run| put(run.first, &run.value()?))
}
