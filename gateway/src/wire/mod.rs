//! The shapes that clients see: requests, answers, and the way between them and the domain.
//!
//! Requests refuse what they do not know; answers borrow from the view they describe. Nothing here knows
//! HTTP, so the websockets read and write the same shapes. Invariant: no clear text of a person or a
//! plate is in a shape that is not an answer to its holder or to staff.

pub mod about;
pub mod allocation;
pub mod availability;
pub mod counts;
pub mod cursor;
pub mod event;
pub mod event_money;
pub mod id_hash;
pub mod instant;
pub mod lot;
pub mod money;
// Its macros make the vocabularies of the modules after it, too.
#[macro_use]
pub mod names;
pub mod new_lot;
pub mod pass;
pub mod payment;
pub mod place;
pub mod pointer;
pub mod readings;
pub mod readings_binary;
pub mod request;
pub mod reservation;
pub mod rules;
pub mod scan_record;
pub mod series;
pub mod shift;
pub mod slot;
pub mod stay;
pub mod tariff;
pub mod use_of_tariff;
pub mod vehicle;
pub mod violation;
pub mod waiting;

use lotkeeper_engine::limits::CODE_CHARS_MAX;
use lotkeeper_engine::spec::Fault;
use serde::{Deserialize, Deserializer};

/// Characters of a parser's message that go into an answer: it may quote the whole request.
const DETAIL_CHARS_MAX: usize = 300;

/// Why the text of a request cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not JSON.
    Syntax {
        /// What the parser met, and where.
        detail: String,
    },
    /// It is JSON of another shape: a field missing, unknown or of another type.
    Shape {
        /// Where, as a JSON pointer.
        pointer: String,
        /// What was expected.
        detail: String,
    },
    /// The shape is right, values are not.
    Invalid(Vec<Fault>),
}

impl From<Vec<Fault>> for Refusal {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Invalid(faults)
    }
}

/// Reads one JSON document.
///
/// # Errors
/// Text that is not JSON, or not of the shape of `T`.
pub fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| refusal(body, &error))
}

fn refusal(body: &[u8], error: &serde_json::Error) -> Refusal {
    let detail: String = error.to_string().chars().take(DETAIL_CHARS_MAX).collect();
    match error.classify() {
        serde_json::error::Category::Data => {
            let pointer = pointer::at(body, error.line(), error.column());
            Refusal::Shape { pointer, detail }
        }
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => Refusal::Syntax { detail },
    }
}

/// A fault of a request.
#[must_use]
pub fn fault(pointer: impl Into<String>, detail: impl Into<String>) -> Fault {
    Fault { pointer: pointer.into(), detail: detail.into() }
}

/// One page of a list.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// What this page holds.
    pub items: Vec<T>,
    /// Give it back as `cursor` for the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A page of a list over all times.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Listed<T> {
    /// What this page holds, the newest first.
    pub items: Vec<T>,
    /// Give it back as `cursor` for the next page; left out on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Up to this record of the log (global sequence) nothing is missing; of what came later there is what lots
    /// remember. It is a moment behind, or far, while the history is made anew.
    pub as_of_seq: u64,
}

/// Whether a text can be a code: of a lot, slot, zone, feature or reason.
#[must_use]
pub fn is_code(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
    (1..=CODE_CHARS_MAX).contains(&text.len()) && text.chars().all(plain)
}

/// What is wrong with a text that should be a code.
#[must_use]
pub fn code_fault(pointer: impl Into<String>, text: &str) -> Fault {
    let shown: String = text.chars().take(80).collect();
    let max = CODE_CHARS_MAX;
    fault(pointer, format!("`{shown}` is not 1 to {max} of the characters A-Z a-z 0-9 . _ ~ -"))
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next_cursor: None }
    }
}

/// Tells `null` (take it away) from a field that is left out (leave it as it is).
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
