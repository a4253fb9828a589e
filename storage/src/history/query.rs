//! Questions: what somebody looks for among stays or reservations, and a page of what was found.
//!
//! Stays are in order of entry, reservations in the order in which they were made, the newest first; both
//! instants never change, so a page's end is a cursor that stays good.

use std::collections::BTreeSet;
use std::iter::Peekable;

use lotkeeper_engine::ids::{LotKey, Pseudonym, Reference, ReservationId};
use lotkeeper_engine::lot::session::State as SessionState;
use lotkeeper_engine::lot::{Reservation, Session, State};
use lotkeeper_engine::time::Timestamp;
use uuid::Uuid;

use super::document::Document;
use super::keys::{Kind, Position, Scope, Stage};
use super::store::{Base, Found};
use super::tree::{Keys, Tree};
use crate::error::JournalError;

/// Documents that one page looks at, at most. What is looked for that seldom takes more pages, and the page says
/// where the next one begins.
const LOOKED_AT_MAX: usize = 20_000;
/// Lots whose own indexes are merged; of more, those of the tenant are looked through.
const LOTS_MERGED_MAX: usize = 64;

/// A stay or a reservation: something with a holder, a state and a time.
pub trait Listed: Document + Clone {
    /// Where it is in its life, as one asks for it.
    type State: Copy + PartialEq;

    /// Its place in a list.
    fn position(&self) -> Position;
    /// Where it is in its life.
    fn phase(&self) -> Self::State;
    /// Who has it.
    fn held_by(&self) -> Option<Pseudonym>;
    /// For which vehicle.
    fn of_vehicle(&self) -> Option<Pseudonym>;
    /// The reservation it is or came of.
    fn of_reservation(&self) -> Option<ReservationId>;
    /// What people call it.
    fn called(&self) -> Reference;
    /// The index that has what is in a state, where there is one.
    #[doc(hidden)]
    fn stage_of(state: Self::State) -> Option<Stage>;
}

/// Where a reservation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waits for confirmation.
    Held,
    /// Promised.
    Confirmed,
    /// The vehicle is there.
    CheckedIn,
    /// It ended after an arrival.
    Completed,
    /// Given up.
    Cancelled,
    /// Not confirmed in time.
    Expired,
    /// Nobody came.
    NoShow,
}

impl From<State> for Phase {
    fn from(state: State) -> Self {
        match state {
            State::Held { .. } => Self::Held,
            State::Confirmed => Self::Confirmed,
            State::CheckedIn { .. } => Self::CheckedIn,
            State::Completed => Self::Completed,
            State::Cancelled => Self::Cancelled,
            State::Expired => Self::Expired,
            State::NoShow => Self::NoShow,
        }
    }
}

impl Listed for Session {
    type State = SessionState;

    fn position(&self) -> Position {
        Position::new(self.entered_at, self.id.0)
    }

    fn phase(&self) -> SessionState {
        self.state
    }

    fn held_by(&self) -> Option<Pseudonym> {
        self.holder
    }

    fn of_vehicle(&self) -> Option<Pseudonym> {
        self.vehicle
    }

    fn of_reservation(&self) -> Option<ReservationId> {
        self.reservation()
    }

    fn called(&self) -> Reference {
        self.reference()
    }

    fn stage_of(state: SessionState) -> Option<Stage> {
        match state {
            SessionState::Inside | SessionState::Overstaying => Some(Stage::Open),
            SessionState::Abandoned => Some(Stage::Failed),
            SessionState::Left => None,
        }
    }
}

impl Listed for Reservation {
    type State = Phase;

    fn position(&self) -> Position {
        Position::new(self.created_at, self.id.0)
    }

    fn phase(&self) -> Phase {
        self.state.into()
    }

    fn held_by(&self) -> Option<Pseudonym> {
        Some(self.holder)
    }

    fn of_vehicle(&self) -> Option<Pseudonym> {
        self.vehicle
    }

    fn of_reservation(&self) -> Option<ReservationId> {
        Some(self.id)
    }

    fn called(&self) -> Reference {
        Reference::of(self.id.0)
    }

