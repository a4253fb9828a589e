//! The second tier: the real actors, killed and crashed, on a single-threaded runtime with paused time.

use lotkeeper_simulation::crew::{self, Setup};
use lotkeeper_simulation::run::{Plan, Tier, run};

const SEED: u64 = 20_261_121;

#[test]
fn a_run_of_the_actors_finds_nothing_and_reaches_everything() {
    println!("seed={SEED}");
    let plan = Plan::new(SEED, 40_000, Tier::Actors);
    let summary = run(&plan, |_| {}).unwrap_or_else(|found| panic!("{found}"));
    for name in [
        "answer.again",
        "answer.done",
        "answer.refused",
        "answer.repeated",
        "answer.unknown",
        "answered.pass",
        "answered.payment",
        "answered.scan",
        "answered.shift",
        "answered.violation",
        "answered.waiting",
        "end.commit_failed",
        "end.killed",
        "end.power_cut",
        "guest.followed",
        "log.followed",
        "log.honoured",
        "reading.accepted",
        "reading.late",
        "reading.not_taken",
        "step.kill",
    ] {
        assert!(summary.tally.get(name) > 0, "{name} was never reached:\n{}", summary.tally);
    }
}

/// With time that stands still unless everybody waits for it.
fn digest(seed: u64, number: u64) -> u64 {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    let ran = runtime.block_on(crew::run(Setup { seed, number, steps: 1_000, lines: false }));
    ran.unwrap_or_else(|violation| panic!("seed={seed}: {violation}")).trace.digest()
}

#[test]
fn the_same_seed_is_the_same_run_of_the_actors_and_another_is_not() {
    for number in 0..4 {
        assert_eq!(digest(7, number), digest(7, number), "episode {number}");
    }
    assert_ne!(digest(7, 0), digest(8, 0));
}
