//! The index of openings against the long way round: thousands of gaps that split, join, vanish and return.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;

use core::cmp::Reverse;

use common::{World, bayed, mixed, reserve_slot};
use lotkeeper_engine::ids::{SlotIndex, ZoneIndex};
use lotkeeper_engine::limits::RESERVATIONS_PER_SLOT_MAX;
use lotkeeper_engine::lot::{Caller, Command, Lot, Needs, Service, SlotPatch};
use lotkeeper_engine::spec::{FeatureSet, Size, Spec};
use lotkeeper_engine::time::{Timestamp, Window};
use proptest::prelude::*;

/// A seeded source of small numbers (xorshift), so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn window(&mut self) -> Window {
        let from = 600 * self.below(2_000).cast_signed();
        common::window(from, from + 600 * (1 + self.below(12).cast_signed()))
    }

    fn needs(&mut self) -> Needs {
        let zone = self.below(4);
        Needs {
            size: Size::ALL[self.below(4) as usize],
            features: FeatureSet(self.below(2)),
            zone: (zone < 2).then_some(ZoneIndex(zone as u16)),
            ..Needs::default()
        }
    }
}

/// The gap of a slot around a window, seen from its timeline.
fn gap_start(lot: &Lot, slot: SlotIndex, window: Window) -> Option<Timestamp> {
    let promise = lot.promise(slot).unwrap();
    let spans = promise.timeline.spans();
    let is_open = promise.service == Service::InService
        && !spans.iter().any(|span| span.window.overlaps(window));
    let before = spans.iter().map(|span| span.window.to).filter(|to| *to <= window.from);
    is_open.then(|| before.max().unwrap_or(Timestamp::MIN))
}

/// Compares one question with a scan of all slots: who is open, and who is the best.
fn compare(lot: &Lot, needs: &Needs, window: Window) {
    let spec = lot.spec();
    let fitting = spec.slot_indices().filter(|slot| needs.fit(spec.slot(*slot).unwrap()));
    let open: Vec<_> =
        fitting.filter_map(|slot| Some((slot, gap_start(lot, slot, window)?))).collect();
    let best = open.iter().min_by_key(|(index, start)| {
        let slot = spec.slot(*index).unwrap();
        let offer = (slot.size, slot.features.0.count_ones(), slot.features, slot.zone);
        (offer, Reverse(*start), *index)
    });
    let found = lot.openings().find(needs, window, 64, |_| false);
    assert_eq!(found, best.map(|(slot, _)| *slot), "{needs:?} {window:?}");
    let mut all: Vec<_> = lot.openings().all(needs, window).collect();
    all.sort_unstable();
    let open: Vec<_> = open.into_iter().map(|(slot, _)| slot).collect();
    assert_eq!(all, open);
    // A reader without the index is told the same.
    assert_eq!(lot.register().open_slots(needs, window).collect::<Vec<_>>(), open);
}

/// What was changed in place is the same as what is built anew, to the last entry.
fn assert_as_built_anew(lot: &Lot) {
    assert!(lot.openings().is_sound());
    let anew = Lot::from(lot.register().clone());
    assert_eq!(lot.openings().sorted(), anew.openings().sorted());
    assert!(anew.openings().is_sound());
    assert!(*lot == anew, "{lot:?} is not {anew:?}");
}

fn gaps_the_long_way(lot: &Lot) -> Vec<(SlotIndex, Timestamp, Timestamp)> {
    let mut gaps = Vec::new();
    for (slot, promise) in lot.spec().slot_indices().zip(lot.promises()) {
        if promise.service != Service::InService {
            continue;
        }
        let mut from = Timestamp::MIN;
        for span in promise.timeline.spans() {
            gaps.push((slot, from, span.window.from));
            from = span.window.to;
        }
        gaps.push((slot, from, Timestamp::MAX));
    }
    gaps.retain(|(_, from, to)| from < to);
    gaps
}

fn service(slot: SlotIndex, open: bool) -> Command {
    let closed = Service::OutOfService { reason: "works".into(), until: None };
    let service = if open { Service::InService } else { closed };
    let patch = SlotPatch { service: Some(service), ..SlotPatch::default() };
    Command::ChangeSlot { slot, patch, expected_version: None }
}

