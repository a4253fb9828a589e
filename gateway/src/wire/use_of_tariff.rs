//! Where a tariff applies, and quotes.

use lotkeeper_actors::LotHandle;
use lotkeeper_engine::ids::{TariffId, ZoneIndex};
use lotkeeper_engine::spec::{Fault, Spec};
use lotkeeper_engine::tariff::{Assignment, Scope, Tariff};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instant::Instant;
use super::tariff::{FeeBody, NewTariff, TariffBody};
use super::{code_fault, fault, is_code};

/// Where a tariff applies: a slot's wins over its zone's, that over the lot's, that over the tenant's; within
/// one, that of a vehicle's type over any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TariffUse, example = json!({"zone": "level-1", "vehicle_type": "van"}))]
pub struct UseBody {
    /// Code of a slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Code of a zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// For every lot of the tenant; else, without slot and zone, for this lot.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tenant: bool,
    /// The tenant's name of a vehicle's type; for any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vehicle_type: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl UseBody {
    /// In terms of a lot.
    ///
    /// # Errors
    /// A slot or zone that the lot does not have, or more than one place.
    pub fn assignment(
        &self,
        tariff: TariffId,
        lot: &LotHandle,
        pointer: &str,
    ) -> Result<Assignment, Fault> {
        let spec = lot.spec();
        let places = [self.slot.is_some(), self.zone.is_some(), self.tenant];
        if places.iter().filter(|given| **given).count() > 1 {
            return Err(fault(pointer, "`slot`, `zone` and `tenant` exclude each other"));
        }
        if let Some(code) = self.vehicle_type.as_deref().filter(|code| !is_code(code)) {
            return Err(code_fault(format!("{pointer}/vehicle_type"), code));
        }
        let scope = match (&self.slot, &self.zone) {
            (Some(code), _) => {
                let missing = || fault(format!("{pointer}/slot"), "the lot has no such slot");
                Scope::Slot(lot.slot(code).ok_or_else(missing)?)
            }
            (None, Some(code)) => {
                let missing = || fault(format!("{pointer}/zone"), "the lot has no such zone");
                Scope::Zone(zone_of(&spec, code).ok_or_else(missing)?)
            }
            (None, None) if self.tenant => Scope::Tenant,
            (None, None) => Scope::Lot,
        };
        let vehicle_type = self.vehicle_type.as_deref().map(Into::into);
        Ok(Assignment { scope, vehicle_type, tariff })
    }

    /// In the words of the lot.
    #[must_use]
    pub fn of(assignment: &Assignment, spec: &Spec) -> Self {
        let (slot, zone) = match assignment.scope {
            Scope::Slot(slot) => (spec.slot(slot).map(|slot| slot.code.to_string()), None),
            Scope::Zone(zone) => {
                (None, spec.zones.get(zone.at()).map(|zone| zone.code.to_string()))
            }
            Scope::Lot | Scope::Tenant => (None, None),
        };
        Self {
            slot,
            zone,
            tenant: assignment.scope == Scope::Tenant,
            vehicle_type: assignment.vehicle_type.as_ref().map(ToString::to_string),
        }
    }
}

/// The zone with a code.
#[must_use]
pub fn zone_of(spec: &Spec, code: &str) -> Option<ZoneIndex> {
    let position = spec.zones.iter().position(|zone| *zone.code == *code)?;
    u16::try_from(position).ok().map(ZoneIndex)
}

/// A tariff and where it is to apply.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TariffUpload, example = json!({
    "tariff": {"name": "Centre", "rate": {"hourly": {"tiers": [{"amount": 200, "begun": true}]}}},
    "applies_to": [{}]
}))]
pub struct UploadBody {
    /// The tariff; with the `id` of one that is there it becomes its next version.
    pub tariff: NewTariff,
    /// Where it applies; where its versions before do when left out, and in the whole lot when there are none.
    #[serde(default)]
    pub applies_to: Option<Vec<UseBody>>,
}

/// A tariff of a lot.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LotTariff)]
pub struct LotTariffBody {
    /// The version.
    #[serde(flatten)]
    pub tariff: TariffBody,
    /// Where its versions apply.
    pub applies_to: Vec<UseBody>,
}

impl LotTariffBody {
    /// Of a version in a lot.
    #[must_use]
    pub fn of<'a>(
        tariff: &Tariff,
        assignments: impl Iterator<Item = &'a Assignment>,
        spec: &Spec,
    ) -> Self {
        let own = assignments.filter(|assignment| assignment.tariff == tariff.id);
        let applies_to = own.map(|assignment| UseBody::of(assignment, spec)).collect();
        Self { tariff: tariff.into(), applies_to }
    }
}

/// When a tariff ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TariffEnd)]
pub struct EndBody {
    /// Now when left out.
    #[serde(default)]
    pub at: Option<Instant>,
    /// In every lot of the tenant that has it, not in this one alone; lots that come later do not take it over.
    #[serde(default)]
    pub tenant: bool,
}

/// What is to be priced.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewQuote, example = json!({
    "lot": "L1", "from": "2026-03-01T09:00:00Z", "to": "2026-03-01T11:00:00Z", "vehicle_type": "van"
}))]
pub struct QuoteRequest {
    /// Code or id of the lot.
    pub lot: String,
    /// Code or id of a slot.
    #[serde(default)]
    pub slot: Option<String>,
    /// Code of a zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// The tenant's name of the vehicle's type.
    #[serde(default)]
    pub vehicle_type: Option<String>,
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
    /// Codes of discounts.
    #[serde(default)]
    pub discounts: Vec<String>,
}

/// A price before anybody comes. Nothing is promised: a reservation is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Quote)]
pub struct QuoteBody {
    /// Code of the lot.
    pub lot: String,
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
    /// The price; null where no tariff applies.
    #[schema(required)]
    pub price: Option<FeeBody>,
    /// How many slots are open for the whole window.
    pub free: usize,
    /// The lot's sequence it is as of.
    pub seq: u64,
}
