//! Whoever wants any slot that fits gets the best one under the lot's allocation, as told here in the plainest
//! way: every open slot compared with every other, criterion by criterion.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;

use core::cmp::Ordering;

use common::{World, bayed, reserve_slot};
use lotkeeper_engine::ids::{SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{Command, Lot, LotPatch, Needs, SlotPatch};
use lotkeeper_engine::spec::{
    Allocation, Criterion, FeatureSet, Size, SlotSpec, Spec, TypeSet, walk_band,
};
use lotkeeper_engine::time::{Timestamp, Window};
use proptest::collection::vec;
use proptest::prelude::*;

/// A slot with the opening around the window.
#[derive(Clone, Copy)]
struct Open<'a> {
    index: SlotIndex,
    slot: &'a SlotSpec,
    from: Timestamp,
}

fn open_slots<'a>(lot: &'a Lot, needs: &Needs, window: Window) -> Vec<Open<'a>> {
    let open = |index: SlotIndex| {
        let spans = lot.promise(index).unwrap().timeline.spans();
        let before = spans.iter().map(|span| span.window.to).filter(|to| *to <= window.from);
        let from = before.max().unwrap_or(Timestamp::MIN);
        Open { index, slot: lot.spec().slot(index).unwrap(), from }
    };
    lot.register().open_slots(needs, window).map(open).collect()
}

/// Which of two is better in one respect: the one that is less.
fn compare(criterion: &Criterion, needs: &Needs, one: Open<'_>, two: Open<'_>) -> Ordering {
    let zone = |order: &[ZoneIndex], slot: &SlotSpec| match slot.zone {
        None => (1, 0),
        Some(zone) => match order.iter().position(|known| *known == zone) {
            Some(position) => (0, position),
            None => (2, zone.at()),
        },
    };
    let admitted = |slot: &SlotSpec| match slot.vehicle_types.0 {
        0 => u32::MAX,
        types => types.count_ones(),
    };
    let unasked = |slot: &SlotSpec| {
        let left_over = slot.features.0 & !needs.features.0;
        (left_over.count_ones(), left_over)
    };
    let (a, b) = (one.slot, two.slot);
    match criterion {
        Criterion::SmallestFit => (a.size, admitted(a)).cmp(&(b.size, admitted(b))),
        Criterion::KeepSpecial => unasked(a).cmp(&unasked(b)),
        Criterion::FillZones(order) => zone(order, a).cmp(&zone(order, b)),
        Criterion::NearestEntrance => walk_band(a.walk_metres).cmp(&walk_band(b.walk_metres)),
        Criterion::WasteLeast => two.from.cmp(&one.from),
    }
}

/// The slot that no other open one is better than, under all criteria, and at last in the order of slots.
fn best(lot: &Lot, needs: &Needs, window: Window) -> Option<SlotIndex> {
    let criteria = lot.spec().allocation.0.iter().chain([&Criterion::WasteLeast]);
    let open = open_slots(lot, needs, window).into_iter();
    let best = open.min_by(|one, two| {
        let mut orders = criteria.clone().map(|criterion| compare(criterion, needs, *one, *two));
        let order = orders.find(|order| order.is_ne());
        order.unwrap_or_else(|| one.index.cmp(&two.index))
    });
    best.map(|open| open.index)
}

fn found(lot: &Lot, needs: &Needs, window: Window) -> Option<SlotIndex> {
    lot.openings().find(needs, window, 64, |_| false)
}

fn slot() -> impl Strategy<Value = SlotSpec> {
    let walks = prop::option::of(prop::sample::select(vec![0_u16, 9, 10, 11, 35, 600, 601, 9_000]));
    let zone = prop::option::of((0..3_u16).prop_map(ZoneIndex));
    let types = prop_oneof![2 => Just(0_u64), 1 => 1..8_u64];
    (prop::sample::select(Size::ALL.to_vec()), 0..8_u64, zone, types, walks).prop_map(
        |(size, features, zone, types, walk_metres)| SlotSpec {
            size,
            features: FeatureSet(features),
            zone,
            vehicle_types: TypeSet(types),
            walk_metres,
            ..SlotSpec::default()
        },
    )
}

fn allocation() -> impl Strategy<Value = Allocation> {
    let all = vec![
        Criterion::SmallestFit,
        Criterion::KeepSpecial,
        Criterion::FillZones(vec![ZoneIndex(2), ZoneIndex(0)]),
        Criterion::NearestEntrance,
        Criterion::WasteLeast,
    ];
    (Just(all).prop_shuffle(), 0..=5_usize).prop_map(|(mut all, kept)| {
        all.truncate(kept);
        Allocation(all)
    })
}

