//! One episode of the first tier: engine and journal with a simulated clock, disk and sensors.
//!
//! An episode has a world of its own, made by its dice. After every step the auditor compares what moved
//! with the model, and checks every invariant; after every start it compares the whole state and the whole
//! log with what had been committed.

mod audit;
mod crash;
mod gates;
mod names;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;

use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Fault, FaultPlan, MemoryStore, Record};

use crate::dice::Dice;
use crate::model::{LotModel, SensorModel};
use crate::node::{LotNode, Node, Plant};
use crate::tally::Tally;
use crate::trace::Trace;
use crate::workload::{Callers, Sensors, lot};

/// Which episode.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The run's seed.
    pub seed: u64,
    /// Its number in the run.
    pub number: u64,
    /// Steps at most.
    pub steps: u64,
    /// A mistake made on purpose.
    pub plant: Plant,
    /// Whether the trace keeps its lines.
    pub lines: bool,
}

/// What an episode did.
#[derive(Debug)]
pub struct Done {
    /// All that happened.
    pub trace: Trace,
    /// How often what happened.
    pub tally: Tally,
}

/// Something that must not be.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Violation {
    /// What was seen.
    pub what: String,
    /// What led to it.
    pub trace: Box<Trace>,
}

/// A lot twice: with all that was decided, and with all that is published.
struct Twice<T> {
    ahead: T,
    durable: T,
}

impl<T: Clone> Twice<T> {
    fn new(value: T) -> Self {
        Self { ahead: value.clone(), durable: value }
    }

    /// What was decided and not published is forgotten.
    fn fall_back(&mut self) {
        self.ahead = self.durable.clone();
    }
}

/// What is promised and what is, as predicted.
struct Expected {
    lot: Twice<LotModel>,
    slots: Vec<Twice<SensorModel>>,
}

struct Episode {
    dice: Dice,
    trace: Trace,
    tally: Tally,
    store: MemoryStore,
    node: Node,
    /// The lots of the process before this one.
    old: Vec<LotNode>,
    plant: Plant,
    expected: Vec<Expected>,
    callers: Callers,
    sensors: Sensors,
    now: Timestamp,
    /// Every record that was handed to a commit which may be durable; record `n` is at `n - 1`.
    log: Vec<Record>,
    /// The journal said that so much is durable.
    committed_seq: u64,
    published_seq: u64,
    first_seq: u64,
    epoch: u64,
    /// What will go wrong with which commit since the start.
    faults: BTreeMap<u64, Fault>,
    commits: u64,
    /// The last record that a power cut leaves, while the disk lies.
    lied_after: Option<u64>,
    weights: [u32; steps::KINDS],
}

/// 2026-03-28T22:00:00Z: a few hours before the clocks of Europe change.
const START: Timestamp = Timestamp::from_seconds(1_774_735_200);

/// Runs an episode.
///
/// # Errors
/// What must not be.
pub fn run(setup: Setup) -> Result<Done, Violation> {
    let mut episode = Episode::new(setup);
    let ran = episode.begin().and_then(|()| {
        for _ in 0..setup.steps {
            episode.step()?;
        }
        episode.finish()
    });
    let Episode { trace, tally, .. } = episode;
    match ran {
        Ok(()) => Ok(Done { trace, tally }),
        Err(what) => Err(Violation { what, trace: Box::new(trace) }),
    }
}

impl Episode {
    fn new(setup: Setup) -> Self {
        let mut dice = Dice::new(setup.seed, setup.number);
        let store = MemoryStore::with_seed(dice.number());
        let plan = FaultPlan::none();
        // A new store has nothing to recover, so that this cannot fail.
        let opened = Node::open(&store, plan, START, setup.plant);
        let (node, opened) = opened.expect("a new store opens");
        let weights = steps::weights(&mut dice);
        Self {
            trace: if setup.lines { Trace::with_lines() } else { Trace::default() },
            tally: Tally::default(),
            store,
            node,
            old: Vec::new(),
            plant: setup.plant,
            expected: Vec::new(),
            callers: if dice.below(3) < 2 { Callers::at_gates() } else { Callers::default() },
            sensors: Sensors::default(),
            now: START,
            log: Vec::new(),
            committed_seq: 0,
            published_seq: 0,
            first_seq: 1,
            epoch: opened.epoch,
            faults: BTreeMap::new(),
            commits: 0,
            lied_after: None,
            weights,
            dice,
        }
    }

    /// The lots come to be. Until the first restart the disk does as it is told.
    fn begin(&mut self) -> Result<(), String> {
        let lots = 1 + self.dice.index(3);
        // Now and then a lot whose readings fill several frames of one commit.
        let slots_max = if self.dice.one_in(12) { 60 } else { 7 };
        let gates = self.callers.have_gates();
        for number in 0..lots {
            let spec = lot(&mut self.dice, number, START, (slots_max, gates));
            self.sensors.equip(&mut self.dice, number, spec.slots.len());
            self.expected.push(Expected {
                lot: Twice::new(LotModel::new(Arc::new(spec.clone()))),
                slots: spec.slots.iter().map(|_| Twice::new(SensorModel::default())).collect(),
            });
            self.node.create(spec);
        }
        self.commit(usize::MAX)?;
        self.publish()
    }

    /// What will go wrong until the next start.
    fn plan_faults(&mut self) {
        self.commits = 0;
        self.faults.clear();
        let faults = self.dice.below(3);
        for _ in 0..faults {
            let fault = match self.dice.below(4) {
                0 => Fault::RefusedBeforeWriting,
                1 => Fault::FailedAfterWriting,
                2 => Fault::Torn { frames: self.dice.index(4) },
                _ => Fault::Lied,
            };
            self.faults.insert(1 + self.dice.below(120), fault);
        }
        if self.plant == Plant::HiddenLie {
            self.faults.retain(|_, fault| *fault != Fault::Lied);
        }
    }

    /// What the journal is told to do wrong.
    fn plan(&mut self) -> FaultPlan {
        let mut faults = self.faults.clone();
        if self.plant == Plant::HiddenLie {
            faults.insert(1 + self.dice.below(20), Fault::Lied);
        }
        FaultPlan::Scripted(faults)
    }

    /// Everything in flight arrives; then what was decided, what is shown and what is recorded agree.
    fn finish(&mut self) -> Result<(), String> {
        while self.node.queued() > 0 || self.node.unpublished() > 0 {
            self.commit(usize::MAX)?;
            while self.node.unpublished() > 0 {
                self.publish()?;
            }
        }
        self.audit_all()?;
        self.audit_log(u64::MAX)
    }
}
