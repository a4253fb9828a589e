//! All stays of a lot: who is inside, and who left not long ago.
//!
//! What the lookups say follows from the sessions alone. Older stays are in the log and the history.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::session::{Entered, Event, Session, Settled, State};
use crate::ids::{Pseudonym, Reference, ReservationId, SessionId, SlotIndex};
use crate::limits::{ENDED_SESSIONS_KEPT_PER_LOT, LAST_LEFT_LOOKED_AT};
use crate::lot::session::Origin;
use crate::time::{Timestamp, Window};

/// The stays of one lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stays {
    sessions: OrdMap<SessionId, Arc<Session>>,
    /// Ended ones, oldest first.
    ended: Vector<SessionId>,
    inside: usize,
    by_vehicle: OrdMap<Pseudonym, SessionId>,
    by_slot: OrdMap<SlotIndex, SessionId>,
    by_reference: OrdMap<Reference, SessionId>,
    by_reservation: OrdMap<ReservationId, SessionId>,
}

/// A stay before and after an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What it was; nothing when it is new.
    pub before: Option<Arc<Session>>,
    /// What it is.
    pub after: Arc<Session>,
}

impl Stays {
    /// As they were taken apart by [`Stays::parts`].
    #[must_use]
    pub fn from_parts(parts: Vec<Arc<Session>>) -> Self {
        let mut stays = Self::default();
        for session in parts {
            if !session.state.is_inside() {
                stays.ended.push_back(session.id);
            }
            stays.take(session);
        }
        stays
    }

    /// What a snapshot must hold: those inside in order of id, then ended ones, oldest first.
    #[must_use]
    pub fn parts(&self) -> Vec<Arc<Session>> {
        let ended = self.ended.iter().filter_map(|id| self.sessions.get(id));
        self.inside().chain(ended).cloned().collect()
    }

