//! Stays, reservations and money of all times: what the history has, and what lots know that it has not yet.
//!
//! Invariants: each one comes once, as the lots know it where they know more; a page's end is a cursor that stays
//! good while things go on. What is younger than the history comes from lots that changed since; they are few,
//! because it is a moment behind, unless it is being made anew: then all lots are looked at, and what they have
//! forgotten is missing until the history has come that far. [`Listing::as_of_seq`] says so.

mod follower;
mod signal;

use std::collections::BTreeMap;
use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, ReservationId, SessionId};
use lotkeeper_engine::lot::{Owner, Payment, Posting, Register, Reservation, Session};
use lotkeeper_storage::JournalError;
use lotkeeper_storage::history::{Found, Listed, Meta, Page, Position, Query};
use uuid::Uuid;

pub(crate) use follower::run;
pub(crate) use signal::Following;

use crate::directory::LotHandle;
use crate::engine::{Engine, Shared};
use crate::view::LotView;

/// Pages of the history that one listing asks for, at most: more are needed only where lots know most of it better.
const PAGES_MAX: usize = 8;

/// So few lots that are asked for by name are looked at as they are at one sequence, whatever the history has: a
/// page of one lot is what was true of it at one instant.
const LOTS_WHOLE_MAX: usize = 8;

/// See the module. A copy is the same history.
#[derive(Clone)]
pub struct History {
    shared: Arc<Shared>,
}

/// One of a listing.
#[derive(Debug)]
pub struct Item<D> {
    /// Its lot.
    pub lot: LotHandle,
    /// The lot's sequence it is as of.
    pub lot_seq: u64,
    /// What it says.
    pub document: Arc<D>,
}

/// A page of what was looked for, the newest first.
#[derive(Debug)]
pub struct Listing<D> {
    /// What was found.
    pub items: Vec<Item<D>>,
    /// Where the next page begins; nothing on the last one.
    pub next: Option<Position>,
    /// Up to where the history has everything; what came later is from the lots.
    pub as_of_seq: u64,
}

/// What a lot remembers of a kind.
pub trait Remembered: Listed {
    /// All that it remembers.
    fn all(lot: &Register) -> Box<dyn Iterator<Item = &Arc<Self>> + '_>;
    /// One of them.
    fn one(lot: &Register, id: Uuid) -> Option<&Arc<Self>>;
}

impl Remembered for Session {
    fn all(lot: &Register) -> Box<dyn Iterator<Item = &Arc<Self>> + '_> {
        Box::new(lot.stays().all())
    }

    fn one(lot: &Register, id: Uuid) -> Option<&Arc<Self>> {
        lot.stays().get(SessionId(id))
    }
}

impl Remembered for Reservation {
    fn all(lot: &Register) -> Box<dyn Iterator<Item = &Arc<Self>> + '_> {
        Box::new(lot.reservations())
    }

    fn one(lot: &Register, id: Uuid) -> Option<&Arc<Self>> {
        lot.reservation(ReservationId(id))
    }
}

impl Engine {
    /// What was, beside what is.
    #[must_use]
    pub fn history(&self) -> History {
        History { shared: Arc::clone(&self.shared) }
    }
}

/// Lots that changed since the history's newest record, as they are now.
type Younger = BTreeMap<LotKey, (LotHandle, Arc<LotView>)>;

impl History {
    /// Up to where it has everything, in the one global sequence; 0 where there is none.
    #[must_use]
    pub fn applied_seq(&self) -> u64 {
        self.shared.following.applied()
    }

    /// What it says of itself; nothing where there is none, or not yet.
    #[must_use]
    pub fn meta(&self) -> Option<Meta> {
        self.shared.following.store().map(|store| store.meta())
    }

    /// A page of stays or reservations.
    ///
    /// # Errors
    /// Damage, after which the history is made anew; the disk.
    pub fn list<D: Remembered>(&self, query: &Query<D>) -> Result<Listing<D>, JournalError> {
        let as_of_seq = self.applied_seq();
        // Lots first: what one of them forgets from here on is in what the history has by then.
        let younger = self.younger(query, as_of_seq);
        let mut found: BTreeMap<Position, Item<D>> = BTreeMap::new();
        let mut horizon = None;
        let mut of_lots = self.of_lots(query, &younger);
        if let Some(store) = self.shared.following.store() {
            let mut query = query.clone();
            for _ in 0..PAGES_MAX {
                let Page { items, next } = self.heard(store.page(&query))?;
                let unknown = items.into_iter().filter_map(|found| self.unless(found, &younger));
                found.extend(unknown);
                horizon = next;
                query.after = next;
                if next.is_none() || found.len() >= query.limit {
                    break;
                }
            }
        }
        // Beyond its last page the history may have something between two of the lots.
        if let Some(horizon) = horizon {
            of_lots.retain(|position, _| *position <= horizon);
        }
        found.append(&mut of_lots);
        let is_cut = found.len() > query.limit;
        let mut items: Vec<_> = found.into_iter().collect();
        items.truncate(query.limit);
        let last = items.last().map(|(position, _)| *position);
        let next = if is_cut { last } else { horizon };
        let items = items.into_iter().map(|(_, item)| item).collect();
        Ok(Listing { items, next, as_of_seq })
    }

