//! Stays, payments and the ledger of one lot as plain lists, and what an event does to them.
//!
//! Sessions and payments are the engine's own structures, taken as data; every lookup walks all of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use lotkeeper_engine::ids::{PaymentId, Pseudonym, ReservationId, SessionId, SlotIndex};
use lotkeeper_engine::limits::ENDED_SESSIONS_KEPT_PER_LOT;
use lotkeeper_engine::lot::payment::{Method, Payment};
use lotkeeper_engine::lot::session::{Event as StayEvent, Origin, Settled, State};
use lotkeeper_engine::lot::{
    Account, Entry, Event, Owner, Posting, Purpose, Session, TariffChange,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::tariff::Tariff;
use lotkeeper_engine::time::{Timestamp, Window};

use super::fines::Fines;
use super::line::Line;
use super::passes::{Passes, Use};
use super::shifts::{Moved, Shifts};

/// What happened at the gates and the till of a lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// All stays that are remembered.
    pub stays: BTreeMap<SessionId, Session>,
    /// Those that ended, oldest first.
    pub gone: VecDeque<SessionId>,
    /// All payments that are remembered.
    pub payments: BTreeMap<PaymentId, Payment>,
    pub(super) recorded: VecDeque<PaymentId>,
    /// Questions to providers that were answered, by payment and number.
    pub(super) answered: BTreeSet<(PaymentId, u32)>,
    /// What payments brought in and did not give back, by how they were paid.
    pub(super) received: BTreeMap<Method, i64>,
    /// Money that moved last, while no shift has taken it.
    pub(super) moved: Option<Moved>,
    /// What is on every account, and how many postings there were.
    pub accounts: BTreeMap<Account, i64>,
    /// How many postings there were.
    pub postings: u64,
    /// What every owner was billed for using a place or not.
    pub billed: BTreeMap<Owner, i64>,
    /// Every version of every tariff.
    pub tariffs: Vec<Arc<Tariff>>,
    /// Passes.
    pub passes: Passes,
    /// Violations.
    pub fines: Fines,
    /// The waiting list.
    pub line: Line,
    /// Shifts of cashiers.
    pub shifts: Shifts,
    /// What is wrong with the story itself.
    pub wrong: Option<String>,
}

impl Life {
    /// Those inside.
    pub fn inside(&self) -> impl Iterator<Item = &Session> {
        self.stays.values().filter(|stay| stay.state.is_inside())
    }

    /// The stay inside of a vehicle.
    #[must_use]
    pub fn of_vehicle(&self, vehicle: Option<Pseudonym>) -> Option<&Session> {
        vehicle.and_then(|vehicle| self.inside().find(|stay| stay.vehicle == Some(vehicle)))
    }

    /// The stay inside that is bound to a slot.
    #[must_use]
    pub fn at_slot(&self, slot: SlotIndex) -> Option<&Session> {
        self.inside().find(|stay| stay.slot == Some(slot))
    }

    /// The stay that came of a reservation.
    #[must_use]
    pub fn of_booking(&self, id: ReservationId) -> Option<&Session> {
        self.stays.values().find(|stay| stay.reservation() == Some(id))
    }

    /// The stay inside that came of a reservation.
    #[must_use]
    pub fn inside_of(&self, id: ReservationId) -> Option<&Session> {
        self.of_booking(id).filter(|stay| stay.state.is_inside())
    }

    /// Stretches that stays have of a slot.
    pub fn claims(&self, slot: SlotIndex) -> impl Iterator<Item = Window> {
        self.inside().filter(move |stay| stay.slot == Some(slot)).filter_map(|stay| stay.claim)
    }

    /// What somebody owes by what is posted.
    #[must_use]
    pub fn owed(&self, owner: Owner) -> i64 {
        self.accounts.get(&Account::Customer(owner)).copied().unwrap_or_default()
    }

    /// The next posting, between two accounts.
    #[must_use]
    pub fn posting(
        &self,
        about: Owner,
        purpose: Purpose,
        (debit, credit): (Account, Account),
        amount: i64,
    ) -> Event {
        let entry = |account, amount| Entry { account, amount: Amount(amount) };
        let entries = [entry(debit, amount), entry(credit, -amount)].into_iter().collect();
        let number = self.postings + 1;
        Event::Posted(Box::new(Posting { number, about, purpose, entries }))
    }

    /// Something that may be wrong with the story is: the first such thing is kept.
    pub(super) fn note(&mut self, wrong: Option<String>) {
        if self.wrong.is_none() {
            self.wrong = wrong;
        }
    }

