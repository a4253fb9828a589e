//! What the tests of the journal share: a writer of plausible logs, and the state that follows from them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use lotkeeper_engine::ids::{LotId, LotKey, Pseudonym, ReservationId, SlotId, SlotIndex};
use lotkeeper_engine::lot::{self, Lot};
use lotkeeper_engine::slot::{self, Mark, Sighting, Slot, Source};
use lotkeeper_engine::spec::{
    FeatureSet, Kind, Place, Position, Rules, Size, SlotSpec, Spec, Zone,
};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::{By, Event, LotSnapshot, Record, Role};
use uuid::Uuid;

/// 2026-03-01T09:00:00Z, when all these logs begin.
pub const START: Timestamp = Timestamp::from_seconds(1_772_355_600);

pub fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 | number)
}

pub fn spec(lot: LotKey, slots: u16) -> Arc<Spec> {
    let slot = |index: u16| SlotSpec {
        id: SlotId(uuid(u128::from(lot.0) << 32 | u128::from(index))),
        code: format!("A-{index:05}").into(),
        zone: Some(lotkeeper_engine::ids::ZoneIndex(0)),
        size: Size::Standard,
        features: FeatureSet(u64::from(index % 2)),
        ..SlotSpec::default()
    };
    Arc::new(Spec {
        id: LotId(uuid(u128::from(lot.0) << 64)),
        tenant: "city".into(),
        code: format!("L{}", lot.0).into(),
        name: "Market Street".into(),
        kind: Kind::Bayed,
        capacity: u32::from(slots),
        place: Place {
            time_zone: "Europe/Berlin".into(),
            currency: "EUR".into(),
            city: Some("Berlin".into()),
            position: Some(Position { lat_microdegrees: 52_520_000, lon_microdegrees: 13_400_000 }),
            ..Place::default()
        },
        zones: vec![Zone { code: "level-1".into(), name: "Level 1".into(), level: Some(1) }],
        features: vec!["ev".into()],
        slots: (0..slots).map(slot).collect(),
        rules: Rules::default(),
        created_at: START,
        ..Spec::default()
    })
}

/// Who asked for a record: nobody for some, a few for the others.
pub fn by(seq: u64) -> Option<By> {
    let roles = [Role::Device, Role::Driver, Role::Staff, Role::Operator, Role::Admin];
    let role = roles.get(usize::try_from(seq % 6).unwrap())?;
    Some(By { subject: Pseudonym(uuid(900 + u128::from(seq % 18))), role: *role })
}

/// Writes a log and keeps the state that it leads to.
#[derive(Clone, Default)]
pub struct Author {
    pub seq: u64,
    pub lots: BTreeMap<LotKey, State>,
}

#[derive(Clone)]
pub struct State {
    pub lot_seq: u64,
    pub at: Timestamp,
    pub lot: Lot,
    pub slots: Vec<Slot>,
}

impl Author {
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from what a recovery gave.
    pub fn resume(snapshots: &[LotSnapshot], tail: impl Iterator<Item = Vec<Record>>) -> Self {
        let mut author = Self::new();
        for snapshot in snapshots {
            author.seq = author.seq.max(snapshot.seq);
            author.lots.insert(snapshot.lot, State::from_snapshot(snapshot));
        }
        for record in tail.flatten() {
            let known = author.lots.get(&record.lot).map_or(0, |state| state.lot_seq);
            if record.lot_seq > known {
                author.apply(&record);
            }
            author.seq = author.seq.max(record.seq);
        }
        author
    }

    pub fn apply(&mut self, record: &Record) {
        let known = self.lots.get(&record.lot).map_or(0, |state| state.lot_seq);
        assert_eq!(record.lot_seq, known + 1, "lot {:?} has a gap", record.lot);
        if let Event::Lot(lot::Event::Created(spec)) = &record.event {
            let slots = vec![Slot::default(); spec.slots.len()];
            let lot = Lot::new(Arc::clone(spec));
            self.lots.insert(record.lot, State { lot_seq: 0, at: record.at, lot, slots });
        }
        let state = self.lots.get_mut(&record.lot).expect("a lot begins with its creation");
        state.lot_seq = record.lot_seq;
        state.at = record.at;
        match &record.event {
            Event::Slot(slot, event) => {
                slot::apply(&mut state.slots[slot.at()], event, record.at);
            }
            Event::Lot(event) => lot::apply(&mut state.lot, event, record.at),
        }
    }

