//! Commits per second of the journal on disk against a plain file with `sync_data`; the benches measure
//! this with more care, this prints figures in half a minute. Arguments: a directory on the disk in question;
//! then, for programs, `--json SECONDS SIZES`: only the journal, so long for each of these records per commit
//! (commas between), one JSON object per line.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use lotkeeper_engine::ids::{LotKey, SlotIndex};
use lotkeeper_engine::slot::{Event as SlotEvent, Mark, Sighting, Source};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::format::Encoder;
use lotkeeper_storage::{Event, Journal, Options, Record, SledJournal};

const LOTS: u64 = 1_000;

fn records(first_seq: u64, count: u64) -> Vec<Record> {
    let record = |seq: u64| {
        let at = Timestamp::from_micros(1_772_355_600_000_000 + i64::try_from(seq).unwrap_or(0));
        let mark = Mark { observed_at: Timestamp::from_micros(at.micros() - 80_000), sequence: 0 };
        let sighting =
            Sighting { mark, id_hash: seq << 20, source: Source::Sensor, confidence_percent: None };
        let slot = SlotIndex(u16::try_from(seq % 100).unwrap_or(0));
        Record {
            seq,
            lot: LotKey(u32::try_from((seq - 1) % LOTS).unwrap_or(0)),
            lot_seq: 1 + (seq - 1) / LOTS,
            at,
            event: Event::Slot(slot, SlotEvent::Occupied(sighting)),
            claim: None,
        }
    };
    (first_seq..first_seq + count).map(record).collect()
}

/// How long a measurement takes and how it is told.
#[derive(Clone, Copy)]
struct Manner {
    seconds: f64,
    json: bool,
}

const FOR_PEOPLE: Manner = Manner { seconds: 4.0, json: false };

fn measure(manner: Manner, name: &str, per_commit: u64, mut commit: impl FnMut(&[Record]) -> u64) {
    let mut latencies = Vec::new();
    let (mut seq, mut bytes) = (1, 0);
    let start = Instant::now();
    let mut inside = Duration::ZERO;
    while start.elapsed().as_secs_f64() < manner.seconds {
        let records = records(seq, per_commit);
        let before = Instant::now();
        bytes += commit(&records);
        latencies.push(before.elapsed());
        inside += before.elapsed();
        seq += per_commit;
    }
    latencies.sort();
    let seconds = inside.as_secs_f64();
    let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
    if manner.json {
        println!(
            r#"{{"name":"{name}","records_per_commit":{per_commit},"commits_per_second":{:.3},"bytes_per_commit":{:.1},"p50_us":{},"p99_us":{}}}"#,
            latencies.len() as f64 / seconds,
            bytes as f64 / latencies.len() as f64,
            p50.as_micros(),
            p99.as_micros(),
        );
        return;
    }
    println!(
        "{name:28} {per_commit:6} records: {:8.0} commits/s {:9.0} records/s {:6.1} MB/s {:5.1} B/record, p50 {p50:?} p99 {p99:?}",
        latencies.len() as f64 / seconds,
        (seq - 1) as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        bytes as f64 / (seq - 1) as f64,
    );
}

/// The journal alone, in a directory that stays for whoever opens it again.
fn journal(manner: Manner, root: &Path, per_commit: u64) {
    let data_dir = root.join(format!("sled-{per_commit}"));
    let rotate_bytes = u64::MAX;
    let (mut journal, _) =
        SledJournal::open(Options { data_dir, rotate_bytes, ..Options::default() })
            .expect("a fresh directory opens");
    measure(manner, "sled + sync_data", per_commit, |records| {
        journal.commit(records).expect("the disk takes it");
        journal.last_commit().bytes
    });
}

fn main() {
    let root = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let root = Path::new(&root).join(format!("journal-speed-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("the directory can be made");
    let words: Vec<String> = std::env::args().skip(2).collect();
    if let [flag, seconds, sizes] = words.as_slice()
        && flag == "--json"
    {
        let seconds = seconds.parse().expect("--json SECONDS SIZES: seconds are a number");
        let manner = Manner { seconds, json: true };
        for size in sizes.split(',') {
            let per_commit = size.parse().expect("--json SECONDS SIZES: sizes are numbers");
            journal(manner, &root, per_commit);
        }
        drop(std::fs::remove_dir_all(&root));
        return;
    }
    for per_commit in [200, 2_000, 20_000] {
        journal(FOR_PEOPLE, &root, per_commit);
        let rotate_bytes = u64::MAX;
        let data_dir = root.join(format!("sled-{per_commit}"));
        let start = Instant::now();
        let (_journal, recovery) =
            SledJournal::open(Options { data_dir, rotate_bytes, ..Options::default() })
                .expect("it opens again");
        let opened = start.elapsed();
        let last_seq = recovery.last_seq;
        let read =
            recovery.tail.map(|commit| commit.map_or(0, |records| records.len())).sum::<usize>();
        println!(
            "{:28} {last_seq:9} records: open {opened:.1?}, tail of {read} in {:.1?}",
            "recovery",
            start.elapsed() - opened
        );
        let mut file = File::create(root.join("plain")).expect("the file can be made");
        let mut encoder = Encoder::default();
        measure(FOR_PEOPLE, "plain file + sync_data", per_commit, |records| {
            encoder.encode(1, records).expect("records fit");
            file.write_all(encoder.bytes()).expect("the disk takes it");
            file.sync_data().expect("the disk takes it");
            encoder.bytes().len() as u64
        });
    }
    let mut encoder = Encoder::default();
    measure(FOR_PEOPLE, "encoding alone", 200, |records| {
        encoder.encode(1, records).expect("records fit");
        encoder.bytes().len() as u64
    });
    drop(std::fs::remove_dir_all(&root));
}
