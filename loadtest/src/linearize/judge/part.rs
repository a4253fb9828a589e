//! The smallest part of a history that still has no order, for people to read.
//!
//! Each step keeps this true: had the whole an order, so would the part. So what is left is a proof by itself.
//! First one slot alone, with sequences forgotten; then the shortest beginning; then without answers that had no
//! effect; then without reservations on which nothing that is left depends.

use super::Violation;
use super::checker::{Verdict, check};
use super::history::{Answer, Call, Operation, Outcome, Refusal, Shown, Window};
use super::model::{LotModel, State};
use std::collections::{BTreeSet, HashMap};

/// A search of a part that takes longer says nothing, and the part stays larger.
const PART_CONFIGURATIONS_MAX: usize = 100_000;

type Found = (Vec<usize>, State);

/// Narrows a history that is known to have no order.
pub fn smallest(operations: &[Operation], slots: u8) -> Violation {
    let all: Vec<u8> = (0..slots).collect();
    let narrowed = all.iter().find_map(|slot| {
        let projected = project(operations, *slot);
        violated(&projected, &[*slot]).map(|_| (projected, vec![*slot], Some(*slot)))
    });
    let (part, slots, slot) = narrowed.unwrap_or_else(|| (operations.to_vec(), all, None));
    let (mut part, offender) = shortest_beginning(part, &slots);
    drop_idle(&mut part, &slots, &offender);
    if slot.is_some() {
        drop_reservations(&mut part, &slots, &offender);
    }
    part.sort_by_key(|operation| operation.called_us);
    let (longest, state) = violated(&part, &slots).unwrap_or_else(|| {
        // Only where every check of a smaller part was given up: the whole was found wrong before.
        (Vec::new(), State { seq: 1, promises: Vec::new() })
    });
    let offender = part.iter().position(|operation| *operation == offender).unwrap_or(0);
    Violation { part, longest, state, offender, slot }
}

fn violated(part: &[Operation], slots: &[u8]) -> Option<Found> {
    let model = LotModel::new(slots.to_vec(), part);
    match check(&model, &model.with_expiries(part), PART_CONFIGURATIONS_MAX) {
        Verdict::Violated { longest, state } => {
            // Ends of holds come after the clients' operations.
            let longest = longest.into_iter().filter(|position| *position < part.len()).collect();
            Some((longest, state))
        }
        Verdict::Linearizable { .. } | Verdict::TooLong { .. } => None,
    }
}

/// What a history says about one slot.
pub fn project(operations: &[Operation], slot: u8) -> Vec<Operation> {
    let mut slot_of: HashMap<u32, u8> = HashMap::new();
    for operation in operations {
        if let Call::Reserve { id, slot: Some(asked), .. } = operation.call {
            slot_of.insert(id, asked);
        }
        for shown in shown(operation) {
            slot_of.insert(shown.id, shown.slot);
        }
    }
    let here = |id: u32| slot_of.get(&id).is_none_or(|known| *known == slot);
    let about =
        |operation: &&Operation| operation.id().is_none_or(here) && operation.call != Call::Seq;
    let mut part: Vec<Operation> = operations.iter().filter(about).cloned().collect();
    for operation in &mut part {
        let Outcome::Answered(answer) = &mut operation.outcome else { continue };
        match answer {
            Answer::Reservation { seq, .. } | Answer::Seq { seq } => *seq = None,
            Answer::Refused(_) => {}
            Answer::Open { slots, seq } => {
                slots.retain(|open| *open == slot);
                *seq = None;
            }
            Answer::List { items, seq } => {
                items.retain(|item| item.slot == slot);
                *seq = None;
            }
        }
    }
    part
}

fn shown(operation: &Operation) -> &[Shown] {
    match &operation.outcome {
        Outcome::Answered(Answer::Reservation { shown, .. }) => std::slice::from_ref(shown),
        Outcome::Answered(Answer::List { items, .. }) => items,
        Outcome::Answered(_) | Outcome::Unknown { .. } => &[],
    }
}

