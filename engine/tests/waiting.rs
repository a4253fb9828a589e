//! The waiting list: who may wait, who is offered what and when, and who never gets in between.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;

use common::{
    Entry, World, at, bayed, cancel, confirm, holder, mixed, modify, reservation, reserve_any,
    reserve_slot, window,
};
use lotkeeper_engine::ids::{SlotIndex, WaitingId};
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::waiting::{Event as Waited, State, WaiterTerms};
use lotkeeper_engine::lot::{
    self, Caller, Choice, Command, Event, Lot, Needs, Outcome, Rejection, Reserve, Service,
    SlotPatch,
};
use lotkeeper_engine::spec::{Arrival, FeatureSet, Rules, Size, Spec};
use lotkeeper_engine::time::{Seconds, Window};
use proptest::prelude::*;

const OFFER_SECONDS: i64 = 900;

fn place(number: u32) -> WaitingId {
    WaitingId(reservation(number).0)
}

fn terms(who: u32, window: Window) -> WaiterTerms {
    WaiterTerms {
        needs: Needs::default(),
        window,
        holder: holder(who),
        vehicle: None,
        vehicle_type: None,
        discounts: Box::default(),
    }
}

fn join(world: &mut World, id: u32, terms: WaiterTerms) -> Result<Outcome, Rejection> {
    world.execute(&Command::JoinWaiting { id: place(id), terms: Box::new(terms) })
}

fn leave(id: u32, by: Caller) -> Command {
    Command::LeaveWaiting { id: place(id), by }
}

fn state(world: &World, id: u32) -> State {
    world.lot.waiting().get(place(id)).expect("the lot remembers it").state
}

fn serve(slot: u16, service: Service) -> Command {
    let patch = SlotPatch { service: Some(service), ..SlotPatch::default() };
    Command::ChangeSlot { slot: SlotIndex(slot), patch, expected_version: None }
}

fn close(slot: u16, until_seconds: Option<i64>) -> Command {
    serve(slot, Service::OutOfService { reason: "works".into(), until: until_seconds.map(at) })
}

fn features(slot: u16, names: &[&str]) -> Command {
    let features = Some(names.iter().map(|name| (*name).into()).collect());
    let patch = SlotPatch { features, ..SlotPatch::default() };
    Command::ChangeSlot { slot: SlotIndex(slot), patch, expected_version: None }
}

fn proved() -> Rules {
    Rules { arrival: Arrival::Proved, ..common::rules() }
}

fn evening() -> Window {
    window(10_000, 20_000)
}

/// One slot, booked for the evening; the holders 2, 3, ... wait for it in this order, as 12, 13, ...
fn full(waiting: u32) -> World {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, evening())).unwrap();
    for who in 2..2 + waiting {
        join(&mut world, 10 + who, terms(who, evening())).unwrap();
    }
    world
}

#[test]
fn who_can_have_a_slot_now_books_it_and_does_not_wait() {
    let mut world = full(0);
    let free = window(20_000, 30_000);
    let refused = join(&mut world, 12, terms(2, free));
    assert_eq!(refused, Err(Rejection::SlotFree { slot: SlotIndex(0) }));
    assert_eq!(join(&mut world, 12, terms(2, evening())), Ok(Outcome::Waiting(place(12))));
    assert_eq!(state(&world, 12), State::Waiting);
    world.assert_invariants();
}

#[test]
fn what_can_never_be_had_is_not_waited_for() {
    let mut world = full(1);
    let ev = Needs { features: FeatureSet(1), ..Needs::default() };
    let cases = [
        (13, WaiterTerms { needs: ev, ..terms(3, evening()) }, Rejection::NoSlotFits),
        (13, terms(3, window(10_000, 10_000)), Rejection::WindowEmpty),
        (13, terms(3, window(0, 10_001)), Rejection::WindowInPast),
        (12, terms(3, evening()), Rejection::IdTaken),
        (1, terms(3, evening()), Rejection::IdTaken),
    ];
    for (id, terms, why) in cases {
        assert_eq!(join(&mut world, id, terms), Err(why));
    }
    // The id of who waits is that of the reservation he may get.
    let taken = world.reserve(Reserve { holder: holder(9), ..reserve_any(12, window(50, 60)) });
    assert_eq!(taken, Err(Rejection::IdTaken));
}

