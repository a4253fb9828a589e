//! What stands in all lots of a tenant, so that a lot which comes later takes it over: its tariffs.
//!
//! Every lot has what stands in its own log, there is no second copy. A new lot takes it from the lots there are,
//! in the events of its creation. While somebody changes it lot by lot no lot of that tenant comes to be, else one
//! could be made of the old between. Absent: passes of the tenant, which no lot needs to be told of
//! (`tenant_passes.rs`).

use std::sync::Arc;

use dashmap::DashMap;
use lotkeeper_engine::ids::TariffId;
use lotkeeper_engine::lot::TariffChange;
use lotkeeper_engine::tariff::{Assignment, Scope, Tariff};
use lotkeeper_engine::time::Timestamp;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::directory::LotHandle;

/// Who creates lots of a tenant, and who changes what stands in all of them; never both.
#[derive(Default)]
pub(crate) struct Standing(DashMap<Box<str>, Arc<RwLock<()>>>);

/// While it is there, no lot of the tenant comes to be.
#[derive(Debug)]
pub struct NoNewLots(#[allow(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>);

/// A lot is on its way; it goes with the command, so that a caller who hangs up lets nobody in between.
#[derive(Debug)]
pub(crate) struct Coming(#[allow(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>);

impl Standing {
    fn of(&self, tenant: &str) -> Arc<RwLock<()>> {
        let known = self.0.get(tenant).map(|lock| Arc::clone(&lock));
        known.unwrap_or_else(|| Arc::clone(&self.0.entry(tenant.into()).or_default()))
    }

    pub async fn coming(&self, tenant: &str) -> Coming {
        Coming(self.of(tenant).read_owned().await)
    }

    pub async fn no_new_lots(&self, tenant: &str) -> NoNewLots {
        NoNewLots(self.of(tenant).write_owned().await)
    }
}

/// A tariff as the lot has it that knows most of it.
struct Found {
    id: TariffId,
    /// The newest version, and until when it holds.
    rank: (u32, Timestamp),
    versions: Vec<Arc<Tariff>>,
}

/// What a new lot takes over: the tenant's tariffs that are not over, with their versions, and for which vehicles
/// each is. Where lots differ (somebody ended it in one), the newest version counts, and the longest.
pub(crate) fn tariffs(lots: &[LotHandle], now: Timestamp) -> Vec<TariffChange> {
    let mut assignments: Vec<Assignment> = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    for lot in lots {
        let view = lot.view();
        let book = view.lot.tariffs();
        for assignment in book.assigned_to(Scope::Tenant) {
            let id = assignment.tariff;
            let Some(newest) = book.latest(id) else { continue };
            if !assignments.contains(assignment) {
                assignments.push(assignment.clone());
            }
            let rank = (newest.version, newest.valid_until.unwrap_or(Timestamp::MAX));
            let place = found.iter().position(|found| found.id == id);
            if place.is_some_and(|place| found[place].rank >= rank) {
                continue;
            }
            let holds = |tariff: &&Arc<Tariff>| tariff.valid_until.is_none_or(|until| now < until);
            let best =
                Found { id, rank, versions: book.versions(id).filter(holds).cloned().collect() };
            match place {
                Some(place) => found[place] = best,
                None => found.push(best),
            }
        }
    }
    let holds = |id: TariffId| found.iter().any(|f| f.id == id && !f.versions.is_empty());
    assignments.retain(|assignment| holds(assignment.tariff));
    let versions = found.into_iter().flat_map(|found| found.versions).map(TariffChange::Put);
    versions.chain(assignments.into_iter().map(TariffChange::Assign)).collect()
}
