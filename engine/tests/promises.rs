//! What is granted and what is refused: boundaries of capacity, windows, closures and preferences.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;

use common::{World, at, bayed, cancel, holder, modify, reservation, reserve_any, reserve_slot};
use common::{rules, window};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::{
    Caller, Choice, Command, Needs, Rejection, Reserve, Service, SlotPatch,
};
use lotkeeper_engine::spec::{FeatureSet, Size};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};

fn slot_of(world: &World, id: u32) -> u16 {
    world.lot.reservation(reservation(id)).expect("it was granted").slot.0
}

fn serve(world: &mut World, slot: u16, service: Service) {
    let patch = SlotPatch { service: Some(service), ..SlotPatch::default() };
    let command = Command::ChangeSlot { slot: SlotIndex(slot), patch, expected_version: None };
    world.execute(&command).unwrap();
}

fn closed() -> Service {
    Service::OutOfService { reason: "works".into(), until: None }
}

#[test]
fn as_many_are_granted_as_there_are_slots_and_one_more_after_a_cancellation() {
    let mut world = World::new(bayed(3));
    let night = window(3_600, 7_200);
    for id in 1..=3 {
        world.reserve(reserve_any(id, night)).unwrap();
    }
    let slots: Vec<_> = (1..=3).map(|id| slot_of(&world, id)).collect();
    assert_eq!(slots, [0, 1, 2]);
    assert_eq!(world.reserve(reserve_any(4, night)), Err(Rejection::NoSlotFree));
    world.execute(&cancel(2, Caller::Staff)).unwrap();
    world.reserve(reserve_any(4, night)).unwrap();
    assert_eq!(slot_of(&world, 4), 1);
    world.assert_invariants();
}

#[test]
fn windows_back_to_back_share_a_slot_and_one_microsecond_more_does_not() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(3_600, 7_200))).unwrap();
    let micros = |time: Timestamp, micros| Timestamp::from_micros(time.micros() + micros);
    let too_long = Window { from: at(1_800), to: micros(at(3_600), 1) };
    let too_early = Window { from: micros(at(7_200), -1), to: at(9_000) };
    for (id, window) in [(2, too_long), (3, too_early)] {
        let clash = common::window(3_600, 7_200);
        let taken = Rejection::SlotTaken { slot: SlotIndex(0), clash };
        assert_eq!(world.reserve(reserve_slot(id, 0, window)), Err(taken));
        assert_eq!(world.reserve(reserve_any(id, window)), Err(Rejection::NoSlotFree));
    }
    world.reserve(reserve_any(2, window(1_800, 3_600))).unwrap();
    world.reserve(reserve_slot(3, 0, window(7_200, 9_000))).unwrap();
    world.assert_invariants();
}

#[test]
fn windows_at_the_limits() {
    let (late, ahead, long) = (
        i64::from(limits::WINDOW_LATE_SECONDS_MAX),
        i64::from(limits::WINDOW_AHEAD_SECONDS_MAX),
        i64::from(limits::WINDOW_SECONDS_MAX),
    );
    let ends = |from, to| Window { from, to };
    let rows = [
        (window(0, 1), None),
        (window(10, 10), Some(Rejection::WindowEmpty)),
        (window(10, 9), Some(Rejection::WindowEmpty)),
        (window(-late, 1), None),
        (window(-late - 1, 1), Some(Rejection::WindowInPast)),
        (window(-10, 0), Some(Rejection::WindowInPast)),
        (window(0, long), None),
        (window(0, long + 1), Some(Rejection::WindowTooLong)),
        (window(ahead, ahead + 1), None),
        (window(ahead + 1, ahead + 2), Some(Rejection::WindowTooLong)),
        (ends(Timestamp::MIN, Timestamp::MAX), Some(Rejection::WindowInPast)),
        (ends(Timestamp::MAX, Timestamp::MIN), Some(Rejection::WindowEmpty)),
        (ends(at(0), Timestamp::MAX), Some(Rejection::WindowTooLong)),
        (ends(Timestamp::MIN, at(10)), Some(Rejection::WindowInPast)),
    ];
    for (window, refusal) in rows {
        let outcome = World::new(bayed(1)).reserve(reserve_slot(1, 0, window));
        assert_eq!(outcome.err(), refusal, "{window:?}");
    }
}

