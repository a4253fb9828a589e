//! Shifts: what a cashier began with, took, handed out and counted in the end.
//!
//! Invariants: a cashier has one open shift in a lot at most; every payment that he takes by cash or terminal
//! while it is open belongs to it, and everything he hands out; a shift that is closed never changes. What
//! should be in the drawer follows from the log, so nobody writes it down. Absent: who is a cashier (the
//! gateway's roles), shifts over several lots, and banknotes.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::payment::Method;
use crate::ids::{PaymentId, Pseudonym, ShiftId};
use crate::limits::CLOSED_SHIFTS_KEPT_PER_LOT;
use crate::money::Amount;
use crate::time::Timestamp;

/// What came in and went out one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Received.
    pub received: Amount,
    /// Handed out again.
    pub refunded: Amount,
    /// How many payments and refunds.
    pub moves: u32,
}

/// One cashier's shift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Public id.
    pub id: ShiftId,
    /// What people call it.
    pub code: Box<str>,
    /// Whose.
    pub cashier: Pseudonym,
    /// What was in the drawer at the beginning.
    pub float: Amount,
    /// Notes and coins.
    pub cash: Taken,
    /// The terminal.
    pub terminal: Taken,
    /// What was in the drawer in the end, once it is closed.
    pub counted: Option<Amount>,
    /// Record time of its first event.
    pub opened_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Record time of its last event.
    pub updated_at: Timestamp,
    /// Events applied to it.
    pub version: u32,
}

impl Shift {
    /// Whether it goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// What should be in the drawer.
    #[must_use]
    pub fn expected(&self) -> Amount {
        let cash = self.cash.received.saturating_sub(self.cash.refunded);
        self.float.saturating_add(cash)
    }

    /// What was counted beyond that; below zero what is missing.
    #[must_use]
    pub fn difference(&self) -> Option<Amount> {
        self.counted.map(|counted| counted.saturating_sub(self.expected()))
    }
}

/// What happened to a shift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It began.
    Opened(Box<Opened>),
    /// A payment came in, or went back: the payment's own event is the next.
    Took {
        /// Which shift.
        id: ShiftId,
        /// Which payment.
        payment: PaymentId,
        /// By terminal; else in cash.
        by_terminal: bool,
        /// How much; below zero what was handed out.
        amount: Amount,
    },
    /// It is over.
    Closed {
        /// Which.
        id: ShiftId,
        /// What was in the drawer.
        counted: Amount,
    },
}

impl Event {
    /// Which shift.
    #[must_use]
    pub fn id(&self) -> ShiftId {
        match self {
            Self::Opened(opened) => opened.id,
            Self::Took { id, .. } | Self::Closed { id, .. } => *id,
        }
    }
}

/// A shift as it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Identity.
    pub id: ShiftId,
    /// What people call it.
    pub code: Box<str>,
    /// Whose.
    pub cashier: Pseudonym,
    /// What is in the drawer.
    pub float: Amount,
}

/// Commands about shifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin one.
    Open(Opened),
    /// End one.
    Close {
        /// Which.
        id: ShiftId,
        /// Who closes it: the cashier his own, nobody where it may be anybody's.
        by: Option<Pseudonym>,
        /// What is in the drawer.
        counted: Amount,
    },
    /// Money goes back over the desk: by hand, or by the terminal if it came by it.
    HandOut {
        /// Which payment.
        payment: PaymentId,
        /// How much; all that is left without.
        amount: Option<Amount>,
        /// Who hands it out.
        cashier: Pseudonym,
    },
}

/// The shifts of one lot that go on, and the last ones that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shifts {
    shifts: OrdMap<ShiftId, Arc<Shift>>,
    open: OrdMap<Pseudonym, ShiftId>,
    /// Closed, oldest first.
    closed: Vector<ShiftId>,
}

impl Shifts {
    /// As they were taken apart by [`Shifts::parts`].
    #[must_use]
    pub fn from_parts(parts: Vec<Arc<Shift>>) -> Self {
        let mut shifts = Self::default();
        for shift in parts {
            if shift.is_open() {
                shifts.open.insert(shift.cashier, shift.id);
            } else {
                shifts.closed.push_back(shift.id);
            }
            shifts.shifts.insert(shift.id, shift);
        }
        shifts
    }

