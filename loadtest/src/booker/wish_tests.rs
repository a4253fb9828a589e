//! Wishes: they exist, are in the future, and spread ones never meet.

use super::*;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

const NOW_US: u64 = 1_772_355_671_000_000;

fn place(number: usize, of: usize) -> Place {
    Place { number, of, lots: 5, slots_per_lot: 20, began_us: NOW_US }
}

fn mix(contended_percent: u32, any_slot_percent: u32) -> Mix {
    Mix { contended_percent, any_slot_percent, ..Mix::PLAIN }
}

#[test]
fn wishes_are_future_half_hours_of_slots_that_exist() {
    for (contended_percent, any_slot_percent) in [(0, 0), (100, 0), (0, 100), (100, 100)] {
        let mut wishes = Wishes::new(mix(contended_percent, any_slot_percent), place(3, 4), 1);
        for _ in 0..500 {
            let wish = wishes.next(NOW_US);
            assert!(wish.from_us > NOW_US && wish.to_us == wish.from_us + STEP_US, "{wish:?}");
            assert_eq!(wish.slot.is_none(), any_slot_percent == 100, "{wish:?}");
            assert_eq!(wish.is_own, contended_percent == 0);
            if contended_percent == 100 {
                assert!(wish.lot == 0 && wish.slot.is_none_or(|slot| slot < CONTENDED_SLOTS));
                assert!(wish.to_us <= NOW_US + 70 * MINUTE_US, "{wish:?}");
            } else {
                assert!(wish.lot < 5 && wish.slot.is_none_or(|slot| slot < 20), "{wish:?}");
                assert!(wish.from_us >= NOW_US + 90 * MINUTE_US, "{wish:?}");
            }
        }
    }
}

#[test]
fn spread_wishes_of_many_drivers_never_meet_and_use_every_lot() {
    for (drivers, any_slot_percent) in [(1, 0), (7, 0), (64, 0), (64, 50), (7, 100)] {
        let mut given = HashSet::new();
        let mut any: HashMap<(usize, u64), usize> = HashMap::new();
        let mut lots = HashSet::new();
        for number in 0..drivers {
            let mut wishes = Wishes::new(mix(0, any_slot_percent), place(number, drivers), 1);
            for _ in 0..300 {
                let wish = wishes.next(NOW_US);
                lots.insert(wish.lot);
                match wish.slot {
                    Some(slot) => {
                        assert!(given.insert((wish.lot, slot, wish.from_us)), "{wish:?}");
                    }
                    None => *any.entry((wish.lot, wish.from_us)).or_default() += 1,
                }
            }
        }
        assert_eq!(lots.len(), 5);
        assert!(any.values().all(|times| *times <= 20), "more than the lot has");
        let given_windows: HashSet<(usize, u64)> = given.iter().map(|c| (c.0, c.2)).collect();
        assert!(any.keys().all(|window| !given_windows.contains(window)));
    }
}

#[test]
fn a_long_run_goes_on_to_fresh_windows_and_begins_again_after_a_year() {
    let small = Place { number: 1, of: 2, lots: 1, slots_per_lot: 1, began_us: NOW_US };
    let mut wishes = Wishes::new(mix(0, 0), small, 1);
    let year: Vec<u64> = (0..4_000).map(|_| wishes.next(NOW_US).from_us).collect();
    assert_eq!(year.iter().collect::<HashSet<_>>().len(), 4_000, "none twice within the year");
    let after: Vec<u64> = (0..4_000).map(|_| wishes.next(NOW_US).from_us).collect();
    let end_us = NOW_US + (HORIZON_STEPS + LEAD_STEPS) * STEP_US;
    assert!(year.iter().chain(&after).all(|from| *from > NOW_US && *from <= end_us));
    assert!(after.contains(&year[0]), "begins again");
}

