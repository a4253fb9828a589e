//! What a provider is asked to do with a payment, and what it said.
//!
//! A question is a record before anybody hears of it ([`Intent`]), and the answer is another one: whatever
//! ends in between, the question is known and is put again under its number. A provider that is asked twice
//! under one number does it once. Absent: the network, and when to ask again (`gateway`).

use super::command::Pay;
use crate::ids::PaymentId;
use crate::money::Amount;
use crate::time::Timestamp;

/// What a provider does with a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// Promise the payment's amount.
    Authorise,
    /// Bring in so much of what was promised, and let the rest go.
    Capture(Amount),
    /// Let go what was promised.
    Void,
    /// Give so much back.
    Refund(Amount),
}

/// A question whose answer is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What for.
    pub what: Transfer,
    /// Which question about its payment: with the payment's id it is what the provider knows it by.
    pub number: u32,
    /// When it was recorded.
    pub at: Timestamp,
}

/// What a provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done {
        /// The provider's own number of it.
        reference: Option<Box<str>>,
    },
    /// It is not done, and will not be.
    Refused {
        /// Why: a code, not free text.
        reason: Box<str>,
    },
}

/// What somebody wants of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Money that was promised.
    Capture {
        /// How much; all of the promise that is owed without.
        amount: Option<Amount>,
    },
    /// A promise is not needed.
    Void,
    /// Money goes back.
    Refund {
        /// How much; all that is left without.
        amount: Option<Amount>,
    },
    /// What a promise is for is over: what is owed is captured, and a promise for nothing is let go.
    Collect,
}

/// Commands about what providers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask for a promise.
    Authorise(Pay),
    /// Ask for what comes after it.
    Ask {
        /// Which payment.
        id: PaymentId,
        /// What for.
        wanted: Wanted,
    },
    /// The provider has spoken.
    Answered {
        /// Which payment.
        id: PaymentId,
        /// Which question.
        number: u32,
        /// What it said.
        answer: Answer,
    },
}
