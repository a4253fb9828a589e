//! A subscriber's picture of one lot, folded from snapshots and changes, and every way the stream can break
//! its promise: each sequence once, in order, in one epoch, counts that add up.
//!
//! After a fault the fold goes on from where the server is, so that one gap is one fault and not thousands.

use super::{Check, STREAM_IS_WHOLE};
use crate::wire::{Change, Counts, Status, StreamMessage};
use std::collections::BTreeMap;
use thiserror::Error;

/// A broken promise of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StreamFault {
    #[error("lot {lot}: gap, expected seq {expected}, got {got}")]
    Gap { lot: String, expected: u64, got: u64 },
    #[error("lot {lot}: repeated, expected seq {expected}, got {got}")]
    Repeated { lot: String, expected: u64, got: u64 },
    #[error("lot {lot}: `from` says {from}, but the last seq was {last}")]
    WrongFrom { lot: String, from: u64, last: u64 },
    #[error("lot {lot}: a message says it ends at seq {said}, its last entry is {got}")]
    WrongEnd { lot: String, said: u64, got: u64 },
    #[error("lot {lot}: epoch changed from {was} to {is} during the run")]
    OtherEpoch { lot: String, was: String, is: String },
    #[error("lot {lot}: {op} at seq {seq} before any snapshot")]
    BeforeSnapshot { lot: String, op: &'static str, seq: u64 },
    #[error("lot {lot}: a snapshot went back from seq {was} to {is}")]
    SnapshotWentBack { lot: String, was: u64, is: u64 },
    #[error("lot {lot}: seq {seq} names slot {slot}, which no snapshot had")]
    UnknownSlot { lot: String, seq: u64, slot: String },
    #[error("lot {lot}: seq {seq} ({kind}) names slot {slot} without its status")]
    NoStatus { lot: String, seq: u64, kind: String, slot: String },
    #[error("lot {lot}: counts at seq {seq} do not add up: {counts:?}")]
    CountsDoNotAddUp { lot: String, seq: u64, counts: Counts },
    #[error("lot {lot}: counts went back from seq {was} to {is}")]
    CountsWentBack { lot: String, was: u64, is: u64 },
}

/// One lot as one subscriber sees it.
#[derive(Debug)]
pub struct StreamFold {
    lot: String,
    epoch: Option<String>,
    /// The last sequence; nothing before the first snapshot.
    seq: Option<u64>,
    statuses: BTreeMap<String, Status>,
    counts: Option<(u64, Counts)>,
    /// Snapshots that came because the subscriber was too slow.
    pub lags: u64,
    /// What was examined and what broke.
    pub check: Check,
}

impl StreamFold {
    /// Knows nothing of the lot yet.
    pub fn new(lot: impl Into<String>) -> Self {
        Self {
            lot: lot.into(),
            epoch: None,
            seq: None,
            statuses: BTreeMap::new(),
            counts: None,
            lags: 0,
            check: Check::new(STREAM_IS_WHOLE, "entries"),
        }
    }

    /// The last sequence folded.
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// The history it belongs to, once the server said so.
    pub fn epoch(&self) -> Option<&str> {
        self.epoch.as_deref()
    }

    /// Status by slot.
    pub fn statuses(&self) -> &BTreeMap<String, Status> {
        &self.statuses
    }

    /// The last counts.
    pub fn counts(&self) -> Option<Counts> {
        self.counts.map(|(_, counts)| counts)
    }

    /// The answer to a subscription.
    pub fn subscribed(&mut self, message: &StreamMessage<'_>) {
        self.same_epoch(message.epoch);
    }

    /// The whole state, at the start or after a lag.
    pub fn snapshot(&mut self, message: &StreamMessage<'_>) {
        self.same_epoch(message.epoch);
        if message.reason == Some("lagged") {
            self.lags += 1;
        }
        if let Some(was) = self.seq.filter(|was| message.seq < *was) {
            self.fault(|lot| StreamFault::SnapshotWentBack { lot, was, is: message.seq });
        }
        self.seq = Some(message.seq);
        self.statuses =
            message.slots.iter().map(|slot| (slot.slot.to_string(), slot.status)).collect();
    }

