//! What a lot does with every count in every state of its tally, with every reservation of a slot in every
//! service state, and with changes of slots and of itself: one row for each pair, no pair without a row.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

#[macro_use]
mod common;

use common::{World, at, bayed, check_table, counted, holder, name, reserve_any, reserve_slot};
use common::{rules, slot_spec, window};
use lotkeeper_engine::ids::{SlotIndex, ZoneIndex};
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::{
    Command, Condition, Count, CountOutcome, Event, LotPatch, Outcome, Rejection, Service,
    SlotPatch,
};
use lotkeeper_engine::spec::{Rules, Size};
use lotkeeper_engine::time::{Seconds, Timestamp};

classes!(
    /// States of the tally of a lot of 100 places, last counted at second 1,000.
    Tally { NeverCounted, Consistent, AboveCapacity, BelowZero, Silent }
);

classes!(
    /// What its counter says at second 1,100 unless the name says otherwise.
    Report {
        AbsoluteSame,
        AbsoluteOther,
        AbsoluteFull,
        AbsoluteTooMany,
        AbsoluteSameAfterAQuarter,
        AbsoluteSameAtTheSameTime,
        AbsoluteOtherAtTheSameTime,
        AbsoluteOlder,
        FlowIn,
        FlowOutOfMoreThanInside,
        FlowObservedEarlier,
        FlowIdle,
        FlowIdleAfterAQuarter,
        AbsoluteAhead,
        TickBeforeSilence,
        TickAtSilence,
        TickAtSilenceButJustStarted,
    }
);

/// One row per line: state, report, answer, event or heartbeat, next state, vehicles inside.
const COUNTS: &str = include_str!("golden/counts.txt");

fn tally_class(condition: Condition) -> Tally {
    match condition {
        Condition::NeverCounted => Tally::NeverCounted,
        Condition::Consistent => Tally::Consistent,
        Condition::AboveCapacity => Tally::AboveCapacity,
        Condition::BelowZero => Tally::BelowZero,
        Condition::Silent => Tally::Silent,
    }
}

fn take(world: &mut World, count: Count, seconds: i64) {
    world.now = at(seconds);
    world.execute(&Command::Count { count, observed_at: Some(world.now) }).unwrap();
}

fn counted_as(class: Tally) -> World {
    let mut world = World::new(counted(100));
    let occupied = match class {
        Tally::NeverCounted => return world,
        Tally::Consistent | Tally::Silent => 50,
        Tally::AboveCapacity => 101,
        Tally::BelowZero => 0,
    };
    take(&mut world, Count::Absolute { occupied }, 1_000);
    if class == Tally::BelowZero {
        take(&mut world, Count::Flow { entered: 0, left: 4 }, 1_000);
    }
    if class == Tally::Silent {
        world.now = at(5_000);
        world.tick();
    }
    world
}

/// The command and the second at which it comes.
fn report(report: Report, inside: i64) -> (Command, i64) {
    // Below zero nothing absolute repeats the tally.
    let same = Count::Absolute { occupied: u32::try_from(inside).unwrap_or(50) };
    let flow = |entered, left| Count::Flow { entered, left };
    let silence = i64::from(rules().silence.0);
    let later = 1_000 + silence / 4 + 1;
    let (count, observed, now) = match report {
        Report::AbsoluteSame => (same, 1_100, 1_100),
        Report::AbsoluteOther => (Count::Absolute { occupied: 60 }, 1_100, 1_100),
        Report::AbsoluteFull => (Count::Absolute { occupied: 100 }, 1_100, 1_100),
        Report::AbsoluteTooMany => (Count::Absolute { occupied: 110 }, 1_100, 1_100),
        Report::AbsoluteSameAfterAQuarter => (same, later, later),
        Report::AbsoluteSameAtTheSameTime => (same, 1_000, 1_100),
        Report::AbsoluteOtherAtTheSameTime => (Count::Absolute { occupied: 60 }, 1_000, 1_100),
        Report::AbsoluteOlder => (Count::Absolute { occupied: 60 }, 900, 1_100),
        Report::FlowIn => (flow(2, 1), 1_100, 1_100),
        Report::FlowOutOfMoreThanInside => (flow(0, 500), 1_100, 1_100),
        Report::FlowObservedEarlier => (flow(2, 0), 900, 1_100),
        Report::FlowIdle => (flow(0, 0), 1_100, 1_100),
        Report::FlowIdleAfterAQuarter => (flow(0, 0), later, later),
        Report::AbsoluteAhead => (same, 1_161, 1_100),
        Report::TickBeforeSilence => {
            return (Command::Tick { listening_since: at(0) }, 1_000 + silence - 1);
        }
        Report::TickAtSilence => {
            return (Command::Tick { listening_since: at(0) }, 1_000 + silence);
        }
        Report::TickAtSilenceButJustStarted => {
            return (Command::Tick { listening_since: at(1_001) }, 1_000 + silence);
        }
    };
    (Command::Count { count, observed_at: Some(at(observed)) }, now)
}

