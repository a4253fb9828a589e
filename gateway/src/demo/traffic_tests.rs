//! What the traffic must look like, over simulated weeks and several seeds.

use std::collections::HashMap;

use super::super::calibration::{ARRIVAL_SHARES, HOURS, STAY_QUANTILES, WEEKDAY_FACTORS};
use super::super::city;
use super::*;

const SEEDS: [u64; 3] = [1, 2, 77];
const WEEKS: usize = 3;

fn monday() -> CityTime {
    CityTime::of_week(0, 0, 0)
}

/// Movements of some weeks, asked for in steps of a quarter of an hour.
fn weeks(seed: u64, mut each: impl FnMut(&Traffic, CityTime, &[Movement])) {
    let mut traffic = Traffic::new(&city::bayed(), seed, monday());
    for quarter in 1..=WEEKS * 7 * 24 * 4 {
        let now = CityTime::of_week(0, 0, quarter * 15);
        let movements = traffic.next(now);
        each(&traffic, now, &movements);
    }
}

#[test]
fn hourly_shares_and_weekdays_are_those_of_the_calibration() {
    for seed in SEEDS {
        let (mut hours, mut days) = ([0.0; HOURS], [0.0; 7]);
        weeks(seed, |_, _, movements| {
            for movement in movements.iter().filter(|movement| movement.occupied) {
                hours[movement.at.hour()] += 1.0;
                days[movement.at.weekday()] += 1.0;
            }
        });
        let all: f64 = hours.iter().sum();
        for (hour, share) in ARRIVAL_SHARES.into_iter().enumerate() {
            let got = hours[hour] / all;
            assert!((got - share).abs() < 0.003, "seed {seed}, {hour} h: {got:.4} for {share}");
        }
        let factors: f64 = WEEKDAY_FACTORS.iter().sum();
        for (day, factor) in WEEKDAY_FACTORS.into_iter().enumerate() {
            let (got, wanted) = (days[day] / all, factor / factors);
            assert!((got - wanted).abs() < 0.005, "seed {seed}, day {day}: {got} for {wanted}");
        }
    }
}

#[test]
fn stays_have_the_quantiles_of_the_calibration() {
    for seed in SEEDS {
        let mut since = HashMap::new();
        let mut stays = Vec::new();
        weeks(seed, |_, _, movements| {
            for movement in movements {
                let slot = (movement.lot, movement.slot);
                if movement.occupied {
                    since.insert(slot, movement.at);
                } else if let Some(came) = since.remove(&slot) {
                    stays.push(movement.at.seconds_since(came) / 60.0);
                }
            }
        });
        stays.sort_by(f64::total_cmp);
        // Long stays push the quantiles of the others down by their share.
        let others = stays.len() as f64 * (1.0 - LONG_STAY_SHARE);
        for (share, minutes) in STAY_QUANTILES.into_iter().filter(|(share, _)| *share < 0.99) {
            let got = stays[(others * share) as usize];
            let error = (got - minutes).abs() / minutes;
            assert!(error < 0.05, "seed {seed}, {share}: {got:.1} min for {minutes}");
        }
    }
}

#[test]
fn arrivals_and_departures_of_a_slot_alternate_in_order_of_time() {
    for seed in SEEDS {
        let lots = city::bayed();
        let mut traffic = Traffic::new(&lots, seed, monday());
        let mut taken: Vec<Vec<bool>> =
            (0..lots.len()).map(|lot| traffic.lots[lot].taken.clone()).collect();
        let mut last = monday();
        for step in 1..2_000 {
            // Steps of all lengths, also of none.
            let now = monday().plus_seconds(f64::from(step * (step % 7)));
            for movement in traffic.next(now) {
                assert!(last <= movement.at, "seed {seed}: time went back");
                last = movement.at;
                let slot = &mut taken[movement.lot][movement.slot];
                assert_ne!(*slot, movement.occupied, "seed {seed}: {movement:?}");
                *slot = movement.occupied;
                let used_by = lots[movement.lot].slots[movement.slot].used_by;
                assert!(!matches!(used_by, Use::Booked | Use::Yours | Use::Closed));
            }
            let shown = |lot: usize| (0..taken[lot].len()).map(move |slot| (lot, slot));
            let agree =
                (0..lots.len()).flat_map(shown).all(|(l, s)| traffic.is_taken(l, s) == taken[l][s]);
            assert!(agree, "seed {seed}: the model and its movements disagree");
        }
    }
}

#[test]
fn occupancy_is_that_of_a_city_at_every_hour() {
    for seed in SEEDS {
        let (mut noon, mut night) = (Vec::new(), Vec::new());
        weeks(seed, |traffic, now, _| {
            let (cars, places) = traffic.occupancy();
            let share = cars as f64 / places as f64;
            assert!((0.10..=0.95).contains(&share), "seed {seed}, {now}: {share:.3}");
            for lot in &traffic.lots {
                assert!(lot.free_share() >= LEFT_FREE_SHARE - 1.0 / lot.used as f64, "{now}");
            }
            match (now.is_weekend(), now.hour()) {
                (false, 13) => noon.push(share),
                (false, 4) => night.push(share),
                _ => {}
            }
        });
        let mean = |shares: &[f64]| shares.iter().sum::<f64>() / shares.len() as f64;
        let (noon, night) = (mean(&noon), mean(&night));
        assert!((0.70..=0.92).contains(&noon), "seed {seed}: {noon:.3} at 13 h");
        assert!((0.10..=0.20).contains(&night), "seed {seed}: {night:.3} at 4 h");
    }
}

#[test]
fn the_same_seed_gives_the_same_traffic_however_often_it_is_asked() {
    let run = |seed, steps: i32| {
        let mut traffic = Traffic::new(&city::bayed(), seed, CityTime::of_week(2, 8, 0));
        let step =
            |n| CityTime::of_week(2, 8, 0).plus_seconds(7_200.0 * f64::from(n) / f64::from(steps));
        (1..=steps).flat_map(|n| traffic.next(step(n))).collect::<Vec<_>>()
    };
    assert_eq!(run(5, 1), run(5, 900));
    assert_ne!(run(5, 1), run(6, 1));
}

#[test]
fn settling_keeps_the_cars_and_puts_them_where_they_are_remembered() {
    let lots = city::bayed();
    let now = CityTime::of_week(1, 11, 0);
    let mut traffic = Traffic::new(&lots, 9, now);
    let cars = |traffic: &Traffic| traffic.lots[1].taken.iter().filter(|taken| **taken).count();
    let before = cars(&traffic);
    // Another seed's picture at a quieter hour: everything that stands there can stay.
    let remembered = Traffic::new(&lots, 10, CityTime::of_week(1, 8, 0));
    let pictured: Vec<Option<bool>> = remembered.lots[1].taken.iter().copied().map(Some).collect();
    traffic.settle(1, &pictured);
    assert_eq!(cars(&traffic), before);
    let lost = pictured
        .iter()
        .zip(&traffic.lots[1].taken)
        .filter(|(was, is)| **was == Some(true) && !**is);
    assert_eq!(lost.count(), 0, "cars that could stay were moved");
    let nothing_known = vec![None; lots[0].slots.len()];
    let first = traffic.lots[0].taken.clone();
    traffic.settle(0, &nothing_known);
    assert_eq!(traffic.lots[0].taken, first, "nothing remembered, nothing moved");
    for movement in traffic.next(now.plus_seconds(7_200.0)) {
        let used_by = lots[movement.lot].slots[movement.slot].used_by;
        assert!(matches!(used_by, Use::Traffic | Use::DeadSensor | Use::FadingSensor));
    }
}
