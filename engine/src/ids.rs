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
    /// A tariff's public identity; its versions share it.
    TariffId
);
uuid_id!(
    /// A stay's public identity; may be made by the client.
    SessionId
);
uuid_id!(
    /// A pass's public identity; may be made by the client.
    PassId
);
uuid_id!(
    /// A payment's public identity; may be made by the client.
    PaymentId
);
uuid_id!(
    /// A shift's public identity; may be made by the client.
    ShiftId
);
uuid_id!(
    /// A violation's public identity.
    ViolationId
);
uuid_id!(
    /// A place on a waiting list.
    WaitingId
);
uuid_id!(
    /// What the occurrences of one recurring request have in common.
    SeriesId
);
uuid_id!(
    /// Stands for a person or a plate whose clear text lives in the vault only, where it can be erased.
    Pseudonym
);

/// What people read out and type: the short form of a reservation's or session's id. A drive-in's ticket
/// carries it.
///
/// It follows from the id, so nothing has to be counted or remembered for it; ids are mixed, so nobody guesses
/// the ticket after his own. Two ids may share one: whoever looks something up by it looks among what a lot
/// remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(u64);

impl Reference {
    /// Seven characters of base 32.
    const NUMBERS: u64 = 1 << 35;
    /// The check symbol that people type is the number modulo this prime (Crockford's base 32); numbers whose
    /// symbol would be none of the 32 digits are nobody's.
    const CHECK_MODULUS: u64 = 37;
    const DIGITS: u64 = 32;

    /// Of an id.
    #[must_use]
    pub fn of(id: Uuid) -> Self {
        let (high, low) = id.as_u64_pair();
        let mut mixed = mix(high).wrapping_add(low);
        loop {
            // One number in seven is nobody's: mixed once more.
            mixed = mix(mixed);
            if let Some(reference) = Self::of_number(mixed % Self::NUMBERS) {
                return reference;
            }
        }
    }

    /// From a number; nothing for those that are nobody's.
    #[must_use]
    pub const fn of_number(number: u64) -> Option<Self> {
        let plain = number % Self::CHECK_MODULUS < Self::DIGITS;
        if number < Self::NUMBERS && plain { Some(Self(number)) } else { None }
    }

    /// As a number below 2 to the power of 35.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The finishing step of `splitmix64` (Steele, Lea, Flood 2014): every bit of the input reaches every bit of the
/// output.
const fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

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