/// What was known at an instant: what was answered later was under way.
fn beginning(operations: &[Operation], until_us: u64) -> Vec<Operation> {
    let begun = operations.iter().filter(|operation| operation.called_us <= until_us);
    let known = begun.map(|operation| match operation.outcome {
        Outcome::Answered(_) if operation.returned_us > until_us => {
            Operation { outcome: Outcome::Unknown { until_us: None }, ..operation.clone() }
        }
        Outcome::Answered(_) | Outcome::Unknown { .. } => operation.clone(),
    });
    known.collect()
}

/// The shortest beginning without an order, and the operation whose answer made it so.
fn shortest_beginning(operations: Vec<Operation>, slots: &[u8]) -> (Vec<Operation>, Operation) {
    let mut ends: Vec<&Operation> = operations.iter().filter(|one| one.is_definite()).collect();
    ends.sort_by_key(|operation| operation.returned_us);
    let found = ends.partition_point(|last| {
        violated(&beginning(&operations, last.returned_us), slots).is_none()
    });
    match ends.get(found) {
        Some(last) => (beginning(&operations, last.returned_us), (*last).clone()),
        // Found wrong as a whole, but not by the shorter search.
        None => {
            let last = ends.last().map(|last| (*last).clone());
            let last = last.unwrap_or_else(|| operations[0].clone());
            (operations, last)
        }
    }
}

/// Drops answers that had no effect, and what had no answer, in ever smaller pieces.
fn drop_idle(part: &mut Vec<Operation>, slots: &[u8], offender: &Operation) {
    let is_idle = |operation: &Operation| {
        operation != offender
            && match (&operation.call, &operation.outcome) {
                (Call::Show { .. } | Call::Open { .. } | Call::List | Call::Seq, _) => true,
                (_, Outcome::Answered(answer)) => matches!(answer, Answer::Refused(_)),
                (_, Outcome::Unknown { .. }) => false,
            }
    };
    let mut piece = part.len().div_ceil(2);
    while piece > 0 {
        let mut begin = 0;
        while begin < part.len() {
            let keep = |(at, one): &(usize, &Operation)| {
                !(begin..begin + piece).contains(at) || !is_idle(one)
            };
            let fewer: Vec<_> =
                part.iter().enumerate().filter(keep).map(|(_, one)| one.clone()).collect();
            if fewer.len() < part.len() && violated(&fewer, slots).is_some() {
                *part = fewer;
            } else {
                begin += piece;
            }
        }
        piece /= 2;
    }
}

/// Drops whole reservations, where no answer that is left needs somebody to stand in its way.
fn drop_reservations(part: &mut Vec<Operation>, slots: &[u8], offender: &Operation) {
    let ids: BTreeSet<u32> = part.iter().filter_map(Operation::id).collect();
    for id in ids.into_iter().filter(|id| Some(*id) != offender.id()) {
        let windows: Vec<Window> = part
            .iter()
            .filter(|one| one.id() == Some(id))
            .filter_map(|one| window(&one.call))
            .collect();
        let needs = |one: &Operation| {
            one.id() != Some(id)
                && window(&one.call).is_none_or(|it| windows.iter().any(|w| w.overlaps(it)))
                && match &one.outcome {
                    Outcome::Answered(Answer::Refused(why)) => {
                        matches!(why, Refusal::SlotTaken | Refusal::NoSlotFree)
                    }
                    Outcome::Answered(Answer::Open { slots, .. }) => slots.is_empty(),
                    Outcome::Answered(_) | Outcome::Unknown { .. } => false,
                }
        };
        if part.iter().any(needs) {
            continue;
        }
        let mut fewer: Vec<Operation> =
            part.iter().filter(|one| one.id() != Some(id)).cloned().collect();
        for operation in &mut fewer {
            if let Outcome::Answered(Answer::List { items, .. }) = &mut operation.outcome {
                items.retain(|item| item.id != id);
            }
        }
        if violated(&fewer, slots).is_some() {
            *part = fewer;
        }
    }
}

fn window(call: &Call) -> Option<Window> {
    match call {
        Call::Reserve { window, .. } | Call::Modify { window, .. } | Call::Open { window } => {
            Some(*window)
        }
        Call::Confirm { .. }
        | Call::Cancel { .. }
        | Call::Show { .. }
        | Call::Seq
        | Call::List
        | Call::Expire { .. } => None,
    }
}
