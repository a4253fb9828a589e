//! Which tariff a stay is priced by, and what is wrong with one that is refused.

mod tariff_common;

use std::sync::Arc;

use lotkeeper_engine::ids::{SlotIndex, TariffId, ZoneIndex};
use lotkeeper_engine::money::{Amount, BasisPoints, PerMille};
use lotkeeper_engine::tariff::{
    Anchor::Calendar, Assignment, Book, Cancellation, Clock, Discount, Grace, GraceMode, Increment,
    IncrementMode, Off, Overstay, OverstayRate, Periods, RefundStep, Refused, Scope, ServiceFee,
    Tariff, Tax, Threshold, TotalRounding, Unit::Day, Weekdays, When, Zone,
};
use lotkeeper_engine::tariff::{LostTicket, Payer, Period, Rate};
use lotkeeper_engine::time::{Seconds, Timestamp};
use tariff_common::*;
use uuid::Uuid;

fn id(n: u128) -> TariffId {
    TariffId(Uuid::from_u128(n))
}

/// A version in force between two seconds.
fn version(n: u128, version: u32, from: i64, until: Option<i64>) -> Arc<Tariff> {
    Arc::new(Tariff {
        id: id(n),
        version,
        valid_from: Timestamp::from_seconds(from),
        valid_until: until.map(Timestamp::from_seconds),
        ..tariff(flat(100))
    })
}

fn assignment(scope: Scope, vehicle_type: Option<&str>, n: u128) -> Assignment {
    Assignment { scope, vehicle_type: vehicle_type.map(Into::into), tariff: id(n) }
}

/// Which tariff and version is chosen in slot 1 of zone 2.
fn chosen(book: &Book, vehicle_type: Option<&str>, second: i64) -> Option<(TariffId, u32)> {
    let (slot, zone) = (Some(SlotIndex(1)), Some(ZoneIndex(2)));
    let tariff = book.select(slot, zone, vehicle_type, Timestamp::from_seconds(second))?;
    Some((tariff.id, tariff.version))
}

#[test]
fn the_narrower_scope_wins_and_within_it_the_vehicle_type() {
    let scopes = [Scope::Slot(SlotIndex(1)), Scope::Zone(ZoneIndex(2)), Scope::Lot, Scope::Tenant];
    // In every scope one tariff for lorries and one for any: 10 and 11 for the slot, 20 and 21 for the zone.
    for first in 0..4 {
        let mut book = Book::default();
        for (n, scope) in (1_u128..).zip(scopes).skip(first) {
            for (kind, vehicle_type) in [(0, Some("lorry")), (1, None)] {
                book.put(version(n * 10 + kind, 1, 0, None));
                book.assign(assignment(scope, vehicle_type, n * 10 + kind));
            }
        }
        let n = 1 + first as u128;
        assert_eq!(chosen(&book, Some("lorry"), 5), Some((id(n * 10), 1)), "{:?}", scopes[first]);
        assert_eq!(chosen(&book, Some("car"), 5), Some((id(n * 10 + 1), 1)));
        assert_eq!(chosen(&book, None, 5), Some((id(n * 10 + 1), 1)));
    }
    // Another slot and another zone have no part in it.
    let mut other = Book::default();
    other.put(version(1, 1, 0, None));
    other.assign(assignment(Scope::Slot(SlotIndex(7)), None, 1));
    other.assign(assignment(Scope::Zone(ZoneIndex(7)), None, 1));
    assert_eq!(chosen(&other, None, 5), None);
    // A tariff for lorries only, in a narrower scope, leaves cars to the wider one.
    other.put(version(2, 1, 0, None));
    other.assign(assignment(Scope::Slot(SlotIndex(1)), Some("lorry"), 1));
    other.assign(assignment(Scope::Tenant, None, 2));
    assert_eq!(chosen(&other, Some("car"), 5), Some((id(2), 1)));
}

