//! A run: episodes until the steps are done. A violation is run again with its lines, to be read.
//!
//! Episodes know nothing of each other, so each processor plays one; what they say is taken in their order, so
//! a run is the same on any number of processors.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use clap::ValueEnum;

use crate::crew;
use crate::episode::{self, Done, Setup, Violation};
use crate::node::Plant;
use crate::tally::Tally;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// Engine and journal, moved by hand, against a model.
    Engine,
    /// The real actors on a single-threaded runtime.
    Actors,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What is simulated.
    pub tier: Tier,
    /// Everything follows from it.
    pub seed: u64,
    /// Steps in all.
    pub steps: u64,
    /// A mistake made on purpose; in the first tier.
    pub plant: Plant,
}

impl Plan {
    /// A run without planted mistakes.
    #[must_use]
    pub fn new(seed: u64, steps: u64, tier: Tier) -> Self {
        Self { tier, seed, steps, plant: Plant::None }
    }

    fn setup(&self, number: u64, steps: u64) -> Setup {
        Setup { seed: self.seed, number, steps, plant: self.plant, lines: false }
    }

    /// Of all episodes, in order; the last one is cut to the steps that are left.
    fn setups(&self) -> Vec<Setup> {
        let mut left = self.steps;
        let mut setups = Vec::new();
        for number in 0.. {
            if left == 0 {
                break;
            }
            let steps = episode_steps(self.tier, number).min(left);
            left -= steps;
            setups.push(self.setup(number, steps));
        }
        setups
    }

    fn episode(&self, setup: Setup) -> Result<Done, Violation> {
        match self.tier {
            Tier::Engine => episode::run(setup),
            Tier::Actors => {
                let Setup { seed, number, steps, lines, .. } = setup;
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                // Nothing here waits for time, so the runtime has no clock at all.
                let runtime = runtime.expect("a runtime without I/O and time needs nothing");
                runtime.block_on(crew::run(crew::Setup { seed, number, steps, lines }))
            }
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Episodes.
    pub episodes: u64,
    /// Steps.
    pub steps: u64,
    /// Of all traces.
    pub digest: u64,
    /// How often what happened.
    pub tally: Tally,
}

impl Summary {
    /// The place of the next episode.
    fn at(&self) -> usize {
        usize::try_from(self.episodes).expect("it counts what lies in memory")
    }

    fn take(&mut self, steps: u64, digest: u64, tally: &Tally) {
        self.episodes += 1;
        self.steps += steps;
        self.digest = self.digest.rotate_left(1) ^ digest;
        self.tally += tally;
    }
}

/// What a run found.
#[derive(Debug)]
pub struct Found {
    /// Of what.
    pub tier: Tier,
    /// The run's seed.
    pub seed: u64,
    /// In which episode.
    pub episode: u64,
    /// After so many of its steps.
    pub step: u64,
    /// What must not be.
    pub what: String,
    /// The steps before it.
    pub lines: Vec<String>,
}

/// Lines shown of what led to a violation.
pub const LINES_SHOWN: usize = 40;
/// And so much of each; the whole is in the replay.
const LINE_CHARS_SHOWN: usize = 240;

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{}", line.chars().take(LINE_CHARS_SHOWN).collect::<String>())?;
        }
        let Self { tier, seed, episode, step, what, .. } = self;
        let tier = tier.to_possible_value();
        let tier = tier.as_ref().map_or("engine", |value| value.get_name());
        writeln!(f, "\nviolation in step {step} of episode {episode}: {what}")?;
        write!(f, "again: lotkeeper-simulate --tier {tier} --seed {seed} --episode {episode}")
    }
}

/// How long an episode is: most are short, so that their state stays small and checks stay cheap; a few
/// are long enough for a lot to forget its oldest reservations.
#[must_use]
pub fn episode_steps(tier: Tier, number: u64) -> u64 {
    match tier {
        Tier::Engine if number % 64 == 63 => 60_000,
        Tier::Engine => 2_000,
        Tier::Actors => 1_000,
    }
}

/// Runs a plan on all processors and tells after every episode, in their order.
///
/// # Errors
/// The first violation, by the episodes' order.
pub fn run(plan: &Plan, mut told: impl FnMut(&Summary)) -> Result<Summary, Box<Found>> {
    let setups = plan.setups();
    let next = AtomicUsize::new(0);
    let (sender, played) = mpsc::channel();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..processors.min(setups.len()) {
            let (sender, next, setups) = (sender.clone(), &next, &setups);
            scope.spawn(move || play(plan, setups, next, &sender));
        }
        // Else nobody would learn that all have ended.
        drop(sender);
        let mut summary = Summary::default();
        let mut early = BTreeMap::new();
        for (at, done) in played {
            early.insert(at, done);
            while let Some(done) = early.remove(&summary.at()) {
                let setup = setups[summary.at()];
                let Some((digest, tally)) = done else {
                    next.store(setups.len(), Ordering::Relaxed);
                    return Err(Box::new(explain(plan, setup)));
                };
                summary.take(setup.steps, digest, &tally);
                told(&summary);
            }
        }
        Ok(summary)
    })
}

/// What became of an episode: its place in the run; its digest and tally, nothing when something was found.
type Played = (usize, Option<(u64, Tally)>);

/// Plays the next episode until there is none.
fn play(plan: &Plan, setups: &[Setup], next: &AtomicUsize, sender: &mpsc::Sender<Played>) {
    while let Some(setup) = setups.get(next.fetch_add(1, Ordering::Relaxed)) {
        let done = plan.episode(*setup).ok().map(|done| (done.trace.digest(), done.tally));
        let at = usize::try_from(setup.number).expect("it counts what lies in memory");
        if sender.send((at, done)).is_err() {
            // Whoever listens has found something.
            return;
        }
    }
}

/// Runs an episode once more to show what leads to its violation.
fn explain(plan: &Plan, setup: Setup) -> Found {
    let (step, what, lines) = match plan.episode(Setup { lines: true, ..setup }) {
        Err(found) => (found.trace.steps(), found.what, found.trace.last(LINES_SHOWN).to_vec()),
        Ok(done) => {
            let what = "it came once and not again: something does not follow from the seed";
            (done.trace.steps(), what.to_owned(), Vec::new())
        }
    };
    Found { tier: plan.tier, seed: plan.seed, episode: setup.number, step, what, lines }
}

/// Runs one episode with its lines.
///
/// # Errors
/// Its violation.
pub fn replay(plan: &Plan, number: u64) -> Result<Done, Box<Found>> {
    let steps = episode_steps(plan.tier, number);
    let setup = Setup { lines: true, ..plan.setup(number, steps) };
    plan.episode(setup).map_err(|_| Box::new(explain(plan, setup)))
}
