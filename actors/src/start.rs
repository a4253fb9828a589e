//! Start: the view from snapshots and tail, then threads, actors and timers, in that order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{self, Receiver};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::limits::READINGS_PER_BATCH_MAX;
use lotkeeper_storage::{Journal, Record, Recovery};
use parking_lot::Mutex;
use ractor::ActorRef;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::door::Door;
use crate::engine::{Engine, Running, Shared};
use crate::error::StartError;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::options::{Options, RESERVE_RECORDS};
use crate::publisher::Publisher;
use crate::pump::Pump;
use crate::submission::Commit;
use crate::supervisor::{Supervisor, SupervisorMessage};
use crate::vital;
use crate::writer::Writer;

/// Commits between writer and publisher: one being published, one waiting, so the disk never idles.
pub(crate) const COMMITS_AHEAD_MAX: usize = 2;
/// Places in the queue for snapshots and the stop.
const OWN_PLACES: usize = 64;

/// A started engine whose journal nobody drives yet.
struct Parts {
    shared: Arc<Shared>,
    supervisor: ActorRef<SupervisorMessage>,
    supervising: JoinHandle<()>,
    writer: Writer,
    publisher: Publisher,
    commits: Receiver<Commit>,
}

impl Engine {
    /// Rebuilds the durable view and starts everything. Within a tokio runtime.
    ///
    /// # Errors
    /// A damaged log, or a thread or actor that cannot be started.
    pub async fn start(
        journal: Box<dyn Journal>,
        recovery: Recovery,
        clock: Clock,
        options: Options,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let parts = assemble(journal, recovery, clock, options, metrics).await?;
        let Parts { shared, supervisor, supervising, writer, publisher, commits } = parts;
        let last_seq = shared.seq.load(Ordering::Acquire);
        let mut threads = vec![
            thread("journal-writer", move || writer.run())?,
            thread("publisher", move || publisher.run(&commits))?,
        ];
        if let Some(options) = shared.options.history.clone() {
            let shared = Arc::clone(&shared);
            let follow = move || crate::history::run(&shared, &options, last_seq);
            threads.push(thread("history", follow)?);
        }
        Ok(Self::running(shared, (supervisor, supervising), threads))
    }

    /// As [`Engine::start`], without threads: the journal moves when the [`Pump`] does. For simulation.
    ///
    /// # Errors
    /// A damaged log, or an actor that cannot be started.
    pub async fn start_by_hand(
        journal: Box<dyn Journal>,
        recovery: Recovery,
        clock: Clock,
        options: Options,
        metrics: Metrics,
    ) -> Result<(Self, Pump), StartError> {
        let parts = assemble(journal, recovery, clock, options, metrics).await?;
        let Parts { shared, supervisor, supervising, writer, publisher, commits } = parts;
        let pump = Pump::new(writer, publisher, commits);
        Ok((Self::running(shared, (supervisor, supervising), Vec::new()), pump))
    }

    fn running(
        shared: Arc<Shared>,
        (supervisor, supervising): (ActorRef<SupervisorMessage>, JoinHandle<()>),
        threads: Vec<std::thread::JoinHandle<()>>,
    ) -> Self {
        let hub = tokio::spawn(Arc::clone(&shared.hub).run());
        let mut parts = vec![("hub", hub)];
        if let Some(every) = shared.options.tick_ms {
            let every = Duration::from_millis(every);
            let ticker = tokio::spawn(crate::ticker::run(Arc::clone(&shared), every));
            parts.push(("ticker", ticker));
            parts.push(("pacer", tokio::spawn(crate::pacer::run(Arc::clone(&shared)))));
        }
        let mut tasks: Vec<_> = parts.iter().map(|(_, task)| task.abort_handle()).collect();
        parts.push(("supervisor", supervising));
        for (part, task) in parts {
            tasks.push(tokio::spawn(vital::watch(Arc::clone(&shared), part, task)).abort_handle());
        }
        let running = Arc::new(Running { supervisor, tasks, threads: Mutex::new(threads) });
        Self { shared, running }
    }
}

