//! The thread that brings the history along: it reads the journal behind what is published.
//!
//! No queue: what it has not read is in the log. Idle it sleeps; under load it works a few times in a second, a
//! page at a time. What it cannot do is told and tried again, and stops nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::JournalError;
use lotkeeper_storage::history::{History as Store, LotFacts, Options, Stamp};

use super::signal::Ahead;
use crate::engine::Shared;

/// Records of one page: some milliseconds of work.
const PAGE_RECORDS: usize = 4_096;
/// Between two looks while there is work: records come together, and the last commit is read as a whole.
const PAUSE: Duration = Duration::from_millis(100);
/// Before something that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// After so long at most what is in memory is written: what a kill may cost is read again, and nothing else.
const FLUSH_EVERY: Duration = Duration::from_secs(30);
/// What the engine's end leaves it for the last of the way; the rest is the next start's.
const LAST: Duration = Duration::from_secs(1);
/// Progress of a long way is told this often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Runs until the engine ends.
pub(crate) fn run(shared: &Arc<Shared>, options: &Options, last_seq: u64) {
    let _watched = Watched(shared);
    let Some(store) = open(shared, options, last_seq) else {
        return shared.following.give_up();
    };
    let store = Arc::new(store);
    shared.following.set_applied(store.meta().applied_seq);
    shared.following.set_flushed(store.flushed_seq());
    shared.following.opened(Arc::clone(&store));
    let mut follower = Follower {
        shared: Arc::clone(shared),
        store,
        adopted: BTreeSet::new(),
        flushed: Instant::now(),
        told: Instant::now(),
    };
    follower.run();
}

/// Should it die, nobody waits for it any more: lists have what lots remember and what the history has.
struct Watched<'a>(&'a Shared);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the history is no longer followed; the next start goes on with it");
            self.0.following.give_up();
        }
    }
}

/// Opens it; nothing at the engine's end.
fn open(shared: &Shared, options: &Options, last_seq: u64) -> Option<Store> {
    while !shared.following.is_stopping() {
        match Store::open(options.clone(), &*shared.reader, (shared.epoch, last_seq)) {
            Ok(store) => return Some(store),
            Err(error) => {
                tracing::error!(%error, "the history cannot be opened; lists have what lots remember");
                shared.following.gather(RETRY);
            }
        }
    }
    None
}

struct Follower {
    shared: Arc<Shared>,
    store: Arc<Store>,
    /// Lots whose memory was taken over, where the log lacks how it came to be.
    adopted: BTreeSet<LotKey>,
    flushed: Instant,
    told: Instant,
}

/// What a step ended with.
enum Step {
    /// There is more.
    More,
    /// There is nothing to do.
    Done,
}

impl Follower {
    fn run(&mut self) {
        while !self.shared.following.is_stopping() {
            let stepped = self.step();
            if self.flush_due().is_some_and(|due| due <= Instant::now()) {
                self.flush();
            }
            self.shared.following.set_flushed(self.store.flushed_seq());
            self.shared.metrics.history(self.lag(), &self.store.meta());
            match stepped {
                Ok(Step::More) => {}
                Ok(Step::Done) => {
                    self.shared.metrics.history_bytes(self.store.bytes());
                    self.shared.following.sleep(self.flush_due());
                    self.shared.following.gather(PAUSE);
                }
                Err(error) => {
                    tracing::error!(%error, "the history stays behind; it is tried again");
                    self.shared.following.gather(RETRY);
                }
            }
        }
        self.end();
    }

    /// How many records it is behind; those that it keeps nothing of do not count.
    fn lag(&self) -> u64 {
        let Ahead { published, kept } = self.shared.following.ahead();
        let applied = self.shared.following.applied();
        if kept <= applied { 0 } else { published.saturating_sub(applied) }
    }

    fn step(&mut self) -> Result<Step, JournalError> {
        if self.store.is_damaged() {
            self.rebuild()?;
        }
        let Ahead { published, kept } = self.shared.following.ahead();
        let applied = self.store.meta().applied_seq;
        if kept <= applied {
            if published > applied {
                self.pass_over(published)?;
            }
            return self.adopt();
        }
        if published <= applied {
            return Ok(Step::Done);
        }
        self.follow(applied, published, kept)?;
        self.tell_progress(published);
        Ok(Step::More)
    }

