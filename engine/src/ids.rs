//! Identities. Newtypes, so that a lot is never passed where a slot is meant.
//!
//! Public ids are UUIDs (version 7 where a machine makes them); the dense keys exist because a record
//! in the journal and an index into a vector should cost bytes, not a UUID.

use core::fmt;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

uuid_id!(
    /// A lot's public identity.
    LotId
);
uuid_id!(
    /// A slot's public identity.
    SlotId
);
uuid_id!(
    /// A reservation's public identity; may be made by the client.
    ReservationId
);
uuid_id!(
    /// Stands for a person or a plate whose clear text lives in the vault only, where it can be erased.
    Pseudonym
);

/// A lot's dense number inside one data directory, given in order of creation, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LotKey(pub u32);

/// A slot's position in its lot, fixed at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotIndex(pub u16);

impl SlotIndex {
    /// The position as an index into a vector.
    #[must_use]
    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}

/// A zone's position in its lot's specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneIndex(pub u16);

impl ZoneIndex {
    /// The position as an index into a vector.
    #[must_use]
    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}
