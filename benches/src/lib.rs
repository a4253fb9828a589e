//! What several benches need: a lot to work on, and what the process costs.

use std::sync::Arc;

use lotkeeper_actors::{Clock, Engine, LotHandle, Metrics, Options};
use lotkeeper_engine::ids::{LotId, LotKey, SlotId, SlotIndex};
use lotkeeper_engine::lot;
use lotkeeper_engine::slot::{self, Mark, Sighting, Source};
use lotkeeper_engine::spec::{FeatureSet, Kind, Place, Rules, Size, SlotSpec, Spec};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Event, Journal, MemoryJournal, MemoryStore, Record};
use uuid::Uuid;

/// Lot `L0` with its ring as recovery fills it from so many commits, and the engine that keeps it alive.
///
/// # Panics
/// When the engine does not start.
pub async fn recovered_lot(commits: usize, per_commit: usize) -> (Engine, LotHandle) {
    let store = MemoryStore::default();
    let (mut journal, _) = MemoryJournal::open(store.clone());
    let mut stream = Stream::new(1);
    journal.commit(&stream.take(1)).expect("memory takes it");
    for _ in 0..commits {
        journal.commit(&stream.take(per_commit)).expect("memory takes it");
    }
    drop(journal);
    let (journal, recovery) = MemoryJournal::open(store);
    let clock = Clock::manual(recovery.last_at);
    let options = Options { tick_ms: None, ..Options::default() };
    let (journal, metrics) = (Box::new(journal), Metrics::unregistered());
    let started = Engine::start(journal, recovery, clock, options, metrics).await;
    let engine = started.expect("the engine starts");
    let lot = engine.lot("default", "L0").expect("the stream creates it");
    (engine, lot)
}

/// A bayed lot of equal slots.
///
/// # Panics
/// With more slots than a lot may have.
#[must_use]
pub fn lot_spec(code: &str, slots: usize) -> Spec {
    let digest = code.bytes().fold(7_u128, |hash, byte| hash * 31 + u128::from(byte)) << 32;
    let slot = |number: usize| SlotSpec {
        id: SlotId(Uuid::from_u128(digest + 1 + number as u128)),
        code: format!("A-{number}").into(),
        zone: None,
        size: Size::Standard,
        features: FeatureSet::default(),
        ..SlotSpec::default()
    };
    Spec {
        id: LotId(Uuid::from_u128(digest)),
        tenant: "default".into(),
        code: code.into(),
        name: code.into(),
        kind: Kind::Bayed,
        capacity: u32::try_from(slots).expect("a lot's slots fit 32 bits"),
        place: Place::default(),
        zones: Vec::new(),
        features: Vec::new(),
        slots: (0..slots).map(slot).collect(),
        rules: Rules::default(),
        created_at: Timestamp::default(),
        ..Spec::default()
    }
}

/// Slots of each lot in [`Stream`].
pub const STREAM_SLOTS: usize = 100;

/// A stream of records as a city makes them: lots are created, then readings go round the lots.
#[derive(Clone, Debug)]
pub struct Stream {
    lots: u32,
    seq: u64,
}

impl Stream {
    /// Of so many lots of [`STREAM_SLOTS`] slots.
    #[must_use]
    pub fn new(lots: u32) -> Self {
        Self { lots, seq: 0 }
    }

    /// The next records.
    ///
    /// # Panics
    /// Never: what it converts is in range.
    pub fn take(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.next_record()).collect()
    }

    fn next_record(&mut self) -> Record {
        let lots = u64::from(self.lots);
        let (round, lot) = (self.seq / lots, self.seq % lots);
        self.seq += 1;
        let micros = i64::try_from(self.seq).expect("a bench is short");
        let at = Timestamp::from_micros(1_767_225_600_000_000 + micros);
        let event = match round {
            0 => {
                let spec = lot_spec(&format!("L{lot}"), STREAM_SLOTS);
                Event::Lot(lot::Event::Created(Arc::new(spec)))
            }
            _ => reading(round, at),
        };
        let lot = LotKey(u32::try_from(lot).expect("below the number of lots"));
        Record { seq: self.seq, lot, lot_seq: round + 1, at, event, by: None, claim: None }
    }
}

fn reading(round: u64, at: Timestamp) -> Event {
    let slots = STREAM_SLOTS as u64;
    let seen = Sighting {
        mark: Mark { observed_at: at, sequence: round },
        id_hash: 0,
        source: Source::Sensor,
        confidence_percent: None,
    };
    let slot = SlotIndex(u16::try_from(round % slots).expect("below the number of slots"));
    match round / slots % 2 {
        0 => Event::Slot(slot, slot::Event::Occupied(seen)),
        _ => Event::Slot(slot, slot::Event::Vacated(seen)),
    }
}

/// User and system time of this process so far, from `/proc/self/stat` (proc(5): fields 14 and 15, in
/// ticks of 1/100 s on Linux); 0 where there is none.
#[must_use]
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is in parentheses and may hold blanks.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |place: usize| {
        fields
            .split_whitespace()
            .nth(place)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

/// Resident memory of this process, from `/proc/self/status`; 0 where there is none.
#[must_use]
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}