    /// What a snapshot must hold: open ones in order of id, then closed ones, oldest first.
    #[must_use]
    pub fn parts(&self) -> Vec<Arc<Shift>> {
        let open = self.shifts.values().filter(|shift| shift.is_open()).cloned();
        let closed = self.closed.iter().filter_map(|id| self.shifts.get(id)).cloned();
        open.chain(closed).collect()
    }

    /// A shift the lot remembers.
    #[must_use]
    pub fn get(&self, id: ShiftId) -> Option<&Arc<Shift>> {
        self.shifts.get(&id)
    }

    /// All the lot remembers, in order of id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Shift>> {
        self.shifts.values()
    }

    /// Shifts after `after` in order of id: a page of a list.
    pub fn after(&self, after: Option<ShiftId>) -> impl Iterator<Item = &Arc<Shift>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.shifts.range((start, Unbounded)).map(|(_, shift)| shift)
    }

    /// The open one of a cashier.
    #[must_use]
    pub fn of(&self, cashier: Pseudonym) -> Option<&Arc<Shift>> {
        self.open.get(&cashier).and_then(|id| self.shifts.get(id))
    }

    /// How many go on.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The closed one that is forgotten next.
    #[must_use]
    pub fn oldest(&self) -> Option<ShiftId> {
        self.closed.front().copied()
    }

    /// What a payment that a cashier takes, or with a negative amount hands out, is to his open shift.
    #[must_use]
    pub fn taking(
        &self,
        cashier: Option<Pseudonym>,
        payment: PaymentId,
        method: &Method,
        amount: Amount,
    ) -> Option<Event> {
        let by_terminal = match method {
            Method::Cash => false,
            Method::Terminal => true,
            Method::Provider(_) => return None,
        };
        let id = self.of(cashier?)?.id;
        Some(Event::Took { id, payment, by_terminal, amount })
    }

    pub(super) fn apply(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Opened(opened) => self.begin(opened, at),
            Event::Took { id, by_terminal, amount, .. } => self.step(*id, at, |shift| {
                let taken = if *by_terminal { &mut shift.terminal } else { &mut shift.cash };
                taken.moves = taken.moves.saturating_add(1);
                match amount.0 {
                    0.. => taken.received = taken.received.saturating_add(*amount),
                    _ => taken.refunded = taken.refunded.saturating_sub(*amount),
                }
            }),
            Event::Closed { id, counted } => {
                let cashier = self.get(*id).filter(|shift| shift.is_open()).map(|it| it.cashier);
                self.step(*id, at, |shift| {
                    (shift.counted, shift.closed_at) = (Some(*counted), Some(at));
                });
                if let Some(cashier) = cashier {
                    self.open.remove(&cashier);
                    self.closed.push_back(*id);
                    self.forget_oldest();
                }
            }
        }
    }

    fn begin(&mut self, opened: &Opened, at: Timestamp) {
        if self.shifts.contains_key(&opened.id) || self.open.contains_key(&opened.cashier) {
            return;
        }
        let shift = Shift {
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
        };
        self.open.insert(opened.cashier, opened.id);
        self.shifts.insert(opened.id, Arc::new(shift));
    }

    fn forget_oldest(&mut self) {
        while self.closed.len() > CLOSED_SHIFTS_KEPT_PER_LOT {
            self.closed.pop_front().map(|oldest| self.shifts.remove(&oldest));
        }
    }

    fn step(&mut self, id: ShiftId, at: Timestamp, change: impl FnOnce(&mut Shift)) {
        let Some(before) = self.shifts.get(&id).filter(|shift| shift.is_open()) else { return };
        let mut after = Shift::clone(before);
        change(&mut after);
        after.updated_at = at;
        after.version = after.version.wrapping_add(1);
        self.shifts.insert(id, Arc::new(after));
    }
}
