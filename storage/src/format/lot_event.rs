//! What happened to a lot, in all formats of frames: a later one adds variants at the end. The first three
//! are read only; since format 3 their second forms at the end are written in their place.
//!
//! Borrows its texts and boxes what is rare and large, so that the many small records move few bytes.

use bincode::enc::Encoder;
use bincode::error::EncodeError;
use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::{Pseudonym, ReservationId, SeriesId, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{
    self, Count as EngineCount, Proof as EngineProof, Reminder as EngineReminder,
    Service as EngineService,
};
use lotkeeper_engine::spec::{FeatureSet, TypeSet};
use lotkeeper_engine::time::{Timestamp, Window as EngineWindow};
use uuid::Uuid;

use super::FormatError;
use super::money::{Posting, Price, TariffChange};
use super::pass::PassEvent;
use super::payment::PaymentEvent;
use super::shift::ShiftEvent;
use super::spec::{Place, Rules, Size, Spec, mirror};
use super::spec_2::boxed;
use super::stay::StayEvent;
use super::violation::ViolationEvent;
use super::waiting::WaitingEvent;
use super::{spec_2, values_2};

// The last three since frame format 3.
mirror!(Proof = EngineProof { Seen, Assumed, Scanned, Staff, Driver });
mirror!(Reminder = EngineReminder { Start, End });

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

#[derive(Decode)]
pub(super) struct Reserved {
    id: [u8; 16],
    slot: u16,
    window: Window,
    expires_at: Option<i64>,
    holder: [u8; 16],
    vehicle: Option<[u8; 16]>,
}

/// A promise since frame format 3.
#[derive(Encode, BorrowDecode)]
pub(super) struct Reserved2<'a> {
    id: [u8; 16],
    slot: u16,
    window: Window,
    expires_at: Option<i64>,
    holder: [u8; 16],
    vehicle: Option<[u8; 16]>,
    price: Option<Box<Price<'a>>>,
    series: Option<[u8; 16]>,
}

/// A promise on another slot.
#[derive(Encode, BorrowDecode)]
pub(super) struct Moved<'a> {
    id: [u8; 16],
    slot: u16,
    window: Window,
    price: Option<Box<Price<'a>>>,
}

/// See [`values_2`] for the form that is written.
#[derive(BorrowDecode)]
pub(super) struct LotValues<'a> {
    name: &'a str,
    capacity: u32,
    place: Place<'a>,
    rules: Rules,
}

#[derive(BorrowDecode)]
pub(super) struct SlotValues<'a> {
    slot: u16,
    zone: Option<u16>,
    size: Size,
    features: u64,
    added_features: Vec<&'a str>,
}

/// A form that earlier releases wrote. None is ever made here, so none is ever encoded.
#[derive(BorrowDecode)]
pub(super) struct ReadOnly<T>(Box<T>);

impl<T> Encode for ReadOnly<T> {
    fn encode<E: Encoder>(&self, _: &mut E) -> Result<(), EncodeError> {
        Err(EncodeError::Other("a form that is read only"))
    }
}

