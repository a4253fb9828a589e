//! Readings into the engine: the permit of a batch, the send, and the wait for what is durable.
//!
//! A message to a slot makes an actor runnable, and a batch may be for a thousand of them: who is sent all at once
//! stands in front of everybody who comes meanwhile. So a batch of the gateway is sent a part at a time, and others
//! have their turn between two parts. Invariants: the readings of a batch go in their order; a batch is sent whole or
//! not at all, also when its sender is gone amid that; readings whose actor died with them are sent again. Absent: the
//! order of batches with each other, which is the caller's: one is wholly sent when its future is there.

use std::sync::Arc;

use lotkeeper_storage::By;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::directory::LotHandle;
use crate::engine::{Engine, Shared};
use crate::error::CommandError;
use crate::invoke::actor_is_back;
use crate::reply::{ReadingBatch, ReadingTicket, ReadingsDone, Refused, SlotReading};
use crate::slot::SlotMessage;

/// Readings that are sent before others have their turn: some hundred microseconds of a processor (docs/performance.md).
const PART: usize = 64;

impl Engine {
    /// Sends somebody's readings to a lot's slots; the future resolves when all of it is durable. At most
    /// `READINGS_PER_BATCH_MAX`, and no more than there are permits.
    ///
    /// # Errors
    /// Why nothing is accepted now.
    pub fn readings(
        &self,
        lot: &LotHandle,
        readings: Vec<SlotReading>,
        by: Option<By>,
    ) -> Result<impl Future<Output = Result<ReadingsDone, CommandError>> + Send + use<>, CommandError>
    {
        let mut sending = self.begin_readings(lot, readings, by)?;
        sending.send(usize::MAX);
        Ok(sending.outcome())
    }

    /// The same, and whoever else has work to do has a turn now and then while a large batch is sent. Who stops
    /// waiting for it has sent it all the same.
    ///
    /// # Errors
    /// Why nothing is accepted now.
    pub async fn readings_in_parts(
        &self,
        lot: &LotHandle,
        readings: Vec<SlotReading>,
        by: Option<By>,
    ) -> Result<impl Future<Output = Result<ReadingsDone, CommandError>> + Send + use<>, CommandError>
    {
        let mut sending = self.begin_readings(lot, readings, by)?;
        while sending.send(PART) {
            yield_now().await;
        }
        Ok(sending.outcome())
    }

    fn begin_readings(
        &self,
        lot: &LotHandle,
        readings: Vec<SlotReading>,
        by: Option<By>,
    ) -> Result<Sending, CommandError> {
        let restarts = self.shared.restarts.count();
        let permit = self.shared.admit(&lot.0.share, readings.len())?;
        let (batch, answered) = ReadingBatch::new(readings.len() + 1, by, Some(permit));
        let (shared, lot) = (Arc::clone(&self.shared), lot.clone());
        Ok(Sending { shared, lot, readings, by, restarts, batch, answered, sent: 0 })
    }
}

/// A batch that is let in.
struct Sending {
    shared: Arc<Shared>,
    lot: LotHandle,
    readings: Vec<SlotReading>,
    by: Option<By>,
    restarts: u64,
    batch: Arc<ReadingBatch>,
    answered: oneshot::Receiver<()>,
    sent: usize,
}

impl Sending {
    /// Sends so many more at most; tells whether some are left.
    fn send(&mut self, most: usize) -> bool {
        let end = self.sent.saturating_add(most).min(self.readings.len());
        let first = u32::try_from(self.sent).unwrap_or(u32::MAX);
        tell(&self.lot, &self.batch, (first..).zip(&self.readings[self.sent..end]));
        self.sent = end;
        let is_over = self.sent == self.readings.len();
        if is_over {
            // The sender's own place: a batch is never complete before it is wholly sent.
            self.batch.sent();
        }
        !is_over
    }

    /// What came of it; for one that is wholly sent.
    async fn outcome(mut self) -> Result<ReadingsDone, CommandError> {
        let mut total = ReadingsDone::default();
        loop {
            let _always_sent = (&mut self.answered).await;
            let round = self.batch.round();
            add(&mut total, round.done);
            if round.failed {
                return Err(CommandError::OutcomeUnknown);
            }
            if round.lost.is_empty() {
                total.lot_seq = total.lot_seq.max(self.lot.0.view.read().lot_seq);
                return Ok(total);
            }
            self.restarts = actor_is_back(&self.shared, self.restarts).await?;
            let permit = self.shared.door.admit_again(&self.lot.0.share, round.lost.len()).await;
            (self.batch, self.answered) = ReadingBatch::new(round.lost.len() + 1, self.by, permit);
            let again = round.lost.iter().filter_map(|index| {
                self.readings.get(*index as usize).map(|reading| (*index, reading))
            });
            tell(&self.lot, &self.batch, again);
            self.batch.sent();
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if self.sent < self.readings.len() {
            self.send(usize::MAX);
        }
    }
}

fn tell<'a>(
    lot: &LotHandle,
    batch: &Arc<ReadingBatch>,
    readings: impl Iterator<Item = (u32, &'a SlotReading)>,
) {
    lot.0.tell_slots(readings.map(|(index, reading)| {
        (reading.slot, SlotMessage::Read(reading.reading, ReadingTicket::new(batch, index)))
    }));
}

fn add(total: &mut ReadingsDone, round: ReadingsDone) {
    total.accepted += round.accepted;
    total.unchanged += round.unchanged;
    total.duplicate += round.duplicate;
    total.late += round.late;
    total.refused.extend(round.refused);
    total.refused.sort_unstable_by_key(|refused: &Refused| refused.index);
    total.lot_seq = total.lot_seq.max(round.lot_seq);
}
