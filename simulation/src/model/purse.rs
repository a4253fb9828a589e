//! The payments of one lot as plain lists: which step may follow which, and what each brought in.
//!
//! A question to a provider is answered once, and what came of it is counted once.

use lotkeeper_engine::limits::PAYMENTS_KEPT_PER_LOT;
use lotkeeper_engine::lot::Owner;
use lotkeeper_engine::lot::payment::{Event as Paid, Method, Payment, Recorded, State};
use lotkeeper_engine::lot::provider::{Intent, Transfer};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::Timestamp;

use super::Life;

impl Life {
    /// What providers stand for on somebody's account: nothing more of what they are to let go.
    #[must_use]
    pub fn promised(&self, owner: Owner) -> i64 {
        let open = self.payments.values().filter(|it| it.about == owner);
        let promised = open.filter(|it| it.state == State::Authorised);
        let promised = promised.map(|it| match it.asked.map(|asked| asked.what) {
            Some(Transfer::Capture(amount)) => amount.0,
            Some(Transfer::Void) => 0,
            Some(Transfer::Authorise | Transfer::Refund(_)) | None => it.amount.0,
        });
        promised.sum()
    }

    /// A payment moved a step.
    pub fn payment(&mut self, event: &Paid, at: Timestamp) {
        match event {
            Paid::Recorded(recorded) => {
                let state = if recorded.is_promise { State::Authorised } else { State::Captured };
                self.record(recorded, (state, None), at);
                if !recorded.is_promise {
                    self.receive(&recorded.method, recorded.amount.0);
                }
            }
            Paid::Requested(recorded) => {
                let asked = Intent { what: Transfer::Authorise, number: 1, at };
                self.record(recorded, (State::Pending, Some(asked)), at);
            }
            other => {
                let wrong = self.step(other, at);
                self.note(wrong);
            }
        }
    }

    fn receive(&mut self, method: &Method, amount: i64) {
        *self.received.entry(method.clone()).or_default() += amount;
    }

    fn record(&mut self, it: &Recorded, (state, asked): (State, Option<Intent>), at: Timestamp) {
        let payment = Payment {
            id: it.id,
            about: it.about,
            method: it.method.clone(),
            state,
            amount: it.amount,
            refunded: Amount(0),
            asked,
            reason: None,
            shift: it.shift.clone(),
            cashier: it.cashier,
            reference: it.reference.clone(),
            created_at: at,
            updated_at: at,
            version: 1,
        };
        if let Some(before) = self.payments.insert(it.id, payment) {
            self.note(Some(format!("{before:?} was made twice")));
        }
        self.recorded.push_back(it.id);
        if self.recorded.len() > PAYMENTS_KEPT_PER_LOT
            && let Some(oldest) = self.recorded.pop_front()
        {
            let payment = &self.payments[&oldest];
            match payment.state == State::Authorised || payment.asked.is_some() {
                true => self.recorded.push_back(oldest),
                false => drop(self.payments.remove(&oldest)),
            }
        }
    }

    /// A step after the first; what is wrong with it.
    fn step(&mut self, event: &Paid, at: Timestamp) -> Option<String> {
        let Some(it) = self.payments.get_mut(&event.id()) else {
            return Some(format!("{event:?} of a payment that nobody made"));
        };
        let (before, asked) = (it.state, it.asked);
        let is_promise = before == State::Authorised;
        let is_there = matches!(before, State::Captured | State::PartlyRefunded);
        (it.updated_at, it.version) = (at, it.version + 1);
        let (right, brought) = match event {
            Paid::Recorded(_) | Paid::Requested(_) => (false, 0),
            Paid::Asked { what, .. } => {
                it.asked = Some(Intent { what: *what, number: it.version, at });
                (asked.is_none() && (is_promise || is_there), 0)
            }
            Paid::Authorised { reference, .. } => {
                it.reference.clone_from(reference);
                it.state = State::Authorised;
                (before == State::Pending && asked.is_some(), 0)
            }
            Paid::Refused { reason, .. } => {
                it.reason = Some(reason.clone());
                it.state = if before == State::Pending { State::Failed } else { before };
                (asked.is_some(), 0)
            }
            Paid::Captured { .. } => {
                it.state = State::Captured;
                (is_promise, it.amount.0)
            }
            Paid::PartCaptured { amount, .. } => {
                let is_part = amount.0 < it.amount.0;
                (it.state, it.amount) = (State::Captured, *amount);
                (is_promise && is_part && asked.is_some(), amount.0)
            }
            Paid::Voided { .. } => {
                it.state = State::Voided;
                (is_promise, 0)
            }
            Paid::Failed { .. } => {
                it.state = State::Failed;
                (is_promise, 0)
            }
            Paid::Refunded { amount, .. } => {
                it.refunded.0 += amount.0;
                let all = it.refunded == it.amount;
                it.state = if all { State::Refunded } else { State::PartlyRefunded };
                (is_there && it.refunded <= it.amount, -amount.0)
            }
        };
        let (id, method) = (it.id, it.method.clone());
        let mut again = false;
        if !matches!(event, Paid::Asked { .. }) {
            it.asked = None;
            again = asked.is_some_and(|asked| !self.answered.insert((id, asked.number)));
        }
        self.receive(&method, brought);
        let wrong = || format!("{event:?} of a payment that is {before:?}, asked {asked:?}");
        (!right || again).then(wrong)
    }
}
