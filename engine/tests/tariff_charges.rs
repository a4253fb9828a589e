//! Worked examples of what comes after the price of time: overstay, passes, discounts, tax, fees, refunds.
//!
//! Each amount was computed by hand; the comment says how. Amounts are in cents.

mod tariff_common;

use lotkeeper_engine::money::{Amount, BasisPoints, PerMille, Rounding};
use lotkeeper_engine::tariff::{
    Anchor::Calendar, Cancellation, Coverage, Covers, Demand, Discount, Ending, Extra, Fee, Grace,
    GraceMode, Increment, IncrementMode, LineKind, LostTicket, Off, Overstay, OverstayRate, Payer,
    RefundStep, ServiceFee, Stay, Tariff, Tax, TotalRounding, Unit::Day, Unpriceable, Zone, price,
};
use lotkeeper_engine::time::{Seconds, Timestamp};
use tariff_common::*;

/// Booked from ten to twelve.
fn booked() -> Stay {
    Stay::booked(window("2026-07-01T10:00:00Z", "2026-07-01T12:00:00Z"), Zone::utc())
}

/// The same, stayed until an instant of that day.
fn left(time: &str) -> Stay {
    let day = "2026-07-01T";
    booked().stayed(at("2026-07-01T10:00:00Z"), at(&format!("{day}{time}Z")))
}

/// A stay of ten hours.
fn ten_hours() -> Stay {
    Stay::drive_in(at("2026-07-01T08:00:00Z"), at("2026-07-01T18:00:00Z"), Zone::utc())
}

fn strict() -> Tariff {
    Tariff {
        overstay: Overstay {
            grace: Seconds(15 * MINUTE),
            rate: OverstayRate::Continued,
            multiplier: PerMille(1_500),
            penalty_per_hour: Amount(1_000),
        },
        ..tariff(by_time(200))
    }
}

#[test]
fn a_quote_binds() {
    let quote = fee(&strict(), &booked());
    assert_eq!(
        (quote.total, quote.booked, quote.stayed),
        (Amount(400), Seconds(7_200), Seconds(0))
    );
    // Late and early change nothing; neither does coming before the window.
    for (entered, gone) in
        [("10:00", "12:00"), ("11:59", "12:00"), ("10:00", "10:01"), ("09:50", "11:00")]
    {
        let instant = |time| at(&format!("2026-07-01T{time}:00Z"));
        let bill = fee(&strict(), &booked().stayed(instant(entered), instant(gone)));
        assert_eq!((bill.total, &bill.lines), (Amount(400), &quote.lines), "{entered} to {gone}");
    }
}

#[test]
fn overstay_and_penalty_count_from_the_booked_end() {
    use LineKind::{Base, Overstay as Over, Penalty};
    // Up to the last second of grace nothing is added.
    assert_eq!(fee(&strict(), &left("12:15:00")).total, Amount(400));
    // A second later 901 seconds count: at 2.00 an hour and one and a half 75.08 cents; one begun hour of penalty.
    let late = fee(&strict(), &left("12:15:01"));
    assert_eq!(
        lines(&late),
        [(Base, "hourly", 400), (Over, "overstay", 75), (Penalty, "penalty", 1_000)]
    );
    assert_eq!((late.lines[1].seconds, late.lines[2].quantity), (Seconds(901), 1));
    assert_eq!(late.lines[1].window, Some(window("2026-07-01T12:00:00Z", "2026-07-01T12:15:01Z")));
    // An hour exactly: 3.00 and one hour of penalty; a second more: 300.08 cents and two.
    assert_eq!(fee(&strict(), &left("13:00:00")).total, Amount(400 + 300 + 1_000));
    assert_eq!(fee(&strict(), &left("13:00:01")).total, Amount(400 + 300 + 2_000));
}