#[derive(Encode, BorrowDecode)]
pub(super) enum LotEvent<'a> {
    Created(ReadOnly<Spec<'a>>),
    Changed(ReadOnly<LotValues<'a>>),
    SlotChanged(ReadOnly<SlotValues<'a>>),
    ServiceChanged {
        slot: u16,
        service: Service<'a>,
    },
    Reserved(ReadOnly<Reserved>),
    Confirmed {
        id: [u8; 16],
    },
    Modified(ReadOnly<([u8; 16], Window)>),
    Cancelled {
        id: [u8; 16],
        reason: Option<&'a str>,
    },
    Expired {
        id: [u8; 16],
    },
    HoldBegan {
        id: [u8; 16],
    },
    CheckedIn {
        id: [u8; 16],
        proof: Proof,
    },
    NoShow {
        id: [u8; 16],
    },
    Completed {
        id: [u8; 16],
    },
    Counted {
        count: Count,
        observed_at: i64,
    },
    CounterFellSilent,
    Created2(Box<spec_2::Spec<'a>>),
    Changed2(Box<values_2::LotValues<'a>>),
    SlotChanged2(Box<values_2::SlotValues<'a>>),
    Reserved2(Reserved2<'a>),
    Modified2 {
        id: [u8; 16],
        window: Window,
        price: Option<Box<Price<'a>>>,
    },
    HoldEnded {
        id: [u8; 16],
    },
    Moved(Box<Moved<'a>>),
    Reminded {
        id: [u8; 16],
        of: Reminder,
    },
    Stay(StayEvent<'a>),
    Payment(PaymentEvent<'a>),
    Posted(Box<Posting<'a>>),
    TariffsChanged(Box<TariffChange>),
    Violation(ViolationEvent),
    Pass(PassEvent),
    Waiting(WaitingEvent),
    Shift(ShiftEvent),
    /// A promise with what its holder asks for; without, `Reserved2` is written.
    Reserved3(Reserved2<'a>, [u8; 16]),
    Requested {
        id: [u8; 16],
        request: Option<[u8; 16]>,
    },
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

impl<'a> From<&'a lot::Reserved> for Reserved2<'a> {
    fn from(reserved: &'a lot::Reserved) -> Self {
        Self {
            id: reserved.id.0.into_bytes(),
            slot: reserved.slot.0,
            window: reserved.window.into(),
            expires_at: reserved.expires_at.map(Timestamp::micros),
            holder: reserved.holder.0.into_bytes(),
            vehicle: reserved.vehicle.map(|vehicle| vehicle.0.into_bytes()),
            price: price(reserved.price.as_deref()),
            series: reserved.series.map(|series| series.0.into_bytes()),
        }
    }
}

impl TryFrom<Reserved2<'_>> for lot::Reserved {
    type Error = FormatError;

    fn try_from(reserved: Reserved2<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            id: reservation_id(reserved.id),
            slot: SlotIndex(reserved.slot),
            window: reserved.window.into(),
            expires_at: reserved.expires_at.map(Timestamp::from_micros),
            holder: pseudonym(reserved.holder),
            vehicle: reserved.vehicle.map(pseudonym),
            price: engine_price(reserved.price)?,
            series: reserved.series.map(series_id),
            request: None,
        })
    }
}

fn price(price: Option<&lot::Price>) -> Option<Box<Price<'_>>> {
    price.map(|price| Box::new(price.into()))
}

fn engine_price(price: Option<Box<Price<'_>>>) -> Result<Option<Box<lot::Price>>, FormatError> {
    price.map(|price| (*price).try_into().map(Box::new)).transpose()
}

pub(super) fn series_id(bytes: [u8; 16]) -> SeriesId {
    SeriesId(Uuid::from_bytes(bytes))
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
            price: None,
            series: None,
            request: None,
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
            added_features: boxed(values.added_features),
            vehicle_types: TypeSet::default(),
            added_vehicle_types: Vec::new(),
            walk_metres: None,
        }
    }
}

impl<'a> From<&'a lot::Event> for LotEvent<'a> {
    fn from(event: &'a lot::Event) -> Self {
        use lot::Event as E;
        match event {
            E::Created(spec) => Self::Created2(Box::new((&**spec).into())),
            E::Changed(values) => Self::Changed2(Box::new((&**values).into())),
            E::SlotChanged(values) => Self::SlotChanged2(Box::new((&**values).into())),
            E::ServiceChanged { slot, service } => {
                Self::ServiceChanged { slot: slot.0, service: service.into() }
            }
            E::Reserved(reserved) => match reserved.request {
                None => Self::Reserved2((&**reserved).into()),
                Some(request) => Self::Reserved3((&**reserved).into(), request.0.into_bytes()),
            },
            E::Requested { id, request } => Self::Requested {
                id: id.0.into_bytes(),
                request: request.map(|request| request.0.into_bytes()),
            },
            E::Confirmed { id } => Self::Confirmed { id: id.0.into_bytes() },
            E::Modified { id, window, price: to } => Self::Modified2 {
                id: id.0.into_bytes(),
                window: (*window).into(),
                price: price(to.as_deref()),
            },
            E::HoldEnded { id } => Self::HoldEnded { id: id.0.into_bytes() },
            E::Moved(moved) => Self::Moved(Box::new(Moved {
                id: moved.id.0.into_bytes(),
                slot: moved.slot.0,
                window: moved.window.into(),
                price: price(moved.price.as_deref()),
            })),
            E::Reminded { id, of } => Self::Reminded { id: id.0.into_bytes(), of: (*of).into() },
            E::Session(event) => Self::Stay(event.into()),
            E::Payment(event) => Self::Payment(event.into()),
            E::Violation(event) => Self::Violation(event.into()),
            E::Waiting(event) => Self::Waiting(event.into()),
            E::Pass(event) => Self::Pass(event.into()),
            E::Shift(event) => Self::Shift(event.into()),
            E::Posted(posting) => Self::Posted(Box::new((&**posting).into())),
            E::TariffsChanged(change) => Self::TariffsChanged(Box::new((&**change).into())),
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
            E::Created(spec) => Self::Created((*spec.0).try_into()?),
            E::Changed(values) => Self::Changed(Box::new(lot::LotValues {
                name: values.0.name.into(),
                capacity: values.0.capacity,
                place: values.0.place.into(),
                rules: values.0.rules.into(),
                ..lot::LotValues::default()
            })),
            E::SlotChanged(values) => Self::SlotChanged(Box::new((*values.0).into())),
            E::Created2(spec) => Self::Created((*spec).try_into()?),
            E::Changed2(values) => Self::Changed(Box::new((*values).into())),
            E::SlotChanged2(values) => Self::SlotChanged(Box::new((*values).into())),
            E::ServiceChanged { slot, service } => {
                Self::ServiceChanged { slot: SlotIndex(slot), service: service.into() }
            }
            E::Reserved(reserved) => Self::Reserved(Box::new((*reserved.0).into())),
            E::Reserved2(reserved) => Self::Reserved(Box::new(reserved.try_into()?)),
            E::Reserved3(reserved, request) => {
                let request = Some(pseudonym(request));
                Self::Reserved(Box::new(lot::Reserved { request, ..reserved.try_into()? }))
            }
            E::Requested { id, request } => {
                Self::Requested { id: reservation_id(id), request: request.map(pseudonym) }
            }
            E::Confirmed { id } => Self::Confirmed { id: reservation_id(id) },
            E::Modified(modified) => {
                let (id, window) = *modified.0;
                Self::Modified { id: reservation_id(id), window: window.into(), price: None }
            }
            E::Modified2 { id, window, price } => Self::Modified {
                id: reservation_id(id),
                window: window.into(),
                price: engine_price(price)?,
            },
            E::HoldEnded { id } => Self::HoldEnded { id: reservation_id(id) },
            E::Moved(moved) => Self::Moved(Box::new(lot::MovedTo {
                id: reservation_id(moved.id),
                slot: SlotIndex(moved.slot),
                window: moved.window.into(),
                price: engine_price(moved.price)?,
            })),
            E::Reminded { id, of } => Self::Reminded { id: reservation_id(id), of: of.into() },
            E::Stay(event) => Self::Session(event.try_into()?),
            E::Payment(event) => Self::Payment(event.into()),
            E::Violation(event) => Self::Violation(event.into()),
            E::Pass(event) => Self::Pass(event.into()),
            E::Waiting(event) => Self::Waiting(event.into()),
            E::Shift(event) => Self::Shift(event.into()),
            E::Posted(posting) => Self::Posted(Box::new((*posting).into())),
            E::TariffsChanged(change) => Self::TariffsChanged(Box::new((*change).try_into()?)),
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
