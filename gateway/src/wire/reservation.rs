//! Reservations as they are asked for and shown.

use lotkeeper_engine::ids::Reference;
use lotkeeper_engine::limits::HOLD_SECONDS_MAX;
use lotkeeper_engine::lot::{Choice, Needs, Owner, Register, Reservation, State, payment};
use lotkeeper_engine::spec::{Fault, FeatureSet, Spec, TypeSet};
use lotkeeper_engine::time::{Seconds, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::instant::Instant;
use super::money::MoneyBody;
use super::names::{PaidState, ReservationState, Size};
use super::request::{InClear, asked, some};
use super::tariff::FeeBody;
use super::vehicle::Vehicle;
use super::{code_fault, fault, is_code};
use crate::credential::Ticket;

/// A reservation to be made. `slot` and `needs` exclude each other; neither means any slot.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lot": "L1", "needs": {"vehicle_size": "standard", "features": ["ev"]},
    "from": "2026-03-01T09:00:00Z", "to": "2026-03-01T11:00:00Z",
    "vehicle": {"plate": "B-XY 123", "country": "D"}, "hold_seconds": 600
}))]
pub struct NewReservation {
    /// Made by the client, so that a retry books nothing twice; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Code or id of the lot.
    pub lot: String,
    /// Code or id of the slot.
    #[serde(default)]
    pub slot: Option<String>,
    /// What the slot must have.
    #[serde(default)]
    pub needs: Option<NeedsBody>,
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
    /// For which vehicle.
    #[serde(default)]
    pub vehicle: Option<Vehicle>,
    /// Held for so long until it is confirmed, 1 to 86,400; confirmed at once when left out.
    #[serde(default)]
    pub hold_seconds: Option<u32>,
    /// The tenant's name of the vehicle's type, for its price; that of `needs` when left out.
    #[serde(default)]
    pub vehicle_type: Option<String>,
    /// Codes of discounts.
    #[serde(default)]
    pub discounts: Vec<String>,
    /// What one asks for in one's own words, 500 characters at most. Nothing hangs on it.
    #[serde(default)]
    #[schema(example = "Close to the lift, please: we have a pram.")]
    pub request: Option<String>,
}

/// What a slot must have.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Needs)]
pub struct NeedsBody {
    /// The vehicle's size; any slot is large enough when left out.
    pub vehicle_size: Option<Size>,
    /// Features that must be there.
    pub features: Vec<String>,
    /// Code of the zone it must lie in.
    pub zone: Option<String>,
    /// Code of the vehicle's type; without, only slots that admit every type will do.
    pub vehicle_type: Option<String>,
}

impl NeedsBody {
    /// In terms of a lot; nothing when no slot of it could ever fit.
    #[must_use]
    pub fn in_lot(&self, spec: &Spec) -> Option<Needs> {
        let mut features = FeatureSet::default();
        for name in &self.features {
            let bit = spec.features.iter().position(|known| **known == **name)?;
            features.0 |= 1 << bit;
        }
        let zone = match &self.zone {
            Some(code) => {
                let position = spec.zones.iter().position(|zone| *zone.code == **code)?;
                Some(lotkeeper_engine::ids::ZoneIndex(u16::try_from(position).ok()?))
            }
            None => None,
        };
        let size = self.vehicle_size.unwrap_or(Size::Motorcycle).into();
        // A type that no slot of the lot names is as good as none.
        let vehicle_type = self.vehicle_type.as_ref().and_then(|name| {
            let bit = spec.vehicle_types.iter().position(|known| **known == **name)?;
            Some(TypeSet(1 << bit))
        });
        Some(Needs { size, features, zone, vehicle_type: vehicle_type.unwrap_or_default() })
    }
}

/// Why the slot of a request cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoChoice {
    /// The lot has no such slot.
    SlotNotFound,
    /// No slot of the lot has what is needed.
    NoSlotFits,
}

impl NewReservation {
    /// Everything wrong with it that needs no lot to be seen.
    ///
    /// # Errors
    /// The faults.
    pub fn check(&self) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        if self.slot.is_some() && self.needs.is_some() {
            faults.push(fault("/needs", "`slot` and `needs` exclude each other; leave one out"));
        }
        if let Some(seconds) = self.hold_seconds
            && !(1..=HOLD_SECONDS_MAX).contains(&seconds)
        {
            let detail = format!("{seconds} is not between 1 and {HOLD_SECONDS_MAX} seconds");
            faults.push(fault("/hold_seconds", detail));
        }
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
        faults.extend(self.request.as_deref().and_then(|text| asked(text).err()));
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The window asked for.
    #[must_use]
    pub fn window(&self) -> Window {
        Window { from: self.from.0, to: self.to.0 }
    }