    pub fn record(&mut self, lot: LotKey, event: Event) -> Record {
        self.seq += 1;
        let lot_seq = self.lots.get(&lot).map_or(0, |state| state.lot_seq) + 1;
        let at = Timestamp::from_micros(START.micros() + i64::try_from(self.seq).unwrap() * 1_700);
        let by = by(self.seq);
        let record = Record { seq: self.seq, lot, lot_seq, at, event, by, claim: None };
        self.apply(&record);
        record
    }

    pub fn created(&mut self, lot: LotKey, slots: u16) -> Record {
        self.record(lot, Event::Lot(lot::Event::Created(spec(lot, slots))))
    }

    /// A vehicle comes or goes.
    pub fn changed(&mut self, lot: LotKey, slot: u16) -> Record {
        let state = &self.lots[&lot];
        let occupied = state.slots[usize::from(slot)].occupied() == Some(true);
        let observed_at = Timestamp::from_micros(START.micros() + 1_000 * i64::from(slot));
        let sighting = Sighting {
            mark: Mark { observed_at, sequence: self.seq },
            id_hash: 0,
            source: Source::Sensor,
            confidence_percent: Some(97),
        };
        let event = match occupied {
            true => slot::Event::Vacated(sighting),
            false => slot::Event::Occupied(sighting),
        };
        self.record(lot, Event::Slot(SlotIndex(slot), event))
    }

    /// So many changes, slot after slot.
    pub fn changes(&mut self, lot: LotKey, count: usize) -> Vec<Record> {
        let slots = u16::try_from(self.lots[&lot].slots.len()).unwrap();
        (0..slots).cycle().take(count).map(|slot| self.changed(lot, slot)).collect()
    }

    pub fn reserved(&mut self, lot: LotKey, slot: u16, hour: u32) -> Record {
        let from = START.plus(Seconds(hour * 3_600));
        let reserved = lot::Reserved {
            id: ReservationId(uuid(u128::from(self.seq) + 1)),
            slot: SlotIndex(slot),
            window: Window { from, to: from.plus(Seconds(3_600)) },
            expires_at: None,
            holder: Pseudonym(uuid(7)),
            vehicle: None,
            price: None,
            series: None,
            request: None,
        };
        self.record(lot, Event::Lot(lot::Event::Reserved(Box::new(reserved))))
    }

    pub fn snapshot(&self, lot: LotKey) -> LotSnapshot {
        let state = &self.lots[&lot];
        LotSnapshot {
            lot,
            seq: self.seq,
            lot_seq: state.lot_seq,
            at: state.at,
            parts: state.lot.parts(),
            slots: state.slots.clone(),
            claims: Vec::new(),
        }
    }

    /// The states, for comparison with those of another author.
    pub fn states(&self) -> Vec<(LotKey, u64, lot::LotParts, Vec<Slot>)> {
        let one = |(key, state): (&LotKey, &State)| {
            (*key, state.lot_seq, state.lot.parts(), state.slots.clone())
        };
        self.lots.iter().map(one).collect()
    }
}

impl State {
    fn from_snapshot(snapshot: &LotSnapshot) -> Self {
        Self {
            lot_seq: snapshot.lot_seq,
            at: snapshot.at,
            lot: Lot::from_parts(snapshot.parts.clone()),
            slots: snapshot.slots.clone(),
        }
    }
}

/// Copies files as a killed process leaves them.
pub fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => match std::fs::copy(entry.path(), target) {
                // A rotation beside us has renamed what it exported; the live journal still has all of it,
                // or the recovery of this copy tells.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            },
        }
    }
}

/// Waits until nobody holds the sled directory that `CURRENT` names, and gives its path: threads of sled may hold the
/// file for a moment after the journal is dropped.
pub fn released(data: &std::path::Path) -> std::path::PathBuf {
    let live = data.join(std::fs::read_to_string(data.join("CURRENT")).unwrap().trim());
    let file = std::fs::File::open(live.join("db")).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while file.try_lock().is_err() {
        assert!(std::time::Instant::now() < deadline, "{} stays in use", live.display());
        std::thread::yield_now();
    }
    file.unlock().unwrap();
    live
}
