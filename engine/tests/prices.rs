//! What was agreed binds: a booking keeps its tariff's version, multiplier and discounts, whatever becomes of the
//! lot's tariffs; and what is kept of it when nobody comes.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use std::sync::Arc;

use common::{World, at, bayed, cancel, holder, modify, reservation, reserve_slot, window};
use life::*;
use lotkeeper_engine::ids::{SlotIndex, TariffId};
use lotkeeper_engine::lot::session::OpenReason;
use lotkeeper_engine::lot::{
    self, Ask, Bays, Caller, Choice, Command, Event, Purpose, Rejection, Reserve, Scan, State,
    TariffChange,
};
use lotkeeper_engine::money::{BasisPoints, PerMille};
use lotkeeper_engine::spec::Arrival;
use lotkeeper_engine::tariff::{
    Assignment, Cancellation, Discount, Off, RefundStep, Refused, Scope, Tariff, Threshold,
};
use lotkeeper_engine::time::Seconds;
use uuid::Uuid;

/// Nothing is seen, but so full is the lot.
struct Full(u32);

impl Bays for Full {
    fn occupied(&self, _slot: SlotIndex) -> Option<bool> {
        None
    }

    fn occupancy(&self) -> PerMille {
        PerMille(self.0)
    }
}

fn world() -> World {
    let mut world = World::new(bayed(3));
    put(&mut world, tariff(begun_hours(200)));
    world
}

fn price(world: &World, id: u32) -> i64 {
    let reservation = world.lot.reservation(reservation(id)).unwrap();
    reservation.price.as_ref().map_or(0, |price| price.fee.total.0)
}

/// Decided while the lot is so full.
fn execute_at(world: &mut World, command: &Command, occupancy: u32) {
    let decision = lot::decide(&world.lot, command, world.now, &Full(occupancy));
    decision.outcome.unwrap();
    decision.events.into_iter().for_each(|event| world.apply(event));
    world.assert_invariants();
}

/// What was posted, and how much the customer owes by it.
fn postings(world: &World) -> Vec<(Purpose, i64)> {
    let posted = world.entries.iter().filter_map(|entry| match entry {
        common::Entry::Lot(Event::Posted(posting), _) => {
            Some((posting.purpose, posting.entries[0].amount.0))
        }
        _ => None,
    });
    posted.collect()
}

#[test]
fn a_booking_keeps_the_version_it_was_made_under_and_a_drive_in_that_of_its_entry() {
    let mut it = world();
    it.reserve(reserve_slot(1, 0, window(0, 2 * HOUR))).unwrap();
    assert_eq!(price(&it, 1), 400);
    opens(&mut it, &entry(2, plate(2)));
    put(&mut it, tariff(begun_hours(900)));
    opens(&mut it, &entry(1, booked(1)));
    opens(&mut it, &entry(3, plate(3)));
    it.run_until(2 * HOUR - 60);
    assert_eq!((due(&it, 1), due(&it, 2), due(&it, 3)), (400, 400, 1_800));
    it.execute(&extend(1, 3 * HOUR)).unwrap();
    assert_eq!((price(&it, 1), due(&it, 1)), (600, 600), "in the same terms");
    it.reserve(reserve_slot(4, 2, window(4 * HOUR, 5 * HOUR))).unwrap();
    assert_eq!(price(&it, 4), 900);
}

#[test]
fn demand_counts_at_the_booking_or_the_entry_and_never_again() {
    let mut it = World::new(bayed(3));
    let demand = [Threshold { occupancy: PerMille(500), multiplier: PerMille(1_500) }];
    put(&mut it, Tariff { demand: demand.into(), ..tariff(begun_hours(200)) });
    let reserve = reserve_slot(1, 0, window(0, HOUR));
    execute_at(&mut it, &Command::Reserve(reserve), 500);
    execute_at(&mut it, &Command::Reserve(reserve_slot(2, 1, window(0, HOUR))), 499);
    assert_eq!((price(&it, 1), price(&it, 2)), (300, 200));
    it.execute(&extend(1, 2 * HOUR)).unwrap();
    execute_at(&mut it, &extend(2, 2 * HOUR), 1_000);
    assert_eq!((price(&it, 1), price(&it, 2)), (600, 400));
    execute_at(&mut it, &Command::Scan(Box::new(entry(3, plate(3)))), 800);
    opens(&mut it, &entry(1, booked(1)));
    it.run_until(60);
    assert_eq!((due(&it, 1), due(&it, 3)), (600, 300));
}

