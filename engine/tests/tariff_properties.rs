//! Any valid tariff, any stay: what must hold whatever the amounts.
//!
//! Stays lie around clock changes of odd zones, and in whole minutes or seconds, so that edges meet.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod tariff_common;

use lotkeeper_engine::money::{Amount, BasisPoints, PerMille, Rounding};
use lotkeeper_engine::tariff::{
    Anchor, Band, Cancellation, Cap, Clock, Coverage, Covers, Dates, Demand, Discount, Effect,
    Ending, Fee, Flat, Grace, GraceMode, Hourly, Increment, IncrementMode, LineKind, LocalDay,
    LostTicket, Off, Overstay, OverstayRate, Payer, Period, Periods, Rate, ServiceFee, Slab, Slabs,
    Stay, Tariff, Tax, Threshold, Tier, TotalRounding, Unit, Weekdays, Weekly, When, Zone, price,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use tariff_common::{DAY, HOUR, at, tariff};

/// The largest amount of a tariff whose fees always fit, and the largest there is.
const MODEST: i64 = 1_000_000;
const MOST: i64 = 10_000_000_000;

fn amount(max: i64) -> impl Strategy<Value = Amount> {
    prop_oneof![3 => 0..5_000_i64, 1 => 0..=max].prop_map(Amount)
}

fn period() -> impl Strategy<Value = Period> {
    let unit = select(vec![Unit::Stay, Unit::Day, Unit::Week, Unit::Month]);
    (unit, anchor()).prop_map(|(unit, anchor)| Period { unit, anchor })
}

fn anchor() -> impl Strategy<Value = Anchor> {
    select(vec![Anchor::Calendar, Anchor::Entry])
}

fn rate(max: i64) -> impl Strategy<Value = Rate> {
    let per = select(vec![60, 720, 1_200, 1_800, 3_600, 5_400, 86_400_u32]);
    let tier = (1..DAY, amount(max), per, any::<bool>());
    let hourly = vec(tier, 1..5).prop_map(|tiers| {
        let mut from = 0;
        let tier = |(length, amount, per, begun)| {
            let tier = Tier { from: Seconds(from), amount, per: Seconds(per), begun };
            from += length;
            tier
        };
        Rate::Hourly(Hourly { tiers: tiers.into_iter().map(tier).collect() })
    });
    let slabs = (vec((1..DAY, 0..9_999_i64), 1..5), 0..9_999_i64, of(0..DAY));
    let slabs = slabs.prop_map(|(slabs, longer, every)| {
        let (mut length, mut price) = (0, 0);
        let grow = |(more, dearer): (u32, i64)| {
            (length, price) = (length + more, price + dearer);
            Slab { up_to: Seconds(length), amount: Amount(price) }
        };
        let slabs = slabs.into_iter().map(grow).collect();
        let every = every.map(|more| Seconds(length.max(HOUR) + more));
        Rate::Slabs(Slabs { slabs, longer: Amount(price + longer), every })
    });
    let periods = (period(), amount(max))
        .prop_map(|(period, amount)| Rate::Periods(Periods { period, amount }));
    let flat = amount(max).prop_map(|amount| Rate::Flat(Flat { amount }));
    prop_oneof![hourly, slabs, periods, flat]
}

fn when() -> impl Strategy<Value = When> {
    let day = 14_900..21_000_i32;
    let dates = (day, 0..400_i32)
        .prop_map(|(first, days)| Dates { first: LocalDay(first), last: LocalDay(first + days) });
    let weekly = (1..=0x7f_u8, 0..96_u32, 1..96_u32, vec(dates, 0..2));
    let weekly = weekly.prop_map(|(days, from, length, dates)| {
        let to = match (from + length) % 96 {
            0 => 96,
            quarter => quarter,
        };
        When::Weekly(Weekly {
            days: Weekdays(days),
            from_second: from * 900,
            to_second: to * 900,
            dates: dates.into(),
        })
    });
    let dated = (start(), 1..5 * DAY)
        .prop_map(|(from, length)| When::Dated(Window { from, to: from.plus(Seconds(length)) }));
    prop_oneof![3 => weekly, 1 => dated]
}

fn band(max: i64) -> impl Strategy<Value = Band> {
    let clock = select(vec![Clock::Stay, Clock::Band]);
    let effect = prop_oneof![
        (rate(max), clock).prop_map(|(rate, clock)| Effect::Replace { rate, clock }),
        (0..=10_000_u32).prop_map(|by| Effect::Multiply(PerMille(by))),
    ];
    (when(), effect).prop_map(|(when, effect)| Band { code: "band".into(), when, effect })
}

/// What surrounds the rate.
fn any_tariff(max: i64) -> impl Strategy<Value = Tariff> {
    let increment = (
        1..HOUR,
        select(vec![IncrementMode::Begun, IncrementMode::Nearest, IncrementMode::Completed]),
    )
        .prop_map(|(seconds, mode)| Increment { seconds: Seconds(seconds), mode });
    let grace = (1..HOUR, select(vec![GraceMode::FreeIfShorter, GraceMode::Subtracted]))
        .prop_map(|(seconds, mode)| Grace { seconds: Seconds(seconds), mode });
    let over_rate =
        prop_oneof![Just(OverstayRate::Continued), amount(max).prop_map(OverstayRate::PerHour)];
    let overstay = (0..HOUR, over_rate, 0..=10_000_u32, amount(max)).prop_map(
        |(grace, rate, multiplier, penalty_per_hour)| Overstay {
            grace: Seconds(grace),
            rate,
            multiplier: PerMille(multiplier),
            penalty_per_hour,
        },
    );
    let tax =
        (0..=10_000_u32, any::<bool>(), any::<bool>()).prop_map(|(rate, included, on_penalty)| {
            Tax { code: "VAT".into(), rate: BasisPoints(rate), included, on_penalty }
        });
    let payer = select(vec![Payer::Driver, Payer::Owner]);
    let service = (payer, 0..=10_000_u32, amount(max))
        .prop_map(|(payer, share, fixed)| ServiceFee { payer, share: BasisPoints(share), fixed });
    let lost =
        (amount(max), any::<bool>()).prop_map(|(amount, instead)| LostTicket { amount, instead });
    let mode = select(vec![Rounding::HalfEven, Rounding::HalfUp, Rounding::Up, Rounding::Down]);
    let rounding =
        (mode, 1..100_i64).prop_map(|(mode, step)| TotalRounding { mode, step: Amount(step) });
    let caps = vec((period(), amount(max)), 0..4).prop_map(|caps| {
        let mut kept: Vec<Cap> = Vec::new();
        for (period, amount) in caps {
            if kept.iter().all(|cap| cap.period != period) {
                kept.push(Cap { period, amount });
            }
        }
        kept
    });
    let demand = of((0..=1_000_u32, 0..=10_000_u32)).prop_map(|threshold| {
        let threshold = threshold.map(|(occupancy, multiplier)| Threshold {
            occupancy: PerMille(occupancy),
            multiplier: PerMille(multiplier),
        });
        threshold.into_iter().collect()
    });
    let around = (of(increment), of(grace), overstay, of(tax), of(service), of(lost), rounding);
    (rate(max), vec(band(max), 0..4), caps, demand, around).prop_map(
        |(rate, bands, caps, demand, around)| {
            let (increment, grace, overstay, tax, service_fee, lost_ticket, rounding) = around;
            Tariff {
                bands: bands.into(),
                caps: caps.into(),
                increment: increment.unwrap_or(Increment::SECOND),
                grace,
                demand,
                overstay,
                tax,
                service_fee,
                lost_ticket,
                rounding,
                cancellation: Cancellation::none(),
                ..tariff(rate)
            }
        },
    )
}

fn zone() -> impl Strategy<Value = Zone> {
    let names = vec![
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/St_Johns",
        "America/Sao_Paulo",
        "UTC",
    ];
    select(names).prop_map(|name| Zone::named(name).unwrap())
}

/// Around clock changes: Berlin spring and autumn, Lord Howe, Apia's lost day, St. John's double midnight, São
/// Paulo's missing one, the end of February of a leap year.
fn start() -> impl Strategy<Value = Timestamp> {
    let around = [
        "2026-03-28T00:00:00Z",
        "2026-10-24T00:00:00Z",
        "2026-04-04T00:00:00Z",
        "2011-12-29T00:00:00Z",
        "2010-11-06T00:00:00Z",
        "2018-11-03T12:00:00Z",
        "2028-02-27T00:00:00Z",
    ];
    let grid = prop_oneof![3 => (0..384_u32).prop_map(|quarter| quarter * 900), 1 => 0..4 * DAY];
    (select(around.to_vec()), grid).prop_map(|(text, seconds)| at(text).plus(Seconds(seconds)))
}

fn length() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..2 * DAY, 2 => (0..200_u32).prop_map(|quarter| quarter * 900), 1 => 0..60 * DAY]
}

