//! Histories made by hand: those that gates can have, and those that show a bug, each by its name.

use super::history::{GateAnswer, GateCall, GateOperation, GateOutcome};
use super::model::FEE;
use super::{GateJudgement, explain, judge};

fn op(
    client: u32,
    (called_us, returned_us): (u64, u64),
    call: GateCall,
    answer: GateAnswer,
) -> GateOperation {
    let outcome = GateOutcome::Answered(answer);
    GateOperation { client, call, outcome, called_us, returned_us }
}

fn lost(client: u32, called_us: u64, until_us: Option<u64>, call: GateCall) -> GateOperation {
    let outcome = GateOutcome::Unknown { until_us };
    GateOperation { client, call, outcome, called_us, returned_us: called_us + 1 }
}

fn enter(plate: u8, gate: u8, stay: u32) -> GateCall {
    GateCall::Enter { plate, gate, stay }
}

fn exit(plate: u8) -> GateCall {
    GateCall::Exit { plate, gate: 0 }
}

fn opened(code: &str, stay: u32) -> GateAnswer {
    GateAnswer::Opened { code: code.into(), stay }
}

fn denied(code: &str) -> GateAnswer {
    GateAnswer::Denied { code: code.into() }
}

fn refused(code: &str) -> GateAnswer {
    GateAnswer::Refused { code: code.into() }
}

fn pay(stay: u32, payment: u32) -> GateCall {
    GateCall::Pay { stay, payment }
}

fn paid(payment: u32) -> GateAnswer {
    GateAnswer::Paid { payment, amount: FEE }
}

fn inside(stays: &[(u32, u8)]) -> GateAnswer {
    GateAnswer::Inside { stays: stays.to_vec() }
}

fn came() -> GateOperation {
    op(1, (0, 10), enter(0, 0, 1), opened("drive_in", 1))
}

#[test]
fn what_gates_can_do_has_an_order() {
    let pass = |is_active| GateAnswer::Pass { pass: 9, is_active };
    let histories: [(&str, Vec<GateOperation>); 6] = [
        (
            "one plate at two gates at once",
            vec![
                op(1, (0, 20), enter(0, 0, 1), denied("plate_inside")),
                op(2, (5, 15), enter(0, 1, 2), opened("drive_in", 2)),
            ],
        ),
        (
            "in, paid, out, and in again",
            vec![
                came(),
                op(1, (11, 20), exit(0), denied("payment_required")),
                op(2, (12, 30), pay(1, 2), paid(2)),
                op(1, (31, 40), exit(0), opened("paid", 1)),
                op(2, (41, 50), exit(0), denied("not_inside")),
                op(1, (51, 60), enter(0, 1, 3), opened("drive_in", 3)),
                op(2, (61, 70), pay(1, 4), refused("nothing_owed")),
            ],
        ),
        (
            "a full lot, and a denial that is told again under its id",
            vec![
                came(),
                op(2, (11, 20), enter(1, 0, 2), opened("drive_in", 2)),
                op(3, (21, 30), enter(2, 0, 3), denied("lot_full")),
                op(2, (31, 40), pay(2, 4), paid(4)),
                op(2, (41, 50), exit(1), opened("paid", 2)),
                op(3, (51, 60), enter(2, 0, 3), denied("lot_full")),
                op(3, (61, 70), enter(2, 0, 5), opened("drive_in", 5)),
            ],
        ),
        (
            "a pass that ends while its vehicle is inside covers this stay and no other",
            vec![
                op(1, (0, 10), GateCall::Issue { plate: 0, pass: 9 }, pass(true)),
                op(1, (11, 20), enter(0, 0, 1), opened("pass", 1)),
                op(1, (21, 30), GateCall::End { pass: 9 }, pass(false)),
                op(1, (31, 40), exit(0), opened("paid", 1)),
                op(1, (41, 50), enter(0, 0, 2), opened("drive_in", 2)),
            ],
        ),
        (
            "a crash that kept an entry without an answer",
            vec![
                lost(1, 0, Some(20), enter(0, 0, 1)),
                op(2, (25, 30), GateCall::Inside, inside(&[(1, 0)])),
                op(1, (31, 40), enter(0, 0, 1), opened("drive_in", 1)),
            ],
        ),
        (
            "a crash that lost one",
            vec![
                lost(1, 0, Some(20), enter(0, 0, 1)),
                op(2, (25, 30), GateCall::Inside, inside(&[])),
                op(2, (31, 40), enter(0, 1, 2), opened("drive_in", 2)),
            ],
        ),
    ];
    for (what, history) in histories {
        if let GateJudgement::Violated(violation) = judge(&history, 2) {
            panic!("{what}: {}", explain(&violation));
        }
    }
}

