//! Payment providers: who promises money and brings it in, and what each of them has to keep.
//!
//! The contract, tested for every provider by `gateway/tests/provider_contract.rs`:
//! 1. A question is put under the id of its payment and its number. Put twice under one key it is done once, and
//!    answered the same.
//! 2. `look_up` does nothing. It says what became of a question, or that it was never put; what it says stays.
//! 3. A provider that does not know whether it was done says so (`Unknown`), and never guesses: the question stays
//!    open and is looked up until there is an answer.
//! 4. Not more is captured than was promised, and not more given back than was captured.
//! 5. Amounts are whole minor units of the question's currency. Nothing of a card is in a question or an answer.
//!
//! Invariants: a question is durable before it is put and its answer before it is told (`till.rs`); a gate asks no
//! provider; one that does not answer is left alone for a while (`breaker.rs`). Absent: providers on the network;
//! whoever adds one writes a file beside these and a name in [`NAMES`].

mod breaker;
mod invoice;
mod rehearsal;
mod settle;
mod till;

use std::pin::Pin;
use std::sync::Arc;

use lotkeeper_engine::ids::PaymentId;
use lotkeeper_engine::lot::Payment;
use lotkeeper_engine::lot::provider::{Answer, Intent, Transfer};
use lotkeeper_engine::money::Amount;

pub use invoice::Invoice;
pub use rehearsal::Rehearsal;
pub use settle::run as settle;
pub use till::Till;

use crate::config::Payments;

/// Providers there are, by the names of the configuration.
pub const NAMES: &[&str] = &[invoice::NAME, rehearsal::NAME];

/// What a provider will have said.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a provider is asked, with all that it needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Of which payment.
    pub payment: PaymentId,
    /// Which question about it.
    pub number: u32,
    /// What is to be done.
    pub what: Transfer,
    /// How much the payment is promised or was received.
    pub amount: Amount,
    /// How much of it went back.
    pub refunded: Amount,
    /// ISO 4217.
    pub currency: Box<str>,
    /// The provider's own number of the payment, once it gave one.
    pub reference: Option<Box<str>>,
}

impl Question {
    /// What a payment's provider is asked.
    #[must_use]
    pub fn of(payment: &Payment, intent: Intent, currency: &str) -> Self {
        Self {
            payment: payment.id,
            number: intent.number,
            what: intent.what,
            amount: payment.amount,
            refunded: payment.refunded,
            currency: currency.into(),
            reference: payment.reference.clone(),
        }
    }

    /// What it is known by: the idempotency key at the provider.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}-{}", self.payment, self.number)
    }

    /// How much is to be moved or promised.
    #[must_use]
    pub fn moved(&self) -> Amount {
        match self.what {
            Transfer::Capture(amount) | Transfer::Refund(amount) => amount,
            Transfer::Authorise | Transfer::Void => self.amount,
        }
    }
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is done or refused, for good.
    Answer(Answer),
    /// Nobody knows: no connection, no answer, an answer that makes no sense.
    Unknown {
        /// For the log.
        why: String,
    },
}

/// What is known of a question that may have been put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was put, and this came of it.
    Answer(Answer),
    /// It never came there.
    NeverAsked,
    /// Nobody knows yet.
    Unknown {
        /// For the log.
        why: String,
    },
}

/// Who promises money and brings it in. See the contract above.
pub trait Provider: Send + Sync + 'static {
    /// By what it is known: in the configuration, in payments, in the ledger.
    fn name(&self) -> &'static str;

    /// Whether drivers may use it for themselves, or staff alone.
    fn is_for_drivers(&self) -> bool;

    /// Puts a question.
    fn ask<'a>(&'a self, question: &'a Question) -> Soon<'a, Told>;

    /// Looks what became of a question.
    fn look_up<'a>(&'a self, question: &'a Question) -> Soon<'a, Found>;
}

/// Those that are configured.
fn configured(payments: &Payments) -> impl Iterator<Item = Arc<dyn Provider>> + '_ {
    payments.providers.iter().filter_map(|name| -> Option<Arc<dyn Provider>> {
        match &**name {
            invoice::NAME => Some(Arc::new(Invoice::new(Amount(payments.invoice_amount_max)))),
            rehearsal::NAME => Some(Arc::new(Rehearsal)),
            _ => None,
        }
    })
}

/// What every provider refuses, whoever it is: more than was promised, or than came in.
fn refusal_of(question: &Question) -> Option<Answer> {
    let most = match question.what {
        Transfer::Capture(_) => question.amount,
        Transfer::Refund(_) => question.amount.saturating_sub(question.refunded),
        Transfer::Authorise | Transfer::Void => Amount(i64::MAX),
    };
    let moved = question.moved().0;
    (moved <= 0 || moved > most.0).then(|| refused("amount_not_possible"))
}

fn refused(reason: &str) -> Answer {
    Answer::Refused { reason: reason.into() }
}

fn done(question: &Question) -> Answer {
    let reference = question.reference.clone();
    Answer::Done { reference: reference.or_else(|| Some(question.key().into())) }
}
