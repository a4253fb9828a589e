//! Uploads and what is shown of them.

use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::tariff::{
    Clock, Coverage, Covers, Dates, Effect, LocalDay, OverstayRate, Rate, Stay, Tariff, When, Zone,
    price,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use serde_json::{Value, json};

use super::*;
use crate::wire::{Refusal, from_json};

const NOW: Timestamp = Timestamp::from_seconds(1_772_355_600);

fn tariff(body: &Value) -> Result<Tariff, Vec<Fault>> {
    let new: NewTariff = from_json(body.to_string().as_bytes()).unwrap();
    new.into_tariff(3, NOW)
}

/// Every field, every kind.
fn full() -> Value {
    json!({
        "id": "01890a5d-ac96-774b-bcce-b302099a8057", "name": "All of it",
        "valid_from": "2026-03-01T09:00:00Z", "valid_until": "2027-01-01T00:00:00Z",
        "rate": {"hourly": {"tiers": [
            {"from_seconds": 0, "amount": 300, "per_seconds": 3600, "begun": true},
            {"from_seconds": 3600, "amount": 50, "per_seconds": 720, "begun": false}
        ]}},
        "bands": [
            {"code": "christmas", "weekly": {"days": ["mon", "sun"], "from": "18:00", "to": "08:30:15",
                "dates": [{"first": "2026-12-24", "last": "2026-12-26"}, {"first": "2027-01-01"}]},
             "rate": {"flat": {"amount": 500}}, "clock": "band"},
            {"code": "match", "window": {"from": "2026-07-04T18:00:00Z", "to": "2026-07-04T22:00:00Z"},
             "multiplier_per_mille": 1500},
            {"code": "slabs", "weekly": {"days": ["tue"], "from": "00:00", "to": "24:00"},
             "rate": {"slabs": {"slabs": [{"up_to_seconds": 3600, "amount": 500}], "longer": 1200, "every_seconds": 86400}},
             "clock": "stay"},
            {"code": "weeks", "weekly": {"days": ["wed"], "from": "06:00", "to": "07:00"},
             "rate": {"periods": {"unit": "week", "anchor": "entry", "amount": 4000}}, "clock": "stay"}
        ],
        "caps": [{"unit": "day", "anchor": "calendar", "amount": 2000}],
        "increment": {"seconds": 900, "mode": "nearest"},
        "grace": {"seconds": 600, "mode": "subtracted"},
        "demand": [{"occupancy_per_mille": 800, "multiplier_per_mille": 1200}],
        "overstay": {"grace_seconds": 900, "per_hour": 600, "multiplier_per_mille": 1500, "penalty_per_hour": 1000},
        "discounts": [{"code": "SHOP", "share_bp": 1000}, {"code": "ONE", "amount": 100}],
        "tax": {"code": "VAT", "rate_bp": 1900, "included": true, "on_penalty": false},
        "service_fee": {"payer": "driver", "share_bp": 1000, "fixed": 50},
        "lost_ticket": {"amount": 2500, "instead": true},
        "cancellation": {"steps": [{"before_seconds": 86400, "refund_bp": 10000}], "no_show_bp": 500},
        "rounding": {"mode": "up", "step": 5}
    })
}

#[test]
fn what_is_shown_is_what_was_uploaded() {
    let made = tariff(&full()).unwrap();
    let mut shown = serde_json::to_value(TariffBody::from(&made)).unwrap();
    assert_eq!(shown["version"], 3);
    shown.as_object_mut().unwrap().remove("version");
    assert_eq!(shown, full());
    assert_eq!(tariff(&shown), Ok(made));
}

#[test]
fn texts_become_numbers() {
    let made = tariff(&full()).unwrap();
    let When::Weekly(weekly) = &made.bands[0].when else { panic!("{made:?}") };
    assert_eq!((weekly.days.0, weekly.from_second, weekly.to_second), (0b100_0001, 64_800, 30_615));
    let day = |first, last| Dates { first: LocalDay(first), last: LocalDay(last) };
    assert_eq!(*weekly.dates, [day(20_811, 20_813), day(20_819, 20_819)]);
    assert_eq!(made.bands[1].effect, Effect::Multiply(PerMille(1_500)));
    assert!(matches!(made.bands[0].effect, Effect::Replace { clock: Clock::Band, .. }));
    assert_eq!(made.overstay.rate, OverstayRate::PerHour(Amount(600)));
    assert_eq!(made.valid_from, NOW);
}

#[test]
fn defaults_fill_what_is_left_out() {
    let body = json!({"name": "Plain", "rate": {"hourly": {"tiers": [{"amount": 200}]}}});
    let made = tariff(&body).unwrap();
    let Rate::Hourly(hourly) = &made.rate else { panic!("{made:?}") };
    let tier = hourly.tiers[0];
    assert_eq!((tier.from, tier.per, tier.begun), (Seconds(0), Seconds(3_600), false));
    let plain = Tariff::plain(made.id, "Plain", NOW, made.rate.clone());
    assert_eq!(made, Tariff { version: 3, ..plain });
    // A band without days is of every day, one without a clock goes by that of the stay.
    let mut body = body;
    body["bands"] = json!([{"code": "b", "weekly": {"from": "08:00", "to": "09:00"}, "rate": {"flat": {"amount": 1}}}]);
    let made = tariff(&body).unwrap();
    let When::Weekly(weekly) = &made.bands[0].when else { panic!("{made:?}") };
    assert_eq!(weekly.days.0, 0x7f);
    assert!(matches!(made.bands[0].effect, Effect::Replace { clock: Clock::Stay, .. }));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let mut body = full();
    body["name"] = json!("");
    body["rate"]["hourly"]["tiers"][1]["per_seconds"] = json!(420);
    body["bands"][0]["weekly"]["from"] = json!("25:00");
    body["bands"][0]["weekly"]["dates"][1]["first"] = json!("2027-02-29");
    body["bands"][1]["weekly"] = json!({"from": "1:00", "to": "02:60"});
    body["bands"][2]["multiplier_per_mille"] = json!(1);
    body["bands"][3]["rate"]["periods"]["amount"] = json!(-1);
    body["discounts"][0]["amount"] = json!(1);
    body["discounts"][1]["amount"] = json!(-1);
    body["caps"][0]["amount"] = json!(10_000_000_001_i64);
    let faults = tariff(&body).unwrap_err();
    let mut pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    pointers.sort_unstable();
    let expected = [
        "/bands/0/weekly/dates/1/first",
        "/bands/0/weekly/from",
        "/bands/1",
        "/bands/2",
        "/bands/3/rate/periods/amount",
        "/caps/0/amount",
        "/discounts/0",
        "/discounts/1/amount",
        "/name",
        "/rate/hourly/tiers/1/per_seconds",
    ];
    assert_eq!(pointers, expected);
}

#[test]
fn a_wrong_shape_is_told_where_it_stands() {
    let at = |pointer: &str, value: Value| {
        let mut body = full();
        *body.pointer_mut(pointer).unwrap() = value;
        match from_json::<NewTariff>(body.to_string().as_bytes()).unwrap_err() {
            Refusal::Shape { pointer, .. } => pointer,
            other => panic!("{other:?}"),
        }
    };
    let table = [
        ("/rate/hourly/tiers/1/amount", json!("12"), "/rate/hourly/tiers/1/amount"),
        ("/bands/0/clock", json!("moon"), "/bands/0/clock"),
        ("/bands/1/window/to", json!("tomorrow"), "/bands/1/window/to"),
        ("/tax/rate_bp", json!(-1), "/tax/rate_bp"),
        ("/overstay/per_hour", json!(1.5), "/overstay/per_hour"),
    ];
    for (pointer, value, told) in table {
        assert_eq!(at(pointer, value), told);
    }
    // What is not known is refused, at every depth.
    for pointer in [
        "",
        "/rate/hourly/tiers/0",
        "/bands/0",
        "/bands/0/weekly",
        "/caps/0",
        "/grace",
        "/overstay",
    ] {
        let mut body = full();
        body.pointer_mut(pointer).unwrap()["surprise"] = json!(1);
        let refused = from_json::<NewTariff>(body.to_string().as_bytes()).unwrap_err();
        let Refusal::Shape { detail, .. } = &refused else { panic!("{refused:?}") };
        assert!(detail.contains("surprise"), "{pointer}: {detail}");
    }
    // A rate has one kind.
    let two = json!({"name": "T", "rate": {"flat": {"amount": 1}, "hourly": {"tiers": []}}});
    assert!(from_json::<NewTariff>(two.to_string().as_bytes()).is_err());
}

#[test]
fn a_fee_is_shown_line_by_line() {
    let mut body = json!({"name": "Plain", "rate": {"hourly": {"tiers": [{"amount": 200}]}}});
    body["service_fee"] = json!({"payer": "driver", "share_bp": 1000, "fixed": 50});
    let tariff = tariff(&body).unwrap();
    let window = Window { from: NOW, to: NOW.plus(Seconds(7_201)) };
    let mut stay = Stay::booked(window, Zone::utc());
    stay.pass = Some(Coverage { code: "P-7".into(), covers: Covers::First(Seconds(3_600)) });
    let shown = FeeBody::new(&price(&tariff, &stay).unwrap(), "EUR");
    let expected = json!({
        "currency": "EUR",
        "lines": [
            {"kind": "base", "code": "hourly", "amount": 400, "seconds": 7201, "rate": 200, "rate_per_seconds": 3600,
             "from": "2026-03-01T09:00:00Z", "to": "2026-03-01T11:00:01Z"},
            {"kind": "pass", "code": "P-7", "amount": -200},
            {"kind": "service_fee", "code": "service_fee", "amount": 70}
        ],
        "subtotal": 200, "discount": 200, "tax": 0, "tax_included": false,
        "service_fee": 70, "service_fee_payer": "driver", "total": {"amount": 270, "currency": "EUR"},
        "multiplier_per_mille": 1000, "minutes_booked": 121, "minutes_stayed": 0,
        "tariff": tariff.id.0, "tariff_version": 3, "tzdb": lotkeeper_engine::tariff::tzdb_version()
    });
    assert_eq!(serde_json::to_value(shown).unwrap(), expected);
}
