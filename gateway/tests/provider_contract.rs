//! What every payment provider has to keep, run over each there is. Whoever adds a provider adds a line at the end.

#![allow(clippy::unwrap_used)] // tests state what they expect

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};

use lotkeeper_engine::ids::PaymentId;
use lotkeeper_engine::lot::provider::{Answer, Transfer};
use lotkeeper_engine::money::Amount;
use lotkeeper_gateway::provider::{Found, Invoice, Provider, Question, Rehearsal, Soon, Told};
use uuid::Uuid;

/// Ends a provider and starts it again with what it has kept.
type Restart = dyn Fn(Box<dyn Provider>) -> Box<dyn Provider>;

/// A provider, and how it comes back after a restart.
struct Case {
    now: Box<dyn Provider>,
    restart: Box<Restart>,
    /// An amount that it refuses to promise.
    refused: i64,
}

/// A payment as the lot knows it while questions are put.
struct Story {
    id: PaymentId,
    number: u32,
    amount: i64,
    refunded: i64,
    reference: Option<Box<str>>,
}

impl Story {
    fn new(amount: i64) -> Self {
        Self { id: PaymentId(Uuid::now_v7()), number: 0, amount, refunded: 0, reference: None }
    }

    fn question(&mut self, what: Transfer) -> Question {
        self.number += 1;
        Question {
            payment: self.id,
            number: self.number,
            what,
            amount: Amount(self.amount),
            refunded: Amount(self.refunded),
            currency: "EUR".into(),
            reference: self.reference.clone(),
        }
    }

    /// Asks, and knows of it what the lot would know.
    async fn ask(&mut self, provider: &dyn Provider, what: Transfer) -> bool {
        let question = self.question(what);
        let done = is_done(provider, &question).await;
        if done {
            match what {
                Transfer::Authorise => self.reference = reference(provider, &question).await,
                Transfer::Capture(amount) => self.amount = amount.0,
                Transfer::Refund(amount) => self.refunded += amount.0,
                Transfer::Void => {}
            }
        }
        done
    }
}

async fn answer(provider: &dyn Provider, question: &Question) -> Answer {
    match provider.ask(question).await {
        Told::Answer(answer) => answer,
        Told::Unknown { why } => panic!("{question:?}: {why}"),
    }
}

async fn is_done(provider: &dyn Provider, question: &Question) -> bool {
    matches!(answer(provider, question).await, Answer::Done { .. })
}

async fn reference(provider: &dyn Provider, question: &Question) -> Option<Box<str>> {
    match answer(provider, question).await {
        Answer::Done { reference } => reference,
        Answer::Refused { reason } => panic!("{question:?}: {reason}"),
    }
}

async fn holds(make: impl Fn() -> Case) {
    asked_twice_is_answered_once(make()).await;
    a_look_agrees_with_the_answer_and_does_nothing(make()).await;
    answers_outlive_a_restart(make()).await;
    not_more_moves_than_there_is(make()).await;
    refusals_have_a_code(make()).await;
}

async fn asked_twice_is_answered_once(case: Case) {
    let mut it = Story::new(1_000);
    let provider = &*case.now;
    for what in [Transfer::Authorise, Transfer::Capture(Amount(600))] {
        let question = it.question(what);
        let first = answer(provider, &question).await;
        for _ in 0..3 {
            assert_eq!(answer(provider, &question).await, first, "{what:?}");
        }
    }
    it.amount = 600;
    // Two questions are two refunds; one asked twice is one.
    for _ in 0..2 {
        let question = it.question(Transfer::Refund(Amount(300)));
        assert!(is_done(provider, &question).await && is_done(provider, &question).await);
        it.refunded += 300;
    }
    assert!(!it.ask(provider, Transfer::Refund(Amount(1))).await);
}

async fn a_look_agrees_with_the_answer_and_does_nothing(case: Case) {
    let (provider, mut it) = (&*case.now, Story::new(1_000));
    let question = it.question(Transfer::Authorise);
    let before = provider.look_up(&question).await;
    assert_eq!(provider.look_up(&question).await, before, "a look changes nothing");
    let told = answer(provider, &question).await;
    // Who can say before what he will say has to say that.
    for found in [before, provider.look_up(&question).await] {
        match found {
            Found::Answer(answer) => assert_eq!(answer, told),
            Found::NeverAsked => assert_eq!(answer(provider, &question).await, told),
            Found::Unknown { why } => panic!("{why}"),
        }
    }
}

