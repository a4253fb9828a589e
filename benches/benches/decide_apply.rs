//! What a decision costs: readings on a slot, promises in a lot of 10,000 slots, and what is due by itself.
//!
//! `decide` is measured on a lot that stays as it is; `decide + apply` on a copy per sample, so it pays for
//! the parts it shares with that copy as a published state does, and `unshared` as an actor does. Absent:
//! actors, journal, encoding.
//!
//! `cargo bench -p lotkeeper-benches --bench decide_apply`; `cargo test` runs each once.

use std::hint::black_box;
use std::sync::{Arc, LazyLock};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lotkeeper_engine::ids::{LotId, Pseudonym, ReservationId, SlotId, SlotIndex, ZoneIndex};
use lotkeeper_engine::limits::SLOTS_PER_LOT_MAX;
use lotkeeper_engine::lot::{
    self, Bays, Caller, Choice, Command, Lot, Needs, NoBays, Reserve, SlotPatch,
};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::slot::{self, Reading, SensorRules, Slot, Source};
use lotkeeper_engine::spec::{
    Allocation, Criterion as Asked, FeatureSet, Kind, Place, Rules, Size, SlotSpec, Spec, Zone,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

/// Promises per slot in a lot that is full all day.
const STAYS_PER_SLOT: u32 = 8;
/// Kinds of slots (zone and features) in the lot of many kinds.
const KINDS: usize = 400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_750_000_000 + seconds)
}

fn rules() -> Rules {
    Rules::default()
}

/// A lot of the largest size whose slots are of so many kinds.
fn empty_lot(kinds: usize, criteria: Option<Vec<Asked>>) -> Lot {
    let slot = |number: usize| SlotSpec {
        id: SlotId(Uuid::from_u128(number as u128)),
        code: format!("A-{number}").into(),
        zone: u16::try_from(number % kinds / 4).ok().map(ZoneIndex),
        size: Size::Standard,
        features: FeatureSet((number % kinds % 4) as u64),
        walk_metres: u16::try_from(number * 7 % 700).ok(),
        ..SlotSpec::default()
    };
    let zone = |number: usize| Zone {
        code: format!("z-{number}").into(),
        name: format!("Zone {number}").into(),
        level: None,
    };
    Lot::new(Arc::new(Spec {
        id: LotId(Uuid::from_u128(1)),
        tenant: "city".into(),
        code: "L1".into(),
        name: "Market Street".into(),
        kind: Kind::Bayed,
        capacity: u32::try_from(SLOTS_PER_LOT_MAX).expect("it is 10,000"),
        place: Place { time_zone: "Europe/Berlin".into(), ..Place::default() },
        zones: (0..kinds.div_ceil(4)).map(zone).collect(),
        features: vec!["ev".into(), "covered".into()],
        slots: (0..SLOTS_PER_LOT_MAX).map(slot).collect(),
        rules: rules(),
        created_at: at(0),
        allocation: criteria.map_or_else(Allocation::default, Allocation),
        ..Spec::default()
    }))
}

fn reserve(id: u32, choice: Choice, window: Window, hold: Option<Seconds>) -> Reserve {
    Reserve {
        id: ReservationId(Uuid::from_u128(u128::from(id))),
        choice,
        window,
        hold,
        holder: Pseudonym(Uuid::from_u128(u128::from(id / 500))),
        vehicle: None,
        vehicle_type: None,
        discounts: Box::default(),
        series: None,
        request: None,
    }
}

fn window(from_seconds: i64, to_seconds: i64) -> Window {
    Window { from: at(from_seconds), to: at(to_seconds) }
}

/// Decides, applies, and says whether it was granted.
fn execute(lot: &mut Lot, command: &Command, now: Timestamp) -> bool {
    let decision = lot::decide(lot, command, now, &NoBays);
    for event in &decision.events {
        lot::apply(lot, event, now);
    }
    decision.outcome.is_ok()
}

/// Every slot has stays of an hour with gaps of half an hour, each slot shifted by some seconds: gaps
/// everywhere, and none of an hour before the evening.
fn full_lot(kinds: usize, hold: Option<Seconds>, criteria: Option<Vec<Asked>>) -> Lot {
    let mut lot = empty_lot(kinds, criteria);
    for slot in lot.spec().slot_indices() {
        for stay in 0..STAYS_PER_SLOT {
            let from = i64::from(slot.0) % 1_801 + i64::from(stay) * 5_400;
            let id = u32::from(slot.0) * STAYS_PER_SLOT + stay;
            let stay = reserve(id, Choice::Slot(slot), window(from, from + 3_600), hold);
            assert!(execute(&mut lot, &Command::Reserve(stay), at(-2_000)));
        }
    }
    lot
}

