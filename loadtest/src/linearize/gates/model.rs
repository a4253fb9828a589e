//! A lot with gates as one client at a time would see it, written from `docs/api.md` for this judge alone.
//!
//! A plate is inside once; as many stays go on as the lot has slots; who has no pass owes one amount, and gets out
//! when it is paid. What was made under a client's id is answered again as it was then, denials included.

use super::super::judge::checker::{Model, Step};
use super::history::{GateAnswer, GateCall, GateOperation, GateOutcome};
use std::collections::{BTreeMap, HashSet};

/// What every stay without a pass costs in a history.
pub const FEE: i64 = 200;

/// A stay.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stay {
    pub plate: u8,
    pub is_inside: bool,
    /// Nothing: it is paid, or a pass covers it.
    pub owes: i64,
}

/// A lot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GateState {
    pub stays: BTreeMap<u32, Stay>,
    /// Passes: whose, and whether they go on.
    pub passes: BTreeMap<u32, (u8, bool)>,
    /// First answers to scans and payments, by what the client made.
    scans: BTreeMap<u32, GateAnswer>,
    payments: BTreeMap<u32, GateAnswer>,
}

impl GateState {
    fn of_plate(&self, plate: u8) -> Option<u32> {
        let mut inside = self.stays.iter().filter(|(_, stay)| stay.is_inside);
        inside.find(|(_, stay)| stay.plate == plate).map(|(id, _)| *id)
    }

    fn inside(&self) -> usize {
        self.stays.values().filter(|stay| stay.is_inside).count()
    }
}

/// The specification of one lot.
#[derive(Debug)]
pub struct GateModel {
    slots: usize,
    /// Stays and payments that were asked for more than once: of the others nobody asks what the first answer was,
    /// so orders that differ in nothing else are one.
    repeated: HashSet<u32>,
}

impl GateModel {
    /// Of a lot with so many slots.
    pub fn new(slots: u8, operations: &[GateOperation]) -> Self {
        let (mut asked, mut repeated) = (HashSet::new(), HashSet::new());
        for operation in operations {
            if let GateCall::Enter { stay: id, .. } | GateCall::Pay { payment: id, .. } =
                operation.call
                && !asked.insert(id)
            {
                repeated.insert(id);
            }
        }
        Self { slots: slots.into(), repeated }
    }

    /// The one answer that can be given, and the state after it; nothing where it changes nothing.
    fn answer(&self, state: &GateState, call: &GateCall) -> (GateAnswer, Option<GateState>) {
        match call {
            GateCall::Enter { plate, stay, .. } => self.enter(state, *plate, *stay),
            GateCall::Exit { plate, .. } => exit(state, *plate),
            GateCall::Pay { stay, payment } => self.pay(state, *stay, *payment),
            GateCall::Issue { plate, pass } => {
                let answer = GateAnswer::Pass { pass: *pass, is_active: true };
                let mut next = state.clone();
                let is_new = next.passes.insert(*pass, (*plate, true)).is_none();
                (answer, is_new.then_some(next))
            }
            GateCall::End { pass } => {
                let mut next = state.clone();
                match next.passes.get_mut(pass) {
                    None => (refused("pass_not_found"), None),
                    Some((_, is_active)) => {
                        let changed = std::mem::replace(is_active, false);
                        let answer = GateAnswer::Pass { pass: *pass, is_active: false };
                        (answer, changed.then_some(next))
                    }
                }
            }
            GateCall::Inside => {
                let inside = state.stays.iter().filter(|(_, stay)| stay.is_inside);
                let stays = inside.map(|(id, stay)| (*id, stay.plate)).collect();
                (GateAnswer::Inside { stays }, None)
            }
        }
    }

    fn enter(&self, state: &GateState, plate: u8, stay: u32) -> (GateAnswer, Option<GateState>) {
        if let Some(first) = state.scans.get(&stay) {
            return (first.clone(), None);
        }
        let mut next = state.clone();
        let answer = if state.of_plate(plate).is_some() {
            denied("plate_inside")
        } else if state.inside() >= self.slots {
            denied("lot_full")
        } else {
            let has_pass = state.passes.values().any(|(of, goes_on)| *of == plate && *goes_on);
            let owes = if has_pass { 0 } else { FEE };
            next.stays.insert(stay, Stay { plate, is_inside: true, owes });
            let code = if has_pass { "pass" } else { "drive_in" };
            GateAnswer::Opened { code: code.into(), stay }
        };
        if self.repeated.contains(&stay) {
            next.scans.insert(stay, answer.clone());
        }
        let has_effect = next != *state;
        (answer, has_effect.then_some(next))
    }

    fn pay(&self, state: &GateState, stay: u32, payment: u32) -> (GateAnswer, Option<GateState>) {
        if let Some(first) = state.payments.get(&payment) {
            return (first.clone(), None);
        }
        let mut next = state.clone();
        match next.stays.get_mut(&stay) {
            None => (refused("session_not_found"), None),
            Some(stay) if stay.owes <= 0 => (refused("nothing_owed"), None),
            Some(stay) => {
                let answer = GateAnswer::Paid { payment, amount: std::mem::take(&mut stay.owes) };
                if self.repeated.contains(&payment) {
                    next.payments.insert(payment, answer.clone());
                }
                (answer, Some(next))
            }
        }
    }
}

fn exit(state: &GateState, plate: u8) -> (GateAnswer, Option<GateState>) {
    let Some(id) = state.of_plate(plate) else { return (denied("not_inside"), None) };
    let mut next = state.clone();
    match next.stays.get_mut(&id) {
        Some(stay) if stay.owes <= 0 => {
            stay.is_inside = false;
            (GateAnswer::Opened { code: "paid".into(), stay: id }, Some(next))
        }
        _ => (denied("payment_required"), None),
    }
}

fn denied(code: &str) -> GateAnswer {
    GateAnswer::Denied { code: code.into() }
}

fn refused(code: &str) -> GateAnswer {
    GateAnswer::Refused { code: code.into() }
}

impl Model for GateModel {
    type State = GateState;
    type Operation = GateOperation;

    fn initial(&self) -> GateState {
        GateState::default()
    }

    fn step(&self, state: &GateState, operation: &GateOperation) -> Step<GateState> {
        let (answer, next) = self.answer(state, &operation.call);
        match (&operation.outcome, next) {
            (GateOutcome::Unknown { .. }, None) => Step::Unchanged,
            // While another request under the same id is under way, and without an effect.
            (GateOutcome::Answered(GateAnswer::Refused { code }), _)
                if code == "request_in_progress" =>
            {
                Step::Unchanged
            }
            (GateOutcome::Answered(told), _) if *told != answer => Step::Refused,
            (GateOutcome::Unknown { .. } | GateOutcome::Answered(_), Some(next)) => {
                Step::Changed(vec![next])
            }
            // What has none now has none in any state that can follow, with this answer.
            (GateOutcome::Answered(_), None) => Step::Unchanged,
        }
    }
}
