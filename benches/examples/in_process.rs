//! Durable readings per second of the whole path without sockets: slot actors, writer, sled, publisher.
//!
//! `cargo run --release -p lotkeeper-benches --example in_process -- LOTS SLOTS SECONDS [BATCH]`.
//! Every reading flips its slot, so every reading is a record. Prints throughput, CPU per reading,
//! records per commit, memory. A program rather than a criterion bench, because what is measured is a
//! running system and not a function.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lotkeeper_actors::{Clock, Engine, LotHandle, Metrics, Options, SlotReading};
use lotkeeper_benches::{cpu_seconds, lot_spec, resident_bytes};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::slot::{Reading, Source};
use lotkeeper_storage::SledJournal;

/// Batches each sender has in flight.
const IN_FLIGHT: usize = 8;
/// Senders; each owns a part of the lots.
const SENDERS: usize = 2;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut next = |default| arguments.next().and_then(Result::ok).unwrap_or(default);
    let (lots, slots, seconds, batch) = (next(1_000), next(100), next(10), next(100));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the runtime starts");
    runtime.block_on(run(lots, slots, seconds as u64, batch));
}

async fn run(lots: usize, slots: usize, seconds: u64, batch: usize) {
    let data = tempfile::tempdir_in(".").expect("a data directory beside the sources");
    let options = lotkeeper_storage::Options {
        data_dir: data.path().to_owned(),
        ..lotkeeper_storage::Options::default()
    };
    let (journal, recovery) = SledJournal::open(options).expect("the journal opens");
    let clock = Clock::system(recovery.last_at);
    let (settings, metrics) = (Options::default(), Metrics::unregistered());
    let engine = Engine::start(Box::new(journal), recovery, clock, settings, metrics)
        .await
        .expect("the engine starts");
    let started = Instant::now();
    let mut handles = Vec::new();
    for lot in 0..lots {
        let spec = lot_spec(&format!("L{lot}"), slots);
        handles.push(engine.create_lot(spec, None).await.expect("a new lot").lot);
    }
    println!("created {lots} lots x {slots} slots in {:.2} s", started.elapsed().as_secs_f64());

    let answered = Arc::new(AtomicU64::new(0));
    let (cpu, seq, started) = (cpu_seconds(), engine.seq(), Instant::now());
    let until = started + Duration::from_secs(seconds);
    let share = handles.len().div_ceil(SENDERS);
    let senders: Vec<_> = handles
        .chunks(share)
        .map(|lots| {
            let (engine, lots, answered) = (engine.clone(), lots.to_vec(), Arc::clone(&answered));
            tokio::spawn(async move { send(&engine, &lots, slots, batch, until, &answered).await })
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender ends");
    }
    let elapsed = started.elapsed().as_secs_f64();
    let readings = answered.load(Ordering::Relaxed);
    let cpu_us = (cpu_seconds() - cpu) * 1e6 / readings as f64;
    println!(
        "{readings} durable readings in {elapsed:.2} s = {:.0} /s, {cpu_us:.2} us of CPU each, {} records, {} MiB resident",
        readings as f64 / elapsed,
        engine.seq() - seq,
        resident_bytes() / (1 << 20),
    );
    engine.shutdown(Duration::from_secs(10)).await;
}

async fn send(
    engine: &Engine,
    lots: &[LotHandle],
    slots: usize,
    batch: usize,
    until: Instant,
    answered: &AtomicU64,
) {
    let mut in_flight = std::collections::VecDeque::new();
    let mut round = 0_u64;
    'rounds: loop {
        round += 1;
        for first in (0..slots).step_by(batch) {
            for lot in lots {
                if Instant::now() > until {
                    break 'rounds;
                }
                let last = (first + batch).min(slots);
                let readings = (first..last).map(|slot| reading(slot, round)).collect();
                let done = engine.readings(lot, readings, None).expect("permits are enough");
                in_flight.push_back(tokio::spawn(done));
                if in_flight.len() >= IN_FLIGHT * 4 {
                    settle(&mut in_flight, answered).await;
                }
            }
        }
    }
    while !in_flight.is_empty() {
        settle(&mut in_flight, answered).await;
    }
}

type Answer =
    tokio::task::JoinHandle<Result<lotkeeper_actors::ReadingsDone, lotkeeper_actors::CommandError>>;

async fn settle(in_flight: &mut std::collections::VecDeque<Answer>, answered: &AtomicU64) {
    if let Some(done) = in_flight.pop_front() {
        let done = done.await.expect("the task ends").expect("durable");
        answered.fetch_add(u64::from(done.accepted), Ordering::Relaxed);
    }
}

fn reading(slot: usize, round: u64) -> SlotReading {
    SlotReading {
        slot: SlotIndex(u16::try_from(slot).expect("a slot of the lot")),
        reading: Reading {
            occupied: round % 2 == 1,
            observed_at: None,
            sequence: round,
            id_hash: 0,
            source: Source::Sensor,
            confidence_percent: None,
        },
    }
}
