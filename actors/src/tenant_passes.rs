//! Passes that are good in all lots of a tenant: what all lots used of them together, and who may use what is left.
//!
//! The lot that issued a pass owns it, and every use is an event of the lot where it was made. This follows from
//! the lots' durable views, records come through the publisher's door here as there, so a start rebuilds it from
//! the journal. What is only here is a use on its way: set aside before the lot is asked, it counts as used until
//! the stay is in the log or the lot's answer says that it was not needed. So two gates never both take the last
//! one, and at most somebody is refused a use that another gate then leaves.
//!
//! Invariant: no other lock is taken while a guard of these maps is held. Absent: what a pass is and what a lot
//! does with it (the engine).

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;
use lotkeeper_engine::ids::{LotKey, PassId, Pseudonym, SessionId};
use lotkeeper_engine::limits::PASSES_PER_TENANT_MAX;
use lotkeeper_engine::lot::guest::{Calendar, period_of};
use lotkeeper_engine::lot::pass::{Left, Pass, Per, Reach, State, Used};
use lotkeeper_engine::lot::session::Direction;
use lotkeeper_engine::lot::{Credential, Honour, Register, Scan, TenantPass};
use lotkeeper_engine::tariff::Zone;
use lotkeeper_engine::time::{Seconds, Timestamp};
use smallvec::SmallVec;

/// All passes of tenants.
#[derive(Default)]
pub(crate) struct TenantPasses {
    known: DashMap<PassId, Known>,
    /// A pseudonym belongs to one tenant.
    by_vehicle: DashMap<Pseudonym, SmallVec<[PassId; 1]>>,
    /// How many go on, by tenant.
    going_on: DashMap<Box<str>, usize>,
}

/// A pass with its lot's calendar.
struct Home {
    pass: Arc<Pass>,
    tenant: Box<str>,
    zone: Zone,
    zone_name: Box<str>,
}

/// What is known of one pass.
#[derive(Default)]
struct Known {
    /// Nothing until its own lot is there: lots are restored one after the other.
    home: Option<Home>,
    /// What each lot used.
    used: BTreeMap<LotKey, (Per, Used)>,
    /// Entries that are on their way, and the period each of them falls in.
    on_the_way: SmallVec<[(SessionId, i64); 1]>,
}

impl Known {
    /// What all lots used in a period; another length of period was another pass.
    fn used_in(&self, per: Per, period: i64) -> Used {
        let mut sum = Used { period, ..Used::default() };
        let uses = self.used.values().filter(|(by, used)| *by == per && used.period == period);
        for (_, used) in uses {
            sum.entries = sum.entries.saturating_add(used.entries);
            sum.stayed = Seconds(sum.stayed.0.saturating_add(used.stayed.0));
        }
        sum
    }

    /// What may be used of it at an instant.
    fn honour(&self, at: Timestamp) -> Option<Honour> {
        let home = self.home.as_ref().filter(|home| home.pass.is_good_at(at))?;
        let per = home.pass.terms.per();
        let period = period_of(per, &home.zone, at);
        let mut used = self.used_in(per, period);
        let coming = self.on_the_way.iter().filter(|(_, falls_in)| *falls_in == period).count();
        let coming = u32::try_from(coming).unwrap_or(u32::MAX);
        used.entries = used.entries.saturating_add(coming);
        let left = home.pass.left_of(used);
        let by = || Calendar { per, zone: home.zone_name.clone() };
        (left != Left::Nothing).then(|| Honour::of(&home.pass, left, period, by()))
    }

    fn is_empty(&self) -> bool {
        self.home.is_none() && self.used.is_empty() && self.on_the_way.is_empty()
    }
}

impl TenantPasses {
    /// Whether the tenant may have one more. What is being issued at this moment may go beyond it.
    pub fn has_room(&self, tenant: &str) -> bool {
        self.going_on.get(tenant).is_none_or(|count| *count < PASSES_PER_TENANT_MAX)
    }

    /// A vehicle is at a gate. What it may use is set aside until it is released, or is counted.
    pub fn set_aside(
        &self,
        vehicle: Pseudonym,
        session: SessionId,
        at: Timestamp,
        dry_run: bool,
    ) -> Option<TenantPass> {
        // A copy: no second guard is taken under the first.
        let passes = self.by_vehicle.get(&vehicle).map(|passes| passes.clone())?;
        for id in passes {
            let Some(mut known) = self.known.get_mut(&id) else { continue };
            let Some(honour) = known.honour(at) else { continue };
            if !dry_run {
                known.on_the_way.push((session, honour.period));
            }
            return Some(TenantPass::Good(Box::new(honour)));
        }
        Some(TenantPass::NotGood)
    }

    /// A use that was set aside is not on its way any more.
    pub fn release(&self, id: PassId, session: SessionId) {
        if let Some(mut known) = self.known.get_mut(&id) {
            known.on_the_way.retain(|(coming, _)| *coming != session);
        }
        self.known.remove_if(&id, |_, known| known.is_empty());
    }

    /// Takes from a lot's durable state what it says of a pass; `entered` is the stay that began with it. Whether
    /// the lot has not heard where the pass is now.
    pub fn take(
        &self,
        (lot, register): (LotKey, &Register),
        id: PassId,
        entered: Option<SessionId>,
    ) -> bool {
        let passes = register.passes();
        match (passes.get(id), passes.guest(id)) {
            (Some(pass), _) if pass.reach == Reach::Tenant => {
                self.take_home(lot, register, pass, entered);
                false
            }
            (Some(_), _) => false,
            (None, Some(guest)) => {
                let mut known = self.known.entry(id).or_default();
                known.used.insert(lot, (guest.by.per, guest.used));
                known.on_the_way.retain(|(coming, _)| Some(*coming) != entered);
                let now = known.home.as_ref().map_or(State::Ended, |home| home.pass.state);
                now != guest.state
            }
            (None, None) => {
                self.forget(lot, id);
                false
            }
        }
    }

