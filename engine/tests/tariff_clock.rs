//! The walk against a naive clock: every minute of a stay is looked up by its local reading, one by one.
//!
//! The naive price knows nothing of cuts, offsets or periods; it asks jiff what the clock on the wall shows. A
//! minute costs what holds then; a day's cap is that of the latest local date seen so far.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod tariff_common;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::tariff::{
    Anchor, Band, Clock, Dates, Effect, LocalDay, Rate, Stay, Tariff, Unit, Weekdays, Weekly, When,
    Zone, price,
};
use lotkeeper_engine::time::{Seconds, Timestamp};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use tariff_common::{HOUR, at, by_time, cap, tariff, tiers};

/// A band of quarter hours, and what it does to the price of a minute.
#[derive(Clone, Debug)]
struct Peak {
    days: u8,
    from: u32,
    to: u32,
    dates: Option<(i32, i32)>,
    effect: Price,
}

#[derive(Clone, Copy, Debug)]
enum Price {
    /// Times so many thousandths.
    Times(u32),
    /// So many cents an hour instead.
    Hour(i64),
}

impl Peak {
    fn band(&self) -> Band {
        let dates =
            self.dates.map(|(first, last)| Dates { first: LocalDay(first), last: LocalDay(last) });
        let when = When::Weekly(Weekly {
            days: Weekdays(self.days),
            from_second: self.from * 900,
            to_second: self.to * 900,
            dates: dates.into_iter().collect(),
        });
        let effect = match self.effect {
            Price::Times(by) => Effect::Multiply(PerMille(by)),
            Price::Hour(cents) => Effect::Replace { rate: by_time(cents), clock: Clock::Stay },
        };
        Band { code: "peak".into(), when, effect }
    }

    /// Whether the clock on the wall lies in it.
    fn holds(&self, reading: &jiff::Zoned) -> bool {
        let on = |date: jiff::civil::Date| {
            let epoch = jiff::civil::date(1970, 1, 1);
            let day = epoch.until((jiff::Unit::Day, date)).unwrap().get_days();
            let weekday = date.weekday().to_monday_zero_offset();
            let in_dates = self.dates.is_none_or(|(first, last)| first <= day && day <= last);
            self.days >> weekday & 1 == 1 && in_dates
        };
        let time = reading.time();
        let quarter = (i32::from(time.hour()) * 60 + i32::from(time.minute())) / 15;
        let [from, to] = [self.from, self.to].map(|quarter| i32::try_from(quarter).unwrap());
        let (today, before) = (reading.date(), reading.date().yesterday().unwrap());
        if from < to {
            return from <= quarter && quarter < to && on(today);
        }
        quarter >= from && on(today) || quarter < to && on(before)
    }
}

/// The price minute by minute, in cents, rounded at the end. Amounts by the hour are multiples of 60.
fn naive(zone: &TimeZone, from: Timestamp, minutes: u32, list: &List) -> i64 {
    let (mut total, mut day, mut left) = (0, None, 0);
    for minute in 0..minutes {
        let at = from.plus(Seconds(minute * 60)).micros();
        let reading = jiff::Timestamp::from_microsecond(at).unwrap().to_zoned(zone.clone());
        let held = |wanted: fn(&Price) -> bool| {
            list.peaks.iter().find(|peak| wanted(&peak.effect) && peak.holds(&reading))
        };
        let hour = match held(|price| matches!(price, Price::Hour(_))).map(|peak| peak.effect) {
            Some(Price::Hour(cents)) => cents,
            _ if minute < 60 => list.first,
            _ => list.then,
        };
        let times = match held(|price| matches!(price, Price::Times(_))).map(|peak| peak.effect) {
            Some(Price::Times(by)) => i64::from(by),
            _ => 1_000,
        };
        // In thousandths of a cent.
        let wanted = hour / 60 * times;
        if day.is_none_or(|day| reading.date() > day) {
            (day, left) = (Some(reading.date()), list.cap.unwrap_or(i64::MAX / 1_000) * 1_000);
        }
        let charged = wanted.min(left);
        left -= charged;
        total += charged;
    }
    lotkeeper_engine::money::Rounding::HalfEven.divide(total.into(), 1_000).try_into().unwrap()
}

/// A price list that both understand.
#[derive(Clone, Debug)]
struct List {
    /// The first hour, and each after it.
    first: i64,
    then: i64,
    peaks: Vec<Peak>,
    cap: Option<i64>,
}

impl List {
    fn tariff(&self) -> Tariff {
        let rate: Rate = tiers(&[(0, self.first, HOUR, false), (HOUR, self.then, HOUR, false)]);
        Tariff {
            bands: self.peaks.iter().map(Peak::band).collect(),
            caps: self.cap.map(|most| cap(Unit::Day, Anchor::Calendar, most)).into_iter().collect(),
            ..tariff(rate)
        }
    }
}

/// A multiple of 60, so that a minute costs whole cents.
fn cents() -> impl Strategy<Value = i64> {
    (0..20_i64).prop_map(|n| n * 60)
}

fn list(first_day: i32) -> impl Strategy<Value = List> {
    let effect = prop_oneof![(0..3_000_u32).prop_map(Price::Times), cents().prop_map(Price::Hour)];
    let dates = (-2..3_i32, 0..3_i32)
        .prop_map(move |(from, days)| (first_day + from, first_day + from + days));
    let peak = (1..0x80_u8, 0..96_u32, 1..96_u32, of(dates), effect);
    let peak = peak.prop_map(|(days, from, length, dates, effect)| {
        let to = (from + length - 1) % 96 + 1;
        // A band that would begin where it ends is no band.
        Peak { days, from, to: if to == from { 96 } else { to }, dates, effect }
    });
    (cents(), cents(), vec(peak, 0..4), of(0..5_000_i64))
        .prop_map(|(first, then, peaks, cap)| List { first, then, peaks, cap })
}

/// Zones, an instant shortly before something odd happens there, and its day since 1970.
const PLACES: [(&str, &str, i32); 9] = [
    ("Europe/Berlin", "2026-03-28T12:00:00Z", 20_540),
    ("Europe/Berlin", "2026-10-24T12:00:00Z", 20_750),
    ("Australia/Lord_Howe", "2026-04-04T06:00:00Z", 20_547),
    ("Australia/Lord_Howe", "2026-10-03T06:00:00Z", 20_729),
    ("Pacific/Apia", "2011-12-29T22:00:00Z", 15_337),
    ("America/St_Johns", "2010-11-06T12:00:00Z", 14_919),
    ("America/Sao_Paulo", "2018-11-03T12:00:00Z", 17_838),
    ("America/Sao_Paulo", "2018-02-17T12:00:00Z", 17_579),
    ("UTC", "2028-02-28T12:00:00Z", 21_242),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_walk_costs_what_the_clock_on_the_wall_says(
        ((name, start, _), list) in select(PLACES.to_vec())
            .prop_flat_map(|place| (Just(place), list(place.2))),
        offset in 0..2_000_u32,
        minutes in 0..3_000_u32,
    ) {
        let from = at(start).plus(Seconds(offset * 60));
        let to = from.plus(Seconds(minutes * 60));
        let tariff = list.tariff();
        prop_assert_eq!(tariff.faults(), []);
        let walked = price(&tariff, &Stay::drive_in(from, to, Zone::named(name).unwrap())).unwrap();
        let zone = TimeZoneDatabase::bundled().get(name).unwrap();
        prop_assert_eq!(walked.total, Amount(naive(&zone, from, minutes, &list)));
    }
}
