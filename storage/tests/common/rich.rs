//! What the tests of format 3 share: a lot that uses everything it can be made of, and changes of it.

use lotkeeper_engine::ids::{LotKey, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{Event as LotEvent, LotValues, SlotValues};
use lotkeeper_engine::spec::{
    About, Allocation, Arrival, Criterion, Days, FeatureSet, Hours, Listing, Opening, Place,
    PlateOnce, Rules, Settlement, Size, Spec, TypeSet,
};
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::{By, Event, Record};

use crate::common::spec;
use crate::samples::after;

fn rules() -> Rules {
    Rules {
        hold: Seconds(1),
        hold_lead: Seconds(2),
        no_show: Seconds(3),
        silence: Seconds(4),
        skew: Seconds(5),
        arrival: Arrival::Proved,
        early_entry: Seconds(6),
        stay_max: Some(Seconds(7)),
        auto_exit: Seconds(8),
        settlement: Settlement::OnAccount,
        exit_window: Seconds(9),
        drive_in: false,
        plate_once: PlateOnce::Tenant,
        fuzzy_plates: true,
        confidence_min_percent: 90,
        repeat_window: Seconds(10),
        remind_before_start: Seconds(11),
        remind_before_end: Seconds(12),
        offer: Seconds(13),
        overstay_grace: Seconds(14),
        overstay_notice_first: Seconds(15),
        overstay_notice_every: Seconds(16),
        overstay_notices_max: 17,
        drive_in_stay: Seconds(18),
        gates_count: false,
        enforce_slots: true,
        enforce_grace: Seconds(19),
        change_until: Some(Seconds(20)),
    }
}

fn about() -> About {
    About {
        description: Some("Under the market.\nLow ceiling.".into()),
        category: Some("garage".into()),
        listing: Listing::Paused,
        hours: Hours(vec![Opening { days: Days(0b1_1111), from_minute: 360, to_minute: 1_440 }]),
        access: Some("Ring at the gate".into()),
        images: vec!["https://example.org/a.jpg".into()],
    }
}

fn allocation() -> Allocation {
    Allocation(vec![
        Criterion::FillZones(vec![ZoneIndex(0)]),
        Criterion::NearestEntrance,
        Criterion::SmallestFit,
        Criterion::KeepSpecial,
        Criterion::WasteLeast,
    ])
}

fn place(place: Place) -> Place {
    Place {
        country: Some("DE".into()),
        street: Some("Marktstraße 1".into()),
        state: Some("Berlin".into()),
        postal_code: Some("10178".into()),
        ..place
    }
}

pub fn spec_of_two_slots() -> Spec {
    let mut lot = Spec::clone(&spec(LotKey(2), 2));
    lot.vehicle_types = vec!["car".into(), "taxi".into()];
    lot.slots[0].vehicle_types = TypeSet(0b10);
    lot.slots[1].walk_metres = Some(300);
    Spec {
        place: place(lot.place.clone()),
        rules: rules(),
        about: about(),
        allocation: allocation(),
        ..lot
    }
}

/// One commit of a lot with everything, after those of [`crate::samples::commits`].
pub fn commit(by: impl Fn(u64) -> Option<By>) -> Vec<Record> {
    let lot = spec_of_two_slots();
    let bare = LotValues { name: "Straße".into(), capacity: 2, ..LotValues::default() };
    let slot = SlotValues {
        slot: SlotIndex(1),
        zone: None,
        size: Size::Compact,
        features: FeatureSet(1),
        added_features: vec!["covered".into()],
        vehicle_types: TypeSet(0b101),
        added_vehicle_types: vec!["van".into()],
        walk_metres: Some(25),
    };
    let events = [
        LotEvent::Changed(Box::new(bare)),
        LotEvent::Changed(Box::new(LotValues::of(&lot))),
        LotEvent::SlotChanged(Box::new(slot)),
    ];
    let first = crate::samples::commits(|_| None).concat().len() as u64 + 1;
    let created = std::iter::once(LotEvent::Created(lot.into()));
    let record = |(lot_seq, event): (u64, LotEvent)| Record {
        seq: first + lot_seq - 1,
        lot: LotKey(2),
        lot_seq,
        at: after(2_000_000),
        event: Event::Lot(event),
        by: by(first + lot_seq),
        claim: None,
    };
    (1..).zip(created.chain(events)).map(record).collect()
}
