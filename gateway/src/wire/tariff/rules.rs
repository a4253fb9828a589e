//! The rules around a rate on the wire.

use lotkeeper_engine::money::{Amount, BasisPoints, PerMille};
use lotkeeper_engine::spec::Fault;
use lotkeeper_engine::tariff::{
    Cancellation, Cap, Discount, Grace, Increment, LostTicket, Off, Overstay, OverstayRate, Period,
    RefundStep, ServiceFee, Tax, Threshold, TotalRounding,
};
use lotkeeper_engine::time::Seconds;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::{Anchor, GraceMode, IncrementMode, Payer, Rounding, Unit};
use crate::wire::fault;

/// A struct of the wire with the fields of one of the engine: name, wrapper, engine's name.
macro_rules! body {
    ($(#[$doc:meta])* $name:ident = $engine:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $wrap:expr, $own:ident $(. $inner:tt)?;)+ }) => {
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$doc])*
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)+ }
        impl From<&$engine> for $name {
            fn from(rule: &$engine) -> Self {
                Self { $($field: Into::into(Clone::clone(&rule.$own $(.$inner)?)),)+ }
            }
        }
        impl From<$name> for $engine {
            fn from(body: $name) -> Self {
                Self { $($own: ($wrap)(body.$field),)+ }
            }
        }
    };
}

body! {
    /// Free minutes at the start.
    #[schema(as = TariffGrace)]
    GraceBody = Grace {
        /// How long: 1 to 86,400.
        seconds: u32 = Seconds, seconds.0;
        /// What they do for a longer stay.
        mode: GraceMode = Into::into, mode;
    }
}

body! {
    /// The step in which time is billed.
    #[schema(as = TariffIncrement)]
    IncrementBody = Increment {
        /// Its length: 1 to 86,400.
        seconds: u32 = Seconds, seconds.0;
        /// What a part of one counts.
        mode: IncrementMode = Into::into, mode;
    }
}

body! {
    /// What a full lot does to the price.
    #[schema(as = DemandThreshold)]
    ThresholdBody = Threshold {
        /// From this occupancy on, in thousandths of the capacity.
        occupancy_per_mille: u32 = PerMille, occupancy.0;
        /// The price of time times this, in thousandths: up to 10,000.
        multiplier_per_mille: u32 = PerMille, multiplier.0;
    }
}

body! {
    /// A tax.
    #[schema(as = TariffTax)]
    TaxBody = Tax {
        /// Its name on receipts.
        code: String = String::into_boxed_str, code;
        /// How much, in ten-thousandths.
        rate_bp: u32 = BasisPoints, rate.0;
        /// Whether amounts contain it.
        included: bool = Into::into, included;
        /// Whether penalties are taxed.
        on_penalty: bool = Into::into, on_penalty;
    }
}

body! {
    /// What a marketplace takes.
    #[schema(as = ServiceFee, example = json!({"payer": "driver", "share_bp": 1000, "fixed": 50}))]
    ServiceFeeBody = ServiceFee {
        /// Who pays it.
        payer: Payer = Into::into, payer;
        /// Of the subtotal, in ten-thousandths.
        share_bp: u32 = BasisPoints, share.0;
        /// And this, where the subtotal is not zero.
        fixed: i64 = Amount, fixed.0;
    }
}

body! {
    /// What a lost ticket costs.
    #[schema(as = LostTicket)]
    LostTicketBody = LostTicket {
        /// How much.
        amount: i64 = Amount, amount.0;
        /// Whether it takes the place of the price of time, or comes on top.
        instead: bool = Into::into, instead;
    }
}

body! {
    /// What is given back for a cancellation in time.
    #[schema(as = RefundStep)]
    RefundStepBody = RefundStep {
        /// At least so long before the start.
        before_seconds: u32 = Seconds, before.0;
        /// Share of what was paid, in ten-thousandths.
        refund_bp: u32 = BasisPoints, refund.0;
    }
}

body! {
    /// How the total is rounded.
    #[schema(as = TotalRounding)]
    RoundingBody = TotalRounding {
        /// The mode of every rounding in the fee.
        mode: Rounding = Into::into, mode;
        /// The smallest step of the total in minor units; 1 changes nothing.
        step: i64 = Amount, step.0;
    }
}