#[test]
fn a_discount_is_known_or_refused_and_stays_with_its_booking() {
    let mut it = World::new(bayed(2));
    let half = Discount { code: "half".into(), off: Off::Share(BasisPoints(5_000)) };
    put(&mut it, Tariff { discounts: [half].into(), ..tariff(begun_hours(200)) });
    let with = |code: &str| Reserve {
        discounts: [Box::from(code)].into(),
        ..reserve_slot(1, 0, window(0, 2 * HOUR))
    };
    let unknown = Err(Rejection::DiscountUnknown { code: "free".into() });
    assert_eq!(it.reserve(with("free")), unknown);
    it.reserve(with("half")).unwrap();
    assert_eq!(price(&it, 1), 200);
    put(&mut it, tariff(begun_hours(200)));
    it.execute(&extend(1, 3 * HOUR)).unwrap();
    assert_eq!(price(&it, 1), 300);
    opens(&mut it, &entry(1, booked(1)));
    it.run_until(3 * HOUR - 60);
    assert_eq!(due(&it, 1), 300);
    // Where there is no tariff there is no discount.
    let mut it = World::new(bayed(1));
    assert!(it.reserve(with("half")).is_err());
}

#[test]
fn a_price_follows_the_window_and_not_the_slot_it_moves_to() {
    let mut it = world();
    let dear = Tariff { id: TariffId(Uuid::from_u128(0x9001)), ..tariff(begun_hours(5_000)) };
    let scope = Scope::Slot(SlotIndex(2));
    let assignment = Assignment { scope, vehicle_type: None, tariff: dear.id };
    let changes = vec![TariffChange::Put(Arc::new(dear)), TariffChange::Assign(assignment)];
    it.execute(&Command::ChangeTariffs(changes)).unwrap();
    it.reserve(reserve_slot(1, 0, window(HOUR, 2 * HOUR))).unwrap();
    it.reserve(reserve_slot(2, 2, window(5 * HOUR, 6 * HOUR))).unwrap();
    assert_eq!((price(&it, 1), price(&it, 2)), (200, 5_000));
    it.execute(&modify_to(1, Some(Choice::Slot(SlotIndex(2))), 3 * HOUR)).unwrap();
    it.assert_invariants();
    assert_eq!(it.lot.reservation(reservation(1)).unwrap().slot, SlotIndex(2));
    assert_eq!(price(&it, 1), 400);
}

#[test]
fn a_vehicle_of_a_type_has_its_own_tariff() {
    let mut it = world();
    let van = Tariff { id: TariffId(Uuid::from_u128(0x9001)), ..tariff(begun_hours(700)) };
    let assignment =
        Assignment { scope: Scope::Lot, vehicle_type: Some("van".into()), tariff: van.id };
    let changes = vec![TariffChange::Put(Arc::new(van)), TariffChange::Assign(assignment)];
    it.execute(&Command::ChangeTariffs(changes)).unwrap();
    let vehicle_type = Some(Box::from("van"));
    it.reserve(Reserve {
        vehicle_type: vehicle_type.clone(),
        ..reserve_slot(1, 0, window(0, HOUR))
    })
    .unwrap();
    assert_eq!(price(&it, 1), 700);
    opens(&mut it, &Scan { vehicle_type, ..entry(2, plate(2)) });
    opens(&mut it, &entry(3, plate(3)));
    it.run_until(60);
    assert_eq!((due(&it, 2), due(&it, 3)), (700, 200));
}

fn with_refunds() -> World {
    let mut world = World::new(bayed(3));
    let step = |before, refund| RefundStep { before: Seconds(before), refund: BasisPoints(refund) };
    let cancellation = Cancellation {
        steps: [step(3_600, 10_000), step(600, 5_000)].into(),
        no_show: BasisPoints(2_500),
    };
    put(&mut world, Tariff { cancellation, ..tariff(begun_hours(200)) });
    world.reserve(reserve_slot(1, 0, window(2 * HOUR, 4 * HOUR))).unwrap();
    world
}

#[test]
fn what_is_kept_of_a_cancelled_booking_hangs_on_when_and_by_whom() {
    let (his, staff) = (Caller::Holder(holder(1)), Caller::Staff);
    for (seconds, by, kept) in [
        (HOUR, his, 0),
        (HOUR + 1, his, 200),
        (2 * HOUR - 600, his, 200),
        (2 * HOUR - 599, his, 400),
        (2 * HOUR + 300, his, 400),
        (HOUR + 1, staff, 0),
        (2 * HOUR + 300, staff, 0),
    ] {
        let mut it = with_refunds();
        it.run_until(seconds);
        it.execute(&cancel(1, by)).unwrap();
        it.assert_invariants();
        let posted = if kept > 0 { vec![(Purpose::Cancellation, kept)] } else { Vec::new() };
        assert_eq!(postings(&it), posted, "{seconds} {by:?}");
        it.execute(&cancel(1, by)).unwrap();
        assert_eq!(owed(&it, of_booking(1)), kept, "asked twice, billed once");
    }
}

