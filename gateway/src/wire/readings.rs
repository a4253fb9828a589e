//! Batches of readings: the hot path of the whole gateway, shared by HTTP and the ingest websocket.
//!
//! Texts are borrowed from the message. A batch of the wrong shape or with impossible values is refused
//! whole; a reading of a slot the lot does not have is refused by its index while the others go on.

use std::borrow::Cow;
use std::fmt;

use lotkeeper_actors::{LotHandle, ReadingsDone, SlotReading};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::limits::READINGS_PER_BATCH_MAX;
use lotkeeper_engine::slot::{Reading, Source};
use lotkeeper_engine::spec::Fault;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::id_hash::IdHash;
use super::instant::Instant;
use super::names::ReadingRefusal;
use super::{Refusal, fault, from_json};

/// Faults listed of one batch: 10,000 equal lines help nobody.
const FAULTS_LISTED_MAX: usize = 20;

/// A batch of readings of one lot.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewReadings, example = json!({"readings": [
    {"slot": "A-101", "occupied": true, "observed_at": "2026-03-01T09:00:00Z", "id": "r-1", "sequence": 7}
]}))]
pub struct ReadingsBody<'a> {
    /// Up to 10,000.
    #[serde(borrow)]
    #[schema(value_type = Vec<WireReading>, min_items = 1, max_items = 10_000)]
    pub readings: Readings<'a>,
}

/// What a source says of a slot at one moment.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Reading)]
pub struct WireReading<'a> {
    /// Code or id of the slot.
    #[serde(borrow)]
    #[schema(value_type = String, example = "A-101")]
    pub slot: Cow<'a, str>,
    /// Whether a vehicle stands there.
    pub occupied: bool,
    /// When it was seen; the time of receipt when left out.
    #[serde(default)]
    pub observed_at: Option<Instant>,
    /// The source's own id of the reading: the same id again is a duplicate.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 128)]
    pub id: Option<IdHash>,
    /// The source's counter, which orders readings of one instant.
    #[serde(default)]
    pub sequence: u64,
    /// How sure the source is, 0 to 1.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Option<f64>,
}

/// The readings of a batch. Past the limit they are counted, not kept.
#[derive(Clone, Debug)]
pub struct Readings<'a> {
    kept: Vec<WireReading<'a>>,
    sent: usize,
}

impl Readings<'_> {
    /// How many were kept.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Readings<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ReadingsVisitor)
    }
}

struct ReadingsVisitor;

impl<'de> Visitor<'de> for ReadingsVisitor {
    type Value = Readings<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of readings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Readings<'de>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < READINGS_PER_BATCH_MAX {
            match seq.next_element()? {
                Some(reading) => kept.push(reading),
                None => return Ok(Readings { sent: kept.len(), kept }),
            }
        }
        let mut sent = kept.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            sent += 1;
        }
        Ok(Readings { kept, sent })
    }
}

/// One refused reading of an accepted batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedReading {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// Why.
    pub code: ReadingRefusal,
}

/// What a batch did, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadingsAnswer {
    /// They changed a slot.
    pub accepted: u32,
    /// They repeat what is known: heartbeats.
    pub unchanged: u32,
    /// They were taken before.
    pub duplicate: u32,
    /// Something newer was taken before.
    pub late: u32,
    /// Those that could not be taken, by index.
    pub refused: Vec<RefusedReading>,
    /// The lot's sequence that includes what was accepted.
    pub seq: u64,
}

/// A batch ready for the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// For [`lotkeeper_actors::Engine::readings_in_parts`]; may be empty, and is then not sent.
    pub readings: Vec<SlotReading>,
    /// What remains to be told.
    pub rest: Rest,
}

/// What the answer needs besides the engine's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Index in the batch of every reading that was sent; empty when all were sent.
    positions: Vec<u32>,
    /// Refused here, in order of index.
    refused: Vec<RefusedReading>,
}

/// Reads a batch (`{"readings":[...]}`) for a lot.
///
/// # Errors
/// Not JSON, another shape, or values that cannot be.
pub fn parse(lot: &LotHandle, source: Source, body: &[u8]) -> Result<Parsed, Refusal> {
    let body: ReadingsBody<'_> = from_json(body)?;
    Ok(resolve(lot, source, &body.readings)?)
}

