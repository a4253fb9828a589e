//! What a slot does with every command in every state: one row for each pair, and no pair without a row.
//!
//! A new health, command, outcome or event does not compile here until it has a class; a new class makes
//! rows that the table must have.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

#[macro_use]
mod common;

use common::{at, check_table, name, reading, rules, sensor_rules};
use lotkeeper_engine::slot::{self, Command, Event, Health, Mark, Reading, Slot};
use lotkeeper_engine::time::Timestamp;

classes!(
    /// States that a slot's decisions tell apart.
    Class {
        NeverHeard,
        Vacant,
        Occupied,
        FlappingVacant,
        FlappingOccupied,
        SilentVacant,
        SilentOccupied,
    }
);

classes!(
    /// Commands by what they are to a slot that was last seen at second 100 with sequence 5 and id 77.
    Ask {
        Occupied,
        Vacant,
        OccupiedHastily,
        VacantHastily,
        OccupiedNextSequence,
        VacantNextSequence,
        OccupiedSameMark,
        VacantSameMark,
        OccupiedOlder,
        VacantOlder,
        OccupiedKnownId,
        OccupiedAhead,
        OccupiedWithoutClock,
        OccupiedAfterAQuarter,
        VacantAfterAQuarter,
        SilenceBeforeItIsDue,
        SilenceDue,
        SilenceDueButJustStarted,
    }
);

/// One row per line: state, command, outcome, event, next state.
const TABLE: &str = include_str!("golden/slot_transitions.txt");

fn class_of(slot: &Slot) -> Class {
    let occupied = slot.hearing.is_some_and(|hearing| hearing.occupied);
    match (slot.health(), occupied) {
        (Health::NeverHeard, _) => Class::NeverHeard,
        (Health::Good, false) => Class::Vacant,
        (Health::Good, true) => Class::Occupied,
        (Health::Flapping, false) => Class::FlappingVacant,
        (Health::Flapping, true) => Class::FlappingOccupied,
        (Health::Silent, false) => Class::SilentVacant,
        (Health::Silent, true) => Class::SilentOccupied,
    }
}

fn command_kind(command: &Command) -> &'static str {
    match command {
        Command::Read(_) => "read",
        Command::CheckSilence { .. } => "check silence",
    }
}

fn event_name(event: Option<Event>) -> &'static str {
    match event {
        None => "-",
        Some(Event::Occupied(_)) => "Occupied",
        Some(Event::Vacated(_)) => "Vacated",
        Some(Event::Heard { .. }) => "Heard",
        Some(Event::FellSilent) => "FellSilent",
    }
}

fn seen_at(seconds: i64, occupied: bool) -> Reading {
    Reading { sequence: 5, id_hash: 77, ..reading(occupied, at(seconds)) }
}

fn take(slot: &mut Slot, reading: Reading) {
    let command = Command::Read(reading);
    let now = reading.observed_at.expect("test readings have a time");
    let decision = slot::decide(slot, &command, now, sensor_rules(&rules())).unwrap();
    slot::apply(slot, &decision.event.expect("it changes the slot"), now);
}

/// A slot of the class, last seen at second 100.
fn build(class: Class) -> Slot {
    let mut slot = Slot::default();
    let occupied = match class {
        Class::NeverHeard => return slot,
        Class::Vacant | Class::FlappingVacant | Class::SilentVacant => false,
        Class::Occupied | Class::FlappingOccupied | Class::SilentOccupied => true,
    };
    if matches!(class, Class::FlappingVacant | Class::FlappingOccupied) {
        for second in 90..100 {
            take(&mut slot, reading(occupied ^ (second % 2 == 1), at(second)));
        }
    }
    take(&mut slot, seen_at(100, occupied));
    if matches!(class, Class::SilentVacant | Class::SilentOccupied) {
        slot::apply(&mut slot, &Event::FellSilent, at(180));
    }
    slot
}

/// The command and the time at which it comes.
fn command(ask: Ask) -> (Command, Timestamp) {
    let silence = i64::from(rules().silence.0);
    let soon = at(200);
    let later = at(100 + silence / 4 + 1);
    let next = |occupied| Reading { sequence: 6, ..reading(occupied, at(100)) };
    let same = |occupied| Reading { sequence: 5, ..reading(occupied, at(100)) };
    let (reading, now) = match ask {
        Ask::Occupied => (reading(true, at(150)), soon),
        Ask::Vacant => (reading(false, at(150)), soon),
        Ask::OccupiedHastily => (reading(true, at(103)), soon),
        Ask::VacantHastily => (reading(false, at(103)), soon),
        Ask::OccupiedNextSequence => (next(true), soon),
        Ask::VacantNextSequence => (next(false), soon),
        Ask::OccupiedSameMark => (same(true), soon),
        Ask::VacantSameMark => (same(false), soon),
        Ask::OccupiedOlder => (reading(true, at(50)), soon),
        Ask::VacantOlder => (reading(false, at(50)), soon),
        Ask::OccupiedKnownId => (seen_at(150, true), soon),
        Ask::OccupiedAhead => (reading(true, at(261)), soon),
        Ask::OccupiedWithoutClock => (Reading { observed_at: None, ..reading(true, at(0)) }, soon),
        Ask::OccupiedAfterAQuarter => (reading(true, later), later),
        Ask::VacantAfterAQuarter => (reading(false, later), later),
        Ask::SilenceBeforeItIsDue => {
            return (Command::CheckSilence { listening_since: at(0) }, at(100 + silence - 1));
        }
        Ask::SilenceDue => {
            return (Command::CheckSilence { listening_since: at(0) }, at(100 + silence));
        }
        Ask::SilenceDueButJustStarted => {
            return (Command::CheckSilence { listening_since: at(101) }, at(100 + silence));
        }
    };
    (Command::Read(reading), now)
}

