//! Lots small enough that everybody meets everybody, with rules from seconds to hours.

use lotkeeper_engine::ids::{LotId, SlotId, ZoneIndex};
use lotkeeper_engine::spec::{
    Allocation, Criterion, FeatureSet, Kind, Place, Rules, Size, SlotSpec, Spec, TypeSet, Zone,
};
use lotkeeper_engine::time::{Seconds, Timestamp};
use uuid::Uuid;

use crate::dice::Dice;

/// A lot of an episode.
pub fn lot(dice: &mut Dice, number: usize, at: Timestamp, (slots_max, gates): (u32, bool)) -> Spec {
    let counted = dice.one_in(4);
    let slots = dice.count(u32::from(!counted), slots_max);
    let zones = ["level-1", "level-2"];
    Spec {
        id: LotId(Uuid::from_u128(1 + number as u128)),
        tenant: "city".into(),
        code: format!("L{number}").into(),
        name: format!("Lot {number}").into(),
        kind: if counted { Kind::Counted } else { Kind::Bayed },
        capacity: if counted { dice.count(1, 200) } else { slots },
        place: Place { time_zone: "Europe/Berlin".into(), ..Place::default() },
        zones: zones.map(|code| Zone { code: code.into(), name: code.into(), level: None }).into(),
        features: vec!["ev".into(), "covered".into()],
        slots: (0..slots).map(|slot| slot_of(dice, number, slot)).collect(),
        rules: rules(dice, gates),
        vehicle_types: vec!["car".into(), "van".into()],
        allocation: allocation(dice),
        created_at: at,
        ..Spec::default()
    }
}

fn slot_of(dice: &mut Dice, lot: usize, slot: u32) -> SlotSpec {
    SlotSpec {
        id: SlotId(Uuid::from_u128(0xA000 + (lot as u128) * 0x1_0000 + u128::from(slot))),
        code: format!("A-{slot}").into(),
        zone: dice.pick(&[None, Some(ZoneIndex(0)), Some(ZoneIndex(1))]).flatten(),
        size: dice
            .pick(&[Size::Compact, Size::Standard, Size::Standard, Size::Large])
            .unwrap_or_default(),
        features: FeatureSet(dice.below(4)),
        vehicle_types: TypeSet(if dice.one_in(3) { dice.below(4) } else { 0 }),
        walk_metres: dice.one_in(2).then(|| u16::try_from(5 * dice.below(20)).unwrap_or(0)),
    }
}

/// Criteria as an operator might order them.
pub fn allocation(dice: &mut Dice) -> Allocation {
    let mut all = vec![
        Criterion::SmallestFit,
        Criterion::KeepSpecial,
        Criterion::FillZones(vec![ZoneIndex(1)]),
        Criterion::NearestEntrance,
        Criterion::WasteLeast,
    ];
    let kept = dice.index(all.len() + 1);
    Allocation((0..kept).map(|_| all.swap_remove(dice.index(all.len()))).collect())
}

/// Rules as an operator might set them, the extremes included.
pub fn rules(dice: &mut Dice, gates: bool) -> Rules {
    let mut seconds = |from, to| Seconds(dice.count(from, to));
    let usual = Rules {
        hold: seconds(1, 900),
        hold_lead: seconds(0, 3_600),
        no_show: seconds(0, 1_800),
        silence: seconds(60, 7_200),
        skew: seconds(0, 120),
        // Where answers and events are predicted in their order there are no reminders.
        remind_before_start: Seconds(0),
        remind_before_end: Seconds(0),
        ..Rules::default()
    };
    if gates { super::gates::rules(dice, usual) } else { usual }
}
