//! Format 1 of what happened to a lot.
//!
//! Borrows its texts and boxes what is rare and large, so that the many small records move few bytes.

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::{Pseudonym, ReservationId, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{
    self, Count as EngineCount, Proof as EngineProof, Service as EngineService,
};
use lotkeeper_engine::spec::FeatureSet;
use lotkeeper_engine::time::{Timestamp, Window as EngineWindow};
use uuid::Uuid;

use super::FormatError;
use super::spec::{Place, Rules, Size, Spec, mirror};

mirror!(Proof = EngineProof { Seen, Assumed });

#[derive(Clone, Copy, Encode, Decode)]
pub(super) struct Window {
    pub(super) from: i64,
    pub(super) to: i64,
}

#[derive(Clone, Copy, Encode, Decode)]
pub(super) enum Count {
    Flow { entered: u32, left: u32 },
    Absolute { occupied: u32 },
}

#[derive(Encode, BorrowDecode)]
pub(super) enum Service<'a> {
    InService,
    OutOfService { reason: &'a str, until: Option<i64> },
}

#[derive(Encode, Decode)]
pub(super) struct Reserved {
    id: [u8; 16],
    slot: u16,
    window: Window,
    expires_at: Option<i64>,
    holder: [u8; 16],
    vehicle: Option<[u8; 16]>,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct LotValues<'a> {
    name: &'a str,
    capacity: u32,
    place: Place<'a>,
    rules: Rules,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct SlotValues<'a> {
    slot: u16,
    zone: Option<u16>,
    size: Size,
    features: u64,
    added_features: Vec<&'a str>,
}

#[derive(Encode, BorrowDecode)]
pub(super) enum LotEvent<'a> {
    Created(Box<Spec<'a>>),
    Changed(Box<LotValues<'a>>),
    SlotChanged(Box<SlotValues<'a>>),
    ServiceChanged { slot: u16, service: Service<'a> },
    Reserved(Reserved),
    Confirmed { id: [u8; 16] },
    Modified { id: [u8; 16], window: Window },
    Cancelled { id: [u8; 16], reason: Option<&'a str> },
    Expired { id: [u8; 16] },
    HoldBegan { id: [u8; 16] },
    CheckedIn { id: [u8; 16], proof: Proof },
    NoShow { id: [u8; 16] },
    Completed { id: [u8; 16] },
    Counted { count: Count, observed_at: i64 },
    CounterFellSilent,
}

impl From<EngineWindow> for Window {
    fn from(window: EngineWindow) -> Self {
        Self { from: window.from.micros(), to: window.to.micros() }
    }
}

impl From<Window> for EngineWindow {
    fn from(window: Window) -> Self {
        Self { from: Timestamp::from_micros(window.from), to: Timestamp::from_micros(window.to) }
    }
}

impl From<EngineCount> for Count {
    fn from(count: EngineCount) -> Self {
        match count {
            EngineCount::Flow { entered, left } => Self::Flow { entered, left },
            EngineCount::Absolute { occupied } => Self::Absolute { occupied },
        }
    }
}

impl From<Count> for EngineCount {
    fn from(count: Count) -> Self {
        match count {
            Count::Flow { entered, left } => Self::Flow { entered, left },
            Count::Absolute { occupied } => Self::Absolute { occupied },
        }
    }
}

impl<'a> From<&'a EngineService> for Service<'a> {
    fn from(service: &'a EngineService) -> Self {
        match service {
            EngineService::InService => Self::InService,
            EngineService::OutOfService { reason, until } => {
                Self::OutOfService { reason, until: until.map(Timestamp::micros) }
            }
        }
    }
}

impl From<Service<'_>> for EngineService {
    fn from(service: Service<'_>) -> Self {
        match service {
            Service::InService => Self::InService,
            Service::OutOfService { reason, until } => Self::OutOfService {
                reason: reason.into(),
                until: until.map(Timestamp::from_micros),
            },
        }
    }
}

pub(super) fn reservation_id(bytes: [u8; 16]) -> ReservationId {
    ReservationId(Uuid::from_bytes(bytes))
}

pub(super) fn pseudonym(bytes: [u8; 16]) -> Pseudonym {
    Pseudonym(Uuid::from_bytes(bytes))
}

impl From<&lot::Reserved> for Reserved {
    fn from(reserved: &lot::Reserved) -> Self {
        Self {
            id: reserved.id.0.into_bytes(),
            slot: reserved.slot.0,
            window: reserved.window.into(),
            expires_at: reserved.expires_at.map(Timestamp::micros),
            holder: reserved.holder.0.into_bytes(),
            vehicle: reserved.vehicle.map(|vehicle| vehicle.0.into_bytes()),
        }
    }
}

impl From<Reserved> for lot::Reserved {
    fn from(reserved: Reserved) -> Self {
        Self {
            id: reservation_id(reserved.id),
            slot: SlotIndex(reserved.slot),
            window: reserved.window.into(),
            expires_at: reserved.expires_at.map(Timestamp::from_micros),
            holder: pseudonym(reserved.holder),
            vehicle: reserved.vehicle.map(pseudonym),
        }
    }
}

impl<'a> From<&'a lot::SlotValues> for SlotValues<'a> {
    fn from(values: &'a lot::SlotValues) -> Self {
        Self {
            slot: values.slot.0,
            zone: values.zone.map(|zone| zone.0),
            size: values.size.into(),
            features: values.features.0,
            added_features: values.added_features.iter().map(|name| &**name).collect(),
        }
    }
}

impl From<SlotValues<'_>> for lot::SlotValues {
    fn from(values: SlotValues<'_>) -> Self {
        Self {
            slot: SlotIndex(values.slot),
            zone: values.zone.map(ZoneIndex),
            size: values.size.into(),
            features: FeatureSet(values.features),
            added_features: values.added_features.into_iter().map(Into::into).collect(),
        }
    }
}

impl<'a> From<&'a lot::Event> for LotEvent<'a> {
    fn from(event: &'a lot::Event) -> Self {
        use lot::Event as E;
        match event {
            E::Created(spec) => Self::Created(Box::new((&**spec).into())),
            E::Changed(values) => Self::Changed(Box::new(LotValues {
                name: &values.name,
                capacity: values.capacity,
                place: (&values.place).into(),
                rules: (&values.rules).into(),
            })),
            E::SlotChanged(values) => Self::SlotChanged(Box::new((&**values).into())),
            E::ServiceChanged { slot, service } => {
                Self::ServiceChanged { slot: slot.0, service: service.into() }
            }
            E::Reserved(reserved) => Self::Reserved((&**reserved).into()),
            E::Confirmed { id } => Self::Confirmed { id: id.0.into_bytes() },
            E::Modified { id, window } => {
                Self::Modified { id: id.0.into_bytes(), window: (*window).into() }
            }
            E::Cancelled { id, reason } => {
                Self::Cancelled { id: id.0.into_bytes(), reason: reason.as_deref() }
            }
            E::Expired { id } => Self::Expired { id: id.0.into_bytes() },
            E::HoldBegan { id } => Self::HoldBegan { id: id.0.into_bytes() },
            E::CheckedIn { id, proof } => {
                Self::CheckedIn { id: id.0.into_bytes(), proof: (*proof).into() }
            }
            E::NoShow { id } => Self::NoShow { id: id.0.into_bytes() },
            E::Completed { id } => Self::Completed { id: id.0.into_bytes() },
            E::Counted { count, observed_at } => {
                Self::Counted { count: (*count).into(), observed_at: observed_at.micros() }
            }
            E::CounterFellSilent => Self::CounterFellSilent,
        }
    }
}

