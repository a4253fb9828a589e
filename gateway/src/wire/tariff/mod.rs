//! Tariffs as they are uploaded and shown, and fees as they are shown.
//!
//! Invariants: what is shown can be uploaded again and is the same tariff; an upload is checked as a whole and
//! every fault names its place. Amounts are in minor units, shares in ten-thousandths (`_bp`), multipliers in
//! thousandths (`_per_mille`). Deliberately absent: where a tariff is used, and routes.

mod band;
mod fee;
mod names;
mod rate;
mod rules;
#[cfg(test)]
mod tests;

pub use band::{BandBody, DatesBody, WeeklyBody, WindowBody};
pub use fee::{FeeBody, LineBody};
pub use names::{
    Anchor, Clock, GraceMode, IncrementMode, LineKind, Payer, Rounding, Unit, Weekday,
};
pub use rate::{FlatBody, HourlyBody, PeriodsBody, RateBody, SlabBody, SlabsBody, TierBody};
pub use rules::{
    CancellationBody, CapBody, DiscountBody, GraceBody, IncrementBody, LostTicketBody,
    OverstayBody, RefundStepBody, RoundingBody, ServiceFeeBody, TaxBody, ThresholdBody,
};

use lotkeeper_engine::ids::TariffId;
use lotkeeper_engine::spec::Fault;
use lotkeeper_engine::tariff::{Cancellation, Increment, Tariff, TotalRounding};
use lotkeeper_engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::instant::Instant;

/// A tariff to be uploaded: a rate, and the rules around it that are wanted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Centre, short stay",
    "rate": {"hourly": {"tiers": [
        {"amount": 300, "begun": true}, {"from_seconds": 3600, "amount": 100, "per_seconds": 1800, "begun": true}
    ]}},
    "bands": [{"code": "night", "weekly": {"from": "22:00", "to": "06:00"}, "rate": {"flat": {"amount": 500}},
               "clock": "band"}],
    "caps": [{"unit": "day", "anchor": "calendar", "amount": 2000}],
    "grace": {"seconds": 600, "mode": "free_if_shorter"},
    "overstay": {"grace_seconds": 900, "multiplier_per_mille": 1500, "penalty_per_hour": 1000},
    "tax": {"code": "VAT", "rate_bp": 1900, "included": true, "on_penalty": false}
}))]
pub struct NewTariff {
    /// Of a tariff that gets a new version, or made by the client; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// For people.
    pub name: String,
    /// In force from here on; from now when left out.
    #[serde(default)]
    pub valid_from: Option<Instant>,
    /// Until here; until a later version when left out.
    #[serde(default)]
    pub valid_until: Option<Instant>,
    /// What time costs.
    pub rate: RateBody,
    /// Times with another price, in order of precedence. Up to 32.
    #[serde(default)]
    pub bands: Vec<BandBody>,
    /// The most that time costs. Up to 8.
    #[serde(default)]
    pub caps: Vec<CapBody>,
    /// The step in which time is billed; a second when left out.
    #[serde(default)]
    pub increment: Option<IncrementBody>,
    /// Free minutes at the start.
    #[serde(default)]
    pub grace: Option<GraceBody>,
    /// What a full lot does, by rising occupancy. Up to 16.
    #[serde(default)]
    pub demand: Vec<ThresholdBody>,
    /// What staying past the booked end costs; the stay goes on when left out.
    #[serde(default)]
    pub overstay: OverstayBody,
    /// Discounts it knows. Up to 64.
    #[serde(default)]
    pub discounts: Vec<DiscountBody>,
    /// The tax.
    #[serde(default)]
    pub tax: Option<TaxBody>,
    /// What the marketplace takes.
    #[serde(default)]
    pub service_fee: Option<ServiceFeeBody>,
    /// What a lost ticket costs.
    #[serde(default)]
    pub lost_ticket: Option<LostTicketBody>,
    /// What a cancelled reservation gives back; nothing when left out.
    #[serde(default)]
    pub cancellation: Option<CancellationBody>,
    /// How the total is rounded; to the nearest unit, halves to even, when left out.
    #[serde(default)]
    pub rounding: Option<RoundingBody>,
}

