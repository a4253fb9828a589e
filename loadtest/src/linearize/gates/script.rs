//! What clients ask for at gates and tills by chance, as requests of the interface, and answers read back.
//!
//! A few plates and fewer slots make nearly every request meet another one. Vehicles came half an hour ago, as the gate
//! says, so every stay costs one amount while a history lasts.

use super::super::judge::script::{Ground, Read, Request};
use super::history::{GateAnswer, GateCall, GateOperation, GateOutcome};
use super::model::FEE;
use crate::clock::{Clock, MICROS_PER_SECOND, Rfc3339};
use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Vehicles of a history: more than the largest lot has slots.
const PLATES: u8 = 5;
const GATES: u8 = 2;
/// How long ago they came, in microseconds; far less than an hour, with the longest history.
const CAME_AGO_US: u64 = 30 * 60 * MICROS_PER_SECOND;
/// Stays, payments and passes that clients still turn to.
const RECENT_MAX: usize = 6;
/// A list has everything on one page; a history makes fewer stays.
const STAYS_MAX: usize = 450;

/// What all clients of one lot's gates share.
#[derive(Debug)]
pub struct Gates {
    lot: String,
    /// When the vehicles came, and passes began before; the same for a retry.
    came_us: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Everything that made something: its number is its place.
    asked: Vec<GateCall>,
    passes: Vec<u32>,
    stays: Vec<u32>,
}

impl Gates {
    /// Of a lot that was made.
    pub fn new(lot: &str, clock: Clock) -> Arc<Self> {
        let came_us = clock.now_us() - CAME_AGO_US;
        Arc::new(Self { lot: lot.into(), came_us, known: Mutex::default() })
    }

    /// Makes a plate that comes back a new visit, and all stays cost the same.
    pub fn rules() -> Value {
        json!({"repeat_window_seconds": 0, "settlement": "at_exit"})
    }

    /// `POST .../tariffs`.
    pub fn tariff(&self) -> Request {
        let rate = json!({"hourly": {"tiers": [{"amount": FEE, "begun": true}]}});
        let tariff = json!({"name": "Gates", "valid_from": "2020-01-01T00:00:00Z", "rate": rate});
        post(format!("/api/v1/lots/{}/tariffs", self.lot), &json!({"tariff": tariff}))
    }

    /// What a client asks for next.
    pub fn next(&self, rng: &mut SmallRng) -> GateCall {
        let (plate, gate) = (rng.random_range(0..PLATES), rng.random_range(0..GATES));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let id = u32::try_from(known.asked.len()).unwrap_or(u32::MAX);
        let dice = rng.random_range(0..100);
        let mut recent = |all: &[u32]| -> Option<u32> {
            let first = all.len().saturating_sub(RECENT_MAX);
            (first < all.len()).then(|| all[rng.random_range(first..all.len())])
        };
        let call = match dice {
            0..34 if known.stays.len() < STAYS_MAX => {
                known.stays.push(id);
                GateCall::Enter { plate, gate, stay: id }
            }
            34..60 => match recent(&known.stays) {
                Some(stay) => GateCall::Pay { stay, payment: id },
                None => GateCall::Inside,
            },
            60..78 => return GateCall::Exit { plate, gate },
            78..82 => {
                known.passes.push(id);
                GateCall::Issue { plate, pass: id }
            }
            82..87 => {
                return recent(&known.passes)
                    .map_or(GateCall::Inside, |pass| GateCall::End { pass });
            }
            87..95 => return GateCall::Inside,
            // The same request again, as a client does that got no answer.
            _ => {
                let all: Vec<u32> = (0..id).collect();
                let again = recent(&all).and_then(|at| known.asked.get(at as usize).cloned());
                return again.unwrap_or(GateCall::Inside);
            }
        };
        known.asked.push(call.clone());
        call
    }

