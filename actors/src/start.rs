//! Start: the view from snapshots and tail, then threads, actors and timers, in that order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use crossbeam::channel;
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::limits::READINGS_PER_BATCH_MAX;
use lotkeeper_storage::{Journal, Record, Recovery};
use parking_lot::Mutex;
use ractor::ActorRef;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::clock::Clock;
use crate::engine::{Engine, Running, Shared};
use crate::error::StartError;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::options::{Options, RESERVE_RECORDS};
use crate::publisher::Publisher;
use crate::submission::Commit;
use crate::supervisor::{Supervisor, SupervisorMessage};
use crate::writer::Writer;

/// Commits between writer and publisher: one being published, one waiting, so the disk never idles.
const COMMITS_AHEAD_MAX: usize = 2;
/// Places in the queue for snapshots and the stop.
const OWN_PLACES: usize = 64;

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
            hub: Arc::new(Hub::default()),
            admission: Arc::new(Semaphore::new(options.permits_records)),
            reserve: Arc::new(Semaphore::new(RESERVE_RECORDS)),
            writer: writer_tx.clone(),
            reader: journal.reader(),
            vault: journal.vault(),
            next_key: AtomicU32::new(0),
            restarts: watch::Sender::new(0),
            seq: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            storage_full: AtomicBool::new(false),
            options,
        });
        let (supervisor, _) = ractor::Actor::spawn(None, Supervisor, Arc::clone(&shared))
            .await
            .map_err(|error| spawn_error("supervisor", &error))?;
        let mut publisher = Publisher::new(Arc::clone(&shared), supervisor.clone(), writer_tx);
        let (last_seq, replayed) = recover(&mut publisher, recovery)?;
        shared.replayed.store(replayed, std::sync::atomic::Ordering::Release);
        shared.set_seq(last_seq);
        let lot_seqs = publisher.lot_seqs();
        let lots = u32::try_from(lot_seqs.len()).unwrap_or(u32::MAX);
        shared.next_key.store(lots, std::sync::atomic::Ordering::Release);
        launch_all(&publisher, &supervisor).await?;

        let (commit_tx, commit_rx) = channel::bounded::<Commit>(COMMITS_AHEAD_MAX);
        let writer = Writer {
            journal,
            shared: Arc::clone(&shared),
            inbox: writer_rx,
            publisher: commit_tx,
            seq: last_seq,
            lot_seqs,
            commit_records_max: shared.options.commit_records_max,
            maintained_at: Instant::now(),
        };
        let threads = vec![
            thread("journal-writer", move || writer.run())?,
            thread("publisher", move || publisher.run(&commit_rx))?,
        ];
        let mut tasks = vec![tokio::spawn(Arc::clone(&shared.hub).run())];
        if let Some(every) = shared.options.tick_ms {
            let every = Duration::from_millis(every);
            tasks.push(tokio::spawn(crate::ticker::run(Arc::clone(&shared), every)));
        }
        let running = Arc::new(Running { supervisor, tasks, threads: Mutex::new(threads) });
        Ok(Self { shared, running })
    }
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
