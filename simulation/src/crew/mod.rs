//! The second tier: the real actors on a single-threaded runtime, the journal moved by hand.
//!
//! Callers, devices and readers are tasks; between any two steps the runtime takes as many turns as the
//! dice say, so that actors, restarts and callers interleave in every way. Actors are killed, commits fail,
//! the process ends and starts again on what its disk kept. There is no model of the answers here (the
//! first tier has one): the auditor holds answers, views, rings and the log against each other.
//!
//! Nothing here waits for time: the clock moves when the dice move it.

mod audit;
mod callers;
mod errands;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lotkeeper_actors::{Clock, Engine, LotHandle, Metrics, Options, Pump};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Fault, FaultPlan, FaultyJournal, Journal, MemoryStore, Record};

use crate::dice::Dice;
use crate::tally::Tally;
use crate::trace::Trace;
use callers::{Answer, Desk, Mailbox, Request};

/// 2026-03-28T22:00:00Z, as in the first tier.
const START: Timestamp = Timestamp::from_seconds(1_774_735_200);

/// Which episode.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The run's seed.
    pub seed: u64,
    /// Its number in the run.
    pub number: u64,
    /// Steps.
    pub steps: u64,
    /// Whether the trace keeps its lines.
    pub lines: bool,
}

/// One process: it is replaced at every start.
struct Process {
    engine: Engine,
    pump: Pump,
    lots: Vec<LotHandle>,
    /// How far each lot's ring was read.
    read_to: Vec<u64>,
    failed: Arc<AtomicBool>,
}

struct Crew {
    dice: Dice,
    trace: Trace,
    tally: Tally,
    store: MemoryStore,
    clock: Clock,
    process: Process,
    permits: usize,
    desk: Desk,
    mailbox: Mailbox,
    /// What was answered: the lot's sequence that each lot must show from then on.
    promised_seq: Vec<u64>,
    /// First answers by idempotency key, to be given again.
    kept: BTreeMap<u64, (Request, Answer)>,
    log: Vec<Record>,
}

/// Runs an episode. Within a single-threaded runtime.
///
/// # Errors
/// What must not be, and what led to it.
pub async fn run(setup: Setup) -> Result<crate::episode::Done, crate::episode::Violation> {
    let mut crew = Crew::new(setup).await;
    let mut ran = crew.begin().await;
    for _ in 0..setup.steps {
        if ran.is_err() {
            break;
        }
        ran = crew.step().await;
    }
    if ran.is_ok() {
        ran = crew.finish().await;
    }
    crew.process.engine.abandon().await;
    let Crew { trace, tally, .. } = crew;
    match ran {
        Ok(()) => Ok(crate::episode::Done { trace, tally }),
        Err(what) => Err(crate::episode::Violation { what, trace: Box::new(trace) }),
    }
}

impl Process {
    async fn start(
        store: &MemoryStore,
        plan: FaultPlan,
        clock: &Clock,
        permits: usize,
    ) -> Result<(Self, u64), String> {
        let (journal, recovery) = FaultyJournal::open(store.clone(), plan);
        let last_seq = recovery.last_seq;
        let failed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failed);
        let options = Options {
            permits_records: permits,
            commit_records_max: 64,
            snapshot_every_records: 97,
            tick_ms: None,
            on_fatal: Arc::new(move |_| told.store(true, Ordering::SeqCst)),
            ..Options::default()
        };
        let journal: Box<dyn Journal> = Box::new(journal);
        let metrics = Metrics::unregistered();
        let started =
            Engine::start_by_hand(journal, recovery, clock.clone(), options, metrics).await;
        let (engine, pump) = started.map_err(|error| format!("the start: {error}"))?;
        let lots = engine.all_lots();
        // What a reader has seen when it comes: the newest; older changes are the log's.
        let read_to = lots.iter().map(|lot| lot.view().lot_seq).collect();
        Ok((Self { engine, pump, lots, read_to, failed }, last_seq))
    }
}

impl Crew {
    async fn new(setup: Setup) -> Self {
        // Another stream of chance than the first tier's episode of the same number.
        let mut dice = Dice::new(setup.seed ^ 0x00C2_E300, setup.number);
        let store = MemoryStore::with_seed(dice.number());
        let clock = Clock::manual(START);
        let permits = dice.pick(&[4, 64, 4_096]).unwrap_or(64);
        let started = Process::start(&store, FaultPlan::none(), &clock, permits).await;
        let (process, _) = started.expect("an empty store opens");
        Self {
            trace: if setup.lines { Trace::with_lines() } else { Trace::default() },
            tally: Tally::default(),
            desk: Desk::new(&mut dice),
            mailbox: Mailbox::default(),
            promised_seq: Vec::new(),
            kept: BTreeMap::new(),
            log: Vec::new(),
            dice,
            store,
            clock,
            process,
            permits,
        }
    }

    fn plan_faults(&mut self) -> FaultPlan {
        let mut faults = BTreeMap::new();
        if self.dice.one_in(2) {
            let fault = match self.dice.below(3) {
                0 => Fault::RefusedBeforeWriting,
                1 => Fault::FailedAfterWriting,
                _ => Fault::Torn { frames: self.dice.index(3) },
            };
            faults.insert(1 + self.dice.below(80), fault);
        }
        FaultPlan::Scripted(faults)
    }

    /// The runtime takes some turns: everybody who can go on does.
    async fn turns(&mut self, turns: u64) {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// Nothing is left that could move by itself.
    async fn settle(&mut self) {
        for _ in 0..6 {
            self.turns(60).await;
            self.process.pump.commit();
            while self.process.pump.publish() {}
        }
        self.turns(60).await;
    }
}
