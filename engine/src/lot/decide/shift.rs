//! Shifts: opened, closed, and what goes back over the desk.
//!
//! What a cashier takes is recorded by `payment.rs`, which asks whether he has a shift. Absent: whether a lot wants
//! its cashiers to have one.

use super::{Events, Granted, happened, payment, unchanged};
use crate::ids::{PaymentId, Pseudonym, ShiftId};
use crate::limits;
use crate::lot::payment::{Event as PaymentEvent, Method};
use crate::lot::shift::{self, Command, Opened};
use crate::lot::{Event, Lot, Outcome, PaymentStep, Rejection};
use crate::money::Amount;
use crate::spec::{Fault, code_faults};
use crate::time::Timestamp;

pub(super) fn decide(lot: &Lot, command: &Command, now: Timestamp) -> Granted {
    match command {
        Command::Open(opened) => open(lot, opened),
        Command::Close { id, by, counted } => close(lot, *id, *by, *counted),
        Command::HandOut { payment, amount, cashier } => {
            hand_out(lot, *payment, *amount, *cashier, now)
        }
    }
}

fn open(lot: &Lot, opened: &Opened) -> Granted {
    if lot.shifts().get(opened.id).is_some() {
        return Err(Rejection::IdTaken);
    }
    if let Some(shift) = lot.shifts().of(opened.cashier) {
        return Err(Rejection::ShiftOpen { shift: shift.id });
    }
    if lot.shifts().open_count() >= limits::OPEN_SHIFTS_PER_LOT_MAX {
        return Err(Rejection::ShiftsFull);
    }
    let mut faults = code_faults("/code", &opened.code);
    faults.extend(amount_fault("/float", opened.float));
    if !faults.is_empty() {
        return Err(Rejection::Invalid { faults });
    }
    let event = shift::Event::Opened(Box::new(opened.clone()));
    happened(Event::Shift(event), Outcome::Shift(opened.id))
}

fn amount_fault(pointer: &str, amount: Amount) -> Option<Fault> {
    let max = limits::AMOUNT_MAX;
    let detail = format!("{} is not between 0 and {max}", amount.0);
    let is_wrong = !(0..=max).contains(&amount.0);
    is_wrong.then(|| Fault { pointer: pointer.to_owned(), detail })
}

fn close(lot: &Lot, id: ShiftId, by: Option<Pseudonym>, counted: Amount) -> Granted {
    let shift = lot.shifts().get(id).filter(|shift| by.is_none_or(|by| by == shift.cashier));
    let shift = shift.ok_or(Rejection::ShiftNotFound)?;
    if !shift.is_open() {
        // Whoever closes it twice has counted the same.
        return match shift.counted == Some(counted) {
            true => unchanged(Outcome::Shift(id)),
            false => Err(Rejection::ShiftClosed),
        };
    }
    if let Some(fault) = amount_fault("/counted", counted) {
        return Err(Rejection::Invalid { faults: vec![fault] });
    }
    happened(Event::Shift(shift::Event::Closed { id, counted }), Outcome::Shift(id))
}

/// A refund as any other, out of the drawer of whoever hands it out.
fn hand_out(
    lot: &Lot,
    id: PaymentId,
    amount: Option<Amount>,
    cashier: Pseudonym,
    now: Timestamp,
) -> Granted {
    let found = lot.payments().get(id).ok_or(Rejection::PaymentNotFound)?;
    if let Method::Provider(_) = found.method {
        return Err(Rejection::PaymentEnded { state: found.state });
    }
    let (mut events, outcome) = payment::step(lot, id, PaymentStep::Refund { amount }, now)?;
    let Some(Event::Payment(PaymentEvent::Refunded { amount, .. })) = events.last() else {
        return Ok((events, outcome));
    };
    let out = Amount(amount.0.saturating_neg());
    let took: Events = lot
        .shifts()
        .taking(Some(cashier), id, &found.method, out)
        .map(Event::Shift)
        .into_iter()
        .collect();
    // Before the payment's own event, which is what a retry is answered.
    let last = events.len() - 1;
    events.insert_many(last, took);
    Ok((events, outcome))
}