fn answer_of(answer: &Result<Outcome, Rejection>) -> String {
    match answer {
        Ok(Outcome::Count(outcome)) => match outcome {
            CountOutcome::Accepted
            | CountOutcome::Unchanged
            | CountOutcome::Duplicate
            | CountOutcome::Late => name(outcome),
        },
        Ok(outcome) => name(outcome),
        Err(Rejection::Invalid { faults }) => format!("Invalid{}", faults[0].pointer),
        Err(rejection) => name(rejection),
    }
}

fn events_of(world: &World, from: usize) -> String {
    let events = world.lot_events_since(from);
    if events.is_empty() { "-".to_owned() } else { events.join(",") }
}

fn count_row(class: Tally, said: Report) -> String {
    let mut world = counted_as(class);
    let (command, seconds) = report(said, world.lot.count_state().occupied);
    world.now = at(seconds);
    let before = world.entries.len();
    let heard = match world.decide(&command).heartbeat {
        Some(_) => "heartbeat".to_owned(),
        None => String::new(),
    };
    let answer = answer_of(&world.execute(&command));
    let event = if heard.is_empty() { events_of(&world, before) } else { heard };
    world.assert_invariants();
    let state = world.lot.count_state();
    let next = name(&tally_class(state.condition));
    let (class, said, inside) = (name(&class), name(&said), state.occupied);
    format!("{class:<13} {said:<27} {answer:<9} {event:<17} {next:<13} {inside}")
}

#[test]
fn every_tally_answers_every_count_as_the_table_says() {
    let pairs = Tally::ALL.iter().flat_map(|class| Report::ALL.iter().map(|said| (*class, *said)));
    check_table(COUNTS, &pairs.map(|(class, said)| count_row(class, said)).collect::<Vec<_>>());
}

#[test]
fn a_bayed_lot_takes_no_counts() {
    let command = Command::Count { count: Count::Absolute { occupied: 1 }, observed_at: None };
    assert_eq!(World::new(bayed(1)).execute(&command), Err(Rejection::NotCounted));
}

#[test]
fn an_idle_flow_does_not_make_an_absolute_count_late() {
    let mut world = counted_as(Tally::Consistent);
    take(&mut world, Count::Flow { entered: 0, left: 0 }, 1_200);
    world.now = at(1_300);
    let count = Count::Absolute { occupied: 60 };
    let outcome = world.execute(&Command::Count { count, observed_at: Some(at(1_150)) });
    assert_eq!(outcome, Ok(Outcome::Count(CountOutcome::Accepted)));
}

fn idle(observed_at: Timestamp) -> Event {
    Event::Counted { count: Count::Flow { entered: 0, left: 0 }, observed_at }
}

#[test]
fn drift_is_what_flows_missed_between_two_absolute_counts() {
    let mut world = counted_as(Tally::Consistent);
    take(&mut world, Count::Absolute { occupied: 60 }, 1_100);
    assert_eq!(world.lot.count_state().drift, 0, "nothing flowed: the difference is no error");
    // Whether an idle flow has a record or not, it is no flow.
    world.apply(idle(at(1_150)));
    take(&mut world, Count::Absolute { occupied: 55 }, 1_160);
    take(&mut world, Count::Absolute { occupied: 60 }, 1_170);
    assert_eq!(world.lot.count_state().drift, 0);
    take(&mut world, Count::Flow { entered: 5, left: 0 }, 1_200);
    take(&mut world, Count::Absolute { occupied: 62 }, 1_300);
    assert_eq!(world.lot.count_state().drift, -3);
    take(&mut world, Count::Flow { entered: 1, left: 0 }, 1_400);
    take(&mut world, Count::Absolute { occupied: 63 }, 1_500);
    assert_eq!(world.lot.count_state().drift, 0, "a count that confirms the flows ends the drift");
}