#[test]
fn overstay_may_have_a_rate_of_its_own() {
    // Flat 5.00; 6.00 an hour past the end, doubled, in half hours. 20 minutes are 30: 6.00.
    let rule = Overstay {
        rate: OverstayRate::PerHour(Amount(600)),
        multiplier: PerMille(2_000),
        ..Overstay::GOES_ON
    };
    let increment = Increment { seconds: Seconds(30 * MINUTE), mode: IncrementMode::Begun };
    let tariff = Tariff { overstay: rule, increment, ..tariff(flat(500)) };
    assert_eq!(fee(&tariff, &left("12:20:00")).total, Amount(1_100));
}

#[test]
fn time_past_the_end_goes_on_where_no_rule_says_else() {
    // First hour 3.00, then 2.00: the third hour is 2.00 more, as if three hours had been booked.
    let tariff = tariff(tiers(&[(0, 300, HOUR, true), (HOUR, 200, HOUR, true)]));
    assert_eq!(fee(&tariff, &left("13:00:00")).total, Amount(700));
    // What is paid for already is not paid for again: 90 minutes booked cost two begun hours, the rest of the
    // second is theirs.
    let stay = Stay::booked(window("2026-07-01T10:00:00Z", "2026-07-01T11:30:00Z"), Zone::utc());
    let stay = stay.stayed(at("2026-07-01T10:00:00Z"), at("2026-07-01T12:00:00Z"));
    assert_eq!(fee(&tariff, &stay).total, Amount(500));
    // A cap that is reached holds for the overstay, too: 10.00 in all.
    let capped = capped(by_time(600), &[cap(Day, Calendar, 1_000)]);
    assert_eq!(fee(&capped, &left("15:00:00")).total, Amount(1_000));
}

#[test]
fn grace_at_both_ends() {
    // Ten minutes free at the start, fifteen past the end. A window of ten minutes is free; a quarter of an hour
    // past it is, too; a second later 901 seconds at 3.00 an hour and a begun hour of penalty are due.
    let grace = Some(Grace { seconds: Seconds(600), mode: GraceMode::FreeIfShorter });
    let tariff = Tariff { grace, ..strict() };
    let short = |gone: &str| {
        let window = window("2026-07-01T10:00:00Z", "2026-07-01T10:10:00Z");
        let stay = Stay::booked(window, Zone::utc());
        fee(&tariff, &stay.stayed(window.from, at(gone))).total
    };
    assert_eq!(short("2026-07-01T10:10:00Z"), Amount(0));
    assert_eq!(short("2026-07-01T10:25:00Z"), Amount(0));
    assert_eq!(short("2026-07-01T10:25:01Z"), Amount(75 + 1_000));
}

#[test]
fn discounts_take_off_the_price_of_time_only() {
    let off = |code: &str, off| Discount { code: code.into(), off };
    let tenth = off("TENTH", Off::Share(BasisPoints(1_000)));
    let one = off("ONE", Off::Amount(Amount(100)));
    let all = off("ALL", Off::Amount(Amount(100_000)));
    let with = |discounts: &[Discount]| Stay { discounts: discounts.into(), ..ten_hours() };
    let plain = tariff(by_time(200));
    // 20.00 less a tenth is 18.00, less 1.00 is 17.00; the other way round 19.00, 17.10.
    let both = fee(&plain, &with(&[tenth.clone(), one.clone()]));
    assert_eq!(
        (both.total, both.discount, both.subtotal),
        (Amount(1_700), Amount(300), Amount(1_700))
    );
    assert_eq!(fee(&plain, &with(&[one, tenth.clone()])).total, Amount(1_710));
    // More than there is takes off what there is.
    assert_eq!(fee(&plain, &with(std::slice::from_ref(&all))).total, Amount(0));
    // Overstay and penalty stay: 4.00 are off, 3.00 and 10.00 are not.
    let late = Stay { discounts: vec![all], ..left("13:00:00") };
    assert_eq!(fee(&strict(), &late).total, Amount(1_300));
    // A tariff knows its own discounts.
    let knowing = Tariff { discounts: Box::new([tenth.clone()]), ..plain };
    assert_eq!((knowing.discount("TENTH"), knowing.discount("none")), (Some(&tenth), None));
}