#[test]
fn one_holder_and_one_lot_have_so_many_places() {
    let mut world = full(0);
    let mine = limits::WAITERS_PER_HOLDER_MAX as u32;
    for number in 0..mine {
        join(&mut world, 100 + number, terms(2, evening())).unwrap();
    }
    assert_eq!(join(&mut world, 99, terms(2, evening())), Err(Rejection::TooManyWaiting));
    for number in mine..limits::WAITERS_PER_LOT_MAX as u32 {
        join(&mut world, 100 + number, terms(100 + number, evening())).unwrap();
    }
    assert_eq!(join(&mut world, 99, terms(3, evening())), Err(Rejection::WaitingFull));
    world.execute(&leave(100, Caller::Holder(holder(2)))).unwrap();
    join(&mut world, 99, terms(2, evening())).unwrap();
    world.assert_invariants();
}

#[test]
fn a_cancellation_is_offered_to_the_first_in_the_same_decision() {
    let mut world = full(2);
    let decision = world.decide(&cancel(1, Caller::Staff));
    let names: Vec<_> = decision.events.iter().map(common::name).collect();
    assert_eq!(names, ["Cancelled", "Waiting", "Reserved"]);
    assert_eq!((decision.overdue, decision.offers), (0, 2));
    world.execute(&cancel(1, Caller::Staff)).unwrap();
    let offered = world.lot.reservation(reservation(12)).unwrap();
    assert_eq!((offered.holder, offered.window), (holder(2), evening()));
    let expires_at = at(OFFER_SECONDS);
    assert_eq!(offered.state, lot::State::Held { expires_at });
    assert_eq!((state(&world, 12), state(&world, 13)), (State::Offered, State::Waiting));
    assert_eq!(world.reserve(reserve_any(9, evening())), Err(Rejection::NoSlotFree));
    world.execute(&confirm(12, Caller::Holder(holder(2)))).unwrap();
    assert_eq!(world.state(12), lot::State::Confirmed);
    world.assert_invariants();
}

#[test]
fn an_offer_refused_or_not_taken_goes_to_the_next() {
    let mut world = full(3);
    world.execute(&cancel(1, Caller::Staff)).unwrap();
    world.execute(&cancel(12, Caller::Holder(holder(2)))).unwrap();
    assert_eq!((world.state(12), state(&world, 13)), (lot::State::Cancelled, State::Offered));
    // Nobody looked: the next command settles what ran out, and still finds nothing for itself.
    world.now = at(OFFER_SECONDS);
    let late = world.reserve(Reserve { holder: holder(9), ..reserve_any(9, evening()) });
    assert_eq!(late, Err(Rejection::NoSlotFree));
    assert_eq!((world.state(13), state(&world, 14)), (lot::State::Expired, State::Offered));
    world.run_until(2 * OFFER_SECONDS);
    assert_eq!(world.state(14), lot::State::Expired);
    world.reserve(Reserve { holder: holder(9), ..reserve_any(9, evening()) }).unwrap();
    world.assert_invariants();
}

/// Two slots, of which only the first is in service, booked for the evening; holders 2 and 3 wait for it.
fn half_closed() -> World {
    let mut world = World::new(bayed(2));
    world.execute(&close(1, None)).unwrap();
    world.reserve(reserve_slot(1, 0, evening())).unwrap();
    join(&mut world, 12, terms(2, evening())).unwrap();
    join(&mut world, 13, terms(3, evening())).unwrap();
    world
}

