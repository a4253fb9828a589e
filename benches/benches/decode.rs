//! What a batch of readings costs before the engine sees it: the same hundred readings as JSON and in the
//! compact form, from bytes to the values the slots are sent.
//!
//! `cargo bench -p lotkeeper-benches --bench decode`; `cargo test` runs each once.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lotkeeper_actors::LotHandle;
use lotkeeper_benches::recovered_lot;
use lotkeeper_engine::slot::Source;
use lotkeeper_gateway::wire::readings;
use lotkeeper_gateway::wire::readings_binary::{FORMAT, Message, OCCUPIED, SEQUENCE};

/// Readings in a batch.
const BATCH: u16 = 100;
/// 2026-03-01T09:00:00Z.
const OBSERVED_MICROS: i64 = 1_772_355_600_000_000;

fn json(lot: &LotHandle) -> Vec<u8> {
    let view = lot.view();
    let readings: Vec<String> = (0..usize::from(BATCH))
        .map(|n| {
            let slot = &view.spec().slots[n % view.spec().slots.len()].code;
            format!(
                r#"{{"slot":"{slot}","occupied":true,"observed_at":"2026-03-01T09:00:00.123456Z","sequence":{n}}}"#
            )
        })
        .collect();
    format!(r#"{{"readings":[{}]}}"#, readings.join(",")).into_bytes()
}

fn binary(lot: &LotHandle) -> Vec<u8> {
    let slots =
        u16::try_from(lot.view().spec().slots.len()).expect("a lot has 10,000 slots at most");
    let mut bytes = vec![FORMAT, 0];
    bytes.extend_from_slice(&BATCH.to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 0, 0]);
    bytes.extend_from_slice(&17_u64.to_le_bytes());
    bytes.extend_from_slice(&OBSERVED_MICROS.to_le_bytes());
    bytes.extend_from_slice(b"L0");
    for n in 0..BATCH {
        bytes.extend_from_slice(&(n % slots).to_le_bytes());
        bytes.push(OCCUPIED | SEQUENCE);
        bytes.extend_from_slice(&u64::from(n).to_le_bytes());
    }
    bytes
}

fn decode(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("the runtime starts");
    let (_engine, lot) = runtime.block_on(recovered_lot(0, 1));
    let (json, binary) = (json(&lot), binary(&lot));
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(BATCH.into()));
    group.bench_function("json", |b| {
        b.iter(|| readings::parse(&lot, Source::Sensor, black_box(&json)).expect("it is right"));
    });
    group.bench_function("binary", |b| {
        b.iter(|| {
            let message = Message::read(black_box(&binary)).expect("it is right");
            message.resolve(&lot, Source::Sensor).expect("it is right")
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
