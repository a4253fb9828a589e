//! The book of stays is fed logs with one planted fault each and must find that one; whole ones pass.

use super::super::checks::Checks;
use super::super::log::{EventData, LogEvent, Side};
use super::ask::{Answered, Ask, What, broken_key, lasting};
use super::book::StayBook;
use super::fact::{Fact, Money};
use super::past::{Known, StayListed, compare};
use crate::clock::Rfc3339;
use crate::http::Answer;
use crate::target::Role;
use crate::verify::Check;
use bytes::Bytes;
use serde_json::{Value, json};

/// A log under construction: sequences count up by themselves, postings too.
#[derive(Default)]
struct Log {
    events: Vec<LogEvent>,
    postings: u64,
}

impl Log {
    fn add(&mut self, kind: &str, entity: &str, data: EventData) -> u64 {
        let seq = self.events.len() as u64 + 1;
        let at = Rfc3339(seq).to_string();
        let (lot, kind, entity) = ("L".into(), kind.into(), entity.into());
        self.events.push(LogEvent { seq, lot, lot_seq: seq, kind, at, entity, data });
        seq
    }

    fn stay(&mut self, kind: &str, id: &str, fee: Option<i64>) -> u64 {
        let fee = fee.map(|amount| Money { amount });
        self.add(kind, "", EventData { session: Some(id.into()), fee, ..EventData::default() })
    }

    fn posting(&mut self, about: &str, purpose: &str, of: Option<&str>, sides: [i64; 2]) {
        self.postings += 1;
        let accounts = [format!("customer:{about}"), "other".into()];
        let side = |(account, amount)| Side { account, amount: Money { amount } };
        let data = EventData {
            number: Some(self.postings),
            about: Some(about.into()),
            purpose: Some(purpose.into()),
            of: of.map(|of| json!(of)),
            entries: accounts.into_iter().zip(sides).map(side).collect(),
            ..EventData::default()
        };
        self.add("ledger.posted", "", data);
    }

    fn paid(&mut self, id: &str, amount: i64) -> u64 {
        let data = EventData { amount: Some(Money { amount }), ..EventData::default() };
        self.add("payment.recorded", &format!("payments/{id}"), data)
    }

    /// In, paid, billed, out.
    fn life(id: &str) -> Self {
        let mut log = Self::default();
        log.stay("session.entered", id, None);
        let about = format!("sessions/{id}");
        log.posting(&about, "payment", Some("p-1"), [-200, 200]);
        log.paid("p-1", 200);
        log.posting(&about, "charge", None, [200, -200]);
        log.stay("session.left", id, Some(200));
        log
    }

    fn read(&self) -> (StayBook, Checks) {
        let (mut book, mut checks) = (StayBook::new("L"), Checks::new());
        self.events.iter().for_each(|event| book.take(event, &mut checks));
        book.closed(&mut checks.money);
        (book, checks)
    }
}

/// The names of the checks that found something.
fn found(checks: &Checks) -> Vec<String> {
    let failed = checks.all().into_iter().filter(|check| !check.passed());
    failed.map(|check| check.first_faults[0].clone()).collect()
}

#[test]
fn a_whole_life_passes() {
    let (book, checks) = Log::life("s").read();
    assert_eq!(found(&checks), Vec::<String>::new());
    let (postings, balances) = book.ledger();
    assert_eq!((postings, balances.len()), (2, 0));
}