#[test]
fn short_wishes_are_the_next_minutes_and_belong_to_one_driver() {
    let mix = Mix { short_percent: 100, contended_percent: 10, ..Mix::PLAIN };
    let mut seen = HashSet::new();
    for number in 0..4 {
        let mut wishes = Wishes::new(mix, place(number, 4), 1);
        for nth in 0..100 {
            let now_us = NOW_US + nth * 2_000_000;
            let wish = wishes.next(now_us);
            assert!(wish.from_us >= now_us && wish.from_us < now_us + 60 * MINUTE_US, "{wish:?}");
            assert_eq!((wish.to_us - wish.from_us, wish.is_own), (MINUTE_US, wish.lot > 0));
            assert!(seen.insert((wish.lot, wish.slot, wish.from_us)), "{wish:?}");
        }
    }
}

#[test]
fn cars_come_again_as_often_as_the_mix_says() {
    for (newcomer_percent, least, most) in [(100, 0, 0), (0, 1_000, 1_000), (50, 400, 600)] {
        let mut wishes = Wishes::new(Mix { newcomer_percent, ..Mix::PLAIN }, place(0, 1), 1);
        let regulars = (0..1_000).filter(|_| wishes.next(NOW_US).regular.is_some()).count();
        assert!((least..=most).contains(&regulars), "{newcomer_percent}: {regulars}");
    }
}

#[test]
fn a_slow_run_leaves_windows_that_have_passed() {
    let mut wishes = Wishes::new(mix(0, 0), place(0, 1), 1);
    for hour in 0..48 {
        let now_us = NOW_US + hour * 60 * MINUTE_US;
        assert!(wishes.next(now_us).from_us >= now_us + 90 * MINUTE_US, "{hour}");
    }
}

#[test]
fn the_same_seed_wishes_the_same() {
    let wishes = || -> Vec<Wish> {
        let mut wishes = Wishes::new(mix(30, 30), place(3, 4), 1);
        (0..20).map(|_| wishes.next(NOW_US)).collect()
    };
    assert_eq!(wishes(), wishes());
}

fn wish() -> Wish {
    let id = "01990000-0000-4000-8000-000000000000".to_string();
    let (from_us, to_us) = (NOW_US, NOW_US + STEP_US);
    let slot = Some(7);
    let (hold_seconds, regular) = (Some(600), None);
    Wish { id, lot: 0, slot, from_us, to_us, hold_seconds, regular, has_key: false, is_own: true }
}

#[test]
fn the_body_is_the_contracts_json() {
    let held: Value = serde_json::from_slice(&body(&wish(), "L1")).unwrap();
    assert_eq!((&held["lot"], &held["slot"]), (&"L1".into(), &"S00007".into()));
    assert_eq!(held["hold_seconds"], 600);
    assert_eq!(parse_rfc3339(held["from"].as_str().unwrap()), Some(NOW_US));
    let any = Wish { slot: None, hold_seconds: None, ..wish() };
    let any: Value = serde_json::from_slice(&body(&any, "L1")).unwrap();
    assert!(any.get("slot").is_none() && any.get("hold_seconds").is_none());
    assert_eq!(any["vehicle"]["country"], "D");
    let regular = Wish { hold_seconds: None, regular: Some(42), ..wish() };
    let regular: Value = serde_json::from_slice(&body(&regular, "L1")).unwrap();
    assert_eq!(regular["vehicle"]["plate"], "LR 42");
}

#[test]
fn a_grant_of_something_else_is_detected() {
    let wish = wish();
    let right = Reservation {
        id: wish.id.clone(),
        lot: "L1".into(),
        slot: "S00007".into(),
        state: ReservationState::Held,
        from: Rfc3339(wish.from_us).to_string(),
        to: Rfc3339(wish.to_us).to_string(),
        expires_at: None,
        seq: 1,
    };
    assert_eq!(difference(&wish, "L1", &right), None);
    let wrong: [fn(&mut Reservation); 5] = [
        |r| r.id = "other".into(),
        |r| r.lot = "L2".into(),
        |r| r.slot = "S00008".into(),
        |r| r.to = r.from.clone(),
        |r| r.state = ReservationState::Confirmed,
    ];
    for spoil in wrong {
        let mut got = right.clone();
        spoil(&mut got);
        assert!(difference(&wish, "L1", &got).is_some(), "{got:?}");
    }
}