    fn stage_of(state: Phase) -> Option<Stage> {
        match state {
            Phase::Held | Phase::Confirmed | Phase::CheckedIn => Some(Stage::Open),
            Phase::Expired | Phase::NoShow => Some(Stage::Failed),
            Phase::Completed | Phase::Cancelled => None,
        }
    }
}

/// What is looked for. What is left out does not matter.
#[derive(Clone, Debug)]
pub struct Query<D: Listed> {
    /// Whose lots.
    pub tenant: Box<str>,
    /// Only in these lots.
    pub lots: Option<Vec<LotKey>>,
    /// Only in one of these states; in any where there is none.
    pub states: Vec<D::State>,
    /// Whose.
    pub holder: Option<Pseudonym>,
    /// Of one of these vehicles.
    pub vehicles: Option<Vec<Pseudonym>>,
    /// What people call it.
    pub reference: Option<Reference>,
    /// The reservation it came of.
    pub reservation: Option<ReservationId>,
    /// Entered, or made, at this instant or later ...
    pub from: Option<Timestamp>,
    /// ... and before this one.
    pub to: Option<Timestamp>,
    /// After this one in the list.
    pub after: Option<Position>,
    /// How many.
    pub limit: usize,
}

impl<D: Listed> Query<D> {
    /// Everything of a tenant.
    #[must_use]
    pub fn of(tenant: &str, limit: usize) -> Self {
        Self {
            tenant: tenant.into(),
            lots: None,
            states: Vec::new(),
            holder: None,
            vehicles: None,
            reference: None,
            reservation: None,
            from: None,
            to: None,
            after: None,
            limit,
        }
    }

    /// Whether something of a lot of the tenant is what is looked for.
    #[must_use]
    pub fn admits(&self, lot: LotKey, document: &D) -> bool {
        let position = document.position();
        self.lots.as_ref().is_none_or(|lots| lots.contains(&lot))
            && (self.states.is_empty() || self.states.contains(&document.phase()))
            && (self.holder.is_none() || self.holder == document.held_by())
            && self.vehicles.as_ref().is_none_or(|vehicles| {
                document.of_vehicle().is_some_and(|vehicle| vehicles.contains(&vehicle))
            })
            && self.reference.is_none_or(|reference| reference == document.called())
            && (self.reservation.is_none() || self.reservation == document.of_reservation())
            && self.from.is_none_or(|from| position.at() >= from)
            && self.to.is_none_or(|to| position.at() < to)
            && self.after.is_none_or(|after| position > after)
    }

    /// The indexes that hold all of it, and as little else as is known.
    fn scopes(&self, tenant: u32) -> Vec<Scope> {
        let kind = D::KIND;
        if let (Some(id), Kind::Session) = (self.reservation, kind) {
            return vec![Scope::reservation(kind, id)];
        }
        if let Some(vehicles) = &self.vehicles {
            return vehicles.iter().map(|vehicle| Scope::vehicle(kind, *vehicle)).collect();
        }
        if let Some(holder) = self.holder {
            return vec![Scope::holder(kind, holder)];
        }
        match &self.lots {
            Some(lots) if lots.len() <= LOTS_MERGED_MAX => {
                lots.iter().map(|lot| Scope::lot(kind, *lot)).collect()
            }
            _ => {
                let stages: Option<BTreeSet<_>> =
                    self.states.iter().map(|state| D::stage_of(*state)).collect();
                match stages.filter(|stages| !stages.is_empty()) {
                    None => vec![Scope::tenant(kind, tenant)],
                    Some(stages) => {
                        stages.into_iter().map(|stage| Scope::stage(kind, tenant, stage)).collect()
                    }
                }
            }
        }
    }

    /// The first place in the list at which it could be.
    fn begins(&self) -> Option<Position> {
        let newest = self.to.map(|to| Position::new(to, Uuid::nil()));
        self.after.max(newest)
    }
}

/// Part of what was found, in order.
#[derive(Clone, Debug)]
pub struct Page<D> {
    /// What was found.
    pub items: Vec<Found<D>>,
    /// Where the next page begins; nothing on the last one.
    pub next: Option<Position>,
}