#[test]
fn versions_take_turns_and_tariffs_end() {
    let mut book = Book::default();
    book.put(version(1, 1, 10, None));
    book.put(version(1, 2, 20, Some(30)));
    book.put(version(2, 1, 0, None));
    book.assign(assignment(Scope::Lot, None, 1));
    book.assign(assignment(Scope::Tenant, None, 2));
    // Before the first version the tenant's; then 1; 2 from 20 on, at 30 it has ended and 1 holds again.
    let table = [(9, (2, 1)), (10, (1, 1)), (19, (1, 1)), (20, (1, 2)), (29, (1, 2)), (30, (1, 1))];
    for (second, (n, version)) in table {
        assert_eq!(chosen(&book, None, second), Some((id(n), version)), "second {second}");
    }
    // Ended as a whole at 25: the tenant's from then on; what was booked is found all the same.
    book.end(id(1), Timestamp::from_seconds(25));
    assert_eq!(chosen(&book, None, 24), Some((id(1), 2)));
    assert_eq!(chosen(&book, None, 25), Some((id(2), 1)));
    assert!(book.version(id(1), 2).is_some());
    assert_eq!(book.latest(id(1)).map(|tariff| tariff.version), Some(2));
    // Of two in one scope the one that has begun last.
    book.put(version(3, 1, 40, None));
    book.assign(assignment(Scope::Tenant, None, 3));
    assert_eq!(chosen(&book, None, 39), Some((id(2), 1)));
    assert_eq!(chosen(&book, None, 40), Some((id(3), 1)));
    assert!(book.unassign(&assignment(Scope::Tenant, None, 3)));
    assert!(!book.unassign(&assignment(Scope::Tenant, None, 3)));
    assert_eq!(chosen(&book, None, 40), Some((id(2), 1)));
    assert!(book.take(id(2), 1) && !book.take(id(2), 1));
    assert_eq!(chosen(&book, None, 40), None);
}

#[test]
fn a_book_comes_back_from_its_parts() {
    let mut book = Book::default();
    for n in 1..5 {
        book.put(version(n, 1, 0, None));
        book.assign(assignment(Scope::Lot, (n > 2).then_some("lorry"), n));
    }
    let again = Book::from_parts(book.tariffs().cloned(), book.assignments().cloned());
    assert_eq!(again, book);
    let unknown = assignment(Scope::Lot, None, 9);
    assert_eq!(book.check(None, Some(&unknown)), Err(Refused::Unknown(id(9))));
    assert_eq!(book.check(Some(&version(9, 1, 0, None)), Some(&unknown)), Ok(()));
}

#[test]
fn a_full_book_takes_no_new_version() {
    let mut book = Book::default();
    for n in 1..=10_000 {
        book.put(version(1, n, 0, None));
    }
    let full = Err(Refused::Full { max: 10_000 });
    assert_eq!(book.check(Some(&version(1, 10_001, 0, None)), None), full);
    assert_eq!(book.check(Some(&version(1, 7, 0, None)), None), Ok(()), "it replaces one");
    let to_lot = |n: u32| Assignment {
        vehicle_type: Some(n.to_string().into()),
        ..assignment(Scope::Lot, None, 1)
    };
    (0..64).for_each(|n| book.assign(to_lot(n)));
    assert_eq!(book.check(None, Some(&to_lot(64))), Err(Refused::Crowded { max: 64 }));
    assert_eq!(book.check(None, Some(&to_lot(7))), Ok(()), "it is there already");
    assert_eq!(book.check(None, Some(&assignment(Scope::Tenant, None, 1))), Ok(()));
}

#[test]
fn names_of_zones_are_those_of_the_bundled_rules() {
    let zone = Zone::named("Europe/Berlin").unwrap();
    assert_eq!((zone.name(), &zone), ("Europe/Berlin", &Zone::named("europe/berlin").unwrap()));
    let error = Zone::named("Mars/Olympus").unwrap_err();
    assert!(error.to_string().contains("`Mars/Olympus`"), "{error}");
    assert!(lotkeeper_engine::tariff::tzdb_version().starts_with("20"));
}

