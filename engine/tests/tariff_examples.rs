//! Worked examples of what time costs: every kind of rate, caps, bands, and what clocks do to them.
//!
//! Each amount was computed by hand; the comment says how. Amounts are in cents. What the exit adds and what
//! is taken off is in `tariff_charges.rs`.

mod tariff_common;

use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::tariff::{
    Anchor::{Calendar, Entry},
    Clock, Dates, Demand, Grace, GraceMode, Increment, IncrementMode, LineKind, LocalDay, Stay,
    Tariff, Threshold,
    Unit::{Day, Month, Stay as WholeStay, Week},
    When, Zone,
};
use lotkeeper_engine::time::Seconds;
use tariff_common::*;

/// Claim, tariff, lasting seconds, cents. From a Wednesday's noon in UTC.
type Lasting = (&'static str, Tariff, &'static [(u32, i64)]);

#[test]
fn prices_by_length() {
    // First hour 3.00 (begun), then 1.00 for each begun half hour.
    let begun = tiers(&[(0, 300, HOUR, true), (HOUR, 100, HOUR / 2, true)]);
    // First hour 4.00, then 2.00 an hour, to the second.
    let falling = tiers(&[(0, 400, HOUR, false), (HOUR, 200, HOUR, false)]);
    let lists = [(HOUR, 500), (3 * HOUR, 1_200)];
    let table: [Lasting; 6] = [
        // One amount for a second and for thirty days; nothing for no time at all.
        ("flat", tariff(flat(500)), &[(0, 0), (1, 500), (30 * DAY, 500)]),
        // 3.00 until the first hour is over, to the second; then each begun half hour.
        (
            "begun units",
            tariff(begun),
            &[(1, 300), (3_599, 300), (3_600, 300), (3_601, 400), (5_400, 400), (5_401, 500)],
        ),
        // 90 min: 4.00 + 1.00. 3,618 s: 4.00 + 18 s of 2.00/h = 1 cent. 9 s more are half a cent: to even, down.
        (
            "tiers by time",
            tariff(falling),
            &[(1_800, 200), (3_600, 400), (5_400, 500), (3_618, 401), (3_609, 400)],
        ),
        // 0-1 h 5, 1-3 h 12, longer 30. Exactly an hour is still the first slab.
        (
            "slabs",
            tariff(slabs(&lists, 3_000, None)),
            &[(1, 500), (3_600, 500), (3_601, 1_200), (10_800, 1_200), (10_801, 3_000)],
        ),
        // Again after 24 hours: 30 until 24 h are over, then 30 + 5, 30 + 12, 30 + 30.
        (
            "slabs of a day",
            tariff(slabs(&lists, 3_000, Some(DAY))),
            &[(DAY, 3_000), (DAY + 1, 3_500), (DAY + 3_601, 4_200), (2 * DAY, 6_000)],
        ),
        // 0.50 per begun 12 minutes: 25 minutes have three of them.
        ("odd units", tariff(tiers(&[(0, 50, 720, true)])), &[(720, 50), (1_500, 150)]),
    ];
    for (claim, tariff, rows) in table {
        for (seconds, cents) in rows {
            assert_eq!(lasting(&tariff, *seconds), *cents, "{claim}, {seconds} s");
        }
    }
}

#[test]
fn increments_round_time_before_it_is_priced() {
    // 4.00 an hour is 1.00 a quarter. 16 minutes: two quarters begun; the nearest to 22:29 is one, to 22:30 two;
    // of 29:59 one is completed.
    let table = [
        (IncrementMode::Begun, 16 * MINUTE, 200),
        (IncrementMode::Begun, 15 * MINUTE, 100),
        (IncrementMode::Nearest, 22 * MINUTE + 29, 100),
        (IncrementMode::Nearest, 22 * MINUTE + 30, 200),
        (IncrementMode::Completed, 29 * MINUTE + 59, 100),
        (IncrementMode::Completed, 14 * MINUTE + 59, 0),
    ];
    for (mode, seconds, cents) in table {
        let increment = Increment { seconds: Seconds(15 * MINUTE), mode };
        let tariff = Tariff { increment, ..tariff(by_time(400)) };
        assert_eq!(lasting(&tariff, seconds), cents, "{mode:?} {seconds} s");
    }
}