fn issued() -> GateOperation {
    let pass = GateAnswer::Pass { pass: 9, is_active: true };
    op(1, (0, 10), GateCall::Issue { plate: 0, pass: 9 }, pass)
}

fn ended() -> GateOperation {
    let pass = GateAnswer::Pass { pass: 9, is_active: false };
    op(1, (11, 20), GateCall::End { pass: 9 }, pass)
}

#[test]
fn bugs_at_gates_have_no_order() {
    let histories: [(&str, Vec<GateOperation>); 10] = [
        (
            "both gates let the plate in",
            vec![
                op(1, (0, 20), enter(0, 0, 1), opened("drive_in", 1)),
                op(2, (5, 15), enter(0, 1, 2), opened("drive_in", 2)),
            ],
        ),
        (
            "neither does",
            vec![
                op(1, (0, 20), enter(0, 0, 1), denied("plate_inside")),
                op(2, (5, 15), enter(0, 1, 2), denied("plate_inside")),
            ],
        ),
        ("out without paying", vec![came(), op(1, (11, 20), exit(0), opened("paid", 1))]),
        (
            "paid twice",
            vec![came(), op(1, (11, 30), pay(1, 2), paid(2)), op(2, (12, 28), pay(1, 3), paid(3))],
        ),
        (
            "paid, and not let out",
            vec![
                came(),
                op(1, (11, 20), pay(1, 2), paid(2)),
                op(1, (21, 30), exit(0), denied("payment_required")),
            ],
        ),
        (
            "a payment that was answered is lost in a crash",
            vec![came(), op(1, (11, 20), pay(1, 2), paid(2)), op(2, (31, 40), pay(1, 3), paid(3))],
        ),
        (
            "more inside than there are slots",
            vec![
                came(),
                op(1, (11, 20), enter(1, 0, 2), opened("drive_in", 2)),
                op(1, (21, 30), enter(2, 0, 3), opened("drive_in", 3)),
            ],
        ),
        (
            "a read that is behind what was answered",
            vec![came(), op(2, (11, 20), GateCall::Inside, inside(&[]))],
        ),
        (
            "an entry repeated under its id makes another answer",
            vec![came(), op(1, (11, 20), enter(0, 0, 1), denied("plate_inside"))],
        ),
        (
            "a pass that was ended still opens",
            vec![issued(), ended(), op(1, (21, 30), enter(0, 0, 1), opened("pass", 1))],
        ),
    ];
    for (what, history) in histories {
        match judge(&history, 2) {
            GateJudgement::Violated(violation) => {
                let text = explain(&violation);
                assert!(text.contains("client"), "{what}: {text}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn the_shortest_beginning_is_shown() {
    let mut history = vec![came(), op(2, (11, 20), exit(0), opened("paid", 1))];
    for nth in 0..40_u32 {
        let at = 100 + u64::from(nth) * 10;
        history.push(op(3, (at, at + 5), exit(1), denied("not_inside")));
    }
    let GateJudgement::Violated(violation) = judge(&history, 2) else { panic!("it has no order") };
    assert_eq!(violation.part, history[..2]);
}
