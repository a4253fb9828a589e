//! What clients of a history ask for by chance, as requests of the interface, and answers read back.
//!
//! A lot of few slots and few windows, and a liking for the reservations made last, make nearly every request meet
//! another one. Windows lie days ahead, so that nothing but holds ends by itself.

use super::history::{Answer, Asker, Call, Operation, Outcome, Refusal, Shown, Stand, Window};
use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Positions on the grid of windows, an hour each.
const GRID: u8 = 6;
const WINDOW_HOURS_MAX: u8 = 3;
const HOUR_SECONDS: i64 = 3_600;
/// The grid begins so far ahead.
const AHEAD_SECONDS: i64 = 72 * HOUR_SECONDS;
/// A hold that outlives every history, and one that ends within it.
const LONG_HOLD_SECONDS: u32 = 3_600;
const SHORT_HOLD_SECONDS: u32 = 1;
/// Reservations that clients still turn to.
const RECENT_MAX: usize = 8;
/// Strangers learn nothing: few are enough.
const CLIENTS_PER_STRANGER: u32 = 10;
/// A list has everything on one page; a history makes fewer reservations.
pub const RESERVATIONS_MAX: u32 = 450;

/// Tells ids of stays from ids of reservations.
const GATES_BIT: u128 = 1 << 40;

/// A request of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub body: Option<String>,
    pub if_match: Option<u32>,
}

/// What all clients of one lot share.
#[derive(Debug)]
pub struct Ground {
    /// The lot's code; its slots are `S0`, `S1` and so on.
    pub lot: String,
    pub slots: u8,
    /// Ids are this and a reservation's number.
    first_id: u128,
    /// Where the grid begins, in seconds.
    begins_s: i64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    asked: Vec<Call>,
    /// The version last seen, by number of the reservation.
    versions: Vec<u32>,
}

/// Who a client is, where there are so many drivers: several clients are the same person, one in ten a stranger.
pub fn asker(client: u32, drivers: u8) -> Asker {
    let nth = client % (u32::from(drivers) + 1);
    match (client % CLIENTS_PER_STRANGER, u8::try_from(nth)) {
        _ if drivers == 0 => Asker::Staff,
        (last, _) if last == CLIENTS_PER_STRANGER - 1 => Asker::Stranger,
        (_, Ok(nth @ 1..)) => Asker::Driver(nth - 1),
        _ => Asker::Staff,
    }
}

/// What an exchange says.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<O = Outcome> {
    /// It belongs into the history.
    Told(O),
    /// It was turned away at the door and did nothing: `overloaded`, `shutting_down`, `storage_full`.
    TurnedAway,
    /// The interface has no such answer.
    Unexpected(String),
}

impl Ground {
    /// A lot that is about to be created.
    pub fn new(lot: String, slots: u8, now_us: u64, seed: u64) -> Arc<Self> {
        let mut rng = SmallRng::seed_from_u64(seed);
        // Room for every number below; the version and variant bits do not matter to the interface.
        let first_id = rng.random::<u128>() & !u128::from(u32::MAX);
        let now_s = i64::try_from(now_us / 1_000_000).unwrap_or_default();
        let begins_s = now_s / HOUR_SECONDS * HOUR_SECONDS + AHEAD_SECONDS;
        Arc::new(Self { lot, slots, first_id, begins_s, known: Mutex::default() })
    }

    /// `POST /lots`, with rules of its own where some are given.
    pub fn creation(&self, rules: Option<Value>) -> Request {
        let slots: Vec<Value> =
            (0..self.slots).map(|slot| json!({"code": slot_code(slot)})).collect();
        let mut body =
            json!({"code": self.lot, "name": "Lot of a history", "kind": "bayed", "slots": slots});
        if let Some(rules) = rules {
            body["rules"] = rules;
        }
        Request {
            method: "POST",
            path: "/api/v1/lots".into(),
            body: Some(body.to_string()),
            if_match: None,
        }
    }

    /// The id of a stay, payment or pass: none of them is a reservation's.
    pub fn gate_id(&self, number: u32) -> Uuid {
        Uuid::from_u128((self.first_id ^ GATES_BIT) + u128::from(number))
    }

    /// Its number.
    pub fn gate_number(&self, id: Uuid) -> Option<u32> {
        id.as_u128().checked_sub(self.first_id ^ GATES_BIT)?.try_into().ok()
    }