#[test]
fn grace_at_the_start() {
    let with = |mode| Tariff {
        grace: Some(Grace { seconds: Seconds(600), mode }),
        ..tariff(tiers(&[(0, 200, HOUR, true)]))
    };
    // Ten minutes are free. Eleven cost the begun hour: of the whole stay, or of the minute that is left.
    let (shorter, subtracted) = (with(GraceMode::FreeIfShorter), with(GraceMode::Subtracted));
    assert_eq!([600, 601, 3_600, 3_601].map(|s| lasting(&shorter, s)), [0, 200, 200, 400]);
    // 70 minutes less ten are one hour; a second more begins another.
    assert_eq!([600, 601, 4_200, 4_201].map(|s| lasting(&subtracted, s)), [0, 200, 200, 400]);
}

#[test]
fn caps_hold_per_period() {
    let utc = Zone::utc();
    let calendar = capped(by_time(200), &[cap(Day, Calendar, 1_000)]);
    let entry = capped(by_time(200), &[cap(Day, Entry, 1_000)]);
    // Monday 20:00 to Tuesday 14:00. By the calendar 4 h = 8.00, then 14 h = 28.00, capped at 10.00.
    let (from, to) = ("2026-06-29T20:00:00Z", "2026-06-30T14:00:00Z");
    assert_eq!(cost(&calendar, &utc, from, to), 1_800);
    // From the entry it is one day: 36.00, capped at 10.00.
    assert_eq!(cost(&entry, &utc, from, to), 1_000);
    // 25 hours from the entry: 10.00 and one hour of the next day.
    assert_eq!(lasting(&entry, 25 * HOUR), 1_200);
    // Monday to Monday: seven days at 10.00, at most 40.00 a week; one hour of the next week is 2.00 more.
    let week = capped(by_time(200), &[cap(Day, Calendar, 1_000), cap(Week, Calendar, 4_000)]);
    assert_eq!(cost(&week, &utc, "2026-06-29T00:00:00Z", "2026-07-06T00:00:00Z"), 4_000);
    assert_eq!(cost(&week, &utc, "2026-06-29T00:00:00Z", "2026-07-06T01:00:00Z"), 4_200);
    // Friday to Tuesday: Fri, Sat, Sun = 30.00 in one week, Mon = 10.00 in the next.
    assert_eq!(cost(&week, &utc, "2026-07-03T00:00:00Z", "2026-07-07T00:00:00Z"), 4_000);
    // The whole stay: at most 25.00, whatever the days.
    let stay = capped(by_time(200), &[cap(Day, Calendar, 1_000), cap(WholeStay, Entry, 2_500)]);
    assert_eq!(cost(&stay, &utc, "2026-06-29T00:00:00Z", "2026-07-06T00:00:00Z"), 2_500);
}