#[test]
fn a_refused_change_keeps_the_old_window() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(3_600, 7_200))).unwrap();
    world.reserve(reserve_slot(2, 0, window(9_000, 10_000))).unwrap();
    let clash = window(9_000, 10_000);
    let rows = [
        (None, Some(9_001), Rejection::SlotTaken { slot: SlotIndex(0), clash }),
        (Some(9_500), Some(9_600), Rejection::SlotTaken { slot: SlotIndex(0), clash }),
        (None, Some(3_600), Rejection::WindowEmpty),
        (Some(-400), None, Rejection::WindowInPast),
        (None, Some(4_000_000_000), Rejection::WindowTooLong),
    ];
    for (from, to, refusal) in rows {
        let before = world.lot.clone();
        assert_eq!(world.execute(&modify(1, from.map(at), to.map(at))), Err(refusal));
        assert_eq!(world.lot, before);
    }
    world.execute(&modify(1, Some(at(5_000)), Some(at(9_000)))).unwrap();
    assert_eq!(world.lot.reservation(reservation(1)).unwrap().window, window(5_000, 9_000));
    world.assert_invariants();
}

#[test]
fn a_stay_that_runs_can_be_prolonged_and_shortened_but_not_into_the_past() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(3_600, 7_200))).unwrap();
    world.run_until(6_000);
    world.execute(&modify(1, None, Some(at(9_000)))).unwrap();
    world.execute(&modify(1, None, Some(at(6_001)))).unwrap();
    let past = world.execute(&modify(1, None, Some(at(6_000))));
    assert_eq!(past, Err(Rejection::WindowInPast));
    let past = world.execute(&modify(1, Some(at(4_000)), None));
    assert_eq!(past, Err(Rejection::WindowInPast));
    world.assert_invariants();
}

#[test]
fn a_closed_slot_keeps_its_promises_and_takes_no_new_time() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(3_600, 7_200))).unwrap();
    serve(&mut world, 0, closed());
    assert_eq!(world.state(1), lotkeeper_engine::lot::State::Confirmed);
    assert_eq!(world.lot.openings().sorted(), []);
    let out_of_service = Rejection::SlotOutOfService { slot: SlotIndex(0), until: None };
    let prolong = world.execute(&modify(1, None, Some(at(7_201))));
    assert_eq!(prolong, Err(out_of_service));
    world.execute(&modify(1, None, Some(at(7_000)))).unwrap();
    assert_eq!(world.reserve(reserve_any(2, window(0, 600))), Err(Rejection::NoSlotFree));
    world.execute(&cancel(1, Caller::Staff)).unwrap();
    serve(&mut world, 0, Service::InService);
    assert_eq!(world.lot.openings().sorted().len(), 1);
    world.assert_invariants();
}

#[test]
fn any_slot_passes_over_a_slot_that_is_booked_out_until_one_of_its_promises_ends() {
    let mut world = World::new(bayed(2));
    for id in 0..limits::RESERVATIONS_PER_SLOT_MAX as u32 {
        let from = 20_000 + 100 * i64::from(id);
        world.reserve(reserve_slot(100 + id, 0, window(from, from + 50))).unwrap();
    }
    world.reserve(reserve_any(1, window(3_600, 7_200))).unwrap();
    assert_eq!(slot_of(&world, 1), 1);
    assert_eq!(world.reserve(reserve_any(2, window(3_600, 7_200))), Err(Rejection::NoSlotFree));
    world.execute(&cancel(130, Caller::Staff)).unwrap();
    world.reserve(reserve_any(2, window(3_600, 7_200))).unwrap();
    assert_eq!(slot_of(&world, 2), 0);
    // Booked out again: a promise on it can still move.
    world.execute(&modify(131, None, Some(at(23_199)))).unwrap();
    world.assert_invariants();
}

