//! What is promised, as it was recorded: the part of a lot that readers look at.
//!
//! What only decisions need (the index of openings, deadlines, holders' numbers) follows from it and is not
//! here: see [`super::Index`]. So a second copy for readers costs half of what the lot itself does. The
//! parts that grow are persistent or shared by reference count: a reader takes a copy for a few pointers.
//!
//! How events change it is told in `apply.rs`.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::ledger::Accounts;
use super::passes::Passes;
use super::payment::Payments;
use super::requests::Requests;
use super::shift::Shifts;
use super::stays::Stays;
use super::timeline::Owner;
use super::violation::Violations;
use super::waiting::WaitingList;
use super::{
    CountState, Heartbeat, LotParts, Needs, Promise, Reservation, Service, Session, Span, Tally,
    Timeline,
};
use crate::ids::{Pseudonym, ReservationId, SlotIndex};
use crate::spec::{Kind, Place, Spec};
use crate::tariff::{Book, Zone};
use crate::time::{Timestamp, Window};

/// The promises of one lot and what they rest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    pub(super) spec: Arc<Spec>,
    pub(super) version: u32,
    pub(super) promises: Vector<Promise>,
    pub(super) reservations: OrdMap<ReservationId, Arc<Reservation>>,
    /// Ended reservations, oldest first.
    pub(super) ended: Vector<ReservationId>,
    pub(super) tally: Tally,
    pub(super) stays: Stays,
    pub(super) payments: Payments,
    pub(super) violations: Violations,
    pub(super) passes: Passes,
    pub(super) waiting: WaitingList,
    pub(super) shifts: Shifts,
    pub(super) accounts: Accounts,
    pub(super) tariffs: Book,
    pub(super) requests: Requests,
    /// The resolved time zone of the lot.
    pub(super) zone: Zone,
}

/// The time zone of a place. Its name was checked when the lot was made; rules that a later tz database
/// dropped are taken as UTC, and the fee says with which rules it was computed.
pub(super) fn zone_of(place: &Place) -> Zone {
    Zone::named(&place.time_zone).unwrap_or_else(|_| Zone::utc())
}

impl Register {
    /// Of a new lot without promises.
    #[must_use]
    pub fn new(spec: Arc<Spec>) -> Self {
        let slots = vec![(Service::InService, 0); spec.slots.len()];
        Self::from_parts(LotParts { spec, version: 1, slots, ..LotParts::default() })
    }

    /// As it was taken apart by [`Register::parts`]. Total: the specification says how many slots there
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
                timeline.push(Span { window: reservation.window, owner: id.into() });
            } else {
                ended.push_back(id);
            }
            shown.extend(reservation.shown.then_some(slot));
            reservations.insert(id, reservation);
        }
        let stays = Stays::from_parts(parts.sessions);
        for session in stays.inside() {
            if let Some((slot, window)) = session.span()
                && let Some(timeline) = timelines.get_mut(slot.at())
            {
                timeline.push(Span { window, owner: Owner::Session(session.id) });
            }
        }
        let mut states = parts.slots.into_iter();
        let promises = timelines.into_iter().map(|spans| {
            let (service, version) = states.next().unwrap_or_default();
            Promise { service, version, timeline: Timeline::of(spans), shown: None }
        });
        let zone = zone_of(&parts.spec.place);
        let requests = Requests::from_parts(parts.requests, |about| match about {
            Owner::Reservation(id) => reservations.contains_key(&id),
            Owner::Session(id) => stays.get(id).is_some(),
            Owner::Vehicle(_) | Owner::Pass(_) => false,
        });
        let mut register = Self {
            spec: parts.spec,
            version: parts.version,
            promises: promises.collect(),
            reservations,
            ended,
            tally: parts.tally,
            stays,
            payments: Payments::from_parts(parts.payments),
            violations: Violations::from_parts(parts.violations),
            passes: Passes::from_parts(parts.passes, parts.guests),
            waiting: WaitingList::from_parts(parts.waiting),
            shifts: Shifts::from_parts(parts.shifts),
            accounts: Accounts::from_parts(parts.accounts),
            tariffs: Book::from_parts(parts.tariffs, parts.assignments),
            requests,
            zone,
        };
        shown.into_iter().for_each(|slot| register.reshow(slot));
        register
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
            sessions: self.stays.parts(),
            payments: self.payments.parts(),
            violations: self.violations.parts(),
            passes: self.passes.parts(),
            guests: self.passes.guests().cloned().collect(),
            waiting: self.waiting.parts(),
            shifts: self.shifts.parts(),
            accounts: self.accounts.parts(),
            tariffs: self.tariffs.tariffs().cloned().collect(),
            assignments: self.tariffs.assignments().cloned().collect(),
            requests: self.requests.all().collect(),
        }
    }

    /// Who is inside, and who left not long ago.
    #[must_use]
    pub fn stays(&self) -> &Stays {
        &self.stays
    }

    /// Money received or promised.
    #[must_use]
    pub fn payments(&self) -> &Payments {
        &self.payments
    }

    /// Who may come in without reserving.
    #[must_use]
    pub fn passes(&self) -> &Passes {
        &self.passes
    }

    /// Who waits for time that is not free.
    #[must_use]
    pub fn waiting(&self) -> &WaitingList {
        &self.waiting
    }

    /// What cashiers took and handed out.
    #[must_use]
    pub fn shifts(&self) -> &Shifts {
        &self.shifts
    }

    /// What somebody did that he may not.
    #[must_use]
    pub fn violations(&self) -> &Violations {
        &self.violations
    }

    /// What is owed and earned.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// What people ask for in their own words.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// What somebody asks for who is there: himself, or when he reserved.
    #[must_use]
    pub fn request_of_stay(&self, session: &Session) -> Option<Pseudonym> {
        let reserved = session.reservation().map(Owner::Reservation);
        let own = self.requests.about(Owner::Session(session.id));
        own.or_else(|| reserved.and_then(|about| self.requests.about(about)))
    }

    /// The tariffs it knows and where they apply.
    #[must_use]
    pub fn tariffs(&self) -> &Book {
        &self.tariffs
    }

    /// Its time zone.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What somebody needs who was promised this slot: one like it, anywhere in the lot.
    #[must_use]
    pub fn needs_of(&self, slot: SlotIndex) -> Option<Needs> {
        let slot = self.spec.slot(slot)?;
        Some(Needs { size: slot.size, features: slot.features, ..Needs::default() })
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
