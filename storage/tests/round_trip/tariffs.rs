//! Tariffs and fees come back as they were; what the engine would not price by does not come back.

use lotkeeper_engine::ids::{SlotIndex, TariffId, ZoneIndex};
use lotkeeper_engine::money::{Amount, BasisPoints, PerMille, Rounding};
use lotkeeper_engine::tariff::{
    Anchor, Assignment, Band, Cancellation, Cap, Clock, Dates, Discount, Effect, Fee, Flat, Grace,
    GraceMode, Hourly, Increment, IncrementMode, Line, LineKind, LocalDay, LostTicket, Off,
    Overstay, OverstayRate, Payer, Period, Periods, Rate, RefundStep, Scope, ServiceFee, Slab,
    Slabs, Tariff, Tax, Threshold, Tier, TotalRounding, Unit, Weekdays, Weekly, When,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::format::{
    FormatError, decode_assignment, decode_fee, decode_tariff, encode_assignment, encode_fee,
    encode_tariff,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

fn amount() -> impl Strategy<Value = Amount> {
    (0..=10_000_000_000_i64).prop_map(Amount)
}

fn share() -> impl Strategy<Value = BasisPoints> {
    (0..=10_000_u32).prop_map(BasisPoints)
}

fn multiplier() -> impl Strategy<Value = PerMille> {
    (0..=10_000_u32).prop_map(PerMille)
}

fn code() -> impl Strategy<Value = Box<str>> {
    "[A-Z]{1,9}".prop_map(Into::into)
}

fn period() -> impl Strategy<Value = Period> {
    let units = select(vec![Unit::Stay, Unit::Day, Unit::Week, Unit::Month]);
    let anchors = select(vec![Anchor::Calendar, Anchor::Entry]);
    (units, anchors).prop_map(|(unit, anchor)| Period { unit, anchor })
}

fn window() -> impl Strategy<Value = Window> {
    (0..1_u64 << 40, 1_000_000..1_u32 << 31).prop_map(|(from, length)| {
        let from = i64::try_from(from).unwrap();
        let to = Timestamp::from_micros(from + i64::from(length));
        Window { from: Timestamp::from_micros(from), to }
    })
}

fn rate() -> impl Strategy<Value = Rate> {
    let tier = (amount(), select(vec![60, 3_600_u32]), any::<bool>());
    let hourly = vec(tier, 1..5).prop_map(|tiers| {
        let tier = |(n, (amount, per, begun))| Tier {
            from: Seconds(n * 3_600),
            amount,
            per: Seconds(per),
            begun,
        };
        Rate::Hourly(Hourly { tiers: (0_u32..).zip(tiers).map(tier).collect() })
    });
    let slabs = (1..5_u32, of(50_000..90_000_u32)).prop_map(|(count, every)| {
        let slab = |n| Slab { up_to: Seconds(n * 3_600), amount: Amount(i64::from(n) * 100) };
        let slabs = (1..=count).map(slab).collect();
        Rate::Slabs(Slabs { slabs, longer: Amount(900), every: every.map(Seconds) })
    });
    let flat = amount().prop_map(|amount| Rate::Flat(Flat { amount }));
    let periods =
        (period(), amount()).prop_map(|(period, amount)| Rate::Periods(Periods { period, amount }));
    prop_oneof![flat, hourly, slabs, periods]
}

fn band() -> impl Strategy<Value = Band> {
    let dates = (any::<i16>(), any::<u8>()).prop_map(|(first, days)| Dates {
        first: LocalDay(first.into()),
        last: LocalDay(i32::from(first) + i32::from(days)),
    });
    let weekly = (1..0x80_u8, 0..86_000_u32, 1..400_u32, vec(dates, 0..3));
    let weekly = weekly.prop_map(|(days, from_second, length, dates)| {
        let to_second = from_second + length;
        When::Weekly(Weekly { days: Weekdays(days), from_second, to_second, dates: dates.into() })
    });
    let clock = select(vec![Clock::Stay, Clock::Band]);
    let effect = prop_oneof![
        (rate(), clock).prop_map(|(rate, clock)| Effect::Replace { rate, clock }),
        multiplier().prop_map(Effect::Multiply),
    ];
    let when = prop_oneof![weekly, window().prop_map(When::Dated)];
    (code(), when, effect).prop_map(|(code, when, effect)| Band { code, when, effect })
}

fn overstay() -> impl Strategy<Value = Overstay> {
    let rate = prop_oneof![Just(OverstayRate::Continued), amount().prop_map(OverstayRate::PerHour)];
    (0..3_600_u32, rate, multiplier(), amount()).prop_map(
        |(grace, rate, multiplier, penalty_per_hour)| Overstay {
            grace: Seconds(grace),
            rate,
            multiplier,
            penalty_per_hour,
        },
    )
}

fn payer() -> impl Strategy<Value = Payer> {
    select(vec![Payer::Driver, Payer::Owner])
}

/// Rules of which a tariff has one or none.
fn around(tariff: Tariff) -> impl Strategy<Value = Tariff> {
    let grace = (1..3_600_u32, select(vec![GraceMode::FreeIfShorter, GraceMode::Subtracted]));
    let modes = vec![IncrementMode::Begun, IncrementMode::Nearest, IncrementMode::Completed];
    let increment = (1..3_600_u32, select(modes));
    let tax = (code(), share(), any::<bool>(), any::<bool>());
    let service = (payer(), share(), amount());
    let rounding = select(vec![Rounding::HalfEven, Rounding::HalfUp, Rounding::Up, Rounding::Down]);
    let rules = (of(grace), increment, of(tax), of(service), of((amount(), any::<bool>())));
    (rules, (rounding, 1..100_i64)).prop_map(
        move |((grace, increment, tax, service, lost), (mode, step))| Tariff {
            grace: grace.map(|(seconds, mode)| Grace { seconds: Seconds(seconds), mode }),
            increment: Increment { seconds: Seconds(increment.0), mode: increment.1 },
            tax: tax.map(|(code, rate, included, on_penalty)| Tax {
                code,
                rate,
                included,
                on_penalty,
            }),
            service_fee: service.map(|(payer, share, fixed)| ServiceFee { payer, share, fixed }),
            lost_ticket: lost.map(|(amount, instead)| LostTicket { amount, instead }),
            rounding: TotalRounding { mode, step: Amount(step) },
            ..tariff.clone()
        },
    )
}

/// On the heap, as its like in `strategies.rs`.
pub fn tariff() -> BoxedStrategy<Tariff> {
    let head = (any::<u128>(), 1..u32::MAX, window(), any::<bool>());
    let lists = (vec(band(), 0..3), of((period(), amount())), of((0..=1_000_u32, multiplier())));
    let off = prop_oneof![share().prop_map(Off::Share), amount().prop_map(Off::Amount)];
    let more = (of((code(), off)), of((any::<u32>(), share())), share(), overstay());
    (head, rate(), lists, more)
        .prop_flat_map(|(head, rate, (bands, cap, threshold), more)| {
            let (id, version, valid, ends) = head;
            let (discount, step, no_show, overstay) = more;
            let id = TariffId(Uuid::from_u128(id));
            let threshold = threshold.map(|(occupancy, multiplier)| Threshold {
                occupancy: PerMille(occupancy),
                multiplier,
            });
            let step = step.map(|(before, refund)| RefundStep { before: Seconds(before), refund });
            around(Tariff {
                version,
                valid_until: ends.then_some(valid.to),
                bands: bands.into(),
                caps: cap.map(|(period, amount)| Cap { period, amount }).into_iter().collect(),
                demand: threshold.into_iter().collect(),
                overstay,
                discounts: discount.map(|(code, off)| Discount { code, off }).into_iter().collect(),
                cancellation: Cancellation { steps: step.into_iter().collect(), no_show },
                ..Tariff::plain(id, "Parkplatz 🅿", valid.from, rate)
            })
        })
        .boxed()
}

fn line() -> impl Strategy<Value = Line> {
    use LineKind as K;
    let kinds = vec![
        K::Base,
        K::Demand,
        K::Cap,
        K::Overstay,
        K::Penalty,
        K::LostTicket,
        K::Extra,
        K::Pass,
        K::Discount,
        K::Tax,
        K::ServiceFee,
        K::Rounding,
    ];
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), -1_000_000_i64..1_000_000);
    (select(kinds), code(), numbers, of(amount()), of(window())).prop_map(
        |(kind, code, (seconds, quantity, per, amount), rate, window)| Line {
            kind,
            code,
            seconds: Seconds(seconds),
            quantity,
            rate,
            rate_per: Seconds(per),
            window,
            amount: Amount(amount),
        },
    )
}

