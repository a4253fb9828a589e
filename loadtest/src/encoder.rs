//! Batches of readings as JSON or in the compact form, written by hand: a serializer per reading would cost
//! the machine more than the server's own work on it.
//!
//! Invariant: inside a batch a slot that comes again carries a later `observed_at`.

use crate::clock::Rfc3339;
use crate::fleet::slot_code;
use crate::model::{Portion, ShardModel};
use bytes::{BufMut, BytesMut};
use clap::ValueEnum;
use std::fmt::Write;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// How batches are written (`docs/ingest.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// JSON text.
    #[default]
    Json,
    /// The compact binary form.
    Binary,
}

impl Encoding {
    /// As the command line and the report name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Binary => "binary",
        }
    }
}

/// The longest reading: code of 6, `false`, an instant of 27, a sequence of 10 digits (more readings of one
/// slot than a run of years sends).
const READING_BYTES_MAX: usize = 104;
/// Everything around the readings; the lot's code is at most 64 characters.
const FRAME_BYTES_MAX: usize = 160;
/// The contract's bound of a batch.
pub const READINGS_PER_BATCH_MAX: usize = 10_000;
/// The contract's bound of a message.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(
    READINGS_PER_BATCH_MAX * READING_BYTES_MAX + FRAME_BYTES_MAX <= MESSAGE_BYTES_MAX,
    "the largest batch fits a message"
);

/// Bytes of the binary header before the lot's code.
const BINARY_HEADER_BYTES: usize = 24;
/// The longest binary reading here: slot, bits, own time, sequence.
const BINARY_READING_BYTES_MAX: usize = 19;
const BINARY_FORMAT: u8 = 1;
const OCCUPIED: u8 = 1;
const OWN_TIME: u8 = 2;
const SEQUENCE: u8 = 4;

/// Writes batches into one buffer that is used again and again.
#[derive(Debug)]
pub struct BatchEncoder {
    encoding: Encoding,
    buffer: BytesMut,
    instant: String,
    /// `{"slot":"S00001","occupied":` of every slot, one after the other, all of one length.
    heads: Vec<u8>,
    head_bytes: usize,
}

impl BatchEncoder {
    /// For lots of so many slots.
    pub fn new(encoding: Encoding, slots_per_lot: usize) -> Self {
        let head = |slot| format!("{{\"slot\":\"{}\",\"occupied\":", slot_code(slot));
        let heads: Vec<u8> = (0..slots_per_lot).flat_map(|slot| head(slot).into_bytes()).collect();
        let (buffer, instant, head_bytes) = (BytesMut::new(), String::new(), head(0).len());
        Self { encoding, buffer, instant, heads, head_bytes }
    }

    /// One message; also the `observed_at` of its last reading, which the next batch must exceed.
    pub fn encode(
        &mut self,
        batch: u64,
        lot: &str,
        model: &ShardModel,
        portion: Portion,
        observed_us: u64,
    ) -> (Message, u64) {
        match self.encoding {
            Encoding::Json => {
                let (text, last_us) = self.json(batch, lot, model, portion, observed_us);
                (Message::Text(text), last_us)
            }
            Encoding::Binary => self.binary(batch, lot, model, portion, observed_us),
        }
    }

    /// Slots are named by their number, which is their place in the lot as it was created.
    fn binary(
        &mut self,
        batch: u64,
        lot: &str,
        model: &ShardModel,
        portion: Portion,
        observed_us: u64,
    ) -> (Message, u64) {
        let micros = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        let (base_us, mut observed_us) = (observed_us, observed_us);
        let out = &mut self.buffer;
        out.reserve(BINARY_HEADER_BYTES + lot.len() + portion.count * BINARY_READING_BYTES_MAX);
        out.put_u8(BINARY_FORMAT);
        out.put_u8(0);
        out.put_u16_le(u16::try_from(portion.count).expect("a batch has at most 10,000 readings"));
        out.put_u8(u8::try_from(lot.len()).expect("a lot's code has at most 64 characters"));
        out.put_bytes(0, 3);
        out.put_u64_le(batch);
        out.put_i64_le(micros(base_us));
        out.put_slice(lot.as_bytes());
        let (first_slot, mut first_offset) = (model.shard.slots.start, None);
        for reading in model.readings(portion) {
            if first_offset == Some(reading.offset) {
                observed_us += 1;
            }
            first_offset = first_offset.or(Some(reading.offset));
            let slot = first_slot + reading.offset;
            out.put_u16_le(u16::try_from(slot).expect("a lot has at most 10,000 slots"));
            let has_own_time = observed_us != base_us;
            let own_time = if has_own_time { OWN_TIME } else { 0 };
            out.put_u8(SEQUENCE | own_time | if reading.occupied { OCCUPIED } else { 0 });
            if has_own_time {
                out.put_i64_le(micros(observed_us));
            }
            out.put_u64_le(reading.sequence);
        }
        (Message::Binary(out.split().freeze()), observed_us)
    }

