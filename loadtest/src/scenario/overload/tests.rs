//! Stretches and figures of an overload, from made-up answers.

use super::*;
use crate::scenario::feeder::Answered;

fn answer(due_us: u64, latency_us: u64, is_accepted: bool) -> Answered {
    Answered {
        due_us,
        sent_us: due_us,
        done_us: due_us + latency_us,
        is_accepted,
        taken: u64::from(is_accepted),
    }
}

#[test]
fn the_stretches_follow_each_other_and_the_middle_one_is_the_overload() {
    let [before, storm, after] = three_stretches(7, 10_000_000);
    assert_eq!((before.from_us, before.to_us), (7, storm.from_us));
    assert_eq!((storm.to_us - storm.from_us, storm.to_us), (10_000_000, after.from_us));
    assert_eq!(after.to_us - after.from_us, CALM_US);
}

#[test]
fn figures_tell_readings_from_bookings_and_say_when_it_is_not_normal_again() {
    let [before, storm, after] = three_stretches(0, 1_000_000);
    let haul = Haul {
        readings: vec![
            answer(before.from_us, 1_000, true),
            answer(storm.from_us, 9_000, true),
            answer(storm.from_us + 1, 400, false),
            answer(after.from_us, 1_000, true),
        ],
        bookings: vec![answer(after.to_us - 1, 0, false)],
        batches_given_up: 2,
        ..Haul::default()
    };
    let capacity = Capacity { readings: 100.0, bookings: 10.0 };
    let rows = figures(&haul, capacity, 8.0, 50, [before, storm, after]);
    for (name, value) in [
        ("readings: offered", 800.0),
        ("readings: due, not sent in time", 100.0),
        ("readings: refused", 50.0),
        ("readings: accepted p99", 9_000.0),
        ("readings: refused p99", 400.0),
        ("readings: normal again after", 0.0),
        ("bookings: offered", 80.0),
        ("bookings: not normal again within", CALM_US as f64),
    ] {
        assert_eq!(rows.iter().find(|row| row.name == name).unwrap().value, value, "{name}");
    }
}
