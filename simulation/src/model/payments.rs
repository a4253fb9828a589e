//! What payments must do to the last event: those that staff record, and those that providers are asked for.

use lotkeeper_engine::ids::PaymentId;
use lotkeeper_engine::limits::AMOUNT_MAX;
use lotkeeper_engine::lot::payment::{Event as Paid, Method, Payment, Recorded, State};
use lotkeeper_engine::lot::provider::{Answer, Command, Intent, Transfer, Wanted};
use lotkeeper_engine::lot::{
    Account, Event, Outcome, Owner, Pay, PaymentStep, Purpose, Rejection, Session, session,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::tariff::Fee;
use lotkeeper_engine::time::Timestamp;

use super::lot::LotModel;
use super::promises::Granted;

/// What is to be paid.
struct Due<'a> {
    about: Owner,
    owed: i64,
    /// The stay, while it is inside.
    stay: Option<&'a Session>,
}

fn due(lot: &LotModel, about: Owner, now: Timestamp) -> Result<Due<'_>, Rejection> {
    let life = &lot.life;
    let (stay, missing) = match about {
        Owner::Session(id) => (life.stays.get(&id), Rejection::SessionNotFound),
        Owner::Reservation(id) => (life.of_booking(id), Rejection::ReservationNotFound),
        Owner::Vehicle(_) | Owner::Pass(_) => {
            return Ok(Due { about, owed: life.owed(about), stay: None });
        }
    };
    if let Some(stay) = stay {
        let about = stay.account();
        return Ok(match stay.state.is_inside() {
            true => Due { about, owed: lot.owes(stay, now), stay: Some(stay) },
            false => Due { about, owed: life.owed(about), stay: None },
        });
    }
    let booking = match about {
        Owner::Reservation(id) => lot.bookings.get(&id),
        _ => None,
    };
    let price = booking.filter(|it| it.state.is_active()).and_then(|it| it.price.as_ref());
    let owed = life.owed(about) + price.map_or(0, |price| price.fee.total.0);
    match booking.is_some() || owed != 0 {
        true => Ok(Due { about, owed, stay: None }),
        false => Err(missing),
    }
}

/// Who has paid all of his stay has a while to leave.
fn settled(lot: &LotModel, due: &Due<'_>, now: Timestamp) -> Option<Event> {
    let stay = due.stay?;
    let fee: Fee = lot.costs(stay, now)?;
    let leave_by = now.plus(lot.spec.rules.exit_window);
    let told = session::Event::Settled { id: stay.id, fee: Box::new(fee), leave_by };
    Some(Event::Session(told))
}

/// What a payment must do.
pub fn pay(lot: &LotModel, pay: &Pay, now: Timestamp) -> Granted {
    if lot.life.payments.contains_key(&pay.id) {
        return Err(Rejection::IdTaken);
    }
    let due = due(lot, pay.about, now)?;
    let open = due.owed - lot.life.promised(due.about);
    let amount = pay.amount.map_or(open, |amount| amount.0);
    if open <= 0 {
        return Err(Rejection::NothingOwed);
    }
    if !(1..=open).contains(&amount) {
        return Err(Rejection::AmountNotOwed { owed: Amount(open) });
    }
    let took = lot.life.shifts.taking(pay.cashier, pay.id, (&pay.method, amount));
    let own_shift = lot.life.shifts.of(pay.cashier).filter(|_| took.is_some());
    let shift = pay.shift.clone().or_else(|| own_shift.map(|shift| shift.code.clone()));
    let mut events = Vec::new();
    if !pay.is_promise {
        events.push(received(lot, due.about, pay.id, &pay.method, amount));
        events.extend(lot.paid_by(due.about, amount));
        events.extend(settled(lot, &due, now).filter(|_| amount >= due.owed));
        events.extend(took);
    }
    events.push(Event::Payment(Paid::Recorded(Box::new(Recorded {
        id: pay.id,
        about: due.about,
        method: pay.method.clone(),
        amount: Amount(amount),
        is_promise: pay.is_promise,
        shift,
        cashier: pay.cashier,
        reference: pay.reference.clone(),
    }))));
    Ok((events, Outcome::Payment(pay.id)))
}

fn received(lot: &LotModel, about: Owner, id: PaymentId, method: &Method, amount: i64) -> Event {
    let sides = (Account::Received(method.clone()), Account::Customer(about));
    lot.life.posting(about, Purpose::Payment(id), sides, amount)
}

