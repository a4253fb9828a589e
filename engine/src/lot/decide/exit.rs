//! The way out: what a stay costs, whether that is paid, and its end.
//!
//! A gate never waits for a provider: it opens for what is paid, promised or put on account by the lot's
//! rule, and else says what is owed. Absent: the tariff (`crate::tariff`) and payments (`payment.rs`).

use std::sync::Arc;

use super::Events;
use super::scan::{About, Judge, Judged, judged, repeated};
use crate::lot::session::{DenyReason, Direction, OpenReason, Session};
use crate::lot::{Credential, Event, Lot, Purpose, session};
use crate::money::Amount;
use crate::spec::Settlement;
use crate::tariff::Fee;
use crate::time::Timestamp;

pub(super) fn exit(judge: &Judge<'_>) -> Judged {
    let stays = judge.lot.stays();
    match &judge.scan.credential {
        Credential::Refused(reason) => judge.deny(*reason, About::default()),
        Credential::Reservation(id) => {
            judge.leave_or(stays.of_reservation(*id), DenyReason::NotInside)
        }
        Credential::Session(id) => judge.leave_or(stays.get(*id), DenyReason::CredentialUnknown),
        Credential::Ticket(reference) => {
            judge.leave_or(stays.of_reference(*reference), DenyReason::CredentialUnknown)
        }
        Credential::Plate { .. } => {
            let read = judge.scan.vehicle().and_then(|vehicle| stays.of_vehicle(vehicle));
            judge.leave_or(read.or_else(|| judge.near_inside()), DenyReason::NotInside)
        }
        Credential::Nothing => judge.deny(DenyReason::CredentialUnknown, About::default()),
    }
}

impl Judge<'_> {
    /// The one stay inside whose plate differs from what was read as the lot allows; with two of them nobody
    /// knows which.
    fn near_inside(&self) -> Option<&Arc<Session>> {
        let allowed = self.lot.spec().rules.fuzzy_plates;
        let near = self.scan.near().iter().filter(|_| allowed);
        let mut found = near.filter_map(|vehicle| self.lot.stays().of_vehicle(*vehicle));
        let first = found.next()?;
        found.all(|other| other.id == first.id).then_some(first)
    }

    fn leave_or(&self, session: Option<&Arc<Session>>, missing: DenyReason) -> Judged {
        let Some(session) = session else { return self.just_left_or(missing) };
        if session.state.is_inside() {
            return self.leave(session);
        }
        if self.is_same_exit(session) {
            return repeated(session);
        }
        self.deny(DenyReason::AlreadyLeft, (&**session).into())
    }

    /// A camera that reads a car once more while the gate opens for it.
    fn just_left_or(&self, missing: DenyReason) -> Judged {
        let vehicle = self.scan.vehicle();
        let last = vehicle.and_then(|vehicle| self.lot.stays().last_left(vehicle));
        match last.filter(|session| self.is_same_exit(session)) {
            Some(session) => repeated(session),
            None => self.deny(missing, About::default()),
        }
    }

    fn is_same_exit(&self, session: &Session) -> bool {
        let is_plate = matches!(self.scan.credential, Credential::Plate { .. });
        let window = self.lot.spec().rules.repeat_window;
        let left_at = session.left_at.filter(|_| is_plate && session.exit_gate == self.scan.gate);
        left_at.is_some_and(|left_at| self.at < left_at.plus(window))
    }

    fn leave(&self, session: &Arc<Session>) -> Judged {
        // A gate that tells late cannot have seen it leave before it came.
        let at = self.at.max(session.entered_at);
        let bill = self.lot.bill_of(session, at);
        let Some(reason) = self.guarantee(session, bill.owed) else {
            // What is promised already is not asked for again: the till takes no more than this.
            let promised = self.lot.payments().promised_for(session.account());
            let open = bill.owed.saturating_sub(promised);
            let about = About { due: Some(open), ..(&**session).into() };
            return self.deny(DenyReason::PaymentRequired, about);
        };
        let mut events = Events::new();
        super::count::passed(self.lot, Direction::Exit, at, &mut events);
        let gate = self.scan.gate.clone();
        let end = End { at, gate, fee: bill.fee, reason: Some(reason) };
        end.of(self.lot, session, &mut events);
        judged(events)
    }

    /// Why the gate may open although something is owed; nothing when it may not.
    fn guarantee(&self, session: &Session, owed: Amount) -> Option<OpenReason> {
        if owed.0 <= 0 {
            return Some(OpenReason::Paid);
        }
        let promised = self.lot.payments().promised_for(session.account());
        let on_account = match self.lot.spec().rules.settlement {
            Settlement::OnAccount => true,
            Settlement::Before | Settlement::AtExit => false,
        };
        (on_account || promised.0 >= owed.0).then_some(OpenReason::OnAccount)
    }
}

/// How a stay ends.
pub(super) struct End {
    pub at: Timestamp,
    pub gate: Option<Box<str>>,
    pub fee: Option<Arc<Fee>>,
    pub reason: Option<OpenReason>,
}

impl End {
    /// Its fee is billed, the reservation behind it is over, and it is gone.
    pub(super) fn of(self, lot: &Lot, session: &Session, events: &mut Events) {
        settle(lot, session, self.fee.as_deref(), events);
        events.extend(super::pass::left(lot, session, self.at));
        let Self { at, gate, fee, reason } = self;
        let fee = fee.as_deref().cloned().map(Box::new);
        let left = session::Left { id: session.id, at, gate, fee, reason };
        events.push(Event::Session(session::Event::Left(Box::new(left))));
    }
}

/// What every end brings along.
pub(super) fn settle(lot: &Lot, session: &Session, fee: Option<&Fee>, events: &mut Events) {
    if let Some(fee) = fee.filter(|fee| fee.total.0 != 0) {
        let posting = lot.accounts().charge(session.account(), Purpose::Charge, fee);
        events.push(Event::Posted(Box::new(posting)));
    }
    super::violation::session_ended(lot, session, events);
    if let Some(id) = session.reservation()
        && lot.reservation(id).is_some_and(|reservation| reservation.state.is_active())
    {
        events.push(Event::Completed { id });
    }
}
