//! A running engine on a journal in memory, and short words for what tests ask of it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lotkeeper_actors::{
    Clock, CommandError, Done, Engine, LotHandle, Metrics, Options, SlotReading,
};
use lotkeeper_engine::ids::{LotId, Pseudonym, ReservationId, SlotId, SlotIndex};
use lotkeeper_engine::lot::{Caller, Choice, Command, Reserve};
use lotkeeper_engine::slot::{Reading, Source};
use lotkeeper_engine::spec::{FeatureSet, Kind, Rules, Size, SlotSpec, Spec};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::{Journal, MemoryJournal, MemoryStore, Recovery};
use uuid::Uuid;

/// 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// Options of a test: deadlines by hand, a failed commit noted instead of ending the process.
pub fn options(failed: &Arc<AtomicBool>) -> Options {
    let failed = Arc::clone(failed);
    Options {
        tick_ms: None,
        on_fatal: Arc::new(move |_| failed.store(true, Ordering::SeqCst)),
        ..Options::default()
    }
}

pub async fn start_with(
    journal: Box<dyn Journal>,
    recovery: Recovery,
    clock: &Clock,
    options: Options,
) -> Engine {
    let started =
        Engine::start(journal, recovery, clock.clone(), options, Metrics::unregistered()).await;
    started.expect("the journal opens and threads start")
}

pub async fn start(store: &MemoryStore, clock: &Clock) -> Engine {
    let (journal, recovery) = MemoryJournal::open(store.clone());
    start_with(Box::new(journal), recovery, clock, options(&Arc::default())).await
}

pub fn rules() -> Rules {
    Rules {
        hold: Seconds(600),
        hold_lead: Seconds(1_800),
        no_show: Seconds(900),
        silence: Seconds(3_600),
        skew: Seconds(60),
        remind_before_start: Seconds(0),
        remind_before_end: Seconds(0),
        ..Rules::default()
    }
}

pub fn spec(code: &str, slots: u128) -> Spec {
    let slot = |number: u128| SlotSpec {
        id: SlotId(Uuid::from_u128(1_000 + number)),
        code: format!("A-{number}").into(),
        zone: None,
        size: Size::Standard,
        features: FeatureSet::default(),
        ..SlotSpec::default()
    };
    let digest = code.bytes().fold(7_u128, |hash, byte| hash * 31 + u128::from(byte));
    Spec {
        id: LotId(Uuid::from_u128(digest)),
        tenant: "default".into(),
        code: code.into(),
        name: code.into(),
        kind: Kind::Bayed,
        capacity: u32::try_from(slots).unwrap(),
        zones: Vec::new(),
        features: Vec::new(),
        slots: (0..slots).map(slot).collect(),
        rules: rules(),
        created_at: START,
        ..Spec::default()
    }
}

pub async fn create(engine: &Engine, code: &str, slots: u128) -> LotHandle {
    engine.create_lot(spec(code, slots), None).await.expect("a new code").lot
}

pub fn reading(slot: u16, occupied: bool, observed_at: Timestamp, sequence: u64) -> SlotReading {
    let reading = Reading {
        occupied,
        observed_at: Some(observed_at),
        sequence,
        id_hash: 0,
        source: Source::Sensor,
        confidence_percent: None,
    };
    SlotReading { slot: SlotIndex(slot), reading }
}

pub fn window(from_seconds: u32, to_seconds: u32) -> Window {
    Window { from: START.plus(Seconds(from_seconds)), to: START.plus(Seconds(to_seconds)) }
}

pub fn reserve(id: u128, choice: Choice, window: Window, hold: Option<u32>) -> Command {
    Command::Reserve(Reserve {
        id: ReservationId(Uuid::from_u128(id)),
        choice,
        window,
        hold: hold.map(Seconds),
        holder: Pseudonym(Uuid::from_u128(1)),
        vehicle: None,
        vehicle_type: None,
        discounts: Box::default(),
        series: None,
        request: None,
    })
}

pub fn confirm(id: u128) -> Command {
    Command::Confirm { id: ReservationId(Uuid::from_u128(id)), by: Caller::Staff }
}

pub fn cancel(id: u128) -> Command {
    Command::Cancel { id: ReservationId(Uuid::from_u128(id)), reason: None, by: Caller::Staff }
}

pub async fn command(
    engine: &Engine,
    lot: &LotHandle,
    command: Command,
) -> Result<Done, CommandError> {
    engine.command(lot, command, None)?.await
}
