//! Reservations as they are asked for and shown.

use lotkeeper_engine::ids::ReservationId;
use lotkeeper_engine::limits::HOLD_SECONDS_MAX;
use lotkeeper_engine::lot::{Choice, Needs, Reservation, State};
use lotkeeper_engine::spec::{Fault, FeatureSet, Spec};
use lotkeeper_engine::time::{Seconds, Window};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::instant::Instant;
use super::names::{ReservationState, Size};
use super::vehicle::Vehicle;
use super::{code_fault, fault, is_code};

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
        Some(Needs { size, features, zone })
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

    /// How long it is held.
    #[must_use]
    pub fn hold(&self) -> Option<Seconds> {
        self.hold_seconds.map(Seconds)
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
        if let Some(slot) = &self.slot {
            return lot.slot(slot).map(Choice::Slot).ok_or(NoChoice::SlotNotFound);
        }
        let any = NeedsBody::default();
        let needs = self.needs.as_ref().unwrap_or(&any).in_lot(spec);
        needs.map(Choice::Any).ok_or(NoChoice::NoSlotFits)
    }
}

/// A new window; what is left out stays.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"to": "2026-03-01T12:00:00Z"}))]
pub struct ReservationPatch {
    /// The first instant.
    #[serde(default)]
    pub from: Option<Instant>,
    /// The first instant after.
    #[serde(default)]
    pub to: Option<Instant>,
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
    /// Short, for people: eight characters of 0-9 and A-Z without I, L, O, U.
    pub reference: String,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
    /// Of a reservation of a lot; `vehicle` is in clear, for its holder and staff.
    #[must_use]
    pub fn of(
        reservation: &Reservation,
        spec: &Spec,
        lot_seq: u64,
        vehicle: Option<Vehicle>,
    ) -> Self {
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
            reference: reference(reservation.id),
            reason: reservation.reason.as_ref().map(ToString::to_string),
            created_at: Instant(reservation.created_at),
            updated_at: Instant(reservation.updated_at),
            version: reservation.version,
            seq: lot_seq,
        }
    }
}

/// Eight characters of Crockford's base 32 that stand for an id in speech and on paper. They are derived,
/// so they never change; two reservations may share one, so nothing is looked up by them alone.
#[must_use]
pub fn reference(id: ReservationId) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digest = Sha256::digest(id.0.as_bytes());
    // Forty bits, five to a character.
    let bits = digest.iter().take(5).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    (0..8).rev().map(|place| char::from(DIGITS[(bits >> (5 * place) & 0x1F) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::from_json;

    #[test]
    fn reference_never_changes() {
        let id = ReservationId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001));
        let next = ReservationId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0002));
        let text = reference(id);
        assert_eq!(text.len(), 8);
        assert_eq!(text, reference(id));
        assert_ne!(text, reference(next));
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() && !"ILOU".contains(c)), "{text}");
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
