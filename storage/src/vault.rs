//! Clear texts of plates and people behind their pseudonyms: the one place where they can be erased.

use std::borrow::Cow;
use std::sync::Arc;

use lotkeeper_engine::ids::Pseudonym;

use crate::error::JournalError;

/// What a pseudonym stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PersonKind {
    /// A token's subject.
    Subject,
    /// A vehicle: country and plate.
    Vehicle,
    /// What somebody asks for, behind whoever it is that asks.
    Request,
}

/// What a clear text is found by: texts with one identity have one pseudonym, and the first of them is what it
/// reveals. Asked for what lies on the disk too, so it may change from release to release, but not while a journal
/// is open; a text that it does not understand is its own identity.
pub type Identity = for<'a> fn(PersonKind, &'a str) -> Cow<'a, str>;

/// Every text is its own identity.
#[must_use]
pub fn as_it_is(_: PersonKind, clear: &str) -> Cow<'_, str> {
    Cow::Borrowed(clear)
}

/// Maps clear texts to pseudonyms and back. Shared by threads; an entry is durable with the first commit
/// that returns after it was made.
pub trait Vault: Send + Sync {
    /// The pseudonym of a clear text, made at random when there is none.
    ///
    /// # Errors
    /// The disk.
    fn intern(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Pseudonym, JournalError>;
    /// The pseudonym of a clear text, if it has one.
    ///
    /// # Errors
    /// The disk.
    fn find(
        &self,
        tenant: &str,
        kind: PersonKind,
        clear: &str,
    ) -> Result<Option<Pseudonym>, JournalError>;
    /// The clear text, unless it was erased or never was.
    ///
    /// # Errors
    /// The disk.
    fn reveal(&self, pseudonym: Pseudonym) -> Result<Option<Arc<str>>, JournalError>;
    /// Erases a clear text for good; its bytes are gone from the disk after the next rotation at the latest.
    /// Tells whether there was one.
    ///
    /// # Errors
    /// The disk.
    fn erase(&self, pseudonym: Pseudonym) -> Result<bool, JournalError>;
}
