//! What a price costs: a scan prices a stay, a search prices many.
//!
//! A short stay and long ones, by a plain tariff and by one with bands, caps and the local calendar.
//! `cargo bench -p lotkeeper-benches --bench price`; `cargo test` runs each once.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lotkeeper_engine::ids::TariffId;
use lotkeeper_engine::money::{Amount, BasisPoints, PerMille};
use lotkeeper_engine::tariff::{
    Anchor, Band, Cap, Clock, Effect, Flat, Hourly, Period, Rate, Stay, Tariff, Tax, Tier, Unit,
    Weekdays, Weekly, When, Zone, price,
};
use lotkeeper_engine::time::{Seconds, Timestamp};

/// Friday 2026-03-20T17:30:00Z: a week from here meets the change to summer time.
const FROM: Timestamp = Timestamp::from_seconds(1_774_027_800);
const HOUR_SECONDS: u32 = 3_600;

fn plain() -> Tariff {
    let tier = |from, amount| Tier {
        from: Seconds(from),
        amount: Amount(amount),
        per: Seconds(HOUR_SECONDS),
        begun: true,
    };
    let tiers = Box::new([tier(0, 300), tier(HOUR_SECONDS, 200)]);
    let rate = Rate::Hourly(Hourly { tiers });
    Tariff::plain(TariffId(uuid::Uuid::from_u128(1)), "Plain", Timestamp::default(), rate)
}

/// Peak hours on weekdays, a price for the night, a cap of a day, tax.
fn rich() -> Tariff {
    let band = |code: &str, days, from_hour, to_hour, effect| Band {
        code: code.into(),
        when: When::Weekly(Weekly {
            days: Weekdays(days),
            from_second: from_hour * HOUR_SECONDS,
            to_second: to_hour * HOUR_SECONDS,
            dates: Box::default(),
        }),
        effect,
    };
    let night =
        Effect::Replace { rate: Rate::Flat(Flat { amount: Amount(500) }), clock: Clock::Band };
    let peak = Effect::Multiply(PerMille(1_500));
    let daily = Period { unit: Unit::Day, anchor: Anchor::Calendar };
    Tariff {
        bands: Box::new([
            band("night", 0x7f, 22, 6, night),
            band("morning", 0b1_1111, 7, 9, peak.clone()),
            band("evening", 0b1_1111, 16, 19, peak),
        ]),
        caps: Box::new([Cap { period: daily, amount: Amount(2_000) }]),
        tax: Some(Tax {
            code: "VAT".into(),
            rate: BasisPoints(1_900),
            included: true,
            on_penalty: false,
        }),
        ..plain()
    }
}

fn prices(c: &mut Criterion) {
    let zone = Zone::named("Europe/Berlin").expect("it is bundled");
    let lengths = [("two_hours", 2 * HOUR_SECONDS), ("week", 7 * 86_400), ("year", 365 * 86_400)];
    let mut group = c.benchmark_group("price");
    for (kind, tariff) in [("plain", plain()), ("rich", rich())] {
        for (length, seconds) in lengths {
            let stay = Stay::drive_in(FROM, FROM.plus(Seconds(seconds)), zone.clone());
            group.bench_function(format!("{kind}_{length}"), |b| {
                b.iter(|| price(black_box(&tariff), black_box(&stay)).expect("it has a price"));
            });
        }
    }
    group.finish();
}

fn zones(c: &mut Criterion) {
    c.bench_function("zone_by_name", |b| {
        b.iter(|| Zone::named(black_box("Europe/Berlin")).expect("it is bundled"));
    });
}

criterion_group!(benches, prices, zones);
criterion_main!(benches);
