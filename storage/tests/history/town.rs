//! A log with a little of everything, the same one every time, and everything a history says about it.

use std::fmt::Write;

use lotkeeper_engine::ids::{
    LotKey, PaymentId, Pseudonym, ReservationId, SeriesId, SessionId, SlotIndex,
};
use lotkeeper_engine::lot::payment::{self, Method, Recorded};
use lotkeeper_engine::lot::session::{self, Entered, Left, Origin};
use lotkeeper_engine::lot::{
    self, Account, Entry, LotValues, MovedTo, Owner, Posting, Proof, Purpose, Reminder, Reserved,
    Terms,
};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::history::{History, Listed, LotFacts, Query};
use lotkeeper_storage::{Event, Record};
use smallvec::smallvec;

use super::common::{Author, START, uuid};

pub const A: LotKey = LotKey(0);
pub const B: LotKey = LotKey(1);
const SLOTS: u16 = 12;

/// See the module.
pub struct Town {
    pub author: Author,
    pub records: Vec<Record>,
    pub reservations: Vec<ReservationId>,
    pub sessions: Vec<SessionId>,
    /// Whose money moved.
    pub postings: Vec<Owner>,
    dice: u64,
}

pub fn session_id(number: u128) -> SessionId {
    SessionId(uuid(0x5E55 << 48 | number))
}

pub fn vehicle(number: u64) -> Pseudonym {
    Pseudonym(uuid(0xCA7 << 48 | u128::from(number)))
}

pub fn holder(number: u64) -> Pseudonym {
    Pseudonym(uuid(0x401D << 48 | u128::from(number)))
}

fn of_stay(event: session::Event) -> Event {
    Event::Lot(lot::Event::Session(event))
}

pub fn entered(
    id: SessionId,
    vehicle: Option<Pseudonym>,
    reservation: Option<ReservationId>,
    gate: Option<&str>,
) -> Event {
    entered_at(id, vehicle, reservation, gate, START)
}

fn entered_at(
    id: SessionId,
    vehicle: Option<Pseudonym>,
    reservation: Option<ReservationId>,
    gate: Option<&str>,
    at: Timestamp,
) -> Event {
    let terms = Terms {
        tariff: None,
        multiplier: PerMille(1_000),
        vehicle_type: None,
        discounts: Box::default(),
        pass: None,
    };
    of_stay(session::Event::Entered(Box::new(Entered {
        id,
        origin: reservation.map_or(Origin::DriveIn, Origin::Reservation),
        vehicle,
        holder: vehicle.map(|vehicle| holder(vehicle.0.as_u128() as u64 % 7)),
        slot: None,
        claim: None,
        booked: None,
        at,
        gate: gate.map(Into::into),
        terms,
    })))
}

pub fn left(id: SessionId) -> Event {
    let left = Left { id, at: START.plus(Seconds(9)), gate: None, fee: None, reason: None };
    of_stay(session::Event::Left(Box::new(left)))
}

impl Town {
    /// About so many records.
    pub fn of(count: usize) -> Self {
        let mut author = Author::new();
        let records = vec![author.created(A, SLOTS), author.created(B, SLOTS)];
        let mut town = Self {
            author,
            records,
            reservations: Vec::new(),
            sessions: Vec::new(),
            postings: Vec::new(),
            dice: 7,
        };
        while town.records.len() < count {
            town.happen();
        }
        town
    }

    pub fn facts(&self, lot: LotKey) -> Option<LotFacts> {
        let spec = self.author.lots.get(&lot)?.lot.spec();
        Some(LotFacts { tenant: spec.tenant.clone(), rules: spec.rules })
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (self.dice >> 33) % sides
    }

    fn tell(&mut self, lot: LotKey, event: Event) {
        let record = self.author.record(lot, event);
        self.records.push(record);
    }

    fn happen(&mut self) {
        let lot = LotKey(u32::try_from(self.roll(2)).unwrap());
        match self.roll(20) {
            0..=3 => self.reserve(lot),
            4..=7 => self.step_of_a_reservation(),
            8..=10 => self.enter(lot),
            11..=14 => self.step_of_a_stay(),
            15 | 16 => self.pay(lot),
            17 if self.roll(20) == 0 => self.change_rules(lot),
            _ => {
                let slot = u16::try_from(self.roll(u64::from(SLOTS))).unwrap();
                let record = self.author.changed(lot, slot);
                self.records.push(record);
            }
        }
    }

    fn change_rules(&mut self, lot: LotKey) {
        let mut values = LotValues::of(self.author.lots[&lot].lot.spec());
        let seconds = u32::try_from(self.roll(7_200)).unwrap();
        values.rules.remind_before_start = Seconds(seconds);
        values.rules.hold_lead = Seconds(seconds / 2);
        self.tell(lot, Event::Lot(lot::Event::Changed(Box::new(values))));
    }

    fn window(&mut self) -> Window {
        let from = START.plus(Seconds(60 * u32::try_from(self.roll(600)).unwrap()));
        Window { from, to: from.plus(Seconds(3_600)) }
    }

    fn slot(&mut self) -> SlotIndex {
        SlotIndex(u16::try_from(self.roll(u64::from(SLOTS))).unwrap())
    }

    fn reserve(&mut self, lot: LotKey) {
        let id = ReservationId(uuid(u128::from(self.author.seq) + 1));
        let window = self.window();
        let reserved = Reserved {
            id,
            slot: self.slot(),
            window,
            expires_at: (self.roll(2) == 0).then_some(window.from),
            holder: holder(self.roll(7)),
            vehicle: (self.roll(3) > 0).then(|| vehicle(self.dice % 20)),
            price: None,
            series: (self.roll(5) == 0).then(|| SeriesId(uuid(3))),
            request: (self.roll(4) == 0).then(|| holder(self.roll(7))),
        };
        self.reservations.push(id);
        self.tell(lot, Event::Lot(lot::Event::Reserved(Box::new(reserved))));
    }

