//! Payments: what happened to them, what providers are asked, and what they are at one sequence. Since frame
//! format 3, snapshot format 2.
//!
//! The order of fields and variants is the format: a later format adds variants at the end.

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::PaymentId;
use lotkeeper_engine::lot::payment::{self, State as EnginePaymentState};
use lotkeeper_engine::lot::provider::{Intent as EngineIntent, Transfer as EngineTransfer};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::Timestamp;
use uuid::Uuid;

use super::lot_event::pseudonym;
use super::money::Owner;
use super::spec::mirror;

mirror!(
    PaymentState = EnginePaymentState {
        Authorised,
        Captured,
        Voided,
        PartlyRefunded,
        Refunded,
        Failed,
        Pending
    }
);

#[derive(Encode, BorrowDecode)]
pub(super) enum Method<'a> {
    Cash,
    Terminal,
    Provider(&'a str),
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Recorded<'a> {
    id: [u8; 16],
    about: Owner,
    method: Method<'a>,
    amount: i64,
    is_promise: bool,
    shift: Option<&'a str>,
    cashier: Option<[u8; 16]>,
    reference: Option<&'a str>,
}

#[derive(Encode, BorrowDecode)]
pub(super) enum PaymentEvent<'a> {
    Recorded(Box<Recorded<'a>>),
    Captured { id: [u8; 16] },
    Voided { id: [u8; 16] },
    Failed { id: [u8; 16] },
    Refunded { id: [u8; 16], amount: i64 },
    Requested(Box<Recorded<'a>>),
    Asked { id: [u8; 16], what: Transfer },
    Authorised { id: [u8; 16], reference: Option<&'a str> },
    PartCaptured { id: [u8; 16], amount: i64 },
    Refused { id: [u8; 16], reason: &'a str },
}

/// What a provider is asked to do.
#[derive(Clone, Copy, Encode, Decode)]
pub(super) enum Transfer {
    Authorise,
    Capture(i64),
    Void,
    Refund(i64),
}

#[derive(Clone, Copy, Encode, Decode)]
struct Intent {
    what: Transfer,
    number: u32,
    at: i64,
}

/// A payment at one sequence.
#[derive(Encode, BorrowDecode)]
pub(super) struct Payment<'a> {
    recorded: Recorded<'a>,
    state: PaymentState,
    refunded: i64,
    asked: Option<Intent>,
    reason: Option<&'a str>,
    created_at: i64,
    updated_at: i64,
    version: u32,
}

pub(super) fn payment_id(bytes: [u8; 16]) -> PaymentId {
    PaymentId(Uuid::from_bytes(bytes))
}

impl<'a> From<&'a payment::Method> for Method<'a> {
    fn from(method: &'a payment::Method) -> Self {
        match method {
            payment::Method::Cash => Self::Cash,
            payment::Method::Terminal => Self::Terminal,
            payment::Method::Provider(code) => Self::Provider(code),
        }
    }
}

impl From<Method<'_>> for payment::Method {
    fn from(method: Method<'_>) -> Self {
        match method {
            Method::Cash => Self::Cash,
            Method::Terminal => Self::Terminal,
            Method::Provider(code) => Self::Provider(code.into()),
        }
    }
}

impl<'a> From<&'a payment::Recorded> for Recorded<'a> {
    fn from(recorded: &'a payment::Recorded) -> Self {
        Self {
            id: recorded.id.0.into_bytes(),
            about: recorded.about.into(),
            method: (&recorded.method).into(),
            amount: recorded.amount.0,
            is_promise: recorded.is_promise,
            shift: recorded.shift.as_deref(),
            cashier: recorded.cashier.map(|cashier| cashier.0.into_bytes()),
            reference: recorded.reference.as_deref(),
        }
    }
}

impl From<Recorded<'_>> for payment::Recorded {
    fn from(recorded: Recorded<'_>) -> Self {
        Self {
            id: payment_id(recorded.id),
            about: recorded.about.into(),
            method: recorded.method.into(),
            amount: Amount(recorded.amount),
            is_promise: recorded.is_promise,
            shift: recorded.shift.map(Into::into),
            cashier: recorded.cashier.map(pseudonym),
            reference: recorded.reference.map(Into::into),
        }
    }
}

impl From<EngineTransfer> for Transfer {
    fn from(what: EngineTransfer) -> Self {
        match what {
            EngineTransfer::Authorise => Self::Authorise,
            EngineTransfer::Capture(amount) => Self::Capture(amount.0),
            EngineTransfer::Void => Self::Void,
            EngineTransfer::Refund(amount) => Self::Refund(amount.0),
        }
    }
}

