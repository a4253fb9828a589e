//! The auditor is fed histories with one planted fault each and must find that one; whole ones pass.

use super::*;
use crate::clock::Rfc3339;
use crate::scenario::crash::log::{EventData, Occupied};
use crate::wire::ReservationState;

const MINUTE_US: u64 = 60_000_000;
const ID: &str = "r-1";

/// A log under construction: sequences count up by themselves.
#[derive(Default)]
struct Log(Vec<LogEvent>);

impl Log {
    /// A lot, and nothing else yet.
    fn new() -> Self {
        let mut log = Self::default();
        log.add("lot.created", EventData::default());
        log
    }

    fn add(&mut self, kind: &str, data: EventData) -> &mut LogEvent {
        let seq = self.0.len() as u64 + 1;
        let (lot, kind, at) = ("L".into(), kind.into(), Rfc3339(seq).to_string());
        self.0.push(LogEvent { seq, lot, lot_seq: seq, kind, at, entity: String::new(), data });
        self.0.last_mut().unwrap()
    }

    fn reading(&mut self, slot: usize, sequence: u64, occupied: bool) -> u64 {
        let kind = if occupied { "slot.occupied" } else { "slot.vacated" };
        let data = EventData {
            slot: Some(slot_code(slot)),
            sequence: Some(sequence),
            occupied: Some(Occupied::Stands(occupied)),
            ..EventData::default()
        };
        self.add(kind, data).seq
    }

    fn reserved(&mut self, id: &str, slot: usize, minutes: (u64, u64)) -> u64 {
        let data = EventData { slot: Some(slot_code(slot)), ..named(id, Some(minutes)) };
        self.add("reservation.held", data).seq
    }

    fn step(&mut self, kind: &str, id: &str) -> u64 {
        self.add(kind, named(id, None)).seq
    }

    fn flow(&mut self, observed_us: u64, entered: i64) -> u64 {
        let observed_at = Some(Rfc3339(observed_us).to_string());
        let data = EventData { entered: Some(entered), observed_at, ..EventData::default() };
        self.add("count.recorded", data).seq
    }

    fn read(&self) -> (History, Checks) {
        let (mut history, mut checks) =
            (History::new([("L".to_string(), 4)], "stays"), Checks::new());
        self.0.iter().for_each(|event| history.take(event, &mut checks));
        (history, checks)
    }
}

fn named(id: &str, minutes: Option<(u64, u64)>) -> EventData {
    let instant = |minute: u64| Rfc3339(minute * MINUTE_US).to_string();
    EventData {
        reservation: Some(id.into()),
        from: minutes.map(|(from, _)| instant(from)),
        to: minutes.map(|(_, to)| instant(to)),
        ..EventData::default()
    }
}

/// Which checks broke, and what the first fault says.
fn broken(checks: &Checks) -> (Vec<&str>, String) {
    let broken = checks.all().into_iter().filter(|check| !check.passed());
    let names = broken.clone().map(|check| check.name.split(' ').next().unwrap_or_default());
    let names: Vec<&str> = names.collect();
    let said = broken.clone().flat_map(|check| check.first_faults.clone()).next();
    (names, said.unwrap_or_default())
}

#[track_caller]
fn log_breaks(log: &Log, check: impl Fn(&Checks) -> &Check, says: &str) {
    let (_, checks) = log.read();
    let found = check(&checks);
    assert_eq!(found.faults, 1, "{:?}", broken(&checks));
    assert!(found.first_faults[0].contains(says), "{:?}", found.first_faults);
    let all: u64 = checks.all().into_iter().map(|check| check.faults).sum();
    assert_eq!(all, 1, "{:?}", broken(&checks));
}

#[track_caller]
fn told_breaks(log: &Log, told: &Told, says: &str) {
    let (history, mut checks) = log.read();
    assert_eq!(broken(&checks).0, [""; 0], "the log itself is whole");
    history.judge(told, &mut checks);
    let check = if told.is_write() { &checks.kept } else { &checks.reads };
    assert_eq!(check.faults, 1, "{told:?}");
    assert!(check.first_faults[0].contains(says), "{:?}", check.first_faults);
}

#[track_caller]
fn told_holds(log: &Log, told: &Told) {
    let (history, mut checks) = log.read();
    history.judge(told, &mut checks);
    assert_eq!(broken(&checks), (vec![], String::new()), "{told:?}");
}

fn standing(seq: u64, version: u64, state: ReservationState) -> Standing {
    Standing {
        id: ID.into(),
        lot: "L".into(),
        slot: slot_code(1),
        state,
        from: Rfc3339(60 * MINUTE_US).to_string(),
        to: Rfc3339(120 * MINUTE_US).to_string(),
        version,
        seq,
    }
}

/// A life that is whole: held, confirmed, given up, reserved by somebody else, readings and counts between.
fn life() -> Log {
    let mut log = Log::new();
    log.reading(1, 1, false);
    log.reserved(ID, 1, (60, 120));
    log.step("slot.hold_began", ID);
    log.step("reservation.confirmed", ID);
    log.reading(1, 2, true);
    log.flow(5, 3);
    log.step("reservation.cancelled", ID);
    log.reserved("r-2", 1, (90, 100));
    log.reading(1, 3, false);
    log
}

