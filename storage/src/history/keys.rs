//! Keys of the history: what is first in them is what a page is about, what is last is its order.
//!
//! Everything lies in one tree, so that a batch is taken whole or not at all. Numbers are big-endian; instants
//! are turned round, so that the newest comes first. The end of an index key is its page's cursor.

use lotkeeper_engine::ids::{LotKey, Pseudonym, Reference, ReservationId};
use lotkeeper_engine::lot::Owner;
use lotkeeper_engine::time::Timestamp;
use smallvec::SmallVec;
use uuid::Uuid;

/// A key; the longest but a tenant's has 45 bytes.
pub(super) type Key = SmallVec<[u8; 64]>;

pub(super) const META: &[u8] = &[0];
const TENANT: u8 = 1;
const LOT: u8 = 2;
/// Not a document: what owes penalties without one, in the index by owner.
const VEHICLE: u8 = 0;
const PASS: u8 = 1;

/// Bytes of an instant and an id: the end of an index key.
const POSITION_BYTES: usize = 24;

/// What kind of document. The number is the first byte of its keys, and 16 times that of its indexes'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A reservation.
    Reservation = 3,
    /// A stay.
    Session = 4,
    /// A payment.
    Payment = 5,
    /// A posting of a ledger.
    Posting = 6,
}

/// Of which index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Tenant = 0,
    Lot = 1,
    Holder = 2,
    Vehicle = 3,
    Stage = 4,
    Reservation = 5,
    Owner = 6,
}

/// Of what is looked for by its state, as far as there is an index of it. How most end has none: whoever looks for
/// that finds it soon enough among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It goes on: held, confirmed, checked in; inside, overstaying.
    Open = 0,
    /// It came to nothing: expired, no-show; abandoned.
    Failed = 1,
}

/// Where something stands in a list: newest first, then in order of id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    at: std::cmp::Reverse<Timestamp>,
    id: Uuid,
}

impl Position {
    /// Of something of an instant.
    #[must_use]
    pub fn new(at: Timestamp, id: Uuid) -> Self {
        Self { at: std::cmp::Reverse(at), id }
    }

    /// The instant its list is ordered by.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at.0
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn to_bytes(self) -> [u8; POSITION_BYTES] {
        let mut bytes = [0; POSITION_BYTES];
        bytes[..8].copy_from_slice(&newest_first(self.at.0).to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        bytes
    }

    /// The end of an index key.
    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        let bytes: &[u8; POSITION_BYTES] = key.last_chunk()?;
        let (time, id) = bytes.split_first_chunk::<8>()?;
        let micros = (!u64::from_be_bytes(*time) ^ (1 << 63)).cast_signed();
        let id = Uuid::from_slice(id).ok()?;
        Some(Self::new(Timestamp::from_micros(micros), id))
    }
}

/// A number that sorts later instants first.
fn newest_first(at: Timestamp) -> u64 {
    !(at.micros().cast_unsigned() ^ (1 << 63))
}

pub(super) fn tenant(name: &str) -> Key {
    let mut key = Key::from_slice(&[TENANT]);
    key.extend_from_slice(name.as_bytes());
    key
}

pub(super) fn lot(lot: LotKey) -> Key {
    let mut key = Key::from_slice(&[LOT]);
    key.extend_from_slice(&lot.0.to_be_bytes());
    key
}

/// What a reference's documents have in common.
pub(super) fn called(kind: Kind, reference: Reference) -> Key {
    let mut key = Key::from_slice(&[kind as u8]);
    key.extend_from_slice(&reference.number().to_be_bytes()[3..]);
    key
}

/// A document. What people call it is a function of its id, and first in its key: so there is no index of it.
pub(super) fn document(kind: Kind, id: Uuid) -> Key {
    let mut key = called(kind, Reference::of(id));
    key.extend_from_slice(id.as_bytes());
    key
}

/// Postings have numbers in their lot; as an id these are told apart from all others by being short.
pub(super) fn posting_id(lot: LotKey, number: u64) -> Uuid {
    Uuid::from_u64_pair(u64::from(lot.0), number)
}

/// The beginning of an index key: which index, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope(Key);

impl Scope {
    fn new(kind: Kind, by: By, of: &[u8]) -> Self {
        let mut key = Key::from_slice(&[16 * kind as u8 + by as u8]);
        key.extend_from_slice(of);
        Self(key)
    }

    pub fn tenant(kind: Kind, tenant: u32) -> Self {
        Self::new(kind, By::Tenant, &tenant.to_be_bytes())
    }

    pub fn lot(kind: Kind, lot: LotKey) -> Self {
        Self::new(kind, By::Lot, &lot.0.to_be_bytes())
    }

    pub fn holder(kind: Kind, holder: Pseudonym) -> Self {
        Self::new(kind, By::Holder, holder.0.as_bytes())
    }

    pub fn vehicle(kind: Kind, vehicle: Pseudonym) -> Self {
        Self::new(kind, By::Vehicle, vehicle.0.as_bytes())
    }

    pub fn stage(kind: Kind, tenant: u32, stage: Stage) -> Self {
        let [a, b, c, d] = tenant.to_be_bytes();
        Self::new(kind, By::Stage, &[a, b, c, d, stage as u8])
    }

    pub fn reservation(kind: Kind, id: ReservationId) -> Self {
        Self::new(kind, By::Reservation, id.0.as_bytes())
    }

    pub fn owner(kind: Kind, owner: Owner) -> Self {
        let (family, id) = match owner {
            Owner::Reservation(id) => (Kind::Reservation as u8, *id.0.as_bytes()),
            Owner::Session(id) => (Kind::Session as u8, *id.0.as_bytes()),
            Owner::Vehicle(pseudonym) => (VEHICLE, *pseudonym.0.as_bytes()),
            Owner::Pass(id) => (PASS, *id.0.as_bytes()),
        };
        let mut of = Key::from_slice(&[family]);
        of.extend_from_slice(&id);
        Self::new(kind, By::Owner, &of)
    }

    /// The key of one entry.
    pub fn entry(&self, position: Position) -> Key {
        let mut key = self.0.clone();
        key.extend_from_slice(&position.to_bytes());
        key
    }

    pub fn prefix(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_positions_and_give_them_back() {
        let scope = Scope::tenant(Kind::Session, 7);
        let position =
            |micros, id| Position::new(Timestamp::from_micros(micros), Uuid::from_u128(id));
        let sorted = [
            position(i64::MAX, 1),
            position(5, 1),
            position(5, 2),
            position(0, 1),
            position(-5, 1),
            position(i64::MIN, 0),
        ];
        for pair in sorted.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
            assert!(scope.entry(pair[0]) < scope.entry(pair[1]), "{pair:?}");
        }
        for position in sorted {
            assert_eq!(Position::of_key(&scope.entry(position)), Some(position));
        }
        assert_eq!(Position::of_key(b"short"), None);
    }
}
