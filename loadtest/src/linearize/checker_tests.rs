//! The checker against all orders: a register of three values and short histories of chance.

use super::judge::checker::{Model, Step, Timed, Verdict, check};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Do {
    Write(u8),
    /// A write of one of two values; the register chooses.
    Either(u8, u8),
    Read(u8),
}

#[derive(Clone, Copy, Debug)]
struct Done {
    what: Do,
    called_us: u64,
    until_us: u64,
    is_definite: bool,
}

struct Register;

impl Model for Register {
    type State = u8;
    type Operation = Done;

    fn initial(&self) -> u8 {
        0
    }

    fn step(&self, state: &u8, done: &Done) -> Step<u8> {
        match done.what {
            // Not `Unchanged`, even of the same value: later it would change another one.
            Do::Write(value) => Step::Changed(vec![value]),
            Do::Either(one, other) => Step::Changed(vec![one, other]),
            Do::Read(value) if value == *state => Step::Unchanged,
            Do::Read(_) => Step::Refused,
        }
    }
}

impl Timed for Done {
    fn called_us(&self) -> u64 {
        self.called_us
    }

    fn until_us(&self) -> u64 {
        self.until_us
    }

    fn is_definite(&self) -> bool {
        self.is_definite
    }
}

/// Every order of every subset that has the definite ones: slow and plain.
fn any_order(history: &[Done], placed: &mut Vec<usize>, state: u8) -> bool {
    let is_placed = |at: &usize, placed: &[usize]| placed.contains(at);
    if (0..history.len()).all(|at| is_placed(&at, placed) || !history[at].is_definite) {
        return true;
    }
    for at in 0..history.len() {
        let next = history[at];
        let comes_too_early = (0..history.len()).any(|other| {
            !is_placed(&other, placed)
                && history[other].is_definite
                && history[other].until_us < next.called_us
        });
        let comes_too_late = placed.iter().any(|other| history[*other].called_us > next.until_us);
        if is_placed(&at, placed) || comes_too_early || comes_too_late {
            continue;
        }
        let states = match Register.step(&state, &next) {
            Step::Refused => vec![],
            Step::Unchanged => vec![state],
            Step::Changed(states) => states,
        };
        placed.push(at);
        let found = states.into_iter().any(|state| any_order(history, placed, state));
        placed.pop();
        if found {
            return true;
        }
    }
    false
}

fn done() -> impl Strategy<Value = Done> {
    let what = prop_oneof![
        (0..3_u8).prop_map(Do::Write),
        (0..3_u8, 0..3_u8).prop_map(|(one, other)| Do::Either(one, other)),
        (0..3_u8).prop_map(Do::Read),
        (0..3_u8).prop_map(Do::Read),
    ];
    (what, 0..12_u64, 0..8_u64, 0..4_u8).prop_map(|(what, called_us, length, luck)| {
        let until_us = if luck == 0 { u64::MAX } else { called_us + length };
        Done { what, called_us, until_us, is_definite: luck > 1 }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_checker_finds_an_order_exactly_where_there_is_one(history in prop::collection::vec(done(), 1..7)) {
        let found = check(&Register, &history, usize::MAX);
        let exists = any_order(&history, &mut Vec::new(), 0);
        let is_linearizable = matches!(found, Verdict::Linearizable { .. });
        prop_assert_eq!(is_linearizable, exists, "{:?}", found);
    }
}

#[test]
fn a_search_that_becomes_too_long_says_so() {
    let write =
        |value| Done { what: Do::Write(value), called_us: 0, until_us: 9, is_definite: true };
    let read = Done { what: Do::Read(7), called_us: 10, until_us: 11, is_definite: true };
    let history = [write(1), write(2), write(3), read];
    assert!(matches!(check(&Register, &history, 2), Verdict::TooLong { .. }));
    assert!(matches!(check(&Register, &history, 1_000), Verdict::Violated { .. }));
}
