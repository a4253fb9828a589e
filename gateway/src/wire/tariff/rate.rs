//! Rates on the wire: an object with the kind as its only key, so that a fault is found where it stands.

use lotkeeper_engine::money::Amount;
use lotkeeper_engine::tariff::{Flat, Hourly, Period, Periods, Rate, Slab, Slabs, Tier};
use lotkeeper_engine::time::Seconds;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::{Anchor, Unit};

/// The length of the unit of a tier that names none.
const HOUR_SECONDS: u32 = 3_600;

/// What time costs. Amounts are in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = TariffRate, example = json!({
    "hourly": {"tiers": [{"amount": 300, "begun": true}, {"from_seconds": 3600, "amount": 200, "begun": true}]}
}))]
pub enum RateBody {
    /// One amount, however long.
    Flat(FlatBody),
    /// By time, in tiers.
    Hourly(HourlyBody),
    /// An amount for each length of stay.
    Slabs(SlabsBody),
    /// An amount for each begun day, week or month.
    Periods(PeriodsBody),
}

/// One amount, however long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FlatRate)]
pub struct FlatBody {
    /// What it costs.
    pub amount: i64,
}

/// By time, in tiers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HourlyRate)]
pub struct HourlyBody {
    /// In order; each lasts until the next, the last for ever. Up to 24.
    pub tiers: Vec<TierBody>,
}

/// A price from a time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RateTier)]
pub struct TierBody {
    /// Time of stay after which it begins; 0 when left out.
    #[serde(default)]
    pub from_seconds: u32,
    /// What one unit costs.
    pub amount: i64,
    /// The unit, which divides a day; an hour when left out.
    #[serde(default = "hour")]
    pub per_seconds: u32,
    /// Whether a begun unit costs a whole one; by time when left out.
    #[serde(default)]
    pub begun: bool,
}

/// An amount for each length of stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SlabRate, example = json!({
    "slabs": [{"up_to_seconds": 3600, "amount": 500}, {"up_to_seconds": 10800, "amount": 1200}], "longer": 3000
}))]
pub struct SlabsBody {
    /// In order of length; amounts never fall. Up to 24.
    pub slabs: Vec<SlabBody>,
    /// What a longer stay costs.
    pub longer: i64,
    /// After this time they begin anew; never when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<u32>,
}

/// A price of stays up to a length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RateSlab)]
pub struct SlabBody {
    /// The longest stay at this price.
    pub up_to_seconds: u32,
    /// What it costs in whole.
    pub amount: i64,
}

/// An amount for each begun period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PeriodRate)]
pub struct PeriodsBody {
    /// How long the period is.
    pub unit: Unit,
    /// Where it begins.
    pub anchor: Anchor,
    /// What one costs.
    pub amount: i64,
}

fn hour() -> u32 {
    HOUR_SECONDS
}

impl From<&Rate> for RateBody {
    fn from(rate: &Rate) -> Self {
        match rate {
            Rate::Flat(flat) => Self::Flat(FlatBody { amount: flat.amount.0 }),
            Rate::Hourly(hourly) => {
                let tier = |tier: &Tier| TierBody {
                    from_seconds: tier.from.0,
                    amount: tier.amount.0,
                    per_seconds: tier.per.0,
                    begun: tier.begun,
                };
                Self::Hourly(HourlyBody { tiers: hourly.tiers.iter().map(tier).collect() })
            }
            Rate::Slabs(slabs) => {
                let slab =
                    |slab: &Slab| SlabBody { up_to_seconds: slab.up_to.0, amount: slab.amount.0 };
                Self::Slabs(SlabsBody {
                    slabs: slabs.slabs.iter().map(slab).collect(),
                    longer: slabs.longer.0,
                    every_seconds: slabs.every.map(|every| every.0),
                })
            }
            Rate::Periods(periods) => Self::Periods(PeriodsBody {
                unit: periods.period.unit.into(),
                anchor: periods.period.anchor.into(),
                amount: periods.amount.0,
            }),
        }
    }
}

impl From<RateBody> for Rate {
    fn from(body: RateBody) -> Self {
        match body {
            RateBody::Flat(flat) => Self::Flat(Flat { amount: Amount(flat.amount) }),
            RateBody::Hourly(hourly) => {
                let tier = |tier: TierBody| Tier {
                    from: Seconds(tier.from_seconds),
                    amount: Amount(tier.amount),
                    per: Seconds(tier.per_seconds),
                    begun: tier.begun,
                };
                Self::Hourly(Hourly { tiers: hourly.tiers.into_iter().map(tier).collect() })
            }
            RateBody::Slabs(slabs) => {
                let slab = |slab: SlabBody| Slab {
                    up_to: Seconds(slab.up_to_seconds),
                    amount: Amount(slab.amount),
                };
                Self::Slabs(Slabs {
                    slabs: slabs.slabs.into_iter().map(slab).collect(),
                    longer: Amount(slabs.longer),
                    every: slabs.every_seconds.map(Seconds),
                })
            }
            RateBody::Periods(periods) => Self::Periods(Periods {
                period: Period { unit: periods.unit.into(), anchor: periods.anchor.into() },
                amount: Amount(periods.amount),
            }),
        }
    }
}
