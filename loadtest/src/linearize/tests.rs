//! Histories made by hand: those that a lot can have, and those that show a bug, each by its name.

use super::judge::history::{
    Answer, Asker, Call, Operation, Outcome, Refusal, Shown, Stand, Window,
};
use super::judge::script::{Ground, Read};
use super::judge::{Judgement, judge, part, text};
use super::page::page;
use super::play::bound;

const MORNING: Window = Window { from: 0, to: 2 };
const NOON: Window = Window { from: 1, to: 3 };
const EVENING: Window = Window { from: 4, to: 6 };
const SECOND_US: u64 = 1_000_000;

fn op(client: u32, (called_us, returned_us): (u64, u64), call: Call, answer: Answer) -> Operation {
    let (by, outcome) = (Asker::Staff, Outcome::Answered(answer));
    Operation { client, by, call, outcome, called_us, returned_us }
}

/// The same by somebody else.
fn by(by: Asker, operation: Operation) -> Operation {
    Operation { by, ..operation }
}

fn unknown(client: u32, called_us: u64, until_us: Option<u64>, call: Call) -> Operation {
    let outcome = Outcome::Unknown { until_us };
    let by = Asker::Staff;
    Operation { client, by, call, outcome, called_us, returned_us: called_us + 1 }
}

fn reserve(id: u32, slot: u8, window: Window) -> Call {
    Call::Reserve { id, slot: Some(slot), window, hold_seconds: None }
}

fn hold(id: u32, slot: u8, window: Window) -> Call {
    Call::Reserve { id, slot: Some(slot), window, hold_seconds: Some(1) }
}

fn any(id: u32, window: Window) -> Call {
    Call::Reserve { id, slot: None, window, hold_seconds: None }
}

fn shown(id: u32, slot: u8, window: Window, stand: Stand, version: u32) -> Shown {
    let expires_us = (stand == Stand::Held).then_some(SECOND_US);
    Shown { id, slot, window, stand, version, expires_us }
}

fn is(seq: u32, shown: Shown) -> Answer {
    Answer::Reservation { shown, seq: Some(seq) }
}

fn confirmed(seq: u32, id: u32, slot: u8, window: Window, version: u32) -> Answer {
    is(seq, shown(id, slot, window, Stand::Confirmed, version))
}

fn cancelled(seq: u32, id: u32, slot: u8, window: Window, version: u32) -> Answer {
    is(seq, shown(id, slot, window, Stand::Cancelled, version))
}

fn no(why: Refusal) -> Answer {
    Answer::Refused(why)
}

fn open(seq: u32, slots: &[u8]) -> Answer {
    Answer::Open { slots: slots.to_vec(), seq: Some(seq) }
}

#[track_caller]
fn assert_fine(what: &str, history: &[Operation]) {
    if let Judgement::Violated(violation) = judge(history, 2) {
        panic!("{what}: {}", text::explain(&violation));
    }
}

/// What is told of a history that has no order.
#[track_caller]
fn assert_bad(what: &str, history: &[Operation]) -> String {
    match judge(history, 2) {
        Judgement::Violated(violation) => text::explain(&violation),
        other => panic!("{what}: {other:?}"),
    }
}

/// Reserved and answered, the beginning of many histories.
fn made() -> Operation {
    op(1, (0, 10), reserve(0, 0, MORNING), confirmed(2, 0, 0, MORNING, 1))
}