fn readings(seq: u64, exact: bool, sequence: u64, occupied: bool) -> Told {
    let readings = vec![ToldReading { slot: 1, sequence, occupied }];
    Told::Readings { lot: "L".into(), seq, exact, readings }
}

#[test]
fn a_whole_life_is_taken_and_every_answer_holds_at_its_sequence() {
    use ReservationState::{Cancelled, Confirmed, Held};
    let log = life();
    for (seq, version, state) in [(3, 1, Held), (4, 2, Held), (6, 3, Confirmed), (10, 4, Cancelled)]
    {
        told_holds(&log, &Told::Granted(standing(seq, version, state)));
        told_holds(&log, &Told::Shown(standing(seq, version, state)));
    }
    told_holds(&log, &readings(2, true, 1, false));
    told_holds(&log, &readings(9, true, 2, true));
    told_holds(&log, &Told::Counted { lot: "L".into(), seq: 7, observed_us: 5, occupied: 3 });
    told_holds(&log, &Told::Refused { id: "r-9".into(), lot: "L".into() });
    for (seq, status) in
        [(1, Status::Unknown), (2, Status::Free), (4, Status::Held), (6, Status::Occupied)]
    {
        let statuses = vec![Status::Unknown, status, Status::Unknown, Status::Unknown];
        told_holds(&log, &Told::Slots { lot: "L".into(), seq, statuses, by: "test" });
    }
    let counts = Counts { capacity: 4, free: 1, unknown: 3, ..Counts::default() };
    told_holds(&log, &Told::Counts { lot: "L".into(), seq: 10, counts, by: "test" });
    let (kind, slot) = ("slot.occupied".into(), Some(slot_code(1)));
    let entry = Entry { seq: 6, kind, slot, status: Some(Status::Occupied) };
    told_holds(&log, &Told::Entries { lot: "L".into(), entries: vec![entry] });
}

#[test]
fn a_gap_in_the_global_sequence_is_found() {
    let mut log = life();
    log.0.iter_mut().skip(5).for_each(|event| event.seq += 1);
    log_breaks(&log, |checks| &checks.whole, "event 7 follows event 5");
}

#[test]
fn a_gap_in_a_lots_sequence_is_found() {
    let mut log = life();
    log.0.iter_mut().skip(8).for_each(|event| event.lot_seq += 1);
    log_breaks(&log, |checks| &checks.whole, "lot seq 10 follows 8");
}

#[test]
fn a_lots_sequence_that_comes_twice_is_found() {
    let mut log = life();
    log.0.last_mut().unwrap().lot_seq -= 1;
    log_breaks(&log, |checks| &checks.whole, "lot seq 9 comes again");
}

#[test]
fn an_event_that_is_read_again_must_be_what_it_was() {
    let log = life();
    let (mut history, mut checks) = log.read();
    log.0.iter().for_each(|event| history.take(event, &mut checks));
    assert_eq!(broken(&checks).0, [""; 0]);
    let mut other = log.0[8].clone();
    other.data.reservation = Some("r-3".into());
    history.take(&other, &mut checks);
    assert_eq!(broken(&checks).0, ["global"]);
    // The slot of a reservation that the lot has forgotten is no longer told.
    let mut forgotten = log.0[4].clone();
    forgotten.data.slot = Some("S00001".into());
    let (mut history, mut checks) = log.read();
    history.take(&forgotten, &mut checks);
    assert_eq!(broken(&checks).0, [""; 0]);
}

#[test]
fn two_reservations_of_a_slot_that_overlap_are_found() {
    for minutes in [(60, 120), (119, 121), (30, 61), (0, 300), (70, 80)] {
        let mut log = Log::new();
        log.reserved("r-1", 1, (60, 120));
        log.reserved("r-2", 1, minutes);
        log_breaks(&log, |checks| &checks.apart, "r-2 overlaps r-1");
    }
    let mut apart = Log::new();
    apart.reserved("r-1", 1, (60, 120));
    apart.reserved("r-2", 1, (120, 130));
    apart.reserved("r-3", 2, (60, 120));
    apart.step("reservation.expired", "r-1");
    apart.reserved("r-4", 1, (100, 120));
    assert_eq!(broken(&apart.read().1).0, [""; 0]);
}

#[test]
fn a_window_moved_into_another_is_found() {
    let mut log = Log::new();
    log.reserved("r-1", 1, (60, 120));
    log.reserved("r-2", 1, (120, 130));
    log.add("reservation.modified", named("r-1", Some((60, 121))));
    log_breaks(&log, |checks| &checks.apart, "r-1 overlaps r-2");
}

#[test]
fn a_reservation_created_twice_is_found() {
    let mut log = life();
    log.reserved(ID, 2, (500, 510));
    log_breaks(&log, |checks| &checks.once, "created again");
}