/// A stay that brings something, booked or not.
fn any_stay() -> impl Strategy<Value = Stay> {
    let off = prop_oneof![
        (0..=10_000_u32).prop_map(|share| Off::Share(BasisPoints(share))),
        amount(MODEST).prop_map(Off::Amount),
    ];
    let discounts = vec(off.prop_map(|off| Discount { code: "D".into(), off }), 0..3);
    let covers = prop_oneof![
        Just(Covers::Whole),
        (0..=1_500_u32).prop_map(|share| Covers::Share(PerMille(share))),
        (0..2 * DAY).prop_map(|first| Covers::First(Seconds(first))),
    ];
    let pass = of(covers.prop_map(|covers| Coverage { code: "P".into(), covers }));
    let ending =
        select(vec![Ending::Normal, Ending::Normal, Ending::LostTicket, Ending::Abandoned]);
    let demand = prop_oneof![
        (0..=1_000_u32).prop_map(|occupancy| Demand::Occupancy(PerMille(occupancy))),
        (0..=10_000_u32).prop_map(|multiplier| Demand::Frozen(PerMille(multiplier))),
    ];
    let times = (zone(), start(), length(), of(0..DAY), any::<bool>());
    (times, discounts, pass, ending, demand).prop_map(|(times, discounts, pass, ending, demand)| {
        let (zone, from, length, over, booked) = times;
        let to = from.plus(Seconds(length));
        let stay = if booked {
            let stay = Stay::booked(Window { from, to }, zone);
            over.map_or(stay.clone(), |over| stay.stayed(from, to.plus(Seconds(over))))
        } else {
            Stay::drive_in(from, to, zone)
        };
        Stay { discounts, pass, ending, demand, ..stay }
    })
}

