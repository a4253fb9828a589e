//! Gates, tills and the office: vehicles that come with a reservation, a ticket or a plate, twice or at two gates
//! at once; who pays, leaves, loses his ticket, stands elsewhere; tariffs that change meanwhile.

use std::sync::Arc;

use lotkeeper_engine::ids::{PaymentId, Pseudonym, Reference, ReservationId, SeriesId, SessionId};
use lotkeeper_engine::ids::{SlotIndex, TariffId};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::session::{DenyReason, Direction};
use lotkeeper_engine::lot::{
    Choice, Command, Credential, Needs, Pay, PaymentStep, Reserve, Scan, Scanner, StayChange,
    TariffChange,
};
use lotkeeper_engine::money::{Amount, BasisPoints};
use lotkeeper_engine::spec::{Arrival, Rules, Settlement, Size, TypeSet};
use lotkeeper_engine::tariff::{
    Assignment, Cancellation, Flat, Hourly, LostTicket, Rate, RefundStep, Scope, Slab, Slabs,
    Tariff, Tax, Tier,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

use super::commands::request;
use super::desk::{Desk, cashier, owner};
use super::season;
use crate::dice::Dice;
use crate::model::LotModel;

/// Vehicles that come and go.
const VEHICLES: u64 = 12;

/// Ids given out so far.
#[derive(Debug, Default)]
pub(super) struct Gates {
    last_id: u128,
    desk: Desk,
}

impl Gates {
    pub fn ask(&mut self, dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
        match dice.weighted(&[30, 24, 10, 12, 6, 2, 3, 90]) {
            0 => self.scan(dice, lot, now, Direction::Entry),
            1 => self.scan(dice, lot, now, Direction::Exit),
            2 => change(dice, lot, now),
            3 => self.pay(dice, lot),
            4 => step(dice, lot),
            5 => tariffs(dice, now),
            6 => self.series(dice, lot, now),
            _ => self.desk.ask(dice, lot, now),
        }
    }

    fn next(&mut self) -> Uuid {
        self.last_id += 1;
        Uuid::from_u128(0x5000_0000 + self.last_id)
    }

    fn scan(
        &mut self,
        dice: &mut Dice,
        lot: &LotModel,
        now: Timestamp,
        direction: Direction,
    ) -> Command {
        let credential = match direction {
            Direction::Entry => credential(dice, lot),
            Direction::Exit => ticket(dice, lot),
        };
        let id = match dice.one_in(40) {
            true => stay(dice, lot),
            false => SessionId(self.next()),
        };
        let tenant_pass = match (direction, &credential) {
            (Direction::Entry, Credential::Plate { .. }) => season::brought(dice, lot, now),
            _ => None,
        };
        let gates = [Some("north"), Some("north"), Some("south"), None];
        Command::Scan(Box::new(Scan {
            id,
            gate: gates[dice.index(4)].map(Box::from),
            direction,
            credential,
            seen: dice.one_in(4).then(|| vehicle(dice)),
            observed_at: dice.one_in(6).then(|| observed(dice, now)),
            confidence_percent: dice
                .one_in(3)
                .then(|| dice.pick(&[40, 79, 80, 99]).unwrap_or_default()),
            needs: Needs {
                size: dice.pick(&[Size::Compact, Size::Standard]).unwrap_or_default(),
                vehicle_type: TypeSet(dice.below(2)),
                ..Needs::default()
            },
            vehicle_type: None,
            by: match dice.below(8) {
                0 => Scanner::Staff,
                1 => Scanner::Driver(Pseudonym(Uuid::from_u128(0xF000))),
                _ => Scanner::Device,
            },
            is_elsewhere: dice.one_in(30),
            tenant_pass,
            dry_run: dice.one_in(20),
        }))
    }

    fn pay(&mut self, dice: &mut Dice, lot: &LotModel) -> Command {
        let about = owner(dice, lot);
        let id = match dice.one_in(20) {
            true => payment(dice, lot),
            false => PaymentId(self.next()),
        };
        let is_promise = dice.one_in(3);
        let bank = Method::Provider("bank".into());
        let method = [Method::Cash, Method::Terminal][dice.index(2)].clone();
        Command::Pay(Box::new(Pay {
            id,
            about,
            method: if is_promise { bank } else { method },
            amount: dice.one_in(4).then(|| Amount(dice.between(-10, 900))),
            is_promise,
            shift: dice.one_in(2).then(|| "early".into()),
            cashier: dice.one_in(2).then(|| cashier(dice)),
            reference: None,
        }))
    }

    fn series(&mut self, dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
        let begin = now.micros() / 1_000_000 + dice.between(300, 40_000);
        let every = dice.between(1, 4) * 3_600;
        let slot = slot(dice, lot);
        let series = Some(SeriesId(self.next()));
        let count = dice.between(0, 5);
        let hold = dice.one_in(3).then_some(Seconds(600));
        let of = |number: i64| {
            let from = begin + number * every;
            let window = Window {
                from: Timestamp::from_seconds(from),
                to: Timestamp::from_seconds(from + 7_200),
            };
            Reserve {
                id: ReservationId(self.next()),
                choice: Choice::Slot(slot),
                window,
                hold,
                holder: Pseudonym(Uuid::from_u128(0xF000)),
                vehicle: None,
                vehicle_type: None,
                discounts: Box::default(),
                series,
                request: None,
            }
        };
        Command::ReserveSeries((0..count).map(of).collect())
    }
}

pub(super) fn vehicle(dice: &mut Dice) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xC000 + u128::from(dice.below(VEHICLES))))
}

