//! Violations as they are reported, changed, shown and told in events.

use lotkeeper_actors::LotHandle;
use lotkeeper_engine::ids::{Pseudonym, SessionId, SlotIndex, ViolationId};
use lotkeeper_engine::lot::violation::{self, Amended, Event, Evidence, Kind, Raised};
use lotkeeper_engine::lot::{Report, Violation, ViolationChange};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::{Fault, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::event::money;
use super::event_money::owner;
use super::instant::Instant;
use super::money::MoneyBody;
use super::vehicle::Vehicle;
use super::{code_fault, is_code};

mirror! {
    /// Where a violation is.
    ViolationState = violation::State {
        /// Nobody was told yet.
        Open = "open",
        /// Whoever did it was told.
        Notified = "notified",
        /// He says that it is wrong; staff must decide.
        Appealed = "appealed",
        /// Its penalty is paid.
        Paid = "paid",
        /// Given up, the penalty as well.
        Waived = "waived",
        /// Over; a penalty that is not paid stays owed.
        Resolved = "resolved",
    }
}

mirror! {
    /// How bad a violation is.
    Severity = violation::Severity {
        /// A word is enough.
        Minor = "minor",
        /// Somebody else is kept from his place.
        Serious = "serious",
        /// For the authority.
        Severe = "severe",
    }
}

/// Where something is found that shows a violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Evidence, example = json!({"kind": "photo", "reference": "https://example.org/17.jpg"}))]
pub struct EvidenceBody {
    /// A code: `photo`, `reading`, ...
    pub kind: String,
    /// A code or an address with https; no text about anybody.
    pub reference: String,
}

impl From<&Evidence> for EvidenceBody {
    fn from(evidence: &Evidence) -> Self {
        Self { kind: evidence.kind.to_string(), reference: evidence.reference.to_string() }
    }
}

fn evidence(bodies: &[EvidenceBody]) -> Vec<Evidence> {
    let evidence = |body: &EvidenceBody| Evidence {
        kind: body.kind.as_str().into(),
        reference: body.reference.as_str().into(),
    };
    bodies.iter().map(evidence).collect()
}

/// A penalty may be nothing, which a payment may not.
fn penalty(given: Option<&MoneyBody>, spec: &Spec) -> Result<Option<Amount>, Vec<Fault>> {
    let Some(money) = given else { return Ok(None) };
    if money.amount == 0 && *money.currency == *spec.place.currency {
        return Ok(Some(Amount::ZERO));
    }
    money.checked("/penalty", spec).map(Some).map_err(|fault| vec![fault])
}

/// A violation that staff saw.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lot": "L1", "kind": "blocks_lane", "slot": "A-101", "vehicle": {"plate": "B-XY 123", "country": "D"},
    "penalty": {"amount": 3000, "currency": "EUR"}, "evidence": [{"kind": "photo", "reference": "https://example.org/17.jpg"}]
}))]
pub struct NewViolation {
    /// Made by the client, so that a retry reports nothing twice; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Code or id of the lot.
    pub lot: String,
    /// `overstay`, `wrong_slot_type`, `no_session`, `expired_pass`, or a code of the tenant's own.
    pub kind: String,
    /// As the kind is, when left out.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// When it was seen; now when left out.
    #[serde(default)]
    pub seen_at: Option<Instant>,
    /// The stay; that of the vehicle, or on the slot, when left out.
    #[serde(default)]
    pub session: Option<Uuid>,
    /// Code or id of the slot.
    #[serde(default)]
    pub slot: Option<String>,
    /// The vehicle.
    #[serde(default)]
    pub vehicle: Option<Vehicle>,
    /// What is to be paid for it; needs a session or a vehicle.
    #[serde(default)]
    pub penalty: Option<MoneyBody>,
    /// What shows it, up to 8.
    #[serde(default)]
    pub evidence: Vec<EvidenceBody>,
}

impl NewViolation {
    /// In terms of the engine.
    ///
    /// # Errors
    /// A penalty in another currency.
    pub fn report(
        &self,
        slot: Option<SlotIndex>,
        vehicle: Option<Pseudonym>,
        spec: &Spec,
    ) -> Result<Report, Vec<Fault>> {
        Ok(Report {
            id: ViolationId(self.id.unwrap_or_else(Uuid::now_v7)),
            kind: Kind::of(&self.kind),
            severity: self.severity.map(Into::into),
            seen_at: self.seen_at.map(|at| at.0),
            session: self.session.map(SessionId),
            slot,
            vehicle,
            penalty: penalty(self.penalty.as_ref(), spec)?.unwrap_or_default(),
            evidence: evidence(&self.evidence),
        })
    }
}

/// What was found out; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"vehicle": {"plate": "B-XY 123", "country": "D"}, "penalty": {"amount": 3000, "currency": "EUR"}}))]
pub struct ViolationPatch {
    /// How bad it is.
    pub severity: Option<Severity>,
    /// The vehicle.
    pub vehicle: Option<Vehicle>,
    /// What is to be paid for it in all.
    pub penalty: Option<MoneyBody>,
    /// What shows it, as a whole.
    pub evidence: Option<Vec<EvidenceBody>>,
}

