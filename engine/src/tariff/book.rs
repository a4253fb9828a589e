//! All tariffs a lot knows, and which one a stay is priced by.
//!
//! A tariff is assigned to a scope, for one vehicle type or for any; its versions take turns by themselves.
//! The slot's wins over its zone's, the lot's, the tenant's; within one, a vehicle type's over any; of several
//! the one that has begun last. Where none is in force, the next scope decides. Cheap to clone.
//!
//! Deliberately absent: what a booking froze. It names id and version, and [`Book::version`] finds them.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::Tariff;
use crate::ids::{SlotIndex, TariffId, ZoneIndex};
use crate::limits;
use crate::time::Timestamp;

/// What a tariff is for; the narrower comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One slot.
    Slot(SlotIndex),
    /// A zone.
    Zone(ZoneIndex),
    /// The lot.
    Lot,
    /// Every lot of the tenant.
    Tenant,
}

/// A tariff's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Where.
    pub scope: Scope,
    /// For which vehicles; `None`: for all.
    pub vehicle_type: Option<Box<str>>,
    /// By which tariff, in the version that is in force.
    pub tariff: TariffId,
}

/// All tariffs a lot knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    tariffs: OrdMap<(TariffId, u32), Arc<Tariff>>,
    assignments: OrdMap<Scope, Vector<Assignment>>,
}

/// Why a book does not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is full.
    #[error("a lot knows at most {max} tariffs and versions; take away old ones")]
    Full {
        /// The most.
        max: usize,
    },
    /// A scope has all it can have.
    #[error("at most {max} tariffs are assigned to one slot, zone, lot or tenant; end old ones")]
    Crowded {
        /// The most.
        max: usize,
    },
    /// An assignment to a tariff that is not there.
    #[error("tariff {0} is not there; upload it first")]
    Unknown(TariffId),
}

impl Book {
    /// From the parts of a snapshot.
    #[must_use]
    pub fn from_parts(
        tariffs: impl IntoIterator<Item = Arc<Tariff>>,
        assignments: impl IntoIterator<Item = Assignment>,
    ) -> Self {
        let mut book = Self::default();
        for tariff in tariffs {
            book.put(tariff);
        }
        for assignment in assignments {
            book.assign(assignment);
        }
        book
    }

    /// Whether a version can be put, and an assignment made.
    ///
    /// # Errors
    /// A full book or scope, an assignment to a tariff that is not there.
    pub fn check(
        &self,
        new: Option<&Tariff>,
        assignment: Option<&Assignment>,
    ) -> Result<(), Refused> {
        let is_new =
            new.is_some_and(|tariff| !self.tariffs.contains_key(&(tariff.id, tariff.version)));
        if is_new && self.tariffs.len() >= limits::TARIFFS_PER_LOT_MAX {
            return Err(Refused::Full { max: limits::TARIFFS_PER_LOT_MAX });
        }
        let Some(assignment) = assignment else { return Ok(()) };
        let tariff = assignment.tariff;
        if new.is_none_or(|new| new.id != tariff) && self.latest(tariff).is_none() {
            return Err(Refused::Unknown(tariff));
        }
        let max = limits::ASSIGNMENTS_PER_SCOPE_MAX;
        let full = |here: &Vector<Assignment>| here.len() >= max && !here.contains(assignment);
        if self.assignments.get(&assignment.scope).is_some_and(full) {
            return Err(Refused::Crowded { max });
        }
        Ok(())
    }

    /// Adds a version, or puts it in the place of the one with its number.
    pub fn put(&mut self, tariff: Arc<Tariff>) {
        self.tariffs.insert((tariff.id, tariff.version), tariff);
    }

    /// Takes a version away; `false` where it is not there.
    pub fn take(&mut self, id: TariffId, version: u32) -> bool {
        self.tariffs.remove(&(id, version)).is_some()
    }

    /// Ends all versions of a tariff at an instant, those that end earlier excepted.
    pub fn end(&mut self, id: TariffId, at: Timestamp) {
        let later = |tariff: &&Arc<Tariff>| tariff.valid_until.is_none_or(|until| at < until);
        let versions: Vec<Arc<Tariff>> = self.versions(id).filter(later).cloned().collect();
        for version in versions {
            self.put(Arc::new(Tariff { valid_until: Some(at), ..(*version).clone() }));
        }
    }

    /// Uses a tariff for a scope and vehicle type; what is assigned there stays beside it.
    pub fn assign(&mut self, assignment: Assignment) {
        let here = self.assignments.entry(assignment.scope).or_default();
        if !here.contains(&assignment) {
            here.push_back(assignment);
        }
    }

    /// Ends such a use; `false` where it is not there.
    pub fn unassign(&mut self, assignment: &Assignment) -> bool {
        let Some(here) = self.assignments.get_mut(&assignment.scope) else { return false };
        let before = here.len();
        here.retain(|other| other != assignment);
        let found = here.len() < before;
        if here.is_empty() {
            self.assignments.remove(&assignment.scope);
        }
        found
    }

    /// The tariff a stay that begins at an instant is priced by.
    #[must_use]
    pub fn select(
        &self,
        slot: Option<SlotIndex>,
        zone: Option<ZoneIndex>,
        vehicle_type: Option<&str>,
        at: Timestamp,
    ) -> Option<Arc<Tariff>> {
        let narrow = [slot.map(Scope::Slot), zone.map(Scope::Zone)].into_iter().flatten();
        let mut scopes = narrow.chain([Scope::Lot, Scope::Tenant]);
        scopes.find_map(|scope| {
            let here = self.assignments.get(&scope)?;
            let own = vehicle_type.and_then(|wanted| self.newest(here, Some(wanted), at));
            own.or_else(|| self.newest(here, None, at)).cloned()
        })
    }

    /// One version, in force or not: what a booking froze.
    #[must_use]
    pub fn version(&self, id: TariffId, version: u32) -> Option<&Arc<Tariff>> {
        self.tariffs.get(&(id, version))
    }

    /// The version with the largest number.
    #[must_use]
    pub fn latest(&self, id: TariffId) -> Option<&Arc<Tariff>> {
        self.versions(id).next_back()
    }

    /// All versions of a tariff, by number.
    pub fn versions(&self, id: TariffId) -> impl DoubleEndedIterator<Item = &Arc<Tariff>> {
        self.tariffs.range((id, 0)..=(id, u32::MAX)).map(|(_, tariff)| tariff)
    }

    /// Whether it knows no tariff at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tariffs.is_empty()
    }

    /// All tariffs in all versions: a part of a snapshot.
    pub fn tariffs(&self) -> impl Iterator<Item = &Arc<Tariff>> {
        self.tariffs.values()
    }

    /// All assignments: the other part.
    pub fn assignments(&self) -> impl Iterator<Item = &Assignment> {
        self.assignments.values().flatten()
    }

    /// The assignments to one scope, oldest first.
    pub fn assigned_to(&self, scope: Scope) -> impl Iterator<Item = &Assignment> {
        self.assignments.get(&scope).into_iter().flatten()
    }

    /// Of the assignments for exactly this vehicle type, the tariff in force that has begun last.
    fn newest(
        &self,
        here: &Vector<Assignment>,
        vehicle_type: Option<&str>,
        at: Timestamp,
    ) -> Option<&Arc<Tariff>> {
        let meant = here.iter().filter(|other| other.vehicle_type.as_deref() == vehicle_type);
        let in_force = |assignment: &Assignment| {
            self.versions(assignment.tariff).rfind(|tariff| tariff.in_force(at))
        };
        meant.filter_map(in_force).max_by_key(|tariff| (tariff.valid_from, tariff.id))
    }
}
