//! A lot as one client at a time would see it, written from `docs/api.md` for this judge alone.
//!
//! The state is every reservation ever granted and the lot's sequence, which counts effects. A refusal is judged as
//! strictly as a grant: `slot_taken` needs an overlapping promise, `no_slot_free` one on every slot.
//! Windows of a history lie days ahead, so of the things that happen by themselves only the end of a hold matters:
//! it is an operation of the system that may take effect at any time after the deadline, or never. But a command that is
//! called after a deadline never finds the hold alive.
//! Who asks matters as much as what: a driver's reservations are there for him and for staff; for another driver they
//! are not found, wherever he asks, and their ids are taken; for another tenant there is no such lot.
//! Versions only grow, so what finds its effect there already could never have it later (`Step::Unchanged`).
//! Deliberately absent: plates, sensors, service states.

use super::asked::{refused_only, to_a_stranger, unchanged_if};
use super::checker::{Model, Step, Timed};
use super::history::{Answer, Asker, Call, Operation, Outcome, Refusal, Shown, Stand, Window};
use std::collections::{HashMap, HashSet};

/// How far the server's clock may be from the client's on one machine.
const CLOCK_SLACK_US: u64 = 250_000;
const MICROS_PER_SECOND: u64 = 1_000_000;
/// The client of operations that no client asked for.
pub const SYSTEM: u32 = u32::MAX;

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Promise {
    pub id: u32,
    pub holder: Asker,
    pub slot: u8,
    pub window: Window,
    pub stand: Stand,
    pub version: u32,
    /// As it was when it was made: what a retry is answered.
    made: (Window, Stand, u32),
}

/// A lot; reservations by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub seq: u32,
    pub promises: Vec<Promise>,
}

impl State {
    fn find(&self, id: u32) -> Option<&Promise> {
        let at = self.promises.binary_search_by_key(&id, |promise| promise.id).ok()?;
        self.promises.get(at)
    }

    /// The same, where it is there for who asks.
    fn find_as(&self, by: Asker, id: u32) -> Option<&Promise> {
        self.find(id).filter(|promise| by.may_touch(promise.holder))
    }

    /// Whether a promise other than `except` stands in the way.
    fn is_taken(&self, slot: u8, window: Window, except: Option<u32>) -> bool {
        self.promises.iter().any(|other| {
            other.slot == slot
                && other.stand.is_active()
                && other.window.overlaps(window)
                && Some(other.id) != except
        })
    }

    /// The state after an effect on one promise.
    fn with(&self, id: u32, effect: impl FnOnce(&mut Promise)) -> Self {
        let mut next = self.clone();
        next.seq += 1;
        if let Ok(at) = next.promises.binary_search_by_key(&id, |promise| promise.id) {
            next.promises[at].version += 1;
            effect(&mut next.promises[at]);
        }
        next
    }
}

/// The specification of one lot.
#[derive(Debug)]
pub struct LotModel {
    /// The slots it is about: all of a lot, or one that a history was narrowed to.
    slots: Vec<u8>,
    /// When holds end, as far as any answer said.
    deadlines: HashMap<u32, u64>,
    /// Every reservation as the last list shows it, where that was asked for after everything else had ended: what
    /// cannot lead there need not be tried.
    ends: Option<HashMap<u32, Shown>>,
    /// Reservations that were asked for more than once: of the others nobody asks what the first answer was.
    repeated: HashSet<u32>,
}

impl LotModel {
    /// Learns the ends of holds from the answers.
    pub fn new(slots: Vec<u8>, operations: &[Operation]) -> Self {
        let mut deadlines = HashMap::new();
        for operation in operations {
            let Outcome::Answered(answer) = &operation.outcome else { continue };
            let told: &[Shown] = match answer {
                Answer::Reservation { shown, .. } => std::slice::from_ref(shown),
                Answer::List { items, .. } => items,
                Answer::Refused(_) | Answer::Open { .. } | Answer::Seq { .. } => &[],
            };
            for shown in told {
                if let Some(expires_us) = shown.expires_us {
                    deadlines.entry(shown.id).or_insert(expires_us);
                }
            }
        }
        let (mut asked, mut repeated) = (HashSet::new(), HashSet::new());
        for operation in operations {
            if let Call::Reserve { id, .. } = operation.call
                && !asked.insert(id)
            {
                repeated.insert(id);
            }
        }
        Self { slots, deadlines, ends: last_list(operations), repeated }
    }