classes!(
    /// Service states of the only slot. What is taken lies in seconds 3,600 to 7,200; it may return at
    /// 10,000.
    Serves { InService, Taken, BookedOut, ClosedForGood, ClosedUntil }
);

classes!(
    /// Reservations and changes of service at second 0.
    Wish {
        GivenEarly,
        GivenOverlapping,
        GivenAcrossTheReturn,
        GivenAfterTheReturn,
        AnyEarly,
        AnyOverlapping,
        AnyAfterTheReturn,
        AnyTooLarge,
        NoSuchSlot,
        Close,
        CloseUntil,
        Open,
        TickAtTheReturn,
    }
);

/// One row per line: state, wish, answer, events, next state.
const SERVICE: &str = include_str!("golden/service.txt");

fn closed(until: Option<Timestamp>) -> Service {
    Service::OutOfService { reason: "cleaning".into(), until }
}

fn serves(world: &World) -> Serves {
    let promise = world.lot.promise(SlotIndex(0)).unwrap();
    match &promise.service {
        Service::OutOfService { until: None, .. } => Serves::ClosedForGood,
        Service::OutOfService { until: Some(_), .. } => Serves::ClosedUntil,
        Service::InService if promise.is_booked_out() => Serves::BookedOut,
        Service::InService if promise.timeline.spans().is_empty() => Serves::InService,
        Service::InService => Serves::Taken,
    }
}

fn change_service(service: Service) -> Command {
    let patch = SlotPatch { service: Some(service), ..SlotPatch::default() };
    Command::ChangeSlot { slot: SlotIndex(0), patch, expected_version: None }
}

fn serving(class: Serves) -> World {
    let mut world = World::new(bayed(1));
    let close = match class {
        Serves::InService => return world,
        Serves::Taken => return taken(world),
        Serves::BookedOut => {
            for number in 0..limits::RESERVATIONS_PER_SLOT_MAX as u32 {
                let from = 50_000 + 100 * i64::from(number);
                world.reserve(reserve_slot(100 + number, 0, window(from, from + 100))).unwrap();
            }
            return world;
        }
        Serves::ClosedForGood => closed(None),
        Serves::ClosedUntil => closed(Some(at(10_000))),
    };
    world.execute(&change_service(close)).unwrap();
    world
}

fn taken(mut world: World) -> World {
    world.reserve(reserve_slot(99, 0, window(3_600, 7_200))).unwrap();
    world
}

fn wish(wish: Wish) -> Command {
    let (early, overlapping) = (window(2_000, 3_600), window(7_199, 9_000));
    let (across, after) = (window(9_999, 12_000), window(10_000, 12_000));
    let any = |window| Command::Reserve(reserve_any(1, window));
    let given = |window| Command::Reserve(reserve_slot(1, 0, window));
    match wish {
        Wish::GivenEarly => given(early),
        Wish::GivenOverlapping => given(overlapping),
        Wish::GivenAcrossTheReturn => given(across),
        Wish::GivenAfterTheReturn => given(after),
        Wish::AnyEarly => any(early),
        Wish::AnyOverlapping => any(overlapping),
        Wish::AnyAfterTheReturn => any(after),
        Wish::AnyTooLarge => {
            let needs = lotkeeper_engine::lot::Needs { size: Size::Large, ..Default::default() };
            let choice = lotkeeper_engine::lot::Choice::Any(needs);
            Command::Reserve(lotkeeper_engine::lot::Reserve { choice, ..reserve_any(1, early) })
        }
        Wish::NoSuchSlot => Command::Reserve(reserve_slot(1, 1, early)),
        Wish::Close => change_service(closed(None)),
        Wish::CloseUntil => change_service(closed(Some(at(10_000)))),
        Wish::Open => change_service(Service::InService),
        Wish::TickAtTheReturn => Command::Tick { listening_since: at(0) },
    }
}

fn service_row(class: Serves, wished: Wish) -> String {
    let mut world = serving(class);
    if wished == Wish::TickAtTheReturn {
        world.run_until(9_999);
        world.now = at(10_000);
    }
    let before = world.entries.len();
    let answer = answer_of(&world.execute(&wish(wished)));
    let events = events_of(&world, before);
    world.assert_invariants();
    let next = serves(&world);
    let (class, wished) = (name(&class), name(&wished));
    format!("{class:<13} {wished:<20} {answer:<16} {events:<14} {next:?}")
}