    fn take_home(
        &self,
        lot: LotKey,
        register: &Register,
        pass: &Arc<Pass>,
        entered: Option<SessionId>,
    ) {
        let spec = register.spec();
        let home = Home {
            pass: Arc::clone(pass),
            tenant: spec.tenant.clone(),
            zone: register.zone().clone(),
            zone_name: spec.place.time_zone.clone(),
        };
        let mut known = self.known.entry(pass.id).or_default();
        known.used.insert(lot, (pass.terms.per(), pass.used));
        known.on_the_way.retain(|(coming, _)| Some(*coming) != entered);
        let before = known.home.replace(home);
        drop(known);
        let goes_on = |pass: &Pass| pass.state != State::Ended;
        let did = before.as_ref().is_some_and(|before| goes_on(&before.pass));
        self.count(&spec.tenant, did, goes_on(pass));
        let old = before.as_ref().map_or(&[][..], |before| &before.pass.terms.vehicles);
        if old != pass.terms.vehicles {
            self.leave_lookup(pass.id, old);
            for vehicle in &pass.terms.vehicles {
                let mut passes = self.by_vehicle.entry(*vehicle).or_default();
                if let Err(place) = passes.binary_search(&pass.id) {
                    passes.insert(place, pass.id);
                }
            }
        }
    }

    /// A lot knows a pass no more: its own, or one that it used.
    pub fn forget(&self, lot: LotKey, id: PassId) {
        let Some(mut known) = self.known.get_mut(&id) else { return };
        known.used.remove(&lot);
        drop(known);
        self.known.remove_if(&id, |_, known| known.is_empty());
    }

    /// The lot that issued a pass remembers it no more.
    pub fn forget_home(&self, lot: LotKey, id: PassId) {
        let gone = self.known.get_mut(&id).and_then(|mut known| known.home.take());
        let Some(gone) = gone else { return };
        self.count(&gone.tenant, gone.pass.state != State::Ended, false);
        self.leave_lookup(id, &gone.pass.terms.vehicles);
        self.forget(lot, id);
    }

    fn count(&self, tenant: &str, did: bool, does: bool) {
        if did == does {
            return;
        }
        let mut count = self.going_on.entry(tenant.into()).or_default();
        *count = if does { count.saturating_add(1) } else { count.saturating_sub(1) };
    }

    fn leave_lookup(&self, id: PassId, vehicles: &[Pseudonym]) {
        for vehicle in vehicles {
            if let Some(mut passes) = self.by_vehicle.get_mut(vehicle) {
                passes.retain(|other| *other != id);
            }
            self.by_vehicle.remove_if(vehicle, |_, passes| passes.is_empty());
        }
    }

    /// Where a pass is, and since when; one that is not known has ended at some time.
    pub fn state(&self, id: PassId, now: Timestamp) -> (State, Timestamp) {
        let known = self.known.get(&id);
        let Some(home) = known.as_ref().and_then(|known| known.home.as_ref()) else {
            return (State::Ended, now);
        };
        let (changed, to) = (home.pass.updated_at, home.pass.terms.valid.to);
        match home.pass.state {
            State::Ended => (State::Ended, changed.min(to)),
            state @ (State::Active | State::Paused) => (state, changed),
        }
    }

    /// The lots in which a pass was used.
    pub fn lots_of(&self, id: PassId) -> Vec<LotKey> {
        self.known.get(&id).map_or_else(Vec::new, |known| known.used.keys().copied().collect())
    }

    /// What all lots used together in the newest period in which any did.
    pub fn used(&self, id: PassId) -> Option<Used> {
        let known = self.known.get(&id)?;
        let per = known.home.as_ref()?.pass.terms.per();
        let periods = known.used.values().filter(|(by, _)| *by == per).map(|(_, used)| used.period);
        Some(known.used_in(per, periods.max()?))
    }

    /// Whether a vehicle has one, good or not.
    pub fn has(&self, vehicle: Pseudonym) -> bool {
        self.by_vehicle.contains_key(&vehicle)
    }
}

/// A use set aside for one command on its way; dropped with it, whatever became of it.
pub(crate) struct Aside {
    passes: Arc<TenantPasses>,
    id: PassId,
    session: SessionId,
}

impl Aside {
    /// Sets aside what a scan may use, and tells the scan.
    pub fn take(passes: &Arc<TenantPasses>, scan: &mut Scan, now: Timestamp) -> Option<Self> {
        let is_plate = matches!(scan.credential, Credential::Plate { .. });
        let vehicle = scan.vehicle().filter(|_| is_plate && scan.direction == Direction::Entry)?;
        let at = scan.observed_at.map_or(now, |at| at.min(now));
        scan.tenant_pass = passes.set_aside(vehicle, scan.id, at, scan.dry_run);
        match &scan.tenant_pass {
            Some(TenantPass::Good(honour)) if !scan.dry_run => {
                Some(Self { passes: Arc::clone(passes), id: honour.id, session: scan.id })
            }
            Some(TenantPass::Good(_) | TenantPass::NotGood) | None => None,
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.passes.release(self.id, self.session);
    }
}
