//! An itemised fee as it is shown. Amounts are in minor units of the lot's currency.

use lotkeeper_engine::tariff::{Fee, Line};
use lotkeeper_engine::time::Seconds;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::names::{LineKind, Payer};
use crate::wire::instant::Instant;
use crate::wire::money::MoneyBody;

/// An itemised fee. The total is the sum of its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fee, example = json!({
    "currency": "EUR",
    "lines": [
        {"kind": "base", "code": "hourly", "amount": 400, "seconds": 7200, "rate": 200, "rate_per_seconds": 3600,
         "from": "2026-03-01T09:00:00Z", "to": "2026-03-01T11:00:00Z"},
        {"kind": "discount", "code": "SHOP", "amount": -40}
    ],
    "subtotal": 360, "discount": 40, "tax": 57, "tax_included": true, "service_fee": 0,
    "total": {"amount": 360, "currency": "EUR"}, "multiplier_per_mille": 1000,
    "minutes_booked": 120, "minutes_stayed": 115,
    "tariff": "01890a5d-ac96-774b-bcce-b302099a8057", "tariff_version": 3, "tzdb": "2026e"
}))]
pub struct FeeBody {
    /// ISO 4217.
    pub currency: String,
    /// In the order in which they were computed.
    pub lines: Vec<LineBody>,
    /// Everything but a tax on top, a service fee on top and the rounding of the total.
    pub subtotal: i64,
    /// What passes and discounts took off.
    pub discount: i64,
    /// The tax, on top or contained.
    pub tax: i64,
    /// Whether it is contained in the other amounts; then it is no line.
    pub tax_included: bool,
    /// What the marketplace takes.
    pub service_fee: i64,
    /// Who pays that; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_fee_payer: Option<Payer>,
    /// What is to be paid.
    pub total: MoneyBody,
    /// What demand multiplied the price of time by, in thousandths.
    pub multiplier_per_mille: u32,
    /// Minutes of the booked window; a begun one counts.
    pub minutes_booked: u32,
    /// Minutes of the actual stay; a begun one counts.
    pub minutes_stayed: u32,
    /// The tariff applied.
    pub tariff: Uuid,
    /// And its version.
    pub tariff_version: u32,
    /// The time zone rules it was computed with.
    pub tzdb: String,
}

/// One line of a fee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FeeLine)]
pub struct LineBody {
    /// What it is.
    pub kind: LineKind,
    /// Which one: a band, a discount, a tax.
    pub code: String,
    /// What it adds; negative where it takes off.
    pub amount: i64,
    /// Time it stands for.
    #[serde(skip_serializing_if = "is_zero")]
    pub seconds: u32,
    /// Units charged; left out where it is charged by time or share.
    #[serde(skip_serializing_if = "is_zero")]
    pub quantity: u32,
    /// The price of one unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<i64>,
    /// The length of that unit.
    #[serde(skip_serializing_if = "is_zero")]
    pub rate_per_seconds: u32,
    /// The first instant it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Instant>,
    /// The first instant after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Instant>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn minutes(Seconds(seconds): Seconds) -> u32 {
    seconds.div_ceil(60)
}

impl FeeBody {
    /// In a lot's currency.
    #[must_use]
    pub fn new(fee: &Fee, currency: &str) -> Self {
        Self {
            currency: currency.to_owned(),
            lines: fee.lines.iter().map(Into::into).collect(),
            subtotal: fee.subtotal.0,
            discount: fee.discount.0,
            tax: fee.tax.0,
            tax_included: fee.tax_included,
            service_fee: fee.service_fee.0,
            service_fee_payer: fee.service_fee_payer.map(Into::into),
            total: MoneyBody { amount: fee.total.0, currency: currency.to_owned() },
            multiplier_per_mille: fee.multiplier.0,
            minutes_booked: minutes(fee.booked),
            minutes_stayed: minutes(fee.stayed),
            tariff: fee.tariff.0,
            tariff_version: fee.version,
            tzdb: fee.tzdb.to_string(),
        }
    }
}

impl From<&Line> for LineBody {
    fn from(line: &Line) -> Self {
        Self {
            kind: line.kind.into(),
            code: line.code.to_string(),
            amount: line.amount.0,
            seconds: line.seconds.0,
            quantity: line.quantity,
            rate: line.rate.map(|rate| rate.0),
            rate_per_seconds: line.rate_per.0,
            from: line.window.map(|window| window.from.into()),
            to: line.window.map(|window| window.to.into()),
        }
    }
}