#[test]
fn every_service_state_answers_every_wish_as_the_table_says() {
    let pairs = Serves::ALL.iter().flat_map(|class| Wish::ALL.iter().map(|wish| (*class, *wish)));
    check_table(SERVICE, &pairs.map(|(class, wish)| service_row(class, wish)).collect::<Vec<_>>());
}

/// One row per line: change, answer, events.
const CHANGES: &str = include_str!("golden/changes.txt");

fn slot_change(patch: SlotPatch, expected_version: Option<u32>, slot: u16) -> Command {
    Command::ChangeSlot { slot: SlotIndex(slot), patch, expected_version }
}

fn slot_changes() -> Vec<(&'static str, Command)> {
    let features = |names: &[&str]| SlotPatch {
        features: Some(names.iter().map(|name| (*name).into()).collect()),
        ..SlotPatch::default()
    };
    let zone = |zone| SlotPatch { zone: Some(zone), ..SlotPatch::default() };
    let size = |size| SlotPatch { size: Some(size), ..SlotPatch::default() };
    let many: Vec<String> = (0..63).map(|number| format!("f-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let close = SlotPatch { service: Some(closed(None)), ..size(Size::Large) };
    vec![
        ("slot/nothing", slot_change(SlotPatch::default(), None, 0)),
        ("slot/same-size", slot_change(size(Size::Standard), Some(0), 0)),
        ("slot/size", slot_change(size(Size::Large), Some(0), 0)),
        ("slot/size-old-version", slot_change(size(Size::Large), Some(9), 0)),
        ("slot/zone", slot_change(zone(Some(ZoneIndex(1))), None, 0)),
        ("slot/no-such-zone", slot_change(zone(Some(ZoneIndex(2))), None, 0)),
        ("slot/known-feature", slot_change(features(&["ev"]), None, 0)),
        ("slot/new-feature", slot_change(features(&["ev", "shaded"]), None, 0)),
        ("slot/bad-feature", slot_change(features(&["ev", "a b"]), None, 0)),
        ("slot/62-features", slot_change(features(&many[..62]), None, 0)),
        ("slot/63-features", slot_change(features(&many), None, 0)),
        ("slot/size-and-close", slot_change(close, None, 0)),
        ("slot/no-such-slot", slot_change(SlotPatch::default(), None, 7)),
    ]
}

fn lot_changes() -> Vec<(&'static str, Command)> {
    let change = |patch: LotPatch, expected_version| Command::ChangeLot { patch, expected_version };
    let named = |name: &str| LotPatch { name: Some(name.into()), ..LotPatch::default() };
    let ruled = |rules: Rules| LotPatch { rules: Some(rules), ..LotPatch::default() };
    let sized = |capacity| LotPatch { capacity: Some(capacity), ..LotPatch::default() };
    vec![
        ("lot/nothing", change(LotPatch::default(), None)),
        ("lot/same-name", change(named("Market Street"), Some(1))),
        ("lot/name", change(named("Harbour"), Some(1))),
        ("lot/name-old-version", change(named("Harbour"), Some(0))),
        ("lot/empty-name", change(named(""), None)),
        ("lot/rules", change(ruled(Rules { no_show: Seconds(60), ..rules() }), None)),
        ("lot/no-silence", change(ruled(Rules { silence: Seconds(0), ..rules() }), None)),
        ("lot/no-hold", change(ruled(Rules { hold: Seconds(0), ..rules() }), None)),
        ("lot/capacity-of-a-bayed-lot", change(sized(7), None)),
    ]
}

#[test]
fn every_change_is_answered_as_the_table_says() {
    let rows = slot_changes().into_iter().chain(lot_changes()).map(|(what, command)| {
        let mut world = taken(World::new(bayed(1)));
        assert_eq!(world.lot.spec().slots[0], slot_spec(0));
        assert!(world.lot.reservations().all(|reservation| reservation.holder == holder(1)));
        let before = world.entries.len();
        let answer = answer_of(&world.execute(&command));
        let events = events_of(&world, before);
        world.assert_invariants();
        format!("{what:<28} {answer:<24} {events}")
    });
    check_table(CHANGES, &rows.collect::<Vec<_>>());
}