#[test]
fn whatever_frees_time_is_offered() {
    type Free = fn(&mut World);
    let rows: [(&str, Free); 6] = [
        ("cancelled", |world| {
            world.execute(&cancel(1, Caller::Staff)).unwrap();
        }),
        ("put off", |world| {
            world.execute(&modify(1, Some(at(20_000)), Some(at(21_000)))).unwrap();
        }),
        ("another slot opens", |world| {
            world.execute(&serve(1, Service::InService)).unwrap();
        }),
        ("its own slot opens", |world| {
            world.execute(&close(0, None)).unwrap();
            world.execute(&cancel(1, Caller::Staff)).unwrap();
            assert_eq!(state(world, 12), State::Waiting, "a closed slot is not offered");
            world.execute(&serve(0, Service::InService)).unwrap();
        }),
        ("a closure ends by itself", |world| {
            world.execute(&close(0, Some(5_000))).unwrap();
            world.execute(&cancel(1, Caller::Staff)).unwrap();
            world.run_until(5_000);
        }),
        ("moved to another slot", |world| {
            world.execute(&cancel(12, Caller::Staff)).unwrap_err();
            let choice = Some(Choice::Slot(SlotIndex(1)));
            // What is closed until then can be promised by name, and nobody is offered it.
            world.execute(&close(1, Some(9_000))).unwrap();
            let (id, by) = (reservation(1), Caller::Staff);
            let command = Command::Modify {
                id,
                choice,
                from: None,
                to: None,
                request: None,
                expected_version: None,
                by,
            };
            world.execute(&command).unwrap();
        }),
    ];
    for (what, free) in rows {
        let mut world = half_closed();
        free(&mut world);
        assert_eq!(
            (state(&world, 12), state(&world, 13)),
            (State::Offered, State::Waiting),
            "{what}"
        );
        world.assert_invariants();
    }
}

#[test]
fn a_no_show_and_a_shorter_stay_free_the_rest_of_a_window() {
    let mut world = World::new(Spec { rules: proved(), ..bayed(2) });
    world.reserve(reserve_slot(1, 0, evening())).unwrap();
    world.reserve(reserve_slot(2, 1, evening())).unwrap();
    for id in [13, 14] {
        join(&mut world, id, terms(id, window(15_000, 20_000))).unwrap();
    }
    world.execute(&modify(2, None, Some(at(15_000)))).unwrap();
    assert_eq!((state(&world, 13), state(&world, 14)), (State::Offered, State::Waiting));
    world.run_until(11_000);
    assert_eq!(world.state(1), lot::State::NoShow);
    assert_eq!(state(&world, 14), State::Offered);
    world.assert_invariants();
}

#[test]
fn a_slot_that_fits_now_is_offered() {
    let mut world = half_closed();
    world.execute(&serve(1, Service::InService)).unwrap();
    world.execute(&confirm(12, Caller::Staff)).unwrap();
    world.execute(&leave(13, Caller::Staff)).unwrap();
    let needs = Needs { features: FeatureSet(2), ..Needs::default() };
    let covered = WaiterTerms { needs, ..terms(6, evening()) };
    assert_eq!(join(&mut world, 16, covered.clone()), Err(Rejection::NoSlotFits));
    world.execute(&features(0, &["covered"])).unwrap();
    join(&mut world, 16, covered).unwrap();
    world.execute(&cancel(12, Caller::Staff)).unwrap();
    assert_eq!(state(&world, 16), State::Waiting, "it is not covered");
    world.execute(&features(1, &["covered"])).unwrap();
    assert_eq!(state(&world, 16), State::Offered);
    world.assert_invariants();
}

#[test]
fn who_asked_for_less_is_served_before_who_asked_first_for_more() {
    let mut world = World::new(bayed(1));
    world.reserve(reserve_slot(1, 0, window(10_000, 15_000))).unwrap();
    world.reserve(reserve_slot(2, 0, window(15_000, 20_000))).unwrap();
    join(&mut world, 12, terms(2, evening())).unwrap();
    join(&mut world, 13, terms(3, window(15_000, 20_000))).unwrap();
    world.execute(&cancel(2, Caller::Staff)).unwrap();
    assert_eq!((state(&world, 12), state(&world, 13)), (State::Waiting, State::Offered));
    world.assert_invariants();
}

#[test]
fn waiting_ends_when_the_window_begins() {
    let mut world = full(2);
    world.run_until(10_000);
    assert_eq!((state(&world, 12), state(&world, 13)), (State::RanOut, State::RanOut));
    world.execute(&cancel(1, Caller::Staff)).unwrap();
    assert!(world.lot.reservation(reservation(12)).is_none());
    // Even where nobody looked for a day.
    let mut slept = full(1);
    slept
        .reserve(Reserve { hold: Some(Seconds(600)), ..reserve_slot(2, 0, window(30_000, 40_000)) })
        .unwrap();
    join(&mut slept, 15, terms(5, window(30_000, 31_000))).unwrap();
    slept.now = at(86_400);
    slept.tick();
    assert_eq!((state(&slept, 12), state(&slept, 15)), (State::RanOut, State::RanOut));
    slept.assert_invariants();
}