    /// A run of changes.
    pub fn changes(&mut self, message: &StreamMessage<'_>) {
        self.check.examine(message.changes.len() as u64);
        self.same_epoch(message.epoch);
        let Some(last) = self.seq else {
            let seq = message.seq;
            self.fault(|lot| StreamFault::BeforeSnapshot { lot, op: "changes", seq });
            return;
        };
        if message.from != last + 1 {
            let from = message.from;
            self.fault(|lot| StreamFault::WrongFrom { lot, from, last });
        }
        let mut seq = last;
        for change in &message.changes {
            let (expected, got) = (seq + 1, change.seq);
            match got.cmp(&expected) {
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => {
                    self.fault(|lot| StreamFault::Gap { lot, expected, got });
                }
                std::cmp::Ordering::Less => {
                    self.fault(|lot| StreamFault::Repeated { lot, expected, got });
                    continue;
                }
            }
            seq = got;
            self.apply(change);
        }
        if seq != message.seq {
            let said = message.seq;
            self.fault(|lot| StreamFault::WrongEnd { lot, said, got: seq });
        }
        self.seq = Some(seq.max(message.seq));
    }

    fn apply(&mut self, change: &Change<'_>) {
        let Some(slot) = change.slot else { return };
        let seq = change.seq;
        match (self.statuses.get_mut(slot), change.status) {
            (Some(known), Some(status)) => *known = status,
            (Some(_), None) => {
                let (kind, slot) = (change.kind.into(), slot.into());
                self.fault(|lot| StreamFault::NoStatus { lot, seq, kind, slot });
            }
            (None, _) => {
                let slot = slot.into();
                self.fault(|lot| StreamFault::UnknownSlot { lot, seq, slot });
            }
        }
    }

    /// The counts view.
    pub fn counted(&mut self, message: &StreamMessage<'_>, counts: Counts) {
        self.check.examine(1);
        self.same_epoch(message.epoch);
        let seq = message.seq;
        if !counts.add_up() {
            self.fault(|lot| StreamFault::CountsDoNotAddUp { lot, seq, counts });
        }
        if let Some((was, _)) = self.counts.filter(|(was, _)| seq < *was) {
            self.fault(|lot| StreamFault::CountsWentBack { lot, was, is: seq });
        }
        self.counts = Some((seq, counts));
    }

    fn same_epoch(&mut self, epoch: Option<&str>) {
        let (was, is) = (self.epoch.as_deref(), epoch.unwrap_or_default());
        if was == Some(is) {
            return;
        }
        if let Some(was) = was.map(String::from) {
            self.fault(|lot| StreamFault::OtherEpoch { lot, was, is: is.into() });
        }
        self.epoch = Some(is.into());
    }

