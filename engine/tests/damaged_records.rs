//! Apply is total: what no decision could have made (a damaged record, another version's) never panics, and
//! time goes on after it. What is wrong then is found by the invariants, not here.

mod common;

use common::{Seen, World, at, holder, mixed, reservation};
use lotkeeper_engine::counts::LotCounts;
use lotkeeper_engine::ids::{ReservationId, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{self, Command, Count, Lot, Service};
use lotkeeper_engine::spec::{FeatureSet, Kind, Size, TypeSet};
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::{Timestamp, Window};
use proptest::prelude::*;

fn any_count() -> impl Strategy<Value = Count> {
    prop_oneof![
        (any::<u32>(), any::<u32>()).prop_map(|(entered, left)| Count::Flow { entered, left }),
        any::<u32>().prop_map(|occupied| Count::Absolute { occupied }),
    ]
}

/// An instant from anywhere, the ends of the range included.
fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
        any::<i64>().prop_map(Timestamp::from_micros),
        (-20..20i64).prop_map(|steps| at(300 * steps)),
    ]
}

fn any_window() -> impl Strategy<Value = Window> {
    (any_time(), any_time()).prop_map(|(from, to)| Window { from, to })
}

/// Events as a damaged record could hold them: unknown ids and slots, windows that overlap or run backwards.
fn any_event() -> impl Strategy<Value = lot::Event> {
    use lot::Event as E;
    let id = || (0..5u32).prop_map(reservation);
    let slot = || prop_oneof![0..4u16, Just(u16::MAX)].prop_map(SlotIndex);
    let reserved = (id(), slot(), any_window(), prop::option::of(any_time()));
    let service = prop::option::of(prop::option::of(any_time())).prop_map(|closed| match closed {
        Some(until) => Service::OutOfService { reason: "works".into(), until },
        None => Service::InService,
    });
    let values = (slot(), prop::option::of(any::<u16>()), any::<u64>()).prop_map(
        |(slot, zone, features)| lot::SlotValues {
            slot,
            zone: zone.map(ZoneIndex),
            size: Size::Large,
            features: FeatureSet(features),
            added_features: vec!["shaded".into()],
            vehicle_types: TypeSet(features),
            added_vehicle_types: Vec::new(),
            walk_metres: zone,
        },
    );
    let simple = |event: fn(ReservationId) -> E| id().prop_map(event).boxed();
    prop_oneof![
        4 => reserved.prop_map(|(id, slot, window, expires_at)| E::Reserved(Box::new(
            lot::Reserved { id, slot, window, expires_at, holder: holder(1), vehicle: None, price: None, series: None , request: None}
        ))),
        2 => (id(), any_window()).prop_map(|(id, window)| E::Modified { id, window, price: None }),
        2 => (slot(), service).prop_map(|(slot, service)| E::ServiceChanged { slot, service }),
        1 => values.prop_map(|values| E::SlotChanged(Box::new(values))),
        1 => (any_count(), any_time()).prop_map(|(count, observed_at)| E::Counted { count, observed_at }),
        1 => simple(|id| E::Confirmed { id }),
        1 => simple(|id| E::HoldBegan { id }),
        1 => simple(|id| E::NoShow { id }),
        1 => simple(|id| E::CheckedIn { id, proof: lot::Proof::Seen }),
        1 => simple(|id| E::Cancelled { id, reason: None }),
        1 => Just(E::CounterFellSilent),
    ]
}

proptest! {
    #[test]
    fn events_that_no_decision_made_are_applied_without_panic_and_time_goes_on(
        events in prop::collection::vec((any_event(), any_time()), 1..40),
        now in any_time(),
    ) {
        let mut spec = mixed(3);
        spec.kind = Kind::Counted;
        spec.slots[2].zone = Some(ZoneIndex(400));
        spec.slots[2].features = FeatureSet(u64::MAX);
        let mut world = World::new(spec);
        for (event, at) in &events {
            lot::apply(&mut world.lot, event, *at);
        }
        prop_assert_eq!(&Lot::from_parts(world.lot.parts()).parts(), &world.lot.parts());
        // Everything due happens in the end: no event leaves its own cause behind.
        let due_max = 4 * events.len();
        for _ in 0..due_max {
            let tick = Command::Tick { listening_since: Timestamp::MIN };
            let decision = lot::decide(&world.lot, &tick, now, &Seen(&world.slots));
            prop_assert!(decision.events.len() <= due_max);
            for event in &decision.events {
                lot::apply(&mut world.lot, event, now);
            }
        }
        prop_assert!(world.lot.next_due_at().is_none_or(|due_at| due_at > now));
        // The counts of such a lot: groups it does not list are no groups.
        let spec = world.lot.spec();
        let mut counts = LotCounts::of(spec, spec.slots.iter().map(|_| Status::Free));
        counts.change(&spec.slots[2], Status::Free, Status::Held);
        prop_assert_eq!((counts.total.free, counts.total.held), (2, 1));
    }

    #[test]
    fn a_snapshot_with_other_slots_than_its_lot_makes_a_lot_of_the_slots_there_are(
        number in 0..9usize,
    ) {
        let mut parts = Lot::new(std::sync::Arc::new(mixed(3))).parts();
        parts.slots = vec![(Service::InService, 7); number];
        let lot = Lot::from_parts(parts);
        prop_assert_eq!(lot.promises().count(), 3);
        prop_assert_eq!(lot.openings().sorted().len(), 3);
    }
}