#[test]
fn passes_pay_for_time() {
    let pass = |covers| Some(Coverage { code: "P-1".into(), covers });
    let with = |covers| Stay { pass: pass(covers), ..ten_hours() };
    // First hour 3.00, then 2.00: ten hours are 21.00.
    let tariff = tariff(tiers(&[(0, 300, HOUR, false), (HOUR, 200, HOUR, false)]));
    let table = [
        (Covers::Whole, 0),
        // Half of 21.00.
        (Covers::Share(PerMille(500)), 1_050),
        // The first hour and a half: 3.00 and 1.00.
        (Covers::First(Seconds(90 * MINUTE)), 1_700),
        (Covers::First(Seconds(DAY)), 0),
        (Covers::First(Seconds(0)), 2_100),
    ];
    for (covers, cents) in table {
        assert_eq!(fee(&tariff, &with(covers)).total, Amount(cents), "{covers:?}");
    }
    // Never for overstay and penalty.
    let late = Stay { pass: pass(Covers::Whole), ..left("13:00:00") };
    assert_eq!(fee(&strict(), &late).total, Amount(1_300));
    // A discount takes its share of what the pass leaves: 10.50 less a tenth.
    let tenth = Discount { code: "T".into(), off: Off::Share(BasisPoints(1_000)) };
    let both = Stay { discounts: vec![tenth], ..with(Covers::Share(PerMille(500))) };
    assert_eq!(fee(&tariff, &both).total, Amount(945));
}

#[test]
fn taxes_on_top_and_contained() {
    let taxed = |included, on_penalty, of: Tariff| Tariff {
        tax: Some(Tax { code: "VAT".into(), rate: BasisPoints(1_900), included, on_penalty }),
        ..of
    };
    let shown = |fee: Fee| (fee.subtotal.0, fee.tax.0, fee.total.0);
    // 10.00: 1.90 on top.
    assert_eq!(
        shown(fee(&taxed(false, true, tariff(flat(1_000))), &booked())),
        (1_000, 190, 1_190)
    );
    // 11.90 contain 1.90, which is no line.
    let inside = fee(&taxed(true, true, tariff(flat(1_190))), &booked());
    assert_eq!(inside.of(LineKind::Tax), Amount(0));
    assert_eq!(shown(inside), (1_190, 190, 1_190));
    // 4.00, overstay 3.00, penalty 10.00: 19 % of 17.00 are 3.23, of 7.00 are 1.33.
    assert_eq!(shown(fee(&taxed(false, true, strict()), &left("13:00:00"))), (1_700, 323, 2_023));
    assert_eq!(shown(fee(&taxed(false, false, strict()), &left("13:00:00"))), (1_700, 133, 1_833));
    // An extra says for itself: 4.00 + 5.00 + 2.00, of which 9.00 are taxed: 1.71.
    let extra =
        |amount, taxed| Extra { code: "x".into(), amount: Amount(amount), quantity: 1, taxed };
    let stay = Stay { extras: vec![extra(500, true), extra(200, false)], ..booked() };
    assert_eq!(shown(fee(&taxed(false, true, strict()), &stay)), (1_100, 171, 1_271));
}

