//! The waiting list: who asked for a window that was full, in the order in which they asked.
//!
//! Invariants: whoever waits cannot have what he asked for (I11), because whatever frees time offers it in the
//! same decision to the first whom it fits. An offer is a reservation of the same id, held for the lot's
//! `offer_seconds`: from then on it is confirmed, cancelled or runs out as any other hold, and nobody is
//! offered twice on one place. Absent: what decides about it (`decide/waiting.rs`).

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::Needs;
use crate::ids::{Pseudonym, ReservationId, WaitingId};
use crate::limits::ENDED_WAITERS_KEPT_PER_LOT;
use crate::time::{Timestamp, Window};

/// Where a place on the list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits.
    Waiting,
    /// A slot was offered: the reservation of the same id tells what became of it.
    Offered,
    /// Whoever waited gave it up.
    Left,
    /// Its window began, and nothing had become free.
    RanOut,
    /// What became free has no price for what was asked.
    Refused,
}

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiterTerms {
    /// What the slot must have.
    pub needs: Needs,
    /// When.
    pub window: Window,
    /// Who waits.
    pub holder: Pseudonym,
    /// For which vehicle.
    pub vehicle: Option<Pseudonym>,
    /// The tenant's name of the vehicle's type: the tariff may ask for it.
    pub vehicle_type: Option<Box<str>>,
    /// Codes of discounts.
    pub discounts: Box<[Box<str>]>,
}

/// One place on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Public id, and that of the reservation it may become.
    pub id: WaitingId,
    /// What for.
    pub terms: WaiterTerms,
    /// Where it is.
    pub state: State,
    /// Record time of its first event.
    pub created_at: Timestamp,
    /// Record time of its last.
    pub updated_at: Timestamp,
    /// Changes so far.
    pub version: u32,
}

impl Waiter {
    /// The reservation that an offer to it is.
    #[must_use]
    pub fn reservation(&self) -> ReservationId {
        ReservationId(self.id.0)
    }

    /// When waiting has no sense any more.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        (self.state == State::Waiting).then_some(self.terms.window.from)
    }
}

/// What happened on a waiting list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody joined.
    Joined {
        /// Identity.
        id: WaitingId,
        /// What for.
        terms: Box<WaiterTerms>,
    },
    /// A slot is offered: a reservation follows.
    Offered {
        /// Whose turn it was.
        id: WaitingId,
    },
    /// Whoever waited gave it up.
    Left {
        /// Which.
        id: WaitingId,
    },
    /// The window began.
    RanOut {
        /// Which.
        id: WaitingId,
    },
    /// What became free has no price for what was asked.
    Refused {
        /// Which.
        id: WaitingId,
    },
}

impl Event {
    /// Whose place.
    #[must_use]
    pub fn id(&self) -> WaitingId {
        match self {
            Self::Joined { id, .. }
            | Self::Offered { id }
            | Self::Left { id }
            | Self::RanOut { id }
            | Self::Refused { id } => *id,
        }
    }
}

/// Who waits in one lot, and the last ones that do not any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingList {
    waiters: OrdMap<WaitingId, Arc<Waiter>>,
    /// In order of joining: whose turn it is.
    line: Vector<WaitingId>,
    /// Oldest first: the order in which they are forgotten.
    ended: Vector<WaitingId>,
    /// How many of the line are whose.
    by_holder: OrdMap<Pseudonym, u32>,
}

/// A place before and after an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it was; nothing when it is new.
    pub before: Option<Arc<Waiter>>,
    /// What it is.
    pub after: Arc<Waiter>,
}

impl WaitingList {
    /// As it was taken apart by [`WaitingList::parts`].
    #[must_use]
    pub fn from_parts(parts: Vec<Arc<Waiter>>) -> Self {
        let mut list = Self::default();
        for waiter in parts {
            if list.waiters.contains_key(&waiter.id) {
                continue;
            }
            if waiter.state == State::Waiting {
                list.line_up(&waiter);
            } else {
                list.ended.push_back(waiter.id);
            }
            list.waiters.insert(waiter.id, waiter);
        }
        list
    }

