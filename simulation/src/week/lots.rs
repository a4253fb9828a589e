//! The two lots of the week: what they are made of, their rules and what they cost.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotId, SlotId, TariffId, ZoneIndex};
use lotkeeper_engine::lot::{Command, TariffChange};
use lotkeeper_engine::money::{Amount, BasisPoints, PerMille};
use lotkeeper_engine::spec::{Arrival, FeatureSet, Place, Rules, SlotSpec, Spec, Zone};
use lotkeeper_engine::tariff::{
    Anchor, Assignment, Cancellation, Cap, Hourly, LostTicket, Overstay, OverstayRate, Period,
    Rate, RefundStep, Scope, Tariff, Tax, Tier, Unit,
};
use lotkeeper_engine::time::{Seconds, Timestamp};
use uuid::Uuid;

/// The lot at the airport, as a position in lists.
pub const AIRPORT: usize = 0;
/// The lot in the street.
pub const STREET: usize = 1;
/// What people call them.
pub const NAMES: [&str; 2] = ["airport", "street"];
/// Their slots.
pub const SLOTS: [u16; 2] = [500, 120];

/// What an hour costs, begun ones whole.
pub const HOUR_AMOUNT: [i64; 2] = [300, 240];
/// What a day of 24 hours from the entry costs at most.
pub const DAY_AMOUNT: [i64; 2] = [1_800, 1_600];
/// What a warden asks for.
pub const PENALTY: Amount = Amount(3_000);

/// A lot.
#[must_use]
pub fn spec(lot: usize, at: Timestamp) -> Spec {
    let slots = SLOTS[lot];
    let zones = [["P1", "P2"], ["north", "south"]][lot];
    let slot = |number: u16| SlotSpec {
        id: SlotId(Uuid::from_u128(0xA000_0000 + ((lot as u128) << 16) + u128::from(number))),
        code: format!("{number:03}").into(),
        zone: Some(ZoneIndex(u16::from(number >= slots / 2))),
        // One in ten charges, or is beside the lift: kept for those who ask.
        features: FeatureSet(u64::from(number % 10 == 9)),
        walk_metres: Some(20 + number % 180),
        ..SlotSpec::default()
    };
    Spec {
        id: LotId(Uuid::from_u128(1 + lot as u128)),
        tenant: "city".into(),
        code: NAMES[lot].into(),
        name: NAMES[lot].into(),
        capacity: u32::from(slots),
        place: Place { time_zone: "Europe/Berlin".into(), ..Place::default() },
        zones: zones.map(|code| Zone { code: code.into(), name: code.into(), level: None }).into(),
        features: vec!["ev".into()],
        slots: (0..slots).map(slot).collect(),
        rules: if lot == AIRPORT { airport() } else { street() },
        created_at: at,
        ..Spec::default()
    }
}

/// Gates with cameras; who has reserved is known by his plate, one wrong character allowed.
fn airport() -> Rules {
    Rules {
        arrival: Arrival::Proved,
        no_show: Seconds(6 * 3_600),
        early_entry: Seconds(2 * 3_600),
        fuzzy_plates: true,
        drive_in_stay: Seconds(12 * 3_600),
        overstay_grace: Seconds(1_800),
        overstay_notice_first: Seconds(3_600),
        overstay_notice_every: Seconds(12 * 3_600),
        silence: Seconds(10 * 3_600),
        enforce_slots: true,
        enforce_grace: Seconds(600),
        ..Rules::default()
    }
}

/// No gates: drivers check themselves in and out, sensors watch, wardens come by.
fn street() -> Rules {
    Rules {
        arrival: Arrival::BySensor,
        no_show: Seconds(1_200),
        stay_max: Some(Seconds(2 * 3_600)),
        auto_exit: Seconds(3 * 3_600),
        drive_in_stay: Seconds(2 * 3_600),
        silence: Seconds(10 * 3_600),
        enforce_slots: true,
        ..Rules::default()
    }
}

/// Its tariff, in force from now on.
#[must_use]
pub fn tariff(lot: usize, now: Timestamp) -> Command {
    let id = TariffId(Uuid::from_u128(0x9000 + lot as u128));
    let tier = Tier {
        from: Seconds(0),
        amount: Amount(HOUR_AMOUNT[lot]),
        per: Seconds(3_600),
        begun: true,
    };
    let rate = Rate::Hourly(Hourly { tiers: [tier].into() });
    let mut tariff = Tariff::plain(id, NAMES[lot], now, rate);
    let period = Period { unit: Unit::Day, anchor: Anchor::Entry };
    tariff.caps = [Cap { period, amount: Amount(DAY_AMOUNT[lot]) }].into();
    tariff.overstay = Overstay {
        grace: Seconds(1_800),
        rate: OverstayRate::Continued,
        multiplier: PerMille(1_500),
        penalty_per_hour: Amount(200),
    };
    tariff.tax = Some(Tax {
        code: "VAT".into(),
        rate: BasisPoints(1_900),
        included: true,
        on_penalty: false,
    });
    tariff.lost_ticket = Some(LostTicket { amount: Amount(2_500), instead: false });
    let step = RefundStep { before: Seconds(86_400), refund: BasisPoints(10_000) };
    tariff.cancellation = Cancellation { steps: [step].into(), no_show: BasisPoints(5_000) };
    let assignment = Assignment { scope: Scope::Lot, vehicle_type: None, tariff: id };
    let put = TariffChange::Put(Arc::new(tariff));
    Command::ChangeTariffs(vec![put, TariffChange::Assign(assignment)])
}

/// What a stay costs that was not booked: by hand, without the engine.
#[must_use]
pub fn by_hand(lot: usize, stayed: Seconds) -> i64 {
    let (days, rest) = (i64::from(stayed.0 / 86_400), i64::from(stayed.0 % 86_400));
    let begun = (rest + 3_599) / 3_600;
    days * DAY_AMOUNT[lot] + (begun * HOUR_AMOUNT[lot]).min(DAY_AMOUNT[lot])
}
