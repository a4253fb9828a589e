//! What happens by itself: when, in which order, and whether or not the tick came.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;

use common::{World, at, bayed, cancel, confirm, holder, modify, name, reservation, reserve_any};
use common::{reserve_slot, rules, window};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::{
    Caller, Command, LotPatch, Proof, Rejection, Reserve, Service, SlotPatch, State,
};
use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::{Seconds, Timestamp};

fn held(id: u32, slot: u16, from: i64, to: i64, hold_seconds: u32) -> Reserve {
    Reserve { hold: Some(Seconds(hold_seconds)), ..reserve_slot(id, slot, window(from, to)) }
}

fn with_rules(change: impl FnOnce(&mut Rules)) -> World {
    let mut spec = bayed(1);
    change(&mut spec.rules);
    World::new(spec)
}

fn set_rules(world: &mut World, rules: Rules) {
    let patch = LotPatch { rules: Some(rules), ..LotPatch::default() };
    world.execute(&Command::ChangeLot { patch, expected_version: None }).unwrap();
}

fn shown(world: &World) -> Option<lotkeeper_engine::ids::ReservationId> {
    world.lot.promise(SlotIndex(0)).unwrap().shown
}

#[test]
fn a_hold_can_be_confirmed_until_the_instant_it_expires_and_not_at_it() {
    let mut world = World::new(bayed(1));
    world.reserve(held(1, 0, 3_600, 7_200, 600)).unwrap();
    let mut late = world.clone();
    world.now = Timestamp::from_micros(at(600).micros() - 1);
    world.execute(&confirm(1, Caller::Staff)).unwrap();
    late.now = at(600);
    let before = late.entries.len();
    assert_eq!(late.execute(&confirm(1, Caller::Staff)), Err(Rejection::HoldExpired));
    assert_eq!(late.lot_events_since(before), ["Expired"], "the refusal records the expiry");
    assert_eq!(late.state(1), State::Expired);
}

#[test]
fn the_window_of_an_expired_hold_is_granted_without_a_tick() {
    let given = reserve_slot(2, 0, window(3_600, 7_200));
    for second in [given, reserve_any(2, window(3_600, 7_200))] {
        let mut world = World::new(bayed(1));
        world.reserve(held(1, 0, 3_600, 7_200, 600)).unwrap();
        assert!(world.reserve(second.clone()).is_err());
        world.now = at(600);
        let before = world.entries.len();
        world.reserve(second).unwrap();
        assert_eq!(world.lot_events_since(before), ["Expired", "Reserved"]);
        world.assert_invariants();
    }
}

#[test]
fn a_promise_that_begins_soon_shows_at_once() {
    let mut world = World::new(bayed(1));
    world.see(0, false);
    world.reserve(reserve_slot(1, 0, window(1_801, 7_200))).unwrap();
    assert_eq!(world.statuses(), [Status::Free]);
    world.reserve(reserve_slot(2, 0, window(-200, 900))).unwrap();
    assert_eq!(world.statuses(), [Status::Held]);
    assert_eq!(shown(&world), Some(reservation(2)));
    world.run_until(1);
    let ids: Vec<_> = world.lot.reservations().filter(|r| r.shown).map(|r| r.id).collect();
    assert_eq!(ids, [reservation(1), reservation(2)]);
    world.assert_invariants();
}

#[test]
fn two_promises_show_on_one_slot_and_the_earlier_one_is_named() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(2, 0, window(7_200, 9_000))).unwrap();
    world.reserve(reserve_slot(1, 0, window(3_600, 7_200))).unwrap();
    world.run_until(5_400);
    assert!(world.lot.reservations().all(|reservation| reservation.shown));
    assert_eq!(shown(&world), Some(reservation(1)));
    let mut other = world.clone();
    world.run_until(7_200);
    assert_eq!(world.state(1), State::Completed);
    assert_eq!(shown(&world), Some(reservation(2)));
    other.execute(&cancel(2, Caller::Staff)).unwrap();
    assert_eq!(shown(&other), Some(reservation(1)));
    other.execute(&cancel(1, Caller::Staff)).unwrap();
    assert_eq!(shown(&other), None);
    world.assert_invariants();
    other.assert_invariants();
}