    fn lot_of(&self, has: impl Fn(&super::common::State) -> bool) -> LotKey {
        self.author.lots.iter().find(|(_, state)| has(state)).map_or(A, |(lot, _)| *lot)
    }

    fn step_of_a_reservation(&mut self) {
        let count = self.reservations.len() as u64;
        let Some(position) = count.checked_sub(1 + self.roll(count.clamp(1, 30))) else { return };
        let id = self.reservations[usize::try_from(position).unwrap()];
        let lot = self.lot_of(|state| state.lot.reservation(id).is_some());
        let event = match self.roll(12) {
            0 | 1 => lot::Event::Confirmed { id },
            2 => lot::Event::Modified { id, window: self.window(), price: None },
            3 => lot::Event::Cancelled { id, reason: Some("plans_changed".into()) },
            4 => lot::Event::Expired { id },
            5 => lot::Event::HoldBegan { id },
            6 => lot::Event::CheckedIn { id, proof: Proof::Driver },
            7 => lot::Event::NoShow { id },
            8 => lot::Event::Completed { id },
            9 => lot::Event::Reminded { id, of: Reminder::Start },
            10 => lot::Event::Requested { id, request: Some(holder(self.roll(7))) },
            _ => lot::Event::Moved(Box::new(MovedTo {
                id,
                slot: self.slot(),
                window: self.window(),
                price: None,
            })),
        };
        self.tell(lot, Event::Lot(event));
    }

    fn enter(&mut self, lot: LotKey) {
        let id = session_id(u128::from(self.author.seq));
        let of = self.roll(3);
        let vehicle = (of > 0).then(|| vehicle(self.dice % 20));
        let reservation = self.reservations.last().copied().filter(|_| of == 2);
        // Some come in at one instant.
        let at = START.plus(Seconds(u32::try_from(self.author.seq / 4).unwrap()));
        self.sessions.push(id);
        self.tell(lot, entered_at(id, vehicle, reservation, Some("north"), at));
    }

    fn step_of_a_stay(&mut self) {
        let count = self.sessions.len() as u64;
        let Some(position) = count.checked_sub(1 + self.roll(count.clamp(1, 40))) else { return };
        let id = self.sessions[usize::try_from(position).unwrap()];
        let lot = self.lot_of(|state| state.lot.stays().get(id).is_some());
        let event = match self.roll(7) {
            0 => session::Event::Overstayed { id },
            1 => session::Event::Identified { id, vehicle: vehicle(self.dice % 20) },
            2 => session::Event::TicketLost { id },
            5 => session::Event::Requested { id, request: None },
            3 => session::Event::Abandoned { id, fee: None },
            4 => session::Event::Placed { id, slot: Some(self.slot()), claim: None },
            _ => return self.tell(lot, left(id)),
        };
        self.tell(lot, of_stay(event));
    }

    fn pay(&mut self, lot: LotKey) {
        let Some(session) = self.sessions.last().copied() else { return };
        let about = Owner::Session(session);
        let (id, amount) = (PaymentId(uuid(0xFA << 56 | u128::from(self.author.seq))), Amount(250));
        let recorded = Recorded {
            id,
            about,
            method: Method::Provider("acme".into()),
            amount,
            is_promise: self.roll(2) == 0,
            shift: Some("early".into()),
            cashier: Some(holder(99)),
            reference: None,
        };
        let number = self.author.lots[&lot].lot.accounts().parts().0 + 1;
        let entries = smallvec![
            Entry { account: Account::Received(Method::Cash), amount },
            Entry { account: Account::Customer(about), amount: Amount(-250) },
        ];
        let posting = Posting { number, about, purpose: Purpose::Payment(id), entries };
        self.postings.push(about);
        for event in [
            lot::Event::Payment(payment::Event::Recorded(Box::new(recorded))),
            lot::Event::Posted(Box::new(posting)),
            lot::Event::Payment(payment::Event::Captured { id }),
            lot::Event::Payment(payment::Event::Refunded { id, amount: Amount(100) }),
        ] {
            self.tell(lot, Event::Lot(event));
        }
    }
}

/// All pages of an answer.
pub fn all<D: Listed + std::fmt::Debug>(
    history: &History,
    mut query: Query<D>,
) -> Vec<std::sync::Arc<D>> {
    let mut all = Vec::new();
    loop {
        let page = history.page(&query).unwrap();
        assert!(page.items.len() <= query.limit);
        all.extend(page.items.into_iter().map(|found| found.document));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

/// Everything a history says.
pub fn told(history: &History, town: &Town) -> String {
    let mut told = String::new();
    let sessions = Query::<lot::Session>::of("city", 37);
    let reservations = Query::<lot::Reservation>::of("city", 41);
    writeln!(told, "{:?}", all(history, sessions.clone())).unwrap();
    writeln!(told, "{:?}", all(history, reservations.clone())).unwrap();
    for number in 0..20 {
        let vehicles = Some(vec![vehicle(number)]);
        let of_vehicle = Query { vehicles: vehicles.clone(), ..sessions.clone() };
        writeln!(told, "{:?}", all(history, of_vehicle)).unwrap();
        writeln!(told, "{:?}", all(history, Query { vehicles, ..reservations.clone() })).unwrap();
    }
    for about in &town.postings {
        writeln!(told, "{:?}", history.payments_of(*about).unwrap()).unwrap();
        writeln!(told, "{:?}", history.postings_of(*about).unwrap()).unwrap();
    }
    writeln!(told, "{}", history.meta().documents).unwrap();
    told
}