    fn uuid(&self, id: u32) -> Uuid {
        Uuid::from_u128(self.first_id + u128::from(id))
    }

    fn instant(&self, position: u8) -> String {
        let at = self.begins_s + i64::from(position) * HOUR_SECONDS;
        Timestamp::from_second(at).map_or_else(|_| String::new(), |at| at.to_string())
    }

    fn position(&self, text: &str) -> Option<u8> {
        let at: Timestamp = text.parse().ok()?;
        let past_s = at.as_second() - self.begins_s;
        let is_on_grid = past_s % HOUR_SECONDS == 0 && at.subsec_nanosecond() == 0;
        u8::try_from(past_s / HOUR_SECONDS).ok().filter(|_| is_on_grid)
    }

    /// A call in the words of the interface.
    pub fn request(&self, call: &Call) -> Request {
        let span = |window: &Window| (self.instant(window.from), self.instant(window.to));
        let reservation = |id: &u32| format!("/api/v1/reservations/{}", self.uuid(*id));
        let post = |path: String, body| Request { method: "POST", path, body, if_match: None };
        let get = |path: String| Request { method: "GET", path, body: None, if_match: None };
        let lot = &self.lot;
        match call {
            Call::Reserve { id, slot, window, hold_seconds } => {
                let (from, to) = span(window);
                let mut body =
                    json!({"id": self.uuid(*id).to_string(), "lot": lot, "from": from, "to": to});
                if let Some(slot) = slot {
                    body["slot"] = json!(slot_code(*slot));
                }
                if let Some(seconds) = hold_seconds {
                    body["hold_seconds"] = json!(seconds);
                }
                post("/api/v1/reservations".into(), Some(body.to_string()))
            }
            Call::Confirm { id } => post(format!("{}/confirm", reservation(id)), None),
            Call::Cancel { id } | Call::Expire { id } => {
                post(format!("{}/cancel", reservation(id)), None)
            }
            Call::Modify { id, window, if_version } => {
                let (from, to) = span(window);
                let body = Some(json!({"from": from, "to": to}).to_string());
                Request { method: "PATCH", path: reservation(id), body, if_match: *if_version }
            }
            Call::Show { id } => get(reservation(id)),
            Call::Open { window } => {
                let (from, to) = span(window);
                get(format!("/api/v1/lots/{lot}/availability?from={from}&to={to}"))
            }
            Call::Seq => get(format!("/api/v1/lots/{lot}/availability")),
            Call::List => get(format!("/api/v1/reservations?lot={lot}&limit=500")),
        }
    }