    /// Whoever meets damage wakes the one who makes the history anew.
    fn heard<T>(&self, asked: Result<T, JournalError>) -> Result<T, JournalError> {
        asked.inspect_err(|error| {
            tracing::error!(%error, "the history cannot be read");
            self.shared.following.ring();
        })
    }

    fn younger<D: Remembered>(&self, query: &Query<D>, as_of_seq: u64) -> Younger {
        let directory = &self.shared.directory;
        let lots = match &query.lots {
            Some(lots) => lots.iter().filter_map(|lot| directory.by_key(*lot)).collect(),
            None => directory.of_tenant(&query.tenant),
        };
        let lots = lots.into_iter().filter(|lot| lot.tenant() == &*query.tenant);
        let whole = query.lots.as_ref().is_some_and(|lots| lots.len() <= LOTS_WHOLE_MAX);
        let lots = lots.filter(|lot| whole || lot.0.kept_seq() > as_of_seq);
        lots.map(|lot| (lot.key(), (lot.clone(), lot.view()))).collect()
    }

    /// The first of what lots have, as many as the query wants and one more.
    fn of_lots<D: Remembered>(
        &self,
        query: &Query<D>,
        younger: &Younger,
    ) -> BTreeMap<Position, Item<D>> {
        let mut first = BTreeMap::new();
        for (key, (lot, view)) in younger {
            for document in D::all(&view.lot).filter(|document| query.admits(*key, document)) {
                let document = Arc::clone(document);
                let item = Item { lot: lot.clone(), lot_seq: view.lot_seq, document };
                first.insert(item.document.position(), item);
                if first.len() > query.limit + 1 {
                    first.pop_last();
                }
            }
        }
        first
    }

    /// Something of the history that no lot knows better.
    fn unless<D: Remembered>(
        &self,
        found: Found<D>,
        younger: &Younger,
    ) -> Option<(Position, Item<D>)> {
        let position = found.document.position();
        let known = younger.get(&found.stamp.lot);
        let is_known = |view: &LotView| {
            // What came after the view would stand beside what it has as it was before.
            found.stamp.lot_seq > view.lot_seq || D::one(&view.lot, position.id()).is_some()
        };
        if known.is_some_and(|(_, view)| is_known(view)) {
            return None;
        }
        Some((position, self.item(found)?))
    }

    fn item<D>(&self, found: Found<D>) -> Option<Item<D>> {
        let lot = self.shared.directory.by_key(found.stamp.lot)?;
        Some(Item { lot, lot_seq: found.stamp.lot_seq, document: found.document })
    }

    /// A stay of a tenant, however long ago.
    ///
    /// # Errors
    /// As [`History::list`].
    pub fn session(
        &self,
        tenant: &str,
        id: SessionId,
    ) -> Result<Option<Item<Session>>, JournalError> {
        if let Some(item) = self.remembered(tenant, id.0) {
            return Ok(Some(item));
        }
        let Some(store) = self.shared.following.store() else { return Ok(None) };
        Ok(self.heard(store.session(tenant, id))?.and_then(|found| self.item(found)))
    }

    /// A reservation of a tenant, however long ago.
    ///
    /// # Errors
    /// As [`History::list`].
    pub fn reservation(
        &self,
        tenant: &str,
        id: ReservationId,
    ) -> Result<Option<Item<Reservation>>, JournalError> {
        if let Some(item) = self.remembered(tenant, id.0) {
            return Ok(Some(item));
        }
        let Some(store) = self.shared.following.store() else { return Ok(None) };
        Ok(self.heard(store.reservation(tenant, id))?.and_then(|found| self.item(found)))
    }

    /// What a lot knows now.
    fn remembered<D: Remembered>(&self, tenant: &str, id: Uuid) -> Option<Item<D>> {
        let key = self.shared.claims.lot_of(id)?;
        let lot = self.shared.directory.by_key(key).filter(|lot| lot.tenant() == tenant)?;
        let view = lot.view();
        let document = Arc::clone(D::one(&view.lot, id)?);
        Some(Item { lot_seq: view.lot_seq, document, lot })
    }

    /// Payments for a reservation or stay that the history has, the newest first.
    ///
    /// # Errors
    /// As [`History::list`].
    pub fn payments_of(&self, owner: Owner) -> Result<Vec<Item<Payment>>, JournalError> {
        let Some(store) = self.shared.following.store() else { return Ok(Vec::new()) };
        let found = self.heard(store.payments_of(owner))?.into_iter();
        Ok(found.filter_map(|found| self.item(found)).collect())
    }

    /// Postings about a reservation or stay that the history has, the newest first.
    ///
    /// # Errors
    /// As [`History::list`].
    pub fn postings_of(&self, owner: Owner) -> Result<Vec<Item<Posting>>, JournalError> {
        let Some(store) = self.shared.following.store() else { return Ok(Vec::new()) };
        let found = self.heard(store.postings_of(owner))?.into_iter();
        Ok(found.filter_map(|found| self.item(found)).collect())
    }
}