#[test]
fn steps_that_cannot_follow_are_found() {
    for (kind, says) in [
        ("reservation.confirmed", "follows on Cancelled"),
        ("reservation.cancelled", "follows on Cancelled"),
        ("reservation.expired", "follows on Cancelled"),
        ("slot.hold_began", "follows on Cancelled"),
    ] {
        let mut log = life();
        log.step(kind, ID);
        log_breaks(&log, |checks| &checks.once, says);
    }
    let mut log = Log::new();
    log.step("reservation.cancelled", "r-7");
    log_breaks(&log, |checks| &checks.once, "never created");
    let mut log = Log::new();
    log.add("slot.teleported", EventData::default());
    log_breaks(&log, |checks| &checks.once, "unknown type");
}

#[test]
fn a_reading_or_count_taken_twice_is_found() {
    let mut log = life();
    log.reading(1, 3, false);
    log_breaks(&log, |checks| &checks.once, "reading 3 comes after reading 3");
    let mut log = life();
    log.flow(5, 3);
    log_breaks(&log, |checks| &checks.once, "counted again");
}

#[test]
fn a_lost_acknowledgement_is_found() {
    use ReservationState::{Cancelled, Confirmed, Held};
    let log = life();
    let beyond = "the log ends at 10";
    told_breaks(&log, &Told::Granted(standing(11, 4, Cancelled)), beyond);
    told_breaks(&log, &readings(11, true, 4, true), beyond);
    let other = Standing { id: "r-8".into(), ..standing(10, 1, Held) };
    told_breaks(&log, &Told::Granted(other), "not in the log");
    // The sequence was given to something else after the crash.
    told_breaks(&log, &Told::Granted(standing(3, 2, Confirmed)), "a client was told");
    told_breaks(&log, &readings(10, true, 4, true), "was taken");
    told_breaks(&log, &readings(6, true, 3, false), "was taken");
    told_breaks(&log, &readings(10, false, 4, true), "was answered for");
    let lost = Told::Counted { lot: "L".into(), seq: 10, observed_us: 6, occupied: 4 };
    told_breaks(&log, &lost, "a count made 4");
}

#[test]
fn an_answer_that_differs_from_the_log_is_found() {
    use ReservationState::{Cancelled, Held};
    let log = life();
    let right = standing(3, 1, Held);
    for wrong in [
        Standing { slot: slot_code(2), ..right.clone() },
        Standing { to: right.from.clone(), ..right.clone() },
        Standing { version: 2, ..right.clone() },
        Standing { state: Cancelled, ..right.clone() },
    ] {
        told_breaks(&log, &Told::Granted(wrong.clone()), "a client was told");
        told_breaks(&log, &Told::Shown(wrong), "a client was told");
    }
    told_breaks(&log, &Told::Refused { id: ID.into(), lot: "L".into() }, "was refused");
    told_breaks(&log, &Told::Absent { id: "r-2".into(), lot: "L".into() }, "answers 404");
    told_breaks(&log, &Told::Absent { id: ID.into(), lot: "L".into() }, "answers 404");
}

#[test]
fn a_read_or_stream_that_differs_from_the_log_is_found() {
    let log = life();
    let statuses = vec![Status::Unknown, Status::Free, Status::Unknown, Status::Unknown];
    let told = Told::Slots { lot: "L".into(), seq: 6, statuses: statuses.clone(), by: "test" };
    told_breaks(&log, &told, "slot S00001 at seq 6: test says Free, the log Occupied");
    let short =
        Told::Slots { lot: "L".into(), seq: 1, statuses: vec![Status::Unknown], by: "test" };
    told_breaks(&log, &short, "1 of 4 slots");
    let counts = Counts { capacity: 4, free: 4, ..Counts::default() };
    told_breaks(&log, &Told::Counts { lot: "L".into(), seq: 10, counts, by: "test" }, "test says");
    let entry = |seq, kind: &str, slot, status| {
        let (kind, slot) = (kind.into(), Some(slot_code(slot)));
        let entries = vec![Entry { seq, kind, slot, status: Some(status) }];
        Told::Entries { lot: "L".into(), entries }
    };
    told_breaks(&log, &entry(6, "slot.vacated", 1, Status::Occupied), "streamed");
    told_breaks(&log, &entry(6, "slot.occupied", 2, Status::Unknown), "streamed");
    told_breaks(&log, &entry(6, "slot.occupied", 1, Status::Free), "the stream says Free");
    told_breaks(&log, &entry(12, "slot.occupied", 1, Status::Occupied), "the log ends at 10");
}

#[test]
fn only_what_ended_long_ago_may_be_forgotten() {
    let mut log = Log::new();
    for nth in 0..=ENDED_REMEMBERED {
        let id = format!("r-{nth}");
        log.reserved(&id, 1, (60, 120));
        log.step("reservation.expired", &id);
    }
    told_holds(&log, &Told::Absent { id: "r-0".into(), lot: "L".into() });
    told_breaks(&log, &Told::Absent { id: "r-1".into(), lot: "L".into() }, "answers 404");
}
