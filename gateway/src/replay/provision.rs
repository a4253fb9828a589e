//! Before the first row: the lots and slots of the plan exist on the server.
//!
//! A lot is made whole, or found: whoever made it, it must have the kind and the slots that the
//! file needs, else the replay ends before it has sent anything. Nothing of a found lot is changed.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::Deserialize;

use super::error::Error;
use super::plan::{Kind, LotPlan, Plan};
use crate::client::{self, Client};

/// The largest page that the server gives.
const SLOTS_PER_PAGE: usize = 500;
const EXAMPLES_MAX: usize = 3;

/// What the sender has to know of a lot that is ready.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub created: bool,
    /// Places of a counted lot, as the server has it.
    pub capacity: Option<u32>,
    /// The newest count that the server has.
    pub counted_at: Option<Timestamp>,
}

/// The parts of a lot that are looked at (docs/api.md).
#[derive(Deserialize)]
struct Lot {
    kind: String,
    capacity: Option<u32>,
}

#[derive(Deserialize)]
struct Availability {
    counted: Option<Counted>,
}

#[derive(Deserialize)]
struct Counted {
    observed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct SlotsPage {
    items: Vec<Slot>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Slot {
    code: String,
}

/// Makes or finds every lot, in the order of the plan.
pub(super) async fn prepare(client: &Client, plan: &Plan) -> Result<Vec<Ready>, Error> {
    let mut ready = Vec::with_capacity(plan.lots.len());
    for lot in &plan.lots {
        ready.push(prepare_lot(client, lot).await?);
    }
    Ok(ready)
}

async fn prepare_lot(client: &Client, lot: &LotPlan) -> Result<Ready, Error> {
    match client.create_lot(&lot.to_request()).await {
        Ok(_) => Ok(Ready { created: true, capacity: lot.capacity, counted_at: None }),
        Err(error) => match error.problem().map(|problem| problem.code.as_str()) {
            Some("lot_code_taken") => find_lot(client, lot).await,
            // A device may not make lots, but it may fill those that somebody made for it.
            Some("role_not_allowed") => match find_lot(client, lot).await {
                Err(Error::Client(_)) => Err(error.into()),
                found => found,
            },
            _ => Err(error.into()),
        },
    }
}

async fn find_lot(client: &Client, lot: &LotPlan) -> Result<Ready, Error> {
    let found: Lot = client.get_json(&format!("/api/v1/lots/{}", lot.code)).await?;
    let unfit = |reason| Error::LotUnfit { lot: lot.code.to_string(), reason };
    let kind = match lot.kind {
        Kind::Bayed => "bayed",
        Kind::Counted => "counted",
    };
    if found.kind != kind {
        return Err(unfit(format!("it is {}, the file needs a {kind} one", found.kind)));
    }
    if lot.kind == Kind::Bayed {
        let known = slot_codes(client, lot).await?;
        let missing: Vec<&str> = lot
            .slots
            .iter()
            .map(|slot| &*slot.code)
            .filter(|code| !known.contains(*code))
            .collect();
        if !missing.is_empty() {
            let examples = missing[..missing.len().min(EXAMPLES_MAX)].join(", ");
            return Err(unfit(format!(
                "it lacks {} of the file's {} slots ({examples})",
                missing.len(),
                lot.slots.len()
            )));
        }
    }
    let counted_at = match lot.kind {
        Kind::Bayed => None,
        Kind::Counted => {
            let path = format!("/api/v1/lots/{}/availability", lot.code);
            let now: Availability = client.get_json(&path).await?;
            now.counted.and_then(|counted| counted.observed_at)
        }
    };
    Ok(Ready { created: false, capacity: found.capacity, counted_at })
}

async fn slot_codes(client: &Client, lot: &LotPlan) -> Result<HashSet<String>, Error> {
    let base = format!("/api/v1/lots/{}/slots?limit={SLOTS_PER_PAGE}", lot.code);
    let mut codes = HashSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let path = match &cursor {
            None => base.clone(),
            Some(cursor) => format!("{base}&cursor={}", query_value(cursor)),
        };
        let page: SlotsPage = client.get_json(&path).await?;
        let before = codes.len();
        codes.extend(page.items.into_iter().map(|slot| slot.code));
        match page.next_cursor {
            None => return Ok(codes),
            // A cursor that brings nothing new would be followed forever.
            Some(_) if codes.len() == before => {
                return Err(Error::Client(client::Error::Answer {
                    action: format!("GET {path}"),
                    reason: "a page of slots brings no slot that is new".to_owned(),
                }));
            }
            next => cursor = next,
        }
    }
}

/// Cursors are opaque: whatever they hold must survive the query string.
fn query_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                value.push(char::from(byte));
            }
            other => value.push_str(&format!("%{other:02X}")),
        }
    }
    value
}