#[test]
fn the_marketplace_takes_its_fee() {
    let service = |payer| Tariff {
        service_fee: Some(ServiceFee { payer, share: BasisPoints(1_000), fixed: Amount(50) }),
        ..tariff(by_time(200))
    };
    // 20.00 and 10 % and 0.50 on top; the owner gets the 20.00.
    let driver = fee(&service(Payer::Driver), &ten_hours());
    assert_eq!(
        (driver.subtotal, driver.total, driver.owner_gets()),
        (Amount(2_000), Amount(2_250), Amount(2_000))
    );
    assert_eq!(driver.of(LineKind::ServiceFee), Amount(250));
    // Or out of what the owner gets: no line of the driver's.
    let owner = fee(&service(Payer::Owner), &ten_hours());
    assert_eq!((owner.total, owner.owner_gets()), (Amount(2_000), Amount(1_750)));
    // 0.20 do not bear a fee of 0.52: the owner gets nothing, and owes nothing.
    let minutes =
        Stay::drive_in(at("2026-07-01T08:00:00Z"), at("2026-07-01T08:06:00Z"), Zone::utc());
    assert_eq!(fee(&service(Payer::Owner), &minutes).owner_gets(), Amount(0));
    // What is free stays free.
    let free =
        Stay { pass: Some(Coverage { code: "P".into(), covers: Covers::Whole }), ..ten_hours() };
    assert_eq!(fee(&service(Payer::Driver), &free).total, Amount(0));
}

#[test]
fn lost_tickets_and_forgotten_cars() {
    let lost = |instead| Tariff {
        lost_ticket: Some(LostTicket { amount: Amount(2_500), instead }),
        ..capped(by_time(200), &[cap(Day, Calendar, 1_000)])
    };
    let without = |stay: Stay| Stay { ending: Ending::LostTicket, ..stay };
    // Instead of 10.00 (10 h, capped), or on top of it.
    assert_eq!(fee(&lost(true), &without(ten_hours())).total, Amount(2_500));
    assert_eq!(fee(&lost(false), &without(ten_hours())).total, Amount(3_500));
    // Nobody knows when it came: the amount alone; without one there is no price.
    let unknown = Stay { entered: None, ..without(ten_hours()) };
    assert_eq!(fee(&lost(true), &unknown).total, Amount(2_500));
    assert_eq!(price(&lost(false), &unknown), Err(Unpriceable::NoTimes));
    // A ticket that is there costs nothing.
    assert_eq!(fee(&lost(true), &ten_hours()).total, Amount(1_000));
    // Three days left behind: 30.00, but the engine ended it and takes one day.
    let days = Stay::drive_in(at("2026-07-01T00:00:00Z"), at("2026-07-04T00:00:00Z"), Zone::utc());
    let forgotten = fee(&lost(true), &Stay { ending: Ending::Abandoned, ..days.clone() });
    assert_eq!(forgotten.total, Amount(1_000));
    assert_eq!(lines(&forgotten)[2], (LineKind::Cap, "abandoned", -2_000));
    assert_eq!(fee(&lost(true), &days).total, Amount(3_000));
    // Overstay is in that day, and no penalty: 4.00 + overstay of 24 h at 2.00 and one and a half, at most 10.00.
    let caps = [cap(Day, Calendar, 1_000)];
    let capped = Tariff { caps: caps.into(), ..strict() };
    let booked = booked().stayed(at("2026-07-01T10:00:00Z"), at("2026-07-02T12:00:00Z"));
    assert_eq!(fee(&capped, &Stay { ending: Ending::Abandoned, ..booked }).total, Amount(1_000));
}

#[test]
fn totals_are_rounded_to_the_smallest_coin() {
    let coin = |amount, mode| Tariff {
        rounding: TotalRounding { mode, step: Amount(5) },
        ..tariff(flat(amount))
    };
    let shown = |tariff: &Tariff| {
        let fee = fee(tariff, &booked());
        (fee.subtotal.0, fee.of(LineKind::Rounding).0, fee.total.0)
    };
    assert_eq!(shown(&coin(1_122, Rounding::HalfEven)), (1_122, -2, 1_120));
    assert_eq!(shown(&coin(1_123, Rounding::HalfEven)), (1_123, 2, 1_125));
    assert_eq!(shown(&coin(1_121, Rounding::Up)), (1_121, 4, 1_125));
    assert_eq!(shown(&coin(1_124, Rounding::Down)), (1_124, -4, 1_120));
    assert_eq!(shown(&coin(1_125, Rounding::HalfEven)), (1_125, 0, 1_125));
}

