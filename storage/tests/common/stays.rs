//! What the fixture of stays and money shares: one event of every kind, and one of everything a lot keeps of it.
//! What came later than these bytes has fixtures of its own.

use std::sync::Arc;

use lotkeeper_engine::ids::{
    LotKey, PassId, PaymentId, Pseudonym, ReservationId, SeriesId, SessionId, ShiftId, SlotIndex,
    TariffId, ViolationId, WaitingId, ZoneIndex,
};
use lotkeeper_engine::lot::guest::Calendar;
use lotkeeper_engine::lot::pass::{Allowance, Limit, PassTerms, Per, Reach};
use lotkeeper_engine::lot::payment::{self, Method};
use lotkeeper_engine::lot::provider::Transfer;
use lotkeeper_engine::lot::session::{
    self, Denied, DenyReason, Direction, Entered, Left, OpenReason, Origin,
};
use lotkeeper_engine::lot::shift;
use lotkeeper_engine::lot::violation::{self, Amended, Evidence, Kind, Raised, Severity};
use lotkeeper_engine::lot::waiting::{self, WaiterTerms};
use lotkeeper_engine::lot::{
    Account, Entry, Event as LotEvent, MovedTo, Needs, Owner, Posting, Price, Purpose, Reminder,
    Reserved, TariffChange, Terms, pass,
};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::spec::{FeatureSet, Size, TypeSet};
use lotkeeper_engine::tariff::{
    Assignment, Coverage, Covers, Fee, Flat, Line, LineKind, Rate, Scope, Tariff,
};
use lotkeeper_engine::time::{Seconds, Window};
use lotkeeper_storage::{By, Event, Record};
use uuid::Uuid;

use crate::samples::after;

pub fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x7000_0000_0000_8000_0000_0000_0000_0000 + number)
}

pub fn someone(number: u128) -> Pseudonym {
    Pseudonym(uuid(0xa0 + number))
}

pub fn session_id() -> SessionId {
    SessionId(uuid(1))
}

pub fn reservation_id() -> ReservationId {
    ReservationId(uuid(2))
}

fn window() -> Window {
    Window { from: after(60), to: after(3_660) }
}

pub fn fee() -> Fee {
    let line = Line {
        kind: LineKind::Base,
        code: "day".into(),
        seconds: Seconds(3_600),
        quantity: 1,
        rate: Some(Amount(200)),
        rate_per: Seconds(3_600),
        window: Some(window()),
        amount: Amount(200),
    };
    Fee {
        tariff: TariffId(uuid(3)),
        version: 4,
        lines: vec![line],
        subtotal: Amount(200),
        discount: Amount::ZERO,
        tax: Amount::ZERO,
        tax_included: true,
        service_fee: Amount::ZERO,
        service_fee_payer: None,
        total: Amount(200),
        multiplier: PerMille(1_000),
        booked: Seconds(3_600),
        stayed: Seconds(1_800),
        tzdb: "2026a".into(),
    }
}

fn terms() -> Terms {
    Terms {
        tariff: Some((TariffId(uuid(3)), 4)),
        multiplier: PerMille(1_250),
        vehicle_type: Some("van".into()),
        discounts: vec!["SHOP".into()].into(),
        pass: Some(Coverage { code: "monthly".into(), covers: Covers::First(Seconds(5_400)) }),
    }
}

pub fn price() -> Price {
    Price { fee: fee(), terms: Arc::new(terms()) }
}

pub fn entered() -> Entered {
    Entered {
        id: session_id(),
        origin: Origin::Reservation(reservation_id()),
        vehicle: Some(someone(1)),
        holder: Some(someone(2)),
        slot: Some(SlotIndex(1)),
        claim: Some(window()),
        booked: Some(window()),
        at: after(61),
        gate: Some("north".into()),
        terms: terms(),
    }
}

fn stays() -> Vec<session::Event> {
    use session::Event as E;
    let (id, gate) = (session_id(), Some(Box::from("south")));
    let drive_in =
        Entered { origin: Origin::DriveIn, id: SessionId(uuid(9)), vehicle: None, ..entered() };
    let by_pass = Entered { origin: Origin::Pass(PassId(uuid(6))), holder: None, ..entered() };
    let manual = Entered { origin: Origin::Manual, slot: None, claim: None, ..entered() };
    let denied = Denied {
        gate: gate.clone(),
        direction: Direction::Exit,
        reason: DenyReason::PaymentRequired,
        vehicle: Some(someone(1)),
        reservation: Some(reservation_id()),
        session: Some(id),
        due: Some(Amount(200)),
        not_before: Some(after(9)),
    };
    let left = Left {
        id,
        at: after(70),
        gate,
        fee: Some(Box::new(fee())),
        reason: Some(OpenReason::Paid),
    };
    vec![
        E::Entered(Box::new(entered())),
        E::Entered(Box::new(drive_in)),
        E::Entered(Box::new(by_pass)),
        E::Entered(Box::new(manual)),
        E::Placed { id, slot: Some(SlotIndex(0)), claim: None },
        E::Overstayed { id },
        E::Identified { id, vehicle: someone(3) },
        E::TicketLost { id },
        E::Settled { id, fee: Box::new(fee()), leave_by: after(900) },
        E::Left(Box::new(left)),
        E::Abandoned { id, fee: None },
        E::Denied(Box::new(denied)),
    ]
}