    /// Whether a reservation that is like this can still become what the last list shows.
    fn can_end_well(&self, state: &State, id: u32) -> bool {
        let Some(ends) = &self.ends else { return true };
        let (Some(end), Some(promise)) = (ends.get(&id), state.find(id)) else { return false };
        let is_there = promise.version == end.version
            && promise.stand == end.stand
            && promise.window == end.window;
        promise.slot == end.slot && (promise.version < end.version || is_there)
    }

    /// The history with the ends of its holds.
    pub fn with_expiries(&self, operations: &[Operation]) -> Vec<Operation> {
        let mut earliest: HashMap<u32, u64> = HashMap::new();
        for operation in operations {
            let Call::Reserve { id, hold_seconds: Some(seconds), .. } = operation.call else {
                continue;
            };
            let told_us = self.deadlines.get(&id).copied();
            let due_us =
                told_us.unwrap_or(operation.called_us + u64::from(seconds) * MICROS_PER_SECOND);
            let due = earliest.entry(id).or_insert(due_us);
            *due = due_us.min(*due);
        }
        let mut ends: Vec<Operation> = earliest
            .into_iter()
            .map(|(id, due_us)| Operation {
                client: SYSTEM,
                by: Asker::Staff,
                call: Call::Expire { id },
                outcome: Outcome::Unknown { until_us: None },
                called_us: due_us.saturating_sub(CLOCK_SLACK_US),
                returned_us: due_us,
            })
            .collect();
        ends.sort_by_key(|end| (end.called_us, end.id()));
        operations.iter().cloned().chain(ends).collect()
    }

    fn fits(&self, promise: &Promise, shown: &Shown) -> bool {
        let deadline = self.deadlines.get(&promise.id).copied();
        let ends_right = match shown.stand {
            Stand::Held => shown.expires_us.is_some() && shown.expires_us == deadline,
            Stand::Confirmed | Stand::Cancelled | Stand::Expired | Stand::Strange => {
                shown.expires_us.is_none()
            }
        };
        let is = (promise.id, promise.slot, promise.window, promise.stand, promise.version);
        ends_right && is == (shown.id, shown.slot, shown.window, shown.stand, shown.version)
    }

    /// Whether an answer shows promise `id` as `state` has it.
    fn shows(&self, state: &State, id: u32, answer: &Answer) -> bool {
        let Answer::Reservation { shown, seq } = answer else { return false };
        let is_seq = seq.is_none_or(|seq| seq == state.seq);
        is_seq && state.find(id).is_some_and(|promise| self.fits(promise, shown))
    }

    /// A hold that a command called so late cannot find alive.
    fn is_overdue(&self, state: &State, called_us: u64) -> bool {
        state.promises.iter().filter(|promise| promise.stand == Stand::Held).any(|held| {
            let deadline = self.deadlines.get(&held.id);
            deadline.is_some_and(|deadline| deadline + CLOCK_SLACK_US < called_us)
        })
    }

