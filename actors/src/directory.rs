//! Who answers for which lot: codes and ids to swappable actor handles, and the lot's view and ring.
//!
//! A map guard never leaves this file, so none is ever held across an await.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use dashmap::DashMap;
use lotkeeper_engine::ids::{LotId, LotKey, SlotIndex};
use lotkeeper_engine::slot::SensorRules;
use lotkeeper_engine::spec::{Rules, Spec};
use lotkeeper_engine::time::{Seconds, Timestamp};
use parking_lot::RwLock;
use ractor::ActorRef;
use uuid::Uuid;

use crate::atlas::Atlas;
use crate::door::Tenant;
use crate::hub::Watchers;
use crate::lot::LotMessage;
use crate::ring::Ring;
use crate::room::Room;
use crate::sightings::Sightings;
use crate::slot::SlotMessage;
use crate::sought::{Near, Place, Sought};
use crate::tick_flag::TickFlag;
use crate::view::LotView;

/// A lot: the door to its actors, its durable view and its change feed. A copy is the same lot.
#[derive(Clone)]
pub struct LotHandle(pub(crate) Arc<Entry>);

pub(crate) struct Entry {
    pub key: LotKey,
    pub id: LotId,
    pub tenant: Box<str>,
    pub code: Box<str>,
    /// What its tenant has at the door.
    pub share: Arc<Tenant>,
    slot_by_code: HashMap<Box<str>, SlotIndex, foldhash::fast::RandomState>,
    slot_by_id: HashMap<Uuid, SlotIndex, foldhash::fast::RandomState>,
    pub view: RwLock<Arc<LotView>>,
    /// What the view shows as free.
    pub room: Room,
    pub ring: Ring,
    pub watchers: Watchers,
    /// Silence and skew in seconds, as two halves: every reading needs them.
    sensor_rules: AtomicU64,
    /// When the lot must next be ticked, in microseconds.
    pub next_due_micros: AtomicI64,
    pub tick: TickFlag,
    /// Slots that changed, for a lot whose rules ask what stands there.
    pub sightings: Sightings,
    /// Passes of other lots that were used here may be where they were not before.
    pub passes_moved: AtomicBool,
    actors: RwLock<Actors>,
}

/// Empty until the lot is launched; single actors are swapped when they restart.
#[derive(Default)]
pub(crate) struct Actors {
    pub lot: Option<ActorRef<LotMessage>>,
    pub slots: Vec<ActorRef<SlotMessage>>,
}

impl Entry {
    pub fn new(
        key: LotKey,
        view: LotView,
        ring_changes_max: usize,
        (share, room): (Arc<Tenant>, Room),
    ) -> Arc<Self> {
        room.set(view.free());
        let spec = Arc::clone(view.spec());
        let indexed = || spec.slots.iter().zip(spec.slot_indices());
        let entry = Self {
            key,
            id: spec.id,
            tenant: spec.tenant.clone(),
            code: spec.code.clone(),
            share,
            slot_by_code: indexed().map(|(slot, index)| (slot.code.clone(), index)).collect(),
            slot_by_id: indexed().map(|(slot, index)| (slot.id.0, index)).collect(),
            ring: Ring::new(ring_changes_max, view.lot_seq),
            view: RwLock::new(Arc::new(view)),
            room,
            watchers: Watchers::default(),
            sensor_rules: AtomicU64::new(0),
            next_due_micros: AtomicI64::new(i64::MAX),
            tick: TickFlag::default(),
            sightings: Sightings::default(),
            passes_moved: AtomicBool::new(true),
            actors: RwLock::default(),
        };
        entry.take_rules(&spec.rules);
        Arc::new(entry)
    }

    pub fn take_rules(&self, rules: &Rules) {
        let packed = u64::from(rules.silence.0) << 32 | u64::from(rules.skew.0);
        self.sensor_rules.store(packed, Ordering::Relaxed);
        self.sightings.ask(rules.enforce_slots);
    }

    pub fn sensor_rules(&self) -> SensorRules {
        let packed = self.sensor_rules.load(Ordering::Relaxed);
        // Both halves were packed from 32 bits.
        let half = |bits: u64| Seconds(u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(u32::MAX));
        SensorRules { silence: half(packed >> 32), skew: half(packed) }
    }

    pub fn view(&self) -> Arc<LotView> {
        Arc::clone(&self.view.read())
    }

    /// The newest of its records that the history keeps something of.
    pub fn kept_seq(&self) -> u64 {
        self.view.read().kept_seq
    }

    pub fn launch(&self, actors: Actors) {
        *self.actors.write() = actors;
    }

    pub fn swap_lot(&self, actor: ActorRef<LotMessage>) {
        self.actors.write().lot = Some(actor);
    }

    pub fn swap_slot(&self, slot: SlotIndex, actor: ActorRef<SlotMessage>) {
        if let Some(place) = self.actors.write().slots.get_mut(slot.at()) {
            *place = actor;
        }
    }

    /// Sends to the lot's actor. A dead actor drops the message, and with it the reply port: that is how
    /// the sender learns of it.
    pub fn tell_lot(&self, message: LotMessage) {
        if let Some(actor) = &self.actors.read().lot {
            let _dropped_when_dead = actor.send_message(message);
        }
    }

