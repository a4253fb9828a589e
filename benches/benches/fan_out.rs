//! What a change costs on its way out: encoded once, then shared by every reader of the ring.
//!
//! `cargo bench -p lotkeeper-benches --bench fan_out`; `cargo test` runs each once.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lotkeeper_actors::{Batch, CatchUp, LotHandle};
use lotkeeper_benches::recovered_lot;
use lotkeeper_gateway::stream::message;
use lotkeeper_gateway::wire::instant::Instant;

/// Readers of one lot.
const READERS: u64 = 1_000;

fn newest(lot: &LotHandle) -> Arc<Batch> {
    match lot.ring().after(lot.ring().head() - 1, 1) {
        CatchUp::Batches(batches) => Arc::clone(&batches[0]),
        other => panic!("the ring has its newest batch: {other:?}"),
    }
}

fn fan_out(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("the runtime starts");
    let mut group = c.benchmark_group("fan_out");
    for per_commit in [1_usize, 50] {
        let (_engine, lot) = runtime.block_on(recovered_lot(10, per_commit));
        let (view, batch) = (lot.view(), newest(&lot));
        group.throughput(Throughput::Elements(per_commit as u64));
        group.bench_function(format!("encode_changes/{per_commit}"), |b| {
            b.iter(|| message::changes(view.spec(), "0123456789abcdef", black_box(&batch), 0));
        });
        let mut out = Vec::new();
        let cursor = lot.ring().head() - per_commit as u64;
        group.throughput(Throughput::Elements(READERS * per_commit as u64));
        group.bench_function(format!("{READERS}_readers_take_a_commit/{per_commit}"), |b| {
            b.iter(|| {
                for _ in 0..READERS {
                    out.clear();
                    if let CatchUp::Batches(batches) = lot.ring().after(cursor, 64) {
                        for batch in batches {
                            let encode = |batch: &_| message::changes(view.spec(), "0", batch, 0);
                            out.extend_from_slice(batch.encoded(encode));
                        }
                    }
                    black_box(&out);
                }
            });
        });
    }
    let (_engine, lot) = runtime.block_on(recovered_lot(10, 1));
    let (view, now) = (lot.view(), Instant(lot.view().at));
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode_counts", |b| {
        b.iter(|| message::counts(black_box(&view), "0123456789abcdef", now));
    });
    group.bench_function("encode_snapshot_100_slots", |b| {
        b.iter(|| message::snapshot(black_box(&view), "0123456789abcdef", now, false));
    });
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
