//! The door to the people of the live journal: found and made in memory, revealed and erased on the disk.
//!
//! Invariant: a pseudonym that was given out leads to its person as soon as a record that names it is durable;
//! a write that fails on the way poisons the journal. How people lie on the disk is told in `people.rs`.

use std::sync::Arc;

use dashmap::mapref::entry::Entry;
use lotkeeper_engine::ids::Pseudonym;
use uuid::Uuid;

use super::live::Live;
use super::old_people;
use super::people::{Person, chunk_at, kind_number, serial_of};
use super::places::{decode, without};
use super::shared::Shared;
use crate::error::JournalError;
use crate::vault::{PersonKind, Vault};

/// People who wait for the journal's thread at most. Requests that are refused make people and no commits: without
/// a bound they would fill the memory. Whoever comes then is sent away, because a caller who wrote them himself
/// would wait for the disk in a thread that others need.
const WAITING_MAX: usize = 4_096;

/// Of a clear text that is kept in memory: a plate or a name, not what somebody asks for at length.
const CACHED_BYTES_MAX: usize = 256;

pub(super) struct SledVault(pub(super) Arc<Shared>);

impl SledVault {
    fn person(&self, live: &Live, pseudonym: Uuid) -> Result<Option<Person>, JournalError> {
        let Some(serial) = serial_of(pseudonym) else {
            let found = live.old_vault.get(old_people::key(pseudonym));
            let found = found.map_err(|error| live.error("read", &error))?;
            let there = found.filter(|value| !value.is_empty());
            return there.map(|value| old_people::decode(live, &value)).transpose();
        };
        if let Some(person) = self.0.people.queue.lock().find(pseudonym, serial) {
            return Ok(Some(person.clone()));
        }
        let Some((_, value)) = chunk_at(live, serial)? else { return Ok(None) };
        for read in decode(live, &value) {
            let read = read?;
            if read.pseudonym() == pseudonym {
                let (tenant, clear) = (read.tenant.to_owned(), read.clear.to_owned());
                return Ok(Some(Person { tenant, kind: read.kind, clear }));
            }
        }
        Ok(None)
    }

    /// Takes a person out of the tree or out of the queue, and leaves the empty place.
    fn remove(&self, live: &Live, pseudonym: Uuid) -> Result<(), JournalError> {
        let people = &self.0.people;
        let Some(serial) = serial_of(pseudonym) else {
            live.put(&live.old_vault, old_people::key(pseudonym), Vec::new())?;
            people.has_erased();
            return Ok(());
        };
        if people.queue.lock().erase(pseudonym) {
            return Ok(());
        }
        let Some((key, value)) = chunk_at(live, serial)? else { return Ok(()) };
        live.put(&live.people, key, without(live, &value, pseudonym)?)?;
        people.has_erased();
        Ok(())
    }
}

impl Vault for SledVault {
    fn intern(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Pseudonym, JournalError> {
        let (people, kind) = (&self.0.people, kind_number(kind));
        let name = people.name_of(tenant, kind, clear);
        if let Some(known) = people.known.get(&name) {
            return Ok(*known);
        }
        self.0.check_poison()?;
        // The entry is held, so two requests of a new person do not make two of them.
        match people.known.entry(name) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(place) => {
                let person = Person { tenant: tenant.to_owned(), kind, clear: clear.to_owned() };
                let mut queue = people.queue.lock();
                let waiting = queue.waiting.len();
                if waiting >= WAITING_MAX {
                    return Err(JournalError::Crowded { waiting });
                }
                let pseudonym = queue.add(person).map_err(|error| {
                    let dir = self.0.layout.dir();
                    JournalError::disk("draw random numbers for", dir, &error)
                })?;
                place.insert(pseudonym);
                Ok(pseudonym)
            }
        }
    }

    fn find(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Option<Pseudonym>, JournalError> {
        let people = &self.0.people;
        let known = people.known.get(&people.name_of(tenant, kind_number(kind), clear));
        Ok(known.map(|pseudonym| *pseudonym))
    }

    fn reveal(&self, pseudonym: Pseudonym) -> Result<Option<Arc<str>>, JournalError> {
        let people = &self.0.people;
        if let Some(clear) = people.clear.get(&pseudonym.0) {
            return Ok(Some(clear));
        }
        let live = self.0.live.read();
        let _nobody_erases = people.erasing.read();
        let Some(person) = self.person(&live, pseudonym.0)? else { return Ok(None) };
        let clear: Arc<str> = person.clear.into();
        if clear.len() <= CACHED_BYTES_MAX {
            people.clear.insert(pseudonym.0, Arc::clone(&clear));
        }
        Ok(Some(clear))
    }

    fn erase(&self, pseudonym: Pseudonym) -> Result<bool, JournalError> {
        self.0.check_poison()?;
        let (people, live) = (&self.0.people, self.0.live.read());
        let _gate = people.gate.lock();
        let _erasing = people.erasing.write();
        let Some(person) = self.person(&live, pseudonym.0)? else { return Ok(false) };
        // Another text with the same identity stays: it is another entry.
        people.known.remove_if(&people.name(&person), |_, known| *known == pseudonym);
        people.clear.remove(&pseudonym.0);
        // Told to be gone, so it must not come back; and a write that failed here is lost for commits.
        let removed = self.remove(&live, pseudonym.0).and_then(|()| {
            let written = people.written();
            live.make_durable().map(|_| people.is_durable(written))
        });
        removed.map(|()| true).map_err(|error| self.0.poison(error))
    }
}
