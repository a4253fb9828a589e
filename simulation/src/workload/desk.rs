//! Desks behind the gates: cashiers and their shifts, providers that answer late, twice or never, wardens and whom
//! they report. Who waits and who has a pass: `season.rs`.

use std::collections::VecDeque;

use lotkeeper_engine::ids::{PaymentId, Pseudonym, ShiftId, ViolationId};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::provider::{self, Answer, Wanted};
use lotkeeper_engine::lot::shift::{self, Opened};
use lotkeeper_engine::lot::violation::{Evidence, Kind, Severity};
use lotkeeper_engine::lot::{Account, Caller, Command, Owner, Pay, Report, ViolationChange};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::Timestamp;
use uuid::Uuid;

use super::gates::{booking, observed, payment, slot, stay, vehicle};
use super::season;
use crate::dice::Dice;
use crate::model::LotModel;

/// Cashiers that share the desks.
const CASHIERS: u64 = 3;
/// Questions to providers that are remembered: one that was answered may be answered again.
const QUESTIONS: usize = 12;

/// Ids given out so far, and what providers were asked.
#[derive(Debug, Default)]
pub(super) struct Desk {
    last_id: u128,
    asked: VecDeque<(PaymentId, u32)>,
}

/// One of the cashiers.
pub(super) fn cashier(dice: &mut Dice) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xE000 + u128::from(dice.below(CASHIERS))))
}

/// Whose money: mostly of somebody inside or who has reserved, often of one who owes something already.
pub(super) fn owner(dice: &mut Dice, lot: &LotModel) -> Owner {
    let owing = lot.life.accounts.iter().filter(|(_, amount)| **amount > 0);
    let owing: Vec<Owner> = owing
        .filter_map(|(account, _)| match account {
            Account::Customer(owner) => Some(*owner),
            _ => None,
        })
        .collect();
    match dice.below(6) {
        0..2 if !owing.is_empty() => owing[dice.index(owing.len())],
        0..4 => Owner::Session(stay(dice, lot)),
        4 => Owner::Reservation(booking(dice, lot)),
        _ => Owner::Vehicle(vehicle(dice)),
    }
}

impl Desk {
    pub fn ask(&mut self, dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
        match dice.weighted(&[26, 12, 12, 12, 20, 8, 5, 8, 10, 16, 10, 10, 6]) {
            0 => season::join(dice, lot, now, self.next()),
            1 => season::move_on(dice, lot),
            2 => self.authorise(dice, lot),
            3 => ask_provider(dice, lot),
            4 => self.answer(dice, lot),
            5 => self.open_shift(dice, lot),
            6 => close_shift(dice, lot),
            7 => hand_out(dice, lot),
            8 => self.report(dice, lot, now),
            9 => change_violation(dice, lot),
            10 => season::issue(dice, lot, now, self.next()),
            11 => season::change(dice, lot, now),
            _ => season::follow(dice, now),
        }
    }

    fn next(&mut self) -> Uuid {
        self.last_id += 1;
        Uuid::from_u128(0x7000_0000 + self.last_id)
    }

    fn authorise(&mut self, dice: &mut Dice, lot: &LotModel) -> Command {
        let id = match dice.one_in(20) {
            true => payment(dice, lot),
            false => PaymentId(self.next()),
        };
        let name = if dice.one_in(4) { "card" } else { "bank" };
        Command::Provider(Box::new(provider::Command::Authorise(Pay {
            id,
            about: owner(dice, lot),
            method: Method::Provider(name.into()),
            amount: dice.one_in(2).then(|| Amount(dice.between(-10, 3_000))),
            is_promise: true,
            shift: None,
            cashier: None,
            reference: None,
        })))
    }

    /// The answer to a question that is open, or to one that was: late, a second time, or the other way round.
    fn answer(&mut self, dice: &mut Dice, lot: &LotModel) -> Command {
        let open = lot.life.payments.values().filter_map(|it| Some((it.id, it.asked?.number)));
        let open: Vec<(PaymentId, u32)> = open.collect();
        let (id, number) = match dice.below(5) {
            0..4 if !open.is_empty() => open[dice.index(open.len())],
            _ if self.asked.is_empty() => (payment(dice, lot), 1),
            _ => self.asked[dice.index(self.asked.len())],
        };
        self.asked.push_back((id, number));
        if self.asked.len() > QUESTIONS {
            self.asked.pop_front();
        }
        let answer = match dice.below(4) {
            0 => Answer::Refused { reason: "card_declined".into() },
            1 => Answer::Done { reference: None },
            _ => Answer::Done { reference: Some("auth-1".into()) },
        };
        Command::Provider(Box::new(provider::Command::Answered { id, number, answer }))
    }

    fn open_shift(&mut self, dice: &mut Dice, lot: &LotModel) -> Command {
        let code = if dice.one_in(20) { "early shift" } else { "early" };
        Command::Shift(Box::new(shift::Command::Open(Opened {
            id: if dice.one_in(16) { shift_id(dice, lot) } else { ShiftId(self.next()) },
            code: code.into(),
            cashier: cashier(dice),
            float: Amount(dice.between(-100, 20_000)),
        })))
    }

