//! The requests of a desk, each under a key of its own, and what a repeated one must answer.

use super::super::stage::{Broken, Stage};
use crate::clock::{MICROS_PER_SECOND, Rfc3339};
use crate::http::{Answer, HttpClient};
use crate::target::Role;
use bytes::Bytes;
use hyper::Method;
use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::Value;
use std::sync::atomic::Ordering;
use uuid::Uuid;

const MINUTE_US: u64 = 60 * MICROS_PER_SECOND;
/// What a violation costs.
pub const PENALTY: i64 = 500;

/// How a vehicle is known at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    Nothing,
    Plate(String),
    Qr(String),
    Ticket(String),
}

/// What a request does; `id` is made by the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Reserve { id: String },
    Enter { shows: Shows, reservation: Option<String> },
    CheckIn { reservation: String },
    Pay { session: String, id: String },
    Report { session: String, id: String },
    Waive { session: String, id: String },
    Issue { id: String, plate: String },
    Exit { session: String },
}

/// A write, to be sent as often as it takes.
#[derive(Clone, Debug)]
pub struct Ask {
    pub what: What,
    pub role: Role,
    pub path: String,
    pub key: String,
    pub body: String,
    pub unanswered: u32,
}

/// A write and its first answer.
#[derive(Clone, Debug)]
pub struct Answered {
    pub ask: Ask,
    pub desk: usize,
    pub status: u16,
    pub first: Value,
}

impl Ask {
    fn new(what: What, role: Role, path: String, body: String, luck: &mut SmallRng) -> Self {
        let key = Uuid::from_u128(luck.random()).simple().to_string();
        Self { what, role, path, key, body, unanswered: 0 }
    }

    /// Any slot, from a minute ago on: it may come in at once.
    pub fn reserve(lot: &str, plate: &str, now_us: u64, luck: &mut SmallRng) -> Self {
        let id = id(luck);
        let (from, to) = (Rfc3339(now_us - MINUTE_US), Rfc3339(now_us + 119 * MINUTE_US));
        let body = format!(
            r#"{{"id":"{id}","lot":"{lot}","from":"{from}","to":"{to}","vehicle":{{"plate":"{plate}","country":"D"}}}}"#
        );
        Self::new(What::Reserve { id }, Role::Driver, "/api/v1/reservations".into(), body, luck)
    }