    /// The states that a granted reservation can lead to.
    fn reserve(&self, state: &State, operation: &Operation) -> Step<State> {
        let Call::Reserve { id, slot, window, hold_seconds } = operation.call else {
            return Step::Refused;
        };
        match state.find(id) {
            Some(promise) if promise.holder == operation.by => {
                return self.first_answer(promise, operation);
            }
            // Staff too: who may see it is still not who made it.
            Some(_) => return refused_only(operation, Refusal::IdTaken),
            None => {}
        }
        if self.is_overdue(state, operation.called_us) {
            return Step::Refused;
        }
        let open: Vec<u8> = match slot {
            Some(slot) => vec![slot],
            None => self.slots.clone(),
        };
        let open: Vec<u8> =
            open.into_iter().filter(|slot| !state.is_taken(*slot, window, None)).collect();
        let refused = if slot.is_some() { Refusal::SlotTaken } else { Refusal::NoSlotFree };
        let stand = if hold_seconds.is_some() { Stand::Held } else { Stand::Confirmed };
        let states = open.iter().map(|slot| {
            let mut next = state.clone();
            next.seq += 1;
            // Where nobody asks, orders that differ in nothing else are one.
            let made = (window, stand, if self.repeated.contains(&id) { next.seq } else { 0 });
            let promise =
                Promise { id, holder: operation.by, slot: *slot, window, stand, version: 1, made };
            let at = next.promises.partition_point(|other| other.id < id);
            next.promises.insert(at, promise);
            next
        });
        match &operation.outcome {
            Outcome::Unknown { .. } => changed(states.collect()),
            Outcome::Answered(Answer::Refused(Refusal::RequestInProgress)) => Step::Unchanged,
            Outcome::Answered(Answer::Refused(why)) => {
                if open.is_empty() && *why == refused {
                    Step::Unchanged
                } else {
                    Step::Refused
                }
            }
            Outcome::Answered(answer) => {
                changed(states.filter(|next| self.shows(next, id, answer)).collect())
            }
        }
    }

    /// A retry of something that was done is answered as it was then.
    fn first_answer(&self, promise: &Promise, operation: &Operation) -> Step<State> {
        match &operation.outcome {
            Outcome::Unknown { .. } => Step::Unchanged,
            Outcome::Answered(Answer::Refused(why)) => {
                unchanged_if(*why == Refusal::RequestInProgress)
            }
            Outcome::Answered(answer) => {
                let (window, stand, seq) = promise.made;
                let first = Promise { window, stand, version: 1, ..promise.clone() };
                let then = State { seq, promises: vec![first] };
                unchanged_if(self.shows(&then, promise.id, answer))
            }
        }
    }

    /// A command on a reservation: what it may do, or how it must be refused.
    fn command(&self, state: &State, operation: &Operation, id: u32) -> Step<State> {
        let wanted = match state.find_as(operation.by, id) {
            None => Err(Refusal::ReservationNotFound),
            Some(_) if self.is_overdue(state, operation.called_us) => return Step::Refused,
            Some(promise) => effect(state, promise, &operation.call),
        };
        match (wanted, &operation.outcome) {
            (Err(why), Outcome::Answered(Answer::Refused(refused))) => {
                unchanged_if(why == *refused)
            }
            (Err(_), Outcome::Answered(_)) => Step::Refused,
            (Err(_) | Ok(None), Outcome::Unknown { .. }) => Step::Unchanged,
            (Ok(None), Outcome::Answered(answer)) => unchanged_if(self.shows(state, id, answer)),
            (Ok(Some(next)), Outcome::Unknown { .. }) => Step::Changed(vec![next]),
            (Ok(Some(next)), Outcome::Answered(answer)) => {
                if self.shows(&next, id, answer) {
                    Step::Changed(vec![next])
                } else {
                    Step::Refused
                }
            }
        }
    }

    fn read(&self, state: &State, operation: &Operation) -> Step<State> {
        let Outcome::Answered(answer) = &operation.outcome else { return Step::Unchanged };
        let is = |seq: &Option<u32>| seq.is_none_or(|seq| seq == state.seq);
        unchanged_if(match (&operation.call, answer) {
            (Call::Show { id }, Answer::Refused(why)) => {
                *why == Refusal::ReservationNotFound && state.find_as(operation.by, *id).is_none()
            }
            (Call::Show { id }, answer) => {
                state.find_as(operation.by, *id).is_some() && self.shows(state, *id, answer)
            }
            (Call::Open { window }, Answer::Open { slots, seq }) => {
                let open = self.slots.iter().filter(|slot| !state.is_taken(**slot, *window, None));
                is(seq) && open.eq(slots)
            }
            (Call::List, Answer::List { items, seq }) => {
                let seen = |promise: &&Promise| operation.by.may_touch(promise.holder);
                let seen: Vec<&Promise> = state.promises.iter().filter(seen).collect();
                let same = |(promise, shown): (&&Promise, &Shown)| self.fits(promise, shown);
                is(seq) && items.len() == seen.len() && seen.iter().zip(items).all(same)
            }
            (Call::Seq, Answer::Seq { seq }) => is(seq),
            _ => false,
        })
    }
}

