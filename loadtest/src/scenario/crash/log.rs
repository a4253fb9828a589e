//! What the server's log and its reservations say, as far as this scenario reads them (`docs/api.md`).

use super::stays::fact::Money;
use crate::clock::parse_rfc3339;
use crate::wire::ReservationState;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::hash::{DefaultHasher, Hash, Hasher};

/// One item of `GET /events`.
#[derive(Clone, Debug, Deserialize)]
pub struct LogEvent {
    pub seq: u64,
    pub lot: String,
    pub lot_seq: u64,
    #[serde(rename = "type")]
    pub kind: String,
    pub at: String,
    #[serde(default)]
    pub entity: String,
    #[serde(default)]
    pub data: EventData,
}

/// What is known of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct EventData {
    #[serde(default)]
    pub slot: Option<String>,
    #[serde(default)]
    pub reservation: Option<String>,
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub expires_at: Option<String>,
    #[serde(default)]
    pub observed_at: Option<String>,
    #[serde(default)]
    pub sequence: Option<u64>,
    #[serde(default)]
    pub occupied: Option<Occupied>,
    #[serde(default)]
    pub entered: Option<i64>,
    #[serde(default)]
    pub left: Option<i64>,
    #[serde(default)]
    pub session: Option<String>,
    #[serde(default)]
    pub fee: Option<Money>,
    #[serde(default)]
    pub amount: Option<Money>,
    /// Of a posting: its number, whose it is, what for, and its sides.
    #[serde(default)]
    pub number: Option<u64>,
    #[serde(default)]
    pub about: Option<String>,
    #[serde(default)]
    pub purpose: Option<String>,
    #[serde(default)]
    pub of: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "sides")]
    pub entries: Vec<Side>,
}

/// The sides of a posting. Passes count theirs under the same name, which nothing here asks for.
fn sides<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Side>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entries {
        Sides(Vec<Side>),
        Used(IgnoredAny),
    }
    Ok(match Entries::deserialize(from)? {
        Entries::Sides(sides) => sides,
        Entries::Used(IgnoredAny) => Vec::new(),
    })
}

/// A side of a posting; debits positive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Side {
    pub account: String,
    pub amount: Money,
}

/// A reading says whether somebody stands there, a count how many are inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub enum Occupied {
    Stands(bool),
    Inside(i64),
}

impl LogEvent {
    /// The same event gives the same number for ever. The slot of a reservation, the reservation of a stay and
    /// the stay of a violation are left out: they are told while the lot remembers it, and not after.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let data = &self.data;
        (self.seq, &self.lot, self.lot_seq, &self.kind, &self.at).hash(&mut hasher);
        let is_of_reservation = self.kind.starts_with("reservation.");
        data.reservation.as_ref().filter(|_| is_of_reservation).hash(&mut hasher);
        data.session.as_ref().filter(|_| self.kind.starts_with("session.")).hash(&mut hasher);
        (&data.from, &data.to, &data.expires_at).hash(&mut hasher);
        (data.fee, data.amount, data.number, &data.about, &data.entries).hash(&mut hasher);
        (&data.observed_at, data.sequence, data.occupied, data.entered, data.left)
            .hash(&mut hasher);
        hasher.finish()
    }

    /// The id behind a name of what it is about: `payments/`, `violations/`, `passes/`.
    pub fn named(&self, what: &str) -> Option<&str> {
        self.entity.strip_prefix(what)
    }

    /// The window it tells, if it tells one.
    pub fn window(&self) -> Option<(u64, u64)> {
        let instant = |text: &Option<String>| text.as_deref().and_then(parse_rfc3339);
        Some((instant(&self.data.from)?, instant(&self.data.to)?))
    }
}

/// A reservation in an answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Standing {
    pub id: String,
    pub lot: String,
    pub slot: String,
    pub state: ReservationState,
    pub from: String,
    pub to: String,
    pub version: u64,
    /// The lot's sequence it is as of.
    pub seq: u64,
}

/// A slot in a list.
#[derive(Clone, Debug, Deserialize)]
pub struct SlotShown {
    pub status: crate::wire::Status,
    pub seq: u64,
}

/// Availability with the history it belongs to.
#[derive(Clone, Debug, Deserialize)]
pub struct AvailabilityShown {
    pub epoch: String,
    pub seq: u64,
    #[serde(flatten)]
    pub counts: crate::wire::Counts,
}

/// The number in a slot's code.
pub fn slot_number(code: &str) -> Option<usize> {
    code.strip_prefix('S')?.parse().ok()
}
