//! Records of the log as operators read them.
//!
//! Invariant: people and vehicles appear as pseudonyms only, but for who asked, whom operators may know;
//! whoever may know more asks for the reservation.

use lotkeeper_actors::{ChangeKind, LotView};
use lotkeeper_engine::ids::{
    PassId, PaymentId, ReservationId, SessionId, ShiftId, SlotIndex, ViolationId, WaitingId,
};
use lotkeeper_engine::lot::{self, Count, LotValues, Owner, Price, Reserved, SlotValues};
use lotkeeper_engine::lot::{session, violation as violations};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::slot::{self, Sighting};
use lotkeeper_engine::spec::{FeatureSet, Spec};
use lotkeeper_engine::time::Window;
use lotkeeper_storage::{Event, Record};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::about::{AboutBody, AddressBody};
use super::allocation;
use super::event_money;
use super::instant::Instant;
use super::names::{Kind, Proof, Reminder, Size, Source};
use super::place::PositionBody;
use super::rules::RulesBody;
use super::slot::{ServiceBody, type_names};
use super::{pass, shift, violation, waiting};
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
    /// What it happened to: `slots/{code}`, `sessions/{id}`, `payments/{id}`, `violations/{id}`, `passes/{id}`, `waiting/{id}`, `shifts/{id}`, `reservations/{id}` or `lots/{code}`.
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
    /// The stay.
    pub session: Option<SessionId>,
    /// The payment.
    pub payment: Option<PaymentId>,
    /// The violation.
    pub violation: Option<ViolationId>,
    /// The pass.
    pub pass: Option<PassId>,
    /// The place on the waiting list.
    pub waiting: Option<WaitingId>,
    /// The shift.
    pub shift: Option<ShiftId>,
}

impl Subject {
    /// Of an event. The view tells the slot of a reservation, while the lot remembers it.
    #[must_use]
    pub fn of(event: &Event, view: &LotView) -> Self {
        use lot::Event as E;
        let slot = |slot| Self { slot: Some(slot), ..Self::default() };
        match event {
            Event::Slot(index, _) => slot(*index),
            Event::Lot(event) => match event {
                E::Created(_)
                | E::Changed(_)
                | E::Counted { .. }
                | E::CounterFellSilent
                | E::TariffsChanged(_) => Self::default(),
                E::SlotChanged(values) => slot(values.slot),
                E::ServiceChanged { slot: index, .. } => slot(*index),
                E::Reserved(reserved) => {
                    Self { reservation: Some(reserved.id), ..slot(reserved.slot) }
                }
                E::Moved(moved) => Self { reservation: Some(moved.id), ..slot(moved.slot) },
                E::Confirmed { id }
                | E::Modified { id, .. }
                | E::Cancelled { id, .. }
                | E::Expired { id }
                | E::HoldBegan { id }
                | E::HoldEnded { id }
                | E::Reminded { id, .. }
                | E::Requested { id, .. }
                | E::CheckedIn { id, .. }
                | E::NoShow { id }
                | E::Completed { id } => {
                    let slot = view.lot.reservation(*id).map(|reservation| reservation.slot);
                    Self { slot, reservation: Some(*id), ..Self::default() }
                }
                E::Session(event) => Self::of_stay(event, view),
                E::Payment(event) => Self { payment: Some(event.id()), ..Self::default() },
                E::Violation(event) => Self::of_violation(event, view),
                E::Waiting(event) => Self { waiting: Some(event.id()), ..Self::default() },
                E::Shift(event) => Self { shift: Some(event.id()), ..Self::default() },
                E::Pass(event) => Self { pass: Some(event.id()), ..Self::default() },
                E::Posted(posting) => Self::of_owner(posting.about),
            },
        }
    }

    fn of_stay(event: &session::Event, view: &LotView) -> Self {
        let known = event.session().and_then(|id| view.lot.stays().get(id));
        let told = match event {
            session::Event::Denied(denied) => (denied.session, denied.reservation),
            _ => (event.session(), known.and_then(|session| session.reservation())),
        };
        let slot = known.and_then(|session| session.slot);
        Self { slot, session: told.0, reservation: told.1, ..Self::default() }
    }

    fn of_violation(event: &violations::Event, view: &LotView) -> Self {
        let told = match event {
            violations::Event::Raised(raised) => (raised.slot, raised.session),
            _ => view
                .lot
                .violations()
                .get(event.id())
                .map_or((None, None), |violation| (violation.slot, violation.session)),
        };
        let violation = Some(event.id());
        Self { slot: told.0, session: told.1, violation, ..Self::default() }
    }

