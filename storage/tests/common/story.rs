//! The story of a lot, told to the engine command by command: tariff, shift, pass, reservations, who waits, stays by
//! pass, ticket and reservation, a provider in both phases, violations, cash; and what ends by itself.
//!
//! `format_3_stays.rs` holds it as bytes. Those bytes stay when an engine decides otherwise one day.

use std::sync::Arc;

use lotkeeper_engine::ids::{
    LotKey, PassId, PaymentId, Pseudonym, ReservationId, SeriesId, SessionId, ShiftId, SlotIndex,
    TariffId, ViolationId, WaitingId,
};
use lotkeeper_engine::lot::pass::{Allowance, Limit, PassTerms, Per, Reach};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::provider::{self, Answer, Wanted};
use lotkeeper_engine::lot::session::Direction;
use lotkeeper_engine::lot::shift::{self, Opened};
use lotkeeper_engine::lot::violation::{Evidence, Kind};
use lotkeeper_engine::lot::{
    self, Bays, Caller, Choice, Command, Credential, Needs, Owner, Pay, Report, Reserve, Scan,
    Scanner, StayChange, TariffChange, ViolationChange, WaiterTerms,
};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::spec::FeatureSet;
use lotkeeper_engine::tariff::{Assignment, Covers, Hourly, Rate, Scope, Tariff, Tier};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::{Claim, ClaimKey, Event, Record};

use crate::common::{Author, START, by, spec, uuid};

/// Nobody knows what stands where.
struct Unknown;
impl Bays for Unknown {
    fn occupied(&self, _: SlotIndex) -> Option<bool> {
        None
    }
    fn occupied_since(&self, _: SlotIndex) -> Option<Timestamp> {
        None
    }
    fn occupancy(&self) -> PerMille {
        PerMille(0)
    }
}

/// What was told so far.
pub struct Story {
    pub author: Author,
    pub commits: Vec<Vec<Record>>,
    now: Timestamp,
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_micros(START.micros() + minutes * 60_000_000)
}

impl Story {
    fn push(&mut self, event: Event, claim: Option<Claim>) -> Record {
        self.author.seq += 1;
        let seq = self.author.seq;
        let lot_seq = self.author.lots.get(&LotKey(0)).map_or(0, |s| s.lot_seq) + 1;
        let record =
            Record { seq, lot: LotKey(0), lot_seq, at: self.now, event, by: by(seq), claim };
        self.author.apply(&record);
        record
    }
    fn ask(&mut self, minutes: i64, command: &Command) {
        self.now = at(minutes);
        let decision = lot::decide(&self.author.lots[&LotKey(0)].lot, command, self.now, &Unknown);
        assert!(decision.outcome.is_ok(), "{command:?}: {:?}", decision.outcome);
        let last = decision.events.len();
        let mut commit = Vec::new();
        for (n, event) in decision.events.into_iter().enumerate() {
            let claim = (n + 1 == last).then_some(Claim {
                key: ClaimKey(u128::from(self.author.seq) << 90),
                fingerprint: 7 + self.author.seq,
            });
            commit.push(self.push(Event::Lot(event), claim));
        }
        if !commit.is_empty() {
            self.commits.push(commit);
        }
    }
}

fn someone(n: u128) -> Pseudonym {
    Pseudonym(uuid(0xa0 + n))
}

fn reserve(n: u128, slot: u16, window: Window) -> Command {
    Command::Reserve(Reserve {
        id: ReservationId(uuid(n)),
        choice: Choice::Slot(SlotIndex(slot)),
        window,
        hold: Some(Seconds(600)),
        holder: someone(n),
        vehicle: Some(someone(50 + n)),
        vehicle_type: None,
        discounts: Box::default(),
        series: Some(SeriesId(uuid(77))),
        request: None,
    })
}

fn confirm(n: u128) -> Command {
    Command::Confirm { id: ReservationId(uuid(n)), by: Caller::Staff }
}

fn scan(n: u128, direction: Direction, credential: Credential) -> Command {
    Command::Scan(Box::new(Scan {
        id: SessionId(uuid(n)),
        gate: Some("north".into()),
        direction,
        credential,
        seen: None,
        observed_at: None,
        confidence_percent: Some(95),
        needs: Needs::default(),
        vehicle_type: Some("van".into()),
        by: Scanner::Device,
        is_elsewhere: false,
        tenant_pass: None,
        dry_run: false,
    }))
}

