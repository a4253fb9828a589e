//! Does every order of a search of lots say what judging every lot says, page by page?
//!
//! A town is made once: lots in clumps, some on the same spot, some nowhere, some counted, with all kinds of room.
//! Searches are drawn by chance and held against the plain answer: every view judged, sorted, cut into pages. In
//! between lots move, change and fill. Absent: HTTP (`http_search.rs`).

#![allow(clippy::unwrap_used)] // tests state what they expect

use std::time::Duration;

use lotkeeper_actors::{Clock, Engine, Filter, LotHandle, Metrics, Options, SlotReading};
use lotkeeper_engine::ids::{LotId, SlotId, SlotIndex};
use lotkeeper_engine::lot::{Command, LotPatch};
use lotkeeper_engine::slot::{Reading, Source};
use lotkeeper_engine::spec::{
    FeatureSet, Kind, Listing, Place, Position, Size, SlotSpec, Spec, TypeSet,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_gateway::search::{Circle, JUDGED_MAX, Search, Sort, TooWide};
use lotkeeper_gateway::wire::names;
use lotkeeper_gateway::wire::reservation::NeedsBody;
use lotkeeper_storage::{MemoryJournal, MemoryStore};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

const LOTS: u32 = 120;
const MANY: u32 = 1_500;
/// A prime: lots have codes of their own.
const CODES: u32 = 1_999;
const SLOTS: u16 = 5;
/// Searches of each state of the town.
const SEARCHES: u32 = 300;
/// States of the town.
const ROUNDS: u32 = 4;
/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// The same numbers in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn micro(&mut self, degrees: u64) -> i32 {
        i32::try_from(self.below(degrees * 1_000_000)).unwrap()
    }

    /// Nowhere, in one of a few clumps, on the very same spot as others, or anywhere.
    fn position(&mut self) -> Option<Position> {
        let clump = [(52_520_000, 13_400_000), (-33_860_000, 179_999_000), (89_999_000, 0)];
        let (lat, lon) = clump[usize::try_from(self.below(3)).unwrap()];
        match self.below(8) {
            0 => None,
            1 | 2 => Some(Position { lat_microdegrees: lat, lon_microdegrees: lon }),
            3..=6 => Some(Position {
                lat_microdegrees: lat + i32::try_from(self.below(1_000)).unwrap(),
                lon_microdegrees: lon - i32::try_from(self.below(200_000)).unwrap(),
            }),
            _ => Some(Position {
                lat_microdegrees: self.micro(180) - 90_000_000,
                lon_microdegrees: self.micro(360) - 180_000_000,
            }),
        }
    }

    fn place(&mut self) -> Place {
        let city = ["Berlin", "Bath", "BERLIN"][usize::try_from(self.below(3)).unwrap()];
        let city = (self.below(4) > 0).then(|| city.into());
        Place { position: self.position(), city, ..Place::default() }
    }

    fn spec(&mut self, number: u32) -> Spec {
        let id = u128::from(number) << 32;
        let slot = |slot: u16, dice: &mut Self| SlotSpec {
            id: SlotId(Uuid::from_u128(id + 2 + u128::from(slot))),
            code: format!("A-{slot}").into(),
            size: [Size::Compact, Size::Standard, Size::Large]
                [usize::try_from(dice.below(3)).unwrap()],
            features: FeatureSet(dice.below(4)),
            vehicle_types: TypeSet(dice.below(3)),
            ..SlotSpec::default()
        };
        let is_counted = self.below(10) == 0;
        let mut spec = Spec {
            id: LotId(Uuid::from_u128(id + 1)),
            tenant: "default".into(),
            // Not in the order in which they are made.
            code: format!("L{:04}", number * 37 % CODES).into(),
            name: "Lot".into(),
            kind: if is_counted { Kind::Counted } else { Kind::Bayed },
            capacity: if is_counted { 50 } else { u32::from(SLOTS) },
            place: self.place(),
            features: vec!["ev".into(), "covered".into()],
            vehicle_types: vec!["van".into(), "taxi".into()],
            slots: (0..SLOTS).map(|number| slot(number, self)).collect(),
            created_at: START,
            ..Spec::default()
        };
        if self.below(5) == 0 {
            spec.about.listing = Listing::Paused;
        }
        spec
    }
}

async fn town(dice: &mut Dice) -> (Engine, Vec<LotHandle>) {
    town_of(LOTS, dice).await
}

async fn town_of(lots_max: u32, dice: &mut Dice) -> (Engine, Vec<LotHandle>) {
    let (journal, recovery) = MemoryJournal::open(MemoryStore::default());
    let options = Options { tick_ms: None, ..Options::default() };
    let clock = Clock::manual(START);
    let engine =
        Engine::start(Box::new(journal), recovery, clock, options, Metrics::unregistered()).await;
    let engine = engine.unwrap();
    let mut lots = Vec::new();
    for number in 0..lots_max {
        lots.push(engine.create_lot(dice.spec(number), None).await.unwrap().lot);
    }
    (engine, lots)
}