#[test]
fn a_holder_has_a_maximum_of_active_reservations() {
    let mut world = World::new(bayed(4));
    let numbers = 0..limits::RESERVATIONS_PER_HOLDER_MAX as u32;
    for id in numbers {
        let from = 20_000 + 100 * i64::from(id / 4);
        let reserve = reserve_slot(id, (id % 4) as u16, window(from, from + 100));
        world.execute_lot_only(&Command::Reserve(reserve)).unwrap();
    }
    let last = reserve_slot(5_000, 0, window(3_600, 7_200));
    assert_eq!(world.reserve(last.clone()), Err(Rejection::TooManyReservations));
    let other = Reserve { holder: holder(2), id: reservation(5_001), ..last.clone() };
    world.reserve(other).unwrap();
    world.execute(&cancel(5_001, Caller::Staff)).unwrap();
    world.execute(&cancel(7, Caller::Staff)).unwrap();
    world.reserve(last).unwrap();
    world.assert_invariants();
}

#[test]
fn any_slot_takes_the_smallest_fit_that_offers_least() {
    let mut spec = bayed(5);
    spec.features.push("shaded".into());
    spec.slots[0].size = Size::Large;
    spec.slots[1].features = FeatureSet(0b011);
    spec.slots[3].size = Size::Compact;
    spec.slots[4].features = FeatureSet(0b100);
    let mut world = World::new(spec);
    let night = window(3_600, 7_200);
    for id in 1..=4 {
        world.reserve(reserve_any(id, night)).unwrap();
    }
    assert_eq!([1, 2, 3, 4].map(|id| slot_of(&world, id)), [2, 4, 1, 0]);
    assert_eq!(world.reserve(reserve_any(5, night)), Err(Rejection::NoSlotFree));
    let needs = |size, features| Choice::Any(Needs { size, features, ..Needs::default() });
    let compact = Reserve { choice: needs(Size::Compact, FeatureSet(0)), ..reserve_any(5, night) };
    world.reserve(compact).unwrap();
    assert_eq!(slot_of(&world, 5), 3);
    let odd = Reserve { choice: needs(Size::Large, FeatureSet(1)), ..reserve_any(6, night) };
    assert_eq!(world.reserve(odd), Err(Rejection::NoSlotFits));
}

#[test]
fn any_slot_fills_the_gap_that_wastes_least() {
    let mut world = World::new(bayed(2));
    world.reserve(reserve_slot(1, 1, window(3_600, 7_200))).unwrap();
    world.reserve(reserve_any(2, window(7_200, 9_000))).unwrap();
    assert_eq!(slot_of(&world, 2), 1);
}

#[test]
fn any_slot_avoids_a_parked_car_only_for_windows_that_begin_soon() {
    let lead = i64::from(rules().hold_lead.0);
    let mut world = World::new(bayed(2));
    world.see(0, true);
    let mut later = world.clone();
    later.reserve(reserve_any(1, window(lead + 1, lead + 600))).unwrap();
    assert_eq!(slot_of(&later, 1), 0, "until then the car is gone");
    world.reserve(reserve_any(1, window(lead, lead + 600))).unwrap();
    assert_eq!(slot_of(&world, 1), 1);
    world.reserve(reserve_any(2, window(lead, lead + 600))).unwrap();
    assert_eq!(slot_of(&world, 2), 0, "a parked car refuses nobody");
}

#[test]
fn a_hold_is_cut_to_the_longest_allowed() {
    let mut world = World::new(bayed(1));
    let week = Some(Seconds(7 * 86_400));
    let reserve = Reserve { hold: week, ..reserve_slot(1, 0, window(500_000, 600_000)) };
    world.reserve(reserve).unwrap();
    let expires_at = at(i64::from(limits::HOLD_SECONDS_MAX));
    assert_eq!(world.state(1), lotkeeper_engine::lot::State::Held { expires_at });
}
