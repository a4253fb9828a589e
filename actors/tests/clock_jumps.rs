//! A wall clock that jumps: nothing expires at once, the alarm is raised, the right time ends it. And what a
//! start cannot know: how long it was down.
#![allow(clippy::unwrap_used, reason = "a test states what it expects")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use common::{create, options, reserve};
use lotkeeper_actors::{Clock, Engine, LotHandle, Metrics, Options};
use lotkeeper_engine::ids::{ReservationId, SlotIndex};
use lotkeeper_engine::lot::{Choice, State};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::{MemoryJournal, MemoryStore};
use prometheus::Registry;
use uuid::Uuid;

const NOON: Timestamp = Timestamp::from_seconds(1_767_268_800);
const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;
/// The clock is looked at once a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A wall clock that runs with the machine's and can be set.
#[derive(Clone)]
struct Wall {
    started: Instant,
    ahead_seconds: Arc<AtomicI64>,
}

impl Wall {
    fn set(ahead_seconds: i64) -> Self {
        Self { started: Instant::now(), ahead_seconds: Arc::new(AtomicI64::new(ahead_seconds)) }
    }

    fn now(&self) -> Timestamp {
        let run = i64::try_from(self.started.elapsed().as_micros()).unwrap();
        let set = self.ahead_seconds.load(Ordering::SeqCst) * 1_000_000;
        Timestamp::from_micros(NOON.micros() + run + set)
    }
}

struct House {
    engine: Engine,
    registry: Registry,
}

impl House {
    /// Starts over a log, as the server does: never behind its newest record.
    async fn start(store: &MemoryStore, wall: &Wall) -> Self {
        let (journal, recovery) = MemoryJournal::open(store.clone());
        let of_wall = wall.clone();
        let clock = Clock::with_wall(recovery.last_at, move || of_wall.now());
        let options = Options { tick_ms: Some(20), ..options(&Arc::default()) };
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let journal = Box::new(journal);
        let engine = Engine::start(journal, recovery, clock, options, metrics).await.unwrap();
        Self { engine, registry }
    }

    fn alarm(&self) -> bool {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "lotkeeper_clock_disagrees");
        family.unwrap().get_metric()[0].get_gauge().get_value() > 0.5
    }

    async fn alarm_becomes(&self, wanted: bool) {
        let begun = Instant::now();
        while self.alarm() != wanted {
            assert!(begun.elapsed() < PATIENCE, "the alarm does not become {wanted}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A hold of ten minutes on the lot's only slot.
    async fn hold(&self, lot: &LotHandle) -> ReservationId {
        let now = self.engine.now();
        let window = Window { from: now.plus(Seconds(3_600)), to: now.plus(Seconds(7_200)) };
        let held = reserve(1, Choice::Slot(SlotIndex(0)), window, Some(600));
        self.engine.command(lot, held, None).unwrap().await.unwrap();
        ReservationId(Uuid::from_u128(1))
    }

    async fn end(self) {
        self.engine.shutdown(Duration::from_secs(10)).await;
    }
}

fn state(lot: &LotHandle, id: ReservationId) -> State {
    lot.view().lot.reservation(id).unwrap().state
}

fn is_held(state: State) -> bool {
    matches!(state, State::Held { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_jumps_expires_nothing_and_is_reported() {
    for jump in [YEAR, -YEAR] {
        let wall = Wall::set(0);
        let house = House::start(&MemoryStore::default(), &wall).await;
        let lot = create(&house.engine, "L1", 1).await;
        let id = house.hold(&lot).await;
        assert!(!house.alarm());
        wall.ahead_seconds.store(jump, Ordering::SeqCst);
        house.alarm_becomes(true).await;
        // Ticks went on all the while, by the engine's own clock.
        let off_seconds = house.engine.now().micros_since(NOON) / 1_000_000;
        assert!((0..600).contains(&off_seconds), "{off_seconds} s after noon");
        assert!(is_held(state(&lot, id)), "{jump}: {:?}", state(&lot, id));
        // The remedy: the right time; the engine, which had never followed the wrong one, needs no restart.
        wall.ahead_seconds.store(0, Ordering::SeqCst);
        house.alarm_becomes(false).await;
        assert!(is_held(state(&lot, id)));
        house.end().await;
    }
}

/// The machine comes up in the past, as one without a battery does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_in_the_past_does_not_turn_the_log_back() {
    let store = MemoryStore::default();
    let house = House::start(&store, &Wall::set(0)).await;
    let lot = create(&house.engine, "L1", 1).await;
    let id = house.hold(&lot).await;
    let before = house.engine.now();
    house.end().await;

    let wall = Wall::set(-DAY);
    let house = House::start(&store, &wall).await;
    let lot = house.engine.lot("default", "L1").unwrap();
    let since_seconds = house.engine.now().micros_since(before) / 1_000_000;
    assert!((-5..600).contains(&since_seconds), "{since_seconds} s since the newest record");
    house.alarm_becomes(true).await;
    assert!(is_held(state(&lot, id)));
    house.end().await;

    // Set right, and started again.
    let house = House::start(&store, &Wall::set(300)).await;
    let lot = house.engine.lot("default", "L1").unwrap();
    assert!(house.engine.now() >= before && !house.alarm());
    assert!(is_held(state(&lot, id)));
    house.end().await;
}

/// What cannot be helped: a machine that comes up a year ahead looks like one that was down for a year.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_believes_a_wall_clock_that_is_ahead() {
    let store = MemoryStore::default();
    let house = House::start(&store, &Wall::set(0)).await;
    let lot = create(&house.engine, "L1", 1).await;
    let id = house.hold(&lot).await;
    house.end().await;

    let house = House::start(&store, &Wall::set(YEAR)).await;
    let lot = house.engine.lot("default", "L1").unwrap();
    let begun = Instant::now();
    while state(&lot, id) != State::Expired {
        assert!(begun.elapsed() < PATIENCE, "a hold of a year ago");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.end().await;

    // Once it has written, the log's time does not go back: the alarm tells until the wall clock gets there, or
    // an operator restores what was before.
    let house = House::start(&store, &Wall::set(0)).await;
    house.alarm_becomes(true).await;
    assert!(house.engine.now().micros_since(NOON) / 1_000_000 >= YEAR);
    house.end().await;
}
