//! The journal writer: takes all that waits, numbers it, makes it durable, hands it on.
//!
//! A step function without thread or clock; `start.rs` drives it with one OS thread. The batch is
//! whatever came in while the last commit ran: one when idle, thousands under load. After a failed commit
//! everybody who waits is told that the outcome is unknown, and the journal is never touched again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::{Journal, JournalError, Record};
use tokio::sync::oneshot;

use crate::engine::Shared;
use crate::submission::{Commit, Placed, Submission, Work};
use crate::vital::Vital;

/// How often maintenance looks at the tip, the free space and rotation.
const MAINTENANCE_INTERVAL: Duration = Duration::from_millis(500);
/// A commit that takes longer is worth a line: a hundred times what a good disk needs. There is at most one in that time.
const SLOW_COMMIT: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    pub journal: Box<dyn Journal>,
    pub shared: Arc<Shared>,
    pub inbox: Receiver<Work>,
    pub publisher: Sender<Commit>,
    /// The last global sequence.
    pub seq: u64,
    /// The last sequence of each lot, by key.
    pub lot_seqs: Vec<u64>,
    pub commit_records_max: usize,
    pub maintained_at: Instant,
}

/// What a step ended with.
enum Step {
    Continue,
    Stop(oneshot::Sender<()>),
}

impl Writer {
    /// Runs until it is stopped or a commit fails.
    pub fn run(mut self) {
        let _vital = Vital::new(&self.shared, "journal writer");
        loop {
            let first = match self.inbox.recv_timeout(MAINTENANCE_INTERVAL) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match self.step(first) {
                Ok(Step::Continue) => {}
                Ok(Step::Stop(stopped)) => {
                    // The publisher ends when its channel does, with everything published.
                    let (journal, publisher) = (self.journal, self.publisher);
                    drop(publisher);
                    drop(journal);
                    let _nobody_waits = stopped.send(());
                    return;
                }
                Err(error) => return turn_away(&self.fail(&error)),
            }
        }
    }

    /// One commit of what waits, if anything does: the same step without the thread. After a failed one
    /// what is left is the queue of those who still come.
    pub fn step_by_hand(mut self) -> Result<Self, Receiver<Work>> {
        let first = self.inbox.try_recv().ok();
        match self.step(first) {
            Ok(Step::Continue) => Ok(self),
            Ok(Step::Stop(stopped)) => {
                let _nobody_waits = stopped.send(());
                Ok(self)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn step(&mut self, first: Option<Work>) -> Result<Step, JournalError> {
        let mut commit = Commit { records: Vec::new(), replies: Vec::new() };
        let mut stop = None;
        let mut next = first;
        while let Some(work) = next {
            match work {
                Work::Submit(submission) => self.take(submission, &mut commit),
                Work::Snapshot(snapshot) => {
                    if let Err(error) = self.journal.save_snapshot(&snapshot) {
                        return Err(give_up(commit, error));
                    }
                    self.shared.metrics.snapshot_saved();
                }
                Work::Stop(stopped) => {
                    stop = Some(stopped);
                    break;
                }
            }
            if commit.records.len() >= self.commit_records_max {
                break;
            }
            next = self.inbox.try_recv().ok();
        }
        self.commit(commit)?;
        if self.maintained_at.elapsed() >= MAINTENANCE_INTERVAL {
            self.maintain()?;
        }
        match stop {
            Some(stopped) => {
                self.journal.sync()?;
                Ok(Step::Stop(stopped))
            }
            None => Ok(Step::Continue),
        }
    }

    /// Numbers a submission's events.
    fn take(&mut self, submission: Submission, commit: &mut Commit) {
        let Submission { lot, at, events, unasked: (before, after), by, claim, reply } = submission;
        let end = events.len().saturating_sub(after);
        for (position, event) in events.into_iter().enumerate() {
            self.seq += 1;
            let lot_seq = self.next_lot_seq(lot);
            let by = by.filter(|_| (before..end).contains(&position));
            let claim = claim.filter(|_| position + 1 == end);
            commit.records.push(Record { seq: self.seq, lot, lot_seq, at, event, by, claim });
        }
        // The answer tells what was asked for, so that a retry is told the same.
        let shown = commit.records.len();
        commit.replies.push(Placed { told: shown - after, shown, lot, reply });
    }

    fn next_lot_seq(&mut self, lot: LotKey) -> u64 {
        let place = lot.0 as usize;
        if self.lot_seqs.len() <= place {
            self.lot_seqs.resize(place + 1, 0);
        }
        self.lot_seqs[place] += 1;
        self.lot_seqs[place]
    }

    fn commit(&mut self, commit: Commit) -> Result<(), JournalError> {
        if !commit.records.is_empty() {
            let started = Instant::now();
            if let Err(error) = self.journal.commit(&commit.records) {
                return Err(give_up(commit, error));
            }
            let (records, took) = (commit.records.len(), started.elapsed());
            self.shared.metrics.committed(records, took);
            if took >= SLOW_COMMIT {
                tracing::warn!(records, ?took, "a commit was slow; the disk is slow or shared");
            }
        }
        if commit.records.is_empty() && commit.replies.is_empty() {
            return Ok(());
        }
        // The publisher ends after the writer only, so this cannot fail; were it gone, dropped reply
        // ports would tell every caller.
        let _published = self.publisher.send(commit);
        Ok(())
    }

    fn maintain(&mut self) -> Result<(), JournalError> {
        self.maintained_at = Instant::now();
        self.journal.keep_after(self.shared.following.needs_after());
        let seen = self.journal.maintain()?;
        self.shared.journal_seen(&seen);
        Ok(())
    }

    /// Answers everybody who waits, then ends the process: whether the last commit is on the disk is
    /// unknown, and only a restart can find out. A test's callback returns: there may be more who come.
    fn fail(mut self, error: &JournalError) -> Receiver<Work> {
        self.shared.set_failed();
        let cause = error.to_string();
        tracing::error!(cause, "journal commit failed");
        self.journal.mark_failed(&cause);
        // sled's Drop would flush again; leaking it is the point.
        std::mem::forget(self.journal);
        turn_away_present(&self.inbox);
        (self.shared.options.on_fatal)(&cause);
        self.inbox
    }
}

/// Tells everybody who comes, until somebody stops it, that nobody knows.
fn turn_away(inbox: &Receiver<Work>) {
    while let Ok(work) = inbox.recv() {
        match work {
            Work::Submit(submission) => submission.reply.outcome_unknown(),
            Work::Snapshot(_) => {}
            Work::Stop(stopped) => {
                let _nobody_waits = stopped.send(());
                return;
            }
        }
    }
}

/// As [`turn_away`], for those who are there.
pub(crate) fn turn_away_present(inbox: &Receiver<Work>) {
    while let Ok(work) = inbox.try_recv() {
        if let Work::Submit(submission) = work {
            submission.reply.outcome_unknown();
        }
    }
}

fn give_up(commit: Commit, error: JournalError) -> JournalError {
    commit.replies.into_iter().for_each(|placed| placed.reply.outcome_unknown());
    error
}
