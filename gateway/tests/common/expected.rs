//! What the real files should leave behind, computed from their text alone: nothing of the replay's or
//! the engine's code is asked.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use jiff::Timestamp;

use crate::common;

/// Lot and slot.
pub type Place = (String, String);

/// A slot as it should be in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bay {
    /// `occupied`, `free`, `unknown`.
    pub status: String,
    /// When that began, as observed.
    pub since: Option<Timestamp>,
}

/// A file's end.
#[derive(Debug, Default)]
pub struct Expected {
    /// Every slot.
    pub bays: BTreeMap<Place, Bay>,
    /// How often the state of a lot's slots changes.
    pub changes: BTreeMap<String, u64>,
    /// Rows.
    pub rows: u64,
}

impl Expected {
    /// All changes of all lots.
    pub fn changes_total(&self) -> u64 {
        self.changes.values().sum()
    }

    /// The lot that changes most.
    pub fn busiest(&self) -> &str {
        self.changes.iter().max_by_key(|(_, changes)| **changes).unwrap().0
    }
}

/// The real data, when it is there; says why not otherwise.
pub fn data() -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if data.is_dir() || common::must_run_without("data", "../shared/data is not there") {
        return Some(data);
    }
    None
}

/// The rows of a compressed file by column name.
pub fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    reader.deserialize().map(Result::unwrap).collect()
}

/// `Lansdown P+R` is `lansdown-p-r`.
pub fn code(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// Melbourne 2016: the last row of a bay is its end; a row that says the same as before changes nothing.
pub fn melbourne_2016(path: &Path) -> Expected {
    let mut expected = Expected::default();
    for row in rows(path) {
        expected.rows += 1;
        let place = (code(&row["area"]), row["bay"].clone());
        let status = if row["event"] == "arrive" { "occupied" } else { "free" };
        if expected.bays.get(&place).is_some_and(|bay| bay.status == status) {
            continue;
        }
        // The whole file lies in Melbourne's summer time.
        let since: Timestamp = format!("{}+11:00", row["ts"]).parse().unwrap();
        *expected.changes.entry(place.0.clone()).or_default() += 1;
        expected.bays.insert(place, Bay { status: status.to_owned(), since: Some(since) });
    }
    expected
}

/// A Melbourne 2025 snapshot taken at `taken_at`: sensors silent for over 30 days say nothing.
pub fn melbourne_2025(path: &Path, taken_at: Timestamp) -> Expected {
    let mut expected = Expected::default();
    for row in rows(path) {
        expected.rows += 1;
        let observed: Timestamp = row["Status_Timestamp"].parse().unwrap();
        let dead = taken_at.duration_since(observed).as_secs() > 30 * 86_400;
        let status = match row["Status_Description"].as_str() {
            _ if dead => "unknown",
            "Present" => "occupied",
            "Unoccupied" => "free",
            other => panic!("{other}"),
        };
        let place = ("melbourne".to_owned(), row["KerbsideID"].clone());
        *expected.changes.entry(place.0.clone()).or_default() += u64::from(!dead);
        let since = (!dead).then_some(observed);
        expected.bays.insert(place, Bay { status: status.to_owned(), since });
    }
    expected
}

/// A car park as it should be in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarPark {
    /// Vehicles inside by the newest count.
    pub occupied: u64,
    /// Places by the same row.
    pub capacity: u64,
    /// Of which instant.
    pub observed_at: Timestamp,
    /// Since when the counts say the same.
    pub since: Timestamp,
}

/// Bath on one day of winter, when its wall clocks show UTC: the newest count wins unless it was
/// observed more than a minute after its own upload.
pub fn bath(day: &[BTreeMap<String, String>]) -> (BTreeMap<String, CarPark>, u64) {
    let mut parks: BTreeMap<String, CarPark> = BTreeMap::new();
    let mut early = 0;
    for row in day {
        let instant = |column: &str| -> Timestamp { format!("{}Z", row[column]).parse().unwrap() };
        let (observed_at, uploaded) = (instant("last_update_local"), instant("uploaded_local"));
        if observed_at.duration_since(uploaded).as_secs() > 60 {
            early += 1;
            continue;
        }
        let park = code(&row["name"]);
        if parks.get(&park).is_some_and(|known| known.observed_at >= observed_at) {
            continue;
        }
        let number = |column: &str| row[column].parse::<u64>().unwrap();
        let (occupied, capacity) = (number("occupancy"), number("capacity"));
        let same = parks.get(&park).filter(|known| known.occupied == occupied);
        let since = same.map_or(observed_at, |known| known.since);
        parks.insert(park, CarPark { occupied, capacity, observed_at, since });
    }
    (parks, early)
}