#[test]
fn days_weeks_and_months_count_when_they_begin() {
    let utc = Zone::utc();
    let day = |anchor| tariff(each(Day, anchor, 800));
    let week = |anchor| tariff(each(Week, anchor, 4_000));
    let month = |anchor| tariff(each(Month, anchor, 10_000));
    let table = [
        // Two minutes over midnight: two calendar days, one day from the entry.
        (day(Calendar), "2026-06-29T23:59:00Z", "2026-06-30T00:01:00Z", 1_600),
        (day(Entry), "2026-06-29T23:59:00Z", "2026-06-30T00:01:00Z", 800),
        // Until midnight exactly: the next day has not begun; a second later it has.
        (day(Calendar), "2026-06-29T10:00:00Z", "2026-06-30T00:00:00Z", 800),
        (day(Calendar), "2026-06-29T10:00:00Z", "2026-06-30T00:00:01Z", 1_600),
        (day(Entry), "2026-06-29T10:00:00Z", "2026-06-30T10:00:00Z", 800),
        (day(Entry), "2026-06-29T10:00:00Z", "2026-06-30T10:00:01Z", 1_600),
        // Sunday to Monday: two calendar weeks. From the entry a week is 7 times 24 hours.
        (week(Calendar), "2026-07-05T23:00:00Z", "2026-07-06T01:00:00Z", 8_000),
        (week(Entry), "2026-07-05T23:00:00Z", "2026-07-12T23:00:00Z", 4_000),
        (week(Entry), "2026-07-05T23:00:00Z", "2026-07-12T23:00:01Z", 8_000),
        // Over the end of a month.
        (month(Calendar), "2026-01-31T12:00:00Z", "2026-02-01T12:00:00Z", 20_000),
        // From 31 January the month ends on the last day of February, at the same time of day.
        (month(Entry), "2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z", 10_000),
        (month(Entry), "2026-01-31T12:00:00Z", "2026-02-28T12:00:01Z", 20_000),
        // The third one ends on 31 March again, not on 28 March.
        (month(Entry), "2026-01-31T12:00:00Z", "2026-03-31T12:00:00Z", 20_000),
        (month(Entry), "2026-01-31T12:00:00Z", "2026-03-31T12:00:01Z", 30_000),
        // In a leap year on 29 February.
        (month(Entry), "2028-01-31T12:00:00Z", "2028-02-29T12:00:00Z", 10_000),
        (month(Entry), "2028-01-31T12:00:00Z", "2028-02-29T12:00:01Z", 20_000),
        // 28, 29 February, 1 March; without a leap day only two.
        (day(Calendar), "2028-02-28T10:00:00Z", "2028-03-01T10:00:00Z", 2_400),
        (day(Calendar), "2026-02-28T10:00:00Z", "2026-03-01T10:00:00Z", 1_600),
    ];
    for (tariff, from, to, cents) in table {
        assert_eq!(cost(&tariff, &utc, from, to), cents, "{from} to {to}");
    }
    // Twenty a day, at most 100.00 in a month from the entry. 31 January to 28 February are 28 days: 100.00.
    // 28 February is the first day of the second month: 20.00.
    let capped = capped(each(Day, Calendar, 2_000), &[cap(Month, Entry, 10_000)]);
    assert_eq!(cost(&capped, &utc, "2026-01-31T00:00:00Z", "2026-03-01T00:00:00Z"), 12_000);
}

#[test]
fn bands_have_their_own_price() {
    let utc = Zone::utc();
    // 2.00 an hour; from 22:00 to 06:00 the night costs 5.00 in all.
    let night = |days| {
        banded(by_time(200), vec![weekly("night", days, 22, 6, instead(flat(500), Clock::Band))])
    };
    let table = [
        // 20:00-22:00 4.00, the night 5.00, 06:00-08:00 4.00.
        (night(0x7f), "2026-06-29T20:00:00Z", "2026-06-30T08:00:00Z", 1_300),
        // Two nights, and 16 hours of day between them: 4 + 5 + 32 + 5 + 4.
        (night(0x7f), "2026-06-29T20:00:00Z", "2026-07-01T08:00:00Z", 5_000),
        // Only nights that begin on a Friday (bit 4): Saturday 02:00 is in one, Friday 02:00 is not.
        (night(0b1_0000), "2026-07-04T02:00:00Z", "2026-07-04T03:00:00Z", 500),
        (night(0b1_0000), "2026-07-03T02:00:00Z", "2026-07-03T03:00:00Z", 200),
        // From the last second of the night: its price, and an hour of day.
        (night(0x7f), "2026-06-30T05:59:59Z", "2026-06-30T07:00:00Z", 700),
    ];
    for (tariff, from, to, cents) in table {
        assert_eq!(cost(&tariff, &utc, from, to), cents, "{from} to {to}");
    }
    // An event from 18:00 to 22:00 at one and a half: 17:00-18:00 2.00, 18:00-19:00 3.00.
    let (from, to) = ("2026-07-04T18:00:00Z", "2026-07-04T22:00:00Z");
    let dearer = banded(by_time(200), vec![event("match", from, to, times(1_500))]);
    assert_eq!(cost(&dearer, &utc, "2026-07-04T17:00:00Z", "2026-07-04T19:00:00Z"), 500);
    // Or at 20.00 in all: 2.00 before, 20.00, 2.00 after.
    let fixed =
        banded(by_time(200), vec![event("match", from, to, instead(flat(2_000), Clock::Band))]);
    assert_eq!(cost(&fixed, &utc, "2026-07-04T17:00:00Z", "2026-07-04T23:00:00Z"), 2_400);
    // The first band that holds wins: the event over the evening at 3.00 an hour, which takes 22:00-23:00.
    let evening = weekly("evening", 0x7f, 16, 24, instead(by_time(300), Clock::Stay));
    let both = vec![event("match", from, to, instead(flat(2_000), Clock::Band)), evening];
    let both = banded(by_time(200), both);
    assert_eq!(
        cost(&both, &utc, "2026-07-04T17:00:00Z", "2026-07-04T23:00:00Z"),
        300 + 2_000 + 300
    );
}