/// Finds the slots of a batch and checks its values.
///
/// # Errors
/// No reading, too many, or values that cannot be.
pub fn resolve(
    lot: &LotHandle,
    source: Source,
    batch: &Readings<'_>,
) -> Result<Parsed, Vec<Fault>> {
    check(batch)?;
    Ok(sort_out(batch, source, missing(lot), |slot| lot.slot(slot)))
}

fn check(batch: &Readings<'_>) -> Result<(), Vec<Fault>> {
    if batch.kept.is_empty() {
        return Err(vec![fault("/readings", "a batch holds at least one reading")]);
    }
    if batch.sent > READINGS_PER_BATCH_MAX {
        let detail = format!(
            "{} readings; a batch holds at most {READINGS_PER_BATCH_MAX}, send several",
            batch.sent
        );
        return Err(vec![fault("/readings", detail)]);
    }
    let impossible = |confidence: &f64| !(0.0..=1.0).contains(confidence);
    let faults: Vec<Fault> = batch
        .kept
        .iter()
        .enumerate()
        .filter_map(|(index, reading)| {
            let confidence = reading.confidence.filter(impossible)?;
            let pointer = format!("/readings/{index}/confidence");
            Some(fault(pointer, format!("{confidence} is not between 0 and 1")))
        })
        .take(FAULTS_LISTED_MAX)
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn sort_out(
    batch: &Readings<'_>,
    source: Source,
    missing: ReadingRefusal,
    find: impl Fn(&str) -> Option<SlotIndex>,
) -> Parsed {
    let mut sorter = Sorter::new(batch.kept.len(), missing);
    for reading in &batch.kept {
        sorter.take(find(&reading.slot), || reading.to_domain(source));
    }
    sorter.parsed
}

/// Parts the readings that can be sent from those of slots the lot does not have.
pub(super) struct Sorter {
    pub(super) parsed: Parsed,
    missing: ReadingRefusal,
    index: u32,
}

impl Sorter {
    pub(super) fn of(lot: &LotHandle, count: usize) -> Self {
        Self::new(count, missing(lot))
    }

    fn new(count: usize, missing: ReadingRefusal) -> Self {
        let parsed = Parsed { readings: Vec::with_capacity(count), rest: Rest::default() };
        Self { parsed, missing, index: 0 }
    }

    /// The next reading of the batch.
    pub(super) fn take(&mut self, slot: Option<SlotIndex>, reading: impl FnOnce() -> Reading) {
        let (index, rest) = (self.index, &mut self.parsed.rest);
        self.index += 1;
        let Some(slot) = slot else {
            if rest.refused.is_empty() {
                // Until now every reading was sent, so the positions are the indices.
                rest.positions.extend(0..index);
            }
            rest.refused.push(RefusedReading { index, code: self.missing });
            return;
        };
        if !rest.refused.is_empty() {
            rest.positions.push(index);
        }
        self.parsed.readings.push(SlotReading { slot, reading: reading() });
    }
}

/// Why a reading of an unknown slot is refused.
fn missing(lot: &LotHandle) -> ReadingRefusal {
    match lot.view().slots.is_empty() {
        true => ReadingRefusal::LotNotBayed,
        false => ReadingRefusal::SlotNotFound,
    }
}

impl WireReading<'_> {
    fn to_domain(&self, source: Source) -> Reading {
        Reading {
            occupied: self.occupied,
            observed_at: self.observed_at.map(|at| at.0),
            sequence: self.sequence,
            id_hash: self.id.map_or(0, |id| id.0),
            source,
            confidence_percent: self.confidence.map(percent),
        }
    }
}

/// A checked share as a percentage.
fn percent(share: f64) -> u8 {
    // check() bounds it to 0..=1.
    (share * 100.0).round() as u8
}

impl Rest {
    /// The answer of a batch of which nothing was sent.
    #[must_use]
    pub fn nothing_sent(self, lot_seq: u64) -> ReadingsAnswer {
        ReadingsAnswer {
            accepted: 0,
            unchanged: 0,
            duplicate: 0,
            late: 0,
            refused: self.refused,
            seq: lot_seq,
        }
    }