fn captured(lot: &LotModel, payment: &Payment, amount: Amount, now: Timestamp) -> Vec<Event> {
    let Payment { id, about, .. } = *payment;
    let mut events = vec![received(lot, about, id, &payment.method, amount.0)];
    events.extend(lot.paid_by(about, amount.0));
    if let Ok(due) = due(lot, about, now) {
        events.extend(settled(lot, &due, now).filter(|_| amount.0 >= due.owed));
    }
    events.push(Event::Payment(match amount == payment.amount {
        true => Paid::Captured { id },
        false => Paid::PartCaptured { id, amount },
    }));
    events
}

fn refunded(lot: &LotModel, payment: &Payment, amount: Amount) -> Vec<Event> {
    let Payment { id, about, .. } = *payment;
    let sides = (Account::Customer(about), Account::Received(payment.method.clone()));
    let posted = lot.life.posting(about, Purpose::Refund(id), sides, amount.0);
    vec![posted, Event::Payment(Paid::Refunded { id, amount })]
}

/// The part that is wanted, if it is one of what can be had.
fn part(wanted: Option<Amount>, most: i64) -> Result<Amount, Rejection> {
    match wanted.map_or(most, |amount| amount.0) {
        amount if (1..=most).contains(&amount) => Ok(Amount(amount)),
        _ if most > 0 => Err(Rejection::AmountNotOwed { owed: Amount(most) }),
        _ => Err(Rejection::NothingOwed),
    }
}

/// What a payment's next step must do.
pub fn step(lot: &LotModel, (id, step): (PaymentId, PaymentStep), now: Timestamp) -> Granted {
    let payment = lot.life.payments.get(&id).ok_or(Rejection::PaymentNotFound)?;
    if payment.asked.is_some() {
        return Err(Rejection::PaymentInProgress);
    }
    let left = payment.amount.0 - payment.refunded.0;
    let events = match (step, payment.state) {
        (PaymentStep::Refund { amount }, State::Captured | State::PartlyRefunded) => {
            let amount = amount.map_or(left, |amount| amount.0);
            if !(1..=left).contains(&amount) {
                return Err(Rejection::AmountNotOwed { owed: Amount(left) });
            }
            refunded(lot, payment, Amount(amount))
        }
        (PaymentStep::Capture, State::Authorised) => captured(lot, payment, payment.amount, now),
        (PaymentStep::Void, State::Authorised) => vec![Event::Payment(Paid::Voided { id })],
        (PaymentStep::Fail, State::Authorised) => vec![Event::Payment(Paid::Failed { id })],
        (PaymentStep::Capture, State::Captured)
        | (PaymentStep::Void, State::Voided)
        | (PaymentStep::Fail, State::Failed) => Vec::new(),
        (_, state) => return Err(Rejection::PaymentEnded { state }),
    };
    Ok((events, Outcome::Payment(id)))
}

/// What a command about providers must do.
pub fn provider(lot: &LotModel, command: &Command, now: Timestamp) -> Granted {
    match command {
        Command::Authorise(pay) => authorise(lot, pay, now),
        Command::Ask { id, wanted } => ask(lot, *id, *wanted, now),
        Command::Answered { id, number, answer } => answered(lot, (*id, *number), answer, now),
    }
}

fn authorise(lot: &LotModel, pay: &Pay, now: Timestamp) -> Granted {
    let life = &lot.life;
    if life.payments.contains_key(&pay.id) {
        return Err(Rejection::IdTaken);
    }
    let due = due(lot, pay.about, now)?;
    let of_owner = life.payments.values().filter(|it| it.about == due.about);
    let requested = of_owner.filter(|it| it.state == State::Pending).map(|it| it.amount.0);
    let open = due.owed - life.promised(due.about) - requested.sum::<i64>();
    // Who is inside may be promised more than he owes so far; what is not named is what he owes.
    let most = if due.stay.is_some() { AMOUNT_MAX } else { open };
    let amount = match pay.amount {
        None if open <= 0 => return Err(Rejection::NothingOwed),
        Some(_) if most <= 0 => return Err(Rejection::NothingOwed),
        wanted => wanted.map_or(open, |amount| amount.0),
    };
    if !(1..=most).contains(&amount) {
        return Err(Rejection::AmountNotOwed { owed: Amount(open) });
    }
    let requested = Paid::Requested(Box::new(Recorded {
        id: pay.id,
        about: due.about,
        method: pay.method.clone(),
        amount: Amount(amount),
        is_promise: true,
        shift: None,
        cashier: pay.cashier,
        reference: None,
    }));
    Ok((vec![Event::Payment(requested)], Outcome::Payment(pay.id)))
}