#[test]
fn a_band_may_go_on_with_the_clock_of_the_stay() {
    let utc = Zone::utc();
    // Day: first hour 3.00, then 2.00. After 18:00: first hour 2.00, then 1.00.
    let day = tiers(&[(0, 300, HOUR, false), (HOUR, 200, HOUR, false)]);
    let late = tiers(&[(0, 200, HOUR, false), (HOUR, 100, HOUR, false)]);
    let (from, to) = ("2026-06-29T16:00:00Z", "2026-06-29T20:00:00Z");
    // 16-17 3.00, 17-18 2.00, then the third and fourth hour of the stay at 1.00.
    let stay = vec![weekly("late", 0x7f, 18, 24, instead(late.clone(), Clock::Stay))];
    assert_eq!(cost(&banded(day.clone(), stay), &utc, from, to), 700);
    // With a clock of its own the evening begins with its first hour: 3 + 2 + 2 + 1.
    let own = vec![weekly("late", 0x7f, 18, 24, instead(late, Clock::Band))];
    assert_eq!(cost(&banded(day, own), &utc, from, to), 800);
}

#[test]
fn a_begun_unit_costs_what_holds_where_it_begins() {
    // 4.00 a begun hour by day, 1.00 after 18:00. From 16:30: 16:30 and 17:30 by day, 18:30 late.
    let late = instead(tiers(&[(0, 100, HOUR, true)]), Clock::Stay);
    let tariff = banded(tiers(&[(0, 400, HOUR, true)]), vec![weekly("late", 0x7f, 18, 24, late)]);
    let cents = cost(&tariff, &Zone::utc(), "2026-06-29T16:30:00Z", "2026-06-29T18:45:00Z");
    assert_eq!(cents, 900);
}

#[test]
fn holidays_are_dates_of_a_band() {
    // 24 to 26 December free: days since 1970 of 2026-12-24 and 2026-12-26.
    let mut free = weekly("christmas", 0x7f, 0, 24, times(0));
    if let When::Weekly(weekly) = &mut free.when {
        weekly.dates = Box::new([Dates { first: LocalDay(20_811), last: LocalDay(20_813) }]);
    }
    let tariff = banded(by_time(100), vec![free]);
    // 23 December 22:00 to 27 December 02:00 in Berlin: two hours before, two after.
    let cents = cost(&tariff, &berlin(), "2026-12-23T22:00:00+01:00", "2026-12-27T02:00:00+01:00");
    assert_eq!(cents, 400);
}

