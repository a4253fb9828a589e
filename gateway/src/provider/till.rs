//! Carries questions to providers and their answers to the lots.
//!
//! Invariants: only what is in the log is asked, and what was answered is told to the lot before anybody else. A
//! question is with its provider once at a time, and with none that rests (`breaker.rs`). Whatever goes wrong in
//! between leaves the question open, for `settle.rs`. Absent: which question comes when; the lot decides that.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lotkeeper_actors::{Engine, LotHandle, Origin};
use lotkeeper_engine::ids::PaymentId;
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::provider::Answer;
use lotkeeper_engine::lot::{Command, Payment, provider};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::breaker::Breaker;
use super::{Found, Provider, Question, Told, configured};
use crate::config::Payments;
use crate::metrics::Metrics;

/// Characters of a provider's reference or reason that are kept.
const TEXT_CHARS_MAX: usize = 64;

/// The providers, and what they are being asked; a copy is the same till.
#[derive(Clone)]
pub struct Till(Arc<Parts>);

struct Parts {
    providers: BTreeMap<&'static str, Desk>,
    patience: Duration,
    asking: Mutex<HashSet<(PaymentId, u32)>>,
    metrics: Metrics,
}

/// A provider, and whether it answers.
struct Desk {
    provider: Arc<dyn Provider>,
    breaker: Breaker,
}

/// A question that is with its provider.
struct Asking<'a>(&'a Parts, (PaymentId, u32));

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.lock().remove(&self.1);
    }
}

impl Till {
    /// With the providers of the configuration.
    #[must_use]
    pub fn new(payments: &Payments, metrics: Metrics) -> Self {
        let providers = configured(payments).map(|provider| {
            let breaker = Breaker::new(payments.provider_failures_max, payments.provider_rest);
            metrics.providers().begins(provider.name());
            (provider.name(), Desk { provider, breaker })
        });
        let providers = providers.collect();
        let patience = payments.provider_timeout;
        Self(Arc::new(Parts { providers, patience, asking: Mutex::default(), metrics }))
    }

    /// A provider by its name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.0.providers.get(name).map(|desk| &desk.provider)
    }

    /// How long a provider that did not answer is left alone still; nothing when it may be asked.
    #[must_use]
    pub fn rests(&self, name: &str) -> Option<Duration> {
        self.0.providers.get(name)?.breaker.rests(Instant::now())
    }

    /// Those that answer again since this was asked last.
    #[must_use]
    pub fn back(&self) -> HashSet<&'static str> {
        let desks = self.0.providers.iter();
        desks.filter(|(_, desk)| desk.breaker.is_back()).map(|(name, _)| *name).collect()
    }

    /// The names of all.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.0.providers.keys().copied().collect()
    }

    /// Puts what a payment's provider is to be asked, and tells the lot the answer. `again` when it may have been
    /// put before: then it is looked up first. Returns when there is nothing more to do now.
    pub async fn carry(&self, engine: &Engine, lot: &LotHandle, payment: &Payment, again: bool) {
        let (Some(intent), Method::Provider(name)) = (payment.asked, &payment.method) else {
            return;
        };
        let question = Question::of(payment, intent, &lot.spec().place.currency);
        let Some(desk) = self.0.providers.get(&**name) else {
            tracing::warn!(
                question = question.key(),
                lot = lot.code(),
                provider = &**name,
                "a provider that was asked is not configured any more; configure it until all is settled"
            );
            return;
        };
        let Some(_asking) = self.asking((payment.id, intent.number)) else { return };
        // Whoever is cut off from a provider that rests finds the question open, and so does the next look.
        if !desk.breaker.lets_through(Instant::now()) {
            return;
        }
        match self.asked(desk, &question, again).await {
            Told::Answer(answer) => tell(engine, lot, &question, answer).await,
            Told::Unknown { why } => tracing::warn!(
                question = question.key(),
                lot = lot.code(),
                provider = &**name,
                why,
                "a provider's answer is not known; it is asked again"
            ),
        }
    }

    fn asking(&self, key: (PaymentId, u32)) -> Option<Asking<'_>> {
        self.0.asking.lock().insert(key).then(|| Asking(&self.0, key))
    }

    async fn asked(&self, desk: &Desk, question: &Question, again: bool) -> Told {
        let (name, begun) = (desk.provider.name(), Instant::now());
        let told = self.put(&*desk.provider, question, again).await;
        let metrics = self.0.metrics.providers();
        metrics.told(name, question.what, &told, begun.elapsed());
        if desk.breaker.ended(question.payment, matches!(told, Told::Answer(_)), Instant::now()) {
            tracing::warn!(
                provider = name,
                "a provider does not answer; it is left alone for a while"
            );
        }
        metrics.rests(name, desk.breaker.rests(Instant::now()).is_some());
        told
    }

    async fn put(&self, provider: &dyn Provider, question: &Question, again: bool) -> Told {
        let silent = || Told::Unknown { why: format!("nothing in {:?}", self.0.patience) };
        if again {
            match timeout(self.0.patience, provider.look_up(question)).await {
                Ok(Found::Answer(answer)) => return Told::Answer(answer),
                Ok(Found::Unknown { why }) => return Told::Unknown { why },
                Ok(Found::NeverAsked) => {}
                Err(_) => return silent(),
            }
        }
        timeout(self.0.patience, provider.ask(question)).await.unwrap_or_else(|_| silent())
    }
}

/// What comes from outside is kept short and printable.
fn tidy(text: &str) -> Box<str> {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

async fn tell(engine: &Engine, lot: &LotHandle, question: &Question, answer: Answer) {
    let answer = match answer {
        Answer::Done { reference } => Answer::Done { reference: reference.as_deref().map(tidy) },
        Answer::Refused { reason } => Answer::Refused { reason: tidy(&reason) },
    };
    let (id, number) = (question.payment, question.number);
    let answered = provider::Command::Answered { id, number, answer };
    let command = Command::Provider(Box::new(answered));
    let told = match engine.command(lot, command, Origin { by: None, claim: None }) {
        Ok(done) => done.await.map(drop),
        Err(error) => Err(error),
    };
    // The answer is not lost: the question stays open and its provider is asked once more.
    if let Err(error) = told {
        tracing::warn!(question = question.key(), lot = lot.code(), %error, "an answer was not taken");
    }
}