    /// How long it is held.
    #[must_use]
    pub fn hold(&self) -> Option<Seconds> {
        self.hold_seconds.map(Seconds)
    }

    /// The type of its vehicle, for its price.
    #[must_use]
    pub fn priced_type(&self) -> Option<Box<str>> {
        let needed = || self.needs.as_ref().and_then(|needs| needs.vehicle_type.as_deref());
        self.vehicle_type.as_deref().or_else(needed).map(Box::from)
    }

    /// Which slot it wants.
    ///
    /// # Errors
    /// A slot the lot does not have, or needs that none of its slots meets.
    pub fn choice(
        &self,
        lot: &lotkeeper_actors::LotHandle,
        spec: &Spec,
    ) -> Result<Choice, NoChoice> {
        choice(self.slot.as_deref(), self.needs.as_ref(), lot, spec)
    }
}

/// Which slot is wanted: a given one, or any that has what is needed.
///
/// # Errors
/// A slot the lot does not have, or needs that none of its slots meets.
pub fn choice(
    slot: Option<&str>,
    needs: Option<&NeedsBody>,
    lot: &lotkeeper_actors::LotHandle,
    spec: &Spec,
) -> Result<Choice, NoChoice> {
    if let Some(slot) = slot {
        return lot.slot(slot).map(Choice::Slot).ok_or(NoChoice::SlotNotFound);
    }
    let any = NeedsBody::default();
    let needs = needs.unwrap_or(&any).in_lot(spec);
    needs.map(Choice::Any).ok_or(NoChoice::NoSlotFits)
}

/// A new window, slot or request; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"to": "2026-03-01T12:00:00Z"}))]
pub struct ReservationPatch {
    /// The first instant.
    #[serde(default)]
    pub from: Option<Instant>,
    /// The first instant after.
    #[serde(default)]
    pub to: Option<Instant>,
    /// Code or id of another slot.
    #[serde(default)]
    pub slot: Option<String>,
    /// What another slot must have; the own one is kept where it has that and is open.
    #[serde(default)]
    pub needs: Option<NeedsBody>,
    /// What one asks for from now on, 500 characters at most; null for nothing any more.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Option<String>)]
    pub request: Option<Option<String>>,
}

/// Why a reservation is given up.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "plans_changed"}))]
pub struct Cancellation {
    /// A code, not free text: the log is kept and must hold nothing personal.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Cancellation {
    /// The code.
    ///
    /// # Errors
    /// Text that is not a code.
    pub fn checked(self) -> Result<Option<Box<str>>, Vec<Fault>> {
        match self.reason {
            Some(reason) if !is_code(&reason) => Err(vec![code_fault("/reason", &reason)]),
            reason => Ok(reason.map(Into::into)),
        }
    }
}

/// A request without values: its body may be left out.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A reservation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reservation)]
pub struct ReservationBody {
    /// Identity.
    pub id: Uuid,
    /// Code of the lot.
    pub lot: String,
    /// Code of the slot promised.
    pub slot: String,
    /// Where it is in its life.
    pub state: ReservationState,
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
    /// The first instant at which a hold is gone; held ones only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
    /// For which vehicle; left out when none was told, or when it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<Vehicle>,
    /// Short, for people.
    #[schema(example = "4K7T-9X2C")]
    pub reference: String,
    /// What it costs; null where the lot has no tariff for it.
    #[schema(required)]
    pub price: Option<FeeBody>,
    /// Where its money is.
    pub payment: PaymentStateBody,
    /// The recurring request it is an occurrence of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Uuid>,
    /// The text of its QR code, while it opens a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What its holder asks for in his own words; until the lot forgets the reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// When it was made.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Changes so far: the value of its `ETag`.
    pub version: u32,
    /// The lot's sequence it is as of.
    pub seq: u64,
}

