//! `invoice`: whoever gets the invoices pays later, outside of here. Hotels, companies, residents.
//!
//! No money moves and nobody is called: what it promised and captured is what the ledger's account
//! `received:invoice` says, and that is what is invoiced. An answer follows from the question alone, so it is the
//! same however often it is asked, and after a restart; there is no second book that could differ. It promises up
//! to a configured amount for each payment. For staff only: it is they who know whom an invoice reaches.

use std::future::ready;

use lotkeeper_engine::lot::provider::{Answer, Transfer};
use lotkeeper_engine::money::Amount;

use super::{Found, Provider, Question, Soon, Told, done, refusal_of, refused};

pub(super) const NAME: &str = "invoice";

/// The provider.
#[derive(Clone, Copy, Debug)]
pub struct Invoice {
    amount_max: Amount,
}

impl Invoice {
    /// One that promises so much for each payment.
    #[must_use]
    pub fn new(amount_max: Amount) -> Self {
        Self { amount_max }
    }

    fn answer(&self, question: &Question) -> Answer {
        if let Some(refusal) = refusal_of(question) {
            return refusal;
        }
        match question.what {
            Transfer::Authorise if question.amount > self.amount_max => refused("above_limit"),
            Transfer::Authorise | Transfer::Capture(_) | Transfer::Void | Transfer::Refund(_) => {
                done(question)
            }
        }
    }
}

impl Provider for Invoice {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_for_drivers(&self) -> bool {
        false
    }

    fn ask<'a>(&'a self, question: &'a Question) -> Soon<'a, Told> {
        Box::pin(ready(Told::Answer(self.answer(question))))
    }

    /// Nothing is remembered and nothing has to be: asked again it answers the same.
    fn look_up<'a>(&'a self, _: &'a Question) -> Soon<'a, Found> {
        Box::pin(ready(Found::NeverAsked))
    }
}