impl ViolationPatch {
    /// In terms of the engine.
    ///
    /// # Errors
    /// A penalty in another currency.
    pub fn change(
        &self,
        vehicle: Option<Pseudonym>,
        spec: &Spec,
    ) -> Result<ViolationChange, Vec<Fault>> {
        Ok(ViolationChange::Amend {
            severity: self.severity.map(Into::into),
            vehicle,
            penalty: penalty(self.penalty.as_ref(), spec)?,
            evidence: self.evidence.as_deref().map(evidence),
        })
    }
}

/// Why.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "first_time"}))]
pub struct Because {
    /// A code, not free text: the log is kept and must hold nothing personal.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Because {
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

/// A violation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Violation)]
pub struct ViolationBody {
    /// Identity.
    pub id: Uuid,
    /// Code of the lot.
    pub lot: String,
    /// `overstay`, `wrong_slot_type`, `no_session`, `expired_pass`, or a code of the tenant's own.
    #[schema(example = "overstay")]
    pub kind: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub state: ViolationState,
    /// Whether the engine found it; else somebody reported it.
    pub detected: bool,
    /// Since when it is wrong.
    pub since: Instant,
    /// The stay it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// Code of the slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The vehicle, when known and not erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<Vehicle>,
    /// What is to be paid for it, beside the fee of the stay.
    pub penalty: MoneyBody,
    /// What shows it.
    pub evidence: Vec<EvidenceBody>,
    /// How often somebody was told.
    pub notices: u8,
    /// When last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notified_at: Option<Instant>,
    /// When its penalty was paid, whatever became of it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Instant>,
    /// Why it was appealed against, waived or resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was raised.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Changes so far: the value of its `ETag`.
    pub version: u32,
    /// The lot's sequence it is as of.
    pub seq: u64,
}

impl ViolationBody {
    /// Of a violation of a lot; `vehicle` is in clear, for its holder and staff.
    #[must_use]
    pub fn of(violation: &Violation, spec: &Spec, lot_seq: u64, vehicle: Option<Vehicle>) -> Self {
        let slot = violation.slot.and_then(|slot| spec.slot(slot));
        Self {
            id: violation.id.0,
            lot: spec.code.to_string(),
            kind: violation.kind.code().to_owned(),
            severity: violation.severity.into(),
            state: violation.state.into(),
            detected: violation.detected,
            since: Instant(violation.since),
            session: violation.session.map(|session| session.0),
            slot: slot.map(|slot| slot.code.to_string()),
            vehicle,
            penalty: MoneyBody::of(violation.penalty, spec),
            evidence: violation.evidence.iter().map(Into::into).collect(),
            notices: violation.notices,
            notified_at: violation.notified_at.map(Instant),
            paid_at: violation.paid_at.map(Instant),
            reason: violation.reason.as_deref().map(str::to_owned),
            created_at: Instant(violation.created_at),
            updated_at: Instant(violation.updated_at),
            version: violation.version,
            seq: lot_seq,
        }
    }
}

/// The slot that a report names.
#[must_use]
pub fn slot_of(request: &NewViolation, lot: &LotHandle) -> Option<Option<SlotIndex>> {
    match &request.slot {
        Some(code) => lot.slot(code).map(Some),
        None => Some(None),
    }
}

/// What an event of a violation tells. Vehicles and people are pseudonyms.
#[must_use]
pub fn told(event: &Event, spec: &Spec) -> Value {
    match event {
        Event::Raised(raised) => raised_data(raised, spec),
        Event::Amended(amended) => amended_data(amended, spec),
        Event::Notified { number, fee, .. } => json!({"number": number, "fee": money(*fee, spec)}),
        Event::Paid { .. } => json!({}),
        Event::Appealed { reason, .. }
        | Event::Waived { reason, .. }
        | Event::Resolved { reason, .. } => json!({"reason": reason}),
    }
}

fn raised_data(raised: &Raised, spec: &Spec) -> Value {
    let evidence: Vec<EvidenceBody> = raised.evidence.iter().map(Into::into).collect();
    json!({
        "kind": raised.kind.code(),
        "severity": Severity::from(raised.severity),
        "detected": raised.detected,
        "since": Instant(raised.since),
        "vehicle": raised.vehicle.map(|vehicle| vehicle.0),
        "holder": raised.holder.map(|holder| holder.0),
        "account": raised.account.map(owner),
        "penalty": money(raised.penalty, spec),
        "evidence": evidence,
    })
}

fn amended_data(amended: &Amended, spec: &Spec) -> Value {
    let evidence: Vec<EvidenceBody> = amended.evidence.iter().map(Into::into).collect();
    json!({
        "severity": Severity::from(amended.severity),
        "vehicle": amended.vehicle.map(|vehicle| vehicle.0),
        "account": amended.account.map(owner),
        "penalty": money(amended.penalty, spec),
        "evidence": evidence,
    })
}