#[test]
fn a_moved_promise_shows_when_its_new_start_is_near_and_not_when_it_is_far() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(10_000, 11_000))).unwrap();
    let before = world.entries.len();
    world.execute(&modify(1, Some(at(1_800)), None)).unwrap();
    assert_eq!(world.lot_events_since(before), ["Modified", "HoldBegan"]);
    assert_eq!(shown(&world), Some(reservation(1)));
    world.execute(&modify(1, Some(at(1_801)), None)).unwrap();
    assert_eq!(shown(&world), None);
    assert_eq!(world.lot.next_due_at(), Some(at(1)));
    world.assert_invariants();
}

#[test]
fn a_stay_that_is_put_off_is_judged_anew() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(3_600, 7_200))).unwrap();
    world.run_until(4_200);
    assert_eq!(world.state(1), State::CheckedIn { proof: Proof::Assumed });
    world.execute(&modify(1, Some(at(20_000)), Some(at(22_000)))).unwrap();
    assert_eq!(world.state(1), State::Confirmed);
    world.see(0, false);
    world.run_until(20_599);
    assert_eq!(world.state(1), State::Confirmed);
    world.see(0, false);
    world.run_until(20_600);
    assert_eq!(world.state(1), State::NoShow);
    world.assert_invariants();
}

#[test]
fn a_window_that_ends_before_its_no_show_time_is_judged_at_its_end() {
    let rows = [
        (Some(true), vec!["CheckedIn", "Completed"]),
        (Some(false), vec!["NoShow"]),
        (None, vec!["CheckedIn", "Completed"]),
    ];
    for (seen, events) in rows {
        let mut world = World::new(bayed(1));
        world.reserve(reserve_slot(1, 0, window(0, 300))).unwrap();
        world.run_until(299);
        if let Some(occupied) = seen {
            world.see(0, occupied);
        }
        let before = world.entries.len();
        assert_eq!(world.lot.next_due_at(), Some(at(300)));
        world.run_until(300);
        assert_eq!(world.lot_events_since(before), events, "{seen:?}");
        assert_eq!(world.lot.next_due_at(), None);
    }
}

#[test]
fn deadlines_of_one_instant_happen_in_their_order() {
    // Expiry, start of showing, arrival and end all fall on second 600.
    let mut world = with_rules(|rules| (rules.hold_lead, rules.no_show) = (Seconds(0), Seconds(0)));
    world.reserve(held(1, 0, 600, 1_200, 600)).unwrap();
    world.reserve(reserve_slot(2, 0, window(0, 600))).unwrap();
    world.now = at(600);
    let before = world.entries.len();
    world.reserve(reserve_slot(3, 0, window(600, 900))).unwrap();
    let events = ["CheckedIn", "Expired", "Completed", "Reserved", "HoldBegan"];
    let mut found = world.lot_events_since(before);
    found[..3].sort();
    let mut wanted = events.map(str::to_owned);
    wanted[..3].sort();
    assert_eq!(found, wanted, "nothing shows for the hold that is gone");
    world.assert_invariants();
}

#[test]
fn a_hold_longer_than_its_window_ends_with_it() {
    let mut world = World::new(bayed(1));
    world.reserve(held(1, 0, 0, 300, 9_000)).unwrap();
    world.run_until(299);
    assert_eq!(name(&world.state(1)), "Held");
    world.run_until(300);
    assert_eq!(world.state(1), State::Expired);
}