    /// What a snapshot must hold: the line in its order, then ended places, oldest first.
    #[must_use]
    pub fn parts(&self) -> Vec<Arc<Waiter>> {
        let ended = self.ended.iter().filter_map(|id| self.waiters.get(id));
        self.line().chain(ended).cloned().collect()
    }

    /// A place the lot remembers.
    #[must_use]
    pub fn get(&self, id: WaitingId) -> Option<&Arc<Waiter>> {
        self.waiters.get(&id)
    }

    /// All places the lot remembers, in order of id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.waiters.values()
    }

    /// Places after `after` in order of id: a page of a list.
    pub fn after(&self, after: Option<WaitingId>) -> impl Iterator<Item = &Arc<Waiter>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.waiters.range((start, Unbounded)).map(|(_, waiter)| waiter)
    }

    /// Those that wait, in the order in which they joined.
    pub fn line(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.line.iter().filter_map(|id| self.waiters.get(id))
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.line.len()
    }

    /// How many places of the line are one holder's.
    #[must_use]
    pub fn count_of(&self, holder: Pseudonym) -> usize {
        self.by_holder.get(&holder).copied().unwrap_or_default() as usize
    }

    /// How many joined before and still wait; nothing for one that does not wait.
    #[must_use]
    pub fn ahead_of(&self, id: WaitingId) -> Option<usize> {
        self.line.iter().position(|other| *other == id)
    }

    /// The place that is forgotten next.
    #[must_use]
    pub fn oldest_ended(&self) -> Option<WaitingId> {
        self.ended.front().copied()
    }

    /// Applies one event and tells which place it moved. Total: what is about one that is not there, or that
    /// does not wait any more, is ignored.
    pub(super) fn apply(&mut self, event: &Event, at: Timestamp) -> Option<Step> {
        match event {
            Event::Joined { id, terms } => {
                if self.waiters.contains_key(id) {
                    return None;
                }
                let after = Arc::new(Waiter {
                    id: *id,
                    terms: (**terms).clone(),
                    state: State::Waiting,
                    created_at: at,
                    updated_at: at,
                    version: 1,
                });
                self.line_up(&after);
                self.waiters.insert(*id, Arc::clone(&after));
                Some(Step { before: None, after })
            }
            Event::Offered { id } => self.end(*id, State::Offered, at),
            Event::Left { id } => self.end(*id, State::Left, at),
            Event::RanOut { id } => self.end(*id, State::RanOut, at),
            Event::Refused { id } => self.end(*id, State::Refused, at),
        }
    }

    fn line_up(&mut self, waiter: &Waiter) {
        self.line.push_back(waiter.id);
        *self.by_holder.entry(waiter.terms.holder).or_default() += 1;
    }

    fn end(&mut self, id: WaitingId, state: State, at: Timestamp) -> Option<Step> {
        let before = self.waiters.get(&id).filter(|w| w.state == State::Waiting).cloned()?;
        let (updated_at, version) = (at, before.version.wrapping_add(1));
        let after = Arc::new(Waiter { state, updated_at, version, ..Waiter::clone(&before) });
        self.waiters.insert(id, Arc::clone(&after));
        if let Some(position) = self.ahead_of(id) {
            self.line.remove(position);
        }
        let holder = after.terms.holder;
        match self.count_of(holder) {
            0 | 1 => {
                self.by_holder.remove(&holder);
            }
            _ => *self.by_holder.entry(holder).or_default() -= 1,
        }
        self.ended.push_back(id);
        while self.ended.len() > ENDED_WAITERS_KEPT_PER_LOT {
            if let Some(oldest) = self.ended.pop_front() {
                self.waiters.remove(&oldest);
            }
        }
        Some(Step { before: Some(before), after })
    }
}