    /// `minutes` ago, as the gate says; now where it has no clock.
    pub fn enter(
        lot: &str,
        shows: Shows,
        reservation: Option<String>,
        ago: Option<(u64, u64)>,
        luck: &mut SmallRng,
    ) -> Self {
        let at = ago.map(|(now_us, minutes)| {
            format!(r#","observed_at":"{}""#, Rfc3339(now_us - minutes * MINUTE_US))
        });
        let body = format!(
            r#"{{"lot":"{lot}","gate":"in","direction":"entry","credential":{}{}}}"#,
            shows.credential(),
            at.unwrap_or_default()
        );
        let what = What::Enter { shows, reservation };
        Self::new(what, Role::Device, "/api/v1/scans".into(), body, luck)
    }

    pub fn check_in(reservation: String, luck: &mut SmallRng) -> Self {
        let path = format!("/api/v1/reservations/{reservation}/check-in");
        Self::new(What::CheckIn { reservation }, Role::Driver, path, String::new(), luck)
    }

    pub fn exit(lot: &str, session: &str, shows: &Shows, luck: &mut SmallRng) -> Self {
        let body = format!(
            r#"{{"lot":"{lot}","gate":"out","direction":"exit","credential":{}}}"#,
            shows.credential()
        );
        let what = What::Exit { session: session.into() };
        Self::new(what, Role::Device, "/api/v1/scans".into(), body, luck)
    }

    pub fn pay(session: &str, luck: &mut SmallRng) -> Self {
        let id = id(luck);
        let path = format!("/api/v1/sessions/{session}/payments");
        let body = format!(r#"{{"id":"{id}","method":"cash","shift":"crash-test"}}"#);
        let what = What::Pay { session: session.into(), id };
        Self::new(what, Role::Operator, path, body, luck)
    }

    pub fn report(lot: &str, session: &str, luck: &mut SmallRng) -> Self {
        let id = id(luck);
        let body = format!(
            r#"{{"id":"{id}","lot":"{lot}","kind":"blocks_lane","session":"{session}","penalty":{{"amount":{PENALTY},"currency":"EUR"}}}}"#
        );
        let what = What::Report { session: session.into(), id };
        Self::new(what, Role::Operator, "/api/v1/violations".into(), body, luck)
    }

    pub fn waive(session: &str, id: &str, luck: &mut SmallRng) -> Self {
        let path = format!("/api/v1/violations/{id}/waive");
        let what = What::Waive { session: session.into(), id: id.into() };
        Self::new(what, Role::Operator, path, r#"{"reason":"crash_test"}"#.into(), luck)
    }

    pub fn issue(lot: &str, plate: &str, now_us: u64, luck: &mut SmallRng) -> Self {
        let id = id(luck);
        let (from, to) = (Rfc3339(now_us - 600 * MINUTE_US), Rfc3339(now_us + 600 * MINUTE_US));
        let body = format!(
            r#"{{"id":"{id}","lot":"{lot}","plan":"crash-test","vehicles":[{{"plate":"{plate}","country":"D"}}],"from":"{from}","to":"{to}"}}"#
        );
        let what = What::Issue { id, plate: plate.into() };
        Self::new(what, Role::Operator, "/api/v1/passes".into(), body, luck)
    }

    /// The same under another fingerprint, where that can be asked for.
    pub fn other_body(&self) -> Option<String> {
        match &self.what {
            What::CheckIn { .. } => None,
            What::Enter { .. } | What::Exit { .. } => {
                Some(self.body.replace(r#""gate":""#, r#""gate":"x"#))
            }
            What::Pay { .. } => Some(self.body.replace("cash", "terminal")),
            What::Report { .. } => Some(self.body.replace("blocks_lane", "other_kind")),
            What::Waive { .. } => Some(r#"{"reason":"another"}"#.into()),
            What::Issue { .. } => Some(self.body.replace("crash-test", "another")),
            What::Reserve { .. } => Some(self.body.replace(r#""country":"D""#, r#""country":"F""#)),
        }
    }
}

impl Shows {
    fn credential(&self) -> String {
        match self {
            Self::Nothing => "{}".into(),
            Self::Plate(plate) => format!(r#"{{"plate":"{plate}","country":"D"}}"#),
            Self::Qr(text) => format!(r#"{{"qr":"{text}"}}"#),
            Self::Ticket(number) => format!(r#"{{"ticket":"{number}"}}"#),
        }
    }
}

/// What of an answer is as it was for ever: what a stay or reservation costs and owes is as of now, by promise.
pub fn lasting(mut answer: Value) -> Value {
    if let Some(session) = answer.get_mut("session").and_then(Value::as_object_mut) {
        session.remove("fee_so_far");
        session.remove("due");
    }
    // Of a reservation: whether it is paid, and what is due.
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("payment");
    }
    answer
}

/// Repeats a request and holds the answer against the first; nothing when there was no answer.
pub async fn repeat(
    stage: &Stage,
    client: &mut HttpClient,
    answered: &Answered,
    other: bool,
) -> Option<()> {
    let ask = &answered.ask;
    let other_body = if other { ask.other_body() } else { None };
    let is_other = other_body.is_some();
    let body = Bytes::from(other_body.unwrap_or_else(|| ask.body.clone()));
    let answer = {
        let _flight = stage.fly();
        client.write(Method::POST, &ask.path, Some(&ask.key), body).await.ok()?
    };
    if matches!(answer.status, 429 | 500 | 503) {
        stage.error(format!("repeated at a desk {}", answer.problem()));
        return None;
    }
    stage.tallies.repeated.fetch_add(1, Ordering::Relaxed);
    if let Some(fault) = broken_key(answered, is_other, &answer) {
        stage.fault(Broken::Keys, fault);
    }
    Some(())
}

/// How the answer to a repeated request breaks the promise of its key, if it does.
pub fn broken_key(answered: &Answered, with_other_body: bool, answer: &Answer) -> Option<String> {
    let Ask { path, key, what, .. } = &answered.ask;
    let named = format!("POST {path} under {key} ({what:?})");
    if with_other_body {
        let is_refused =
            answer.status == 422 && answer.problem().ends_with("idempotency_key_reused");
        return (!is_refused).then(|| format!("{named} with another body: {}", answer.excerpt()));
    }
    let now = answer.json::<Value>().map(lasting).unwrap_or_default();
    let is_first = answer.status == answered.status && now == answered.first;
    (!is_first).then(|| {
        let (was, is) = (&answered.first, answer.status);
        format!("{named}: first {} {was}, then {is} {now}", answered.status)
    })
}

fn id(luck: &mut SmallRng) -> String {
    uuid::Builder::from_random_bytes(luck.random()).into_uuid().to_string()
}
