//! Payments: money that came in for a stay, or is promised by a provider.
//!
//! Two phases: authorised money is promised and may be captured or let go; captured money is there and may
//! be given back, wholly or in parts. Cash and terminal payments that staff record are captured at once. No
//! network here: whoever speaks with a provider records what it said.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};

use super::provider::{Intent, Transfer};
use super::timeline::Owner;
use uuid::Uuid;

use crate::ids::{PaymentId, Pseudonym};
use crate::limits::PAYMENTS_KEPT_PER_LOT;
use crate::money::Amount;
use crate::time::Timestamp;

/// How it was paid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Notes and coins, into a cashier's drawer.
    Cash,
    /// A card terminal, typed in by staff.
    Terminal,
    /// A provider, by its code.
    Provider(Box<str>),
}

/// Where a payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Promised by the provider.
    Authorised,
    /// Received.
    Captured,
    /// Let go before it was received.
    Voided,
    /// Given back in part.
    PartlyRefunded,
    /// Given back.
    Refunded,
    /// The provider refused.
    Failed,
    /// The provider was asked for a promise and has not said.
    Pending,
}

impl State {
    /// Whether something can still become of it.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Authorised | Self::Captured | Self::PartlyRefunded | Self::Pending => true,
            Self::Voided | Self::Refunded | Self::Failed => false,
        }
    }
}

/// One payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Public id.
    pub id: PaymentId,
    /// For which reservation or stay.
    pub about: Owner,
    /// How.
    pub method: Method,
    /// Where it is.
    pub state: State,
    /// How much: promised, and after that received.
    pub amount: Amount,
    /// How much of it went back.
    pub refunded: Amount,
    /// What its provider was asked and has not answered.
    pub asked: Option<Intent>,
    /// Why its provider refused last: a code.
    pub reason: Option<Box<str>>,
    /// The cashier's shift, as the tenant numbers them.
    pub shift: Option<Box<str>>,
    /// Who took it.
    pub cashier: Option<Pseudonym>,
    /// The terminal's or provider's own number of it.
    pub reference: Option<Box<str>>,
    /// Record time of its first event.
    pub created_at: Timestamp,
    /// Record time of its last.
    pub updated_at: Timestamp,
    /// Events applied to it.
    pub version: u32,
}

impl Payment {
    /// How much of it a provider stands for: what it was asked to let go is counted no more.
    #[must_use]
    pub fn promised(&self) -> Amount {
        match (self.state, self.asked.map(|intent| intent.what)) {
            (State::Authorised, Some(Transfer::Capture(amount))) => amount,
            (State::Authorised, Some(Transfer::Void)) => Amount::ZERO,
            (State::Authorised, _) => self.amount,
            (
                State::Captured
                | State::Voided
                | State::PartlyRefunded
                | State::Refunded
                | State::Failed
                | State::Pending,
                _,
            ) => Amount::ZERO,
        }
    }

    /// Whether its provider still has to do something: to answer, to bring in, or to let go.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.asked.is_some()
            || self.state == State::Authorised && matches!(self.method, Method::Provider(_))
    }
}

/// What happened to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came to be, authorised or captured.
    Recorded(Box<Recorded>),
    /// What was promised came in.
    Captured {
        /// Which.
        id: PaymentId,
    },
    /// What was promised was let go.
    Voided {
        /// Which.
        id: PaymentId,
    },
    /// The provider refused after all.
    Failed {
        /// Which.
        id: PaymentId,
    },
    /// Money went back.
    Refunded {
        /// Which.
        id: PaymentId,
        /// How much this time.
        amount: Amount,
    },
    /// It came to be: a provider is to be asked for a promise.
    Requested(Box<Recorded>),
    /// A provider is to be asked for what comes after a promise.
    Asked {
        /// Which.
        id: PaymentId,
        /// What for.
        what: Transfer,
    },
    /// The provider promised it.
    Authorised {
        /// Which.
        id: PaymentId,
        /// The provider's own number of it.
        reference: Option<Box<str>>,
    },
    /// A part of what was promised came in, and the rest was let go.
    PartCaptured {
        /// Which.
        id: PaymentId,
        /// How much.
        amount: Amount,
    },
    /// The provider did not do what it was asked.
    Refused {
        /// Which.
        id: PaymentId,
        /// Why: a code.
        reason: Box<str>,
    },
}