fn turn(world: &mut World, dice: &mut Dice, id: u32) {
    let slots = world.slots.len() as u64;
    let slot = SlotIndex(dice.below(slots) as u16);
    let command = match dice.below(20) {
        0..=13 => Command::Reserve(reserve_slot(id, slot.0, dice.window())),
        14..=16 => common::cancel(dice.below(u64::from(id) + 1) as u32, Caller::Staff),
        17..=18 => {
            let window = dice.window();
            let moved = dice.below(u64::from(id) + 1) as u32;
            common::modify(moved, Some(window.from), Some(window.to))
        }
        _ => service(slot, dice.below(2) == 1),
    };
    // One holder may not have them all.
    let command = match command {
        Command::Reserve(mut reserve) => {
            reserve.holder = common::holder(id / 100);
            Command::Reserve(reserve)
        }
        command => command,
    };
    let _ = world.execute_lot_only(&command);
}

fn run(spec: Spec, turns: u32, seed: u64) -> World {
    let mut world = World::new(spec);
    let mut dice = Dice(seed);
    for id in 0..turns {
        turn(&mut world, &mut dice, id);
        let (needs, window) = (dice.needs(), dice.window());
        compare(&world.lot, &needs, window);
        if id % 64 == 0 {
            assert_as_built_anew(&world.lot);
        }
    }
    assert_eq!(world.lot.openings().sorted(), gaps_the_long_way(&world.lot));
    world.recount();
    world.assert_invariants();
    world
}

#[test]
fn thousands_of_gaps_on_alike_slots_are_found_as_by_a_scan() {
    let world = run(bayed(300), 8_000, 0x5EED_0001);
    let gaps = world.lot.openings().sorted().len();
    assert!(gaps > 2_500, "{gaps} gaps split too few blocks");
}

#[test]
fn thousands_of_gaps_on_slots_of_many_kinds_are_found_as_by_a_scan() {
    let world = run(mixed(200), 4_000, 0x5EED_0002);
    let gaps = world.lot.openings().sorted().len();
    assert!(gaps > 1_500, "{gaps} gaps split too few blocks");
}

proptest! {
    /// Few slots and hours, so that promises touch, fill gaps whole, and are moved onto themselves.
    #[test]
    fn every_change_in_place_leaves_the_index_that_is_built_anew(
        turns in prop::collection::vec((0_u8..8, 0_u16..3, 0_i64..12, 1_i64..4), 1..80),
    ) {
        let mut world = World::new(bayed(3));
        for (id, (what, slot, from, hours)) in (0_u32..).zip(turns) {
            let window = common::window(3_600 * from, 3_600 * (from + hours));
            let other = u32::try_from(from * 7 + hours).unwrap() % (id + 1);
            let command = match what {
                0..=3 => Command::Reserve(reserve_slot(id, slot, window)),
                4 => common::cancel(other, Caller::Staff),
                5 | 6 => common::modify(other, Some(window.from), Some(window.to)),
                _ => service(SlotIndex(slot), hours > 1),
            };
            let _ = world.execute_lot_only(&command);
            assert_as_built_anew(&world.lot);
        }
    }
}

#[test]
fn a_slot_with_all_its_promises_is_offered_again_when_one_is_given_back() {
    let mut world = World::new(bayed(2));
    let hour =
        |number: u32| common::window(7_200 * i64::from(number), 7_200 * i64::from(number) + 3_600);
    let last = u32::try_from(RESERVATIONS_PER_SLOT_MAX).unwrap() - 1;
    let gaps = |world: &World| {
        let sorted = world.lot.openings().sorted();
        sorted.iter().filter(|(slot, ..)| *slot == SlotIndex(0)).count()
    };
    for id in 0..=last {
        assert_eq!(gaps(&world), id as usize + 1);
        world.execute_lot_only(&Command::Reserve(reserve_slot(id, 0, hour(id)))).unwrap();
        if id + 3 > last {
            assert_as_built_anew(&world.lot);
        }
    }
    assert_eq!(gaps(&world), 0);
    let later = hour(last + 9);
    let steps = [
        (common::modify(7, Some(later.from), Some(later.to)), 0),
        (common::cancel(8, Caller::Staff), last as usize + 1),
        (Command::Reserve(reserve_slot(9_000, 0, hour(8))), 0),
        (service(SlotIndex(0), false), 0),
        (common::cancel(9, Caller::Staff), 0),
        (service(SlotIndex(0), true), last as usize + 1),
    ];
    for (command, wanted) in steps {
        world.execute_lot_only(&command).unwrap();
        assert_eq!(gaps(&world), wanted, "{command:?}");
        assert_as_built_anew(&world.lot);
    }
}

