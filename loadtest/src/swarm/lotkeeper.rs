//! Our own server as a swarm sees it: `docs/stream.md` for subscribers, `docs/ingest.md` for the sensor.
//!
//! Every message's head is read: `from` must follow what the subscriber has. The checked ones read every
//! entry as well and take latency from its `observed_at`. Change number n is the lot's sequence above the
//! one at which everybody subscribed; nobody else changes the lot.

use super::frame::{self, Kind};
use super::tape::{Seen, Tape};
use super::{Answer, Dialect};
use crate::clock::parse_rfc3339;
use crate::encoder::{BatchEncoder, Encoding};
use crate::model::ShardModel;
use crate::recorder::Measure;
use crate::socket::PONG;
use crate::subscriber::excerpt;
use crate::verify::{ACKS_ARE_RIGHT, Check};
use crate::wire::{IngestMessage, StreamMessage};
use tokio_tungstenite::tungstenite::Message;

/// The keys before the entries lie within so many bytes: a lot's code is at most 64 characters.
const HEAD_BYTES: usize = 256;
/// `PONG` as a client frames it: FIN and text, masked with a key of nought.
const PONG_FRAME: &[u8] = b"\x81\x8d\0\0\0\0{\"op\":\"pong\"}";
const _: () = assert!(PONG.len() == 0x0D && PONG_FRAME.len() == PONG.len() + 6);

/// One lot under a swarm.
#[derive(Debug)]
pub struct Lotkeeper {
    lot: String,
    model: ShardModel,
    encoder: BatchEncoder,
    batches: u64,
    last_observed_us: u64,
    answered: u64,
    /// The lot's sequence before the first change.
    base_seq: Option<u64>,
    /// Of the sensor's batches.
    pub acks: Check,
}

impl Lotkeeper {
    /// All slots of a lot, whose sensors the publisher plays.
    pub fn new(lot: &str, model: ShardModel, encoding: Encoding) -> Self {
        let slots_per_lot = model.shard.slots.end;
        Self {
            lot: lot.into(),
            model,
            encoder: BatchEncoder::new(encoding, slots_per_lot),
            batches: 0,
            last_observed_us: 0,
            answered: 0,
            base_seq: None,
            acks: Check::new(ACKS_ARE_RIGHT, "batches"),
        }
    }

    /// The lot's sequence after so many changes.
    pub fn seq_after(&self, changes: u64) -> Option<u64> {
        Some(self.base_seq? + changes)
    }

    fn changes(&mut self, seen: &mut Seen, payload: &[u8], tape: &mut Tape) -> Option<String> {
        let head = &payload[..payload.len().min(HEAD_BYTES)];
        let (from, seq) = (number(head, b"\"from\":")?, number(head, b"\"seq\":")?);
        let now_us = tape.clock.now_us();
        let base_seq = self.base_seq?;
        let expected = base_seq + seen.upto + 1;
        if from != expected || seq < from {
            tape.check.fault(format!("changes {from} to {seq} came where {expected} was next"));
        }
        tape.arrived(1, payload.len() as u64, now_us);
        if seen.is_checked {
            check_entries(payload, from, seq, now_us, tape)?;
        }
        tape.counted(seen, seq.saturating_sub(base_seq), now_us);
        Some(String::new())
    }

    fn snapshot(&mut self, seen: &mut Seen, payload: &[u8], tape: &mut Tape) -> Option<String> {
        let seq = number(&payload[..payload.len().min(HEAD_BYTES)], b"\"seq\":")?;
        let base_seq = *self.base_seq.get_or_insert(seq);
        if seq > base_seq {
            tape.lagged(seen, seq - base_seq);
        }
        Some(String::new())
    }

    fn counts(&mut self, seen: &mut Seen, payload: &[u8], tape: &mut Tape) -> Option<String> {
        let seq = number(&payload[..payload.len().min(HEAD_BYTES)], b"\"seq\":")?;
        let now_us = tape.clock.now_us();
        let base_seq = *self.base_seq.get_or_insert(seq);
        let upto = seq.checked_sub(base_seq)?;
        if upto < seen.upto {
            tape.check.fault(format!("counts of seq {seq} came after those of a later one"));
        }
        tape.arrived(1, payload.len() as u64, now_us);
        tape.delivered(seen, upto, now_us);
        seen.last.clear();
        seen.last.extend_from_slice(payload);
        Some(String::new())
    }

