//! A lot of its own beside the others: vehicles come in by code, plate and ticket, check in themselves, pay,
//! are reported, come with passes, and leave. It has a tariff, so every stay has a fee.
//!
//! Absent: occupancy and promises, which the other lots are for (`book`, `wish`).

pub mod ask;
pub mod book;
pub mod desk;
pub mod fact;
pub mod past;

pub use ask::repeat;
pub use book::StayBook;
pub use desk::Desk;
pub use fact::Fact;

use super::super::session::create_lot;
use crate::error::LoadError;
use crate::fleet::slot_code;
use crate::http::HttpClient;
use bytes::Bytes;

/// Desks at work: each one's vehicles are its own.
pub const DESKS: usize = 3;
/// Slots: more than all desks together ever fill.
const SLOTS: usize = 60;

/// Makes the lot and its tariff: two euros for every hour begun.
pub async fn make_lot(operator: &mut HttpClient, code: &str) -> Result<(), LoadError> {
    let slots: Vec<String> =
        (0..SLOTS).map(|slot| format!(r#"{{"code":"{}"}}"#, slot_code(slot))).collect();
    let slots = slots.join(",");
    let body = format!(
        r#"{{"code":"{code}","name":"Crash test {code}","kind":"bayed","rules":{{"settlement":"at_exit"}},"slots":[{slots}]}}"#
    );
    create_lot(operator, code, body).await?;
    let tariff = r#"{"tariff":{"name":"Crash test","valid_from":"2020-01-01T00:00:00Z","rate":{"hourly":{"tiers":[{"amount":200,"begun":true}]}}}}"#;
    let doing = || format!("making a tariff of lot {code}");
    let path = format!("/api/v1/lots/{code}/tariffs");
    let answer = operator.post(&path, Bytes::from(tariff)).await;
    let answer = answer.map_err(|source| LoadError::Http { doing: doing(), source })?;
    if answer.status != 201 {
        let (status, body) = (answer.status, answer.excerpt());
        return Err(LoadError::Refused { doing: doing(), status, body });
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