#[test]
fn a_place_is_given_up_by_its_holder_or_staff_once() {
    let mut world = full(2);
    let stranger = Caller::Holder(holder(9));
    assert_eq!(world.execute(&leave(12, stranger)), Err(Rejection::WaiterNotFound));
    assert_eq!(world.execute(&leave(99, Caller::Staff)), Err(Rejection::WaiterNotFound));
    for by in [Caller::Holder(holder(2)), Caller::Staff] {
        assert_eq!(world.execute(&leave(12, by)), Ok(Outcome::Waiting(place(12))));
    }
    world.execute(&cancel(1, Caller::Staff)).unwrap();
    assert_eq!((state(&world, 12), state(&world, 13)), (State::Left, State::Offered));
    let late = world.execute(&leave(13, Caller::Staff));
    assert_eq!(late, Err(Rejection::WaiterEnded { state: State::Offered }));
    world.assert_invariants();
}

#[test]
fn who_waits_counts_as_one_who_reserves() {
    let mut world = World::new(bayed(3));
    for slot in 0..3 {
        world.reserve(reserve_slot(1 + slot, slot as u16, evening())).unwrap();
    }
    join(&mut world, 12, terms(2, evening())).unwrap();
    let reserve = |number: u32| {
        let from = 100_000 + i64::from(number) * 1_000;
        let window = window(from, from + 500);
        Command::Reserve(Reserve { holder: holder(2), ..reserve_any(1_000 + number, window) })
    };
    let most = limits::RESERVATIONS_PER_HOLDER_MAX as u32;
    for number in 1..most {
        world.execute_lot_only(&reserve(number)).unwrap();
    }
    let full = Err(Rejection::TooManyReservations);
    assert_eq!(world.execute_lot_only(&reserve(most)), full);
    assert_eq!(join(&mut world, 13, terms(2, evening())), full);
    // So an offer never fails for it.
    world.execute_lot_only(&cancel(1, Caller::Staff)).unwrap();
    assert_eq!(state(&world, 12), State::Offered);
}

/// One step of a day at a small lot where everybody wants the same few hours.
#[derive(Clone, Debug)]
enum Step {
    Reserve { id: u32, who: u32, from: i64, steps: i64, is_hold: bool },
    Join { id: u32, who: u32, from: i64, steps: i64, size: usize },
    Leave(u32),
    Cancel(u32),
    Confirm(u32),
    Modify { id: u32, from: i64, to: i64 },
    Serve { slot: u16, is_open: bool },
    Wait(u32),
}

const GRID_SECONDS: i64 = 900;

fn step() -> impl Strategy<Value = Step> {
    let when = || (0..12i64, 1..6i64);
    prop_oneof![
        4 => (0..24u32, 0..4u32, when(), any::<bool>()).prop_map(
            |(id, who, (from, steps), is_hold)| Step::Reserve { id, who, from, steps, is_hold }
        ),
        4 => (0..24u32, 0..4u32, when(), 0..3usize).prop_map(
            |(id, who, (from, steps), size)| Step::Join { id, who, from, steps, size }
        ),
        1 => (0..24u32).prop_map(Step::Leave),
        3 => (0..24u32).prop_map(Step::Cancel),
        1 => (0..24u32).prop_map(Step::Confirm),
        1 => (0..24u32, 0..12i64, 1..16i64).prop_map(|(id, from, to)| Step::Modify { id, from, to }),
        1 => (0..4u16, any::<bool>()).prop_map(|(slot, is_open)| Step::Serve { slot, is_open }),
        2 => (0..4u32).prop_map(Step::Wait),
    ]
}