    /// Sends to many slots under one look at the handles.
    pub fn tell_slots(&self, messages: impl Iterator<Item = (SlotIndex, SlotMessage)>) {
        let actors = self.actors.read();
        for (slot, message) in messages {
            if let Some(actor) = actors.slots.get(slot.at()) {
                let _dropped_when_dead = actor.send_message(message);
            }
        }
    }

    pub fn slot_actor(&self, slot: SlotIndex) -> Option<ractor::ActorCell> {
        self.actors.read().slots.get(slot.at()).map(ActorRef::get_cell)
    }

    pub fn lot_actor(&self) -> Option<ractor::ActorCell> {
        self.actors.read().lot.as_ref().map(ActorRef::get_cell)
    }

    pub fn due_at(&self, at: Option<Timestamp>) {
        self.next_due_micros.store(at.map_or(i64::MAX, Timestamp::micros), Ordering::Release);
    }
}

impl LotHandle {
    /// Its number in this data directory.
    #[must_use]
    pub fn key(&self) -> LotKey {
        self.0.key
    }

    /// Its public id.
    #[must_use]
    pub fn id(&self) -> LotId {
        self.0.id
    }

    /// The operator it belongs to.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// A slot by code or id.
    #[must_use]
    pub fn slot(&self, code_or_id: &str) -> Option<SlotIndex> {
        self.0.slot_by_code.get(code_or_id).copied().or_else(|| {
            // Only something of a UUID's length is worth parsing.
            let id = (code_or_id.len() == 36).then(|| Uuid::try_parse(code_or_id).ok())??;
            self.0.slot_by_id.get(&id).copied()
        })
    }

    /// The durable state as of one sequence. Drop it soon: while it is held, a change copies what it touches.
    #[must_use]
    pub fn view(&self) -> Arc<LotView> {
        self.0.view()
    }

    /// What the lot is made of, as of now. Unlike a view, it may be held.
    #[must_use]
    pub fn spec(&self) -> Arc<Spec> {
        Arc::clone(self.0.view.read().spec())
    }

    /// The change feed.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.0.ring
    }

    /// Who is woken by changes of this lot.
    #[must_use]
    pub fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }
}

impl fmt::Debug for LotHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LotHandle({}/{})", self.0.tenant, self.0.code)
    }
}

/// All launched lots.
#[derive(Default)]
pub(crate) struct Directory {
    tenants: DashMap<Box<str>, Atlas>,
    by_id: DashMap<Uuid, LotHandle>,
    by_key: RwLock<Vec<Option<LotHandle>>>,
}

impl Directory {
    pub fn insert(&self, handle: &LotHandle) {
        let entry = &handle.0;
        let place = entry.key.0 as usize;
        let mut by_key = self.by_key.write();
        if by_key.len() <= place {
            by_key.resize(place + 1, None);
        }
        by_key[place] = Some(handle.clone());
        drop(by_key);
        self.by_id.insert(entry.id.0, handle.clone());
        // Read before the guard is taken: a change holds the view while it asks for that guard.
        let spec = handle.spec();
        self.tenants.entry(entry.tenant.clone()).or_default().put(handle, &spec);
    }

    /// A lot says something new of itself. One that is not launched yet is put in its place then.
    pub fn renew(&self, entry: &Entry, spec: &Spec) {
        if let Some(mut atlas) = self.tenants.get_mut(&entry.tenant)
            && let Some(lot) = atlas.find(&entry.code).cloned()
        {
            atlas.put(&lot, spec);
        }
    }

    pub fn in_order(
        &self,
        tenant: &str,
        sought: &Sought<'_>,
        may_see: &dyn Fn(&LotHandle) -> bool,
        page: (Option<&Place>, usize),
    ) -> Vec<Near> {
        let atlas = self.tenants.get(tenant);
        atlas.map_or_else(Vec::new, |atlas| atlas.next(sought, may_see, page))
    }

    pub fn find(&self, tenant: &str, code_or_id: &str) -> Option<LotHandle> {
        let by_code = self.tenants.get(tenant).and_then(|atlas| atlas.find(code_or_id).cloned());
        by_code.or_else(|| {
            let id = (code_or_id.len() == 36).then(|| Uuid::try_parse(code_or_id).ok())??;
            let handle = self.by_id.get(&id).map(|handle| handle.clone())?;
            (handle.tenant() == tenant).then_some(handle)
        })
    }

    pub fn by_id(&self, id: LotId) -> Option<LotHandle> {
        self.by_id.get(&id.0).map(|handle| handle.clone())
    }

    pub fn by_key(&self, key: LotKey) -> Option<LotHandle> {
        self.by_key.read().get(key.0 as usize).cloned().flatten()
    }

    pub fn of_tenant(&self, tenant: &str) -> Vec<LotHandle> {
        let atlas = self.tenants.get(tenant);
        atlas.map_or_else(Vec::new, |atlas| atlas.all().cloned().collect())
    }

    pub fn all(&self) -> Vec<LotHandle> {
        self.by_key.read().iter().flatten().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }
}
