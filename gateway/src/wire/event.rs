//! Records of the log as operators read them.
//!
//! Invariant: people and vehicles appear as pseudonyms only, but for who asked, whom operators may know;
//! whoever may know more asks for the reservation.

use lotkeeper_actors::{ChangeKind, LotView};
use lotkeeper_engine::ids::{ReservationId, SlotIndex};
use lotkeeper_engine::lot::{self, Count, LotValues, Reserved, SlotValues};
use lotkeeper_engine::slot::{self, Sighting};
use lotkeeper_engine::spec::{FeatureSet, Spec};
use lotkeeper_storage::{Event, Record};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::instant::Instant;
use super::names::{Kind, Proof, Size, Source};
use super::place::PositionBody;
use super::rules::RulesBody;
use super::slot::ServiceBody;
use crate::auth::Role;

/// A record of the log.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventBody {
    /// Place in the one global sequence.
    pub seq: u64,
    /// Code of the lot.
    pub lot: String,
    /// Place in the lot's own sequence.
    pub lot_seq: u64,
    /// What happened, as on the stream: `slot.occupied`, `reservation.held`, ...
    #[serde(rename = "type")]
    #[schema(example = "reservation.held")]
    pub kind: &'static str,
    /// When the engine decided it.
    pub at: Instant,
    /// What it happened to: `slots/{code}`, `reservations/{id}` or `lots/{code}`.
    #[schema(example = "slots/A-101")]
    pub entity: String,
    /// Who asked for it. Not there for what happened by itself (expiry, arrival, end, silence), nor in events
    /// of releases that did not ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<ByBody>,
    /// What else is known; its members depend on the type. People and vehicles are pseudonyms here.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub data: Map<String, Value>,
}

/// Who asked for what an event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = By)]
pub struct ByBody {
    /// The subject of the token; null once that person has been erased.
    #[schema(required, example = "desk-7")]
    pub subject: Option<String>,
    /// Its role.
    pub role: Role,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The slot.
    pub slot: Option<SlotIndex>,
    /// The reservation.
    pub reservation: Option<ReservationId>,
}

impl Subject {
    /// Of an event. The view tells the slot of a reservation, while the lot remembers it.
    #[must_use]
    pub fn of(event: &Event, view: &LotView) -> Self {
        use lot::Event as E;
        let slot = |slot| Self { slot: Some(slot), reservation: None };
        match event {
            Event::Slot(index, _) => slot(*index),
            Event::Lot(event) => match event {
                E::Created(_) | E::Changed(_) | E::Counted { .. } | E::CounterFellSilent => {
                    Self::default()
                }
                E::SlotChanged(values) => slot(values.slot),
                E::ServiceChanged { slot: index, .. } => slot(*index),
                E::Reserved(reserved) => {
                    Self { slot: Some(reserved.slot), reservation: Some(reserved.id) }
                }
                E::Confirmed { id }
                | E::Modified { id, .. }
                | E::Cancelled { id, .. }
                | E::Expired { id }
                | E::HoldBegan { id }
                | E::CheckedIn { id, .. }
                | E::NoShow { id }
                | E::Completed { id } => {
                    let slot = view.lot.reservation(*id).map(|reservation| reservation.slot);
                    Self { slot, reservation: Some(*id) }
                }
            },
        }
    }

    /// As in `entity`: the slot where one is known.
    #[must_use]
    pub fn entity(self, spec: &Spec) -> String {
        let slot = self.slot.and_then(|slot| spec.slot(slot));
        match (slot, self.reservation) {
            (Some(slot), _) => format!("slots/{}", slot.code),
            (None, Some(id)) => format!("reservations/{id}"),
            (None, None) => format!("lots/{}", spec.code),
        }
    }
}

