//! The one clock. The engine is given `now`; this is where it comes from.
//!
//! It starts at the wall clock or the newest recorded time, whichever is later, advances with the
//! monotonic clock, and is slewed towards the wall. A large disagreement is an alarm and is not followed:
//! a wrong wall clock must not expire every hold of a city at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lotkeeper_engine::time::Timestamp;

/// Largest correction per second: 500 ppm, what time daemons use too.
const SLEW_MICROS_PER_SECOND: i64 = 500;
/// Beyond this the wall clock is not believed.
const DISAGREEMENT_MICROS_MAX: i64 = 60_000_000;

/// A source of `now`; a copy is the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System { started: Instant, offset_micros: AtomicI64, alarm: AtomicBool, wall: Wall },
    Manual(AtomicI64),
}

/// The wall clock: the machine's, or one of a rehearsal.
struct Wall(Box<dyn Fn() -> Timestamp + Send + Sync>);

impl Wall {
    fn micros(&self) -> i64 {
        (self.0)().micros()
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wall({})", (self.0)())
    }
}

impl Clock {
    /// The machine's time, never behind `floor`.
    #[must_use]
    pub fn system(floor: Timestamp) -> Self {
        Self::with_wall(floor, || Timestamp::from_micros(wall_micros()))
    }

    /// As [`Clock::system`] with another wall clock: to rehearse one that jumps.
    #[must_use]
    pub fn with_wall(
        floor: Timestamp,
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let wall = Wall(Box::new(wall));
        let offset_micros = AtomicI64::new(wall.micros().max(floor.micros()));
        let (started, alarm) = (Instant::now(), AtomicBool::new(false));
        Self(Arc::new(Kind::System { started, offset_micros, alarm, wall }))
    }

    /// A clock that moves when told: for simulation and tests.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Arc::new(Kind::Manual(AtomicI64::new(start.micros()))))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(match &*self.0 {
            Kind::System { started, offset_micros, .. } => {
                offset_micros.load(Ordering::Relaxed).saturating_add(elapsed_micros(*started))
            }
            Kind::Manual(micros) => micros.load(Ordering::Relaxed),
        })
    }

    /// Moves a manual clock forward; a system clock is not moved.
    pub fn advance(&self, seconds: u32) {
        if let Kind::Manual(micros) = &*self.0 {
            micros.fetch_add(i64::from(seconds) * 1_000_000, Ordering::Relaxed);
        }
    }

    /// One second's correction towards the wall clock; tells whether the two disagree too much.
    pub(crate) fn discipline(&self) -> bool {
        let Kind::System { offset_micros, alarm, wall, .. } = &*self.0 else { return false };
        let difference = wall.micros().saturating_sub(self.now().micros());
        let wrong = difference.abs() > DISAGREEMENT_MICROS_MAX;
        if !wrong {
            let step = difference.clamp(-SLEW_MICROS_PER_SECOND, SLEW_MICROS_PER_SECOND);
            offset_micros.fetch_add(step, Ordering::Relaxed);
        }
        if wrong && !alarm.swap(true, Ordering::Relaxed) {
            tracing::error!(
                difference_seconds = difference / 1_000_000,
                "wall clock and engine clock disagree; the wall clock is not followed, restart after setting it"
            );
        } else if !wrong {
            alarm.store(false, Ordering::Relaxed);
        }
        wrong
    }
}

fn elapsed_micros(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX)
}

fn wall_micros() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}