    fn acknowledge(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let message: IngestMessage<'_> = serde_json::from_slice(payload)
            .map_err(|error| format!("unreadable answer ({error}): {}", shown(payload)))?;
        match message.op {
            "ping" => out.extend_from_slice(PONG_FRAME),
            "ack" => {
                self.acks.examine(1);
                if message.accepted == 0 || message.unchanged + message.duplicate + message.late > 0
                {
                    self.acks.fault(format!("not every reading changed: {}", shown(payload)));
                }
                self.answered += message.accepted as u64;
            }
            _ => return Err(format!("the sensor was answered {}", shown(payload))),
        }
        Ok(())
    }
}

impl Dialect for Lotkeeper {
    fn heard(&mut self, seen: &mut Seen, payload: &[u8], whole: bool, tape: &mut Tape) -> Answer {
        let done = if !whole {
            None
        } else if payload.starts_with(b"{\"op\":\"changes\"") {
            self.changes(seen, payload, tape)
        } else if payload.starts_with(b"{\"op\":\"counts\"") {
            self.counts(seen, payload, tape)
        } else if payload.starts_with(b"{\"op\":\"snapshot\"") {
            self.snapshot(seen, payload, tape)
        } else if payload.starts_with(b"{\"op\":\"subscribed\"") {
            Some(String::new())
        } else if payload.starts_with(b"{\"op\":\"ping\"") {
            return Answer::Send(PONG_FRAME);
        } else {
            None
        };
        match done {
            Some(_) => Answer::Nothing,
            None => Answer::Fail(format!("not what the stream's contract has: {}", shown(payload))),
        }
    }

    fn publish(&mut self, count: usize, due_us: u64, out: &mut Vec<u8>) {
        let portion = self.model.take(count);
        let observed_us = due_us.max(self.last_observed_us + 1);
        let (message, last_us) =
            self.encoder.encode(self.batches, &self.lot, &self.model, portion, observed_us);
        self.batches += 1;
        self.last_observed_us = last_us;
        match message {
            Message::Binary(bytes) => frame::put_binary(out, &bytes),
            other => frame::put_text(out, &other.into_data()),
        }
    }

