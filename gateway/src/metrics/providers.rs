//! The figures of payment providers: what they were asked, what came of it, and who is left alone.

use std::time::Duration;

use lotkeeper_engine::lot::provider::{Answer, Transfer};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::{Maker, REQUEST_BUCKETS_SECONDS};
use crate::provider::Told;

/// What a payment provider is asked for, as labels.
const QUESTIONS: [&str; 4] = ["authorise", "capture", "void", "refund"];
/// What comes of it, as labels.
const OUTCOMES: [&str; 3] = ["done", "refused", "unknown"];

/// How payment providers answer.
pub struct Providers {
    questions: IntCounterVec,
    seconds: HistogramVec,
    rests: IntGaugeVec,
    asked: IntGauge,
}

impl Providers {
    pub(super) fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        let seconds = HistogramOpts::new("lotkeeper_provider_seconds", "Time to an answer.")
            .buckets(REQUEST_BUCKETS_SECONDS.to_vec());
        Ok(Self {
            questions: make.counters(
                "lotkeeper_provider_questions_total",
                "Questions to payment providers, by what they asked for and what came of it.",
                &["provider", "question", "outcome"],
            )?,
            seconds: make.put(HistogramVec::new(seconds, &["provider"]))?,
            rests: make.gauges(
                "lotkeeper_provider_rests",
                "1 from when a provider is left alone until it has answered again.",
                &["provider"],
            )?,
            asked: make.gauge(
                "lotkeeper_payments_asked",
                "Payments whose provider was asked and has not answered.",
            )?,
        })
    }

    /// There is a provider of this name.
    pub fn begins(&self, name: &str) {
        let Self { questions, seconds, rests, .. } = self;
        for question in QUESTIONS {
            for outcome in OUTCOMES {
                questions.with_label_values(&[name, question, outcome]);
            }
        }
        seconds.with_label_values(&[name]);
        rests.with_label_values(&[name]);
    }

    /// A question was put to a provider, and this came of it.
    pub fn told(&self, name: &str, what: Transfer, told: &Told, elapsed: Duration) {
        let question = match what {
            Transfer::Authorise => QUESTIONS[0],
            Transfer::Capture(_) => QUESTIONS[1],
            Transfer::Void => QUESTIONS[2],
            Transfer::Refund(_) => QUESTIONS[3],
        };
        let outcome = match told {
            Told::Answer(Answer::Done { .. }) => OUTCOMES[0],
            Told::Answer(Answer::Refused { .. }) => OUTCOMES[1],
            Told::Unknown { .. } => OUTCOMES[2],
        };
        self.questions.with_label_values(&[name, question, outcome]).inc();
        self.seconds.with_label_values(&[name]).observe(elapsed.as_secs_f64());
    }

    /// A provider is left alone, or not any more.
    pub fn rests(&self, name: &str, rests: bool) {
        self.rests.with_label_values(&[name]).set(i64::from(rests));
    }

    /// So many payments wait for their provider.
    pub fn asked(&self, count: u64) {
        self.asked.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