impl ReservationBody {
    /// Of a reservation of a lot; what is in clear is for its holder and staff.
    #[must_use]
    pub fn of(
        reservation: &Reservation,
        register: &Register,
        lot_seq: u64,
        InClear { vehicle, request }: InClear,
        qr: Option<String>,
    ) -> Self {
        let spec = register.spec();
        let expires_at = match reservation.state {
            State::Held { expires_at } => Some(Instant(expires_at)),
            State::Confirmed
            | State::CheckedIn { .. }
            | State::Completed
            | State::Cancelled
            | State::Expired
            | State::NoShow => None,
        };
        Self {
            id: reservation.id.0,
            lot: spec.code.to_string(),
            slot: spec
                .slot(reservation.slot)
                .map_or_else(String::new, |slot| slot.code.to_string()),
            state: reservation.state.into(),
            from: Instant(reservation.window.from),
            to: Instant(reservation.window.to),
            expires_at,
            vehicle,
            reference: reference(Reference::of(reservation.id.0)),
            price: reservation
                .price
                .as_ref()
                .map(|price| FeeBody::new(&price.fee, &spec.place.currency)),
            payment: PaymentStateBody::of(reservation, register),
            series: reservation.series.map(|series| series.0),
            qr,
            reason: reservation.reason.as_ref().map(ToString::to_string),
            request,
            created_at: Instant(reservation.created_at),
            updated_at: Instant(reservation.updated_at),
            version: reservation.version,
            seq: lot_seq,
        }
    }
}

/// What people read out and type: `4K7T-9X2C`, seven characters and one that checks them (docs/credentials.md).
#[must_use]
pub fn reference(reference: Reference) -> String {
    // Every reference is the number of a ticket: both leave out those without a plain check symbol.
    Ticket::of_number(reference.number()).map_or_else(String::new, |ticket| ticket.to_string())
}

/// Where the money of a reservation is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReservationPayment)]
pub struct PaymentStateBody {
    /// In one word.
    pub state: PaidState,
    /// What is to be paid; below zero what is to go back.
    pub due: MoneyBody,
}

impl PaymentStateBody {
    fn of(reservation: &Reservation, register: &Register) -> Self {
        let owner = Owner::Reservation(reservation.id);
        let owed = match register.stays().of_reservation(reservation.id) {
            // What a stay owes is the stay's to say.
            Some(_) => register.accounts().owed_by(owner),
            None => register.owed_for(reservation),
        };
        Self {
            state: paid_state(register, owner, reservation.price.is_some()),
            due: MoneyBody::of(owed, register.spec()),
        }
    }
}

/// The state of all payments for one owner together.
fn paid_state(register: &Register, owner: Owner, is_priced: bool) -> PaidState {
    let (mut received, mut refunded, mut promised, mut failed) = (0_i64, 0_i64, 0_i64, false);
    for payment in register.payments().of(owner) {
        let amount = payment.amount.0;
        match payment.state {
            payment::State::Authorised => promised = promised.saturating_add(amount),
            payment::State::Captured
            | payment::State::PartlyRefunded
            | payment::State::Refunded => {
                received = received.saturating_add(amount);
                refunded = refunded.saturating_add(payment.refunded.0);
            }
            payment::State::Failed => failed = true,
            payment::State::Voided | payment::State::Pending => {}
        }
    }
    let owes = register.accounts().owed_by(owner).0 > 0;
    match (received, refunded) {
        (1.., _) if refunded >= received => PaidState::Refunded,
        (1.., 1..) => PaidState::PartlyRefunded,
        (1.., _) if !owes => PaidState::Paid,
        _ if promised > 0 => PaidState::Authorised,
        _ if failed => PaidState::Failed,
        _ if is_priced => PaidState::Pending,
        _ => PaidState::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::from_json;

    #[test]
    fn reference_never_changes_and_every_one_is_a_ticket() {
        let id = |low: u128| Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 | low);
        let text = reference(Reference::of(id(1)));
        assert_eq!(text, reference(Reference::of(id(1))));
        assert_ne!(text, reference(Reference::of(id(2))));
        for low in 0..10_000 {
            let text = reference(Reference::of(id(low)));
            let number = Ticket::parse(&text).unwrap().number();
            assert_eq!(Reference::of_number(number), Some(Reference::of(id(low))), "{text}");
        }
    }

    #[test]
    fn impossible_requests_are_told_where() {
        let rest = r#""lot":"L1","from":"2026-03-01T09:00:00Z","to":"2026-03-01T11:00:00Z""#;
        for (more, pointer) in [
            (r#""slot":"A","needs":{}"#, "/needs"),
            (r#""hold_seconds":0"#, "/hold_seconds"),
            (r#""hold_seconds":86401"#, "/hold_seconds"),
            (r#""vehicle":{"plate":"?"}"#, "/vehicle/plate"),
        ] {
            let body = format!("{{{rest},{more}}}");
            let reservation: NewReservation = from_json(body.as_bytes()).unwrap();
            assert_eq!(reservation.check().unwrap_err()[0].pointer, pointer, "{more}");
        }
        let body = format!("{{{rest}}}");
        let reservation: NewReservation = from_json(body.as_bytes()).unwrap();
        assert!(reservation.check().is_ok());
    }
}