    fn answered(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, String> {
        let mut at = 0;
        while let Some(frame) = frame::next(bytes, at).map_err(|error| error.to_string())? {
            let payload = &bytes[frame.payload.clone()];
            match frame.kind {
                Kind::Data => self.acknowledge(payload, out)?,
                Kind::Ping => frame::put_pong(out, payload),
                Kind::Pong => {}
                Kind::Close => return Err(format!("the server closed it: {}", shown(payload))),
            }
            at = frame.payload.end;
        }
        Ok(at)
    }

    fn is_settled(&self, published: u64) -> bool {
        self.answered == published
    }
}

/// Every entry of a message, and the latency of each.
fn check_entries(payload: &[u8], from: u64, seq: u64, now_us: u64, tape: &mut Tape) -> Option<()> {
    let message: StreamMessage<'_> = serde_json::from_slice(payload).ok()?;
    let entries = message.changes.iter().map(|change| change.seq);
    if !entries.eq(from..=seq) {
        tape.check.fault(format!("changes {from} to {seq} hold other entries"));
    }
    for change in message.changes.iter().filter(|change| change.is_flip()) {
        if let Some(observed_us) = change.observed_at.and_then(parse_rfc3339) {
            tape.recorder.latency(Measure::SensorToSubscriber, observed_us, now_us);
        }
    }
    Some(())
}

/// The number behind a key.
fn number(head: &[u8], key: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(head, key)? + key.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut value = None;
    for digit in digits {
        value = Some(value.unwrap_or(0_u64).checked_mul(10)? + u64::from(digit - b'0'));
    }
    value
}

fn shown(payload: &[u8]) -> String {
    excerpt(&String::from_utf8_lossy(payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Rfc3339};
    use crate::fleet::Shard;
    use crate::recorder::Window;

    fn ours() -> (Lotkeeper, Tape) {
        let model = ShardModel::new(Shard { lot: 0, slots: 0..4 }, 1);
        let window = Window { from_us: 0, to_us: u64::MAX };
        (Lotkeeper::new("L1", model, Encoding::Json), Tape::new(Clock::start(), window))
    }

    fn changes(from: u64, entries: &[u64]) -> String {
        let at = Rfc3339(1_772_355_600_000_000);
        let entry = |seq: &u64| {
            format!(
                r#"{{"seq":{seq},"type":"slot.occupied","slot":"S00000","status":"occupied","observed_at":"{at}"}}"#
            )
        };
        let seq = entries.last().unwrap();
        let entries: Vec<String> = entries.iter().map(entry).collect();
        format!(
            r#"{{"op":"changes","lot":"L1","epoch":"e","from":{from},"seq":{seq},"changes":[{}]}}"#,
            entries.join(",")
        )
    }

    const SNAPSHOT: &str = r#"{"op":"snapshot","lot":"L1","view":"slots","epoch":"e","seq":7,"at":"x","slots":[{"slot":"S00000","status":"unknown"}]}"#;

    #[test]
    fn every_change_is_counted_once_and_checked_ones_are_measured() {
        let (mut ours, mut tape) = ours();
        let mut seen = Seen { is_checked: true, ..Seen::default() };
        for text in [SNAPSHOT, &changes(8, &[8, 9]), &changes(10, &[10])] {
            assert_eq!(ours.heard(&mut seen, text.as_bytes(), true, &mut tape), Answer::Nothing);
        }
        assert!(tape.check.passed(), "{:?}", tape.check.first_faults);
        assert_eq!((seen.upto, tape.check.examined, tape.messages), (3, 3, 2));
        assert_eq!(tape.recorder.histogram(Measure::SensorToSubscriber).unwrap().len(), 3);
        assert_eq!(ours.seq_after(3), Some(10));
    }

    #[test]
    fn a_gap_a_repetition_and_a_false_head_are_faults() {
        let wrong = [
            (9, [9, 10].as_slice(), false),
            (7, &[7, 8], false),
            (8, &[8, 8], true),
            (8, &[9, 9], true),
        ];
        for (from, entries, is_checked) in wrong {
            let (mut ours, mut tape) = ours();
            let mut seen = Seen { is_checked, ..Seen::default() };
            ours.heard(&mut seen, SNAPSHOT.as_bytes(), true, &mut tape);
            ours.heard(&mut seen, changes(from, entries).as_bytes(), true, &mut tape);
            assert_eq!(tape.check.faults, 1, "{from} {entries:?}");
        }
    }

    #[test]
    fn a_lagging_subscriber_goes_on_from_its_snapshot() {
        let (mut ours, mut tape) = ours();
        let mut seen = Seen::default();
        let later = SNAPSHOT.replace("\"seq\":7", "\"reason\":\"lagged\",\"seq\":20");
        for text in [SNAPSHOT, &later, &changes(21, &[21])] {
            assert_eq!(ours.heard(&mut seen, text.as_bytes(), true, &mut tape), Answer::Nothing);
        }
        assert_eq!((tape.lags, tape.missed, seen.upto, tape.check.examined), (1, 13, 14, 1));
        assert!(tape.check.passed());
    }

    #[test]
    fn counts_keep_their_last_and_never_go_back() {
        let (mut ours, mut tape) = ours();
        let mut seen = Seen::default();
        let counts =
            |seq| format!(r#"{{"op":"counts","lot":"L1","epoch":"e","seq":{seq},"free":1}}"#);
        for seq in [7, 12] {
            ours.heard(&mut seen, counts(seq).as_bytes(), true, &mut tape);
        }
        assert_eq!((seen.upto, seen.last.as_slice()), (5, counts(12).as_bytes()));
        assert!(tape.check.passed());
        ours.heard(&mut seen, counts(9).as_bytes(), true, &mut tape);
        assert_eq!(tape.check.faults, 1);
    }

    #[test]
    fn pings_are_answered_and_nonsense_ends_the_run() {
        let (mut ours, mut tape) = ours();
        let mut heard =
            |text: &str, whole| ours.heard(&mut Seen::default(), text.as_bytes(), whole, &mut tape);
        assert_eq!(heard(r#"{"op":"ping","at":"x","lots":{}}"#, true), Answer::Send(PONG_FRAME));
        assert!(matches!(heard(r#"{"op":"error","code":"lot_not_found"}"#, true), Answer::Fail(_)));
        assert!(matches!(heard(SNAPSHOT, false), Answer::Fail(_)));
        assert_eq!(&PONG_FRAME[6..], PONG.as_bytes());
    }

    #[test]
    fn the_sensors_batches_are_masked_text_and_its_acks_are_counted() {
        let (mut ours, _) = ours();
        let mut out = Vec::new();
        ours.publish(3, 1_772_355_600_000_000, &mut out);
        assert_eq!(out[0], 0x81);
        let body = &out[8..];
        let message: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(message["readings"].as_array().unwrap().len(), 3);
        let ack = br#"{"op":"ack","batch":0,"accepted":3,"unchanged":0,"duplicate":0,"late":0,"refused":[],"seq":3}"#;
        let mut framed = vec![0x81, ack.len() as u8];
        framed.extend_from_slice(ack);
        assert_eq!(ours.answered(&framed[..20], &mut out), Ok(0));
        assert_eq!(ours.answered(&framed, &mut out), Ok(framed.len()));
        assert!(ours.is_settled(3) && !ours.is_settled(4) && ours.acks.passed());
    }
}
