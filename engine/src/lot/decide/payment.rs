//! Payments as staff and providers tell of them.
//!
//! Nobody is asked here whether money came: whoever records it knows. What is recorded is weighed against
//! what is owed, so that nothing is taken twice. The payment's own event comes last: it says what a retry is
//! answered. Absent: the network (`gateway`), the bill (`exit.rs`).

use smallvec::smallvec;

use super::{Events, Granted, happened, unchanged};
use crate::ids::PaymentId;
use crate::lot::payment::{self, Method, Payment, Recorded, State};
use crate::lot::{Bill, Event, Lot, Outcome, Owner, Pay, PaymentStep, Rejection, session};
use crate::money::Amount;
use crate::time::Timestamp;

/// Records a payment, or what a provider promised.
pub(super) fn pay(lot: &Lot, pay: &Pay, now: Timestamp) -> Granted {
    if lot.payments().get(pay.id).is_some() {
        return Err(Rejection::IdTaken);
    }
    let Due { about, owed, bill } = due(lot, pay.about, now)?;
    let promised = lot.payments().promised_for(about);
    let open = Amount(owed.0.saturating_sub(promised.0));
    let amount = pay.amount.unwrap_or(open);
    if open.0 <= 0 {
        return Err(Rejection::NothingOwed);
    }
    if amount.0 <= 0 || amount.0 > open.0 {
        return Err(Rejection::AmountNotOwed { owed: open });
    }
    let mut events = Events::new();
    let taking = lot.shifts().taking(pay.cashier, pay.id, &pay.method, amount);
    let shift = pay.cashier.filter(|_| taking.is_some()).and_then(|who| lot.shifts().of(who));
    if !pay.is_promise {
        receive(lot, about, pay.id, &pay.method, amount, &mut events);
        super::violation::paid(lot, about, amount, &mut events);
        if amount >= owed {
            events.extend(settled(lot, pay.about, bill, now));
        }
        events.extend(taking.map(Event::Shift));
    }
    events.push(Event::Payment(payment::Event::Recorded(Box::new(Recorded {
        id: pay.id,
        about,
        method: pay.method.clone(),
        amount,
        is_promise: pay.is_promise,
        shift: pay.shift.clone().or_else(|| shift.map(|shift| shift.code.clone())),
        cashier: pay.cashier,
        reference: pay.reference.clone(),
    }))));
    Ok((events, Outcome::Payment(pay.id)))
}

fn receive(
    lot: &Lot,
    about: Owner,
    id: PaymentId,
    method: &Method,
    amount: Amount,
    events: &mut Events,
) {
    let posting = lot.accounts().receive(about, id, method, amount);
    events.push(Event::Posted(Box::new(posting)));
}

/// What is to be paid for a reservation or stay.
pub(super) struct Due {
    /// On whose account.
    pub about: Owner,
    /// How much is open; below zero what was paid too much.
    pub owed: Amount,
    /// The stay's bill, if it is one that is inside.
    pub bill: Option<Bill>,
}

/// What is owed now: of a stay inside what it cost up to now, of a promise its price. The ledger remembers longer
/// than the lot: what a stay or promise owes that the lot has forgotten is still owed, and can be paid.
pub(super) fn due(lot: &Lot, about: Owner, now: Timestamp) -> Result<Due, Rejection> {
    let billed = Due { about, owed: lot.accounts().owed_by(about), bill: None };
    let (session, missing) = match about {
        Owner::Session(id) => (lot.stays().get(id), Rejection::SessionNotFound),
        Owner::Reservation(id) => (lot.stays().of_reservation(id), Rejection::ReservationNotFound),
        Owner::Vehicle(_) | Owner::Pass(_) => return Ok(billed),
    };
    if let Some(session) = session {
        let about = session.account();
        if session.state.is_inside() {
            let bill = lot.bill_of(session, now);
            return Ok(Due { about, owed: bill.owed, bill: Some(bill) });
        }
        return Ok(Due { about, owed: lot.accounts().owed_by(about), bill: None });
    }
    let promise = match about {
        Owner::Reservation(id) => lot.reservation(id),
        Owner::Session(_) | Owner::Vehicle(_) | Owner::Pass(_) => None,
    };
    match promise {
        Some(reservation) => Ok(Due { owed: lot.owed_for(reservation), ..billed }),
        None if billed.owed != Amount::ZERO => Ok(billed),
        None => Err(missing),
    }
}

