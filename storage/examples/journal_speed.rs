//! Commits per second of the journal on disk against a plain file with `sync_data`; the benches measure
//! this with more care, this prints figures in half a minute. Arguments: a directory on the disk in question;
//! then, for programs, `--slices`: only the journal, and each line of standard input, `RECORDS SECONDS`, asks
//! for that many records per commit for so long and gets one JSON object. Whoever asks can then let something
//! else take turns with it. The journal of a size goes on until another size is asked for.
//! `JOURNAL_SPEED_ASKERS` sets through how many tokens the readings come.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use lotkeeper_engine::ids::{LotKey, Pseudonym, SlotIndex};
use lotkeeper_engine::slot::{Event as SlotEvent, Mark, Sighting, Source};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::format::Encoder;
use lotkeeper_storage::{By, Event, Journal, Options, Record, Role, SledJournal};
use uuid::Uuid;

/// As in the server: a commit of thousands of records is a matter of buffers (ADR 0014).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const LOTS: u64 = 1_000;
/// Tokens through which the readings of a commit come.
static ASKERS: LazyLock<u64> = LazyLock::new(|| {
    let given = std::env::var("JOURNAL_SPEED_ASKERS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(10)
});

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
            by: Some(By {
                subject: Pseudonym(Uuid::from_u128(u128::from(seq % *ASKERS))),
                role: Role::Device,
            }),
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

/// One commit at least; the number after the last record.
fn measure(
    manner: Manner,
    name: &str,
    per_commit: u64,
    first_seq: u64,
    mut commit: impl FnMut(&[Record]) -> u64,
) -> u64 {
    let mut latencies = Vec::new();
    let (mut seq, mut bytes) = (first_seq, 0);
    let start = Instant::now();
    let mut inside = Duration::ZERO;
    while latencies.is_empty() || start.elapsed().as_secs_f64() < manner.seconds {
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
        return seq;
    }
    let records = (seq - first_seq) as f64;
    println!(
        "{name:28} {per_commit:6} records: {:8.0} commits/s {:9.0} records/s {:6.1} MB/s {:5.1} B/record, p50 {p50:?} p99 {p99:?}",
        latencies.len() as f64 / seconds,
        records / seconds,
        bytes as f64 / seconds / 1e6,
        bytes as f64 / records,
    );
    seq
}

/// A fresh journal, in a directory that stays for whoever opens it again.
fn fresh(root: &Path, per_commit: u64) -> SledJournal {
    let data_dir = root.join(format!("sled-{per_commit}"));
    // Of the same size once before, when sizes take turns.
    drop(std::fs::remove_dir_all(&data_dir));
    let rotate_bytes = u64::MAX;
    let options = Options { data_dir, rotate_bytes, ..Options::default() };
    SledJournal::open(options).expect("a fresh directory opens").0
}

/// The journal alone; the number after the last one it wrote.
fn journal(manner: Manner, journal: &mut SledJournal, per_commit: u64, first_seq: u64) -> u64 {
    measure(manner, "sled + sync_data", per_commit, first_seq, |records| {
        journal.commit(records).expect("the disk takes it");
        journal.last_commit().bytes
    })
}

/// One slice for each line of standard input, until there are no more.
fn slices(root: &Path) {
    let mut at_work: Option<(u64, SledJournal, u64)> = None;
    for line in std::io::stdin().lines() {
        let line = line.expect("standard input can be read");
        let asked = line.split_once(' ').and_then(|(records, seconds)| {
            Some((records.parse::<u64>().ok()?, seconds.parse::<f64>().ok()?))
        });
        let (per_commit, seconds) = asked.expect("--slices: each line is `RECORDS SECONDS`");
        let (_, mut open, first_seq) = match at_work.take() {
            Some(same) if same.0 == per_commit => same,
            // The other one is closed before, so that it leaves the disk alone.
            other => {
                drop(other);
                (per_commit, fresh(root, per_commit), 1)
            }
        };
        let next_seq = journal(Manner { seconds, json: true }, &mut open, per_commit, first_seq);
        at_work = Some((per_commit, open, next_seq));
    }
}

fn main() {
    let root = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let root = Path::new(&root).join(format!("journal-speed-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("the directory can be made");
    match std::env::args().nth(2).as_deref() {
        None => for_people(&root),
        Some("--slices") => slices(&root),
        Some(other) => eprintln!("{other}: unknown; give --slices or nothing"),
    }
    drop(std::fs::remove_dir_all(&root));
}

fn for_people(root: &Path) {
    for per_commit in [200, 2_000, 20_000] {
        journal(FOR_PEOPLE, &mut fresh(root, per_commit), per_commit, 1);
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
        measure(FOR_PEOPLE, "plain file + sync_data", per_commit, 1, |records| {
            encoder.encode(1, records).expect("records fit");
            file.write_all(encoder.bytes()).expect("the disk takes it");
            file.sync_data().expect("the disk takes it");
            encoder.bytes().len() as u64
        });
    }
    let mut encoder = Encoder::default();
    measure(FOR_PEOPLE, "encoding alone", 200, 1, |records| {
        encoder.encode(1, records).expect("records fit");
        encoder.bytes().len() as u64
    });
}