    fn follow(&mut self, applied: u64, published: u64, kept: u64) -> Result<(), JournalError> {
        let wanted = kept.min(published);
        let mut records = match self.shared.reader.after(applied, PAGE_RECORDS) {
            Ok(page) => page.records,
            Err(JournalError::Pruned { first_seq }) => {
                tracing::error!(
                    applied,
                    first_seq,
                    "records were pruned before the history had them"
                );
                self.store.miss_until(first_seq)?;
                self.adopted.clear();
                self.shared.following.set_applied(self.store.meta().applied_seq);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        records.retain(|record| record.seq <= wanted);
        let Some(last) = records.last().map(|record| record.seq) else {
            let detail = format!("record {} is published and not in the log", applied + 1);
            return Err(JournalError::OutOfOrder { detail });
        };
        // Behind the newest that is kept there is nothing to read.
        let applied = if last == kept { published } else { last };
        self.store.take(&records, applied, &|lot| self.facts(lot))?;
        self.shared.following.set_applied(applied);
        Ok(())
    }

    fn pass_over(&self, published: u64) -> Result<(), JournalError> {
        self.store.take(&[], published, &|_| None)?;
        self.shared.following.set_applied(published);
        Ok(())
    }

    fn facts(&self, lot: LotKey) -> Option<LotFacts> {
        let lot = self.shared.directory.by_key(lot)?;
        let rules = lot.spec().rules;
        Some(LotFacts { tenant: lot.tenant().into(), rules })
    }

    /// Where records are lacking, what a lot remembers is taken over once nothing of it is on its way: one lot in
    /// a step.
    fn adopt(&mut self) -> Result<Step, JournalError> {
        let meta = self.store.meta();
        if meta.lacks.1 == 0 {
            return Ok(Step::Done);
        }
        for lot in self.shared.directory.all() {
            if self.adopted.contains(&lot.key()) {
                continue;
            }
            let view = lot.view();
            if view.kept_seq > meta.applied_seq {
                continue;
            }
            let stamp = Stamp { lot: lot.key(), lot_seq: view.lot_seq, at: view.at };
            self.store.adopt(&view.lot.parts(), stamp, &|lot| self.facts(lot))?;
            self.adopted.insert(lot.key());
            return Ok(Step::More);
        }
        Ok(Step::Done)
    }

    fn rebuild(&mut self) -> Result<(), JournalError> {
        tracing::error!("the history is damaged; it is made anew from the log");
        self.shared.following.set_applied(0);
        self.store.rebuild(&*self.shared.reader)?;
        self.adopted.clear();
        self.shared.metrics.history_rebuilt();
        self.shared.following.set_applied(self.store.meta().applied_seq);
        Ok(())
    }

    fn tell_progress(&mut self, published: u64) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let applied = self.store.meta().applied_seq;
            tracing::info!(applied, of = published, "the history catches up with the log");
        }
    }

    /// When what is in memory is to be written; nothing when there is nothing.
    fn flush_due(&self) -> Option<Instant> {
        let is_behind = self.store.flushed_seq() < self.store.meta().applied_seq;
        is_behind.then(|| self.flushed + FLUSH_EVERY)
    }

    fn flush(&mut self) {
        if let Err(error) = self.store.flush() {
            tracing::warn!(%error, "the history is not flushed; a kill would cost more of it");
        }
        self.flushed = Instant::now();
    }

    /// Goes as far as there is time for, so that the next start has little to read.
    fn end(&mut self) {
        let began = Instant::now();
        while began.elapsed() < LAST {
            match self.step() {
                Ok(Step::More) => {}
                Ok(Step::Done) => break,
                Err(error) => {
                    tracing::warn!(%error, "the history is left behind; the next start reads on");
                    break;
                }
            }
        }
        self.flush();
    }
}
