//! Gates, tills and passes of a lot under concurrent clients, beside its reservations: is there an order that explains
//! every answer?
//!
//! Stays and promises of later days do not depend on each other, so both halves of a lot's history are judged by
//! themselves; what joins them, the lot's sequence, is judged where a lot has reservations alone.
//! Deliberately absent: fees by time (every stay costs one amount here), cameras that read twice.

pub mod history;
pub mod model;
pub mod script;

#[cfg(test)]
mod tests;

use self::history::{GateOperation, GateOutcome};
use self::model::{GateModel, GateState};
use super::judge::checker::{CONFIGURATIONS_MAX, Verdict, check};
use std::fmt::Write;

/// A search of a beginning that takes longer says nothing, and the beginning stays longer.
const PART_CONFIGURATIONS_MAX: usize = 100_000;

/// What came of a history.
#[derive(Debug)]
pub enum GateJudgement {
    Linearizable { configurations: usize },
    Undecided { configurations: usize },
    Violated(Box<GateViolation>),
}

/// The shortest beginning without an order, and the longest order of a part of it.
#[derive(Debug)]
pub struct GateViolation {
    pub part: Vec<GateOperation>,
    pub longest: Vec<usize>,
    pub state: GateState,
}

/// Judges what happened at the gates of a lot with so many slots.
pub fn judge(operations: &[GateOperation], slots: u8) -> GateJudgement {
    match check(&GateModel::new(slots, operations), operations, CONFIGURATIONS_MAX) {
        Verdict::Linearizable { configurations } => GateJudgement::Linearizable { configurations },
        Verdict::TooLong { configurations } => GateJudgement::Undecided { configurations },
        Verdict::Violated { longest, state } => {
            let whole = GateViolation { part: operations.to_vec(), longest, state };
            GateJudgement::Violated(Box::new(shortest(operations, slots).unwrap_or(whole)))
        }
    }
}

fn violated(part: Vec<GateOperation>, slots: u8) -> Option<GateViolation> {
    match check(&GateModel::new(slots, &part), &part, PART_CONFIGURATIONS_MAX) {
        Verdict::Violated { longest, state } => Some(GateViolation { part, longest, state }),
        Verdict::Linearizable { .. } | Verdict::TooLong { .. } => None,
    }
}

/// What was known at an instant: what was answered later was under way.
fn beginning(operations: &[GateOperation], until_us: u64) -> Vec<GateOperation> {
    let begun = operations.iter().filter(|operation| operation.called_us <= until_us);
    let known = begun.map(|operation| match operation.outcome {
        GateOutcome::Answered(_) if operation.returned_us > until_us => {
            let outcome = GateOutcome::Unknown { until_us: None };
            GateOperation { outcome, ..operation.clone() }
        }
        GateOutcome::Answered(_) | GateOutcome::Unknown { .. } => operation.clone(),
    });
    known.collect()
}

fn shortest(operations: &[GateOperation], slots: u8) -> Option<GateViolation> {
    let answered = operations.iter().filter(|one| matches!(one.outcome, GateOutcome::Answered(_)));
    let mut ends: Vec<u64> = answered.map(|operation| operation.returned_us).collect();
    ends.sort_unstable();
    let at = |end: u64| violated(beginning(operations, end), slots);
    let found = ends.partition_point(|end| at(*end).is_none());
    ends.get(found).and_then(|end| at(*end))
}

/// In words, by the time of the call.
pub fn explain(violation: &GateViolation) -> String {
    let mut text = String::new();
    let mut order: Vec<usize> = (0..violation.part.len()).collect();
    order.sort_by_key(|at| violation.part[*at].called_us);
    for at in order {
        let operation = &violation.part[at];
        let place = violation.longest.iter().position(|placed| *placed == at);
        let place = place.map_or("  - ".to_string(), |place| format!("{:3} ", place + 1));
        let GateOperation { client, call, outcome, called_us, returned_us } = operation;
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "  {place}{called_us}..{returned_us} client {client}: {call:?} -> {outcome:?}"
        );
    }
    let _ = writeln!(
        text,
        "  after the {} that have an order: {:?}",
        violation.longest.len(),
        violation.state
    );
    text
}
