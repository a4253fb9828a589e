//! A reader: availability and single slots at fixed times, on one connection of a pool. Checks on the way
//! what the contract promises of every read: what any client was told is shown by the next read of any client.

use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::fleet::{Fleet, slot_code};
use crate::http::{Answer, HttpClient};
use crate::pace::SharedPace;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::verify::{Check, READS_ARE_FRESH};
use crate::wire::Availability;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use std::sync::Arc;

/// A reader before it reads.
#[derive(Debug)]
pub struct Reader {
    pub number: usize,
    pub client: HttpClient,
    pub clock: Clock,
    pub window: Window,
    pub fleet: Arc<Fleet>,
    /// The pool's.
    pub pace: SharedPace,
    pub seed: u64,
}

/// What a reader brings back.
#[derive(Debug)]
pub struct Read {
    pub recorder: Recorder,
    pub fresh: Check,
}

/// The part of a slot that says how fresh it is.
#[derive(Debug, Deserialize)]
struct SlotSeq {
    seq: u64,
}

impl Reader {
    /// Reads until the window's end.
    pub async fn run(mut self) -> Read {
        let recorder = Recorder::new(self.window);
        let mut read = Read { recorder, fresh: Check::new(READS_ARE_FRESH, "reads") };
        let mut rng = SmallRng::seed_from_u64(self.seed ^ (self.number as u64) << 32);
        let (end_us, alarm) = (self.window.to_us, Alarm::new(self.clock));
        while self.clock.now_us() < end_us {
            let Some(due_us) = self.pace.take_before(end_us) else { break };
            alarm.until(due_us).await;
            let lot = rng.random_range(0..self.fleet.lots.len());
            let slot = rng.random_range(0..self.fleet.slots_per_lot * 2);
            // Half of the reads are of the lot, half of one of its slots.
            let slot = (slot < self.fleet.slots_per_lot).then_some(slot);
            self.read(&mut read, lot, slot, due_us).await;
        }
        read
    }

    async fn read(&mut self, read: &mut Read, lot: usize, slot: Option<usize>, due_us: u64) {
        let lot = &self.fleet.lots[lot];
        let path = match slot {
            None => format!("/api/v1/lots/{}/availability", lot.code),
            Some(slot) => format!("/api/v1/lots/{}/slots/{}", lot.code, slot_code(slot)),
        };
        read.recorder.attempt();
        let told_seq = lot.told_seq();
        let answer = match self.client.get(&path).await {
            Ok(answer) => answer,
            Err(error) => return read.recorder.error(format!("read: {error}")),
        };
        let now_us = self.clock.now_us();
        if answer.status != 200 {
            return read.recorder.error(format!("read {}", answer.problem()));
        }
        read.recorder.latency(Measure::Read, due_us, now_us);
        read.recorder.count(Tally::Reads, 1, now_us);
        read.fresh.examine(1);
        if let Some(fault) = staleness(&answer, slot.is_some(), told_seq) {
            read.fresh.fault(format!("GET {path}: {fault}"));
        }
    }
}

fn staleness(answer: &Answer, is_slot: bool, told_seq: u64) -> Option<String> {
    let seq = match is_slot {
        true => answer.json::<SlotSeq>().map(|slot| slot.seq),
        false => match answer.json::<Availability>() {
            Ok(availability) if !availability.counts.add_up() => {
                return Some(format!("counts do not add up: {:?}", availability.counts));
            }
            other => other.map(|availability| availability.seq),
        },
    };
    match seq {
        Ok(seq) if seq < told_seq => {
            Some(format!("seq {seq}, though a client was told {told_seq} before"))
        }
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_reads_wrong_sums_and_nonsense_are_detected() {
        let lot = |free: u64| {
            format!(
                r#"{{"seq":5,"capacity":3,"free":{free},"occupied":1,"held":0,"unknown":0,"out_of_service":0}}"#
            )
        };
        for (body, is_slot, told_seq, fine) in [
            (lot(2), false, 5, true),
            (lot(2), false, 6, false),
            (lot(3), false, 5, false),
            (r#"{"seq":5}"#.into(), true, 5, true),
            (r#"{"seq":4}"#.into(), true, 5, false),
            ("{}".into(), true, 0, false),
        ] {
            let answer =
                Answer { status: 200, retry_after_seconds: None, body: body.clone().into() };
            let fault = staleness(&answer, is_slot, told_seq);
            assert_eq!(fault.is_none(), fine, "{body} {told_seq}: {fault:?}");
        }
    }
}