#[test]
fn what_a_lot_can_do_has_an_order() {
    let both = [
        op(1, (0, 30), reserve(0, 0, MORNING), no(Refusal::SlotTaken)),
        op(2, (5, 25), reserve(1, 0, NOON), confirmed(2, 1, 0, NOON, 1)),
    ];
    assert_fine("the later call wins the race", &both);
    for (seq, slots) in [(1, vec![0, 1]), (2, vec![1])] {
        let read = op(2, (2, 8), Call::Open { window: NOON }, open(seq, &slots));
        assert_fine("a read beside a write sees either", &[made(), read]);
    }
    let full = [
        made(),
        op(2, (11, 20), any(1, NOON), confirmed(3, 1, 1, NOON, 1)),
        op(3, (21, 30), any(2, MORNING), no(Refusal::NoSlotFree)),
        op(3, (31, 40), any(2, EVENING), confirmed(4, 2, 0, EVENING, 1)),
        op(1, (41, 50), Call::Cancel { id: 0 }, cancelled(5, 0, 0, MORNING, 2)),
        op(1, (51, 60), Call::Confirm { id: 0 }, no(Refusal::ReservationEnded)),
    ];
    assert_fine("a lot that fills and empties", &full);
    let again = op(1, (31, 40), reserve(0, 0, MORNING), confirmed(2, 0, 0, MORNING, 1));
    let given_up = op(1, (11, 20), Call::Cancel { id: 0 }, cancelled(3, 0, 0, MORNING, 2));
    assert_fine("a retry is answered as it was then", &[made(), given_up, again]);
}

#[test]
fn an_operation_without_an_answer_happened_late_or_never() {
    let lost = unknown(1, 0, None, any(0, MORNING));
    let seen = |slot| op(2, (50, 60), Call::Show { id: 0 }, confirmed(2, 0, slot, MORNING, 1));
    let never = op(2, (50, 60), Call::Show { id: 0 }, no(Refusal::ReservationNotFound));
    assert_fine("on slot 0", &[lost.clone(), seen(0)]);
    assert_fine("on slot 1", &[lost.clone(), seen(1)]);
    let late = op(2, (70, 80), Call::Show { id: 0 }, confirmed(2, 0, 1, MORNING, 1));
    assert_fine("first not, then there", &[lost.clone(), never.clone(), late.clone()]);
    let dead = unknown(1, 0, Some(40), any(0, MORNING));
    assert_fine("never", &[dead.clone(), never.clone()]);
    assert_bad("after the server that had it was dead", &[dead, never.clone(), late.clone()]);
    let gone = op(2, (90, 99), Call::Show { id: 0 }, no(Refusal::ReservationNotFound));
    assert_bad("there and gone again", &[lost, late, gone]);
}

#[test]
fn a_stale_read_is_found() {
    let cancel = op(1, (11, 20), Call::Cancel { id: 0 }, cancelled(3, 0, 0, MORNING, 2));
    let stale = op(2, (21, 30), Call::Show { id: 0 }, confirmed(2, 0, 0, MORNING, 1));
    let said = assert_bad("show", &[made(), cancel.clone(), stale]);
    assert!(said.contains("on slot 0") && said.contains(">>"), "{said}");
    let stale = op(2, (21, 30), Call::Open { window: NOON }, open(2, &[1]));
    assert_bad("availability", &[made(), cancel.clone(), stale]);
    let items = vec![shown(0, 0, MORNING, Stand::Confirmed, 1)];
    let stale = op(2, (21, 30), Call::List, Answer::List { items, seq: Some(2) });
    assert_bad("list", &[made(), cancel, stale]);
    let lost = op(2, (11, 20), Call::Seq, Answer::Seq { seq: Some(1) });
    assert_bad("a sequence from before", &[made(), lost]);
}

#[test]
fn a_double_booking_is_found_and_shown_without_the_rest() {
    let mut history = vec![made()];
    for nth in 0..20_u32 {
        let at = u64::from(nth) * 10;
        let (id, seq) = (nth + 1, nth + 3);
        let window =
            Window { from: u8::try_from(nth * 2).unwrap(), to: u8::try_from(nth * 2 + 2).unwrap() };
        history.push(op(
            3,
            (100 + at, 105 + at),
            reserve(id, 1, window),
            confirmed(seq, id, 1, window, 1),
        ));
        history.push(op(4, (106 + at, 109 + at), Call::Seq, Answer::Seq { seq: Some(seq) }));
    }
    history.push(op(2, (900, 910), reserve(50, 0, NOON), confirmed(23, 50, 0, NOON, 1)));
    let Judgement::Violated(violation) = judge(&history, 2) else { panic!("not found") };
    assert_eq!((violation.part.len(), violation.offender, violation.slot), (2, 1, Some(0)));
    let page = page("History 1", &violation);
    assert!(
        page.contains("<svg") && page.contains("offender") && page.contains("reserve r50"),
        "{page}"
    );
}