/// Made once: 80,000 promises take a while in a debug build.
static FULL: LazyLock<Lot> = LazyLock::new(|| full_lot(1, None, None));
static FULL_OF_KINDS: LazyLock<Lot> = LazyLock::new(|| full_lot(KINDS, None, None));
/// By the walk first: thirteen bands of each kind.
static FULL_BY_WALK: LazyLock<Lot> = LazyLock::new(|| {
    let criteria = vec![Asked::NearestEntrance, Asked::SmallestFit];
    full_lot(KINDS, None, Some(criteria))
});
/// By the shortest opening first: all kinds are one group.
static FULL_BY_WASTE: LazyLock<Lot> =
    LazyLock::new(|| full_lot(KINDS, None, Some(vec![Asked::WasteLeast])));

fn readings(c: &mut Criterion) {
    let sensor = SensorRules { silence: rules().silence, skew: rules().skew };
    let mut group = c.benchmark_group("slot");
    for (name, changes) in [("reading that changes", true), ("reading that repeats", false)] {
        let (mut slot, mut seconds) = (Slot::default(), 0);
        group.bench_function(name, |b| {
            b.iter(|| {
                seconds += 20;
                let command = slot::Command::Read(Reading {
                    occupied: changes && seconds % 40 == 0,
                    observed_at: Some(at(seconds)),
                    sequence: 0,
                    id_hash: u64::from_ne_bytes(seconds.to_ne_bytes()),
                    source: Source::Sensor,
                    confidence_percent: None,
                });
                let decision = slot::decide(&slot, black_box(&command), at(seconds), sensor);
                let decision = decision.expect("observed now");
                if let Some(event) = decision.event {
                    slot::apply(&mut slot, &event, at(seconds));
                }
                if let Some(mark) = decision.heartbeat {
                    slot.note_heartbeat(mark, at(seconds));
                }
            });
        });
    }
    group.finish();
}

/// A vehicle stands on every bay.
struct AllTaken;

impl Bays for AllTaken {
    fn occupied(&self, _slot: SlotIndex) -> Option<bool> {
        Some(true)
    }

    fn occupancy(&self) -> PerMille {
        PerMille::ONE
    }
}

fn promises(c: &mut Criterion) {
    let (empty, full, kinds) = (&empty_lot(1, None), &*FULL, &*FULL_OF_KINDS);
    let (walk, waste) = (&*FULL_BY_WALK, &*FULL_BY_WASTE);
    let any = Choice::Any(Needs::default());
    let given = Choice::Slot(SlotIndex(5_000));
    let (morning, evening) = (window(20_000, 23_600), window(60_000, 63_600));
    let now = at(-2_000);
    let rows: [(&str, &Lot, Choice, Window, bool); 12] = [
        ("given slot, empty lot", empty, given, morning, true),
        ("given slot, full lot", full, given, evening, true),
        ("given slot, taken", full, given, morning, false),
        ("any slot, empty lot", empty, any, morning, true),
        ("any slot, full lot", full, any, morning, false),
        ("any slot, full lot, evening", full, any, evening, true),
        ("any slot, full lot of 400 kinds", kinds, any, morning, false),
        ("any slot, full lot of 400 kinds, evening", kinds, any, evening, true),
        ("any slot, full lot of 400 kinds by walk", walk, any, morning, false),
        ("any slot, full lot of 400 kinds by walk, evening", walk, any, evening, true),
        ("any slot, full lot of 400 kinds by waste", waste, any, morning, false),
        ("any slot, full lot of 400 kinds by waste, evening", waste, any, evening, true),
    ];
    let mut group = c.benchmark_group("decide");
    for (name, lot, choice, window, is_granted) in rows {
        let command = Command::Reserve(reserve(900_000, choice, window, None));
        assert_eq!(lot::decide(lot, &command, now, &NoBays).outcome.is_ok(), is_granted, "{name}");
        group.bench_function(name, |b| {
            b.iter(|| lot::decide(lot, black_box(&command), now, &NoBays));
        });
    }
    let soon = Command::Reserve(reserve(900_000, any, window(-1_000, -500), None));
    assert!(lot::decide(empty, &soon, now, &AllTaken).outcome.is_ok());
    group.bench_function("any slot, empty lot, cars everywhere", |b| {
        b.iter(|| lot::decide(empty, black_box(&soon), now, &AllTaken));
    });
    group.finish();

    let mut group = c.benchmark_group("decide + apply");
    for (name, lot, choice, window) in [
        ("given slot, full lot", full, given, evening),
        ("any slot, empty lot", empty, any, morning),
        ("any slot, full lot, evening", full, any, evening),
        ("any slot, full lot of 400 kinds, evening", kinds, any, evening),
    ] {
        let command = Command::Reserve(reserve(900_000, choice, window, None));
        executes(&mut group, name, lot, &command, now);
    }
    group.finish();
}

