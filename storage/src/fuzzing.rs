//! The door for fuzz targets (`fuzz/`): decoders that nobody else needs, and checksums made right again.
//!
//! Hidden from the documentation and no promise: nothing else may use it. It holds no logic of its own, so
//! what is fuzzed is what runs. A checksum that is right lets a fuzzer behind it, where damage must not lead.

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::{Payment, Posting, Reservation, Session};
use lotkeeper_engine::time::Timestamp;

use crate::format::{Body, FormatError, Stamp};
use crate::sled_journal::{layout, people};
use crate::snapshot::LotSnapshot;

/// A person in a value of the vault: pseudonym, tenant, kind, clear text.
pub type Person<'a> = ([u8; 16], &'a str, u8, &'a str);

/// The people of a value of the vault; nothing when one of them is damaged.
#[must_use]
pub fn people(value: &[u8]) -> Option<Vec<Person<'_>>> {
    let read: Result<Vec<_>, _> = people::read_all(value).collect();
    let people = read.ok()?;
    let fields =
        people.iter().map(|it| (it.pseudonym().into_bytes(), it.tenant, it.kind, it.clear));
    Some(fields.collect())
}

/// The same people as a value; nothing when they cannot be one.
#[must_use]
pub fn people_again(value: &[u8]) -> Option<Vec<u8>> {
    let mut again = Vec::new();
    for read in people::read_all(value) {
        people::append(&mut again, &read.ok()?).ok()?;
    }
    Some(again)
}

/// A document of the history of one of the four kinds, decoded and encoded again.
///
/// # Errors
/// What is wrong with it.
pub fn document_again(kind: u8, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    match kind % 4 {
        0 => again::<Reservation>(bytes),
        1 => again::<Session>(bytes),
        2 => again::<Payment>(bytes),
        _ => again::<Posting>(bytes),
    }
}

fn again<B: Body>(bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let (stamp, body) = B::decode(bytes)?;
    let mut again = Vec::new();
    body.append(&stamp, &mut again)?;
    Ok(again)
}

/// The documents that the history would hold of a lot, each behind its kind.
#[must_use]
pub fn documents_of(lot: &LotSnapshot) -> Vec<Vec<u8>> {
    let stamp = Stamp { lot: LotKey(7), lot_seq: lot.lot_seq, at: Timestamp::from_micros(1) };
    let of = |kind: u8, append: &dyn Fn(&mut Vec<u8>) -> Result<(), FormatError>| {
        let mut bytes = vec![kind];
        append(&mut bytes).ok().map(|()| bytes)
    };
    let parts = &lot.parts;
    let reservations = parts.reservations.iter().map(|it| of(0, &|into| it.append(&stamp, into)));
    let sessions = parts.sessions.iter().map(|it| of(1, &|into| it.append(&stamp, into)));
    let payments = parts.payments.iter().map(|it| of(2, &|into| it.append(&stamp, into)));
    reservations.chain(sessions).chain(payments).flatten().collect()
}

/// What the bytes of `CURRENT` name.
///
/// # Errors
/// What is wrong with it.
pub fn current(text: &[u8]) -> Result<String, String> {
    layout::current_of(text).map(|(name, _)| name)
}

/// Writes the right checksum over everything but itself, where there is room for one: of a frame at 40, of a
/// snapshot at 16, of a tip at 24.
pub fn seal(bytes: &mut [u8], at: usize) {
    let Some((head, rest)) = bytes.split_at_mut_checked(at) else { return };
    let Some((place, body)) = rest.split_first_chunk_mut::<4>() else { return };
    *place = crc32c::crc32c_append(crc32c::crc32c(head), body).to_le_bytes();
}