#[test]
fn a_lost_update_is_found() {
    let later = |version| Call::Modify { id: 0, window: EVENING, if_version: version };
    let moved = |seq, version| confirmed(seq, 0, 0, EVENING, version);
    let one = op(1, (11, 20), later(None), moved(3, 2));
    let back = op(2, (21, 30), Call::Show { id: 0 }, confirmed(3, 0, 0, MORNING, 2));
    assert_bad("the old window with the new version", &[made(), one.clone(), back]);
    let noon = Call::Modify { id: 0, window: NOON, if_version: Some(1) };
    let other = op(2, (12, 22), noon, confirmed(4, 0, 0, NOON, 3));
    let one = op(1, (11, 20), later(Some(1)), moved(3, 2));
    assert_bad("two changes of the same version", &[made(), one, other]);
}

#[test]
fn a_resurrected_cancellation_is_found() {
    let cancel = op(1, (11, 20), Call::Cancel { id: 0 }, cancelled(3, 0, 0, MORNING, 2));
    let confirm = op(2, (30, 40), Call::Confirm { id: 0 }, confirmed(3, 0, 0, MORNING, 2));
    assert_bad("confirmed after it was cancelled", &[made(), cancel.clone(), confirm]);
    let show = op(2, (30, 40), Call::Show { id: 0 }, confirmed(4, 0, 0, MORNING, 3));
    assert_bad("back by itself", &[made(), cancel.clone(), show]);
    let taken = op(2, (30, 40), reserve(1, 0, NOON), no(Refusal::SlotTaken));
    assert_bad("still in the way", &[made(), cancel, taken]);
}

#[test]
fn a_refusal_without_a_reason_is_found() {
    assert_bad("taken by nobody", &[op(1, (0, 9), reserve(0, 0, NOON), no(Refusal::SlotTaken))]);
    let full = op(2, (11, 20), any(1, MORNING), no(Refusal::NoSlotFree));
    assert_bad("full with an open slot", &[made(), full]);
    let touching = reserve(1, 0, Window { from: 2, to: 3 });
    assert_bad("touching", &[made(), op(2, (11, 20), touching, no(Refusal::SlotTaken))]);
    let gone = op(2, (11, 20), Call::Confirm { id: 0 }, no(Refusal::ReservationNotFound));
    assert_bad("an acknowledged reservation was lost", &[made(), gone]);
    let modify = Call::Modify { id: 0, window: NOON, if_version: Some(1) };
    assert_bad("its own version", &[made(), op(2, (11, 20), modify, no(Refusal::VersionMismatch))]);
}

#[test]
fn a_retry_that_does_it_twice_is_found() {
    let again = op(1, (20, 30), any(0, MORNING), confirmed(3, 0, 1, MORNING, 1));
    let first = op(1, (0, 10), any(0, MORNING), confirmed(2, 0, 0, MORNING, 1));
    assert_bad("another slot", &[first, again]);
}

const ANNA: Asker = Asker::Driver(0);
const BEN: Asker = Asker::Driver(1);

/// Anna's, answered.
fn of_anna() -> Operation {
    by(ANNA, made())
}

