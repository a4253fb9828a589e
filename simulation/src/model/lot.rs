//! The promises of one lot as plain lists, and what an event does to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use lotkeeper_engine::ids::{Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::limits::ENDED_RESERVATIONS_KEPT_PER_LOT;
use lotkeeper_engine::lot::{Event, Ledger, Reserved, Service, State};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::time::{Timestamp, Window};

use super::GateModel;

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// On which slot.
    pub slot: SlotIndex,
    /// For when.
    pub window: Window,
    /// How it stands.
    pub state: State,
    /// Whose.
    pub holder: Pseudonym,
    /// Whether its slot shows as held for it.
    pub shown: bool,
    /// Events so far.
    pub version: u32,
    /// Record times of the first and the last.
    pub at: (Timestamp, Timestamp),
}

/// One lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotModel {
    /// What it is made of now.
    pub spec: Arc<Spec>,
    /// Changes of its own values, plus one.
    pub version: u32,
    /// Service state and version, slot by slot.
    pub services: Vec<(Service, u32)>,
    /// All that is remembered.
    pub bookings: BTreeMap<ReservationId, Booking>,
    /// Those that ended, oldest first.
    pub ended: VecDeque<ReservationId>,
    /// What its gates say.
    pub gates: GateModel,
}

impl LotModel {
    /// A new lot.
    #[must_use]
    pub fn new(spec: Arc<Spec>) -> Self {
        let services = vec![(Service::InService, 0); spec.slots.len()];
        Self {
            spec,
            version: 1,
            services,
            bookings: BTreeMap::new(),
            ended: VecDeque::new(),
            gates: GateModel::default(),
        }
    }

    /// Bookings that claim a slot, in order of their ids.
    pub fn active(&self) -> impl Iterator<Item = (ReservationId, &Booking)> {
        self.bookings.iter().filter(|(_, it)| it.state.is_active()).map(|(id, it)| (*id, it))
    }

    /// Active bookings of one slot.
    pub fn on(&self, slot: SlotIndex) -> impl Iterator<Item = (ReservationId, &Booking)> {
        self.active().filter(move |(_, it)| it.slot == slot)
    }

    /// The first promise of a slot that overlaps a window, but for `except`.
    #[must_use]
    pub fn clash(
        &self,
        slot: SlotIndex,
        window: Window,
        except: Option<ReservationId>,
    ) -> Option<Window> {
        let others = self.on(slot).filter(|(id, _)| Some(*id) != except);
        let clashes = others.filter(|(_, it)| it.window.overlaps(window));
        clashes.map(|(_, it)| it.window).min_by_key(|window| window.from)
    }

