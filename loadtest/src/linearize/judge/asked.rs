//! What is told to those for whom something is not there, or who come second: refusals without an effect.

use super::checker::Step;
use super::history::{Answer, Call, Operation, Outcome, Refusal};
use super::model::State;

/// What has no effect and can be told in one way; or not at all, while another request under the same id is under way.
pub(super) fn refused_only(operation: &Operation, why: Refusal) -> Step<State> {
    match &operation.outcome {
        Outcome::Unknown { .. } => Step::Unchanged,
        Outcome::Answered(Answer::Refused(told)) => {
            unchanged_if(*told == why || *told == Refusal::RequestInProgress)
        }
        Outcome::Answered(_) => Step::Refused,
    }
}

/// What somebody is told for whom there is no such lot, whatever is in it.
pub(super) fn to_a_stranger(operation: &Operation) -> Step<State> {
    let why = match operation.id() {
        Some(_) if !matches!(operation.call, Call::Reserve { .. }) => Refusal::ReservationNotFound,
        _ => Refusal::LotNotFound,
    };
    match &operation.outcome {
        Outcome::Unknown { .. } => Step::Unchanged,
        Outcome::Answered(answer) => unchanged_if(*answer == Answer::Refused(why)),
    }
}

/// Fits, or cannot be the answer.
pub(super) fn unchanged_if(fits: bool) -> Step<State> {
    if fits { Step::Unchanged } else { Step::Refused }
}
