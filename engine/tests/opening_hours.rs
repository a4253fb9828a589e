//! Opening hours against a naive clock that goes on minute by minute, over both changes of the clock; and what a
//! lot that is closed or paused still does.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

mod common;
mod life;

use std::sync::Arc;

use common::{
    World, bayed, cancel, confirm, holder, modify, reservation, reserve_any, reserve_slot, window,
};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use life::{ask, booked, entry, exit, opens, plate};
use lotkeeper_engine::ids::{SeriesId, SlotIndex, WaitingId};
use lotkeeper_engine::lot::session::{DenyReason, Verdict};
use lotkeeper_engine::lot::waiting::{State as Waits, WaiterTerms};
use lotkeeper_engine::lot::{
    Caller, Choice, Command, Lot, LotPatch, Needs, Outcome, Rejection, Reserve, Scan, Scanner,
    State,
};
use lotkeeper_engine::spec::{Arrival, Days, Hours, Listing, Opening, Rules, Spec};
use lotkeeper_engine::tariff::Zone;
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn instant(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

/// A lot's week, each opening written out minute by minute over its days, without a thought.
struct Naive(Vec<bool>, TimeZone);

impl Naive {
    fn of(hours: &[Opening], zone: &str) -> Self {
        const DAY_MINUTES: usize = 1_440;
        let mut week = vec![hours.is_empty(); 7 * DAY_MINUTES];
        for opening in hours {
            let (from, to) = (usize::from(opening.from_minute), usize::from(opening.to_minute));
            let length = if to > from { to - from } else { to + DAY_MINUTES - from };
            for day in (0..7).filter(|day| opening.days.0 >> day & 1 == 1) {
                let begin = day * DAY_MINUTES + from;
                (begin..begin + length).for_each(|minute| week[minute % (7 * DAY_MINUTES)] = true);
            }
        }
        Self(week, TimeZoneDatabase::bundled().get(zone).unwrap())
    }

    /// What the clock on the wall shows is looked up.
    fn is_open(&self, at: i64) -> bool {
        let local = jiff::Timestamp::from_second(at).unwrap().to_zoned(self.1.clone());
        let (day, hour) =
            (i64::from(local.weekday().to_monday_zero_offset()), i64::from(local.hour()));
        self.0[usize::try_from((day * 24 + hour) * 60 + i64::from(local.minute())).unwrap()]
    }

    /// Minute after minute until it is open.
    fn open_from(&self, at: i64) -> Option<i64> {
        (at..at + 9 * DAY).step_by(60).find(|at| self.is_open(*at))
    }
}

/// Around these instants the clock of the zone is changed, or a day is left out.
const CHANGES: [(&str, &str); 9] = [
    ("Europe/Berlin", "2025-03-30T01:00:00Z"),
    ("Europe/Berlin", "2025-10-26T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/St_Johns", "2025-11-02T04:30:00Z"),
    ("Australia/Lord_Howe", "2025-10-04T15:30:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Asia/Kathmandu", "2025-06-01T00:00:00Z"),
    ("UTC", "2024-02-29T00:00:00Z"),
];

fn openings() -> impl Strategy<Value = Vec<Opening>> {
    // Many begin and end in the small hours, where clocks are changed.
    let minute = || prop_oneof![0u16..1_440, (0u16..24).prop_map(|it| it * 15)];
    let opening = (1u8..128, minute(), minute()).prop_map(|(days, from_minute, to)| {
        let to_minute = if to == from_minute || to == 0 { from_minute + 1 } else { to };
        Opening { days: Days(days), from_minute, to_minute }
    });
    vec(opening, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_next_opening_is_what_a_clock_finds_minute_by_minute(
        hours in openings(),
        (name, change) in select(CHANGES.as_slice()),
        offset_minutes in -26i64 * 60..26 * 60,
        second in 0i64..60,
    ) {
        let (zone, naive) = (Zone::named(name).unwrap(), Naive::of(&hours, name));
        let minute = instant(change).whole_seconds() + offset_minutes * MINUTE;
        let at = minute + second;
        let hours = Hours(hours);
        let is_open = naive.is_open(minute);
        prop_assert_eq!(hours.is_open_at(&zone, Timestamp::from_seconds(at)), is_open);
        if hours.0.is_empty() {
            return Ok(());
        }
        let naive = if is_open { Some(at) } else { naive.open_from(minute) };
        let found = hours.open_from(&zone, Timestamp::from_seconds(at)).map(Timestamp::whole_seconds);
        prop_assert_eq!(found, naive);
    }

    #[test]
    fn a_window_is_taken_when_it_begins_and_ends_while_the_lot_is_open(
        hours in openings(),
        (name, change) in select(CHANGES.as_slice()),
        from_minutes in -26i64 * 60..26 * 60,
        length_minutes in 1i64..40 * 60,
    ) {
        let naive = Naive::of(&hours, name);
        let mut spec = bayed(1);
        spec.place.time_zone = name.into();
        spec.about.hours = Hours(hours);
        let lot = Lot::new(Arc::new(spec));
        let from = instant(change).whole_seconds() + from_minutes * MINUTE;
        let to = from + length_minutes * MINUTE;
        let open = |at| naive.is_open(at);
        let window = Window { from: Timestamp::from_seconds(from), to: Timestamp::from_seconds(to) };
        let closed_at = match () {
            () if !open(from) => Some(window.from),
            () if !open(to) && !open(to - MINUTE) => Some(window.to),
            () => None,
        };
        let found = match lot.check_offered(window) {
            Ok(()) => None,
            Err(Rejection::LotClosed { at, .. }) => Some(at),
            Err(other) => panic!("{other}"),
        };
        prop_assert_eq!(found, closed_at);
    }
}

/// Weekdays 6 to 22, and Saturday night until 4 on Sunday.
fn hours() -> Hours {
    Hours(vec![
        Opening { days: Days(0b001_1111), from_minute: 360, to_minute: 1_320 },
        Opening { days: Days(0b010_0000), from_minute: 1_200, to_minute: 240 },
    ])
}

#[test]
fn the_next_opening_is_told_across_nights_weekends_and_changes_of_the_clock() {
    let zone = Zone::named("Europe/Berlin").unwrap();
    for (claim, at, opens) in [
        ("open", "2025-06-16T08:00:30Z", "2025-06-16T08:00:30Z"),
        ("the first minute", "2025-06-16T04:00:00Z", "2025-06-16T04:00:00Z"),
        ("before it", "2025-06-16T03:59:59Z", "2025-06-16T04:00:00Z"),
        ("closing is closed", "2025-06-16T20:00:00Z", "2025-06-17T04:00:00Z"),
        ("Friday night", "2025-06-20T20:00:00Z", "2025-06-21T18:00:00Z"),
        ("Sunday", "2025-06-22T02:00:00Z", "2025-06-23T04:00:00Z"),
        // The night of 23 hours: 4 comes an hour earlier.
        ("spring, 3:59", "2025-03-30T01:59:59Z", "2025-03-30T01:59:59Z"),
        ("spring, 4:00", "2025-03-30T02:00:00Z", "2025-03-31T04:00:00Z"),
        // The night of 25 hours: the hour from 2 to 3 is open twice.
        ("autumn, 3:59", "2025-10-26T02:59:59Z", "2025-10-26T02:59:59Z"),
        ("autumn, 4:00", "2025-10-26T03:00:00Z", "2025-10-27T05:00:00Z"),
    ] {
        assert_eq!(hours().open_from(&zone, instant(at)), Some(instant(opens)), "{claim}");
    }
    // What begins in the hour that is left out begins when the clock has jumped, if it is still open then.
    let night =
        |to_minute| Hours(vec![Opening { days: Days(0b100_0000), from_minute: 150, to_minute }]);
    let before = instant("2025-03-30T00:30:00Z");
    assert_eq!(night(300).open_from(&zone, before), Some(instant("2025-03-30T01:00:00Z")));
    assert_eq!(night(170).open_from(&zone, before), Some(instant("2025-04-06T00:30:00Z")));
}

/// The test's time begins on Sunday, 2025-06-15, at 15:06:40 UTC, which is 17:06:40 in Berlin.
fn with_hours() -> Spec {
    let mut spec = bayed(2);
    spec.about.hours = hours();
    spec
}

/// Instants of Monday and Tuesday in Berlin, by their minute.
fn monday(from_minute: i64, to_minute: i64) -> Window {
    let midnight = instant("2025-06-15T22:00:00Z").whole_seconds();
    let at = |minute| Timestamp::from_seconds(midnight + minute * MINUTE);
    Window { from: at(from_minute), to: at(to_minute) }
}

fn closed(at: Timestamp, opens: Timestamp) -> Rejection {
    Rejection::LotClosed { at, opens: Some(opens) }
}

fn tuesday() -> Timestamp {
    monday(1_440 + 360, 0).from
}

#[test]
fn windows_outside_of_the_hours_are_refused_with_the_next_opening() {
    let day = monday(360, 1_320);
    for (window, wanted) in [
        (day, Ok(())),
        (monday(359, 600), Err(closed(monday(359, 0).from, day.from))),
        (monday(600, 1_321), Err(closed(monday(1_321, 0).from, tuesday()))),
        // Over night the car stays; it may leave at the minute in which the lot opens.
        (monday(600, 1_440 + 360), Ok(())),
        (monday(600, 1_440 + 359), Err(closed(monday(1_440 + 359, 0).from, tuesday()))),
        (monday(1_320, 1_440 + 600), Err(closed(day.to, tuesday()))),
    ] {
        let mut world = World::new(with_hours());
        let found = world.reserve(reserve_slot(1, 0, window)).map(|_| ());
        assert_eq!(found, wanted, "{window:?}");
        world.assert_invariants();
    }
    // Without hours it is open all the time.
    assert!(World::new(bayed(1)).reserve(reserve_slot(1, 0, monday(0, 1))).is_ok());
}

#[test]
fn a_change_is_asked_for_the_ends_it_moves() {
    let mut world = World::new(bayed(1));
    let night = monday(0, 120);
    world.reserve(reserve_slot(1, 0, night)).unwrap();
    // The hours came later: what was promised stays, and its other end moves.
    about(&mut world, |spec| spec.about.hours = hours());
    assert_eq!(world.state(1), State::Confirmed);
    let at = |minute| Some(monday(minute, 0).from);
    world.execute(&modify(1, None, at(600))).unwrap();
    for (from, to, wanted) in [
        (at(60), None, Err(closed(monday(60, 0).from, monday(360, 0).from))),
        (None, at(200), Err(closed(monday(200, 0).from, monday(360, 0).from))),
        (None, at(1_400), Err(closed(monday(1_400, 0).from, tuesday()))),
        (at(400), at(700), Ok(Outcome::Reservation(reservation(1)))),
    ] {
        assert_eq!(world.execute(&modify(1, from, to)), wanted, "{from:?} {to:?}");
    }
    world.assert_invariants();
}

fn about(world: &mut World, change: impl FnOnce(&mut Spec)) {
    let mut spec = (**world.lot.spec()).clone();
    change(&mut spec);
    let patch = LotPatch { about: Some(Box::new(spec.about)), ..LotPatch::default() };
    world.execute(&Command::ChangeLot { patch, expected_version: None }).unwrap();
}

fn list(world: &mut World, listing: Listing) {
    about(world, |spec| spec.about.listing = listing);
}

fn join(id: u32, who: u32, window: Window) -> Command {
    let terms = WaiterTerms {
        needs: Needs::default(),
        window,
        holder: holder(who),
        vehicle: None,
        vehicle_type: None,
        discounts: Box::default(),
    };
    Command::JoinWaiting { id: WaitingId(reservation(id).0), terms: Box::new(terms) }
}

fn series(reserves: Vec<Reserve>) -> Command {
    let series = Some(SeriesId(Uuid::from_u128(7)));
    let all = reserves.into_iter().map(|reserve| Reserve { series, ..reserve });
    Command::ReserveSeries(all.collect())
}

/// At night: who booked before there were hours comes in, others do not, and everybody gets out.
#[test]
fn the_gate_of_a_closed_lot_lets_in_whoever_was_promised_it() {
    let spec = bayed(4);
    let rules = Rules { arrival: Arrival::Proved, drive_in: true, ..spec.rules };
    let mut world = World::new(Spec { rules, ..spec });
    let night = monday(1, 500);
    world.reserve(reserve_slot(1, 0, night)).unwrap();
    world.run_until(night.from.micros_since(common::at(0)) / 1_000_000 - 3_600);
    opens(&mut world, &entry(1, plate(1)));
    about(&mut world, |spec| spec.about.hours = hours());
    world.run_until(night.from.micros_since(common::at(0)) / 1_000_000 + 60);
    let denied = ask(&mut world, &entry(2, plate(2)));
    let morning = monday(360, 0).from;
    assert_eq!(
        (denied.verdict, denied.not_before),
        (Verdict::Deny(DenyReason::LotClosed), Some(morning))
    );
    let by_hand = Scan { by: Scanner::Staff, ..entry(3, plate(3)) };
    opens(&mut world, &by_hand);
    opens(&mut world, &entry(4, booked(1)));
    opens(&mut world, &exit(plate(1)));
    world.run_until(morning.micros_since(common::at(0)) / 1_000_000);
    opens(&mut world, &entry(5, plate(2)));
}

#[test]
fn an_occurrence_that_falls_into_closed_hours_is_named() {
    let mut world = World::new(with_hours());
    let days = |first: i64| -> Vec<Reserve> {
        let day = |it: i64| monday((first + it) * 1_440 + 600, (first + it) * 1_440 + 700);
        (0..3).map(|it| reserve_slot(1 + it as u32, 0, day(it))).collect()
    };
    // Thursday, Friday, Saturday: it opens on Saturday evening.
    let saturday = monday(5 * 1_440 + 600, 5 * 1_440 + 1_200);
    let why = Box::new(closed(saturday.from, saturday.to));
    let refused = world.execute(&series(days(3)));
    assert_eq!(refused, Err(Rejection::Occurrence { occurrence: 2, why }));
    assert!(world.execute(&series(days(0))).is_ok());
}

#[test]
fn nobody_waits_for_closed_hours_nor_is_offered_them() {
    let mut world = World::new(with_hours());
    let early = monday(0, 600);
    assert_eq!(world.execute(&join(11, 2, early)), Err(closed(early.from, monday(360, 0).from)));
    let day = monday(400, 600);
    for slot in 0..2 {
        world.reserve(reserve_slot(1 + u32::from(slot), slot, day)).unwrap();
    }
    world.execute(&join(12, 2, day)).unwrap();
    about(&mut world, |spec| spec.about.hours = Hours(vec![hours().0[1]]));
    world.execute(&cancel(1, Caller::Staff)).unwrap();
    let waits =
        |world: &World| world.lot.waiting().get(WaitingId(reservation(12).0)).unwrap().state;
    assert_eq!(waits(&world), Waits::Waiting);
    about(&mut world, |spec| spec.about.hours = hours());
    assert_eq!(waits(&world), Waits::Offered);
}

#[test]
fn a_paused_lot_promises_nothing_more() {
    let mut world = World::new(bayed(3));
    let (soon, later) = (window(2 * HOUR, 4 * HOUR), window(10 * HOUR, 12 * HOUR));
    world.reserve(reserve_slot(1, 0, later)).unwrap();
    world.reserve(Reserve { hold: Some(Seconds(600)), ..reserve_slot(2, 1, later) }).unwrap();
    list(&mut world, Listing::Paused);
    let at = |hours: i64| Some(common::at(hours * HOUR));
    let held = Reserve { hold: Some(Seconds(60)), ..reserve_any(9, soon) };
    let occurrence = Rejection::Occurrence { occurrence: 0, why: Box::new(Rejection::LotPaused) };
    for (claim, command, wanted) in [
        ("a booking", Command::Reserve(reserve_any(9, soon)), Rejection::LotPaused),
        ("a given slot", Command::Reserve(reserve_slot(9, 2, soon)), Rejection::LotPaused),
        ("a hold", Command::Reserve(held), Rejection::LotPaused),
        ("a series", series(vec![reserve_any(9, soon)]), occurrence),
        ("waiting", join(9, 2, soon), Rejection::LotPaused),
        ("longer", modify(1, None, at(13)), Rejection::LotPaused),
        ("earlier", modify(1, at(9), None), Rejection::LotPaused),
        ("moved on", modify(1, at(11), at(13)), Rejection::LotPaused),
    ] {
        assert_eq!(world.execute(&command), Err(wanted), "{claim}");
    }
    // What is booked stays good: a hold is confirmed, time is given back, a slot is changed, somebody gives up.
    let elsewhere = Command::Modify {
        id: reservation(1),
        choice: Some(Choice::Slot(SlotIndex(2))),
        from: None,
        to: None,
        request: None,
        expected_version: None,
        by: Caller::Staff,
    };
    for command in [
        confirm(2, Caller::Staff),
        modify(1, at(11), None),
        elsewhere,
        cancel(2, Caller::Holder(holder(1))),
    ] {
        world.execute(&command).unwrap();
    }
    // Nobody came and the lot cannot know: it is taken for an arrival and runs to its end.
    world.run_until(11 * HOUR + 1_800);
    assert_eq!(world.state(1), State::CheckedIn { proof: lotkeeper_engine::lot::Proof::Assumed });
    world.run_until(12 * HOUR);
    assert_eq!(world.state(1), State::Completed);
    list(&mut world, Listing::Listed);
    assert!(world.reserve(reserve_any(9, window(20 * HOUR, 21 * HOUR))).is_ok());
    world.assert_invariants();
}

#[test]
fn who_waits_is_offered_what_became_free_once_the_lot_is_listed_again() {
    let mut world = World::new(bayed(1));
    let evening = window(10 * HOUR, 12 * HOUR);
    world.reserve(reserve_slot(1, 0, evening)).unwrap();
    world.execute(&join(12, 2, evening)).unwrap();
    list(&mut world, Listing::Paused);
    let before = world.entries.len();
    world.execute(&cancel(1, Caller::Staff)).unwrap();
    assert_eq!(world.lot_events_since(before), ["Cancelled"]);
    list(&mut world, Listing::Listed);
    assert_eq!(world.lot_events_since(before), ["Cancelled", "Changed", "Waiting", "Reserved"]);
    world.assert_invariants();
}