#[test]
fn a_frozen_multiplier_stays() {
    // Booked when the lot was empty: the thresholds of now are not asked.
    let tariff = Tariff {
        demand: Box::new([lotkeeper_engine::tariff::Threshold {
            occupancy: PerMille(0),
            multiplier: PerMille(3_000),
        }]),
        ..tariff(by_time(200))
    };
    let frozen = Stay { demand: Demand::Frozen(PerMille::ONE), ..booked() };
    assert_eq!(fee(&tariff, &frozen).total, Amount(400));
    let now = Stay { demand: Demand::Occupancy(PerMille(10)), ..booked() };
    let quote = fee(&tariff, &now);
    assert_eq!(quote.total, Amount(1_200));
    let bill = Stay { demand: Demand::Frozen(quote.multiplier), ..booked() };
    assert_eq!(fee(&tariff, &bill), quote);
}

#[test]
fn refunds_depend_on_how_early() {
    let step = |hours: u32, refund| RefundStep {
        before: Seconds(hours * HOUR),
        refund: BasisPoints(refund),
    };
    // A day before all, two hours before half, later nothing; a tenth to who never came.
    let rule = Cancellation {
        steps: Box::new([step(24, 10_000), step(2, 5_000)]),
        no_show: BasisPoints(1_000),
    };
    let start = at("2026-07-02T12:00:00Z");
    let refund = |text: &str| rule.refund(Amount(1_001), start, at(text)).0;
    assert_eq!(refund("2026-07-01T12:00:00Z"), 1_001);
    // A microsecond late for it; half of 10.01 is rounded down.
    assert_eq!(refund("2026-07-01T12:00:00.000001Z"), 500);
    assert_eq!(refund("2026-07-02T10:00:00Z"), 500);
    assert_eq!(refund("2026-07-02T10:00:01Z"), 0);
    assert_eq!(refund("2026-07-02T13:00:00Z"), 0);
    assert_eq!(rule.no_show_refund(Amount(1_001)), Amount(100));
}

#[test]
fn stays_without_a_price() {
    let hourly = tariff(by_time(200));
    let utc = Zone::utc;
    let (one, two) = (at("2026-07-01T10:00:00Z"), at("2026-07-01T11:00:00Z"));
    let refused = |stay: &Stay| price(&hourly, stay).unwrap_err();
    assert_eq!(
        refused(&Stay { left: None, ..Stay::drive_in(one, two, utc()) }),
        Unpriceable::NoTimes
    );
    assert_eq!(refused(&Stay::drive_in(two, one, utc())), Unpriceable::Backwards);
    let long = Stay::drive_in(one, one.plus(Seconds(u32::MAX)), utc());
    assert!(matches!(refused(&long), Unpriceable::TooLong { .. }));
    let ever = Stay::drive_in(Timestamp::MIN, Timestamp::MAX, utc());
    assert!(matches!(refused(&ever), Unpriceable::TooLong { .. }));
    let extra = Extra { code: "x".into(), amount: Amount(-1), quantity: 1, taxed: true };
    let less = Stay { extras: vec![extra.clone()], ..Stay::drive_in(one, two, utc()) };
    assert_eq!(refused(&less), Unpriceable::NegativeExtra);
    let many = Stay { extras: vec![extra; 65], ..Stay::drive_in(one, two, utc()) };
    assert_eq!(refused(&many), Unpriceable::TooMany { count: 65, max: 64 });
    // Local time is only asked for where a price depends on it.
    let far = Stay::drive_in(Timestamp::MAX.minus(Seconds(HOUR)), Timestamp::MAX, utc());
    let daily = capped(by_time(200), &[cap(Day, Calendar, 1_000)]);
    assert_eq!(price(&daily, &far), Err(Unpriceable::OutsideCalendar));
}