/// Everything but who drives the journal.
async fn assemble(
    journal: Box<dyn Journal>,
    recovery: Recovery,
    clock: Clock,
    options: Options,
    metrics: Metrics,
) -> Result<Parts, StartError> {
    // A batch larger than all permits is in flight alone.
    let in_flight_max = options.permits_records.max(READINGS_PER_BATCH_MAX);
    let places = in_flight_max + RESERVE_RECORDS + OWN_PLACES;
    let (writer_tx, writer_rx) = channel::bounded(places);
    let shared = Arc::new(Shared {
        clock: clock.clone(),
        metrics,
        epoch: recovery.epoch,
        listening_since: clock.now(),
        replayed: AtomicU64::new(0),
        directory: <_>::default(),
        claims: <_>::default(),
        tenant_passes: <_>::default(),
        standing: <_>::default(),
        hub: Arc::new(Hub::default()),
        door: Arc::new(Door::new(&options)),
        reserve: Arc::new(Semaphore::new(RESERVE_RECORDS)),
        writer: writer_tx.clone(),
        reader: journal.reader(),
        vault: journal.vault(),
        following: <_>::default(),
        next_key: AtomicU32::new(0),
        restarts: <_>::default(),
        seq: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        storage_full: AtomicBool::new(false),
        options,
    });
    let (supervisor, supervising) = ractor::Actor::spawn(None, Supervisor, Arc::clone(&shared))
        .await
        .map_err(|error| spawn_error("supervisor", &error))?;
    let mut publisher = Publisher::new(Arc::clone(&shared), supervisor.clone(), writer_tx);
    let (last_seq, replayed) = recover(&mut publisher, recovery)?;
    shared.replayed.store(replayed, std::sync::atomic::Ordering::Release);
    shared.set_seq(last_seq);
    shared.follow_from(last_seq);
    let lot_seqs = publisher.lot_seqs();
    let lots = u32::try_from(lot_seqs.len()).unwrap_or(u32::MAX);
    shared.next_key.store(lots, std::sync::atomic::Ordering::Release);
    launch_all(&publisher, &supervisor).await?;

    let (publish, commits) = channel::bounded::<Commit>(COMMITS_AHEAD_MAX);
    let writer = Writer {
        journal,
        shared: Arc::clone(&shared),
        inbox: writer_rx,
        publisher: publish,
        seq: last_seq,
        lot_seqs,
        commit_records_max: shared.options.commit_records_max,
        maintained_at: Instant::now(),
    };
    Ok(Parts { shared, supervisor, supervising, writer, publisher, commits })
}

/// Puts snapshots and tail into the view through the publisher's own door; the last sequence, and how many
/// records that took.
fn recover(publisher: &mut Publisher, recovery: Recovery) -> Result<(u64, u64), StartError> {
    let mut known: HashMap<LotKey, u64> = HashMap::new();
    for snapshot in recovery.snapshots {
        known.insert(snapshot.lot, snapshot.seq);
        publisher.restore(snapshot);
    }
    let is_new = |record: &Record| known.get(&record.lot).is_none_or(|seq| record.seq > *seq);
    let mut replayed = 0;
    for commit in recovery.tail {
        for record in commit?.iter().filter(|record| is_new(record)) {
            publisher.apply(record)?;
            replayed += 1;
        }
        // The same boundaries as when it was written: a reader that resumes sees the same batches.
        publisher.feed();
    }
    Ok((recovery.last_seq, replayed))
}

async fn launch_all(
    publisher: &Publisher,
    supervisor: &ActorRef<SupervisorMessage>,
) -> Result<(), StartError> {
    let gone = |error: &dyn std::fmt::Display| spawn_error("actors", error);
    for lot in publisher.handles() {
        let launch = SupervisorMessage::Launch(lot, None);
        supervisor.send_message(launch).map_err(|error| gone(&error))?;
    }
    let (port, launched) = oneshot::channel();
    let flush = SupervisorMessage::Launched(port);
    supervisor.send_message(flush).map_err(|error| gone(&error))?;
    launched.await.map_err(|error| gone(&error))
}

fn thread(
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, StartError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| spawn_error(name, &error))
}

fn spawn_error(what: &'static str, cause: &dyn std::fmt::Display) -> StartError {
    StartError::Spawn { what, cause: cause.to_string() }
}