    fn of_owner(owner: Owner) -> Self {
        match owner {
            Owner::Reservation(id) => Self { reservation: Some(id), ..Self::default() },
            Owner::Session(id) => Self { session: Some(id), ..Self::default() },
            Owner::Vehicle(_) => Self::default(),
            Owner::Pass(id) => Self { pass: Some(id), ..Self::default() },
        }
    }

    /// As in `entity`: the violation, the payment or the stay it is about, else the slot where one is known.
    #[must_use]
    pub fn entity(self, spec: &Spec) -> String {
        if let Some(id) = self.shift {
            return format!("shifts/{id}");
        }
        if let Some(id) = self.pass {
            return format!("passes/{id}");
        }
        if let Some(id) = self.waiting {
            return format!("waiting/{id}");
        }
        if let Some(id) = self.violation {
            return format!("violations/{id}");
        }
        let slot = self.slot.and_then(|slot| spec.slot(slot));
        match (self.payment, self.session, slot, self.reservation) {
            (Some(id), _, _, _) => format!("payments/{id}"),
            (None, Some(id), _, _) => format!("sessions/{id}"),
            (None, None, Some(slot), _) => format!("slots/{}", slot.code),
            (None, None, None, Some(id)) => format!("reservations/{id}"),
            (None, None, None, None) => format!("lots/{}", spec.code),
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
        if let Some(id) = subject.session {
            data.insert("session".to_owned(), json!(id.0));
        }
        data.retain(|_, value| !value.is_null());
        Self {
            seq: record.seq,
            lot: spec.code.to_string(),
            lot_seq: record.lot_seq,
            kind: ChangeKind::of(&record.event).name(),
            at: Instant(record.at),
            entity: subject.entity(spec),
            by: None,
            data,
        }
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
            E::Changed(values) => lot_values(values, spec),
            E::SlotChanged(values) => slot_values(values, spec),
            E::ServiceChanged { service, .. } => json!({"service": ServiceBody::from(service)}),
            E::Reserved(reserved) => promise(reserved, spec),
            E::Modified { window, price, .. } => moved(*window, price.as_deref(), spec),
            E::Moved(to) => moved(to.window, to.price.as_deref(), spec),
            E::Reminded { of, .. } => json!({"of": Reminder::from(*of)}),
            E::Requested { request, .. } => json!({"request": request.map(|request| request.0)}),
            E::Session(event) => event_money::stay(event, spec),
            E::Payment(event) => event_money::payment(event, spec),
            E::Violation(event) => violation::told(event, spec),
            E::Shift(event) => shift::told(event, spec),
            E::Pass(event) => pass::told(event, spec),
            E::Waiting(event) => waiting::told(event),
            E::Posted(posting) => event_money::posting(posting, spec),
            E::TariffsChanged(change) => event_money::tariffs(change, spec),
            E::Cancelled { reason, .. } => json!({"reason": reason}),
            E::CheckedIn { proof, .. } => json!({"proof": Proof::from(*proof)}),
            E::Counted { count, observed_at } => counted(*count, Instant(*observed_at)),
            E::Confirmed { .. }
            | E::Expired { .. }
            | E::HoldBegan { .. }
            | E::HoldEnded { .. }
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

fn moved(window: Window, price: Option<&Price>, spec: &Spec) -> Value {
    json!({
        "from": Instant(window.from),
        "to": Instant(window.to),
        "price": price.map(|price| money(price.fee.total, spec)),
    })
}

/// An amount in the lot's currency.
pub(super) fn money(amount: Amount, spec: &Spec) -> Value {
    json!({"amount": amount.0, "currency": spec.place.currency})
}

fn promise(reserved: &Reserved, spec: &Spec) -> Value {
    json!({
        "price": reserved.price.as_ref().map(|price| money(price.fee.total, spec)),
        "series": reserved.series.map(|series| series.0),
        "from": Instant(reserved.window.from),
        "to": Instant(reserved.window.to),
        "expires_at": reserved.expires_at.map(Instant),
        "holder": reserved.holder.0,
        "vehicle": reserved.vehicle.map(|vehicle| vehicle.0),
        "request": reserved.request.map(|request| request.0),
    })
}

fn lot_values(values: &LotValues, spec: &Spec) -> Value {
    json!({
        "name": values.name,
        "capacity": values.capacity,
        "time_zone": values.place.time_zone,
        "currency": values.place.currency,
        "city": values.place.city,
        "position": values.place.position.map(PositionBody::from),
        "address": AddressBody::of(&values.place),
        "about": AboutBody::from(&values.about),
        "allocation": allocation::shown(&values.allocation, &spec.zones),
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
        "vehicle_types": type_names(spec, values.vehicle_types),
        "walk_metres": values.walk_metres,
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