/// What is done to a log, and what must be said of it.
type Planted = (&'static str, fn(&mut Log));

#[test]
fn what_is_there_twice_or_not_is_found() {
    let planted: [Planted; 13] = [
        ("came in before", |log| {
            log.stay("session.entered", "s", None);
        }),
        ("was over", |log| {
            log.stay("session.left", "s", Some(200));
        }),
        ("never came in", |log| {
            log.stay("session.left", "other", Some(0));
        }),
        ("is recorded again", |log| {
            log.paid("p-1", 200);
        }),
        ("is posted again", |log| {
            log.posting("sessions/s", "payment", Some("p-1"), [-200, 200]);
        }),
        ("and None was posted", |log| {
            log.paid("p-2", 200);
        }),
        ("which is not recorded", |log| log.posting("sessions/s", "payment", Some("p-2"), [-1, 1])),
        ("add up to 1", |log| log.posting("sessions/s", "payment", Some("p-2"), [-1, 2])),
        ("follows 2", |log| {
            log.postings += 1;
            log.posting("sessions/s", "refund", Some("p-1"), [1, -1]);
        }),
        ("was charged [200]", |log| {
            log.stay("session.entered", "t", None);
            log.posting("sessions/t", "charge", None, [200, -200]);
            log.stay("session.left", "t", Some(400));
        }),
        ("was charged [200, 200]", |log| {
            log.stay("session.entered", "t", None);
            log.posting("sessions/t", "charge", None, [200, -200]);
            log.posting("sessions/t", "charge", None, [200, -200]);
            log.stay("session.left", "t", Some(200));
        }),
        ("without a fee", |log| {
            log.stay("session.entered", "t", None);
            log.stay("session.left", "t", None);
        }),
        ("was issued at 6", |log| {
            log.add("pass.issued", "passes/p", EventData::default());
            log.add("pass.issued", "passes/p", EventData::default());
        }),
    ];
    for (said, plant) in planted {
        let mut log = Log::life("s");
        plant(&mut log);
        let (_, checks) = log.read();
        let found = found(&checks);
        assert!(found.iter().any(|fault| fault.contains(said)), "{said}: {found:?}");
    }
}

#[test]
fn what_was_told_and_is_not_in_the_log_is_found() {
    let mut log = Log::life("s");
    let denied = log.add("scan.denied", "", EventData::default());
    let (book, _) = log.read();
    let id = |id: &str| id.to_string();
    for (seq, fact, holds) in [
        (1, Fact::Entered { session: id("s") }, true),
        (1, Fact::Entered { session: id("lost") }, false),
        (5, Fact::Left { session: id("s"), fee: Some(200) }, true),
        (4, Fact::Left { session: id("s"), fee: Some(200) }, false),
        (5, Fact::Left { session: id("s"), fee: Some(100) }, false),
        (denied, Fact::Denied, true),
        (denied - 1, Fact::Denied, false),
        (0, Fact::Paid { id: id("p-1"), amount: 200 }, true),
        (0, Fact::Paid { id: id("p-1"), amount: 100 }, false),
        (0, Fact::Paid { id: id("lost"), amount: 200 }, false),
        (0, Fact::Reported { id: id("lost") }, false),
        (0, Fact::Issued { id: id("lost") }, false),
        (0, Fact::Nothing { id: id("never") }, true),
        (0, Fact::Nothing { id: id("p-1") }, false),
    ] {
        let mut check = Check::new("told", "facts");
        fact.judge(&book, seq, &mut check);
        assert_eq!(check.passed(), holds, "{fact:?}: {:?}", check.first_faults);
    }
}

#[test]
fn a_list_that_lacks_doubles_or_turns_round_is_found() {
    let stay = |id: &str, minute: u64, fee: i64| -> StayListed {
        let entered_at = Rfc3339(minute * 60_000_000).to_string();
        serde_json::from_value(json!({
            "id": id, "entered_at": entered_at, "state": "left", "fee": {"total": {"amount": fee}},
        }))
        .unwrap()
    };
    let ids = || vec![("a".to_string(), Some(200)), ("b".to_string(), None)];
    for (listed, faults) in [
        (vec![stay("c", 9, 0), stay("b", 5, 1), stay("a", 3, 200)], 0),
        (vec![stay("a", 3, 200)], 1),
        (vec![stay("b", 5, 1), stay("a", 3, 100)], 1),
        (vec![stay("b", 5, 1), stay("b", 5, 1), stay("a", 3, 200)], 1),
        (vec![stay("a", 3, 200), stay("b", 5, 1)], 1),
    ] {
        let mut check = Check::new("past", "items");
        compare("/", &listed, &Known { ids: ids() }, &mut check, |stay, fee| {
            stay.fee() == Some(*fee)
        });
        assert_eq!(check.faults, faults, "{listed:?}: {:?}", check.first_faults);
    }
}

#[test]
fn a_changed_answer_under_a_key_is_found() {
    let what = What::Exit { session: "s".into() };
    let body = r#"{"gate":"out"}"#.to_string();
    let path = "/api/v1/scans".into();
    let ask = Ask { what, role: Role::Device, path, key: "k".into(), body, unanswered: 0 };
    assert_eq!(ask.other_body().as_deref(), Some(r#"{"gate":"xout"}"#));
    let shown = |due: i64, code: &str| json!({"code": code, "session": {"id": "s", "due": due}});
    let first = lasting(shown(200, "paid"));
    let answered = Answered { ask, desk: 0, status: 200, first };
    let reused = json!({"code": "idempotency_key_reused"});
    for (other, status, body, holds) in [
        (false, 200, shown(200, "paid"), true),
        // What is owed is as of now.
        (false, 200, shown(0, "paid"), true),
        (false, 200, shown(200, "repeated"), false),
        (false, 404, json!({"code": "session_not_found"}), false),
        (true, 422, reused, true),
        (true, 200, shown(200, "paid"), false),
    ] {
        let body: Value = body;
        let body = Bytes::from(body.to_string());
        let answer = Answer { status, retry_after_seconds: None, body };
        let fault = broken_key(&answered, other, &answer);
        assert_eq!(fault.is_none(), holds, "{other} {status}: {fault:?}");
    }
}
