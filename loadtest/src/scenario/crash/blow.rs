//! The plan of the kills: the same seed gives the same plan. Where a kill hits is another matter, since no
//! clock stops two processes at the same instruction twice; the report says where they hit.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Of a hundred kills, those during a start: right after the one before.
const STARTING_PERCENT: u32 = 20;
/// Those of a server that has nothing to do.
const IDLE_PERCENT: u32 = 5;
/// A start is over by then.
const START_MS_MAX: u64 = 150;
/// How long the load runs, once everything is checked.
const LOAD_MS: (u64, u64) = (20, 600);
/// Of a hundred rotations seen, those that are waited for and hit.
const ROTATION_PERCENT: u32 = 80;
/// A rotation is hit so long after it was seen.
const ROTATION_US_MAX: u64 = 60_000;

/// One kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// So long after the process was started, listening or not.
    Starting { after: Duration },
    /// So long under load; or, where a rotation begins before, so long after that.
    Loaded { after: Duration, rotating: Option<Duration> },
    /// When nothing is under way.
    Idle,
}

/// All kills of a run.
pub fn plan(seed: u64, kills: usize) -> Vec<Blow> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut plan = Vec::with_capacity(kills);
    for nth in 0..kills {
        // The first one has something to destroy.
        let dice = if nth == 0 { 100 } else { rng.random_range(0..100) };
        plan.push(match dice {
            dice if dice < STARTING_PERCENT => {
                let after = Duration::from_micros(rng.random_range(0..START_MS_MAX * 1_000));
                Blow::Starting { after }
            }
            dice if dice < STARTING_PERCENT + IDLE_PERCENT => Blow::Idle,
            _ => {
                let load_us = rng.random_range(LOAD_MS.0 * 1_000..LOAD_MS.1 * 1_000);
                let waits = rng.random_range(0..100) < ROTATION_PERCENT;
                let rotation_us = rng.random_range(0..ROTATION_US_MAX);
                let rotating = waits.then(|| Duration::from_micros(rotation_us));
                Blow::Loaded { after: Duration::from_micros(load_us), rotating }
            }
        });
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_another_seed_another() {
        assert_eq!(plan(7, 200), plan(7, 200));
        assert_ne!(plan(7, 200), plan(8, 200));
        assert_eq!(plan(7, 200)[..50], plan(7, 50)[..]);
    }

    #[test]
    fn a_plan_has_every_kind_and_begins_under_load() {
        let plan = plan(1, 200);
        assert_eq!(plan.len(), 200);
        assert!(matches!(plan[0], Blow::Loaded { .. }));
        let starting = plan.iter().filter(|blow| matches!(blow, Blow::Starting { .. })).count();
        assert!((20..=60).contains(&starting), "{starting}");
        assert!(plan.contains(&Blow::Idle));
        let twice = plan
            .windows(2)
            .any(|pair| matches!(pair, [Blow::Starting { .. }, Blow::Starting { .. }]));
        assert!(twice, "two starts in a row are killed");
    }
}
