//! One lot as one connection watches it: a cursor, for counts the pace, for one's own reservations what was told.

use std::time::Duration;

use lotkeeper_actors::{CatchUp, LotHandle};
use tokio::time::Instant as Moment;

use super::message::{self, View};
use super::own::{Own, OwnBody};
use crate::app::App;
use crate::error::Problem;
use crate::wire::instant::Instant;
use crate::ws::frame;

/// Batches taken from a ring in one go; the rest comes in the next round, after other lots had their turn.
const BATCHES_PER_ROUND: usize = 64;

/// A subscription.
pub struct Subscription {
    /// What is watched.
    pub lot: LotHandle,
    /// Which part.
    pub view: View,
    /// The last sequence the client has.
    pub cursor: u64,
    /// When counts may be sent again.
    pub paced_until: Option<Moment>,
    /// What the subject of the token holds; for the view of reservations.
    pub own: Option<Box<Own>>,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Messages queued.
    pub messages: u64,
    /// Whether the reader fell out of the ring.
    pub lagged: bool,
    /// Whether there is more at once.
    pub more: bool,
    /// When there may be more.
    pub again_at: Option<Moment>,
}

impl Subscription {
    /// Queues what came since the cursor.
    pub fn advance(
        &mut self,
        app: &App,
        out: &mut Vec<u8>,
        (epoch, now): (&str, Instant),
        pace: Duration,
    ) -> Progress {
        match self.view {
            View::Slots => self.advance_slots(out, epoch, now),
            View::Counts => self.advance_counts(out, epoch, now, pace),
            View::Reservations => self.advance_own(app, out, (epoch, now)),
        }
    }

    fn advance_own(
        &mut self,
        app: &App,
        out: &mut Vec<u8>,
        (epoch, now): (&str, Instant),
    ) -> Progress {
        match self.lot.ring().after(self.cursor, BATCHES_PER_ROUND) {
            CatchUp::UpToDate => Progress::default(),
            CatchUp::Lagged => {
                self.own_whole(app, out, (epoch, now));
                Progress { messages: 1, lagged: true, ..Progress::default() }
            }
            CatchUp::Batches(batches) => {
                let view = self.lot.view();
                let mut messages = 0;
                if let Some(own) = &mut self.own {
                    let told = own.changed(app, &view, batches.iter().map(|batch| &**batch));
                    let told = told.unwrap_or_else(|problem| unread(&problem));
                    self.cursor = batches.last().map_or(self.cursor, |last| last.to);
                    if !told.is_empty() {
                        let stamp = (epoch, self.cursor, now);
                        let message = message::own(self.lot.code(), stamp, &told, false);
                        frame::push_text(out, &message);
                        messages = 1;
                    }
                }
                let more = self.cursor < self.lot.ring().head();
                Progress { messages, more, ..Progress::default() }
            }
        }
    }

    /// Queues all that the subject of the token holds, and stands after it.
    pub fn own_whole(&mut self, app: &App, out: &mut Vec<u8>, (epoch, now): (&str, Instant)) {
        let Some(own) = &mut self.own else { return };
        let view = self.lot.view();
        // What was told before is told again.
        own.forget();
        let told = own.all(app, &view).unwrap_or_else(|problem| unread(&problem));
        let stamp = (epoch, view.lot_seq, now);
        frame::push_text(out, &message::own(self.lot.code(), stamp, &told, true));
        self.cursor = view.lot_seq;
    }

    /// Queues what somebody missed of his own since `seq`, and stands after it; false when only the whole can tell.
    pub fn own_resumed(
        &mut self,
        app: &App,
        out: &mut Vec<u8>,
        (epoch, now): (&str, Instant),
        seq: u64,
    ) -> bool {
        let view = self.lot.view();
        let batches = match self.lot.ring().after(seq, usize::MAX) {
            CatchUp::Batches(batches) => batches,
            CatchUp::UpToDate => Vec::new(),
            CatchUp::Lagged => return false,
        };
        // The view is written before the ring: what lies between the two would never be told.
        if batches.last().map_or(seq, |last| last.to) < view.lot_seq {
            return false;
        }
        let missed = batches.iter().flat_map(|batch| &batch.changes);
        let missed: Vec<_> =
            missed.filter(|change| change.seq > seq && change.seq <= view.lot_seq).collect();
        let Some(own) = &mut self.own else { return false };
        let told = own.missed(app, &view, &missed).unwrap_or_else(|problem| unread(&problem));
        self.cursor = view.lot_seq.max(seq);
        if !told.is_empty() {
            let stamp = (epoch, self.cursor, now);
            frame::push_text(out, &message::own(self.lot.code(), stamp, &told, false));
        }
        true
    }

    fn advance_slots(&mut self, out: &mut Vec<u8>, epoch: &str, now: Instant) -> Progress {
        match self.lot.ring().after(self.cursor, BATCHES_PER_ROUND) {
            CatchUp::UpToDate => Progress::default(),
            CatchUp::Lagged => {
                self.snapshot(out, epoch, now, true);
                Progress { messages: 1, lagged: true, ..Progress::default() }
            }
            CatchUp::Batches(batches) => {
                let messages = batches.len() as u64;
                let view = self.lot.view();
                let spec = view.spec();
                for batch in &batches {
                    if batch.from == self.cursor + 1 {
                        let encode =
                            |batch: &_| frame::text(&message::changes(spec, epoch, batch, 0));
                        out.extend_from_slice(batch.encoded(encode));
                    } else {
                        // A snapshot was taken inside this commit: the rest of it is this reader's own.
                        let rest = message::changes(spec, epoch, batch, self.cursor);
                        frame::push_text(out, &rest);
                    }
                    self.cursor = batch.to;
                }
                Progress {
                    messages,
                    more: self.cursor < self.lot.ring().head(),
                    ..Progress::default()
                }
            }
        }
    }

    fn advance_counts(
        &mut self,
        out: &mut Vec<u8>,
        epoch: &str,
        now: Instant,
        pace: Duration,
    ) -> Progress {
        if self.cursor >= self.lot.ring().head() {
            return Progress::default();
        }
        let moment = Moment::now();
        if let Some(until) = self.paced_until.filter(|until| *until > moment) {
            return Progress { again_at: Some(until), ..Progress::default() };
        }
        self.counts(out, epoch, now, pace);
        Progress { messages: 1, ..Progress::default() }
    }

    /// Whether the ring still has everything after `seq`.
    pub fn can_resume(&self, seq: u64) -> bool {
        !matches!(self.lot.ring().after(seq, 1), CatchUp::Lagged)
    }

    /// Queues the whole state and stands after it.
    pub fn snapshot(&mut self, out: &mut Vec<u8>, epoch: &str, now: Instant, lagged: bool) {
        let view = self.lot.view();
        frame::push_text(out, &message::snapshot(&view, epoch, now, lagged));
        self.cursor = view.lot_seq;
    }

    /// Queues the numbers as they are and stands after them; the next ones wait for `pace`.
    pub fn counts(&mut self, out: &mut Vec<u8>, epoch: &str, now: Instant, pace: Duration) {
        let view = self.lot.view();
        frame::push_text(out, &message::counts(&view, epoch, now));
        self.cursor = view.lot_seq;
        self.paced_until = Some(Moment::now() + pace);
    }
}

/// Nothing is told where the vault cannot be read: what was not told is told with the next change.
fn unread(problem: &Problem) -> Vec<OwnBody> {
    tracing::error!(code = problem.code, detail = %problem.detail, "reservations are not told on a stream");
    Vec::new()
}
