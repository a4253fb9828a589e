//! Arrivals in tables and as properties: how many come, when, and that none is lost.

use super::*;
use proptest::prelude::*;

const SECOND_US: u64 = MICROS_PER_SECOND;

fn dues(mut pace: Pace, end_us: u64) -> Vec<u64> {
    std::iter::from_fn(|| (pace.next_due_us() < end_us).then(|| pace.take_next())).collect()
}

#[test]
fn a_pace_that_fell_behind_keeps_the_intended_times() {
    let mut pace = Pace::new(1_000, 1_000_000.0 / 250.0);
    assert_eq!(pace.take(999), None);
    let late_us = 1_700;
    let due: Vec<u64> = std::iter::from_fn(|| pace.take(late_us)).collect();
    assert_eq!(due, [1_000, 1_250, 1_500]);
    assert_eq!(pace.next_due_us(), 1_750);
}

#[test]
fn a_rate_of_nought_is_never_due() {
    let mut pace = Pace::new(1_000, 0.0);
    assert_eq!((pace.take(u64::MAX - 1), pace.left_before(u64::MAX)), (None, 0));
}

#[test]
fn loops_of_one_rate_take_turns() {
    let of = |nth| Pace::shaped(0, 100.0, Shape::default(), (nth, 4)).next_due_us();
    assert_eq!([of(0), of(1), of(2), of(3)], [0, 2_500, 5_000, 7_500]);
}

#[test]
fn a_ramp_climbs_in_a_line_and_brings_half_as_many() {
    let shape = Shape { ramp_us: 4 * SECOND_US, ..Shape::default() };
    let due = dues(Pace::shaped(0, 1_000.0, shape, (0, 1)), 5 * SECOND_US);
    let in_second = |n: u64| due.iter().filter(|at| **at / SECOND_US == n).count();
    for (second, expected) in [(0, 125), (1, 375), (2, 625), (3, 875), (4, 1_000)] {
        assert!(in_second(second).abs_diff(expected) <= 1, "{second}: {}", in_second(second));
    }
}

#[test]
fn a_surge_brings_its_factor_and_ends() {
    let surge = Surge { from_us: 2 * SECOND_US, to_us: 3 * SECOND_US, factor: 5.0 };
    let shape = Shape { surge: Some(surge), ..Shape::default() };
    let due = dues(Pace::shaped(0, 100.0, shape, (0, 1)), 5 * SECOND_US);
    let seconds: Vec<usize> =
        (0..5).map(|n| due.iter().filter(|at| **at / SECOND_US == n).count()).collect();
    assert_eq!(seconds, [100, 100, 500, 100, 100]);
}

#[test]
fn poisson_arrivals_have_the_rate_and_the_spread_of_independent_ones() {
    let shape = Shape { arrivals: Arrivals::Poisson, seed: 7, ..Shape::default() };
    let due = dues(Pace::shaped(0, 1_000.0, shape, (0, 1)), 100 * SECOND_US);
    // 100,000 expected with a deviation of 316; ten of those leave the seed no say.
    assert!(due.len().abs_diff(100_000) < 3_160, "{}", due.len());
    let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    let spread = variance.sqrt() / mean;
    assert!((0.95..1.05).contains(&spread), "{spread}: even arrivals would have 0");
}

#[test]
fn two_loops_do_not_share_their_randomness_and_a_seed_repeats() {
    let shape = Shape { arrivals: Arrivals::Poisson, seed: 7, ..Shape::default() };
    let first = |nth| dues(Pace::shaped(0, 1_000.0, shape, (nth, 2)), SECOND_US);
    assert_ne!(first(0), first(1));
    assert_eq!(first(1), first(1));
}

#[test]
fn a_pool_takes_every_turn_once_and_counts_what_is_left() {
    let shared = SharedPace::new(Pace::new(0, 1_000.0));
    let taken: Vec<u64> = (0..40).filter_map(|_| shared.take_before(SECOND_US)).collect();
    assert!(taken.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(shared.left_before(SECOND_US), 960);
    assert_eq!((shared.left_before(SECOND_US), shared.take_before(SECOND_US)), (0, None));
}

proptest! {
    #[test]
    fn whatever_the_shape_as_many_come_as_the_rate_says(
        rate in 1.0..5_000.0_f64,
        ramp_us in 0..3 * SECOND_US,
        surge_us in 0..3 * SECOND_US,
        factor in 0.1..10.0_f64,
        first_us in 0..2_000_000_000_000_000_u64,
    ) {
        let from_us = first_us + 4 * SECOND_US;
        let surge = Surge { from_us, to_us: from_us + surge_us, factor };
        let shape = Shape { ramp_us, surge: Some(surge), ..Shape::default() };
        let end_us = first_us + 10 * SECOND_US;
        let due = dues(Pace::shaped(first_us, rate, shape, (0, 1)), end_us);
        prop_assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(due.first().is_none_or(|at| *at >= first_us));
        let seconds = |us: u64| us as f64 / SECOND_US as f64;
        let expected = rate * (10.0 - seconds(ramp_us) / 2.0 + seconds(surge_us) * (factor - 1.0));
        prop_assert!((due.len() as f64 - expected).abs() <= 1.5, "{} of {expected}", due.len());
    }
}