    /// A call in the words of the interface.
    pub fn request(&self, ground: &Ground, call: &GateCall) -> Request {
        let id = |number: &u32| ground.gate_id(*number).to_string();
        let lot = &self.lot;
        match call {
            GateCall::Enter { plate, gate, stay } => post(
                "/api/v1/scans".into(),
                &json!({
                    "id": id(stay), "lot": lot, "gate": format!("in-{gate}"), "direction": "entry",
                    "credential": vehicle(*plate), "observed_at": Rfc3339(self.came_us).to_string(),
                }),
            ),
            GateCall::Exit { plate, gate } => post(
                "/api/v1/scans".into(),
                &json!({
                    "lot": lot, "gate": format!("out-{gate}"), "direction": "exit",
                    "credential": vehicle(*plate),
                }),
            ),
            GateCall::Pay { stay, payment } => post(
                format!("/api/v1/sessions/{}/payments", id(stay)),
                &json!({"id": id(payment), "method": "cash"}),
            ),
            GateCall::Issue { plate, pass } => {
                let hours = |hours: u64| hours * 3_600 * MICROS_PER_SECOND;
                let from = Rfc3339(self.came_us - hours(1)).to_string();
                let to = Rfc3339(self.came_us + hours(48)).to_string();
                post(
                    "/api/v1/passes".into(),
                    &json!({
                        "id": id(pass), "lot": lot, "plan": "gates", "vehicles": [vehicle(*plate)],
                        "from": from, "to": to,
                    }),
                )
            }
            GateCall::End { pass } => Request {
                method: "PATCH",
                path: format!("/api/v1/passes/{}", id(pass)),
                body: Some(json!({"state": "ended"}).to_string()),
                if_match: None,
            },
            GateCall::Inside => {
                let path = format!("/api/v1/sessions?lot={lot}&state=inside,overstaying&limit=500");
                Request { method: "GET", path, body: None, if_match: None }
            }
        }
    }

    /// What an answer says about a call.
    pub fn read(
        &self,
        ground: &Ground,
        call: &GateCall,
        status: u16,
        body: &[u8],
    ) -> Read<GateOutcome> {
        let strange = || {
            let excerpt: String = String::from_utf8_lossy(body).chars().take(300).collect();
            Read::Unexpected(format!("{call:?}: {status} {excerpt}"))
        };
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return strange() };
        let answer = match (status, body["code"].as_str()) {
            (503, Some("outcome_unknown")) => {
                return Read::Told(GateOutcome::Unknown { until_us: None });
            }
            (503, Some("overloaded" | "shutting_down" | "storage_full")) => {
                return Read::TurnedAway;
            }
            (200 | 201, _) => granted(ground, call, &body),
            (404 | 409, Some(code)) => Some(GateAnswer::Refused { code: code.into() }),
            _ => None,
        };
        answer.map_or_else(strange, |answer| Read::Told(GateOutcome::Answered(answer)))
    }

    /// What was under way when the server was killed took effect before it was up again, or never.
    pub fn bound(operations: &mut [GateOperation], down: &[(u64, u64)]) {
        for operation in operations {
            let GateOutcome::Unknown { until_us } = &mut operation.outcome else { continue };
            let met = down.iter().rfind(|(killed_us, up_us)| {
                operation.called_us <= *up_us && operation.returned_us >= *killed_us
            });
            if let Some((_, up_us)) = met {
                *until_us = Some((*up_us).max(operation.called_us));
            }
        }
    }
}

fn granted(ground: &Ground, call: &GateCall, body: &Value) -> Option<GateAnswer> {
    let number = |id: &Value| ground.gate_number(Uuid::try_parse(id.as_str()?).ok()?);
    match call {
        GateCall::Enter { .. } | GateCall::Exit { .. } => {
            let code = body["code"].as_str()?.to_string();
            match body["decision"].as_str()? {
                "open" => Some(GateAnswer::Opened { code, stay: number(&body["session"]["id"])? }),
                _ => Some(GateAnswer::Denied { code }),
            }
        }
        GateCall::Pay { .. } => {
            let amount = body["amount"]["amount"].as_i64()?;
            Some(GateAnswer::Paid { payment: number(&body["id"])?, amount })
        }
        GateCall::Issue { .. } | GateCall::End { .. } => {
            let is_active = body["state"] == "active";
            Some(GateAnswer::Pass { pass: number(&body["id"])?, is_active })
        }
        GateCall::Inside => {
            let items = body["items"].as_array().filter(|_| body["next_cursor"].is_null())?;
            let one = |item: &Value| -> Option<(u32, u8)> {
                let plate = item["vehicle"]["plate"].as_str()?.strip_prefix("L-IN ")?;
                Some((number(&item["id"])?, plate.parse().ok()?))
            };
            let mut stays: Vec<(u32, u8)> = items.iter().map(one).collect::<Option<_>>()?;
            stays.sort_unstable();
            Some(GateAnswer::Inside { stays })
        }
    }
}

fn vehicle(plate: u8) -> Value {
    json!({"plate": format!("L-IN {plate}"), "country": "D"})
}

fn post(path: String, body: &Value) -> Request {
    Request { method: "POST", path, body: Some(body.to_string()), if_match: None }
}