/// A tariff in which everything is wrong that can be.
fn wrong() -> Tariff {
    let rate = tiers(&[(60, -1, HOUR, false), (60, 1, 7 * MINUTE, true)]);
    let mut weekly = weekly("bad code", 0, 24, 30, times(10_001));
    if let When::Weekly(weekly) = &mut weekly.when {
        weekly.days = Weekdays(0);
    }
    let slabs = slabs(&[(HOUR, 500), (HOUR, 400)], 300, Some(60));
    let event =
        event("x", "2026-07-01T10:00:00Z", "2026-07-01T10:00:00.5Z", instead(slabs, Clock::Band));
    let share = BasisPoints(10_001);
    let discount = || Discount { code: "D".into(), off: Off::Share(share) };
    let threshold =
        |occupancy| Threshold { occupancy: PerMille(occupancy), multiplier: PerMille(10_001) };
    let step = |before, refund| RefundStep { before: Seconds(before), refund: BasisPoints(refund) };
    let long = Period { unit: Day, anchor: Calendar };
    let bad = Amount(-1);
    let periods = instead(Rate::Periods(Periods { period: long, amount: bad }), Clock::Stay);
    let also = tariff_common::weekly("y", 1, 1, 2, periods);
    Tariff {
        version: 0,
        name: "".into(),
        valid_until: Some(Timestamp::from_seconds(0)),
        bands: Box::new([weekly, event, also]),
        caps: Box::new([cap(Day, Calendar, 1), cap(Day, Calendar, -1)]),
        increment: Increment { seconds: Seconds(0), mode: IncrementMode::Begun },
        grace: Some(Grace { seconds: Seconds(0), mode: GraceMode::Subtracted }),
        demand: Box::new([threshold(500), threshold(500)]),
        overstay: Overstay {
            grace: Seconds(u32::MAX),
            rate: OverstayRate::PerHour(bad),
            multiplier: PerMille(10_001),
            penalty_per_hour: bad,
        },
        discounts: Box::new([discount(), discount()]),
        tax: Some(Tax { code: "".into(), rate: share, included: true, on_penalty: true }),
        service_fee: Some(ServiceFee { payer: Payer::Owner, share, fixed: bad }),
        lost_ticket: Some(LostTicket { amount: bad, instead: true }),
        cancellation: Cancellation {
            steps: Box::new([step(60, 1_000), step(60, 10_001)]),
            no_show: share,
        },
        rounding: TotalRounding { step: Amount(0), ..TotalRounding::UNIT },
        ..tariff(rate)
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let faults = wrong().faults();
    let mut pointers: Vec<&str> = faults.iter().map(|fault| &*fault.pointer).collect();
    pointers.sort_unstable();
    pointers.dedup();
    let expected = [
        "/bands/0/code",
        "/bands/0/multiplier_per_mille",
        "/bands/0/weekly/days",
        "/bands/0/weekly/from",
        "/bands/0/weekly/to",
        "/bands/1/rate/slabs/every_seconds",
        "/bands/1/rate/slabs/longer",
        "/bands/1/rate/slabs/slabs/1/amount",
        "/bands/1/rate/slabs/slabs/1/up_to_seconds",
        "/bands/1/window/to",
        "/bands/2/rate/periods/amount",
        "/cancellation/no_show_bp",
        "/cancellation/steps/1/before_seconds",
        "/cancellation/steps/1/refund_bp",
        "/caps/1",
        "/caps/1/amount",
        "/demand/0/multiplier_per_mille",
        "/demand/1/multiplier_per_mille",
        "/demand/1/occupancy_per_mille",
        "/discounts/0/share_bp",
        "/discounts/1/code",
        "/discounts/1/share_bp",
        "/grace/seconds",
        "/increment/seconds",
        "/lost_ticket/amount",
        "/name",
        "/overstay/grace_seconds",
        "/overstay/multiplier_per_mille",
        "/overstay/penalty_per_hour",
        "/overstay/per_hour",
        "/rate/hourly/tiers/0/amount",
        "/rate/hourly/tiers/0/from_seconds",
        "/rate/hourly/tiers/1/from_seconds",
        "/rate/hourly/tiers/1/per_seconds",
        "/rounding/step",
        "/service_fee/fixed",
        "/service_fee/share_bp",
        "/tax/code",
        "/tax/rate_bp",
        "/valid_until",
        "/version",
    ];
    assert_eq!(pointers, expected);
}

#[test]
fn more_than_a_tariff_holds_is_refused() {
    let many = |count| vec![weekly("b", 0x7f, 1, 2, times(1_000)); count];
    let tiers: Vec<_> = (0..25).map(|n| (n * HOUR, 1, HOUR, false)).collect();
    let steps = vec![RefundStep { before: Seconds(1), refund: BasisPoints(0) }; 17];
    let tariff = Tariff {
        bands: many(33).into(),
        caps: vec![cap(Day, Calendar, 1); 9].into(),
        cancellation: Cancellation { steps: steps.into(), no_show: BasisPoints(0) },
        ..tariff(tariff_common::tiers(&tiers))
    };
    let faults = tariff.faults();
    for pointer in ["/bands", "/caps", "/rate/hourly/tiers", "/cancellation/steps"] {
        assert!(faults.iter().any(|fault| fault.pointer == pointer), "{pointer}");
    }
}
