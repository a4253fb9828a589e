//! What people come for beside reservations: gates, tills, providers, shifts, passes, violations, the waiting list.
//!
//! Ids follow from the key of the request, so what is sent again is the same word by word. There is no model of
//! what is answered here; `audit.rs` plays the log against the first tier's.

use lotkeeper_engine::ids::{
    PassId, PaymentId, Pseudonym, SessionId, ShiftId, SlotIndex, TariffId, ViolationId, WaitingId,
};
use lotkeeper_engine::lot::pass::{Allowance, Limit, PassTerms, Per, Reach};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::provider::{self, Answer, Wanted};
use lotkeeper_engine::lot::session::Direction;
use lotkeeper_engine::lot::shift::{self, Opened};
use lotkeeper_engine::lot::violation::Kind;
use lotkeeper_engine::lot::{
    Caller, Command, Credential, Needs, Owner, PassChange, Pay, Report, Scan, Scanner,
    TariffChange, ViolationChange, WaiterTerms,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::TypeSet;
use lotkeeper_engine::tariff::{Assignment, Covers, Flat, Rate, Scope, Tariff};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

use crate::dice::Dice;

/// Of each kind so many are remembered.
const REMEMBERED: usize = 8;

/// The newest ids of one kind.
#[derive(Default)]
struct Known(Vec<Uuid>);

impl Known {
    fn add(&mut self, key: u64) -> Uuid {
        let id = Uuid::from_u128(0x8000_0000 + u128::from(key));
        self.0.push(id);
        if self.0.len() > REMEMBERED {
            self.0.remove(0);
        }
        id
    }

    fn any(&self, dice: &mut Dice) -> Uuid {
        dice.pick(&self.0).unwrap_or_default()
    }
}

/// How often each kind is asked for: by everybody, and where nearly all come and go by passes of the tenant, so that
/// gates of several lots ask for the last use at once.
const WEIGHTS: [[u32; 11]; 2] =
    [[40, 24, 8, 12, 14, 8, 14, 12, 10, 10, 2], [120, 90, 1, 1, 1, 1, 14, 3, 1, 1, 0]];

/// What was asked for, by kind.
#[derive(Default)]
pub(super) struct Errands {
    /// Whether nearly all come and go by passes.
    pub is_season: bool,
    stays: Known,
    payments: Known,
    passes: Known,
    shifts: Known,
    violations: Known,
    waiting: Known,
}

fn person(dice: &mut Dice) -> Pseudonym {
    Pseudonym(Uuid::from_u128(u128::from(dice.below(4))))
}

impl Errands {
    pub fn new(is_season: bool) -> Self {
        Self { is_season, ..Self::default() }
    }

    pub fn ask(&mut self, dice: &mut Dice, key: u64, window: Window, now: Timestamp) -> Command {
        match dice.weighted(&WEIGHTS[usize::from(self.is_season)]) {
            0 => self.scan(dice, key, Direction::Entry),
            1 => self.scan(dice, key, Direction::Exit),
            2 => Command::Pay(Box::new(self.pay(dice, key, Method::Cash))),
            3 => {
                let pay = self.pay(dice, key, Method::Provider("bank".into()));
                Command::Provider(Box::new(provider::Command::Authorise(pay)))
            }
            4 => self.provider(dice),
            5 => self.shift(dice, key),
            6 => self.issue(dice, key, now),
            7 => {
                let all = [PassChange::Pause, PassChange::Resume, PassChange::End];
                let id = PassId(self.passes.any(dice));
                let change = all[dice.index(all.len())].clone();
                Command::ChangePass { id, change, expected_version: None }
            }
            8 => self.wait(dice, key, window),
            9 => self.violation(dice, key),
            _ => tariff(now),
        }
    }

    fn scan(&mut self, dice: &mut Dice, key: u64, direction: Direction) -> Command {
        let plate = Credential::Plate { vehicle: person(dice), near: Vec::new() };
        let (id, credential) = match direction {
            Direction::Entry => {
                let shown = if dice.one_in(3) { Credential::Nothing } else { plate };
                (self.stays.add(key), shown)
            }
            Direction::Exit => {
                let ticket = Credential::Session(SessionId(self.stays.any(dice)));
                let shown = if self.is_season && dice.one_in(2) { plate } else { ticket };
                (Uuid::from_u128(0x9000_0000 + u128::from(key)), shown)
            }
        };
        Command::Scan(Box::new(Scan {
            id: SessionId(id),
            gate: Some("north".into()),
            direction,
            credential,
            seen: None,
            observed_at: None,
            confidence_percent: None,
            needs: Needs { vehicle_type: TypeSet(0), ..Needs::default() },
            vehicle_type: None,
            by: Scanner::Device,
            is_elsewhere: false,
            tenant_pass: None,
            dry_run: false,
        }))
    }

    fn pay(&mut self, dice: &mut Dice, key: u64, method: Method) -> Pay {
        let about = match dice.below(3) {
            0 => Owner::Pass(PassId(self.passes.any(dice))),
            _ => Owner::Session(SessionId(self.stays.any(dice))),
        };
        Pay {
            id: PaymentId(self.payments.add(key)),
            about,
            is_promise: matches!(method, Method::Provider(_)),
            method,
            amount: dice.one_in(3).then_some(Amount(200)),
            shift: None,
            cashier: dice.one_in(2).then(|| person(dice)),
            reference: None,
        }
    }

    /// Questions, and answers to the first two about a payment: in time, too late, or to none.
    fn provider(&mut self, dice: &mut Dice) -> Command {
        let id = PaymentId(self.payments.any(dice));
        let answer = match dice.one_in(4) {
            true => Answer::Refused { reason: "card_declined".into() },
            false => Answer::Done { reference: None },
        };
        let amount = None;
        let ask = |wanted| provider::Command::Ask { id, wanted };
        Command::Provider(Box::new(match dice.below(8) {
            0 => ask(Wanted::Capture { amount }),
            1 => ask(Wanted::Void),
            2 => ask(Wanted::Refund { amount }),
            3 => ask(Wanted::Collect),
            _ => provider::Command::Answered { id, number: dice.count(1, 4), answer },
        }))
    }

    fn shift(&mut self, dice: &mut Dice, key: u64) -> Command {
        Command::Shift(Box::new(match dice.below(3) {
            0 => shift::Command::HandOut {
                payment: PaymentId(self.payments.any(dice)),
                amount: None,
                cashier: person(dice),
            },
            1 => shift::Command::Close {
                id: ShiftId(self.shifts.any(dice)),
                by: None,
                counted: Amount(dice.between(0, 900)),
            },
            _ => shift::Command::Open(Opened {
                id: ShiftId(self.shifts.add(key)),
                code: "late".into(),
                cashier: person(dice),
                float: Amount(500),
            }),
        }))
    }

    fn issue(&mut self, dice: &mut Dice, key: u64, now: Timestamp) -> Command {
        let (entries, per) =
            dice.pick(&[(1, Per::Total), (1, Per::Day), (2, Per::Day)]).unwrap_or((1, Per::Day));
        let allowance = Allowance { limit: Limit::Entries(entries), per };
        Command::IssuePass {
            reach: [Reach::Lot, Reach::Tenant][dice.index(2)],
            id: PassId(self.passes.add(key)),
            terms: Box::new(PassTerms {
                plan: "day".into(),
                holder: None,
                vehicles: vec![person(dice), person(dice)],
                price: Amount(900),
                valid: Window { from: now, to: now.plus(Seconds(dice.count(600, 40_000))) },
                allowance: (self.is_season || dice.one_in(2)).then_some(allowance),
                covers: Covers::Whole,
            }),
        }
    }

    fn wait(&mut self, dice: &mut Dice, key: u64, window: Window) -> Command {
        if dice.one_in(4) {
            let id = WaitingId(self.waiting.any(dice));
            return Command::LeaveWaiting { id, by: Caller::Staff };
        }
        Command::JoinWaiting {
            id: WaitingId(self.waiting.add(key)),
            terms: Box::new(WaiterTerms {
                needs: Needs::default(),
                window,
                holder: person(dice),
                vehicle: None,
                vehicle_type: None,
                discounts: Box::default(),
            }),
        }
    }

    fn violation(&mut self, dice: &mut Dice, key: u64) -> Command {
        let reason = || Some("checked".into());
        let change = match dice.below(6) {
            0 => ViolationChange::Notify,
            1 => ViolationChange::Appeal { reason: reason() },
            2 => ViolationChange::Waive { reason: reason() },
            3 => ViolationChange::Resolve { reason: reason() },
            _ => {
                return Command::Report(Box::new(Report {
                    id: ViolationId(self.violations.add(key)),
                    kind: Kind::WrongSlotType,
                    severity: None,
                    seen_at: None,
                    session: None,
                    slot: Some(SlotIndex(0)),
                    vehicle: Some(person(dice)),
                    penalty: Amount(2_500),
                    evidence: Vec::new(),
                }));
            }
        };
        let id = ViolationId(self.violations.any(dice));
        Command::ChangeViolation { id, change, expected_version: None, by: Caller::Staff }
    }
}

fn tariff(now: Timestamp) -> Command {
    let id = TariffId(Uuid::from_u128(0x9000));
    let rate = Rate::Flat(Flat { amount: Amount(350) });
    let tariff = Tariff::plain(id, "Day", now, rate);
    let assignment = Assignment { scope: Scope::Lot, vehicle_type: None, tariff: id };
    Command::ChangeTariffs(vec![
        TariffChange::Put(std::sync::Arc::new(tariff)),
        TariffChange::Assign(assignment),
    ])
}
