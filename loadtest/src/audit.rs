//! After the load: waits until every watcher has what the server has, then compares everything that was
//! acknowledged with what the server shows. Fetches; judging is `verify`'s work.
//!
//! Deadlines (holds that begin or end) go on without load, so a comparison names the sequence it is made
//! at, and is made again when the lot went on meanwhile. All waiting ends at one deadline.

use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::error::LoadError;
use crate::fleet::Fleet;
use crate::http::{HttpClient, get};
use crate::model::ShardModel;
use crate::subscriber::Watched;
use crate::verify::{
    Check, NOTHING_OVERLAPS, PROMISES_ARE_KEPT, Promise, PromiseState, READINGS_ARE_KEPT,
    STREAM_ENDS_RIGHT, StreamFold, compare_model, compare_stream, overlaps, promises_kept,
};
use crate::wire::{Availability, Counts, Page, Reservation, SlotItem, Status};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// How long watchers may take to receive what is on its way.
const DRAIN_US_MAX: u64 = 30 * MICROS_PER_SECOND;
/// Attempts at a comparison while deadlines move the lot on.
const ATTEMPTS_MAX: usize = 20;
/// The contract's largest page.
const PAGE_ITEMS: usize = 500;
/// Pages of one list; more means that a cursor goes in circles.
const PAGES_MAX: usize = 20_000;
/// Reservations that a list did not have and that are asked for one by one.
const LOOK_UPS_MAX: usize = 1_000;

/// The one who compares.
#[derive(Debug)]
pub struct Audit {
    client: HttpClient,
    clock: Clock,
    fleet: Arc<Fleet>,
    deadline_us: u64,
}

/// A lot as the server shows it at one sequence.
#[derive(Debug)]
struct Shown {
    seq: u64,
    counts: Counts,
    statuses: BTreeMap<String, Status>,
}

impl Audit {
    /// Begins now; the client speaks as operator.
    pub fn new(client: HttpClient, clock: Clock, fleet: Arc<Fleet>) -> Self {
        Self { client, clock, fleet, deadline_us: clock.now_us() + DRAIN_US_MAX }
    }

    /// Every watched lot against the server, at the same sequence.
    pub async fn streams(&mut self, watched: &[Arc<Watched>]) -> Check {
        let mut check = Check::new(STREAM_ENDS_RIGHT, "watched lots");
        for watched in watched {
            check.examine(1);
            if let Err(error) = self.stream(watched, &mut check).await {
                check.fault(error);
            }
        }
        check
    }

    async fn stream(&mut self, watched: &Watched, check: &mut Check) -> Result<(), LoadError> {
        let lot = self.fleet.lots[watched.lot].code.clone();
        for _ in 0..ATTEMPTS_MAX {
            let shown = self.shown(&lot).await?;
            let arrived = |fold: &StreamFold| fold.seq() >= Some(shown.seq);
            if !self.wait_until(watched, arrived).await {
                let seq = watched.fold().seq();
                check.fault(format!(
                    "lot {lot}: a subscriber stays at seq {seq:?}, the server is at {}",
                    shown.seq
                ));
                return Ok(());
            }
            // The counts view is paced and does not say every seq: what it must reach is the figures.
            let counted = |fold: &StreamFold| {
                fold.seq() > Some(shown.seq) || fold.counts() == Some(shown.counts)
            };
            let counts_agree = self.wait_until(watched, counted).await;
            let fold = watched.fold();
            if fold.seq() > Some(shown.seq) {
                continue;
            }
            if !counts_agree {
                let (folded, shown) = (fold.counts(), shown.counts);
                check.fault(format!("lot {lot}: the subscriber's counts stay at {folded:?}, the server has {shown:?}"));
            }
            compare_stream(&lot, fold.statuses(), &shown.statuses)
                .iter()
                .for_each(|fault| check.fault(fault));
            return Ok(());
        }
        check.fault(format!("lot {lot}: went on {ATTEMPTS_MAX} times while it was compared"));
        Ok(())
    }

    /// Every subscriber of the slots view against the server; each lot is fetched once.
    pub async fn slot_views(&mut self, watched: &[Arc<Watched>]) -> Check {
        let mut check = Check::new(STREAM_ENDS_RIGHT, "subscribers");
        let mut by_lot: BTreeMap<usize, Vec<&Arc<Watched>>> = BTreeMap::new();
        for watched in watched {
            by_lot.entry(watched.lot).or_default().push(watched);
        }
        for (lot, watchers) in by_lot {
            let lot = self.fleet.lots[lot].code.clone();
            let shown = match self.shown(&lot).await {
                Ok(shown) => shown,
                Err(error) => {
                    check.fault(error);
                    continue;
                }
            };
            for watched in watchers {
                check.examine(1);
                self.wait_until(watched, |fold| fold.seq() >= Some(shown.seq)).await;
                let fold = watched.fold();
                if fold.seq() != Some(shown.seq) {
                    let (seq, is) = (fold.seq(), shown.seq);
                    check.fault(format!(
                        "lot {lot}: a subscriber is at seq {seq:?}, the server at {is}"
                    ));
                }
                compare_stream(&lot, fold.statuses(), &shown.statuses)
                    .iter()
                    .for_each(|fault| check.fault(fault));
            }
        }
        check
    }

    /// Where a lot stands.
    pub async fn seq(&mut self, lot: usize) -> Result<u64, LoadError> {
        let path = format!("/api/v1/lots/{}/availability", self.fleet.lots[lot].code);
        Ok(self.get::<Availability>(&path).await?.seq)
    }