/// A version of a tariff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Tariff)]
pub struct TariffBody {
    /// Shared by its versions.
    pub id: Uuid,
    /// Later ones are larger.
    pub version: u32,
    /// For people.
    pub name: String,
    /// In force from here on.
    pub valid_from: Instant,
    /// Until here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Instant>,
    /// What time costs.
    pub rate: RateBody,
    /// Times with another price, in order of precedence.
    pub bands: Vec<BandBody>,
    /// The most that time costs.
    pub caps: Vec<CapBody>,
    /// The step in which time is billed.
    pub increment: IncrementBody,
    /// Free minutes at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<GraceBody>,
    /// What a full lot does, by rising occupancy.
    pub demand: Vec<ThresholdBody>,
    /// What staying past the booked end costs.
    pub overstay: OverstayBody,
    /// Discounts it knows.
    pub discounts: Vec<DiscountBody>,
    /// The tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax: Option<TaxBody>,
    /// What the marketplace takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_fee: Option<ServiceFeeBody>,
    /// What a lost ticket costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_ticket: Option<LostTicketBody>,
    /// What a cancelled reservation gives back.
    pub cancellation: CancellationBody,
    /// How the total is rounded.
    pub rounding: RoundingBody,
}

impl NewTariff {
    /// The tariff with this version number.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn into_tariff(self, version: u32, now: Timestamp) -> Result<Tariff, Vec<Fault>> {
        let mut faults = Vec::new();
        let bands = self.bands.into_iter().enumerate();
        let bands = bands.map(|(at, band)| band.checked(&format!("/bands/{at}"), &mut faults));
        let bands = bands.collect();
        let discounts = self.discounts.into_iter().enumerate();
        let discounts =
            discounts.map(|(at, off)| off.checked(&format!("/discounts/{at}"), &mut faults));
        let discounts = discounts.collect();
        let tariff = Tariff {
            id: TariffId(self.id.unwrap_or_else(Uuid::now_v7)),
            version,
            name: self.name.into(),
            valid_from: self.valid_from.map_or(now, |from| from.0),
            valid_until: self.valid_until.map(|until| until.0),
            rate: self.rate.into(),
            bands,
            caps: self.caps.into_iter().map(Into::into).collect(),
            increment: self.increment.map_or(Increment::SECOND, Into::into),
            grace: self.grace.map(Into::into),
            demand: self.demand.into_iter().map(Into::into).collect(),
            overstay: self.overstay.into(),
            discounts,
            tax: self.tax.map(Into::into),
            service_fee: self.service_fee.map(Into::into),
            lost_ticket: self.lost_ticket.map(Into::into),
            cancellation: self.cancellation.map_or_else(Cancellation::none, Into::into),
            rounding: self.rounding.map_or(TotalRounding::UNIT, Into::into),
        };
        // What could not be read is told already, where it stands.
        let told: Vec<String> = faults.iter().map(|fault| fault.pointer.clone()).collect();
        let new = |fault: &Fault| !told.contains(&fault.pointer);
        faults.extend(tariff.faults().into_iter().filter(new));
        if faults.is_empty() { Ok(tariff) } else { Err(faults) }
    }
}

impl From<&Tariff> for TariffBody {
    fn from(tariff: &Tariff) -> Self {
        Self {
            id: tariff.id.0,
            version: tariff.version,
            name: tariff.name.to_string(),
            valid_from: tariff.valid_from.into(),
            valid_until: tariff.valid_until.map(Into::into),
            rate: (&tariff.rate).into(),
            bands: tariff.bands.iter().map(Into::into).collect(),
            caps: tariff.caps.iter().map(Into::into).collect(),
            increment: (&tariff.increment).into(),
            grace: tariff.grace.as_ref().map(Into::into),
            demand: tariff.demand.iter().map(Into::into).collect(),
            overstay: (&tariff.overstay).into(),
            discounts: tariff.discounts.iter().map(Into::into).collect(),
            tax: tariff.tax.as_ref().map(Into::into),
            service_fee: tariff.service_fee.as_ref().map(Into::into),
            lost_ticket: tariff.lost_ticket.as_ref().map(Into::into),
            cancellation: (&tariff.cancellation).into(),
            rounding: (&tariff.rounding).into(),
        }
    }
}