    /// The answer, with the refusals of both kinds in order of index.
    #[must_use]
    pub fn answer(self, done: &ReadingsDone) -> ReadingsAnswer {
        let mut refused = self.refused;
        let all_sent = refused.is_empty();
        refused.extend(done.refused.iter().map(|sent| {
            let index = match all_sent {
                true => sent.index,
                false => self.positions.get(sent.index as usize).copied().unwrap_or(sent.index),
            };
            RefusedReading { index, code: sent.rejection.into() }
        }));
        refused.sort_unstable_by_key(|reading| reading.index);
        ReadingsAnswer {
            accepted: done.accepted,
            unchanged: done.unchanged,
            duplicate: done.duplicate,
            late: done.late,
            refused,
            seq: done.lot_seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use lotkeeper_actors::Refused;
    use lotkeeper_engine::slot::Rejection;
    use lotkeeper_engine::time::Timestamp;

    use super::*;

    fn batch(slots: &[&str]) -> String {
        let reading = |slot: &&str| format!(r#"{{"slot":"{slot}","occupied":true}}"#);
        let readings: Vec<String> = slots.iter().map(reading).collect();
        format!(r#"{{"readings":[{}]}}"#, readings.join(","))
    }

    fn find(slot: &str) -> Option<SlotIndex> {
        slot.strip_prefix("A-").and_then(|number| number.parse().ok()).map(SlotIndex)
    }

    #[test]
    fn refusals_of_both_kinds_come_in_order_of_index() {
        let text = batch(&["A-0", "B-1", "A-2", "B-3", "A-4"]);
        let body: ReadingsBody = from_json(text.as_bytes()).unwrap();
        let missing = ReadingRefusal::SlotNotFound;
        let parsed = sort_out(&body.readings, Source::Sensor, missing, find);
        let sent: Vec<u16> = parsed.readings.iter().map(|reading| reading.slot.0).collect();
        assert_eq!(sent, [0, 2, 4]);
        let done = ReadingsDone {
            accepted: 2,
            unchanged: 0,
            duplicate: 0,
            late: 0,
            refused: vec![Refused { index: 1, rejection: Rejection::InFuture { ahead_micros: 1 } }],
            lot_seq: 7,
        };
        let answer = serde_json::to_string(&parsed.rest.answer(&done)).unwrap();
        assert_eq!(
            answer,
            r#"{"accepted":2,"unchanged":0,"duplicate":0,"late":0,"refused":[{"index":1,"code":"slot_not_found"},{"index":2,"code":"reading_in_future"},{"index":3,"code":"slot_not_found"}],"seq":7}"#
        );
    }

    #[test]
    fn values_become_the_domains_own() {
        let text = r#"{"readings":[{"slot":"A\u002d1","occupied":false,"observed_at":"1970-01-01T00:00:01Z","id":"r-1","sequence":7,"confidence":0.905}]}"#;
        let body: ReadingsBody = from_json(text.as_bytes()).unwrap();
        assert!(check(&body.readings).is_ok());
        let missing = ReadingRefusal::SlotNotFound;
        let parsed = sort_out(&body.readings, Source::Staff, missing, find);
        let [SlotReading { slot, reading }] = parsed.readings[..] else { panic!("one reading") };
        assert_eq!(slot, SlotIndex(1));
        assert_eq!(reading.observed_at.map(Timestamp::micros), Some(1_000_000));
        assert_eq!((reading.sequence, reading.confidence_percent), (7, Some(91)));
        assert_eq!(reading.source, Source::Staff);
    }

    #[test]
    fn batches_of_the_wrong_size_or_with_impossible_values_are_refused() {
        let too_many = batch(&vec!["A-1"; READINGS_PER_BATCH_MAX + 1]);
        let sure = r#"{"readings":[{"slot":"A-1","occupied":true},{"slot":"A-1","occupied":true,"confidence":1.5}]}"#;
        for (text, pointer) in [
            (r#"{"readings":[]}"#, "/readings"),
            (too_many.as_str(), "/readings"),
            (sure, "/readings/1/confidence"),
        ] {
            let body: ReadingsBody = from_json(text.as_bytes()).unwrap();
            assert_eq!(check(&body.readings).unwrap_err()[0].pointer, pointer);
        }
        let full = batch(&vec!["A-1"; READINGS_PER_BATCH_MAX]);
        let body: ReadingsBody = from_json(full.as_bytes()).unwrap();
        assert!(check(&body.readings).is_ok());
    }

    #[test]
    fn fields_that_are_not_known_are_refused_where_they_stand() {
        let text = r#"{"readings":[{"slot":"A-1","occupied":true},{"slot":"A-1","ocupied":true}]}"#;
        let refusal = from_json::<ReadingsBody>(text.as_bytes()).unwrap_err();
        let Refusal::Shape { pointer, .. } = refusal else { panic!("{refusal:?}") };
        assert_eq!(pointer, "/readings/1/ocupied");
    }
}