/// How much of a promise is owed and not on its way.
fn collectable(lot: &LotModel, payment: &Payment, now: Timestamp) -> i64 {
    let owed = match due(lot, payment.about, now) {
        Ok(due) => due.owed,
        Err(_) => lot.life.owed(payment.about),
    };
    let of_owner = lot.life.payments.values().filter(|it| it.about == payment.about);
    let coming = of_owner.map(|it| match it.asked {
        Some(Intent { what: Transfer::Capture(amount), .. }) => amount.0,
        _ => 0,
    });
    (owed - coming.sum::<i64>()).min(payment.amount.0)
}

/// Whether nothing is added any more to what a promise is for, and nobody refused it.
fn is_over(lot: &LotModel, payment: &Payment) -> bool {
    let life = &lot.life;
    let goes_on = match payment.about {
        Owner::Session(id) => life.stays.get(&id).is_some_and(|stay| stay.state.is_inside()),
        Owner::Reservation(id) => {
            life.inside_of(id).is_some()
                || lot.bookings.get(&id).is_some_and(|it| it.state.is_active())
        }
        Owner::Vehicle(_) | Owner::Pass(_) => false,
    };
    payment.reason.is_none() && !goes_on
}

fn ask(lot: &LotModel, id: PaymentId, wanted: Wanted, now: Timestamp) -> Granted {
    let payment = lot.life.payments.get(&id).ok_or(Rejection::PaymentNotFound)?;
    let nothing = Ok((Vec::new(), Outcome::Payment(id)));
    let wrong = Err(Rejection::PaymentEnded { state: payment.state });
    if !matches!(payment.method, Method::Provider(_)) {
        return wrong;
    }
    if let Some(Intent { what, .. }) = payment.asked {
        let same = match (wanted, what) {
            (Wanted::Capture { amount }, Transfer::Capture(asked))
            | (Wanted::Refund { amount }, Transfer::Refund(asked)) => {
                amount.is_none() || amount == Some(asked)
            }
            (Wanted::Void, Transfer::Void) | (Wanted::Collect, _) => true,
            _ => false,
        };
        return if same { nothing } else { Err(Rejection::PaymentInProgress) };
    }
    let what = match (wanted, payment.state) {
        (Wanted::Capture { amount }, State::Authorised) => {
            Transfer::Capture(part(amount, collectable(lot, payment, now))?)
        }
        (Wanted::Void, State::Authorised) => Transfer::Void,
        (Wanted::Refund { amount }, State::Captured | State::PartlyRefunded) => {
            Transfer::Refund(part(amount, payment.amount.0 - payment.refunded.0)?)
        }
        (Wanted::Collect, State::Authorised) if is_over(lot, payment) => {
            match collectable(lot, payment, now) {
                ..=0 => Transfer::Void,
                amount => Transfer::Capture(Amount(amount)),
            }
        }
        (Wanted::Collect, _)
        | (Wanted::Capture { .. }, State::Captured)
        | (Wanted::Void, State::Voided) => return nothing,
        _ => return wrong,
    };
    Ok((vec![Event::Payment(Paid::Asked { id, what })], Outcome::Payment(id)))
}

/// The first answer to the question that is open counts; every other changes nothing.
fn answered(
    lot: &LotModel,
    (id, number): (PaymentId, u32),
    answer: &Answer,
    now: Timestamp,
) -> Granted {
    let payment = lot.life.payments.get(&id).ok_or(Rejection::PaymentNotFound)?;
    let open = payment.asked.filter(|asked| asked.number == number);
    let events = match (answer, open.map(|asked| asked.what)) {
        (_, None) => Vec::new(),
        (Answer::Refused { reason }, _) => {
            vec![Event::Payment(Paid::Refused { id, reason: reason.clone() })]
        }
        (Answer::Done { reference }, Some(Transfer::Authorise)) => {
            vec![Event::Payment(Paid::Authorised { id, reference: reference.clone() })]
        }
        (_, Some(Transfer::Capture(amount))) => captured(lot, payment, amount, now),
        (_, Some(Transfer::Void)) => vec![Event::Payment(Paid::Voided { id })],
        (_, Some(Transfer::Refund(amount))) => refunded(lot, payment, amount),
    };
    Ok((events, Outcome::Payment(id)))
}