fn command(world: &World, step: &Step) -> Option<Command> {
    let now = world.now;
    let later = |steps: i64| now.plus(Seconds((steps * GRID_SECONDS) as u32));
    let span = |from: i64, steps: i64| Window { from: later(from), to: later(from + steps) };
    Some(match *step {
        Step::Reserve { id, who, from, steps, is_hold } => Command::Reserve(Reserve {
            holder: holder(who),
            hold: is_hold.then_some(Seconds(600)),
            choice: Choice::Any(Needs { size: Size::Compact, ..Needs::default() }),
            ..reserve_any(id, span(from, steps))
        }),
        Step::Join { id, who, from, steps, size } => {
            let needs = Needs { size: Size::ALL[1 + size], ..Needs::default() };
            let terms = WaiterTerms { needs, ..terms(who, span(from, steps)) };
            Command::JoinWaiting { id: place(id), terms: Box::new(terms) }
        }
        Step::Leave(id) => leave(id, Caller::Staff),
        Step::Cancel(id) => cancel(id, Caller::Staff),
        Step::Confirm(id) => confirm(id, Caller::Staff),
        Step::Modify { id, from, to } => modify(id, Some(later(from)), Some(later(to))),
        Step::Serve { slot, is_open: true } => serve(slot, Service::InService),
        Step::Serve { slot, is_open: false } => {
            serve(slot, Service::OutOfService { reason: "works".into(), until: Some(later(3)) })
        }
        Step::Wait(_) => return None,
    })
}

/// The long way round, without timeline or index: whether a slot that fits is open for the whole window.
fn is_open(lot: &Lot, terms: &WaiterTerms) -> bool {
    let spec = lot.spec();
    spec.slot_indices().any(|slot| {
        let serves = lot.promise(slot).unwrap().service == Service::InService;
        let mut others = lot.reservations().filter(|r| r.slot == slot && r.state.is_active());
        let is_clear = !others.any(|other| other.window.overlaps(terms.window));
        serves && is_clear && terms.needs.fit(spec.slot(slot).unwrap())
    })
}

/// Follows the events of a decision one by one: whoever is offered something is the first of the line for whom
/// anything is open, and what he gets is what he asked for.
fn audit(before: &Lot, events: &[Event], world: &World) {
    let mut lot = before.clone();
    for (position, event) in events.iter().enumerate() {
        if let Event::Waiting(Waited::Offered { id }) = event {
            let first = lot.waiting().line().find(|waiter| is_open(&lot, &waiter.terms));
            assert_eq!(first.map(|waiter| waiter.id), Some(*id), "out of turn");
            let waiter = lot.waiting().get(*id).unwrap();
            let Event::Reserved(reserved) = &events[position + 1] else {
                panic!("an offer without a promise: {events:?}")
            };
            assert_eq!(reserved.id, waiter.reservation());
            assert_eq!(
                (reserved.window, reserved.holder),
                (waiter.terms.window, waiter.terms.holder)
            );
            assert_eq!(reserved.expires_at, Some(world.now.plus(Seconds(OFFER_SECONDS as u32))));
            assert!(waiter.terms.needs.fit(lot.spec().slot(reserved.slot).unwrap()));
        }
        lot::apply(&mut lot, event, world.now);
    }
    for waiter in lot.waiting().line() {
        assert!(!is_open(&lot, &waiter.terms), "{waiter:?} waits for what is open");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_order_is_honoured_and_nobody_waits_for_what_is_free(
        slots in 1..4usize,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(mixed(slots));
        for step in &steps {
            if let Step::Wait(steps) = step {
                world.advance(steps * GRID_SECONDS as u32);
                continue;
            }
            let command = command(&world, step).unwrap();
            let (before, decision) = (world.lot.clone(), world.decide(&command));
            let _ = world.execute(&command);
            audit(&before, &decision.events, &world);
            world.assert_invariants();
            prop_assert_eq!(&Lot::from_parts(world.lot.parts()), &world.lot);
        }
        let mut told = Lot::new(std::sync::Arc::clone(world.lot.spec()));
        for entry in &world.entries {
            if let Entry::Lot(event, at) = entry {
                lot::apply(&mut told, event, *at);
            }
        }
        prop_assert_eq!(&told.parts().waiting, &world.lot.parts().waiting);
    }
}