/// Readings everywhere, and a few lots somewhere else or off the list.
async fn live(engine: &Engine, lots: &[LotHandle], dice: &mut Dice, round: u32) {
    for lot in lots {
        let reading = |slot| Reading {
            occupied: dice.below(3) == 0,
            observed_at: Some(START.plus(Seconds(round))),
            sequence: u64::from(round),
            id_hash: slot,
            source: Source::Sensor,
            confidence_percent: None,
        };
        let seen: Vec<u16> = (0..SLOTS).collect();
        let mut reading = reading;
        let readings = seen
            .iter()
            .map(|slot| SlotReading { slot: SlotIndex(*slot), reading: reading(u64::from(*slot)) });
        let readings = readings.collect();
        engine.readings(lot, readings, None).unwrap().await.unwrap();
        if dice.below(6) == 0 {
            let mut about = lot.spec().about.clone();
            about.listing = if dice.below(2) == 0 { Listing::Listed } else { Listing::Paused };
            let patch = LotPatch {
                place: Some(Box::new(dice.place())),
                about: Some(Box::new(about)),
                ..LotPatch::default()
            };
            let change = Command::ChangeLot { patch, expected_version: None };
            engine.command(lot, change, None).unwrap().await.unwrap();
        }
    }
}

/// More lots with a place than are compared by what there is in a window.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_compared_in_a_window_is_bounded() {
    let mut dice = Dice(7);
    let (engine, _) = town_of(MANY, &mut dice).await;
    let from = START.plus(Seconds(86_400));
    let window = Some(Window { from, to: from.plus(Seconds(3_600)) });
    let search = |sort, free_min, circle| Search {
        circle,
        filter: Filter::default(),
        needs: None,
        window,
        free_min,
        sort,
    };
    let page = |search: Search| search.page(&engine, "default", |_| true, (None, 20));
    let all = Some(Circle {
        centre: Position { lat_microdegrees: 0, lon_microdegrees: 0 },
        radius_km: 20_038.0,
    });
    for circle in [None, all] {
        assert_eq!(page(search(Sort::Free, 0, circle)).unwrap_err(), TooWide(JUDGED_MAX));
        assert_eq!(page(search(Sort::Price, 1, circle)).unwrap_err(), TooWide(JUDGED_MAX));
        assert_eq!(page(search(Sort::Price, 0, circle)).unwrap().lots.len(), 20);
        assert!(!page(search(Sort::Distance, 1, circle)).unwrap().lots.is_empty());
    }
    engine.shutdown(Duration::from_secs(10)).await;
}

fn searches() -> impl Strategy<Value = (Search, usize)> {
    let centre = prop_oneof![
        Just((52_520_000, 13_400_000)),
        Just((-33_860_000, -179_999_000)),
        Just((90_000_000, 0)),
        (-90_000_000..=90_000_000, -180_000_000..=180_000_000),
    ];
    let radius = prop_oneof![Just(0.0), 0.0..20.0, 0.0..3_000.0, Just(20_038.0)];
    let circle = (centre, radius).prop_map(|((lat, lon), radius_km)| Circle {
        centre: Position { lat_microdegrees: lat, lon_microdegrees: lon },
        radius_km,
    });
    let feature = prop_oneof![Just("ev"), Just("covered"), Just("helipad")];
    let size = prop_oneof![Just(names::Size::Standard), Just(names::Size::Oversized)];
    let vehicle = prop_oneof![Just("van"), Just("lorry")];
    let needs = (
        proptest::collection::vec(feature.prop_map(str::to_owned), 0..2),
        proptest::option::weighted(0.3, size),
        proptest::option::weighted(0.3, vehicle.prop_map(str::to_owned)),
    );
    let needs = needs.prop_map(|(features, vehicle_size, vehicle_type)| NeedsBody {
        vehicle_size,
        features,
        zone: None,
        vehicle_type,
    });
    let filter = (
        proptest::option::weighted(0.5, Just(Listing::Listed)),
        proptest::option::weighted(0.3, Just(Kind::Bayed)),
        proptest::option::weighted(0.3, prop_oneof![Just("berlin"), Just("Paris")]),
    );
    let sort =
        prop_oneof![Just(Sort::Code), Just(Sort::Distance), Just(Sort::Free), Just(Sort::Free)];
    let window = proptest::option::weighted(0.2, 0_u32..7_200);
    let parts = (proptest::option::weighted(0.7, circle), needs, proptest::bool::weighted(0.4));
    (parts, filter, window, 0_u32..4, sort, 1_usize..40).prop_map(
        |((circle, needs, is_needed), filter, window, free_min, sort, limit)| {
            let (listing, kind, city) = filter;
            let needs = is_needed.then_some(needs);
            let filter = Filter {
                listing,
                kind,
                city: city.map(str::to_owned),
                category: None,
                features: needs.as_ref().map_or_else(Vec::new, |needs| needs.features.clone()),
                vehicle_size: needs.as_ref().and_then(|needs| needs.vehicle_size).map(Into::into),
                vehicle_type: needs.as_ref().and_then(|needs| needs.vehicle_type.clone()),
            };
            let sort = if circle.is_none() && sort == Sort::Distance { Sort::Code } else { sort };
            let window = window.map(|from| {
                let from = START.plus(Seconds(from));
                Window { from, to: from.plus(Seconds(3_600)) }
            });
            (Search { circle, filter, needs, window, free_min, sort }, limit)
        },
    )
}

