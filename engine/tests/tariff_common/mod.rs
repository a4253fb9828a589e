//! Short words for tariffs and stays, so that a worked example is one line.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

use lotkeeper_engine::ids::TariffId;
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::tariff::{
    Anchor, Band, Cap, Clock, Effect, Fee, Flat, Hourly, LineKind, Period, Periods, Rate, Slab,
    Slabs, Stay, Tariff, Tier, Unit, Weekdays, Weekly, When, Zone, price,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

pub const MINUTE: u32 = 60;
pub const HOUR: u32 = 3_600;
pub const DAY: u32 = 86_400;

/// An instant in RFC 3339: the offset says which fold is meant.
pub fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Timestamp::from_micros(instant.as_microsecond())
}

pub fn window(from: &str, to: &str) -> Window {
    Window { from: at(from), to: at(to) }
}

pub fn berlin() -> Zone {
    Zone::named("Europe/Berlin").unwrap()
}

pub fn tariff(rate: Rate) -> Tariff {
    Tariff::plain(TariffId(Uuid::from_u128(1)), "Example", Timestamp::from_seconds(0), rate)
}

pub fn flat(amount: i64) -> Rate {
    Rate::Flat(Flat { amount: Amount(amount) })
}

/// To the second, at so much an hour.
pub fn by_time(amount: i64) -> Rate {
    tiers(&[(0, amount, HOUR, false)])
}

/// From second, amount, unit, whether a begun unit is a whole one.
pub fn tiers(tiers: &[(u32, i64, u32, bool)]) -> Rate {
    let tier = |&(from, amount, per, begun): &(u32, i64, u32, bool)| Tier {
        from: Seconds(from),
        amount: Amount(amount),
        per: Seconds(per),
        begun,
    };
    Rate::Hourly(Hourly { tiers: tiers.iter().map(tier).collect() })
}

pub fn slabs(slabs: &[(u32, i64)], longer: i64, every: Option<u32>) -> Rate {
    let slab =
        |&(up_to, amount): &(u32, i64)| Slab { up_to: Seconds(up_to), amount: Amount(amount) };
    Rate::Slabs(Slabs {
        slabs: slabs.iter().map(slab).collect(),
        longer: Amount(longer),
        every: every.map(Seconds),
    })
}

pub fn each(unit: Unit, anchor: Anchor, amount: i64) -> Rate {
    Rate::Periods(Periods { period: Period { unit, anchor }, amount: Amount(amount) })
}

pub fn cap(unit: Unit, anchor: Anchor, amount: i64) -> Cap {
    Cap { period: Period { unit, anchor }, amount: Amount(amount) }
}

pub fn capped(rate: Rate, caps: &[Cap]) -> Tariff {
    Tariff { caps: caps.into(), ..tariff(rate) }
}

pub fn banded(rate: Rate, bands: Vec<Band>) -> Tariff {
    Tariff { bands: bands.into(), ..tariff(rate) }
}

/// Hours of every day; `days` in bits from Monday.
pub fn weekly(code: &str, days: u8, from_hour: u32, to_hour: u32, effect: Effect) -> Band {
    let when = When::Weekly(Weekly {
        days: Weekdays(days),
        from_second: from_hour * HOUR,
        to_second: to_hour * HOUR,
        dates: Box::default(),
    });
    Band { code: code.into(), when, effect }
}

pub fn event(code: &str, from: &str, to: &str, effect: Effect) -> Band {
    Band { code: code.into(), when: When::Dated(window(from, to)), effect }
}

pub fn times(per_mille: u32) -> Effect {
    Effect::Multiply(PerMille(per_mille))
}

pub fn instead(rate: Rate, clock: Clock) -> Effect {
    Effect::Replace { rate, clock }
}

/// Priced, with the invariants that every fee keeps.
pub fn fee(tariff: &Tariff, stay: &Stay) -> Fee {
    assert_eq!(tariff.faults(), [], "the example's tariff is right");
    let fee = price(tariff, stay).unwrap();
    assert!(fee.adds_up(), "{fee:?}");
    assert!(fee.total >= Amount::ZERO, "{fee:?}");
    fee
}

/// What a drive-in costs.
pub fn cost(tariff: &Tariff, zone: &Zone, from: &str, to: &str) -> i64 {
    fee(tariff, &Stay::drive_in(at(from), at(to), zone.clone())).total.0
}

/// What so many seconds from a Wednesday's noon cost, in UTC.
pub fn lasting(tariff: &Tariff, seconds: u32) -> i64 {
    let from = at("2026-07-01T12:00:00Z");
    let to = from.plus(Seconds(seconds));
    fee(tariff, &Stay::drive_in(from, to, Zone::utc())).total.0
}

/// Kind, code and amount of every line.
pub fn lines(fee: &Fee) -> Vec<(LineKind, &str, i64)> {
    fee.lines.iter().map(|line| (line.kind, &*line.code, line.amount.0)).collect()
}