fn needs() -> impl Strategy<Value = Needs> {
    let sizes = prop::sample::select(vec![Size::Motorcycle, Size::Standard, Size::Large]);
    let zone = prop::option::weighted(0.2, (0..3_u16).prop_map(ZoneIndex));
    let features = prop_oneof![3 => Just(0_u64), 1 => 0..8_u64];
    (sizes, features, zone, 0..8_u64).prop_map(|(size, features, zone, types)| Needs {
        size,
        features: FeatureSet(features),
        zone,
        vehicle_type: TypeSet(types),
    })
}

#[derive(Clone, Debug)]
enum Turn {
    Ask(Needs),
    Promise { slot: u16 },
    Allocate(Allocation),
    Change { slot: u16, types: u8, walk_metres: Option<u16> },
}

fn turns() -> impl Strategy<Value = Vec<(Turn, i64, i64)>> {
    let turn = prop_oneof![
        6 => needs().prop_map(Turn::Ask),
        6 => (0..24_u16).prop_map(|slot| Turn::Promise { slot }),
        1 => allocation().prop_map(Turn::Allocate),
        1 => (0..24_u16, 0..4_u8, any::<Option<u16>>())
            .prop_map(|(slot, types, walk_metres)| Turn::Change { slot, types, walk_metres }),
    ];
    vec((turn, 0..10_i64, 1..4_i64), 1..60)
}

fn lot_of(slots: Vec<SlotSpec>, allocation: Allocation) -> Spec {
    let mut spec = bayed(slots.len());
    let mut third = spec.zones[0].clone();
    third.code = "level-3".into();
    spec.zones.push(third);
    spec.features = ["ev", "covered", "accessible"].map(Into::into).into();
    spec.vehicle_types = ["car", "van", "taxi"].map(Into::into).into();
    for (slot, wanted) in spec.slots.iter_mut().zip(slots) {
        *slot = SlotSpec { id: slot.id, code: slot.code.clone(), ..wanted };
    }
    spec.allocation = allocation;
    spec
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_chosen_slot_is_never_worse_than_another_open_one(
        slots in vec(slot(), 1..24), allocation in allocation(), turns in turns(),
    ) {
        let mut world = World::new(lot_of(slots, allocation));
        for (id, (turn, from, hours)) in (0_u32..).zip(turns) {
            let window = common::window(3_600 * from, 3_600 * (from + hours));
            let command = match turn {
                Turn::Ask(needs) => {
                    let wanted = best(&world.lot, &needs, window);
                    prop_assert_eq!(found(&world.lot, &needs, window), wanted, "{:?}", needs);
                    continue;
                }
                Turn::Promise { slot } => Command::Reserve(reserve_slot(id, slot, window)),
                Turn::Allocate(allocation) => {
                    let patch = LotPatch { allocation: Some(allocation), ..LotPatch::default() };
                    Command::ChangeLot { patch, expected_version: None }
                }
                Turn::Change { slot, types, walk_metres } => {
                    let names = ["van", "hearse", "car"].into_iter().take(types.into());
                    let patch = SlotPatch {
                        vehicle_types: Some(names.map(Into::into).collect()),
                        walk_metres: Some(walk_metres),
                        ..SlotPatch::default()
                    };
                    Command::ChangeSlot { slot: SlotIndex(slot), patch, expected_version: None }
                }
            };
            let _ = world.execute_lot_only(&command);
            // I5 and I7: the classes that a change moved are those of an index built anew.
            let broken = lotkeeper_engine::invariants::check_lot(&world.lot);
            prop_assert!(broken.is_empty(), "{broken:?} after {command:?}");
        }
    }
}

/// Slots in a row: zone, size, features, types, metres on foot.
fn row(zone: u16, size: Size, features: u64, types: u64, walk: u16) -> SlotSpec {
    SlotSpec {
        zone: Some(ZoneIndex(zone)),
        size,
        features: FeatureSet(features),
        vehicle_types: TypeSet(types),
        walk_metres: (walk > 0).then_some(walk),
        ..SlotSpec::default()
    }
}

