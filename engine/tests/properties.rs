//! Random commands at random times never break an invariant, and what was recorded tells the whole story.
//!
//! Times move in steps of five minutes and ids come from small pools, so that windows meet, deadlines
//! coincide and commands hit reservations in every state.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;

use std::sync::Arc;

use common::{Entry, World, at, holder, mixed, reading, reservation};
use lotkeeper_engine::ids::{SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{
    self, Caller, Choice, Command, Count, Lot, LotPatch, Needs, Outcome, Rejection, Reserve,
    Service, SlotPatch,
};
use lotkeeper_engine::slot::{self, Reading, Slot};
use lotkeeper_engine::spec::{FeatureSet, Kind, Rules, Size, Spec, TypeSet};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use proptest::prelude::*;

/// Seconds of the grid on which everything happens.
const GRID_SECONDS: i64 = 300;

/// One step of a run; times are in steps of the grid from now.
#[derive(Clone, Debug)]
enum Step {
    Wait(u32),
    Reserve { id: u32, choice: Choice, from: i64, steps: i64, hold: Option<u32>, holder: u32 },
    Confirm { id: u32, by: Caller },
    Modify { id: u32, from: Option<i64>, to: Option<i64>, version: Option<u32>, by: Caller },
    Cancel { id: u32, by: Caller },
    Count { count: Count, observed: Option<i64> },
    Serve { slot: u16, closed: bool, until: Option<i64> },
    Move { slot: u16, zone: Option<Option<u16>>, size: Option<Size>, features: Option<bool> },
    Rule { lead: u32, no_show: u32, silence: u32 },
    Tick,
    Read { slot: u16, occupied: bool, observed: Option<i64> },
    CheckSilence { slot: u16 },
}

fn size() -> impl Strategy<Value = Size> {
    prop::sample::select(Size::ALL.to_vec())
}

fn caller() -> impl Strategy<Value = Caller> {
    prop_oneof![Just(Caller::Staff), (0..3u32).prop_map(|number| Caller::Holder(holder(number)))]
}

fn choice() -> impl Strategy<Value = Choice> {
    let zone = prop::option::of((0..3u16).prop_map(ZoneIndex));
    let needs = (size(), 0..4u64, zone, 0..4u64).prop_map(|(size, features, zone, types)| {
        let (features, vehicle_type) = (FeatureSet(features), TypeSet(types));
        Choice::Any(Needs { size, features, zone, vehicle_type })
    });
    let plain = Just(Choice::Any(Needs { size: Size::Motorcycle, ..Needs::default() }));
    prop_oneof![2 => (0..7u16).prop_map(|slot| Choice::Slot(SlotIndex(slot))), 1 => needs, 2 => plain]
}

fn count() -> impl Strategy<Value = Count> {
    prop_oneof![
        (0..3u32, 0..3u32).prop_map(|(entered, left)| Count::Flow { entered, left }),
        (0..8u32).prop_map(|occupied| Count::Absolute { occupied }),
    ]
}

fn promise_step() -> impl Strategy<Value = Step> {
    let reserve = (0..40u32, choice(), -2..30i64, 0..8i64, prop::option::of(1..9u32), 0..3u32)
        .prop_map(|(id, choice, from, steps, hold, holder)| Step::Reserve {
            id,
            choice,
            from,
            steps,
            hold,
            holder,
        });
    let time = || prop::option::of(-2..30i64);
    let modify = (0..40u32, time(), time(), prop::option::weighted(0.2, 0..4u32), caller())
        .prop_map(|(id, from, to, version, by)| Step::Modify { id, from, to, version, by });
    prop_oneof![
        6 => reserve,
        2 => (0..40u32, caller()).prop_map(|(id, by)| Step::Confirm { id, by }),
        3 => modify,
        2 => (0..40u32, caller()).prop_map(|(id, by)| Step::Cancel { id, by }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let past = || prop::option::of(-4..2i64);
    let serve = (0..6u16, any::<bool>(), prop::option::of(-1..9i64))
        .prop_map(|(slot, closed, until)| Step::Serve { slot, closed, until });
    let change = (
        0..6u16,
        prop::option::of(prop::option::of(0..3u16)),
        prop::option::of(size()),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(slot, zone, size, features)| Step::Move { slot, zone, size, features });
    prop_oneof![
        10 => promise_step(),
        3 => (0..9u32).prop_map(Step::Wait),
        2 => (count(), past()).prop_map(|(count, observed)| Step::Count { count, observed }),
        1 => serve,
        1 => change,
        1 => (0..9u32, 0..5u32, 1..30u32)
            .prop_map(|(lead, no_show, silence)| Step::Rule { lead, no_show, silence }),
        1 => Just(Step::Tick),
        3 => (0..6u16, any::<bool>(), past())
            .prop_map(|(slot, occupied, observed)| Step::Read { slot, occupied, observed }),
        1 => (0..6u16).prop_map(|slot| Step::CheckSilence { slot }),
    ]
}

fn lots() -> impl Strategy<Value = Spec> {
    (1..6usize, any::<bool>()).prop_map(|(slots, is_counted)| match is_counted {
        true => Spec { kind: Kind::Counted, capacity: 5, ..mixed(slots) },
        false => mixed(slots),
    })
}

fn grid(now: Timestamp, steps: i64) -> Timestamp {
    Timestamp::from_micros(now.micros() + steps * GRID_SECONDS * 1_000_000)
}

fn seconds(steps: u32) -> Seconds {
    Seconds(steps * GRID_SECONDS as u32)
}

/// The command of a step, where it is one for the lot.
fn command(world: &World, step: &Step) -> Option<Command> {
    let now = world.now;
    Some(match step.clone() {
        Step::Reserve { id, choice, from, steps, hold, holder: number } => {
            let from = grid(now, from);
            Command::Reserve(Reserve {
                id: reservation(id),
                choice,
                window: Window { from, to: grid(from, steps) },
                hold: hold.map(seconds),
                holder: holder(number),
                vehicle: None,
                vehicle_type: None,
                discounts: Box::default(),
                series: None,
                request: None,
            })
        }
        Step::Confirm { id, by } => Command::Confirm { id: reservation(id), by },
        Step::Modify { id, from, to, version, by } => Command::Modify {
            id: reservation(id),
            choice: None,
            from: from.map(|steps| grid(now, steps)),
            to: to.map(|steps| grid(now, steps)),
            request: None,
            expected_version: version,
            by,
        },
        Step::Cancel { id, by } => Command::Cancel { id: reservation(id), reason: None, by },
        Step::Count { count, observed } => {
            Command::Count { count, observed_at: observed.map(|steps| grid(now, steps)) }
        }
        Step::Serve { slot, closed, until } => {
            let until = until.map(|steps| grid(now, steps));
            let service = match closed {
                true => Service::OutOfService { reason: "works".into(), until },
                false => Service::InService,
            };
            let patch = SlotPatch { service: Some(service), ..SlotPatch::default() };
            Command::ChangeSlot { slot: SlotIndex(slot), patch, expected_version: None }
        }
        Step::Move { slot, zone, size, features } => {
            let features = features.map(|shaded| match shaded {
                true => vec!["ev".into(), "shaded".into()],
                false => Vec::new(),
            });
            let zone = zone.map(|zone| zone.map(ZoneIndex));
            let patch = SlotPatch { zone, size, features, ..SlotPatch::default() };
            Command::ChangeSlot { slot: SlotIndex(slot), patch, expected_version: None }
        }
        Step::Rule { lead, no_show, silence } => {
            let (hold_lead, no_show, silence) = (seconds(lead), seconds(no_show), seconds(silence));
            let rules = Rules { hold_lead, no_show, silence, ..common::rules() };
            let patch = LotPatch { rules: Some(rules), ..LotPatch::default() };
            Command::ChangeLot { patch, expected_version: None }
        }
        // Silence counts from now: whether the tick or a count comes first must not matter here.
        Step::Tick => Command::Tick { listening_since: now },
        Step::Wait(_) | Step::Read { .. } | Step::CheckSilence { .. } => return None,
    })
}

fn slot_command(now: Timestamp, step: &Step) -> Option<(SlotIndex, slot::Command)> {
    match step {
        Step::Read { slot, occupied, observed } => {
            let observed_at = observed.map(|steps| grid(now, steps));
            let reading = Reading { observed_at, ..reading(*occupied, now) };
            Some((SlotIndex(*slot), slot::Command::Read(reading)))
        }
        Step::CheckSilence { slot } => {
            let command = slot::Command::CheckSilence { listening_since: at(0) };
            Some((SlotIndex(*slot), command))
        }
        _ => None,
    }
}

fn take(world: &mut World, step: &Step) {
    if let Step::Wait(steps) = step {
        world.advance(seconds(*steps).0);
    }
    if let Some((slot, command)) = slot_command(world.now, step)
        && slot.at() < world.slots.len()
    {
        let _ = world.ask_slot(slot, &command);
    }
    if let Some(command) = command(world, step) {
        check_grant(world, &command);
        let _ = world.execute(&command);
    }
}

/// The lot after everything overdue has happened.
fn settled(world: &World) -> World {
    let mut settled = world.clone();
    while settled.lot.next_due_at().is_some_and(|due_at| due_at <= settled.now) {
        let listening_since = settled.now;
        settled.execute(&Command::Tick { listening_since }).expect("a tick is never refused");
    }
    settled
}

/// Compares the answer to a reservation with what a scan of all slots says, and any answer with the one
/// after a tick.
fn check_grant(world: &World, command: &Command) {
    let settled = settled(world);
    let outcome = world.decide(command).outcome;
    assert_eq!(outcome, settled.decide(command).outcome, "{command:?} hangs on the tick");
    let Command::Reserve(reserve) = command else { return };
    let refused_before = matches!(
        outcome,
        Err(Rejection::IdTaken
            | Rejection::WindowEmpty
            | Rejection::WindowInPast
            | Rejection::WindowTooLong
            | Rejection::TooManyReservations)
    );
    if refused_before {
        return;
    }
    match reserve.choice {
        Choice::Any(needs) => check_any(&settled, reserve, &needs, &outcome),
        Choice::Slot(slot) => {
            let granted = is_open(&settled.lot, slot, reserve.window, true);
            assert_eq!(outcome.is_ok(), granted, "{reserve:?}: {outcome:?}");
        }
    }
}

fn check_any(
    settled: &World,
    reserve: &Reserve,
    needs: &Needs,
    outcome: &Result<Outcome, Rejection>,
) {
    let lot = &settled.lot;
    let spec = lot.spec();
    let fitting = || spec.slot_indices().filter(|slot| needs.fit(spec.slot(*slot).unwrap()));
    let open: Vec<_> =
        fitting().filter(|slot| is_open(lot, *slot, reserve.window, false)).collect();
    match outcome {
        Ok(_) => {
            let mut after = settled.clone();
            after.execute(&Command::Reserve(reserve.clone())).expect("it was granted");
            let slot = after.lot.reservation(reserve.id).unwrap().slot;
            assert!(open.contains(&slot), "{slot:?} is not one of {open:?}");
        }
        Err(Rejection::NoSlotFree) => assert!(open.is_empty() && fitting().count() > 0, "{open:?}"),
        Err(Rejection::NoSlotFits) => assert_eq!(fitting().count(), 0),
        Err(other) => panic!("{reserve:?}: {other:?}"),
    }
}

/// The long way round: every active reservation of the slot, without timeline or index.
fn is_open(lot: &Lot, slot: SlotIndex, window: Window, is_given: bool) -> bool {
    let Some(promise) = lot.promise(slot) else { return false };
    let serves = match &promise.service {
        Service::InService => true,
        // A given slot can be promised from its return on; "any" looks at slots in service.
        Service::OutOfService { until, .. } => {
            is_given && until.is_some_and(|until| until <= window.from)
        }
    };
    let mut others = lot.reservations().filter(|r| r.slot == slot && r.state.is_active());
    serves && !others.any(|other| other.window.overlaps(window))
}

/// State from the records alone.
fn replay(spec: &Arc<Spec>, entries: &[Entry]) -> (Lot, Vec<Slot>) {
    let mut lot = Lot::new(Arc::clone(spec));
    let mut slots = vec![Slot::default(); spec.slots.len()];
    for entry in entries {
        match entry {
            Entry::Lot(event, at) => lot::apply(&mut lot, event, *at),
            Entry::Slot(slot, event, at) => slot::apply(&mut slots[slot.at()], event, *at),
        }
    }
    (lot, slots)
}

/// Heartbeats have no record: a replay does not know the ones after the last.
fn without_heartbeats(lot: &Lot, slots: &[Slot]) -> (Lot, Vec<Slot>) {
    let mut parts = lot.parts();
    parts.tally.heard_at = Timestamp::default();
    parts.tally.absolute_at = None;
    parts.tally.observed_at = parts.tally.observed_at.map(|_| Timestamp::default());
    let mut slots = slots.to_vec();
    for hearing in slots.iter_mut().filter_map(|slot| slot.hearing.as_mut()) {
        hearing.mark.observed_at = Timestamp::default();
        hearing.heard_at = Timestamp::default();
    }
    (Lot::from_parts(parts), slots)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn invariants_hold_and_replay_gives_the_same_state(
        spec in lots(),
        steps in prop::collection::vec(step(), 1..70),
    ) {
        let mut world = World::new(spec);
        let spec = Arc::clone(world.lot.spec());
        for step in &steps {
            take(&mut world, step);
            world.assert_invariants();
            prop_assert_eq!(&Lot::from_parts(world.lot.parts()), &world.lot);
        }
        let (lot, slots) = replay(&spec, &world.entries);
        let told = without_heartbeats(&lot, &slots);
        prop_assert_eq!(told, without_heartbeats(&world.lot, &world.slots));
    }

    #[test]
    fn readings_in_any_order_and_number_end_in_the_newest(
        readings in prop::collection::vec((any::<bool>(), 1..4u32), 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        // Distinct marks: the observed time grows every second reading, the sequence in between.
        let readings: Vec<Reading> = readings.iter().zip(0i64..).map(|((occupied, _), number)| {
            let observed_at = Some(at(number / 2));
            Reading { observed_at, sequence: number as u64, ..reading(*occupied, at(0)) }
        }).collect();
        let newest = readings[readings.len() - 1];
        let shuffled = order.iter().map(|index| *index.get(&readings));
        let mut world = World::new(common::bayed(1));
        world.now = at(100);
        for reading in shuffled.chain([newest]).chain(readings.iter().copied()) {
            world.ask_slot(SlotIndex(0), &slot::Command::Read(reading)).unwrap();
        }
        let hearing = world.slots[0].hearing.unwrap();
        prop_assert_eq!(world.slots[0].occupied(), Some(newest.occupied));
        prop_assert_eq!(Some(hearing.mark.observed_at), newest.observed_at);
        prop_assert_eq!(hearing.mark.sequence, newest.sequence);
        world.assert_invariants();
    }
}
