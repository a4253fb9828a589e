//! Amounts as they are told: minor units with their currency.

use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::{Fault, Spec};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault;

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money, example = json!({"amount": 1250, "currency": "EUR"}))]
pub struct MoneyBody {
    /// In minor units: 1250 is 12.50 EUR.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

impl MoneyBody {
    /// In a lot's currency.
    #[must_use]
    pub fn of(amount: Amount, spec: &Spec) -> Self {
        Self { amount: amount.0, currency: spec.place.currency.to_string() }
    }

    /// The amount, which must be above nothing and in the lot's currency.
    ///
    /// # Errors
    /// Another currency, or nothing.
    pub fn checked(&self, pointer: &str, spec: &Spec) -> Result<Amount, Fault> {
        let amount = self.checked_from_zero(pointer, spec)?;
        if amount.0 == 0 {
            return Err(fault(format!("{pointer}/amount"), "0 is not above 0".to_owned()));
        }
        Ok(amount)
    }

    /// The amount, which may be nothing and must be in the lot's currency.
    ///
    /// # Errors
    /// Another currency, or less than nothing.
    pub fn checked_from_zero(&self, pointer: &str, spec: &Spec) -> Result<Amount, Fault> {
        if *self.currency != *spec.place.currency {
            let currency = &spec.place.currency;
            let detail = format!("this lot takes {currency}; give the amount in {currency}");
            return Err(fault(format!("{pointer}/currency"), detail));
        }
        if self.amount < 0 {
            let detail = format!("{} is not above 0", self.amount);
            return Err(fault(format!("{pointer}/amount"), detail));
        }
        Ok(Amount(self.amount))
    }
}