impl From<Transfer> for EngineTransfer {
    fn from(what: Transfer) -> Self {
        match what {
            Transfer::Authorise => Self::Authorise,
            Transfer::Capture(amount) => Self::Capture(Amount(amount)),
            Transfer::Void => Self::Void,
            Transfer::Refund(amount) => Self::Refund(Amount(amount)),
        }
    }
}

impl From<EngineIntent> for Intent {
    fn from(intent: EngineIntent) -> Self {
        Self { what: intent.what.into(), number: intent.number, at: intent.at.micros() }
    }
}

impl From<Intent> for EngineIntent {
    fn from(intent: Intent) -> Self {
        let at = Timestamp::from_micros(intent.at);
        Self { what: intent.what.into(), number: intent.number, at }
    }
}

impl<'a> From<&'a payment::Event> for PaymentEvent<'a> {
    fn from(event: &'a payment::Event) -> Self {
        use payment::Event as E;
        match event {
            E::Recorded(recorded) => Self::Recorded(Box::new((&**recorded).into())),
            E::Captured { id } => Self::Captured { id: id.0.into_bytes() },
            E::Voided { id } => Self::Voided { id: id.0.into_bytes() },
            E::Failed { id } => Self::Failed { id: id.0.into_bytes() },
            E::Refunded { id, amount } => {
                Self::Refunded { id: id.0.into_bytes(), amount: amount.0 }
            }
            E::Requested(recorded) => Self::Requested(Box::new((&**recorded).into())),
            E::Asked { id, what } => Self::Asked { id: id.0.into_bytes(), what: (*what).into() },
            E::Authorised { id, reference } => {
                Self::Authorised { id: id.0.into_bytes(), reference: reference.as_deref() }
            }
            E::PartCaptured { id, amount } => {
                Self::PartCaptured { id: id.0.into_bytes(), amount: amount.0 }
            }
            E::Refused { id, reason } => Self::Refused { id: id.0.into_bytes(), reason },
        }
    }
}

impl From<PaymentEvent<'_>> for payment::Event {
    fn from(event: PaymentEvent<'_>) -> Self {
        use PaymentEvent as E;
        match event {
            E::Recorded(recorded) => Self::Recorded(Box::new((*recorded).into())),
            E::Captured { id } => Self::Captured { id: payment_id(id) },
            E::Voided { id } => Self::Voided { id: payment_id(id) },
            E::Failed { id } => Self::Failed { id: payment_id(id) },
            E::Refunded { id, amount } => {
                Self::Refunded { id: payment_id(id), amount: Amount(amount) }
            }
            E::Requested(recorded) => Self::Requested(Box::new((*recorded).into())),
            E::Asked { id, what } => Self::Asked { id: payment_id(id), what: what.into() },
            E::Authorised { id, reference } => {
                Self::Authorised { id: payment_id(id), reference: reference.map(Into::into) }
            }
            E::PartCaptured { id, amount } => {
                Self::PartCaptured { id: payment_id(id), amount: Amount(amount) }
            }
            E::Refused { id, reason } => {
                Self::Refused { id: payment_id(id), reason: reason.into() }
            }
        }
    }
}

impl<'a> From<&'a payment::Payment> for Payment<'a> {
    fn from(payment: &'a payment::Payment) -> Self {
        let recorded = Recorded {
            id: payment.id.0.into_bytes(),
            about: payment.about.into(),
            method: (&payment.method).into(),
            amount: payment.amount.0,
            is_promise: false,
            shift: payment.shift.as_deref(),
            cashier: payment.cashier.map(|cashier| cashier.0.into_bytes()),
            reference: payment.reference.as_deref(),
        };
        Self {
            recorded,
            state: payment.state.into(),
            refunded: payment.refunded.0,
            asked: payment.asked.map(Into::into),
            reason: payment.reason.as_deref(),
            created_at: payment.created_at.micros(),
            updated_at: payment.updated_at.micros(),
            version: payment.version,
        }
    }
}

impl From<Payment<'_>> for payment::Payment {
    fn from(payment: Payment<'_>) -> Self {
        let recorded = payment::Recorded::from(payment.recorded);
        Self {
            id: recorded.id,
            about: recorded.about,
            method: recorded.method,
            state: payment.state.into(),
            amount: recorded.amount,
            refunded: Amount(payment.refunded),
            asked: payment.asked.map(Into::into),
            reason: payment.reason.map(Into::into),
            shift: recorded.shift,
            cashier: recorded.cashier,
            reference: recorded.reference,
            created_at: Timestamp::from_micros(payment.created_at),
            updated_at: Timestamp::from_micros(payment.updated_at),
            version: payment.version,
        }
    }
}
