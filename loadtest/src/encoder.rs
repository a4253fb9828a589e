//! Batches of readings as JSON, written by hand: a serializer per reading would cost the machine more
//! than the server's own work on it.
//!
//! Invariant: inside a batch a slot that comes again carries a later `observed_at`.

use crate::clock::Rfc3339;
use crate::fleet::slot_code;
use crate::model::{Portion, ShardModel};
use bytes::BytesMut;
use std::fmt::Write;
use tokio_tungstenite::tungstenite::Utf8Bytes;

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

/// Writes batches into one buffer that is used again and again.
#[derive(Debug)]
pub struct BatchEncoder {
    buffer: BytesMut,
    instant: String,
    /// `{"slot":"S00001","occupied":` of every slot, one after the other, all of one length.
    heads: Vec<u8>,
    head_bytes: usize,
}

impl BatchEncoder {
    /// For lots of so many slots.
    pub fn new(slots_per_lot: usize) -> Self {
        let head = |slot| format!("{{\"slot\":\"{}\",\"occupied\":", slot_code(slot));
        let heads: Vec<u8> = (0..slots_per_lot).flat_map(|slot| head(slot).into_bytes()).collect();
        Self { buffer: BytesMut::new(), instant: String::new(), heads, head_bytes: head(0).len() }
    }

    /// One message; also the `observed_at` of its last reading, which the next batch must exceed.
    pub fn encode(
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
        let mut encoder = BatchEncoder::new(4);
        let portion = model.take(5);
        let (text, last_us) = encoder.encode(17, "L1", &model, portion, 1_772_355_600_000_000);
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
