//! What is promised, as it was recorded: the part of a lot that readers look at.
//!
//! What only decisions need (the index of openings, deadlines, holders' numbers) follows from it and is not
//! here: see [`super::Index`]. So a second copy for readers costs half of what the lot itself does. The
//! parts that grow are persistent or shared by reference count: a reader takes a copy for a few pointers.
//!
//! How events change it is told in `apply.rs`.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::{
    CountState, Heartbeat, LotParts, Needs, Promise, Reservation, Service, Span, Tally, Timeline,
};
use crate::ids::{ReservationId, SlotIndex};
use crate::spec::{Kind, Spec};
use crate::time::{Timestamp, Window};

/// The promises of one lot and what they rest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub(super) spec: Arc<Spec>,
    pub(super) version: u32,
    pub(super) promises: Vector<Promise>,
    pub(super) reservations: OrdMap<ReservationId, Arc<Reservation>>,
    /// Ended reservations, oldest first.
    pub(super) ended: Vector<ReservationId>,
    pub(super) tally: Tally,
}

impl Ledger {
    /// Of a new lot without promises.
    #[must_use]
    pub fn new(spec: Arc<Spec>) -> Self {
        let slots = vec![(Service::InService, 0); spec.slots.len()];
        Self::from_parts(LotParts {
            spec,
            version: 1,
            slots,
            reservations: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// As it was taken apart by [`Ledger::parts`]. Total: the specification says how many slots there
    /// are, whatever number of states a damaged snapshot brings; of two reservations with one id the first
    /// counts, and one on a slot that is not there does not.
    #[must_use]
    pub fn from_parts(parts: LotParts) -> Self {
        let mut timelines: Vec<Vec<Span>> = vec![Vec::new(); parts.spec.slots.len()];
        let mut shown: Vec<SlotIndex> = Vec::new();
        let (mut reservations, mut ended) = (OrdMap::new(), Vector::new());
        for reservation in parts.reservations {
            let (id, slot) = (reservation.id, reservation.slot);
            let Some(timeline) = timelines.get_mut(slot.at()) else { continue };
            if reservations.contains_key(&id) {
                continue;
            }
            if reservation.state.is_active() {
                timeline.push(Span { window: reservation.window, reservation: id });
            } else {
                ended.push_back(id);
            }
            shown.extend(reservation.shown.then_some(slot));
            reservations.insert(id, reservation);
        }
        let mut states = parts.slots.into_iter();
        let promises = timelines.into_iter().map(|spans| {
            let (service, version) = states.next().unwrap_or_default();
            Promise { service, version, timeline: Timeline::of(spans), shown: None }
        });
        let mut ledger = Self {
            spec: parts.spec,
            version: parts.version,
            promises: promises.collect(),
            reservations,
            ended,
            tally: parts.tally,
        };
        shown.into_iter().for_each(|slot| ledger.reshow(slot));
        ledger
    }

    /// What a snapshot must hold.
    #[must_use]
    pub fn parts(&self) -> LotParts {
        let active = self.reservations.values().filter(|r| r.state.is_active()).cloned();
        let ended = self.ended.iter().filter_map(|id| self.reservations.get(id)).cloned();
        LotParts {
            spec: Arc::clone(&self.spec),
            version: self.version,
            slots: self.promises.iter().map(|p| (p.service.clone(), p.version)).collect(),
            reservations: active.chain(ended).collect(),
            tally: self.tally,
        }
    }

    /// What it is made of.
    #[must_use]
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// Changes of the lot's own values.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What is promised on a slot.
    #[must_use]
    pub fn promise(&self, slot: SlotIndex) -> Option<&Promise> {
        self.promises.get(slot.at())
    }

    /// What is promised, slot by slot.
    pub fn promises(&self) -> impl Iterator<Item = &Promise> {
        self.promises.iter()
    }

    /// Every slot that could be promised for the whole window, in order: the index of openings says the
    /// same, but a reader asks seldom enough to look at each timeline.
    pub fn open_slots<'a>(
        &'a self,
        needs: &'a Needs,
        window: Window,
    ) -> impl Iterator<Item = SlotIndex> + 'a {
        let slots = self.spec.slot_indices().zip(&self.spec.slots).zip(&self.promises);
        slots
            .filter(|((_, slot), _)| needs.fit(slot))
            .filter(move |(_, promise)| {
                promise.is_offered() && promise.timeline.clash(window, None).is_none()
            })
            .map(|((index, _), _)| index)
    }

    /// A reservation, active or ended not long ago.
    #[must_use]
    pub fn reservation(&self, id: ReservationId) -> Option<&Arc<Reservation>> {
        self.reservations.get(&id)
    }

    /// All reservations the lot remembers, in order of id.
    pub fn reservations(&self) -> impl Iterator<Item = &Arc<Reservation>> {
        self.reservations.values()
    }

    /// Reservations after `after` in order of id: a page of a list.
    pub fn reservations_after(
        &self,
        after: Option<ReservationId>,
    ) -> impl Iterator<Item = &Arc<Reservation>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.reservations.range((start, Unbounded)).map(|(_, reservation)| reservation)
    }

    /// The ended reservation that is forgotten next.
    #[must_use]
    pub fn oldest_ended(&self) -> Option<ReservationId> {
        self.ended.front().copied()
    }

    /// The count of a counted lot.
    #[must_use]
    pub fn tally(&self) -> Option<&Tally> {
        match self.spec.kind {
            Kind::Counted => Some(&self.tally),
            Kind::Bayed => None,
        }
    }

    /// The count judged against the capacity, for an answer.
    #[must_use]
    pub fn count_state(&self) -> CountState {
        CountState {
            occupied: self.tally.occupied,
            condition: self.tally.condition(self.spec.capacity),
            drift: self.tally.drift,
        }
    }

    /// When the counter must have been heard again, or it is silent.
    #[must_use]
    pub fn counter_due_at(&self, listening_since: Timestamp) -> Option<Timestamp> {
        let tally = self.tally()?;
        let live = tally.observed_at.is_some() && tally.silent_since.is_none();
        live.then(|| tally.heard_at.max(listening_since).plus(self.spec.rules.silence))
    }

    pub(super) fn note_count(&mut self, heartbeat: Heartbeat, now: Timestamp) {
        let observed_at = Some(heartbeat.observed_at);
        if heartbeat.absolute {
            self.tally.absolute_at = self.tally.absolute_at.max(observed_at);
        }
        self.tally.observed_at = self.tally.observed_at.max(observed_at);
        self.tally.heard_at = now;
    }
}
