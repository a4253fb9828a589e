//! The promises of one lot as plain lists, and what an event does to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use lotkeeper_engine::ids::{Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::limits::ENDED_RESERVATIONS_KEPT_PER_LOT;
use lotkeeper_engine::lot::{
    Event, Owner, Price, Register, Reminder, Reserved, Service, State, session,
};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::time::{Timestamp, Window};

use super::{GateModel, Life};

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
    /// For which vehicle.
    pub vehicle: Option<Pseudonym>,
    /// What it costs, and in which terms.
    pub price: Option<Arc<Price>>,
    /// Of what its holder was reminded last.
    pub reminded: Option<Reminder>,
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
    /// What is asked for of all that is remembered.
    pub requests: BTreeMap<Owner, Pseudonym>,
    /// What its gates say.
    pub gates: GateModel,
    /// Who is inside, and the till.
    pub life: Life,
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
            requests: BTreeMap::new(),
            gates: GateModel::default(),
            life: Life::default(),
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
        let others = others.map(|(_, it)| it.window).chain(self.life.claims(slot));
        let clashes = others.filter(|other| other.overlaps(window));
        clashes.min_by_key(|window| window.from)
    }

    /// As [`LotModel::clash`]; an empty window meets nothing.
    #[must_use]
    pub fn clash_but(
        &self,
        slot: SlotIndex,
        window: Window,
        except: Option<ReservationId>,
    ) -> Option<Window> {
        if window.from < window.to { self.clash(slot, window, except) } else { None }
    }

    /// Promises and claims of one slot.
    #[must_use]
    pub fn stretches(&self, slot: SlotIndex) -> usize {
        self.on(slot).count() + self.life.claims(slot).count()
    }

    /// What a reservation of a window need not be reminded of any more.
    fn reminded(&self, window: Window, at: Timestamp) -> Option<Reminder> {
        let rules = &self.spec.rules;
        if window.to.minus(rules.remind_before_end) <= at {
            return Some(Reminder::End);
        }
        (window.from.minus(rules.remind_before_start) <= at).then_some(Reminder::Start)
    }

    fn moves(
        &mut self,
        id: ReservationId,
        to: (Option<SlotIndex>, Window, Option<&Price>),
        at: Timestamp,
    ) {
        let (slot, window, price) = to;
        let begun = window.from.minus(self.spec.rules.hold_lead) <= at;
        let reminded = self.reminded(window, at);
        let is_inside = self.life.inside_of(id).is_some();
        self.change(id, at, |it| {
            it.window = window;
            it.slot = slot.unwrap_or(it.slot);
            it.shown = it.shown && begun;
            it.reminded = reminded;
            if let Some(price) = price {
                it.price = Some(Arc::new(price.clone()));
            }
            if matches!(it.state, State::CheckedIn { .. }) && window.from > at && !is_inside {
                it.state = State::Confirmed;
            }
        });
        self.life.rebook(id, window, at);
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
                spec.about = values.about.clone();
                spec.allocation = values.allocation.clone();
                self.version += 1;
            }
            Event::SlotChanged(values) => {
                let spec = Arc::make_mut(&mut self.spec);
                spec.features.extend(values.added_features.iter().cloned());
                spec.vehicle_types.extend(values.added_vehicle_types.iter().cloned());
                let slot = &mut spec.slots[values.slot.at()];
                (slot.zone, slot.size) = (values.zone, values.size);
                slot.features = values.features;
                (slot.vehicle_types, slot.walk_metres) = (values.vehicle_types, values.walk_metres);
                self.services[values.slot.at()].1 += 1;
            }
            Event::ServiceChanged { slot, service } => {
                let (was, version) = &mut self.services[slot.at()];
                was.clone_from(service);
                *version += 1;
            }
            Event::Reserved(reserved) => self.reserve(reserved, at),
            Event::Modified { id, window, price } => {
                self.moves(*id, (None, *window, price.as_deref()), at);
            }
            Event::Moved(moved) => {
                let to = (Some(moved.slot), moved.window, moved.price.as_deref());
                self.moves(moved.id, to, at);
            }
            Event::HoldEnded { id } => self.change(*id, at, |it| it.shown = false),
            Event::Reminded { id, of } => self.change(*id, at, |it| it.reminded = Some(*of)),
            Event::Requested { id, request } => {
                self.change(*id, at, |_| {});
                self.ask((*id).into(), *request);
            }
            Event::Session(event) => self.stay(event, at),
            Event::Payment(event) => self.life.payment(event, at),
            Event::Posted(posting) => self.life.post(posting),
            Event::TariffsChanged(change) => self.life.tariff(change),
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
            Event::Shift(event) => self.life.shift(event, at),
            Event::Pass(event) => {
                let wrong = self.life.passes.apply(event, at);
                self.life.note(wrong);
            }
            Event::Waiting(event) => {
                let wrong = self.life.line.apply(event, at);
                self.life.note(wrong);
            }
            Event::Violation(event) => {
                let wrong = self.life.fines.apply(event, at, self.life.postings);
                self.life.note(wrong);
            }
        }
    }

    fn stay(&mut self, event: &session::Event, at: Timestamp) {
        let oldest = self.life.gone.front().copied();
        self.life.stay(event, at);
        let forgotten = oldest.filter(|id| !self.life.stays.contains_key(id));
        self.requests.retain(|about, _| Some(*about) != forgotten.map(Owner::Session));
        if let session::Event::Requested { id, request } = event {
            self.ask(Owner::Session(*id), *request);
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
            vehicle: reserved.vehicle,
            price: reserved.price.as_deref().cloned().map(Arc::new),
            reminded: self.reminded(reserved.window, at),
            shown: false,
            version: 1,
            at: (at, at),
        };
        self.bookings.insert(reserved.id, booking);
        self.ask(reserved.id.into(), reserved.request);
    }

    fn ask(&mut self, about: Owner, request: Option<Pseudonym>) {
        match request {
            Some(request) => self.requests.insert(about, request),
            None => self.requests.remove(&about),
        };
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
            self.requests.remove(&oldest.into());
        }
    }

    /// What the engine's register says otherwise of everything that is active, and of `touched`.
    #[must_use]
    pub fn differs_from(&self, register: &Register, touched: &[ReservationId]) -> Option<String> {
        let active: Vec<ReservationId> = self.active().map(|(id, _)| id).collect();
        let theirs =
            register.promises().map(|promise| promise.timeline.spans().len()).sum::<usize>();
        let claims = self.life.inside().filter(|stay| stay.span().is_some()).count();
        if theirs != active.len() + claims {
            let ours = active.len() + claims;
            return Some(format!("{theirs} windows are promised, predicted {ours}"));
        }
        let bookings =
            active.iter().chain(touched).find_map(|id| self.booking_differs(register, *id));
        let services = || {
            let services = register.promises().map(|it| (it.service.clone(), it.version));
            let same = services.eq(self.services.iter().cloned());
            (!same).then(|| format!("service states differ from {:?}", self.services))
        };
        let spec = || {
            let same = *register.spec() == self.spec && register.version() == self.version;
            (!same).then(|| format!("spec {:?}, predicted {:?}", register.spec(), self.spec))
        };
        let held = || self.held_differs(register);
        let gates = || {
            let tally = register.tally()?;
            self.gates.differs_from(tally, self.spec.capacity)
        };
        let requests = || {
            let theirs = register.requests().all();
            let same = theirs.eq(self.requests.iter().map(|(about, request)| (*about, *request)));
            (!same).then(|| format!("other requests than {:?}", self.requests))
        };
        let life = || self.life.differs_from(register, &[]).or_else(requests);
        bookings.or_else(services).or_else(spec).or_else(held).or_else(gates).or_else(life)
    }

    fn booking_differs(&self, register: &Register, id: ReservationId) -> Option<String> {
        let theirs = register.reservation(id).map(|it| Booking {
            slot: it.slot,
            window: it.window,
            state: it.state,
            holder: it.holder,
            vehicle: it.vehicle,
            price: it.price.clone(),
            reminded: it.reminded,
            shown: it.shown,
            version: it.version,
            at: (it.created_at, it.updated_at),
        });
        let ours = self.bookings.get(&id);
        (theirs.as_ref() != ours).then(|| format!("{id} is {theirs:?}, predicted {ours:?}"))
    }

    /// A slot shows as held for the earliest of its promises whose time has come.
    fn held_differs(&self, register: &Register) -> Option<String> {
        self.spec.slot_indices().find_map(|slot| {
            let shown = self.on(slot).filter(|(_, it)| it.shown);
            let ours = shown.min_by_key(|(_, it)| it.window.from).map(|(id, _)| id);
            let theirs = register.promise(slot).and_then(|promise| promise.shown);
            (ours != theirs)
                .then(|| format!("{slot:?} shows as held for {theirs:?}, predicted {ours:?}"))
        })
    }

    /// As [`LotModel::differs_from`], for everything that is remembered.
    #[must_use]
    pub fn differs_wholly_from(&self, register: &Register) -> Option<String> {
        let ids: Vec<ReservationId> = self.bookings.keys().copied().collect();
        let theirs = register.reservations().count();
        if theirs != ids.len() {
            return Some(format!("{theirs} reservations are remembered, predicted {}", ids.len()));
        }
        self.life.differs_wholly_from(register).or_else(|| self.differs_from(register, &ids))
    }
}
