//! Every target for a moment: its seeds as they are, then small changes to them from a seeded generator.
//!
//! `LOTKEEPER_FUZZ_ITERATIONS` sets how many inputs each gets (2,000 when it is not set), `LOTKEEPER_SEED` which.
//! What a failure prints runs it again. Coverage does not lead here; `fuzz/run` is for that.
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::panic::{AssertUnwindSafe, catch_unwind};

use lotkeeper_fuzz::{Mutator, TARGETS, Target};

const ITERATIONS: u64 = 2_000;
const SEED: u64 = 20_260_301;

fn set(name: &str, default: u64) -> u64 {
    let set = std::env::var(name);
    set.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}"))
    })
}

#[track_caller]
fn runs(name: &str) {
    let target: &Target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let (seed, iterations) =
        (set("LOTKEEPER_SEED", SEED), set("LOTKEEPER_FUZZ_ITERATIONS", ITERATIONS));
    println!("{name}: LOTKEEPER_SEED={seed} LOTKEEPER_FUZZ_ITERATIONS={iterations}");
    let held = |input: &[u8], what: &str| {
        if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
            panic!("{name}, {what}: {:?}\n{input:?}", String::from_utf8_lossy(input));
        }
    };
    for (number, input) in (target.seeds)().iter().enumerate() {
        held(input, &format!("seed {number}"));
    }
    let mut mutator = Mutator::new(target, seed);
    for number in 0..iterations {
        held(&mutator.input(), &format!("input {number} of LOTKEEPER_SEED={seed}"));
    }
}

macro_rules! each_target_holds {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            runs(stringify!($name));
        })+

        #[test]
        fn no_target_is_left_out() {
            let here = [$(stringify!($name)),+];
            let all: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(here[..], all);
        }
    };
}

each_target_holds! {
    frames snapshot document people markers backup stream ingest readings binary token claims qr ticket
    plate_recognizer rekor vehicle fields json config melbourne_2016 melbourne_2025 bath http
}

#[test]
fn the_same_seed_gives_the_same_inputs() {
    for target in TARGETS {
        let (mut one, mut other) = (Mutator::new(target, 7), Mutator::new(target, 7));
        for _ in 0..50 {
            assert_eq!(one.input(), other.input(), "{}", target.name);
        }
        let differs = (0..50).any(|_| one.input() != Mutator::new(target, 8).input());
        assert!(differs, "{}", target.name);
    }
}

/// A check that cannot fail proves nothing.
#[test]
fn a_decoder_that_takes_too_much_memory_is_found() {
    let input = [0_u8; 8];
    let greedy =
        || lotkeeper_fuzz::bounded(&input, 1_024, 16, || Vec::<u8>::with_capacity(1 << 20));
    assert!(catch_unwind(AssertUnwindSafe(greedy)).is_err());
    let modest = || lotkeeper_fuzz::bounded(&input, 1_024, 16, || Vec::<u8>::with_capacity(1_000));
    assert!(catch_unwind(AssertUnwindSafe(modest)).is_ok());
}
