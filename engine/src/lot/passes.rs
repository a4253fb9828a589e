//! The passes of one lot, with what its lot knows of passes of other lots that are good here too.
//!
//! Invariants: of ended passes the last ones are remembered; a pass of another lot that is known to have ended
//! is not. Cheap to clone. Absent: what a pass is (`pass.rs`), and which one opens (`decide/pass.rs`).

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};
use uuid::Uuid;

use super::guest::Guest;
use super::pass::{Event, Pass, State, Used};
use crate::ids::{PassId, Pseudonym};
use crate::limits::ENDED_PASSES_KEPT_PER_LOT;
use crate::time::{Seconds, Timestamp};

/// The passes of one lot, and the last ones that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    passes: OrdMap<PassId, Arc<Pass>>,
    /// Oldest first: the order in which they are forgotten.
    ended: Vector<PassId>,
    by_vehicle: OrdSet<(Pseudonym, PassId)>,
    /// Passes of other lots that were used here and are not known to have ended.
    guests: OrdMap<PassId, Guest>,
}

/// A pass before and after an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it was; nothing when it is new.
    pub before: Option<Arc<Pass>>,
    /// What it is.
    pub after: Arc<Pass>,
}

impl Passes {
    /// As they were taken apart by [`Passes::parts`].
    #[must_use]
    pub fn from_parts(parts: Vec<Arc<Pass>>, guests: Vec<Guest>) -> Self {
        let guests = guests.into_iter().map(|guest| (guest.id, guest)).collect();
        let mut passes = Self { guests, ..Self::default() };
        for pass in parts {
            if pass.state == State::Ended {
                passes.ended.push_back(pass.id);
            }
            passes.take(pass);
        }
        passes
    }

    /// What a snapshot must hold: those that go on in order of id, then ended ones, oldest first.
    #[must_use]
    pub fn parts(&self) -> Vec<Arc<Pass>> {
        let ended = self.ended.iter().filter_map(|id| self.passes.get(id));
        self.going_on().chain(ended).cloned().collect()
    }

    /// A pass the lot remembers.
    #[must_use]
    pub fn get(&self, id: PassId) -> Option<&Arc<Pass>> {
        self.passes.get(&id)
    }

    /// All passes the lot remembers, in order of id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Pass>> {
        self.passes.values()
    }

    /// Passes after `after` in order of id: a page of a list.
    pub fn after(&self, after: Option<PassId>) -> impl Iterator<Item = &Arc<Pass>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.passes.range((start, Unbounded)).map(|(_, pass)| pass)
    }

    /// Those that did not end, in order of id.
    pub fn going_on(&self) -> impl Iterator<Item = &Arc<Pass>> {
        self.passes.values().filter(|pass| pass.state != State::Ended)
    }

    /// How many did not end.
    #[must_use]
    pub fn count(&self) -> usize {
        self.passes.len() - self.ended.len()
    }

    /// Those of a vehicle, ended ones too, in order of id.
    pub fn of_vehicle(&self, vehicle: Pseudonym) -> impl Iterator<Item = &Arc<Pass>> {
        let (first, last) = (PassId(Uuid::nil()), PassId(Uuid::max()));
        let range = self.by_vehicle.range((vehicle, first)..=(vehicle, last));
        range.filter_map(|(_, id)| self.passes.get(id))
    }

    /// A pass of another lot that was used here.
    #[must_use]
    pub fn guest(&self, id: PassId) -> Option<&Guest> {
        self.guests.get(&id)
    }

    /// All of them, in order of id.
    pub fn guests(&self) -> impl Iterator<Item = &Guest> {
        self.guests.values()
    }

    /// The one that is forgotten next.
    #[must_use]
    pub fn oldest_ended(&self) -> Option<PassId> {
        self.ended.front().copied()
    }

    /// Applies one event and tells which pass it moved. Total: what is about one that is not there, or that
    /// ended, is ignored; use of an ended one is not, for its last stay may end after it.
    pub(super) fn apply(&mut self, event: &Event, at: Timestamp) -> Option<Step> {
        match event {
            Event::Issued { id, reach, terms } => {
                if self.passes.contains_key(id) {
                    return None;
                }
                let after = Arc::new(Pass {
                    id: *id,
                    reach: *reach,
                    terms: (**terms).clone(),
                    state: State::Active,
                    used: Used::default(),
                    created_at: at,
                    updated_at: at,
                    version: 1,
                });
                self.take(Arc::clone(&after));
                Some(Step { before: None, after })
            }
            Event::Changed { id, terms } => {
                self.step(*id, at, |pass| {
                    // Periods of another length have other numbers: they count from here on.
                    if pass.terms.per() != terms.per() {
                        pass.used = Used::default();
                    }
                    pass.terms.clone_from(&**terms);
                })
            }
            Event::Paused { id } => self.step(*id, at, |pass| pass.state = State::Paused),
            Event::Resumed { id } => self.step(*id, at, |pass| pass.state = State::Active),
            Event::Ended { id } => self.step(*id, at, |pass| pass.state = State::Ended),
            Event::Used { id, period, entries, stayed } => {
                self.use_up(*id, (*period, *entries, *stayed))
            }
            Event::Honoured { id, period, by, .. } => {
                if !self.passes.contains_key(id) {
                    let guest = self.guests.entry(*id).or_insert_with(|| Guest::new(*id, by));
                    guest.welcome(by);
                }
                self.use_up(*id, (*period, 1, Seconds(0)))
            }
            Event::Followed { id, state: State::Ended } => {
                self.guests.remove(id);
                None
            }
            Event::Followed { id, state } => {
                if let Some(guest) = self.guests.get_mut(id) {
                    guest.state = *state;
                }
                None
            }
        }
    }

    fn use_up(
        &mut self,
        id: PassId,
        (period, entries, stayed): (i64, u32, Seconds),
    ) -> Option<Step> {
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.used.count(period, entries, stayed);
            return None;
        }
        let before = self.passes.get(&id).cloned()?;
        let mut after = Pass::clone(&before);
        after.used.count(period, entries, stayed);
        let after = Arc::new(after);
        self.passes.insert(id, Arc::clone(&after));
        Some(Step { before: Some(before), after })
    }

    fn step(&mut self, id: PassId, at: Timestamp, change: impl FnOnce(&mut Pass)) -> Option<Step> {
        let before = self.passes.get(&id).filter(|pass| pass.state != State::Ended).cloned()?;
        let mut after = Pass::clone(&before);
        change(&mut after);
        after.updated_at = at;
        after.version = after.version.wrapping_add(1);
        let after = Arc::new(after);
        self.leave_lookup(&before);
        self.take(Arc::clone(&after));
        if after.state == State::Ended {
            self.ended.push_back(id);
            while self.ended.len() > ENDED_PASSES_KEPT_PER_LOT {
                let oldest = self.ended.pop_front().and_then(|oldest| self.passes.remove(&oldest));
                if let Some(oldest) = oldest {
                    self.leave_lookup(&oldest);
                }
            }
        }
        Some(Step { before: Some(before), after })
    }

    fn take(&mut self, pass: Arc<Pass>) {
        let id = pass.id;
        self.by_vehicle.extend(pass.terms.vehicles.iter().map(|vehicle| (*vehicle, id)));
        self.passes.insert(id, pass);
    }

    fn leave_lookup(&mut self, pass: &Pass) {
        for vehicle in &pass.terms.vehicles {
            self.by_vehicle.remove(&(*vehicle, pass.id));
        }
    }
}