pub fn fee() -> BoxedStrategy<Fee> {
    let numbers = (any::<u128>(), any::<[u32; 4]>(), any::<bool>(), of(payer()));
    (vec(line(), 0..6), numbers, amount())
        .prop_map(|(lines, numbers, tax)| {
            let (id, [version, multiplier, booked, stayed], tax_included, service_fee_payer) =
                numbers;
            let mut fee = Fee {
                tariff: TariffId(Uuid::from_u128(id)),
                version,
                lines,
                subtotal: Amount::ZERO,
                discount: Amount::ZERO,
                tax,
                tax_included,
                service_fee: Amount(7),
                service_fee_payer,
                total: Amount::ZERO,
                multiplier: PerMille(multiplier),
                booked: Seconds(booked),
                stayed: Seconds(stayed),
                tzdb: "2026e".into(),
            };
            fee.total = Amount::checked_sum(fee.lines.iter().map(|line| line.amount)).unwrap();
            let after = [LineKind::Tax, LineKind::ServiceFee, LineKind::Rounding];
            let after = after.map(|kind| fee.of(kind));
            fee.subtotal = after.into_iter().fold(fee.total, Amount::saturating_sub);
            fee.discount = -fee.of(LineKind::Pass).saturating_add(fee.of(LineKind::Discount));
            fee
        })
        .boxed()
}