/// Along the great circle by the haversine, in whole metres.
fn metres(one: Position, two: Position) -> f64 {
    let rad = |micro: i32| (f64::from(micro) / 1e6).to_radians();
    let (lat_1, lat_2) = (rad(one.lat_microdegrees), rad(two.lat_microdegrees));
    let lat = ((lat_2 - lat_1) / 2.0).sin().powi(2);
    let lon = ((rad(two.lon_microdegrees) - rad(one.lon_microdegrees)) / 2.0).sin().powi(2);
    let root = (lat + lat_1.cos() * lat_2.cos() * lon).sqrt().min(1.0);
    2.0 * 6_371_000.0 * root.asin()
}

/// What judging every lot says: code, distance, places.
fn plain(engine: &Engine, search: &Search, lots: &[LotHandle]) -> Vec<(String, f64, u32)> {
    let mut all: Vec<(String, f64, u32)> = Vec::new();
    for lot in lots {
        let view = lot.view();
        let away = match search.circle {
            None => 0.0,
            Some(Circle { centre, radius_km }) => {
                let Some(position) = view.spec().place.position else { continue };
                let away = metres(centre, position).round();
                if away > radius_km * 1_000.0 {
                    continue;
                }
                away
            }
        };
        let Some(offer) = search.offer(&view, engine.now()) else { continue };
        all.push((lot.code().to_owned(), away, offer.free));
    }
    match search.sort {
        Sort::Code => all.sort_by(|a, b| a.0.cmp(&b.0)),
        // No lot here has a tariff, so a list by price has nothing else to go by.
        Sort::Distance | Sort::Price => {
            all.sort_by(|a, b| (a.1, &a.0).partial_cmp(&(b.1, &b.0)).unwrap());
        }
        Sort::Free => {
            all.sort_by(|a, b| b.2.cmp(&a.2).then((a.1, &a.0).partial_cmp(&(b.1, &b.0)).unwrap()));
        }
    }
    all
}

fn held(engine: &Engine, lots: &[LotHandle], search: &Search, limit: usize) {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = search.page(engine, "default", |_| true, (after.as_ref(), limit)).unwrap();
        assert!(page.lots.len() <= limit);
        assert!(page.next.is_none() || search.window.is_some() || page.lots.len() == limit);
        found.extend(page.lots.iter().map(|lot| {
            (lot.view.spec().code.to_string(), f64::from(lot.metres.unwrap_or(0)), lot.offer.free)
        }));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected = plain(engine, search, lots);
    // Two ways of measuring may round a metre apart, and the index shows no distance in a list by code.
    let codes = |all: &[(String, f64, u32)]| -> Vec<(String, u32)> {
        all.iter().map(|(code, _, free)| (code.clone(), *free)).collect()
    };
    assert_eq!(codes(&found), codes(&expected), "{search:?} by {limit}");
    if search.sort != Sort::Code && search.circle.is_some() {
        for ((code, shown, _), (_, measured, _)) in found.iter().zip(&expected) {
            assert!((shown - measured).abs() <= 1.0, "{code}: {shown} m, not {measured} m");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_is_that_of_judging_every_lot() {
    let mut dice = Dice(7);
    let (engine, lots) = town(&mut dice).await;
    for round in 1..=ROUNDS {
        live(&engine, &lots, &mut dice, round).await;
        let config = Config { cases: SEARCHES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(
            config,
            proptest::test_runner::TestRng::deterministic_rng(
                proptest::test_runner::RngAlgorithm::ChaCha,
            ),
        );
        runner
            .run(&searches(), |(search, limit)| {
                held(&engine, &lots, &search, limit);
                Ok(())
            })
            .unwrap();
    }
    engine.shutdown(Duration::from_secs(10)).await;
}