    /// A stay the lot remembers.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<&Arc<Session>> {
        self.sessions.get(&id)
    }

    /// All stays the lot remembers, in order of id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values()
    }

    /// Stays after `after` in order of id: a page of a list.
    pub fn after(&self, after: Option<SessionId>) -> impl Iterator<Item = &Arc<Session>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.sessions.range((start, Unbounded)).map(|(_, session)| session)
    }

    /// Those inside, in order of id.
    pub fn inside(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values().filter(|session| session.state.is_inside())
    }

    /// How many are inside.
    #[must_use]
    pub fn inside_count(&self) -> usize {
        self.inside
    }

    /// The stay of a vehicle that is inside.
    #[must_use]
    pub fn of_vehicle(&self, vehicle: Pseudonym) -> Option<&Arc<Session>> {
        self.by_vehicle.get(&vehicle).and_then(|id| self.get(*id))
    }

    /// The stay inside that is bound to a slot.
    #[must_use]
    pub fn at_slot(&self, slot: SlotIndex) -> Option<&Arc<Session>> {
        self.by_slot.get(&slot).and_then(|id| self.get(*id))
    }

    /// The stay with a reference, inside or not long gone.
    #[must_use]
    pub fn of_reference(&self, reference: Reference) -> Option<&Arc<Session>> {
        self.by_reference.get(&reference).and_then(|id| self.get(*id))
    }

    /// The stay that came of a reservation, inside or not long gone.
    #[must_use]
    pub fn of_reservation(&self, id: ReservationId) -> Option<&Arc<Session>> {
        self.by_reservation.get(&id).and_then(|id| self.get(*id))
    }

    /// The stay of a vehicle that left a moment ago.
    #[must_use]
    pub fn last_left(&self, vehicle: Pseudonym) -> Option<&Arc<Session>> {
        let last = self.ended.iter().rev().take(LAST_LEFT_LOOKED_AT);
        last.filter_map(|id| self.get(*id)).find(|session| session.vehicle == Some(vehicle))
    }

    /// The ended stay that is forgotten next.
    #[must_use]
    pub fn oldest_ended(&self) -> Option<SessionId> {
        self.ended.front().copied()
    }

    /// Applies one event and tells which stay it moved. Total: what is about a stay that is not there, or
    /// that ended, is ignored.
    pub(super) fn apply(&mut self, event: &Event, at: Timestamp) -> Option<Moved> {
        match event {
            Event::Entered(entered) => self.enter(entered, at),
            Event::Placed { id, slot, claim } => self.step(*id, at, |session| {
                (session.slot, session.claim) = (*slot, *claim);
            }),
            Event::Overstayed { id } => {
                self.step(*id, at, |session| session.state = State::Overstaying)
            }
            Event::Identified { id, vehicle } => {
                self.step(*id, at, |session| session.vehicle = Some(*vehicle))
            }
            Event::TicketLost { id } => self.step(*id, at, |session| session.ticket_lost = true),
            // What is asked for lies beside the stays; the stay is another version of itself.
            Event::Requested { id, .. } => self.step(*id, at, |_| {}),
            Event::Settled { id, fee, leave_by } => self.step(*id, at, |session| {
                let fee = Arc::new((**fee).clone());
                session.settled = Some(Settled { fee, leave_by: *leave_by });
            }),
            Event::Left(left) => self.step(left.id, at, |session| {
                session.state = State::Left;
                session.left_at = Some(left.at);
                session.exit_gate.clone_from(&left.gate);
                session.fee = left.fee.as_deref().cloned().map(Arc::new);
            }),
            Event::Abandoned { id, fee } => self.step(*id, at, |session| {
                session.state = State::Abandoned;
                session.left_at = Some(at);
                session.fee = fee.as_deref().cloned().map(Arc::new);
            }),
            Event::Denied(_) => None,
        }
    }

    /// The window of a reservation moved: what is booked is so for the stay inside that came of it.
    pub(super) fn rebook(
        &mut self,
        reservation: ReservationId,
        window: Window,
        at: Timestamp,
    ) -> Option<Moved> {
        let id = *self.by_reservation.get(&reservation)?;
        self.get(id).filter(|session| session.booked != Some(window))?;
        self.step(id, at, |session| session.booked = Some(window))
    }

    fn enter(&mut self, entered: &Entered, at: Timestamp) -> Option<Moved> {
        if self.sessions.contains_key(&entered.id) {
            return None;
        }
        let after = Arc::new(Session {
            id: entered.id,
            origin: entered.origin,
            state: State::Inside,
            vehicle: entered.vehicle,
            holder: entered.holder,
            slot: entered.slot,
            claim: entered.claim,
            booked: entered.booked,
            entered_at: entered.at,
            entry_gate: entered.gate.clone(),
            left_at: None,
            exit_gate: None,
            terms: Arc::new(entered.terms.clone()),
            ticket_lost: false,
            settled: None,
            fee: None,
            updated_at: at,
            version: 1,
        });
        self.take(Arc::clone(&after));
        Some(Moved { before: None, after })
    }

    fn step(
        &mut self,
        id: SessionId,
        at: Timestamp,
        change: impl FnOnce(&mut Session),
    ) -> Option<Moved> {
        let before = self.sessions.get(&id).filter(|s| s.state.is_inside()).cloned()?;
        let mut after = Session::clone(&before);
        change(&mut after);
        after.updated_at = at;
        after.version = after.version.wrapping_add(1);
        let after = Arc::new(after);
        self.leave_lookups(&before);
        self.take(Arc::clone(&after));
        if !after.state.is_inside() {
            self.ended.push_back(id);
            self.forget_oldest();
        }
        Some(Moved { before: Some(before), after })
    }

    fn take(&mut self, session: Arc<Session>) {
        let id = session.id;
        self.by_reference.insert(session.reference(), id);
        if let Origin::Reservation(reservation) = session.origin {
            self.by_reservation.insert(reservation, id);
        }
        if session.state.is_inside() {
            self.inside += 1;
            if let Some(vehicle) = session.vehicle {
                self.by_vehicle.insert(vehicle, id);
            }
            if let Some(slot) = session.slot {
                self.by_slot.insert(slot, id);
            }
        }
        self.sessions.insert(id, session);
    }

    /// Takes out what lookups say of a stay that was inside.
    fn leave_lookups(&mut self, session: &Session) {
        self.inside -= 1;
        let vehicle = session.vehicle.filter(|v| self.by_vehicle.get(v) == Some(&session.id));
        if let Some(vehicle) = vehicle {
            self.by_vehicle.remove(&vehicle);
        }
        let slot = session.slot.filter(|slot| self.by_slot.get(slot) == Some(&session.id));
        if let Some(slot) = slot {
            self.by_slot.remove(&slot);
        }
    }

    fn forget_oldest(&mut self) {
        while self.ended.len() > ENDED_SESSIONS_KEPT_PER_LOT {
            let Some(session) = self.ended.pop_front().and_then(|id| self.sessions.remove(&id))
            else {
                continue;
            };
            if self.by_reference.get(&session.reference()) == Some(&session.id) {
                self.by_reference.remove(&session.reference());
            }
            if let Origin::Reservation(id) = session.origin
                && self.by_reservation.get(&id) == Some(&session.id)
            {
                self.by_reservation.remove(&id);
            }
        }
    }
}
