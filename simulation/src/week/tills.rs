//! What drivers pay, promise and get back.
//!
//! Invariant: `paid` is what truly came in less what went back, kept without asking the ledger.

use std::sync::Arc;

use lotkeeper_engine::ids::PaymentId;
use lotkeeper_engine::lot::payment::{self, Method};
use lotkeeper_engine::lot::{Account, Command, Event, Owner, Pay, Payment, PaymentStep, Rejection};
use lotkeeper_engine::money::Amount;

use super::lots::STREET;
use super::people::{Act, Pays, Phase};
use super::world::{Step, World};

impl World {
    fn owner(&self, car: usize) -> Option<Owner> {
        self.cars[car].session.map(Owner::Session)
    }

    /// Takes a payment; how much came in, or was promised.
    pub(super) fn pay(
        &mut self,
        lot: usize,
        about: Owner,
        amount: Option<Amount>,
        (is_promise, method): (bool, Method),
    ) -> Result<Option<(PaymentId, Amount)>, String> {
        let id = PaymentId(self.id());
        let pay = Pay {
            id,
            about,
            method,
            amount,
            is_promise,
            shift: None,
            cashier: None,
            reference: None,
        };
        let decision = self.ask(lot, &Command::Pay(Box::new(pay)))?;
        match &decision.outcome {
            Ok(_) => {}
            Err(Rejection::NothingOwed) => return Ok(None),
            // A penalty was waived between the gate and the till: he asks the gate again.
            Err(Rejection::AmountNotOwed { .. }) if lot == STREET => return Ok(None),
            Err(why) => {
                return Err(format!("L{lot} does not take {amount:?} for {about:?}: {why}"));
            }
        }
        let recorded = decision.events.iter().find_map(|event| match event {
            Event::Payment(payment::Event::Recorded(recorded)) => Some(recorded.amount),
            _ => None,
        });
        let took = recorded.ok_or("a payment was taken and not recorded")?;
        if amount.is_some_and(|amount| amount != took) {
            return Err(format!("{amount:?} was paid, {took:?} recorded"));
        }
        if !is_promise {
            self.paid[lot] += took.0;
        }
        Ok(Some((id, took)))
    }

    pub(super) fn pay_due(&mut self, car: usize, due: Amount) -> Result<(), String> {
        let Some(owner) = self.owner(car) else { return Ok(()) };
        let (lot, promises) = (self.cars[car].lot, self.cars[car].pays == Pays::Promise);
        let method = if promises { Method::Provider("app".into()) } else { Method::Terminal };
        self.pay(lot, owner, Some(due), (promises, method))?;
        self.after(5, Step::Car(car, Act::Leave));
        Ok(())
    }

    pub(super) fn pay_at_machine(&mut self, car: usize) -> Result<(), String> {
        let (Some(owner), Phase::Standing) = (self.owner(car), self.cars[car].phase) else {
            return Ok(());
        };
        self.pay(self.cars[car].lot, owner, None, (false, Method::Cash)).map(drop)
    }

    /// What was promised for a stay comes in, a little later.
    pub(super) fn capture_promises(&mut self, car: usize) -> Result<(), String> {
        let it = &self.cars[car];
        let (lot, session) = (it.lot, it.session);
        let register = self.lot(lot)?.register();
        let account = session.and_then(|id| register.stays().get(id)).map(|it| it.account());
        let open = |payment: &&Arc<Payment>| payment.state == payment::State::Authorised;
        let of = account.into_iter().flat_map(|owner| register.payments().of(owner));
        let promised: Vec<PaymentId> = of.filter(open).map(|payment| payment.id).collect();
        for id in promised {
            self.after(8, Step::Car(car, Act::Capture(id)));
        }
        Ok(())
    }

    pub(super) fn capture(&mut self, car: usize, id: PaymentId) -> Result<(), String> {
        let lot = self.cars[car].lot;
        let decision = self.done(lot, &Command::StepPayment { id, step: PaymentStep::Capture })?;
        let amount = self.lot(lot)?.payments().get(id).map_or(0, |payment| payment.amount.0);
        if decision.events.is_empty() {
            return Err(format!("{id} was captured before"));
        }
        self.paid[lot] += amount;
        Ok(())
    }

    pub(super) fn pay_fine(&mut self, car: usize) -> Result<(), String> {
        let (lot, plate) = (self.cars[car].lot, self.cars[car].plate);
        self.pay(lot, Owner::Vehicle(plate), None, (false, Method::Terminal)).map(drop)
    }

    /// What somebody paid beyond what is kept goes back.
    pub(super) fn refund(&mut self, lot: usize, about: Owner) -> Result<(), String> {
        let register = self.lot(lot)?.register();
        let mut credit = -register.accounts().balance(&Account::Customer(about)).0;
        let open = |payment: &&Arc<Payment>| {
            matches!(payment.state, payment::State::Captured | payment::State::PartlyRefunded)
        };
        let left = |payment: &Arc<Payment>| (payment.id, payment.amount.0 - payment.refunded.0);
        let paid: Vec<_> = register.payments().of(about).filter(open).map(left).collect();
        for (id, left) in paid {
            let back = left.min(credit);
            if back > 0 {
                let step = PaymentStep::Refund { amount: Some(Amount(back)) };
                self.done(lot, &Command::StepPayment { id, step })?;
                self.paid[lot] -= back;
                credit -= back;
            }
        }
        Ok(())
    }
}
