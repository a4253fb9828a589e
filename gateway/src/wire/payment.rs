//! Payments as they are recorded and shown.

use lotkeeper_engine::lot::payment::{self, Method};
use lotkeeper_engine::lot::provider::{Intent, Transfer};
use lotkeeper_engine::lot::{Owner, Payment, Register};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::{Fault, Spec};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::event_money;
use super::instant::Instant;
use super::money::MoneyBody;
use super::{code_fault, fault, is_code};

/// Characters of a terminal's own number of a payment.
const REFERENCE_CHARS_MAX: usize = 64;

mirror! {
    /// Where a payment is.
    PaymentState = payment::State {
        /// Promised by a provider.
        Authorised = "authorised",
        /// Received.
        Captured = "captured",
        /// Let go before it was received.
        Voided = "voided",
        /// Given back in part.
        PartlyRefunded = "partly_refunded",
        /// Given back.
        Refunded = "refunded",
        /// Refused by the provider.
        Failed = "failed",
        /// The provider was asked and has not answered.
        Pending = "pending",
    }
}

vocabulary! {
    /// What a provider is asked to do.
    TransferKind {
        /// To promise.
        Authorise = "authorise",
        /// To bring in what was promised.
        Capture = "capture",
        /// To let it go.
        Void = "void",
        /// To give back.
        Refund = "refund",
    }
}

impl From<Transfer> for TransferKind {
    fn from(what: Transfer) -> Self {
        match what {
            Transfer::Authorise => Self::Authorise,
            Transfer::Capture(_) => Self::Capture,
            Transfer::Void => Self::Void,
            Transfer::Refund(_) => Self::Refund,
        }
    }
}

/// How staff took money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakenBy {
    /// Notes and coins.
    Cash,
    /// A card terminal.
    Terminal,
}

/// A payment that staff took.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"method": "cash", "shift": "2026-03-01-desk-1"}))]
pub struct NewPayment {
    /// Made by the client, so that a retry records nothing twice; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// How it was paid.
    pub method: TakenBy,
    /// How much; all that is due when left out.
    #[serde(default)]
    pub amount: Option<MoneyBody>,
    /// The cashier's shift: a code.
    #[serde(default)]
    pub shift: Option<String>,
    /// The terminal's own number of it.
    #[serde(default)]
    pub reference: Option<String>,
}

impl NewPayment {
    /// How it was paid, in the domain's words.
    #[must_use]
    pub fn method(&self) -> Method {
        match self.method {
            TakenBy::Cash => Method::Cash,
            TakenBy::Terminal => Method::Terminal,
        }
    }

    /// The amount.
    ///
    /// # Errors
    /// Everything that is wrong with the request.
    pub fn checked(&self, spec: &Spec) -> Result<Option<Amount>, Vec<Fault>> {
        let mut faults = Vec::new();
        let amount = self.amount.as_ref().map(|amount| amount.checked("/amount", spec));
        let amount = amount.transpose().map_err(|fault| faults.push(fault)).ok().flatten();
        if let Some(shift) = self.shift.as_deref().filter(|shift| !is_code(shift)) {
            faults.push(code_fault("/shift", shift));
        }
        if let Some(reference) = &self.reference {
            let chars = reference.chars().count();
            if !(1..=REFERENCE_CHARS_MAX).contains(&chars)
                || reference.chars().any(char::is_control)
            {
                let detail = format!(
                    "a reference has 1 to {REFERENCE_CHARS_MAX} characters, this one {chars}"
                );
                faults.push(fault("/reference", detail));
            }
        }
        if faults.is_empty() { Ok(amount) } else { Err(faults) }
    }
}

/// How much of a payment is captured, or goes back.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentPart, example = json!({"amount": {"amount": 500, "currency": "EUR"}}))]
pub struct PartBody {
    /// All of the promise that is owed, or all that is left to give back, when left out.
    #[serde(default)]
    pub amount: Option<MoneyBody>,
}

/// What a payment is for: a reservation, a session that came of none, a pass, or else penalties of a vehicle.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = PaidFor)]
pub struct AboutBody {
    /// The reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Uuid>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// The pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<Uuid>,
}

