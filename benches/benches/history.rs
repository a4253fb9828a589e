//! What the history costs: taking records, a page of a list, bytes on disk.
//!
//! A town of a hundred lots books and cancels, two records for each reservation, until the history has 100,000
//! of them (`LOTKEEPER_BENCH_DOCUMENTS` says another number); then pages of a hundred are read from it. The rate
//! of the filling and the bytes of each document are printed. Absent: the thread that follows the log, and what
//! it takes from a server (docs/performance.md).
//!
//! `cargo bench -p lotkeeper-benches --bench history`; `cargo test` and `-- --test` run each once, with fewer.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lotkeeper_benches::lot_spec;
use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::lot::{self, Reservation};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::history::{History, Options, Phase, Position, Query};
use lotkeeper_storage::{Event, Journal, MemoryJournal, MemoryStore, Record};
use uuid::Uuid;

const LOTS: u64 = 100;
const SLOTS_PER_LOT: u16 = 100;
const HOLDERS: u64 = 20_000;
/// As the thread that follows the log takes them.
const PAGE_RECORDS: usize = 4_096;
const LIMIT: usize = 100;
/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_seconds(1_767_225_600);
const VARIABLE: &str = "LOTKEEPER_BENCH_DOCUMENTS";

fn documents() -> u64 {
    let given = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
    let is_asked = |name: &str| std::env::args().any(|argument| argument == name);
    // As criterion decides it: `cargo bench` says the one, who wants everything tried once the other.
    let is_measured = is_asked("--bench") && !is_asked("--test");
    given.unwrap_or(if is_measured { 100_000 } else { 2_000 })
}

/// The log of a town, made as it is asked for.
struct Town {
    seq: u64,
    lot_seqs: Vec<u64>,
    /// What is booked next; each is cancelled right after.
    booking: u64,
    is_booked: bool,
}

impl Town {
    fn new() -> Self {
        let lots = usize::try_from(LOTS).expect("it is 100");
        Self { seq: 0, lot_seqs: vec![0; lots], booking: 0, is_booked: false }
    }

    fn record(&mut self, lot: u64, event: lot::Event) -> Record {
        self.seq += 1;
        let place = usize::try_from(lot).expect("it is below 100");
        self.lot_seqs[place] += 1;
        Record {
            seq: self.seq,
            lot: LotKey(u32::try_from(lot).expect("it is below 100")),
            lot_seq: self.lot_seqs[place],
            at: at(self.seq),
            event: Event::Lot(event),
            by: None,
            claim: None,
        }
    }

    fn founded(&mut self) -> Vec<Record> {
        let created = |lot: u64| {
            let spec = lot_spec(&format!("L{lot}"), usize::from(SLOTS_PER_LOT));
            self.record(lot, lot::Event::Created(Arc::new(spec)))
        };
        (0..LOTS).map(created).collect()
    }

    fn next(&mut self) -> Record {
        let booking = self.booking;
        let id = ReservationId(Uuid::from_u64_pair(mixed(booking), booking));
        let lot = booking % LOTS;
        let was_booked = self.is_booked;
        self.is_booked = !was_booked;
        if was_booked {
            self.booking += 1;
            return self.record(lot, lot::Event::Cancelled { id, reason: None });
        }
        let slots = u64::from(SLOTS_PER_LOT);
        let slot = u16::try_from(booking / LOTS % slots).expect("it is below 100");
        let from = at(self.seq).plus(Seconds(3_600));
        let reserved = lot::Reserved {
            id,
            slot: SlotIndex(slot),
            window: Window { from, to: from.plus(Seconds(3_600)) },
            expires_at: None,
            holder: holder(mixed(booking)),
            vehicle: Some(Pseudonym(Uuid::from_u64_pair(2, mixed(booking) % (3 * HOLDERS)))),
            price: None,
            series: None,
            request: None,
        };
        self.record(lot, lot::Event::Reserved(Box::new(reserved)))
    }

    fn page(&mut self, records: usize) -> Vec<Record> {
        (0..records).map(|_| self.next()).collect()
    }
}

fn at(seq: u64) -> Timestamp {
    // A record every hundredth of a second.
    let micros = i64::try_from(seq * 10_000).expect("a bench is short");
    Timestamp::from_micros(START.micros() + micros)
}

fn holder(number: u64) -> Pseudonym {
    Pseudonym(Uuid::from_u64_pair(1, number % HOLDERS))
}

/// Spread as the ids of clients are.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    number ^ (number >> 29)
}

fn take(history: &History, records: &[Record]) {
    let last = records.last().expect("a page has records").seq;
    history.take(records, last, &|_| None).expect("the history takes what follows");
}

/// The history with so many documents, and what that took.
fn filled(dir: &Path, documents: u64) -> (History, Town) {
    let (journal, _) = MemoryJournal::open(MemoryStore::default());
    let options = Options::beside(dir);
    let history = History::open(options, &*journal.reader(), (1, 0)).expect("it opens");
    let mut town = Town::new();
    take(&history, &town.founded());
    let (mut taken, mut records) = (Duration::ZERO, 0);
    while town.booking < documents {
        let page = town.page(PAGE_RECORDS);
        let began = Instant::now();
        take(&history, &page);
        taken += began.elapsed();
        records += page.len();
    }
    history.flush().expect("the disk takes it");
    let each = history.bytes() as f64 / town.booking as f64;
    let rate = records as f64 / taken.as_secs_f64();
    println!(
        "{} documents of {records} records: {rate:.0} records/s, {each:.0} bytes each on disk",
        town.booking
    );
    (history, town)
}

fn history(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a place on this disk");
    let (history, mut town) = filled(dir.path(), documents());
    let mut group = c.benchmark_group(format!("history of {}", town.booking));
    group.sample_size(20);
    let all = || Query::<Reservation>::of("default", LIMIT);
    let middle = Position::new(at(town.seq / 2), Uuid::nil());
    let rows = [
        ("the newest 100", all()),
        ("100 from the middle", Query { after: Some(middle), ..all() }),
        ("100 of a lot", Query { lots: Some(vec![LotKey(7)]), ..all() }),
        ("of a holder", Query { holder: Some(holder(mixed(7))), ..all() }),
        ("100 of a state", Query { states: vec![Phase::Cancelled], ..all() }),
        ("of a state that none has", Query { states: vec![Phase::NoShow], ..all() }),
    ];
    for (name, query) in rows {
        let page = || history.page(&query).expect("it is whole");
        assert_eq!(page().items.is_empty(), name.contains("none"), "{name}");
        group.bench_function(name, |b| b.iter(|| black_box(page())));
    }
    group.throughput(Throughput::Elements(PAGE_RECORDS as u64)).sample_size(10);
    group.bench_function("taking a page of records", |b| {
        b.iter_custom(|iterations| {
            let taken = (0..iterations).map(|_| {
                let page = town.page(PAGE_RECORDS);
                let began = Instant::now();
                take(&history, &page);
                began.elapsed()
            });
            taken.sum()
        });
    });
    group.finish();
}

criterion_group!(benches, history);
criterion_main!(benches);
