//! The messages of the stream, both ways.

use lotkeeper_actors::{Batch, Change, LotView};
use lotkeeper_engine::spec::Spec;
use serde::{Deserialize, Serialize};

use super::own::OwnBody;
use crate::wire::availability::Shown;
use crate::wire::instant::Instant;
use crate::wire::names::{Sensor, Size, Status};

/// What part of a lot is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum View {
    /// Every slot and every change.
    Slots,
    /// Numbers only, the latest wins.
    Counts,
    /// What the subject of the token holds there, and what becomes of it.
    Reservations,
}

impl View {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slots => "slots",
            Self::Counts => "counts",
            Self::Reservations => "reservations",
        }
    }
}

/// Where a reader stopped.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    /// The history it read.
    pub epoch: String,
    /// The last sequence it has.
    pub seq: u64,
}

/// What a client sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Watch a lot.
    Subscribe {
        /// The client's own number, repeated in the answer.
        id: Option<i64>,
        /// Code or id.
        lot: String,
        /// Which part.
        view: View,
        /// Resume from here.
        after: Option<After>,
    },
    /// Watch it no more.
    Unsubscribe {
        /// The client's own number.
        id: Option<i64>,
        /// Code or id.
        lot: String,
        /// Which part.
        view: View,
    },
    /// The answer to a ping.
    Pong,
    /// Renews the session.
    Token {
        /// The new token.
        token: String,
    },
}

/// What the server sends, apart from changes, which are encoded once for all.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Reply<'a> {
    /// A subscription begins.
    Subscribed {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<i64>,
        lot: &'a str,
        view: View,
        epoch: &'a str,
        seq: u64,
        recovered: bool,
    },
    /// A subscription ended.
    Unsubscribed {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<i64>,
        lot: &'a str,
        view: View,
    },
    /// Are you there? With the server's time and where each lot stands.
    Ping { at: Instant, lots: std::collections::BTreeMap<&'a str, u64> },
    /// The session was renewed.
    Token { expires_at: Instant },
    /// A request was refused.
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<i64>,
        code: &'a str,
        detail: &'a str,
    },
}

#[derive(Serialize)]
struct Snapshot<'a> {
    op: &'static str,
    lot: &'a str,
    view: View,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    epoch: &'a str,
    seq: u64,
    at: Instant,
    slots: Vec<SlotState<'a>>,
}

#[derive(Serialize)]
struct SlotState<'a> {
    slot: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    size: Size,
    features: Vec<&'a str>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_at: Option<Instant>,
    sensor: Sensor,
}

/// A lot's whole state as a `snapshot` message.
pub fn snapshot(view: &LotView, epoch: &str, now: Instant, lagged: bool) -> Vec<u8> {
    let spec = view.spec();
    let slots = spec.slots.iter().zip(spec.slot_indices()).zip(view.slots.iter());
    let message = Snapshot {
        op: "snapshot",
        lot: &spec.code,
        view: View::Slots,
        reason: lagged.then_some("lagged"),
        epoch,
        seq: view.lot_seq,
        at: now,
        slots: slots
            .map(|((slot, index), state)| SlotState {
                slot: &slot.code,
                zone: slot.zone.and_then(|zone| spec.zones.get(zone.at())).map(|zone| &*zone.code),
                size: slot.size.into(),
                features: slot
                    .features
                    .indices()
                    .filter_map(|at| spec.features.get(at))
                    .map(|f| &**f)
                    .collect(),
                status: view.status(index).into(),
                since: state.hearing.map(|hearing| Instant(hearing.since)),
                observed_at: state.hearing.map(|hearing| Instant(hearing.mark.observed_at)),
                sensor: state.health().into(),
            })
            .collect(),
    };
    encode(&message)
}

#[derive(Serialize)]
struct Changes<'a> {
    op: &'static str,
    lot: &'a str,
    epoch: &'a str,
    from: u64,
    seq: u64,
    changes: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    seq: u64,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_time: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_time: Option<Instant>,
}

/// A batch after a cursor as a `changes` message; the whole batch for a cursor before it.
pub fn changes(spec: &Spec, epoch: &str, batch: &Batch, cursor: u64) -> Vec<u8> {
    let entry = |change: &Change| Entry {
        seq: change.seq,
        r#type: change.kind.name(),
        slot: change.slot.and_then(|(slot, _)| spec.slot(slot)).map(|slot| &*slot.code),
        status: change.slot.map(|(_, status)| status.into()),
        at: Instant(change.at),
        observed_at: change.observed_at.map(Instant),
        from_time: change.window.map(|window| Instant(window.from)),
        to_time: change.window.map(|window| Instant(window.to)),
    };
    let wanted = batch.changes.iter().filter(|change| change.seq > cursor);
    encode(&Changes {
        op: "changes",
        lot: &spec.code,
        epoch,
        from: batch.from.max(cursor + 1),
        seq: batch.to,
        changes: wanted.map(entry).collect(),
    })
}

#[derive(Serialize)]
struct CountsMessage<'a> {
    op: &'static str,
    lot: &'a str,
    epoch: &'a str,
    seq: u64,
    at: Instant,
    #[serde(flatten)]
    shown: Shown<'a>,
}

/// A lot's numbers as a `counts` message.
pub fn counts(view: &LotView, epoch: &str, now: Instant) -> Vec<u8> {
    encode(&CountsMessage {
        op: "counts",
        lot: &view.spec().code,
        epoch,
        seq: view.lot_seq,
        at: now,
        shown: Shown::of(view),
    })
}

#[derive(Serialize)]
struct OwnMessage<'a> {
    op: &'static str,
    lot: &'a str,
    epoch: &'a str,
    seq: u64,
    at: Instant,
    whole: bool,
    reservations: &'a [OwnBody],
}

/// What somebody holds in a lot up to a sequence: all that is to come or going on where it is whole, else what changed.
pub fn own(
    lot: &str,
    (epoch, seq, now): (&str, u64, Instant),
    reservations: &[OwnBody],
    whole: bool,
) -> Vec<u8> {
    encode(&OwnMessage { op: "reservations", lot, epoch, seq, at: now, whole, reservations })
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_else(|error| {
        // Wire types have string keys and no failing fields: a bug, shown rather than hidden.
        tracing::error!(%error, "message is not encoded");
        br#"{"op":"error","code":"internal","detail":"message is not encoded"}"#.to_vec()
    })
}