    /// An event happened.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Created(spec) => *self = Self::new(Arc::clone(spec)),
            Event::Changed(values) => {
                let spec = Arc::make_mut(&mut self.spec);
                spec.name.clone_from(&values.name);
                (spec.capacity, spec.rules) = (values.capacity, values.rules);
                spec.place = values.place.clone();
                self.version += 1;
            }
            Event::SlotChanged(values) => {
                let spec = Arc::make_mut(&mut self.spec);
                spec.features.extend(values.added_features.iter().cloned());
                let slot = &mut spec.slots[values.slot.at()];
                (slot.zone, slot.size) = (values.zone, values.size);
                slot.features = values.features;
                self.services[values.slot.at()].1 += 1;
            }
            Event::ServiceChanged { slot, service } => {
                let (was, version) = &mut self.services[slot.at()];
                was.clone_from(service);
                *version += 1;
            }
            Event::Reserved(reserved) => self.reserve(reserved, at),
            Event::Modified { id, window } => {
                let begun = window.from.minus(self.spec.rules.hold_lead) <= at;
                self.change(*id, at, |it| {
                    it.window = *window;
                    it.shown = it.shown && begun;
                    if matches!(it.state, State::CheckedIn { .. }) && window.from > at {
                        it.state = State::Confirmed;
                    }
                });
            }
            Event::HoldBegan { id } => self.change(*id, at, |it| it.shown = true),
            Event::Confirmed { id } => self.change(*id, at, |it| it.state = State::Confirmed),
            Event::CheckedIn { id, proof } => {
                self.change(*id, at, |it| it.state = State::CheckedIn { proof: *proof });
            }
            Event::Cancelled { id, .. } => self.end(*id, at, State::Cancelled),
            Event::Expired { id } => self.end(*id, at, State::Expired),
            Event::NoShow { id } => self.end(*id, at, State::NoShow),
            Event::Completed { id } => self.end(*id, at, State::Completed),
            Event::Counted { count, observed_at } => self.gates.take(*count, *observed_at, at),
            Event::CounterFellSilent => self.gates.fall_silent(),
        }
    }

    fn reserve(&mut self, reserved: &Reserved, at: Timestamp) {
        let state = match reserved.expires_at {
            Some(expires_at) => State::Held { expires_at },
            None => State::Confirmed,
        };
        let booking = Booking {
            slot: reserved.slot,
            window: reserved.window,
            state,
            holder: reserved.holder,
            shown: false,
            version: 1,
            at: (at, at),
        };
        self.bookings.insert(reserved.id, booking);
    }

    fn change(&mut self, id: ReservationId, at: Timestamp, change: impl FnOnce(&mut Booking)) {
        if let Some(booking) = self.bookings.get_mut(&id) {
            change(booking);
            booking.version += 1;
            booking.at.1 = at;
        }
    }

    fn end(&mut self, id: ReservationId, at: Timestamp, state: State) {
        self.change(id, at, |it| (it.state, it.shown) = (state, false));
        self.ended.push_back(id);
        if self.ended.len() > ENDED_RESERVATIONS_KEPT_PER_LOT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.bookings.remove(&oldest);
        }
    }

    /// What the engine's ledger says otherwise of everything that is active, and of `touched`.
    #[must_use]
    pub fn differs_from(&self, ledger: &Ledger, touched: &[ReservationId]) -> Option<String> {
        let active: Vec<ReservationId> = self.active().map(|(id, _)| id).collect();
        let theirs = ledger.promises().map(|promise| promise.timeline.spans().len()).sum::<usize>();
        if theirs != active.len() {
            return Some(format!("{theirs} windows are promised, predicted {}", active.len()));
        }
        let bookings =
            active.iter().chain(touched).find_map(|id| self.booking_differs(ledger, *id));
        let services = || {
            let services = ledger.promises().map(|it| (it.service.clone(), it.version));
            let same = services.eq(self.services.iter().cloned());
            (!same).then(|| format!("service states differ from {:?}", self.services))
        };
        let spec = || {
            let same = *ledger.spec() == self.spec && ledger.version() == self.version;
            (!same).then(|| format!("spec {:?}, predicted {:?}", ledger.spec(), self.spec))
        };
        let held = || self.held_differs(ledger);
        let gates = || {
            let tally = ledger.tally()?;
            self.gates.differs_from(tally, self.spec.capacity)
        };
        bookings.or_else(services).or_else(spec).or_else(held).or_else(gates)
    }

    fn booking_differs(&self, ledger: &Ledger, id: ReservationId) -> Option<String> {
        let theirs = ledger.reservation(id).map(|it| Booking {
            slot: it.slot,
            window: it.window,
            state: it.state,
            holder: it.holder,
            shown: it.shown,
            version: it.version,
            at: (it.created_at, it.updated_at),
        });
        let ours = self.bookings.get(&id);
        (theirs.as_ref() != ours).then(|| format!("{id} is {theirs:?}, predicted {ours:?}"))
    }

    /// A slot shows as held for the earliest of its promises whose time has come.
    fn held_differs(&self, ledger: &Ledger) -> Option<String> {
        self.spec.slot_indices().find_map(|slot| {
            let shown = self.on(slot).filter(|(_, it)| it.shown);
            let ours = shown.min_by_key(|(_, it)| it.window.from).map(|(id, _)| id);
            let theirs = ledger.promise(slot).and_then(|promise| promise.shown);
            (ours != theirs)
                .then(|| format!("{slot:?} shows as held for {theirs:?}, predicted {ours:?}"))
        })
    }

    /// As [`LotModel::differs_from`], for everything that is remembered.
    #[must_use]
    pub fn differs_wholly_from(&self, ledger: &Ledger) -> Option<String> {
        let ids: Vec<ReservationId> = self.bookings.keys().copied().collect();
        let theirs = ledger.reservations().count();
        if theirs != ids.len() {
            return Some(format!("{theirs} reservations are remembered, predicted {}", ids.len()));
        }
        self.differs_from(ledger, &ids)
    }
}