/// Mostly now, sometimes late, once in a while from a clock that is ahead or after a day's outage.
pub(super) fn observed(dice: &mut Dice, now: Timestamp) -> Timestamp {
    let off = match dice.below(8) {
        0 => dice.between(0, 240_000_000),
        1 => -dice.between(0, 100_000_000_000),
        _ => -dice.between(0, 900_000_000),
    };
    Timestamp::from_micros(now.micros() + off)
}

fn plate(dice: &mut Dice) -> Credential {
    let near = (0..dice.below(3)).map(|_| vehicle(dice)).collect();
    Credential::Plate { vehicle: vehicle(dice), near }
}

/// Mostly, where there are passes, somebody who has one.
fn pass_holder(dice: &mut Dice, lot: &LotModel) -> Option<Credential> {
    let vehicles = lot.life.passes.going_on().flat_map(|pass| pass.terms.vehicles.iter().copied());
    let vehicles: Vec<Pseudonym> = vehicles.collect();
    let vehicle = dice.pick(&vehicles).filter(|_| !dice.one_in(3))?;
    Some(Credential::Plate { vehicle, near: Vec::new() })
}

pub(super) fn slot(dice: &mut Dice, lot: &LotModel) -> SlotIndex {
    let slots = lot.services.len() as u64 + u64::from(dice.one_in(40));
    SlotIndex(u16::try_from(dice.below(slots)).unwrap_or(u16::MAX))
}

pub(super) fn booking(dice: &mut Dice, lot: &LotModel) -> ReservationId {
    let any = |dice: &mut Dice, count: usize| dice.index(count);
    let found = match dice.below(4) {
        0 => lot.bookings.keys().nth(any(dice, lot.bookings.len())).copied(),
        _ => lot.active().nth(any(dice, lot.active().count())).map(|(id, _)| id),
    };
    found.unwrap_or(ReservationId(Uuid::nil()))
}

pub(super) fn stay(dice: &mut Dice, lot: &LotModel) -> SessionId {
    let life = &lot.life;
    let found = match dice.below(6) {
        0 => life.stays.keys().nth(dice.index(life.stays.len())).copied(),
        _ => life.inside().nth(dice.index(life.inside().count())).map(|stay| stay.id),
    };
    found.unwrap_or(SessionId(Uuid::nil()))
}

pub(super) fn payment(dice: &mut Dice, lot: &LotModel) -> PaymentId {
    let all = &lot.life.payments;
    let found = all.keys().rev().nth(dice.index(all.len().min(12))).copied();
    found.unwrap_or(PaymentId(Uuid::nil()))
}

fn credential(dice: &mut Dice, lot: &LotModel) -> Credential {
    match dice.below(12) {
        0 => ticket(dice, lot),
        1..3 => Credential::Nothing,
        3..6 => pass_holder(dice, lot).unwrap_or_else(|| plate(dice)),
        6 => Credential::Refused(DenyReason::TokenExpired),
        _ => Credential::Reservation(booking(dice, lot)),
    }
}

fn ticket(dice: &mut Dice, lot: &LotModel) -> Credential {
    match dice.below(8) {
        0 => Credential::Nothing,
        1 => Credential::Reservation(booking(dice, lot)),
        2 => Credential::Ticket(Reference::of(stay(dice, lot).0)),
        3..5 => Credential::Session(stay(dice, lot)),
        5 => plate(dice),
        _ => {
            let id = stay(dice, lot);
            let known = lot.life.stays.get(&id).and_then(|stay| stay.vehicle);
            known.map_or(Credential::Session(id), |vehicle| Credential::Plate {
                vehicle,
                near: Vec::new(),
            })
        }
    }
}