#[test]
fn giving_everything_back_leaves_one_gap_per_slot() {
    let mut world = run(bayed(300), 4_000, 0x5EED_0003);
    let mut dice = Dice(7);
    let mut active: Vec<_> =
        world.lot.reservations().filter(|r| r.state.is_active()).map(|r| r.id).collect();
    while !active.is_empty() {
        let id = active.swap_remove(dice.below(active.len() as u64) as usize);
        let cancel = Command::Cancel { id, reason: None, by: Caller::Staff };
        world.execute_lot_only(&cancel).unwrap();
        compare(&world.lot, &Needs::default(), dice.window());
        assert!(active.len() % 8 > 0 || world.lot.openings().is_sound());
    }
    for slot in world.lot.spec().slot_indices() {
        world.execute_lot_only(&service(slot, true)).unwrap();
    }
    let whole = |slot| (slot, Timestamp::MIN, Timestamp::MAX);
    let wanted: Vec<_> = world.lot.spec().slot_indices().map(whole).collect();
    assert_eq!(world.lot.openings().sorted(), wanted);
    assert_eq!(world.lot.openings(), Lot::new(world.lot.spec().clone()).openings());
}

#[test]
fn blocks_that_shrink_and_join_keep_the_latest_end_of_both() {
    // Between two promises each slot has a gap that begins and ends a second after its neighbour's.
    let mut world = World::new(bayed(300));
    let mut id = 0;
    let mut reserve = |slot: u16, from: u32, to: u32| {
        id += 1;
        let mut reserve = reserve_slot(id, slot, common::window(from.into(), to.into()));
        reserve.holder = common::holder(id / 100);
        world.execute_lot_only(&Command::Reserve(reserve)).unwrap();
        assert!(world.lot.openings().is_sound());
        let (needs, latest) = (Needs::default(), common::window(5_000, 9_290));
        let open = world.lot.openings().all(&needs, latest);
        assert!(open.filter(|slot| slot.0 >= 290).count() == 10);
    };
    for slot in (0..300).rev() {
        reserve(slot, 100, 1_000 + u32::from(slot));
        reserve(slot, 9_000 + u32::from(slot), 10_000);
    }
    // Filled, the gaps vanish one by one, all over, and the blocks that are left join.
    for slot in (0..290).map(|number| number * 7 % 290) {
        reserve(slot, 1_000 + u32::from(slot), 9_000 + u32::from(slot));
    }
}

#[test]
fn an_empty_bay_is_preferred_for_a_number_of_probes_and_an_occupied_one_never_refused() {
    let lot = World::new(bayed(5)).lot;
    let find = |probes, standing: &dyn Fn(SlotIndex) -> bool| {
        lot.openings().find(&Needs::default(), common::window(0, 600), probes, standing)
    };
    let rows = [
        (64, 0, 0, "all empty: the lowest"),
        (64, 3, 3, "the first three are occupied"),
        (4, 3, 3, "the last probe finds an empty one"),
        (3, 3, 0, "out of probes: the best one after all"),
        (0, 3, 0, "no probes: nobody asks"),
        (64, 5, 0, "all occupied: the best one"),
    ];
    for (probes, occupied, wanted, why) in rows {
        let found = find(probes, &|slot| slot.0 < occupied);
        assert_eq!(found, Some(SlotIndex(wanted)), "{why}");
    }
}
