//! Records and their events, as in formats 1 and 2 of frames; what ends a record of format 2 is in `origin.rs`.
//!
//! Times of a record are differences: its own to the frame's base, its reading's to its own. They take
//! two to five bytes instead of nine. Differences wrap, so every pair of times survives.

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::{LotKey, SlotIndex};
use lotkeeper_engine::slot::{self, Source as EngineSource};
use lotkeeper_engine::time::Timestamp;

use super::FormatError;
use super::lot_event::LotEvent;
use super::spec::mirror;
use crate::record;

mirror!(Source = EngineSource { Sensor, Staff });

#[derive(Encode, Decode)]
struct Sighting {
    /// Record time minus observed time.
    ago_micros: i64,
    sequence: u64,
    id_hash: u64,
    source: Source,
    confidence_percent: Option<u8>,
}

#[derive(Encode, Decode)]
enum SlotEvent {
    Occupied(Sighting),
    Vacated(Sighting),
    Heard { ago_micros: i64, sequence: u64 },
    FellSilent,
}

#[derive(Encode, BorrowDecode)]
enum Event<'a> {
    Slot(u16, SlotEvent),
    Lot(LotEvent<'a>),
}

#[derive(Clone, Copy, Encode, Decode)]
pub(super) struct Claim {
    key: u128,
    fingerprint: u64,
}

/// A record without its end; its sequence follows from its place in the frame.
#[derive(Encode, BorrowDecode)]
pub(super) struct Record<'a> {
    lot: u32,
    lot_seq: u64,
    /// Record time minus the frame's base.
    since_base_micros: i64,
    event: Event<'a>,
}

/// How a record of format 1 ends.
#[derive(Decode)]
pub(super) struct EndOfFormat1 {
    pub(super) claim: Option<Claim>,
}

impl<'a> Record<'a> {
    pub(super) fn new(record: &'a record::Record, base: Timestamp) -> Self {
        Self {
            lot: record.lot.0,
            lot_seq: record.lot_seq,
            since_base_micros: difference(record.at, base),
            event: match &record.event {
                record::Event::Slot(slot, event) => {
                    Event::Slot(slot.0, SlotEvent::new(event, record.at))
                }
                record::Event::Lot(event) => Event::Lot(event.into()),
            },
        }
    }

    pub(super) fn into_engine(
        self,
        seq: u64,
        base: Timestamp,
        (by, claim): (Option<record::By>, Option<record::Claim>),
    ) -> Result<record::Record, FormatError> {
        let at = sum(base, self.since_base_micros);
        let event = match self.event {
            Event::Slot(slot, event) => record::Event::Slot(SlotIndex(slot), event.into_engine(at)),
            Event::Lot(event) => record::Event::Lot(event.try_into()?),
        };
        Ok(record::Record {
            seq,
            lot: LotKey(self.lot),
            lot_seq: self.lot_seq,
            at,
            event,
            by,
            claim,
        })
    }
}

fn difference(at: Timestamp, base: Timestamp) -> i64 {
    at.micros().wrapping_sub(base.micros())
}

fn sum(base: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(base.micros().wrapping_add(micros))
}

impl SlotEvent {
    fn new(event: &slot::Event, at: Timestamp) -> Self {
        match event {
            slot::Event::Occupied(sighting) => Self::Occupied(Sighting::new(sighting, at)),
            slot::Event::Vacated(sighting) => Self::Vacated(Sighting::new(sighting, at)),
            slot::Event::Heard { mark } => Self::Heard {
                ago_micros: difference(at, mark.observed_at),
                sequence: mark.sequence,
            },
            slot::Event::FellSilent => Self::FellSilent,
        }
    }

    fn into_engine(self, at: Timestamp) -> slot::Event {
        match self {
            Self::Occupied(sighting) => slot::Event::Occupied(sighting.into_engine(at)),
            Self::Vacated(sighting) => slot::Event::Vacated(sighting.into_engine(at)),
            Self::Heard { ago_micros, sequence } => {
                slot::Event::Heard { mark: mark(at, ago_micros, sequence) }
            }
            Self::FellSilent => slot::Event::FellSilent,
        }
    }
}

fn mark(at: Timestamp, ago_micros: i64, sequence: u64) -> slot::Mark {
    let observed_at = Timestamp::from_micros(at.micros().wrapping_sub(ago_micros));
    slot::Mark { observed_at, sequence }
}

impl Sighting {
    fn new(sighting: &slot::Sighting, at: Timestamp) -> Self {
        Self {
            ago_micros: difference(at, sighting.mark.observed_at),
            sequence: sighting.mark.sequence,
            id_hash: sighting.id_hash,
            source: sighting.source.into(),
            confidence_percent: sighting.confidence_percent,
        }
    }

    fn into_engine(self, at: Timestamp) -> slot::Sighting {
        slot::Sighting {
            mark: mark(at, self.ago_micros, self.sequence),
            id_hash: self.id_hash,
            source: self.source.into(),
            confidence_percent: self.confidence_percent,
        }
    }
}

impl From<record::Claim> for Claim {
    fn from(claim: record::Claim) -> Self {
        Self { key: claim.key.0, fingerprint: claim.fingerprint }
    }
}

impl From<Claim> for record::Claim {
    fn from(claim: Claim) -> Self {
        Self { key: record::ClaimKey(claim.key), fingerprint: claim.fingerprint }
    }
}
