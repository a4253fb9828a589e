//! What stands on slots, compared with who came in: vehicles without a stay, elsewhere than sent, of a type that
//! the slot does not admit.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, at, bayed, reserve_slot, slot_spec, spec, window};
use life::{entry, plate, stay as session};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::violation::{Kind, State, Violation};
use lotkeeper_engine::lot::{Bays, Command, Scan, StayChange};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::spec::{Kind as LotKind, TypeSet};
use lotkeeper_engine::time::Timestamp;

fn drive_in(world: &mut World, number: u32) {
    world.execute(&Command::Scan(Box::new(entry(number, plate(number))))).unwrap();
    assert!(world.lot.stays().get(session(number)).is_some(), "the gate opened");
}

fn only(world: &World) -> Violation {
    let all: Vec<_> = world.lot.violations().all().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    Violation::clone(all[0])
}

/// Slots seen since an instant; all others are not known.
struct Sees<'a>(&'a [(u16, bool)], Timestamp);

impl Bays for Sees<'_> {
    fn occupied(&self, slot: SlotIndex) -> Option<bool> {
        self.0.iter().find(|(seen, _)| *seen == slot.0).map(|(_, occupied)| *occupied)
    }

    fn occupied_since(&self, slot: SlotIndex) -> Option<Timestamp> {
        self.occupied(slot).map(|_| self.1)
    }

    fn occupancy(&self) -> PerMille {
        PerMille(0)
    }
}

fn watched(slots: usize) -> World {
    let mut spec = bayed(slots);
    spec.rules.enforce_slots = true;
    World::new(spec)
}

fn look(world: &mut World, seen: &[(u16, bool)], since: Timestamp) -> Vec<String> {
    let slots = seen.iter().map(|(slot, _)| SlotIndex(*slot)).collect();
    let bays = Sees(seen, since);
    let command = Command::Look(slots);
    let decision = lotkeeper_engine::lot::decide(&world.lot, &command, world.now, &bays);
    let before = world.entries.len();
    decision.events.into_iter().for_each(|event| world.apply(event));
    world.lot_events_since(before)
}

#[test]
fn a_car_without_a_stay_is_found_after_the_grace_once_and_forgotten_when_it_is_gone() {
    let mut world = watched(2);
    let seen = [(1, true)];
    world.now = at(299);
    assert!(look(&mut world, &seen, at(0)).is_empty(), "grace");
    let again = world.lot.next_look(SlotIndex(1), world.now, &Sees(&seen, at(0)));
    assert_eq!(again, Some(at(300)));
    world.now = at(300);
    assert_eq!(look(&mut world, &seen, at(0)), ["Violation"]);
    let found = only(&world);
    assert_eq!((found.kind, found.slot), (Kind::NoSession, Some(SlotIndex(1))));
    assert_eq!((found.detected, found.since, found.account), (true, at(0), None));
    assert!(look(&mut world, &seen, at(0)).is_empty(), "once");
    let again = world.lot.next_look(SlotIndex(1), world.now, &Sees(&seen, at(0)));
    assert_eq!(again, None);
    world.now = at(400);
    look(&mut world, &[(1, false)], at(400));
    assert_eq!(only(&world).state, State::Resolved);
    assert_eq!(only(&world).reason.as_deref(), Some("vehicle_gone"));
    world.assert_invariants();
}

#[test]
fn lots_that_do_not_ask_find_nothing() {
    let mut world = World::new(bayed(1));
    world.now = at(9_000);
    assert!(look(&mut world, &[(0, true)], at(0)).is_empty());
    assert_eq!(world.lot.next_look(SlotIndex(0), at(9_000), &Sees(&[(0, true)], at(0))), None);
}

#[test]
fn a_car_elsewhere_than_it_was_sent_is_moved_and_one_that_may_be_another_is_not_guessed() {
    let mut world = watched(4);
    drive_in(&mut world, 1);
    let given = world.lot.stays().get(session(1)).unwrap().slot.unwrap();
    assert_eq!(given, SlotIndex(0));
    world.now = at(400);
    // Where its own slot is not seen, it may stand there.
    assert!(look(&mut world, &[(2, true)], at(10)).is_empty());
    let mut two = world.clone();
    assert!(!look(&mut world, &[(0, false), (2, true)], at(10)).is_empty());
    assert_eq!(world.lot.stays().get(session(1)).unwrap().slot, Some(SlotIndex(2)));
    assert_eq!(world.lot.violations().open_count(), 0);
    world.assert_invariants();

    two.now = at(0);
    drive_in(&mut two, 2);
    two.now = at(400);
    let events = look(&mut two, &[(0, false), (1, false), (2, true)], at(10));
    assert!(events.is_empty(), "either of two can be it: {events:?}");
    two.assert_invariants();
}

#[test]
fn who_reserved_may_stand_there_without_a_gate() {
    let mut world = watched(1);
    world.reserve(reserve_slot(1, 0, window(3_600, 7_200))).unwrap();
    for (now, expected) in [(1_000, false), (2_000, true), (7_000, true), (9_000, false)] {
        let mut world = world.clone();
        world.run_until(now);
        let events = look(&mut world, &[(0, true)], at(0));
        assert_eq!(events.is_empty(), expected, "at {now}");
    }
}

#[test]
fn a_vehicle_of_a_type_that_the_slot_does_not_admit_is_found() {
    let mut slot = slot_spec(0);
    slot.vehicle_types = TypeSet(0b10);
    let mut spec = spec(LotKind::Bayed, 2, vec![slot, slot_spec(1)]);
    spec.vehicle_types = vec!["car".into(), "bus".into()];
    spec.rules.enforce_slots = true;
    for (vehicle_type, found) in [("car", 1), ("bus", 0), ("tram", 1)] {
        let mut world = World::new(spec.clone());
        let scan = Scan { vehicle_type: Some(vehicle_type.into()), ..entry(1, plate(1)) };
        world.execute(&Command::Scan(Box::new(scan))).unwrap();
        let place = StayChange::Place { slot: Some(SlotIndex(0)) };
        let command = Command::ChangeStay { id: session(1), change: place, expected_version: None };
        world.execute(&command).unwrap();
        look(&mut world, &[(0, true)], at(0));
        let wrong = world.lot.violations().open().filter(|v| v.kind == Kind::WrongSlotType);
        assert_eq!(wrong.count(), found, "{vehicle_type}");
    }
}