    /// What an answer says about a call.
    pub fn read(&self, call: &Call, status: u16, body: &[u8]) -> Read {
        let excerpt = || String::from_utf8_lossy(body).chars().take(300).collect::<String>();
        let strange = || Read::Unexpected(format!("{call}: {status} {}", excerpt()));
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return strange() };
        let answer = match (status, body["code"].as_str()) {
            (200 | 201, _) => self.granted(call, status, &body),
            (503, Some("outcome_unknown")) => {
                return Read::Told(Outcome::Unknown { until_us: None });
            }
            (503, Some("overloaded" | "shutting_down" | "storage_full")) => {
                return Read::TurnedAway;
            }
            (404 | 409 | 412, Some(code)) => refusal(code).map(Answer::Refused),
            _ => None,
        };
        answer.map_or_else(strange, |answer| Read::Told(Outcome::Answered(answer)))
    }

    fn granted(&self, call: &Call, status: u16, body: &Value) -> Option<Answer> {
        let seq = |value: &Value| value["seq"].as_u64().and_then(|seq| u32::try_from(seq).ok());
        match call {
            Call::Reserve { .. } if status != 201 => None,
            Call::Reserve { .. }
            | Call::Confirm { .. }
            | Call::Cancel { .. }
            | Call::Modify { .. }
            | Call::Show { .. }
            | Call::Expire { .. } => {
                Some(Answer::Reservation { shown: self.shown(body)?, seq: Some(seq(body)?) })
            }
            Call::Open { .. } => {
                let codes = body["slots"].as_array()?;
                let slots: Option<Vec<u8>> = codes.iter().map(slot_number).collect();
                let slots = slots.filter(|slots| body["open"] == slots.len())?;
                Some(Answer::Open { slots, seq: Some(seq(body)?) })
            }
            Call::Seq => Some(Answer::Seq { seq: Some(seq(body)?) }),
            Call::List => {
                let items = body["items"].as_array().filter(|_| body["next_cursor"].is_null())?;
                let seqs: Vec<_> = items.iter().map(seq).collect();
                let is_one_view = seqs.iter().all(|seq| *seq == seqs[0]);
                let items: Option<Vec<Shown>> = items.iter().map(|item| self.shown(item)).collect();
                let mut items = items.filter(|_| is_one_view)?;
                items.sort_by_key(|item| item.id);
                Some(Answer::List { items, seq: seqs.first().copied().flatten() })
            }
        }
    }

    fn shown(&self, body: &Value) -> Option<Shown> {
        let id =
            Uuid::try_parse(body["id"].as_str()?).ok()?.as_u128().checked_sub(self.first_id)?;
        let position = |field: &str| self.position(body[field].as_str()?);
        let stand = match body["state"].as_str()? {
            "held" => Stand::Held,
            "confirmed" => Stand::Confirmed,
            "cancelled" => Stand::Cancelled,
            "expired" => Stand::Expired,
            _ => Stand::Strange,
        };
        let expires = body["expires_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        (body["lot"] == self.lot).then_some(Shown {
            id: u32::try_from(id).ok()?,
            slot: slot_number(&body["slot"])?,
            window: Window { from: position("from")?, to: position("to")? },
            stand,
            version: u32::try_from(body["version"].as_u64()?).ok()?,
            expires_us: expires.and_then(|at| u64::try_from(at.as_microsecond()).ok()),
        })
    }

    /// Remembers the version an answer showed, for later `If-Match`.
    pub fn saw(&self, operation: &Operation) {
        let Outcome::Answered(Answer::Reservation { shown, .. }) = &operation.outcome else {
            return;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = known.versions.get_mut(shown.id as usize) {
            *version = shown.version.max(*version);
        }
    }

    /// What a client asks for next.
    pub fn next(&self, rng: &mut SmallRng) -> Call {
        let from = rng.random_range(0..GRID);
        let to = (from + rng.random_range(1..=WINDOW_HOURS_MAX)).min(GRID);
        let window = Window { from, to };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = known.asked.len();
        let dice = rng.random_range(0..100);
        if asked == 0 || (dice < 30 && asked < RESERVATIONS_MAX as usize) {
            let id = u32::try_from(asked).unwrap_or(u32::MAX);
            let slot = rng.random_bool(0.5).then(|| rng.random_range(0..self.slots));
            let hold_seconds = match rng.random_range(0..10) {
                0..4 => None,
                4..8 => Some(LONG_HOLD_SECONDS),
                _ => Some(SHORT_HOLD_SECONDS),
            };
            let call = Call::Reserve { id, slot, window, hold_seconds };
            known.asked.push(call.clone());
            known.versions.push(1);
            return call;
        }
        let oldest = asked.saturating_sub(RECENT_MAX);
        let nth = rng.random_range(oldest..asked);
        let id = u32::try_from(nth).unwrap_or(u32::MAX);
        match dice {
            0..42 => Call::Confirm { id },
            42..54 => Call::Cancel { id },
            54..66 => {
                let if_version = rng.random_bool(0.5).then_some(known.versions[nth]);
                Call::Modify { id, window, if_version }
            }
            66..78 => Call::Show { id },
            78..88 => Call::Open { window },
            88..92 => Call::Seq,
            92..96 => Call::List,
            // The same request again, as a client does that got no answer.
            _ => known.asked[nth].clone(),
        }
    }
}

/// The code of a slot.
pub fn slot_code(slot: u8) -> String {
    format!("S{slot}")
}

fn slot_number(code: &Value) -> Option<u8> {
    code.as_str()?.strip_prefix('S')?.parse().ok()
}

fn refusal(code: &str) -> Option<Refusal> {
    let all = [
        Refusal::SlotTaken,
        Refusal::NoSlotFree,
        Refusal::ReservationEnded,
        Refusal::HoldExpired,
        Refusal::ReservationNotFound,
        Refusal::VersionMismatch,
        Refusal::IdTaken,
        Refusal::LotNotFound,
        Refusal::RequestInProgress,
    ];
    all.into_iter().find(|refusal| refusal.name() == code)
}
