//! What providers are asked, and what they answered.
//!
//! A question is recorded and nothing moves; money moves with the answer. So the ledger never knows of money
//! that nobody has, and a gate opens for what was promised, never for what was asked. A late or second
//! answer to a question changes nothing.

use super::payment::{Due, capture, due, refund};
use super::{Granted, happened, unchanged};
use crate::ids::PaymentId;
use crate::limits;
use crate::lot::payment::{self, Method, Payment, Recorded, State};
use crate::lot::provider::{Answer, Command, Intent, Transfer, Wanted};
use crate::lot::{Event, Lot, Outcome, Pay, Rejection};
use crate::money::Amount;
use crate::time::Timestamp;

pub(super) fn decide(lot: &Lot, command: &Command, now: Timestamp) -> Granted {
    match command {
        Command::Authorise(pay) => authorise(lot, pay, now),
        Command::Ask { id, wanted } => ask(lot, *id, *wanted, now),
        Command::Answered { id, number, answer } => answered(lot, *id, *number, answer, now),
    }
}

/// A promise to be: for what is owed, or for a stay inside for more, as it will cost more.
fn authorise(lot: &Lot, pay: &Pay, now: Timestamp) -> Granted {
    if lot.payments().get(pay.id).is_some() {
        return Err(Rejection::IdTaken);
    }
    if lot.payments().unsettled_count() >= limits::UNSETTLED_PAYMENTS_PER_LOT_MAX {
        return Err(Rejection::PaymentsFull);
    }
    let Due { about, owed, bill } = due(lot, pay.about, now)?;
    let promised = lot.payments().promised_for(about);
    let asked = promised.saturating_add(lot.payments().requested_for(about));
    let open = owed.saturating_sub(asked);
    // A stay that goes on is promised more than it costs so far.
    let most = match bill {
        Some(_) => Amount(limits::AMOUNT_MAX),
        None => open,
    };
    let amount = pay.amount.unwrap_or(open);
    if most.0 <= 0 || pay.amount.is_none() && open.0 <= 0 {
        return Err(Rejection::NothingOwed);
    }
    if amount.0 <= 0 || amount.0 > most.0 {
        return Err(Rejection::AmountNotOwed { owed: open });
    }
    let requested = payment::Event::Requested(Box::new(Recorded {
        id: pay.id,
        about,
        method: pay.method.clone(),
        amount,
        is_promise: true,
        shift: None,
        cashier: pay.cashier,
        reference: None,
    }));
    happened(Event::Payment(requested), Outcome::Payment(pay.id))
}

fn ask(lot: &Lot, id: PaymentId, wanted: Wanted, now: Timestamp) -> Granted {
    let payment = lot.payments().get(id).ok_or(Rejection::PaymentNotFound)?;
    let outcome = Outcome::Payment(id);
    let wrong = Err(Rejection::PaymentEnded { state: payment.state });
    if !matches!(payment.method, Method::Provider(_)) {
        return wrong;
    }
    if let Some(Intent { what, .. }) = payment.asked {
        // Whoever wants it twice has asked already.
        return match is_the_same(wanted, what) {
            true => unchanged(outcome),
            false => Err(Rejection::PaymentInProgress),
        };
    }
    let what = match (wanted, payment.state) {
        (Wanted::Capture { amount }, State::Authorised) => {
            let most = collectable(lot, payment, now);
            Transfer::Capture(part(amount, most).ok_or(not_owed(most))?)
        }
        (Wanted::Void, State::Authorised) => Transfer::Void,
        (Wanted::Refund { amount }, State::Captured | State::PartlyRefunded) => {
            let left = payment.amount.saturating_sub(payment.refunded);
            Transfer::Refund(part(amount, left).ok_or(not_owed(left))?)
        }
        (Wanted::Collect, State::Authorised) if lot.is_to_be_collected(payment) => {
            match collectable(lot, payment, now) {
                Amount(1..) => Transfer::Capture(collectable(lot, payment, now)),
                Amount(_) => Transfer::Void,
            }
        }
        (Wanted::Collect, _)
        | (Wanted::Capture { .. }, State::Captured)
        | (Wanted::Void, State::Voided) => return unchanged(outcome),
        (Wanted::Capture { .. } | Wanted::Void | Wanted::Refund { .. }, _) => return wrong,
    };
    happened(Event::Payment(payment::Event::Asked { id, what }), outcome)
}

fn is_the_same(wanted: Wanted, asked: Transfer) -> bool {
    match (wanted, asked) {
        (Wanted::Capture { amount }, Transfer::Capture(asked))
        | (Wanted::Refund { amount }, Transfer::Refund(asked)) => {
            amount.is_none_or(|amount| amount == asked)
        }
        (Wanted::Void, Transfer::Void) | (Wanted::Collect, _) => true,
        (Wanted::Capture { .. } | Wanted::Void | Wanted::Refund { .. }, _) => false,
    }
}

/// The part that is wanted, all without; nothing when it is not one.
fn part(wanted: Option<Amount>, most: Amount) -> Option<Amount> {
    let amount = wanted.unwrap_or(most);
    (amount.0 > 0 && amount.0 <= most.0).then_some(amount)
}

fn not_owed(most: Amount) -> Rejection {
    match most.0 {
        1.. => Rejection::AmountNotOwed { owed: most },
        _ => Rejection::NothingOwed,
    }
}

/// How much of a promise is owed and not yet on its way.
fn collectable(lot: &Lot, payment: &Payment, now: Timestamp) -> Amount {
    let about = payment.about;
    // Of what the lot has forgotten the ledger still knows what is owed.
    let owed = due(lot, about, now).map_or_else(|_| lot.accounts().owed_by(about), |due| due.owed);
    owed.saturating_sub(lot.payments().incoming_for(about)).min(payment.amount)
}

fn answered(lot: &Lot, id: PaymentId, number: u32, answer: &Answer, now: Timestamp) -> Granted {
    let payment = lot.payments().get(id).ok_or(Rejection::PaymentNotFound)?;
    let outcome = Outcome::Payment(id);
    let Some(intent) = payment.asked.filter(|intent| intent.number == number) else {
        return unchanged(outcome);
    };
    match (answer, intent.what) {
        (Answer::Refused { reason }, _) => {
            let reason = reason.clone();
            happened(Event::Payment(payment::Event::Refused { id, reason }), outcome)
        }
        (Answer::Done { reference }, Transfer::Authorise) => {
            let reference = reference.clone();
            happened(Event::Payment(payment::Event::Authorised { id, reference }), outcome)
        }
        (Answer::Done { .. }, Transfer::Capture(amount)) => {
            Ok((capture(lot, payment, amount, now), outcome))
        }
        (Answer::Done { .. }, Transfer::Void) => {
            happened(Event::Payment(payment::Event::Voided { id }), outcome)
        }
        (Answer::Done { .. }, Transfer::Refund(amount)) => {
            Ok((refund(lot, payment, amount), outcome))
        }
    }
}
