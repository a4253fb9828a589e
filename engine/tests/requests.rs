//! What people ask for in their own words, told as stories: with a booking, later, during a stay; and how long the lot
//! remembers it.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use common::{World, at, bayed, cancel, holder, reservation, reserve_slot, window};
use life::*;
use lotkeeper_engine::ids::{Pseudonym, SeriesId};
use lotkeeper_engine::limits::{ENDED_RESERVATIONS_KEPT_PER_LOT, ENDED_SESSIONS_KEPT_PER_LOT};
use lotkeeper_engine::lot::{
    Caller, Command, Event, Lot, Outcome, Owner, Rejection, Reserve, StayChange, session,
};
use uuid::Uuid;

fn words(number: u128) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xA5C0 + number))
}

fn driver() -> Caller {
    Caller::Holder(holder(1))
}

/// What is asked for from now on, and perhaps a later end.
fn ask(by: Caller, request: Option<u128>, to_seconds: Option<i64>) -> Command {
    Command::Modify {
        id: reservation(1),
        choice: None,
        from: None,
        to: to_seconds.map(at),
        request: Some(request.map(words)),
        expected_version: None,
        by,
    }
}

fn asked(world: &World, about: Owner) -> Option<Pseudonym> {
    world.lot.requests().about(about)
}

fn booking(request: Option<u128>) -> Reserve {
    Reserve { request: request.map(words), ..reserve_slot(1, 0, window(HOUR, 2 * HOUR)) }
}

fn with_booking(request: Option<u128>) -> World {
    let mut world = World::new(bayed(2));
    world.reserve(booking(request)).unwrap();
    world
}

#[test]
fn a_holder_asks_with_his_booking_and_changes_his_mind() {
    let mut it = with_booking(Some(1));
    let version = |it: &World| it.lot.reservation(reservation(1)).unwrap().version;
    let done = Ok(Outcome::Reservation(reservation(1)));
    assert_eq!((asked(&it, of_booking(1)), version(&it)), (Some(words(1)), 1));
    for (by, request, told) in [
        (driver(), Some(2), 1),
        (driver(), Some(2), 0),
        (Caller::Staff, Some(3), 1),
        (driver(), None, 1),
        (driver(), None, 0),
        (driver(), Some(1), 1),
    ] {
        let (before, events) = (version(&it), it.decide(&ask(by, request, None)).events);
        assert_eq!(events.len(), told, "{request:?}");
        assert_eq!(it.execute(&ask(by, request, None)), done);
        assert_eq!(asked(&it, of_booking(1)), request.map(words));
        assert_eq!(version(&it), before + u32::try_from(told).unwrap());
        it.assert_invariants();
    }
    let other = ask(Caller::Holder(holder(2)), Some(2), None);
    assert_eq!(it.execute(&other), Err(Rejection::ReservationNotFound));
    assert_eq!(asked(&it, of_booking(1)), Some(words(1)));
}

#[test]
fn who_asks_for_more_time_and_something_else_gets_both_or_neither() {
    let mut it = with_booking(None);
    it.reserve(reserve_slot(2, 0, window(3 * HOUR, 4 * HOUR))).unwrap();
    let refused = it.execute(&ask(driver(), Some(1), Some(3 * HOUR + 60)));
    assert!(matches!(refused, Err(Rejection::SlotTaken { .. })), "{refused:?}");
    assert_eq!(asked(&it, of_booking(1)), None);
    it.execute(&ask(driver(), Some(1), Some(3 * HOUR))).unwrap();
    assert_eq!(asked(&it, of_booking(1)), Some(words(1)));
    assert_eq!(it.lot.reservation(reservation(1)).unwrap().window, window(HOUR, 3 * HOUR));
    // Its own event comes last: it says what a retry is answered.
    let last = it.decide(&ask(driver(), Some(2), Some(2 * HOUR))).events.pop();
    assert!(matches!(last, Some(Event::Requested { .. })), "{last:?}");
}

#[test]
fn it_is_too_late_for_a_change_of_time_but_not_to_ask() {
    let mut it = with_booking(None);
    set_rules(&mut it, |rules| rules.change_until = Some(lotkeeper_engine::time::Seconds(7_200)));
    let late = it.execute(&ask(driver(), Some(1), Some(90 * 60)));
    assert!(matches!(late, Err(Rejection::ChangeTooLate { .. })), "{late:?}");
    it.execute(&ask(driver(), Some(1), None)).unwrap();
    assert_eq!(asked(&it, of_booking(1)), Some(words(1)));
    it.execute(&cancel(1, Caller::Staff)).unwrap();
    let over = it.execute(&ask(driver(), Some(2), None));
    assert!(matches!(over, Err(Rejection::ReservationEnded { .. })), "{over:?}");
    assert_eq!(asked(&it, of_booking(1)), Some(words(1)), "as long as the booking is remembered");
}