/// A stay that is wholly paid may leave for the lot's time without paying more.
fn settled(lot: &Lot, about: Owner, bill: Option<Bill>, now: Timestamp) -> Option<Event> {
    let session = match about {
        Owner::Session(id) => lot.stays().get(id)?,
        Owner::Reservation(id) => lot.stays().of_reservation(id)?,
        Owner::Vehicle(_) | Owner::Pass(_) => return None,
    };
    let fee = bill?.fee?;
    let leave_by = now.plus(lot.spec().rules.exit_window);
    let settled =
        session::Event::Settled { id: session.id, fee: Box::new((*fee).clone()), leave_by };
    Some(Event::Session(settled))
}

/// A payment's next step, as its provider or staff tell.
pub(super) fn step(lot: &Lot, id: PaymentId, step: PaymentStep, now: Timestamp) -> Granted {
    let payment = lot.payments().get(id).ok_or(Rejection::PaymentNotFound)?;
    let outcome = Outcome::Payment(id);
    if payment.asked.is_some() {
        return Err(Rejection::PaymentInProgress);
    }
    let wrong = Err(Rejection::PaymentEnded { state: payment.state });
    match (step, payment.state) {
        (PaymentStep::Capture, State::Authorised) => {
            Ok((capture(lot, payment, payment.amount, now), outcome))
        }
        (PaymentStep::Void, State::Authorised) => {
            happened(Event::Payment(payment::Event::Voided { id }), outcome)
        }
        (PaymentStep::Fail, State::Authorised) => {
            happened(Event::Payment(payment::Event::Failed { id }), outcome)
        }
        // Whoever tells it twice finds it done.
        (PaymentStep::Capture, State::Captured)
        | (PaymentStep::Void, State::Voided)
        | (PaymentStep::Fail, State::Failed) => unchanged(outcome),
        (PaymentStep::Refund { amount }, State::Captured | State::PartlyRefunded) => {
            let left = Amount(payment.amount.0.saturating_sub(payment.refunded.0));
            let amount = amount.unwrap_or(left);
            if amount.0 <= 0 || amount.0 > left.0 {
                return Err(Rejection::AmountNotOwed { owed: left });
            }
            Ok((refund(lot, payment, amount), outcome))
        }
        (
            PaymentStep::Capture | PaymentStep::Void | PaymentStep::Fail,
            State::Captured
            | State::Voided
            | State::PartlyRefunded
            | State::Refunded
            | State::Failed
            | State::Pending,
        )
        | (
            PaymentStep::Refund { .. },
            State::Authorised | State::Voided | State::Refunded | State::Failed | State::Pending,
        ) => wrong,
    }
}

/// So much of a promise came in.
pub(super) fn capture(lot: &Lot, payment: &Payment, amount: Amount, now: Timestamp) -> Events {
    let Payment { id, about, amount: promised, .. } = *payment;
    let mut events = Events::new();
    receive(lot, about, id, &payment.method, amount, &mut events);
    super::violation::paid(lot, about, amount, &mut events);
    if let Ok(due) = due(lot, about, now)
        && amount >= due.owed
    {
        events.extend(settled(lot, about, due.bill, now));
    }
    events.push(Event::Payment(match amount == promised {
        true => payment::Event::Captured { id },
        false => payment::Event::PartCaptured { id, amount },
    }));
    events
}

/// So much went back.
pub(super) fn refund(lot: &Lot, payment: &Payment, amount: Amount) -> Events {
    let Payment { id, about, .. } = *payment;
    let posting = lot.accounts().refund(about, id, &payment.method, amount);
    smallvec![
        Event::Posted(Box::new(posting)),
        Event::Payment(payment::Event::Refunded { id, amount }),
    ]
}