async fn answers_outlive_a_restart(case: Case) {
    let mut it = Story::new(1_000);
    let question = it.question(Transfer::Authorise);
    let told = answer(&*case.now, &question).await;
    let anew = (case.restart)(case.now);
    assert_eq!(answer(&*anew, &question).await, told);
    it.reference = question.reference;
    assert!(it.ask(&*anew, Transfer::Void).await);
}

async fn not_more_moves_than_there_is(case: Case) {
    let (provider, mut it) = (&*case.now, Story::new(1_000));
    assert!(it.ask(provider, Transfer::Authorise).await);
    for wrong in [1_001, 0, -1] {
        assert!(!it.ask(provider, Transfer::Capture(Amount(wrong))).await, "{wrong}");
    }
    assert!(it.ask(provider, Transfer::Capture(Amount(700))).await);
    for wrong in [701, 0, -1] {
        assert!(!it.ask(provider, Transfer::Refund(Amount(wrong))).await, "{wrong}");
    }
    assert!(it.ask(provider, Transfer::Refund(Amount(200))).await);
    assert!(!it.ask(provider, Transfer::Refund(Amount(501))).await);
    assert!(it.ask(provider, Transfer::Refund(Amount(500))).await);
}

async fn refusals_have_a_code(case: Case) {
    let mut it = Story::new(case.refused);
    match answer(&*case.now, &it.question(Transfer::Authorise)).await {
        Answer::Done { .. } => panic!("{} is promised", case.refused),
        Answer::Refused { reason } => {
            let is_code = reason.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(is_code && !reason.is_empty(), "{reason}");
        }
    }
}

/// A bank as one over the network is: it remembers what it was asked, and what that did.
#[derive(Clone, Default)]
struct Bank(Arc<Mutex<BTreeMap<String, Answer>>>);

impl Provider for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn is_for_drivers(&self) -> bool {
        true
    }

    fn ask<'a>(&'a self, question: &'a Question) -> Soon<'a, Told> {
        let mut book = self.0.lock().unwrap();
        let left = match question.what {
            Transfer::Capture(_) => question.amount.0,
            Transfer::Refund(_) => question.amount.0 - question.refunded.0,
            Transfer::Authorise | Transfer::Void => 5_000,
        };
        let answer = book.entry(question.key()).or_insert_with(|| {
            match (1..=left).contains(&question.moved().0) {
                true => Answer::Done { reference: Some(question.key().into()) },
                false => Answer::Refused { reason: "not_covered".into() },
            }
        });
        Box::pin(ready(Told::Answer(answer.clone())))
    }

    fn look_up<'a>(&'a self, question: &'a Question) -> Soon<'a, Found> {
        let found = self.0.lock().unwrap().get(&question.key()).cloned();
        Box::pin(ready(found.map_or(Found::NeverAsked, Found::Answer)))
    }
}

#[tokio::test]
async fn invoice_keeps_the_contract() {
    let make = || Box::new(Invoice::new(Amount(5_000)));
    holds(|| Case { now: make(), restart: Box::new(move |_| make()), refused: 5_001 }).await;
}

#[tokio::test]
async fn rehearsal_keeps_the_contract() {
    let restart = || Box::new(|_| -> Box<dyn Provider> { Box::new(Rehearsal) });
    holds(|| Case { now: Box::new(Rehearsal), restart: restart(), refused: 5_011 }).await;
}

/// The suite itself: it holds for a provider that remembers as well.
#[tokio::test]
async fn a_bank_with_a_book_keeps_the_contract() {
    holds(|| {
        let bank = Bank::default();
        let again = bank.clone();
        let restart = Box::new(move |_| -> Box<dyn Provider> { Box::new(again.clone()) });
        Case { now: Box::new(bank), restart, refused: 5_001 }
    })
    .await;
}

#[tokio::test]
async fn rehearsal_behaves_as_its_amounts_say() {
    let unheard = Answer::Done { reference: None };
    for (amount, told, found) in [
        (1_000, Some(true), Some(true)),
        (1_011, Some(false), Some(false)),
        (1_013, None, Some(true)),
        (1_017, None, Some(false)),
    ] {
        let mut it = Story::new(amount);
        let question = it.question(Transfer::Authorise);
        let done =
            |answer: &Answer| std::mem::discriminant(answer) == std::mem::discriminant(&unheard);
        let answered = match Rehearsal.ask(&question).await {
            Told::Answer(answer) => Some(done(&answer)),
            Told::Unknown { .. } => None,
        };
        let looked = match Rehearsal.look_up(&question).await {
            Found::Answer(answer) => Some(done(&answer)),
            Found::NeverAsked | Found::Unknown { .. } => None,
        };
        assert_eq!((answered, looked), (told, found), "{amount}");
    }
}