    fn fault(&mut self, make: impl FnOnce(String) -> StreamFault) {
        let fault = make(self.lot.clone());
        self.check.fault(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = r#"{"op":"snapshot","lot":"L","epoch":"e","seq":10,
        "slots":[{"slot":"A","status":"free"},{"slot":"B","status":"unknown"}]}"#;

    fn entry(seq: u64, slot: &str, status: &str) -> String {
        format!(r#"{{"seq":{seq},"type":"slot.occupied","slot":"{slot}","status":"{status}"}}"#)
    }

    fn changes(epoch: &str, from: u64, seq: u64, entries: &[String]) -> String {
        let entries = entries.join(",");
        format!(
            r#"{{"op":"changes","lot":"L","epoch":"{epoch}","from":{from},"seq":{seq},"changes":[{entries}]}}"#
        )
    }

    /// Folds messages and gives back the fold.
    fn fold(messages: &[&str]) -> StreamFold {
        let mut fold = StreamFold::new("L");
        for text in messages {
            let message: StreamMessage = serde_json::from_str(text).unwrap();
            match message.op {
                "snapshot" => fold.snapshot(&message),
                "changes" => fold.changes(&message),
                "counts" => fold.counted(&message, serde_json::from_str(text).unwrap()),
                other => panic!("{other}"),
            }
        }
        fold
    }

    #[track_caller]
    fn check_faults(messages: &[&str], expected: &[StreamFault]) {
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(fold(messages).check.first_faults, expected);
    }

    fn lot() -> String {
        "L".into()
    }

    #[test]
    fn a_whole_stream_folds_to_the_last_status_of_every_slot() {
        let first = changes("e", 11, 12, &[entry(11, "A", "occupied"), entry(12, "B", "held")]);
        let second = changes("e", 13, 13, &[entry(13, "A", "free")]);
        let lot_only = r#"{"op":"changes","lot":"L","epoch":"e","from":14,"seq":14,"changes":[{"seq":14,"type":"lot.changed"}]}"#;
        let fold = fold(&[SNAPSHOT, &first, &second, lot_only]);
        assert!(fold.check.passed(), "{:?}", fold.check.first_faults);
        assert_eq!((fold.seq(), fold.check.examined), (Some(14), 4));
        assert_eq!(fold.statuses()["A"], Status::Free);
        assert_eq!(fold.statuses()["B"], Status::Held);
    }

    #[test]
    fn a_gap_between_messages_is_detected_once() {
        let late = changes("e", 12, 12, &[entry(12, "A", "free")]);
        let next = changes("e", 13, 13, &[entry(13, "A", "free")]);
        check_faults(
            &[SNAPSHOT, &late, &next],
            &[
                StreamFault::WrongFrom { lot: lot(), from: 12, last: 10 },
                StreamFault::Gap { lot: lot(), expected: 11, got: 12 },
            ],
        );
    }

    #[test]
    fn a_gap_inside_a_message_is_detected() {
        let gap = changes("e", 11, 13, &[entry(11, "A", "free"), entry(13, "A", "free")]);
        check_faults(&[SNAPSHOT, &gap], &[StreamFault::Gap { lot: lot(), expected: 12, got: 13 }]);
    }

    #[test]
    fn a_duplicate_is_detected_and_not_applied() {
        let first = changes("e", 11, 12, &[entry(11, "A", "occupied"), entry(12, "A", "free")]);
        let again = changes("e", 13, 13, &[entry(11, "A", "occupied"), entry(13, "B", "free")]);
        let fold = fold(&[SNAPSHOT, &first, &again]);
        let expected = StreamFault::Repeated { lot: lot(), expected: 13, got: 11 };
        assert_eq!(fold.check.first_faults, [expected.to_string()]);
        assert_eq!(fold.statuses()["A"], Status::Free);
    }

    #[test]
    fn another_epoch_is_detected() {
        let other = changes("f", 11, 11, &[entry(11, "A", "free")]);
        check_faults(
            &[SNAPSHOT, &other],
            &[StreamFault::OtherEpoch { lot: lot(), was: "e".into(), is: "f".into() }],
        );
    }

    #[test]
    fn a_message_that_ends_elsewhere_than_it_says_is_detected() {
        let short = changes("e", 11, 12, &[entry(11, "A", "free")]);
        check_faults(
            &[SNAPSHOT, &short],
            &[StreamFault::WrongEnd { lot: lot(), said: 12, got: 11 }],
        );
    }

    #[test]
    fn changes_before_a_snapshot_and_slots_out_of_nowhere_are_detected() {
        let early = changes("e", 1, 1, &[entry(1, "A", "free")]);
        check_faults(
            &[&early],
            &[StreamFault::BeforeSnapshot { lot: lot(), op: "changes", seq: 1 }],
        );
        let foreign = changes("e", 11, 11, &[entry(11, "Z", "free")]);
        check_faults(
            &[SNAPSHOT, &foreign],
            &[StreamFault::UnknownSlot { lot: lot(), seq: 11, slot: "Z".into() }],
        );
        let silent = r#"{"op":"changes","lot":"L","epoch":"e","from":11,"seq":11,"changes":[{"seq":11,"type":"slot.heard","slot":"A"}]}"#;
        let kind = "slot.heard".into();
        check_faults(
            &[SNAPSHOT, silent],
            &[StreamFault::NoStatus { lot: lot(), seq: 11, kind, slot: "A".into() }],
        );
    }

    #[test]
    fn a_lag_is_counted_and_may_not_go_back() {
        let lagged = SNAPSHOT.replace("\"seq\":10", "\"seq\":90,\"reason\":\"lagged\"");
        let on = changes("e", 91, 91, &[entry(91, "A", "free")]);
        let after_lag = fold(&[SNAPSHOT, &lagged, &on]);
        assert!(after_lag.check.passed() && after_lag.lags == 1);
        check_faults(
            &[&lagged, SNAPSHOT],
            &[StreamFault::SnapshotWentBack { lot: lot(), was: 90, is: 10 }],
        );
    }

    #[test]
    fn counts_must_add_up_and_go_forward() {
        let counts = |seq: u64, free: u64| {
            format!(
                r#"{{"op":"counts","lot":"L","epoch":"e","seq":{seq},"capacity":2,"free":{free},"occupied":1,"held":0,"unknown":0,"out_of_service":0}}"#
            )
        };
        assert!(fold(&[&counts(10, 1), &counts(12, 1)]).check.passed());
        assert_eq!(fold(&[&counts(10, 2)]).check.faults, 1);
        check_faults(
            &[&counts(12, 1), &counts(11, 1)],
            &[StreamFault::CountsWentBack { lot: lot(), was: 12, is: 11 }],
        );
    }
}