impl Base {
    /// A page of what is looked for; empty for a tenant that is not known.
    pub(super) fn page<D: Listed>(&self, query: &Query<D>) -> Result<Page<D>, JournalError> {
        let mut page = Page { items: Vec::new(), next: None };
        let Some(tenant) = self.tenant(&query.tenant)? else { return Ok(page) };
        if let Some(reference) = query.reference {
            return self.called_by(reference, query, tenant);
        }
        let begins = query.begins();
        let scopes = query.scopes(tenant);
        let mut merge = Merge::new(self.tree(), &scopes, begins);
        let mut last = None;
        for _ in 0..LOOKED_AT_MAX {
            let Some(position) =
                merge.next().transpose().map_err(|error| self.wrong("read", &error))?
            else {
                return Ok(page);
            };
            if query.from.is_some_and(|from| position.at() < from) {
                return Ok(page);
            }
            if page.items.len() == query.limit {
                page.next = last;
                return Ok(page);
            }
            last = Some(position);
            let found = self
                .document::<D>(position.id())?
                .filter(|found| query.admits(found.stamp.lot, &found.document));
            if let Some(found) = found
                && self.is_of(found.stamp.lot, tenant)?
            {
                page.items.push(found);
            }
        }
        page.next = last;
        Ok(page)
    }

    /// What is called by a reference: one, or the few that share it.
    fn called_by<D: Listed>(
        &self,
        reference: Reference,
        query: &Query<D>,
        tenant: u32,
    ) -> Result<Page<D>, JournalError> {
        let mut items = Vec::new();
        for found in self.called::<D>(reference)? {
            let is_wanted = query.admits(found.stamp.lot, &found.document);
            if is_wanted && self.is_of(found.stamp.lot, tenant)? {
                items.push(found);
            }
        }
        items.sort_by_key(|found| found.document.position());
        let is_cut = items.len() > query.limit;
        items.truncate(query.limit);
        let next = items.last().map(|found| found.document.position()).filter(|_| is_cut);
        Ok(Page { items, next })
    }
}

/// Entries of several indexes as one list.
struct Merge<'a> {
    parts: Vec<Peekable<Keys<'a>>>,
    last: Option<Position>,
}

impl<'a> Merge<'a> {
    fn new(tree: &'a Tree, scopes: &[Scope], begins: Option<Position>) -> Self {
        let part = |scope: &Scope| match begins {
            Some(begins) => tree.keys(&scope.entry(begins), scope.prefix()).peekable(),
            None => tree.keys(scope.prefix(), scope.prefix()).peekable(),
        };
        Self { parts: scopes.iter().map(part).collect(), last: None }
    }

    fn next_of_all(&mut self) -> Option<lsm_tree::Result<Position>> {
        let mut first: Option<(usize, Position)> = None;
        for (number, part) in self.parts.iter_mut().enumerate() {
            match part.peek() {
                None => {}
                // Taken out, because it cannot be copied.
                Some(Err(_)) => return part.next().and_then(Result::err).map(Err),
                Some(Ok(key)) => {
                    // A key that is too short is nobody's: told apart from an end by being first of all.
                    let position = Position::of_key(key)?;
                    if first.is_none_or(|(_, least)| position < least) {
                        first = Some((number, position));
                    }
                }
            }
        }
        let (number, position) = first?;
        self.parts[number].next();
        Some(Ok(position))
    }
}

impl Iterator for Merge<'_> {
    type Item = lsm_tree::Result<Position>;

    fn next(&mut self) -> Option<lsm_tree::Result<Position>> {
        loop {
            match self.next_of_all()? {
                Ok(position) if self.last == Some(position) => {}
                Ok(position) => {
                    self.last = Some(position);
                    return Some(Ok(position));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// What the index says of a document, for the entries that must be there.
pub(super) fn scopes_of<D: Listed>(lot: LotKey, tenant: u32, document: &D) -> Vec<Scope> {
    let kind = D::KIND;
    let mut scopes = vec![Scope::tenant(kind, tenant), Scope::lot(kind, lot)];
    scopes.extend(D::stage_of(document.phase()).map(|stage| Scope::stage(kind, tenant, stage)));
    scopes.extend(document.held_by().map(|holder| Scope::holder(kind, holder)));
    scopes.extend(document.of_vehicle().map(|vehicle| Scope::vehicle(kind, vehicle)));
    if kind == Kind::Session {
        scopes.extend(document.of_reservation().map(|id| Scope::reservation(kind, id)));
    }
    scopes
}