    /// A stay moved a step.
    pub fn stay(&mut self, event: &StayEvent, at: Timestamp) {
        if let StayEvent::Entered(entered) = event {
            self.account_for(entered.origin, 1, None);
            let stay = Session {
                id: entered.id,
                origin: entered.origin,
                state: State::Inside,
                vehicle: entered.vehicle,
                holder: entered.holder,
                slot: entered.slot,
                claim: entered.claim,
                booked: entered.booked,
                entered_at: entered.at,
                entry_gate: entered.gate.clone(),
                left_at: None,
                exit_gate: None,
                terms: Arc::new(entered.terms.clone()),
                ticket_lost: false,
                settled: None,
                fee: None,
                updated_at: at,
                version: 1,
            };
            if self.stays.insert(entered.id, stay).is_some() {
                self.wrong = Some(format!("{} came in twice", entered.id));
            }
            return;
        }
        let Some(id) = event.session() else { return };
        let Some(stay) = self.stays.get_mut(&id).filter(|stay| stay.state.is_inside()) else {
            self.wrong = Some(format!("{event:?} of a stay that is not inside"));
            return;
        };
        (stay.updated_at, stay.version) = (at, stay.version + 1);
        match event {
            StayEvent::Placed { slot, claim, .. } => (stay.slot, stay.claim) = (*slot, *claim),
            StayEvent::Overstayed { .. } => stay.state = State::Overstaying,
            StayEvent::Identified { vehicle, .. } => stay.vehicle = Some(*vehicle),
            StayEvent::TicketLost { .. } => stay.ticket_lost = true,
            // What is asked for is the lot's to know: only the version moves.
            StayEvent::Requested { .. } => {}
            StayEvent::Settled { fee, leave_by, .. } => {
                stay.settled =
                    Some(Settled { fee: Arc::new((**fee).clone()), leave_by: *leave_by });
            }
            StayEvent::Left(left) => {
                (stay.state, stay.left_at) = (State::Left, Some(left.at));
                stay.exit_gate.clone_from(&left.gate);
                stay.fee = left.fee.as_deref().cloned().map(Arc::new);
                let seconds = left.at.micros_since(stay.entered_at) / 1_000_000;
                let origin = stay.origin;
                self.account_for(origin, 0, u32::try_from(seconds).ok());
                self.end(id);
            }
            StayEvent::Abandoned { fee, .. } => {
                (stay.state, stay.left_at) = (State::Abandoned, Some(at));
                stay.fee = fee.as_deref().cloned().map(Arc::new);
                let origin = stay.origin;
                self.account_for(origin, 0, None);
                self.end(id);
            }
            StayEvent::Entered(_) | StayEvent::Denied(_) => {}
        }
    }

    /// Who comes or leaves by a pass has used it, once; and nobody else has used one.
    fn account_for(&mut self, origin: Origin, entries: u32, stayed: Option<u32>) {
        let used = self.passes.open_use.take();
        let right = match (origin, used) {
            (Origin::Pass(id), Some(used)) => {
                let seconds = stayed.is_none_or(|seconds| seconds == used.stayed.0);
                seconds
                    && matches!(used, Use { id: of, entries: n, .. } if of == id && n == entries)
            }
            // It is forgotten, here and by the lot that issued it.
            (Origin::Pass(id), None) => {
                !self.passes.all.contains_key(&id) && !self.passes.guests.contains_key(&id)
            }
            (_, used) => used.is_none(),
        };
        let wrong = || format!("{origin:?} used {used:?}, not {entries} entries and {stayed:?} s");
        self.note((!right).then(wrong));
    }

    fn end(&mut self, id: SessionId) {
        let stay = &self.stays[&id];
        let outlives = self.fines.by_itself_of(id, stay.account()).next();
        let outlives = outlives.map(|it| format!("{it:?} outlives its stay"));
        let fee = stay.fee.as_ref().map_or(0, |fee| fee.total.0);
        let billed = self.billed.get(&stay.account()).copied().unwrap_or_default();
        if billed != fee {
            self.wrong = Some(format!("{id} cost {fee}, billed were {billed}"));
        }
        if stay.fee.is_some() != stay.terms.tariff.is_some() {
            self.wrong = Some(format!("{stay:?} ended with a fee and no tariff, or without"));
        }
        self.note(outlives);
        self.gone.push_back(id);
        if self.gone.len() > ENDED_SESSIONS_KEPT_PER_LOT
            && let Some(oldest) = self.gone.pop_front()
        {
            self.stays.remove(&oldest);
        }
    }

    /// What a reservation's window became is what its stay has booked.
    pub fn rebook(&mut self, id: ReservationId, window: Window, at: Timestamp) {
        let stay = self.stays.values_mut().find(|stay| stay.reservation() == Some(id));
        let moved = |stay: &&mut Session| stay.state.is_inside() && stay.booked != Some(window);
        if let Some(stay) = stay.filter(moved) {
            (stay.booked, stay.updated_at) = (Some(window), at);
            stay.version += 1;
        }
    }

    /// Money moved. Nobody is billed twice, and no number is left out.
    pub fn post(&mut self, posting: &Posting) {
        let sum: i64 = posting.entries.iter().map(|entry| entry.amount.0).sum();
        if posting.number != self.postings + 1 || sum != 0 {
            self.wrong = Some(format!("{posting:?} after number {}", self.postings));
        }
        self.postings = posting.number;
        self.moved = match posting.purpose {
            Purpose::Payment(id) | Purpose::Refund(id) => {
                posting.entries.iter().find_map(|entry| match &entry.account {
                    Account::Received(method) => Some((id, method.clone(), entry.amount.0)),
                    _ => None,
                })
            }
            _ => None,
        };
        for entry in &posting.entries {
            let balance = self.accounts.entry(entry.account.clone()).or_default();
            *balance += entry.amount.0;
            if *balance == 0 {
                self.accounts.remove(&entry.account);
            }
        }
        if matches!(posting.purpose, Purpose::Charge | Purpose::Cancellation) {
            let billed = posting.entries[0].amount.0;
            if self.billed.insert(posting.about, billed).is_some() {
                self.wrong = Some(format!("{posting:?} bills a second time"));
            }
        }
    }

    /// A tariff has a version more, or an end.
    pub fn tariff(&mut self, change: &TariffChange) {
        if let TariffChange::Put(tariff) = change {
            self.tariffs.push(Arc::clone(tariff));
        }
    }

    /// A cashier's shift moved a step.
    pub fn shift(&mut self, event: &lotkeeper_engine::lot::shift::Event, at: Timestamp) {
        // What was posted is in one drawer only.
        let moved = self.moved.take();
        let wrong = self.shifts.apply(event, at, moved.as_ref());
        self.note(wrong);
    }
}