#[test]
fn new_rules_move_the_deadlines() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(3_600, 7_200))).unwrap();
    assert_eq!(world.lot.next_due_at(), Some(at(1_800)));
    set_rules(&mut world, Rules { hold_lead: Seconds(600), ..rules() });
    assert_eq!(world.lot.next_due_at(), Some(at(3_000)));
    set_rules(&mut world, Rules { hold_lead: Seconds(4_000), no_show: Seconds(60), ..rules() });
    assert_eq!(world.lot.next_due_at(), Some(at(-400)), "a longer lead is due at once");
    world.tick();
    assert_eq!(shown(&world), Some(reservation(1)));
    assert_eq!(world.lot.next_due_at(), Some(at(3_660)));
    set_rules(&mut world, rules());
    assert_eq!(shown(&world), Some(reservation(1)), "what shows goes on to");
    assert_eq!(world.lot.next_due_at(), Some(at(4_200)));
    world.assert_invariants();
}

#[test]
fn a_closure_ends_by_itself_and_a_later_one_counts() {
    let mut world = World::new(bayed(1));
    let mut close = |seconds: Option<i64>| {
        let until = seconds.map(at);
        let service = Service::OutOfService { reason: "works".into(), until };
        let patch = SlotPatch { service: Some(service), ..SlotPatch::default() };
        let slot = SlotIndex(0);
        world.execute(&Command::ChangeSlot { slot, patch, expected_version: None }).unwrap();
        world.lot.next_due_at()
    };
    assert_eq!(close(Some(100)), Some(at(100)));
    assert_eq!(close(Some(200)), Some(at(200)));
    assert_eq!(close(None), None);
    assert_eq!(close(Some(-5)), Some(at(-5)), "one that is over ends at once");
    world.reserve(reserve_any(1, window(0, 600))).unwrap();
    world.assert_invariants();
}

#[test]
fn a_tick_lets_a_bounded_number_happen_and_a_command_everything() {
    let slots = limits::DUE_PER_TICK_MAX / 2 + 10;
    let mut world = World::new(bayed(slots));
    for id in 0..slots as u32 {
        let reserve = reserve_slot(id, id as u16, window(1_801, 7_200));
        world.execute_lot_only(&Command::Reserve(reserve)).unwrap();
    }
    // Each begins to show, is judged and ends: 3 events per reservation.
    world.now = at(10_000);
    let tick = Command::Tick { listening_since: at(0) };
    assert_eq!(world.decide(&tick).events.len(), limits::DUE_PER_TICK_MAX);
    let confirm = confirm(0, Caller::Staff);
    let decision = world.decide(&confirm);
    assert_eq!(decision.events.len(), 3 * slots);
    assert_eq!(decision.outcome, Err(Rejection::ReservationEnded { state: State::Completed }));
    let mut ticks = 0;
    while world.lot.next_due_at().is_some() {
        world.execute_lot_only(&tick).unwrap();
        ticks += 1;
    }
    assert_eq!(ticks, (3 * slots).div_ceil(limits::DUE_PER_TICK_MAX));
    world.recount();
    world.assert_invariants();
}

#[test]
fn ended_reservations_are_forgotten_oldest_first() {
    let mut world = World::new(bayed(1));
    let kept = limits::ENDED_RESERVATIONS_KEPT_PER_LOT as u32;
    // Ids fall, so that the order of ids is not the order of ends.
    for number in 0..kept + 2 {
        let id = kept + 2 - number;
        let reserve =
            Reserve { holder: holder(number / 500), ..reserve_slot(id, 0, window(20_000, 20_600)) };
        world.execute_lot_only(&Command::Reserve(reserve)).unwrap();
        world.execute_lot_only(&cancel(id, Caller::Staff)).unwrap();
    }
    assert_eq!(world.lot.reservations().count(), kept as usize);
    for (id, is_known) in [(kept + 2, false), (kept + 1, false), (kept, true), (1, true)] {
        assert_eq!(world.lot.reservation(reservation(id)).is_some(), is_known, "{id}");
    }
    let unknown = world.execute(&confirm(kept + 2, Caller::Staff));
    assert_eq!(unknown, Err(Rejection::ReservationNotFound));
    let reserve = reserve_slot(9_000, 0, window(20_000, 20_600));
    world.reserve(reserve).unwrap();
    world.assert_invariants();
}