impl EventBody {
    /// Of a record of a lot; who asked for it is named by whoever may ask the vault.
    #[must_use]
    pub fn of(record: &Record, view: &LotView) -> Self {
        let spec = view.spec();
        let subject = Subject::of(&record.event, view);
        let mut data = match data(&record.event, spec) {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        if let Some(slot) = subject.slot.and_then(|slot| spec.slot(slot)) {
            data.insert("slot".to_owned(), json!(slot.code));
        }
        if let Some(id) = subject.reservation {
            data.insert("reservation".to_owned(), json!(id.0));
        }
        data.retain(|_, value| !value.is_null());
        Self {
            seq: record.seq,
            lot: spec.code.to_string(),
            lot_seq: record.lot_seq,
            kind: kind(&record.event).name(),
            at: Instant(record.at),
            entity: subject.entity(spec),
            by: None,
            data,
        }
    }
}

/// The type of an event, in the words of the stream.
#[must_use]
pub fn kind(event: &Event) -> ChangeKind {
    use lot::Event as E;
    match event {
        Event::Slot(_, slot::Event::Occupied(_)) => ChangeKind::SlotOccupied,
        Event::Slot(_, slot::Event::Vacated(_)) => ChangeKind::SlotVacated,
        Event::Slot(_, slot::Event::Heard { .. }) => ChangeKind::SlotHeard,
        Event::Slot(_, slot::Event::FellSilent) => ChangeKind::SlotSilent,
        Event::Lot(event) => match event {
            E::Created(_) => ChangeKind::LotCreated,
            E::Changed(_) => ChangeKind::LotChanged,
            E::SlotChanged(_) | E::ServiceChanged { .. } => ChangeKind::SlotChanged,
            E::Reserved(reserved) if reserved.expires_at.is_some() => ChangeKind::ReservationHeld,
            E::Reserved(_) | E::Confirmed { .. } => ChangeKind::ReservationConfirmed,
            E::Modified { .. } => ChangeKind::ReservationModified,
            E::Cancelled { .. } => ChangeKind::ReservationCancelled,
            E::Expired { .. } => ChangeKind::ReservationExpired,
            E::HoldBegan { .. } => ChangeKind::HoldBegan,
            E::CheckedIn { .. } => ChangeKind::ReservationCheckedIn,
            E::NoShow { .. } => ChangeKind::ReservationNoShow,
            E::Completed { .. } => ChangeKind::ReservationCompleted,
            E::Counted { .. } => ChangeKind::CountRecorded,
            E::CounterFellSilent => ChangeKind::CountSilent,
        },
    }
}

fn data(event: &Event, spec: &Spec) -> Value {
    use lot::Event as E;
    match event {
        Event::Slot(_, slot::Event::Occupied(seen)) => sighting(true, seen),
        Event::Slot(_, slot::Event::Vacated(seen)) => sighting(false, seen),
        Event::Slot(_, slot::Event::Heard { mark }) => {
            json!({"observed_at": Instant(mark.observed_at)})
        }
        Event::Slot(_, slot::Event::FellSilent) | Event::Lot(E::CounterFellSilent) => json!({}),
        Event::Lot(event) => match event {
            E::Created(created) => json!({
                "id": created.id.0, "name": created.name, "kind": Kind::from(created.kind),
                "capacity": created.capacity, "slots": created.slots.len(), "zones": created.zones.len(),
            }),
            E::Changed(values) => lot_values(values),
            E::SlotChanged(values) => slot_values(values, spec),
            E::ServiceChanged { service, .. } => json!({"service": ServiceBody::from(service)}),
            E::Reserved(reserved) => promise(reserved),
            E::Modified { window, .. } => {
                json!({"from": Instant(window.from), "to": Instant(window.to)})
            }
            E::Cancelled { reason, .. } => json!({"reason": reason}),
            E::CheckedIn { proof, .. } => json!({"proof": Proof::from(*proof)}),
            E::Counted { count, observed_at } => counted(*count, Instant(*observed_at)),
            E::Confirmed { .. }
            | E::Expired { .. }
            | E::HoldBegan { .. }
            | E::NoShow { .. }
            | E::Completed { .. }
            | E::CounterFellSilent => json!({}),
        },
    }
}

fn sighting(occupied: bool, seen: &Sighting) -> Value {
    json!({
        "occupied": occupied,
        "observed_at": Instant(seen.mark.observed_at),
        "sequence": (seen.mark.sequence != 0).then_some(seen.mark.sequence),
        "source": Source::from(seen.source),
        "confidence": seen.confidence_percent.map(|percent| f64::from(percent) / 100.0),
    })
}

fn promise(reserved: &Reserved) -> Value {
    json!({
        "from": Instant(reserved.window.from),
        "to": Instant(reserved.window.to),
        "expires_at": reserved.expires_at.map(Instant),
        "holder": reserved.holder.0,
        "vehicle": reserved.vehicle.map(|vehicle| vehicle.0),
    })
}

fn lot_values(values: &LotValues) -> Value {
    json!({
        "name": values.name,
        "capacity": values.capacity,
        "time_zone": values.place.time_zone,
        "currency": values.place.currency,
        "city": values.place.city,
        "position": values.place.position.map(PositionBody::from),
        "rules": RulesBody::from(&values.rules),
    })
}

fn slot_values(values: &SlotValues, spec: &Spec) -> Value {
    let names = |set: FeatureSet| -> Vec<&str> {
        set.indices().filter_map(|bit| spec.features.get(bit)).map(|name| &**name).collect()
    };
    json!({
        "zone": values.zone.and_then(|zone| spec.zones.get(zone.at())).map(|zone| &*zone.code),
        "size": Size::from(values.size),
        "features": names(values.features),
    })
}

fn counted(count: Count, observed_at: Instant) -> Value {
    match count {
        Count::Flow { entered, left } => {
            json!({"entered": entered, "left": left, "observed_at": observed_at})
        }
        Count::Absolute { occupied } => json!({"occupied": occupied, "observed_at": observed_at}),
    }
}
