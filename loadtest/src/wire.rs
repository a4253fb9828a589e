//! What the server says, as far as the client reads it: `docs/api.md`, `docs/stream.md`, `docs/ingest.md`.
//!
//! Fields that are not read are left out, so a field the server adds breaks nothing. Text that occurs in
//! every message is borrowed from it. Absent: requests, which their senders write themselves.

use serde::Deserialize;

/// The shown status of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Free,
    Occupied,
    Held,
    Unknown,
    OutOfService,
}

/// Places by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    pub capacity: u64,
    pub free: u64,
    pub occupied: u64,
    pub held: u64,
    pub unknown: u64,
    pub out_of_service: u64,
}

impl Counts {
    /// The contract: every place has one status.
    pub fn add_up(&self) -> bool {
        self.free + self.occupied + self.held + self.unknown + self.out_of_service == self.capacity
    }
}

/// `GET .../availability`.
#[derive(Clone, Debug, Deserialize)]
pub struct Availability {
    pub seq: u64,
    #[serde(flatten)]
    pub counts: Counts,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A slot in a list.
#[derive(Debug, Deserialize)]
pub struct SlotItem {
    pub code: String,
    pub status: Status,
}

/// A reservation.
#[derive(Clone, Debug, Deserialize)]
pub struct Reservation {
    pub id: String,
    pub lot: String,
    pub slot: String,
    pub state: ReservationState,
    pub from: String,
    pub to: String,
    #[serde(default)]
    pub expires_at: Option<String>,
    #[serde(default)]
    pub seq: u64,
}

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    Held,
    Confirmed,
    CheckedIn,
    Completed,
    Cancelled,
    Expired,
    NoShow,
}

impl ReservationState {
    /// Whether it keeps its window from others.
    pub fn is_active(self) -> bool {
        match self {
            Self::Held | Self::Confirmed | Self::CheckedIn => true,
            Self::Completed | Self::Cancelled | Self::Expired | Self::NoShow => false,
        }
    }
}

/// A refusal.
#[derive(Debug, Deserialize)]
pub struct Problem {
    pub code: String,
    #[serde(default)]
    pub detail: String,
}

/// `GET /livez`, where it says more than its status.
#[derive(Debug, Deserialize)]
pub struct Livez {
    pub version: String,
}

/// Anything on the ingest socket.
#[derive(Debug, Deserialize)]
pub struct IngestMessage<'a> {
    pub op: &'a str,
    #[serde(default)]
    pub batch: Option<u64>,
    #[serde(default)]
    pub accepted: usize,
    #[serde(default)]
    pub unchanged: usize,
    #[serde(default)]
    pub duplicate: usize,
    #[serde(default)]
    pub late: usize,
    #[serde(default)]
    pub refused: Vec<RefusedReading>,
    #[serde(default)]
    pub seq: u64,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

/// A reading that an accepted batch could not take.
#[derive(Debug, Deserialize)]
pub struct RefusedReading {
    pub index: usize,
    pub code: String,
}

/// Anything on the stream.
#[derive(Debug, Deserialize)]
pub struct StreamMessage<'a> {
    pub op: &'a str,
    #[serde(default)]
    pub lot: Option<&'a str>,
    #[serde(default)]
    pub epoch: Option<&'a str>,
    #[serde(default)]
    pub seq: u64,
    #[serde(default)]
    pub from: u64,
    #[serde(default)]
    pub recovered: bool,
    #[serde(default)]
    pub reason: Option<&'a str>,
    #[serde(borrow, default)]
    pub slots: Vec<SnapshotSlot<'a>>,
    #[serde(borrow, default)]
    pub changes: Vec<Change<'a>>,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub detail: Option<String>,
}

/// A slot of a snapshot.
#[derive(Debug, Deserialize)]
pub struct SnapshotSlot<'a> {
    pub slot: &'a str,
    pub status: Status,
}

/// One entry of `changes`.
#[derive(Debug, Deserialize)]
pub struct Change<'a> {
    pub seq: u64,
    #[serde(rename = "type")]
    pub kind: &'a str,
    #[serde(default)]
    pub slot: Option<&'a str>,
    #[serde(default)]
    pub status: Option<Status>,
    #[serde(default)]
    pub observed_at: Option<&'a str>,
}

impl Change<'_> {
    /// Whether a reading caused it that flipped the slot.
    pub fn is_flip(&self) -> bool {
        matches!(self.kind, "slot.occupied" | "slot.vacated")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_examples_are_read() {
        let changes: StreamMessage = serde_json::from_str(
            r#"{"op":"changes","lot":"L1","epoch":"6f0c","from":132,"seq":133,"changes":[
                {"seq":132,"type":"slot.occupied","slot":"A-101","status":"occupied","at":"2026-03-01T09:00:00Z","observed_at":"2026-03-01T08:59:59.5Z"},
                {"seq":133,"type":"lot.changed","at":"2026-03-01T09:00:00Z"}]}"#,
        )
        .unwrap();
        assert_eq!((changes.from, changes.seq, changes.changes.len()), (132, 133, 2));
        assert!(changes.changes[0].is_flip() && !changes.changes[1].is_flip());
        assert_eq!(changes.changes[1].status, None);
        let ack: IngestMessage = serde_json::from_str(
            r#"{"op":"ack","batch":17,"accepted":1,"unchanged":0,"duplicate":0,"late":0,"refused":[{"index":3,"code":"slot_not_found"}],"seq":141}"#,
        )
        .unwrap();
        assert_eq!((ack.batch, ack.accepted, ack.refused[0].index), (Some(17), 1, 3));
        let availability: Availability = serde_json::from_str(
            r#"{"lot":"L1","epoch":"e","seq":140,"capacity":120,"free":17,"occupied":98,"held":3,"unknown":2,"out_of_service":0,"by_zone":{}}"#,
        )
        .unwrap();
        assert_eq!((availability.seq, availability.counts.held), (140, 3));
        assert!(availability.counts.add_up());
    }

    #[test]
    fn active_reservations_are_those_that_keep_their_window() {
        for (state, active) in [("held", true), ("checked_in", true), ("no_show", false)] {
            let read: ReservationState = serde_json::from_str(&format!("\"{state}\"")).unwrap();
            assert_eq!(read.is_active(), active, "{state}");
        }
    }
}