fn priced(tariff: &Tariff, stay: &Stay) -> Fee {
    price(tariff, stay).unwrap()
}

/// What time costs, without what is rounded or added to it.
fn bare(tariff: Tariff) -> Tariff {
    let rounding = TotalRounding::UNIT;
    Tariff {
        increment: Increment::SECOND,
        grace: None,
        tax: None,
        service_fee: None,
        rounding,
        ..tariff
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_generated_is_valid(tariff in any_tariff(MOST)) {
        prop_assert_eq!(tariff.faults(), []);
    }

    #[test]
    fn lines_add_up_and_nothing_is_negative(tariff in any_tariff(MODEST), stay in any_stay()) {
        let fee = priced(&tariff, &stay);
        prop_assert!(fee.adds_up(), "{fee:?}");
        prop_assert!(fee.total >= Amount::ZERO && fee.subtotal >= Amount::ZERO, "{fee:?}");
        prop_assert!(fee.owner_gets() >= -Amount(100), "the rounding of the total at most: {fee:?}");
        let takes = [LineKind::Pass, LineKind::Discount, LineKind::Cap];
        let right_sign = |line: &lotkeeper_engine::tariff::Line| {
            !takes.contains(&line.kind) || line.amount <= Amount::ZERO
        };
        prop_assert!(fee.lines.iter().all(right_sign), "{fee:?}");
        prop_assert_eq!(priced(&tariff, &stay), fee, "the same again");
    }

    #[test]
    fn a_longer_stay_never_costs_less(tariff in any_tariff(MODEST), stay in any_stay(), more in length()) {
        let Some(left) = stay.left else { return Ok(()) };
        let longer = Stay { left: Some(left.plus(Seconds(more))), ..stay.clone() };
        prop_assert!(priced(&tariff, &stay).total <= priced(&tariff, &longer).total);
    }

    #[test]
    fn a_longer_window_never_costs_less(tariff in any_tariff(MODEST), stay in any_stay(), more in length()) {
        let Some(window) = stay.booked else { return Ok(()) };
        let quote = Stay { entered: None, left: None, ..stay };
        let to = window.to.plus(Seconds(more));
        let longer = Stay { booked: Some(Window { to, ..window }), ..quote.clone() };
        prop_assert!(priced(&tariff, &quote).total <= priced(&tariff, &longer).total);
    }

    #[test]
    fn a_stay_as_booked_costs_what_was_quoted(tariff in any_tariff(MODEST), stay in any_stay()) {
        let Some(window) = stay.booked else { return Ok(()) };
        let quote = priced(&tariff, &Stay { entered: None, left: None, ..stay.clone() });
        // The bill is given the multiplier that the quote has frozen.
        let demand = Demand::Frozen(quote.multiplier);
        let bill = priced(&tariff, &Stay { demand, ..stay }.stayed(window.from, window.to));
        prop_assert_eq!(&bill.lines, &quote.lines);
        prop_assert_eq!(bill.total, quote.total);
    }

    /// A band that changes nothing cuts the stay at local boundaries, and is not seen in the price.
    #[test]
    fn a_cut_is_not_seen(tariff in any_tariff(MODEST), stay in any_stay(), when in when()) {
        let cut = Band { code: "cut".into(), when, effect: Effect::Multiply(PerMille::ONE) };
        // Last, so that it takes the place of no other band.
        let bands: Vec<Band> = tariff.bands.iter().cloned().chain([cut]).collect();
        let with = Tariff { bands: bands.into(), ..tariff.clone() };
        prop_assert_eq!(priced(&with, &stay).total, priced(&tariff, &stay).total);
    }

    /// A rate by time without tiers, caps or clocks of its own costs what its parts cost, up to rounding each part.
    #[test]
    fn two_halves_by_time_cost_the_whole(
        cents in 0..5_000_i64,
        bands in vec((when(), 0..3_000_u32), 0..4),
        (zone, from) in (zone(), start()),
        (one, two) in (length(), length()),
    ) {
        let effect = |(when, by)| Band { code: "b".into(), when, effect: Effect::Multiply(PerMille(by)) };
        let bands: Vec<Band> = bands.into_iter().map(effect).collect();
        let tariff = bare(Tariff { bands: bands.into(), ..tariff(tariff_common::by_time(cents)) });
        let (middle, to) = (from.plus(Seconds(one)), from.plus(Seconds(one)).plus(Seconds(two)));
        let cost = |from, to| priced(&tariff, &Stay::drive_in(from, to, zone.clone())).total.0;
        let (whole, halves) = (cost(from, to), cost(from, middle) + cost(middle, to));
        prop_assert!((whole - halves).abs() <= 1, "{whole} and {halves}");
    }

    /// Offsets do not matter to what is by time alone.
    #[test]
    fn a_plain_hour_costs_the_same_everywhere(
        cents in 0..5_000_i64, zones in (zone(), zone()), from in start(), length in length(),
    ) {
        let tariff = tariff(tariff_common::by_time(cents));
        let cost = |zone| priced(&tariff, &Stay::drive_in(from, from.plus(Seconds(length)), zone)).total;
        prop_assert_eq!(cost(zones.0), cost(zones.1));
    }

    /// Any instants at all: an answer of either kind, never a panic.
    #[test]
    fn any_window_has_an_answer(
        tariff in any_tariff(MOST), zone in zone(), micros in any::<[i64; 4]>(), over in any::<u32>(),
    ) {
        let instant = Timestamp::from_micros;
        let [from, to, entered, left] = micros.map(instant);
        let booked = Stay::booked(Window { from, to }, zone.clone());
        drop(price(&tariff, &booked));
        let booked = booked.stayed(entered, left);
        drop(price(&tariff, &Stay { demand: Demand::Frozen(PerMille(over)), ..booked }));
        drop(price(&tariff, &Stay::drive_in(from, from.plus(Seconds(over / 64)), zone)));
    }
}