#[test]
fn what_is_somebody_elses_is_not_there() {
    let list = |seq, items| Answer::List { items, seq };
    let item = shown(0, 0, MORNING, Stand::Confirmed, 1);
    let not_found = || no(Refusal::ReservationNotFound);
    let fine = [
        of_anna(),
        by(BEN, op(2, (11, 20), Call::Show { id: 0 }, not_found())),
        by(BEN, op(2, (21, 30), Call::Cancel { id: 0 }, not_found())),
        by(BEN, op(2, (31, 40), Call::List, list(None, vec![]))),
        by(BEN, op(2, (41, 50), reserve(0, 1, MORNING), no(Refusal::IdTaken))),
        by(BEN, op(2, (51, 60), Call::Open { window: NOON }, open(2, &[1]))),
        op(3, (61, 70), reserve(0, 0, MORNING), no(Refusal::IdTaken)),
        op(3, (71, 80), Call::List, list(Some(2), vec![item])),
        by(ANNA, op(1, (81, 90), reserve(0, 0, MORNING), confirmed(2, 0, 0, MORNING, 1))),
        by(ANNA, op(1, (91, 99), Call::List, list(Some(2), vec![item]))),
        op(3, (101, 110), Call::Cancel { id: 0 }, cancelled(3, 0, 0, MORNING, 2)),
        by(ANNA, op(1, (111, 120), Call::Confirm { id: 0 }, no(Refusal::ReservationEnded))),
    ];
    assert_fine("everybody is told his own", &fine);
    let bad: [(&str, Asker, Call, Answer); 8] = [
        (
            "a foreign reservation is shown",
            BEN,
            Call::Show { id: 0 },
            confirmed(2, 0, 0, MORNING, 1),
        ),
        ("and given up", BEN, Call::Cancel { id: 0 }, cancelled(3, 0, 0, MORNING, 2)),
        ("and listed", BEN, Call::List, list(Some(2), vec![item])),
        ("and handed out again", BEN, reserve(0, 0, MORNING), confirmed(2, 0, 0, MORNING, 1)),
        ("its id is made twice", BEN, reserve(0, 1, MORNING), confirmed(3, 0, 1, MORNING, 1)),
        ("a refusal tells of it", BEN, Call::Confirm { id: 0 }, no(Refusal::ReservationEnded)),
        ("one's own is hidden", ANNA, Call::Show { id: 0 }, not_found()),
        ("staff see less than all", Asker::Staff, Call::List, list(None, vec![])),
    ];
    for (what, asker, call, answer) in bad {
        assert_bad(what, &[of_anna(), by(asker, op(2, (11, 20), call, answer))]);
    }
}

#[test]
fn for_another_tenant_there_is_no_lot() {
    let window = MORNING;
    for (call, why) in [
        (Call::Show { id: 0 }, Refusal::ReservationNotFound),
        (Call::Cancel { id: 0 }, Refusal::ReservationNotFound),
        (reserve(0, 0, MORNING), Refusal::LotNotFound),
        (Call::Open { window }, Refusal::LotNotFound),
        (Call::Seq, Refusal::LotNotFound),
        (Call::List, Refusal::LotNotFound),
    ] {
        let told = op(9, (11, 20), call.clone(), no(why));
        assert_fine("not found", &[made(), by(Asker::Stranger, told.clone())]);
        let here = if why == Refusal::LotNotFound { "staff have it" } else { "it is there" };
        assert_bad(here, &[made(), told]);
    }
    let seen = op(9, (11, 20), Call::Open { window }, open(2, &[1]));
    assert_bad("a foreign lot is shown", &[made(), by(Asker::Stranger, seen)]);
}

#[test]
fn a_hold_ends_after_its_deadline_and_not_before() {
    let held = op(1, (0, 10), hold(0, 0, MORNING), is(2, shown(0, 0, MORNING, Stand::Held, 1)));
    let expired = |called_us| {
        let gone = is(3, shown(0, 0, MORNING, Stand::Expired, 2));
        op(2, (called_us, called_us + 10), Call::Show { id: 0 }, gone)
    };
    assert_fine("after", &[held.clone(), expired(2 * SECOND_US)]);
    assert_bad("before", &[held.clone(), expired(SECOND_US / 2)]);
    let late = 2 * SECOND_US;
    let still = is(2, shown(0, 0, MORNING, Stand::Held, 1));
    let read = op(2, (late, late + 10), Call::Show { id: 0 }, still);
    assert_fine("a read may be before the tick", &[held.clone(), read]);
    let confirm = op(2, (late, late + 10), Call::Confirm { id: 0 }, confirmed(3, 0, 0, MORNING, 2));
    assert_bad("a command settles first", &[held.clone(), confirm]);
    let refused = op(2, (late, late + 10), Call::Confirm { id: 0 }, no(Refusal::HoldExpired));
    assert_fine("and refuses", &[held, refused]);
}