/// The most that time costs within one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TariffCap)]
pub struct CapBody {
    /// How long the period is.
    pub unit: Unit,
    /// Where it begins.
    pub anchor: Anchor,
    /// The most.
    pub amount: i64,
}

/// What staying past the booked end costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = TariffOverstay)]
pub struct OverstayBody {
    /// An overstay up to this long costs nothing; 0 when left out.
    pub grace_seconds: u32,
    /// So much for an hour; as the stay would go on when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<i64>,
    /// By which that is multiplied, in thousandths; 1,000 when left out.
    pub multiplier_per_mille: u32,
    /// On top for each begun hour; 0 when left out.
    pub penalty_per_hour: i64,
}

/// A price off. `share_bp` and `amount` exclude each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TariffDiscount, example = json!({"code": "SHOP", "share_bp": 1000}))]
pub struct DiscountBody {
    /// By which it is known.
    pub code: String,
    /// Share of the price of time, in ten-thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_bp: Option<u32>,
    /// An amount off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
}

/// What a cancelled reservation gives back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CancellationRule)]
pub struct CancellationBody {
    /// The earliest cancellation first. Up to 16.
    #[serde(default)]
    pub steps: Vec<RefundStepBody>,
    /// Given back to who never came, in ten-thousandths; nothing when left out.
    #[serde(default)]
    pub no_show_bp: u32,
}

impl From<&Cap> for CapBody {
    fn from(cap: &Cap) -> Self {
        let Period { unit, anchor } = cap.period;
        Self { unit: unit.into(), anchor: anchor.into(), amount: cap.amount.0 }
    }
}

impl From<CapBody> for Cap {
    fn from(body: CapBody) -> Self {
        let period = Period { unit: body.unit.into(), anchor: body.anchor.into() };
        Self { period, amount: Amount(body.amount) }
    }
}

impl Default for OverstayBody {
    fn default() -> Self {
        (&Overstay::GOES_ON).into()
    }
}

impl From<&Overstay> for OverstayBody {
    fn from(rule: &Overstay) -> Self {
        Self {
            grace_seconds: rule.grace.0,
            per_hour: match rule.rate {
                OverstayRate::Continued => None,
                OverstayRate::PerHour(amount) => Some(amount.0),
            },
            multiplier_per_mille: rule.multiplier.0,
            penalty_per_hour: rule.penalty_per_hour.0,
        }
    }
}

impl From<OverstayBody> for Overstay {
    fn from(body: OverstayBody) -> Self {
        let per_hour = |amount| OverstayRate::PerHour(Amount(amount));
        Self {
            grace: Seconds(body.grace_seconds),
            rate: body.per_hour.map_or(OverstayRate::Continued, per_hour),
            multiplier: PerMille(body.multiplier_per_mille),
            penalty_per_hour: Amount(body.penalty_per_hour),
        }
    }
}

impl From<&Discount> for DiscountBody {
    fn from(discount: &Discount) -> Self {
        let (share_bp, amount) = match discount.off {
            Off::Share(share) => (Some(share.0), None),
            Off::Amount(amount) => (None, Some(amount.0)),
        };
        Self { code: discount.code.to_string(), share_bp, amount }
    }
}

impl DiscountBody {
    /// As the engine has it; a fault, and nothing off, where it says how much in both ways or in none.
    pub(super) fn checked(self, pointer: &str, faults: &mut Vec<Fault>) -> Discount {
        let off = match (self.share_bp, self.amount) {
            (Some(share), None) => Off::Share(BasisPoints(share)),
            (None, Some(amount)) => Off::Amount(Amount(amount)),
            (Some(_), Some(_)) | (None, None) => {
                let detail = "a discount has either `share_bp` or `amount`; give one";
                faults.push(fault(pointer, detail));
                Off::Amount(Amount::ZERO)
            }
        };
        Discount { code: self.code.into(), off }
    }
}

impl From<&Cancellation> for CancellationBody {
    fn from(rule: &Cancellation) -> Self {
        Self { steps: rule.steps.iter().map(Into::into).collect(), no_show_bp: rule.no_show.0 }
    }
}

impl From<CancellationBody> for Cancellation {
    fn from(body: CancellationBody) -> Self {
        let steps = body.steps.into_iter().map(Into::into).collect();
        Self { steps, no_show: BasisPoints(body.no_show_bp) }
    }
}
