//! Shifts of cashiers as a plain list. What should be in a drawer follows from the ledger's postings, not from
//! what the shift says of itself.

use std::collections::{BTreeMap, VecDeque};

use lotkeeper_engine::ids::{PaymentId, Pseudonym, ShiftId};
use lotkeeper_engine::limits::{AMOUNT_MAX, CLOSED_SHIFTS_KEPT_PER_LOT};
use lotkeeper_engine::lot::payment::{Event as Paid, Method};
use lotkeeper_engine::lot::shift::{Command, Event as Told, Opened, Shift, Taken};
use lotkeeper_engine::lot::{Event, Outcome, PaymentStep, Rejection};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::Timestamp;

use super::lot::LotModel;
use super::passes::is_code;
use super::payments;
use super::promises::Granted;

/// Money that moved by the last posting: which payment's, how, and how much; below zero what went out.
pub type Moved = (PaymentId, Method, i64);

/// The shifts of one lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shifts {
    /// All that are remembered.
    pub all: BTreeMap<ShiftId, Shift>,
    closed: VecDeque<ShiftId>,
    /// What went in and out of their drawers by what was posted.
    drawers: BTreeMap<ShiftId, i64>,
}

impl Shifts {
    /// The open one of a cashier.
    #[must_use]
    pub fn of(&self, cashier: Option<Pseudonym>) -> Option<&Shift> {
        self.all.values().find(|it| it.is_open() && Some(it.cashier) == cashier)
    }

    /// Those that go on.
    pub fn open(&self) -> impl Iterator<Item = &Shift> {
        self.all.values().filter(|it| it.is_open())
    }

    /// What a payment is to the shift of whoever takes it, or hands it out.
    #[must_use]
    pub fn taking(
        &self,
        cashier: Option<Pseudonym>,
        payment: PaymentId,
        (method, amount): (&Method, i64),
    ) -> Option<Event> {
        let by_terminal = match method {
            Method::Cash => false,
            Method::Terminal => true,
            Method::Provider(_) => return None,
        };
        let id = self.of(cashier)?.id;
        Some(Event::Shift(Told::Took { id, payment, by_terminal, amount: Amount(amount) }))
    }

    /// An event happened, after money moved; what is wrong with that.
    pub fn apply(&mut self, event: &Told, at: Timestamp, moved: Option<&Moved>) -> Option<String> {
        let id = event.id();
        if let Told::Opened(opened) = event {
            if self.of(Some(opened.cashier)).is_some() {
                return Some(format!("{opened:?} while he has another"));
            }
            return self
                .all
                .insert(id, new(opened, at))
                .map(|it| format!("{it:?} was opened twice"));
        }
        let Some(shift) = self.all.get_mut(&id).filter(|it| it.is_open()) else {
            return Some(format!("{event:?} of a shift that is not open"));
        };
        (shift.updated_at, shift.version) = (at, shift.version + 1);
        match event {
            Told::Opened(_) => {}
            Told::Took { payment, by_terminal, amount, .. } => {
                let method = if *by_terminal { Method::Terminal } else { Method::Cash };
                if moved != Some(&(*payment, method, amount.0)) {
                    return Some(format!("{event:?}, and posted was {moved:?}"));
                }
                if !by_terminal {
                    *self.drawers.entry(id).or_default() += amount.0;
                }
                let taken = if *by_terminal { &mut shift.terminal } else { &mut shift.cash };
                taken.moves += 1;
                taken.received.0 += amount.0.max(0);
                taken.refunded.0 -= amount.0.min(0);
            }
            Told::Closed { counted, .. } => {
                (shift.counted, shift.closed_at) = (Some(*counted), Some(at));
                self.closed.push_back(id);
            }
        }
        if self.closed.len() > CLOSED_SHIFTS_KEPT_PER_LOT
            && let Some(oldest) = self.closed.pop_front()
        {
            self.all.remove(&oldest);
        }
        None
    }

    /// A shift that expects something else in its drawer than what was posted.
    #[must_use]
    pub fn wrong_drawer(&self, shift: &Shift) -> Option<String> {
        let posted = self.drawers.get(&shift.id).copied().unwrap_or_default();
        let expected = shift.float.0 + posted;
        let difference = shift.counted.map(|counted| counted.0 - expected);
        let same = shift.expected().0 == expected
            && shift.difference().map(|amount| amount.0) == difference;
        (!same).then(|| format!("{shift:?} expects {:?}, posted {posted}", shift.expected()))
    }
}

fn new(opened: &Opened, at: Timestamp) -> Shift {
    Shift {
        id: opened.id,
        code: opened.code.clone(),
        cashier: opened.cashier,
        float: opened.float,
        cash: Taken::default(),
        terminal: Taken::default(),
        counted: None,
        opened_at: at,
        closed_at: None,
        updated_at: at,
        version: 1,
    }
}

const INVALID: Rejection = Rejection::Invalid { faults: Vec::new() };

/// What a command about shifts must do.
pub fn decide(lot: &LotModel, command: &Command) -> Granted {
    let shifts = &lot.life.shifts;
    let right = |amount: &Amount| (0..=AMOUNT_MAX).contains(&amount.0);
    match command {
        Command::Open(opened) => {
            if shifts.all.contains_key(&opened.id) {
                return Err(Rejection::IdTaken);
            }
            if let Some(shift) = shifts.of(Some(opened.cashier)) {
                return Err(Rejection::ShiftOpen { shift: shift.id });
            }
            if !is_code(&opened.code) || !right(&opened.float) {
                return Err(INVALID);
            }
            let told = Told::Opened(Box::new(opened.clone()));
            Ok((vec![Event::Shift(told)], Outcome::Shift(opened.id)))
        }
        Command::Close { id, by, counted } => {
            let shift = shifts.all.get(id).filter(|it| by.is_none_or(|by| by == it.cashier));
            let shift = shift.ok_or(Rejection::ShiftNotFound)?;
            let done = Outcome::Shift(*id);
            match (shift.is_open(), shift.counted == Some(*counted)) {
                (false, true) => Ok((Vec::new(), done)),
                (false, false) => Err(Rejection::ShiftClosed),
                (true, _) if !right(counted) => Err(INVALID),
                (true, _) => {
                    let told = Told::Closed { id: *id, counted: *counted };
                    Ok((vec![Event::Shift(told)], done))
                }
            }
        }
        Command::HandOut { payment, amount, cashier } => hand_out(lot, *payment, *amount, *cashier),
    }
}

fn hand_out(lot: &LotModel, id: PaymentId, amount: Option<Amount>, cashier: Pseudonym) -> Granted {
    let payment = lot.life.payments.get(&id).ok_or(Rejection::PaymentNotFound)?;
    if matches!(payment.method, Method::Provider(_)) {
        return Err(Rejection::PaymentEnded { state: payment.state });
    }
    // A refund knows no time.
    let now = Timestamp::from_seconds(0);
    let (mut events, done) = payments::step(lot, (id, PaymentStep::Refund { amount }), now)?;
    let Some(Event::Payment(Paid::Refunded { amount, .. })) = events.last() else {
        return Ok((events, done));
    };
    let out = -amount.0;
    let took = lot.life.shifts.taking(Some(cashier), id, (&payment.method, out));
    let last = events.len() - 1;
    events.splice(last..last, took);
    Ok((events, done))
}