#[test]
fn days_of_23_and_25_hours() {
    let berlin = berlin();
    let hourly = tariff(by_time(200));
    // 2.00 an hour: 29 March 2026 has 23 hours in Berlin, 25 October 25.
    let (spring, autumn) = (
        ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
    );
    assert_eq!(cost(&hourly, &berlin, spring.0, spring.1), 4_600);
    assert_eq!(cost(&hourly, &berlin, autumn.0, autumn.1), 5_000);
    // Each is one calendar day; 25 hours are two days from the entry.
    let day = |anchor| tariff(each(Day, anchor, 800));
    assert_eq!(cost(&day(Calendar), &berlin, autumn.0, autumn.1), 800);
    assert_eq!(cost(&day(Entry), &berlin, autumn.0, autumn.1), 1_600);
    assert_eq!(cost(&day(Entry), &berlin, spring.0, spring.1), 800);
    // Saturday noon to Sunday noon over the autumn change, 25 hours. Cap of a day: from the entry 10.00 and one
    // hour more; by the calendar twice 10.00.
    let (from, to) = ("2026-10-24T12:00:00+02:00", "2026-10-25T12:00:00+01:00");
    let capped = |anchor| capped(by_time(200), &[cap(Day, anchor, 1_000)]);
    assert_eq!(cost(&capped(Entry), &berlin, from, to), 1_200);
    assert_eq!(cost(&capped(Calendar), &berlin, from, to), 2_000);
}

#[test]
fn the_hour_that_comes_twice_and_the_one_that_never_comes() {
    let berlin = berlin();
    // 2.00 an hour, double from 02:00 to 03:00 by the clock on the wall.
    let tariff = banded(by_time(200), vec![weekly("dear", 0x7f, 2, 3, times(2_000))]);
    let table = [
        // Autumn: 01-02 2.00, 02-03 4.00, 02-03 again 4.00, 03-04 2.00.
        ("2026-10-25T01:00:00+02:00", "2026-10-25T04:00:00+01:00", 1_200),
        // From the first 02:30 to the second: an hour, all of it in the band.
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", 400),
        // From the second 02:30 to 03:30: half an hour in it, half after.
        ("2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00", 300),
        // Spring: 01-02 and 03-04, the band never comes.
        ("2026-03-29T01:00:00+01:00", "2026-03-29T04:00:00+02:00", 400),
    ];
    for (from, to, cents) in table {
        assert_eq!(cost(&tariff, &berlin, from, to), cents, "{from} to {to}");
    }
    // A band that begins in the hour that is skipped, at 02:30 until 05:00, begins when the clock shows 03:00:
    // 01:00-02:00 2.00, 03:00-05:00 8.00.
    let mut half = weekly("dear", 0x7f, 2, 5, times(2_000));
    if let When::Weekly(weekly) = &mut half.when {
        weekly.from_second += HOUR / 2;
    }
    let tariff = banded(by_time(200), vec![half]);
    let cents = cost(&tariff, &berlin, "2026-03-29T01:00:00+01:00", "2026-03-29T05:00:00+02:00");
    assert_eq!(cents, 1_000);
}

#[test]
fn zones_with_odd_changes() {
    let zone = |name| Zone::named(name).unwrap();
    let (hourly, daily) = (tariff(by_time(200)), tariff(each(Day, Calendar, 800)));
    // Lord Howe changes by half an hour: 24.5 hours on 5 April 2026, 23.5 on 4 October.
    let howe = zone("Australia/Lord_Howe");
    let (from, to) = ("2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:30");
    assert_eq!(cost(&hourly, &howe, from, to), 4_900);
    assert_eq!(cost(&daily, &howe, from, to), 800);
    let (from, to) = ("2026-10-04T00:00:00+10:30", "2026-10-05T00:00:00+11:00");
    assert_eq!(cost(&hourly, &howe, from, to), 4_700);
    // Apia had no 30 December 2011: noon of the 29th to noon of the 31st are 24 hours and two days.
    let apia = zone("Pacific/Apia");
    let (from, to) = ("2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00");
    assert_eq!(cost(&hourly, &apia, from, to), 4_800);
    assert_eq!(cost(&daily, &apia, from, to), 1_600);
    // In St. John's midnight came twice on 7 November 2010: at 00:01 it was 23:01 again. Two hours, two days, and
    // not three.
    let johns = zone("America/St_Johns");
    let (from, to) = ("2010-11-06T23:30:00-02:30", "2010-11-07T00:30:00-03:30");
    assert_eq!(cost(&daily, &johns, from, to), 1_600);
    assert_eq!(cost(&hourly, &johns, from, to), 400);
    // A month from an entry at a time that 29 March does not have ends when the clock shows 03:30, a second later
    // another has begun.
    let month = tariff(each(Month, Entry, 10_000));
    let from = "2026-02-28T02:30:00+01:00";
    assert_eq!(cost(&month, &berlin(), from, "2026-03-28T02:30:00+01:00"), 10_000);
    let from = "2026-01-29T02:30:00+01:00";
    assert_eq!(cost(&month, &berlin(), from, "2026-03-29T03:30:00+02:00"), 20_000);
    assert_eq!(cost(&month, &berlin(), from, "2026-03-29T03:30:01+02:00"), 30_000);
}