#[test]
fn each_criterion_decides_where_those_before_it_do_not() {
    use Criterion::{FillZones, KeepSpecial, NearestEntrance, SmallestFit, WasteLeast};
    use Size::{Compact, Large, Standard};
    let slots = vec![
        row(0, Large, 0, 0, 0),
        row(0, Standard, 0b01, 0, 20),
        row(1, Standard, 0, 0, 120),
        row(1, Standard, 0, 0, 45),
        row(2, Compact, 0b10, 0, 10),
        row(2, Compact, 0, 0b100, 15),
    ];
    let zones = |zones: &[u16]| FillZones(zones.iter().copied().map(ZoneIndex).collect());
    let standard = Needs { size: Standard, ..Needs::default() };
    let small = Needs { size: Compact, ..Needs::default() };
    let ev = Needs { features: FeatureSet(0b01), ..standard };
    let taxi = Needs { vehicle_type: TypeSet(0b100), ..small };
    // Slot 3 was promised until shortly before the window.
    for (criteria, needs, wanted, why) in [
        (vec![], standard, 3, "without criteria, the shortest opening"),
        (vec![SmallestFit], small, 4, "the smallest that fits"),
        (vec![SmallestFit], taxi, 5, "of one size, the one for the fewest"),
        (vec![SmallestFit, zones(&[0])], standard, 1, "of one size, the first zone"),
        (vec![zones(&[1]), SmallestFit], standard, 3, "the named zone first"),
        (vec![zones(&[]), NearestEntrance], standard, 1, "the lot's order of zones, then the walk"),
        (vec![NearestEntrance], small, 4, "the shortest walk"),
        (vec![NearestEntrance], standard, 1, "the shortest walk that fits"),
        (vec![KeepSpecial, NearestEntrance], standard, 3, "special slots last"),
        (vec![KeepSpecial, zones(&[0])], standard, 0, "a plain slot first, however large"),
        (vec![KeepSpecial], ev, 1, "special slots for those who ask"),
        (vec![WasteLeast, zones(&[0])], standard, 3, "the shortest opening before all"),
    ] {
        let mut world = World::new(lot_of(slots.clone(), Allocation(criteria.clone())));
        let before = reserve_slot(1, 3, common::window(0, 3_600));
        world.execute_lot_only(&Command::Reserve(before)).unwrap();
        let window = common::window(7_200, 10_800);
        assert_eq!(best(&world.lot, &needs, window), Some(SlotIndex(wanted)), "{why}");
        assert_eq!(found(&world.lot, &needs, window), Some(SlotIndex(wanted)), "{why}");
    }
}

#[test]
fn a_slot_for_some_types_is_for_nobody_who_does_not_say_his() {
    let slots = vec![row(0, Size::Standard, 0, 0b011, 0), row(0, Size::Standard, 0, 0, 0)];
    let lot = World::new(lot_of(slots, Allocation::default())).lot;
    for (types, wanted) in
        [(0, vec![1]), (0b001, vec![0, 1]), (0b010, vec![0, 1]), (0b100, vec![1])]
    {
        let needs = Needs { vehicle_type: TypeSet(types), ..Needs::default() };
        let window = common::window(0, 600);
        let mut open: Vec<u16> = lot.openings().all(&needs, window).map(|slot| slot.0).collect();
        open.sort_unstable();
        assert_eq!(open, wanted, "{types:b}");
        let told = lot.register().open_slots(&needs, window).map(|slot| slot.0);
        assert_eq!(told.collect::<Vec<_>>(), wanted, "{types:b}");
    }
}

/// The empty bay goes before the occupied one across classes that the allocation does not tell apart.
#[test]
fn probes_for_an_empty_bay_go_on_over_a_group_and_into_the_next() {
    let slots = vec![
        row(0, Size::Standard, 0b01, 0, 0),
        row(1, Size::Standard, 0, 0, 0),
        row(2, Size::Standard, 0, 0, 0),
        row(0, Size::Large, 0, 0, 0),
    ];
    let lot = World::new(lot_of(slots, Allocation(vec![Criterion::SmallestFit]))).lot;
    for (probes, occupied, wanted) in
        [(64, 0, 0), (64, 1, 1), (64, 2, 2), (64, 3, 3), (64, 4, 0), (3, 3, 0), (4, 3, 3)]
    {
        let window = common::window(0, 600);
        let standing = |slot: SlotIndex| slot.0 < occupied;
        let found = lot.openings().find(&Needs::default(), window, probes, standing);
        assert_eq!(found, Some(SlotIndex(wanted)), "{probes} probes, {occupied} occupied");
    }
}