    fn json(
        &mut self,
        batch: u64,
        lot: &str,
        model: &ShardModel,
        portion: Portion,
        observed_us: u64,
    ) -> (Utf8Bytes, u64) {
        let mut observed_us = observed_us;
        self.buffer.reserve(FRAME_BYTES_MAX + portion.count * READING_BYTES_MAX);
        self.buffer.extend_from_slice(b"{\"op\":\"readings\",\"batch\":");
        self.put_number(batch);
        self.buffer.extend_from_slice(b",\"lot\":\"");
        self.buffer.extend_from_slice(lot.as_bytes());
        self.buffer.extend_from_slice(b"\",\"readings\":[");
        self.set_instant(observed_us);
        let (first_slot, mut first_offset) = (model.shard.slots.start, None);
        for reading in model.readings(portion) {
            if first_offset == Some(reading.offset) {
                observed_us += 1;
                self.set_instant(observed_us);
            }
            first_offset = first_offset.or(Some(reading.offset));
            let head_at = (first_slot + reading.offset) * self.head_bytes;
            self.buffer.extend_from_slice(&self.heads[head_at..head_at + self.head_bytes]);
            let state: &[u8] = if reading.occupied { b"true" } else { b"false" };
            self.buffer.extend_from_slice(state);
            self.buffer.extend_from_slice(self.instant.as_bytes());
            self.put_number(reading.sequence);
            self.buffer.extend_from_slice(b"},");
        }
        self.buffer.truncate(self.buffer.len() - 1);
        self.buffer.extend_from_slice(b"]}");
        let text = Utf8Bytes::try_from(self.buffer.split().freeze());
        (text.expect("only ASCII is written"), observed_us)
    }

    fn put_number(&mut self, number: u64) {
        self.buffer.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Rendered once for all readings of the same instant, with the keys around it.
    fn set_instant(&mut self, observed_us: u64) {
        self.instant.clear();
        write!(self.instant, ",\"observed_at\":\"{}\",\"sequence\":", Rfc3339(observed_us))
            .expect("a string takes what is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_rfc3339;
    use crate::fleet::Shard;
    use serde_json::Value;

    #[test]
    fn a_batch_is_the_contracts_json_and_slots_that_come_again_are_later() {
        let mut model = ShardModel::new(Shard { lot: 0, slots: 2..4 }, 9);
        let mut encoder = BatchEncoder::new(Encoding::Json, 4);
        let portion = model.take(5);
        let (text, last_us) = encoder.json(17, "L1", &model, portion, 1_772_355_600_000_000);
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&message["op"], &message["batch"]), (&"readings".into(), &17.into()));
        assert_eq!(message["lot"], "L1");
        let readings = message["readings"].as_array().unwrap();
        let slots: Vec<&str> = readings.iter().map(|r| r["slot"].as_str().unwrap()).collect();
        assert_eq!(slots, ["S00002", "S00003", "S00002", "S00003", "S00002"]);
        let sequences: Vec<u64> =
            readings.iter().map(|r| r["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, [1, 1, 2, 2, 3]);
        let instants: Vec<u64> = readings
            .iter()
            .map(|r| parse_rfc3339(r["observed_at"].as_str().unwrap()).unwrap())
            .collect();
        let ahead: Vec<u64> = instants.iter().map(|us| us - instants[0]).collect();
        assert_eq!(ahead, [0, 0, 1, 1, 2]);
        assert_eq!(instants[4], last_us);
        for (reading, expected) in readings.iter().zip(model.readings(portion)) {
            assert_eq!(reading["occupied"], expected.occupied);
        }
    }

    #[test]
    fn a_binary_batch_is_the_contracts_bytes() {
        let mut model = ShardModel::new(Shard { lot: 0, slots: 2..4 }, 9);
        let mut encoder = BatchEncoder::new(Encoding::Binary, 4);
        let portion = model.take(3);
        let (message, last_us) = encoder.encode(17, "L1", &model, portion, 1_000_000);
        let Message::Binary(bytes) = message else { panic!("{message:?}") };
        let mut expected = vec![1, 0, 3, 0, 2, 0, 0, 0];
        expected.extend_from_slice(&17_u64.to_le_bytes());
        expected.extend_from_slice(&1_000_000_i64.to_le_bytes());
        expected.extend_from_slice(b"L1");
        let occupied: Vec<u8> = model.readings(portion).map(|r| u8::from(r.occupied)).collect();
        expected.extend_from_slice(&[2, 0, 4 | occupied[0], 1, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[3, 0, 4 | occupied[1], 1, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[2, 0, 6 | occupied[2]]);
        expected.extend_from_slice(&1_000_001_i64.to_le_bytes());
        expected.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((&*bytes, last_us), (&*expected, 1_000_001));
    }

    #[test]
    fn the_longest_reading_stays_within_its_bound() {
        let longest = format!(
            "{{\"slot\":\"{}\",\"occupied\":false,\"observed_at\":\"{}\",\"sequence\":{}}},",
            slot_code(9_999),
            Rfc3339(1),
            9_999_999_999_u64
        );
        assert!(longest.len() <= READING_BYTES_MAX, "{}", longest.len());
    }
}