#[test]
fn demand_multiplies_before_caps() {
    let threshold = |occupancy, multiplier| Threshold {
        occupancy: PerMille(occupancy),
        multiplier: PerMille(multiplier),
    };
    let tariff = Tariff {
        demand: Box::new([threshold(800, 1_200), threshold(950, 1_500)]),
        ..capped(by_time(200), &[cap(Day, Calendar, 2_000)])
    };
    let (from, to) = (at("2026-07-01T12:00:00Z"), at("2026-07-01T13:00:00Z"));
    let mut stay = Stay::drive_in(from, to, Zone::utc());
    // An hour at 2.00: below 80 % as it is, from 80 % times 1.2, from 95 % times 1.5.
    for (occupancy, cents) in [(0, 200), (799, 200), (800, 240), (949, 240), (950, 300)] {
        stay.demand = Demand::Occupancy(PerMille(occupancy));
        assert_eq!(fee(&tariff, &stay).total, Amount(cents), "{occupancy}");
    }
    // Eight hours: 16.00, demand 8.00 more, 20.00 at most: the cap is a promise that demand does not break.
    stay.left = Some(at("2026-07-01T20:00:00Z"));
    let fee = fee(&tariff, &stay);
    let expected = [
        (LineKind::Base, "hourly", 1_600),
        (LineKind::Demand, "demand", 800),
        (LineKind::Cap, "daily_cap", -400),
    ];
    assert_eq!(lines(&fee), expected);
    assert_eq!(fee.multiplier, PerMille(1_500));
}

#[test]
fn parts_of_a_cent_are_rounded_once() {
    // 1.00 an hour, twenty minutes each in two bands and outside: 33.3 each, together exactly 1.00.
    let mut bands = vec![
        weekly("one", 0x7f, 12, 13, instead(by_time(100), Clock::Stay)),
        weekly("two", 0x7f, 12, 13, instead(by_time(100), Clock::Stay)),
    ];
    for (band, from) in bands.iter_mut().zip([0, 1_200]) {
        if let When::Weekly(weekly) = &mut band.when {
            weekly.from_second += from;
            weekly.to_second = weekly.from_second + 1_200;
        }
    }
    let tariff = banded(by_time(100), bands);
    let (from, to) = (at("2026-07-01T12:00:00Z"), at("2026-07-01T13:00:00Z"));
    let fee = fee(&tariff, &Stay::drive_in(from, to, Zone::utc()));
    let base = LineKind::Base;
    // Running sums 33.3, 66.7, 100 are 33, 67, 100.
    assert_eq!(lines(&fee), [(base, "one", 33), (base, "two", 34), (base, "hourly", 33)]);
}

#[test]
fn a_year_is_priced_like_a_day() {
    // 2.00 an hour, 10.00 a day: 2028 has 366 days in Berlin, of which the two changes make no difference.
    let tariff = capped(by_time(200), &[cap(Day, Calendar, 1_000)]);
    let (from, to) = ("2028-01-01T00:00:00+01:00", "2029-01-01T00:00:00+01:00");
    assert_eq!(cost(&tariff, &berlin(), from, to), 366_000);
}