fn join(n: u128, window: Window) -> Command {
    Command::JoinWaiting {
        id: WaitingId(uuid(n)),
        terms: Box::new(WaiterTerms {
            needs: Needs { features: FeatureSet(1), ..Needs::default() },
            window,
            holder: someone(n),
            vehicle: None,
            vehicle_type: None,
            discounts: Box::default(),
        }),
    }
}

fn pay(n: u128, about: Owner, method: Method, amount: Option<i64>) -> Pay {
    Pay {
        id: PaymentId(uuid(n)),
        about,
        is_promise: matches!(method, Method::Provider(_)),
        method,
        amount: amount.map(Amount),
        shift: None,
        cashier: Some(someone(1)),
        reference: Some("R-1".into()),
    }
}

fn report(n: u128, session: u128) -> Command {
    Command::Report(Box::new(Report {
        id: ViolationId(uuid(n)),
        kind: Kind::WrongSlotType,
        severity: None,
        seen_at: None,
        session: Some(SessionId(uuid(session))),
        slot: None,
        vehicle: None,
        penalty: Amount(2_500),
        evidence: vec![Evidence {
            kind: "photo".into(),
            reference: "https://example.org/17.jpg".into(),
        }],
    }))
}

fn fine(n: u128, change: ViolationChange) -> Command {
    Command::ChangeViolation {
        id: ViolationId(uuid(n)),
        change,
        expected_version: None,
        by: Caller::Staff,
    }
}

fn answered(n: u128, number: u32, answer: Answer) -> Command {
    Command::Provider(Box::new(provider::Command::Answered {
        id: PaymentId(uuid(n)),
        number,
        answer,
    }))
}

fn asks(n: u128, wanted: Wanted) -> Command {
    Command::Provider(Box::new(provider::Command::Ask { id: PaymentId(uuid(n)), wanted }))
}

/// All of it.
pub fn story() -> Story {
    let mut story = Story { author: Author::new(), commits: Vec::new(), now: START };
    opens(&mut story);
    waits(&mut story);
    comes(&mut story);
    ends(&mut story);
    story
}

/// A lot, its tariff, a shift and a pass.
fn opens(story: &mut Story) {
    let created = story.push(Event::Lot(lot::Event::Created(spec(LotKey(0), 4))), None);
    story.commits.push(vec![created]);
    let id = TariffId(uuid(3));
    let tier = Tier { from: Seconds(0), amount: Amount(200), per: Seconds(3_600), begun: true };
    let tariff = Tariff::plain(id, "Day", START, Rate::Hourly(Hourly { tiers: vec![tier].into() }));
    let assign = Assignment { scope: Scope::Lot, vehicle_type: None, tariff: id };
    story.ask(
        1,
        &Command::ChangeTariffs(vec![
            TariffChange::Put(Arc::new(tariff)),
            TariffChange::Assign(assign),
        ]),
    );
    story.ask(
        2,
        &Command::Shift(Box::new(shift::Command::Open(Opened {
            id: ShiftId(uuid(4)),
            code: "early".into(),
            cashier: someone(1),
            float: Amount(10_000),
        }))),
    );
    let terms = PassTerms {
        plan: "monthly".into(),
        holder: Some(someone(2)),
        vehicles: vec![someone(3)],
        price: Amount(9_900),
        valid: Window { from: START, to: at(3_000) },
        allowance: Some(Allowance { limit: Limit::Entries(2), per: Per::Day }),
        covers: Covers::Share(PerMille(500)),
    };
    story.ask(
        3,
        &Command::IssuePass { id: PassId(uuid(5)), reach: Reach::Lot, terms: Box::new(terms) },
    );
    story
        .ask(4, &Command::Pay(Box::new(pay(10, Owner::Pass(PassId(uuid(5))), Method::Cash, None))));
}