pub fn recorded() -> payment::Recorded {
    payment::Recorded {
        id: PaymentId(uuid(4)),
        about: Owner::Reservation(reservation_id()),
        method: Method::Provider("card-co".into()),
        amount: Amount(200),
        is_promise: true,
        shift: Some("early".into()),
        cashier: Some(someone(4)),
        reference: Some("T-17".into()),
    }
}

fn payments() -> Vec<payment::Event> {
    use payment::Event as E;
    let id = PaymentId(uuid(4));
    let cash = payment::Recorded {
        method: Method::Cash,
        about: Owner::Session(session_id()),
        is_promise: false,
        ..recorded()
    };
    let terminal = payment::Recorded {
        method: Method::Terminal,
        about: Owner::Vehicle(someone(1)),
        ..recorded()
    };
    let of_pass = payment::Recorded { about: Owner::Pass(PassId(uuid(6))), ..recorded() };
    vec![
        E::Recorded(Box::new(recorded())),
        E::Recorded(Box::new(cash)),
        E::Recorded(Box::new(terminal)),
        E::Recorded(Box::new(of_pass)),
        E::Captured { id },
        E::Voided { id },
        E::Failed { id },
        E::Refunded { id, amount: Amount(50) },
        E::Requested(Box::new(recorded())),
        E::Asked { id, what: Transfer::Capture(Amount(150)) },
        E::Asked { id, what: Transfer::Refund(Amount(20)) },
        E::Asked { id, what: Transfer::Void },
        E::Authorised { id, reference: Some("auth-17".into()) },
        E::PartCaptured { id, amount: Amount(150) },
        E::Refused { id, reason: "card_declined".into() },
    ]
}

/// One of every purpose, over all accounts.
fn postings() -> Vec<Posting> {
    let owner = Owner::Session(session_id());
    let side = |account, amount| Entry { account, amount: Amount(amount) };
    let all = [
        (Purpose::Charge, Account::Revenue),
        (Purpose::Cancellation, Account::Tax),
        (Purpose::Penalty, Account::Penalties),
        (Purpose::Payment(PaymentId(uuid(4))), Account::Received(Method::Cash)),
        (Purpose::Refund(PaymentId(uuid(4))), Account::Received(Method::Terminal)),
        (Purpose::Waiver, Account::WrittenOff),
        (Purpose::Reversal { of: 3 }, Account::ServiceFees),
        (Purpose::Pass, Account::Received(Method::Provider("card-co".into()))),
    ];
    let posting = |(number, (purpose, account))| Posting {
        number,
        about: owner,
        purpose,
        entries: [side(Account::Customer(owner), 200), side(account, -200)].into_iter().collect(),
    };
    (1..).zip(all).map(posting).collect()
}

pub fn raised() -> Raised {
    Raised {
        id: ViolationId(uuid(5)),
        kind: Kind::of("blocks_lane"),
        severity: Severity::Serious,
        detected: false,
        since: after(62),
        session: Some(session_id()),
        slot: Some(SlotIndex(1)),
        vehicle: Some(someone(1)),
        holder: Some(someone(2)),
        account: Some(Owner::Session(session_id())),
        penalty: Amount(500),
        evidence: vec![Evidence {
            kind: "photo".into(),
            reference: "https://example.org/17.jpg".into(),
        }],
    }
}

fn violations() -> Vec<violation::Event> {
    use violation::Event as E;
    let (id, reason) = (ViolationId(uuid(5)), Some(Box::from("mistake")));
    let amended = Amended {
        id,
        severity: Severity::Severe,
        vehicle: Some(someone(3)),
        account: Some(Owner::Vehicle(someone(3))),
        penalty: Amount(700),
        evidence: Vec::new(),
    };
    vec![
        E::Raised(Box::new(raised())),
        E::Amended(Box::new(amended)),
        E::Notified { id, number: 2, fee: Amount(300) },
        E::Paid { id },
        E::Appealed { id, reason: reason.clone() },
        E::Waived { id, reason: reason.clone() },
        E::Resolved { id, reason },
    ]
}

pub fn pass_terms() -> PassTerms {
    PassTerms {
        plan: "monthly".into(),
        holder: Some(someone(2)),
        vehicles: vec![someone(1), someone(3)],
        price: Amount(9_900),
        valid: window(),
        allowance: Some(Allowance { limit: Limit::Entries(2), per: Per::Day }),
        covers: Covers::Share(PerMille(500)),
    }
}

