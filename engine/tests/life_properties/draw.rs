//! What is asked at random: numbers of a step become a command.

use std::sync::Arc;

use crate::common::{holder, reservation};
use crate::life::{payment, stay, tariff, tariff_id, vehicle};
use lotkeeper_engine::ids::{Reference, SeriesId, SlotIndex, WaitingId};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::provider::{self, Wanted};
use lotkeeper_engine::lot::session::Direction;
use lotkeeper_engine::lot::{
    Caller, Choice, Command, Count, Credential, LotPatch, Needs, Owner, Pay, PaymentStep, Reserve,
    Scan, Scanner, Service, SlotPatch, StayChange, TariffChange, WaiterTerms,
};
use lotkeeper_engine::money::{Amount, BasisPoints};
use lotkeeper_engine::spec::{Arrival, Rules, Settlement, Size};
use lotkeeper_engine::tariff::{
    Assignment, Cancellation, Discount, Flat, LostTicket, Off, Rate, RefundStep, Scope, Tariff, Tax,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

use super::grid;
use crate::life;

/// One step: numbers that [`Draw`] takes one by one. Zeros are the plainest step, towards which a failure
/// shrinks.
pub type Raw = [u16; 9];

/// Takes numbers off a step.
pub struct Draw<'a> {
    pub raw: &'a [u16],
    pub now: Timestamp,
}

