//! The level as a table, and on a machine that is a formula.

use super::*;
use proptest::prelude::*;

#[test]
fn the_level_as_a_table() {
    // level, busy, target, active, next, and why; one tenant alone may use all of it
    for (level, busy, target, active, next, why) in [
        (0.3, 0.9, 0.5, 1, LEVEL_MAX, "alone one has everything"),
        (0.3, 0.9, 0.5, 0, LEVEL_MAX, "and so has one that was just taken for quiet"),
        (1.0, 1.0, 0.5, 2, 0.870_550_563_296_124, "falls with what is too much, and not at once"),
        (0.4, 0.5, 0.5, 2, 0.4, "stays where it is right"),
        (0.4, 0.48, 0.5, 2, 0.403_279_127_398_866_6, "rises while it may"),
        (0.4, 0.01, 0.5, 2, 0.42, "and not at once"),
        (0.26, 1.0, 0.5, 2, 0.25, "never below a fair part of the target"),
        (0.04, 0.1, 0.5, 10, 0.05, "which is smaller the more there are"),
        (1.99, 0.0, 0.5, 2, LEVEL_MAX, "and ends where nobody can use more"),
    ] {
        let bounds = Bounds { busy: target, tenant: LEVEL_MAX };
        let got = Level(level).next(busy, bounds, active).0;
        assert!((got - next).abs() < 1e-9, "{why}: {got} instead of {next}");
    }
    // level, busy, active, next, and why; one tenant may use a fifth
    for (level, busy, active, next, why) in [
        (2.0, 0.0, 2, 0.2, "who comes to another is held to its fifth at once"),
        (0.2, 1.0, 2, 0.2, "an even part of what may be busy is more"),
        (0.2, 0.1, 3, 0.2, "and stays there however idle the server is"),
        (0.18, 0.9, 3, 0.166_666_666_666_666_66, "and falls as ever"),
        (0.2, 0.9, 1, LEVEL_MAX, "alone it has everything"),
    ] {
        let got = Level(level).next(busy, Bounds { busy: 0.5, tenant: 0.2 }, active).0;
        assert!((got - next).abs() < 1e-9, "{why}: {got} instead of {next}");
    }
    assert_eq!(Level(0.5).nanos(2), Some(20_000_000), "half of two workers for 20 ms");
    assert_eq!(Level::FULL.nanos(2), None, "nobody is held up");
}

proptest! {
    /// Calm tenants use what they need, one more whatever it gets: in the end the machine is as busy as it may be,
    /// or the flood has its fair part and no more.
    #[test]
    fn a_flood_gets_what_the_calm_leave(
        calm in proptest::collection::vec(0.0..0.4_f64, 1..6), target in 0.2..0.9_f64, most in 0.05..1.0_f64,
    ) {
        let active = calm.len() + 1;
        let (mut level, mut mean, part) = (Level::FULL, 0.0_f64, target / active as f64);
        let mut used = 0.0;
        for _ in 0..2_000 {
            used = calm.iter().map(|need| need.min(level.0)).sum::<f64>();
            let busy = (used + level.0).min(1.0);
            mean += NEWEST * (busy - mean);
            level = level.next(mean, Bounds { busy: target, tenant: most }, active);
            prop_assert!(level.0 >= part.min(most), "a fair part is always there");
        }
        let left = (target - used).max(part).min(most);
        prop_assert!((level.0 / left - 1.0).abs() < 0.01, "{} of {left}", level.0);
    }
}