impl Event {
    /// Which payment.
    #[must_use]
    pub fn id(&self) -> PaymentId {
        match self {
            Self::Recorded(recorded) | Self::Requested(recorded) => recorded.id,
            Self::Captured { id }
            | Self::Voided { id }
            | Self::Failed { id }
            | Self::Refunded { id, .. }
            | Self::Asked { id, .. }
            | Self::Authorised { id, .. }
            | Self::PartCaptured { id, .. }
            | Self::Refused { id, .. } => *id,
        }
    }
}

/// A payment as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Identity.
    pub id: PaymentId,
    /// For which reservation or stay.
    pub about: Owner,
    /// How.
    pub method: Method,
    /// How much.
    pub amount: Amount,
    /// Promised only: to be captured or let go.
    pub is_promise: bool,
    /// The cashier's shift.
    pub shift: Option<Box<str>>,
    /// Who took it.
    pub cashier: Option<Pseudonym>,
    /// The terminal's or provider's own number of it.
    pub reference: Option<Box<str>>,
}

/// The payments of one lot that are open, and the last ones that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payments {
    payments: OrdMap<PaymentId, Arc<Payment>>,
    /// Oldest first: the order in which they are forgotten.
    recorded: Vector<PaymentId>,
    by_owner: OrdSet<(Owner, PaymentId)>,
    /// Those whose provider still has to do something.
    unsettled: OrdSet<PaymentId>,
}

impl Payments {
    /// As they were taken apart by [`Payments::parts`].
    #[must_use]
    pub fn from_parts(parts: Vec<Arc<Payment>>) -> Self {
        let mut payments = Self::default();
        for payment in parts {
            payments.recorded.push_back(payment.id);
            payments.by_owner.insert((payment.about, payment.id));
            payments.unsettled.extend(payment.is_unsettled().then_some(payment.id));
            payments.payments.insert(payment.id, payment);
        }
        payments
    }

    /// What a snapshot must hold, oldest first.
    #[must_use]
    pub fn parts(&self) -> Vec<Arc<Payment>> {
        self.recorded.iter().filter_map(|id| self.payments.get(id)).cloned().collect()
    }

    /// A payment the lot remembers.
    #[must_use]
    pub fn get(&self, id: PaymentId) -> Option<&Arc<Payment>> {
        self.payments.get(&id)
    }