    fn report(&mut self, dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
        let kinds = [Kind::WrongSlotType, Kind::NoSession, Kind::Overstay, Kind::ExpiredPass];
        let kind = kinds.get(dice.index(5)).cloned();
        Command::Report(Box::new(Report {
            id: match dice.one_in(16) {
                true => violation(dice, lot),
                false => ViolationId(self.next()),
            },
            kind: kind.unwrap_or_else(|| Kind::Reported("litter".into())),
            severity: dice.one_in(3).then_some(Severity::Severe),
            seen_at: dice.one_in(3).then(|| observed(dice, now)),
            session: dice.one_in(2).then(|| stay(dice, lot)),
            slot: dice.one_in(3).then(|| slot(dice, lot)),
            vehicle: dice.one_in(2).then(|| vehicle(dice)),
            penalty: penalty(dice),
            evidence: evidence(dice),
        }))
    }
}

fn penalty(dice: &mut Dice) -> Amount {
    let some = Amount(dice.between(-5, 4_000));
    dice.pick(&[Amount(0), Amount(2_500), some]).unwrap_or_default()
}

fn evidence(dice: &mut Dice) -> Vec<Evidence> {
    let reference = if dice.one_in(12) { "no code" } else { "photo-7" };
    let one = |_| Evidence { kind: "photo".into(), reference: reference.into() };
    (0..dice.below(3)).map(one).collect()
}

fn ask_provider(dice: &mut Dice, lot: &LotModel) -> Command {
    let unsettled: Vec<PaymentId> =
        lot.life.payments.values().filter(|it| it.is_unsettled()).map(|it| it.id).collect();
    let id = match dice.pick(&unsettled) {
        Some(id) if !dice.one_in(4) => id,
        _ => payment(dice, lot),
    };
    let amount = dice.one_in(3).then(|| Amount(dice.between(-5, 2_000)));
    let wanted = match dice.below(8) {
        0 => Wanted::Void,
        1 | 2 => Wanted::Refund { amount },
        3 | 4 => Wanted::Collect,
        _ => Wanted::Capture { amount },
    };
    Command::Provider(Box::new(provider::Command::Ask { id, wanted }))
}

fn shift_id(dice: &mut Dice, lot: &LotModel) -> ShiftId {
    let all = &lot.life.shifts.all;
    all.keys().nth(dice.index(all.len())).copied().unwrap_or(ShiftId(Uuid::nil()))
}

/// What a cashier counts is mostly what should be there.
fn close_shift(dice: &mut Dice, lot: &LotModel) -> Command {
    let open: Vec<_> = lot.life.shifts.open().collect();
    let known = match dice.one_in(4) || open.is_empty() {
        true => lot.life.shifts.all.get(&shift_id(dice, lot)),
        false => Some(open[dice.index(open.len())]),
    };
    let expected = known.map_or(0, |it| it.float.0 + it.cash.received.0 - it.cash.refunded.0);
    let off = dice.pick(&[0, 0, -150, 20]).unwrap_or_default();
    let own = known.map_or_else(|| cashier(dice), |it| it.cashier);
    Command::Shift(Box::new(shift::Command::Close {
        id: known.map_or(ShiftId(Uuid::nil()), |it| it.id),
        by: match dice.below(4) {
            0 => None,
            1 => Some(cashier(dice)),
            _ => Some(own),
        },
        counted: Amount(expected + off),
    }))
}

fn hand_out(dice: &mut Dice, lot: &LotModel) -> Command {
    Command::Shift(Box::new(shift::Command::HandOut {
        payment: payment(dice, lot),
        amount: dice.one_in(2).then(|| Amount(dice.between(-5, 600))),
        cashier: cashier(dice),
    }))
}

fn violation(dice: &mut Dice, lot: &LotModel) -> ViolationId {
    let fines = &lot.life.fines;
    let found = match dice.below(5) {
        0 | 1 => fines.all.keys().nth(dice.index(fines.all.len())).copied(),
        _ => fines.open().nth(dice.index(fines.open().count())).map(|it| it.id),
    };
    found.unwrap_or(ViolationId(Uuid::nil()))
}

fn change_violation(dice: &mut Dice, lot: &LotModel) -> Command {
    let id = violation(dice, lot);
    let reason = dice.one_in(2).then(|| "checked".into());
    let change = match dice.below(10) {
        0..3 => ViolationChange::Appeal { reason },
        3 | 4 => ViolationChange::Waive { reason },
        5 => ViolationChange::Resolve { reason },
        6 | 7 => ViolationChange::Notify,
        _ => ViolationChange::Amend {
            severity: dice.one_in(3).then_some(Severity::Serious),
            vehicle: dice.one_in(3).then(|| vehicle(dice)),
            penalty: dice.one_in(2).then(|| penalty(dice)),
            evidence: dice.one_in(3).then(|| evidence(dice)),
        },
    };
    let known = lot.life.fines.all.get(&id);
    let version = known.map_or(1, |it| it.version);
    let holder = known.and_then(|it| it.holder).unwrap_or(Pseudonym(Uuid::from_u128(0xF000)));
    Command::ChangeViolation {
        id,
        change,
        expected_version: dice.one_in(4).then(|| version + u32::from(dice.one_in(4))),
        by: if dice.one_in(4) { Caller::Holder(holder) } else { Caller::Staff },
    }
}