#[test]
fn one_slot_of_a_history_keeps_what_is_said_of_it() {
    let items =
        vec![shown(0, 0, MORNING, Stand::Confirmed, 1), shown(1, 1, NOON, Stand::Confirmed, 1)];
    let history = [
        made(),
        op(2, (11, 20), any(1, NOON), confirmed(3, 1, 1, NOON, 1)),
        op(3, (21, 30), Call::List, Answer::List { items, seq: Some(3) }),
        op(3, (31, 40), Call::Open { window: EVENING }, open(3, &[0, 1])),
        op(3, (41, 50), Call::Seq, Answer::Seq { seq: Some(3) }),
    ];
    let one = part::project(&history, 1);
    assert_eq!(one.len(), 3, "{one:?}");
    let items = vec![shown(1, 1, NOON, Stand::Confirmed, 1)];
    assert_eq!(one[1].outcome, Outcome::Answered(Answer::List { items, seq: None }));
    assert_eq!(one[2].outcome, Outcome::Answered(Answer::Open { slots: vec![1], seq: None }));
}

#[test]
fn what_a_killed_server_had_is_bounded_by_its_return() {
    let mut operations =
        vec![unknown(1, 100, None, any(0, NOON)), unknown(2, 500, None, any(1, NOON)), made()];
    bound(&mut operations, &[(90, 200)]);
    assert_eq!(operations[0].outcome, Outcome::Unknown { until_us: Some(200) });
    assert_eq!(operations[1].outcome, Outcome::Unknown { until_us: None });
    assert_eq!(operations[2], made());
    // Sent to the second server before it was known to be up, and lost with it.
    let mut sent_early = [Operation { returned_us: 350, ..unknown(1, 190, None, any(0, NOON)) }];
    bound(&mut sent_early, &[(90, 200), (300, 400)]);
    assert_eq!(sent_early[0].outcome, Outcome::Unknown { until_us: Some(400) });
}

#[test]
fn requests_and_answers_survive_the_way_there_and_back() {
    let ground = Ground::new("H".into(), 2, 1_772_355_600_000_000, 7);
    let call = hold(3, 1, NOON);
    let request = ground.request(&call);
    let mut body: serde_json::Value =
        serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
    assert_eq!((&body["slot"], &body["hold_seconds"]), (&"S1".into(), &1.into()));
    for (field, value) in [("state", "held"), ("expires_at", "1970-01-01T00:00:01Z")] {
        body[field] = value.into();
    }
    body["version"] = 1.into();
    body["seq"] = 9.into();
    let read =
        |status, body: &serde_json::Value| ground.read(&call, status, body.to_string().as_bytes());
    let told = is(9, shown(3, 1, NOON, Stand::Held, 1));
    assert_eq!(read(201, &body), Read::Told(Outcome::Answered(told)));
    assert!(matches!(read(200, &body), Read::Unexpected(_)));
    let code = |code: &str| serde_json::json!({ "code": code });
    assert_eq!(
        read(409, &code("slot_taken")),
        Read::Told(Outcome::Answered(no(Refusal::SlotTaken)))
    );
    assert_eq!(
        read(503, &code("outcome_unknown")),
        Read::Told(Outcome::Unknown { until_us: None })
    );
    assert_eq!(read(503, &code("overloaded")), Read::TurnedAway);
    assert!(matches!(read(500, &code("internal")), Read::Unexpected(_)));
    let told = Read::Told(Outcome::Answered(no(Refusal::IdTaken)));
    assert_eq!(read(409, &code("id_taken")), told);
    assert!(matches!(read(409, &code("lot_code_taken")), Read::Unexpected(_)));
}
