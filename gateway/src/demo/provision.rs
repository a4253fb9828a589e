//! Before the traffic: the city's lots exist, made at once or found from an earlier start.
//!
//! A lot is made whole, so a start that was interrupted is gone on with by the next. Invariant: of a lot
//! that is found nothing is changed, except that the bay under repair is closed if somebody opened it, and that a lot
//! without any tariff gets the city's.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Error;
use super::city::{Lot, Use};
use crate::client::Client;

/// No lot of the city has more slots (tested): one page has them all.
const SLOTS_PER_PAGE: usize = 500;
/// Lots made at the same time; their commits share a sync.
const AT_ONCE: usize = 12;

/// A lot that is ready.
#[derive(Debug)]
pub struct Ready {
    /// It was not there before.
    pub created: bool,
    /// What is known of each slot, in the lot's order.
    pub remembered: Vec<Option<bool>>,
}

#[derive(Deserialize)]
struct Found {
    kind: String,
}

#[derive(Deserialize)]
struct SlotsPage {
    items: Vec<FoundSlot>,
}

#[derive(Deserialize)]
struct FoundSlot {
    code: String,
    status: String,
}

#[derive(Deserialize)]
struct TariffsPage {
    items: Vec<Value>,
}

/// Statuses by slot code of a lot that is there already; nothing of one that is not.
type Statuses = Option<HashMap<String, String>>;

/// Makes or finds every lot, answered in their order; calls `each` whenever one is ready. Nothing is made
/// when a lot that is found is another's.
pub async fn prepare(
    operator: &Client,
    lots: &[&Lot],
    mut each: impl FnMut(&Lot, bool),
) -> Result<Vec<Ready>, Error> {
    let finding = lots.iter().map(|lot| find(operator, lot));
    let found: Vec<Statuses> = stream::iter(finding).buffered(AT_ONCE).try_collect().await?;
    let preparing = lots.iter().zip(found).map(|(lot, found)| async move {
        let ready = prepare_lot(operator, lot, found).await?;
        Ok::<_, Error>((*lot, ready))
    });
    stream::iter(preparing)
        .buffered(AT_ONCE)
        .inspect_ok(|(lot, ready)| each(lot, ready.created))
        .map_ok(|(_, ready)| ready)
        .try_collect()
        .await
}

async fn prepare_lot(operator: &Client, lot: &Lot, found: Statuses) -> Result<Ready, Error> {
    let created = found.is_none();
    if created {
        operator.create_lot(lot).await?;
    }
    // Asked of a found lot as well: the start before may have ended between the two.
    let tariffs = format!("/api/v1/lots/{}/tariffs", lot.code);
    if operator.get_json::<TariffsPage>(&tariffs).await?.items.is_empty() {
        operator.post_json::<Value>(&tariffs, &tariff()).await?;
    }
    let status = |code: &str| found.as_ref()?.get(code).map(String::as_str);
    for slot in lot.slots.iter().filter(|slot| slot.used_by == Use::Closed) {
        if status(&slot.code) != Some("out_of_service") {
            let path = format!("/api/v1/lots/{}/slots/{}", lot.code, slot.code);
            let body = json!({ "service": { "state": "out_of_service", "reason": "resurfacing" } });
            operator.patch_json::<Value>(&path, &body).await?;
        }
    }
    let remembered = lot.slots.iter().map(|slot| match status(&slot.code) {
        Some("occupied") => Some(true),
        Some("free" | "held") => Some(false),
        _ => None,
    });
    Ok(Ready { created, remembered: remembered.collect() })
}

/// Invented, like the city: what a garage in a European town might ask.
fn tariff() -> Value {
    json!({ "tariff": {
        "name": "City",
        "valid_from": "2026-01-01T00:00:00Z",
        "rate": { "hourly": { "tiers": [{ "amount": 250, "begun": true }] } },
        "caps": [{ "unit": "day", "anchor": "calendar", "amount": 1_800 }],
        "grace": { "seconds": 600, "mode": "free_if_shorter" },
        "overstay": { "grace_seconds": 900, "multiplier_per_mille": 1_500, "penalty_per_hour": 500 },
        "lost_ticket": { "amount": 1_500, "instead": false },
        "tax": { "code": "VAT", "rate_bp": 1_900, "included": true, "on_penalty": false },
        "cancellation": { "steps": [{ "before_seconds": 3_600, "refund_bp": 10_000 }], "no_show_bp": 0 },
    } })
}

async fn find(operator: &Client, lot: &Lot) -> Result<Statuses, Error> {
    let path = format!("/api/v1/lots/{}", lot.code);
    let found: Found = match operator.get_json(&path).await {
        Ok(found) => found,
        Err(error) if error.problem().is_some_and(|problem| problem.code == "lot_not_found") => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let page: SlotsPage =
        operator.get_json(&format!("{path}/slots?limit={SLOTS_PER_PAGE}")).await?;
    let statuses: HashMap<String, String> =
        page.items.into_iter().map(|slot| (slot.code, slot.status)).collect();
    let missing = lot.slots.iter().filter(|slot| !statuses.contains_key(&slot.code)).count();
    if found.kind != lot.kind || missing > 0 {
        return Err(Error::Unfit { lot: lot.code, kind: found.kind, missing });
    }
    Ok(Some(statuses))
}

#[cfg(test)]
mod tests {
    use super::super::city;
    use super::SLOTS_PER_PAGE;

    #[test]
    fn every_lot_fits_on_one_page() {
        assert!(city::bayed().iter().all(|lot| lot.slots.len() <= SLOTS_PER_PAGE));
    }
}
