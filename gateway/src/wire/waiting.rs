//! Places on a waiting list as they are asked for, shown and told in events.

use lotkeeper_engine::ids::WaitingId;
use lotkeeper_engine::lot::waiting::{self, Event, Waiter};
use lotkeeper_engine::lot::{Needs, Register};
use lotkeeper_engine::spec::{Fault, Spec};
use lotkeeper_engine::time::Window;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::instant::Instant;
use super::names::Size;
use super::reservation::NeedsBody;
use super::vehicle::Vehicle;
use super::{code_fault, is_code};

mirror! {
    /// Where a place on the waiting list is.
    WaitingState = waiting::State {
        /// It waits.
        Waiting = "waiting",
        /// A slot was offered: the reservation of the same id tells what became of it.
        Offered = "offered",
        /// Whoever waited gave it up.
        Left = "left",
        /// The window began, and nothing had become free.
        RanOut = "ran_out",
        /// What became free has no price for what was asked.
        Refused = "refused",
    }
}

/// Somebody wants to wait for a window that is full.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lot": "L1", "needs": {"vehicle_size": "standard"},
    "from": "2026-03-01T09:00:00Z", "to": "2026-03-01T11:00:00Z",
    "vehicle": {"plate": "B-XY 123", "country": "D"}
}))]
pub struct NewWaiting {
    /// Made by the client, so that a retry joins nothing twice; made by the server when left out. The
    /// reservation that is offered has it too.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Code or id of the lot.
    pub lot: String,
    /// What the slot must have; any will do when left out.
    #[serde(default)]
    pub needs: Option<NeedsBody>,
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
    /// For which vehicle.
    #[serde(default)]
    pub vehicle: Option<Vehicle>,
    /// The tenant's name of the vehicle's type, for its price; that of `needs` when left out.
    #[serde(default)]
    pub vehicle_type: Option<String>,
    /// Codes of discounts.
    #[serde(default)]
    pub discounts: Vec<String>,
}

impl NewWaiting {
    /// Everything wrong with it that needs no lot to be seen.
    ///
    /// # Errors
    /// The faults.
    pub fn check(&self) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        for (position, code) in self.discounts.iter().enumerate() {
            if !is_code(code) {
                faults.push(code_fault(format!("/discounts/{position}"), code));
            }
        }
        if let Some(code) = self.vehicle_type.as_deref().filter(|code| !is_code(code)) {
            faults.push(code_fault("/vehicle_type", code));
        }
        if let Some(vehicle) = &self.vehicle {
            faults.extend(vehicle.canonical().err().unwrap_or_default());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The window asked for.
    #[must_use]
    pub fn window(&self) -> Window {
        Window { from: self.from.0, to: self.to.0 }
    }

    /// The type of its vehicle, for its price.
    #[must_use]
    pub fn priced_type(&self) -> Option<Box<str>> {
        let of_needs = self.needs.as_ref().and_then(|needs| needs.vehicle_type.as_deref());
        self.vehicle_type.as_deref().or(of_needs).map(Box::from)
    }

    /// Identity of the place to be.
    #[must_use]
    pub fn id(&self) -> WaitingId {
        WaitingId(self.id.unwrap_or_else(Uuid::now_v7))
    }
}

/// A place on the waiting list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Waiting)]
pub struct WaitingBody {
    /// Identity, and that of the reservation that is offered.
    pub id: Uuid,
    /// Code of the lot.
    pub lot: String,
    /// Where it is.
    pub state: WaitingState,
    /// How many in this lot joined before and still wait; left out once it does not wait any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<usize>,
    /// What the slot must have.
    pub needs: NeededBody,
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
    /// For which vehicle; left out when none was told or it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<Vehicle>,
    /// When it was joined.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Changes so far: the value of its `ETag`.
    pub version: u32,
    /// The lot's sequence it is as of.
    pub seq: u64,
}

/// What a slot must have for somebody who waits.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WaitingNeeds)]
pub struct NeededBody {
    /// The vehicle's size.
    pub vehicle_size: Size,
    /// Features that must be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Code of the zone it must lie in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Code of the vehicle's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle_type: Option<String>,
}

impl NeededBody {
    fn of(needs: &Needs, spec: &Spec) -> Self {
        let named = |names: &[Box<str>], bits: u64| -> Vec<String> {
            let set = names.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            set.map(|(_, name)| name.to_string()).collect()
        };
        let zone = needs.zone.and_then(|zone| spec.zones.get(zone.at()));
        Self {
            vehicle_size: needs.size.into(),
            features: named(&spec.features, needs.features.0),
            zone: zone.map(|zone| zone.code.to_string()),
            vehicle_type: named(&spec.vehicle_types, needs.vehicle_type.0).pop(),
        }
    }
}

impl WaitingBody {
    /// Of a place of a lot; the vehicle is in clear, for its holder and staff.
    #[must_use]
    pub fn of(waiter: &Waiter, lot: &Register, lot_seq: u64, vehicle: Option<Vehicle>) -> Self {
        let waits = waiter.state == waiting::State::Waiting;
        Self {
            id: waiter.id.0,
            lot: lot.spec().code.to_string(),
            state: waiter.state.into(),
            ahead: waits.then(|| lot.waiting().ahead_of(waiter.id)).flatten(),
            needs: NeededBody::of(&waiter.terms.needs, lot.spec()),
            from: Instant(waiter.terms.window.from),
            to: Instant(waiter.terms.window.to),
            vehicle,
            created_at: Instant(waiter.created_at),
            updated_at: Instant(waiter.updated_at),
            version: waiter.version,
            seq: lot_seq,
        }
    }
}

/// What an event of the waiting list tells. People and vehicles are pseudonyms.
#[must_use]
pub fn told(event: &Event) -> Value {
    match event {
        Event::Joined { terms, .. } => json!({
            "from": Instant(terms.window.from), "to": Instant(terms.window.to),
            "holder": terms.holder.0, "vehicle": terms.vehicle.map(|vehicle| vehicle.0),
        }),
        Event::Offered { id } => json!({"reservation": id.0}),
        Event::Left { .. } | Event::RanOut { .. } | Event::Refused { .. } => json!({}),
    }
}
