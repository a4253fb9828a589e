//! What the engine's register says otherwise than the plain lists of a lot's life.

use std::sync::Arc;

use lotkeeper_engine::ids::SessionId;
use lotkeeper_engine::lot::{Account, Register};

use super::Life;

/// The first of two lists' values that differ.
fn differ<'a, T: PartialEq + std::fmt::Debug + 'a>(
    what: &str,
    theirs: impl Iterator<Item = &'a T>,
    ours: impl Iterator<Item = &'a T>,
) -> Option<String> {
    let (mut theirs, mut ours) = (theirs, ours);
    loop {
        match (theirs.next(), ours.next()) {
            (None, None) => return None,
            (theirs, ours) if theirs == ours => {}
            (theirs, ours) => return Some(format!("{what} is {theirs:?}, predicted {ours:?}")),
        }
    }
}

impl Life {
    /// Of those inside, of `touched`, of everything that goes on, and of all balances.
    #[must_use]
    pub fn differs_from(&self, register: &Register, touched: &[SessionId]) -> Option<String> {
        if self.wrong.is_some() {
            return self.wrong.clone();
        }
        let inside = self.inside().map(|stay| stay.id);
        let stay = inside.chain(touched.iter().copied()).find_map(|id| {
            let theirs = register.stays().get(id).map(|stay| &**stay);
            let ours = self.stays.get(&id);
            (theirs != ours).then(|| format!("{id} is {theirs:?}, predicted {ours:?}"))
        });
        let counts = || {
            let (theirs, ours) = (register.stays().inside_count(), self.inside().count());
            (theirs != ours).then(|| format!("{theirs} are inside, predicted {ours}"))
        };
        let ledger = || {
            let theirs = register.accounts().balances().map(|(it, amount)| (it, amount.0));
            let same = theirs.eq(self.accounts.iter().map(|(it, amount)| (it, *amount)));
            let same = same && register.accounts().postings() == self.postings;
            (!same).then(|| format!("balances {:?}, predicted {self:?}", register.accounts()))
        };
        stay.or_else(counts)
            .or_else(ledger)
            .or_else(|| self.money_differs())
            .or_else(|| self.goes_on_differs(register))
    }

    /// What came in by payments is what was posted, once, and every drawer holds what was posted to it.
    fn money_differs(&self) -> Option<String> {
        let is_posted = |(account, amount): (&Account, &i64)| match account {
            Account::Received(method) => self.received.get(method) == Some(amount),
            _ => true,
        };
        let posted = |method: &_| {
            let account = Account::Received(Clone::clone(method));
            self.accounts.get(&account).copied().unwrap_or_default()
        };
        let same = self.accounts.iter().all(is_posted)
            && self.received.iter().all(|(method, amount)| posted(method) == *amount);
        if !same {
            let received = &self.received;
            return Some(format!("payments brought in {received:?}, posted: {:?}", self.accounts));
        }
        self.shifts.open().find_map(|shift| self.shifts.wrong_drawer(shift))
    }

    fn goes_on_differs(&self, register: &Register) -> Option<String> {
        let passes = register.passes().going_on().map(Arc::as_ref);
        let open = register.violations().open().map(Arc::as_ref);
        let line = register.waiting().line().map(Arc::as_ref);
        let shifts = register.shifts().all().map(Arc::as_ref).filter(|shift| shift.is_open());
        let unsettled = register.payments().unsettled().map(Arc::as_ref);
        let ours = self.payments.values().filter(|it| it.is_unsettled());
        let (guests, expected) = (register.passes().guests(), self.passes.guests.values());
        differ("a pass", passes, self.passes.going_on())
            .or_else(|| differ("a pass of another lot", guests, expected))
            .or_else(|| differ("an open violation", open, self.fines.open()))
            .or_else(|| differ("who waits", line, self.line.waiters()))
            .or_else(|| differ("an open shift", shifts, self.shifts.open()))
            .or_else(|| differ("a payment to be settled", unsettled, ours))
    }

    /// As [`Life::differs_from`], for everything that is remembered.
    #[must_use]
    pub fn differs_wholly_from(&self, register: &Register) -> Option<String> {
        let stays = register.stays().all().map(Arc::as_ref);
        let payments = register.payments().all().map(Arc::as_ref);
        let passes = register.passes().all().map(Arc::as_ref);
        let fines = register.violations().all().map(Arc::as_ref);
        let waiters = register.waiting().all().map(Arc::as_ref);
        let shifts = register.shifts().all().map(Arc::as_ref);
        let oldest = register.stays().oldest_ended() == self.gone.front().copied();
        differ("a stay", stays, self.stays.values())
            .or_else(|| differ("a payment", payments, self.payments.values()))
            .or_else(|| differ("a pass", passes, self.passes.all.values()))
            .or_else(|| differ("a violation", fines, self.fines.all.values()))
            .or_else(|| differ("a place in line", waiters, self.line.all.values()))
            .or_else(|| differ("a shift", shifts, self.shifts.all.values()))
            .or_else(|| (!oldest).then(|| "another stay is forgotten next".to_owned()))
            .or_else(|| self.shifts.all.values().find_map(|it| self.shifts.wrong_drawer(it)))
            .or_else(|| self.differs_from(register, &[]))
    }
}