fn row(class: Class, ask: Ask) -> String {
    let mut slot = build(class);
    let (command, now) = command(ask);
    let (outcome, event) = match slot::decide(&slot, &command, now, sensor_rules(&rules())) {
        Ok(decision) => {
            if let Some(event) = decision.event {
                slot::apply(&mut slot, &event, now);
            }
            let event = match decision.heartbeat {
                Some(_) => "heartbeat",
                None => event_name(decision.event),
            };
            (name(&decision.outcome), event)
        }
        Err(rejection @ slot::Rejection::InFuture { .. }) => (name(&rejection), "-"),
    };
    let next = class_of(&slot);
    let (class, command) = (name(&class), name(&ask));
    format!("{class:<16} {command:<24} {outcome:<9} {event:<10} {next:?}")
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let pairs = Class::ALL.iter().flat_map(|class| Ask::ALL.iter().map(move |ask| (*class, *ask)));
    check_table(TABLE, &pairs.map(|(class, ask)| row(class, ask)).collect::<Vec<_>>());
}

#[test]
fn every_class_is_built_as_the_class_it_is_named_after() {
    for class in Class::ALL {
        let slot = build(*class);
        assert_eq!(class_of(&slot), *class);
        let mark = Mark { observed_at: at(100), sequence: 5 };
        assert!(slot.hearing.is_none_or(|hearing| hearing.mark == mark), "{class:?}");
    }
    for kind in ["read", "check silence"] {
        assert!(Ask::ALL.iter().any(|ask| command_kind(&command(*ask).0) == kind), "{kind}");
    }
}

#[test]
fn a_reading_at_the_edge_of_the_skew_is_taken_and_one_beyond_is_not() {
    let ask = |micros: i64| {
        let observed_at = Timestamp::from_micros(at(60).micros() + micros);
        let command = Command::Read(reading(true, observed_at));
        slot::decide(&Slot::default(), &command, at(0), sensor_rules(&rules()))
    };
    assert_eq!(ask(0).unwrap().outcome, slot::Outcome::Accepted);
    assert_eq!(ask(1), Err(slot::Rejection::InFuture { ahead_micros: 60_000_001 }));
}

#[test]
fn a_heartbeat_renews_liveness_but_not_the_change() {
    let mut slot = build(Class::Occupied);
    let (command, now) = command(Ask::Occupied);
    let decision = slot::decide(&slot, &command, now, sensor_rules(&rules())).unwrap();
    slot.note_heartbeat(decision.heartbeat.expect("it repeats the state"), now);
    let hearing = slot.hearing.unwrap();
    assert_eq!((hearing.since, hearing.changed_at), (at(100), at(100)));
    assert_eq!((hearing.heard_at, hearing.recorded_at), (now, at(100)));
    let due = Command::CheckSilence { listening_since: at(0) };
    let silent = |now| slot::decide(&slot, &due, now, sensor_rules(&rules())).unwrap().event;
    assert_eq!(silent(at(200 + 4_000 - 1)), None);
    assert_eq!(silent(at(200 + 4_000)), Some(Event::FellSilent));
}

#[test]
fn a_backlog_delivered_at_once_is_not_flapping() {
    let mut slot = Slot::default();
    for hour in 0..12 {
        let command = Command::Read(reading(hour % 2 == 0, at(hour * 3_600)));
        let now = at(50_000);
        let decision = slot::decide(&slot, &command, now, sensor_rules(&rules())).unwrap();
        slot::apply(&mut slot, &decision.event.unwrap(), now);
    }
    assert_eq!(slot.health(), Health::Good);
}

#[test]
fn times_at_the_ends_of_the_range_do_not_overflow() {
    let ends = [Timestamp::MIN, at(0), Timestamp::MAX];
    for (observed_at, now) in ends.iter().flat_map(|one| ends.map(|two| (*one, two))) {
        let mut slot = build(Class::Occupied);
        let asks = [
            Command::Read(reading(false, observed_at)),
            Command::CheckSilence { listening_since: observed_at },
        ];
        for ask in asks {
            if let Ok(decision) = slot::decide(&slot, &ask, now, sensor_rules(&rules()))
                && let Some(event) = decision.event
            {
                slot::apply(&mut slot, &event, now);
            }
        }
    }
}