fn change(dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
    let id = stay(dice, lot);
    let change = match dice.below(9) {
        0 => StayChange::Leave { at: None },
        1 => StayChange::Leave { at: Some(observed(dice, now)) },
        2 => StayChange::LoseTicket,
        3 => StayChange::Identify { vehicle: vehicle(dice) },
        4 => StayChange::Place { slot: None },
        5 => StayChange::Request((!dice.one_in(3)).then(|| request(dice))),
        _ => StayChange::Place { slot: Some(slot(dice, lot)) },
    };
    let version = lot.life.stays.get(&id).map_or(1, |stay| stay.version);
    let expected_version = dice.one_in(4).then(|| version + u32::from(dice.one_in(4)));
    Command::ChangeStay { id, change, expected_version }
}

fn step(dice: &mut Dice, lot: &LotModel) -> Command {
    let step = match dice.below(6) {
        0 => PaymentStep::Void,
        1 => PaymentStep::Fail,
        2 => PaymentStep::Refund { amount: None },
        3 => PaymentStep::Refund { amount: Some(Amount(dice.between(0, 400))) },
        _ => PaymentStep::Capture,
    };
    Command::StepPayment { id: payment(dice, lot), step }
}

/// A tariff of some kind, in force for the lot from now on; sometimes one ends.
fn tariffs(dice: &mut Dice, now: Timestamp) -> Command {
    let id = TariffId(Uuid::from_u128(0x9000 + u128::from(dice.below(2))));
    let name = "Day";
    let amount = Amount(dice.between(0, 500));
    let tier = |from, begun| Tier { from: Seconds(from), amount, per: Seconds(3_600), begun };
    let slab = |up_to, amount| Slab { up_to: Seconds(up_to), amount: Amount(amount) };
    let rate = match dice.below(4) {
        0 => Rate::Flat(Flat { amount }),
        1 => Rate::Slabs(Slabs {
            slabs: vec![slab(3_600, 300), slab(10_800, 700)].into(),
            longer: Amount(1_500),
            every: Some(Seconds(86_400)),
        }),
        2 => Rate::Hourly(Hourly { tiers: vec![tier(0, true), tier(7_200, false)].into() }),
        _ => Rate::Hourly(Hourly { tiers: vec![tier(0, false)].into() }),
    };
    let mut tariff = Tariff::plain(id, name, now, rate);
    tariff.overstay.penalty_per_hour = Amount(if dice.one_in(2) { 250 } else { 0 });
    tariff.tax = dice.one_in(2).then(|| Tax {
        code: "vat".into(),
        rate: BasisPoints(1_900),
        included: dice.one_in(2),
        on_penalty: dice.one_in(2),
    });
    tariff.lost_ticket =
        dice.one_in(2).then(|| LostTicket { amount: Amount(2_000), instead: dice.one_in(2) });
    if dice.one_in(2) {
        let step = RefundStep { before: Seconds(3_600), refund: BasisPoints(8_000) };
        tariff.cancellation = Cancellation { steps: [step].into(), no_show: BasisPoints(2_000) };
    }
    let assignment = Assignment { scope: Scope::Lot, vehicle_type: None, tariff: id };
    let mut changes =
        vec![TariffChange::Put(Arc::new(tariff)), TariffChange::Assign(assignment.clone())];
    if dice.one_in(6) {
        changes.push(TariffChange::Unassign(assignment));
    }
    Command::ChangeTariffs(changes)
}

/// Rules of a lot with gates, from seconds to a day.
pub(super) fn rules(dice: &mut Dice, usual: Rules) -> Rules {
    let mut seconds = |from, to| Seconds(dice.count(from, to));
    let rules = Rules {
        early_entry: seconds(0, 3_600),
        auto_exit: seconds(600, 100_000),
        exit_window: seconds(0, 900),
        repeat_window: seconds(0, 120),
        remind_before_start: seconds(0, 2_400),
        remind_before_end: seconds(0, 1_200),
        overstay_grace: seconds(0, 900),
        offer: seconds(1, 2_400),
        overstay_notice_first: seconds(1, 3_600),
        overstay_notice_every: seconds(1, 3_600),
        drive_in_stay: seconds(60, 14_400),
        ..usual
    };
    Rules {
        stay_max: dice.one_in(3).then(|| Seconds(dice.count(60, 20_000))),
        drive_in: !dice.one_in(4),
        fuzzy_plates: dice.one_in(2),
        gates_count: !dice.one_in(4),
        arrival: [Arrival::BySensor, Arrival::Proved, Arrival::Assumed][dice.index(3)],
        settlement: [Settlement::AtExit, Settlement::Before, Settlement::OnAccount][dice.index(3)],
        ..rules
    }
}
