//! `rehearsal`: a provider that moves no money at all, for trying out a set-up before a real one is connected.
//!
//! What it answers follows from the last two digits of the amount, so that every way a provider can behave can be
//! had at will: 11 is refused; 13 is not known at first and turns out to be done; 17 is not known at first and turns
//! out to be refused; 19 is never answered. Everything else is done. Like `invoice` it remembers nothing. It lets
//! cars out for nothing, so it is there only when it is configured, and the log says so at every start.

use std::future::{pending, ready};

use lotkeeper_engine::lot::provider::{Answer, Transfer};

use super::{Found, Provider, Question, Soon, Told, done, refusal_of, refused};

pub(super) const NAME: &str = "rehearsal";

/// The provider.
#[derive(Clone, Copy, Debug)]
pub struct Rehearsal;

/// How it plays a question.
enum Part {
    Does,
    Refuses,
    DoesUnheard,
    RefusesUnheard,
    IsSilent,
}

fn part(question: &Question) -> Part {
    // What was promised can always be let go: else a rehearsal never ends.
    match (question.what, question.moved().0 % 100) {
        (Transfer::Void, _) => Part::Does,
        (_, 11) => Part::Refuses,
        (_, 13) => Part::DoesUnheard,
        (_, 17) => Part::RefusesUnheard,
        (_, 19) => Part::IsSilent,
        _ => Part::Does,
    }
}

fn answer(question: &Question) -> Answer {
    if let Some(refusal) = refusal_of(question) {
        return refusal;
    }
    match part(question) {
        Part::Does | Part::DoesUnheard | Part::IsSilent => done(question),
        Part::Refuses | Part::RefusesUnheard => refused("declined"),
    }
}

impl Provider for Rehearsal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_for_drivers(&self) -> bool {
        true
    }

    fn ask<'a>(&'a self, question: &'a Question) -> Soon<'a, Told> {
        match part(question) {
            Part::Does | Part::Refuses => Box::pin(ready(Told::Answer(answer(question)))),
            Part::DoesUnheard | Part::RefusesUnheard => {
                let why = "the answer was lost, as rehearsed".to_owned();
                Box::pin(ready(Told::Unknown { why }))
            }
            Part::IsSilent => Box::pin(pending()),
        }
    }

    fn look_up<'a>(&'a self, question: &'a Question) -> Soon<'a, Found> {
        match part(question) {
            Part::Does | Part::Refuses | Part::DoesUnheard | Part::RefusesUnheard => {
                Box::pin(ready(Found::Answer(answer(question))))
            }
            Part::IsSilent => Box::pin(pending()),
        }
    }
}
