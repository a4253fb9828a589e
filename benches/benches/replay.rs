//! What a start costs: reading the log back, and building the durable view from it with all actors.
//!
//! `cargo bench -p lotkeeper-benches --bench replay`; `cargo test` runs each once.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lotkeeper_actors::{Clock, Engine, Metrics, Options};
use lotkeeper_benches::Stream;
use lotkeeper_storage::{Journal, MemoryJournal, MemoryStore, SledJournal};

const LOTS: u32 = 100;
const RECORDS: usize = 100_000;
const RECORDS_PER_COMMIT: usize = 1_000;

fn filled(journal: &mut dyn Journal) {
    let mut stream = Stream::new(LOTS);
    for _ in 0..RECORDS / RECORDS_PER_COMMIT {
        journal.commit(&stream.take(RECORDS_PER_COMMIT)).expect("a fresh journal takes it");
    }
}

fn read_back(c: &mut Criterion) {
    let data = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a place on this disk");
    let options = || lotkeeper_storage::Options {
        data_dir: data.path().join("journal"),
        ..lotkeeper_storage::Options::default()
    };
    let (mut journal, _) = SledJournal::open(options()).expect("a fresh directory opens");
    filled(&mut journal);
    drop(journal);
    let mut group = c.benchmark_group("replay");
    group.sample_size(10).throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("open_and_read_sled", |b| {
        b.iter(|| {
            let (_journal, recovery) = SledJournal::open(options()).expect("it opens again");
            let commits = recovery.tail.map(|commit| commit.expect("a good frame").len());
            assert_eq!(commits.sum::<usize>(), RECORDS);
        });
    });
    group.finish();
}

fn start(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("the runtime starts");
    let store = MemoryStore::default();
    filled(&mut MemoryJournal::open(store.clone()).0);
    let mut group = c.benchmark_group("replay");
    group.sample_size(10).throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("start_engine_10_000_slots", |b| {
        b.iter_batched(
            || MemoryJournal::open(store.clone()),
            |(journal, recovery)| {
                runtime.block_on(async {
                    let clock = Clock::manual(recovery.last_at);
                    let options = Options { tick_ms: None, ..Options::default() };
                    let metrics = Metrics::unregistered();
                    let engine =
                        Engine::start(Box::new(journal), recovery, clock, options, metrics);
                    let engine = engine.await.expect("the engine starts");
                    assert_eq!(engine.seq(), RECORDS as u64);
                    black_box(&engine).shutdown(Duration::from_secs(5)).await;
                });
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, read_back, start);
criterion_main!(benches);
