//! What people ask for beside the promise, in their own words: "close to the lift, please".
//!
//! A family of its own, because hardly anybody asks: reservations and stays carry nothing for it. Invariant: what is
//! asked for belongs to a reservation or stay that the lot remembers, and is forgotten with it. Absent: the words
//! themselves, which lie where they can be erased; here are their pseudonyms.

use imbl::OrdMap;

use super::timeline::Owner;
use crate::ids::Pseudonym;

/// Requests of one lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(OrdMap<Owner, Pseudonym>);

impl Requests {
    pub(super) fn from_parts(
        parts: Vec<(Owner, Pseudonym)>,
        is_known: impl Fn(Owner) -> bool,
    ) -> Self {
        Self(parts.into_iter().filter(|(about, _)| is_known(*about)).collect())
    }

    /// All, in order of what they are about.
    pub fn all(&self) -> impl Iterator<Item = (Owner, Pseudonym)> {
        self.0.iter().map(|(about, request)| (*about, *request))
    }

    /// What somebody asked for.
    #[must_use]
    pub fn about(&self, about: Owner) -> Option<Pseudonym> {
        self.0.get(&about).copied()
    }

    pub(super) fn put(&mut self, about: Owner, request: Option<Pseudonym>) {
        match request {
            Some(request) => {
                self.0.insert(about, request);
            }
            None => self.forget(about),
        }
    }

    pub(super) fn forget(&mut self, about: Owner) {
        if !self.0.is_empty() {
            self.0.remove(&about);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