impl TryFrom<LotEvent<'_>> for lot::Event {
    type Error = FormatError;

    fn try_from(event: LotEvent<'_>) -> Result<Self, FormatError> {
        use LotEvent as E;
        Ok(match event {
            E::Created(spec) => Self::Created((*spec).try_into()?),
            E::Changed(values) => Self::Changed(Box::new(lot::LotValues {
                name: values.name.into(),
                capacity: values.capacity,
                place: values.place.into(),
                rules: values.rules.into(),
            })),
            E::SlotChanged(values) => Self::SlotChanged(Box::new((*values).into())),
            E::ServiceChanged { slot, service } => {
                Self::ServiceChanged { slot: SlotIndex(slot), service: service.into() }
            }
            E::Reserved(reserved) => Self::Reserved(Box::new(reserved.into())),
            E::Confirmed { id } => Self::Confirmed { id: reservation_id(id) },
            E::Modified { id, window } => {
                Self::Modified { id: reservation_id(id), window: window.into() }
            }
            E::Cancelled { id, reason } => {
                Self::Cancelled { id: reservation_id(id), reason: reason.map(Into::into) }
            }
            E::Expired { id } => Self::Expired { id: reservation_id(id) },
            E::HoldBegan { id } => Self::HoldBegan { id: reservation_id(id) },
            E::CheckedIn { id, proof } => {
                Self::CheckedIn { id: reservation_id(id), proof: proof.into() }
            }
            E::NoShow { id } => Self::NoShow { id: reservation_id(id) },
            E::Completed { id } => Self::Completed { id: reservation_id(id) },
            E::Counted { count, observed_at } => Self::Counted {
                count: count.into(),
                observed_at: Timestamp::from_micros(observed_at),
            },
            E::CounterFellSilent => Self::CounterFellSilent,
        })
    }
}