impl Draw<'_> {
    pub fn below(&mut self, end: u32) -> u32 {
        let Some((first, rest)) = self.raw.split_first() else { return 0 };
        self.raw = rest;
        u32::from(*first) % end
    }

    pub fn is_one_in(&mut self, n: u32) -> bool {
        self.below(n) == n - 1
    }

    pub fn grid(&mut self, from: i64, to: i64) -> Timestamp {
        let steps = from + i64::from(self.below(u32::try_from(to - from).unwrap()));
        grid(self.now, steps)
    }

    pub fn slot(&mut self) -> SlotIndex {
        SlotIndex(u16::try_from(self.below(6)).unwrap())
    }

    fn caller(&mut self) -> Caller {
        match self.below(4) {
            0 => Caller::Holder(holder(self.below(2))),
            _ => Caller::Staff,
        }
    }

    fn choice(&mut self) -> Choice {
        match self.below(3) {
            0 => Choice::Any(Needs { size: Size::Motorcycle, ..Needs::default() }),
            _ => Choice::Slot(self.slot()),
        }
    }

    fn reserve(&mut self) -> Reserve {
        let id = reservation(self.below(12));
        let from = self.grid(0, 12);
        let to = grid(from, 1 + i64::from(self.below(9)));
        let choice = self.choice();
        let extra = self.below(8);
        Reserve {
            id,
            choice,
            window: Window { from, to },
            hold: (extra >= 6).then_some(Seconds(600)),
            holder: holder(extra % 2),
            vehicle: (extra > 0).then(|| vehicle(extra % 4)),
            vehicle_type: None,
            discounts: if extra == 5 { [Box::from("half")].into() } else { Box::default() },
            series: None,
            request: None,
        }
    }

    fn series(&mut self) -> Command {
        let first = self.reserve();
        let count = 1 + self.below(3);
        let of = |number: u32| {
            let later = |at| grid(at, i64::from(number) * 4);
            let window = Window { from: later(first.window.from), to: later(first.window.to) };
            let series = Some(SeriesId(Uuid::from_u128(0x3000)));
            Reserve { id: reservation(100 + number), window, series, ..first.clone() }
        };
        Command::ReserveSeries((0..count).map(of).collect())
    }

    fn place(&mut self) -> WaitingId {
        WaitingId(reservation(self.below(12)).0)
    }

    fn wait(&mut self) -> Command {
        let wanted = self.reserve();
        let terms = WaiterTerms {
            needs: Needs { size: Size::Motorcycle, ..Needs::default() },
            window: wanted.window,
            holder: wanted.holder,
            vehicle: wanted.vehicle,
            vehicle_type: None,
            discounts: wanted.discounts,
        };
        Command::JoinWaiting { id: WaitingId(wanted.id.0), terms: Box::new(terms) }
    }

    fn credential(&mut self) -> Credential {
        match self.below(8) {
            0..=2 => Credential::Reservation(reservation(self.below(12))),
            3 => Credential::Session(stay(self.below(12))),
            4 => Credential::Ticket(Reference::of(stay(self.below(12)).0)),
            5 => Credential::Nothing,
            _ => {
                let read = self.below(4);
                let near = if read == 0 { vec![vehicle(1), vehicle(2)] } else { Vec::new() };
                Credential::Plate { vehicle: vehicle(read), near }
            }
        }
    }

    fn scan(&mut self, direction: Direction) -> Command {
        let credential = self.credential();
        let id = stay(self.below(12));
        let seen = self.below(8);
        let how = self.below(36);
        let gates = [Some("north"), Some("south"), None];
        Command::Scan(Box::new(Scan {
            id,
            gate: gates[self.below(3) as usize].map(Box::from),
            direction,
            credential,
            seen: (seen > 4).then(|| vehicle(seen - 4)),
            observed_at: match how {
                29 => Some(grid(self.now, -3)),
                30 => Some(grid(self.now, -200)),
                31 => Some(grid(self.now, 1)),
                _ => None,
            },
            confidence_percent: (how == 28).then_some(50),
            needs: Needs { size: Size::Motorcycle, ..Needs::default() },
            vehicle_type: None,
            by: match how {
                20..24 => Scanner::Staff,
                24..26 => Scanner::Driver(holder(1)),
                _ => Scanner::Device,
            },
            is_elsewhere: how == 27,
            tenant_pass: None,
            dry_run: how == 26,
        }))
    }

    fn change_stay(&mut self) -> Command {
        let id = stay(self.below(12));
        let change = match self.below(7) {
            0 => StayChange::Leave { at: None },
            1 => StayChange::Leave { at: Some(self.grid(-20, 3)) },
            2 => StayChange::Place { slot: None },
            3 | 4 => StayChange::Place { slot: Some(self.slot()) },
            5 => StayChange::Identify { vehicle: vehicle(self.below(4)) },
            _ => StayChange::LoseTicket,
        };
        Command::ChangeStay { id, change, expected_version: None }
    }

    fn pay(&mut self) -> Command {
        let about = match self.below(2) {
            0 => Owner::Session(stay(self.below(12))),
            _ => Owner::Reservation(reservation(self.below(12))),
        };
        let id = payment(self.below(12));
        let amount = match self.below(4) {
            0 => Some(Amount(i64::from(self.below(600)))),
            _ => None,
        };
        let is_promise = self.is_one_in(3);
        let method = if is_promise { Method::Provider("bank".into()) } else { Method::Cash };
        Command::Pay(Box::new(Pay {
            id,
            about,
            method,
            amount,
            is_promise,
            shift: None,
            cashier: None,
            reference: None,
        }))
    }

    fn step_payment(&mut self) -> Command {
        let step = match self.below(5) {
            0 => PaymentStep::Capture,
            1 => PaymentStep::Void,
            2 => PaymentStep::Fail,
            3 => PaymentStep::Refund { amount: None },
            _ => PaymentStep::Refund { amount: Some(Amount(50)) },
        };
        Command::StepPayment { id: payment(self.below(12)), step }
    }

    fn provider(&mut self) -> Command {
        let (id, what) = (payment(self.below(12)), self.below(10));
        let ask = |wanted| provider::Command::Ask { id, wanted };
        let done = provider::Answer::Done { reference: None };
        let refused = provider::Answer::Refused { reason: "declined".into() };
        Command::Provider(Box::new(match what {
            0 | 1 => match self.pay() {
                Command::Pay(pay) => provider::Command::Authorise(Pay {
                    id,
                    method: Method::Provider("bank".into()),
                    is_promise: true,
                    ..*pay
                }),
                _ => ask(Wanted::Collect),
            },
            2 => ask(Wanted::Capture { amount: None }),
            3 => ask(Wanted::Void),
            4 => ask(Wanted::Refund { amount: None }),
            5 => ask(Wanted::Collect),
            // The question that is open, mostly; the numbers of the others are older.
            _ => provider::Command::Answered {
                id,
                number: 1 + self.below(4),
                answer: if self.is_one_in(4) { refused } else { done },
            },
        }))
    }

    fn tariffs(&mut self) -> Command {
        let scope = match self.below(3) {
            0 => Scope::Slot(self.slot()),
            _ => Scope::Lot,
        };
        let assignment = Assignment { scope, vehicle_type: None, tariff: tariff_id() };
        let changes = match self.below(8) {
            0 => vec![TariffChange::End { id: tariff_id(), at: self.now }],
            1 => vec![TariffChange::Unassign(assignment)],
            number => vec![
                TariffChange::Put(Arc::new(tariff_of(number))),
                TariffChange::Assign(assignment),
            ],
        };
        Command::ChangeTariffs(changes)
    }

    fn rules(&mut self) -> Command {
        let seconds = |steps: u32| Seconds(steps * 300);
        let rules = Rules {
            hold_lead: seconds(self.below(6)),
            no_show: seconds(self.below(4)),
            early_entry: seconds(self.below(8)),
            drive_in_stay: seconds(1 + self.below(6)),
            overstay_grace: seconds(self.below(3)),
            arrival: [Arrival::BySensor, Arrival::Proved, Arrival::Assumed][self.below(3) as usize],
            settlement: [Settlement::AtExit, Settlement::Before, Settlement::OnAccount]
                [self.below(3) as usize],
            fuzzy_plates: true,
            repeat_window: Seconds(600),
            drive_in: !self.is_one_in(4),
            stay_max: Some(Seconds(3_000)),
            auto_exit: Seconds(30_000),
            remind_before_start: Seconds(600),
            remind_before_end: Seconds(300),
            ..crate::common::rules()
        };
        let patch = LotPatch { rules: Some(rules), ..LotPatch::default() };
        Command::ChangeLot { patch, expected_version: None }
    }

    fn serve(&mut self) -> Command {
        let service = match self.below(2) {
            0 => Service::InService,
            _ => Service::OutOfService { reason: "works".into(), until: Some(self.grid(0, 9)) },
        };
        let size = [None, Some(Size::Compact), Some(Size::Large)][self.below(3) as usize];
        let patch = SlotPatch { service: Some(service), size, ..SlotPatch::default() };
        Command::ChangeSlot { slot: self.slot(), patch, expected_version: None }
    }

    /// The command of a step; nothing for one that only lets time pass or a sensor speak.
    pub fn command(&mut self) -> Option<Command> {
        Some(match self.below(37) {
            0..=5 => return None,
            6..=10 => Command::Reserve(self.reserve()),
            11 => Command::Confirm { id: reservation(self.below(12)), by: self.caller() },
            12 | 13 => Command::Modify {
                id: reservation(self.below(12)),
                choice: if self.is_one_in(3) { Some(self.choice()) } else { None },
                from: if self.is_one_in(3) { Some(self.grid(-1, 12)) } else { None },
                to: Some(self.grid(0, 20)),
                request: None,
                expected_version: None,
                by: self.caller(),
            },
            14 => {
                Command::Cancel { id: reservation(self.below(12)), reason: None, by: self.caller() }
            }
            15..=19 => self.scan(Direction::Entry),
            20..=22 => self.scan(Direction::Exit),
            23 => self.change_stay(),
            24 | 25 => self.pay(),
            26 => match self.below(2) {
                0 => self.step_payment(),
                _ => self.provider(),
            },
            27 => self.tariffs(),
            28 => self.rules(),
            29 => self.serve(),
            30 => self.series(),
            31..=33 => self.wait(),
            34 => Command::LeaveWaiting { id: self.place(), by: self.caller() },
            _ => Command::Count {
                count: Count::Flow { entered: self.below(3), left: self.below(3) },
                observed_at: None,
            },
        })
    }
}

/// Tariffs of several kinds, by number.
pub fn tariff_of(number: u32) -> Tariff {
    let hours = life::begun_hours(100 * i64::from(number));
    let half = Discount { code: "half".into(), off: Off::Share(BasisPoints(5_000)) };
    let plain = Tariff { discounts: [half].into(), ..tariff(hours) };
    match number {
        2 => Tariff { rate: Rate::Flat(Flat { amount: Amount(300) }), ..plain },
        3 => Tariff {
            tax: Some(Tax {
                code: "vat".into(),
                rate: BasisPoints(1_900),
                included: true,
                on_penalty: true,
            }),
            lost_ticket: Some(LostTicket { amount: Amount(2_500), instead: true }),
            ..plain
        },
        4 => {
            let mut strict = plain;
            strict.overstay.penalty_per_hour = Amount(500);
            strict
        }
        5 => {
            let refund = RefundStep { before: Seconds(1_200), refund: BasisPoints(7_500) };
            let cancellation = Cancellation { steps: [refund].into(), no_show: BasisPoints(3_300) };
            Tariff { cancellation, ..plain }
        }
        _ => plain,
    }
}