impl From<Owner> for AboutBody {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Reservation(id) => Self { reservation: Some(id.0), ..Self::default() },
            Owner::Session(id) => Self { session: Some(id.0), ..Self::default() },
            Owner::Vehicle(_) => Self::default(),
            Owner::Pass(id) => Self { pass: Some(id.0), ..Self::default() },
        }
    }
}

/// What a provider is to do.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Asked)]
pub struct AskedBody {
    /// What.
    pub what: TransferKind,
    /// With how much; all of it when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<MoneyBody>,
    /// Since when.
    pub since: Instant,
}

impl AskedBody {
    fn of(intent: Intent, spec: &Spec) -> Self {
        let amount = event_money::transfer_amount(intent.what);
        Self {
            what: intent.what.into(),
            amount: amount.map(|amount| MoneyBody::of(amount, spec)),
            since: Instant(intent.at),
        }
    }
}

/// A promise that a provider is asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"provider": "invoice", "amount": {"amount": 2000, "currency": "EUR"}}))]
pub struct NewAuthorisation {
    /// Made by the client, so that a retry asks for nothing twice; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Which provider, by its name in the configuration.
    pub provider: String,
    /// How much; all that is due when left out. Of a stay inside it may be more: it goes on costing.
    #[serde(default)]
    pub amount: Option<MoneyBody>,
}

/// A payment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentBody {
    /// Identity.
    pub id: Uuid,
    /// Code of the lot.
    pub lot: String,
    /// Where it is.
    pub state: PaymentState,
    /// `cash`, `terminal`, or a provider's code.
    pub method: String,
    /// How much: promised, and after that received.
    pub amount: MoneyBody,
    /// How much of it went back.
    pub refunded: MoneyBody,
    /// What its provider was asked and has not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedBody>,
    /// Why its provider refused last: a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What for.
    pub about: AboutBody,
    /// The cashier's shift.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<String>,
    /// The terminal's or provider's number of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was recorded.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Changes so far: the value of its `ETag`.
    pub version: u32,
}

impl PaymentBody {
    /// Of a payment of a lot.
    #[must_use]
    pub fn of(payment: &Payment, spec: &Spec) -> Self {
        Self {
            id: payment.id.0,
            lot: spec.code.to_string(),
            state: payment.state.into(),
            method: event_money::method(&payment.method).to_owned(),
            amount: MoneyBody::of(payment.amount, spec),
            refunded: MoneyBody::of(payment.refunded, spec),
            asked: payment.asked.map(|intent| AskedBody::of(intent, spec)),
            reason: payment.reason.as_ref().map(ToString::to_string),
            about: payment.about.into(),
            shift: payment.shift.as_ref().map(ToString::to_string),
            reference: payment.reference.as_ref().map(ToString::to_string),
            created_at: Instant(payment.created_at),
            updated_at: Instant(payment.updated_at),
            version: payment.version,
        }
    }
}

/// A lot's ledger.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Ledger)]
pub struct LedgerBody {
    /// How many postings there were: the number of the last one.
    pub postings: u64,
    /// Balances that are not zero; debits positive. Together they are nothing.
    pub balances: Vec<BalanceBody>,
    /// Whether they are: `false` only after a bug.
    pub balanced: bool,
    /// The lot's sequence it is as of.
    pub seq: u64,
}

/// The balance of an account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Balance)]
pub struct BalanceBody {
    /// `customer:sessions/{id}`, `customer:reservations/{id}`, `customer:passes/{id}`, `received:cash`, `received:terminal`,
    /// `received:{provider}`, `revenue`, `penalties`, `tax`, `service_fees`, `written_off`.
    pub account: String,
    /// Debit positive, credit negative.
    pub balance: MoneyBody,
}

impl LedgerBody {
    /// Of a lot.
    #[must_use]
    pub fn of(register: &Register, seq: u64) -> Self {
        let (spec, accounts) = (register.spec(), register.accounts());
        let balances = accounts.balances().map(|(account, balance)| BalanceBody {
            account: event_money::account(account),
            balance: MoneyBody::of(balance, spec),
        });
        Self {
            postings: accounts.postings(),
            balances: balances.collect(),
            balanced: accounts.is_balanced(),
            seq,
        }
    }
}