/// A lot that nobody reads meanwhile, as an actor has it: nothing is shared.
fn promises_of_an_actor(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide + apply, unshared");
    for (name, mut lot) in [("full lot", FULL.clone()), ("400 kinds", FULL_OF_KINDS.clone())] {
        let any = Choice::Any(Needs::default());
        let mut id = 900_000;
        group.bench_function(
            format!("any slot in the evening and its cancellation, {name}"),
            |b| {
                b.iter(|| {
                    id += 1;
                    let reserve = reserve(id, any, window(60_000, 63_600), None);
                    let cancel =
                        Command::Cancel { id: reserve.id, reason: None, by: Caller::Staff };
                    assert!(execute(&mut lot, &Command::Reserve(reserve), at(-2_000)));
                    assert!(execute(&mut lot, &cancel, at(-2_000)));
                });
            },
        );
    }
    group.finish();
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn executes(group: &mut Group<'_>, name: &str, lot: &Lot, command: &Command, now: Timestamp) {
    group.bench_function(name, |b| {
        let run = |lot: &mut Lot| assert!(execute(lot, black_box(command), now));
        b.iter_batched_ref(|| lot.clone(), run, BatchSize::SmallInput);
    });
}

fn deadlines(c: &mut Criterion) {
    let held = full_lot(1, Some(Seconds(3_600)), None);
    let full = &*FULL;
    let id = ReservationId(Uuid::from_u128(40_003));
    let tick = Command::Tick { listening_since: at(-2_000) };
    let confirm = Command::Confirm { id, by: Caller::Staff };
    let mut group = c.benchmark_group("decide + apply");
    executes(&mut group, "confirm, full lot", &held, &confirm, at(-2_000));
    executes(&mut group, "tick, nothing due", full, &tick, at(-1_900));
    // Stays begin to show half an hour ahead, a few slots in each second.
    executes(&mut group, "tick, 6 due", full, &tick, at(-1_800));
    executes(&mut group, "tick, 1,024 due", full, &tick, at(10_000));
    let patch = SlotPatch { size: Some(Size::Large), ..SlotPatch::default() };
    let change = Command::ChangeSlot { slot: SlotIndex(7), patch, expected_version: None };
    group.sample_size(10);
    executes(&mut group, "slot gets another size", full, &change, at(-2_000));
    group.finish();
}

fn copies(c: &mut Criterion) {
    let (full, kinds) = (&*FULL, &*FULL_OF_KINDS);
    let mut group = c.benchmark_group("lot");
    group.bench_function("copy for a reader", |b| b.iter(|| black_box(full).clone()));
    group.bench_function("copy for a reader, 400 kinds", |b| b.iter(|| black_box(kinds).clone()));
    for (name, from) in
        [("open slots, none of 10,000", 20_000), ("open slots, all of 10,000", 60_000)]
    {
        let open = || full.open_slots(&Needs::default(), window(from, from + 3_600)).count();
        assert_eq!(open(), if from == 60_000 { SLOTS_PER_LOT_MAX } else { 0 });
        group.bench_function(name, |b| b.iter(|| black_box(open())));
    }
    group.sample_size(10);
    group.bench_function("from a snapshot, 80,000 reservations", |b| {
        b.iter_batched(|| full.parts(), Lot::from_parts, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, readings, promises, promises_of_an_actor, deadlines, copies);
criterion_main!(benches);
