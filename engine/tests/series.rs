//! Recurring requests: all occurrences are granted or none, and each is a reservation of its own from then on.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, bayed, cancel, name, reservation, reserve_any, reserve_slot, window};
use life::*;
use lotkeeper_engine::ids::{SeriesId, SlotIndex};
use lotkeeper_engine::limits::OCCURRENCES_MAX;
use lotkeeper_engine::lot::{Caller, Command, Outcome, Rejection, Reserve, State};
use lotkeeper_engine::time::Seconds;
use uuid::Uuid;

const DAY: i64 = 24 * HOUR;

fn series() -> SeriesId {
    SeriesId(Uuid::from_u128(0x3000))
}

fn of_series(reserves: Vec<Reserve>) -> Command {
    let all = reserves.into_iter().map(|reserve| Reserve { series: Some(series()), ..reserve });
    Command::ReserveSeries(all.collect())
}

/// One hour a day on slot 0, from tomorrow on.
fn daily(number: u32) -> Vec<Reserve> {
    let day = |id: u32| {
        let from = i64::from(id) * DAY;
        reserve_slot(id, 0, window(from, from + HOUR))
    };
    (1..=number).map(day).collect()
}

#[test]
fn all_days_are_promised_or_none_and_the_one_in_the_way_is_named() {
    let mut it = World::new(bayed(1));
    put(&mut it, tariff(begun_hours(200)));
    it.reserve(reserve_slot(50, 0, window(3 * DAY, 3 * DAY + 60))).unwrap();
    let before = it.lot.clone();
    let why = Rejection::SlotTaken { slot: SlotIndex(0), clash: window(3 * DAY, 3 * DAY + 60) };
    let refused = Rejection::Occurrence { occurrence: 2, why: Box::new(why) };
    assert_eq!(it.execute(&of_series(daily(5))), Err(refused));
    assert_eq!(it.lot, before);
    it.execute(&cancel(50, Caller::Staff)).unwrap();
    assert_eq!(it.execute(&of_series(daily(5))), Ok(Outcome::Series(series())));
    it.assert_invariants();
    for id in 1..=5 {
        let promised = it.lot.reservation(reservation(id)).unwrap();
        assert_eq!((promised.series, promised.state), (Some(series()), State::Confirmed));
        assert_eq!(promised.price.as_ref().unwrap().fee.total.0, 200);
    }
    it.execute(&cancel(2, Caller::Staff)).unwrap();
    assert_eq!((it.state(1), it.state(3)), (State::Confirmed, State::Confirmed));
}

#[test]
fn windows_of_one_request_that_meet_get_slots_of_their_own() {
    let mut it = World::new(bayed(2));
    let same = |id| reserve_any(id, window(HOUR, 2 * HOUR));
    let full = Rejection::Occurrence { occurrence: 2, why: Box::new(Rejection::NoSlotFree) };
    assert_eq!(it.execute(&of_series(vec![same(1), same(2), same(3)])), Err(full));
    it.execute(&of_series(vec![same(1), same(2)])).unwrap();
    let slot = |id| it.lot.reservation(reservation(id)).unwrap().slot;
    assert_ne!(slot(1), slot(2));
}

#[test]
fn one_id_twice_and_more_occurrences_than_one_may_are_refused() {
    let mut it = World::new(bayed(1));
    let twice = vec![daily(1).remove(0), reserve_slot(1, 0, window(5 * DAY, 6 * DAY))];
    let taken = Rejection::Occurrence { occurrence: 1, why: Box::new(Rejection::IdTaken) };
    assert_eq!(it.execute(&of_series(twice)), Err(taken));
    let most = u32::try_from(OCCURRENCES_MAX).unwrap();
    for count in [0, most + 1] {
        let refused = Rejection::OccurrencesOutOfRange { count: count as usize };
        assert_eq!(it.execute(&of_series(daily(count))), Err(refused));
    }
    it.execute(&of_series(daily(most))).unwrap();
    it.assert_invariants();
}

#[test]
fn the_last_event_is_a_promise_and_its_slot_shows_with_the_next_tick() {
    let mut it = World::new(bayed(2));
    let soon = |id, slot| reserve_slot(id, slot, window(60, HOUR));
    it.execute(&of_series(vec![soon(1, 0), soon(2, 1)])).unwrap();
    it.assert_invariants();
    assert_eq!(it.lot_events_since(0).last().map(String::as_str), Some("Reserved"));
    it.tick();
    let shown = |id| it.lot.reservation(reservation(id)).unwrap().shown;
    assert!(shown(1) && shown(2));
    assert_eq!(name(&it.state(2)), "Confirmed");
}

#[test]
fn held_occurrences_expire_each_by_itself() {
    let mut it = World::new(bayed(1));
    let held = daily(3).into_iter().map(|it| Reserve { hold: Some(Seconds(600)), ..it });
    it.execute(&of_series(held.collect())).unwrap();
    it.execute(&common::confirm(2, Caller::Staff)).unwrap();
    it.run_until(600);
    let states = [it.state(1), it.state(2), it.state(3)];
    assert_eq!(states, [State::Expired, State::Confirmed, State::Expired]);
    it.assert_invariants();
}
