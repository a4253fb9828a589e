//! The first tier: engine and journal against a model, and the proof that it finds mistakes.

use lotkeeper_simulation::node::Plant;
use lotkeeper_simulation::run::{Plan, Tier, run};

const SEED: u64 = 20_261_121;

/// A place that is never reached is a place about which nothing is said.
const REACHED: &[&str] = &[
    "end.killed",
    "end.power_cut",
    "end.sync_failed",
    "end.write_refused",
    "end.torn",
    "fault.lied",
    "granted.reserve",
    "granted.confirm",
    "granted.modify",
    "granted.request",
    "granted.cancel",
    "granted.count",
    "granted.change_slot",
    "granted.change_lot",
    "granted.series",
    "granted.change_stay",
    "granted.request_of_stay",
    "granted.pay",
    "granted.step_payment",
    "granted.change_tariffs",
    "granted.join_waiting",
    "granted.leave_waiting",
    "itself.offered",
    "itself.expired",
    "itself.waited_in_vain",
    "granted.authorise",
    "granted.ask_provider",
    "granted.provider_answered",
    "granted.open_shift",
    "granted.close_shift",
    "granted.hand_out",
    "granted.report",
    "granted.amend_violation",
    "granted.notify",
    "granted.appeal",
    "granted.waive",
    "granted.resolve",
    "itself.found",
    "itself.notified",
    "granted.issue_pass",
    "granted.change_pass",
    "guest.honoured",
    "guest.followed",
    "itself.pass_ran_out",
    "gate.pass",
    "gate.reserved",
    "gate.drive_in",
    "gate.paid",
    "gate.on_account",
    "gate.payment_required",
    "gate.lot_full",
    "gate.already_inside",
    "itself.abandoned",
    "itself.claim_extended",
    "itself.claim_ended",
    "itself.overstayed",
    "itself.reminded",
    "refused.reserve",
    "reading.accepted",
    "reading.unchanged",
    "reading.duplicate",
    "reading.late",
    "reading.in_future",
    "reading.fell_silent",
    "start.from_log",
    "start.from_snapshots",
    "start.loss_reported",
    "step.prune",
];

#[test]
fn a_run_finds_nothing_and_reaches_everything() {
    println!("seed={SEED}");
    let plan = Plan::new(SEED, 60_000, Tier::Engine);
    let summary = run(&plan, |_| {}).unwrap_or_else(|found| panic!("{found}"));
    for name in REACHED {
        assert!(summary.tally.get(name) > 0, "{name} was never reached:\n{}", summary.tally);
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let digest = |seed| {
        let plan = Plan::new(seed, 6_000, Tier::Engine);
        run(&plan, |_| {}).unwrap_or_else(|found| panic!("{found}")).digest
    };
    assert_eq!(digest(7), digest(7));
    assert_ne!(digest(7), digest(8));
}

/// Runs with a mistake until it is found; says what the auditor said.
#[track_caller]
fn found(plant: Plant) -> String {
    let plan = Plan { plant, ..Plan::new(SEED, 60_000, Tier::Engine) };
    match run(&plan, |_| {}) {
        Err(found) => found.to_string(),
        Ok(summary) => panic!("{plant:?} was not found in {} steps", summary.steps),
    }
}

#[test]
fn an_actor_that_comes_back_too_early_is_found() {
    found(Plant::NoBarrier);
}

#[test]
fn a_snapshot_that_is_ahead_of_the_log_is_found() {
    found(Plant::SnapshotOfActor);
}

#[test]
fn a_record_that_is_replayed_twice_is_found() {
    found(Plant::ReplayTwice);
}

#[test]
fn a_view_that_knows_more_than_the_log_is_found() {
    found(Plant::HeartbeatInView);
}

#[test]
fn a_disk_that_lies_unseen_is_found_and_the_line_to_run_it_again_is_given() {
    let text = found(Plant::HiddenLie);
    assert!(text.contains("records were acknowledged, the start ends at"), "{text}");
    assert!(
        text.contains("again: lotkeeper-simulate --tier engine --seed 20261121 --episode "),
        "{text}"
    );
}