/// What a command does to a promise that is there: nothing, the next state, or a refusal.
fn effect(state: &State, promise: &Promise, call: &Call) -> Result<Option<State>, Refusal> {
    let id = promise.id;
    let set = |stand| Ok(Some(state.with(id, |promise| promise.stand = stand)));
    match (call, promise.stand) {
        (Call::Confirm { .. }, Stand::Held) => set(Stand::Confirmed),
        (Call::Confirm { .. }, Stand::Confirmed) => Ok(None),
        (Call::Confirm { .. }, Stand::Expired) => Err(Refusal::HoldExpired),
        (Call::Cancel { .. }, Stand::Held | Stand::Confirmed) => set(Stand::Cancelled),
        (Call::Cancel { .. }, Stand::Cancelled) => Ok(None),
        (Call::Modify { window, if_version, .. }, Stand::Held | Stand::Confirmed) => {
            if if_version.is_some_and(|version| version != promise.version) {
                Err(Refusal::VersionMismatch)
            } else if *window == promise.window {
                Ok(None)
            } else if state.is_taken(promise.slot, *window, Some(id)) {
                Err(Refusal::SlotTaken)
            } else {
                Ok(Some(state.with(id, |promise| promise.window = *window)))
            }
        }
        (Call::Expire { .. }, Stand::Held) => set(Stand::Expired),
        (Call::Expire { .. }, _) => Ok(None),
        _ => Err(Refusal::ReservationEnded),
    }
}

fn changed(states: Vec<State>) -> Step<State> {
    if states.is_empty() { Step::Refused } else { Step::Changed(states) }
}

impl Model for LotModel {
    type State = State;
    type Operation = Operation;

    /// The lot's creation is its first sequence.
    fn initial(&self) -> State {
        State { seq: 1, promises: Vec::new() }
    }

    fn step(&self, state: &State, operation: &Operation) -> Step<State> {
        if operation.by == Asker::Stranger {
            return to_a_stranger(operation);
        }
        let step = match operation.call {
            Call::Reserve { .. } => self.reserve(state, operation),
            Call::Confirm { id } | Call::Cancel { id } | Call::Modify { id, .. } => {
                self.command(state, operation, id)
            }
            // A deadline waits for nobody: it is never itself too late.
            Call::Expire { id } => {
                match state.find(id).map(|held| effect(state, held, &operation.call)) {
                    Some(Ok(Some(next))) => Step::Changed(vec![next]),
                    Some(_) | None => Step::Unchanged,
                }
            }
            Call::Show { .. } | Call::Open { .. } | Call::Seq | Call::List => {
                self.read(state, operation)
            }
        };
        match (step, operation.id()) {
            (Step::Changed(mut states), Some(id)) => {
                states.retain(|state| self.can_end_well(state, id));
                changed(states)
            }
            (step, _) => step,
        }
    }
}

/// The reservations of a list that was asked for when everything else had ended.
fn last_list(operations: &[Operation]) -> Option<HashMap<u32, Shown>> {
    let lists_all = |one: &&Operation| one.call == Call::List && one.by == Asker::Staff;
    let last = operations.iter().rfind(lists_all)?;
    let Outcome::Answered(Answer::List { items, .. }) = &last.outcome else { return None };
    let is_before = |other: &Operation| match other.call {
        Call::Show { .. } | Call::Open { .. } | Call::Seq | Call::List => true,
        _ => other.until_us() < last.called_us,
    };
    let all_before = operations.iter().all(is_before);
    all_before.then(|| items.iter().map(|item| (item.id, *item)).collect())
}

impl Timed for Operation {
    fn called_us(&self) -> u64 {
        self.called_us
    }

    fn until_us(&self) -> u64 {
        Self::until_us(self)
    }

    fn is_definite(&self) -> bool {
        Self::is_definite(self)
    }
}
