//! One durable commit of the journal against the same bytes in a plain file with `sync_data`: the ceiling
//! of any log on this disk. The file is preallocated and overwritten, so it pays for data alone.
//!
//! `cargo bench -p lotkeeper-benches --bench journal_commit`; `cargo test` runs each once.

use std::fs::File;
use std::io::{Seek, Write};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lotkeeper_benches::Stream;
use lotkeeper_storage::{Journal, Options, SledJournal};

/// Bytes of a reading's record in a frame, measured by `CommitStats`.
const RECORD_BYTES: usize = 28;
/// The plain file is this long; writes go round in it.
const FILE_BYTES: u64 = 64 << 20;

fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    group.sample_size(20);
    for records in [1_usize, 200, 2_000] {
        group.throughput(Throughput::Elements(records as u64));
        let data = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a place on this disk");
        let data_dir = data.path().join("journal");
        let options = Options { data_dir, rotate_bytes: u64::MAX, ..Options::default() };
        let (mut journal, _) = SledJournal::open(options).expect("a fresh directory opens");
        let mut stream = Stream::new(10);
        journal.commit(&stream.take(10)).expect("lots are created");
        group.bench_function(format!("sled/{records}"), |b| {
            b.iter_batched(
                || stream.take(records),
                |taken| journal.commit(&taken).expect("the disk takes it"),
                BatchSize::PerIteration,
            );
        });
        let mut file = preallocated(&data.path().join("plain"));
        let bytes = vec![7_u8; records * RECORD_BYTES];
        let mut written = 0;
        group.bench_function(format!("plain_file/{records}"), |b| {
            b.iter(|| {
                if written + bytes.len() as u64 > FILE_BYTES {
                    written = 0;
                    file.rewind().expect("a file rewinds");
                }
                file.write_all(&bytes).expect("the disk takes it");
                file.sync_data().expect("the disk syncs");
                written += bytes.len() as u64;
            });
        });
    }
    group.finish();
}

fn preallocated(path: &std::path::Path) -> File {
    let mut file = File::create(path).expect("a file in a fresh directory");
    let block = vec![0_u8; 1 << 20];
    for _ in 0..FILE_BYTES / block.len() as u64 {
        file.write_all(&block).expect("the disk takes it");
    }
    file.sync_all().expect("the disk syncs");
    file.rewind().expect("a file rewinds");
    file
}

criterion_group!(benches, commits);
criterion_main!(benches);