#[test]
fn every_occurrence_of_a_series_has_it() {
    let mut it = World::new(bayed(2));
    let series = SeriesId(Uuid::from_u128(7));
    let occurrence = |id: u32| {
        let at = i64::from(id) * 2 * HOUR;
        let first = reserve_slot(id, 0, window(at, at + HOUR));
        Reserve { series: Some(series), request: Some(words(1)), ..first }
    };
    let command = Command::ReserveSeries(vec![occurrence(1), occurrence(2)]);
    let outcome = it.execute(&command).unwrap();
    assert_eq!(outcome, Outcome::Series(series));
    for id in [1, 2] {
        assert_eq!(asked(&it, of_booking(id)), Some(words(1)));
    }
}

#[test]
fn who_is_there_asks_himself_or_has_asked_when_he_booked() {
    let mut it = with_booking(Some(1));
    it.run_until(HOUR);
    opens(&mut it, &entry(1, booked(1)));
    let of = |it: &World| it.lot.request_of_stay(&session(it, 1));
    assert_eq!((of(&it), asked(&it, of_stay(1))), (Some(words(1)), None));
    let before = session(&it, 1).version;
    change(&mut it, 1, StayChange::Request(Some(words(2)))).unwrap();
    assert_eq!((of(&it), session(&it, 1).version), (Some(words(2)), before + 1));
    change(&mut it, 1, StayChange::Request(Some(words(2)))).unwrap();
    assert_eq!(session(&it, 1).version, before + 1, "nothing new");
    change(&mut it, 1, StayChange::Request(None)).unwrap();
    assert_eq!(of(&it), Some(words(1)));
    opens(&mut it, &exit(booked(1)));
    let over = change(&mut it, 1, StayChange::Request(Some(words(3))));
    assert!(matches!(over, Err(Rejection::SessionEnded { .. })), "{over:?}");
    it.assert_invariants();
}

#[test]
fn it_survives_a_snapshot_and_only_for_what_is_remembered() {
    let mut it = with_booking(Some(1));
    it.run_until(HOUR);
    opens(&mut it, &entry(1, booked(1)));
    change(&mut it, 1, StayChange::Request(Some(words(2)))).unwrap();
    let mut parts = it.lot.parts();
    assert_eq!(parts.requests, [(of_booking(1), words(1)), (of_stay(1), words(2))]);
    assert_eq!(Lot::from_parts(parts.clone()), it.lot);
    // A damaged one may speak of what is not there.
    let whole = parts.requests.clone();
    parts.requests.extend([
        (of_booking(9), words(3)),
        (of_stay(9), words(3)),
        (Owner::Vehicle(vehicle(1)), words(3)),
    ]);
    assert_eq!(Lot::from_parts(parts).requests().all().collect::<Vec<_>>(), whole);
}

#[test]
fn it_is_forgotten_with_what_it_is_about() {
    let mut it = with_booking(Some(1));
    it.execute(&cancel(1, Caller::Staff)).unwrap();
    let kept = u32::try_from(ENDED_RESERVATIONS_KEPT_PER_LOT).unwrap();
    for id in 2..=kept {
        it.reserve(reserve_slot(id, 0, window(HOUR, 2 * HOUR))).unwrap();
        it.execute(&cancel(id, Caller::Staff)).unwrap();
    }
    assert_eq!(asked(&it, of_booking(1)), Some(words(1)));
    it.reserve(reserve_slot(kept + 1, 0, window(HOUR, 2 * HOUR))).unwrap();
    it.execute(&cancel(kept + 1, Caller::Staff)).unwrap();
    assert!(it.lot.reservation(reservation(1)).is_none());
    assert_eq!(it.lot.requests().all().count(), 0);

    let mut it = World::new(bayed(1));
    let kept = u32::try_from(ENDED_SESSIONS_KEPT_PER_LOT).unwrap();
    for id in 1..=kept + 1 {
        opens(&mut it, &entry(id, plate(id)));
        if id == 1 {
            change(&mut it, 1, StayChange::Request(Some(words(1)))).unwrap();
        }
        assert_eq!(asked(&it, of_stay(1)), Some(words(1)), "{id}");
        change(&mut it, id, StayChange::Leave { at: None }).unwrap();
    }
    assert!(it.lot.stays().get(stay(1)).is_none());
    assert_eq!(it.lot.requests().all().count(), 0);
}

#[test]
fn what_is_about_nothing_changes_nothing() {
    let mut it = with_booking(None);
    let before = it.lot.clone();
    let request = Some(words(1));
    let unknown = session::Event::Requested { id: stay(9), request };
    for event in [Event::Requested { id: reservation(9), request }, Event::Session(unknown)] {
        it.apply(event);
        assert_eq!(it.lot, before);
    }
}