/// Two reserve what three others wait for; one of them gives it up.
fn waits(story: &mut Story) {
    let window = Window { from: at(60), to: at(120) };
    story.ask(5, &reserve(20, 1, window));
    story.ask(6, &confirm(20));
    story.ask(6, &reserve(21, 3, window));
    story.ask(7, &join(22, window));
    story.ask(7, &join(23, window));
    story.ask(7, &join(24, window));
    story.ask(8, &Command::LeaveWaiting { id: WaitingId(uuid(23)), by: Caller::Staff });
    story.ask(
        9,
        &Command::Cancel {
            id: ReservationId(uuid(21)),
            reason: Some("changed_plans".into()),
            by: Caller::Holder(someone(21)),
        },
    );
    story.ask(10, &confirm(22));
    story.ask(
        11,
        &Command::Modify {
            id: ReservationId(uuid(22)),
            choice: None,
            from: None,
            to: Some(at(150)),
            request: None,
            expected_version: None,
            by: Caller::Staff,
        },
    );
}

/// By a pass, by a ticket and by a reservation; a provider promises for one of them.
fn comes(story: &mut Story) {
    story.ask(
        12,
        &scan(30, Direction::Entry, Credential::Plate { vehicle: someone(3), near: vec![] }),
    );
    story.ask(13, &scan(31, Direction::Entry, Credential::Nothing));
    story.ask(
        14,
        &Command::ChangeStay {
            id: SessionId(uuid(31)),
            change: StayChange::Identify { vehicle: someone(9) },
            expected_version: None,
        },
    );
    story.ask(
        15,
        &scan(32, Direction::Entry, Credential::Plate { vehicle: someone(9), near: vec![] }),
    );
    story.ask(
        16,
        &Command::Provider(Box::new(provider::Command::Authorise(pay(
            11,
            Owner::Session(SessionId(uuid(31))),
            Method::Provider("bank".into()),
            Some(1_000),
        )))),
    );
    story.ask(17, &answered(11, 1, Answer::Done { reference: Some("auth-1".into()) }));
    story.ask(
        18,
        &Command::Provider(Box::new(provider::Command::Authorise(pay(
            12,
            Owner::Session(SessionId(uuid(31))),
            Method::Provider("bank".into()),
            Some(500),
        )))),
    );
    story.ask(19, &answered(12, 1, Answer::Refused { reason: "card_declined".into() }));
    story.ask(61, &scan(33, Direction::Entry, Credential::Reservation(ReservationId(uuid(20)))));
    story.ask(70, &scan(34, Direction::Exit, Credential::Session(SessionId(uuid(31)))));
    story.ask(71, &asks(11, Wanted::Collect));
    story.ask(72, &answered(11, 3, Answer::Done { reference: None }));
}

/// Violations, cash, and the end of everything that ends by itself.
fn ends(story: &mut Story) {
    story.ask(73, &report(40, 30));
    story.ask(74, &fine(40, ViolationChange::Notify));
    story.ask(75, &report(41, 33));
    story.ask(76, &fine(41, ViolationChange::Appeal { reason: Some("mistake".into()) }));
    story.ask(77, &fine(41, ViolationChange::Waive { reason: Some("mistake".into()) }));
    story.ask(
        78,
        &Command::ChangeStay {
            id: SessionId(uuid(30)),
            change: StayChange::LoseTicket,
            expected_version: None,
        },
    );
    story.ask(
        80,
        &Command::Pay(Box::new(pay(13, Owner::Session(SessionId(uuid(30))), Method::Cash, None))),
    );
    story.ask(
        81,
        &scan(35, Direction::Exit, Credential::Plate { vehicle: someone(3), near: vec![] }),
    );
    story.ask(
        82,
        &Command::Shift(Box::new(shift::Command::HandOut {
            payment: PaymentId(uuid(13)),
            amount: Some(Amount(100)),
            cashier: someone(1),
        })),
    );
    story.ask(
        83,
        &Command::Pay(Box::new(pay(
            14,
            Owner::Session(SessionId(uuid(33))),
            Method::Terminal,
            None,
        ))),
    );
    story.ask(
        84,
        &Command::Shift(Box::new(shift::Command::Close {
            id: ShiftId(uuid(4)),
            by: None,
            counted: Amount(10_000 + 9_900 + 2_500),
        })),
    );
    for minutes in [100, 121, 140, 160, 400, 1_000, 3_001, 6_000] {
        story.ask(minutes, &Command::Tick { listening_since: START });
    }
}