    /// The ids of all reservations that the server lists for a lot.
    pub async fn reservation_ids(&mut self, lot: usize) -> Result<Vec<String>, LoadError> {
        let path = format!("/api/v1/reservations?lot={}", self.fleet.lots[lot].code);
        Ok(self.list::<Reservation>(&path).await?.into_iter().map(|r| r.id).collect())
    }

    /// Waits for messages until the fold is so; false when the deadline came first.
    async fn wait_until(&self, watched: &Watched, is_so: impl Fn(&StreamFold) -> bool) -> bool {
        loop {
            if is_so(&watched.fold()) {
                return true;
            }
            tokio::select! {
                () = watched.moved.notified() => {}
                () = self.clock.sleep_until(self.deadline_us) => return is_so(&watched.fold()),
            }
        }
    }

    /// The last acknowledged reading of every slot against the server.
    pub async fn readings(&mut self, models: &[ShardModel]) -> Check {
        let mut check = Check::new(READINGS_ARE_KEPT, "slots");
        let mut by_lot: BTreeMap<usize, Vec<&ShardModel>> = BTreeMap::new();
        for model in models {
            by_lot.entry(model.shard.lot).or_default().push(model);
        }
        for (lot, models) in by_lot {
            let lot = self.fleet.lots[lot].code.clone();
            match self.statuses(&lot).await {
                Ok(server) => models.into_iter().for_each(|model| {
                    check.examine(model.slots() as u64);
                    compare_model(&lot, model.expected(), &server)
                        .iter()
                        .for_each(|fault| check.fault(fault));
                }),
                Err(error) => check.fault(error),
            }
        }
        check
    }

    /// All reservations of the lots that were booked: nothing overlaps, everything granted is there.
    pub async fn reservations(&mut self, promises: &[Promise]) -> [Check; 2] {
        let mut kept = Check::new(PROMISES_ARE_KEPT, "reservations");
        let mut apart = Check::new(NOTHING_OVERLAPS, "reservations");
        let mut by_lot: BTreeMap<usize, Vec<&Promise>> = BTreeMap::new();
        for promise in promises {
            by_lot.entry(promise.lot).or_default().push(promise);
        }
        for (lot, promises) in by_lot {
            let lot = self.fleet.lots[lot].code.clone();
            match self.reservations_of(&lot, &promises).await {
                Ok(server) => {
                    let by_id: HashMap<&str, &Reservation> =
                        server.iter().map(|r| (r.id.as_str(), r)).collect();
                    kept.examine(promises.len() as u64);
                    apart.examine(server.len() as u64);
                    let now_us = self.clock.now_us();
                    promises_kept(&lot, promises.into_iter(), &by_id, now_us)
                        .iter()
                        .for_each(|fault| kept.fault(fault));
                    overlaps(&server).iter().for_each(|fault| apart.fault(fault));
                }
                Err(error) => kept.fault(error),
            }
        }
        [kept, apart]
    }

    /// What the list has, and the granted ones that it does not have but the server may know by id.
    async fn reservations_of(
        &mut self,
        lot: &str,
        promises: &[&Promise],
    ) -> Result<Vec<Reservation>, LoadError> {
        let mut found: Vec<Reservation> =
            self.list(&format!("/api/v1/reservations?lot={lot}")).await?;
        let listed: HashSet<String> = found.iter().map(|r| r.id.clone()).collect();
        let missing = promises
            .iter()
            .filter(|p| p.state != PromiseState::Cancelled && !listed.contains(&p.id))
            .take(LOOK_UPS_MAX);
        for promise in missing {
            let path = format!("/api/v1/reservations/{}", promise.id);
            match self.get(&path).await {
                Ok(reservation) => found.push(reservation),
                Err(LoadError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Slots and counts at one sequence: read between two looks at the sequence that agree.
    async fn shown(&mut self, lot: &str) -> Result<Shown, LoadError> {
        let path = format!("/api/v1/lots/{lot}/availability");
        for _ in 0..ATTEMPTS_MAX {
            let before: Availability = self.get(&path).await?;
            let statuses = self.statuses(lot).await?;
            let after: Availability = self.get(&path).await?;
            if before.seq == after.seq {
                return Ok(Shown { seq: after.seq, counts: after.counts, statuses });
            }
        }
        let body = format!("the lot's seq moved during each of {ATTEMPTS_MAX} reads without load");
        Err(LoadError::Refused { doing: format!("GET {path}"), status: 200, body })
    }

    async fn statuses(&mut self, lot: &str) -> Result<BTreeMap<String, Status>, LoadError> {
        let slots: Vec<SlotItem> = self.list(&format!("/api/v1/lots/{lot}/slots?")).await?;
        Ok(slots.into_iter().map(|slot| (slot.code, slot.status)).collect())
    }

    async fn list<T: DeserializeOwned>(&mut self, path: &str) -> Result<Vec<T>, LoadError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let cursor_field = cursor.as_ref().map_or(String::new(), |at| format!("&cursor={at}"));
            let page: Page<T> =
                self.get(&format!("{path}&limit={PAGE_ITEMS}{cursor_field}")).await?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
        let body = format!("more than {PAGES_MAX} pages");
        Err(LoadError::Refused { doing: format!("GET {path}"), status: 200, body })
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, LoadError> {
        get(&mut self.client, path).await
    }
}