#[test]
fn a_hold_that_is_given_up_costs_nothing() {
    let mut it = world();
    let hold = Some(Seconds(600));
    it.reserve(Reserve { hold, ..reserve_slot(1, 0, window(60, HOUR)) }).unwrap();
    it.execute(&cancel(1, Caller::Holder(holder(1)))).unwrap();
    it.reserve(Reserve { hold, ..reserve_slot(2, 0, window(60, HOUR)) }).unwrap();
    it.run_until(600);
    assert_eq!(it.state(2), State::Expired);
    assert_eq!(postings(&it), []);
}

#[test]
fn who_does_not_come_pays_what_the_rule_keeps_and_who_is_believed_pays_all() {
    let mut it = with_refunds();
    set_rules(&mut it, |rules| rules.arrival = Arrival::Proved);
    it.run_until(2 * HOUR + 600);
    assert_eq!(it.state(1), State::NoShow);
    assert_eq!(postings(&it), [(Purpose::Cancellation, 300)]);
    it.run_until(5 * HOUR);
    assert_eq!(postings(&it).len(), 1);

    let mut it = with_refunds();
    it.run_until(5 * HOUR);
    assert_eq!(it.state(1), State::Completed);
    assert_eq!(postings(&it), [(Purpose::Charge, 400)]);
}

#[test]
fn a_stay_is_billed_as_quoted_and_once() {
    let mut it = with_refunds();
    let ask = Ask {
        window: window(2 * HOUR, 4 * HOUR),
        slot: Some(SlotIndex(0)),
        zone: None,
        vehicle_type: None,
        discounts: Box::default(),
        occupancy: PerMille(0),
    };
    let quoted = it.lot.quote(&ask).unwrap().unwrap().fee.total.0;
    assert_eq!(quoted, price(&it, 1));
    it.run_until(2 * HOUR - 300);
    opens(&mut it, &entry(1, booked(1)));
    it.run_until(3 * HOUR);
    pays(&mut it, &pay(1, of_booking(1), None)).unwrap();
    assert_eq!(opens(&mut it, &exit(booked(1))), OpenReason::Paid);
    it.run_until(10 * HOUR);
    assert_eq!(postings(&it)[1..], [(Purpose::Charge, quoted)]);
    assert_eq!(owed(&it, of_booking(1)), 0);
}

#[test]
fn the_version_in_force_when_a_window_begins_is_its_price() {
    let mut it = world();
    let next = Tariff { valid_from: at(10 * HOUR), ..tariff(begun_hours(300)) };
    it.execute(&Command::ChangeTariffs(vec![TariffChange::Put(Arc::new(next))])).unwrap();
    it.reserve(reserve_slot(1, 0, window(9 * HOUR, 11 * HOUR))).unwrap();
    it.reserve(reserve_slot(2, 1, window(10 * HOUR, 11 * HOUR))).unwrap();
    assert_eq!((price(&it, 1), price(&it, 2)), (400, 300));
    it.execute(&modify(1, Some(at(10 * HOUR)), None)).unwrap();
    assert_eq!(price(&it, 1), 200, "what was promised binds");
}

#[test]
fn tariffs_end_and_are_put_without_effect_twice() {
    let mut it = world();
    let entries = it.entries.len();
    put(&mut it, tariff(begun_hours(200)));
    assert_eq!(it.entries.len(), entries, "as it is already");
    let end = Command::ChangeTariffs(vec![TariffChange::End { id: tariff_id(), at: at(HOUR) }]);
    it.execute(&end).unwrap();
    let entries = it.entries.len();
    it.execute(&end).unwrap();
    assert_eq!(it.entries.len(), entries, "ended already");
    it.run_until(HOUR - 1);
    opens(&mut it, &entry(1, plate(1)));
    it.run_until(HOUR);
    opens(&mut it, &entry(2, plate(2)));
    it.run_until(2 * HOUR);
    assert_eq!((due(&it, 1), due(&it, 2)), (400, 0));
    assert_eq!(opens(&mut it, &exit(plate(2))), OpenReason::Paid);
    assert_eq!(session(&it, 2).fee, None);
    let unknown = TariffId(Uuid::from_u128(0xBAD));
    let scope = Scope::Lot;
    let assign = TariffChange::Assign(Assignment { scope, vehicle_type: None, tariff: unknown });
    let refused = Err(Rejection::TariffRefused(Refused::Unknown(unknown)));
    let before = it.lot.tariffs().clone();
    let put = TariffChange::Put(Arc::new(tariff(begun_hours(1))));
    assert_eq!(it.execute(&Command::ChangeTariffs(vec![put, assign])), refused);
    assert_eq!(it.lot.tariffs(), &before, "all of it or nothing");
}
