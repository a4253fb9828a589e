//! What becomes of a batch when the server has answered it.
//!
//! Invariant: a batch under way is counted once, when its answer is final; an answer that asks for
//! patience puts it back into its lane, in its place.

use std::time::Duration;

use tokio::time::Instant;

use super::super::error::Error;
use super::Sender;
use super::lane::Work;
use crate::client::{Ack, Answer, BatchError};
use crate::replay::Name;

/// When a busy server names no pause.
const PAUSE_MS_DEFAULT: u64 = 250;
/// A server that asks for more is asked again all the same.
const PAUSE_MS_MAX: u64 = 10_000;

impl Sender {
    pub(super) fn answered(&mut self, answer: Answer) -> Result<(), Error> {
        match answer {
            Answer::Ack(ack) => self.acknowledged(&ack),
            Answer::Error(error) => self.refused(error),
        }
    }

    fn acknowledged(&mut self, ack: &Ack) -> Result<(), Error> {
        let (lane, work) = self.take_under_way(ack.batch)?;
        let rows = work.load.rows();
        if ack.total() != rows {
            let reason = format!("it accounts for {} of {rows} rows", ack.total());
            return Err(self.answer_error(lane, ack.batch, reason));
        }
        self.summary.acknowledged(ack);
        self.finished(lane, rows);
        Ok(())
    }

    fn refused(&mut self, error: BatchError) -> Result<(), Error> {
        let (lane, work) = self.take_under_way(error.batch)?;
        let lot = Name::clone(&self.lanes[lane].lot);
        match error.code.as_str() {
            // Busy, or the effect is unknown: what is sent again has it once.
            "overloaded" | "too_many_requests" | "storage_full" | "outcome_unknown"
            | "shutting_down" => {
                let pause_ms = error.retry_after_ms.unwrap_or(PAUSE_MS_DEFAULT).min(PAUSE_MS_MAX);
                self.last_trouble = format!("{}: {}", error.code, error.detail);
                self.summary.put_off += 1;
                self.lanes[lane].put_back(work);
                self.lanes[lane].pause(Instant::now(), Duration::from_millis(pause_ms));
            }
            "lot_not_found" | "lot_not_allowed" => {
                let BatchError { code, detail, .. } = error;
                return Err(Error::LotRefused { lot: lot.to_string(), code, detail });
            }
            code => {
                let rows = work.load.rows();
                self.summary.refused(&lot, code, &error.detail, rows);
                self.finished(lane, rows);
            }
        }
        Ok(())
    }

    fn take_under_way(&mut self, batch: u64) -> Result<(usize, Work), Error> {
        self.under_way.remove(&batch).ok_or_else(|| Error::Answer {
            batch,
            lot: "(unknown)".to_owned(),
            reason: "no such batch is under way".to_owned(),
        })
    }

    fn answer_error(&self, lane: usize, batch: u64, reason: String) -> Error {
        Error::Answer { batch, lot: self.lanes[lane].lot.to_string(), reason }
    }

    pub(super) fn finished(&mut self, lane: usize, rows: u64) {
        self.pending_rows -= rows;
        self.lanes[lane].answered();
        self.waiting_since = Some(Instant::now());
    }
}
