//! What a search among 10,000 lots costs: the whole page, from the query to the lots in order.
//!
//! Lots lie on a grid around a town, a tenth of them counted; every third has chargers, every seventh is
//! paused. Absent: parsing of the request and writing of the answer, which are those of fifty lots.
//!
//! `cargo bench -p lotkeeper-benches --bench search`; `cargo test` runs each once, among fewer lots.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use lotkeeper_actors::{Clock as EngineClock, Engine, Filter, Metrics, Options, Origin};
use lotkeeper_benches::lot_spec;
use lotkeeper_engine::ids::TariffId;
use lotkeeper_engine::lot::{Command, TariffChange};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::{FeatureSet, Kind, Listing, Position, Spec};
use lotkeeper_engine::tariff::{
    Anchor, Assignment, Band, Cap, Clock, Effect, Flat, Hourly, Period, Rate, Scope, Tariff, Tier,
    Unit, Weekdays, Weekly, When,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_gateway::search::{Circle, Search, Sort};
use lotkeeper_gateway::wire::reservation::NeedsBody;
use lotkeeper_storage::{MemoryJournal, MemoryStore};

/// A debug build makes actors slowly.
const LOTS: usize = if cfg!(debug_assertions) { 500 } else { 10_000 };
const LOTS_IN_A_ROW: usize = 100;
const SLOTS_PER_LOT: usize = 2;
/// About 550 metres from one lot to the next.
const STEP_MICRODEGREES: usize = 5_000;
const LIMIT: usize = 50;

fn town(number: usize) -> Spec {
    let mut spec = lot_spec(&format!("L{number:05}"), SLOTS_PER_LOT);
    let degrees = |steps: usize| i32::try_from(steps * STEP_MICRODEGREES).unwrap_or(0);
    spec.place.position = Some(Position {
        lat_microdegrees: 52_000_000 + degrees(number / LOTS_IN_A_ROW),
        lon_microdegrees: 13_000_000 + degrees(number % LOTS_IN_A_ROW),
    });
    spec.place.city = Some(if number.is_multiple_of(2) { "Berlin" } else { "Potsdam" }.into());
    if number.is_multiple_of(10) {
        (spec.kind, spec.capacity) = (Kind::Counted, 100);
    }
    if number.is_multiple_of(3) {
        spec.features = vec!["ev".into()];
        spec.slots[0].features = FeatureSet(1);
    }
    if number.is_multiple_of(7) {
        spec.about.listing = Listing::Paused;
    }
    spec
}

async fn engine() -> Engine {
    let (journal, recovery) = MemoryJournal::open(MemoryStore::default());
    let clock = EngineClock::manual(Timestamp::from_seconds(1_750_000_000));
    let options = Options { tick_ms: None, ..Options::default() };
    let engine =
        Engine::start(Box::new(journal), recovery, clock, options, Metrics::unregistered()).await;
    let engine = engine.expect("the engine starts");
    for number in 0..LOTS {
        engine.create_lot(town(number), None).await.expect("a new lot");
        let lot = engine.lot("default", &format!("L{number:05}")).expect("it was made");
        let put = Command::ChangeTariffs(tariff(number).to_vec());
        let put = engine.command(&lot, put, Origin::from(None)).expect("it is taken");
        put.await.expect("a good tariff");
    }
    engine
}

/// Of one lot alone, with a price of its own: what an hour costs by day and a night, and no day more than so much.
fn tariff(number: usize) -> [TariffChange; 2] {
    let id = TariffId(uuid::Uuid::from_u128(1 + number as u128));
    let amount = Amount(100 + i64::try_from(number % 400).unwrap_or(0));
    let tier = Tier { from: Seconds(0), amount, per: Seconds(3_600), begun: true };
    let rate = Rate::Hourly(Hourly { tiers: Box::new([tier]) });
    let night = Band {
        code: "night".into(),
        when: When::Weekly(Weekly {
            days: Weekdays(0x7f),
            from_second: 22 * 3_600,
            to_second: 6 * 3_600,
            dates: Box::default(),
        }),
        effect: Effect::Replace { rate: Rate::Flat(Flat { amount }), clock: Clock::Band },
    };
    let day = Period { unit: Unit::Day, anchor: Anchor::Calendar };
    let tariff = Tariff {
        bands: Box::new([night]),
        caps: Box::new([Cap { period: day, amount: Amount(2_000) }]),
        ..Tariff::plain(id, "Its own", Timestamp::default(), rate)
    };
    let assigned = Assignment { scope: Scope::Lot, vehicle_type: None, tariff: id };
    [TariffChange::Put(Arc::new(tariff)), TariffChange::Assign(assigned)]
}

fn around(radius_km: f64) -> Search {
    // A quarter up and half across, however many lots there are.
    let up = i32::try_from(LOTS / LOTS_IN_A_ROW / 4 * STEP_MICRODEGREES).unwrap_or(0);
    let centre = Position { lat_microdegrees: 52_000_000 + up, lon_microdegrees: 13_250_000 };
    Search {
        circle: Some(Circle { centre, radius_km }),
        filter: Filter { listing: Some(Listing::Listed), ..Filter::default() },
        needs: None,
        window: None,
        free_min: 0,
        sort: Sort::Distance,
    }
}

fn searches(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the runtime starts");
    let engine = runtime.block_on(engine());
    let (hour, day) = (3_600, 86_400);
    let window = |from: i64| Window {
        from: Timestamp::from_seconds(1_750_000_000 + from),
        to: Timestamp::from_seconds(1_750_000_000 + from + hour),
    };
    let features = |name: &str| vec![name.to_owned()];
    let filter = |feature| Filter { features: features(feature), ..around(1.0).filter };
    let ev = NeedsBody { features: features("ev"), ..NeedsBody::default() };
    let all_ev = Search { needs: Some(ev.clone()), filter: filter("ev"), ..around(20_000.0) };
    let (free, anywhere) = (Sort::Free, Search { circle: None, ..around(1.0) });
    let tomorrow = Some(window(day));
    let rows = [
        ("2 km", around(2.0)),
        ("10 km", around(10.0)),
        ("10 km, chargers", Search { needs: Some(ev), filter: filter("ev"), ..around(10.0) }),
        ("10 km, room tomorrow", Search { window: Some(window(day)), free_min: 1, ..around(10.0) }),
        ("10 km, most free first", Search { sort: Sort::Free, ..around(10.0) }),
        ("everywhere, nearest first", around(20_000.0)),
        ("everywhere, a feature that none has", Search { filter: filter("x"), ..around(20_000.0) }),
        ("everywhere, more free than any has", Search { free_min: 500, ..around(20_000.0) }),
        ("everywhere, most free first", Search { sort: Sort::Free, ..around(20_000.0) }),
        ("everywhere, most free first, chargers", Search { sort: free, ..all_ev.clone() }),
        ("8 km, most room tomorrow", Search { window: tomorrow, sort: free, ..around(8.0) }),
        (
            "8 km, lowest price tomorrow",
            Search { window: tomorrow, sort: Sort::Price, ..around(8.0) },
        ),
        (
            "2 km, lowest price tomorrow",
            Search { window: tomorrow, sort: Sort::Price, ..around(2.0) },
        ),
        (
            "everywhere, lowest price tomorrow",
            Search { window: tomorrow, sort: Sort::Price, ..around(20_000.0) },
        ),
        ("everywhere, by code", Search { sort: Sort::Code, ..around(20_000.0) }),
        ("10 km, by code", Search { sort: Sort::Code, ..around(10.0) }),
        ("no place, most free first", Search { sort: free, ..anywhere.clone() }),
        ("no place, a feature that none has", Search { filter: filter("x"), ..anywhere.clone() }),
        ("by code", Search { circle: None, sort: Sort::Code, ..around(1.0) }),
    ];
    let mut group = c.benchmark_group(format!("search among {LOTS} lots"));
    for (name, search) in rows {
        let page = || search.page(&engine, "default", |_| true, (None, LIMIT));
        let found = page().expect("few enough").lots.len();
        assert_eq!(found == 0, name.contains("none has") || name.contains("any has"), "{name}");
        group.bench_function(name, |b| b.iter(|| black_box(page())));
    }
    group.finish();
    runtime.block_on(engine.shutdown(std::time::Duration::from_secs(10)));
}

criterion_group!(benches, searches);
criterion_main!(benches);