    /// All payments the lot remembers, in order of id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Payment>> {
        self.payments.values()
    }

    /// The one that is forgotten next.
    #[must_use]
    pub fn oldest(&self) -> Option<PaymentId> {
        self.recorded.front().copied()
    }

    /// Those for one reservation or stay.
    pub fn of(&self, about: Owner) -> impl Iterator<Item = &Arc<Payment>> {
        let (first, last) = (PaymentId(Uuid::nil()), PaymentId(Uuid::max()));
        let range = self.by_owner.range((about, first)..=(about, last));
        range.filter_map(|(_, id)| self.payments.get(id))
    }

    /// What providers have promised for a reservation or stay.
    #[must_use]
    pub fn promised_for(&self, about: Owner) -> Amount {
        self.of(about).fold(Amount::ZERO, |sum, payment| sum.saturating_add(payment.promised()))
    }

    /// What providers are being asked to promise for it.
    #[must_use]
    pub fn requested_for(&self, about: Owner) -> Amount {
        let pending = self.of(about).filter(|payment| payment.state == State::Pending);
        pending.fold(Amount::ZERO, |sum, payment| sum.saturating_add(payment.amount))
    }

    /// What providers are being asked to bring in for it.
    #[must_use]
    pub fn incoming_for(&self, about: Owner) -> Amount {
        self.of(about).fold(Amount::ZERO, |sum, payment| match payment.asked {
            Some(Intent { what: Transfer::Capture(amount), .. }) => sum.saturating_add(amount),
            _ => sum,
        })
    }

    /// Payments whose provider still has to do something, in order of id.
    pub fn unsettled(&self) -> impl Iterator<Item = &Arc<Payment>> {
        self.unsettled.iter().filter_map(|id| self.payments.get(id))
    }

    /// How many of them there are.
    #[must_use]
    pub fn unsettled_count(&self) -> usize {
        self.unsettled.len()
    }

    pub(super) fn apply(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Recorded(recorded) => {
                let state = if recorded.is_promise { State::Authorised } else { State::Captured };
                self.record(recorded, (state, None), at);
            }
            Event::Requested(recorded) => {
                let intent = Intent { what: Transfer::Authorise, number: 1, at };
                self.record(recorded, (State::Pending, Some(intent)), at);
            }
            Event::Asked { id, what } => self.step(*id, at, |payment| {
                let number = payment.version.wrapping_add(1);
                payment.asked = Some(Intent { what: *what, number, at });
            }),
            Event::Authorised { id, reference } => self.answer(*id, at, |payment| {
                payment.state = State::Authorised;
                payment.reference.clone_from(reference);
            }),
            Event::Refused { id, reason } => self.answer(*id, at, |payment| {
                payment.reason = Some(reason.clone());
                if payment.state == State::Pending {
                    payment.state = State::Failed;
                }
            }),
            Event::PartCaptured { id, amount } => self.answer(*id, at, |payment| {
                payment.state = State::Captured;
                payment.amount = *amount;
            }),
            Event::Captured { id } => {
                self.answer(*id, at, |payment| payment.state = State::Captured);
            }
            Event::Voided { id } => self.answer(*id, at, |payment| payment.state = State::Voided),
            Event::Failed { id } => self.answer(*id, at, |payment| payment.state = State::Failed),
            Event::Refunded { id, amount } => self.answer(*id, at, |payment| {
                payment.refunded.0 = payment.refunded.0.saturating_add(amount.0);
                let all = payment.refunded.0 >= payment.amount.0;
                payment.state = if all { State::Refunded } else { State::PartlyRefunded };
            }),
        }
    }

    fn record(
        &mut self,
        recorded: &Recorded,
        (state, asked): (State, Option<Intent>),
        at: Timestamp,
    ) {
        if self.payments.contains_key(&recorded.id) {
            return;
        }
        let payment = Payment {
            id: recorded.id,
            about: recorded.about,
            method: recorded.method.clone(),
            state,
            amount: recorded.amount,
            refunded: Amount::default(),
            asked,
            reason: None,
            shift: recorded.shift.clone(),
            cashier: recorded.cashier,
            reference: recorded.reference.clone(),
            created_at: at,
            updated_at: at,
            version: 1,
        };
        self.recorded.push_back(recorded.id);
        self.unsettled.extend(payment.is_unsettled().then_some(payment.id));
        self.payments.insert(recorded.id, Arc::new(payment));
        self.by_owner.insert((recorded.about, recorded.id));
        if self.recorded.len() > PAYMENTS_KEPT_PER_LOT {
            self.forget_oldest();
        }
    }

    /// A promise must be captured or let go one day, and a question answered: it is looked at again a round
    /// later.
    fn forget_oldest(&mut self) {
        let Some(oldest) = self.recorded.pop_front() else { return };
        match self.payments.get(&oldest).map(|payment| (&**payment, payment.about)) {
            Some((payment, _)) if payment.state == State::Authorised || payment.asked.is_some() => {
                self.recorded.push_back(oldest);
            }
            Some((_, about)) => {
                self.by_owner.remove(&(about, oldest));
                self.payments.remove(&oldest);
            }
            None => {}
        }
    }

    /// A step that also ends what its provider was asked.
    fn answer(&mut self, id: PaymentId, at: Timestamp, change: impl FnOnce(&mut Payment)) {
        self.step(id, at, |payment| {
            payment.asked = None;
            change(payment);
        });
    }

    fn step(&mut self, id: PaymentId, at: Timestamp, change: impl FnOnce(&mut Payment)) {
        let Some(before) = self.payments.get(&id).filter(|payment| payment.state.is_open()) else {
            return;
        };
        let mut after = Payment::clone(before);
        change(&mut after);
        after.updated_at = at;
        after.version = after.version.wrapping_add(1);
        match after.is_unsettled() {
            true => self.unsettled.insert(id),
            false => self.unsettled.remove(&id),
        };
        self.payments.insert(id, Arc::new(after));
    }
}