pub fn assignment() -> impl Strategy<Value = Assignment> {
    let scope = prop_oneof![
        any::<u16>().prop_map(|slot| Scope::Slot(SlotIndex(slot))),
        any::<u16>().prop_map(|zone| Scope::Zone(ZoneIndex(zone))),
        Just(Scope::Lot),
        Just(Scope::Tenant),
    ];
    (scope, of(code()), any::<u128>()).prop_map(|(scope, vehicle_type, id)| Assignment {
        scope,
        vehicle_type,
        tariff: TariffId(Uuid::from_u128(id)),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_tariff_survives(tariff in tariff()) {
        prop_assert_eq!(tariff.faults(), []);
        let bytes = encode_tariff(&tariff).unwrap();
        prop_assert_eq!(decode_tariff(&bytes).unwrap(), tariff);
    }

    #[test]
    fn any_fee_survives(fee in fee()) {
        let bytes = encode_fee(&fee).unwrap();
        prop_assert_eq!(decode_fee(&bytes).unwrap(), fee);
    }

    #[test]
    fn any_assignment_survives(assignment in assignment()) {
        let bytes = encode_assignment(&assignment).unwrap();
        prop_assert_eq!(decode_assignment(&bytes).unwrap(), assignment);
    }

    /// A changed byte gives another tariff, or an error; never one that the engine does not price by.
    #[test]
    fn damaged_tariffs_and_fees_are_decoded_or_refused(
        tariff in tariff(), fee in fee(), at in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = encode_tariff(&tariff).unwrap();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(other) = decode_tariff(&bytes) {
            prop_assert_eq!(other.faults(), []);
        }
        let mut bytes = encode_fee(&fee).unwrap();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        prop_assert!(decode_fee(&bytes).is_err() || decode_fee(&bytes).unwrap().adds_up());
    }

    #[test]
    fn any_bytes_are_a_tariff_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        drop(decode_tariff(&bytes));
        drop(decode_fee(&bytes));
        drop(decode_assignment(&bytes));
    }
}

#[test]
fn what_cannot_be_priced_by_is_refused() {
    let rate = Rate::Flat(Flat { amount: Amount(-1) });
    let id = TariffId(Uuid::from_u128(1));
    let wrong = Tariff::plain(id, "T", Timestamp::from_seconds(1), rate);
    let refused = decode_tariff(&encode_tariff(&wrong).unwrap()).unwrap_err();
    assert!(
        matches!(&refused, FormatError::Invalid { detail, .. } if detail.contains("/rate/flat/amount"))
    );
}

#[test]
fn bytes_after_the_end_are_refused() {
    let rate = Rate::Flat(Flat { amount: Amount(1) });
    let id = TariffId(Uuid::from_u128(1));
    let tariff = Tariff::plain(id, "T", Timestamp::from_seconds(1), rate);
    let mut bytes = encode_tariff(&tariff).unwrap();
    bytes.push(0);
    assert!(decode_tariff(&bytes).is_err());
}

/// Few bytes that are much in memory: the least dense tariff and fee must not be refused as too much.
#[test]
fn the_least_dense_tariffs_and_fees_survive() {
    let id = TariffId(Uuid::from_u128(1));
    let flat = || Rate::Flat(Flat { amount: Amount(1) });
    let band = Band {
        code: "b".into(),
        when: When::Weekly(Weekly {
            days: Weekdays(1),
            from_second: 0,
            to_second: 1,
            dates: Box::default(),
        }),
        effect: Effect::Multiply(PerMille(1)),
    };
    let bands = vec![band; 32].into();
    let tariff = Tariff { bands, ..Tariff::plain(id, "T", Timestamp::from_seconds(1), flat()) };
    assert_eq!(decode_tariff(&encode_tariff(&tariff).unwrap()), Ok(tariff));
}