pub fn tariff() -> Tariff {
    let rate = Rate::Flat(Flat { amount: Amount(200) });
    Tariff::plain(TariffId(uuid(3)), "Centre", after(0), rate)
}

pub fn assignment() -> Assignment {
    Assignment {
        scope: Scope::Slot(SlotIndex(1)),
        vehicle_type: Some("van".into()),
        tariff: TariffId(uuid(3)),
    }
}

fn promises() -> Vec<LotEvent> {
    let id = reservation_id();
    let reserved = Reserved {
        id,
        slot: SlotIndex(1),
        window: window(),
        expires_at: Some(after(30)),
        holder: someone(2),
        vehicle: Some(someone(1)),
        price: Some(Box::new(price())),
        series: Some(SeriesId(uuid(7))),
        request: None,
    };
    let moved =
        MovedTo { id, slot: SlotIndex(0), window: window(), price: Some(Box::new(price())) };
    let tariff_id = TariffId(uuid(3));
    let changes = [
        TariffChange::Put(Arc::new(tariff())),
        TariffChange::End { id: tariff_id, at: after(99) },
        TariffChange::Assign(assignment()),
        TariffChange::Unassign(Assignment { scope: Scope::Tenant, ..assignment() }),
    ];
    let mut all = vec![
        LotEvent::Reserved(Box::new(reserved)),
        LotEvent::Modified { id, window: window(), price: Some(Box::new(price())) },
        LotEvent::Moved(Box::new(moved)),
        LotEvent::HoldEnded { id },
        LotEvent::Reminded { id, of: Reminder::Start },
        LotEvent::Reminded { id, of: Reminder::End },
    ];
    all.extend(changes.into_iter().map(|change| LotEvent::TariffsChanged(Box::new(change))));
    all
}

fn passes() -> Vec<pass::Event> {
    use pass::Event as E;
    let (id, terms) = (PassId(uuid(6)), || Box::new(pass_terms()));
    vec![
        E::Issued { id, reach: Reach::Lot, terms: terms() },
        E::Issued { id: PassId(uuid(7)), reach: Reach::Tenant, terms: terms() },
        E::Changed { id, terms: terms() },
        E::Paused { id },
        E::Resumed { id },
        E::Used { id, period: 17, entries: 1, stayed: Seconds(600) },
        E::Ended { id },
        E::Honoured {
            id: PassId(uuid(7)),
            session: SessionId(uuid(2)),
            period: 17,
            by: Calendar { per: Per::Day, zone: "Europe/Berlin".into() },
        },
        E::Followed { id: PassId(uuid(7)), state: pass::State::Paused },
    ]
}

fn shifts() -> Vec<shift::Event> {
    use shift::Event as E;
    let id = ShiftId(uuid(8));
    let opened =
        shift::Opened { id, code: "early".into(), cashier: someone(4), float: Amount(10_000) };
    let took = |by_terminal, amount| E::Took {
        id,
        payment: PaymentId(uuid(4)),
        by_terminal,
        amount: Amount(amount),
    };
    let closed = E::Closed { id, counted: Amount(10_150) };
    vec![E::Opened(Box::new(opened)), took(false, 200), took(true, -50), closed]
}

pub fn waiter_terms() -> WaiterTerms {
    WaiterTerms {
        needs: Needs {
            size: Size::Large,
            features: FeatureSet(1),
            zone: Some(ZoneIndex(0)),
            vehicle_type: TypeSet(2),
        },
        window: window(),
        holder: someone(2),
        vehicle: Some(someone(1)),
        vehicle_type: Some("van".into()),
        discounts: vec!["SHOP".into()].into(),
    }
}

fn waiters() -> Vec<waiting::Event> {
    use waiting::Event as E;
    let id = WaitingId(uuid(10));
    vec![
        E::Joined { id, terms: Box::new(waiter_terms()) },
        E::Offered { id },
        E::Left { id },
        E::RanOut { id },
        E::Refused { id },
    ]
}

/// One commit with everything that can happen to stays, money, violations, passes, shifts and who waits.
pub fn commit(by: impl Fn(u64) -> Option<By>) -> Vec<Record> {
    let events = promises()
        .into_iter()
        .chain(stays().into_iter().map(LotEvent::Session))
        .chain(payments().into_iter().map(LotEvent::Payment))
        .chain(postings().into_iter().map(|posting| LotEvent::Posted(Box::new(posting))))
        .chain(violations().into_iter().map(LotEvent::Violation))
        .chain(passes().into_iter().map(LotEvent::Pass))
        .chain(shifts().into_iter().map(LotEvent::Shift))
        .chain(waiters().into_iter().map(LotEvent::Waiting));
    let record = |(seq, event): (u64, LotEvent)| Record {
        seq,
        lot: LotKey(2),
        lot_seq: seq + 10,
        at: after(3_000_000),
        event: Event::Lot(event),
        by: by(seq),
        claim: None,
    };
    (1..).zip(events).map(record).collect()
}
