//! The pacer: how much processor time a tenant may use while others are at work.
//!
//! Shares of places (`door`) bound what waits in front of a caller, not how often something does: a tenant that always has
//! the next request ready keeps processors and journal busy, and whoever comes now and then finds both taken.
//! So while more than one tenant is at work each may use up to a *level* of time per step, the same for all. It falls
//! while workers or journal are busy for more of the time than `Options::contended_busy_percent`, rises while they are
//! not, to `Options::contended_tenant_percent` at most, and never falls below a tenant's fair part of the former: what
//! one tenant takes is small against what is left idle for those who come now and then. See
//! `docs/adr/0022-a-fair-door.md`.
//!
//! Invariants: who uses less than his part is never held up; alone, nobody is. Deliberately absent: time that
//! streams take, and priorities.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::engine::Shared;
use crate::options::Options;

/// Between two looks: short against what a person notices, long against a wake-up.
const STEP: Duration = Duration::from_millis(20);
/// A step's time is given out in so many parts. All of it at once is used at once: both workers are then busy for half
/// of a step on end, and whoever comes in that moment waits.
const PARTS: u32 = 4;
/// How much of the newest step goes into the mean: about the last ten count.
const NEWEST: f64 = 0.1;
/// How much of what is too much one step makes good. More than a few times [`NEWEST`] and the level swings: the mean
/// tells late.
const GAIN: f64 = 0.2;
/// One step raises the level to no more than that: an idle moment is no reason to open all doors.
const RISE_MAX: f64 = 1.05;
/// The level ends here, in times of what all workers together have: nobody can use more.
const LEVEL_MAX: f64 = 2.0;

/// Of the time that a step has on all workers together, what one tenant may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level(f64);

impl Level {
    /// Nobody is held up.
    pub const FULL: Self = Self(LEVEL_MAX);

    /// The next step's. `busy` is a part of the time, `active` the tenants at work.
    pub fn next(self, busy: f64, bounds: Bounds, active: usize) -> Self {
        if active < 2 {
            return Self::FULL;
        }
        let factor = (bounds.busy / busy.max(f64::MIN_POSITIVE)).powf(GAIN).min(RISE_MAX);
        let part = bounds.busy / active as f64;
        Self((self.0 * factor).clamp(part.min(bounds.tenant), bounds.tenant))
    }

    /// As a tenant's time in nanoseconds per step; nothing when nobody is held up.
    pub fn nanos(self, workers: usize) -> Option<i64> {
        let step = STEP.as_nanos() as f64 * workers as f64;
        (self != Self::FULL).then_some((self.0 * step) as i64)
    }
}

/// What may be used while more than one is at work, as parts of the time of all workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// By all together, before the level falls.
    pub busy: f64,
    /// By one, however little the others use.
    pub tenant: f64,
}

impl Bounds {
    fn new(options: &Options) -> Self {
        let part = |percent: u8| f64::from(percent) / 100.0;
        let tenant = match options.contended_tenant_percent {
            ..100 => part(options.contended_tenant_percent),
            _ => LEVEL_MAX,
        };
        Self { busy: part(options.contended_busy_percent), tenant }
    }
}

/// What was busy how long when somebody last looked.
struct Watch {
    runtime: RuntimeMetrics,
    workers: Duration,
    journal: f64,
    at: Instant,
    mean: f64,
}

impl Watch {
    fn new(shared: &Shared) -> Self {
        let runtime = Handle::current().metrics();
        let (workers, journal) = (busy_time(&runtime), shared.metrics.commit_seconds());
        Self { runtime, workers, journal, at: Instant::now(), mean: 0.0 }
    }

    /// The busier of workers and journal, as part of the time; a mean of the last steps.
    fn look(&mut self, shared: &Shared) -> f64 {
        let elapsed = self.at.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        let (workers, journal) = (busy_time(&self.runtime), shared.metrics.commit_seconds());
        let of_workers = workers.saturating_sub(self.workers).as_secs_f64()
            / (elapsed * self.runtime.num_workers() as f64);
        let of_journal = (journal - self.journal) / elapsed;
        (self.workers, self.journal, self.at) = (workers, journal, Instant::now());
        // A commit counts when it ends, so one step may have more than its own time.
        let now = of_workers.max(of_journal).min(1.0);
        self.mean += NEWEST * (now - self.mean);
        self.mean
    }
}

fn busy_time(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}

/// Paces for ever.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut interval = interval(STEP / PARTS);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(&shared);
    let bounds = Bounds::new(&shared.options);
    let mut level = Level::FULL;
    loop {
        interval.tick().await;
        let busy = watch.look(&shared);
        level = level.next(busy, bounds, shared.door.active());
        let workers = watch.runtime.num_workers();
        shared.metrics.paced(busy, level.0 * workers as f64);
        // Never nothing: that would stand for a time that is not looked at.
        let part = level.nanos(workers).map(|nanos| (nanos / i64::from(PARTS)).max(1));
        shared.door.allow(part);
        for _ in 1..PARTS {
            interval.tick().await;
            shared.door.allow(part);
        }
    }
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
